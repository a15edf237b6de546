/* SPDX-License-Identifier: MIT */
/* A report as text: what ran, what was lost, the heap over time, threads, and
 * what has no names. */
#include "analyzer/report_sections.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define LABEL	   14 /* columns of "  label       " */
#define BARS_WIDTH 64

void text_label(struct emit_text *t, const char *label)
{
	fprintf(t->out, "  %-*s", LABEL - 2, label);
}

void text_more(struct report *r, struct emit_text *t, size_t count, const char *what)
{
	size_t more = count > r->top ? count - r->top : 0;
	char n[FORMAT_ROOM];

	/* `what` ends in s. */
	if (more > 0)
		text_styled(t, STYLE_FAINT, "  ... %s more %.*s (--top 0 shows all)\n",
			    format_count(n, more), (int)(strlen(what) - (more == 1)), what);
}

void text_timeline(struct report *r, struct emit_text *t, const double *values, size_t count,
		   const char *top)
{
	size_t room = t->width > LABEL + 32 ? t->width - LABEL - 32 : 8;
	char span[FORMAT_ROOM];
	char *bars =
		format_sparkline(values, count, room < BARS_WIDTH ? room : BARS_WIDTH, t->utf8);

	if (bars != NULL && count > 0) {
		fputs(bars, t->out);
		text_styled(t, STYLE_FAINT, "  to %s, over %s", top,
			    format_seconds(span, r->run->duration_s, t->utf8));
	}
	fputc('\n', t->out);
	free(bars);
}

static void print_command(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	size_t room = r->full ? SIZE_MAX : t->width * 2;

	text_style(t, STYLE_STRONG);
	if (run->command == NULL || run->command[0] == NULL)
		text_name(t, run->executable != NULL ? run->executable : "(unknown program)", room);
	for (const char **word = run->command; word != NULL && *word != NULL; word++) {
		size_t width;

		if (room < 8) {
			fputs(" ...", t->out);
			break;
		}
		if (word != run->command)
			fputc(' ', t->out);
		width = text_name(t, **word != '\0' ? *word : "''", room) + 1;
		room -= width < room ? width : room;
	}
	text_style(t, STYLE_PLAIN);
	fputc('\n', t->out);
}

static void print_end(const struct run *run, struct emit_text *t)
{
	char time[FORMAT_ROOM], name[FORMAT_ROOM];

	text_label(t, "ran");
	fprintf(t->out, "%s, ", format_seconds(time, run->duration_s, t->utf8));
	if (strcmp(run->end, "signal") == 0 && run->status >= 0)
		text_styled(t, STYLE_BAD, "killed by %s (signal %d)",
			    format_signal(name, run->status), run->status);
	else if (strcmp(run->end, "signal") == 0)
		text_styled(t, STYLE_BAD, "killed by a signal");
	else if (strcmp(run->end, "exit") == 0 && run->status >= 0)
		text_styled(t, run->status == 0 ? STYLE_PLAIN : STYLE_WARNING,
			    "exited with status %d", run->status);
	else if (strcmp(run->end, "exit") == 0)
		fputs("exited", t->out);
	else if (strcmp(run->end, "exec") == 0)
		fputs("then became another program (exec)", t->out);
	else if (strcmp(run->end, "running") == 0)
		fputs("still running when this was read", t->out);
	else
		text_styled(t, STYLE_WARNING, "its end was not seen");
	fputc('\n', t->out);
}

static void print_warning(struct emit_text *t, enum emit_style style, const char *title,
			  const char *text)
{
	text_styled(t, style, "  %-*s", LABEL - 2, title);
	text_wrap(t, text, LABEL, LABEL);
	fputc('\n', t->out);
}

/* Before any figure: what the figures below do not hold. */
static void print_warnings(const struct run *run, struct emit_text *t)
{
	char n[FORMAT_ROOM], text[160];

	if (!run->complete)
		print_warning(t, STYLE_BAD, "INCOMPLETE",
			      "the figures are of what could be read of the trace");
	for (size_t i = 0; i < run->notice_count; i++)
		if (run->notices[i].lost)
			print_warning(t, STYLE_BAD, "LOST", run->notices[i].text);
	for (size_t i = 0; i < run->notice_count; i++)
		if (!run->notices[i].lost)
			print_warning(t, STYLE_WARNING, "not seen", run->notices[i].text);
	if (run->stalled_s > 0) {
		snprintf(text, sizeof(text), "threads waited %s in all for the collector",
			 format_seconds(n, run->stalled_s, t->utf8));
		print_warning(t, STYLE_WARNING, "stalled", text);
	}
}

void text_process(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	print_command(r, t);
	print_end(run, t);
	print_warnings(run, t);
	text_label(t, "process");
	fprintf(t->out, "%d", run->pid);
	if (run->ppid > 0)
		fprintf(t->out, ", child of %d", run->ppid);
	if (run->host != NULL) {
		fputs(", on ", t->out);
		text_name(t, run->host, 40);
	}
	if (run->started[0] != '\0')
		fprintf(t->out, ", %s", run->started);
	fputc('\n', t->out);
	if (run->executable != NULL) {
		text_label(t, "program");
		text_name(t, run->executable, r->full ? 0 : t->width - LABEL);
		fputc('\n', t->out);
	}
	text_label(t, "trace");
	fprintf(t->out, "%s events in %s\n", format_count(n, run->events),
		format_bytes(bytes, (double)run->trace_bytes));
}

