/* SPDX-License-Identifier: MIT */
#include "analyzer/endpoints.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/io.h"
#include "analyzer/vector.h"

#define PORT_PREFIX "port "

static bool same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

struct endpoint *endpoints_get(struct endpoints *e, const struct endpoint *wanted)
{
	uint64_t hash = map_hash_bytes(wanted->name, strlen(wanted->name));
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&e->by_name, hash, &at)) != 0) {
		struct endpoint *x = &e->list[place - 1];

		if (same(x->name, wanted->name) && same(x->side, wanted->side) &&
		    same(x->type, wanted->type) && same(x->family, wanted->family))
			return x;
	}
	if (e->count >= UINT32_MAX - 1 || !vector_reserve(e->list, e->room, e->count + 1) ||
	    !index_insert(&e->by_name, hash, (uint32_t)e->count + 1))
		return NULL;
	e->list[e->count] = (struct endpoint){
		.name = wanted->name,
		.side = wanted->side,
		.type = wanted->type,
		.family = wanted->family,
	};
	return &e->list[e->count++];
}

static bool is_accepted(const struct connection *c)
{
	return c->listening || same(c->opened_by, "accept");
}

/* Of what was accepted the port alone, behind its colon, if there is one: a listener is
 * mostly at several addresses, of both families. NULL: none. */
static const char *accepted_port(const struct connection *c)
{
	const char *colon = c->local != NULL ? strrchr(c->local, ':') : NULL;

	return is_accepted(c) && colon != NULL && c->local[0] != '/' && c->local[0] != '@'
		       ? colon + 1
		       : NULL;
}

/* Where it is not by such a port. */
static const char *name_of(const struct connection *c)
{
	if (is_accepted(c))
		return c->local != NULL ? c->local : "(unknown)";
	if (c->peer != NULL)
		return c->peer;
	if (c->peers > 1)
		return "several peers";
	return c->local != NULL ? c->local : "(unnamed)";
}

struct endpoint *endpoints_of(struct endpoints *e, struct arena *arena, const struct connection *c)
{
	const char *port = accepted_port(c);
	const struct endpoint wanted = {
		.side = is_accepted(c) ? "accept" : c->opened_by,
		.type = c->type,
		.family = port == NULL ? c->family : NULL,
		.name = port == NULL ? name_of(c) : arena_print(arena, PORT_PREFIX "%s", port),
	};
	struct endpoint *found = endpoints_get(e, &wanted);

	if (found != NULL && !is_accepted(c) && c->peer_name != NULL)
		found->host = c->peer_name;
	return found;
}

bool endpoint_has(const struct endpoint *e, const struct connection *c)
{
	const char *port = accepted_port(c);
	size_t prefix = strlen(PORT_PREFIX);

	if (!same(e->side, is_accepted(c) ? "accept" : c->opened_by) || !same(e->type, c->type))
		return false;
	if (port != NULL)
		return strncmp(e->name, PORT_PREFIX, prefix) == 0 &&
		       strcmp(e->name + prefix, port) == 0;
	return same(e->family, c->family) && strcmp(e->name, name_of(c)) == 0;
}

void endpoint_add(struct endpoint *to, const struct connection *c, double end_s)
{
	double closed = isnan(c->closed_at_s) ? end_s : c->closed_at_s;

	/* The one that listens is no connection. */
	if (c->listening)
		return;
	to->connections++;
	to->failed += c->connect_errno != 0;
	to->closed_local += same(c->closed_by, "local");
	to->closed_peer += same(c->closed_by, "peer");
	to->reset += same(c->closed_by, "reset");
	to->idle_s += c->idle_s;
	to->open_s += fmax(closed - c->opened_at_s, 0);
	to->turns += c->turns;
	traffic_add(&to->traffic, &c->traffic);
}

bool endpoint_record(struct recorder **to, const struct recorder *from)
{
	if (from == NULL || from->count == 0)
		return true;
	if (*to == NULL && (*to = calloc(1, sizeof(**to))) == NULL)
		return false;
	return latency_merge(*to, from);
}

