/* SPDX-License-Identifier: MIT */
/* The heap's other views as text: sizes, lifetimes, temporary allocations, memory as the
 * kernel has it, and sums by function, file, module or thread. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/costs.h"
#include "analyzer/format_text.h"
#include "analyzer/heap_views.h"

#define BAR_WIDTH 12
#define FEW	  100 /* blocks: of less, a distribution says nothing */
#define US	  1e-6
#define NAME_ROOM (sizeof(char[2][FORMAT_ROOM]))

/* A bar as long as its part of the whole. */
static void bar_cell(char cell[TABLE_CELL], double part, double whole)
{
	size_t length = whole > 0 ? (size_t)lround(part / whole * BAR_WIDTH) : 0;

	/* Cells stand to the right: bars begin at one column all the same. */
	memset(cell, ' ', BAR_WIDTH);
	memset(cell, '#', length < BAR_WIDTH ? length : BAR_WIDTH);
	cell[BAR_WIDTH] = '\0';
}

/* ---- sizes --------------------------------------------------------------------- */

static void size_row(struct text_table *table, const struct heap *h, size_t i, char *name)
{
	const struct size_classes *c = &h->sizes;
	char least[FORMAT_ROOM], most[FORMAT_ROOM];
	struct text_row *row;

	if (i + 1 < SIZE_CLASSES)
		snprintf(name, NAME_ROOM, "%s to %s",
			 format_bytes(least, i == 0 ? 0 : ldexp(1, (int)i)),
			 format_bytes(most, ldexp(1, (int)i + 1) - 1));
	else
		snprintf(name, NAME_ROOM, "%s and more", format_bytes(least, ldexp(1, (int)i)));
	row = table_row(table, name);
	if (row == NULL)
		return;
	format_count(row->cells[0], c->allocations[i]);
	format_percent(row->cells[1], (double)c->allocations[i], (double)h->allocations);
	format_bytes(row->cells[2], (double)c->bytes[i]);
	format_percent(row->cells[3], (double)c->temporary[i], (double)c->allocations[i]);
	bar_cell(row->cells[4], (double)c->allocations[i], (double)h->allocations);
}

void text_sizes(struct report *r, struct emit_text *t)
{
	static char names[SIZE_CLASSES][NAME_ROOM];
	const struct heap *h = &r->run->heap;
	struct text_table table = {
		.headers = {"allocations", "share", "bytes", "temporary", ""},
		.columns = 5,
		.name_header = "of a size",
		.spare = {5, 4, 2, 0},
	};

	if (h->allocations < FEW)
		return;
	text_heading(t, "SIZES", "of allocations");
	for (size_t i = 0; i < SIZE_CLASSES; i++)
		if (h->sizes.allocations[i] != 0)
			size_row(&table, h, i, names[i]);
	table_print(t, &table);
	table_free(&table);
}

/* ---- lifetimes -------------------------------------------------------------------- */

enum { OCTAVES_A_ROW = 3 }; /* eight times as long from row to row */

static void lifetime_row(struct text_table *table, const struct lives *lives, size_t from,
			 size_t to, char *name, bool utf8)
{
	char least[FORMAT_ROOM], below[FORMAT_ROOM];
	uint64_t blocks = 0;
	struct text_row *row;

	for (size_t i = from; i < to; i++)
		blocks += lives->by_us[i];
	if (blocks == 0)
		return;
	if (from == 0)
		snprintf(name, NAME_ROOM, "less than %s",
			 format_seconds(below, ldexp(US, (int)to), utf8));
	else
		snprintf(name, NAME_ROOM, "%s to %s",
			 format_seconds(least, ldexp(US, (int)from), utf8),
			 format_seconds(below, ldexp(US, (int)to), utf8));
	row = table_row(table, name);
	if (row == NULL)
		return;
	format_count(row->cells[0], blocks);
	format_percent(row->cells[1], (double)blocks, (double)lives->blocks);
	bar_cell(row->cells[2], (double)blocks, (double)lives->blocks);
}

void text_lifetimes(struct report *r, struct emit_text *t)
{
	static char names[LIFETIMES / OCTAVES_A_ROW + 1][NAME_ROOM];
	const struct lives lives = heap_lives(r->run);
	struct text_table table = {
		.headers = {"blocks", "share", ""},
		.columns = 3,
		.name_header = "lived for",
		.spare = {3, 0},
	};

	if (lives.blocks < FEW)
		return;
	text_heading(t, "LIFETIMES",
		     r->run->thread_count < 2 ? "of freed blocks, to within some milliseconds"
					      : "of freed blocks");
	for (size_t i = 0; i < LIFETIMES; i += OCTAVES_A_ROW)
		lifetime_row(&table, &lives, i,
			     i + OCTAVES_A_ROW < LIFETIMES ? i + OCTAVES_A_ROW : LIFETIMES,
			     names[i / OCTAVES_A_ROW], t->utf8);
	table_print(t, &table);
	table_free(&table);
}

/* ---- temporary allocations ---------------------------------------------------------- */

#define TEMPORARY_SHOWN 3  /* in text, unless more is asked for */
#define TEMPORARY_SHARE 20 /* one part in so many of all allocations is worth a section */

