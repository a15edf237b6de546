/* SPDX-License-Identifier: MIT */
#include "analyzer/clock.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

bool clock_add(struct clock *c, const void *payload, size_t length)
{
	size_t n = length / sizeof(*c->pairs);

	if (n == 0)
		return true;
	if (!vector_reserve(c->pairs, c->room, c->count + n))
		return false;
	memcpy(c->pairs + c->count, payload, n * sizeof(*c->pairs));
	c->count += n;
	return true;
}

static int by_ticks(const void *a, const void *b)
{
	const struct ph_clock_pair *x = a, *y = b;

	return x->ticks < y->ticks ? -1 : x->ticks > y->ticks;
}

static double slope_between(const struct ph_clock_pair *a, const struct ph_clock_pair *b)
{
	return (double)(b->monotonic_ns - a->monotonic_ns) / (double)(b->ticks - a->ticks);
}

/* Counters tick between 1 kHz and 1 THz; what says otherwise is no clock. */
static bool slope_is_sane(double slope)
{
	return slope >= 1e-3 && slope <= 1e6;
}

static bool goes_on(const struct ph_clock_pair *last, const struct ph_clock_pair *p)
{
	return p->ticks > last->ticks && p->monotonic_ns > last->monotonic_ns &&
	       slope_is_sane(slope_between(last, p));
}

/* Drop the pairs that would make time stand still, go back or leap. */
static void drop_absurd(struct clock *c)
{
	size_t kept = 0;

	if (c->count != 0)
		qsort(c->pairs, c->count, sizeof(*c->pairs), by_ticks);
	for (size_t i = 0; i < c->count; i++) {
		if (kept == 0 || goes_on(&c->pairs[kept - 1], &c->pairs[i]))
			c->pairs[kept++] = c->pairs[i];
	}
	c->count = kept;
}

/* Two pairs in quick succession make a poor slope: extrapolate by lines of at
 * least 10 ms where there are any. */
static void find_end_slopes(struct clock *c, double rate)
{
	const struct ph_clock_pair *first = c->pairs, *last, *after, *before;

	c->slope_before = c->slope_after = rate;
	if (c->count < 2)
		return;
	last = first + c->count - 1;
	after = first + 1;
	before = last - 1;
	while (after < last && after->monotonic_ns - first->monotonic_ns < 10000000)
		after++;
	while (before > first && last->monotonic_ns - before->monotonic_ns < 10000000)
		before--;
	c->slope_before = slope_between(first, after);
	c->slope_after = slope_between(before, last);
}

/* How much the counter's rate changed between pairs that are far enough apart. */
static double find_unevenness(const struct clock *c)
{
	double least = 0, most = 0;
	size_t from = 0;

	for (size_t i = 1; i < c->count; i++) {
		double slope;

		if (c->pairs[i].monotonic_ns - c->pairs[from].monotonic_ns < 10000000)
			continue;
		slope = slope_between(&c->pairs[from], &c->pairs[i]);
		from = i;
		if (least == 0 || slope < least)
			least = slope;
		if (slope > most)
			most = slope;
	}
	return least > 0 ? most / least - 1 : 0;
}

void clock_find_line(struct clock *c, uint64_t ticks)
{
	size_t low = 0, high = c->count, pair;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->pairs[middle].ticks <= ticks)
			low = middle + 1;
		else
			high = middle;
	}
	/* `low` pairs stand at or before `ticks`. */
	pair = low ? low - 1 : 0;
	c->from = low ? c->pairs[pair].ticks : 0;
	c->to = low < c->count ? c->pairs[low].ticks : UINT64_MAX;
	c->anchor = c->count ? c->pairs[pair].ticks : c->start;
	c->ns_at_anchor = -c->ns_of_start;
	if (c->count != 0)
		c->ns_at_anchor += (double)(c->pairs[pair].monotonic_ns - c->pairs[0].monotonic_ns);
	if (low == 0)
		c->slope = c->slope_before;
	else if (low == c->count)
		c->slope = c->slope_after;
	else
		c->slope = slope_between(&c->pairs[pair], &c->pairs[low]);
}

void clock_settle(struct clock *c, uint64_t start, double ticks_per_s)
{
	double rate = ticks_per_s > 0 ? 1e9 / ticks_per_s : 1;

	drop_absurd(c);
	c->unevenness = find_unevenness(c);
	find_end_slopes(c, slope_is_sane(rate) ? rate : 1);
	c->start = start;
	c->ns_of_start = 0;
	clock_find_line(c, start);
	c->ns_of_start = clock_ns(c, start);
	clock_find_line(c, start);
}

void clock_free(struct clock *c)
{
	free(c->pairs);
	*c = (struct clock){0};
}
