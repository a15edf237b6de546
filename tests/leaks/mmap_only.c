/* SPDX-License-Identifier: MIT */
/* An index in a mapped region is all that knows some blocks. One such region is unmapped
 * again and again with what it pointed to. */
#include <sys/mman.h>

#include "work.h"

enum { SLOTS = 500 };

static void **map_index(void)
{
	void *p = mmap(NULL, SLOTS * sizeof(void *), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return (void **)p;
}

NOINLINE static void *benign_record(void)
{
	return cleared(sized(400));
}

NOINLINE static void *leak_record(void)
{
	return cleared(sized(400));
}

static void build_and_drop(void)
{
	void **index = map_index();

	for (int k = 0; k < 3; k++)
		index[k] = leak_record();
	munmap(index, SLOTS * sizeof(void *));
}

int main(void)
{
	void **index = map_index();

	for (int i = 0; i < SLOTS; i++)
		index[i] = benign_record();
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 100))
			build_and_drop();
		free(index[i % 7]);
		index[i % 7] = benign_record();
		serve(i);
	}
	return leave();
}