void text_temporary(struct report *r, struct emit_text *t)
{
	const struct heap *h = &r->run->heap;
	struct shown_stacks shown = {.count = 0};
	size_t most = r->top > 10 ? r->top : r->top < TEMPORARY_SHOWN ? r->top : TEMPORARY_SHOWN;
	char n[FORMAT_ROOM], of[FORMAT_ROOM], share[FORMAT_ROOM];

	if (h->temporary_allocations == 0 ||
	    h->temporary_allocations < h->allocations / TEMPORARY_SHARE)
		return;
	text_heading(t, "TEMPORARY ALLOCATIONS", "freed before their thread's next one");
	for (size_t i = 0; i < r->temporary_count && i < most; i++) {
		const struct site *s = r->temporary[i];

		text_say(t, "  %3zu.  ", i + 1);
		t->hang = 8;
		text_styled(t, STYLE_STRONG, "%6s  %10s",
			    format_percent(share, (double)s->temporary,
					   (double)h->temporary_allocations),
			    format_count(n, s->temporary));
		text_say(t, "  of the stack's %s\n",
			 format_counted(of, s->allocations, "allocation"));
		text_listed_stack(r, t, &shown, i + 1, s->node, 8);
	}
	shown_stacks_free(&shown);
	if (r->temporary_count > most)
		text_styled(t, STYLE_FAINT, "  ... %zu more stacks (--top 0 shows all)\n",
			    r->temporary_count - most);
}

/* ---- memory as the kernel has it ------------------------------------------------------ */

static void print_sample(const struct run *run, struct emit_text *t, const char *label,
			 const struct memory_sample *s)
{
	double percent = heap_asked_percent(run, s);
	char at[FORMAT_ROOM], rss[FORMAT_ROOM], anonymous[FORMAT_ROOM], live[FORMAT_ROOM];

	text_label(t, label);
	format_bytes(rss, (double)s->rss);
	format_bytes(anonymous, (double)s->anonymous);
	format_seconds(at, s->at_s, t->utf8);
	if (isnan(percent))
		text_say(t, "%s resident, %s of it anonymous, %s after the start\n", rss, anonymous,
			 at);
	else
		text_say(t,
			 "%s resident, %s of it anonymous, %s after the start; %s were asked for "
			 "and live (%.0f%%)\n",
			 rss, anonymous, at, format_bytes(live, (double)s->live_bytes), percent);
}

void text_resident(struct report *r, struct emit_text *t)
{
	const struct resident resident = heap_resident(r->run);
	char n[FORMAT_ROOM];

	if (resident.last == NULL)
		return;
	text_heading(t, "MEMORY", "as the kernel has it");
	text_label(t, "most");
	text_say(t, "%s resident\n", format_bytes(n, (double)resident.most_rss));
	if (resident.peak != NULL)
		print_sample(r->run, t, "heap's peak", resident.peak);
	if (resident.most != resident.peak)
		print_sample(r->run, t, "anonymous", resident.most);
	if (resident.last != resident.most && resident.last != resident.peak)
		print_sample(r->run, t, "last", resident.last);
}

/* ---- sums ------------------------------------------------------------------------------- */

static char *amount(char out[FORMAT_ROOM], const struct cost *cost, uint64_t value, bool utf8)
{
	if (value == TOP_UNKNOWN)
		return strcpy(out, "-");
	if (cost->unit == COST_BYTES)
		return format_bytes(out, (double)value);
	if (cost->unit == COST_NANOSECONDS)
		return format_seconds(out, (double)value / 1e9, utf8);
	return format_count(out, value);
}

static void top_row(struct text_table *table, const struct top *top, const struct top_row *of,
		    bool utf8)
{
	size_t cost = (size_t)(top->cost - costs);
	struct text_row *row = table_row(table, of->name);
	double sum = (double)top->sums[cost];

	if (row == NULL)
		return;
	amount(row->cells[0], top->cost, of->self[cost], utf8);
	format_percent(row->cells[1], (double)of->self[cost], sum);
	amount(row->cells[2], top->cost, of->total[cost], utf8);
	format_percent(row->cells[3], (double)of->total[cost], sum);
	if (top->by == TOP_THREAD)
		snprintf(row->cells[4], sizeof(row->cells[4]), "%d", of->tid);
}

/* Whole stacks do not fit a table. */
static void print_stacks(struct report *r, struct emit_text *t, const struct top *top)
{
	size_t cost = (size_t)(top->cost - costs);
	struct shown_stacks shown = {.count = 0};
	char n[FORMAT_ROOM], share[FORMAT_ROOM];

	for (size_t i = 0; i < top->count && i < r->top; i++) {
		const struct top_row *row = &top->rows[i];

		text_say(t, "  %3zu.  ", i + 1);
		t->hang = 8;
		text_styled(t, STYLE_STRONG, "%6s  %10s\n",
			    format_percent(share, (double)row->self[cost], (double)top->sums[cost]),
			    amount(n, top->cost, row->self[cost], t->utf8));
		text_listed_stack(r, t, &shown, i + 1, row->node, 8);
	}
	shown_stacks_free(&shown);
}

void text_top(struct report *r, struct emit_text *t)
{
	const struct top *top = r->by;
	struct text_table table = {
		.headers = {"self", "", "total", "", "tid"},
		.columns = top != NULL && top->by == TOP_THREAD ? 5 : 4,
		.keep_heads = top != NULL && top->by == TOP_FUNCTION,
	};
	char title[64], remark[128], n[FORMAT_ROOM];

	if (top == NULL)
		return;
	table.name_header = top_name(top->by);
	snprintf(title, sizeof(title), "TOP BY %s", top_name(top->by));
	for (char *c = title; *c != '\0'; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	snprintf(remark, sizeof(remark), "%s: %s", top->cost->title,
		 amount(n, top->cost, top->sums[top->cost - costs], t->utf8));
	text_heading(t, title, remark);
	if (top->by == TOP_STACK) {
		print_stacks(r, t, top);
	} else {
		for (size_t i = 0; i < top->count && i < r->top; i++)
			top_row(&table, top, &top->rows[i], t->utf8);
		table_print(t, &table);
		table_free(&table);
	}
	text_more(r, t, top->count, "rows");
}
