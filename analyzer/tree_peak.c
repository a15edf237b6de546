/* SPDX-License-Identifier: MIT */
/*
 * The tree's peak. Each process kept the highest and the lowest of its own live
 * bytes in each stretch of its time: adding these up over real time bounds the
 * sum at any moment from both sides. Of the moments at which the sum must have
 * been highest one is chosen, and the processes that lived then are replayed up
 * to it: the sum there, and who held it, are exact. What another moment could
 * have had more is the uncertainty.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/profile.h"
#include "analyzer/tree.h"
#include "analyzer/vector.h"

#define TIMELINE  128	 /* samples, as of one run */
#define INSTANT_S 0.5e-9 /* clocks tell nanoseconds */

/* From `at_s` on an image's live bytes are within this. */
struct step {
	double at_s;
	uint32_t image, order;
	struct band band;
};

struct sweep {
	struct step *steps;
	size_t count, room;
	struct band *now; /* by image */
	uint64_t high, low, blocks;
	/* The image with the widest band, by a tournament: [1] is the winner. */
	uint32_t *winners;
	size_t leaves;
	/* What was found: */
	uint64_t bound;	     /* no sum is above it */
	uint64_t best;	     /* a sum that was reached, or nearly */
	double from_s, to_s; /* in that stretch of the tree's time, by */
	size_t best_image;   /* TREE_NONE: all stay as they are in it */
	uint64_t level;	     /* its highest there */
	double peak_s;	     /* the moment that was chosen */
};

