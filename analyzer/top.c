/* SPDX-License-Identifier: MIT */
#include "analyzer/top.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/map.h"
#include "analyzer/report.h"
#include "analyzer/vector.h"

static const char *const by_names[] = {
	[TOP_FUNCTION] = "function", [TOP_FILE] = "file",   [TOP_MODULE] = "module",
	[TOP_THREAD] = "thread",     [TOP_STACK] = "stack",
};

enum top_by top_by_name(const char *name)
{
	for (int i = TOP_FUNCTION; i <= TOP_STACK; i++)
		if (strcmp(by_names[i], name) == 0)
			return (enum top_by)i;
	return TOP_NONE;
}

const char *top_name(enum top_by by)
{
	return by_names[by];
}

/* A stack, and what it cost. */
struct costly {
	uint32_t node;
	uint64_t values[COST_COUNT];
};

struct maker {
	struct top *top;
	struct report *report;
	struct costly *stacks;
	size_t stack_count, stack_room;
	struct map stack_by_node; /* node + 1, to its place + 1 */
	struct index row_by_name;
	size_t row_room;
	uint32_t *seen; /* by row: the last stack that it was met in, from 1 */
	size_t seen_room;
	bool failed;
};

/* ---- what each stack cost ---------------------------------------------------- */

static struct costly *stack_of(struct maker *m, uint32_t node)
{
	size_t place = map_get(&m->stack_by_node, (uint64_t)node + 1);

	if (place != 0)
		return &m->stacks[place - 1];
	if (!vector_reserve(m->stacks, m->stack_room, m->stack_count + 1) ||
	    !map_put(&m->stack_by_node, (uint64_t)node + 1, m->stack_count + 1)) {
		m->failed = true;
		return NULL;
	}
	m->stacks[m->stack_count] = (struct costly){.node = node};
	return &m->stacks[m->stack_count++];
}

static int gather(struct maker *m, struct error *e)
{
	for (size_t i = 0; i < COST_COUNT; i++) {
		struct cost_samples samples;

		if (costs_of(m->report->run, &costs[i], &samples, e) != 0)
			return -1;
		for (size_t k = 0; k < samples.count && !m->failed; k++) {
			struct costly *to = stack_of(m, samples.list[k].node);

			if (to != NULL)
				to->values[i] = samples.list[k].value;
		}
		m->top->sums[i] = samples.total;
		costs_free(&samples);
	}
	return m->failed ? fail(e, ERROR_MEMORY, 0, "out of memory") : 0;
}

/* ---- rows ---------------------------------------------------------------------- */

/* A name that is made up; NULL: out of memory. */
static const char *own_name(struct maker *m, char *name)
{
	struct top *t = m->top;

	if (name == NULL || !vector_reserve(t->names, t->name_room, t->name_count + 1)) {
		m->failed = true;
		free(name);
		return NULL;
	}
	return t->names[t->name_count++] = name;
}

/* SIZE_MAX: out of memory. */
static size_t row_of(struct maker *m, const char *name, bool is_made_up)
{
	uint64_t hash = map_hash_bytes(name, strlen(name));
	struct top *t = m->top;
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&m->row_by_name, hash, &at)) != 0)
		if (strcmp(t->rows[place - 1].name, name) == 0)
			return place - 1;
	if (is_made_up)
		name = own_name(m, strdup(name));
	if (name == NULL || t->count >= UINT32_MAX - 1 ||
	    !vector_reserve(t->rows, m->row_room, t->count + 1) ||
	    !vector_reserve(m->seen, m->seen_room, t->count + 1) ||
	    !index_insert(&m->row_by_name, hash, (uint32_t)t->count + 1)) {
		m->failed = true;
		return SIZE_MAX;
	}
	t->rows[t->count] = (struct top_row){.name = name};
	m->seen[t->count] = 0;
	return t->count++;
}

/* What a frame counts as; rows of what has no name of its own go by their module. */
static size_t row_of_frame(struct maker *m, const struct frame *f)
{
	const char *module = f->module != NULL ? base_name(f->module) : "generated code";
	const char *known = m->top->by == TOP_FUNCTION ? f->function
			    : m->top->by == TOP_FILE   ? f->file
						       : f->module;
	char made_up[300];

	if (known != NULL)
		return row_of(m, known, false);
	snprintf(made_up, sizeof(made_up), "[%.200s]", module);
	return row_of(m, made_up, true);
}

static void add_to(uint64_t to[COST_COUNT], const uint64_t from[COST_COUNT])
{
	for (size_t i = 0; i < COST_COUNT; i++)
		to[i] += from[i];
}

static void add_frame(struct maker *m, const struct frame *f, const struct costly *stack,
		      uint32_t number, bool innermost)
{
	size_t row = row_of_frame(m, f);

	if (row == SIZE_MAX)
		return;
	if (innermost)
		add_to(m->top->rows[row].self, stack->values);
	if (m->seen[row] != number)
		add_to(m->top->rows[row].total, stack->values);
	m->seen[row] = number;
}

