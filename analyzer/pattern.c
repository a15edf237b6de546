/* SPDX-License-Identifier: MIT */
#include "analyzer/pattern.h"

#include <fnmatch.h>
#include <string.h>

bool pattern_fits(const char *pattern, const char *text)
{
	pattern += *pattern == '!';
	if (text == NULL)
		return false;
	if (strpbrk(pattern, "*?[") != NULL)
		return fnmatch(pattern, text, 0) == 0;
	return strstr(text, pattern) != NULL;
}

uint64_t patterns_fit(const struct patterns *patterns, const char *text)
{
	uint64_t fits = 0;

	for (size_t i = 0; i < patterns->count; i++)
		fits |= (uint64_t)pattern_fits(patterns->list[i], text) << i;
	return fits;
}

bool patterns_allow(const struct patterns *patterns, uint64_t fits)
{
	uint64_t against = 0, all;

	for (size_t i = 0; i < patterns->count; i++)
		against |= (uint64_t)(patterns->list[i][0] == '!') << i;
	all = patterns->count < PATTERNS_MAX ? (UINT64_C(1) << patterns->count) - 1 : UINT64_MAX;
	return (fits & against) == 0 && (against == all || (fits & ~against) != 0);
}
