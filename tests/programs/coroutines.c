/* SPDX-License-Identifier: MIT */
/*
 * Coroutines by swapcontext, on small stacks from the heap, in several threads
 * that pass each other suspended ones.
 */
#include <ucontext.h>

#include "hostile.h"

enum { COROUTINES = 50, SWITCHES = 200, STACK = 16 << 10, THREADS = 3 };

struct coroutine {
	ucontext_t here, caller;
	void *stack;
	int steps;
};

static struct coroutine all[COROUTINES];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void body(int number)
{
	struct coroutine *c = &all[number];

	for (int i = 0; i < SWITCHES; i++) {
		char *p = keep(malloc((size_t)number * 10 + (size_t)i + 1));

		c->steps++;
		swapcontext(&c->here, &c->caller);
		/* Perhaps in another thread. */
		free(p);
		if (i % 50 == 0)
			use_file("file");
	}
	swapcontext(&c->here, &c->caller);
	say("a finished coroutine was resumed\n");
	_exit(3);
}

static void *resume_all(void *unused)
{
	for (int round = 0; round < SWITCHES; round++) {
		for (int i = 0; i < COROUTINES; i++) {
			pthread_mutex_lock(&turn);
			if (all[i].steps < SWITCHES)
				swapcontext(&all[i].caller, &all[i].here);
			pthread_mutex_unlock(&turn);
		}
	}
	return unused;
}

static int finish(void)
{
	int steps = 0;

	for (int i = 0; i < COROUTINES; i++) {
		steps += all[i].steps;
		/* Freed while a context stands on it. */
		free(all[i].stack);
	}
	return steps;
}

static void prepare(struct coroutine *c, int number)
{
	c->stack = malloc(STACK);
	expect(c->stack != NULL && getcontext(&c->here) == 0);
	c->here.uc_stack.ss_sp = c->stack;
	c->here.uc_stack.ss_size = STACK;
	makecontext(&c->here, (void (*)(void))body, 1, number);
}

int main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < COROUTINES; i++)
		prepare(&all[i], i);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, resume_all, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], NULL) == 0);
	say("%d steps\n", finish());
	use_all();
	return wrongs != 0;
}
