/* SPDX-License-Identifier: MIT */
/* An obstack a request, which one of them does not free; one of symbols, which grows at
 * start-up and stays. */
#include <obstack.h>

#include "work.h"

#define obstack_chunk_free free

static void *(*chunk_alloc)(size_t size);

static void *leak_chunk(size_t size)
{
	return cleared(size);
}

static void *benign_chunk(size_t size)
{
	return cleared(size);
}

#define obstack_chunk_alloc chunk_alloc

static struct obstack symbols;

static void read_symbols(void)
{
	chunk_alloc = benign_chunk;
	obstack_init(&symbols);
	for (int i = 0; i < 4000; i++)
		obstack_alloc(&symbols, 100);
}

static void parse(int i)
{
	struct obstack tree;

	chunk_alloc = leak_chunk;
	obstack_begin(&tree, (int)sized(1000));
	for (int k = 0; k < 15; k++)
		obstack_alloc(&tree, 90);
	if (!one_in(i, 65))
		obstack_free(&tree, NULL);
}

int main(void)
{
	read_symbols();
	for (int i = 0; i < requests(4500); i++) {
		parse(i);
		serve(i);
	}
	return leave();
}
