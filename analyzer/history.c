/* SPDX-License-Identifier: MIT */
#include "analyzer/history.h"

#include <stdlib.h>

enum {
	TIME_CELLS = 64,
	NUMBER_CELLS = 32,
	FIRST_ROOM = 4,
};
_Static_assert(PERIODS_MAX > TIME_CELLS + NUMBER_CELLS, "each step leaves a cell of either");

static struct history_place cell_of(const struct history_axis *x, struct history_place place)
{
	return (struct history_place){(place.at - x->origin.at) >> x->at_shift,
				      (place.number - x->origin.number) >> x->number_shift};
}

static bool is_one_cell(const struct history_axis *x, struct history_place a,
			struct history_place b)
{
	const struct history_place p = cell_of(x, a), q = cell_of(x, b);

	return p.at == q.at && p.number == q.number;
}

bool history_moves(struct history_axis *x, struct history_place last, struct history_place place)
{
	for (; cell_of(x, place).at >= TIME_CELLS; x->generation++)
		x->at_shift++;
	for (; cell_of(x, place).number >= NUMBER_CELLS; x->generation++)
		x->number_shift++;
	return !is_one_cell(x, last, place);
}

void history_fold(struct history_track *t, const struct history_axis *x)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; t->generation != x->generation && i < t->count; i++) {
		if (kept > 0 && is_one_cell(x, t->entries[kept - 1].place, t->entries[i].place))
			t->entries[kept - 1].level = t->entries[i].level;
		else
			t->entries[kept++] = t->entries[i];
	}
	if (t->generation != x->generation)
		t->count = kept;
	t->generation = x->generation;
}

static bool make_room(struct history_track *t, const struct history_axis *x)
{
	uint32_t room = t->room != 0 ? 2 * t->room : FIRST_ROOM;
	struct history_entry *bigger;

	history_fold(t, x);
	if (t->count < t->room)
		return true;
	bigger = realloc(t->entries, room * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	t->entries = bigger;
	t->room = room;
	return true;
}

bool history_put(struct history_track *t, const struct history_axis *x, struct history_place place,
		 const struct history_level *level)
{
	if (t->count > 0 && is_one_cell(x, t->entries[t->count - 1].place, place)) {
		t->entries[t->count - 1].level = *level;
		return true;
	}
	if (t->count == t->room && !make_room(t, x))
		return false;
	t->entries[t->count++] = (struct history_entry){place, *level};
	return true;
}

void history_free(struct history_track *t)
{
	free(t->entries);
	*t = (struct history_track){0};
}

void history_fold_marks(struct history_marks *m, const struct history_axis *x)
{
	size_t kept = 0;

	if (m->generation == x->generation)
		return;
	for (size_t i = 0; i < m->count; i++) {
		struct history_place place = m->marks[i].place;

		/* The earlier one's beginning, the later one's end. */
		if (kept > 0 && is_one_cell(x, m->marks[kept - 1].place, place)) {
			place = m->marks[--kept].place;
		}
		m->marks[kept] = m->marks[i];
		m->marks[kept++].place = place;
	}
	m->count = kept;
	m->generation = x->generation;
}

void history_mark(struct history_marks *m, const struct history_axis *x,
		  const struct history_mark *mark)
{
	if (m->count == sizeof(m->marks) / sizeof(*m->marks)) {
		history_fold_marks(m, x);
		m->count -= m->count == sizeof(m->marks) / sizeof(*m->marks);
	}
	m->marks[m->count++] = *mark;
}

size_t history_find(const struct history_marks *m, struct history_place place)
{
	size_t low = 0, high = m->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		const struct history_place *began = &m->marks[middle].place;

		if (began->number <= place.number && began->at <= place.at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct history_level history_at(const struct site *s, uint32_t period)
{
	struct history_level level = {0};

	for (size_t i = 0; i < s->history_count && s->history[i].period <= period; i++) {
		const struct history_point *p = &s->history[i];

		level = (struct history_level){p->live_bytes, p->live_blocks, p->allocated_bytes,
					       p->allocations};
	}
	return level;
}

void history_sample(const struct run *run, const struct site *s, struct history_level *levels,
		    size_t count)
{
	uint32_t period = 0;

	for (size_t i = 0; i < count; i++) {
		double at_s = run_start_s(run) + run_span_s(run) * (double)(i + 1) / (double)count;

		while (period + 1 < run->period_count && run->periods[period].until_s < at_s &&
		       run->periods[period + 1].until_s <= at_s)
			period++;
		levels[i] = i + 1 == count ? history_at(s, UINT32_MAX) : history_at(s, period);
	}
}
