/* SPDX-License-Identifier: MIT */
/*
 * Blocks of events decoded before they are wanted, by a thread of its own. It
 * goes through them in the order in which their first events are due, and goes on
 * when the last one was taken. What it has not come to, whoever wants it decodes
 * itself: results do not depend on it, nor on there being such a thread.
 */
#ifndef PH_ANALYZER_READ_AHEAD_H
#define PH_ANALYZER_READ_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/reader.h"
#include "trace/decode.h"

struct read_ahead;

enum read_ahead_result {
	READ_AHEAD_NOT,	    /* not decoded, and will not be */
	READ_AHEAD_DECODED, /* *events is the block's */
	READ_AHEAD_DAMAGED, /* it cannot be decoded */
};

/* The reader must stay, and its list of blocks as it is, until read_ahead_end(). NULL:
 * not worth a thread, or there is none to be had; the other functions take it, too. */
struct read_ahead *read_ahead_begin(const struct reader *reader);

/* The block in this place of the reader's list, asked for once. What *events had is
 * given up in exchange. Waits for a block that is being decoded. */
enum read_ahead_result read_ahead_take(struct read_ahead *a, size_t block,
				       struct ph_events *events);
void read_ahead_end(struct read_ahead *a);

#endif
