/* SPDX-License-Identifier: MIT */
/* Searches for lost blocks in processes that are about to end: each by a `perfhook look` of
 * its own, which the process waits for and whose findings go into the trace. */
#ifndef PH_COLLECTOR_LOOK_H
#define PH_COLLECTOR_LOOK_H

#include <stdbool.h>

#include "collector/target.h"

/* Begin a search that is wanted, and take in what one has found. */
void look_serve(struct target *t);

/* Is one under way? Then the trace must not end yet. */
bool look_is_under_way(const struct target *t);

#endif
