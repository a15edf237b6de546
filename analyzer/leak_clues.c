/* SPDX-License-Identifier: MIT */
#include "analyzer/leak_clues.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "analyzer/growth.h"
#include "analyzer/reach_sums.h"

#define START	       20  /* points, before any clue */
#define SLOWED	       0.2 /* of what it gained, in the second half */
#define NUMBER_LEAST_S 0.1 /* a run whose blocks' number means something */
#define FREED_LEAST    10  /* blocks that tell what is typical */
#define FREED_SHORT    50  /* likewise, where there is no time to tell */
#define SIBLINGS_LEAST 100
#define SIBLINGS_FREED 0.9
#define LEAVES_LEAST   5    /* stacks with blocks left: the process does not clean up */
#define LEAVES_TIDY    20   /* likewise, where nearly all else was freed: */
#define TIDY_SHARE     0.95 /* of so many allocations */
#define TIDY_LEAST     1000

struct siblings *siblings_count(const struct run *run)
{
	struct siblings *by_node = calloc(run->node_count + 1, sizeof(*by_node));

	if (by_node == NULL)
		return NULL;
	for (size_t i = 0; i < run->site_count; i++) {
		uint32_t node = run->sites[i].node;
		struct siblings *s = &by_node[node < run->node_count ? node : 0];

		s->allocations += run->sites[i].allocations;
		s->frees += run->sites[i].frees;
	}
	/* Parents stand before their children. */
	for (size_t i = run->node_count; i-- > 1;) {
		uint32_t parent = run->nodes[i].parent;

		if (parent >= i)
			continue;
		by_node[parent].allocations += by_node[i].allocations;
		by_node[parent].frees += by_node[i].frees;
	}
	return by_node;
}

/* The frame that called the caller of the one that answers for it: what that caller
 * allocated elsewhere went through it, too. */
struct siblings siblings_of(struct report *r, const struct siblings *by_node, const struct site *s)
{
	uint32_t node = telling_node(r, s->node);
	struct siblings sum;

	for (int up = 0; up < 2 && node_address(r->run, node) != NULL; up++)
		node = r->run->nodes[node].parent;
	sum = by_node[node < r->run->node_count ? node : 0];
	sum.caller = node;
	sum.allocations -= s->allocations < sum.allocations ? s->allocations : sum.allocations;
	sum.frees -= s->frees < sum.frees ? s->frees : sum.frees;
	return sum;
}

void leak_why(struct leak *l, const char *format, ...)
{
	va_list arguments;

	if (l->why_count == LEAK_WHY)
		return;
	l->clues[l->why_count] = NULL;
	va_start(arguments, format);
	vsnprintf(l->why[l->why_count++], LEAK_WHY_ROOM, format, arguments);
	va_end(arguments);
}

char *leak_time(char *out, double s)
{
	if (!(s > 0 && s < 999.5e-6))
		return format_seconds(out, s, false);
	snprintf(out, FORMAT_ROOM, "%.3f ms", s * 1e3);
	return out;
}

static const char *blocks_text(char *out, uint64_t blocks)
{
	return format_counted(out, blocks, "block");
}

/* Growth. */

static bool grows(const struct growth *g)
{
	return g->form != GROWTH_NONE;
}

#define ALONG_ROOM 96

static const char *along(const struct growth *g, char out[ALONG_ROOM])
{
	char n[FORMAT_ROOM];

	switch (g->axis) {
	case GROWTH_BY_REQUESTS:
		snprintf(out, ALONG_ROOM, "%s requests", format_count(n, (uint64_t)g->amount));
		break;
	case GROWTH_BY_ROUNDS:
		snprintf(out, ALONG_ROOM, "%s rounds of work",
			 format_count(n, (uint64_t)g->amount));
		break;
	case GROWTH_BY_TIME:
		snprintf(out, ALONG_ROOM, "the run's %s", leak_time(n, g->amount));
		break;
	default:
		snprintf(out, ALONG_ROOM, "the process's %s allocations",
			 format_count(n, (uint64_t)g->amount));
	}
	return out;
}

