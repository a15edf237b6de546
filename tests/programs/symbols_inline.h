/* SPDX-License-Identifier: MIT */
/* The inner half of symbols_inline.c: inlined functions of another file. */
#ifndef PH_TESTS_SYMBOLS_INLINE_H
#define PH_TESTS_SYMBOLS_INLINE_H

#define ALWAYS static inline __attribute__((always_inline))

/* Each level notes the line it calls from, so that the program itself says
 * what the truth is. */
extern volatile int lines[8];
int mark(int x);

ALWAYS int level1(int x)
{
	lines[1] = __LINE__, x += mark(x);
	return x + 1;
}

ALWAYS int level2(int x)
{
	lines[2] = __LINE__, x += level1(x);
	return x * 3;
}

ALWAYS int level3(int x)
{
	lines[3] = __LINE__, x += level2(x);
	return x ^ 5;
}

#endif
