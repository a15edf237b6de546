/* SPDX-License-Identifier: MIT */
/*
 * A timeline of bounded size made in one pass: evenly spaced buckets whose
 * width doubles, two becoming one, whenever time runs past the last.
 */
#ifndef PH_ANALYZER_BUCKETS_H
#define PH_ANALYZER_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKETS_MAX 128

struct buckets {
	double origin_ns;  /* where the first one begins; what is earlier goes there too */
	uint64_t width_ns; /* 0: empty */
	size_t count;	   /* one past the last that was asked for */
	bool sums;	   /* two become their sum; otherwise the greater */
	size_t max;	   /* even; 0: BUCKETS_MAX */
	uint64_t values[BUCKETS_MAX][2];
};

/* One of sums with room for `max` values only; NULL: out of memory. By free(3). */
struct buckets *buckets_small(size_t max);

/* The bucket of an instant. What lies between the last one so far and it is zero. */
size_t buckets_at(struct buckets *b, double ns);

/* Adds to a value of each bucket from one instant to the other, by its part of the
 * time: all of `amount`, to the last byte. */
void buckets_spread(struct buckets *b, int value, uint64_t amount, double begin_ns, double end_ns);

#endif
