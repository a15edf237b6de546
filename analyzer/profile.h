/* SPDX-License-Identifier: MIT */
/*
 * A process's own live bytes over its time, closely enough to be added to other
 * processes': stretches of time, each with the highest and the lowest value in it.
 * Few values make exact stretches; where there would be too many, neighbours that
 * differ least become one, so that what is lost is bounded in bytes, not in time.
 */
#ifndef PH_ANALYZER_PROFILE_H
#define PH_ANALYZER_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_MAX 2048

struct band {
	uint64_t high, low;   /* bytes */
	uint64_t high_blocks; /* not of the same instant as `high` */
};

struct stretch {
	double start_ns; /* it lasts until the next one */
	struct band band;
};

struct profile {
	struct stretch *stretches;
	size_t count, room;
	uint64_t tolerance; /* bytes that a stretch's values may differ by */
	struct band level;  /* what holds from settled_ns on */
	double settled_ns;
	bool failed; /* out of memory */
};

struct profile *profile_new(void); /* NULL: out of memory */
void profile_free(struct profile *p);

/* What events at `ns`, or within the few milliseconds that one stamp may stand for,
 * led to; afterwards it is `level` until the next note. Times do not go back. */
void profile_note(struct profile *p, double ns, const struct band *reached,
		  const struct band *level);

/* No more notes. */
void profile_end(struct profile *p);

#endif
