/* SPDX-License-Identifier: MIT */
/*
 * Evidence for and against a leak: a table of clues, each a rule over a stack's figures
 * with its points and a sentence. docs/leaks.md lists them.
 */
#ifndef PH_ANALYZER_LEAK_CLUES_H
#define PH_ANALYZER_LEAK_CLUES_H

#include "analyzer/report.h"

#define LEAK_SUSPECT 50 /* points, and more */

/* What others that were allocated on behalf of the same caller came to. */
struct siblings {
	uint64_t allocations, frees;
	uint32_t caller; /* the node of its frame; 0: of the whole process */
};

/* By node: what was allocated by all stacks through it. Malloc'ed; NULL: no memory. */
struct siblings *siblings_count(const struct run *run);
struct siblings siblings_of(struct report *r, const struct siblings *by_node, const struct site *s);

/* Did a search find blocks of it that nothing, or what is lost alone, points to? */
bool leak_is_lost(const struct leak *l);

/* Fill the score and what speaks for it. */
void leak_judge(struct report *r, struct leak *l, const struct siblings *siblings);

__attribute__((format(printf, 2, 3))) void leak_why(struct leak *l, const char *format, ...);
/* A time for such a sentence: in any character set, without the micro sign. */
char *leak_time(char *out, double s);

#endif