static bool say_growth(struct leak *l, const char *how)
{
	const struct growth *g = &l->site->growth;
	char where[ALONG_ROOM], n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	format_bytes(bytes, (double)g->grown_bytes);
	if (g->by_level)
		leak_why(l, "grew by %s, %s over %s, and never shrank again", bytes, how,
			 along(g, where));
	else
		leak_why(l, "%s of %s %s after start-up, %s over %s",
			 blocks_text(n, g->grown_blocks), bytes,
			 g->grown_blocks == 1 ? "was added" : "were added", how, along(g, where));
	return true;
}

static bool is_by_number(const struct leak *l)
{
	return l->site->growth.by_level && l->site->live_blocks > GROWTH_FEW_BLOCKS;
}

static bool grows_evenly(struct report *r, struct leak *l)
{
	(void)r;
	return l->site->growth.form == GROWTH_EVEN && !is_by_number(l) && say_growth(l, "evenly");
}

/* Each block is freed some day, but ever more are there. */
static bool grows_in_number(struct report *r, struct leak *l)
{
	(void)r;
	return l->site->growth.form == GROWTH_EVEN && is_by_number(l) &&
	       l->site->growth.ran_s >= NUMBER_LEAST_S && say_growth(l, "evenly");
}

static bool grows_steadily(struct report *r, struct leak *l)
{
	(void)r;
	return l->site->growth.form == GROWTH_STEADY && say_growth(l, "in most parts");
}

static bool has_slowed(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char percent[FORMAT_ROOM], where[ALONG_ROOM];

	(void)r;
	if (grows(g) || g->steps == 0 || g->late_share >= SLOWED)
		return false;
	leak_why(l,
		 "levelled off: %s of what it gained after start-up came in the second half of %s",
		 g->late_share > 0 ? format_percent(percent, g->late_share, 1) : "nothing",
		 along(g, where));
	return true;
}

static bool is_early_only(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char n[FORMAT_ROOM];

	(void)r;
	if (!g->measured || g->steps != 0 || g->young_blocks > 0 || g->early_blocks == 0)
		return false;
	leak_why(l, "all of its %s since start-up, none added later",
		 blocks_text(n, g->early_blocks));
	return true;
}

static bool is_few_steps(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char n[FORMAT_ROOM];

	(void)r;
	if (grows(g) || g->steps == 0 || g->late_share < SLOWED)
		return false;
	leak_why(l, "grew after start-up, but not all along: in %s of its %zu periods",
		 format_count(n, g->steps), r->run->period_count);
	return true;
}

static bool is_young(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char n[FORMAT_ROOM], age[FORMAT_ROOM];

	(void)r;
	if (!g->measured || g->young_blocks == 0 || g->steps != 0 || l->site->frees == 0)
		return false;
	leak_why(l, "no older than freed ones get, %s allocations: its %s may yet have been freed",
		 format_count(age, g->typical_age), blocks_text(n, g->young_blocks));
	return true;
}

/* Fates. */

static bool outlive(const struct leak *l)
{
	const struct growth *g = &l->site->growth;

	if (g->by_level || g->grown_blocks == 0 || g->frees < FREED_LEAST)
		return false;
	/* Of a run with time, by that, too. */
	return g->axis == GROWTH_BY_ALLOCATIONS || g->oldest_s > 2 * g->typical_s;
}

static bool outlives(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char n[FORMAT_ROOM], typical[FORMAT_ROOM], age[FORMAT_ROOM], freed[FORMAT_ROOM];

	(void)r;
	if (!outlive(l) || g->axis == GROWTH_BY_ALLOCATIONS)
		return false;
	format_count(freed, g->frees);
	leak_why(l, "of %s freed nearly all lived less than %s; %s %s older, up to %s", freed,
		 leak_time(typical, g->typical_s), blocks_text(n, g->grown_blocks),
		 g->grown_blocks == 1 ? "is" : "are", leak_time(age, g->oldest_s));
	return true;
}

