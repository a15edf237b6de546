/* SPDX-License-Identifier: MIT */
/* A report as text: connections. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "analyzer/report_text_io.h"

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
	double opened =
		run->view.windowed ? fmax(c->opened_at_s, run->view.from_s) : c->opened_at_s;
	double end = run->view.windowed ? run->view.to_s
		     : c->pid != 0	? c->until_s
					: run->duration_s;
	double closed = isnan(c->closed_at_s) ? end : fmin(c->closed_at_s, end);

	if (row == NULL)
		return;
	format_bytes(row->cells[0], (double)c->traffic.written_bytes);
	format_bytes(row->cells[1], (double)c->traffic.read_bytes);
	traffic_cells(row, 2, &c->traffic, closed - opened, utf8);
	if (c->turns == 0)
		return;
	format_count(row->cells[8], c->turns);
	format_seconds(row->cells[9], c->turn_latency.p50 * US, utf8);
}

/* "to 10.0.0.2:80 (db)", "at port 8080". Malloc'ed. */
static char *endpoint_name(const struct endpoint *e)
{
	const char *side = e->side != NULL ? e->side : "";
	bool accepts = strcmp(side, "accept") == 0;
	char *name = NULL;

	if (asprintf(&name, "%s %s%s%s%s%s%s", accepts ? "at" : "to", e->name,
		     e->host != NULL ? " (" : "", e->host != NULL ? e->host : "",
		     e->host != NULL ? ")" : "", e->type != NULL ? ", " : "",
		     e->type != NULL ? e->type : "") < 0)
		return NULL;
	return name;
}

static void endpoint_row(struct text_table *table, const struct endpoint *e, const char *name,
			 bool utf8)
{
	struct text_row *row = table_row(table, name);

	if (row == NULL)
		return;
	format_count(row->cells[0], e->connections);
	format_count(row->cells[1], e->most_open);
	format_bytes(row->cells[2], (double)e->traffic.written_bytes);
	format_bytes(row->cells[3], (double)e->traffic.read_bytes);
	format_count(row->cells[4], e->traffic.read_calls + e->traffic.write_calls);
	if (e->traffic.errors + e->failed > 0)
		format_count(row->cells[5], e->traffic.errors + e->failed);
	if (e->reset > 0)
		format_count(row->cells[6], e->reset);
	if (e->turns > 0) {
		format_count(row->cells[7], e->turns);
		format_seconds(row->cells[8], e->turn_latency.p50 * US, utf8);
		format_seconds(row->cells[9], e->turn_latency.p99 * US, utf8);
	}
	if (e->open_s > 0)
		format_percent(row->cells[10], e->idle_s, e->open_s);
}

static void print_endpoints(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"conns", "at once", "sent", "received", "calls", "failed", "reset",
			    "turns", "turn p50", "p99", "idle"},
		.columns = 11,
		.name_header = "peer or port",
		.spare = {5, 7, 10, 2, 6},
	};
	size_t count = r->run->endpoint_count < r->top ? r->run->endpoint_count : r->top;
	char **names = calloc(count + 1, sizeof(*names));

	for (size_t i = 0; names != NULL && i < count; i++) {
		names[i] = endpoint_name(&r->run->endpoints[i]);
		if (names[i] != NULL)
			endpoint_row(&table, &r->run->endpoints[i], names[i], t->utf8);
	}
	if (table.count > 0)
		table_print(t, &table);
	table_free(&table);
	for (size_t i = 0; names != NULL && i < count; i++)
		free(names[i]);
	free(names);
	text_more(r, t, r->run->endpoint_count, "peers and ports");
}

static void print_connections(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"sent", "received", "calls", "failed", "rate", "p50", "p99", "max",
			    "turns", "turn p50"},
		.columns = 10,
		.name_header = "connection",
		.spare = {5, 8, 4},
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
	text_traffic(t, total, "received", "sent");
	text_rates(r, t, &r->run->sockets);
	print_endpoints(r, t);
}

static void say_opening(FILE *out, const struct connection *c, bool utf8)
{
	bool accepted = !isnan(c->accept_s);
	char x[FORMAT_ROOM];

	if (c->peer_name != NULL)
		fprintf(out, "%s, ", c->peer_name);
	fprintf(out, "%s took %s", accepted ? "accept" : "connect",
		format_seconds(x, accepted ? c->accept_s : c->connect_s, utf8));
	fprintf(out, ", first byte after %s", format_seconds(x, c->first_byte_s, utf8));
	fprintf(out, ", idle for %s", format_seconds(x, c->idle_s, utf8));
}

static void print_connection(struct report *r, struct emit_text *t, const struct connection *c,
			     const char *name)
{
	struct detail d;

	fputs("  ", t->out);
	text_style(t, STYLE_STRONG);
	text_wrap(t, name, 2, 4);
	text_style(t, STYLE_PLAIN);
	text_end(t);
	if (!isnan(c->accept_s) || !isnan(c->connect_s) || !isnan(c->first_byte_s)) {
		detail_begin(&d);
		if (d.out != NULL)
			say_opening(d.out, c, t->utf8);
		detail_end(t, "opened", &d);
	}
	text_percentiles(t, "turns", &c->turn_latency);
	text_percentiles(t, "latency", &c->traffic.latency);
	text_facts(t, &c->facts);
	text_top_stacks(r, t, &c->facts);
}

void text_connections(struct report *r, struct emit_text *t)
{
	if (r->connection_count == 0)
		return;
	text_heading(t, "EACH CONNECTION", NULL);
	print_connections(r, t);
	for (size_t i = 0; i < r->connection_count && i < r->top; i++) {
		char *name = connection_name(r->connections[i]);

		if (name != NULL && r->connections[i]->facts.stack_count != 0)
			print_connection(r, t, r->connections[i], name);
		free(name);
	}
}

void text_resolved(struct report *r, struct emit_text *t)
{
	struct text_table table = {
		.headers = {"calls", "failed", "time", "gave"},
		.columns = 4,
		.name_header = "name",
		.keep_heads = true,
	};

	if (r->run->resolved_count == 0)
		return;
	text_heading(t, "NAMES", "that were resolved");
	for (size_t i = 0; i < r->run->resolved_count && i < r->top; i++) {
		const struct resolved *n = &r->run->resolved[i];
		struct text_row *row = table_row(&table, n->name);

		if (row == NULL)
			break;
		format_count(row->cells[0], n->calls);
		if (n->errors > 0)
			format_count(row->cells[1], n->errors);
		format_seconds(row->cells[2], n->time_s, t->utf8);
		if (n->addresses != NULL)
			snprintf(row->cells[3], TABLE_CELL, "%s", n->addresses);
	}
	table_print(t, &table);
	table_free(&table);
	text_more(r, t, r->run->resolved_count, "names");
}
