/* SPDX-License-Identifier: MIT */
#include "analyzer/growth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/history.h"

#define START_UP      0.1  /* of the axis */
#define WARM	      0.5  /* likewise: so long it may take until all is as it will be */
#define TYPICAL_SHARE 0.95 /* of freed blocks */
#define WORK_LEAST    20   /* requests or rounds to measure by */
#define TIME_LEAST_S  0.1  /* a run to measure by time: coarse stamps are some ms apart */
#define ALONE	      0.9  /* of a process's allocations */
#define IDLE_LEAST_S  0.01 /* more than coarse stamps are apart */
#define CHANCE	      3	   /* standard deviations */
#define TIME_TELLS_S  1.0  /* a run whose pace is not that of its start and of other processes */
#define STEP_LEAST    0.01 /* of the gain: less is no step */
#define SLOPE_POINTS  33
#define QUARTERS      4
#define EVEN_STEPS    8	  /* periods that it grew in, in each quarter: evenly */
#define STEADY_STEPS  4	  /* in most quarters: steadily */
#define STEADY_PARTS  3	  /* quarters */
#define BALANCE	      0.2 /* of what was added, in either half, at least */

/* The run along one axis: where each period ends, of 0 to 1. */
struct axis {
	bool usable;
	double amount;
	double ends[PERIODS_MAX];
};

/* What a stack gained for good in each period. */
struct gains {
	double bytes[PERIODS_MAX], blocks[PERIODS_MAX];
	double level[PERIODS_MAX]; /* live bytes at the period's end */
	size_t count;		   /* periods; what comes after is too young to tell */
};

struct measure {
	const struct run *run;
	struct axis axes[GROWTH_AXES];
	double *slopes; /* of pairs: room for TREND_MAX of each */
	uint32_t stacks_left;
	double freed_share; /* of what was allocated after start-up */
};

static uint64_t own_blocks(const struct site *s)
{
	return s->live_blocks - s->inherited_blocks;
}

/* Trends. */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double slope_of(const double *x, const double *values, size_t count, double *slopes)
{
	size_t pairs = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = i + 1; k < count; k++)
			if (x[k] > x[i])
				slopes[pairs++] = (values[k] - values[i]) / (x[k] - x[i]);
	if (pairs == 0)
		return (double)NAN;
	qsort(slopes, pairs, sizeof(*slopes), by_value);
	return pairs % 2 != 0 ? slopes[pairs / 2] : (slopes[pairs / 2 - 1] + slopes[pairs / 2]) / 2;
}

double trend_slope(const double *x, const double *values, size_t count)
{
	double slopes[TREND_MAX * (TREND_MAX - 1) / 2];

	return slope_of(x, values, count < TREND_MAX ? count : TREND_MAX, slopes);
}

/* Of equal values, and how much they take from the variance. */
static double ties(const double *values, size_t count)
{
	double sorted[TREND_MAX], sum = 0;

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	for (size_t i = 0, k; i < count; i = k) {
		for (k = i + 1; k < count && sorted[k] <= sorted[i]; k++)
			;
		sum += (double)(k - i) * (double)(k - i - 1) * (double)(2 * (k - i) + 5);
	}
	return sum;
}

double trend_confidence(const double *values, size_t count)
{
	double n = (double)(count < TREND_MAX ? count : TREND_MAX), s = 0, variance;

	for (size_t i = 0; i < (size_t)n; i++)
		for (size_t k = i + 1; k < (size_t)n; k++)
			s += (values[k] > values[i]) - (values[k] < values[i]);
	variance = (n * (n - 1) * (2 * n + 5) - ties(values, (size_t)n)) / 18;
	if (!(variance > 0) || s <= 0)
		return 0;
	return 1 - erfc((s - 1) / sqrt(variance) / sqrt(2)) / 2;
}

/* Axes. */

/* Before its first allocation a process is loaded, which may take as long as it likes. */
static double began_s(const struct run *run)
{
	size_t first = 0;

	while (first + 1 < run->period_count && run->periods[first].allocations == 0)
		first++;
	return run->periods[first].from_s;
}

