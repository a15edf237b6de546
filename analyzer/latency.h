/* SPDX-License-Identifier: MIT */
/*
 * Recording of durations: exact count, mean, deviation, least and greatest, and
 * a histogram of 64 buckets an octave for the percentiles, less than 1 % off.
 * The first 128 values are kept as they are; octaves get memory when first used.
 */
#ifndef PH_ANALYZER_LATENCY_H
#define PH_ANALYZER_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/run.h"

/* All zero is empty. */
struct recorder {
	uint64_t count;
	double mean, m2; /* of nanoseconds */
	uint64_t min, max;
	uint64_t *values; /* while there are few: all of them */
	uint32_t **octaves;
};

bool latency_record(struct recorder *r, uint64_t ns); /* false: out of memory */
bool latency_merge(struct recorder *into, const struct recorder *from);
void latency_result(const struct recorder *r, struct latency *result);
void latency_free(struct recorder *r);

#endif
