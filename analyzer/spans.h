/* SPDX-License-Identifier: MIT */
/* A set of addresses, made by adding stretches in any order, then settled once. */
#ifndef PH_ANALYZER_SPANS_H
#define PH_ANALYZER_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is empty. */
struct spans {
	struct span {
		uint64_t start, end; /* end is one past the last */
	} * list;
	size_t count, room;
	bool failed; /* out of memory */
};

/* What is empty adds nothing. */
void spans_add(struct spans *s, uint64_t start, uint64_t end);

/* Ascending, and none touches another. */
void spans_settle(struct spans *s);

/* Settled. The one that an address is in; NULL. */
const struct span *spans_at(const struct spans *s, uint64_t address);

/* Settled. The next stretch from `*from` on, below `end`, that is in none of them; it goes
 * on at *from, which moves behind it. False: there is none. */
bool spans_gap(const struct spans *s, uint64_t *from, uint64_t end, struct span *gap);

void spans_free(struct spans *s);

#endif
