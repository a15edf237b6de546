/* SPDX-License-Identifier: MIT */
/* Names as a command line asks for them. */
#ifndef PH_ANALYZER_PATTERN_H
#define PH_ANALYZER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERNS_MAX 64

/*
 * Patterns, each with a '!' in front or not. Something is let through if one without
 * fits it, or there is none, and none with it does.
 */
struct patterns {
	const char **list; /* borrowed strings */
	size_t count;	   /* at most PATTERNS_MAX */
};

/* A pattern with *, ? or [ is a glob for the whole text, else a part of it. Without
 * regard to a '!' in front. `text` may be NULL: nothing fits. */
bool pattern_fits(const char *pattern, const char *text);

/* Bit i: patterns->list[i] fits the text. */
uint64_t patterns_fit(const struct patterns *patterns, const char *text);

/* What of several texts together fits, as bits: is that let through? */
bool patterns_allow(const struct patterns *patterns, uint64_t fits);

#endif
