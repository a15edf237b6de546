/* SPDX-License-Identifier: MIT */
#include "analyzer/access.h"

/* Darshan's. */
const uint64_t access_size_limits[ACCESS_SIZES] = {
	101,	  (1u << 10) + 1, 10241,       102401,	   (1u << 20) + 1, (4u << 20) + 1,
	10485761, 104857601,	  1073741825u, UINT64_MAX,
};

/* What is a pattern: that share of all steps. */
#define SHARE	  0.8
#define RANDOM	  0.4 /* less than that of all steps is in any order */
#define STEPS_MIN 2

static void note_size(struct access *a, uint64_t bytes)
{
	unsigned i = 0;

	while (i + 1 < ACCESS_SIZES && bytes >= access_size_limits[i])
		i++;
	a->calls++;
	a->sizes[i]++;
	a->tiny += bytes < ACCESS_TINY_BYTES;
}

static void note_step(struct access *a, struct cursor *c, uint64_t offset)
{
	int64_t distance = (int64_t)(offset - c->begin);

	a->steps++;
	a->sequential += offset >= c->end;
	if (offset == c->end)
		a->consecutive++;
	else if (distance == 0)
		a->repeated++;
	else if (distance == c->distance)
		a->strided++;
	c->distance = distance;
}

static void note_ranges(struct access *a, struct ranges *ranges, uint64_t begin, uint64_t end)
{
	uint64_t known;

	if (a->again_unknown)
		return;
	if (!ranges_add(ranges, begin, end, ACCESS_RANGES_MAX, &known)) {
		a->again_unknown = true;
		ranges_clear(ranges);
		return;
	}
	a->again_bytes += known;
	a->end_bytes = end > a->end_bytes ? end : a->end_bytes;
	a->distinct_bytes += end - begin - known;
}

void access_note(struct access *a, struct cursor *c, struct ranges *ranges, uint64_t offset,
		 uint64_t bytes)
{
	uint64_t end;

	note_size(a, bytes);
	if (offset == ACCESS_NOWHERE || __builtin_add_overflow(offset, bytes, &end)) {
		a->again_unknown = true;
		c->set = false;
		return;
	}
	a->located++;
	a->unaligned += offset % ACCESS_ALIGNED_ON != 0;
	if (c->set)
		note_step(a, c, offset);
	else
		c->distance = 0;
	c->begin = offset;
	c->end = end;
	c->set = true;
	note_ranges(a, ranges, offset, end);
}

/* Nothing is written twice by it. Only the order of appends is known. */
void access_note_append(struct access *a, struct cursor *c, uint64_t bytes)
{
	note_size(a, bytes);
	if (a->appended++ != 0) {
		a->steps++;
		a->sequential++;
		a->consecutive++;
	}
	a->distinct_bytes += bytes;
	c->set = false;
}

void access_add(struct access *to, const struct access *from)
{
	to->calls += from->calls;
	to->located += from->located;
	to->steps += from->steps;
	to->sequential += from->sequential;
	to->consecutive += from->consecutive;
	to->strided += from->strided;
	to->repeated += from->repeated;
	to->appended += from->appended;
	to->unaligned += from->unaligned;
	to->tiny += from->tiny;
	for (unsigned i = 0; i < ACCESS_SIZES; i++)
		to->sizes[i] += from->sizes[i];
	to->again_unknown |=
		from->again_unknown || (to->distinct_bytes != 0 && from->distinct_bytes != 0);
	to->distinct_bytes += from->distinct_bytes;
	to->again_bytes += from->again_bytes;
	to->end_bytes = from->end_bytes > to->end_bytes ? from->end_bytes : to->end_bytes;
}

const char *access_pattern(const struct access *a)
{
	double steps = (double)a->steps;

	if (a->steps < STEPS_MIN)
		return NULL;
	/* The first of a stride is not known to be one. */
	if ((double)a->consecutive >= SHARE * steps)
		return "consecutive";
	if ((double)(a->strided + 1) >= SHARE * steps && a->strided != 0)
		return "strided";
	if ((double)a->repeated >= SHARE * steps)
		return "repeated";
	if ((double)a->sequential >= SHARE * steps)
		return "sequential";
	return (double)(a->consecutive + a->strided + a->repeated) < RANDOM * steps ? "random"
										    : "mixed";
}
