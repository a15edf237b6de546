/* SPDX-License-Identifier: MIT */
#include "analyzer/mapped.h"

#include <stdlib.h>

#include "analyzer/map.h"
#include "analyzer/vector.h"

/* Ranges do not overlap. Priorities are random, so depth is logarithmic. */
struct mapped_range {
	uint64_t start, end;
	uint64_t priority;
	uint32_t left, right; /* 0: none */
};

static uint32_t range_new(struct mapped *m, uint64_t start, uint64_t end)
{
	uint32_t i = m->spare;

	if (i != 0) {
		m->spare = m->ranges[i].left;
	} else {
		if (m->count >= UINT32_MAX - 1 || !vector_reserve(m->ranges, m->room, m->count + 2))
			return 0;
		i = (uint32_t)++m->count;
	}
	m->random = map_hash(m->random + 1);
	m->ranges[i] = (struct mapped_range){start, end, m->random, 0, 0};
	m->bytes += end - start;
	return i;
}

static void range_drop(struct mapped *m, uint32_t i)
{
	m->bytes -= m->ranges[i].end - m->ranges[i].start;
	m->ranges[i].left = m->spare;
	m->spare = i;
}

/* Ranges that start below `at` to *low, the others to *high. */
static void split(struct mapped *m, uint32_t tree, uint64_t at, uint32_t *low, uint32_t *high)
{
	if (tree == 0) {
		*low = *high = 0;
	} else if (m->ranges[tree].start < at) {
		split(m, m->ranges[tree].right, at, &m->ranges[tree].right, high);
		*low = tree;
	} else {
		split(m, m->ranges[tree].left, at, low, &m->ranges[tree].left);
		*high = tree;
	}
}

static uint32_t join(struct mapped *m, uint32_t low, uint32_t high)
{
	if (low == 0 || high == 0)
		return low | high;
	if (m->ranges[low].priority > m->ranges[high].priority) {
		m->ranges[low].right = join(m, m->ranges[low].right, high);
		return low;
	}
	m->ranges[high].left = join(m, low, m->ranges[high].left);
	return high;
}

static void drop_tree(struct mapped *m, uint32_t tree)
{
	if (tree == 0)
		return;
	drop_tree(m, m->ranges[tree].left);
	drop_tree(m, m->ranges[tree].right);
	range_drop(m, tree);
}

/* The last of a tree. */
static uint32_t last_of(const struct mapped *m, uint32_t tree)
{
	while (tree != 0 && m->ranges[tree].right != 0)
		tree = m->ranges[tree].right;
	return tree;
}

/* Take [start, end) out and put `added` ranges for it in its place. */
static bool replace(struct mapped *m, uint64_t start, uint64_t end, bool add)
{
	uint32_t low, middle, high, tail = 0, fresh = 0, before, last;

	split(m, m->root, start, &low, &high);
	split(m, high, end, &middle, &high);
	before = last_of(m, low);
	last = middle ? last_of(m, middle) : before;
	if (last != 0 && m->ranges[last].end > end)
		tail = range_new(m, end, m->ranges[last].end);
	else
		last = 0;
	if (before != 0 && m->ranges[before].end > start) {
		m->bytes -= m->ranges[before].end - start;
		m->ranges[before].end = start;
	}
	drop_tree(m, middle);
	if (add)
		fresh = range_new(m, start, end);
	m->root = join(m, join(m, join(m, low, fresh), tail), high);
	return (last == 0 || tail != 0) && (!add || fresh != 0);
}

/* Lengths count in whole pages, as the kernel takes them. */
static bool whole_pages(uint64_t *start, uint64_t *end, uint64_t length)
{
	static const uint64_t page = 4096;

	*start &= ~(page - 1);
	if (length == 0 || __builtin_add_overflow(*start, length, end) || *end > UINT64_MAX - page)
		return false;
	*end = (*end + page - 1) & ~(page - 1);
	return true;
}

bool mapped_add(struct mapped *m, uint64_t start, uint64_t length)
{
	uint64_t end;

	return !whole_pages(&start, &end, length) || replace(m, start, end, true);
}

bool mapped_remove(struct mapped *m, uint64_t start, uint64_t length)
{
	uint64_t end;

	return !whole_pages(&start, &end, length) || replace(m, start, end, false);
}

static void each(const struct mapped *m, uint32_t tree,
		 void (*range)(void *context, uint64_t start, uint64_t end), void *context)
{
	if (tree == 0)
		return;
	each(m, m->ranges[tree].left, range, context);
	range(context, m->ranges[tree].start, m->ranges[tree].end);
	each(m, m->ranges[tree].right, range, context);
}

void mapped_each(const struct mapped *m, void (*range)(void *context, uint64_t start, uint64_t end),
		 void *context)
{
	each(m, m->root, range, context);
}

void mapped_free(struct mapped *m)
{
	free(m->ranges);
	*m = (struct mapped){0};
}
