/* SPDX-License-Identifier: MIT */
/* `perfhook report`, `leaks` and `io`: the same way, other sections. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "analyzer/command_live.h"
#include "analyzer/command_load.h"
#include "analyzer/command_view.h"
#include "analyzer/commands.h"
#include "analyzer/report.h"
#include "analyzer/suppress.h"
#include "analyzer/report_html.h"

/* A report's traces, or a process that runs. */
struct answer {
	struct loaded loaded;
	struct live_blocks blocks; /* to be listed, if they were asked for */
};

static int open_answer(struct answer *a, const struct options *o, struct error *e)
{
	*a = (struct answer){.blocks = {.list = NULL}};
	if (o->pid != 0)
		return live_open(&a->loaded, &a->blocks, o->pid, o, e);
	return loaded_open(&a->loaded, o->arguments, (size_t)o->argument_count, o, e);
}

static int print_json(struct answer *a, const struct options *o, enum report_kind kind,
		      struct error *e)
{
	struct loaded *l = &a->loaded;
	struct emit_json json;
	struct output out;

	if (output_open(&out, o, e) != 0)
		return -1;
	emit_json_begin(&json);
	report_json(&l->report, kind, &json);
	report_json_processes(&l->report, &json);
	if (o->blocks)
		report_json_blocks(&l->report, a->blocks.list, a->blocks.count, &json);
	if (emit_json_finish(&json, out.file, true) != 0 && errno == ENOMEM) {
		output_close(&out, e);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	return output_close(&out, e);
}

static int print_text(struct answer *a, const struct options *o, enum report_kind kind,
		      struct error *e)
{
	struct output out;
	struct emit_text text;

	if (output_open(&out, o, e) != 0)
		return -1;
	output_text(&out, o, &text);
	report_text(&a->loaded.report, kind, &text);
	if (o->blocks)
		report_text_blocks(&a->loaded.report, a->blocks.list, a->blocks.count, &text);
	return output_close(&out, e);
}

static int write_html(struct loaded *l, struct loaded *before, const struct options *o,
		      struct error *e)
{
	struct output out;
	int rc;

	if (output_open(&out, o, e) != 0)
		return -1;
	rc = report_html(&l->report, before != NULL ? &before->report : NULL, out.file, e);
	if (rc != 0) {
		output_close(&out, NULL);
		return rc;
	}
	return output_close(&out, e);
}

static int print_html(struct loaded *l, const struct options *o, struct error *e)
{
	struct loaded before = {.is_tree = false};
	char none[] = "", *const path[] = {o->diff != NULL ? (char *)o->diff : none};
	int rc;

	if (o->diff == NULL)
		return write_html(l, NULL, o, e);
	rc = loaded_open(&before, path, 1, o, e);
	if (rc == 0)
		rc = write_html(l, &before, o, e);
	loaded_close(&before);
	return rc;
}

static int check_html(const struct options *o, struct error *e)
{
	if (o->html && o->json)
		return fail(e, ERROR_USAGE, 0, "report: either --json or --html");
	if (o->diff != NULL && !o->html)
		return fail(e, ERROR_USAGE, 0,
			    "report: --diff goes with --html; as text: perfhook diff %s %s",
			    o->diff, o->arguments[0]);
	if (o->html && o->output == NULL && isatty(STDOUT_FILENO))
		return fail(e, ERROR_USAGE, 0,
			    "report: --html is for a browser: name a file with -o page.html");
	return 0;
}

/* Suppressions for the suspects, into a file of their own or instead of the report. */
static int generate(struct loaded *l, const struct options *o, struct error *e)
{
	struct options to = *o;
	struct output out;
	int rc;

	to.pager = false;
	if (o->generate_to != NULL)
		to.output = o->generate_to;
	if (output_open(&out, &to, e) != 0)
		return -1;
	rc = suppressions_write(&l->report, out.file, e);
	return output_close(&out, e) != 0 ? -1 : rc;
}

static int print(struct answer *a, const struct options *o, enum report_kind kind, struct error *e)
{
	if (o->generate && (generate(&a->loaded, o, e) != 0 || o->generate_to == NULL))
		return e->code != ERROR_NONE ? -1 : STATUS_DONE;
	return o->html	 ? print_html(&a->loaded, o, e)
	       : o->json ? print_json(a, o, kind, e)
			 : print_text(a, o, o->by != TOP_NONE ? REPORT_SUMS : kind, e);
}

/* Sums, if they are asked for. */
static int sum_up(struct loaded *l, const struct options *o, enum report_kind kind, struct error *e)
{
	return o->by == TOP_NONE
		       ? 0
		       : report_sum_up(&l->report, o->by, o->cost, kind == REPORT_LEAKS, e);
}

static int print_report(const struct options *o, enum report_kind kind, struct error *e)
{
	struct answer a;
	int rc;

	if (check_html(o, e) != 0)
		return -1;
	if (o->cost != NULL && o->by == TOP_NONE)
		return fail(e, ERROR_USAGE, 0, "--cost goes with --by: what is summed up");
	/* Nothing is written before all was read: a mistake in a name leaves an older
	 * answer as it is. */
	rc = open_answer(&a, o, e);
	if (rc == 0)
		rc = sum_up(&a.loaded, o, kind, e);
	if (rc == 0)
		rc = print(&a, o, kind, e);
	loaded_close(&a.loaded);
	free(a.blocks.list);
	return rc;
}

int command_report(const struct options *o, struct error *e)
{
	return print_report(o, REPORT_WHOLE, e);
}

static bool asks_for_part(const struct options *o)
{
	return view_has_moments(o) || o->sized ||
	       o->threads.count + o->modules.count + o->stacks.count != 0;
}

/* A trace, or a process that runs: what is asked of the one is nothing to the other. */
static int check_leaks(const struct options *o, struct error *e)
{
	if (o->pid == 0 && o->argument_count == 0)
		return fail(e, ERROR_USAGE, 0,
			    "leaks: nothing given: perfhook leaks TRACE, or "
			    "--pid PID");
	if (o->pid != 0 && o->argument_count != 0)
		return fail(e, ERROR_USAGE, 0, "leaks: either --pid or a trace ('%s')",
			    o->arguments[0]);
	if (o->pid != 0 && asks_for_part(o))
		return fail(e, ERROR_USAGE, 0,
			    "leaks: --pid looks at all blocks of one instant, not at a part");
	if (o->blocks && o->pid == 0)
		return fail(e, ERROR_USAGE, 0,
			    "leaks: --blocks is for --pid: a trace does not "
			    "have each block");
	return 0;
}

int command_leaks(const struct options *o, struct error *e)
{
	if (check_leaks(o, e) != 0)
		return -1;
	return print_report(o, REPORT_LEAKS, e);
}

int command_io(const struct options *o, struct error *e)
{
	return print_report(o, REPORT_IO, e);
}
