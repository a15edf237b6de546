/* SPDX-License-Identifier: MIT */
/* Every function of the heap, with what is easy to count wrongly: zero, NULL,
 * overflow, failure. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

#include "truth.h"

static struct tally tally;
/* Not known to the compiler, which would warn or fold. */
static volatile size_t huge = SIZE_MAX / 4;
static volatile size_t zero;
static void *kept[16];
static int kept_count;

static void *allocated(void *p, size_t size, const char *name)
{
	expect(p != NULL);
	tally_alloc(&tally, size);
	called(name);
	return keep(p);
}

static void release(void *p, size_t size)
{
	free(p);
	tally_free(&tally, size);
	called("free");
}

static void leave(void *p)
{
	kept[kept_count++] = p;
}

static void by_malloc(void)
{
	leave(allocated(malloc(101), 101, "malloc"));
	release(allocated(malloc(zero), 0, "malloc"), 0);
	release(allocated(malloc(100003), 100003, "malloc"), 100003);
	errno = 0;
	expect(keep(malloc(huge)) == NULL && errno == ENOMEM);
	free(keep(NULL));
}

static void by_calloc(void)
{
	char *p = allocated(calloc(7, 31), 217, "calloc");

	for (int i = 0; i < 217; i++)
		expect(p[i] == 0);
	leave(p);
	release(allocated(calloc(zero, 8), 0, "calloc"), 0);
	expect(keep(calloc(huge, 16)) == NULL);
}

static void *resized(void *p, size_t old, size_t size)
{
	p = allocated(realloc(p, size), size, "realloc");
	tally_free(&tally, old);
	return p;
}

static void by_realloc(void)
{
	void *p = allocated(realloc(keep(NULL), 50), 50, "realloc");

	p = resized(p, 50, 5000);
	p = resized(p, 5000, 300000);
	p = resized(p, 300000, 20);
	expect(keep(realloc(keep(p), huge)) == NULL);
	leave(p);
	p = allocated(malloc(60), 60, "malloc");
	/* glibc: the same as free(). */
	expect(keep(realloc(p, zero)) == NULL);
	called("realloc");
	tally_free(&tally, 60);
}

static void by_reallocarray(void)
{
	void *p = allocated(reallocarray(keep(NULL), 3, 11), 33, "reallocarray");

	p = allocated(reallocarray(p, 10, 20), 200, "reallocarray");
	tally_free(&tally, 33);
	errno = 0;
	expect(keep(reallocarray(keep(p), huge, 8)) == NULL && errno == ENOMEM);
	leave(p);
}

static void aligned(void)
{
	void *p = NULL;

	expect(posix_memalign(&p, 64, 77) == 0 && (uintptr_t)p % 64 == 0);
	leave(allocated(p, 77, "posix_memalign"));
	p = &p;
	expect(posix_memalign(&p, 3, 77) == EINVAL && p == &p);
	expect(posix_memalign(&p, 64, huge) == ENOMEM && p == &p);
	p = allocated(aligned_alloc(128, 256), 256, "aligned_alloc");
	expect((uintptr_t)p % 128 == 0);
	leave(p);
	p = allocated(memalign(512, 70), 70, "memalign");
	expect((uintptr_t)p % 512 == 0);
	leave(p);
	p = allocated(valloc(3001), 3001, "valloc");
	expect((uintptr_t)p % 4096 == 0);
	leave(p);
	p = allocated(pvalloc(8192), 8192, "pvalloc");
	expect((uintptr_t)p % 4096 == 0);
	leave(p);
}

static void (*plain_free)(void *);
static void (*sized)(void *, size_t);
static void (*aligned_sized)(void *, size_t, size_t);

/* Functions that this libc cannot link, or does not have: a failing dlsym
 * allocates, so the baseline asks for them too. */
static void look_up(void)
{
	plain_free = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
	sized = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
	aligned_sized = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
}

static void rare_frees(void)
{
	void *p = allocated(malloc(40), 40, "malloc");

	if (plain_free != NULL) {
		plain_free(p);
		called("cfree");
		tally_free(&tally, 40);
	} else {
		release(p, 40);
	}
	p = allocated(malloc(41), 41, "malloc");
	if (sized != NULL) {
		sized(p, 41);
		called("free_sized");
		tally_free(&tally, 41);
	} else {
		release(p, 41);
	}
	p = allocated(aligned_alloc(64, 128), 128, "aligned_alloc");
	if (aligned_sized != NULL) {
		aligned_sized(p, 64, 128);
		called("free_aligned_sized");
		tally_free(&tally, 128);
	} else {
		release(p, 128);
	}
}

/* libc's own calls of malloc count as its callers'. */
static void inside_libc(void)
{
	char *p = keep(strdup("thirty-one characters and a nul"));

	allocated(p, strlen(p) + 1, "malloc");
	leave(p);
}

int main(int argc, char **argv)
{
	truth_begin(argc, argv);
	look_up();
	if (baseline)
		return 0;
	by_malloc();
	by_calloc();
	by_realloc();
	by_reallocarray();
	aligned();
	rare_frees();
	inside_libc();
	tally_say(&tally);
	called_say();
	return wrongs != 0;
}
