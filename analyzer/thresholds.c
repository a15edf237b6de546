/* SPDX-License-Identifier: MIT */
#include "analyzer/thresholds.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

/* docs/findings.md says what each means. */
const struct threshold_row threshold_rows[THRESHOLDS] = {
	[TINY_WRITE_BYTES] = {"tiny-write-bytes", 1024},
	[TINY_WRITE_CALLS] = {"tiny-write-calls", 1000},
	[TINY_WRITE_GAP_MS] = {"tiny-write-gap-ms", 10},
	[TINY_READ_CALLS] = {"tiny-read-calls", 1000},
	[REREAD_FACTOR] = {"reread-factor", 4},
	[REREAD_BYTES] = {"reread-bytes", 1048576},
	[REREAD_OPENS] = {"reread-opens", 100},
	[RANDOM_READ_CALLS] = {"random-read-calls", 100},
	[RANDOM_READ_PERCENT] = {"random-read-percent", 90},
	[SYNC_CALLS] = {"sync-calls", 50},
	[SYNC_BYTES] = {"sync-bytes", 65536},
	[SYNC_GAP_MS] = {"sync-gap-ms", 100},
	[ROUND_TRIPS] = {"round-trips", 100},
	[ROUND_TRIP_BYTES] = {"round-trip-bytes", 16384},
	[ROUND_TRIP_GAP_MS] = {"round-trip-gap-ms", 10},
	[RECONNECTS] = {"reconnects", 20},
	[RECONNECT_TURNS] = {"reconnect-turns", 3},
	[RECONNECT_GAP_MS] = {"reconnect-gap-ms", 1000},
	[SLOW_PEER_FACTOR] = {"slow-peer-factor", 5},
	[SLOW_PEER_TURNS] = {"slow-peer-turns", 20},
	[SLOW_PEER_MS] = {"slow-peer-ms", 1},
	[LOCK_PERCENT] = {"lock-percent", 10},
	[LOCK_WAITS] = {"lock-waits", 10},
	[LOOP_POLLS] = {"loop-polls", 20},
	[LOOP_BLOCK_MS] = {"loop-block-ms", 10},
	[LOOP_BLOCK_TOTAL_MS] = {"loop-block-total-ms", 100},
	[TEMPORARY_CALLS] = {"temporary-calls", 100000},
	[TEMPORARY_PERCENT] = {"temporary-percent", 50},
	[LEAK_BYTES_PER_DAY] = {"leak-bytes-per-day", 1048576},
	[LEAK_RUN_S] = {"leak-run-s", 10},
	[LOST_BYTES] = {"lost-bytes", 4096},
	[SEVERITY_LEAST_MS] = {"severity-least-ms", 10},
	[SEVERITY_MEDIUM_PERCENT] = {"severity-medium-percent", 1},
	[SEVERITY_HIGH_PERCENT] = {"severity-high-percent", 10},
};

void thresholds_default(struct thresholds *t)
{
	for (size_t i = 0; i < THRESHOLDS; i++)
		t->values[i] = threshold_rows[i].value;
}

static int fail_name(const char *text, size_t length, struct error *e)
{
	const char *all[THRESHOLDS + 1] = {NULL}, *near;
	char names[ERROR_TEXT], typed[41], *at = names;

	*at = '\0';
	for (size_t i = 0; i < THRESHOLDS; i++) {
		all[i] = threshold_rows[i].name;
		at += snprintf(at, sizeof(names) - (size_t)(at - names), "%s%s", i > 0 ? ", " : "",
			       threshold_rows[i].name);
	}
	snprintf(typed, sizeof(typed), "%.*s", length < 40 ? (int)length : 40, text);
	near = format_nearest(typed, all);
	return fail(e, ERROR_USAGE, 0, "--threshold: no '%s'%s%s%s; there are %s", typed,
		    near != NULL ? " (did you mean " : "", near != NULL ? near : "",
		    near != NULL ? "?)" : "", names);
}

int thresholds_set(struct thresholds *t, const char *text, struct error *e)
{
	size_t length = strcspn(text, "="), i = 0;
	const char *digits = text + length + 1;
	double value;
	char *end;

	while (i < THRESHOLDS && (strlen(threshold_rows[i].name) != length ||
				  strncmp(threshold_rows[i].name, text, length) != 0))
		i++;
	if (i == THRESHOLDS)
		return fail_name(text, length, e);
	if (text[length] == '\0')
		return fail(e, ERROR_USAGE, 0, "--threshold takes NAME=VALUE: %s without a value",
			    text);
	value = strtod(digits, &end);
	if (!isdigit((unsigned char)*digits) || *end != '\0' || !isfinite(value))
		return fail(e, ERROR_USAGE, 0,
			    "--threshold: %s takes a number from 0 on: not '%.40s'",
			    threshold_rows[i].name, digits);
	t->values[i] = value;
	return 0;
}
