/* SPDX-License-Identifier: MIT */
/*
 * Says where it is: for each of several calls, the address of the call, the
 * load address, and the functions, files and lines it must be shown as,
 * innermost first. For the tests of the symbolizer.
 */
#include "symbols_inline.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

volatile int lines[8];
static uintptr_t marked;

int symbols_run(int x);

NOINLINE int mark(int x)
{
	marked = (uintptr_t)__builtin_return_address(0) - 1;
	return x + lines[0];
}

NOINLINE __attribute__((cold)) static int mark_cold(int x)
{
	marked = (uintptr_t)__builtin_return_address(0) - 1;
	return x - lines[0];
}

static int note_base(struct dl_phdr_info *info, size_t size, void *base)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t at =
			(uintptr_t)symbols_run - info->dlpi_addr - info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && at < info->dlpi_phdr[i].p_memsz) {
			*(uintptr_t *)base = info->dlpi_addr;
			return 1;
		}
	}
	return 0;
}

static void say(const char *what, int frames)
{
	uintptr_t base = 0;

	dl_iterate_phdr(note_base, &base);
	printf("%s %zx %zx %d\n", what, (size_t)marked, (size_t)base, frames);
}

ALWAYS int level4(int x)
{
	lines[4] = __LINE__, x += level3(x);
	return x + 7;
}

ALWAYS int level5(int x)
{
	lines[5] = __LINE__, x += level4(x);
	return x * 9;
}

ALWAYS int level6(int x)
{
	lines[6] = __LINE__, x += level5(x);
	return x - 11;
}

NOINLINE static int nested(int x)
{
	lines[7] = __LINE__, x += level6(x);
	return x + 13;
}

NOINLINE static int plain(int x)
{
	lines[1] = __LINE__, x += mark(x);
	return x + 17;
}

/* Its unlikely part is put far away, among other functions' ones. */
int two_parts(int x);
NOINLINE int two_parts(int x)
{
	if (x == 12345) {
		lines[1] = __LINE__, x += mark_cold(x);
		x *= lines[2];
	}
	return x + 19;
}

NOINLINE int symbols_run(int x)
{
	int sum = nested(x);

	say("nested", 7);
	for (int i = 1; i <= 3; i++)
		printf("level%d symbols_inline.h %d\n", i, lines[i]);
	for (int i = 4; i <= 6; i++)
		printf("level%d symbols_inline.c %d\n", i, lines[i]);
	printf("nested symbols_inline.c %d\n", lines[7]);

	sum += plain(x);
	say("plain", 1);
	printf("plain symbols_inline.c %d\n", lines[1]);

	sum += two_parts(x + 12344);
	say("two_parts", 1);
	printf("two_parts symbols_inline.c %d\n", lines[1]);
	return sum == 4711;
}

#ifndef SYMBOLS_LIBRARY
int main(int argc, char **argv)
{
	(void)argv;
	return symbols_run(argc);
}
#endif
