/* SPDX-License-Identifier: MIT */
/*
 * loop FRAMES VARY THREADS PAIRS: malloc and free in a loop, below stacks of FRAMES
 * frames, from _start on. With VARY 1 the innermost three return to other places
 * each time (which takes eight frames at least, and is for one thread). PAIRS are
 * shared among the threads. A block of each thread is left, so that the report
 * has its stack.
 */
#include <pthread.h>

#include "bench/programs/said.h"

enum { BYTES = 64, KEPT_BYTES = 100000, MAX_THREADS = 256, STACK_BYTES = 1 << 18 };
/* main or a thread's first function, work(), and libc's three below main. */
enum { OUTER_FRAMES = 5, CHANGING_FRAMES = 3 };

static unsigned vary, threads, repeats;
static unsigned long pairs;
static size_t bytes = KEPT_BYTES;
static void *volatile kept[MAX_THREADS];

/* One call, neither merged with the others in its function nor turned into a jump. */
#define SITE(call, number)                                                                         \
	call;                                                                                      \
	__asm__ volatile("" : : "i"(number) : "memory");                                           \
	break

static inline void pair(void)
{
	void *volatile p = malloc(bytes);

	if (bytes == KEPT_BYTES)
		kept[0] = p;
	else
		free(p);
}

__attribute__((noinline)) static void seven_sites(unsigned long i)
{
	switch (i % 7) {
	case 0:
		SITE(pair(), 10);
	case 1:
		SITE(pair(), 11);
	case 2:
		SITE(pair(), 12);
	case 3:
		SITE(pair(), 13);
	case 4:
		SITE(pair(), 14);
	case 5:
		SITE(pair(), 15);
	default:
		SITE(pair(), 16);
	}
}

__attribute__((noinline)) static void five_sites(unsigned long i)
{
	switch (i % 5) {
	case 0:
		SITE(seven_sites(i), 20);
	case 1:
		SITE(seven_sites(i), 21);
	case 2:
		SITE(seven_sites(i), 22);
	case 3:
		SITE(seven_sites(i), 23);
	default:
		SITE(seven_sites(i), 24);
	}
}

__attribute__((noinline)) static void three_sites(unsigned long i)
{
	switch (i % 3) {
	case 0:
		SITE(five_sites(i), 30);
	case 1:
		SITE(five_sites(i), 31);
	default:
		SITE(five_sites(i), 32);
	}
}

__attribute__((noinline)) static void work(unsigned thread)
{
	unsigned long n = pairs / threads;

	if (vary) {
		three_sites(0);
		bytes = BYTES;
		for (unsigned long i = 0; i < n; i++)
			three_sites(i);
	} else {
		kept[thread] = malloc(KEPT_BYTES);
		for (unsigned long i = 0; i < n; i++) {
			void *volatile p = malloc(BYTES);

			free(p);
		}
	}
}

__attribute__((noinline)) static void deeper(unsigned thread, unsigned left)
{
	if (left == 1)
		work(thread);
	else
		deeper(thread, left - 1);
	__asm__ volatile("" : : "r"(left) : "memory");
}

static inline void begin(unsigned thread)
{
	if (repeats == 0)
		work(thread);
	else
		deeper(thread, repeats);
	__asm__ volatile("" : : "r"(thread) : "memory");
}

static void *body(void *thread)
{
	begin((unsigned)(size_t)thread);
	return NULL;
}

static void run_threads(void)
{
	pthread_t thread[MAX_THREADS];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], &attr, body, (void *)(size_t)i) != 0)
			exit(1);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	unsigned frames, least;
	unsigned long done;
	double start;

	if (argc != 5)
		return 2;
	frames = (unsigned)strtoul(argv[1], NULL, 10);
	vary = (unsigned)strtoul(argv[2], NULL, 10);
	threads = (unsigned)strtoul(argv[3], NULL, 10);
	pairs = strtoul(argv[4], NULL, 10);
	if (threads == 0 || threads > (vary ? 1 : MAX_THREADS))
		return 2;
	least = OUTER_FRAMES + (vary ? CHANGING_FRAMES : 0);
	repeats = frames > least ? frames - least : 0;
	done = pairs / threads * threads;
	start = cpu_ns();
	if (threads == 1)
		begin(0);
	else
		run_threads();
	/* Below a thread's first function libc has two frames, not three. */
	say(cpu_ns() - start, 2 * done, done + threads, done, least + repeats - (threads > 1),
	    threads > 1 ? threads : 0);
	return 0;
}
