/* SPDX-License-Identifier: MIT */
#include "analyzer/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

/* The first range that does not end before `begin`. */
static size_t find(const struct ranges *r, uint64_t begin)
{
	size_t low = 0, high = r->count;

	/* Mostly it is the last, which grows. */
	if (high != 0 && r->list[high - 1].begin <= begin)
		return r->list[high - 1].end < begin ? high : high - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->list[middle].end < begin)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ranges_add(struct ranges *r, uint64_t begin, uint64_t end, size_t max, uint64_t *known)
{
	size_t first = find(r, begin), last = first;
	struct byte_range whole = {begin, end};

	*known = 0;
	for (; last < r->count && r->list[last].begin <= end; last++) {
		const struct byte_range *x = &r->list[last];
		uint64_t from = x->begin > begin ? x->begin : begin;
		uint64_t to = x->end < end ? x->end : end;

		*known += to > from ? to - from : 0;
		whole.begin = x->begin < whole.begin ? x->begin : whole.begin;
		whole.end = x->end > whole.end ? x->end : whole.end;
	}
	if (last == first) {
		if (r->count >= max || !vector_reserve(r->list, r->room, r->count + 1))
			return false;
		memmove(r->list + first + 1, r->list + first,
			(r->count - first) * sizeof(*r->list));
		r->count++;
	} else if (last - first > 1) {
		memmove(r->list + first + 1, r->list + last, (r->count - last) * sizeof(*r->list));
		r->count -= last - first - 1;
	}
	r->list[first] = whole;
	return true;
}

void ranges_clear(struct ranges *r)
{
	free(r->list);
	*r = (struct ranges){0};
}
