/* SPDX-License-Identifier: MIT */
/* A report as text: what ran, what was lost, the heap over time, threads, and
 * what has no names. */
#include "analyzer/report_sections.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define LABEL	   14 /* columns of "  label       " */
#define BARS_WIDTH 64
#define BARS_LEAST 16
#define REMARK	   34 /* columns behind them, mostly */

void text_label(struct emit_text *t, const char *label)
{
	fprintf(t->out, "  %-*s", LABEL - 2, label);
	t->at = t->hang = LABEL;
}

void text_more(struct report *r, struct emit_text *t, size_t count, const char *what)
{
	size_t more = count > r->top ? count - r->top : 0;
	char n[FORMAT_ROOM];

	size_t length = strlen(what);

	/* `what` ends in s, or in es behind another. */
	if (more == 1)
		length -= length > 4 && strcmp(what + length - 4, "sses") == 0 ? 2 : 1;
	if (more > 0)
		text_styled(t, STYLE_FAINT, "  ... %s more %.*s (--top 0 shows all)\n",
			    format_count(n, more), (int)length, what);
}

size_t text_timeline(struct report *r, struct emit_text *t, const double *values, size_t count,
		     const char *top)
{
	char span[FORMAT_ROOM], remark[3 * FORMAT_ROOM];
	size_t room, columns, drawn = 0;
	char *bars;

	snprintf(remark, sizeof(remark), "  to %s, over %s", top,
		 format_seconds(span, run_span_s(r->run), t->utf8));
	room = t->width > t->at + 8 ? t->width - t->at - 1 : 8;
	/* Timelines below each other have the same width, whatever stands behind. */
	columns = format_columns(remark);
	if (columns < REMARK && room > REMARK + BARS_LEAST)
		columns = REMARK;
	/* Where few bars are left in front of it, it stands below all that fit. */
	columns = room > columns + BARS_LEAST ? room - columns : room;
	bars = format_sparkline(values, count, columns < BARS_WIDTH ? columns : BARS_WIDTH,
				t->utf8);
	if (bars != NULL && count > 0) {
		text_style(t, STYLE_BARS);
		fputs(bars, t->out);
		drawn = format_columns(bars);
		t->at += drawn;
		text_style(t, STYLE_PLAIN);
		text_styled(t, STYLE_FAINT, "%s", remark);
	}
	text_end(t);
	free(bars);
	return drawn;
}

/* Which process it was, where and when. All at once: a comma is not put on a line that is
 * full. */
static void say_process(const struct run *run, struct emit_text *t)
{
	char parent[32] = "", day[11], second[9];
	char *host = run->host != NULL ? format_name(run->host, 40, t->utf8) : NULL;
	/* "2026-11-21T13:03:09.007044Z" as people write it. */
	bool dated = sscanf(run->started, "%10[-0-9]T%8[:0-9]", day, second) == 2;

	if (run->ppid > 0)
		snprintf(parent, sizeof(parent), ", child of %d", run->ppid);
	text_say(t, "%d%s%s%s%s%s%s%s%s\n", run->pid, parent, host != NULL ? ", on " : "",
		 host != NULL ? host : "", dated ? ", " : "", dated ? day : "", dated ? " " : "",
		 dated ? second : "", dated ? " UTC" : "");
	free(host);
}

