/* SPDX-License-Identifier: MIT */
#include "analyzer/buckets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct buckets *buckets_small(size_t max)
{
	struct buckets *b = calloc(1, offsetof(struct buckets, values) + max * sizeof(*b->values));

	if (b != NULL) {
		b->sums = true;
		b->max = max;
	}
	return b;
}

static size_t room(const struct buckets *b)
{
	return b->max != 0 ? b->max : BUCKETS_MAX;
}

static uint64_t both(const struct buckets *b, uint64_t x, uint64_t y)
{
	return b->sums ? x + y : x > y ? x : y;
}

static void fold(struct buckets *b)
{
	size_t half = room(b) / 2;

	for (size_t i = 0; i < half; i++) {
		for (int v = 0; v < 2; v++)
			b->values[i][v] = both(b, b->values[2 * i][v], b->values[2 * i + 1][v]);
	}
	memset(b->values[half], 0, half * sizeof(*b->values));
	b->count = (b->count + 1) / 2;
	b->width_ns *= 2;
}

size_t buckets_at(struct buckets *b, double when_ns)
{
	double ns = when_ns - b->origin_ns;
	uint64_t at = ns > 0 ? ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18 : 0;

	if (b->width_ns == 0)
		b->width_ns = 1000;
	while (at / b->width_ns >= room(b))
		fold(b);
	at /= b->width_ns;
	if (at >= b->count)
		b->count = at + 1;
	return at;
}

void buckets_spread(struct buckets *b, int value, uint64_t amount, double begin_ns, double end_ns)
{
	size_t last = buckets_at(b, end_ns), first;
	double begin = fmax(begin_ns - b->origin_ns, 0), length = end_ns - b->origin_ns - begin;
	uint64_t given = 0;

	/* The later one first: it may have folded the buckets. */
	first = begin_ns < end_ns ? buckets_at(b, begin_ns) : last;
	for (size_t i = first; i < last; i++) {
		double part = ((double)((i + 1) * b->width_ns) - begin) / length;
		uint64_t by_now = part < 1 ? (uint64_t)((double)amount * part) : amount;

		if (by_now > amount)
			by_now = amount;
		if (by_now < given)
			by_now = given;
		b->values[i][value] += by_now - given;
		given = by_now;
	}
	b->values[last][value] += amount - given;
}
