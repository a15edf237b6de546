/* SPDX-License-Identifier: MIT */
/* The file that counter_shm counts in, for it and for the tests that kill it. */
#ifndef PH_TESTS_COUNTER_SHM_H
#define PH_TESTS_COUNTER_SHM_H

#include <stdint.h>

enum { COUNTER_THREADS = 16, COUNTER_SIZE = 72 };

struct counter {
	_Alignas(64) volatile uint64_t allocations;
	volatile uint64_t writes;
	volatile uint64_t frees;
};

struct counters {
	struct counter of[COUNTER_THREADS];
};

#endif