static double amount_at(const struct run *run, enum growth_axis axis, size_t period)
{
	const struct period *p = &run->periods[period];

	switch (axis) {
	case GROWTH_BY_REQUESTS:
		return (double)p->requests;
	case GROWTH_BY_ROUNDS:
		return (double)p->rounds;
	case GROWTH_BY_TIME:
		return p->until_s - began_s(run);
	default:
		return (double)p->allocations;
	}
}

static bool is_usable(enum growth_axis axis, double amount)
{
	if (axis == GROWTH_BY_REQUESTS || axis == GROWTH_BY_ROUNDS)
		return amount >= WORK_LEAST;
	return amount > (axis == GROWTH_BY_TIME ? TIME_LEAST_S : 0);
}

static void make_axes(struct measure *m)
{
	const struct run *run = m->run;

	for (size_t i = 0; i < GROWTH_AXES; i++) {
		struct axis *a = &m->axes[i];

		a->amount = amount_at(run, (enum growth_axis)i, run->period_count - 1);
		a->usable = is_usable((enum growth_axis)i, a->amount);
		for (size_t p = 0; p < run->period_count; p++)
			a->ends[p] = a->amount > 0
					     ? fmax(amount_at(run, (enum growth_axis)i, p), 0) /
						       a->amount
					     : 0;
	}
}

/* A stack's own figures. */

/* The power of two within which TYPICAL_SHARE of what was counted is; 0: nothing was. */
static double typical_of(const uint32_t *counts, size_t count)
{
	double sum = 0, so_far = 0;

	for (size_t i = 0; i < count; i++)
		sum += counts[i];
	for (size_t i = 0; i < count && sum > 0; i++) {
		so_far += counts[i];
		if (so_far >= TYPICAL_SHARE * sum)
			return ldexp(1, (int)i + 1);
	}
	return 0;
}

/* How many were freed at that age or later; it is a power of two. */
static double freed_from(const struct site *s, double age)
{
	double count = 0;

	for (size_t i = AGES; i-- > 0 && ldexp(1, (int)i) >= age;)
		count += s->spread->ages[i];
	return count;
}

/*
 * Only periods whose blocks are overdue: so old that more of them are left than were ever
 * freed at that age, beyond chance. Without a leak, of blocks that get as old some are
 * always there, but many more have been freed.
 */
static void leave_young_out(const struct run *run, const struct site *s, struct gains *g)
{
	double end = (double)run->periods[run->period_count - 1].allocations;

	for (double age = (double)s->growth.typical_age; g->count > 0; age *= 2) {
		double left = 0, freed = freed_from(s, age);

		while (g->count > 0 && end - (double)run->periods[g->count - 1].allocations < age)
			g->count--;
		for (size_t i = 0; i < g->count; i++)
			left += g->blocks[i];
		if (left > freed + CHANCE * sqrt(freed + 1))
			return;
	}
}

/* What is live at the end, by the period in which it was allocated, and how many periods
 * are old enough to tell. */
static void kept_gains(const struct measure *m, const struct site *s, struct gains *g)
{
	const struct run *run = m->run;

	memset(g, 0, sizeof(*g));
	for (size_t i = 0; i < s->history_count; i++) {
		g->blocks[s->history[i].period] += (double)s->history[i].kept_blocks;
		g->bytes[s->history[i].period] += (double)s->history[i].kept_bytes;
	}
	g->count = run->period_count;
	if (s->growth.typical_age != 0)
		leave_young_out(run, s, g);
}

static void take_levels(const struct run *run, const struct site *s, double *levels)
{
	size_t next = 0;

	for (size_t i = 0; i < run->period_count; i++) {
		while (next < s->history_count && s->history[next].period <= i)
			next++;
		levels[i] = next > 0 ? (double)s->history[next - 1].live_bytes : 0;
	}
}

