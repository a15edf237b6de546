/* SPDX-License-Identifier: MIT */
/* How long calls took, as the program itself measured it around them. */
#ifndef PH_TESTS_TIMED_H
#define PH_TESTS_TIMED_H

#include <time.h>

#include "truth.h"

struct timed {
	unsigned long long ns[4096];
	size_t count;
};

__attribute__((unused)) static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000000u + (unsigned long long)ts.tv_nsec;
}

__attribute__((unused)) static void timed_add(struct timed *t, unsigned long long since)
{
	if (t->count < sizeof(t->ns) / sizeof(t->ns[0]))
		t->ns[t->count++] = now_ns() - since;
}

static int timed_order(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a;
	unsigned long long y = *(const unsigned long long *)b;

	return x < y ? -1 : x > y;
}

/* Percentiles by the nearest rank: `truth: NAME.p50=` and so on, nanoseconds. */
__attribute__((unused)) static void timed_say(struct timed *t, const char *name)
{
	static const int shares[] = {50, 75, 90, 95, 99, 100};

	qsort(t->ns, t->count, sizeof(t->ns[0]), timed_order);
	say("truth: %s.count=%zu\n", name, t->count);
	for (size_t i = 0; t->count != 0 && i < sizeof(shares) / sizeof(shares[0]); i++) {
		size_t rank = (t->count * (size_t)shares[i] + 99) / 100;

		say("truth: %s.p%d=%llu\n", name, shares[i], t->ns[rank - 1]);
	}
}

#endif
