/* SPDX-License-Identifier: MIT */
#include "analyzer/string_table.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

uint32_t string_number(struct string_table *t, const char *text)
{
	uint64_t hash = map_hash_bytes(text, strlen(text));
	size_t at = SIZE_MAX;
	uint32_t place;
	char *copy;

	while ((place = index_find(&t->index, hash, &at)) != 0)
		if (strcmp(t->strings[place - 1], text) == 0)
			return place - 1;
	copy = strdup(text);
	if (copy == NULL || t->count >= STRING_TABLE_FULL - 1 ||
	    !vector_reserve(t->strings, t->room, t->count + 1) ||
	    !index_insert(&t->index, hash, (uint32_t)t->count + 1)) {
		free(copy);
		return STRING_TABLE_FULL;
	}
	t->strings[t->count] = copy;
	return (uint32_t)t->count++;
}

void string_table_free(struct string_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->strings[i]);
	free(t->strings);
	index_free(&t->index);
	*t = (struct string_table){0};
}
