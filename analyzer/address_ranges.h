/* SPDX-License-Identifier: MIT */
/*
 * Which of many, possibly nested, address ranges is the innermost at an
 * address: add them all, flatten once, then find in logarithmic time.
 */
#ifndef PH_ANALYZER_ADDRESS_RANGES_H
#define PH_ANALYZER_ADDRESS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address_range {
	uint64_t start, end; /* end is the first address behind it */
	uint32_t depth;
	uint32_t value; /* what it stands for */
};

struct address_ranges { /* zeroed: empty */
	struct address_range *items;
	size_t count, room;
};

/* False: out of memory. Empty ranges are left out. */
bool address_ranges_add(struct address_ranges *r, uint64_t start, uint64_t end, uint32_t depth,
			uint32_t value);

/*
 * Make them disjoint. Where they overlap, the one that starts last covers the
 * others; of those that start together the deepest, then the shortest, then
 * the lowest value. Nothing can be added afterwards. False: out of memory.
 */
bool address_ranges_flatten(struct address_ranges *r);

/* Only after flattening. NULL: none there. */
const struct address_range *address_ranges_find(const struct address_ranges *r, uint64_t address);

void address_ranges_free(struct address_ranges *r);

#endif
