/* SPDX-License-Identifier: MIT */
/* Which stack a file's or peer's change is of. */
#include <math.h>
#include <string.h>

#include "analyzer/diff.h"
#include "analyzer/endpoints.h"
#include "trace/format.h"

enum { BLAMED_MOST = 64 }; /* stacks; of more than one file has, the first */

/* What each stack did of the figure that changed most. */
struct blamed {
	uint32_t key;
	uint32_t node[DIFF_SIDES];
	double amount[DIFF_SIDES];
};

struct blaming {
	const struct diff *d;
	enum diff_figure figure;
	struct blamed list[BLAMED_MOST];
	size_t count;
};

static unsigned kind_of(const struct io_facts *facts, const struct io_stack *s)
{
	for (size_t i = 0; i < facts->function_count; i++)
		if (s->function != NULL && strcmp(facts->functions[i].name, s->function) == 0)
			return facts->functions[i].kind;
	return PH_KIND_NONE;
}

static double amount_of(enum diff_figure figure, unsigned kind, const struct io_stack *s)
{
	bool reads = kind == PH_KIND_READ || kind == PH_KIND_MOVE;
	bool writes = kind == PH_KIND_WRITE || kind == PH_KIND_MOVE;
	bool opens = kind == PH_KIND_OPEN || kind == PH_KIND_CONNECT || kind == PH_KIND_ACCEPT;

	switch (figure) {
	case FIGURE_READ:
		return reads ? (double)s->bytes : 0;
	case FIGURE_WRITTEN:
		return writes ? (double)s->bytes : 0;
	case FIGURE_READ_CALLS:
		return reads ? (double)s->calls : 0;
	case FIGURE_WRITE_CALLS:
		return writes ? (double)s->calls : 0;
	case FIGURE_OPENS:
		return opens ? (double)s->calls : 0;
	case FIGURE_METADATA:
		return reads || writes || opens ? 0 : (double)s->calls;
	case FIGURE_ERRORS:
		return (double)s->errors;
	case FIGURE_COUNT:
		break;
	}
	return 0;
}

static void add_stack(struct blaming *b, int side, uint32_t node, double amount)
{
	uint32_t key = keyed_report_key(&b->d->keyed[side], node);
	size_t i = 0;

	while (i < b->count && b->list[i].key != key)
		i++;
	if (i == BLAMED_MOST)
		return;
	if (i == b->count)
		b->list[b->count++] = (struct blamed){.key = key};
	if (b->list[i].node[side] == 0)
		b->list[i].node[side] = node;
	b->list[i].amount[side] += amount;
}

static void add_facts(struct blaming *b, int side, const struct io_facts *facts)
{
	for (size_t i = 0; i < facts->stack_count; i++) {
		const struct io_stack *s = &facts->stacks[i];
		double amount = amount_of(b->figure, kind_of(facts, s), s);

		if (amount > 0 && s->node != 0)
			add_stack(b, side, s->node, amount);
	}
}

static void add_peer(struct blaming *b, int side, const struct endpoint *peer)
{
	const struct run *run = b->d->reports[side]->run;

	for (size_t i = 0; i < run->connection_count; i++)
		if (endpoint_has(peer, &run->connections[i]))
			add_facts(b, side, &run->connections[i].facts);
}

void diff_blame(const struct diff *d, struct diff_place *place)
{
	struct blaming b = {.d = d, .figure = place->most};
	const struct blamed *most = NULL;

	for (int side = 0; side < DIFF_SIDES; side++) {
		if (place->facts[side] != NULL)
			add_facts(&b, side, place->facts[side]);
		if (place->peer[side] != NULL)
			add_peer(&b, side, place->peer[side]);
	}
	for (size_t i = 0; i < b.count; i++) {
		const double *own = b.list[i].amount;
		double change = (own[DIFF_AFTER] - own[DIFF_BEFORE]) * (place->growth < 0 ? -1 : 1);

		if (most == NULL ||
		    change > (most->amount[DIFF_AFTER] - most->amount[DIFF_BEFORE]) *
				     (place->growth < 0 ? -1 : 1))
			most = &b.list[i];
	}
	if (most != NULL)
		memcpy(place->node, most->node, sizeof(place->node));
}

int diff_blamed_side(const struct diff_place *place)
{
	return place->node[DIFF_AFTER] != 0 ? DIFF_AFTER : DIFF_BEFORE;
}
