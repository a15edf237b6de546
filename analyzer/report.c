/* SPDX-License-Identifier: MIT */
/* What a report says of a run beyond the run itself. */
#include "analyzer/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INLINE_MAX 64 /* frames at one address */

struct looked_up {
	struct frame *frames;
	size_t count; /* 0: not asked for yet */
};

const char *report_trace_path(const struct report *r)
{
	return r->tree != NULL ? r->tree->images[0].run.trace_path : r->run->trace_path;
}

struct symbols_place node_place(const struct run *run, uint32_t node)
{
	const struct address *a = node_address(run, node);
	const struct module *m = a != NULL ? address_module(run, a) : NULL;

	if (m == NULL)
		return (struct symbols_place){0};
	return (struct symbols_place){m->path, m->build_id, m->base, a->pc};
}

/* The frames at a node's address, looked up once. NULL: out of memory. */
static const struct looked_up *look_up(struct report *r, uint32_t node)
{
	static const struct module generated = {.path = NULL, .build_id = ""};
	const struct address *a = node_address(r->run, node);
	struct looked_up *found = &r->looked_up[a - r->run->addresses];
	struct frame frames[INLINE_MAX];
	const struct module *module = address_module(r->run, a);

	if (found->count > 0)
		return found;
	if (module == NULL)
		module = &generated;
	found->count = symbols_lookup(r->symbols, module->path, module->build_id, module->base,
				      a->pc, frames, INLINE_MAX);
	found->frames = malloc(found->count * sizeof(*frames));
	if (found->count == 0 || found->frames == NULL) {
		found->count = 0;
		return NULL;
	}
	memcpy(found->frames, frames, found->count * sizeof(*frames));
	return found;
}

const char *node_function(struct report *r, uint32_t node)
{
	const struct looked_up *found =
		node_address(r->run, node) != NULL ? look_up(r, node) : NULL;

	return found != NULL ? found->frames[0].function : NULL;
}

const struct frame *node_frames(struct report *r, uint32_t node, size_t *count)
{
	const struct address *a = node_address(r->run, node);
	const struct looked_up *found;

	*count = 0;
	if (a == NULL || address_class(r->run, a) == MODULE_OURS)
		return NULL;
	found = look_up(r, node);
	*count = found != NULL ? found->count : 1;
	return found != NULL ? found->frames : NULL;
}

char *frame_label(const struct frame *f)
{
	char *label = NULL;

	if (f->function != NULL)
		return strdup(f->function);
	if (f->module == NULL)
		return asprintf(&label, "0x%" PRIx64, f->address) >= 0 ? label : NULL;
	return asprintf(&label, "%s+0x%" PRIx64, base_name(f->module), f->module_offset) >= 0
		       ? label
		       : NULL;
}

/* `_start`, the outermost frame, which called libc, which called main. */
static bool is_start(struct report *r, uint32_t node, uint32_t inner)
{
	const struct address *a = node_address(r->run, inner);
	const char *name;

	if (a == NULL || address_class(r->run, a) != MODULE_LIBC ||
	    node_address(r->run, r->run->nodes[node].parent) != NULL)
		return false;
	name = node_function(r, inner);
	return name != NULL && strncmp(name, "__libc_start_main", 17) == 0;
}

uint32_t telling_node(struct report *r, uint32_t node)
{
	uint32_t innermost = 0, previous = 0;
	const struct address *a;

	for (size_t i = 0; i < STACK_MAX && (a = node_address(r->run, node)) != NULL; i++) {
		enum module_class class = address_class(r->run, a);

		if (class == MODULE_PROGRAM && !is_start(r, node, previous))
			return node;
		if (class != MODULE_OURS && innermost == 0)
			innermost = node;
		previous = node;
		node = r->run->nodes[node].parent;
	}
	return innermost;
}

static int stack_append(struct stack *stack, size_t *room, const struct frame *more, size_t count)
{
	if (stack->count + count > *room) {
		size_t wanted = *room * 2 + count + 16;
		struct frame *frames = realloc(stack->frames, wanted * sizeof(*frames));

		if (frames == NULL)
			return -1;
		stack->frames = frames;
		*room = wanted;
	}
	memcpy(stack->frames + stack->count, more, count * sizeof(*more));
	stack->count += count;
	return 0;
}

