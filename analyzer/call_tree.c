/* SPDX-License-Identifier: MIT */
/* Stacks merged by the names of their functions. */
#include "analyzer/call_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/canonical.h"
#include "analyzer/thread_costs.h"
#include "analyzer/vector.h"

/* A run on its way into the tree. */
struct adding {
	struct call_tree *tree;
	struct report *report;
	enum call_side side;
	struct call_shape shape;
	uint32_t *at;	/* by the run's node: the tree's, + 1; 0: not known yet */
	uint32_t *path; /* nodes of one stack, innermost first */
	size_t path_room;
};

/* Takes `text`, which may be NULL: out of memory, as STRING_TABLE_FULL is. */
static uint32_t intern(struct call_tree *t, char *text, const char *module)
{
	uint32_t name = text != NULL ? string_number(&t->names, text) : STRING_TABLE_FULL;

	free(text);
	if (name == STRING_TABLE_FULL || name < t->about_count)
		return name;
	if (!vector_reserve(t->about, t->about_room, name + 1))
		return STRING_TABLE_FULL;
	t->about[name] = (struct call_name){.class = module_class(module), .module = module};
	t->about_count = name + 1;
	return name;
}

/* The child of that name, made if need be; 0: out of memory. */
static uint32_t child(struct call_tree *t, uint32_t parent, uint32_t name)
{
	uint64_t key = (uint64_t)parent << 32 | name;
	uint32_t node = (uint32_t)map_get(&t->children, key);

	if (node != 0)
		return node;
	if (name == STRING_TABLE_FULL)
		return 0;
	if (!vector_reserve(t->nodes, t->node_room, t->node_count + 1) ||
	    !map_put(&t->children, key, t->node_count))
		return 0;
	node = (uint32_t)t->node_count++;
	t->nodes[node] = (struct call_node){.parent = parent, .name = name};
	return node;
}

/* "f (file.c:12)", or "f (in module)". */
static char *label_with_line(const struct frame *f)
{
	char *label = frame_label(f), *whole = NULL;
	int length = -1;

	if (label != NULL && f->file != NULL)
		length = asprintf(&whole, "%s (%s:%d)", label, base_name(f->file), f->line);
	else if (label != NULL && f->module != NULL)
		length = asprintf(&whole, "%s (in %s)", label, f->module);
	else
		return label;
	free(label);
	return length >= 0 ? whole : NULL;
}

/* Of two builds, places in a module are others. */
static char *canonical_label(const struct frame *f)
{
	char *label = NULL;

	if (f->function == NULL && f->module != NULL)
		return asprintf(&label, "[%s]", base_name(f->module)) >= 0 ? label : NULL;
	if (f->function == NULL)
		return frame_label(f);
	label = malloc(strlen(f->function) + 1);
	return label != NULL ? canonical_name(label, f->function) : NULL;
}

static uint32_t frame_child(const struct adding *a, uint32_t parent, const struct frame *f)
{
	char *label = a->shape.lines	   ? label_with_line(f)
		      : a->shape.canonical ? canonical_label(f)
					   : frame_label(f);

	return child(a->tree, parent, intern(a->tree, label, f->module));
}

/* Go down by the frames of one address, the outermost first. UINT32_MAX: out of memory. */
static uint32_t descend(struct adding *a, uint32_t from, uint32_t node)
{
	size_t count;
	const struct frame *frames = node_frames(a->report, node, &count);

	if (count > 0 && frames == NULL)
		return UINT32_MAX;
	while (count-- > 0)
		if ((from = frame_child(a, from, &frames[count])) == 0)
			return UINT32_MAX;
	return from;
}

/* The tree's node for a stack, outermost frame first. */
static uint32_t place_of(struct adding *a, uint32_t node)
{
	uint32_t at;
	size_t depth = 0;

	while (node_address(a->report->run, node) != NULL && a->at[node] == 0) {
		if (!vector_reserve(a->path, a->path_room, depth + 1))
			return UINT32_MAX;
		a->path[depth++] = node;
		node = a->report->run->nodes[node].parent;
	}
	at = node_address(a->report->run, node) != NULL ? a->at[node] - 1 : 0;
	while (depth-- > 0) {
		at = descend(a, at, a->path[depth]);
		if (at == UINT32_MAX)
			return at;
		a->at[a->path[depth]] = at + 1;
	}
	return at;
}

/* The same below any node, and with the innermost frame first if the tree is inverted. */
static uint32_t place_below(struct adding *a, uint32_t at, uint32_t node)
{
	struct stack stack;

	if (report_stack(a->report, node, &stack) != 0)
		return UINT32_MAX;
	for (size_t i = 0; i < stack.count && at != UINT32_MAX; i++) {
		size_t frame = a->shape.inverted ? i : stack.count - 1 - i;

		at = frame_child(a, at, &stack.frames[frame]);
		at = at != 0 ? at : UINT32_MAX;
	}
	stack_free(&stack);
	return at;
}

static bool add_at(struct adding *a, uint32_t root, uint32_t at, uint64_t value, uint64_t count)
{
	struct call_tree *t = a->tree;

	if (at == root) /* not recorded, or frames of our own library alone */
		at = child(t, root, intern(t, strdup(CALL_NO_STACK), NULL));
	if (at == 0 || at == UINT32_MAX)
		return false;
	t->nodes[at].self[a->side] += value;
	t->nodes[at].self_count[a->side] += count;
	t->stack_count[a->side]++;
	return true;
}

