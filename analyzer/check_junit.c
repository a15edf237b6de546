/* SPDX-License-Identifier: MIT */
/*
 * A run held to limits, as JUnit XML: what Surefire writes and GitLab, Jenkins and others
 * read. Each limit is a test case; one that was exceeded is a failure, one that cannot be
 * told an error.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/format_text.h"

/* Text within an element or an attribute. What XML has no place for is escaped as on a
 * terminal, so that any name comes through. */
static void put_text(FILE *out, const char *text)
{
	char *safe = format_name(text, 0, true);

	for (const char *s = safe != NULL ? safe : ""; *s != '\0'; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*s, out);
		}
	}
	free(safe);
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	put_text(out, value);
	fputc('"', out);
}

static void put_frames(struct check *c, FILE *out, uint32_t node)
{
	struct stack stack;

	if (report_stack(c->report, node, &stack) != 0)
		return;
	for (size_t i = 0; i < stack.count; i++) {
		const struct frame *f = &stack.frames[i];
		const char *function = f->function != NULL ? f->function
				       : f->module != NULL ? base_name(f->module)
							   : "?";

		fputs("    ", out);
		put_text(out, function);
		if (f->file != NULL) {
			fputs("  ", out);
			put_text(out, f->file);
			fprintf(out, ":%d", f->line);
		}
		fputc('\n', out);
	}
	stack_free(&stack);
}

static void put_failure(struct check *c, FILE *out, const struct check_item *item)
{
	char value[FORMAT_ROOM], most[FORMAT_ROOM], message[256];
	bool unknown = item->verdict == VERDICT_UNKNOWN;

	snprintf(message, sizeof(message), "%.40s, at most %.40s%s",
		 check_format(value, item->id, item->value, true),
		 check_format(most, item->id, item->most, true),
		 unknown ? ": the recording is incomplete, it may be more" : "");
	fprintf(out, "      <%s", unknown ? "error" : "failure");
	put_attribute(out, "message", message);
	put_attribute(out, "type", unknown ? "incomplete" : "limit");
	fputs(">\n", out);
	for (size_t i = 0; i < item->evidence_count; i++) {
		const struct check_evidence *v = &item->evidence[i];

		fprintf(out, "%s", check_format(value, item->id, v->value, true));
		if (!isnan(v->before))
			fprintf(out, ", was %s", check_format(value, item->id, v->before, true));
		if (v->name != NULL) {
			fputs("  ", out);
			put_text(out, v->name);
		}
		fputc('\n', out);
		put_frames(c, out, v->node);
	}
	fprintf(out, "      </%s>\n", unknown ? "error" : "failure");
}

static void put_case(struct check *c, FILE *out, const struct check_item *item)
{
	const char *executable = c->report->run->executable;
	char name[4200];

	snprintf(name, sizeof(name), "%s%s%.*s%s", limit_rows[item->id].name,
		 item->pattern != NULL ? " " : "", (int)item->pattern_length,
		 item->pattern != NULL ? item->pattern : "",
		 item->from_baseline ? " (baseline)" : "");
	fputs("    <testcase", out);
	put_attribute(out, "name", name);
	put_attribute(out, "classname", executable != NULL ? base_name(executable) : "perfhook");
	fputs(" time=\"0\"", out);
	if (item->verdict == VERDICT_HELD) {
		fputs("/>\n", out);
		return;
	}
	fputs(">\n", out);
	put_failure(c, out, item);
	fputs("    </testcase>\n", out);
}

void check_junit(struct check *c, FILE *out)
{
	const struct run *run = c->report->run;
	double time = isfinite(run->duration_s) ? run->duration_s : 0;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", out);
	put_attribute(out, "name", run->executable != NULL ? run->executable : "perfhook check");
	fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"0\" time=\"%.6f\"",
		c->count, c->exceeded, c->unknown, time);
	if (run->started[0] != '\0') /* local time in Surefire's: without a zone */
		fprintf(out, " timestamp=\"%.19s\"", run->started);
	if (run->host != NULL)
		put_attribute(out, "hostname", run->host);
	fputs(">\n", out);
	for (size_t i = 0; i < c->count; i++)
		put_case(c, out, &c->items[i]);
	fputs("  </testsuite>\n</testsuites>\n", out);
}
