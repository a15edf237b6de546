/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait for several descriptors again and again, and what else they wait in
 * between: while an event loop does, it serves nobody.
 */
#ifndef PH_ANALYZER_LOOPS_H
#define PH_ANALYZER_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/map.h"
#include "analyzer/thresholds.h"
#include "trace/cell.h"

/* What one stack of one thread waited in, by one function. Times are nanoseconds. */
struct loop_block {
	uint32_t thread, node;
	uint8_t op;
	uint64_t count;
	double ns, longest_ns;
	/* Of these, since the thread's last poll: another must follow, or it is a loop's
	 * end. */
	uint64_t tail_polls, tail_count;
	double tail_ns;
};

struct loops {
	const struct thresholds *thresholds;
	uint64_t *polls; /* by thread */
	struct loop_block *list;
	size_t count, room;
	struct index by_key;
	bool failed; /* out of memory */
};

/* False: out of memory; loops_free() in any case. `thresholds` is borrowed. */
bool loops_init(struct loops *l, const struct thresholds *thresholds, size_t threads);
void loops_free(struct loops *l);

/* A call of thread number `thread` that may wait; `name` is its function's. */
void loops_call(struct loops *l, uint32_t thread, unsigned kind, const char *name,
		const struct ph_call *call, uint32_t node, double ns);

/* No more calls: what no poll followed is taken back. */
void loops_end(struct loops *l);

#endif
