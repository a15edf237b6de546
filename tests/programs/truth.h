/* SPDX-License-Identifier: MIT */
/*
 * How a target says what it did: `truth: NAME=VALUE` lines on standard output,
 * written by system calls that nobody sees, so that saying it changes
 * nothing. With a last argument "baseline" a program does all but its own
 * allocations: what is recorded then is libc's.
 */
#ifndef PH_TESTS_TRUTH_H
#define PH_TESTS_TRUTH_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool baseline;

__attribute__((unused)) static void truth_begin(int argc, char **argv)
{
	baseline = argc > 1 && strcmp(argv[argc - 1], "baseline") == 0;
}

/* Of the kernel itself, so that nobody sees it; as libc's functions return it, with errno
 * left alone. */
__attribute__((unused)) static long system_call_of_4(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long r = number;

	__asm__ volatile("syscall"
			 : "+a"(r)
			 : "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long r __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x8 __asm__("x8") = number;

	__asm__ volatile("svc 0" : "+r"(r) : "r"(x1), "r"(x2), "r"(x3), "r"(x8) : "memory");
#endif
	return r < 0 ? -1 : r;
}
#define system_call_of(number, a, b, c, d, ...)                                                    \
	system_call_of_4(number, (long)(a), (long)(b), (long)(c), (long)(d))
#define system_call(...) system_call_of(__VA_ARGS__, 0, 0, 0, 0, 0)

__attribute__((unused, format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	if (length > 0)
		system_call(SYS_write, 1, line, length);
}

__attribute__((unused)) static void truth(const char *name, unsigned long long value)
{
	say("truth: %s=%llu\n", name, value);
}

/* Something went otherwise than libc promises: said, and part of the status. */
__attribute__((unused)) static int wrongs;
#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			say("wrong: %s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
			wrongs++;                                                                  \
		}                                                                                  \
	} while (0)

/* The compiler may not think an allocation away. */
static inline void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

/* An allocation of the target's own: none in the baseline. */
static inline void *take(size_t size)
{
	return baseline ? NULL : keep(malloc(size));
}

/* What the heap was asked for. */
struct tally {
	unsigned long long allocations, frees, allocated_bytes, freed_bytes;
};

static inline void tally_alloc(struct tally *t, size_t size)
{
	t->allocations++;
	t->allocated_bytes += size;
}

static inline void tally_free(struct tally *t, size_t size)
{
	t->frees++;
	t->freed_bytes += size;
}

static inline void tally_add(struct tally *sum, const struct tally *t)
{
	sum->allocations += t->allocations;
	sum->frees += t->frees;
	sum->allocated_bytes += t->allocated_bytes;
	sum->freed_bytes += t->freed_bytes;
}

__attribute__((unused)) static void tally_say(const struct tally *t)
{
	truth("allocations", t->allocations);
	truth("frees", t->frees);
	truth("allocated_bytes", t->allocated_bytes);
	truth("live_bytes", t->allocated_bytes - t->freed_bytes);
	truth("live_blocks", t->allocations - t->frees);
}

/* How often each intercepted function was called, by its name in the table. */
static struct call_times {
	const char *name;
	unsigned long long times;
} all_called[128];

__attribute__((unused)) static void called(const char *name)
{
	struct call_times *c = all_called;

	while (c->name != NULL && strcmp(c->name, name) != 0)
		c++;
	c->name = name;
	c->times++;
}

__attribute__((unused)) static void called_say(void)
{
	for (struct call_times *c = all_called; c->name != NULL; c++)
		say("truth: calls.%s=%llu\n", c->name, c->times);
}

#endif
