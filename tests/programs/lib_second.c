/* SPDX-License-Identifier: MIT */
/* The other of the two; made like the first, so that it fits where that was. */
#include <stdlib.h>

void *second_allocates(void);

void *second_allocates(void)
{
	void *p = malloc(2222);

	__asm__ volatile("" : "+r"(p));
	return p;
}
