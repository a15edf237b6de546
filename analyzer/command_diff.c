/* SPDX-License-Identifier: MIT */
/* `perfhook diff`: two traces, and what changed between them. */
#include <errno.h>
#include <string.h>

#include "analyzer/command_load.h"
#include "analyzer/commands.h"
#include "analyzer/diff.h"

static int print_json(struct diff *d, struct output *out, struct error *e)
{
	struct emit_json json;

	emit_json_begin(&json);
	diff_json(d, &json);
	if (emit_json_finish(&json, out->file, true) != 0 && errno == ENOMEM)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	return 0;
}

static int print(struct diff *d, const struct options *o, struct error *e)
{
	struct output out;
	struct emit_text text;
	int rc = 0;

	if (output_open(&out, o, e) != 0)
		return -1;
	if (o->json) {
		rc = print_json(d, &out, e);
	} else {
		emit_text_init(&text, out.file, o->color);
		diff_text(d, &text);
	}
	return output_close(&out, e) != 0 || rc != 0 ? -1 : STATUS_DONE;
}

/* Two moments of one trace: each side is all that was until then. */
static int split_moments(const struct options *o, struct options sides[DIFF_SIDES], struct error *e)
{
	if (o->from.kind == MOMENT_NONE || o->to.kind == MOMENT_NONE || o->at.kind != MOMENT_NONE)
		return fail(e, ERROR_USAGE, 0,
			    "diff: two traces, or one and two moments of it: --from A --to B");
	sides[DIFF_BEFORE].to = o->from;
	sides[DIFF_BEFORE].from.kind = sides[DIFF_AFTER].from.kind = MOMENT_NONE;
	return 0;
}

int command_diff(const struct options *o, struct error *e)
{
	struct options asked[DIFF_SIDES] = {*o, *o};
	struct loaded sides[DIFF_SIDES] = {0};
	bool one = o->argument_count == 1;
	struct diff d = {0};
	int rc = one ? split_moments(o, asked, e) : 0;

	for (int side = 0; side < DIFF_SIDES && rc == 0; side++)
		rc = loaded_open_word(&sides[side], o->arguments[one ? 0 : side], &asked[side], e);
	if (rc == 0)
		rc = diff_open(&d, &sides[DIFF_BEFORE].report, &sides[DIFF_AFTER].report, &o->noise,
			       e);
	for (int side = 0; side < DIFF_SIDES && one; side++)
		d.moments[side] = asked[side].to.text;
	if (rc == 0)
		rc = print(&d, o, e);
	diff_close(&d);
	for (int side = 0; side < DIFF_SIDES; side++)
		loaded_close(&sides[side]);
	return rc;
}
