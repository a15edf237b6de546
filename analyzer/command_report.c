/* SPDX-License-Identifier: MIT */
/* `perfhook report`, `leaks` and `io`: the same way, other sections. */
#include <errno.h>
#include <unistd.h>

#include "analyzer/command_load.h"
#include "analyzer/commands.h"
#include "analyzer/report.h"
#include "analyzer/report_html.h"

static int print_json(struct loaded *l, const struct options *o, enum report_kind kind,
		      struct error *e)
{
	struct emit_json json;
	struct output out;

	if (output_open(&out, o, e) != 0)
		return -1;
	emit_json_begin(&json);
	report_json(&l->report, kind, &json);
	report_json_processes(&l->report, &json);
	if (emit_json_finish(&json, out.file, true) != 0 && errno == ENOMEM) {
		output_close(&out, e);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	return output_close(&out, e);
}

static int print_text(struct loaded *l, const struct options *o, enum report_kind kind,
		      struct error *e)
{
	struct output out;
	struct emit_text text;

	if (output_open(&out, o, e) != 0)
		return -1;
	output_text(&out, o, &text);
	report_text(&l->report, kind, &text);
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

static int print_report(const struct options *o, enum report_kind kind, struct error *e)
{
	struct loaded l;
	int rc;

	if (check_html(o, e) != 0)
		return -1;
	/* Nothing is written before all was read: a mistake in a name leaves an older
	 * answer as it is. */
	rc = loaded_open(&l, o->arguments, (size_t)o->argument_count, o, e);
	if (rc == 0)
		rc = o->html   ? print_html(&l, o, e)
		     : o->json ? print_json(&l, o, kind, e)
			       : print_text(&l, o, kind, e);
	loaded_close(&l);
	return rc;
}

int command_report(const struct options *o, struct error *e)
{
	return print_report(o, REPORT_WHOLE, e);
}

int command_leaks(const struct options *o, struct error *e)
{
	return print_report(o, REPORT_LEAKS, e);
}

int command_io(const struct options *o, struct error *e)
{
	return print_report(o, REPORT_IO, e);
}
