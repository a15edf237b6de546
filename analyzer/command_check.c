/* SPDX-License-Identifier: MIT */
/* `perfhook check`: a run held to limits, for a script or CI. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/command_load.h"
#include "analyzer/commands.h"

static int print_junit(struct check *c, const struct options *o, struct error *e)
{
	struct options to = *o;
	struct output out;

	to.pager = false;
	to.output = o->junit;
	if (output_open(&out, &to, e) != 0)
		return -1;
	check_junit(c, out.file);
	return output_close(&out, e);
}

static int print_json(struct check *c, struct output *out, struct error *e)
{
	struct emit_json json;

	emit_json_begin(&json);
	check_json(c, &json);
	if (emit_json_finish(&json, out->file, true) != 0 && errno == ENOMEM)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	return 0;
}

static int print(struct check *c, const struct options *o, struct error *e)
{
	struct output out;
	struct emit_text text;
	int rc = 0;

	if (o->junit != NULL && print_junit(c, o, e) != 0)
		return -1;
	if (output_open(&out, o, e) != 0)
		return -1;
	if (o->json) {
		rc = print_json(c, &out, e);
	} else {
		output_text(&out, o, &text);
		check_text(c, &text);
	}
	return output_close(&out, e) != 0 ? -1 : rc;
}

static int answer(struct check *c, const struct options *o, struct error *e)
{
	if (print(c, o, e) != 0)
		return -1;
	if (c->exceeded > 0)
		return STATUS_LIMIT;
	if (c->unknown == 0)
		return STATUS_DONE;
	return fail(e, ERROR_FORMAT, 0,
		    "%s: %s: that limits held cannot be said "
		    "(--allow-incomplete: they did as far as it goes)",
		    o->arguments[0],
		    c->goes_on ? "it became a program whose trace was not given"
			       : "the recording is incomplete");
}

/* A trace is compared stack by stack, with the suppressions of this one. */
static int load_baseline(struct baseline *b, struct loaded *l, const struct options *o,
			 struct error *e)
{
	int rc;

	*b = (struct baseline){.path = o->against, .tolerance = o->tolerance};
	if (!o->tolerance_given)
		b->tolerance.fraction = 0.05;
	if (figures_is_file(o->against))
		return figures_read(&b->figures, o->against, e);
	rc = loaded_open_word(l, o->against, o, e);
	if (rc == 0) {
		b->report = &l->report;
		figures_of(b->report, &b->figures);
	}
	return rc;
}

int command_check(const struct options *o, struct error *e)
{
	struct loaded l = {.is_tree = false}, before = {.is_tree = false};
	struct baseline baseline;
	struct check c = {.report = NULL};
	int rc;

	rc = loaded_open(&l, o->arguments, (size_t)o->argument_count, o, e);
	if (rc == 0 && o->against != NULL)
		rc = load_baseline(&baseline, &before, o, e);
	if (rc == 0)
		rc = check_open(&c, &l.report, &o->limits, o->against != NULL ? &baseline : NULL,
				o->allow_incomplete, e);
	if (rc == 0)
		rc = answer(&c, o, e);
	check_close(&c);
	loaded_close(&before);
	loaded_close(&l);
	return rc;
}
