/* SPDX-License-Identifier: MIT */
/* What each stack did over time, as the page has it: by its stacks and by the threads,
 * files, connections and waits that are listed. */
#include <stdlib.h>

#include "analyzer/activity.h"
#include "analyzer/map.h"
#include "analyzer/report_html.h"

enum { THREADS_MOST = 4096 };

struct places {
	struct page_stacks *stacks;
	struct map thread_at, thing_at; /* number (of things with kind), + 1, to place + 1 */
	bool failed;
};

static void put_place(struct places *p, struct map *map, enum activity_kind kind, uint32_t number,
		      size_t place)
{
	p->failed |= !map_put(map, ((uint64_t)kind << 32 | number) + 1, place + 1);
}

static uint32_t place_of(const struct map *map, unsigned kind, uint32_t number, uint32_t none)
{
	uint64_t place = map_get(map, ((uint64_t)kind << 32 | number) + 1);

	return place != 0 ? (uint32_t)(place - 1) : none;
}

/* As the JSON lists them. */
static void find_places(struct places *p, const struct report *r)
{
	const struct run *run = r->run;

	for (size_t i = 0; i < run->thread_count && i < THREADS_MOST; i++)
		put_place(p, &p->thread_at, ACTIVITY_HEAP, run->threads[i].number, i);
	for (size_t i = 0; i < run->file_count && i < r->top; i++)
		put_place(p, &p->thing_at, ACTIVITY_FILE, run->files[i].number, i);
	for (size_t i = 0; i < r->connection_count && i < r->top; i++)
		put_place(p, &p->thing_at, ACTIVITY_SOCKET, r->connections[i]->number, i);
	for (size_t i = 0; i < run->wait_count && i < r->top; i++)
		put_place(p, &p->thing_at, ACTIVITY_WAIT, run->waits[i].number, i);
}

static void to_places(void *context, struct activity_key *key)
{
	struct places *p = context;

	key->node = page_stacks_stack(p->stacks, key->node);
	key->thread = place_of(&p->thread_at, ACTIVITY_HEAP, key->thread, ACTIVITY_NOBODY);
	key->thing = place_of(&p->thing_at, key->kind, key->thing, ACTIVITY_THING);
}

/* One column of the sums of a kind; none is -1. */
enum column { STACK = ACTIVITY_VALUES, THREAD, THING, SLICE };

static int64_t value_of(const struct activity_sum *s, unsigned column)
{
	switch (column) {
	case STACK:
		return s->key.node;
	case THREAD:
		return s->key.thread == ACTIVITY_NOBODY ? -1 : (int64_t)s->key.thread;
	case THING:
		return s->key.thing == ACTIVITY_THING ? -1 : (int64_t)s->key.thing;
	case SLICE:
		return s->key.slice;
	}
	return (int64_t)s->values[column];
}

struct column_row {
	const char *name;
	unsigned column;
};

static const struct column_row heap_columns[] = {
	{"stack", STACK},
	{"thread", THREAD},
	{"slice", SLICE},
	{"allocated", ACTIVITY_ALLOCATED},
	{"allocations", ACTIVITY_ALLOCATIONS},
	{"temporary", ACTIVITY_TEMPORARY},
	{"grown", ACTIVITY_GROWN},
	{"grown_blocks", ACTIVITY_GROWN_BLOCKS},
	{"left", ACTIVITY_LEFT},
	{"left_blocks", ACTIVITY_LEFT_BLOCKS},
};

static const struct column_row call_columns[] = {
	{"stack", STACK},	   {"thread", THREAD},	{"slice", SLICE},    {"thing", THING},
	{"calls", ACTIVITY_CALLS}, {"ns", ACTIVITY_NS}, {"in", ACTIVITY_IN}, {"out", ACTIVITY_OUT},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct {
	const char *name;
	enum activity_kind kind;
	const struct column_row *columns;
	size_t count;
} kinds[] = {
	{"heap", ACTIVITY_HEAP, heap_columns, COUNT(heap_columns)},
	{"files", ACTIVITY_FILE, call_columns, COUNT(call_columns)},
	{"sockets", ACTIVITY_SOCKET, call_columns, COUNT(call_columns)},
	{"waits", ACTIVITY_WAIT, call_columns, COUNT(call_columns) - 2}, /* moves nothing */
};

/* Sums are in order of their kinds: these are sums[0..count). */
static void emit_kind(struct emit_json *e, size_t k, const struct activity_sum *sums, size_t count)
{
	int64_t *column = calloc(count + 1, sizeof(*column));

	if (column == NULL) {
		e->failed = true;
		return;
	}
	emit_object(e, kinds[k].name);
	for (size_t c = 0; c < kinds[k].count; c++) {
		for (size_t i = 0; i < count; i++)
			column[i] = value_of(&sums[i], kinds[k].columns[c].column);
		emit_numbers(e, kinds[k].columns[c].name, column, count);
	}
	emit_end(e);
	free(column);
}

static void emit_activity(struct emit_json *e, const struct activity *a)
{
	size_t at = 0;

	emit_double(e, "origin_s", a->origin_ns / 1e9);
	emit_double(e, "width_s", (double)a->width_ns / 1e9);
	emit_bool(e, "threads", !a->no_threads);
	emit_bool(e, "things", !a->no_things);
	for (size_t k = 0; k < COUNT(kinds); k++) {
		size_t end = at;

		while (end < a->count && a->sums[end].key.kind == kinds[k].kind)
			end++;
		emit_kind(e, k, &a->sums[at], end - at);
		at = end;
	}
}

/* Of all threads that may be named, also those that no list has. */
static void emit_threads(const struct run *run, struct emit_json *e)
{
	size_t count = run->thread_count < THREADS_MOST ? run->thread_count : THREADS_MOST;

	emit_object(e, "threads");
	emit_array(e, "tid");
	for (size_t i = 0; i < count; i++)
		emit_i64(e, NULL, run->threads[i].tid);
	emit_end(e);
	emit_array(e, "process");
	for (size_t i = 0; i < count; i++)
		emit_u64(e, NULL, run->threads[i].process);
	emit_end(e);
	emit_array(e, "name");
	for (size_t i = 0; i < count; i++)
		emit_string(e, NULL, run->threads[i].name);
	emit_end(e);
	emit_end(e);
}

bool page_activity(struct report *r, struct page_stacks *stacks, size_t most, struct emit_json *e)
{
	struct places p = {.stacks = stacks};
	bool whole = true;
	struct activity *a = r->run->activity != NULL ? activity_copy(r->run->activity) : NULL;

	emit_threads(r->run, e);
	if (r->run->activity == NULL) {
		emit_null(e, "activity");
		return true;
	}
	emit_object(e, "activity");
	find_places(&p, r);
	if (a != NULL) {
		activity_translate(a, to_places, &p);
		activity_reduce(a, most);
		emit_activity(e, a);
		whole = a->no_threads == r->run->activity->no_threads;
	}
	emit_end(e);
	e->failed |= a == NULL || a->failed || p.failed;
	activity_free(a);
	map_free(&p.thread_at);
	map_free(&p.thing_at);
	return whole;
}
