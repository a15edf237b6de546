/* SPDX-License-Identifier: MIT */
/* Open addressing: a removed key becomes a tombstone, and its value is forgotten. Values
 * that are replaced are freed. The table is made anew, twice as large, now and then. */
#include "work.h"

struct slot {
	enum { EMPTY, USED, TOMBSTONE } state;
	int key;
	void *value;
};

static struct slot *slots;
static size_t room, filled;

NOINLINE static void *leak_value(void)
{
	return cleared(sized(96));
}

NOINLINE static struct slot *benign_slots(size_t n)
{
	return (struct slot *)cleared(n * sizeof(struct slot));
}

static struct slot *look_up(int key)
{
	size_t at = scatter((unsigned)key) % room;

	while (slots[at].state != EMPTY && slots[at].key != key)
		at = (at + 1) % room;
	return &slots[at];
}

static void rehash(void)
{
	struct slot *old = slots;
	size_t n = room;

	room = room > 0 ? 2 * room : 64;
	slots = benign_slots(room);
	for (size_t i = 0; i < n; i++)
		if (old[i].state != EMPTY)
			*look_up(old[i].key) = old[i];
	free(old);
}

static void put(int key)
{
	struct slot *s;

	if (2 * filled >= room)
		rehash();
	s = look_up(key);
	filled += s->state == EMPTY;
	free(s->value);
	*s = (struct slot){USED, key, leak_value()};
}

static void drop(int key)
{
	struct slot *s = look_up(key);

	s->state = TOMBSTONE;
	s->value = NULL; /* the leak */
}

int main(void)
{
	benign_pool(25, 40000);
	for (int i = 0; i < requests(4000); i++) {
		put((int)(scatter((unsigned)i) % 700));
		if (one_in(i, 20))
			drop((int)(scatter((unsigned)i) % 700));
		serve(i);
	}
	return leave();
}
