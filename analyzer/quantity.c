/* SPDX-License-Identifier: MIT */
/* Amounts as they are typed on a command line. */
#include "analyzer/quantity.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

/* strtod() knows more kinds of numbers than anyone would type. */
static bool number(const char *text, double *value, const char **rest)
{
	size_t digits = strspn(text, "0123456789"), fraction = 0;
	char *end;

	if (text[digits] == '.')
		fraction = strspn(text + digits + 1, "0123456789");
	if (digits + fraction == 0 || digits + fraction > 30)
		return false;
	*value = strtod(text, &end);
	/* "1e3" and hexadecimal numbers. */
	if (end != text + digits + (text[digits] == '.') + fraction)
		return false;
	while (*end == ' ')
		end++;
	*rest = end;
	return isfinite(*value);
}

static bool with_unit(const char *text, const struct unit *units, double *value)
{
	const char *rest;
	double n;

	if (!number(text, &n, &rest))
		return false;
	for (; units->name != NULL; units++) {
		if (strcasecmp(rest, units->name) == 0) {
			*value = n * units->factor;
			return isfinite(*value);
		}
	}
	*value = 0;
	return n == 0 && *rest == '\0';
}

bool quantity_bytes(const char *text, double *bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"b", 1},
		{"k", 1024},
		{"kib", 1024},
		{"m", 1048576},
		{"mib", 1048576},
		{"g", 1073741824},
		{"gib", 1073741824},
		{"t", 1099511627776},
		{"tib", 1099511627776},
		{"kb", 1e3},
		{"mb", 1e6},
		{"gb", 1e9},
		{"tb", 1e12},
		{NULL, 0},
	};

	return with_unit(text, units, bytes);
}

bool quantity_seconds(const char *text, double *seconds)
{
	static const struct unit units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1},
					    {"min", 60},  {"h", 3600},	{NULL, 0}};

	return with_unit(text, units, seconds);
}

bool quantity_count(const char *text, double *count)
{
	static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {NULL, 0}};

	return with_unit(text, units, count);
}

bool quantity_percent(const char *text, double *fraction)
{
	static const struct unit units[] = {{"%", 0.01}, {NULL, 0}};

	return with_unit(text, units, fraction);
}
