/* SPDX-License-Identifier: MIT */
/*
 * churn LIVE EVENTS: LIVE blocks of random sizes live at a time, each replaced at
 * random, through a few dozen stacks of 4 to 12 frames, until EVENTS are made.
 */
#include <stdint.h>

#include "bench/programs/said.h"

enum { MAX_FRAMES = 12 };

static void **blocks;
static uint64_t seed = 1;

static uint32_t roll(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

__attribute__((noinline)) static void *made_by_a(unsigned left, size_t size);

__attribute__((noinline)) static void *made_by_b(unsigned left, size_t size)
{
	void *p = left == 0 ? malloc(size) : made_by_a(left - 1, size);

	__asm__ volatile("" : : "r"(left));
	return p;
}

__attribute__((noinline)) static void *made_by_a(unsigned left, size_t size)
{
	void *p;

	if (left == 0)
		p = malloc(size);
	else if (left % 3 == 0)
		p = made_by_a(left - 1, size);
	else
		p = made_by_b(left - 1, size);
	__asm__ volatile("" : : "r"(left));
	return p;
}

int main(int argc, char **argv)
{
	unsigned long live, events, allocations = 1;
	double start;

	if (argc != 3)
		return 2;
	live = strtoul(argv[1], NULL, 10);
	events = strtoul(argv[2], NULL, 10);
	blocks = calloc(live, sizeof(*blocks));
	if (blocks == NULL)
		return 1;
	start = cpu_ns();
	for (unsigned long i = 0; i < live; i++, allocations++)
		blocks[i] = made_by_a(MAX_FRAMES - 2, 16 + roll() % 256);
	for (; 2 * (allocations - live) < events - live; allocations++) {
		unsigned long i = roll() % live;

		free(blocks[i]);
		blocks[i] = made_by_a(2 + roll() % (MAX_FRAMES - 3), 16 + roll() % 256);
	}
	say(cpu_ns() - start, 2 * allocations - live, allocations, allocations - 1 - live, 4, 0);
	return 0;
}
