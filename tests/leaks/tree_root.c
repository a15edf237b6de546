/* SPDX-License-Identifier: MIT */
/* A document's tree is freed at its root only. An index of the same shape is built anew
 * now and then, and the old one freed as a whole. */
#include "work.h"

struct node {
	struct node *left, *right;
	char text[40];
};

NOINLINE static struct node *leak_node(void)
{
	return (struct node *)cleared(sizeof(struct node) + sized(16));
}

NOINLINE static struct node *benign_node(void)
{
	return (struct node *)cleared(sizeof(struct node) + sized(16));
}

static struct node *build(struct node *(*make)(void), int depth)
{
	struct node *n = make();

	if (depth > 1) {
		n->left = build(make, depth - 1);
		n->right = build(make, depth - 1);
	}
	return n;
}

static void free_tree(struct node *n)
{
	if (n == NULL)
		return;
	free_tree(n->left);
	free_tree(n->right);
	free(n);
}

int main(void)
{
	static struct node *index;

	benign_pool(33, 33333);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 150))
			free(build(leak_node, 4));
		if (i % 300 == 0) {
			free_tree(index);
			index = build(benign_node, 7);
		}
		serve(i);
	}
	return leave();
}
