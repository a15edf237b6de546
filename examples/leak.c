/* SPDX-License-Identifier: MIT */
/*
 * A cache that forgets entries in a rare path.
 *
 * Each look-up puts an entry into a small table; an entry that is replaced is
 * freed. But when the new entry turns out to be a duplicate of a pinned one,
 * cache_put() returns early, and the new entry is lost: one look-up in 250.
 *
 *     make programs
 *     LD_PRELOAD=build/libperfhook.so PERFHOOK_OUT=leak.trace build/examples/leak
 *     build/perfhook leaks leak.trace
 *
 * The first leak of the report should be entry_new(), called by lookup(), with
 * the blocks and bytes that the program prints as its truth. What the table
 * still holds at the end is live too, but no leak of growing size: it is freed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64, LOOKUPS = 50000, PINNED_EVERY = 250 };

struct entry {
	unsigned key;
	char answer[120];
};

static struct entry *cache[SLOTS];
static unsigned long forgotten;

static struct entry *entry_new(unsigned key)
{
	struct entry *e = malloc(sizeof(*e));

	if (e == NULL)
		exit(1);
	e->key = key;
	snprintf(e->answer, sizeof(e->answer), "the answer to %u", key);
	return e;
}

static void cache_put(struct entry *e)
{
	struct entry **slot = &cache[e->key % SLOTS];

	if (e->key % PINNED_EVERY == 0) {
		/* The mistake: nobody keeps e, and nobody frees it. */
		forgotten++;
		return;
	}
	free(*slot);
	*slot = e;
}

static size_t lookup(unsigned key)
{
	struct entry *e = entry_new(key);
	size_t length = strlen(e->answer);

	cache_put(e);
	return length;
}

int main(void)
{
	size_t total = 0;

	for (unsigned key = 1; key <= LOOKUPS; key++)
		total += lookup(key);
	for (int i = 0; i < SLOTS; i++)
		free(cache[i]);
	printf("%d look-ups, %zu bytes of answers\n", LOOKUPS, total);
	printf("truth: leaked_blocks=%lu\n", forgotten);
	printf("truth: leaked_bytes=%zu\n", forgotten * sizeof(struct entry));
	return 0;
}
