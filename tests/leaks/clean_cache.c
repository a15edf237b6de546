/* SPDX-License-Identifier: MIT */
/* Without a leak: a cache that warms up for half of the run, by ever rarer misses, and
 * stays to the end. */
#include "work.h"

enum { ITEMS = 600 };

static void *cached[ITEMS];

NOINLINE static void *benign_cached(void)
{
	return cleared(sized(700));
}

int main(void)
{
	benign_pool(40, 40000);
	for (int i = 0; i < requests(4500); i++) {
		void **item = &cached[scatter((unsigned)i * 3) % ITEMS];

		if (*item == NULL)
			*item = benign_cached();
		serve(i);
	}
	return leave();
}
