/* SPDX-License-Identifier: MIT */
#include "analyzer/reach_sums.h"

const struct reach_name reach_names[REACH_CLASSES] = {
	[REACH_LOST] = {"lost", "lost"},
	[REACH_INDIRECT] = {"indirectly lost", "indirectly_lost"},
	[REACH_POSSIBLE] = {"possibly lost", "possibly_lost"},
	[REACH_STILL] = {"still reachable", "still_reachable"},
};

enum reach_class reach_worst(const struct reach_sum sums[REACH_CLASSES])
{
	enum reach_class c = REACH_LOST;

	while (c < REACH_CLASSES && sums[c].blocks == 0)
		c++;
	return c;
}

void reach_add(struct reach_sum to[REACH_CLASSES], const struct reach_sum from[REACH_CLASSES])
{
	for (int c = 0; c < REACH_CLASSES; c++) {
		to[c].bytes += from[c].bytes;
		to[c].blocks += from[c].blocks;
	}
}