static bool outlives_a_little(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	char n[FORMAT_ROOM], typical[FORMAT_ROOM], freed[FORMAT_ROOM];

	(void)r;
	if (!outlive(l) || g->axis != GROWTH_BY_ALLOCATIONS || g->frees < FREED_SHORT)
		return false;
	leak_why(l,
		 "of %s freed nearly all lived for less than %s of the process's allocations; %s "
		 "%s older",
		 format_count(freed, g->frees), format_count(typical, g->typical_age),
		 blocks_text(n, g->grown_blocks), g->grown_blocks == 1 ? "is" : "are");
	return true;
}

static bool is_never_freed(struct report *r, struct leak *l)
{
	const struct site *s = l->site;
	char n[FORMAT_ROOM];

	(void)r;
	if (s->frees != 0)
		return false;
	if (s->allocations <= 1)
		leak_why(l, "the one block it allocated was never freed");
	else
		leak_why(l, "none of its %s was ever freed", blocks_text(n, s->allocations));
	return true;
}

static bool are_siblings_freed(struct report *r, struct leak *l)
{
	const struct siblings *s = l->siblings;
	const struct address *a = node_address(r->run, s->caller);
	bool whole = a == NULL || address_class(r->run, a) != MODULE_PROGRAM;
	const char *name = whole ? NULL : node_function(r, s->caller);
	char share[FORMAT_ROOM], n[FORMAT_ROOM];

	if (l->site->frees != 0 || s->allocations < SIBLINGS_LEAST ||
	    (double)s->frees < SIBLINGS_FREED * (double)s->allocations)
		return false;
	leak_why(l, "%s of %s other blocks allocated %s%s are freed",
		 format_percent(share, (double)s->frees, (double)s->allocations),
		 format_count(n, s->allocations), whole ? "in all" : "under ",
		 whole		? ""
		 : name != NULL ? name
				: "the same caller");
	return true;
}

/* Reachability. */

static bool say_reach(struct leak *l, enum reach_class class, const char *one, const char *many)
{
	const struct reach_sum *s = &l->site->reach[class];
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	leak_why(l, "%s of %s %s", blocks_text(n, s->blocks), format_bytes(bytes, (double)s->bytes),
		 s->blocks == 1 ? one : many);
	return true;
}

static bool is_lost(struct report *r, struct leak *l)
{
	(void)r;
	return reach_worst(l->site->reach) == REACH_LOST &&
	       say_reach(l, REACH_LOST, "is lost: no pointer to it is left",
			 "are lost: no pointer to them is left");
}

static bool is_indirectly_lost(struct report *r, struct leak *l)
{
	(void)r;
	return reach_worst(l->site->reach) == REACH_INDIRECT &&
	       say_reach(l, REACH_INDIRECT, "is lost with what pointed to it",
			 "are lost with what pointed to them");
}

static bool is_possibly_lost(struct report *r, struct leak *l)
{
	(void)r;
	return reach_worst(l->site->reach) == REACH_POSSIBLE &&
	       say_reach(l, REACH_POSSIBLE, "is possibly lost: pointers lead into its midst only",
			 "are possibly lost: pointers lead into their midst only");
}

static bool is_all_reachable(const struct leak *l)
{
	return reach_worst(l->site->reach) == REACH_STILL;
}

static bool is_reachable_and_grows(struct report *r, struct leak *l)
{
	(void)r;
	return is_all_reachable(l) && grows(&l->site->growth) &&
	       say_reach(l, REACH_STILL, "is still reachable", "are still reachable");
}

