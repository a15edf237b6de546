/* SPDX-License-Identifier: MIT */
/* What changed between two runs, as text. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/diff.h"
#include "analyzer/format_text.h"
#include "analyzer/report_sections.h"

/* ---- Figures ---- */

static char *format_value(char buf[FORMAT_ROOM], enum cost_unit unit, double value, bool utf8)
{
	if (unit == COST_BYTES)
		return format_bytes(buf, value);
	if (unit == COST_NANOSECONDS)
		return format_seconds(buf, value / 1e9, utf8);
	return format_count(buf, (uint64_t)value);
}

/* "+1.5 MiB"; "-" and a non-breaking minus alike in ASCII. */
static char *format_change(char buf[FORMAT_ROOM], enum cost_unit unit,
			   const uint64_t of[DIFF_SIDES], bool utf8)
{
	bool less = of[DIFF_AFTER] < of[DIFF_BEFORE];
	uint64_t change =
		less ? of[DIFF_BEFORE] - of[DIFF_AFTER] : of[DIFF_AFTER] - of[DIFF_BEFORE];
	char value[FORMAT_ROOM];

	format_value(value, unit, (double)change, utf8);
	snprintf(buf, FORMAT_ROOM, "%s%.40s", change == 0 ? "" : less ? "-" : "+", value);
	return buf;
}

/* ---- The head ---- */

static void text_side(struct diff *d, struct emit_text *t, int side)
{
	struct report *r = d->reports[side];
	const struct run *run = r->run;
	char time[FORMAT_ROOM];

	text_label(t, side == DIFF_BEFORE ? "before" : "after");
	text_name(t, report_trace_path(r), 0);
	if (d->moments[side] != NULL) {
		text_say(t, " at ");
		text_name(t, d->moments[side], 0);
	}
	if (r->tree != NULL)
		text_say(t, " and %zu more", r->tree->image_count - 1);
	text_say(t, "  pid %d, %s", run->pid, format_seconds(time, run->duration_s, t->utf8));
	text_end(t);
	if (!run->complete || run->dropped > 0) {
		text_label(t, "");
		text_styled(t, STYLE_WARNING, "incomplete: what was lost here is missing below\n");
	}
	if (d->nameless[side] && !d->same_build) {
		text_label(t, "");
		text_styled(t, STYLE_WARNING,
			    "no names of this build's program: keep its file, and "
			    "give --sysroot or --debug-path\n");
	}
}

static bool add_total(struct text_table *table, const struct diff *d, int id, bool utf8)
{
	const struct diff_value *v = &d->totals[id];
	struct text_row *row;

	if (v->value[DIFF_BEFORE] == 0 && v->value[DIFF_AFTER] == 0)
		return true;
	row = table_row(table, costs[id].title);
	if (row == NULL)
		return false;
	format_value(row->cells[0], costs[id].unit, (double)v->value[DIFF_BEFORE], utf8);
	format_value(row->cells[1], costs[id].unit, (double)v->value[DIFF_AFTER], utf8);
	format_change(row->cells[2], costs[id].unit, v->value, utf8);
	format_growth(row->cells[3], v->value[DIFF_BEFORE], v->value[DIFF_AFTER]);
	return true;
}

static void text_totals(struct diff *d, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"before", "after", "change", ""}, .columns = 4, .name_header = "what"};

	text_heading(t, "TOTALS", NULL);
	for (int id = 0; id < COST_COUNT; id++)
		if (d->known[id] && !add_total(&table, d, id, t->utf8))
			break;
	table_print(t, &table);
	table_free(&table);
}

/* ---- Stacks ---- */

static const char *const beside[COST_COUNT] = {
	[COST_PEAK] = "block",	  [COST_LEAKED] = "block", [COST_ALLOCATED] = "allocation",
	[COST_READ] = "call",	  [COST_WRITTEN] = "call", [COST_SENT] = "call",
	[COST_RECEIVED] = "call", [COST_TIME] = "call",	   [COST_WAITED] = "call",
};

/* "allocated  +1.5 MiB, from 1.0 MiB to 2.5 MiB; from 10 to 25 allocations" */
static void text_cost(struct emit_text *t, const struct diff_stack *s, int id)
{
	const struct diff_value *v = &s->costs[id];
	char change[FORMAT_ROOM], from[FORMAT_ROOM], to[FORMAT_ROOM];

	text_indent(t, 8);
	t->hang = 19;
	text_say(t, "%-10s ", costs[id].name);
	text_styled(t, STYLE_STRONG, "%10s",
		    format_change(change, costs[id].unit, v->value, t->utf8));
	text_say(t, "  from %s to %s",
		 format_value(from, costs[id].unit, (double)v->value[DIFF_BEFORE], t->utf8),
		 format_value(to, costs[id].unit, (double)v->value[DIFF_AFTER], t->utf8));
	if (beside[id] != NULL)
		text_say(t, "; from %s to %s", format_count(from, v->count[DIFF_BEFORE]),
			 format_counted(to, v->count[DIFF_AFTER], beside[id]));
	text_end(t);
}

/* Which way its costs went, where it is in both runs. */
static const char *which_way(const struct diff_stack *s, enum diff_group group)
{
	bool more = false, less = false;

	for (int id = 0; id < COST_COUNT; id++) {
		const uint64_t *of = s->costs[id].value;

		if ((s->changed & diff_group_costs(group) & 1u << id) == 0)
			continue;
		more |= of[DIFF_AFTER] > of[DIFF_BEFORE];
		less |= of[DIFF_AFTER] < of[DIFF_BEFORE];
	}
	return more && less ? "more and less" : more ? "more" : "less";
}

