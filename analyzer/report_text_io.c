/* SPDX-License-Identifier: MIT */
/* A report as text: files and connections. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define US 1e-6

static void print_traffic(struct emit_text *t, const struct traffic *total, const char *in,
			  const char *out)
{
	char bytes[FORMAT_ROOM], calls[FORMAT_ROOM], time[FORMAT_ROOM];

	text_label(t, in);
	fprintf(t->out, "%s in %s, %s\n", format_bytes(bytes, (double)total->read_bytes),
		format_counted(calls, total->read_calls, "call"),
		format_seconds(time, total->read_time_s, t->utf8));
	text_label(t, out);
	fprintf(t->out, "%s in %s, %s\n", format_bytes(bytes, (double)total->written_bytes),
		format_counted(calls, total->write_calls, "call"),
		format_seconds(time, total->write_time_s, t->utf8));
	if (total->sync_calls > 0) {
		text_label(t, "synced");
		fprintf(t->out, "%s, %s\n", format_counted(calls, total->sync_calls, "call"),
			format_seconds(time, total->sync_time_s, t->utf8));
	}
	if (total->errors > 0) {
		text_label(t, "errors");
		text_styled(t, STYLE_WARNING, "%s failed\n",
			    format_counted(calls, total->errors, "call"));
	}
}

static void print_rates(struct report *r, struct emit_text *t, const struct io *io)
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
static void traffic_cells(struct text_row *row, size_t c, const struct traffic *t, double span,
			  bool utf8)
{
	const struct latency *l = &t->latency;
	const double latencies[] = {l->p50, l->p95, l->p99, l->max};
	uint64_t bytes = t->read_bytes + t->written_bytes;

	format_count(row->cells[c++], t->read_calls + t->write_calls);
	if (t->errors > 0)
		format_count(row->cells[c], t->errors);
	c++;
	format_rate(row->cells[c++], span > 0 ? (double)bytes / span : (double)NAN);
	for (size_t i = 0; i < 4; i++)
		format_seconds(row->cells[c++], l->count > 0 ? latencies[i] * US : (double)NAN,
			       utf8);
}

static void print_files(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"read", "written", "calls", "failed", "rate", "p50", "p95", "p99",
			    "max"},
		.columns = 9,
		.name_header = "file",
	};

	for (size_t i = 0; i < r->run->file_count && i < r->top; i++) {
		const struct file *f = &r->run->files[i];
		struct text_row *row = table_row(&table, f->path != NULL ? f->path : "(unknown)");

		if (row == NULL)
			break;
		format_bytes(row->cells[0], (double)f->traffic.read_bytes);
		format_bytes(row->cells[1], (double)f->traffic.written_bytes);
		traffic_cells(row, 2, &f->traffic, f->last_at_s - f->first_at_s, t->utf8);
	}
	if (table.count > 0)
		table_print(t, &table);
	table_free(&table);
	text_more(r, t, r->run->file_count, "files");
}

void text_io(struct report *r, struct emit_text *t)
{
	text_heading(t, "FILES", NULL);
	if (r->run->file_count == 0 && r->run->io.total.read_calls == 0 &&
	    r->run->io.total.write_calls == 0) {
		fputs("  no reads or writes were seen (those that stdio makes inside libc are "
		      "not)\n",
		      t->out);
		return;
	}
	print_traffic(t, &r->run->io.total, "read", "written");
	print_rates(r, t, &r->run->io);
	print_files(r, t);
}

/* Family, type and both ends, as far as they are known, and of a tree whose it is.
 * Malloc'ed. */
static char *connection_name(const struct connection *c)
{
	const char *by = c->opened_by != NULL ? c->opened_by : "";
	const char *arrow = strcmp(by, "accept") == 0 ? " <- " : " -> ";
	const char *peer = c->peers > 1 ? "several" : c->peer;
	const char *end = c->connect_errno != 0		       ? ", failed"
			  : c->listening		       ? "listening"
			  : c->closed_by == NULL	       ? ""
			  : strcmp(c->closed_by, "reset") == 0 ? ", reset"
			  : strcmp(c->closed_by, "peer") == 0  ? ", closed by peer"
							       : "";
	char whose[16] = "", *name = NULL;

	if (c->pid != 0)
		snprintf(whose, sizeof(whose), "%d ", c->pid);
	if (asprintf(&name, "%sfd %d %s%s%s%s%s%s%s%s%s%s", whose, c->fd,
		     c->family != NULL ? c->family : "socket", c->type != NULL ? " " : "",
		     c->type != NULL ? c->type : "", c->local != NULL ? " " : "",
		     c->local != NULL ? c->local : "", peer != NULL ? arrow : "",
		     peer != NULL ? peer : "", *by != '\0' || c->listening ? " " : "", by, end) < 0)
		return NULL;
	return name;
}

static void connection_row(struct text_table *table, const struct connection *c, const char *name,
			   const struct run *run, bool utf8)
{
	struct text_row *row = table_row(table, name);
	double end = c->pid != 0 ? c->until_s : run->duration_s;
	double closed = isnan(c->closed_at_s) ? end : c->closed_at_s;

	if (row == NULL)
		return;
	format_bytes(row->cells[0], (double)c->traffic.written_bytes);
	format_bytes(row->cells[1], (double)c->traffic.read_bytes);
	traffic_cells(row, 2, &c->traffic, closed - c->opened_at_s, utf8);
}

static void print_connections(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"sent", "received", "calls", "failed", "rate", "p50", "p95", "p99",
			    "max"},
		.columns = 9,
		.name_header = "connection",
	};
	size_t count = r->connection_count < r->top ? r->connection_count : r->top;
	char **names = calloc(count + 1, sizeof(*names));

	for (size_t i = 0; names != NULL && i < count; i++) {
		names[i] = connection_name(r->connections[i]);
		if (names[i] != NULL)
			connection_row(&table, r->connections[i], names[i], r->run, t->utf8);
	}
	if (table.count > 0)
		table_print(t, &table);
	table_free(&table);
	for (size_t i = 0; names != NULL && i < count; i++)
		free(names[i]);
	free(names);
	text_more(r, t, r->connection_count, "connections");
}

void text_sockets(struct report *r, struct emit_text *t)
{
	const struct traffic *total = &r->run->sockets.total;

	if (r->connection_count == 0 && total->read_calls == 0 && total->write_calls == 0)
		return;
	text_heading(t, "NETWORK", NULL);
	print_traffic(t, total, "received", "sent");
	print_rates(r, t, &r->run->sockets);
	print_connections(r, t);
}

static void print_top_stack(struct report *r, struct emit_text *t, const char *name, uint32_t node)
{
	fputs("  ", t->out);
	text_name(t, name, r->full ? 0 : t->width - 2);
	fputc('\n', t->out);
	text_stack(r, t, node, 8);
}

/* Where the time goes: of each file and connection, the stack with most of it. */
void text_stacks(struct report *r, struct emit_text *t)
{
	if (r->run->file_count == 0 && r->connection_count == 0)
		return;
	text_heading(t, "WHO WAITS FOR THEM", "the stack with most time in each");
	for (size_t i = 0; i < r->run->file_count && i < r->top; i++)
		if (r->run->files[i].top_node != 0)
			print_top_stack(r, t, r->run->files[i].path, r->run->files[i].top_node);
	for (size_t i = 0; i < r->connection_count && i < r->top; i++) {
		char *name = connection_name(r->connections[i]);

		if (r->connections[i]->top_node != 0 && name != NULL)
			print_top_stack(r, t, name, r->connections[i]->top_node);
		free(name);
	}
}