/* What its level rose by in each period and never fell by again. */
static void level_gains(const struct measure *m, const struct site *s, struct gains *g)
{
	size_t i = s->history_count;
	double floor = i > 0 ? (double)s->history[i - 1].live_bytes : 0;
	double blocks = i > 0 ? (double)s->history[i - 1].live_blocks : 0;

	memset(g, 0, sizeof(*g));
	g->count = m->run->period_count;
	for (; i > 0; i--) {
		const struct history_point *before = i > 1 ? &s->history[i - 2] : NULL;
		double to = before != NULL ? fmin(floor, (double)before->live_bytes) : 0;
		double to_blocks = before != NULL ? fmin(blocks, (double)before->live_blocks) : 0;

		g->bytes[s->history[i - 1].period] += floor - to;
		g->blocks[s->history[i - 1].period] += blocks - to_blocks;
		floor = to;
		blocks = to_blocks;
	}
	take_levels(m->run, s, g->level);
}

/* Growth along an axis, after start-up. */

static double middle_of(const struct axis *a, size_t period)
{
	return (a->ends[period] + (period > 0 ? a->ends[period - 1] : 0)) / 2;
}

static void look_along(const struct axis *a, const struct gains *g, struct growth *to)
{
	double until = g->count > 0 ? a->ends[g->count - 1] : 0, width = until - to->from;
	double grown[2] = {0}, late[2] = {0}, all[2] = {0}; /* bytes, blocks */
	bool quarters[QUARTERS] = {false};

	to->amount = a->amount;
	for (size_t i = 0; i < g->count; i++) {
		all[0] += g->bytes[i];
		all[1] += g->blocks[i];
	}
	for (size_t i = 0; i < g->count; i++) {
		double at = middle_of(a, i), share = width > 0 ? (at - to->from) / width : -1;

		if (g->bytes[i] <= 0 && g->blocks[i] <= 0)
			continue;
		if (share < 0 || share > 1) {
			to->early_blocks += (uint64_t)g->blocks[i];
			continue;
		}
		/* What doubles takes many steps, but few that matter. */
		to->steps += g->bytes[i] >= STEP_LEAST * all[0] ||
			     (!to->by_level && g->blocks[i] >= STEP_LEAST * all[1]);
		quarters[(size_t)fmin(share * QUARTERS, QUARTERS - 1)] = true;
		to->grown_bytes += (uint64_t)g->bytes[i];
		to->grown_blocks += (uint64_t)g->blocks[i];
		grown[0] += g->bytes[i];
		grown[1] += g->blocks[i];
		late[0] += share >= 0.5 ? g->bytes[i] : 0;
		late[1] += share >= 0.5 ? g->blocks[i] : 0;
		to->last_step = at;
	}
	for (size_t i = 0; i < QUARTERS; i++)
		to->quarters += quarters[i];
	/* Blocks may be empty. */
	to->late_share = grown[0] > 0 ? late[0] / grown[0] : grown[1] > 0 ? late[1] / grown[1] : 0;
}

/* Is the level in the last quarter always above what it ever was in the first? What only
 * goes up and down is not. */
static bool has_risen(const struct axis *a, const struct gains *g, double from)
{
	double width = (1 - from) / QUARTERS, highest = 0, lowest = (double)INFINITY;

	for (size_t i = 0; i < g->count; i++) {
		if (a->ends[i] >= from && a->ends[i] <= from + width)
			highest = fmax(highest, g->level[i]);
		else if (a->ends[i] >= 1 - width)
			lowest = fmin(lowest, g->level[i]);
	}
	return lowest > highest;
}

/* Coming and going by chance, blocks may be more than before by the root of how often they
 * came and went. */
static bool is_by_chance(const struct site *s, const struct growth *g)
{
	return own_blocks(s) > GROWTH_FEW_BLOCKS &&
	       (double)g->grown_blocks < CHANCE * sqrt((double)(s->allocations + s->frees));
}

/* By its level alone, or when much of the run is over, it takes more to tell growth from the
 * ups and downs of use. */
