/* SPDX-License-Identifier: MIT */
/* Forks while other threads allocate at ever new places, and allocates at new
 * places in the children: a child must not wait for what a thread that it does
 * not have held at the fork. */
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>

#include "truth.h"

#define PLACES 256

/* Each its own frame, address and place in the unwinder's tables. */
#define PLACE(n)                                                                                   \
	__attribute__((noinline)) static void place_##n(void)                                      \
	{                                                                                          \
		void *volatile p = malloc((n) + 1);                                                \
		free(p);                                                                           \
	}
#define PLACES_4(n)  PLACE(n##0) PLACE(n##1) PLACE(n##2) PLACE(n##3)
#define PLACES_16(n) PLACES_4(n##0) PLACES_4(n##1) PLACES_4(n##2) PLACES_4(n##3)
#define PLACES_64(n) PLACES_16(n##0) PLACES_16(n##1) PLACES_16(n##2) PLACES_16(n##3)
PLACES_64(10)
PLACES_64(11)
PLACES_64(12)
PLACES_64(13)
#undef PLACE
#define PLACE(n) place_##n,
static void (*const places[PLACES])(void) = {PLACES_64(10) PLACES_64(11) PLACES_64(12)
						     PLACES_64(13)};

static volatile int stop;

static void *allocate(void *argument)
{
	unsigned next = (unsigned)(uintptr_t)argument * 7919;

	while (!stop) {
		next = next * 1103515245 + 12345;
		places[next >> 8 & (PLACES - 1)]();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int forks = argc > 1 ? atoi(argv[1]) : 50, status, ended = 0;
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		expect(pthread_create(&threads[i], NULL, allocate, (void *)(i + 1)) == 0);
	for (int i = 0; i < forks; i++) {
		pid_t child = fork();

		if (child == 0) {
			for (int k = 0; k < 40; k++)
				places[(i * 40 + k * 37) & (PLACES - 1)]();
			_exit(0);
		}
		expect(waitpid(child, &status, 0) == child);
		ended += status == 0;
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	truth("children", (unsigned long long)ended);
	return wrongs != 0;
}