/* What has no stack stands by itself. */
static void add_bare(struct maker *m, const struct costly *stack)
{
	size_t row = row_of(m, "(no stack)", false);

	if (row == SIZE_MAX)
		return;
	add_to(m->top->rows[row].self, stack->values);
	add_to(m->top->rows[row].total, stack->values);
}

static void add_stack(struct maker *m, const struct costly *stack, uint32_t number)
{
	struct stack frames;

	if (report_stack(m->report, stack->node, &frames) != 0) {
		m->failed = true;
		return;
	}
	for (size_t i = 0; i < frames.count; i++)
		add_frame(m, &frames.frames[i], stack, number, i == 0);
	if (frames.count == 0)
		add_bare(m, stack);
	stack_free(&frames);
}

static void add_whole_stack(struct maker *m, const struct costly *stack)
{
	uint32_t node = telling_node(m->report, stack->node);
	const char *name = node_function(m->report, node);
	struct top_row *row;

	if (!vector_reserve(m->top->rows, m->row_room, m->top->count + 1)) {
		m->failed = true;
		return;
	}
	row = &m->top->rows[m->top->count++];
	*row = (struct top_row){.name = name != NULL ? name : "?", .node = stack->node};
	add_to(row->self, stack->values);
	add_to(row->total, stack->values);
}

static uint64_t ns(double s)
{
	return s > 0 ? (uint64_t)llround(s * 1e9) : 0;
}

/* Who did what at the peak is not kept by thread. */
static void add_thread(struct maker *m, const struct thread *t)
{
	uint64_t values[COST_COUNT] = {
		[COST_PEAK] = TOP_UNKNOWN,
		[COST_LEAKED] = m->report->tree != NULL ? TOP_UNKNOWN : t->live_bytes,
		[COST_ALLOCATED] = t->allocated_bytes,
		[COST_TEMPORARY] = TOP_UNKNOWN,
		[COST_READ] = t->read_bytes,
		[COST_WRITTEN] = t->written_bytes,
		[COST_SENT] = t->sent_bytes,
		[COST_RECEIVED] = t->received_bytes,
		[COST_TIME] = ns(t->reading_s + t->writing_s + t->network_s),
		[COST_WAITED] = ns(t->waiting_s + t->sleeping_s),
	};
	struct top_row *row;

	if (!vector_reserve(m->top->rows, m->row_room, m->top->count + 1)) {
		m->failed = true;
		return;
	}
	row = &m->top->rows[m->top->count++];
	*row = (struct top_row){.name = t->name, .pid = t->pid, .tid = t->tid};
	memcpy(row->self, values, sizeof(values));
	memcpy(row->total, values, sizeof(values));
}

/* ---- order ---------------------------------------------------------------------- */

static int by_cost(const void *a, const void *b, void *context)
{
	const struct top_row *x = a, *y = b;
	size_t cost = *(const size_t *)context;
	int by_name;

	if (x->self[cost] != y->self[cost])
		return x->self[cost] < y->self[cost] ? 1 : -1;
	if (x->total[cost] != y->total[cost])
		return x->total[cost] < y->total[cost] ? 1 : -1;
	by_name = strcmp(x->name, y->name);
	if (by_name == 0)
		by_name = (x->node > y->node) - (x->node < y->node);
	return by_name != 0 ? by_name : (x->tid > y->tid) - (x->tid < y->tid);
}

/* Rows that cost nothing of the kind that is asked for are no rows. */
static void rank(struct top *t)
{
	size_t cost = (size_t)(t->cost - costs), kept = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].total[cost] != 0)
			t->rows[kept++] = t->rows[i];
	t->count = kept;
	if (kept != 0)
		qsort_r(t->rows, kept, sizeof(*t->rows), by_cost, &cost);
}

int top_make(struct top *top, struct report *r, enum top_by by, const struct cost *cost,
	     struct error *e)
{
	struct maker m = {.top = top, .report = r};
	int rc;

	*top = (struct top){.by = by, .cost = cost};
	rc = gather(&m, e);
	for (size_t i = 0; rc == 0 && i < m.stack_count && by != TOP_THREAD; i++) {
		if (by == TOP_STACK)
			add_whole_stack(&m, &m.stacks[i]);
		else
			add_stack(&m, &m.stacks[i], (uint32_t)i + 1);
	}
	for (size_t i = 0; rc == 0 && by == TOP_THREAD && i < r->run->thread_count; i++)
		add_thread(&m, &r->run->threads[i]);
	if (m.failed)
		rc = fail(e, ERROR_MEMORY, 0, "out of memory");
	else
		rank(top);
	free(m.stacks);
	free(m.seen);
	map_free(&m.stack_by_node);
	index_free(&m.row_by_name);
	return rc;
}

void top_free(struct top *top)
{
	for (size_t i = 0; i < top->name_count; i++)
		free(top->names[i]);
	free(top->names);
	free(top->rows);
	*top = (struct top){.by = TOP_NONE};
}
