/* SPDX-License-Identifier: MIT */
/*
 * An SQLite database, by libsqlite3 if the machine has it: it is opened when it is
 * needed, so that perfhook neither needs it to be built nor to run. The tables are
 * written to a file beside the wanted one, which they replace when all is there.
 * A count that INTEGER cannot hold is the largest that it can.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/export.h"
#include "analyzer/export_tables.h"
#include "analyzer/format_text.h"
#include "analyzer/replace.h"

/* What is used of sqlite3.h: names and numbers that do not change within version 3. */
struct sqlite3;
struct sqlite3_stmt;

enum {
	SQLITE_OK = 0,
	SQLITE_DONE = 101,
	SQLITE_OPEN_READWRITE = 2,
	SQLITE_OPEN_CREATE = 4,
};
#define SQLITE_TRANSIENT ((void (*)(void *)) - 1) /* it copies the text */

struct api {
	void *library;
	const char *lacks; /* NULL: all of these are there */
	int (*open)(const char *path, struct sqlite3 **db, int flags, const char *vfs);
	int (*close)(struct sqlite3 *db);
	int (*exec)(struct sqlite3 *db, const char *sql, void *callback, void *context,
		    char **message);
	int (*prepare)(struct sqlite3 *db, const char *sql, int length, struct sqlite3_stmt **s,
		       const char **tail);
	int (*bind_integer)(struct sqlite3_stmt *s, int place, int64_t value);
	int (*bind_double)(struct sqlite3_stmt *s, int place, double value);
	int (*bind_text)(struct sqlite3_stmt *s, int place, const char *text, int length,
			 void (*destroy)(void *));
	int (*bind_null)(struct sqlite3_stmt *s, int place);
	int (*step)(struct sqlite3_stmt *s);
	int (*reset)(struct sqlite3_stmt *s);
	int (*finalize)(struct sqlite3_stmt *s);
	const char *(*errmsg)(struct sqlite3 *db);
};

struct sqlite {
	struct api api;
	struct sqlite3 *db;
	struct sqlite3_stmt *insert;
	const char *path; /* as it was asked for, in messages */
	struct error *error;
};

static void *find(struct api *a, const char *name)
{
	void *found = dlsym(a->library, name);

	if (found == NULL)
		a->lacks = name;
	return found;
}

static int api_open(struct api *a, struct error *e)
{
	a->library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
	if (a->library == NULL) {
		fail(e, ERROR_SYSTEM, 0,
		     "export: sqlite needs libsqlite3 (Debian: libsqlite3-0), which is not "
		     "installed; jsonl and csv have the same tables");
		return -1;
	}
#define FIND(field, name) a->field = (__typeof__(a->field))find(a, name)
	FIND(open, "sqlite3_open_v2");
	FIND(close, "sqlite3_close");
	FIND(exec, "sqlite3_exec");
	FIND(prepare, "sqlite3_prepare_v2");
	FIND(bind_integer, "sqlite3_bind_int64");
	FIND(bind_double, "sqlite3_bind_double");
	FIND(bind_text, "sqlite3_bind_text");
	FIND(bind_null, "sqlite3_bind_null");
	FIND(step, "sqlite3_step");
	FIND(reset, "sqlite3_reset");
	FIND(finalize, "sqlite3_finalize");
	FIND(errmsg, "sqlite3_errmsg");
#undef FIND
	return a->lacks == NULL ? 0
				: fail(e, ERROR_SYSTEM, 0, "libsqlite3.so.0: has no %s", a->lacks);
}

static bool sqlite_failed(struct sqlite *s)
{
	fail(s->error, ERROR_SYSTEM, 0, "%s: %s", s->path, s->api.errmsg(s->db));
	return false;
}

static bool execute(struct sqlite *s, const char *sql)
{
	return s->api.exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || sqlite_failed(s);
}

static const char *type_name(enum column_type type)
{
	return type == COLUMN_NUMBER ? "REAL" : type == COLUMN_TEXT ? "TEXT" : "INTEGER";
}

