/* SPDX-License-Identifier: MIT */
/*
 * libc loads and unloads modules of its own accord (character sets) while other
 * threads allocate: no dlopen of the program's says so. Modules come to addresses
 * where others were.
 */
#include <iconv.h>
#include <pthread.h>
#include <stdint.h>

#include "truth.h"

#define THREADS 4
#define ROUNDS	150

static const char *const sets[] = {"EUC-JP",  "BIG5",	 "KOI8-R",     "EUC-KR", "SHIFT_JIS",
				   "GB18030", "IBM1047", "ISO-8859-7", "CP1251", "UTF-7"};
#define SETS (sizeof(sets) / sizeof(sets[0]))

__attribute__((noinline)) static void between(void)
{
	take(64);
	__asm__ volatile("");
}

static void convert(const char *set)
{
	char in[] = "plain text", out[64], *from = in, *to = out;
	size_t left = sizeof(in) - 1, room = sizeof(out);
	iconv_t cd = iconv_open(set, "UTF-8");

	expect(cd != (iconv_t)-1);
	if (cd == (iconv_t)-1)
		return;
	expect(iconv(cd, &from, &left, &to, &room) != (size_t)-1 && left == 0);
	expect(iconv_close(cd) == 0);
}

static void *storm(void *argument)
{
	unsigned at = (unsigned)(uintptr_t)argument;

	for (int i = 0; i < ROUNDS; i++) {
		convert(sets[(at * 3 + (unsigned)i) % SETS]);
		between();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	truth_begin(argc, argv);
	for (uintptr_t i = 0; i < THREADS; i++)
		expect(pthread_create(&threads[i], NULL, storm, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		expect(pthread_join(threads[i], NULL) == 0);
	truth("between.blocks", THREADS * ROUNDS);
	truth("between.bytes", THREADS * ROUNDS * 64);
	return wrongs != 0;
}
