/* SPDX-License-Identifier: MIT */
/*
 * Threads on stacks of our own. libc keeps the stacks of ended threads, with
 * what it allocated for them, and whether the next thread finds one is chance;
 * with these, each thread costs libc the same allocations in every run.
 */
#ifndef PH_TESTS_LANE_H
#define PH_TESTS_LANE_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LANE_STACK (256 << 10)

struct lane {
	pthread_t thread;
	void *stack;
};

static inline void lane_start(struct lane *lane, void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;

	if (lane->stack == NULL)
		lane->stack = mmap(NULL, LANE_STACK, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, lane->stack, LANE_STACK);
	if (lane->stack == MAP_FAILED ||
	    pthread_create(&lane->thread, &attributes, body, argument) != 0)
		abort();
	pthread_attr_destroy(&attributes);
}

static inline void *lane_join(struct lane *lane)
{
	void *result;

	pthread_join(lane->thread, &result);
	return result;
}

#endif