/* "CREATE TABLE ..." and "INSERT INTO ...": names are ours. */
static char *statement(const struct export_table *t, bool create)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	fprintf(out, create ? "CREATE TABLE \"%s\" (" : "INSERT INTO \"%s\" VALUES (", t->name);
	for (size_t i = 0; i < t->column_count; i++) {
		fputs(i > 0 ? ", " : "", out);
		if (create)
			fprintf(out, "\"%s\" %s", t->columns[i].name,
				type_name(t->columns[i].type));
		else
			fputc('?', out);
	}
	fputs(")", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static bool sqlite_begin(void *context, const struct export_table *t)
{
	struct sqlite *s = context;
	char *create = statement(t, true), *insert = statement(t, false);
	bool good = create != NULL && insert != NULL;

	if (!good)
		export_out_of_memory(s->error);
	good = good && execute(s, create);
	if (good && s->api.prepare(s->db, insert, -1, &s->insert, NULL) != SQLITE_OK)
		good = sqlite_failed(s);
	free(create);
	free(insert);
	return good;
}

static bool bind(struct sqlite *s, int place, const struct cell *cell)
{
	int64_t integer = cell->kind == CELL_SIGNED ? cell->integer
			  : cell->kind == CELL_BOOL ? cell->truth
			  : cell->count > INT64_MAX ? INT64_MAX
						    : (int64_t)cell->count;
	char *valid;
	int rc;

	if (cell->kind == CELL_NULL)
		return s->api.bind_null(s->insert, place) == SQLITE_OK || sqlite_failed(s);
	if (cell->kind == CELL_NUMBER)
		return s->api.bind_double(s->insert, place, cell->number) == SQLITE_OK ||
		       sqlite_failed(s);
	if (cell->kind != CELL_TEXT)
		return s->api.bind_integer(s->insert, place, integer) == SQLITE_OK ||
		       sqlite_failed(s);
	valid = format_utf8(cell->text);
	if (valid == NULL)
		return export_out_of_memory(s->error) == 0;
	rc = s->api.bind_text(s->insert, place, valid, -1, SQLITE_TRANSIENT);
	free(valid);
	return rc == SQLITE_OK || sqlite_failed(s);
}

static bool sqlite_row(void *context, const struct export_table *t, const struct cell *cells)
{
	struct sqlite *s = context;

	for (size_t i = 0; i < t->column_count; i++)
		if (!bind(s, (int)i + 1, &cells[i]))
			return false;
	if (s->api.step(s->insert) != SQLITE_DONE)
		return sqlite_failed(s);
	return s->api.reset(s->insert) == SQLITE_OK || sqlite_failed(s);
}

static bool sqlite_end(void *context, const struct export_table *t)
{
	struct sqlite *s = context;

	(void)t;
	s->api.finalize(s->insert);
	s->insert = NULL;
	return true;
}

static int write_tables(struct sqlite *s, struct export *x, const char *path)
{
	const struct table_sink sink = {
		.context = s, .begin = sqlite_begin, .row = sqlite_row, .end = sqlite_end};
	char version[64];
	bool good;

	if (s->api.open(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		return sqlite_failed(s) ? 0 : -1;
	snprintf(version, sizeof(version), "PRAGMA user_version = %d", TABLES_SCHEMA);
	good = execute(s, "PRAGMA journal_mode = OFF") && execute(s, "PRAGMA synchronous = OFF") &&
	       execute(s, version) && execute(s, "BEGIN") &&
	       export_tables_write(x->report, x->table, &sink, s->error) == 0;
	if (s->insert != NULL)
		s->api.finalize(s->insert);
	if (good && x->table == NULL)
		good = execute(s, "CREATE INDEX frames_stack ON frames (stack, frame)") &&
		       execute(s, "CREATE INDEX places_place ON places (place)") &&
		       execute(s, "CREATE VIEW stack_frames AS SELECT * FROM frames JOIN places "
				  "USING (run, place)");
	return good && execute(s, "COMMIT") ? 0 : -1;
}

static int write_database(struct export *x, const char *path, struct error *e)
{
	struct sqlite s = {.path = x->path, .error = e};
	int rc;

	if (api_open(&s.api, e) != 0) {
		if (s.api.library != NULL)
			dlclose(s.api.library);
		return -1;
	}
	unlink(path);
	rc = write_tables(&s, x, path);
	if (s.db != NULL && s.api.close(s.db) != SQLITE_OK && rc == 0)
		rc = fail(e, ERROR_SYSTEM, 0, "%s: cannot be written", x->path);
	dlclose(s.api.library);
	return rc;
}

/* Beside it, so that there is all of it or what was there before. */
int export_sqlite(struct export *x, struct error *e)
{
	char *name = replace_name(x->path, e), *beside = NULL;
	int rc = -1;

	if (name == NULL)
		return -1;
	if (asprintf(&beside, "%s.%d.part", name, (int)getpid()) < 0) {
		free(name);
		return export_out_of_memory(e);
	}
	rc = write_database(x, beside, e);
	if (rc == 0 && rename(beside, name) != 0)
		rc = fail(e, ERROR_SYSTEM, 0, "%s: %s", x->path, strerror(errno));
	if (rc != 0)
		unlink(beside);
	free(beside);
	free(name);
	return rc;
}
