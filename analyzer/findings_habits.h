/* SPDX-License-Identifier: MIT */
/* Habits put together by what they are about, for findings. */
#ifndef PH_ANALYZER_FINDINGS_HABITS_H
#define PH_ANALYZER_FINDINGS_HABITS_H

#include "analyzer/findings.h"

/* All of a kind of one file or of the connections to one peer. */
struct habit_group {
	struct habit sum;
	const struct habit *top; /* the stack with most of them: all of that one's */
};

/* Calls `judge` for each group; `by_stack`: those of each stack are one of their own. */
void each_habit_group(struct finder *f, enum habit_kind kind, bool by_stack,
		      void (*judge)(struct finder *f, const struct habit_group *g));

#endif
