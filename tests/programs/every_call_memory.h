/* SPDX-License-Identifier: MIT */
/* Trials of the heap and of mapped memory. A failed allocation has no event. */
#ifndef PH_TESTS_EVERY_CALL_MEMORY_H
#define PH_TESTS_EVERY_CALL_MEMORY_H

#include "every_call.h"

static void *allocates(struct trial *t, long r, size_t size)
{
	CHECK_TRIAL(t, r != 0 && errno == SENTINEL);
	event_of_block(t, (void *)r, size);
	return keep((void *)r);
}

static void gives_nothing(struct trial *t, long r)
{
	CHECK_TRIAL(t, r == 0 && errno == ENOMEM);
}

#define TRY_ALLOCATION(id, bytes, arguments, impossible)                                           \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		free(allocates(t, CALL arguments, bytes));                                         \
		free(allocates(t, CALL arguments, bytes));                                         \
		gives_nothing(t, CALL impossible);                                                 \
	}
TRY_ALLOCATION(malloc, 101, (t, 101), (t, HUGE))
TRY_ALLOCATION(calloc, 217, (t, 7, 31), (t, HUGE, 16))
TRY_ALLOCATION(aligned_alloc, 256, (t, 128, 256), (t, 128, HUGE))
TRY_ALLOCATION(memalign, 70, (t, 512, 70), (t, 512, HUGE))
TRY_ALLOCATION(valloc, 3001, (t, 3001), (t, HUGE))
TRY_ALLOCATION(pvalloc, 8192, (t, 8192), (t, HUGE))

static void try_realloc(struct trial *t)
{
	void *p = allocates(t, CALL(t, NULL, 50), 50);

	p = allocates(t, CALL(t, p, 5000), 5000);
	gives_nothing(t, CALL(t, p, HUGE));
	free(p);
}

static void try_reallocarray(struct trial *t)
{
	void *p = allocates(t, CALL(t, NULL, 3, 11), 33);

	p = allocates(t, CALL(t, p, 10, 200), 2000);
	gives_nothing(t, CALL(t, p, HUGE, 8));
	gives_nothing(t, CALL(t, p, HUGE, 1));
	free(p);
}

/* It returns its error and leaves errno alone. */
static void try_posix_memalign(struct trial *t)
{
	void *p = NULL;

	CHECK_TRIAL(t, CALL(t, &p, 64, 77) == 0 && errno == SENTINEL && (uintptr_t)p % 64 == 0);
	event_of_block(t, p, 77);
	free(p);
	CHECK_TRIAL(t, CALL(t, &p, 3, 77) == EINVAL && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, &p, 64, HUGE) == ENOMEM);
}

#define TRY_FREE(id, allocation, ...)                                                              \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		for (int i = 0; i < 2; i++) {                                                      \
			void *p = keep(allocation);                                                \
                                                                                                   \
			event_of_block(t, p, 0);                                                   \
			CALL(t, p, ##__VA_ARGS__);                                                 \
			CHECK_TRIAL(t, errno == SENTINEL);                                         \
		}                                                                                  \
		CALL(t, NULL, ##__VA_ARGS__);                                                      \
		CHECK_TRIAL(t, errno == SENTINEL);                                                 \
	}
TRY_FREE(free, malloc(40))
TRY_FREE(cfree, malloc(40))
TRY_FREE(free_sized, malloc(40), 40)
TRY_FREE(free_aligned_sized, aligned_alloc(64, 128), 64, 128)

/* ---- mapped -------------------------------------------------------------------- */

enum { MAPPED = 16384, READ_WRITE = PROT_READ | PROT_WRITE };

static void *map_some(void)
{
	return mmap(NULL, MAPPED, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *maps(struct trial *t, long r)
{
	CHECK_TRIAL(t, r != -1 && r % 4096 == 0 && errno == SENTINEL);
	event(t, r);
	return (void *)r;
}

static void try_mmap(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);

	munmap(maps(t, CALL(t, NULL, MAPPED, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
	       MAPPED);
	munmap(maps(t, CALL(t, NULL, 4096, PROT_READ, MAP_SHARED, fd, 0)), 4096);
	FAILS(t, EINVAL, NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FAILS(t, EBADF, NULL, MAPPED, PROT_READ, MAP_PRIVATE, NOWHERE, 0);
	close(fd);
}

static void try_munmap(struct trial *t)
{
	GIVES(t, 0, map_some(), MAPPED);
	FAILS(t, EINVAL, 1, MAPPED);
}

static void try_mremap(struct trial *t)
{
	void *p = map_some(), *q = map_some();

	p = maps(t, CALL(t, p, MAPPED, 2 * MAPPED, MREMAP_MAYMOVE));
	p = maps(t, CALL(t, p, 2 * MAPPED, MAPPED, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	CHECK_TRIAL(t, p == q);
	FAILS(t, EINVAL, 1, MAPPED, MAPPED, 0);
	munmap(p, MAPPED);
}

static void try_brk(struct trial *t)
{
	void *end = sbrk(0);

	CHECK_TRIAL(t, CALL(t, end) == 0 && errno == SENTINEL);
	event(t, (long)end);
	FAILS(t, ENOMEM, -4096L);
}

static void try_sbrk(struct trial *t)
{
	long r = CALL(t, 4096);

	CHECK_TRIAL(t, r != -1 && errno == SENTINEL);
	event(t, r + 4096);
	FAILS(t, ENOMEM, 1L << 62);
}

#endif
