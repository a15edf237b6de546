/* SPDX-License-Identifier: MIT */
/* A report as text: files. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "analyzer/report_text_io.h"
#include "trace/format.h"

void text_traffic(struct emit_text *t, const struct traffic *total, const char *in, const char *out)
{
	char bytes[FORMAT_ROOM], calls[FORMAT_ROOM], time[FORMAT_ROOM];

	text_label(t, in);
	text_say(t, "%s in %s, %s\n", format_bytes(bytes, (double)total->read_bytes),
		 format_counted(calls, total->read_calls, "call"),
		 format_seconds(time, total->read_time_s, t->utf8));
	text_label(t, out);
	text_say(t, "%s in %s, %s\n", format_bytes(bytes, (double)total->written_bytes),
		 format_counted(calls, total->write_calls, "call"),
		 format_seconds(time, total->write_time_s, t->utf8));
	if (total->sync_calls > 0) {
		text_label(t, "synced");
		text_say(t, "%s, %s\n", format_counted(calls, total->sync_calls, "call"),
			 format_seconds(time, total->sync_time_s, t->utf8));
	}
	if (total->errors > 0) {
		text_label(t, "errors");
		text_styled(t, STYLE_WARNING, "%s failed\n",
			    format_counted(calls, total->errors, "call"));
	}
}

void text_rates(struct report *r, struct emit_text *t, const struct io *io)
{
	double *values = calloc(io->timeline_count + 1, sizeof(*values)), top = 0;
	char rate[FORMAT_ROOM];

	if (values == NULL || io->timeline_count == 0) {
		free(values);
		return;
	}
	for (size_t i = 0; i < io->timeline_count; i++) {
		values[i] = io->timeline[i].read_bytes_per_s + io->timeline[i].written_bytes_per_s;
		if (values[i] > top)
			top = values[i];
	}
	text_label(t, "over time");
	text_timeline(r, t, values, io->timeline_count, format_rate(rate, top));
	free(values);
}

/* Columns of calls, errors, rate and latency, the same for files and connections. */
void traffic_cells(struct text_row *row, size_t c, const struct traffic *t, double span, bool utf8)
{
	const struct latency *l = &t->latency;
	const double latencies[] = {l->p50, l->p99, l->max};
	uint64_t bytes = t->read_bytes + t->written_bytes;

	format_count(row->cells[c++], t->read_calls + t->write_calls);
	if (t->errors > 0)
		format_count(row->cells[c], t->errors);
	c++;
	format_rate(row->cells[c++], span > 0 ? (double)bytes / span : (double)NAN);
	for (size_t i = 0; i < 3; i++)
		format_seconds(row->cells[c++], l->count > 0 ? latencies[i] * US : (double)NAN,
			       utf8);
}

/* The direction with more bytes. */
static const struct access *main_access(const struct file *f)
{
	if (f->access == NULL)
		return NULL;
	return f->traffic.read_bytes >= f->traffic.written_bytes ? &f->access->read
								 : &f->access->written;
}

static void access_cells(struct text_row *row, size_t c, const struct file *f)
{
	const struct access *a = main_access(f);
	const char *pattern = a != NULL ? access_pattern(a) : NULL;
	uint64_t calls = 0, tiny = 0;

	if (f->access != NULL) {
		calls = f->access->read.calls + f->access->written.calls;
		tiny = f->access->read.tiny + f->access->written.tiny;
	}
	if (calls > 0)
		snprintf(row->cells[c], TABLE_CELL, "%.0f%%", 100 * (double)tiny / (double)calls);
	if (pattern != NULL)
		snprintf(row->cells[c + 1], TABLE_CELL, "%s", pattern);
}

/* Not only looked at or sought. */
static bool was_used(const struct file *f)
{
	return f->opens != 0 || f->traffic.read_calls != 0 || f->traffic.write_calls != 0 ||
	       f->traffic.sync_calls != 0 || f->traffic.time_s > 0;
}

static size_t count_used(const struct run *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->file_count; i++)
		n += was_used(&run->files[i]);
	return n;
}

static void file_row(struct text_table *table, const struct file *f, bool utf8)
{
	struct text_row *row = table_row(table, f->path != NULL ? f->path : "(unknown)");

	if (row == NULL)
		return;
	format_bytes(row->cells[0], (double)f->traffic.read_bytes);
	format_bytes(row->cells[1], (double)f->traffic.written_bytes);
	traffic_cells(row, 2, &f->traffic, f->last_at_s - f->first_at_s, utf8);
	access_cells(row, 8, f);
}

