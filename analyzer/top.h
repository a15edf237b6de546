/* SPDX-License-Identifier: MIT */
/*
 * What stacks cost, added up by what stands in them: a function, a source file, a module,
 * or by the thread that did it, or by the whole stack. A row's own cost is of the stacks
 * whose innermost frame it is, its total of all that it stands in, each once.
 */
#ifndef PH_ANALYZER_TOP_H
#define PH_ANALYZER_TOP_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/costs.h"
#include "analyzer/error.h"

struct report;

enum top_by {
	TOP_NONE,
	TOP_FUNCTION,
	TOP_FILE,
	TOP_MODULE,
	TOP_THREAD,
	TOP_STACK,
};

#define TOP_UNKNOWN UINT64_MAX /* of threads: their part of the peak, and their temporaries */

struct top_row {
	const char *name; /* the symbols' or the run's, or owned by the top */
	uint64_t self[COST_COUNT], total[COST_COUNT];
	uint32_t node; /* TOP_STACK */
	int pid, tid;  /* TOP_THREAD */
};

struct top {
	enum top_by by;
	const struct cost *cost; /* that rows are ordered by: most of their own first */
	struct top_row *rows;	 /* only those that cost something */
	size_t count;
	uint64_t sums[COST_COUNT]; /* of the run */
	char **names;		   /* owned */
	size_t name_count, name_room;
};

/* "function" and its like; TOP_NONE: not one of them. */
enum top_by top_by_name(const char *name);
const char *top_name(enum top_by by);

/* Looks up names by way of the report. 0, or -1 with *e filled: out of memory. top_free() in
 * any case. */
int top_make(struct top *top, struct report *r, enum top_by by, const struct cost *cost,
	     struct error *e);
void top_free(struct top *top);

#endif
