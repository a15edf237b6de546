/* SPDX-License-Identifier: MIT */
/* JSON lines: an object a row, with its table's name in front. Nulls are there. */
#include <inttypes.h>

#include "analyzer/emit_json.h"
#include "analyzer/export.h"
#include "analyzer/export_tables.h"
#include "analyzer/format_text.h"

static bool jsonl_begin(void *context, const struct export_table *t)
{
	(void)context;
	(void)t;
	return true;
}

static bool print_value(FILE *out, const struct cell *cell)
{
	char number[FORMAT_ROOM];

	switch (cell->kind) {
	case CELL_NULL:
		fputs("null", out);
		break;
	case CELL_COUNT:
		fprintf(out, "%" PRIu64, cell->count);
		break;
	case CELL_SIGNED:
		fprintf(out, "%" PRId64, cell->integer);
		break;
	case CELL_NUMBER:
		fputs(format_exact(number, cell->number), out);
		break;
	case CELL_BOOL:
		fputs(cell->truth ? "true" : "false", out);
		break;
	case CELL_TEXT:
		return json_print_string(out, cell->text) == 0;
	}
	return true;
}

static bool jsonl_row(void *context, const struct export_table *t, const struct cell *cells)
{
	struct export *x = context;
	bool good = true;

	fprintf(x->out, "{\"table\":\"%s\"", t->name);
	for (size_t i = 0; i < t->column_count && good; i++) {
		fprintf(x->out, ",\"%s\":", t->columns[i].name);
		good = print_value(x->out, &cells[i]);
	}
	fputs("}\n", x->out);
	return good;
}

static bool jsonl_end(void *context, const struct export_table *t)
{
	struct export *x = context;

	(void)t;
	return ferror(x->out) == 0;
}

int export_jsonl(struct export *x, struct error *e)
{
	const struct table_sink sink = {
		.context = x, .begin = jsonl_begin, .row = jsonl_row, .end = jsonl_end};

	if (export_tables_write(x->report, x->table, &sink, e) == 0)
		return 0;
	/* A stream that failed is the caller's to say. */
	return ferror(x->out) ? 0 : export_out_of_memory(e);
}
