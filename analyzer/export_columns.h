/* SPDX-License-Identifier: MIT */
/*
 * What tables are made of: a cell is got from a row by its column's function. Private to
 * the files of tables (export_tables_*.c).
 */
#ifndef PH_ANALYZER_EXPORT_COLUMNS_H
#define PH_ANALYZER_EXPORT_COLUMNS_H

#include <stddef.h>

#include "analyzer/export_tables.h"

struct table_rows {
	struct report *report;
	const struct export_table *table;
	const struct table_sink *sink;
	char run_id[33];
	bool *used;	    /* by node: stacks that other tables name */
	uint32_t *node_at;  /* by address: a node of these stacks; 0: none */
	uint32_t *place_of; /* by address: its innermost frame's number in `places`; 0: none */
	bool failed;
};

struct row {
	struct table_rows *rows;
	const void *of; /* what the columns' offsets are in */
	size_t place;	/* among its table's, from 0 */
};

/* A row on its way; false: no more is wanted, or out of memory. */
bool emit_row(struct table_rows *rows, const void *of, size_t place);
/* Rows of an array. */
bool each_of(struct table_rows *rows, const void *list, size_t count, size_t size);

/* What a column's offset leads to. */
static inline const void *row_field(const struct row *row, const struct column *column)
{
	return (const char *)row->of + column->offset;
}

/* Takes `owned`; NULL: out of memory. */
void put_text(const struct row *row, struct cell *cell, char *owned);
void put_number(struct cell *cell, double number); /* null if it is not finite */

/* The cell of a field, by its type. */
void get_run(const struct row *row, const struct column *column, struct cell *cell);
void get_place(const struct row *row, const struct column *column, struct cell *cell);
void get_u64(const struct row *row, const struct column *column, struct cell *cell);
void get_u32(const struct row *row, const struct column *column, struct cell *cell);
void get_int(const struct row *row, const struct column *column, struct cell *cell);
void get_pid(const struct row *row, const struct column *column, struct cell *cell);
void get_number(const struct row *row, const struct column *column, struct cell *cell);
void get_text(const struct row *row, const struct column *column, struct cell *cell);
void get_bool(const struct row *row, const struct column *column, struct cell *cell);
void get_stack(const struct row *row, const struct column *column, struct cell *cell);
void get_latency(const struct row *row, const struct column *column, struct cell *cell);
void get_function(const struct row *row, const struct column *column, struct cell *cell);
void get_hex(const struct row *row, const struct column *column, struct cell *cell);

/* Columns. ROW is the type that a table's rows are about. */
#define COLUMN(name, type, get, f)                                                                 \
	{                                                                                          \
		name, COLUMN_##type, get, offsetof(ROW, f), 0, 0                                   \
	}
#define COLUMN_OFF(name, type, get, f, off)                                                        \
	{                                                                                          \
		name, COLUMN_##type, get, offsetof(ROW, f), 0, off                                 \
	}
#define RUN                                                                                        \
	{                                                                                          \
		"run", COLUMN_TEXT, get_run, 0, 0, 0                                               \
	}
#define PLACE(name)                                                                                \
	{                                                                                          \
		name, COLUMN_INTEGER, get_place, 0, 0, 0                                           \
	}
#define U64(name, f)	  COLUMN(name, INTEGER, get_u64, f)
#define U32(name, f)	  COLUMN(name, INTEGER, get_u32, f)
#define INT(name, f)	  COLUMN(name, INTEGER, get_int, f)
#define PID(name, f)	  COLUMN(name, INTEGER, get_pid, f)
#define NUMBER(name, f)	  COLUMN(name, NUMBER, get_number, f)
#define TEXT(name, f)	  COLUMN(name, TEXT, get_text, f)
#define TRUTH(name, f)	  COLUMN(name, BOOL, get_bool, f)
#define STACK(name, f)	  COLUMN(name, INTEGER, get_stack, f)
#define FUNCTION(name, f) COLUMN(name, TEXT, get_function, f)
#define LATENCY_PART(name, f, p)                                                                   \
	{                                                                                          \
		name, COLUMN_NUMBER, get_latency, offsetof(ROW, f), offsetof(struct latency, p), 0 \
	}
#define LATENCY(name, f)                                                                           \
	LATENCY_PART(name "_mean_us", f, mean), LATENCY_PART(name "_stdev_us", f, stdev),          \
		LATENCY_PART(name "_min_us", f, min), LATENCY_PART(name "_p50_us", f, p50),        \
		LATENCY_PART(name "_p90_us", f, p90), LATENCY_PART(name "_p99_us", f, p99),        \
		LATENCY_PART(name "_max_us", f, max)

#define COLUMNS(of) of, sizeof(of) / sizeof(*(of))

/* The tables, each in the file of its kind. */
extern const struct export_table table_runs, table_processes, table_sites, table_leaks,
	table_transfers, table_files, table_connections, table_endpoints, table_io_stacks,
	table_io_errors, table_functions, table_names, table_waits, table_threads, table_findings,
	table_heap_timeline, table_io_timeline, table_socket_timeline, table_stacks, table_frames,
	table_places, table_modules, table_notices;

#endif
