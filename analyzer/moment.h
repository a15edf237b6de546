/* SPDX-License-Identifier: MIT */
/*
 * A moment of a run, as it is given on a command line. What it means may need the
 * run: how long that was, when its heap was largest, what was marked in it.
 */
#ifndef PH_ANALYZER_MOMENT_H
#define PH_ANALYZER_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/error.h"
#include "analyzer/run.h"

enum moment_kind {
	MOMENT_NONE,	/* not given */
	MOMENT_SECONDS, /* after the start: "12.5", "12.5s", "500ms", "2m", "1h", "start" */
	MOMENT_BEFORE,	/* seconds before the end: "-10s", "end" */
	MOMENT_PERCENT, /* of the run: "50%" */
	MOMENT_PEAK,	/* of the heap: "peak" */
	MOMENT_DATE,	/* "2024-05-01T12:00:00.5Z"; UTC where it says nothing else */
	MOMENT_MARK,	/* anything else is a mark's name; "mark:NAME" is one in any case */
};

struct moment {
	enum moment_kind kind;
	const char *text; /* as it was given; borrowed */
	double value;	  /* seconds or percent */
	int64_t date_ns;  /* since 1970 */
};

/* Any text is a moment, as far as can be told without the run. */
struct moment moment_parse(const char *text);

/* What moments are moments of. Times are seconds since the start. */
struct moment_span {
	uint64_t started_ns; /* since 1970; 0: not known */
	double duration_s;
	double peak_s;
	const struct mark *marks; /* in order */
	size_t mark_count;
};

/* Does it take `duration_s`, or `peak_s`? */
bool moment_needs_duration(const struct moment *m);
bool moment_needs_peak(const struct moment *m);

/*
 * The moment in seconds since the start, which may be outside of the run. 0, or -1 with
 * a sentence in *e that names the option ("--from"), what is wrong, and the marks.
 */
int moment_resolve(const struct moment *m, const char *option, const struct moment_span *span,
		   double *at_s, struct error *e);

#endif
