/* SPDX-License-Identifier: MIT */
/* One of two libraries that dlopen_reuse loads, usually at the same address. */
#include <stdlib.h>

void *first_allocates(void);

void *first_allocates(void)
{
	void *p = malloc(1111);

	__asm__ volatile("" : "+r"(p));
	return p;
}
