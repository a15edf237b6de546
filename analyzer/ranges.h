/* SPDX-License-Identifier: MIT */
/* Sets of bytes of a file, as ranges that neither touch nor overlap. */
#ifndef PH_ANALYZER_RANGES_H
#define PH_ANALYZER_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is empty. */
struct ranges {
	struct byte_range {
		uint64_t begin, end; /* end is one past the last */
	} * list;		     /* ascending */
	size_t count, room;
};

/*
 * Add a range; *known becomes how many bytes of it were in the set before. False: it
 * would be more than `max` ranges, or memory ran out, and the set is as it was.
 */
bool ranges_add(struct ranges *r, uint64_t begin, uint64_t end, size_t max, uint64_t *known);
void ranges_clear(struct ranges *r);

#endif