static void print_files(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"read", "written", "calls", "failed", "rate", "p50", "p99", "max",
			    "tiny", "pattern"},
		.columns = 10,
		.name_header = "file",
		.spare = {5, 8, 4},
	};

	for (size_t i = 0; i < r->run->file_count && table.count < r->top; i++)
		if (was_used(&r->run->files[i]))
			file_row(&table, &r->run->files[i], t->utf8);
	if (table.count > 0)
		table_print(t, &table);
	table_free(&table);
	text_more(r, t, count_used(r->run), "files");
}

static void print_metadata(struct emit_text *t, const struct run *run)
{
	uint64_t calls = 0, errors = 0;
	char x[FORMAT_ROOM], y[FORMAT_ROOM];
	double time_s = 0;

	for (size_t i = 0; i < run->function_count; i++) {
		const struct io_function *f = &run->functions[i].of;

		if (f->kind != PH_KIND_META)
			continue;
		calls += f->calls;
		errors += f->errors;
		time_s += f->time_s;
	}
	if (calls == 0)
		return;
	text_label(t, "metadata");
	text_say(t, "%s, %s", format_counted(x, calls, "call"), format_seconds(y, time_s, t->utf8));
	if (errors > 0)
		text_say(t, ", %s failed", format_count(x, errors));
	text_end(t);
}

void text_io(struct report *r, struct emit_text *t)
{
	text_heading(t, "FILES", NULL);
	if (count_used(r->run) == 0 && r->run->io.total.read_calls == 0 &&
	    r->run->io.total.write_calls == 0) {
		text_say(t, "  no reads or writes were seen\n");
		return;
	}
	text_traffic(t, &r->run->io.total, "read", "written");
	print_metadata(t, r->run);
	text_rates(r, t, &r->run->io);
	print_files(r, t);
}

/* ---- one file ------------------------------------------------------------------- */

#define DETAIL 16 /* where a line's text begins, after its label */
#define NARROW 60 /* columns: its next line begins before */

static void begin_detail(struct emit_text *t, const char *label)
{
	text_styled(t, STYLE_FAINT, "      %-9s ", label);
	t->hang = t->width < NARROW ? 8 : DETAIL;
}

void detail_begin(struct detail *d)
{
	*d = (struct detail){.text = NULL};
	d->out = open_memstream(&d->text, &d->length);
}

void detail_end(struct emit_text *t, const char *label, struct detail *d)
{
	if (d->out != NULL && fclose(d->out) == 0) {
		begin_detail(t, label);
		text_wrap(t, d->text, t->at, t->hang);
		text_end(t);
	}
	free(d->text);
}

void text_percentiles(struct emit_text *t, const char *label, const struct latency *l)
{
	const struct {
		const char *name;
		double value;
	} all[] = {{"p50", l->p50}, {"p75", l->p75}, {"p90", l->p90},
		   {"p95", l->p95}, {"p99", l->p99}, {"max", l->max}};
	char text[FORMAT_ROOM];
	struct detail d;

	if (l->count == 0)
		return;
	detail_begin(&d);
	for (size_t i = 0; d.out != NULL && i < sizeof(all) / sizeof(*all); i++)
		fprintf(d.out, "%s%s %s", i > 0 ? ", " : "", all[i].name,
			format_seconds(text, all[i].value * US, t->utf8));
	detail_end(t, label, &d);
}

static void say_access(FILE *out, const struct access *a)
{
	const char *pattern = access_pattern(a);
	char x[FORMAT_ROOM], y[FORMAT_ROOM];

	fprintf(out, "%s", format_counted(x, a->calls, "call"));
	if (pattern != NULL)
		fprintf(out, ", %s (%s consecutive, %s sequential)", pattern,
			format_percent(x, (double)a->consecutive, (double)a->steps),
			format_percent(y, (double)a->sequential, (double)a->steps));
	if (a->appended > 0)
		fprintf(out, ", %s appended", format_count(x, a->appended));
	if (a->tiny > 0)
		fprintf(out, ", %s tiny", format_percent(x, (double)a->tiny, (double)a->calls));
	if (a->unaligned > 0)
		fprintf(out, ", %s unaligned",
			format_percent(x, (double)a->unaligned, (double)a->located));
	if (!a->again_unknown && a->again_bytes > 0)
		fprintf(out, ", %s again", format_bytes(x, (double)a->again_bytes));
}

