/* SPDX-License-Identifier: MIT */
/*
 * A run held to limits and to a baseline: each figure, what it may be, and who answers for
 * it where it is more. Text, JSON and JUnit print the same struct check. It borrows the
 * report, the limits and the baseline. docs/counting.md defines the figures.
 */
#ifndef PH_ANALYZER_CHECK_H
#define PH_ANALYZER_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/emit_json.h"
#include "analyzer/emit_text.h"
#include "analyzer/error.h"
#include "analyzer/limits.h"
#include "analyzer/report.h"

/* The figures of a run, in the units of their rows; NaN: not known. Those of patterns are
 * no part of it. */
struct figures {
	double of[LIMIT_COUNT];
};

void figures_of(const struct report *r, struct figures *figures);

/* What `check --json` wrote. 0, or -1 with *e filled. */
int figures_read(struct figures *figures, const char *path, struct error *e);
/* Does it begin as JSON does, and not as a trace? */
bool figures_is_file(const char *path);

struct baseline {
	const char *path;
	struct figures figures;
	struct report *report; /* of the trace; NULL: only figures are known */
	struct tolerance tolerance;
};

enum verdict {
	VERDICT_HELD,
	VERDICT_EXCEEDED,
	VERDICT_UNKNOWN, /* held as far as the trace goes, and it is incomplete */
};

enum { EVIDENCE_MAX = 10 };

/* A stack that answers for what is too much. */
struct check_evidence {
	double value; /* in the row's unit */
	uint64_t count;
	double before;	  /* in the baseline; NaN: not known */
	const char *name; /* a file or peer; NULL */
	uint32_t node;	  /* 0: none */
};

struct check_item {
	enum limit_id id;
	const char *pattern; /* as in struct limit */
	size_t pattern_length;
	bool from_baseline;
	double value, most;
	double baseline; /* NaN: none */
	enum verdict verdict;
	struct check_evidence evidence[EVIDENCE_MAX]; /* of what is not held; most first */
	size_t evidence_count;
};

struct check {
	struct report *report;
	const struct baseline *baseline; /* NULL: none */
	struct figures figures;
	bool incomplete; /* something of the run is missing: */
	bool goes_on;	 /* in a program that it became, whose trace was not given */
	struct check_item *items;
	size_t count, exceeded, unknown;
};

/*
 * 0, or -1 with *e filled: out of memory, or a limit on what the run does not have.
 * check_close() in any case. `allow_incomplete`: what holds as far as the trace goes holds.
 */
int check_open(struct check *c, struct report *r, const struct limits *limits,
	       const struct baseline *baseline, bool allow_incomplete, struct error *e);
void check_close(struct check *c);

/* "12.5 MiB", "20%", "3.4 ms" */
char *check_format(char buf[FORMAT_ROOM], enum limit_id id, double value, bool utf8);
const char *verdict_name(enum verdict verdict);

void check_text(struct check *c, struct emit_text *t);
void check_json(struct check *c, struct emit_json *e);
/* A test suite, each limit a test case, as Surefire and Jenkins know them. Write errors
 * stay in `out`. */
void check_junit(struct check *c, FILE *out);

#endif
