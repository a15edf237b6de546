/* SPDX-License-Identifier: MIT */
#include "analyzer/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 << 10, ALIGN = 16 };

struct chunk {
	struct chunk *next;
	size_t used, room;
	_Alignas(ALIGN) char bytes[];
};

struct arena {
	struct chunk *chunks; /* the first is being filled */
};

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	for (struct chunk *c = a->chunks, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

/* A chunk of its own for what is large, so that the one being filled stays. */
static struct chunk *add_chunk(struct arena *a, size_t bytes)
{
	size_t room = bytes > CHUNK / 4 ? bytes : CHUNK;
	struct chunk *c = calloc(1, sizeof(*c) + room);

	if (c == NULL)
		return NULL;
	c->room = room;
	if (room > bytes || a->chunks == NULL) {
		c->next = a->chunks;
		a->chunks = c;
	} else {
		c->next = a->chunks->next;
		a->chunks->next = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	struct chunk *c = a->chunks;
	void *result;

	if (bytes > (size_t)1 << 40)
		return NULL;
	bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (c == NULL || c->room - c->used < bytes)
		c = add_chunk(a, bytes);
	if (c == NULL)
		return NULL;
	result = c->bytes + c->used;
	c->used += bytes;
	return result;
}

const char *arena_copy(struct arena *a, const char *text, size_t length)
{
	size_t n = strnlen(text, length);
	char *copy = arena_alloc(a, n + 1);

	if (copy == NULL)
		return "";
	memcpy(copy, text, n);
	return copy;
}

const char *arena_print(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	const char *copy;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return "";
	copy = arena_copy(a, text, (size_t)n);
	free(text);
	return copy;
}
