/* SPDX-License-Identifier: MIT */
/* Findings about the heap. */
#include <math.h>

#include "analyzer/findings.h"
#include "analyzer/format_text.h"
#include "analyzer/growth.h"
#include "analyzer/module_class.h"

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

/* Leaks: what grows and grows, and what is lost, as far as that is told without names. */

static bool is_the_programs(const struct run *run, const struct site *s)
{
	const struct address *a = node_address(run, asking_node(run, s->node));

	return a != NULL && address_class(run, a) == MODULE_PROGRAM;
}

static bool grows_for_good(const struct finder *f, const struct site *s)
{
	const struct growth *g = &s->growth;

	return g->form == GROWTH_EVEN && g->axis != GROWTH_BY_ALLOCATIONS &&
	       !(g->by_level && s->live_blocks > GROWTH_FEW_BLOCKS) &&
	       (g->waited || g->ran_s >= GROWTH_BATCH_S) &&
	       g->ran_s >= finding_limit(f, LEAK_RUN_S) && g->slope_bytes_per_hour > 0;
}

/* All stacks of one kind, and the one with most of it. */
struct leaking {
	const struct site *most;
	uint64_t stacks, bytes, blocks;
	double slope; /* bytes an hour */
	bool unreachable;
};

static void add_leak(struct leaking *l, const struct site *s, double amount, double most)
{
	l->stacks++;
	l->bytes += s->live_bytes;
	l->blocks += s->live_blocks;
	l->slope += s->growth.slope_bytes_per_hour;
	l->unreachable |= s->reach[REACH_STILL].blocks != s->live_blocks;
	if (l->most == NULL || amount > most)
		l->most = s;
}

static const char *in_stacks(struct finder *f, uint64_t stacks)
{
	char n[FORMAT_ROOM];

	return stacks == 1 ? ""
			   : arena_print(f->arena, ", in %s stacks, most of it in this one",
					 format_count(n, stacks));
}

static void say_growing(struct finder *f, const struct leaking *l)
{
	const struct growth *g = &l->most->growth;
	char hour[FORMAT_ROOM], day[FORMAT_ROOM];
	struct finding *to =
		finding_add(f, l->most->node, (double)NAN,
			    arena_print(f->arena, "grows by %s an hour, %s a day%s",
					format_bytes(hour, l->slope),
					format_bytes(day, 24 * l->slope), in_stacks(f, l->stacks)));

	evidence_number(to, "slope_bytes_per_hour", l->slope);
	evidence_count(to, "live_bytes", l->bytes);
	evidence_count(to, "live_blocks", l->blocks);
	evidence_count(to, "stacks", l->stacks);
	evidence_number(to, "stack_slope_bytes_per_hour", g->slope_bytes_per_hour);
	evidence_number(to, "stack_bytes_per_request", g->bytes_per_request);
	evidence_number(to, "stack_confidence", g->confidence);
	evidence_count(to, "stack_live_bytes", l->most->live_bytes);
	if (to != NULL)
		to->severity = l->unreachable ? "high" : "medium";
}

static void say_lost(struct finder *f, const struct leaking *l, const struct reach_sum *lost)
{
	const struct reach_sum *own = &l->most->reach[REACH_LOST];
	char bytes[FORMAT_ROOM], blocks[FORMAT_ROOM];
	struct finding *to = finding_add(
		f, l->most->node, (double)NAN,
		arena_print(f->arena, "no pointer leads to %s of %s any more%s",
			    format_counted(blocks, lost->blocks, "block"),
			    format_bytes(bytes, (double)lost->bytes), in_stacks(f, l->stacks)));

	evidence_count(to, "lost_bytes", lost->bytes);
	evidence_count(to, "lost_blocks", lost->blocks);
	evidence_count(to, "stacks", l->stacks);
	evidence_count(to, "stack_lost_bytes", own->bytes);
	evidence_count(to, "stack_lost_blocks", own->blocks);
	if (to != NULL)
		to->severity = "medium";
}

void find_leaks(struct finder *f)
{
	const struct run *run = f->run;
	struct leaking growing = {.stacks = 0};

	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];

		if (s->growth.measured && grows_for_good(f, s) && is_the_programs(run, s))
			add_leak(&growing, s, s->growth.slope_bytes_per_hour,
				 growing.most ? growing.most->growth.slope_bytes_per_hour : 0);
	}
	if (24 * growing.slope >= finding_limit(f, LEAK_BYTES_PER_DAY) && growing.stacks != 0)
		say_growing(f, &growing);
}

void find_lost(struct finder *f)
{
	const struct run *run = f->run;
	struct leaking lost = {.stacks = 0};
	struct reach_sum sum = {0};

	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];
		const struct reach_sum *own = &s->reach[REACH_LOST];

		if (own->blocks == 0 || !is_the_programs(run, s))
			continue;
		add_leak(&lost, s, (double)own->bytes,
			 lost.most ? (double)lost.most->reach[REACH_LOST].bytes : 0);
		sum.bytes += own->bytes;
		sum.blocks += own->blocks;
	}
	if ((double)sum.bytes >= finding_limit(f, LOST_BYTES) && lost.stacks != 0)
		say_lost(f, &lost, &sum);
}
