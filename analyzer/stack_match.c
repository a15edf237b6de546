/* SPDX-License-Identifier: MIT */
/* Which stacks of two builds are the same one. */
#include "analyzer/stack_match.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/map.h"

enum {
	BEFORE,
	AFTER,
	/* Pairs that are aligned at most: of more, a day's work, the last ones are not. */
	PAIRS_MAX = 4000000,
};

struct match {
	struct stack_keys *keys;
	struct match_entry *entries;
	size_t count;
	const struct match_options *options;
	size_t *open; /* entries that are not in both builds, or differ */
	size_t open_count;
	size_t pairs;
};

static bool is_lone(const struct match_entry *e)
{
	return e->into == 0 && e->in[BEFORE] != e->in[AFTER];
}

static bool is_merged(const struct match_entry *e)
{
	return e->into != 0;
}

static void merge(struct match *m, struct match_entry *to, struct match_entry *from,
		  enum match_kind how)
{
	for (int side = BEFORE; side <= AFTER; side++) {
		to->in[side] |= from->in[side];
		for (int i = 0; i < MATCH_VALUES; i++)
			to->value[side][i] += from->value[side][i];
	}
	if (how > to->how)
		to->how = how;
	from->into = (uint32_t)(to - m->entries) + 1;
}

/* Together, are they equal in both builds, in all that must be equal in two runs? */
static bool cancel(const struct match *m, const struct match_entry *a, const struct match_entry *b)
{
	bool any = false;

	for (int i = 0; i < MATCH_VALUES; i++) {
		if (!(m->options->exact & 1u << i))
			continue;
		if (a->value[BEFORE][i] + b->value[BEFORE][i] !=
		    a->value[AFTER][i] + b->value[AFTER][i])
			return false;
		any |= b->value[BEFORE][i] + b->value[AFTER][i] > 0;
	}
	return any;
}

static bool differs(const struct match *m, const struct match_entry *e)
{
	for (int i = 0; i < MATCH_VALUES; i++)
		if ((m->options->exact & 1u << i) && e->value[BEFORE][i] != e->value[AFTER][i])
			return true;
	return false;
}

/* ---- By name ---- */

struct loose {
	const uint32_t *frames;
	size_t count;
};

static struct loose loose_of(struct match *m, const struct match_entry *e)
{
	struct loose l = {0};

	l.count = stack_keys_loose(m->keys, e->key, &l.frames);
	return l;
}

static bool is_same(const struct match *m, struct loose a, struct loose b)
{
	for (size_t i = 0; i < a.count && a.count == b.count; i++)
		if (!stack_keys_alike(m->keys, a.frames[i], b.frames[i]))
			return false;
	return a.count == b.count && a.count > 0;
}

/* The first entry with e's names in the index, or e itself, which becomes findable; NULL:
 * out of memory. */
static struct match_entry *first_of_name(struct match *m, struct index *by_names,
					 struct match_entry *e)
{
	uint64_t hash = stack_keys_loose_hash(m->keys, e->key, false);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(by_names, hash, &at)) != 0) {
		struct match_entry *first = &m->entries[place - 1];

		if (is_same(m, loose_of(m, first), loose_of(m, e)))
			return first;
	}
	return index_insert(by_names, hash, (uint32_t)(e - m->entries) + 1) ? e : NULL;
}

/* Of the entries of one name, those that are in one build only or differ become one, if
 * both builds have some. */
static bool merge_by_name(struct match *m)
{
	struct match_entry **first = calloc(m->count + 1, sizeof(struct match_entry *));
	bool(*in)[2] = calloc(m->count + 1, sizeof(*in));
	struct index by_names = {0};
	bool good = first != NULL && in != NULL;

	for (size_t i = 0; i < m->count && good; i++) {
		struct match_entry *e = &m->entries[i];

		if (!(is_lone(e) || differs(m, e)) || loose_of(m, e).count == 0)
			continue;
		first[i] = first_of_name(m, &by_names, e);
		good = first[i] != NULL;
		for (int side = BEFORE; side <= AFTER && good; side++)
			in[first[i] - m->entries][side] |= e->in[side];
	}
	for (size_t i = 0; i < m->count && good; i++)
		if (first[i] != NULL && first[i] != &m->entries[i] &&
		    in[first[i] - m->entries][BEFORE] && in[first[i] - m->entries][AFTER])
			merge(m, first[i], &m->entries[i], MATCH_NAME);
	index_free(&by_names);
	free(first);
	free(in);
	return good && !stack_keys_failed(m->keys);
}