static bool is_reachable(struct report *r, struct leak *l)
{
	(void)r;
	return is_all_reachable(l) && !grows(&l->site->growth) &&
	       say_reach(l, REACH_STILL, "is still reachable", "are still reachable");
}

bool leak_is_lost(const struct leak *l)
{
	enum reach_class worst = reach_worst(l->site->reach);

	return worst == REACH_LOST || worst == REACH_INDIRECT;
}

/* Blocks of a process that was not done may yet have been freed, if it can find them. */
static bool did_not_exit(struct report *r, struct leak *l)
{
	const struct site *s = l->site;

	if (leak_is_lost(l))
		return false;
	if (s->live_in.processes != 0) {
		if (s->other_ends < s->live_in.processes)
			return false;
		leak_why(l,
			 s->live_in.processes == 1
				 ? "its process did not end by exit: it may still have needed them"
				 : "none of its processes ended by exit: they may still have "
				   "needed them");
		return true;
	}
	if (strcmp(r->run->end, "exit") == 0)
		return false;
	leak_why(l, strcmp(r->run->end, "running") == 0
			    ? "the process still runs: it may still need them"
			    : "the process did not end by exit: it may still have needed them");
	return true;
}

/* It did its work in one go, and never meant to free all: what it needed is still there. */
static bool is_left_to_exit(struct report *r, struct leak *l)
{
	const struct growth *g = &l->site->growth;
	bool tidy = g->all_allocations >= TIDY_LEAST && g->all_freed_share >= TIDY_SHARE;
	char n[FORMAT_ROOM], ran[FORMAT_ROOM];

	(void)r;
	if (!g->measured || g->axis == GROWTH_BY_REQUESTS || g->axis == GROWTH_BY_ROUNDS ||
	    g->waited || g->ran_s >= GROWTH_BATCH_S ||
	    g->stacks_left < (tidy ? LEAVES_TIDY : LEAVES_LEAST))
		return false;
	leak_why(l,
		 "in a process that ran %s without waiting for work, and left blocks of %s stacks",
		 leak_time(ran, g->ran_s), format_count(n, g->stacks_left));
	return true;
}

/* In the order in which they are said. */
static const struct clue {
	const char *name;
	int points;
	bool (*holds)(struct report *r, struct leak *l); /* and says it */
} clues[] = {
	{"lost", 70, is_lost},
	{"indirectly lost", 65, is_indirectly_lost},
	{"possibly lost", 10, is_possibly_lost},
	{"grows evenly", 45, grows_evenly},
	{"grows steadily", 20, grows_steadily},
	{"grows in number", 30, grows_in_number},
	{"outlives what is freed", 20, outlives},
	{"outlives, without time", 20, outlives_a_little},
	{"never freed", 5, is_never_freed},
	{"siblings are freed", 10, are_siblings_freed},
	{"levelled off", -40, has_slowed},
	{"start-up only", -40, is_early_only},
	{"grew seldom", -20, is_few_steps},
	{"young", -40, is_young},
	{"reachable, but grows", -15, is_reachable_and_grows},
	{"reachable", -50, is_reachable},
	{"left to the exit", -30, is_left_to_exit},
	{"no exit", -5, did_not_exit},
};

void leak_judge(struct report *r, struct leak *l, const struct siblings *siblings)
{
	int score = START;

	l->siblings = siblings;
	for (size_t i = 0; i < sizeof(clues) / sizeof(*clues); i++) {
		if (!clues[i].holds(r, l))
			continue;
		score += clues[i].points;
		l->clues[l->why_count - 1] = clues[i].name;
		l->points[l->why_count - 1] = clues[i].points;
	}
	l->siblings = NULL;
	/* What nobody can free any more is not excused by when it was lost, nor by its company. */
	if (leak_is_lost(l) && score < LEAK_SUSPECT)
		score = LEAK_SUSPECT;
	l->score = score < 6 ? 6 : score > 100 ? 100 : score;
	l->suspect = l->score >= LEAK_SUSPECT;
}
