/* SPDX-License-Identifier: MIT */
/*
 * What stacks did, added up over processes: slices are the tree's from the beginning, and
 * threads, files, connections and waits get the tree's numbers.
 */
#include "analyzer/activity.h"
#include "analyzer/stacks.h"
#include "analyzer/tree.h"

/* A thing of an image is one of the tree's. */
void tree_number(struct tree *t, const struct run *run, enum activity_kind kind, uint32_t number,
		 uint32_t to)
{
	uint64_t key = (uint64_t)kind << 32 | number;

	if (run->activity != NULL && !map_put(&t->thing_by_number, key + 1, (uint64_t)to + 1))
		t->failed = true;
}

struct numbers {
	struct tree *tree;
	const struct run *run;
	struct map *known;
	uint32_t first_thread;
};

static void renumber(void *context, struct activity_key *key)
{
	const struct numbers *n = context;
	struct tree *t = n->tree;
	uint64_t thing;

	key->node = stacks_import(&t->stacks, n->run, key->node, n->known, t->arena);
	if (key->thread != ACTIVITY_NOBODY)
		key->thread += n->first_thread;
	thing = map_get(&t->thing_by_number, ((uint64_t)key->kind << 32 | key->thing) + 1);
	key->thing = thing != 0 ? (uint32_t)(thing - 1) : ACTIVITY_THING;
}

/* What a fork left counts in the process that allocated it. */
static void drop_inherited(struct activity *a)
{
	if (a->no_threads)
		return;
	for (size_t i = 0; i < a->count; i++) {
		struct activity_sum *s = &a->sums[i];

		if (s->key.kind == ACTIVITY_HEAP && s->key.thread == ACTIVITY_NOBODY)
			for (size_t v = 0; v < ACTIVITY_VALUES; v++)
				s->values[v] = 0;
	}
}

void tree_add_activity(struct tree *t, struct run *run, struct map *known)
{
	struct numbers n = {t, run, known, t->thread_number};

	for (size_t i = 0; i < run->thread_count; i++)
		run->threads[i].number += n.first_thread;
	t->thread_number += (uint32_t)run->thread_count;
	if (run->activity == NULL)
		return;
	drop_inherited(run->activity);
	activity_translate(run->activity, renumber, &n);
	map_clear(&t->thing_by_number);
	if (t->run.activity == NULL)
		t->run.activity = run->activity;
	else
		activity_merge(t->run.activity, run->activity);
	run->activity = NULL;
	activity_settle(t->run.activity);
	t->failed |= t->run.activity->failed;
}
