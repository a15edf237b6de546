/* SPDX-License-Identifier: MIT */
/* Cells: a column's function for each type of field. */
#include "analyzer/export_columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cells. */

void put_text(const struct row *row, struct cell *cell, char *owned)
{
	row->rows->failed |= owned == NULL;
	if (owned != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = owned, .owned = owned};
}

void put_number(struct cell *cell, double number)
{
	if (isfinite(number))
		*cell = (struct cell){.kind = CELL_NUMBER, .number = number};
}

void get_run(const struct row *row, const struct column *column, struct cell *cell)
{
	(void)column;
	*cell = (struct cell){.kind = CELL_TEXT, .text = row->rows->run_id};
}

void get_place(const struct row *row, const struct column *column, struct cell *cell)
{
	(void)column;
	*cell = (struct cell){.kind = CELL_COUNT, .count = row->place + 1};
}

void get_u64(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint64_t *value = row_field(row, column);

	*cell = (struct cell){.kind = CELL_COUNT, .count = *value};
}

void get_u32(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *value = row_field(row, column);

	*cell = (struct cell){.kind = CELL_COUNT, .count = *value};
}

/* A pid or status: none is negative. */
void get_int(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *value = row_field(row, column);

	if (*value >= 0)
		*cell = (struct cell){.kind = CELL_SIGNED, .integer = *value};
}

/* 0: none. */
void get_pid(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *value = row_field(row, column);

	if (*value > 0)
		*cell = (struct cell){.kind = CELL_SIGNED, .integer = *value};
}

void get_number(const struct row *row, const struct column *column, struct cell *cell)
{
	const double *value = row_field(row, column);

	put_number(cell, *value);
}

void get_text(const struct row *row, const struct column *column, struct cell *cell)
{
	const char *const *value = row_field(row, column);

	(void)row;
	if (*value != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = *value};
}

void get_bool(const struct row *row, const struct column *column, struct cell *cell)
{
	const bool *value = row_field(row, column);

	*cell = (struct cell){.kind = CELL_BOOL, .truth = *value};
}

/* The stack's number among the run's; the tables stacks and frames say which it is. */
void get_stack(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *node = row_field(row, column);

	if (*node != 0)
		*cell = (struct cell){.kind = CELL_COUNT, .count = *node};
}

/* One figure of a distribution. */
void get_latency(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct latency *l = row_field(row, column);

	double part;

	memcpy(&part, (const char *)l + column->part, sizeof(part));
	if (l->count > 0)
		put_number(cell, part);
}

/* The function that answers for a stack. */
void get_function(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *node = row_field(row, column);
	uint32_t telling = telling_node(row->rows->report, *node);
	size_t count;
	const struct frame *frames = node_frames(row->rows->report, telling, &count);

	row->rows->failed |= count > 0 && frames == NULL;
	if (frames != NULL)
		put_text(row, cell, frame_label(&frames[0]));
}

void get_hex(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint64_t *value = row_field(row, column);
	char *text = NULL;

	if (*value != 0)
		put_text(row, cell, asprintf(&text, "0x%" PRIx64, *value) >= 0 ? text : NULL);
}

/* Rows on their way. */

static bool is_off(const struct run *run, const struct column *column)
{
	return column->off != 0 && (run->off & column->off) == column->off;
}

bool emit_row(struct table_rows *rows, const void *of, size_t place)
{
	const struct export_table *t = rows->table;
	const struct row row = {.rows = rows, .of = of, .place = place};
	struct cell cells[EXPORT_COLUMNS_MAX];
	bool good;

	for (size_t i = 0; i < t->column_count; i++) {
		cells[i] = (struct cell){.kind = CELL_NULL};
		if (!is_off(rows->report->run, &t->columns[i]))
			t->columns[i].get(&row, &t->columns[i], &cells[i]);
	}
	good = !rows->failed && rows->sink->row(rows->sink->context, t, cells);
	for (size_t i = 0; i < t->column_count; i++)
		free(cells[i].owned);
	return good;
}

bool each_of(struct table_rows *rows, const void *list, size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (!emit_row(rows, (const char *)list + i * size, i))
			return false;
	return true;
}
