/* SPDX-License-Identifier: MIT */
/*
 * What each stack cost, by one of the COSTs that flame graphs, exports and
 * comparisons take. One table: a new cost is a new row.
 */
#ifndef PH_ANALYZER_COSTS_H
#define PH_ANALYZER_COSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/error.h"
#include "analyzer/run.h"

enum cost_id {
	COST_PEAK,
	COST_LEAKED,
	COST_ALLOCATED,
	COST_TEMPORARY,
	COST_READ,
	COST_WRITTEN,
	COST_SENT,
	COST_RECEIVED,
	COST_TIME,
	COST_WAITED,
	COST_COUNT,
};

enum cost_unit {
	COST_BYTES,
	COST_ALLOCATIONS,
	COST_NANOSECONDS,
};

struct cost {
	const char *name;  /* on the command line, and in files */
	const char *title; /* "heap at its peak" */
	const char *help;  /* what is added up, and what is counted beside */
	enum cost_unit unit;
	unsigned off; /* RUN_OFF_...: not known of a run in which all of these are off */
};

extern const struct cost costs[COST_COUNT];

/* The row of that name; NULL: none. */
const struct cost *cost_by_name(const char *name);

/* "bytes", "allocations", "nanoseconds". */
const char *cost_unit_name(enum cost_unit unit);

/* What one stack cost. */
struct cost_sample {
	uint32_t node;	/* of the run; 0: no stack */
	uint64_t value; /* in the cost's unit */
	uint64_t count; /* blocks, allocations or calls */
};

struct cost_samples {
	struct cost_sample *list; /* most first; none is 0; malloc'ed */
	size_t count;
	uint64_t total; /* of all values: what the report says of the run */
};

/* Is it known at all of this run? */
bool cost_is_known(const struct run *run, const struct cost *cost);

/* One sample a stack. 0, or -1 with *e filled: out of memory. costs_free() after success. */
int costs_of(const struct run *run, const struct cost *cost, struct cost_samples *samples,
	     struct error *e);
void costs_free(struct cost_samples *samples);

#endif
