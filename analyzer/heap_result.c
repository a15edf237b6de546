/* SPDX-License-Identifier: MIT */
/* The heap's part of struct run, when all events are replayed. */
#include <math.h>
#include <stdlib.h>

#include "analyzer/heap.h"

static void take_timeline(struct replay_heap *h, struct run *run)
{
	const struct buckets *b = &h->timeline;
	struct heap_sample *samples = calloc(b->count + 1, sizeof(*samples));
	double width_s = (double)b->width_ns / 1e9;

	/* As long as the other, and so as wide. */
	if (b->count != 0)
		buckets_at(&h->rates, b->origin_ns + (double)(b->count - 1) * (double)b->width_ns);

	if (samples == NULL) {
		h->failed = true;
		return;
	}
	for (size_t i = 0; i < b->count; i++) {
		double at_ns = b->origin_ns + (double)(i * b->width_ns);

		samples[i] = (struct heap_sample){
			.at_s = at_ns / 1e9,
			.live_bytes = b->values[i][0],
			.live_blocks = b->values[i][1],
			.allocations_per_s = (double)h->rates.values[i][0] / width_s,
			.allocated_bytes_per_s = (double)h->rates.values[i][1] / width_s,
		};
	}
	run->heap.timeline = samples;
	run->heap.timeline_count = b->count;
}

/* History. */

static void take_periods(struct replay_heap *h, struct run *run, double end_ns)
{
	const struct history_marks *m = h->marks;

	run->periods = calloc(m->count, sizeof(*run->periods));
	if (run->periods == NULL) {
		h->failed = true;
		return;
	}
	run->period_count = m->count;
	for (size_t i = 0; i < m->count; i++) {
		const struct history_mark *from = &m->marks[i];
		double ns = clock_ns(h->clock, heap_stamp(h, from->place.at));

		run->periods[i] = (struct period){
			.from_s = (i > 0 ? ns : h->window_ns) / 1e9,
			.until_s = end_ns / 1e9,
			.allocations = from->level.allocations,
			.allocated_bytes = from->level.allocated_bytes,
			.live_bytes = from->level.live_bytes,
			.live_blocks = from->level.live_blocks,
			.requests = from->requests,
			.rounds = from->rounds,
		};
		if (i > 0)
			run->periods[i - 1].until_s = ns / 1e9;
	}
}

static void take_points(struct replay_heap *h, struct heap_site *s, struct history_point *to)
{
	for (uint32_t i = 0; i < s->track.count; i++) {
		const struct history_entry *e = &s->track.entries[i];

		to[i] = (struct history_point){
			.period = (uint32_t)history_find(h->marks, e->place),
			.live_bytes = e->level.live_bytes,
			.live_blocks = e->level.live_blocks,
			.allocated_bytes = e->level.allocated_bytes,
			.allocations = e->level.allocations,
		};
	}
}

static void take_history(struct replay_heap *h, struct run *run)
{
	size_t count = 0;

	for (size_t i = 1; i < h->site_count; i++)
		count += h->sites[i].track.count;
	run->history = calloc(count + 1, sizeof(*run->history));
	if (run->history == NULL || h->failed) {
		h->failed = true;
		return;
	}
	count = 0;
	for (size_t i = 1; i < h->site_count; i++) {
		struct site *to = &run->sites[i - 1];

		to->history = &run->history[count];
		to->history_count = h->sites[i].track.count;
		take_points(h, &h->sites[i], &run->history[count]);
		history_free(&h->sites[i].track);
		count += to->history_count;
	}
}

/* Ages were counted in units of 2^by allocations. */
static void widen(uint32_t *counts, size_t count, unsigned by)
{
	for (size_t i = count; by != 0 && i-- > 0;) {
		size_t to = i + by < count ? i + by : count - 1;

		if (to != i && __builtin_add_overflow(counts[to], counts[i], &counts[to]))
			counts[to] = UINT32_MAX;
		counts[i] = to != i ? 0 : counts[i];
	}
}

static void take_spreads(struct replay_heap *h, struct run *run)
{
	run->spreads = calloc(h->site_count, sizeof(*run->spreads));
	if (run->spreads == NULL) {
		h->failed = true;
		return;
	}
	for (size_t i = 1; i < h->site_count; i++) {
		run->spreads[i - 1] = h->sites[i].spread;
		widen(run->spreads[i - 1].ages, AGES, h->number_unit);
		run->sites[i - 1].spread = &run->spreads[i - 1];
	}
}