int report_stack(struct report *r, uint32_t node, struct stack *stack)
{
	size_t room = 0, count;

	*stack = (struct stack){0};
	for (size_t i = 0; i < STACK_MAX && node_address(r->run, node) != NULL; i++) {
		const struct frame *frames = node_frames(r, node, &count);

		if (count > 0 &&
		    (frames == NULL || stack_append(stack, &room, frames, count) != 0)) {
			stack_free(stack);
			return -1;
		}
		node = r->run->nodes[node].parent;
	}
	return 0;
}

void stack_free(struct stack *stack)
{
	free(stack->frames);
	*stack = (struct stack){0};
}

static int order(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0; /* greatest first */
}

static int by_peak(const void *a, const void *b)
{
	const struct site *x = *(const struct site *const *)a, *y = *(const struct site *const *)b;
	int by_bytes = order(x->peak_bytes, y->peak_bytes);

	return by_bytes != 0 ? by_bytes : order(y->node, x->node);
}

static uint64_t traffic_bytes(const struct traffic *t)
{
	return t->read_bytes + t->written_bytes;
}

static int by_traffic(const void *a, const void *b)
{
	const struct connection *x = *(const struct connection *const *)a;
	const struct connection *y = *(const struct connection *const *)b;
	int by_bytes = order(traffic_bytes(&x->traffic), traffic_bytes(&y->traffic));

	if (by_bytes != 0)
		return by_bytes;
	return x < y ? -1 : x > y; /* one array: as they were opened */
}

static int rank_peak(struct report *r, struct error *e)
{
	r->peak = calloc(r->run->site_count + 1, sizeof(*r->peak));
	if (r->peak == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < r->run->site_count; i++)
		if (r->run->sites[i].peak_blocks > 0)
			r->peak[r->peak_count++] = &r->run->sites[i];
	qsort(r->peak, r->peak_count, sizeof(*r->peak), by_peak);
	return 0;
}

static int rank_connections(struct report *r, struct error *e)
{
	r->connection_count = r->run->connection_count;
	r->connections = calloc(r->connection_count + 1, sizeof(*r->connections));
	if (r->connections == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < r->connection_count; i++)
		r->connections[i] = &r->run->connections[i];
	qsort(r->connections, r->connection_count, sizeof(*r->connections), by_traffic);
	return 0;
}

static int by_nameless(const void *a, const void *b)
{
	const struct nameless *x = a, *y = b;
	int by_bytes = order(x->bytes, y->bytes);

	if (by_bytes != 0)
		return by_bytes;
	return x->module < y->module ? -1 : x->module > y->module;
}

/* Bytes at the peak by the module of the telling frame, where that has no name. */
static void weigh_nameless(struct report *r, uint64_t *bytes)
{
	for (size_t i = 0; i < r->peak_count; i++) {
		uint32_t node = telling_node(r, r->peak[i]->node);
		const struct address *a = node_address(r->run, node);

		if (a != NULL && node_function(r, node) != NULL)
			continue;
		r->nameless_bytes += r->peak[i]->peak_bytes;
		if (a != NULL && address_module(r->run, a) != NULL)
			bytes[a->module] += r->peak[i]->peak_bytes;
	}
}

/* So that coverage, which may be printed first, knows of every module shown. */
static int look_up_shown(struct report *r, struct error *e)
{
	struct stack stack;

	for (size_t i = 0; i < r->peak_count && i < r->top; i++) {
		if (report_stack(r, r->peak[i]->node, &stack) != 0)
			return fail(e, ERROR_MEMORY, 0, "out of memory");
		stack_free(&stack);
	}
	for (size_t i = 0; i < r->leak_count && i < r->top; i++) {
		if (report_stack(r, r->leaks[i].site->node, &stack) != 0)
			return fail(e, ERROR_MEMORY, 0, "out of memory");
		stack_free(&stack);
	}
	return 0;
}