/* ---- By alignment ---- */

/* Are all of a's own functions among b's, in the same order? Returns how many; SIZE_MAX:
 * no. */
static size_t own_in_common(const struct match *m, struct loose a, struct loose b)
{
	size_t i = 0, count = 0;

	for (size_t j = 0; j < a.count; j++) {
		if (stack_keys_is_library(m->keys, a.frames[j]))
			continue;
		while (i < b.count && !stack_keys_alike(m->keys, a.frames[j], b.frames[i]))
			i++;
		if (i++ == b.count)
			return SIZE_MAX;
		count++;
	}
	return count;
}

/* Are one's own functions the other's but for some, in the same order? */
static bool is_related(struct match *m, const struct match_entry *a, const struct match_entry *b)
{
	struct loose x, y;
	size_t one, other;

	loose_of(m, b); /* made, so that neither moves the other */
	x = loose_of(m, a);
	y = loose_of(m, b);
	one = own_in_common(m, x, y);
	other = own_in_common(m, y, x);
	return (one != SIZE_MAX && one > 0) || (other != SIZE_MAX && other > 0);
}

/* The one among the open entries from `from` on that leaves nothing of both. */
static struct match_entry *complement(struct match *m, const struct match_entry *e, size_t from)
{
	for (size_t i = from; i < m->open_count && m->pairs < PAIRS_MAX; i++, m->pairs++) {
		struct match_entry *other = &m->entries[m->open[i]];

		if (!is_merged(other) && (is_lone(e) || is_lone(other)) && cancel(m, e, other) &&
		    is_related(m, e, other))
			return other;
	}
	return NULL;
}

/* All lone ones whose functions are e's but for some, or the other way round, at once:
 * one by one they may cancel nothing. */
static void align_several(struct match *m, struct match_entry *e)
{
	struct match_entry sum = {.key = e->key};
	size_t *related = malloc((m->open_count + 1) * sizeof(*related)), count = 0;

	for (size_t i = 0; related != NULL && i < m->open_count && m->pairs < PAIRS_MAX;
	     i++, m->pairs++) {
		const struct match_entry *other = &m->entries[m->open[i]];

		if (other == e || !is_lone(other) || !is_related(m, e, other))
			continue;
		related[count++] = m->open[i];
		for (int v = 0; v < MATCH_VALUES; v++) {
			sum.value[BEFORE][v] += other->value[BEFORE][v];
			sum.value[AFTER][v] += other->value[AFTER][v];
		}
	}
	if (count > 1 && cancel(m, e, &sum))
		for (size_t i = 0; i < count; i++)
			merge(m, e, &m->entries[related[i]], MATCH_ALIGNED);
	free(related);
}

/* Is each the other's, the language's library left out? */
static bool are_own_equal(struct match *m, const struct match_entry *a, const struct match_entry *b)
{
	struct loose x, y;
	size_t count;

	loose_of(m, b); /* made, so that neither moves the other */
	x = loose_of(m, a);
	y = loose_of(m, b);
	count = own_in_common(m, x, y);
	return count != SIZE_MAX && count > 0 && count == own_in_common(m, y, x);
}

/* Of the lone entries with e's own functions, the one of the other build, if there is no
 * more than one in each. */
static struct match_entry *only_twin(struct match *m, const struct match_entry *e)
{
	struct match_entry *twin = NULL;

