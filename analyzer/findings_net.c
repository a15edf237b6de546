/* SPDX-License-Identifier: MIT */
/* Findings about connections. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/findings.h"
#include "analyzer/findings_habits.h"
#include "analyzer/format_text.h"

static bool is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* ---- round trips ---------------------------------------------------------------- */

static void round_trips(struct finder *f, const struct habit_group *g)
{
	const struct habit *sum = &g->sum;
	double count = (double)sum->count;
	char n[FORMAT_ROOM], asked[FORMAT_ROOM], answered[FORMAT_ROOM];
	struct finding *to;

	if (count < finding_limit(f, ROUND_TRIPS))
		return;
	to = finding_add(f, g->top->node, sum->ns / 1e9 * (1 - (double)sum->series / count),
			 arena_print(f->arena,
				     "%s one after the other, %s asked and %s answered on average, "
				     "with %s",
				     format_counted(n, sum->count, "round trip"),
				     format_bytes(asked, (double)sum->bytes / count),
				     format_bytes(answered, (double)sum->received_bytes / count),
				     sum->subject));
	evidence_text(to, "object", sum->subject);
	evidence_count(to, "round_trips", sum->count);
	evidence_count(to, "sent_bytes", sum->bytes);
	evidence_count(to, "received_bytes", sum->received_bytes);
	evidence_count(to, "series", sum->series);
	evidence_count(to, "longest_series", sum->longest);
	evidence_number(to, "time_s", sum->ns / 1e9);
	evidence_number(to, "mean_us", sum->ns / 1e3 / count);
}

void find_round_trips(struct finder *f)
{
	each_habit_group(f, HABIT_ROUND_TRIP, true, round_trips);
}

/* ---- connections made anew -------------------------------------------------------- */

static int by_peer_and_opening(const void *a, const void *b)
{
	const struct connection *x = *(const struct connection *const *)a;
	const struct connection *y = *(const struct connection *const *)b;
	int by = strcmp(x->peer, y->peer);

	if (by != 0)
		return by;
	return x->opened_at_s < y->opened_at_s ? -1 : x->opened_at_s > y->opened_at_s;
}

static int by_opening_node(const void *a, const void *b)
{
	const struct connection *x = *(const struct connection *const *)a;
	const struct connection *y = *(const struct connection *const *)b;

	return (x->opened_node > y->opened_node) - (x->opened_node < y->opened_node);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* How many could have been one that was closed just before; the list is in the order of
 * opening. */
static size_t count_reopened(struct finder *f, const struct connection *const *list, size_t count)
{
	double *closed_s = calloc(count + 1, sizeof(*closed_s));
	double gap_s = finding_limit(f, RECONNECT_GAP_MS) / 1e3;
	size_t closed = 0, reopened = 0;

	f->failed |= closed_s == NULL;
	for (size_t i = 0; closed_s != NULL && i < count; i++)
		if (!isnan(list[i]->closed_at_s))
			closed_s[closed++] = list[i]->closed_at_s;
	if (closed != 0)
		qsort(closed_s, closed, sizeof(*closed_s), by_value);
	for (size_t i = 0, gone = 0; i < count && closed != 0; i++) {
		while (gone < closed && closed_s[gone] <= list[i]->opened_at_s)
			gone++;
		reopened += gone != 0 && list[i]->opened_at_s - closed_s[gone - 1] <= gap_s;
	}
	free(closed_s);
	return reopened;
}

/* Of the stack that opened most; the list is put in another order. */
static uint32_t opening_node(const struct connection **list, size_t count, uint64_t *most)
{
	uint32_t node = 0;

	*most = 0;
	qsort((void *)list, count, sizeof(*list), by_opening_node);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && list[i + n]->opened_node == list[i]->opened_node;)
			n++;
		if (n > *most) {
			*most = n;
			node = list[i]->opened_node;
		}
	}
	return node;
}

static void reconnects(struct finder *f, const struct connection **list, size_t count)
{
	size_t reopened = count_reopened(f, list, count);
	const char *peer = list[0]->peer;
	double connect_s = 0, open_s = 0;
	uint64_t turns = 0, most;
	char n[FORMAT_ROOM], times[FORMAT_ROOM];
	struct finding *to;

	for (size_t i = 0; i < count; i++) {
		turns += list[i]->turns;
		connect_s += isnan(list[i]->connect_s) ? 0 : list[i]->connect_s;
		open_s += isnan(list[i]->closed_at_s)
				  ? 0
				  : fmax(list[i]->closed_at_s - list[i]->opened_at_s, 0);
	}
	if ((double)reopened < finding_limit(f, RECONNECTS) ||
	    (double)turns > finding_limit(f, RECONNECT_TURNS) * (double)count)
		return;
	to = finding_add(f, opening_node(list, count, &most),
			 connect_s * (double)reopened / (double)count,
			 arena_print(f->arena, "%s for %s, one closed before the next, to %s",
				     format_counted(n, count, "connection"),
				     format_counted(times, turns, "request"), peer));
	evidence_text(to, "object", peer);
	evidence_count(to, "connections", count);
	evidence_count(to, "reopened", reopened);
	evidence_count(to, "turns", turns);
	evidence_number(to, "connect_time_s", connect_s);
	evidence_number(to, "open_s", open_s);
	evidence_count(to, "stack_connections", most);
}

