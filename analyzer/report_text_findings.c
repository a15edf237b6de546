/* SPDX-License-Identifier: MIT */
/* A report as text: what stands out, first of all. */
#include "analyzer/report_sections.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/findings.h"
#include "analyzer/format_text.h"

#define INDENT 8
#define NARROW 72 /* columns: no hanging indent in front of a sentence */

static enum emit_style style_of(const struct finding *f)
{
	return strcmp(f->severity, "high") == 0	    ? STYLE_BAD
	       : strcmp(f->severity, "medium") == 0 ? STYLE_WARNING
						    : STYLE_FAINT;
}

char *finding_what(struct report *r, const struct finding *f)
{
	char *object, *out = NULL;

	if (f->waited_for == NULL)
		return strdup(f->what);
	object = wait_object(r, f->waited_for);
	if (asprintf(&out, "%s %s", f->what, object != NULL ? object : "something") < 0)
		out = NULL;
	free(object);
	return out;
}

static void print_finding(struct report *r, struct emit_text *t, const struct finding *f,
			  size_t rank)
{
	char time[FORMAT_ROOM], n[FORMAT_ROOM];
	char *what = finding_what(r, f), *line = NULL;

	if (asprintf(&line, "  %s: %s", f->kind, what != NULL ? what : f->what) < 0)
		line = NULL;
	free(what);
	text_say(t, "  %3zu.  ", rank);
	text_styled(t, STYLE_STRONG, "%9s", format_seconds(time, f->saves_s, t->utf8));
	text_styled(t, style_of(f), "  %-6s", f->severity);
	text_wrap(t, line != NULL ? line : f->kind, t->at, t->width < NARROW ? INDENT : t->at + 2);
	text_end(t);
	free(line);
	if (f->pid != 0)
		text_indent(t, INDENT);
	if (f->processes > 1)
		text_say(t, "in %s processes; the figures are of %d, which has most\n",
			 format_count(n, f->processes), f->pid);
	else if (f->pid != 0)
		text_say(t, "in process %d\n", f->pid);
	text_indent(t, INDENT);
	text_wrap(t, f->advice, INDENT, INDENT);
	text_end(t);
	text_folded_stack(r, t, f->node, INDENT);
}

/* What was looked for, so that nothing means something. Suspects that make no finding are no
 * less suspect. */
static char *list_kinds(const struct report *r)
{
	char bytes[FORMAT_ROOM];
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool any = false;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < finding_kind_count; i++) {
		if (!finding_kind_known(&finding_kinds[i], r->run) ||
		    (r->suspect_count > 0 && strcmp(finding_kinds[i].name, "leak") == 0))
			continue;
		fprintf(out, "%s%s", any ? ", " : "  nothing stood out of what was looked for: ",
			finding_kinds[i].plural);
		any = true;
	}
	if (!any)
		fputs("  nothing was looked for: nothing of it was recorded", out);
	else if (r->suspect_count > 0)
		fprintf(out,
			"; of leaks, %s are suspect, too slow or in too short a run to stand out "
			"(perfhook leaks)",
			format_bytes(bytes, (double)r->suspect_bytes));
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void text_findings(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	char *kinds;

	text_heading(t, "FINDINGS",
		     run->finding_count > 0 ? "with the time that each would save at most" : NULL);
	if (run->finding_count == 0) {
		kinds = list_kinds(r);
		if (kinds != NULL)
			text_wrap(t, kinds, 0, 4);
		text_end(t);
		free(kinds);
		return;
	}
	for (size_t i = 0; i < run->finding_count && i < r->top; i++)
		print_finding(r, t, &run->findings[i], i + 1);
	text_more(r, t, run->finding_count, "findings");
}
