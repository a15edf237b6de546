/* SPDX-License-Identifier: MIT */
/* An intrusive list of timers: one that is cancelled is unlinked, and not freed. */
#include <stddef.h>

#include "work.h"

struct link {
	struct link *previous, *next;
};

struct timer {
	int due;
	struct link link; /* what the list points to */
};

static struct link timers = {&timers, &timers};

NOINLINE static struct timer *leak_timer(void)
{
	return (struct timer *)cleared(sizeof(struct timer) + sized(40));
}

static struct timer *timer_of(struct link *l)
{
	return (struct timer *)((char *)l - offsetof(struct timer, link));
}

static void start(struct timer *t, int due)
{
	t->due = due;
	t->link = (struct link){timers.previous, &timers};
	timers.previous->next = &t->link;
	timers.previous = &t->link;
}

static void unlink_timer(struct timer *t)
{
	t->link.previous->next = t->link.next;
	t->link.next->previous = t->link.previous;
	t->link = (struct link){NULL, NULL};
}

static void fire(int now)
{
	while (timers.next != &timers && timer_of(timers.next)->due <= now) {
		struct timer *t = timer_of(timers.next);

		unlink_timer(t);
		free(t);
	}
}

int main(void)
{
	benign_pool(44, 4444);
	for (int i = 0; i < requests(4500); i++) {
		struct timer *t = leak_timer();

		start(t, i + 50);
		if (one_in(i, 33))
			unlink_timer(t);
		fire(i);
		serve(i);
	}
	fire(INT32_MAX);
	return leave();
}
