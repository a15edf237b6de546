/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: the strings of a struct run. */
#ifndef PH_ANALYZER_ARENA_H
#define PH_ANALYZER_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void); /* NULL: out of memory */
void arena_free(struct arena *a);

/* Zeroed and aligned for anything; NULL when memory ran out. */
void *arena_alloc(struct arena *a, size_t bytes);

/* A NUL-terminated copy, cut at the first NUL within. Never NULL: when memory
 * runs out it is an empty string. */
const char *arena_copy(struct arena *a, const char *text, size_t length);
const char *arena_print(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
