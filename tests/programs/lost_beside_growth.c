/* SPDX-License-Identifier: MIT */
/* A list that grows by 1,000 bytes a round and can be reached, and beside it 48 bytes that are
 * lost every fourth round. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 200 };

struct entry {
	struct entry *next;
	char text[992];
};

static struct entry *list;

static __attribute__((noinline)) void remember(void)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		exit(2);
	e->next = list;
	list = e;
}

static __attribute__((noinline)) void forget(void)
{
	char *volatile p = malloc(48);

	if (p != NULL)
		memset(p, 'x', 48);
	/* cppcheck-suppress memleak */
	p = NULL;
}

int main(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		remember();
		if (i % 4 == 0)
			forget();
		poll(NULL, 0, 1);
	}
	return 0;
}
