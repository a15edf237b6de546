/* SPDX-License-Identifier: MIT */
/* `perfhook flame` and `perfhook export`: what other tools show. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/command_load.h"
#include "analyzer/commands.h"
#include "analyzer/export.h"
#include "analyzer/flame.h"
#include "analyzer/progress.h"
#include "analyzer/thread_costs.h"

/* What was asked for, or the first that is known. NULL, with *e filled: it is not
 * known of the run. */
static const struct cost *choose_cost(const struct report *r, const struct options *o,
				      struct error *e)
{
	const struct cost *cost = o->cost != NULL ? o->cost
				  : o->by_thread  ? &costs[COST_ALLOCATED]
						  : &costs[COST_PEAK];

	if (o->by_thread && !thread_costs_known(cost)) {
		fail(e, ERROR_USAGE, 0,
		     "flame: no thread is known for the cost '%s': --threads takes others",
		     cost->name);
		return NULL;
	}
	for (size_t i = 0; o->cost == NULL && i < COST_COUNT && !cost_is_known(r->run, cost); i++)
		cost = &costs[i];
	if (cost_is_known(r->run, cost))
		return cost;
	fail(e, ERROR_USAGE, 0,
	     "%s: has no cost '%s': it was recorded without that (PERFHOOK_EVENTS=%s)",
	     export_first_run(r)->trace_path, cost->name,
	     r->run->asked_for != NULL ? r->run->asked_for : "?");
	return NULL;
}

/* What the format is about was recorded. */
static int check_recorded(const struct report *r, const struct export_format *f, struct error *e)
{
	if (f->off == 0 || (r->run->off & f->off) != f->off)
		return 0;
	return fail(e, ERROR_USAGE, 0,
		    "%s: has nothing for %s: it was recorded without that (PERFHOOK_EVENTS=%s)",
		    export_first_run(r)->trace_path, f->name,
		    r->run->asked_for != NULL ? r->run->asked_for : "?");
}

/* Before anything is read. */
static int check_words(const struct options *o, struct error *e)
{
	const struct export_format *f = o->format;

	if (f == NULL)
		return fail(e, ERROR_USAGE, 0,
			    "export: no format given: --to FORMAT (see perfhook export --help)");
	if (o->output != NULL)
		return output_check(o, e);
	if (f->to == EXPORT_FOLDER && o->table == NULL)
		return fail(e, ERROR_USAGE, 0,
			    "export: %s is a file a table: name a folder with -o, or one table "
			    "with --table",
			    f->name);
	if (f->to == EXPORT_FILE)
		return fail(e, ERROR_USAGE, 0, "export: %s needs a file's name: -o FILE", f->name);
	if (f->to == EXPORT_BINARY && isatty(STDOUT_FILENO))
		return fail(e, ERROR_USAGE, 0,
			    "export: %s is nothing for a terminal: name a file with -o", f->name);
	return 0;
}

static int write_export(const struct options *o, struct export *x, struct error *e)
{
	struct output out;
	int rc;

	if (o->format->to == EXPORT_FILE || (o->format->to == EXPORT_FOLDER && o->table == NULL))
		return o->format->write(x, e);
	if (output_open(&out, o, e) != 0)
		return -1;
	x->out = out.file;
	rc = o->format->write(x, e);
	if (rc != 0) {
		output_close(&out, NULL);
		return rc;
	}
	return output_close(&out, e);
}

/* -o FOLDER: a file in it, named after the trace. NULL: -o is no folder, or (with *e
 * filled) out of memory. */
static char *name_in_folder(const struct options *o, struct error *e)
{
	const char *trace = base_name(o->arguments[0]), *end = strrchr(trace, '.');
	size_t length =
		end != NULL && strcmp(end, ".trace") == 0 ? (size_t)(end - trace) : strlen(trace);
	struct stat st;
	char *path = NULL;

	if (o->output == NULL || stat(o->output, &st) != 0 || !S_ISDIR(st.st_mode) ||
	    (o->format->to == EXPORT_FOLDER && o->table == NULL))
		return NULL;
	if (asprintf(&path, "%s/%.*s%s", o->output, (int)length, trace, o->format->suffix) >= 0)
		return path;
	export_out_of_memory(e);
	return NULL;
}

