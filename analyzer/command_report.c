/* SPDX-License-Identifier: MIT */
/* `perfhook report`, `leaks` and `io`: the same way, other sections. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/commands.h"
#include "analyzer/progress.h"
#include "analyzer/report.h"
#include "analyzer/run.h"
#include "collector/collector.h"

/* One trace, loaded and judged. All zero is empty. */
struct loaded {
	struct run run;
	struct report report;
	bool has_run;
};

static int load_run(struct run *run, const char *path, struct error *e)
{
	char *what = format_name(path, 40, false);
	struct progress progress;
	const struct run_options options = {.progress = progress_update,
					    .progress_context = &progress};
	int rc;

	progress_begin(&progress, what != NULL ? what : "reading");
	rc = run_load(run, path, &options, e);
	progress_end(&progress);
	free(what);
	return rc;
}

static int load(struct loaded *l, const char *path, struct symbols *symbols,
		const struct options *o, struct error *e)
{
	memset(l, 0, sizeof(*l));
	if (collector_finish_wait(path, e) != 0 || load_run(&l->run, path, e) != 0)
		return -1;
	l->has_run = true;
	if (report_open(&l->report, &l->run, symbols, options_top(o), e) != 0)
		return -1;
	l->report.full = o->full;
	return 0;
}

static void unload(struct loaded *l)
{
	if (!l->has_run)
		return;
	report_close(&l->report);
	run_free(&l->run);
}

/* One object: the first process's report, then each process in short. The first
 * stays loaded, so that "processes" can stand after all of its sections. */
static int build_json(struct emit_json *json, struct loaded *first, struct symbols *symbols,
		      const struct options *o, enum report_kind kind, struct error *e)
{
	if (load(first, o->arguments[0], symbols, o, e) != 0)
		return -1;
	report_json(&first->report, kind, json);
	emit_array(json, "processes");
	report_json_process(&first->report, json);
	for (int i = 1; i < o->argument_count; i++) {
		struct loaded next;
		int rc = load(&next, o->arguments[i], symbols, o, e);

		if (rc == 0)
			report_json_process(&next.report, json);
		unload(&next);
		if (rc != 0)
			return -1;
	}
	emit_end(json);
	return 0;
}

static int print_json(const struct options *o, struct symbols *symbols, enum report_kind kind,
		      struct error *e)
{
	struct emit_json json;
	struct loaded first = {0};
	struct output out;
	int rc;

	emit_json_begin(&json);
	rc = build_json(&json, &first, symbols, o, kind, e);
	unload(&first);
	if (rc == 0)
		rc = output_open(&out, o, e);
	if (rc != 0) {
		emit_json_free(&json);
		return -1;
	}
	if (emit_json_finish(&json, out.file, true) != 0 && errno == ENOMEM) {
		output_close(&out, e);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	return output_close(&out, e);
}

static int print_text(const struct options *o, struct symbols *symbols, enum report_kind kind,
		      struct error *e)
{
	struct output out = {.file = NULL};

	for (int i = 0; i < o->argument_count; i++) {
		struct loaded l;
		struct emit_text text;
		int rc = load(&l, o->arguments[i], symbols, o, e);

		/* Not before the first trace was read: a mistake in its name
		 * leaves an older answer as it is. */
		if (rc == 0 && i == 0)
			rc = output_open(&out, o, e);
		if (rc == 0) {
			emit_text_init(&text, out.file, o->color);
			if (i > 0)
				fputc('\n', out.file);
			report_text(&l.report, kind, &text);
		}
		unload(&l);
		if (rc != 0) {
			if (i > 0)
				output_close(&out, e);
			return -1;
		}
	}
	return output_close(&out, e);
}

static int print_report(const struct options *o, enum report_kind kind, struct error *e)
{
	const struct symbols_options options = {
		.sysroots = o->sysroots,
		.sysroot_count = o->sysroot_count,
		.debug_paths = o->debug_paths,
		.debug_path_count = o->debug_path_count,
	};
	struct symbols *symbols = symbols_open(&options);
	int rc;

	if (symbols == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	rc = o->json ? print_json(o, symbols, kind, e) : print_text(o, symbols, kind, e);
	symbols_close(symbols);
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