static int find_nameless(struct report *r, struct error *e)
{
	const struct run *run = r->run;
	uint64_t *bytes = calloc(run->module_count + 1, sizeof(*bytes));
	bool *missing = calloc(run->module_count + 1, sizeof(*missing));

	r->nameless = calloc(run->module_count + 1, sizeof(*r->nameless));
	if (bytes == NULL || missing == NULL || r->nameless == NULL) {
		free(bytes);
		free(missing);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	weigh_nameless(r, bytes);
	for (size_t i = 0; i < run->address_count; i++)
		if (address_module(run, &run->addresses[i]) != NULL && r->looked_up[i].count > 0 &&
		    r->looked_up[i].frames[0].function == NULL)
			missing[run->addresses[i].module] = true;
	for (size_t i = 0; i < run->module_count; i++) {
		const struct module *m = &run->modules[i];

		if (missing[i])
			r->nameless[r->nameless_count++] = (struct nameless){
				.module = m,
				.reason = symbols_problem(r->symbols, m->path, m->build_id),
				.bytes = bytes[i],
			};
	}
	qsort(r->nameless, r->nameless_count, sizeof(*r->nameless), by_nameless);
	free(bytes);
	free(missing);
	return 0;
}

static int by_temporary(const void *a, const void *b)
{
	const struct site *x = *(const struct site *const *)a, *y = *(const struct site *const *)b;
	int by_number = order(x->temporary, y->temporary);

	return by_number != 0 ? by_number : order(y->node, x->node);
}

static int rank_temporary(struct report *r, struct error *e)
{
	r->temporary = calloc(r->run->site_count + 1, sizeof(*r->temporary));
	if (r->temporary == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < r->run->site_count; i++)
		if (r->run->sites[i].temporary > 0)
			r->temporary[r->temporary_count++] = &r->run->sites[i];
	qsort(r->temporary, r->temporary_count, sizeof(*r->temporary), by_temporary);
	return 0;
}

int report_sum_up(struct report *r, enum top_by by, const struct cost *cost, bool leaks,
		  struct error *e)
{
	if (cost == NULL)
		cost = &costs[leaks ? COST_LEAKED : by == TOP_THREAD ? COST_ALLOCATED : COST_PEAK];
	if (by == TOP_THREAD && (cost == &costs[COST_PEAK] || cost == &costs[COST_TEMPORARY]))
		return fail(e, ERROR_USAGE, 0,
			    "--by thread has no cost '%s': it is not kept by thread", cost->name);
	if (!cost_is_known(r->run, cost))
		return fail(e, ERROR_USAGE, 0,
			    "--by %s: the cost '%s' was not recorded (PERFHOOK_EVENTS)",
			    top_name(by), cost->name);
	r->by = calloc(1, sizeof(*r->by));
	if (r->by == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	return top_make(r->by, r, by, cost, e);
}

int report_open(struct report *r, const struct run *run, struct symbols *symbols, size_t top,
		struct error *e)
{
	*r = (struct report){.run = run, .symbols = symbols, .top = top};
	r->looked_up = calloc(run->address_count + 1, sizeof(*r->looked_up));
	if (r->looked_up == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	if (rank_peak(r, e) != 0 || rank_temporary(r, e) != 0 || rank_leaks(r, e) != 0 ||
	    rank_connections(r, e) != 0 || look_up_shown(r, e) != 0)
		return -1;
	return find_nameless(r, e);
}

int report_names_open(struct report *r, const struct run *run, struct symbols *symbols)
{
	*r = (struct report){.run = run, .symbols = symbols};
	r->looked_up = calloc(run->address_count + 1, sizeof(*r->looked_up));
	return r->looked_up != NULL ? 0 : -1;
}

int report_image(struct report *image, struct run *run, const struct report *r, size_t place)
{
	*run = tree_image_run(r->tree, place);
	*image = (struct report){
		.run = run,
		.symbols = r->symbols,
		.top = r->top,
		.full = r->full,
		.looked_up = r->looked_up, /* the addresses are the tree's */
	};
	return rank_connections(image, NULL);
}

void report_image_close(struct report *image)
{
	free(image->connections);
	*image = (struct report){0};
}

void report_close(struct report *r)
{
	for (size_t i = 0; r->looked_up != NULL && i < r->run->address_count; i++)
		free(r->looked_up[i].frames);
	free(r->looked_up);
	free(r->peak);
	free(r->temporary);
	if (r->by != NULL)
		top_free(r->by);
	free(r->by);
	free(r->leaks);
	free(r->connections);
	free(r->nameless);
	*r = (struct report){0};
}
