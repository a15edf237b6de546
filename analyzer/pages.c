/* SPDX-License-Identifier: MIT */
#include "analyzer/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* A multiple of huge pages begins where one can. */
void *pages_new(size_t bytes)
{
	size_t more = bytes >= HUGE_PAGE ? HUGE_PAGE : 0, before;
	char *p;

	if (bytes > PTRDIFF_MAX - more)
		return NULL;
	p = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (more == 0)
		return p;
	before = -(uintptr_t)p % HUGE_PAGE;
	if (before != 0)
		munmap(p, before);
	if (more != before)
		munmap(p + before + bytes, more - before);
	madvise(p + before, bytes, MADV_HUGEPAGE);
	return p + before;
}

void pages_free(void *p, size_t bytes)
{
	if (p != NULL)
		munmap(p, bytes);
}

void pages_drop(void *p, size_t bytes)
{
	madvise(p, bytes, MADV_DONTNEED);
}
