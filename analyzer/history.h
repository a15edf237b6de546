/* SPDX-License-Identifier: MIT */
/*
 * How the heap, and each stack's part of it, came to be what it is at the end: bounded
 * series made in one pass. The run is cut into periods in two ways at once, by time and
 * by the number of allocations, since a short run has no time to speak of; cells double
 * whenever either runs past the last. A stack has an entry only where it did something,
 * so memory follows the number of stacks. Not thread-safe.
 */
#ifndef PH_ANALYZER_HISTORY_H
#define PH_ANALYZER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/run.h"

/* Where in the run something is: of time and of allocations, each in units that are
 * chosen once so that a run's end fits. */
struct history_place {
	uint32_t at, number;
};

struct history_axis {
	struct history_place origin;
	unsigned at_shift, number_shift; /* of a cell */
	uint32_t generation;		 /* changes with these */
};

struct history_level {
	uint64_t live_bytes, live_blocks, allocated_bytes, allocations;
};

struct history_entry {
	struct history_place place; /* somewhere in its cell */
	struct history_level level; /* when its cell was left */
};

/* Of one stack. All zero: empty. */
struct history_track {
	struct history_entry *entries;
	uint32_t count, room, generation;
};

/* Of the whole heap: one a period. */
struct history_mark {
	struct history_place place; /* of its beginning */
	struct history_level level; /* at its end */
	uint64_t requests, rounds;
};

struct history_marks {
	struct history_mark marks[2 * PERIODS_MAX];
	size_t count;
	uint32_t generation;
};

/* Widens the cells until `place` is in one. True: it is not in the cell of `last`. */
bool history_moves(struct history_axis *x, struct history_place last, struct history_place place);

/* The level that a stack, or the heap, had when the cell of `place` was left; places do
 * not go back. False: out of memory. */
bool history_put(struct history_track *t, const struct history_axis *x, struct history_place place,
		 const struct history_level *level);
void history_mark(struct history_marks *m, const struct history_axis *x,
		  const struct history_mark *mark);

void history_free(struct history_track *t);

/* At the end: entries of one cell become one. */
void history_fold(struct history_track *t, const struct history_axis *x);
void history_fold_marks(struct history_marks *m, const struct history_axis *x);

/* The mark that a place falls into. */
size_t history_find(const struct history_marks *m, struct history_place place);

/* What a site's level was at the end of a period: zero before its first. */
struct history_level history_at(const struct site *s, uint32_t period);

/* The site's level at each of `count` instants, evenly spaced, the last at the run's end.
 * Between the ends of periods nothing is known: the last end before counts. */
void history_sample(const struct run *run, const struct site *s, struct history_level *levels,
		    size_t count);

#endif
