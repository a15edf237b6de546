/* SPDX-License-Identifier: MIT */
/*
 * A process's own live bytes over its time, finely enough to be added to other
 * processes': evenly spaced cells, each with the highest and the lowest value
 * within it. Bounded: cells double their width when there would be too many.
 */
#ifndef PH_ANALYZER_PROFILE_H
#define PH_ANALYZER_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_MAX 4096

struct profile_cell {
	uint64_t high, low;   /* bytes */
	uint64_t high_blocks; /* not of the same instant as `high` */
};

struct profile {
	struct profile_cell *cells;
	size_t count, room;
	uint64_t width_ns;
	struct profile_cell level; /* what holds since the last note */
	bool failed;		   /* out of memory */
};

struct profile *profile_new(void); /* NULL: out of memory */
void profile_free(struct profile *p);

/* About `ns` after the start it reached these; from then on it stays at `now`.
 * Times do not go back. */
void profile_note(struct profile *p, double ns, const struct profile_cell *reached,
		  const struct profile_cell *now);

/* It stays as it is until then. */
void profile_reach(struct profile *p, double ns);

#endif
