/* SPDX-License-Identifier: MIT */
#include "analyzer/costs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct cost costs[COST_COUNT] = {
	[COST_PEAK] = {"peak", "heap at its peak", "bytes live when most were; blocks", COST_BYTES,
		       RUN_OFF_MEMORY},
	[COST_LEAKED] = {"leaked", "never freed", "bytes live at the end; blocks", COST_BYTES,
			 RUN_OFF_MEMORY},
	[COST_ALLOCATED] = {"allocated", "allocated", "bytes of all allocations; allocations",
			    COST_BYTES, RUN_OFF_MEMORY},
	[COST_TEMPORARY] = {"temporary", "temporary allocations",
			    "allocations freed before their thread made another", COST_ALLOCATIONS,
			    RUN_OFF_MEMORY},
	[COST_READ] = {"read", "read from files", "bytes; calls", COST_BYTES, RUN_OFF_IO},
	[COST_WRITTEN] = {"written", "written to files", "bytes; calls", COST_BYTES, RUN_OFF_IO},
	[COST_SENT] = {"sent", "sent over sockets", "bytes; calls", COST_BYTES, RUN_OFF_NET},
	[COST_RECEIVED] = {"received", "received over sockets", "bytes; calls", COST_BYTES,
			   RUN_OFF_NET},
	[COST_TIME] = {"time", "time in reads, writes and their like",
		       "nanoseconds in calls on files and sockets; calls", COST_NANOSECONDS,
		       RUN_OFF_IO | RUN_OFF_NET},
	[COST_WAITED] = {"waited", "time waited",
			 "nanoseconds in locks, polls, sleeps and their like; calls",
			 COST_NANOSECONDS, RUN_OFF_WAIT},
};

const struct cost *cost_by_name(const char *name)
{
	for (size_t i = 0; i < COST_COUNT; i++)
		if (strcmp(costs[i].name, name) == 0)
			return &costs[i];
	return NULL;
}

const char *cost_unit_name(enum cost_unit unit)
{
	static const char *const names[] = {"bytes", "allocations", "nanoseconds"};

	return names[unit];
}

bool cost_is_known(const struct run *run, const struct cost *cost)
{
	return (run->off & cost->off) != cost->off;
}

static uint64_t ns(double s)
{
	return s > 0 ? (uint64_t)llround(s * 1e9) : 0;
}

static struct cost_sample of_site(const struct site *s, enum cost_id id)
{
	switch (id) {
	case COST_PEAK:
		return (struct cost_sample){s->node, s->peak_bytes, s->peak_blocks};
	case COST_LEAKED:
		return (struct cost_sample){s->node, s->live_bytes, s->live_blocks};
	case COST_ALLOCATED:
		return (struct cost_sample){s->node, s->allocated_bytes, s->allocations};
	default:
		return (struct cost_sample){s->node, s->temporary, s->temporary};
	}
}

static struct cost_sample of_traffic(const struct stack_traffic *t, enum cost_id id)
{
	switch (id) {
	case COST_READ:
		return (struct cost_sample){t->node, t->read_bytes, t->calls};
	case COST_WRITTEN:
		return (struct cost_sample){t->node, t->written_bytes, t->calls};
	case COST_SENT:
		return (struct cost_sample){t->node, t->sent_bytes, t->calls};
	case COST_RECEIVED:
		return (struct cost_sample){t->node, t->received_bytes, t->calls};
	default:
		return (struct cost_sample){t->node, ns(t->files_s + t->network_s), t->calls};
	}
}

static size_t sources(const struct run *run, enum cost_id id)
{
	return id <= COST_TEMPORARY ? run->site_count
	       : id <= COST_TIME    ? run->stack_traffic_count
				    : run->wait_count;
}

static struct cost_sample sample(const struct run *run, enum cost_id id, size_t i)
{
	const struct wait *w;

	if (id <= COST_TEMPORARY)
		return of_site(&run->sites[i], id);
	if (id <= COST_TIME)
		return of_traffic(&run->stack_traffic[i], id);
	w = &run->waits[i];
	return (struct cost_sample){w->node, ns(w->time_s), w->count};
}

static int by_node(const void *a, const void *b)
{
	const struct cost_sample *x = a, *y = b;

	return (x->node > y->node) - (x->node < y->node);
}

static int by_value(const void *a, const void *b)
{
	const struct cost_sample *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return by_node(a, b);
}

/* What a stack waited for are several things. */
static void fold(struct cost_samples *s)
{
	size_t kept = 0;

	if (s->count == 0)
		return;
	qsort(s->list, s->count, sizeof(*s->list), by_node);
	for (size_t i = 1; i < s->count; i++) {
		if (s->list[i].node != s->list[kept].node) {
			s->list[++kept] = s->list[i];
			continue;
		}
		s->list[kept].value += s->list[i].value;
		s->list[kept].count += s->list[i].count;
	}
	s->count = kept + 1;
}

int costs_of(const struct run *run, const struct cost *cost, struct cost_samples *samples,
	     struct error *e)
{
	enum cost_id id = (enum cost_id)(cost - costs);
	size_t count = sources(run, id);

	*samples = (struct cost_samples){.list = calloc(count + 1, sizeof(*samples->list))};
	if (samples->list == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct cost_sample s = sample(run, id, i);

		if (s.value == 0)
			continue;
		samples->list[samples->count++] = s;
		samples->total += s.value;
	}
	fold(samples);
	qsort(samples->list, samples->count, sizeof(*samples->list), by_value);
	return 0;
}

void costs_free(struct cost_samples *samples)
{
	free(samples->list);
	*samples = (struct cost_samples){0};
}