static int by_time(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static bool put_step(struct sweep *s, size_t image, double at_s, const struct band *band)
{
	if (!vector_reserve(s->steps, s->room, s->count + 1))
		return false;
	s->steps[s->count] = (struct step){at_s, (uint32_t)image, (uint32_t)s->count, *band};
	s->count++;
	return true;
}

/* However short it was, it was there. */
static double end_of(const struct tree *t, const struct tree_image *image)
{
	return fmax(tree_until_s(t, image), image->at_s + 1e-9);
}

/* What a process still had when it was replaced or gone is gone with it. */
static bool put_image(const struct tree *t, struct sweep *s, const struct tree_image *image,
		      size_t number)
{
	static const struct band nothing = {0};
	const struct profile *p = image->run.profile;
	double end_s = end_of(t, image);
	bool good = true;

	for (size_t i = 0; p != NULL && i < p->count && good; i++) {
		double at_s = image->at_s + p->stretches[i].start_ns / 1e9;

		if (at_s >= end_s)
			break;
		good = put_step(s, number, at_s, &p->stretches[i].band);
	}
	return good && put_step(s, number, end_s, &nothing);
}

static uint64_t width_of(const struct sweep *s, uint32_t image)
{
	return s->now[image].high - s->now[image].low;
}

static void set_band(struct sweep *s, uint32_t image, const struct band *band)
{
	struct band *now = &s->now[image];

	s->high += band->high - now->high;
	s->low += band->low - now->low;
	s->blocks += band->high_blocks - now->high_blocks;
	*now = *band;
	for (size_t i = (s->leaves + image) / 2; i > 0; i /= 2) {
		uint32_t a = s->winners[2 * i], b = s->winners[2 * i + 1];

		s->winners[i] = width_of(s, b) > width_of(s, a) ? b : a;
	}
}

/* The heap's timeline: the highest that the sum may have been in each bucket. */
static void fill_timeline(struct tree *t, const struct sweep *s, double from_s, double to_s)
{
	struct heap *h = &t->run.heap;
	double width_s = run_span_s(&t->run) / TIMELINE, origin_s = t->run.view.from_s;

	if (h->timeline_count == 0)
		return;
	for (size_t i = (size_t)fmax((from_s - origin_s) / width_s, 0); i < h->timeline_count;
	     i++) {
		if (origin_s + (double)i * width_s > to_s)
			break;
		if (s->high > h->timeline[i].live_bytes)
			h->timeline[i].live_bytes = s->high;
		if (s->blocks > h->timeline[i].live_blocks)
			h->timeline[i].live_blocks = s->blocks;
	}
}

/* Everyone at their lowest but one at their highest is reached here, or nearly:
 * that one's highest may have been in another part of its stretch. */
static void judge(struct sweep *s, double from_s, double to_s)
{
	uint32_t winner = s->winners[1];
	uint64_t sum = s->low + width_of(s, winner);

	if (s->high > s->bound)
		s->bound = s->high;
	if (sum <= s->best)
		return;
	s->best = sum;
	s->from_s = from_s;
	s->to_s = to_s;
	s->best_image = width_of(s, winner) != 0 ? winner : TREE_NONE;
	s->level = s->now[winner].high;
}

static void run_sweep(struct tree *t, struct sweep *s)
{
	for (size_t i = 0; i < s->count;) {
		double at_s = s->steps[i].at_s, next_s;

		/* All that changes at one instant, whatever rounding made of it. */
		for (; i < s->count && s->steps[i].at_s <= at_s + INSTANT_S; i++)
			set_band(s, s->steps[i].image, &s->steps[i].band);
		next_s = i < s->count ? s->steps[i].at_s : at_s;
		at_s = fmax(at_s, t->run.view.from_s);
		if (next_s > at_s) {
			judge(s, at_s, next_s);
			fill_timeline(t, s, at_s, next_s);
		}
	}
}

static bool begin_sweep(struct tree *t, struct sweep *s)
{
	bool good = true;

	for (s->leaves = 1; s->leaves < t->image_count;)
		s->leaves *= 2;
	s->best_image = TREE_NONE;
	s->now = calloc(s->leaves + 1, sizeof(*s->now));
	s->winners = calloc(2 * s->leaves + 2, sizeof(*s->winners));
	t->run.heap.timeline = calloc(TIMELINE, sizeof(*t->run.heap.timeline));
	if (s->now == NULL || s->winners == NULL || t->run.heap.timeline == NULL)
		return false;
	for (size_t i = 0; i < s->leaves; i++)
		s->winners[s->leaves + i] = (uint32_t)i;
	for (size_t i = s->leaves; i-- > 1;)
		s->winners[i] = s->winners[2 * i];
	t->run.heap.timeline_count = run_span_s(&t->run) > 0 ? TIMELINE : 0;
	for (size_t i = 0; i < t->run.heap.timeline_count; i++)
		t->run.heap.timeline[i].at_s =
			t->run.view.from_s + (double)i * run_span_s(&t->run) / TIMELINE;
	for (size_t i = 0; i < t->image_count && good; i++)
		good = put_image(t, s, &t->images[i], i);
	if (good && s->count != 0)
		qsort(s->steps, s->count, sizeof(*s->steps), by_time);
	return good;
}

static void end_sweep(struct sweep *s)
{
	free(s->steps);
	free(s->now);
	free(s->winners);
}

/* Who holds what at the moment. */

static void hold(struct tree *t, const struct tree_image *image, uint32_t node, uint64_t bytes,
		 uint64_t blocks)
{
	struct site *to = blocks != 0 ? tree_site(t, node) : NULL;

	if (to == NULL)
		return;
	tree_held_by(&to->peak_in, &image->run, bytes);
	to->peak_bytes += bytes;
	to->peak_blocks += blocks;
	t->run.heap.peak_bytes += bytes;
	t->run.heap.peak_blocks += blocks;
}

/* Times were added and are taken apart again: what happened at the stretch's ends is
 * to stay on its side of them. */
static double margin_of(const struct sweep *s)
{
	return fmin((s->to_s - s->from_s) / 4, 1e-8);
}

static double inside(const struct sweep *s, double at_s)
{
	return fmin(fmax(at_s, s->from_s + margin_of(s)), s->to_s - margin_of(s));
}

/* The image's own peak was then: what it held is known without reading it again. */
static bool had_own_peak(const struct sweep *s, const struct tree_image *image)
{
	double at_s = image->at_s + image->run.heap.peak_at_s;

	return image->held != NULL && at_s >= s->from_s - margin_of(s) && at_s < s->to_s;
}

static void hold_own_peak(struct tree *t, const struct tree_image *image)
{
	for (size_t i = 0; i < image->held_count; i++)
		hold(t, image, image->held[i].node, image->held[i].bytes, image->held[i].blocks);
}

/* Read an image up to the moment and count what it holds then. */
static int hold_at(struct tree *t, const struct tree_image *image, struct run_moment *moment,
		   const struct run_options *options, struct error *e)
{
	struct run_options again = *options;
	struct map known = {0};
	struct run run;

	again.for_tree = false;
	again.moment = moment;
	if (run_load(&run, image->run.trace_path, &again, e) != 0)
		return e->code == ERROR_MEMORY ? -1 : 0;
	for (size_t i = 0; i < run.site_count; i++) {
		const struct site *s = &run.sites[i];

		if (s->live_blocks != 0)
			hold(t, image, stacks_import(&t->stacks, &run, s->node, &known, t->arena),
			     s->live_bytes, s->live_blocks);
	}
	map_free(&known);
	run_free(&run);
	return 0;
}

/* Whoever has a highest and a lowest in the stretch says when it is. */
static int hold_best(struct tree *t, struct sweep *s, const struct run_options *options,
		     struct error *e)
{
	const struct tree_image *image = &t->images[s->best_image];
	struct run_moment moment = {
		.from_s = s->from_s - image->at_s,
		.slack_s = margin_of(s),
		.at_s = inside(s, s->to_s) - image->at_s,
		.level = s->level,
	};

	if (s->level == image->run.heap.peak_bytes && had_own_peak(s, image)) {
		s->peak_s = inside(s, image->at_s + image->run.heap.peak_at_s);
		hold_own_peak(t, image);
		return 0;
	}
	if (hold_at(t, image, &moment, options, e) != 0)
		return -1;
	s->peak_s = inside(s, moment.found ? image->at_s + moment.found_s : s->to_s);
	return 0;
}

static int hold_others(struct tree *t, const struct sweep *s, const struct run_options *options,
		       struct error *e)
{
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *image = &t->images[i];
		struct run_moment moment = {.at_s = s->peak_s - image->at_s};

		if (i == s->best_image || moment.at_s < 0 || s->peak_s >= end_of(t, image))
			continue;
		/* Where nobody changes, nobody need be read for what is known. */
		if (s->best_image == TREE_NONE && had_own_peak(s, image))
			hold_own_peak(t, image);
		else if (hold_at(t, image, &moment, options, e) != 0)
			return -1;
	}
	return 0;
}

