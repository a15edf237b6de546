/* SPDX-License-Identifier: MIT */
#include "analyzer/profile.h"

#include <stdlib.h>

#include "analyzer/vector.h"

#define WIDTH_NS 50000u /* of a cell, at first */

struct profile *profile_new(void)
{
	struct profile *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->width_ns = WIDTH_NS;
	return p;
}

void profile_free(struct profile *p)
{
	if (p != NULL)
		free(p->cells);
	free(p);
}

static void widen(struct profile_cell *cell, const struct profile_cell *by)
{
	if (by->high > cell->high)
		cell->high = by->high;
	if (by->low < cell->low)
		cell->low = by->low;
	if (by->high_blocks > cell->high_blocks)
		cell->high_blocks = by->high_blocks;
}

static void fold(struct profile *p)
{
	size_t pairs = (p->count + 1) / 2;

	for (size_t i = 0; i < pairs; i++) {
		struct profile_cell cell = p->cells[2 * i];

		if (2 * i + 1 < p->count)
			widen(&cell, &p->cells[2 * i + 1]);
		p->cells[i] = cell;
	}
	p->count = pairs;
	p->width_ns *= 2;
}

/* The cell of an instant; it and those before it exist, and hold at least what
 * came in with the time. NULL: out of memory. */
static struct profile_cell *cell_at(struct profile *p, double ns)
{
	uint64_t at = ns > 0 ? ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18 : 0;

	while (at / p->width_ns >= PROFILE_MAX)
		fold(p);
	at /= p->width_ns;
	if (at >= p->count) {
		if (!vector_reserve(p->cells, p->room, at + 1)) {
			p->failed = true;
			return NULL;
		}
		while (p->count <= at)
			p->cells[p->count++] = p->level;
	}
	return &p->cells[at];
}

void profile_note(struct profile *p, double ns, const struct profile_cell *reached,
		  const struct profile_cell *now)
{
	struct profile_cell *cell = cell_at(p, ns);

	if (cell != NULL)
		widen(cell, reached);
	p->level = *now;
}

void profile_reach(struct profile *p, double ns)
{
	cell_at(p, ns);
}
