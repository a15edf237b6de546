/* SPDX-License-Identifier: MIT */
/* Two caches of the same kind, filled at the same rate: one has a bound. */
#include "work.h"

enum { BOUND = 300 };

struct item {
	struct item *next;
	int key;
};

static struct item *unbounded, *oldest, *newest;
static int cached;

NOINLINE static struct item *leak_item(void)
{
	return (struct item *)cleared(sizeof(struct item) + sized(100));
}

NOINLINE static struct item *benign_item(void)
{
	return (struct item *)cleared(sizeof(struct item) + sized(100));
}

static void cache_for_ever(int i)
{
	struct item *item = leak_item();

	item->key = i;
	item->next = unbounded;
	unbounded = item;
}

static void evict(void)
{
	struct item *item = oldest;

	oldest = item->next;
	free(item);
	cached--;
}

static void cache(int i)
{
	struct item *item = benign_item();

	item->key = i;
	if (newest != NULL && cached > 0)
		newest->next = item;
	else
		oldest = item;
	newest = item;
	if (++cached > BOUND)
		evict();
}

int main(void)
{
	benign_pool(20, 100000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 3)) {
			cache_for_ever(i);
			cache(i);
		}
		serve(i);
	}
	return leave();
}
