/* SPDX-License-Identifier: MIT */
/*
 * So many distinct stacks (argument; 100,000): each number's base-4 digits are the path
 * by which it is reached, through four functions. Each allocates once, and one in 16 keeps
 * its block. Sizes are skewed as they are in life.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline))
#define LEAST	 8 /* digits */

static void *kept;

static void go(uint32_t digits, uint32_t number, unsigned left);

#define STEP(name)                                                                                 \
	static NOINLINE void name(uint32_t digits, uint32_t number, unsigned left)                 \
	{                                                                                          \
		go(digits, number, left);                                                          \
		__asm__ volatile("");                                                              \
	}

STEP(parse)
STEP(resolve)
STEP(compile)
STEP(emit)

static NOINLINE void leaf(uint32_t number)
{
	uint32_t hash = number * 2654435761u;
	size_t size = 16 + (hash >> 28) * 8;
	void **block;

	for (uint32_t bits = hash; bits & 1 && size < 65536; bits >>= 1)
		size *= 3;
	block = malloc(size);
	if (block == NULL)
		exit(1);
	if (hash >> 20 & 15) {
		free(block);
		return;
	}
	*block = kept;
	kept = block;
}

static inline __attribute__((always_inline)) void go(uint32_t digits, uint32_t number,
						     unsigned left)
{
	if (left == 0) {
		leaf(number);
		return;
	}
	switch (digits & 3) {
	case 0:
		parse(digits >> 2, number, left - 1);
		break;
	case 1:
		resolve(digits >> 2, number, left - 1);
		break;
	case 2:
		compile(digits >> 2, number, left - 1);
		break;
	case 3:
		emit(digits >> 2, number, left - 1);
		break;
	}
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
	unsigned digits = LEAST;

	while (digits < 16 && count >> 2 * digits)
		digits++;
	for (uint32_t i = 0; i < count; i++)
		go(i, i, digits);
	printf("%u\n", count);
	return 0;
}