	for (size_t i = 0; i < m->open_count && m->pairs < PAIRS_MAX; i++, m->pairs++) {
		struct match_entry *other = &m->entries[m->open[i]];

		if (other == e || !is_lone(other) || !are_own_equal(m, e, other))
			continue;
		if (twin != NULL || other->in[AFTER] == e->in[AFTER])
			return NULL;
		twin = other;
	}
	return twin;
}

static void align(struct match *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (!is_merged(&m->entries[i]) &&
		    (is_lone(&m->entries[i]) || differs(m, &m->entries[i])))
			m->open[m->open_count++] = i;
	for (size_t i = 0; i < m->open_count; i++) {
		struct match_entry *e = &m->entries[m->open[i]], *other;

		if (!is_merged(e) && (other = complement(m, e, i + 1)) != NULL)
			merge(m, e, other, MATCH_ALIGNED);
	}
	for (size_t i = 0; i < m->open_count; i++)
		if (!is_merged(&m->entries[m->open[i]]) && differs(m, &m->entries[m->open[i]]))
			align_several(m, &m->entries[m->open[i]]);
	for (size_t i = 0; i < m->open_count; i++) {
		struct match_entry *e = &m->entries[m->open[i]], *other;

		if (is_lone(e) && (other = only_twin(m, e)) != NULL)
			merge(m, e, other, MATCH_ALIGNED);
	}
}

/* ---- Without debug information ---- */

/* What differs only in calls of the library is one in the build `side`: there is no
 * telling which of the other build's became which. False: out of memory. */
static bool merge_own(struct match *m, int side)
{
	struct index by_own = {0};
	bool good = true;

	for (size_t i = 0; i < m->count && good; i++) {
		struct match_entry *e = &m->entries[i];
		uint64_t hash;
		size_t at = SIZE_MAX;
		uint32_t place;

		if (is_merged(e) || !e->in[side])
			continue;
		hash = stack_keys_loose_hash(m->keys, e->key, true);
		while ((place = index_find(&by_own, hash, &at)) != 0)
			if (are_own_equal(m, &m->entries[place - 1], e))
				break;
		if (place != 0)
			merge(m, &m->entries[place - 1], e, MATCH_ALIGNED);
		else
			good = index_insert(&by_own, hash, (uint32_t)i + 1);
	}
	index_free(&by_own);
	return good;
}

/* The longest stack of the build `side` that e's is where inlined functions are not
 * known; NULL: none. */
static struct match_entry *without_inlined(struct match *m, const struct match_entry *e, int side)
{
	struct match_entry *best = NULL;
	size_t best_count = 0;

	for (size_t i = 0; i < m->count && m->pairs < PAIRS_MAX; i++, m->pairs++) {
		struct match_entry *to = &m->entries[i];
		struct loose x, y;
		size_t count;

		if (is_merged(to) || !to->in[side])
			continue;
		loose_of(m, to);
		y = loose_of(m, e);
		x = loose_of(m, to);
		count = own_in_common(m, x, y);
		if (count != SIZE_MAX && count > best_count) {
			best = to;
			best_count = count;
		}
	}
	return best;
}

static bool fold_inlined(struct match *m, int side)
{
	if (!merge_own(m, side))
		return false;
	m->pairs = 0;
	for (size_t i = 0; i < m->open_count; i++) {
		struct match_entry *e = &m->entries[m->open[i]], *to;

		if (is_lone(e) && !e->in[side] && (to = without_inlined(m, e, side)) != NULL)
			merge(m, to, e, MATCH_ALIGNED);
	}
	return true;
}

bool stack_match(struct stack_keys *keys, struct match_entry *entries, size_t count,
		 const struct match_options *options)
{
	struct match m = {.keys = keys, .entries = entries, .count = count, .options = options};
	bool good;

	m.open = calloc(count + 1, sizeof(*m.open));
	good = m.open != NULL && merge_by_name(&m);
	if (good)
		align(&m);
	if (good && options->lineless[BEFORE] != options->lineless[AFTER])
		good = fold_inlined(&m, options->lineless[BEFORE] ? BEFORE : AFTER);
	free(m.open);
	return good && !stack_keys_failed(keys);
}
