/* SPDX-License-Identifier: MIT */
/*
 * Stacks' histories, added up over processes: what each process's stack gained or lost in
 * its periods becomes a step in the tree's time. The tree's periods are evenly spaced. A
 * block that a process still had when it ended counts on, as it does in the tree's sums.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/history.h"
#include "analyzer/tree.h"
#include "analyzer/vector.h"

enum { PERIODS = 64 };

/* Differences; unsigned, and they may wrap: their sums do not. */
struct tree_step {
	double at_s;
	struct history_level by;
	uint64_t kept_bytes, kept_blocks;
};

struct tree_track {
	struct tree_step *steps;
	size_t count, room;
	struct spread spread;
};

static void add_up(struct history_level *to, const struct history_level *by)
{
	to->live_bytes += by->live_bytes;
	to->live_blocks += by->live_blocks;
	to->allocated_bytes += by->allocated_bytes;
	to->allocations += by->allocations;
}

static int by_time(const void *a, const void *b)
{
	const struct tree_step *x = a, *y = b;

	return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

static size_t cell_of(double at_s, double from_s, double span_s)
{
	double cell = span_s > 0 ? (at_s - from_s) / span_s * PERIODS : 0;

	return cell < PERIODS - 1 ? cell > 0 ? (size_t)cell : 0 : PERIODS - 1;
}

/* Steps in one of the cells that the time so far is cut into become one. */
static void fold(struct tree_track *k, double from_s, double span_s)
{
	size_t kept = 0;

	if (k->count != 0)
		qsort(k->steps, k->count, sizeof(*k->steps), by_time);
	for (size_t i = 0; i < k->count; i++) {
		struct tree_step *last = &k->steps[kept > 0 ? kept - 1 : 0];

		if (kept == 0 || cell_of(last->at_s, from_s, span_s) !=
					 cell_of(k->steps[i].at_s, from_s, span_s)) {
			k->steps[kept++] = k->steps[i];
			continue;
		}
		add_up(&last->by, &k->steps[i].by);
		last->kept_bytes += k->steps[i].kept_bytes;
		last->kept_blocks += k->steps[i].kept_blocks;
	}
	k->count = kept;
}

static bool put(struct tree_track *k, const struct tree_step *step, double span_s)
{
	if (k->count == k->room && k->room >= PERIODS)
		fold(k, 0, span_s);
	if (!vector_reserve(k->steps, k->room, k->count + 1))
		return false;
	k->steps[k->count++] = *step;
	return true;
}

static void add_counts(uint32_t *to, const uint32_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(to[i], from[i], &to[i]))
			to[i] = UINT32_MAX;
}

static struct tree_track *track_of(struct tree *t, size_t site)
{
	if (!vector_reserve(t->tracks, t->track_room, site + 1)) {
		t->failed = true;
		return NULL;
	}
	for (; t->track_count <= site; t->track_count++)
		t->tracks[t->track_count] = (struct tree_track){0};
	return &t->tracks[site];
}

void tree_add_history(struct tree *t, const struct tree_image *image, const struct site *s,
		      const struct site *to)
{
	struct tree_track *k = track_of(t, (size_t)(to - t->run.sites));
	double span_s = image->at_s + image->run.duration_s;
	/* What a fork left counts in the process that allocated it. */
	struct history_level last = {.live_bytes = s->inherited_bytes,
				     .live_blocks = s->inherited_blocks};

	for (size_t i = 0; k != NULL && i < s->history_count; i++) {
		const struct history_point *p = &s->history[i];
		const struct tree_step step = {
			.at_s = image->at_s + image->run.periods[p->period].from_s,
			.by = {p->live_bytes - last.live_bytes, p->live_blocks - last.live_blocks,
			       p->allocated_bytes - last.allocated_bytes,
			       p->allocations - last.allocations},
			.kept_bytes = p->kept_bytes,
			.kept_blocks = p->kept_blocks,
		};

		t->failed |= !put(k, &step, span_s);
		add_up(&last, &step.by);
	}
	if (k == NULL || s->spread == NULL)
		return;
	add_counts(k->spread.sizes, s->spread->sizes, SIZE_CLASSES);
	add_counts(k->spread.lifetimes, s->spread->lifetimes, LIFETIMES);
	add_counts(k->spread.ages, s->spread->ages, AGES);
}

/* A period counts from the cell on in which it begins, as its steps do. */
static void add_periods(struct tree *t, const struct tree_image *image)
{
	const struct run *from = &image->run;
	size_t next = 0;

	for (size_t i = 0; i < t->run.period_count; i++) {
		struct period *to = &t->run.periods[i];
		const struct period *p;

		while (next < from->period_count &&
		       cell_of(image->at_s + from->periods[next].from_s, t->run.view.from_s,
			       run_span_s(&t->run)) <= i)
			next++;
		if (next == 0)
			continue;
		p = &from->periods[next - 1];
		to->allocations += p->allocations;
		to->allocated_bytes += p->allocated_bytes;
		to->live_bytes += p->live_bytes - from->heap.inherited_live_bytes;
		to->live_blocks += p->live_blocks - from->heap.inherited_live_blocks;
		to->requests += p->requests;
		to->rounds += p->rounds;
	}
}

static void put_points(struct tree *t, size_t site, struct history_point *to)
{
	const struct tree_track *k = &t->tracks[site];
	struct history_level level = {0};

	for (size_t i = 0; i < k->count; i++) {
		add_up(&level, &k->steps[i].by);
		to[i] = (struct history_point){
			.period = (uint32_t)cell_of(k->steps[i].at_s, t->run.view.from_s,
						    run_span_s(&t->run)),
			.live_bytes = level.live_bytes,
			.live_blocks = level.live_blocks,
			.allocated_bytes = level.allocated_bytes,
			.allocations = level.allocations,
			.kept_bytes = k->steps[i].kept_bytes,
			.kept_blocks = k->steps[i].kept_blocks,
		};
	}
}

bool tree_settle_history(struct tree *t)
{
	struct run *run = &t->run;
	double span_s = run_span_s(run);
	size_t count = 0;

	for (size_t i = 0; i < t->track_count; i++) {
		fold(&t->tracks[i], run->view.from_s, span_s);
		count += t->tracks[i].count;
	}
	run->periods = calloc(PERIODS, sizeof(*run->periods));
	run->history = calloc(count + 1, sizeof(*run->history));
	run->spreads = calloc(t->track_count + 1, sizeof(*run->spreads));
	if (run->periods == NULL || run->history == NULL || run->spreads == NULL)
		return false;
	run->period_count = PERIODS;
	for (size_t i = 0; i < PERIODS; i++) {
		run->periods[i].from_s = run->view.from_s + span_s * (double)i / PERIODS;
		run->periods[i].until_s = run->view.from_s + span_s * (double)(i + 1) / PERIODS;
	}
	for (size_t i = 0; i < t->image_count; i++)
		add_periods(t, &t->images[i]);
	count = 0;
	for (size_t i = 0; i < t->track_count; i++) {
		run->sites[i].history = &run->history[count];
		run->sites[i].history_count = t->tracks[i].count;
		put_points(t, i, &run->history[count]);
		count += t->tracks[i].count;
		run->spreads[i] = t->tracks[i].spread;
		run->sites[i].spread = &run->spreads[i];
	}
	return true;
}

void tree_free_history(struct tree *t)
{
	for (size_t i = 0; i < t->track_count; i++)
		free(t->tracks[i].steps);
	free(t->tracks);
}
