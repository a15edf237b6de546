/* SPDX-License-Identifier: MIT */
#include "analyzer/activity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/map.h"
#include "analyzer/vector.h"

enum {
	RECENT = 1 << 14, /* sums that can be added to in place */
	LEAST_ROOM = 1 << 14,
	MOST_ROOM = 1 << 21, /* sums: beyond, something is given up */
	FIRST_WIDTH_NS = 1000,
};

struct activity *activity_new(double origin_ns)
{
	struct activity *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->width_ns = FIRST_WIDTH_NS;
	a->origin_ns = origin_ns;
	a->recent = calloc(RECENT, sizeof(*a->recent));
	if (a->recent == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void activity_free(struct activity *a)
{
	if (a == NULL)
		return;
	free(a->recent);
	free(a->sums);
	free(a);
}

/* The list. */

static int by_key(const void *a, const void *b)
{
	const struct activity_key *x = &((const struct activity_sum *)a)->key;
	const struct activity_key *y = &((const struct activity_sum *)b)->key;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->thing != y->thing)
		return x->thing < y->thing ? -1 : 1;
	return x->slice < y->slice ? -1 : x->slice > y->slice;
}

static bool is_empty(const struct activity_sum *s)
{
	for (size_t i = 0; i < ACTIVITY_VALUES; i++)
		if (s->values[i] != 0)
			return false;
	return true;
}

static void add_values(uint64_t *to, const uint64_t *from)
{
	for (size_t i = 0; i < ACTIVITY_VALUES; i++)
		to[i] += from[i];
}

static void combine(struct activity *a)
{
	size_t kept = 0;

	if (a->count == 0)
		return;
	qsort(a->sums, a->count, sizeof(*a->sums), by_key);
	for (size_t i = 1; i < a->count; i++) {
		if (by_key(&a->sums[kept], &a->sums[i]) == 0) {
			add_values(a->sums[kept].values, a->sums[i].values);
			continue;
		}
		kept += !is_empty(&a->sums[kept]);
		a->sums[kept] = a->sums[i];
	}
	a->count = kept + !is_empty(&a->sums[kept]);
}

static void forget(struct activity *a)
{
	for (size_t i = 0; i < a->count; i++) {
		if (a->no_threads)
			a->sums[i].key.thread = ACTIVITY_NOBODY;
		if (a->no_things)
			a->sums[i].key.thing = ACTIVITY_THING;
	}
}

/* Recent sums stay where their hash was: they are not met again, and add up in the end. */
void activity_widen(struct activity *a)
{
	for (size_t i = 0; i < a->count; i++)
		a->sums[i].key.slice /= 2;
	for (size_t i = 0; i < RECENT; i++)
		a->recent[i].key.slice /= 2;
	a->width_ns *= 2;
	a->slice /= 2;
}

/* One step towards less. False: there is none left. */
static bool give_up(struct activity *a)
{
	uint16_t last = 0;

	for (size_t i = 0; i < a->count; i++)
		if (a->sums[i].key.slice > last)
			last = a->sums[i].key.slice;
	if (last >= ACTIVITY_SLICES / 8 || (a->no_threads && a->no_things && last > 0))
		activity_widen(a);
	else if (!a->no_threads)
		a->no_threads = true;
	else if (!a->no_things)
		a->no_things = true;
	else
		return false;
	forget(a);
	return true;
}

/* Before one more: at least half of the room is free then. */
static bool make_room(struct activity *a)
{
	if (a->count < a->room)
		return true;
	combine(a);
	while (a->room >= MOST_ROOM && a->count > a->room / 2 && give_up(a))
		combine(a);
	if (a->count <= a->room / 2 && a->room != 0)
		return true;
	return vector_reserve(a->sums, a->room, a->room != 0 ? 2 * a->room : LEAST_ROOM);
}

static void put(struct activity *a, struct activity_sum *recent)
{
	if (is_empty(recent))
		return;
	if (!make_room(a)) {
		a->failed = true;
		return;
	}
	a->sums[a->count++] = *recent;
	if (a->no_threads)
		a->sums[a->count - 1].key.thread = ACTIVITY_NOBODY;
	if (a->no_things)
		a->sums[a->count - 1].key.thing = ACTIVITY_THING;
}

static void flush(struct activity *a)
{
	for (size_t i = 0; i < RECENT; i++) {
		put(a, &a->recent[i]);
		a->recent[i] = (struct activity_sum){0};
	}
}

void activity_settle(struct activity *a)
{
	flush(a);
	combine(a);
}

/* Adding. */

static uint32_t slice_at(struct activity *a, double ns)
{
	double at = (ns - a->origin_ns) / (double)a->width_ns;

	while (at >= ACTIVITY_SLICES && a->width_ns < UINT64_MAX / 4) {
		activity_widen(a);
		at = (ns - a->origin_ns) / (double)a->width_ns;
	}
	return at > 0 ? at < ACTIVITY_SLICES ? (uint32_t)at : ACTIVITY_SLICES - 1 : 0;
}

void activity_time(struct activity *a, double ns)
{
	a->slice = slice_at(a, ns);
}

static bool is_key(const struct activity_key *a, const struct activity_key *b)
{
	return a->node == b->node && a->thread == b->thread && a->thing == b->thing &&
	       a->kind == b->kind && a->slice == b->slice;
}

static uint64_t *values_of(struct activity *a, struct activity_key key)
{
	uint64_t hash = map_hash((uint64_t)key.node << 32 ^ key.thing) ^
			map_hash((uint64_t)key.thread << 32 ^ (uint64_t)key.kind << 16 ^ key.slice);
	struct activity_sum *s = &a->recent[hash >> 20 & (RECENT - 1)];
	uint64_t width_ns = a->width_ns;

	if (is_key(&s->key, &key))
		return s->values;
	put(a, s);
	/* To make room, slices may have become wider. */
	for (; width_ns < a->width_ns; width_ns *= 2)
		key.slice /= 2;
	*s = (struct activity_sum){.key = key};
	return s->values;
}

uint64_t *activity_now(struct activity *a, enum activity_kind kind, uint32_t node, uint32_t thread)
{
	return values_of(a, (struct activity_key){.node = node,
						  .thread = thread,
						  .thing = ACTIVITY_THING,
						  .kind = (uint16_t)kind,
						  .slice = (uint16_t)a->slice});
}

void activity_left(struct activity *a, uint32_t node, uint32_t thread, double born_ns,
		   uint64_t bytes)
{
	uint64_t *values =
		values_of(a, (struct activity_key){.node = node,
						   .thread = thread,
						   .thing = ACTIVITY_THING,
						   .kind = ACTIVITY_HEAP,
						   .slice = (uint16_t)slice_at(a, born_ns)});

	values[ACTIVITY_LEFT] += bytes;
	values[ACTIVITY_LEFT_BLOCKS]++;
}

/* How much of an amount lies before the end of a slice. */
static int64_t part(const struct activity *a, int64_t amount, double begin_ns, double end_ns,
		    uint32_t slice)
{
	double until = a->origin_ns + (double)(slice + 1) * (double)a->width_ns;
	double share = (until - begin_ns) / (end_ns - begin_ns);

	return share < 1 ? (int64_t)((double)amount * fmax(share, 0)) : amount;
}

void activity_call(struct activity *a, const struct activity_key *key, const int64_t values[4],
		   double begin_ns, double end_ns)
{
	/* The end first: slices may become wider for it. */
	uint32_t last = slice_at(a, end_ns), slice = slice_at(a, fmin(begin_ns, end_ns));
	struct activity_key at = *key;
	int64_t given[4] = {0};
	uint64_t *to;

	for (; slice < last; slice++) {
		uint64_t width_ns = a->width_ns;

		at.slice = (uint16_t)slice;
		to = values_of(a, at);
		for (size_t i = ACTIVITY_IN; i <= ACTIVITY_NS; i++) {
			int64_t by_now = part(a, values[i], begin_ns, end_ns, slice);

			to[i] += (uint64_t)by_now - (uint64_t)given[i];
			given[i] = by_now;
		}
		if (width_ns != a->width_ns)
			break; /* all the rest is in the last one */
	}
	at.slice = (uint16_t)slice_at(a, end_ns);
	to = values_of(a, at);
	for (size_t i = ACTIVITY_IN; i <= ACTIVITY_CALLS; i++)
		to[i] += (uint64_t)values[i] - (uint64_t)given[i];
}

/* Windows, and several as one. */

void activity_begin_window(struct activity *a, double ns)
{
	activity_settle(a);
	a->origin_ns = ns;
	a->width_ns = FIRST_WIDTH_NS;
	a->slice = 0;
	for (size_t i = 0; i < a->count; i++) {
		struct activity_sum *s = &a->sums[i];
		bool heap = s->key.kind == ACTIVITY_HEAP;

		s->key.slice = 0;
		for (size_t v = 0; v < ACTIVITY_VALUES; v++)
			if (!heap || (v != ACTIVITY_GROWN && v != ACTIVITY_GROWN_BLOCKS))
				s->values[v] = 0;
	}
	combine(a);
}

void activity_merge(struct activity *a, struct activity *from)
{
	while (a->width_ns < from->width_ns)
		activity_widen(a);
	for (size_t i = 0; i < from->count; i++) {
		uint64_t width_ns = from->width_ns;
		struct activity_sum sum = from->sums[i];

		for (; width_ns < a->width_ns; width_ns *= 2)
			sum.key.slice /= 2;
		put(a, &sum);
	}
	a->no_threads |= from->no_threads;
	a->no_things |= from->no_things;
	a->failed |= from->failed;
	activity_free(from);
}

void activity_translate(struct activity *a, activity_key_fn *change, void *context)
{
	activity_settle(a);
	for (size_t i = 0; i < a->count; i++)
		change(context, &a->sums[i].key);
	combine(a);
}

void activity_reduce(struct activity *a, size_t most)
{
	activity_settle(a);
	while (a->count > most && give_up(a))
		combine(a);
}

struct activity *activity_copy(struct activity *a)
{
	struct activity *copy = activity_new(a->origin_ns);

	activity_settle(a);
	if (copy == NULL)
		return NULL;
	copy->width_ns = a->width_ns;
	copy->no_threads = a->no_threads;
	copy->no_things = a->no_things;
	if (!vector_reserve(copy->sums, copy->room, a->count)) {
		activity_free(copy);
		return NULL;
	}
	copy->count = a->count;
	if (a->count != 0)
		memcpy(copy->sums, a->sums, a->count * sizeof(*a->sums));
	return copy;
}
