/* SPDX-License-Identifier: MIT */
/*
 * How a file is accessed: struct access of run.h, filled call by call. Where an open
 * file stands is followed by its cursor; ranges are those of the path.
 */
#ifndef PH_ANALYZER_ACCESS_H
#define PH_ANALYZER_ACCESS_H

#include "analyzer/ranges.h"
#include "analyzer/run.h"

/* Of one open file, one direction: its last call. All zero: there was none. */
struct cursor {
	uint64_t begin, end;
	int64_t distance; /* from the beginning of the one before to its own; 0: none */
	bool set;
};

#define ACCESS_NOWHERE UINT64_MAX /* as an offset: not known */

/* A call moved `bytes`, not 0, at `offset`. */
void access_note(struct access *a, struct cursor *c, struct ranges *ranges, uint64_t offset,
		 uint64_t bytes);
/* A call moved `bytes` to the end of the file, wherever that was. */
void access_note_append(struct access *a, struct cursor *c, uint64_t bytes);

/* The sums; what was touched again is not known of both together. */
void access_add(struct access *to, const struct access *from);

#endif