static enum growth_form form_of(const struct growth *g)
{
	if (fmin(g->late_share, 1 - g->late_share) < BALANCE)
		return GROWTH_NONE;
	if (g->steps >= EVEN_STEPS && g->quarters == QUARTERS)
		return GROWTH_EVEN;
	return g->steps >= STEADY_STEPS && g->quarters >= STEADY_PARTS && !g->by_level &&
			       g->from < WARM
		       ? GROWTH_STEADY
		       : GROWTH_NONE;
}

static double evidence_in(const struct growth *g)
{
	return g->measured ? 100 * (double)g->form + 10 * g->quarters +
				     fmin(g->late_share, 1 - g->late_share)
			   : -1;
}

bool growth_says_more(const struct growth *a, const struct growth *b)
{
	double p = evidence_in(a), q = evidence_in(b);

	return p > q || (p >= q && a->grown_bytes > b->grown_bytes);
}

static void look_from(const struct measure *m, const struct site *s, const struct gains *g,
		      bool by_level, double from, struct growth *best)
{
	bool told = false;

	for (size_t i = 0; i < GROWTH_AXES; i++) {
		struct growth here = *best;

		/* Where time tells, the order of allocations does not. */
		if (!m->axes[i].usable || (i == GROWTH_BY_ALLOCATIONS && told))
			continue;
		told |= i != GROWTH_BY_TIME || m->axes[i].amount >= TIME_TELLS_S;
		here.measured = true;
		here.axis = (enum growth_axis)i;
		here.by_level = by_level;
		here.from = from;
		here.early_blocks = here.grown_blocks = here.grown_bytes = 0;
		here.steps = here.quarters = 0;
		here.late_share = here.last_step = 0;
		look_along(&m->axes[i], g, &here);
		here.form = form_of(&here);
		if (by_level && (!has_risen(&m->axes[i], g, from) || is_by_chance(s, &here)))
			here.form = GROWTH_NONE;
		if (growth_says_more(&here, best) && (from < WARM || here.form != GROWTH_NONE))
			*best = here;
	}
}

static void look(const struct measure *m, const struct site *s, const struct gains *g,
		 bool by_level, struct growth *best)
{
	look_from(m, s, g, by_level, START_UP, best);
	if (best->form == GROWTH_NONE)
		look_from(m, s, g, by_level, WARM, best);
}

/* Slopes. */

/* Of the sum of gains, after start-up. A third of the points gives as good a median. */
static double slope_along(const struct measure *m, const struct axis *a, const struct gains *g)
{
	double x[SLOPE_POINTS] = {0}, sums[SLOPE_POINTS] = {0}, sum = 0;
	size_t step = m->run->period_count / SLOPE_POINTS + 1, count = 0;

	for (size_t i = 0; i < g->count; i++) {
		sum += g->bytes[i];
		if (a->ends[i] < START_UP || (g->count - 1 - i) % step != 0)
			continue;
		x[count] = a->ends[i] * a->amount;
		sums[count++] = sum;
	}
	return slope_of(x, sums, count, m->slopes);
}

/* The levels themselves, so that what goes up and down again says so. */
static double confidence_of(const struct measure *m, const struct site *s, const struct axis *a)
{
	double levels[PERIODS_MAX] = {0};
	size_t first = 0;

	take_levels(m->run, s, levels);
	while (first < m->run->period_count && a->ends[first] < START_UP)
		first++;
	return trend_confidence(levels + first, m->run->period_count - first);
}

static void find_slopes(const struct measure *m, const struct site *s, const struct gains *g,
			struct growth *to)
{
	/* In less than half of the time, the median is 0. */
	bool flat = to->steps < STEADY_STEPS;

	to->confidence = flat ? 0 : confidence_of(m, s, &m->axes[to->axis]);
	if (m->axes[GROWTH_BY_TIME].usable)
		to->slope_bytes_per_hour =
			flat ? 0 : 3600 * slope_along(m, &m->axes[GROWTH_BY_TIME], g);
	if (!flat && to->axis == GROWTH_BY_REQUESTS)
		to->bytes_per_request = slope_along(m, &m->axes[GROWTH_BY_REQUESTS], g);
}

