/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "trace/functions.h"

struct ph_real ph_real;

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
#define PH_IO(id, ...)	    {#id, offsetof(struct ph_real, id)},
#define PH_BY_HAND(id, ...) {#id, offsetof(struct ph_real, id)},
#include "trace/functions.def"
/* Last: the rows above are numbered as the functions are. */
#define PH_NOTED(id, ...)  {#id, offsetof(struct ph_real, id)},
#define PH_AS(id, ...)	   {#id, offsetof(struct ph_real, id)},
#define PH_CALLED(id, ...) {#id, offsetof(struct ph_real, id)},
#include "trace/functions.def"
};

/* A look-up that fails allocates. So what libc does not have is known beforehand: by
 * its own table, of bloom filter, buckets and chains (DT_GNU_HASH). */
static bool exports(const struct link_map *map, const char *name)
{
	const uint32_t *table = NULL, *buckets, *chains;
	const ElfW(Sym) *symbols = NULL;
	const char *strings = NULL;
	uint32_t hash = 5381, i;

	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_GNU_HASH)
			table = (const uint32_t *)d->d_un.d_ptr;
		else if (d->d_tag == DT_SYMTAB)
			symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
		else if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	}
	if (table == NULL || symbols == NULL || strings == NULL)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		hash = hash * 33 + (uint8_t)*c;
	buckets = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(*table));
	chains = buckets + table[0];
	i = buckets[hash % table[0]];
	if (i < table[1])
		return false;
	do {
		if ((chains[i - table[1]] | 1) == (hash | 1) &&
		    strcmp(strings + symbols[i].st_name, name) == 0)
			return true;
	} while ((chains[i++ - table[1]] & 1) == 0);
	return false;
}

/* Of glibc only. */
extern __typeof(gnu_get_libc_version) gnu_get_libc_version __attribute__((weak));
extern __typeof(dladdr1) dladdr1 __attribute__((weak));

static bool is_in_libc(const char *name)
{
	static struct link_map *libc;
	Dl_info info;

	if (gnu_get_libc_version == NULL || dladdr1 == NULL)
		return true;
	if (libc == NULL &&
	    dladdr1((void *)gnu_get_libc_version, &info, (void **)&libc, RTLD_DL_LINKMAP) == 0)
		return true;
	return exports(libc, name);
}

/* In the order in which they are looked up. */
enum group { IN_LIBC, ELSEWHERE, ALLOCATORS };

static enum group group_of(size_t row)
{
	enum ph_kind kind = row + 1 < PH_OP_FUNCTIONS ? ph_functions[row + 1].kind : PH_KIND_NONE;

	if (kind == PH_KIND_ALLOC || kind == PH_KIND_FREE)
		return ALLOCATORS;
	return is_in_libc(rows[row].name) ? IN_LIBC : ELSEWHERE;
}

static void look_up(struct ph_real *found, const uint8_t *groups, enum group group)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *real;

		if (groups[i] != group)
			continue;
		real = dlsym(RTLD_NEXT, rows[i].name);
		memcpy((char *)found + rows[i].offset, &real, sizeof(real));
	}
}

void ph_real_resolve(void)
{
	static atomic_bool done;
	/* volatile: dlsym() is declared a leaf function, which it is not for us. */
	static PH_TLS volatile bool resolving;
	struct ph_real found;
	uint8_t groups[sizeof(rows) / sizeof(rows[0])];
	int saved = errno;

	if (atomic_load_explicit(&done, memory_order_acquire) || resolving)
		return;
	resolving = true;
	/* Where another allocator stands before ours (in the executable, or preloaded
	 * first), the first look-up that fails sets it up, and it maps and opens by way
	 * of us: what it may need is there by then. */
	for (size_t i = 0; i < sizeof(groups); i++)
		groups[i] = (uint8_t)group_of(i);
	look_up(&ph_real, groups, IN_LIBC);
	look_up(&ph_real, groups, ELSEWHERE);
	look_up(&found, groups, ALLOCATORS);
	/* A look-up that failed leaves a message, which the target must not find. One that
	 * succeeds takes it away; dlerror() would translate it first, and we may stand
	 * inside bindtextdomain(), which holds the lock that that takes. */
	(void)dlsym(RTLD_NEXT, "malloc");
	/* All at once: what a look-up that fails allocates must come from the arena,
	 * because we may stand inside the real allocator's own initialization, which
	 * holds its lock (jemalloc opens files there). */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (groups[i] == ALLOCATORS)
			memcpy((char *)&ph_real + rows[i].offset, (char *)&found + rows[i].offset,
			       sizeof(void *));
	}
	resolving = false;
	/* Pairs with the acquire above: who sees done sees the pointers. */
	atomic_store_explicit(&done, true, memory_order_release);
	errno = saved;
}

