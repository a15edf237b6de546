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

/* Nothing that a cost needs was recorded. */
static int check_known(const struct report *r, const struct cost *cost, struct error *e)
{
	if (cost_is_known(r->run, cost))
		return 0;
	return fail(e, ERROR_USAGE, 0,
		    "%s: has no cost '%s': it was recorded without that (PERFHOOK_EVENTS=%s)",
		    r->run->trace_path, cost->name,
		    r->run->asked_for != NULL ? r->run->asked_for : "?");
}

/* What the format is about, and the cost if it is by one. */
static int check_recorded(const struct report *r, const struct options *o, struct error *e)
{
	unsigned off = o->format->off;

	if (off != 0 && (r->run->off & off) == off)
		return fail(e, ERROR_USAGE, 0,
			    "%s: has nothing for %s: it was recorded without that "
			    "(PERFHOOK_EVENTS=%s)",
			    r->run->trace_path, o->format->name,
			    r->run->asked_for != NULL ? r->run->asked_for : "?");
	return o->format->off == 0 ? check_known(r, o->cost, e) : 0;
}

static int write_export(const struct options *o, struct report *r, struct error *e)
{
	struct output out;
	struct export x = {.report = r, .cost = o->cost};
	int rc;

	if (o->format->binary && o->output == NULL && isatty(STDOUT_FILENO))
		return fail(e, ERROR_USAGE, 0,
			    "export: %s is nothing for a terminal: name a file with -o",
			    o->format->name);
	if (output_open(&out, o, e) != 0)
		return -1;
	x.out = out.file;
	rc = o->format->write(&x, e);
	if (rc != 0) {
		output_close(&out, NULL);
		return rc;
	}
	return output_close(&out, e);
}

int command_export(const struct options *o, struct error *e)
{
	struct loaded l = {.is_tree = false};
	int rc;

	if (o->format == NULL)
		return fail(e, ERROR_USAGE, 0,
			    "export: no format given: --to FORMAT (see perfhook export --help)");
	rc = loaded_open(&l, o->arguments, (size_t)o->argument_count, o, e);
	if (rc == 0)
		rc = check_recorded(&l.report, o, e);
	if (rc == 0)
		rc = write_export(o, &l.report, e);
	loaded_close(&l);
	return rc;
}

/* Both sides of a flame graph's stacks. */
static int fill_tree(struct call_tree *t, const struct options *o, struct loaded *after,
		     struct loaded *before, struct error *e)
{
	const struct call_shape shape = {.inverted = o->inverted};

	if (check_known(&after->report, o->cost, e) != 0 ||
	    call_tree_add(t, &after->report, o->cost, CALL_AFTER, shape, e) != 0)
		return -1;
	if (o->diff != NULL &&
	    (check_known(&before->report, o->cost, e) != 0 ||
	     call_tree_add(t, &before->report, o->cost, CALL_BEFORE, shape, e) != 0))
		return -1;
	call_tree_finish(t);
	return 0;
}

static int write_flame(const struct options *o, const struct call_tree *t,
		       const struct report *after, const struct report *before, struct error *e)
{
	const struct flame flame = {
		.tree = t,
		.after = after,
		.before = before,
		.cost = o->cost,
		.inverted = o->inverted,
	};
	struct output out;
	int rc;

	if (output_open(&out, o, e) != 0)
		return -1;
	rc = o->folded ? folded_write(out.file, t, o->diff != NULL, e)
		       : flame_write(out.file, &flame, e);
	if (rc != 0) {
		output_close(&out, NULL);
		return rc;
	}
	return output_close(&out, e);
}

int command_flame(const struct options *o, struct error *e)
{
	struct loaded after = {.is_tree = false}, before = {.is_tree = false};
	struct call_tree tree = {0};
	char diff[] = "", *const before_path[] = {o->diff != NULL ? (char *)o->diff : diff};
	int rc = loaded_open(&after, o->arguments, (size_t)o->argument_count, o, e);

	if (rc == 0 && o->diff != NULL)
		rc = loaded_open(&before, before_path, 1, o, e);
	if (rc == 0)
		rc = fill_tree(&tree, o, &after, &before, e);
	if (rc == 0)
		rc = write_flame(o, &tree, &after.report, o->diff != NULL ? &before.report : NULL,
				 e);
	call_tree_free(&tree);
	loaded_close(&before);
	loaded_close(&after);
	return rc;
}