static bool add_samples(struct adding *a, const struct cost_samples *samples)
{
	bool good = true;

	for (size_t i = 0; good && i < samples->count; i++) {
		const struct cost_sample *s = &samples->list[i];
		uint32_t at = a->shape.inverted ? place_below(a, 0, s->node) : place_of(a, s->node);

		good = add_at(a, 0, at, s->value, s->count);
	}
	return good;
}

/* "worker (1234)"; malloc'ed. */
static char *thread_label(const struct run *run, uint32_t number)
{
	char *label = NULL;

	for (size_t i = 0; i < run->thread_count; i++) {
		const struct thread *t = &run->threads[i];

		if (t->number == number)
			return asprintf(&label, "%s (%d)", t->name != NULL ? t->name : "thread",
					t->tid) >= 0
				       ? label
				       : NULL;
	}
	return strdup("(thread not known)");
}

static bool add_thread_samples(struct adding *a, const struct thread_samples *samples)
{
	struct map roots = {0}; /* thread + 1 to node */
	bool good = true;

	for (size_t i = 0; good && i < samples->count; i++) {
		const struct thread_sample *s = &samples->list[i];
		uint32_t root = (uint32_t)map_get(&roots, (uint64_t)s->thread + 1);

		if (root == 0) {
			char *label = thread_label(a->report->run, s->thread);

			root = child(a->tree, 0, intern(a->tree, label, NULL));
			good = root != 0 && map_put(&roots, (uint64_t)s->thread + 1, root);
		}
		good = good && add_at(a, root, place_below(a, root, s->node), s->value, s->count);
	}
	map_free(&roots);
	return good;
}

static bool begin(struct call_tree *t)
{
	if (t->node_count != 0)
		return true;
	if (!vector_reserve(t->nodes, t->node_room, 1))
		return false;
	t->nodes[t->node_count++] = (struct call_node){.parent = 0};
	return true;
}

static int add_by_thread(struct adding *a, const struct cost *cost, struct error *e)
{
	struct thread_samples samples;
	bool good;

	if (thread_costs_of(a->report->run, cost, &samples, e) != 0)
		return -1;
	good = begin(a->tree) && add_thread_samples(a, &samples);
	free(samples.list);
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory");
}

int call_tree_add(struct call_tree *t, struct report *r, const struct cost *cost,
		  enum call_side side, struct call_shape shape, struct error *e)
{
	struct adding a = {.tree = t, .report = r, .side = side, .shape = shape};
	struct cost_samples samples;
	bool good;

	if (shape.threads)
		return add_by_thread(&a, cost, e);
	if (costs_of(r->run, cost, &samples, e) != 0)
		return -1;
	a.at = calloc(r->run->node_count + 1, sizeof(*a.at));
	good = a.at != NULL && begin(t) && add_samples(&a, &samples);
	free(a.at);
	free(a.path);
	costs_free(&samples);
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory");
}

static uint64_t weight(const struct call_node *n)
{
	return n->value[CALL_AFTER] > n->value[CALL_BEFORE] ? n->value[CALL_AFTER]
							    : n->value[CALL_BEFORE];
}

static bool is_before(const struct call_tree *t, uint32_t a, uint32_t b)
{
	uint64_t x = weight(&t->nodes[a]), y = weight(&t->nodes[b]);

	if (x != y)
		return x > y;
	return strcmp(call_name(t, a), call_name(t, b)) < 0;
}

/* Two lists in order into one. */
static uint32_t merge(struct call_tree *t, uint32_t a, uint32_t b)
{
	uint32_t first = 0, *end = &first;

	while (a != 0 && b != 0) {
		uint32_t *from = is_before(t, b, a) ? &b : &a;

		*end = *from;
		end = &t->nodes[*from].next;
		*from = *end;
	}
	*end = a != 0 ? a : b;
	return first;
}

/* A list is cut into halves, which are put in order and merged: the depth is the
 * logarithm of its length. */
static uint32_t sort_list(struct call_tree *t, uint32_t list, size_t length)
{
	uint32_t half = list, rest;

	if (length < 2)
		return list;
	for (size_t i = 1; i < length / 2; i++)
		half = t->nodes[half].next;
	rest = t->nodes[half].next;
	t->nodes[half].next = 0;
	list = sort_list(t, list, length / 2);
	return merge(t, list, sort_list(t, rest, length - length / 2));
}

static void sort_children(struct call_tree *t, struct call_node *n)
{
	size_t length = 0;

	for (uint32_t c = n->first_child; c != 0; c = t->nodes[c].next)
		length++;
	n->first_child = sort_list(t, n->first_child, length);
}

/* Children were made after their parents. */
void call_tree_finish(struct call_tree *t)
{
	for (size_t i = t->node_count; i-- > 0;) {
		struct call_node *n = &t->nodes[i], *parent = &t->nodes[n->parent];

		for (int side = 0; side < CALL_SIDES; side++) {
			n->value[side] += n->self[side];
			n->count[side] += n->self_count[side];
			if (i == 0)
				continue;
			parent->value[side] += n->value[side];
			parent->count[side] += n->count[side];
		}
		sort_children(t, n);
		if (i == 0)
			break;
		n->next = parent->first_child;
		parent->first_child = (uint32_t)i;
	}
}

uint32_t call_tree_next(const struct call_tree *t, uint32_t node, unsigned *depth)
{
	if (t->nodes[node].first_child != 0) {
		++*depth;
		return t->nodes[node].first_child;
	}
	while (node != 0 && t->nodes[node].next == 0) {
		node = t->nodes[node].parent;
		--*depth;
	}
	return t->nodes[node].next;
}

void call_tree_free(struct call_tree *t)
{
	free(t->nodes);
	free(t->about);
	string_table_free(&t->names);
	map_free(&t->children);
	*t = (struct call_tree){0};
}
