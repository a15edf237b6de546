/* SPDX-License-Identifier: MIT */
/* The ranges of addresses that mmap and its family hold, as a set: taking away
 * a part leaves the rest, and what is mapped over counts once. */
#ifndef PH_ANALYZER_MAPPED_H
#define PH_ANALYZER_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is empty. */
struct mapped {
	struct mapped_range *ranges; /* a treap; [0] is no range */
	size_t count, room;
	uint32_t root, spare; /* spare: a list of unused ones, by `left` */
	uint64_t bytes;
	uint64_t random;
};

bool mapped_add(struct mapped *m, uint64_t start, uint64_t length); /* false: no memory */
bool mapped_remove(struct mapped *m, uint64_t start, uint64_t length);

/* Each range, ascending. */
void mapped_each(const struct mapped *m, void (*range)(void *context, uint64_t start, uint64_t end),
		 void *context);
void mapped_free(struct mapped *m);

#endif
