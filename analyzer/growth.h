/* SPDX-License-Identifier: MIT */
/*
 * Does what a stack holds grow, and will it go on? Measured over the stack's history, by
 * the work done, by time and by allocations, without a look at names or at what the
 * blocks are. docs/leaks.md says how the figures are judged. Pure; not thread-safe.
 */
#ifndef PH_ANALYZER_GROWTH_H
#define PH_ANALYZER_GROWTH_H

#include "analyzer/run.h"

#define GROWTH_FEW_BLOCKS 4 /* whose bytes may grow without their number */

/* A process that does not wait for work, but runs longer: nobody waits so long for what
 * only builds up. */
#define GROWTH_BATCH_S 60.0

/* Fill `growth` of each site with live blocks of its own. False: out of memory. */
bool growth_measure(struct run *run);

/* Which of two processes' says more. */
bool growth_says_more(const struct growth *a, const struct growth *b);

/* Of `count` values at `x`, which ascends. Theil and Sen: the median of the slopes between
 * all pairs; Mann and Kendall: how sure it is, from 0 to 1, that they ascend. */
#define TREND_MAX PERIODS_MAX
double trend_slope(const double *x, const double *values, size_t count);
double trend_confidence(const double *values, size_t count);

#endif