void find_reconnects(struct finder *f)
{
	const struct run *run = f->run;
	const struct connection **list =
		calloc(run->connection_count + 1, sizeof(const struct connection *));
	size_t count = 0;

	f->failed |= list == NULL;
	for (size_t i = 0; list != NULL && i < run->connection_count; i++) {
		const struct connection *c = &run->connections[i];

		if (c->peer != NULL && c->connect_errno == 0 && is(c->opened_by, "connect") &&
		    is(c->type, "stream"))
			list[count++] = c;
	}
	if (count != 0)
		qsort((void *)list, count, sizeof(*list), by_peer_and_opening);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && strcmp(list[i]->peer, list[i + n]->peer) == 0;)
			n++;
		reconnects(f, &list[i], n);
	}
	free((void *)list);
}

/* ---- a slow peer ------------------------------------------------------------------ */

/* The connection to it with most time in it. */
static const struct connection *main_connection(const struct run *run, const struct endpoint *e)
{
	const struct connection *most = NULL;

	for (size_t i = 0; i < run->connection_count; i++) {
		const struct connection *c = &run->connections[i];

		if (is(c->peer, e->name) && is(c->opened_by, "connect") &&
		    (most == NULL || c->traffic.time_s > most->traffic.time_s))
			most = c;
	}
	return most;
}

static const char *port_of(const char *name)
{
	return name[0] != '/' && name[0] != '@' ? strrchr(name, ':') : NULL;
}

/* A peer that was asked often enough. */
struct peer {
	const struct endpoint *endpoint;
	const struct connection *connection;
};

/* Do they serve the same? By their port, or because the same stack connects to both. */
static bool are_alike(const struct peer *a, const struct peer *b)
{
	const char *p = port_of(a->endpoint->name), *q = port_of(b->endpoint->name);

	return (p != NULL && q != NULL && strcmp(p, q) == 0) ||
	       (a->connection->opened_node != 0 &&
		a->connection->opened_node == b->connection->opened_node);
}

static void slow_peer(struct finder *f, const struct peer *peers, size_t count, size_t at)
{
	const struct latency *own = &peers[at].endpoint->turn_latency;
	double others_us = 0, others_mean_us = 0;
	size_t others = 0;
	char n[FORMAT_ROOM];
	struct finding *to;

	for (size_t i = 0; i < count; i++) {
		const struct latency *l = &peers[i].endpoint->turn_latency;

		if (i == at || !are_alike(&peers[at], &peers[i]))
			continue;
		others++;
		others_us = fmax(others_us, l->p50);
		others_mean_us = fmax(others_mean_us, l->mean);
	}
	if (others == 0 || own->p50 < finding_limit(f, SLOW_PEER_FACTOR) * others_us ||
	    own->p50 - others_us < finding_limit(f, SLOW_PEER_MS) * 1e3)
		return;
	to = finding_add(f, peers[at].connection->top_node,
			 (double)own->count * fmax(own->mean - others_mean_us, 0) / 1e6,
			 arena_print(f->arena,
				     "half of %s took %.1f times as long or more than at "
				     "%zu other%s, with %s",
				     format_counted(n, own->count, "request"),
				     others_us > 0 ? own->p50 / others_us : (double)INFINITY,
				     others, others == 1 ? "" : "s", peers[at].endpoint->name));
	evidence_text(to, "object", peers[at].endpoint->name);
	evidence_text(to, "host", peers[at].endpoint->host);
	evidence_count(to, "turns", own->count);
	evidence_number(to, "p50_us", own->p50);
	evidence_number(to, "p99_us", own->p99);
	evidence_number(to, "mean_us", own->mean);
	evidence_count(to, "others", others);
	evidence_number(to, "others_p50_us", others_us);
	evidence_number(to, "others_mean_us", others_mean_us);
}

void find_slow_peers(struct finder *f)
{
	const struct run *run = f->run;
	struct peer *peers = calloc(run->endpoint_count + 1, sizeof(*peers));
	size_t count = 0;

	f->failed |= peers == NULL;
	for (size_t i = 0; peers != NULL && i < run->endpoint_count; i++) {
		const struct endpoint *e = &run->endpoints[i];
		const struct connection *c;

		if (!is(e->side, "connect") ||
		    (double)e->turn_latency.count < finding_limit(f, SLOW_PEER_TURNS) ||
		    (c = main_connection(run, e)) == NULL)
			continue;
		peers[count++] = (struct peer){e, c};
	}
	for (size_t i = 0; i < count; i++)
		slow_peer(f, peers, count, i);
	free(peers);
}
