/* SPDX-License-Identifier: MIT */
#include "analyzer/loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"
#include "trace/format.h"

bool loops_init(struct loops *l, const struct thresholds *thresholds, size_t threads)
{
	*l = (struct loops){.thresholds = thresholds};
	l->polls = calloc(threads + 1, sizeof(*l->polls));
	return l->polls != NULL;
}

void loops_free(struct loops *l)
{
	free(l->polls);
	free(l->list);
	index_free(&l->by_key);
	*l = (struct loops){.thresholds = NULL};
}

/* Of one descriptor alone it is a way to wait for that, with a limit. */
static bool is_of_loop(const char *name, const struct ph_call *call)
{
	return name != NULL &&
	       (call->arg > 1 || strncmp(name, "epoll", 5) == 0 || strstr(name, "select") != NULL);
}

/* NULL: out of memory. */
static struct loop_block *block_of(struct loops *l, uint32_t thread, uint32_t node, uint8_t op)
{
	uint64_t hash = map_hash(map_hash((uint64_t)thread << 32 | node) + op);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&l->by_key, hash, &at)) != 0) {
		struct loop_block *b = &l->list[place - 1];

		if (b->thread == thread && b->node == node && b->op == op)
			return b;
	}
	if (l->count >= UINT32_MAX - 1 || !vector_reserve(l->list, l->room, l->count + 1) ||
	    !index_insert(&l->by_key, hash, (uint32_t)l->count + 1)) {
		l->failed = true;
		return NULL;
	}
	l->list[l->count] = (struct loop_block){.thread = thread, .node = node, .op = op};
	return &l->list[l->count++];
}

static void blocked(struct loops *l, uint32_t thread, const struct ph_call *call, uint32_t node,
		    double ns)
{
	struct loop_block *b = block_of(l, thread, node, call->op);

	if (b == NULL)
		return;
	if (b->tail_polls != l->polls[thread]) {
		b->tail_polls = l->polls[thread];
		b->tail_count = 0;
		b->tail_ns = 0;
	}
	b->count++;
	b->ns += ns;
	b->longest_ns = fmax(b->longest_ns, ns);
	b->tail_count++;
	b->tail_ns += ns;
}

void loops_call(struct loops *l, uint32_t thread, unsigned kind, const char *name,
		const struct ph_call *call, uint32_t node, double ns)
{
	if (kind == PH_KIND_POLL && call->arg > 0) {
		l->polls[thread] += is_of_loop(name, call);
		return;
	}
	/* Signals are another thing that loops wait for. */
	if (kind == PH_KIND_SIGNAL || l->polls[thread] == 0 ||
	    ns < l->thresholds->values[LOOP_BLOCK_MS] * 1e6)
		return;
	blocked(l, thread, call, node, ns);
}

void loops_end(struct loops *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct loop_block *b = &l->list[i];

		if (b->tail_polls != l->polls[b->thread])
			continue;
		b->count -= b->tail_count;
		b->ns -= b->tail_ns;
	}
}