static void text_entry(struct diff *d, struct emit_text *t, enum diff_group group,
		       const struct diff_entry *entry, size_t rank)
{
	const struct diff_stack *s = entry->stack;
	int side = s->in[DIFF_AFTER] ? DIFF_AFTER : DIFF_BEFORE;

	text_say(t, "  %3zu.  ", rank);
	if (s->in[DIFF_BEFORE] && s->in[DIFF_AFTER])
		text_say(t, "%s\n", which_way(s, group));
	else
		text_styled(t, STYLE_WARNING, "%s\n",
			    side == DIFF_AFTER ? "only after" : "only before");
	for (int id = 0; id < COST_COUNT; id++)
		if (s->changed & diff_group_costs(group) & 1u << id)
			text_cost(t, s, id);
	text_stack(d->reports[side], t, s->node[side], 8);
}

static void text_group(struct diff *d, struct emit_text *t, enum diff_group group)
{
	static const char *const titles[DIFF_GROUPS] = {
		[DIFF_MEMORY] = "MEMORY",
		[DIFF_PEAK] = "THE PEAK, OTHERWISE MADE UP",
		[DIFF_IO] = "FILES AND SOCKETS, BY STACK",
		[DIFF_TIME] = "TIME",
	};
	static const char *const remarks[DIFF_GROUPS] = {
		[DIFF_PEAK] = "stacks that allocated and left what they did before",
		[DIFF_TIME] = "beyond what varies from run to run",
	};
	size_t count = d->list_counts[group];

	if (count == 0)
		return;
	text_heading(t, titles[group], remarks[group]);
	for (size_t i = 0; i < count && i < d->reports[DIFF_AFTER]->top; i++)
		text_entry(d, t, group, &d->lists[group][i], i + 1);
	text_more(d->reports[DIFF_AFTER], t, count, "stacks");
}

/* ---- Files and peers ---- */

struct figure_words {
	const char *name, *noun;
};

static void text_figure(struct emit_text *t, const struct diff_place *p, int figure,
			const char *name)
{
	enum cost_unit unit = figure <= FIGURE_WRITTEN ? COST_BYTES : COST_ALLOCATIONS;
	const uint64_t *of = p->figures[figure];
	char change[FORMAT_ROOM], from[FORMAT_ROOM], to[FORMAT_ROOM];

	text_indent(t, 8);
	t->hang = 23;
	text_say(t, "%-14s ", name);
	text_styled(t, STYLE_STRONG, "%10s", format_change(change, unit, of, t->utf8));
	text_say(t, "  from %s to %s\n", format_value(from, unit, (double)of[DIFF_BEFORE], t->utf8),
		 format_value(to, unit, (double)of[DIFF_AFTER], t->utf8));
}

static void text_place(struct diff *d, struct emit_text *t, const struct diff_place *p, size_t rank,
		       const char *const names[FIGURE_COUNT])
{
	int side = p->name[DIFF_AFTER] != NULL ? DIFF_AFTER : DIFF_BEFORE;
	int blamed = diff_blamed_side(p);

	text_say(t, "  %3zu.  ", rank);
	text_name(t, p->name[side], d->reports[side]->full ? 0 : t->width - 24);
	if (p->name[DIFF_BEFORE] == NULL || p->name[DIFF_AFTER] == NULL)
		text_styled(t, STYLE_WARNING, "  %s",
			    side == DIFF_AFTER ? "only after" : "only before");
	text_end(t);
	for (int figure = 0; figure < FIGURE_COUNT; figure++)
		if (p->changed & 1u << figure)
			text_figure(t, p, figure, names[figure]);
	if (p->node[blamed] != 0)
		text_folded_stack(d->reports[blamed], t, p->node[blamed], 8);
}

static void text_places(struct diff *d, struct emit_text *t, const struct diff_places *places,
			const char *title, const char *const names[FIGURE_COUNT])
{
	if (places->count == 0)
		return;
	text_heading(t, title, NULL);
	for (size_t i = 0; i < places->count && i < d->reports[DIFF_AFTER]->top; i++)
		text_place(d, t, &places->list[i], i + 1, names);
	text_more(d->reports[DIFF_AFTER], t, places->count, "more");
}

void diff_text(struct diff *d, struct emit_text *t)
{
	static const char *const of_files[FIGURE_COUNT] = {
		[FIGURE_READ] = "read",
		[FIGURE_WRITTEN] = "written",
		[FIGURE_READ_CALLS] = "read calls",
		[FIGURE_WRITE_CALLS] = "write calls",
		[FIGURE_OPENS] = "opens",
		[FIGURE_METADATA] = "metadata calls",
		[FIGURE_ERRORS] = "errors",
	};
	static const char *const of_peers[FIGURE_COUNT] = {
		[FIGURE_READ] = "received",	  [FIGURE_WRITTEN] = "sent",
		[FIGURE_READ_CALLS] = "receives", [FIGURE_WRITE_CALLS] = "sends",
		[FIGURE_OPENS] = "connections",	  [FIGURE_METADATA] = "",
		[FIGURE_ERRORS] = "errors",
	};

	for (int side = 0; side < DIFF_SIDES; side++)
		text_side(d, t, side);
	text_totals(d, t);
	if (diff_is_empty(d) || d->stacks_unknown)
		text_end(t);
	if (diff_is_empty(d))
		text_say(t, "No differences: every stack, file and peer cost the same in both.\n");
	if (d->stacks_unknown)
		text_say(t, "Stacks are not compared: one of the programs has no names.\n");
	for (int group = 0; group < DIFF_GROUPS; group++)
		text_group(d, t, (enum diff_group)group);
	text_places(d, t, &d->files, "FILES", of_files);
	text_places(d, t, &d->peers, "PEERS", of_peers);
}
