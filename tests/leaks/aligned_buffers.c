/* SPDX-License-Identifier: MIT */
/* posix_memalign() for direct I/O: a retry takes another buffer and forgets the first. */
#include "work.h"

NOINLINE static void *leak_aligned_buffer(void)
{
	void *p = NULL;

	if (posix_memalign(&p, 512, 1024 + sized(512)) != 0)
		exit(1);
	return keep(p);
}

NOINLINE static void *benign_aligned_buffer(void)
{
	return keep(aligned_alloc(4096, 65536));
}

static void transfer(int i)
{
	void *buffer = leak_aligned_buffer();

	if (one_in(i, 80))
		buffer = leak_aligned_buffer();
	memset(buffer, 0, 1024);
	free(buffer);
}

int main(void)
{
	static void *ring[32];

	for (int i = 0; i < 32; i++)
		ring[i] = benign_aligned_buffer();
	for (int i = 0; i < requests(4500); i++) {
		transfer(i);
		memset(ring[i % 32], 0, 100);
		serve(i);
	}
	return leave();
}