/* As it was typed, as much of it as two lines have room for. */
static char *command_line(const struct report *r, const struct emit_text *t)
{
	const char *unknown[] = {"(unknown program)", NULL};
	const char **word = r->run->command;
	size_t room = r->full ? SIZE_MAX : t->width * 2, length;
	char *text = NULL;
	FILE *out = open_memstream(&text, &length);

	if (r->run->executable != NULL)
		unknown[0] = r->run->executable;
	if (word == NULL || *word == NULL)
		word = unknown;
	for (bool first = true; out != NULL && *word != NULL; word++, first = false) {
		size_t most = room < t->width - 4 || r->full ? room : t->width - 4, width;
		char *safe = room >= 8 ? format_name(**word != '\0' ? *word : "''",
						     r->full ? 0 : most, t->utf8)
				       : NULL;

		fprintf(out, "%s%s", first ? "" : " ", safe != NULL ? safe : "...");
		if (safe == NULL)
			break;
		width = format_columns(safe) + 1;
		room -= width < room ? width : room;
		free(safe);
	}
	if (out != NULL && fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void print_command(struct report *r, struct emit_text *t)
{
	char *line = command_line(r, t);

	text_style(t, STYLE_STRONG);
	if (line != NULL)
		text_wrap(t, line, 0, 2);
	text_style(t, STYLE_PLAIN);
	text_end(t);
	free(line);
}

static void print_end(const struct run *run, struct emit_text *t)
{
	char time[FORMAT_ROOM], name[FORMAT_ROOM];

	text_label(t, "ran");
	text_say(t, "%s, ", format_seconds(time, run->duration_s, t->utf8));
	if (strcmp(run->end, "signal") == 0 && run->status >= 0)
		text_styled(t, STYLE_BAD, "killed by %s (signal %d)",
			    format_signal(name, run->status), run->status);
	else if (strcmp(run->end, "signal") == 0)
		text_styled(t, STYLE_BAD, "killed by a signal");
	else if (strcmp(run->end, "exit") == 0 && run->status >= 0)
		text_styled(t, run->status == 0 ? STYLE_PLAIN : STYLE_WARNING,
			    "exited with status %d", run->status);
	else if (strcmp(run->end, "exit") == 0)
		text_say(t, "exited");
	else if (strcmp(run->end, "exec") == 0)
		text_say(t, "then became another program (exec)");
	else if (strcmp(run->end, "running") == 0)
		text_say(t, "still running when this was read");
	else
		text_styled(t, STYLE_WARNING, "its end was not seen");
	text_end(t);
}

static void print_warning(struct emit_text *t, enum emit_style style, const char *title,
			  const char *text)
{
	text_style(t, style);
	text_label(t, title);
	text_style(t, STYLE_PLAIN);
	text_wrap(t, text, LABEL, LABEL);
	text_end(t);
}

/* Of a tree that may be many: as many as any list, of each kind. */
static void print_notices(struct report *r, struct emit_text *t, bool lost)
{
	size_t most = r->tree != NULL ? r->top : SIZE_MAX, count = 0;

	for (size_t i = 0; i < r->run->notice_count; i++)
		if (r->run->notices[i].lost == lost &&
		    (r->run->notices[i].about == NOTICE_PROGRAM || count++ < most))
			print_warning(t, lost ? STYLE_BAD : STYLE_WARNING,
				      lost ? "LOST" : "not seen", r->run->notices[i].text);
	if (count > most)
		text_styled(t, STYLE_FAINT, "  %*s... %zu more (--top 0 shows all)\n", LABEL - 2,
			    "", count - most);
}

/* Not measured, which is something else than zero. */
static void print_off(const struct run *run, struct emit_text *t)
{
	const char *memory = run->off & RUN_OFF_MEMORY ? ", memory" : "";
	const char *io = run->off & RUN_OFF_IO ? ", io" : "";
	const char *net = run->off & RUN_OFF_NET ? ", net" : "";
	const char *wait = run->off & RUN_OFF_WAIT ? ", wait" : "";
	char names[32], text[128];

	if (run->off == 0)
		return;
	snprintf(names, sizeof(names), "%s%s%s%s", memory, io, net, wait);
	snprintf(text, sizeof(text), "%s (PERFHOOK_EVENTS=%.60s)", names + 2,
		 run->asked_for != NULL ? run->asked_for : "");
	text_styled(t, STYLE_WARNING, "  not recorded  ");
	text_wrap(t, text, LABEL + 2, LABEL + 2);
	text_end(t);
}

/* One trace is not all of a tree: what the others would hold is not below. */
static void print_elsewhere(const struct run *run, struct emit_text *t)
{
	char text[4096 + 96], n[FORMAT_ROOM];

	if (run->fork_count != 0) {
		snprintf(text, sizeof(text),
			 run->fork_count == 1
				 ? "%s process that it started is not in these figures: give its "
				   "trace too"
				 : "%s processes that it started are not in these figures: give "
				   "their traces too",
			 format_count(n, run->fork_count));
		print_warning(t, STYLE_WARNING, "children", text);
	}
	if (run->became != NULL) {
		snprintf(text, sizeof(text),
			 "%s, which is not in these figures: give its trace too", run->became);
		print_warning(t, STYLE_WARNING, "became", text);
	}
}

void text_missing(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;

	if (!run->complete)
		print_warning(t, STYLE_BAD, "INCOMPLETE",
			      r->tree != NULL
				      ? "the figures are of what could be read of the traces"
				      : "the figures are of what could be read of the trace");
	print_notices(r, t, true);
	print_notices(r, t, false);
	print_off(run, t);
	if (r->tree == NULL)
		print_elsewhere(run, t);
}

/* Before any figure: what the figures below do not hold. */
static void print_warnings(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	char n[FORMAT_ROOM], text[160];

	text_missing(r, t);
	if (run->stalled_s > 0) {
		snprintf(text, sizeof(text), "threads waited %s in all for the collector",
			 format_seconds(n, run->stalled_s, t->utf8));
		print_warning(t, STYLE_WARNING, "stalled", text);
	}
}

/* The first process's, through all of its images, and how long the others went on. */
static void print_tree_end(const struct tree *tree, struct emit_text *t)
{
	const struct tree_process *first = &tree->processes[0];
	const struct tree_image *last = &tree->images[first->first_image + first->image_count - 1];
	struct run run = last->run;
	char time[FORMAT_ROOM];

	run.duration_s = last->until_s;
	print_end(&run, t);
	if (tree->run.duration_s > last->until_s * 1.01) {
		text_label(t, "");
		text_say(t, "the last process of the tree ended %s after the start\n",
			 format_seconds(time, tree->run.duration_s, t->utf8));
	}
}

/* What of the run the figures are about. */
/* A space, but at the beginning of a line: there it can be broken. */
static const char *between(const struct emit_text *t)
{
	return t->at > t->hang ? " " : "";
}

static void print_marks(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	char at[FORMAT_ROOM];

	if (run->mark_count == 0)
		return;
	text_label(t, "marks");
	for (size_t i = 0; i < run->mark_count && i < r->top; i++) {
		char *name = format_name(run->marks[i].name, 40, t->utf8);

		text_say(t, "%s%s %s%s", between(t), name != NULL ? name : "?",
			 format_seconds(at, run->marks[i].at_s, t->utf8),
			 i + 1 < run->mark_count ? "," : "");
		free(name);
	}
	if (run->mark_count > r->top)
		text_say(t, " and %zu more", run->mark_count - r->top);
	text_end(t);
}

static void print_patterns(struct emit_text *t, const char *what, const struct patterns *p)
{
	for (size_t i = 0; i < p->count; i++) {
		char *name = format_name(p->list[i], 40, t->utf8);

		text_say(t, "%s%s %s;", between(t), what, name != NULL ? name : "?");
		free(name);
	}
}

static void print_filter(const struct run *run, struct emit_text *t)
{
	const struct run_filter *f = run->view.filter;
	char n[FORMAT_ROOM], of[FORMAT_ROOM];

	if (f == NULL)
		return;
	text_label(t, "filtered");
	print_patterns(t, "thread", &f->threads);
	print_patterns(t, "module", &f->modules);
	if (f->stacks != NULL)
		print_patterns(t, "stack", f->stacks);
	if (f->sized && f->most_bytes == UINT64_MAX)
		text_say(t, "%sfrom %s on;", between(t), format_bytes(n, (double)f->least_bytes));
	else if (f->sized)
		text_say(t, "%s%s to %s;", between(t), format_bytes(n, (double)f->least_bytes),
			 format_bytes(of, (double)f->most_bytes));
	text_styled(t, STYLE_STRONG, " %s of %s are counted\n", format_count(n, run->view.events),
		    format_counted(of, run->view.of_events, "event"));
}

static void print_view(const struct run *run, struct emit_text *t)
{
	char from[FORMAT_ROOM], to[FORMAT_ROOM], span[FORMAT_ROOM];

	print_filter(run, t);
	if (!run->view.windowed)
		return;
	text_label(t, "window");
	text_styled(t, STYLE_STRONG, "%s to %s", format_seconds(from, run->view.from_s, t->utf8),
		    format_seconds(to, run->view.to_s, t->utf8));
	text_say(t, " after the start: only these %s are counted\n",
		 format_seconds(span, run_span_s(run), t->utf8));
}

void text_process(struct report *r, struct emit_text *t)
{
	const struct run *run = r->run;
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	print_command(r, t);
	if (r->tree != NULL)
		print_tree_end(r->tree, t);
	else
		print_end(run, t);
	print_warnings(r, t);
	text_label(t, "process");
	say_process(run, t);
	if (run->executable != NULL) {
		text_label(t, "program");
		text_name(t, run->executable, r->full ? 0 : t->width - LABEL);
		text_end(t);
	}
	print_view(run, t);
	print_marks(r, t);
	text_label(t, r->tree != NULL ? "traces" : "trace");
	if (r->tree != NULL)
		text_say(t, "%s with ", format_count(n, r->tree->image_count));
	text_say(t, "%s in %s\n", format_counted(n, run->events, "event"),
		 format_bytes(bytes, (double)run->trace_bytes));
}

/* Below a timeline of so many columns: where the marks are. */
static void print_marks_below(const struct run *run, struct emit_text *t, size_t columns)
{
	const struct heap *h = &run->heap;
	char *row = malloc(columns + 1);
	size_t at, end = 0;

	if (row == NULL || columns == 0 || h->timeline_count == 0) {
		free(row);
		return;
	}
	memset(row, ' ', columns);
	for (size_t i = 0; i < run->mark_count; i++) {
		const struct mark *m = &run->marks[i];

		if (m->at_s < h->timeline[0].at_s || m->at_s > run_end_s(run))
			continue;
		for (at = 0; at + 1 < h->timeline_count && h->timeline[at + 1].at_s <= m->at_s;)
			at++;
		at = at * columns / h->timeline_count;
		row[at] = '^';
		end = at >= end ? at + 1 : end;
	}
	if (end > 0) {
		text_label(t, "marks");
		text_say(t, "%.*s\n", (int)end, row);
	}
	free(row);
}

static void print_rate(struct report *r, struct emit_text *t, double *values)
{
	const struct heap *h = &r->run->heap;
	char top[FORMAT_ROOM];
	double most = 0;

	for (size_t i = 0; i < h->timeline_count; i++) {
		values[i] = h->timeline[i].allocated_bytes_per_s;
		most = values[i] > most ? values[i] : most;
	}
	text_label(t, "allocating");
	text_timeline(r, t, values, h->timeline_count, format_rate(top, most));
}

static void print_heap_timeline(struct report *r, struct emit_text *t)
{
	const struct heap *h = &r->run->heap;
	double *values = calloc(h->timeline_count + 1, sizeof(*values));
	char top[FORMAT_ROOM];
	size_t columns;

	if (values == NULL || h->timeline_count == 0) {
		free(values);
		return;
	}
	for (size_t i = 0; i < h->timeline_count; i++)
		values[i] = (double)h->timeline[i].live_bytes;
	text_label(t, "over time");
	columns = text_timeline(r, t, values, h->timeline_count,
				format_bytes(top, (double)h->peak_bytes));
	print_marks_below(r->run, t, columns);
	print_rate(r, t, values);
	free(values);
}

static void print_inherited(const struct heap *h, struct emit_text *t)
{
	char a[FORMAT_ROOM], b[FORMAT_ROOM];

	if (h->inherited_blocks > 0) {
		text_label(t, "inherited");
		text_say(t, "%s in %s that its parent had allocated before the fork\n",
			 format_bytes(a, (double)h->inherited_bytes),
			 format_counted(b, h->inherited_blocks, "block"));
	}
}

static void print_shared(const struct heap *h, struct emit_text *t)
{
	char a[FORMAT_ROOM], b[FORMAT_ROOM];

	if (h->inherited_blocks > 0) {
		text_label(t, "shared");
		text_say(t, "%s in %s that forks left to children, counted in the parents only\n",
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
	text_say(t, " in %s, %s after the start\n", format_counted(b, h->peak_blocks, "block"),
		 format_seconds(c, h->peak_at_s, t->utf8));
	if (h->peak_uncertainty_bytes > 0) {
		text_label(t, "");
		text_say(t,
			 r->tree != NULL ? "up to %s more at another moment: the order of "
					   "processes' events\n"
					 : "up to %s more or less: the order of threads' events\n",
			 format_bytes(a, (double)h->peak_uncertainty_bytes));
	}
	print_heap_timeline(r, t);
	text_label(t, "at the end");
	text_say(t, "%s live in %s%s\n", format_bytes(a, (double)h->live_bytes),
		 format_counted(b, h->live_blocks, "block"),
		 r->tree != NULL ? ", each process's at its end" : "");
	if (h->older_live_blocks > 0) {
		text_label(t, "");
		text_say(t, "of these %s in %s from before the window\n",
			 format_bytes(a, (double)h->older_live_bytes),
			 format_counted(b, h->older_live_blocks, "block"));
	}
	text_label(t, "allocated");
	text_say(t, "%s by %s; %s\n", format_bytes(a, (double)h->allocated_bytes),
		 format_counted(b, h->allocations, "allocation"),
		 format_counted(c, h->frees, "free"));
	text_label(t, "temporary");
	text_say(t, "%s (%s) freed before their thread's next one\n",
		 format_counted(a, h->temporary_allocations, "allocation"),
		 format_percent(b, (double)h->temporary_allocations, (double)h->allocations));
	if (r->tree != NULL)
		print_shared(h, t);
	else
		print_inherited(h, t);
	if (h->mappings > 0 && h->mapped_peak_unknown) {
		text_label(t, "mapped");
		text_say(t, "%s at the end, apart from the heap, by %s\n",
			 format_bytes(a, (double)h->mapped_bytes),
			 format_counted(b, h->mappings, "mapping"));
	} else if (h->mappings > 0) {
		text_label(t, "mapped");
		text_say(t, "%s at most, apart from the heap, by %s\n",
			 format_bytes(a, (double)h->mapped_peak_bytes),
			 format_counted(b, h->mappings, "mapping"));
	}
}

static void unknown_cells(struct text_row *row, size_t first, size_t count, bool unknown)
{
	for (size_t i = first; unknown && i < first + count; i++)
		snprintf(row->cells[i], TABLE_CELL, "-");
}

static void thread_row(struct text_table *table, const struct thread *th, unsigned off, bool utf8)
{
	struct text_row *row = table_row(table, th->name != NULL ? th->name : "(no name)");

	if (row == NULL)
		return;
	if (th->pid != 0)
		snprintf(row->cells[0], TABLE_CELL, "%d", th->pid);
	snprintf(row->cells[1], TABLE_CELL, "%d", th->tid);
	format_count(row->cells[2], th->allocations);
	format_bytes(row->cells[3], (double)th->allocated_bytes);
	format_bytes(row->cells[4], (double)(th->read_bytes + th->written_bytes));
	format_seconds(row->cells[5], th->reading_s + th->writing_s, utf8);
	format_bytes(row->cells[6], (double)(th->sent_bytes + th->received_bytes));
	format_seconds(row->cells[7], th->network_s, utf8);
	unknown_cells(row, 2, 2, off & RUN_OFF_MEMORY);
	unknown_cells(row, 4, 2, off & RUN_OFF_IO);
	unknown_cells(row, 6, 2, off & RUN_OFF_NET);
}

static uint64_t thread_bytes(const struct thread *th)
{
	return th->allocated_bytes + th->read_bytes + th->written_bytes + th->sent_bytes +
	       th->received_bytes;
}

static int by_work(const void *a, const void *b)
{
	const struct thread *x = *(const struct thread *const *)a;
	const struct thread *y = *(const struct thread *const *)b;

	if (thread_bytes(x) != thread_bytes(y))
		return thread_bytes(x) < thread_bytes(y) ? 1 : -1;
	return x < y ? -1 : x > y;
}

static bool is_sibling(const struct thread *a, const struct thread *b)
{
	return a->pid == b->pid && a->tid != b->tid;
}

/* Of a tree those of processes that have several, busiest first: a process's only
 * one does what stands under PROCESSES. Malloc'ed. */
static const struct thread **choose_threads(struct report *r, size_t *count)
{
	const struct run *run = r->run;
	const struct thread **chosen = calloc(run->thread_count + 1, sizeof(const struct thread *));

	*count = 0;
	for (size_t i = 0; chosen != NULL && i < run->thread_count; i++) {
		const struct thread *th = &run->threads[i];
		if (r->tree == NULL || (i > 0 && is_sibling(th - 1, th)) ||
		    (i + 1 < run->thread_count && is_sibling(th, th + 1)))
			chosen[(*count)++] = th;
	}
	if (chosen != NULL && r->tree != NULL)
		qsort((void *)chosen, *count, sizeof(*chosen), by_work);
	return chosen;
}

void text_threads(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"pid", "tid", "allocs", "bytes", "file io", "time", "network", "time"},
		.columns = 8,
		.name_header = "thread",
	};
	size_t count;
	const struct thread **chosen = choose_threads(r, &count);

	if (count > 0) {
		text_heading(t, "THREADS", NULL);
		text_thread_times(r, t, chosen, count);
	}
	if (count >= 2) {
		text_end(t);
		for (size_t i = 0; i < count && i < r->top; i++)
			thread_row(&table, chosen[i], r->run->off, t->utf8);
		table_print(t, &table);
		table_free(&table);
		text_more(r, t, count, "threads");
	}
	free((void *)chosen);
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
		text_end(t);
	}
	text_more(r, t, r->nameless_count, "modules");
	text_wrap(
		t,
		"  Give the files with --sysroot DIR, or their debug files with --debug-path DIR.",
		0, 2);
	text_end(t);
}
