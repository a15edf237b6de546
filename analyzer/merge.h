/* SPDX-License-Identifier: MIT */
/*
 * The streams of a trace merged by their coarse stamps. Each stream has one
 * decoded block at a time, and none before its first event is due; one more is
 * decoded ahead (read_ahead.h). What the
 * events mean is the consumer's to know; where stamps tie, the consumer also
 * says which events have to wait for one of another stream:
 * the events of a tie run stream by stream, as far as each can go; what waits
 * names a key, and goes on once an event has touched that key. When all wait,
 * the one that waited first is forced. Work is linear however large a tie is.
 */
#ifndef PH_ANALYZER_MERGE_H
#define PH_ANALYZER_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/map.h"
#include "analyzer/reader.h"
#include "trace/decode.h"

/* Streams are named by their place in the merge, in the order of addition. */
struct merge_consumer {
	/* Apply all; false stops the merge. */
	bool (*run)(void *context, size_t stream, const struct ph_event *events, size_t count);
	/* Within a tie: apply up to the first that has to wait, and say what for.
	 * Returns how many were applied; more than `count` stops the merge. */
	size_t (*run_tied)(void *context, size_t stream, const struct ph_event *events,
			   size_t count, uint64_t *key);
	/* Apply an event that no other stream can make possible; false stops. */
	bool (*force)(void *context, size_t stream, const struct ph_event *event);
	void (*tie_begins)(void *context, size_t streams);
	void (*tie_ends)(void *context);
	/* Bytes of event blocks that were taken up so far. */
	void (*progress)(void *context, uint64_t bytes);
};

/* What an event's waiters name: its address, or the object that it describes. */
#define MERGE_OBJECT_KEY(object) ((uint64_t)1 << 63 | (object))

struct merge {
	struct reader *reader;
	const struct merge_consumer *consumer;
	void *context;
	struct merge_stream *streams;
	size_t stream_count, stream_room;
	uint32_t *heap; /* streams that have events left, by their next one's stamp */
	size_t heap_count;
	uint64_t now;
	struct read_ahead *ahead; /* NULL: there is none */
	uint64_t bytes;		  /* of event blocks taken up */
	uint64_t held;		  /* memory of decoded blocks */
	uint64_t dropped;	  /* blocks that overlap what came before them */
	struct ph_buffer stored, payload;
	/* The tie in hand. */
	uint32_t *ready; /* a queue of stream_count places */
	size_t ready_at, ready_count;
	struct map waiting;		      /* key to the first stream that waits for it, + 1 */
	uint32_t first_waiting, last_waiting; /* + 1, in the order in which they began */
};

/* Streams of all EVENTS blocks of the reader. false: out of memory. Freed after
 * a failure too. */
bool merge_init(struct merge *m, struct reader *reader, const struct merge_consumer *consumer,
		void *context);
uint32_t merge_stream_number(const struct merge *m, size_t stream);
uint64_t merge_stream_first_stamp(const struct merge *m, size_t stream);

/* Until the end, or until the consumer stops it. false: out of memory. */
bool merge_run(struct merge *m);
void merge_free(struct merge *m);

#endif
