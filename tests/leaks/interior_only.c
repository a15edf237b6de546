/* SPDX-License-Identifier: MIT */
/* Blocks with a header of their own before what is handed out: only pointers to their
 * middle exist. Most are in use; those of one kind of request are lost. */
#include "work.h"

struct header {
	size_t size;
	long magic;
	char padding[48];
};

NOINLINE static void *benign_aligned(size_t size)
{
	struct header *h = (struct header *)cleared(sizeof(*h) + size);

	h->size = size;
	return h + 1;
}

NOINLINE static void *leak_aligned(size_t size)
{
	struct header *h = (struct header *)cleared(sizeof(*h) + size);

	h->size = size;
	return h + 1;
}

static void release(void *p)
{
	free((struct header *)p - 1);
}

static void *frames[400], *last[50];

int main(void)
{
	keep(frames);
	for (int i = 0; i < 400; i++)
		frames[i] = benign_aligned(5000);
	for (int i = 0; i < requests(4000); i++) {
		void *p = leak_aligned(sized(60));

		keep(p);
		if (!one_in(i, 45))
			release(p);
		if (last[i % 50] != NULL)
			release(last[i % 50]);
		last[i % 50] = benign_aligned(300);
		serve(i);
	}
	return leave();
}
