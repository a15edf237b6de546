/* SPDX-License-Identifier: MIT */
/* The classes of a search for pointers: their names, and the sums over blocks that the
 * model has of each. */
#ifndef PH_ANALYZER_REACH_SUMS_H
#define PH_ANALYZER_REACH_SUMS_H

#include "analyzer/run.h"

struct reach_name {
	const char *text; /* "indirectly lost" */
	const char *key;  /* as a part of JSON's names: "indirectly_lost" */
};
extern const struct reach_name reach_names[REACH_CLASSES];

/* The worst class that has blocks; REACH_CLASSES: none was judged. */
enum reach_class reach_worst(const struct reach_sum sums[REACH_CLASSES]);

void reach_add(struct reach_sum to[REACH_CLASSES], const struct reach_sum from[REACH_CLASSES]);

#endif