bool endpoint_merge(struct endpoint *to, const struct endpoint *from)
{
	if (from->host != NULL)
		to->host = from->host;
	to->connections += from->connections;
	to->failed += from->failed;
	to->closed_local += from->closed_local;
	to->closed_peer += from->closed_peer;
	to->reset += from->reset;
	to->idle_s += from->idle_s;
	to->open_s += from->open_s;
	to->turns += from->turns;
	traffic_add(&to->traffic, &from->traffic);
	return endpoint_record(&to->traffic.recorder, from->traffic.recorder) &&
	       endpoint_record(&to->turn_recorder, from->turn_recorder) &&
	       endpoint_record(&to->open_recorder, from->open_recorder);
}

/* ---- at once ----------------------------------------------------------------- */

struct change {
	double at_s;
	uint32_t endpoint;
	int by;
};

/* What closes at the moment at which another opens was not open with it. */
static int by_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->by - y->by;
}

static bool count_open(struct endpoints *e, const struct run *run)
{
	size_t count = 0, n = run->connection_count;
	struct change *changes = calloc(2 * n + 1, sizeof(*changes));
	uint64_t *open = calloc(e->count + 1, sizeof(*open));

	if (changes == NULL || open == NULL) {
		free(changes);
		free(open);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const struct connection *c = &run->connections[i];

		if (c->listening || c->connect_errno != 0)
			continue;
		changes[count++] = (struct change){c->opened_at_s, c->endpoint, 1};
		changes[count++] = (struct change){
			isnan(c->closed_at_s) ? (double)INFINITY : c->closed_at_s, c->endpoint, -1};
	}
	qsort(changes, count, sizeof(*changes), by_time);
	for (size_t i = 0; i < count; i++) {
		struct endpoint *x = &e->list[changes[i].endpoint];
		uint64_t *now = &open[changes[i].endpoint];

		*now += (uint64_t)(int64_t)changes[i].by;
		if (changes[i].by > 0 && *now > x->most_open)
			x->most_open = *now;
	}
	free(changes);
	free(open);
	return true;
}

/* ---- the end ------------------------------------------------------------------- */

static uint64_t bytes_of(const struct endpoint *e)
{
	return e->traffic.read_bytes + e->traffic.written_bytes;
}

static int by_bytes(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	if (bytes_of(x) != bytes_of(y))
		return bytes_of(x) < bytes_of(y) ? 1 : -1;
	if (x->connections != y->connections)
		return x->connections < y->connections ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void free_recorder(struct recorder *r)
{
	if (r != NULL)
		latency_free(r);
	free(r);
}

static void settle(struct recorder **from, struct latency *to, bool keep)
{
	static const struct recorder none = {0};

	latency_result(*from != NULL ? *from : &none, to);
	if (keep || *from == NULL)
		return;
	free_recorder(*from);
	*from = NULL;
}

bool endpoints_finish(struct endpoints *e, struct run *run, bool keep)
{
	bool good = count_open(e, run);
	size_t kept = 0;

	for (size_t i = 0; i < e->count; i++) {
		struct endpoint *x = &e->list[i];

		settle(&x->traffic.recorder, &x->traffic.latency, keep);
		settle(&x->turn_recorder, &x->turn_latency, keep);
		settle(&x->open_recorder, &x->open_latency, keep);
		if (x->connections != 0 || bytes_of(x) != 0)
			e->list[kept++] = *x; /* of nothing there is no recorder */
	}
	index_free(&e->by_name);
	if (kept != 0)
		qsort(e->list, kept, sizeof(*e->list), by_bytes);
	run->endpoints = e->list;
	run->endpoint_count = kept;
	*e = (struct endpoints){0};
	return good;
}

void endpoint_free_recorders(struct endpoint *e)
{
	free_recorder(e->traffic.recorder);
	free_recorder(e->turn_recorder);
	free_recorder(e->open_recorder);
	e->traffic.recorder = e->turn_recorder = e->open_recorder = NULL;
}
