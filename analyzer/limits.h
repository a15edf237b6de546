/* SPDX-License-Identifier: MIT */
/* The limits that `perfhook check` takes: a table, and how their values are typed. */
#ifndef PH_ANALYZER_LIMITS_H
#define PH_ANALYZER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/error.h"

enum limit_id {
#define LIMIT(id, option, argument, unit, key, cost, compared, help) LIMIT_##id,
#include "analyzer/limits.def"
#undef LIMIT
	LIMIT_COUNT,
};

enum limit_unit {
	LIMIT_UNIT_BYTES,
	LIMIT_UNIT_COUNT,
	LIMIT_UNIT_SHARE, /* of 1 */
	LIMIT_UNIT_SECONDS,
	LIMIT_UNIT_LATENCY, /* seconds, of what a pattern names */
};

struct limit_row {
	const char *name; /* the option without its dashes */
	enum limit_unit unit;
	const char *key; /* in JSON; NULL: it is of a pattern */
	int cost;	 /* enum cost_id */
	bool compared;
};

extern const struct limit_row limit_rows[LIMIT_COUNT];

/* One that is asked for. */
struct limit {
	enum limit_id id;
	double most;	     /* in the unit's: bytes, seconds, ... */
	const char *pattern; /* with its value behind a '='; NULL: none. Borrowed */
	size_t pattern_length;
};

struct limits {
	struct limit *list;
	size_t count;
};

/* Append one; the list has room. 0, or -1 with a sentence in *e. */
int limits_set(struct limits *l, const char *name, const char *value, struct error *e);

/* What may be more than in a baseline: both parts together. */
struct tolerance {
	double fraction, bytes, count;
};

/* "5%", "64K" (bytes) or "10" (bytes and counts). */
int tolerance_set(struct tolerance *t, const char *value, struct error *e);

#endif
