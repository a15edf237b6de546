/* SPDX-License-Identifier: MIT */
/*
 * counter_shm FILE [THREADS [LOOPS]]: each thread allocates, writes and frees,
 * and after each call that returned adds one to a counter of its own in FILE,
 * shared memory that a SIGKILL leaves as it was. LOOPS 0 is the baseline.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "lane.h"
#include "tests/programs/counter_shm.h"
#include "truth.h"

static struct counters *counters;
static long loops = -1;
static pthread_barrier_t all_there;
static struct lane lanes[COUNTER_THREADS];

/* Only this thread writes it; whoever reads it does so when we are dead. */
static void count(volatile uint64_t *counter)
{
	*counter = *counter + 1;
	__asm__ volatile("" : : : "memory");
}

static void *work(void *argument)
{
	struct counter *mine = argument;
	int fd = open("/dev/null", O_WRONLY);

	pthread_barrier_wait(&all_there);
	for (long i = 0; i != loops; i++) {
		void *p = keep(malloc(COUNTER_SIZE));

		count(&mine->allocations);
		if (write(fd, p, 16) != 16)
			abort();
		count(&mine->writes);
		free(p);
		count(&mine->frees);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644) : -1;
	long threads = argc > 2 ? atol(argv[2]) : 1;

	if (argc > 3)
		loops = atol(argv[3]);
	if (fd < 0 || threads < 1 || threads > COUNTER_THREADS ||
	    ftruncate(fd, sizeof(*counters)) != 0)
		return 2;
	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_barrier_init(&all_there, NULL, (unsigned)threads);
	for (long i = 1; i < threads; i++)
		lane_start(&lanes[i], work, &counters->of[i]);
	work(&counters->of[0]);
	for (long i = 1; i < threads; i++)
		lane_join(&lanes[i]);
	return 0;
}
