/* SPDX-License-Identifier: MIT */
#include "analyzer/profile.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

#define COARSE_NS	5e6  /* no stamp stands for longer while there are events */
#define TOLERANCE_FIRST 1024 /* bytes, once there are too many stretches */

struct profile *profile_new(void)
{
	return calloc(1, sizeof(struct profile));
}

void profile_free(struct profile *p)
{
	if (p != NULL)
		free(p->stretches);
	free(p);
}

static struct band both(const struct band *a, const struct band *b)
{
	return (struct band){
		.high = a->high > b->high ? a->high : b->high,
		.low = a->low < b->low ? a->low : b->low,
		.high_blocks = a->high_blocks > b->high_blocks ? a->high_blocks : b->high_blocks,
	};
}

/* Into the last of `count` stretches, if it stays within the tolerance. */
static bool joins(const struct profile *p, size_t count, const struct band *band)
{
	struct band sum;

	if (count == 0)
		return false;
	sum = both(&p->stretches[count - 1].band, band);
	if (sum.high - sum.low > p->tolerance)
		return false;
	/* Blocks have no tolerance of their own while all bytes are exact. */
	if (p->tolerance == 0 && sum.high_blocks != p->stretches[count - 1].band.high_blocks)
		return false;
	p->stretches[count - 1].band = sum;
	return true;
}

static void make_room(struct profile *p)
{
	while (p->count > PROFILE_MAX / 2) {
		size_t kept = 0;

		p->tolerance = p->tolerance != 0 ? 2 * p->tolerance : TOLERANCE_FIRST;
		for (size_t i = 0; i < p->count; i++) {
			if (!joins(p, kept, &p->stretches[i].band))
				p->stretches[kept++] = p->stretches[i];
		}
		p->count = kept;
	}
}

static void add(struct profile *p, double ns, const struct band *band)
{
	if (joins(p, p->count, band))
		return;
	if (p->count == PROFILE_MAX)
		make_room(p);
	if (!vector_reserve(p->stretches, p->room, p->count + 1)) {
		p->failed = true;
		return;
	}
	p->stretches[p->count++] = (struct stretch){ns, *band};
}

void profile_note(struct profile *p, double ns, const struct band *reached,
		  const struct band *level)
{
	if (ns > p->settled_ns && p->count != 0)
		add(p, p->settled_ns, &p->level);
	add(p, ns, reached);
	p->level = *level;
	p->settled_ns = ns + (memcmp(reached, level, sizeof(*level)) != 0 ? COARSE_NS : 0);
}

void profile_end(struct profile *p)
{
	if (p->count != 0)
		add(p, p->settled_ns, &p->level);
}
