/* SPDX-License-Identifier: MIT */
/* A run held to limits, as text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/format_text.h"
#include "analyzer/report_sections.h"

enum { SHOWN = 3 }; /* stacks of a limit, unless --top says otherwise */

/* "max-p99 /var/db" */
static void text_limit(struct emit_text *t, const struct check_item *item, size_t columns)
{
	char name[512];

	snprintf(name, sizeof(name), "%s%s%.*s", limit_rows[item->id].name,
		 item->pattern != NULL ? " " : "", (int)item->pattern_length,
		 item->pattern != NULL ? item->pattern : "");
	text_name(t, name, columns);
}

static void text_figure(struct emit_text *t, const char *figure)
{
	size_t columns = format_columns(figure);

	text_say(t, "%*s%s", columns < 10 ? (int)(10 - columns) : 0, "", figure);
}

/* Of what an item says no more by its unit than that both are the same, all digits. */
static char *format_told(char buf[FORMAT_ROOM], const struct check_item *item, double value,
			 bool utf8)
{
	char other[FORMAT_ROOM];
	double against = value == item->value ? item->most : item->value;

	check_format(buf, item->id, value, utf8);
	if (item->verdict == VERDICT_EXCEEDED && limit_rows[item->id].unit == LIMIT_UNIT_BYTES &&
	    strcmp(buf, check_format(other, item->id, against, utf8)) == 0) {
		format_count(other, (uint64_t)value);
		snprintf(buf, FORMAT_ROOM, "%.40s B", other);
	}
	return buf;
}

static void text_item(struct emit_text *t, const struct check_item *item)
{
	char value[FORMAT_ROOM], most[FORMAT_ROOM], was[FORMAT_ROOM];

	text_indent(t, 2);
	t->hang = 12;
	text_styled(t,
		    item->verdict == VERDICT_EXCEEDED ? STYLE_BAD
		    : item->verdict == VERDICT_HELD   ? STYLE_PLAIN
						      : STYLE_WARNING,
		    "%-8s", verdict_name(item->verdict));
	text_say(t, "  ");
	text_figure(t, format_told(value, item, item->value, t->utf8));
	text_say(t, "  of ");
	text_figure(t, format_told(most, item, item->most, t->utf8));
	text_say(t, "  ");
	text_limit(t, item, 0);
	if (item->from_baseline)
		text_styled(t, STYLE_FAINT, ", in the baseline %s",
			    check_format(was, item->id, item->baseline, t->utf8));
	text_end(t);
}

/* What an item's stacks have, where that is not what the item counts. */
static enum limit_id shown_as(enum limit_id id)
{
	return id == LIMIT_LEAKS	     ? LIMIT_LEAKED
	       : id == LIMIT_TEMPORARY_SHARE ? LIMIT_TEMPORARY
					     : id;
}

static void text_evidence(struct check *c, struct emit_text *t, const struct check_item *item,
			  const struct check_evidence *v)
{
	enum limit_id id = shown_as(item->id);
	char value[FORMAT_ROOM], before[FORMAT_ROOM];

	text_indent(t, 2);
	text_style(t, STYLE_STRONG);
	text_figure(t, check_format(value, id, v->value, t->utf8));
	text_style(t, STYLE_PLAIN);
	if (!isnan(v->before))
		text_say(t, "  was %s", check_format(before, id, v->before, t->utf8));
	if (v->name != NULL) {
		text_say(t, "  ");
		text_name(t, v->name, c->report->full ? 0 : t->width - 16);
	}
	text_end(t);
	if (v->node != 0 || v->name == NULL)
		text_stack(c->report, t, v->node, 8);
}

/* Who answers for a limit that was exceeded. */
static void text_blame(struct check *c, struct emit_text *t, const struct check_item *item,
		       size_t shown)
{
	if (item->verdict != VERDICT_EXCEEDED || item->evidence_count == 0)
		return;
	text_end(t);
	text_style(t, STYLE_HEADING);
	text_limit(t, item, 0);
	text_style(t, STYLE_PLAIN);
	text_styled(t, STYLE_FAINT, "  %s\n",
		    item->pattern != NULL	       ? "the slowest"
		    : !isnan(item->evidence[0].before) ? "where it grew"
						       : "where most of it is");
	for (size_t i = 0; i < item->evidence_count && i < shown; i++)
		text_evidence(c, t, item, &item->evidence[i]);
}

static void text_figures(struct check *c, struct emit_text *t)
{
	char value[FORMAT_ROOM];

	for (int id = 0; id < LIMIT_COUNT; id++) {
		if (isnan(c->figures.of[id]))
			continue;
		text_indent(t, 2);
		text_figure(t, check_format(value, (enum limit_id)id, c->figures.of[id], t->utf8));
		text_say(t, "  %s\n", limit_rows[id].name);
	}
	text_end(t);
	text_say(t, "No limit was given: these are the figures that limits are held against.\n");
}

/* That nothing is suspect is less than that nothing is lost. */
static void text_hint(struct check *c, struct emit_text *t)
{
	char live[FORMAT_ROOM];
	bool asked = false;

	for (size_t i = 0; i < c->count; i++)
		asked |= c->items[i].verdict != VERDICT_EXCEEDED &&
			 (c->items[i].id == LIMIT_LEAKED || c->items[i].id == LIMIT_LEAKS);
	if (!asked || c->goes_on || c->report->run->heap.reach.made ||
	    c->report->run->heap.live_bytes == c->report->suppressed_bytes)
		return;
	text_end(t);
	text_styled(t, STYLE_FAINT,
		    "Leaks are judged by how they grew; %s were live at the end. "
		    "'perfhook record --leaks' tells what of it is lost.\n",
		    format_bytes(live, (double)c->report->run->heap.live_bytes));
}

void check_text(struct check *c, struct emit_text *t)
{
	size_t shown = c->report->top == REPORT_TOP ? SHOWN : c->report->top;
	const struct run *run = c->report->run;
	char remark[96];

	text_label(t, "program");
	text_name(t, run->executable != NULL ? run->executable : "?", 0);
	text_end(t);
	text_label(t, "trace");
	text_name(t, report_trace_path(c->report), 0);
	if (c->report->tree != NULL)
		text_say(t, " and %zu more", c->report->tree->image_count - 1);
	text_end(t);
	text_missing(c->report, t);
	snprintf(remark, sizeof(remark), "%zu of %zu limits exceeded", c->exceeded, c->count);
	text_heading(t, "CHECK", c->count > 0 ? remark : NULL);
	if (c->count == 0)
		text_figures(c, t);
	for (size_t i = 0; i < c->count; i++)
		text_item(t, &c->items[i]);
	if (c->incomplete) {
		text_end(t);
		text_styled(t, STYLE_WARNING, "%s: the figures are at least these.\n",
			    c->goes_on ? "It became a program whose trace was not given"
				       : "The recording is incomplete");
	}
	text_hint(c, t);
	for (size_t i = 0; i < c->count; i++)
		text_blame(c, t, &c->items[i], shown);
	text_suppressions(c->report, t);
}