static int export_loaded(const struct options *o, struct report *r, struct error *e)
{
	struct error failed = {.code = ERROR_NONE};
	struct options with = *o;
	char *path = name_in_folder(o, &failed);
	struct progress progress;
	struct export x = {.report = r, .cost = &costs[COST_PEAK], .table = o->table};
	int rc = failed.code == ERROR_NONE ? check_recorded(r, o->format, e) : -1;

	if (path != NULL)
		with.output = path;
	if (failed.code != ERROR_NONE)
		*e = failed;
	if (rc == 0 && o->format->by_cost && (x.cost = choose_cost(r, o, e)) == NULL)
		rc = -1;
	x.path = with.output;
	x.progress = progress_update;
	x.progress_context = &progress;
	progress_begin(&progress, o->format->name);
	if (rc == 0)
		rc = write_export(&with, &x, e);
	progress_end(&progress);
	free(path);
	return rc;
}

int command_export(const struct options *o, struct error *e)
{
	struct loaded l = {.is_tree = false};
	int rc;

	if (check_words(o, e) != 0)
		return -1;
	rc = loaded_open(&l, o->arguments, (size_t)o->argument_count, o, e);
	if (rc == 0)
		rc = export_loaded(o, &l.report, e);
	loaded_close(&l);
	return rc;
}

/* Both sides of a flame graph's stacks. */
static int fill_tree(struct call_tree *t, const struct flame *flame, struct loaded *after,
		     struct loaded *before, struct error *e)
{
	if (call_tree_add(t, &after->report, flame->cost, CALL_AFTER, flame->shape, e) != 0)
		return -1;
	if (flame->before != NULL &&
	    (choose_cost(&before->report, &(struct options){.cost = flame->cost}, e) == NULL ||
	     call_tree_add(t, &before->report, flame->cost, CALL_BEFORE, flame->shape, e) != 0))
		return -1;
	call_tree_finish(t);
	return 0;
}

static int write_flame(const struct options *o, const struct flame *flame, struct error *e)
{
	struct output out;
	int rc;

	if (output_open(&out, o, e) != 0)
		return -1;
	rc = o->folded ? folded_write(out.file, flame->tree, o->diff != NULL, e)
		       : flame_write(out.file, flame, e);
	if (rc != 0) {
		output_close(&out, NULL);
		return rc;
	}
	return output_close(&out, e);
}

static int flame_loaded(const struct options *o, struct loaded *after, struct loaded *before,
			struct error *e)
{
	struct call_tree tree = {0};
	const struct flame flame = {
		.tree = &tree,
		.after = &after->report,
		.before = o->diff != NULL ? &before->report : NULL,
		.cost = choose_cost(&after->report, o, e),
		.shape = {.inverted = o->inverted,
			  .threads = o->by_thread,
			  .canonical = o->diff != NULL},
	};
	int rc = flame.cost != NULL ? fill_tree(&tree, &flame, after, before, e) : -1;

	if (rc == 0)
		rc = write_flame(o, &flame, e);
	call_tree_free(&tree);
	return rc;
}

int command_flame(const struct options *o, struct error *e)
{
	struct loaded after = {.is_tree = false}, before = {.is_tree = false};
	char *const before_path[] = {(char *)o->diff};
	int rc = output_check(o, e);

	if (rc == 0)
		rc = loaded_open(&after, o->arguments, (size_t)o->argument_count, o, e);
	if (rc == 0 && o->diff != NULL)
		rc = loaded_open(&before, before_path, 1, o, e);
	if (rc == 0)
		rc = flame_loaded(o, &after, &before, e);
	loaded_close(&before);
	loaded_close(&after);
	return rc;
}
