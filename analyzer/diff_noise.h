/* SPDX-License-Identifier: MIT */
/* What is a change between two runs, and what only varies from one to the next. */
#ifndef PH_ANALYZER_DIFF_NOISE_H
#define PH_ANALYZER_DIFF_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/error.h"

/* Smaller changes are none. */
struct diff_noise {
	double bytes;	 /* not 0: counts alone are no change either */
	double fraction; /* of the larger one of both */
	double seconds;	 /* of times; NaN: as is usual from run to run */
	double load_s;	 /* that threads of the busier run stood in line for a processor */
};

void diff_noise_default(struct diff_noise *noise); /* bytes and counts exact */

/* Takes "64K", "5%" or "20ms" for one of them. 0, or -1 with *e filled. */
int diff_noise_set(struct diff_noise *noise, const char *text, struct error *e);

/* Bytes or counts. */
bool diff_is_change(const struct diff_noise *noise, uint64_t before, uint64_t after);

/* Nanoseconds over `calls`, as many as the run with more of them made. By default more
 * than 50 ms, 1 ms for the root of the calls and `load_s` together, and half of the longer
 * time. */
bool diff_is_slower(const struct diff_noise *noise, uint64_t before, uint64_t after,
		    uint64_t calls);

#endif
