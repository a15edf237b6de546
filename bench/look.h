/* SPDX-License-Identifier: MIT */
/* `perfhook leaks --pid` of a recorded process that stays (LOOKED). */
#ifndef PH_BENCH_LOOK_H
#define PH_BENCH_LOOK_H

#include <stdbool.h>

#include "bench/rows.h"

struct look {
	double pause_ms; /* that the process stood still */
	double wall_s;	 /* of the command */
	double gib;	 /* of live blocks */
	bool fine;	 /* it found what the program says is lost */
};

/* Starts the process, looks at it so many times, ends it. */
void look_at(const struct workload *w, struct look *looks, unsigned count);

#endif
