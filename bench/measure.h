/* SPDX-License-Identifier: MIT */
/* One run of a workload: unrecorded, under perfhook, heaptrack or strace. */
#ifndef PH_BENCH_MEASURE_H
#define PH_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/rows.h"

enum mode { UNRECORDED, PERFHOOK, HEAPTRACKED, STRACED, MODES };

/* Is it run in this mode? */
static inline bool runs_in(const struct workload *w, enum mode mode)
{
	return mode == HEAPTRACKED ? w->flags & HEAPTRACK : mode != STRACED || w->flags & STRACE;
}

struct sample {
	double target_s; /* CPU of the program itself, start and end with it */
	double total_s;	 /* and of all that runs because it is recorded */
	double wall_s;	 /* until the program has ended */
	double units;	 /* requests, for a server that is loaded for a time; else 1 */

	/* What the program said (SAYS). */
	double work_ns;
	uint64_t calls, allocations, frees;
	unsigned frames, threads;
	double rss_kib;

	/* What the recording holds. */
	uint64_t events, recorded_allocations, recorded_frees;
	uint64_t size; /* of all its files */
	uint64_t kept; /* after `perfhook pack`, where there is one; else size */
	uint64_t peak_blocks;

	char problem[200]; /* why this run is not what it claims; empty: it is */
};

/* `files` keeps what was recorded in place.folder, for reading: perfhook's traces,
 * and beside them, if it comes next, what the program wrote for heaptrack. */
void measure(const struct workload *w, enum mode mode, bool files, struct sample *s);

/* How long it takes to read what measure() kept. */
struct reading {
	double wall_s, rss_kib;
	bool fine;
};
struct reading read_by_perfhook(void);
struct reading read_by_heaptrack(void);

#endif
