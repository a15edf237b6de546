/* SPDX-License-Identifier: MIT */
/* A working set of 20 MB that grows for the first third of the run and then stays, beside a
 * leak of some KB. */
#include "work.h"

enum { PAGES = 1200 };

NOINLINE static void *leak_cursor(void)
{
	return cleared(sized(48));
}

NOINLINE static void *benign_page(void)
{
	return cleared(16384);
}

/* Read when first asked for; which ones are is scattered, but only the first are. */
static void touch(int i)
{
	static void *pages[PAGES];
	void **p = &pages[scatter((unsigned)i) % PAGES];

	if (*p == NULL && i < requests(1500))
		*p = benign_page();
}

int main(void)
{
	benign_pool(11, 1100);
	for (int i = 0; i < requests(5000); i++) {
		touch(i);
		if (one_in(i, 45))
			leak_cursor();
		serve(i);
	}
	return leave();
}
