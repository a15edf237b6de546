/* SPDX-License-Identifier: MIT */
/* Arenas: one for what stays, complete soon; one that is emptied after each request; and
 * one that should be, but only gets more chunks. */
#include "work.h"

enum { CHUNK = 8192 };

struct chunk {
	struct chunk *next;
	size_t used;
	char bytes[];
};

static struct chunk *lasting, *passing, *growing;

NOINLINE static struct chunk *leak_chunk(void)
{
	return (struct chunk *)cleared(sizeof(struct chunk) + CHUNK);
}

NOINLINE static struct chunk *benign_chunk(void)
{
	return (struct chunk *)cleared(sizeof(struct chunk) + CHUNK);
}

static void *take(struct chunk **arena, struct chunk *(*more)(void), size_t size)
{
	struct chunk *c = *arena;

	if (c == NULL || c->used + size > CHUNK) {
		c = more();
		c->next = *arena;
		*arena = c;
	}
	c->used += size;
	return c->bytes + c->used - size;
}

static void empty(struct chunk **arena)
{
	while (*arena != NULL) {
		struct chunk *c = *arena;

		*arena = c->next;
		free(c);
	}
}

int main(void)
{
	benign_pool(13, 130000);
	for (int i = 0; i < requests(4000); i++) {
		if (i < requests(900))
			take(&lasting, benign_chunk, 700);
		for (int k = 0; k < 20; k++)
			take(&passing, benign_chunk, 600);
		take(&growing, leak_chunk, sized(200));
		empty(&passing);
		serve(i);
	}
	return leave();
}
