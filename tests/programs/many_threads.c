/* SPDX-License-Identifier: MIT */
/* many_threads COUNT: so many threads at once, on stacks as small as libc allows,
 * each with allocations and calls of its own; twice. */
#include <limits.h>

#include "hostile.h"

enum { MOST = 20000 };

static pthread_barrier_t all_there;
static pthread_t threads[MOST];
static int ends[2];

static void *live(void *unused)
{
	char *p = keep(malloc(100)), byte;

	pthread_barrier_wait(&all_there);
	use_heap(100);
	if (write(ends[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 1)
		expect(false);
	pthread_barrier_wait(&all_there);
	free(p);
	return unused;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 100;
	pthread_attr_t small;

	if (count < 1 || count > MOST)
		return 2;
	pthread_attr_init(&small);
	expect(pthread_attr_setstacksize(&small, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0);
	expect(pipe(ends) == 0);
	for (int round = 0; round < 2; round++) {
		pthread_barrier_init(&all_there, NULL, (unsigned)count);
		for (int i = 0; i < count; i++) {
			int error = pthread_create(&threads[i], &small, live, NULL);

			if (error != 0) {
				say("thread %d: %s\n", i, strerror(error));
				_exit(4);
			}
		}
		for (int i = 0; i < count; i++)
			expect(pthread_join(threads[i], NULL) == 0);
		pthread_barrier_destroy(&all_there);
	}
	use_all();
	say("%d threads, twice\n", count);
	return wrongs != 0;
}
