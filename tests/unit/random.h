/* SPDX-License-Identifier: MIT */
/* Numbers by chance, the same in each run of a test: Marsaglia's xorshift of 64 bits. */
#ifndef PH_TESTS_RANDOM_H
#define PH_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t seed = 88172645463325252u;

static inline uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#endif
