/* SPDX-License-Identifier: MIT */
/* A run that is not over, as it was at one instant: what of its trace counts, and what
 * lived, block by block. Parts of the replay. */
#ifndef PH_ANALYZER_LIVE_H
#define PH_ANALYZER_LIVE_H

#include "analyzer/heap.h"
#include "analyzer/mapped.h"
#include "analyzer/reader.h"
#include "analyzer/run.h"
#include "analyzer/stacks.h"

/* Blocks of events from after the instant are dropped, and the end if there was one. */
void live_cut(const struct run_instant *instant, struct reader *reader);

/* A mapping came or went; `own`: not by the allocator's hand. False: out of memory. */
bool live_map(struct mapped *m, uint64_t start, uint64_t length, bool own);

/* False: out of memory. The heap is settled. */
bool live_take(struct run_live *live, const struct replay_heap *heap, const struct stacks *stacks,
	       size_t inherited_sites, const struct mapped *own);

#endif
