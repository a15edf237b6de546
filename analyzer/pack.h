/* SPDX-License-Identifier: MIT */
/* A trace once more, smaller: the same events, in larger blocks of the second layout. */
#ifndef PH_ANALYZER_PACK_H
#define PH_ANALYZER_PACK_H

#include <stdint.h>

#include "analyzer/error.h"

struct pack_progress {
	void (*update)(void *context, uint64_t done, uint64_t total);
	void *context;
};

struct pack_sizes {
	uint64_t before, after; /* bytes; equal where it does not get smaller */
};

/*
 * Pack the trace at `from` into a file at `to`, which may be the same: it is written
 * beside it and renamed, with the input's permissions. A trace that would not get smaller
 * is copied. Refuses one that is damaged, truncated or not finished: what is lost in it
 * would not be told any more. 0, or -1 with *e filled and nothing at `to` changed.
 * `progress` is called now and then with the bytes that are done and all of them; NULL:
 * nobody is told.
 */
int pack_trace(const char *from, const char *to, struct pack_sizes *sizes,
	       const struct pack_progress *progress, struct error *e);

#endif