static void say_sizes(FILE *out, const struct access *a)
{
	char size[FORMAT_ROOM], calls[FORMAT_ROOM];
	const char *between = "";

	for (unsigned i = 0; i < ACCESS_SIZES; i++) {
		if (a->sizes[i] == 0)
			continue;
		format_count(calls, a->sizes[i]);
		if (access_size_limits[i] != UINT64_MAX)
			fprintf(out, "%s%s up to %s", between, calls,
				format_bytes(size, (double)(access_size_limits[i] - 1)));
		else
			fprintf(out, "%s%s above", between, calls);
		between = ", ";
	}
}

static void print_access(struct emit_text *t, const char *label, const struct access *a)
{
	struct detail d;

	if (a->calls == 0)
		return;
	detail_begin(&d);
	if (d.out != NULL)
		say_access(d.out, a);
	detail_end(t, label, &d);
	detail_begin(&d);
	if (d.out != NULL)
		say_sizes(d.out, a);
	detail_end(t, "sizes", &d);
}

static void say_functions(FILE *out, const struct io_facts *f, bool utf8)
{
	char calls[FORMAT_ROOM], time[FORMAT_ROOM];

	for (size_t i = 0; i < f->function_count; i++)
		fprintf(out, "%s%s %s in %s", i > 0 ? ", " : "",
			format_count(calls, f->functions[i].calls), f->functions[i].name,
			format_seconds(time, f->functions[i].time_s, utf8));
}

static void say_errors(FILE *out, const struct io_facts *f)
{
	char calls[FORMAT_ROOM];

	for (size_t i = 0; i < f->error_count; i++) {
		const char *name = strerrorname_np(f->errors[i].number);

		fprintf(out, "%s%s %s", i > 0 ? ", " : "", format_count(calls, f->errors[i].calls),
			name != NULL ? name : "?");
	}
}

void text_facts(struct emit_text *t, const struct io_facts *f)
{
	struct detail d;

	if (f->function_count > 0) {
		detail_begin(&d);
		if (d.out != NULL)
			say_functions(d.out, f, t->utf8);
		detail_end(t, "calls", &d);
	}
	if (f->error_count > 0) {
		detail_begin(&d);
		if (d.out != NULL)
			say_errors(d.out, f);
		detail_end(t, "errors", &d);
	}
}

static void say_opens(FILE *out, const struct file *f, bool utf8)
{
	char x[FORMAT_ROOM];

	fprintf(out, "%s", format_counted(x, f->opens, "time"));
	if (f->failed_opens > 0)
		fprintf(out, ", %s failed", format_counted(x, f->failed_opens, "time"));
	if (f->closes == 0)
		return;
	fprintf(out, ", closed %s", format_counted(x, f->closes, "time"));
	fprintf(out, ", open for %s", format_seconds(x, f->open_s, utf8));
	fprintf(out, ", %s at most", format_seconds(x, f->open_longest_s, utf8));
}

static void print_opens(struct emit_text *t, const struct file *f)
{
	struct detail d;

	if (f->opens == 0 && f->failed_opens == 0)
		return;
	detail_begin(&d);
	if (d.out != NULL)
		say_opens(d.out, f, t->utf8);
	detail_end(t, "opened", &d);
}

static void print_slices(struct report *r, struct emit_text *t, const struct file_access *a)
{
	double values[FILE_SLICES] = {0}, top = 0;
	char rate[FORMAT_ROOM];

	for (size_t i = 0; i < a->timeline_count && i < FILE_SLICES; i++) {
		values[i] = a->timeline[i].read_bytes_per_s + a->timeline[i].written_bytes_per_s;
		top = fmax(top, values[i]);
	}
	if (a->timeline_count < 2)
		return;
	begin_detail(t, "over time");
	text_timeline(r, t, values, a->timeline_count, format_rate(rate, top));
}

#define STACKS_SHOWN 3
#define TIME_SHOWN   0.8 /* of the time: what took the rest is left out */

