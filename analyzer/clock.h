/* SPDX-License-Identifier: MIT */
/*
 * The trace's counter to nanoseconds: straight lines between the pairs that
 * were recorded. Whatever the trace says, results are finite and within
 * +-CLOCK_FAR_NS of the start.
 */
#ifndef PH_ANALYZER_CLOCK_H
#define PH_ANALYZER_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/format.h"

#define CLOCK_FAR_NS 1e18 /* 31 years */

struct clock {
	struct ph_clock_pair *pairs; /* after clock_settle(): both counters ascend */
	size_t count, room;
	uint64_t start;			  /* ticks at the process's start */
	double ns_of_start;		  /* since the first pair */
	double slope_before, slope_after; /* outside of the pairs */
	double unevenness;		  /* of the counter, from pair to pair: 0.01 is 1 % */
	/* The line in force, for from <= ticks < to. */
	uint64_t from, to, anchor;
	double ns_at_anchor, slope;
};

bool clock_add(struct clock *c, const void *payload, size_t length); /* false: no memory */
/* All pairs are there. ticks_per_s 0: not known. */
void clock_settle(struct clock *c, uint64_t start, double ticks_per_s);
void clock_free(struct clock *c);

void clock_find_line(struct clock *c, uint64_t ticks);

/* Nanoseconds since the start; negative before it. */
static inline double clock_ns(struct clock *c, uint64_t ticks)
{
	double ns;

	if (ticks < c->from || ticks >= c->to)
		clock_find_line(c, ticks);
	ns = c->ns_at_anchor + (double)(int64_t)(ticks - c->anchor) * c->slope;
	return ns > CLOCK_FAR_NS ? CLOCK_FAR_NS : ns < -CLOCK_FAR_NS ? -CLOCK_FAR_NS : ns;
}

/* How long `ticks` from `at` on last; never negative. */
static inline double clock_span_ns(struct clock *c, uint64_t at, uint64_t ticks)
{
	double ns;

	if (at < c->from || at >= c->to)
		clock_find_line(c, at);
	ns = (double)ticks * c->slope;
	return ns > CLOCK_FAR_NS ? CLOCK_FAR_NS : ns;
}

static inline double clock_s(struct clock *c, uint64_t ticks)
{
	return clock_ns(c, ticks) / 1e9;
}

#endif
