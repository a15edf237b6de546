/* SPDX-License-Identifier: MIT */
/* A hash table of tokens from which nothing is ever removed: all is reachable. Beside it
 * one of the same kind whose entries expire. */
#include "work.h"

enum { BUCKETS = 512, TURNS = 40 };

struct entry {
	struct entry *next;
	unsigned key;
	int at;
};

static struct entry *tokens[BUCKETS], *expiring[BUCKETS];

NOINLINE static struct entry *leak_token(void)
{
	return (struct entry *)cleared(sized(72) + sizeof(struct entry));
}

NOINLINE static struct entry *benign_expiring(void)
{
	return (struct entry *)cleared(sized(72) + sizeof(struct entry));
}

static void insert(struct entry **table, struct entry *e, unsigned key, int at)
{
	e->key = key;
	e->at = at;
	e->next = table[key % BUCKETS];
	table[key % BUCKETS] = e;
}

/* Every bucket is looked at once in a while. */
static void expire(int i)
{
	struct entry **link = &expiring[i % BUCKETS];

	while (*link != NULL) {
		struct entry *e = *link;

		if (i - e->at > TURNS) {
			*link = e->next;
			free(e);
		} else {
			link = &e->next;
		}
	}
}

int main(void)
{
	benign_pool(500, 1500);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 7))
			insert(tokens, leak_token(), scatter((unsigned)i), i);
		if (i % 3 == 0)
			insert(expiring, benign_expiring(), scatter((unsigned)i), i);
		expire(i);
		serve(i);
	}
	return leave();
}
