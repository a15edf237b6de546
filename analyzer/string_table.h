/* SPDX-License-Identifier: MIT */
/* Strings by number: the same text has one. All zero is empty. Not thread-safe. */
#ifndef PH_ANALYZER_STRING_TABLE_H
#define PH_ANALYZER_STRING_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/map.h"

struct string_table {
	char **strings; /* copies, in order of their numbers */
	size_t count, room;
	struct index index;
};

#define STRING_TABLE_FULL UINT32_MAX

/* The text's number, from 0; STRING_TABLE_FULL: out of memory. */
uint32_t string_number(struct string_table *t, const char *text);
void string_table_free(struct string_table *t);

#endif
