/* SPDX-License-Identifier: MIT */
/* Pools of 100 MB made at start-up, and a leak of some KB. */
#include "work.h"

NOINLINE static void *leak_header(void)
{
	return cleared(sized(24));
}

NOINLINE static void benign_large_pool(void)
{
	static void *pages[64];

	keep(pages);
	for (int i = 0; i < 64; i++)
		pages[i] = keep(malloc(1 << 20));
}

NOINLINE static void benign_huge_pool(void)
{
	static void *huge;

	huge = keep(malloc(30 << 20));
	keep(&huge);
}

int main(void)
{
	benign_huge_pool();
	benign_large_pool();
	benign_pool(3000, 2000);
	for (int i = 0; i < requests(5000); i++) {
		if (one_in(i, 20))
			leak_header();
		serve(i);
	}
	return leave();
}
