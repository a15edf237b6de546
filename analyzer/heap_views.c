/* SPDX-License-Identifier: MIT */
#include "analyzer/heap_views.h"

#include <math.h>

struct lives heap_lives(const struct run *run)
{
	struct lives lives = {.blocks = 0};

	for (size_t i = 0; i < run->site_count; i++) {
		const struct spread *s = run->sites[i].spread;

		for (size_t k = 0; s != NULL && k < LIFETIMES; k++) {
			lives.by_us[k] += s->lifetimes[k];
			lives.blocks += s->lifetimes[k];
		}
		for (size_t k = 0; s != NULL && k < AGES; k++)
			lives.by_age[k] += s->ages[k];
	}
	return lives;
}

/* Of the samples before and after the peak the one that saw more of it. */
static const struct memory_sample *sample_beside(const struct run *run, double peak_s)
{
	const struct memory_sample *before = NULL, *after = NULL;

	for (size_t i = 0; i < run->sample_count && after == NULL; i++) {
		if (run->samples[i].at_s <= peak_s)
			before = &run->samples[i];
		else
			after = &run->samples[i];
	}
	if (before == NULL || after == NULL)
		return before != NULL ? before : after;
	if (before->live_bytes != after->live_bytes)
		return before->live_bytes > after->live_bytes ? before : after;
	return peak_s - before->at_s <= after->at_s - peak_s ? before : after;
}

struct resident heap_resident(const struct run *run)
{
	struct resident r = {.peak = sample_beside(run, run->heap.peak_at_s)};

	/* Between two samples there is room for all of a short run. */
	if (r.peak != NULL && r.peak->live_bytes < run->heap.peak_bytes / 2)
		r.peak = NULL;

	for (size_t i = 0; i < run->sample_count; i++) {
		const struct memory_sample *s = &run->samples[i];

		if (r.most == NULL || s->anonymous > r.most->anonymous)
			r.most = s;
		r.last = s;
		r.most_rss = s->rss_most;
	}
	return r;
}

double heap_asked_percent(const struct run *run, const struct memory_sample *s)
{
	if (s == NULL || s->anonymous == 0 || run->view.filter != NULL ||
	    (run->off & RUN_OFF_MEMORY))
		return NAN;
	return 100 * (double)s->live_bytes / (double)s->anonymous;
}

size_t heap_thin_samples(const struct run *run, const struct memory_sample **to, size_t room)
{
	size_t count = 0, last_part = SIZE_MAX;

	for (size_t i = 0; i < run->sample_count; i++) {
		const struct memory_sample *s = &run->samples[i];
		size_t part = run->sample_count <= room ? i : i * room / run->sample_count;

		if (part != last_part)
			to[count++] = s;
		else if (s->anonymous > to[count - 1]->anonymous)
			to[count - 1] = s;
		last_part = part;
	}
	return count;
}
