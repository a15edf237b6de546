/* SPDX-License-Identifier: MIT */
#include "analyzer/thread_costs.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/activity.h"
#include "analyzer/vector.h"

#define ROUNDING_NS 1000

/* Where a cost stands among the sums of the activity. */
struct place {
	bool known;
	enum activity_kind kind, also; /* `also`: a second kind, or the same */
	int value, count;
};

static struct place place_of(enum cost_id id)
{
	static const struct place places[COST_COUNT] = {
		[COST_LEAKED] = {true, ACTIVITY_HEAP, ACTIVITY_HEAP, ACTIVITY_LEFT,
				 ACTIVITY_LEFT_BLOCKS},
		[COST_ALLOCATED] = {true, ACTIVITY_HEAP, ACTIVITY_HEAP, ACTIVITY_ALLOCATED,
				    ACTIVITY_ALLOCATIONS},
		[COST_TEMPORARY] = {true, ACTIVITY_HEAP, ACTIVITY_HEAP, ACTIVITY_TEMPORARY,
				    ACTIVITY_TEMPORARY},
		[COST_READ] = {true, ACTIVITY_FILE, ACTIVITY_FILE, ACTIVITY_IN, ACTIVITY_CALLS},
		[COST_WRITTEN] = {true, ACTIVITY_FILE, ACTIVITY_FILE, ACTIVITY_OUT, ACTIVITY_CALLS},
		[COST_SENT] = {true, ACTIVITY_SOCKET, ACTIVITY_SOCKET, ACTIVITY_OUT,
			       ACTIVITY_CALLS},
		[COST_RECEIVED] = {true, ACTIVITY_SOCKET, ACTIVITY_SOCKET, ACTIVITY_IN,
				   ACTIVITY_CALLS},
		[COST_TIME] = {true, ACTIVITY_FILE, ACTIVITY_SOCKET, ACTIVITY_NS, ACTIVITY_CALLS},
		[COST_WAITED] = {true, ACTIVITY_WAIT, ACTIVITY_WAIT, ACTIVITY_NS, ACTIVITY_CALLS},
	};

	return places[id];
}

bool thread_costs_known(const struct cost *cost)
{
	return place_of((enum cost_id)(cost - costs)).known;
}

static int by_node(const void *a, const void *b)
{
	const struct thread_sample *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

static int by_sample_node(const void *a, const void *b)
{
	const struct cost_sample *x = a, *y = b;

	return (x->node > y->node) - (x->node < y->node);
}

/* The activity's sums of one cost: one a stack and thread. */
static bool gather(const struct run *run, struct place p, struct thread_samples *all)
{
	const struct activity *a = run->activity;
	size_t kept = 0;

	all->list = calloc(a->count + 1, sizeof(*all->list));
	if (all->list == NULL)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct activity_sum *s = &a->sums[i];

		if ((s->key.kind == p.kind || s->key.kind == p.also) && s->values[p.value] > 0)
			all->list[all->count++] = (struct thread_sample){
				s->key.node, s->key.thread, (uint64_t)s->values[p.value],
				s->values[p.count] > 0 ? (uint64_t)s->values[p.count] : 0};
	}
	if (all->count == 0)
		return true;
	qsort(all->list, all->count, sizeof(*all->list), by_node);
	for (size_t i = 1; i < all->count; i++) {
		if (by_node(&all->list[i], &all->list[kept]) != 0) {
			all->list[++kept] = all->list[i];
			continue;
		}
		all->list[kept].value += all->list[i].value;
		all->list[kept].count += all->list[i].count;
	}
	all->count = kept + 1;
	return true;
}

static bool append(struct thread_samples *to, size_t *room, struct thread_sample s)
{
	if (s.value == 0)
		return true;
	if (!vector_reserve(to->list, *room, to->count + 1))
		return false;
	to->list[to->count++] = s;
	return true;
}

static uint64_t take(uint64_t *rest, uint64_t wanted)
{
	uint64_t taken = wanted < *rest ? wanted : *rest;

	*rest -= taken;
	return taken;
}

/* A stack's threads have at most what the stack has; the rest is nobody's. But times are
 * rounded apart: what that leaves is the last thread's. */
static bool share_out(struct thread_samples *to, size_t *room, const struct cost_sample *s,
		      const struct thread_samples *all, size_t *at, uint64_t rounding)
{
	uint64_t rest = s->value, rest_count = s->count;
	size_t before = to->count;

	while (*at < all->count && all->list[*at].node < s->node)
		++*at;
	for (; *at < all->count && all->list[*at].node == s->node; ++*at) {
		struct thread_sample part = all->list[*at];

		if (part.thread == ACTIVITY_NOBODY)
			continue;
		part.value = take(&rest, part.value);
		part.count = take(&rest_count, part.count);
		if (!append(to, room, part))
			return false;
	}
	if (rest <= rounding && to->count > before) {
		to->list[to->count - 1].value += rest;
		rest = 0;
	}
	return append(to, room, (struct thread_sample){s->node, THREAD_UNKNOWN, rest, rest_count});
}

int thread_costs_of(const struct run *run, const struct cost *cost, struct thread_samples *samples,
		    struct error *e)
{
	struct thread_samples all = {0};
	struct cost_samples whole;
	uint64_t rounding = cost->unit == COST_NANOSECONDS ? ROUNDING_NS : 0;
	size_t room = 0, at = 0;
	bool good;

	*samples = (struct thread_samples){0};
	if (costs_of(run, cost, &whole, e) != 0)
		return -1;
	good = gather(run, place_of((enum cost_id)(cost - costs)), &all);
	if (whole.count > 0)
		qsort(whole.list, whole.count, sizeof(*whole.list), by_sample_node);
	for (size_t i = 0; i < whole.count && good; i++)
		good = share_out(samples, &room, &whole.list[i], &all, &at, rounding);
	free(all.list);
	costs_free(&whole);
	if (good)
		return 0;
	free(samples->list);
	*samples = (struct thread_samples){0};
	return fail(e, ERROR_MEMORY, 0, "out of memory");
}
