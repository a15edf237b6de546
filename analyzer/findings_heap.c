/* SPDX-License-Identifier: MIT */
/* Findings about the heap. */
#include <math.h>

#include "analyzer/findings.h"
#include "analyzer/format_text.h"

static void temporary(struct finder *f, const struct site *s)
{
	const struct heap *h = &f->run->heap;
	char n[FORMAT_ROOM], share[FORMAT_ROOM];
	struct finding *to = finding_add(
		f, s->node, (double)NAN,
		arena_print(f->arena, "%s freed before their thread's next one, %s of all",
			    format_counted(n, s->temporary, "allocation"),
			    format_percent(share, (double)s->temporary, (double)h->allocations)));

	evidence_count(to, "temporary_allocations", s->temporary);
	evidence_count(to, "allocations", s->allocations);
	evidence_count(to, "allocated_bytes", s->allocated_bytes);
	evidence_count(to, "all_allocations", h->allocations);
}

/* How long an allocation takes is not measured: what it would save is not known. */
void find_temporary(struct finder *f)
{
	const struct run *run = f->run;

	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];

		if ((double)s->temporary >= finding_limit(f, TEMPORARY_CALLS) &&
		    100 * (double)s->temporary >=
			    finding_limit(f, TEMPORARY_PERCENT) * (double)run->heap.allocations)
			temporary(f, s);
	}
}
