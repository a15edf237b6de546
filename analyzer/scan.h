/* SPDX-License-Identifier: MIT */
/* The blocks of a process as it stood, judged: its memory looked through for pointers. */
#ifndef PH_ANALYZER_SCAN_H
#define PH_ANALYZER_SCAN_H

#include "analyzer/error.h"
#include "analyzer/reach.h"
#include "analyzer/roots.h"
#include "inspect/keeper.h"

struct scan {
	uint64_t roots_bytes, blocks_bytes; /* that were looked through */
	uint64_t unreadable_bytes;
	uint64_t shared_bytes; /* of the roots */
	uint64_t foreign_blocks;
	double took_s;
};

/* Give each of source->blocks its class (they are sorted). source->maps, threads, memory and
 * blocks are filled in here from `kept`. 0, or -1 with *e filled. */
int scan_blocks(struct scan *s, struct reach_block *blocks, size_t count, struct kept *kept,
		struct roots_source *source, struct error *e);

/* Add the blocks' classes up to those of the run and of its sites. */
void scan_sum_up(struct run *run, const struct reach_block *blocks, size_t count);

#endif
