/* SPDX-License-Identifier: MIT */
/*
 * What the leak cases share. A case is a small server or batch job: it starts up, works
 * through some thousands of requests with ordinary temporary allocations, and exits.
 * What a function leak_... allocates is lost, or kept and never used again; what a
 * function benign_... allocates is held for good reason. Counts never depend on time, so
 * that two runs can be compared block for block. Held blocks are cleared, so that no
 * pointer of an earlier block stands in them by chance.
 *
 * LEAKS_WORK: percent of the requests to serve, without pauses if not 100.
 * LEAKS_VARIANT: 1, 2: the same case with other rates and sizes; 3: all at once, without
 * pauses.
 */
#ifndef PH_TESTS_LEAKS_WORK_H
#define PH_TESTS_LEAKS_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))
#define UNUSED	 __attribute__((unused))

static long setting(const char *name, long otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? strtol(s, NULL, 10) : otherwise;
}

static int variant(void)
{
	long v = setting("LEAKS_VARIANT", 0);

	return v >= 0 && v <= 3 ? (int)v : 0;
}

/* How many requests, of n in a full run. */
UNUSED static int requests(int n)
{
	return (int)(n * setting("LEAKS_WORK", 100) / 100);
}

/* Is request i one of those that come once in n? */
UNUSED static bool one_in(int i, int n)
{
	static const int tenths[] = {10, 17, 7, 10};
	int every = (n * tenths[variant()] + 9) / 10;

	return i % every == every - 1;
}

UNUSED static size_t sized(size_t n)
{
	return variant() == 1 ? 3 * n + 24 : variant() == 2 ? n / 2 + 17 : n;
}

/* The same scattered number for the same i. */
UNUSED static unsigned scatter(unsigned i)
{
	i = (i ^ 61) ^ (i >> 16);
	i *= 9;
	i ^= i >> 4;
	i *= 0x27d4eb2d;
	return i ^ (i >> 15);
}

UNUSED static void pause_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	if (setting("LEAKS_WORK", 100) == 100 && variant() != 3)
		nanosleep(&t, NULL);
}

/* Time goes by between requests: some 0.1 ms each. */
UNUSED static void pause_after(int i)
{
	static const int every[] = {20, 13, 30, 20};

	if (i % every[variant()] == 0)
		pause_us(2000);
}

/* The compiler may neither drop an allocation nor know what it returned. */
static inline void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline void *cleared(size_t size)
{
	return keep(calloc(1, size));
}

/* What any request does: makes, grows and frees. */
UNUSED NOINLINE static unsigned temporaries(int i)
{
	char *line = (char *)keep(malloc(40 + scatter((unsigned)i) % 200));
	char *body, *name;
	unsigned sum;

	snprintf(line, 40, "GET /item/%d HTTP/1.1", i);
	name = strdup(line + 4);
	body = (char *)cleared(256);
	body = (char *)keep(realloc(body, 512 + scatter((unsigned)i + 7) % 2000));
	snprintf(body, 100, "%s is %u", name, scatter((unsigned)i));
	sum = (unsigned)body[0] + (unsigned)line[5];
	free(line);
	free(name);
	free(body);
	return sum;
}

/* ---- ordinary furniture ---------------------------------------------------- */

static UNUSED void *pools;

/* Made at start-up, in use for ever: each pool is a table of blocks. */
UNUSED NOINLINE static void benign_pool(size_t blocks, size_t bytes)
{
	void **table = (void **)cleared((blocks + 1) * sizeof(*table));

	for (size_t k = 0; k < blocks; k++)
		table[k + 1] = cleared(bytes);
	table[0] = pools;
	pools = table;
	keep(&pools);
}

UNUSED NOINLINE static void *benign_result(void)
{
	return cleared(sized(180));
}

/* The last 128 results, each in the place of an older one. */
UNUSED static void keep_result(int i)
{
	static void *recent[128];

	free(recent[i % 128]);
	recent[i % 128] = benign_result();
}

UNUSED NOINLINE static void *benign_session(void)
{
	return cleared(sized(320));
}

/* 96 sessions; any may end and be followed by another, so that some grow old. */
UNUSED static void change_session(int i)
{
	static void *open[96];
	void **s = &open[scatter((unsigned)i) % 96];

	free(*s);
	*s = benign_session();
}

UNUSED NOINLINE static char *benign_name(unsigned n)
{
	char *s = (char *)cleared(sized(32));

	snprintf(s, 16, "name-%u", n);
	return s;
}

/* Each name once, for ever; all are known before long. */
UNUSED static const char *interned(int i)
{
	static char *names[200];
	unsigned n = scatter((unsigned)i) % 200;

	if (names[n] == NULL)
		names[n] = benign_name(n);
	return names[n];
}

UNUSED NOINLINE static void *benign_doubled(void *table, size_t bytes)
{
	return keep(realloc(table, bytes));
}

/* A table of all that was served, doubled now and then. */
UNUSED static void count_served(int i)
{
	static int *table;
	static size_t room, used;

	if (used == room) {
		room = room > 0 ? 2 * room : 16;
		table = (int *)benign_doubled(table, room * sizeof(*table));
	}
	table[used++] = i;
}

/* An ordinary request of a case that has nothing better to do. */
UNUSED static void serve(int i)
{
	temporaries(i);
	keep_result(i);
	change_session(i);
	interned(i);
	count_served(i);
	pause_after(i);
}

/* Nothing of what was called stays on the stack by chance. */
UNUSED NOINLINE static void scrub(void)
{
	char stack[64 * 1024];

	memset(stack, 0, sizeof(stack));
	keep(stack);
}

/* The end of main. Its frame stays: where exit() is called on what it leaves, old words
 * of it show in the gaps. */
UNUSED static int leave(void)
{
	scrub();
	exit(0);
}

#endif
