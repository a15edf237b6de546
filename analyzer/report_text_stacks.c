/* SPDX-License-Identifier: MIT */
/* A report as text: who held the peak, and what leaks. */
#include "analyzer/report_sections.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define INNOCENT_SHOWN 3    /* stacks that are not suspect, in a report of everything */
#define PROJECTED_S    60.0 /* a run from which an hour and a day can be told */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_holder(struct emit_text *t, size_t rank, const char *share, uint64_t bytes,
			 uint64_t blocks)
{
	char b[FORMAT_ROOM], n[FORMAT_ROOM];

	text_say(t, "  %3zu.  ", rank);
	t->hang = 8;
	if (share != NULL)
		text_styled(t, STYLE_STRONG, "%6s  ", share);
	text_styled(t, STYLE_STRONG, "%10s", format_bytes(b, (double)bytes));
	text_say(t, "  in %s block%s", format_count(n, blocks), plural(blocks));
}

static void print_whose(struct emit_text *t, const struct holder *h)
{
	char n[FORMAT_ROOM], *program;

	if (h->processes == 0)
		return;
	if (h->processes > 1)
		text_say(t, " of %s processes, most in", format_count(n, h->processes));
	else
		text_say(t, " of");
	program = format_name(h->program, 24, t->utf8);
	text_say(t, " %d (%s)", h->pid, program != NULL ? program : "?");
	free(program);
}

void text_peak(struct report *r, struct emit_text *t)
{
	struct shown_stacks shown = {.count = 0};
	char share[FORMAT_ROOM], missing[96];

	if (r->peak_count == 0)
		return;
	format_percent(share, (double)r->nameless_bytes, (double)r->run->heap.peak_bytes);
	snprintf(missing, sizeof(missing), "(%s without a name: see the end)", share);
	text_heading(t, "WHO HELD THE PEAK", r->nameless_bytes > 0 ? missing : NULL);
	for (size_t i = 0; i < r->peak_count && i < r->top; i++) {
		const struct site *s = r->peak[i];

		format_percent(share, (double)s->peak_bytes, (double)r->run->heap.peak_bytes);
		print_holder(t, i + 1, share, s->peak_bytes, s->peak_blocks);
		print_whose(t, &s->peak_in);
		text_end(t);
		text_listed_stack(r, t, &shown, i + 1, s->node, 8);
	}
	shown_stacks_free(&shown);
	text_more(r, t, r->peak_count, "stacks");
}

/* How fast, and since when. An hour's worth says nothing of a run of seconds. */
static void print_growth(struct emit_text *t, const struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char a[FORMAT_ROOM], b[FORMAT_ROOM];

	text_indent(t, 8);
	if (g->slope_bytes_per_hour > 0 && g->ran_s >= PROJECTED_S)
		text_say(t, "+%s an hour, %s a day; ", format_bytes(a, g->slope_bytes_per_hour),
			 format_bytes(b, 24 * g->slope_bytes_per_hour));
	else if (g->slope_bytes_per_hour > 0)
		text_say(t, "+%s; ", format_rate(a, g->slope_bytes_per_hour / 3600));
	if (g->bytes_per_request >= 1)
		text_say(t, "+%s a request; ", format_bytes(a, g->bytes_per_request));
	else if (g->bytes_per_request > 0)
		text_say(t, "+%s in 1,000 requests; ",
			 format_bytes(a, 1000 * g->bytes_per_request));
	text_say(t, "first at %s, last at %s\n", format_seconds(a, l->site->first_at_s, t->utf8),
		 format_seconds(b, l->site->last_at_s, t->utf8));
}

static void print_leak(struct report *r, struct emit_text *t, struct shown_stacks *shown,
		       const struct leak *l, size_t rank)
{
	print_holder(t, rank, NULL, l->site->live_bytes, l->site->live_blocks);
	if (l->suspect)
		text_styled(t, STYLE_WARNING, "  suspect, score %d", l->score);
	else
		text_styled(t, STYLE_FAINT, "  not suspect");
	text_end(t);
	if (l->suspect)
		print_growth(t, l);
	for (size_t w = 0; w < l->why_count; w++) {
		text_say(t, "        - ");
		text_wrap(t, l->why[w], 10, 10);
		text_end(t);
	}
	text_listed_stack(r, t, shown, rank, l->site->node, 8);
}

/* What grows is a guess, where the process can be asked. */
static void print_ask_it(const struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;

	if (strcmp(run->end, "running") == 0 && !run->heap.reach.made && r->tree == NULL)
		text_styled(t, STYLE_FAINT,
			    "  'perfhook leaks --pid %d' tells what of it is lost, while it runs\n",
			    run->pid);
}

static void print_none(const struct run *run, struct emit_text *t)
{
	text_heading(t, "LEAKS", NULL);
	text_say(t,
		 run->view.windowed
			 ? "  none: nothing that was allocated in the window was live at its end\n"
		 : run->view.filter != NULL
			 ? "  none: of what is counted nothing was live at the end\n"
		 : run->heap.live_blocks > 0 ? "  none of its own: what is live is its parent's\n"
					     : "  none: every block that was seen was freed\n");
}

/* Suspects stand first: the first `most` are listed. */
static void print_leaks(struct report *r, struct emit_text *t, size_t most)
{
	struct shown_stacks shown = {.count = 0};
	char bytes[FORMAT_ROOM], n[FORMAT_ROOM], all[FORMAT_ROOM], remark[160];

	if (r->leak_count == 0) {
		print_none(r->run, t);
		return;
	}
	snprintf(remark, sizeof(remark), "%s suspect in %s of %s with live blocks",
		 format_bytes(bytes, (double)r->suspect_bytes), format_count(n, r->suspect_count),
		 format_counted(all, r->leak_count, "stack"));
	text_heading(t, "LEAKS", remark);
	for (size_t i = 0; i < r->leak_count && i < most; i++)
		print_leak(r, t, &shown, &r->leaks[i], i + 1);
	shown_stacks_free(&shown);
	if (most < r->top && most < r->leak_count)
		text_styled(t, STYLE_FAINT,
			    "  ... %s more, not suspect (perfhook leaks lists them)\n",
			    format_count(n, r->leak_count - most));
	else
		text_more(r, t, r->leak_count, "stacks");
	print_ask_it(r, t);
}

void text_leaks(struct report *r, struct emit_text *t)
{
	print_leaks(r, t, r->top);
}

/* Among everything else what is not suspect is of little interest, unless more of each list
 * was asked for. */
void text_suspects(struct report *r, struct emit_text *t)
{
	size_t most = r->suspect_count + INNOCENT_SHOWN;

	print_leaks(r, t, r->top != REPORT_TOP || most > r->top ? r->top : most);
}