static double oldest_of(const struct run *run, const struct site *s)
{
	for (size_t i = 0; i < s->history_count; i++) {
		const struct period *p = &run->periods[s->history[i].period];

		if (s->history[i].kept_blocks != 0)
			return run->periods[run->period_count - 1].until_s - p->until_s;
	}
	return 0;
}

/* How the process deals with its blocks. */
static void look_at_all(struct measure *m)
{
	const struct run *run = m->run;
	const struct axis *a = &m->axes[GROWTH_BY_ALLOCATIONS];
	double kept = 0, later;
	size_t first = 0;

	while (first + 1 < run->period_count && (first == 0 || a->ends[first - 1] < START_UP))
		first++;
	later = first > 0 ? (1 - a->ends[first - 1]) * a->amount : 0;
	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];

		m->stacks_left += own_blocks(s) != 0;
		for (size_t k = 0; k < s->history_count; k++)
			if (s->history[k].period >= first)
				kept += (double)s->history[k].kept_blocks;
	}
	m->freed_share = later > 0 ? 1 - fmin(kept / later, 1) : 0;
}

/*
 * Allocations may have no time between them, and yet all be made long before the end. A stack
 * that made nearly all of a process's is measured against itself: of that one, what came
 * before counts as well.
 */
static bool is_over(const struct measure *m, const struct site *s)
{
	bool alone = (double)s->allocations >= ALONE * m->axes[GROWTH_BY_ALLOCATIONS].amount;
	double began = alone ? s->first_at_s : began_s(m->run);
	double idle_s = m->axes[GROWTH_BY_TIME].amount - (s->last_live_at_s - began);

	return idle_s > IDLE_LEAST_S && idle_s > m->axes[GROWTH_BY_TIME].amount / 2;
}

static void measure_site(const struct measure *m, struct site *s)
{
	struct growth *to = &s->growth;
	struct gains kept, level;

	*to = (struct growth){
		.frees = s->frees,
		.typical_age = (uint64_t)typical_of(s->spread->ages, AGES),
		.typical_s = typical_of(s->spread->lifetimes, LIFETIMES) / 1e6,
		.oldest_s = oldest_of(m->run, s),
		.waited = m->axes[GROWTH_BY_REQUESTS].usable || m->axes[GROWTH_BY_ROUNDS].usable,
		.ran_s = m->axes[GROWTH_BY_TIME].amount,
		.stacks_left = m->stacks_left,
		.all_allocations = m->run->heap.allocations,
		.all_freed_share = m->freed_share,
		.slope_bytes_per_hour = (double)NAN,
		.confidence = (double)NAN,
		.bytes_per_request = (double)NAN,
	};
	kept_gains(m, s, &kept);
	look(m, s, &kept, false, to);
	/* What is made anew as it grows is always young. */
	if (s->frees != 0 && to->form != GROWTH_EVEN) {
		struct growth by_level = *to;

		level_gains(m, s, &level);
		look(m, s, &level, true, &by_level);
		if (by_level.form > to->form)
			*to = by_level;
	}
	if (to->axis == GROWTH_BY_ALLOCATIONS && is_over(m, s)) {
		to->form = GROWTH_NONE;
		to->steps = 0;
		to->early_blocks += to->grown_blocks;
		to->grown_blocks = to->grown_bytes = 0;
	}
	if (to->early_blocks + to->grown_blocks < own_blocks(s))
		to->young_blocks = own_blocks(s) - to->early_blocks - to->grown_blocks;
	find_slopes(m, s, to->by_level ? &level : &kept, to);
}

bool growth_measure(struct run *run)
{
	struct measure m = {.run = run};

	if (run->period_count == 0)
		return true;
	m.slopes = malloc(sizeof(*m.slopes) * TREND_MAX * (TREND_MAX - 1) / 2);
	if (m.slopes == NULL)
		return false;
	make_axes(&m);
	look_at_all(&m);
	for (size_t i = 0; i < run->site_count; i++)
		if (own_blocks(&run->sites[i]) != 0)
			measure_site(&m, &run->sites[i]);
	free(m.slopes);
	return true;
}
