/* SPDX-License-Identifier: MIT */
/* Threads that are neither joined nor detached: their stacks stay mapped, and so does
 * what the loader allocated for their thread-local storage. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "work.h"

static pthread_attr_t small, large;
static atomic_int helping;

static void *help(void *argument)
{
	temporaries(*(int *)argument);
	free(argument);
	atomic_fetch_sub(&helping, 1);
	return NULL;
}

NOINLINE static void leak_thread(int i)
{
	int *argument = (int *)keep(malloc(sizeof(*argument)));
	pthread_t thread;

	*argument = i;
	atomic_fetch_add(&helping, 1);
	if (pthread_create(&thread, &large, help, argument) != 0)
		exit(1);
}

NOINLINE static void benign_thread(int i)
{
	int *argument = (int *)keep(malloc(sizeof(*argument)));
	pthread_t thread;

	*argument = i;
	atomic_fetch_add(&helping, 1);
	if (pthread_create(&thread, &small, help, argument) != 0)
		exit(1);
	pthread_join(thread, NULL);
}

int main(void)
{
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * 1024);
	/* Too large for these to begin on a stack that a joined one has left. */
	pthread_attr_init(&large);
	pthread_attr_setstacksize(&large, 512 * 1024);
	benign_pool(64, 64000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 80))
			leak_thread(i);
		if (i % 200 == 199)
			benign_thread(i);
		serve(i);
	}
	while (atomic_load(&helping) > 0)
		sched_yield();
	return leave();
}