static int hold_all(struct tree *t, struct sweep *s, const struct run_options *options,
		    struct error *e)
{
	if (s->best == 0)
		return 0;
	s->peak_s = inside(s, s->from_s);
	if (s->best_image != TREE_NONE && hold_best(t, s, options, e) != 0)
		return -1;
	return hold_others(t, s, options, e);
}

static void settle(struct tree *t, const struct sweep *s)
{
	struct heap *h = &t->run.heap;

	h->peak_at_s = s->peak_s;
	if (s->best_image != TREE_NONE) {
		t->peak_level = s->level;
		memcpy(t->peak_id, t->images[s->best_image].run.id, sizeof(t->peak_id));
	}
	if (s->bound > h->peak_bytes)
		h->peak_uncertainty_bytes = s->bound - h->peak_bytes;
	/* And what each of them does not know of itself. */
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *image = &t->images[i];

		if (image->at_s <= s->peak_s && s->peak_s < tree_until_s(t, image))
			h->peak_uncertainty_bytes += image->run.heap.peak_uncertainty_bytes;
	}
	h->mapped_peak_unknown = true;
	for (size_t i = 0; i < h->timeline_count; i++)
		if (h->timeline[i].live_bytes > h->peak_bytes)
			h->timeline[i].live_bytes = h->peak_bytes;
}

int tree_find_peak(struct tree *t, const struct run_options *options, struct error *e)
{
	struct sweep s = {0};
	int rc = 0;

	if (!begin_sweep(t, &s))
		rc = fail(e, ERROR_MEMORY, 0, "out of memory");
	else
		run_sweep(t, &s);
	if (rc == 0)
		rc = hold_all(t, &s, options, e);
	settle(t, &s);
	end_sweep(&s);
	for (size_t i = 0; i < t->image_count; i++) {
		profile_free(t->images[i].run.profile);
		t->images[i].run.profile = NULL;
	}
	return rc;
}
