/* SPDX-License-Identifier: MIT */
#include "analyzer/spans.h"

#include <stdlib.h>

#include "analyzer/vector.h"

void spans_add(struct spans *s, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	if (!vector_reserve(s->list, s->room, s->count + 1)) {
		s->failed = true;
		return;
	}
	s->list[s->count++] = (struct span){start, end};
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void spans_settle(struct spans *s)
{
	size_t kept = 0;

	if (s->count == 0)
		return;
	qsort(s->list, s->count, sizeof(*s->list), by_start);
	for (size_t i = 1; i < s->count; i++) {
		if (s->list[i].start > s->list[kept].end)
			s->list[++kept] = s->list[i];
		else if (s->list[i].end > s->list[kept].end)
			s->list[kept].end = s->list[i].end;
	}
	s->count = kept + 1;
}

/* The first that ends behind an address. */
static size_t first_behind(const struct spans *s, uint64_t address)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->list[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct span *spans_at(const struct spans *s, uint64_t address)
{
	size_t i = first_behind(s, address);

	return i < s->count && s->list[i].start <= address ? &s->list[i] : NULL;
}

bool spans_gap(const struct spans *s, uint64_t *from, uint64_t end, struct span *gap)
{
	for (size_t i = first_behind(s, *from); *from < end; i++) {
		uint64_t until = i < s->count && s->list[i].start < end ? s->list[i].start : end;

		*gap = (struct span){*from, until};
		*from = i < s->count ? s->list[i].end : end;
		if (gap->start < gap->end)
			return true;
	}
	return false;
}

void spans_free(struct spans *s)
{
	free(s->list);
	*s = (struct spans){.list = NULL};
}
