/* SPDX-License-Identifier: MIT */
/* Without a leak: each generation of work grows to some thousand blocks, is freed whole, and
 * begins anew; the last one is cut short by the end. */
#include "work.h"

struct node {
	struct node *next;
};

static struct node *generation;

NOINLINE static struct node *benign_node(void)
{
	return (struct node *)cleared(sizeof(struct node) + sized(90));
}

static void free_generation(void)
{
	while (generation != NULL) {
		struct node *n = generation;

		generation = n->next;
		free(n);
	}
}

int main(void)
{
	benign_pool(19, 190000);
	for (int i = 0; i < requests(4300); i++) {
		struct node *n = benign_node();

		n->next = generation;
		generation = n;
		if (i % 700 == 699)
			free_generation();
		serve(i);
	}
	return leave();
}
