/* SPDX-License-Identifier: MIT */
/* Every connection adds a callback and its closure, and nobody removes them: the list is
 * reachable, and only grows. The callbacks of start-up stay rightly. */
#include "work.h"

struct callback {
	struct callback *next;
	void (*run)(void *closure);
	void *closure;
};

static struct callback *callbacks;

static void tick(void *closure)
{
	++*(int *)closure;
}

static void add(struct callback *c, void *closure)
{
	c->run = tick;
	c->closure = closure;
	c->next = callbacks;
	callbacks = c;
}

NOINLINE static void leak_callback(void)
{
	void *closure = cleared(sized(56));

	add((struct callback *)cleared(sizeof(struct callback)), closure);
}

NOINLINE static void benign_callback(void)
{
	void *closure = cleared(sized(56));

	add((struct callback *)cleared(sizeof(struct callback)), closure);
}

int main(void)
{
	for (int i = 0; i < 300; i++)
		benign_callback();
	for (int i = 0; i < requests(3500); i++) {
		if (one_in(i, 35))
			leak_callback();
		if (i % 100 == 0)
			for (struct callback *c = callbacks; c != NULL; c = c->next)
				c->run(c->closure);
		serve(i);
	}
	return leave();
}
