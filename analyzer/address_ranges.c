/* SPDX-License-Identifier: MIT */
/* Nested address ranges, flattened for look-ups. */
#include "analyzer/address_ranges.h"

#include <stdlib.h>

#include "analyzer/vector.h"

bool address_ranges_add(struct address_ranges *r, uint64_t start, uint64_t end, uint32_t depth,
			uint32_t value)
{
	if (start >= end)
		return true;
	if (!vector_reserve(r->items, r->room, r->count + 1))
		return false;
	r->items[r->count++] = (struct address_range){start, end, depth, value};
	return true;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* What shall cover comes behind what it covers. */
static int by_cover(const void *x, const void *y)
{
	const struct address_range *a = x, *b = y;
	int order = compare(a->start, b->start);

	if (order == 0)
		order = compare(a->depth, b->depth);
	if (order == 0)
		order = compare(b->end, a->end);
	if (order == 0)
		order = compare(b->value, a->value);
	return order;
}

struct sweep {
	struct address_range *open; /* stack of ranges begun and perhaps not ended */
	size_t open_count;
	struct address_range *out;
	size_t out_count;
	uint64_t at;
};

/* Emit what is on top of the stack, up to `end`. */
static void sweep_to(struct sweep *s, uint64_t end)
{
	while (s->open_count > 0 && s->at < end) {
		struct address_range part = s->open[s->open_count - 1];

		if (part.end <= s->at) {
			s->open_count--;
			continue;
		}
		part.start = s->at;
		if (part.end > end)
			part.end = end;
		s->at = part.end;
		s->out[s->out_count++] = part;
	}
	s->at = end;
}

bool address_ranges_flatten(struct address_ranges *r)
{
	struct sweep s = {0};

	if (r->count == 0)
		return true;
	qsort(r->items, r->count, sizeof(*r->items), by_cover);
	s.open = calloc(r->count, sizeof(*s.open));
	/* Each start and each end ends at most one part. */
	s.out = calloc(r->count * 2, sizeof(*s.out));
	if (s.open == NULL || s.out == NULL) {
		free(s.open);
		free(s.out);
		return false;
	}
	for (size_t i = 0; i < r->count; i++) {
		sweep_to(&s, r->items[i].start);
		s.open[s.open_count++] = r->items[i];
	}
	sweep_to(&s, UINT64_MAX);
	free(s.open);
	free(r->items);
	r->items = s.out;
	r->room = r->count * 2;
	r->count = s.out_count;
	return true;
}

const struct address_range *address_ranges_find(const struct address_ranges *r, uint64_t address)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == r->count || r->items[low].start > address)
		return NULL;
	return &r->items[low];
}

void address_ranges_free(struct address_ranges *r)
{
	free(r->items);
	*r = (struct address_ranges){0};
}
