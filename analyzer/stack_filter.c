/* SPDX-License-Identifier: MIT */
#include "analyzer/stack_filter.h"

#include <stdlib.h>

#include "analyzer/module_class.h"

static void drop(struct stack_filter *f)
{
	free(f->addresses);
	free(f->nodes);
	free(f->address_known);
	free(f->node_known);
	free(f->path);
	f->addresses = f->nodes = NULL;
	f->address_known = f->node_known = NULL;
	f->path = NULL;
}

bool stack_filter_begin(void *context, const struct run *run)
{
	struct stack_filter *f = context;

	drop(f);
	f->run = run;
	f->addresses = calloc(run->address_count + 1, sizeof(*f->addresses));
	f->address_known = calloc(run->address_count + 1, sizeof(*f->address_known));
	f->nodes = calloc(run->node_count + 1, sizeof(*f->nodes));
	f->node_known = calloc(run->node_count + 1, sizeof(*f->node_known));
	f->path = calloc(run->node_count + 1, sizeof(*f->path));
	if (f->addresses == NULL || f->address_known == NULL || f->nodes == NULL ||
	    f->node_known == NULL || f->path == NULL)
		return false;
	f->node_known[0] = true;
	return true;
}

static uint64_t fit_frames(struct stack_filter *f, const struct address *a)
{
	const struct module *m = address_module(f->run, a);
	struct frame frames[SYMBOLS_FRAMES_MAX];
	uint64_t fits = 0;
	size_t count;

	if (address_class(f->run, a) == MODULE_OURS)
		return 0;
	count = symbols_lookup(f->symbols, m != NULL ? m->path : NULL, m != NULL ? m->build_id : "",
			       m != NULL ? m->base : 0, a->pc, frames, SYMBOLS_FRAMES_MAX);
	for (size_t i = 0; i < count; i++) {
		fits |= patterns_fit(f->patterns, frames[i].function) |
			patterns_fit(f->patterns, frames[i].file);
		if (frames[i].file != NULL)
			fits |= patterns_fit(f->patterns, base_name(frames[i].file));
	}
	return fits;
}

static uint64_t fit_address(struct stack_filter *f, uint32_t node)
{
	const struct address *a = node_address(f->run, node);
	size_t at;

	if (a == NULL)
		return 0;
	at = (size_t)(a - f->run->addresses);
	if (!f->address_known[at]) {
		f->addresses[at] = fit_frames(f, a);
		f->address_known[at] = true;
	}
	return f->addresses[at];
}

/* Outer frames first: what fits them fits all that they called. */
static void find_node(struct stack_filter *f, uint32_t node)
{
	size_t steps = 0;

	for (; !f->node_known[node]; node = f->run->nodes[node].parent)
		f->path[steps++] = node;
	while (steps > 0) {
		node = f->path[--steps];
		f->nodes[node] = f->nodes[f->run->nodes[node].parent] | fit_address(f, node);
		f->node_known[node] = true;
	}
}

bool stack_filter_allows(void *context, uint32_t node)
{
	struct stack_filter *f = context;

	find_node(f, node);
	return patterns_allow(f->patterns, f->nodes[node]);
}

void stack_filter_free(struct stack_filter *f)
{
	drop(f);
	f->run = NULL;
}
