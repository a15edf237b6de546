/* SPDX-License-Identifier: MIT */
/* Without a leak: an allocator of its own, which takes slabs from malloc as demand grows to
 * its peaks, keeps a list of what is free, and returns nothing. */
#include "work.h"

enum { SIZE = 128, SLAB = 64, MOST = 700 };

static void *free_list, *taken[MOST];
static int count;

NOINLINE static char *benign_slab(void)
{
	return (char *)cleared((size_t)SLAB * SIZE);
}

static void *pool_take(void)
{
	void *p;

	if (free_list == NULL) {
		char *slab = benign_slab();

		for (int k = 0; k < SLAB; k++) {
			*(void **)(slab + (size_t)k * SIZE) = free_list;
			free_list = slab + (size_t)k * SIZE;
		}
	}
	p = free_list;
	free_list = *(void **)p;
	return memset(p, 0, SIZE);
}

static void pool_give(void *p)
{
	*(void **)p = free_list;
	free_list = p;
}

int main(void)
{
	for (int i = 0; i < requests(4500); i++) {
		/* Waves, the second and fourth the highest. */
		int wanted = i % 1000 * (i / 1000 % 2 + 1) * MOST / 2000;

		while (count < wanted)
			taken[count++] = pool_take();
		while (count > wanted)
			pool_give(taken[--count]);
		serve(i);
	}
	return leave();
}
