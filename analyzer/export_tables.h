/* SPDX-License-Identifier: MIT */
/*
 * The model as tables: what csv, jsonl and sqlite write, all three from this one
 * description. A table is a row of export_tables[], a column a row of the table's; names
 * carry units as those of the report's JSON do, and are as stable. In each table `run` is
 * the trace's id, so that the tables of many runs can be put together.
 */
#ifndef PH_ANALYZER_EXPORT_TABLES_H
#define PH_ANALYZER_EXPORT_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/error.h"
#include "analyzer/report.h"

#define TABLES_SCHEMA 1 /* a number that grows when a column goes or changes its meaning */

enum cell_kind {
	CELL_NULL, /* not known */
	CELL_COUNT,
	CELL_SIGNED,
	CELL_NUMBER, /* finite */
	CELL_BOOL,
	CELL_TEXT, /* never NULL; as it stands in the trace, not made safe */
};

struct cell {
	enum cell_kind kind;
	uint64_t count;
	int64_t integer;
	double number;
	bool truth;
	const char *text;
	char *owned; /* what `text` is in, if it is to be freed */
};

/* What a column's cells are, where they are not null. */
enum column_type { COLUMN_INTEGER, COLUMN_NUMBER, COLUMN_BOOL, COLUMN_TEXT };

struct export_table;
struct row; /* where a cell comes from: export_tables.c's */

struct column {
	const char *name;
	enum column_type type;
	void (*get)(const struct row *row, const struct column *column, struct cell *cell);
	size_t offset; /* in what the row is about */
	size_t part;   /* in what stands there, where that is a struct */
	unsigned off;  /* RUN_OFF_...: null where all of these are off */
};

/* Where rows go. A function returns false when it could not go on, and remembers why. */
struct table_sink {
	void *context;
	bool (*begin)(void *context, const struct export_table *table);
	bool (*row)(void *context, const struct export_table *table, const struct cell *cells);
	bool (*end)(void *context, const struct export_table *table);
};

struct table_rows; /* the rows on their way to a sink */

struct export_table {
	const char *name;
	const char *help;
	const struct column *columns;
	size_t column_count;
	bool (*each)(struct table_rows *rows);
};

#define EXPORT_TABLES_MAX  32
#define EXPORT_COLUMNS_MAX 128
extern const struct export_table *const export_tables[];
extern const size_t export_table_count;

/* NULL: none has that name. */
const struct export_table *export_table_by_name(const char *name);

/* All rows of `only`, or (NULL) of all tables, one table after the other. 0; or -1: the
 * sink gave up, or *e is filled: out of memory. */
int export_tables_write(struct report *r, const struct export_table *only,
			const struct table_sink *sink, struct error *e);

#endif
