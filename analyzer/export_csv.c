/* SPDX-License-Identifier: MIT */
/*
 * CSV as RFC 4180 has it: a line of names, text quoted where it must be. A null is
 * nothing at all, empty text is "". All tables are files of a folder, one is a file.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analyzer/export.h"
#include "analyzer/export_tables.h"
#include "analyzer/format_text.h"

struct csv {
	FILE *out;
	const char *folder; /* NULL: one table, and `out` is the caller's */
	char *path;
	struct error *error;
};

static bool give_up(struct csv *c, const char *what)
{
	fail(c->error, ERROR_SYSTEM, 0, "%s: %s", what, strerror(errno));
	return false;
}

static bool print_quoted(FILE *out, const char *text)
{
	char *valid = format_utf8(text);

	if (valid == NULL)
		return false;
	fputc('"', out);
	for (const char *c = valid; *c != '\0'; c++) {
		if (*c == '"')
			fputc('"', out);
		fputc(*c, out);
	}
	fputc('"', out);
	free(valid);
	return true;
}

static bool print_cell(FILE *out, const struct cell *cell)
{
	char number[FORMAT_ROOM];

	switch (cell->kind) {
	case CELL_NULL:
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
		return print_quoted(out, cell->text);
	}
	return true;
}

static bool csv_begin(void *context, const struct export_table *t)
{
	struct csv *c = context;

	if (c->folder != NULL) {
		free(c->path);
		if (asprintf(&c->path, "%s/%s.csv", c->folder, t->name) < 0) {
			c->path = NULL;
			return export_out_of_memory(c->error) == 0;
		}
		c->out = fopen(c->path, "we");
		if (c->out == NULL)
			return give_up(c, c->path);
	}
	for (size_t i = 0; i < t->column_count; i++)
		fprintf(c->out, "%s%s", i > 0 ? "," : "", t->columns[i].name);
	fputs("\r\n", c->out);
	return true;
}

static bool csv_row(void *context, const struct export_table *t, const struct cell *cells)
{
	struct csv *c = context;

	for (size_t i = 0; i < t->column_count; i++) {
		if (i > 0)
			fputc(',', c->out);
		if (!print_cell(c->out, &cells[i]))
			return export_out_of_memory(c->error) == 0;
	}
	fputs("\r\n", c->out);
	return true;
}

static bool csv_end(void *context, const struct export_table *t)
{
	struct csv *c = context;
	bool failed;

	(void)t;
	if (c->folder == NULL)
		return true;
	failed = ferror(c->out) != 0;
	failed |= fclose(c->out) != 0;
	c->out = NULL;
	return failed ? give_up(c, c->path) : true;
}

int export_csv(struct export *x, struct error *e)
{
	struct csv c = {.out = x->out, .error = e};
	const struct table_sink sink = {
		.context = &c, .begin = csv_begin, .row = csv_row, .end = csv_end};
	int rc;

	if (x->table == NULL) {
		c.folder = x->path;
		c.out = NULL;
		if (mkdir(x->path, 0777) != 0 && errno != EEXIST)
			return fail(e, ERROR_SYSTEM, 0, "%s: %s", x->path, strerror(errno));
	}
	rc = export_tables_write(x->report, x->table, &sink, e);
	if (c.folder != NULL && c.out != NULL)
		fclose(c.out);
	free(c.path);
	return rc;
}
