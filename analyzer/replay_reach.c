/* SPDX-License-Identifier: MIT */
/* What a search for lost blocks found when the process ended, put to its stacks. */
#include <math.h>
#include <string.h>

#include "analyzer/reach_sums.h"
#include "analyzer/replay.h"

/* Why there is none, though it was asked for. */
static const char *why_missing(const struct replay *r)
{
	const char *end = r->run->end;

	if (r->found.failed != NULL)
		return r->found.failed;
	if (strcmp(end, "running") == 0)
		return "the process still runs: perfhook leaks --pid looks at it now";
	if (strcmp(end, "signal") == 0)
		return "a signal ended the process";
	if (strcmp(end, "exec") == 0)
		return "the process became another program";
	if (strcmp(end, "exit") == 0)
		return "the process did not end by exit() or a return from main, or it records "
		       "without a collector";
	return "the end of the process was not seen";
}

/* Its place among the run's sites, + 1; 0: a stack of no block. */
static uint32_t site_of(const struct replay *r, const struct found_site *s)
{
	uint32_t node;

	if (s->inherited)
		return s->number < r->inherited_sites ? s->number + 1 : 0;
	node = stacks_node(&r->stacks, s->number);
	return node < r->heap.node_count ? r->heap.site_of[node] : 0;
}

void replay_take_found(struct replay *r)
{
	struct reach *to = &r->run->heap.reach;

	/* The search was at the end and of all blocks. */
	if (!r->meta.leaks || r->view != NULL || r->filter != NULL || r->seeks)
		return;
	if (!r->found.made) {
		to->missing = why_missing(r);
		return;
	}
	*to = (struct reach){
		.made = true,
		.how = r->found.how,
		/* Its end was over when it was looked at. */
		.at_s = fmin(clock_s(&r->clock, r->found.ticks), r->run->duration_s),
		.pause_s = (double)r->found.pause_ns / 1e9,
		.notes = r->found.notes,
		.note_count = r->found.note_count,
	};
	for (size_t i = 0; i < r->found.site_count; i++) {
		const struct found_site *s = &r->found.sites[i];
		uint32_t site = site_of(r, s);

		reach_add(to->sums, s->sums);
		if (site != 0 && site <= r->run->site_count)
			reach_add(r->run->sites[site - 1].reach, s->sums);
	}
}
