/* SPDX-License-Identifier: MIT */
/* Mapped memory: mmap, munmap, mremap, brk, sbrk, and their failures. */
#include <errno.h>
#include <sys/mman.h>

#include "truth.h"

#define LENGTH (1u << 20)

int main(int argc, char **argv)
{
	const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *a, *b, *end;

	truth_begin(argc, argv);
	if (baseline)
		return 0;
	a = mmap(NULL, LENGTH, protection, flags, -1, 0);
	called("mmap");
	b = mmap64(NULL, 4096, protection, flags, -1, 0);
	called("mmap");
	expect(a != MAP_FAILED && b != MAP_FAILED);
	a[0] = a[LENGTH - 1] = b[0] = 1;
	errno = 0;
	expect(mmap(NULL, 0, protection, flags, -1, 0) == MAP_FAILED && errno == EINVAL);
	called("mmap");
	a = mremap(a, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE);
	called("mremap");
	expect(a != MAP_FAILED && a[0] == 1 && a[LENGTH - 1] == 1);
	/* The fifth argument. */
	expect(mremap(b, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, a + LENGTH) == a + LENGTH);
	called("mremap");
	expect(a[LENGTH] == 1);
	expect(munmap(a, 2 * LENGTH) == 0);
	called("munmap");
	errno = 0;
	expect(munmap((void *)1, 4096) == -1 && errno == EINVAL);
	called("munmap");

	end = sbrk(0);
	called("sbrk");
	expect(sbrk(65536) == end);
	called("sbrk");
	end[0] = end[65535] = 1;
	expect(brk(end) == 0);
	called("brk");
	expect(sbrk(0) == end);
	called("sbrk");

	truth("mapped_bytes", LENGTH + 4096);
	called_say();
	return wrongs != 0;
}