/* A live block is in the period in which it was allocated. */
static void keep_block(const struct replay_heap *h, struct run *run, const struct heap_block *b)
{
	const struct site *s = &run->sites[b->site - 1];
	size_t period = history_find(h->marks, b->born);
	size_t low = (size_t)(s->history - run->history), high = low + s->history_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (run->history[middle].period <= period)
			low = middle;
		else
			high = middle;
	}
	run->history[low].kept_bytes += b->size;
	run->history[low].kept_blocks++;
}

static void take_site(struct replay_heap *h, const struct heap_site *s, struct site *to)
{
	bool saved = s->peak_number == h->peak_number;

	*to = (struct site){
		.node = s->node,
		.allocations = s->allocations,
		.allocated_bytes = s->allocated_bytes,
		.frees = s->frees,
		.reallocated = s->reallocated,
		.temporary = s->temporary,
		.live_bytes = s->live_bytes,
		.live_blocks = s->live_blocks,
		.peak_bytes = saved ? s->saved_bytes : s->live_bytes,
		.peak_blocks = saved ? s->saved_blocks : s->live_blocks,
		.first_at_s = s->allocations ? clock_s(h->clock, s->first) : 0,
		.last_at_s = s->allocations ? clock_s(h->clock, s->last) : 0,
	};
}

/* What was live before the window is nobody's doing within it. */
static bool is_older(const struct replay_heap *h, const struct heap_block *b)
{
	return h->windowed && b->born.number < h->axis.origin.number;
}

static void set_apart(const struct replay_heap *h, struct run *run, const struct heap_block *b)
{
	struct site *s = &run->sites[b->site - 1];

	if (!h->windowed) {
		s->inherited_bytes += b->size;
		s->inherited_blocks++;
		return;
	}
	run->heap.older_live_bytes += b->size;
	run->heap.older_live_blocks++;
	s->live_bytes -= b->size;
	s->live_blocks--;
}

static void note_left(struct replay_heap *h, const struct run *run, const struct heap_block *b)
{
	/* What is older than a window is in no site's live bytes. */
	if (!is_older(h, b))
		activity_left(h->activity, run->sites[b->site - 1].node, b->thread,
			      clock_ns(h->clock, heap_stamp(h, b->born.at)), b->size);
}

/* What the live blocks tell; by site, when the newest was made. */
static void take_blocks(struct replay_heap *h, struct run *run, uint32_t *newest)
{
	const struct heap_block *b;

	for (size_t at = 0; (b = heap_next_block(h, &at)) != NULL;) {
		bool older = is_older(h, b) || b->thread == HEAP_INHERITED;

		if (b->site == 0)
			continue;
		if (older) {
			set_apart(h, run, b);
		} else {
			keep_block(h, run, b);
			run->threads[b->thread].live_bytes += b->size;
			run->threads[b->thread].live_blocks++;
		}
		if (h->activity != NULL)
			note_left(h, run, b);
		if (b->born.at > newest[b->site] && !is_older(h, b))
			newest[b->site] = b->born.at;
	}
}

static void take_sites(struct replay_heap *h, struct run *run)
{
	uint32_t *newest = calloc(h->site_count, sizeof(*newest));

	run->sites = calloc(h->site_count, sizeof(*run->sites));
	if (run->sites == NULL || newest == NULL) {
		h->failed = true;
		free(newest);
		return;
	}
	run->site_count = h->site_count - 1;
	for (size_t i = 1; i < h->site_count; i++)
		take_site(h, &h->sites[i], &run->sites[i - 1]);
	take_history(h, run);
	take_spreads(h, run);
	if (!h->failed)
		take_blocks(h, run, newest);
	for (size_t i = 0; i < run->site_count; i++)
		if (run->sites[i].live_blocks != 0)
			run->sites[i].last_live_at_s =
				clock_s(h->clock, heap_stamp(h, newest[i + 1]));
	free(newest);
}

void heap_result(struct replay_heap *h, struct run *run, double end_ns)
{
	bool unknown = run->heap.inherited_unknown;

	heap_end(h, end_ns);
	run->heap = h->sums;
	run->heap.inherited_unknown = unknown;
	run->heap.mapped_bytes = h->mapped.bytes;
	run->heap.peak_at_s = fmax(clock_s(h->clock, h->peak_at), h->window_ns / 1e9);
	if (h->bound > h->sums.peak_bytes)
		run->heap.peak_uncertainty_bytes = h->bound - h->sums.peak_bytes;
	take_timeline(h, run);
	take_periods(h, run, end_ns);
	take_sites(h, run);
}
