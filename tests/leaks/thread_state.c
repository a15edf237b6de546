/* SPDX-License-Identifier: MIT */
/* Threads that come and go: each makes a state for itself, known only to its own
 * pthread_getspecific, for which no destructor was given. Workers that stay have theirs. */
#include <pthread.h>
#include <stdatomic.h>

#include "work.h"

enum { WORKERS = 3 };

static pthread_key_t key;
static atomic_bool done;

NOINLINE static void *leak_state(void)
{
	return cleared(sized(700));
}

NOINLINE static void *benign_worker_state(void)
{
	return cleared(sized(700));
}

static void *visit(void *unused)
{
	(void)unused;
	pthread_setspecific(key, leak_state());
	for (int i = 0; i < 40; i++)
		temporaries(i);
	return NULL;
}

static void *stay(void *unused)
{
	void *state = benign_worker_state();

	(void)unused;
	pthread_setspecific(key, state);
	for (int i = 0; !atomic_load(&done); i++) {
		temporaries(i);
		pause_us(400);
	}
	pthread_setspecific(key, NULL);
	free(state);
	return NULL;
}

int main(void)
{
	pthread_t workers[WORKERS], visitor;

	pthread_key_create(&key, NULL);
	benign_pool(200, 9000);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, stay, NULL);
	for (int i = 0; i < requests(3000); i++) {
		if (one_in(i, 30)) {
			pthread_create(&visitor, NULL, visit, NULL);
			pthread_join(visitor, NULL);
		}
		serve(i);
	}
	atomic_store(&done, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	return leave();
}
