/* SPDX-License-Identifier: MIT */
/* Buffers that only thread-local variables point to, of the main thread and of workers
 * that still run at the end. One kind of request is lost in each. */
#include <pthread.h>
#include <unistd.h>

#include "work.h"

enum { WORKERS = 2 };

static __thread void *scratch;
static pthread_barrier_t served;

NOINLINE static void *benign_scratch(void)
{
	return cleared(60000);
}

NOINLINE static void *leak_trailer(void)
{
	return cleared(sized(64));
}

static void *work(void *unused)
{
	(void)unused;
	scratch = benign_scratch();
	for (int i = 0; i < requests(1500); i++) {
		memset(scratch, i, 100);
		if (one_in(i, 50))
			leak_trailer();
		temporaries(i);
		pause_after(i);
	}
	memset(scratch, 0, 100);
	scrub();
	pthread_barrier_wait(&served);
	for (;;)
		pause();
	return NULL;
}

int main(void)
{
	pthread_t worker;

	scratch = benign_scratch();
	benign_pool(50, 4000);
	pthread_barrier_init(&served, NULL, WORKERS + 1);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&worker, NULL, work, NULL);
	for (int i = 0; i < requests(3000); i++)
		serve(i);
	pthread_barrier_wait(&served);
	return leave();
}