/* ---- the arena ------------------------------------------------------------- */

_Alignas(64) char ph_arena[PH_ARENA_BYTES];
static _Atomic size_t arena_used;

/* Small blocks that were given back: tag << 32 | offset of the newest, 0: none.
 * The tag changes with every push, so that a block popped and pushed meanwhile
 * is noticed. */
static _Atomic uint64_t arena_free;

/* Before each block stands its size, so that realloc can copy the right number
 * of bytes. In a free block its first word is the offset of the next one. */
#define ARENA_HEADER 16u

static void *pop_small(void)
{
	uint64_t seen = atomic_load_explicit(&arena_free, memory_order_acquire);

	while ((uint32_t)seen != 0) {
		uint32_t next;

		memcpy(&next, ph_arena + (uint32_t)seen, sizeof(next));
		if (atomic_compare_exchange_weak_explicit(
			    &arena_free, &seen, (seen & ~UINT64_C(0xffffffff)) | next,
			    memory_order_acquire, memory_order_acquire))
			return ph_arena + (uint32_t)seen;
	}
	return NULL;
}

static void push_small(void *block)
{
	uint64_t seen = atomic_load_explicit(&arena_free, memory_order_relaxed);
	uint64_t next;

	do {
		uint32_t after = (uint32_t)seen;

		memcpy(block, &after, sizeof(after));
		next = ((seen >> 32) + 1) << 32 | (uint32_t)((char *)block - ph_arena);
	} while (!atomic_compare_exchange_weak_explicit(
		&arena_free, &seen, next, memory_order_release, memory_order_relaxed));
}

static void *carve(size_t alignment, size_t size)
{
	size_t used = atomic_load_explicit(&arena_used, memory_order_relaxed);
	size_t at, end;

	do {
		uintptr_t address = (uintptr_t)ph_arena + used + ARENA_HEADER;

		at = ((address + alignment - 1) & ~(alignment - 1)) - (uintptr_t)ph_arena;
		end = at + size;
		if (end > PH_ARENA_BYTES)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&arena_used, &used, end, memory_order_relaxed, memory_order_relaxed));
	return ph_arena + at;
}

void *ph_arena_allocate(size_t alignment, size_t size)
{
	bool small = size <= PH_ARENA_REUSED && alignment <= 16;
	char *block = small ? pop_small() : NULL;

	if (alignment < 16)
		alignment = 16;
	if (size > PH_ARENA_BYTES || alignment > 4096)
		return NULL;
	if (block == NULL)
		block = carve(alignment, size < PH_ARENA_REUSED ? PH_ARENA_REUSED : size);
	else
		memset(block, 0, PH_ARENA_REUSED); /* calloc counts on it */
	if (block != NULL)
		memcpy(block - ARENA_HEADER, &size, sizeof(size));
	return block;
}

void ph_arena_free(void *block)
{
	/* Larger ones come up a few times in a process's life. */
	if (block != NULL && ph_arena_size(block) <= PH_ARENA_REUSED &&
	    ((uintptr_t)block & 15) == 0)
		push_small(block);
}

size_t ph_arena_size(const void *block)
{
	size_t size;

	memcpy(&size, (const char *)block - ARENA_HEADER, sizeof(size));
	return size;
}
