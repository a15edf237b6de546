/* SPDX-License-Identifier: MIT */
#include "analyzer/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FEW = 128,
	BITS = 6, /* 64 buckets an octave */
	BUCKETS = 1 << BITS,
	OCTAVES = 64 - BITS + 1, /* the first counts values below 64 exactly */
};

static unsigned octave_of(uint64_t ns)
{
	return ns < BUCKETS ? 0 : 64 - (unsigned)__builtin_clzll(ns) - BITS;
}

static unsigned bucket_of(uint64_t ns, unsigned octave)
{
	return (unsigned)(octave ? ns >> (octave - 1) : ns) & (BUCKETS - 1);
}

/* The bucket's middle. */
static double value_of(unsigned octave, unsigned bucket)
{
	if (octave == 0)
		return bucket;
	return ldexp(BUCKETS + bucket, (int)octave - 1) + (ldexp(1, (int)octave - 1) - 1) / 2;
}

static bool count_in_octave(struct recorder *r, uint64_t ns, uint32_t times)
{
	unsigned o = octave_of(ns), b = bucket_of(ns, o);

	if (r->octaves[o] == NULL && (r->octaves[o] = calloc(BUCKETS, sizeof(uint32_t))) == NULL)
		return false;
	if (__builtin_add_overflow(r->octaves[o][b], times, &r->octaves[o][b]))
		r->octaves[o][b] = UINT32_MAX;
	return true;
}

static bool spread(struct recorder *r, uint64_t values)
{
	r->octaves = calloc(OCTAVES, sizeof(*r->octaves));
	if (r->octaves == NULL)
		return false;
	for (uint64_t i = 0; i < values; i++) {
		if (!count_in_octave(r, r->values[i], 1))
			return false;
	}
	free(r->values);
	r->values = NULL;
	return true;
}

/* Room doubles at each power of two. */
static bool keep_value(struct recorder *r, uint64_t ns)
{
	uint64_t n = r->count;

	if ((n & (n - 1)) == 0) {
		size_t room = n ? 2 * n : 1;
		uint64_t *moved = realloc(r->values, room * sizeof(*moved));

		if (moved == NULL)
			return false;
		r->values = moved;
	}
	r->values[n] = ns;
	return true;
}

bool latency_record(struct recorder *r, uint64_t ns)
{
	double off = (double)ns - r->mean;

	if (r->octaves == NULL && r->count >= FEW && !spread(r, r->count))
		return false;
	if (r->octaves ? !count_in_octave(r, ns, 1) : !keep_value(r, ns))
		return false;
	r->min = r->count == 0 || ns < r->min ? ns : r->min;
	r->max = ns > r->max ? ns : r->max;
	r->count++;
	r->mean += off / (double)r->count;
	r->m2 += off * ((double)ns - r->mean);
	return true;
}

static bool merge_octaves(struct recorder *into, const struct recorder *from)
{
	if (into->octaves == NULL && !spread(into, into->count))
		return false;
	for (uint64_t i = 0; from->octaves == NULL && i < from->count; i++) {
		if (!count_in_octave(into, from->values[i], 1))
			return false;
	}
	for (unsigned o = 0; from->octaves != NULL && o < OCTAVES; o++) {
		for (unsigned b = 0; from->octaves[o] != NULL && b < BUCKETS; b++) {
			uint64_t low = o ? (uint64_t)(BUCKETS + b) << (o - 1) : b;
			uint32_t times = from->octaves[o][b];

			if (times != 0 && !count_in_octave(into, low, times))
				return false;
		}
	}
	return true;
}

/* Moments as Chan, Golub and LeVeque combine them. */
bool latency_merge(struct recorder *into, const struct recorder *from)
{
	double a = (double)into->count, b = (double)from->count, off = from->mean - into->mean;

	if (from->count == 0)
		return true;
	if (from->octaves == NULL && into->octaves == NULL && into->count + from->count <= FEW) {
		for (uint64_t i = 0; i < from->count; i++) {
			if (!latency_record(into, from->values[i]))
				return false;
		}
		return true;
	}
	if (!merge_octaves(into, from))
		return false;
	into->min = into->count == 0 || from->min < into->min ? from->min : into->min;
	into->max = from->max > into->max ? from->max : into->max;
	into->mean += off * b / (a + b);
	into->m2 += from->m2 + off * off * a * b / (a + b);
	into->count += from->count;
	return true;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The least value that at least `share` of all are not above. */
static double percentile(const struct recorder *r, const uint64_t *sorted, double share)
{
	uint64_t rank = (uint64_t)ceil(share * (double)r->count), seen = 0;

	if (rank == 0)
		rank = 1;
	if (r->octaves == NULL)
		return (double)sorted[rank - 1];
	for (unsigned o = 0; o < OCTAVES; o++) {
		for (unsigned b = 0; r->octaves[o] != NULL && b < BUCKETS; b++) {
			seen += r->octaves[o][b];
			if (seen >= rank)
				return fmin(fmax(value_of(o, b), (double)r->min), (double)r->max);
		}
	}
	return (double)r->max;
}

void latency_result(const struct recorder *r, struct latency *result)
{
	static const double us = 1e3; /* nanoseconds */
	uint64_t sorted[FEW];

	*result = (struct latency){.count = r->count};
	if (r->count == 0)
		return;
	if (r->octaves == NULL) {
		memcpy(sorted, r->values, r->count * sizeof(*sorted));
		qsort(sorted, r->count, sizeof(*sorted), ascending);
	}
	result->mean = r->mean / us;
	result->stdev = sqrt(fmax(r->m2, 0) / (double)r->count) / us;
	result->min = (double)r->min / us;
	result->max = (double)r->max / us;
	result->p50 = percentile(r, sorted, 0.50) / us;
	result->p75 = percentile(r, sorted, 0.75) / us;
	result->p90 = percentile(r, sorted, 0.90) / us;
	result->p95 = percentile(r, sorted, 0.95) / us;
	result->p99 = percentile(r, sorted, 0.99) / us;
	result->median = result->p50;
}

void latency_free(struct recorder *r)
{
	for (unsigned o = 0; r->octaves != NULL && o < OCTAVES; o++)
		free(r->octaves[o]);
	free(r->octaves);
	free(r->values);
	*r = (struct recorder){0};
}