static void print_heap_timeline(struct report *r, struct emit_text *t)
{
	const struct heap *h = &r->run->heap;
	double *values = calloc(h->timeline_count + 1, sizeof(*values));
	char top[FORMAT_ROOM];

	if (values == NULL || h->timeline_count == 0) {
		free(values);
		return;
	}
	for (size_t i = 0; i < h->timeline_count; i++)
		values[i] = (double)h->timeline[i].live_bytes;
	text_label(t, "over time");
	text_timeline(r, t, values, h->timeline_count, format_bytes(top, (double)h->peak_bytes));
	free(values);
}

static void print_inherited(const struct heap *h, struct emit_text *t)
{
	char a[FORMAT_ROOM], b[FORMAT_ROOM];

	if (h->inherited_blocks > 0) {
		text_label(t, "inherited");
		fprintf(t->out, "%s in %s that its parent had allocated before the fork\n",
			format_bytes(a, (double)h->inherited_bytes),
			format_counted(b, h->inherited_blocks, "block"));
	}
}

void text_memory(struct report *r, struct emit_text *t)
{
	const struct heap *h = &r->run->heap;
	char a[FORMAT_ROOM], b[FORMAT_ROOM], c[FORMAT_ROOM];

	text_heading(t, "HEAP", NULL);
	text_label(t, "peak");
	text_styled(t, STYLE_STRONG, "%s", format_bytes(a, (double)h->peak_bytes));
	fprintf(t->out, " in %s, %s after the start\n", format_counted(b, h->peak_blocks, "block"),
		format_seconds(c, h->peak_at_s, t->utf8));
	if (h->peak_uncertainty_bytes > 0) {
		text_label(t, "");
		fprintf(t->out, "up to %s more or less: the order of threads' events\n",
			format_bytes(a, (double)h->peak_uncertainty_bytes));
	}
	print_heap_timeline(r, t);
	text_label(t, "at the end");
	fprintf(t->out, "%s live in %s\n", format_bytes(a, (double)h->live_bytes),
		format_counted(b, h->live_blocks, "block"));
	text_label(t, "allocated");
	fprintf(t->out, "%s by %s; %s\n", format_bytes(a, (double)h->allocated_bytes),
		format_counted(b, h->allocations, "allocation"),
		format_counted(c, h->frees, "free"));
	text_label(t, "temporary");
	fprintf(t->out, "%s (%s) freed before their thread's next one\n",
		format_counted(a, h->temporary_allocations, "allocation"),
		format_percent(b, (double)h->temporary_allocations, (double)h->allocations));
	print_inherited(h, t);
	if (h->mappings > 0) {
		text_label(t, "mapped");
		fprintf(t->out, "%s at most, apart from the heap, by %s\n",
			format_bytes(a, (double)h->mapped_peak_bytes),
			format_counted(b, h->mappings, "mapping"));
	}
}

static void thread_row(struct text_table *table, const struct thread *th, bool utf8)
{
	struct text_row *row = table_row(table, th->name != NULL ? th->name : "(no name)");

	if (row == NULL)
		return;
	snprintf(row->cells[0], TABLE_CELL, "%d", th->tid);
	format_count(row->cells[1], th->allocations);
	format_bytes(row->cells[2], (double)th->allocated_bytes);
	format_bytes(row->cells[3], (double)(th->read_bytes + th->written_bytes));
	format_seconds(row->cells[4], th->reading_s + th->writing_s, utf8);
	format_bytes(row->cells[5], (double)(th->sent_bytes + th->received_bytes));
	format_seconds(row->cells[6], th->network_s, utf8);
}

void text_threads(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"tid", "allocs", "bytes", "file io", "time", "network", "time"},
		.columns = 7,
		.name_header = "thread",
	};

	if (r->run->thread_count < 2)
		return;
	text_heading(t, "THREADS", NULL);
	for (size_t i = 0; i < r->run->thread_count && i < r->top; i++)
		thread_row(&table, &r->run->threads[i], t->utf8);
	table_print(t, &table);
	table_free(&table);
	text_more(r, t, r->run->thread_count, "threads");
}

void text_coverage(struct report *r, struct emit_text *t)
{
	char share[FORMAT_ROOM], remark[96];

	if (r->nameless_count == 0)
		return;
	snprintf(remark, sizeof(remark), "%s of the bytes at the peak have no name",
		 format_percent(share, (double)r->nameless_bytes, (double)r->run->heap.peak_bytes));
	text_heading(t, "MODULES WITHOUT NAMES", r->run->heap.peak_bytes > 0 ? remark : NULL);
	for (size_t i = 0; i < r->nameless_count && i < r->top; i++) {
		const struct nameless *n = &r->nameless[i];

		fputs("  ", t->out);
		text_name(t, n->module->path != NULL ? n->module->path : "(unknown)",
			  r->full ? 0 : t->width - 30);
		text_styled(t, STYLE_FAINT, "  %s",
			    n->reason != NULL ? n->reason : "no name at some addresses");
		fputc('\n', t->out);
	}
	text_more(r, t, r->nameless_count, "modules");
	text_wrap(
		t,
		"  Give the files with --sysroot DIR, or their debug files with --debug-path DIR.",
		0, 2);
	fputc('\n', t->out);
}
