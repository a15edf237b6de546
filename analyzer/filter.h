/* SPDX-License-Identifier: MIT */
/* A run's filter, at work: what it says of each thread and each stack, found out once. */
#ifndef PH_ANALYZER_FILTER_H
#define PH_ANALYZER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/run.h"

struct filter {
	const struct run_filter *wanted;
	const struct run *run;
	bool *threads;	/* by place: its events count */
	uint8_t *nodes; /* by node: 0 not known, 1 counts, 2 does not */
	uint64_t events, of_events;
};

/* Of a run whose threads, stacks and modules are known: they stay as they are. NULL: out
 * of memory. */
struct filter *filter_new(const struct run_filter *wanted, const struct run *run);
void filter_free(struct filter *f);

bool filter_finds_node(struct filter *f, uint32_t node);

static inline bool filter_allows_node(struct filter *f, uint32_t node)
{
	return f->nodes[node] == 0 ? filter_finds_node(f, node) : f->nodes[node] == 1;
}

static inline bool filter_allows_size(const struct filter *f, uint64_t bytes)
{
	return !f->wanted->sized ||
	       (bytes >= f->wanted->least_bytes && bytes <= f->wanted->most_bytes);
}

/* An event of a thread, by its place, with a stack. */
static inline bool filter_allows(struct filter *f, size_t thread, uint32_t node)
{
	return f->threads[thread] && filter_allows_node(f, node);
}

/* A block that a fork left: no thread of this process allocated it. */
static inline bool filter_allows_inherited(struct filter *f, uint32_t node, uint64_t bytes)
{
	return f->wanted->threads.count == 0 && filter_allows_size(f, bytes) &&
	       filter_allows_node(f, node);
}

#endif
