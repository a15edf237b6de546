/* SPDX-License-Identifier: MIT */
/* The heap looked at in other ways: how long blocks live, and what is asked for of what the
 * process has in memory. */
#ifndef PH_ANALYZER_HEAP_VIEWS_H
#define PH_ANALYZER_HEAP_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/run.h"

/* Of all blocks that were freed: of each power of two, by microseconds and by allocations
 * that the process made meanwhile (struct spread). */
struct lives {
	uint64_t by_us[LIFETIMES], by_age[AGES];
	uint64_t blocks;
};
struct lives heap_lives(const struct run *run);

/* Of the samples of the process's memory; NULL: there are none. */
struct resident {
	const struct memory_sample *most; /* with the most anonymous memory */
	const struct memory_sample
		*peak; /* beside the heap's peak, which saw half of it at least */
	const struct memory_sample *last;
	uint64_t most_rss; /* ever up to the last one, by the kernel's own count */
};
struct resident heap_resident(const struct run *run);

/* Percent of a sample's anonymous memory that was asked for by allocations: the rest is the
 * allocator's, stacks, data, and what was freed and not given back. NaN: not known. */
double heap_asked_percent(const struct run *run, const struct memory_sample *s);

/* At most `room` samples, evenly spaced, each the one with most memory of its part. Returns
 * how many. */
size_t heap_thin_samples(const struct run *run, const struct memory_sample **to, size_t room);

#endif