/* Each stack with what it did. */
void text_top_stacks(struct report *r, struct emit_text *t, const struct io_facts *f)
{
	char calls[FORMAT_ROOM], bytes[FORMAT_ROOM], time[FORMAT_ROOM];
	struct shown_stacks shown = {.count = 0};
	double all_s = 0, shown_s = 0;

	for (size_t i = 0; i < f->stack_count; i++)
		all_s += f->stacks[i].time_s;
	for (size_t i = 0; i < f->stack_count; i++) {
		const struct io_stack *s = &f->stacks[i];

		if (!r->full && i > 0 && (i >= STACKS_SHOWN || shown_s >= TIME_SHOWN * all_s))
			break;
		shown_s += s->time_s;
		if (s->node == 0)
			continue;
		text_indent(t, 6);
		text_say(t, "%s %s, %s, %s\n", format_count(calls, s->calls), s->function,
			 format_bytes(bytes, (double)s->bytes),
			 format_seconds(time, s->time_s, t->utf8));
		text_listed_stack(r, t, &shown, 0, s->node, 8);
	}
	shown_stacks_free(&shown);
}

static void print_file(struct report *r, struct emit_text *t, const struct file *f)
{
	const struct file_access *a = f->access;

	fputs("  ", t->out);
	text_style(t, STYLE_STRONG);
	text_name(t, f->path, r->full ? 0 : t->width - 2);
	text_style(t, STYLE_PLAIN);
	text_end(t);
	print_opens(t, f);
	if (a != NULL) {
		print_access(t, "read", &a->read);
		print_access(t, "written", &a->written);
	}
	text_percentiles(t, "latency", &f->traffic.latency);
	if (a != NULL)
		text_percentiles(t, "syncs", &a->sync_latency);
	text_facts(t, &f->facts);
	if (a != NULL)
		print_slices(r, t, a);
	text_top_stacks(r, t, &f->facts);
}

void text_file_details(struct report *r, struct emit_text *t)
{
	if (r->run->file_count == 0)
		return;
	text_heading(t, "EACH FILE", "the stacks with most time in it below");
	for (size_t i = 0; i < r->run->file_count && i < r->top; i++)
		print_file(r, t, &r->run->files[i]);
	text_more(r, t, r->run->file_count, "files and names");
}

/* ---- all files ------------------------------------------------------------------ */

void text_folders(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"read", "written", "calls", "failed", "rate", "p50", "p99", "max",
			    "files", "names"},
		.columns = 10,
		.name_header = "directory and below",
		.spare = {8, 4},
	};

	if (r->run->folder_count < 2)
		return;
	text_heading(t, "DIRECTORIES", NULL);
	for (size_t i = 0; i < r->run->folder_count && i < r->top; i++) {
		const struct folder *f = &r->run->folders[i];
		struct text_row *row = table_row(&table, f->path);

		if (row == NULL)
			break;
		format_bytes(row->cells[0], (double)f->traffic.read_bytes);
		format_bytes(row->cells[1], (double)f->traffic.written_bytes);
		traffic_cells(row, 2, &f->traffic, 0, t->utf8);
		row->cells[4][0] = '\0'; /* files have spans of their own */
		format_count(row->cells[8], f->files);
		if (f->metadata_calls > 0)
			format_count(row->cells[9], f->metadata_calls);
	}
	table_print(t, &table);
	table_free(&table);
	text_more(r, t, r->run->folder_count, "directories");
}

void text_functions(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"calls", "failed", "bytes", "time", "p50", "p99", "max"},
		.columns = 7,
		.name_header = "function",
	};

	if (r->run->function_count == 0)
		return;
	text_heading(t, "FUNCTIONS", "on files and connections");
	for (size_t i = 0; i < r->run->function_count && i < r->top; i++) {
		const struct io_function *f = &r->run->functions[i].of;
		const struct latency *l = &r->run->functions[i].latency;
		struct text_row *row = table_row(&table, f->name);

		if (row == NULL)
			break;
		format_count(row->cells[0], f->calls);
		if (f->errors > 0)
			format_count(row->cells[1], f->errors);
		if (f->bytes > 0)
			format_bytes(row->cells[2], (double)f->bytes);
		format_seconds(row->cells[3], f->time_s, t->utf8);
		format_seconds(row->cells[4], l->p50 * US, t->utf8);
		format_seconds(row->cells[5], l->p99 * US, t->utf8);
		format_seconds(row->cells[6], l->max * US, t->utf8);
	}
	table_print(t, &table);
	table_free(&table);
	text_more(r, t, r->run->function_count, "functions");
}
