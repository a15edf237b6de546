/* SPDX-License-Identifier: MIT */
/* What findings are judged by: a table of numbers, each with a name to set it by. */
#ifndef PH_ANALYZER_THRESHOLDS_H
#define PH_ANALYZER_THRESHOLDS_H

#include "analyzer/error.h"

enum threshold {
	TINY_WRITE_BYTES,
	TINY_WRITE_CALLS,
	TINY_WRITE_GAP_MS,
	TINY_READ_CALLS,
	REREAD_FACTOR,
	REREAD_BYTES,
	REREAD_OPENS,
	RANDOM_READ_CALLS,
	RANDOM_READ_PERCENT,
	SYNC_CALLS,
	SYNC_BYTES,
	SYNC_GAP_MS,
	ROUND_TRIPS,
	ROUND_TRIP_BYTES,
	ROUND_TRIP_GAP_MS,
	RECONNECTS,
	RECONNECT_TURNS,
	RECONNECT_GAP_MS,
	SLOW_PEER_FACTOR,
	SLOW_PEER_TURNS,
	SLOW_PEER_MS,
	LOCK_PERCENT,
	LOCK_WAITS,
	LOOP_POLLS,
	LOOP_BLOCK_MS,
	LOOP_BLOCK_TOTAL_MS,
	TEMPORARY_CALLS,
	TEMPORARY_PERCENT,
	LEAK_BYTES_PER_DAY,
	LEAK_RUN_S,
	LOST_BYTES,
	SEVERITY_LEAST_MS,
	SEVERITY_MEDIUM_PERCENT,
	SEVERITY_HIGH_PERCENT,
	THRESHOLDS, /* how many */
};

struct threshold_row {
	const char *name;
	double value; /* unless it is set */
};
extern const struct threshold_row threshold_rows[THRESHOLDS];

struct thresholds {
	double values[THRESHOLDS];
};

void thresholds_default(struct thresholds *t);

/* "NAME=VALUE". 0, or -1 with one line in *e that says which names there are. */
int thresholds_set(struct thresholds *t, const char *text, struct error *e);

#endif
