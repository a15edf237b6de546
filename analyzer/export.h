/* SPDX-License-Identifier: MIT */
/*
 * What other tools read: each format is a row of one table. Writers print what the
 * report knows and compute nothing of their own. Names that are not UTF-8 have
 * U+FFFD for each byte that is wrong, in all formats; control characters stay where
 * a format can hold them, else they are escaped (format_line()).
 */
#ifndef PH_ANALYZER_EXPORT_H
#define PH_ANALYZER_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analyzer/call_tree.h"
#include "analyzer/costs.h"
#include "analyzer/error.h"
#include "analyzer/report.h"

struct export
{
	struct report *report;
	const struct cost *cost;
	const struct export_table *table; /* of formats of tables; NULL: all */
	FILE *out;			  /* its errors are the caller's to find */
	const char *path;		  /* what -o says; NULL: standard output */
	progress_fn *progress;		  /* of who replays the trace once more; NULL */
	void *progress_context;
};

/* What a writer writes to. */
enum export_to {
	EXPORT_STREAM, /* x->out */
	EXPORT_BINARY, /* likewise, and nothing for a terminal */
	EXPORT_FOLDER, /* a folder x->path with a file a table; of one table, x->out */
	EXPORT_FILE,   /* x->path, which it opens itself */
};

struct export_format {
	const char *name;   /* --to NAME */
	const char *suffix; /* of a file that is named after its trace */
	const char *help;   /* what reads it */
	enum export_to to;
	bool by_cost;
	unsigned off; /* RUN_OFF_...: nothing to write where all of these are off */
	/* 0, or -1 with *e filled. */
	int (*write)(struct export *x, struct error *e);
};

#define EXPORT_FORMATS_MAX 16
extern const struct export_format export_formats[];
extern const size_t export_format_count;

/* NULL: none has that name. */
const struct export_format *export_format_by_name(const char *name);

/* The writers. */
int export_folded(struct export *x, struct error *e);
int export_pprof(struct export *x, struct error *e);
int export_callgrind(struct export *x, struct error *e);
int export_chrome(struct export *x, struct error *e);
int export_csv(struct export *x, struct error *e);
int export_jsonl(struct export *x, struct error *e);
int export_sqlite(struct export *x, struct error *e);
int export_heaptrack(struct export *x, struct error *e);
int export_massif(struct export *x, struct error *e);
int export_speedscope(struct export *x, struct error *e);

/* A tree's stacks, one a line; `both`: what they cost before, then after. 0, or -1 with
 * *e filled. */
int folded_write(FILE *out, const struct call_tree *t, bool both, struct error *e);

/* Shared among them. */
int export_out_of_memory(struct error *e); /* -1 */
/* "program 1234", or "3 programs, first ..." of a tree; malloc'ed. */
char *export_title(const struct report *r);
/* The trace, or the first one of a tree's: never NULL. */
const struct run *export_first_run(const struct report *r);

#endif
