/* SPDX-License-Identifier: MIT */
#include "analyzer/roots.h"

#include <elf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/spans.h"
#include "analyzer/vector.h"

enum {
	WORD = 8,
	PAGE = 4096,
	/* glibc's, of 2.31 to 2.41 on x86-64. */
	HEAD = 16,	      /* of a chunk, before the block */
	MMAPPED = 2,	      /* flag in a chunk's size */
	FLAGS = 7,	      /* all of them */
	HEAP_MOST = 64 << 20, /* of a heap that is not the first; it begins at a multiple */
	THREAD = 2304,	      /* struct pthread: the least of them */
	TLS_MOST = 1 << 16,   /* static thread-local storage below it, as far as is looked */
	DTV = 8,	      /* in struct pthread, as the ABI has it */
	DTV_BEGINS = 16,      /* of its block, before what it points to */
	ARENA = 2200,	      /* struct malloc_state */
	ARENA_TOP = 96,
	ARENA_BINS = 112,
	BINS = 254, /* words */
	ARENA_NEXT = ARENA_BINS + BINS * WORD + 16,
};

struct finder {
	struct roots *to;
	const struct roots_source *from;
	struct spans heap; /* the allocator's */
	struct spans dead; /* what else is looked into for nothing */
};

static bool word(const struct finder *f, uint64_t address, uint64_t *out)
{
	return memory_word(f->from->memory, address, out);
}

static uint64_t word_or_0(const struct finder *f, uint64_t address)
{
	uint64_t w = 0;

	return word(f, address, &w) ? w : 0;
}

/* Memory that is the process's alone and of no file. */
static bool is_private(const struct mapping *m)
{
	return m->read && m->write && !m->shared && m->inode == 0;
}

/* ---- glibc's allocator ------------------------------------------------------- */

/*
 * A further heap begins with {arena, previous heap, size, size that can be used}; of an
 * arena's first one the arena follows.
 */
static bool is_heap(const struct finder *f, uint64_t at, uint64_t *end)
{
	uint64_t arena = word_or_0(f, at), used = word_or_0(f, at + 16);
	uint64_t usable = word_or_0(f, at + 24), in_heap = arena % HEAP_MOST;

	if (used == 0 || used % PAGE != 0 || usable < used || usable % PAGE != 0 ||
	    usable > HEAP_MOST || arena % WORD != 0 || in_heap < 32 || in_heap > 64)
		return false;
	*end = at + usable;
	return word_or_0(f, at + 8) % HEAP_MOST == 0;
}

static void find_heaps(struct finder *f, const struct mapping *m)
{
	uint64_t first = (m->start + HEAP_MOST - 1) & ~(uint64_t)(HEAP_MOST - 1), end;

	for (uint64_t at = first; at < m->end && at >= first; at += HEAP_MOST)
		if (memory_holds(f->from->memory, at) && is_heap(f, at, &end))
			spans_add(&f->heap, at, end);
}

/* One that has pages of its own: {what was left out before it, size with flags}, then the
 * block, which memalign may have moved on. */
static bool is_mapped_chunk(const struct finder *f, uint64_t block, struct span *out)
{
	uint64_t before, size;

	if (block % HEAD != 0 || !word(f, block - HEAD, &before) || !word(f, block - WORD, &size))
		return false;
	out->start = block - HEAD - before;
	out->end = block - HEAD + (size & ~(uint64_t)FLAGS);
	return (size & FLAGS) == MMAPPED && out->start % PAGE == 0 && out->end % PAGE == 0 &&
	       before < out->end - out->start && out->start < block && block < out->end;
}

/*
 * Another allocator's block: what it lies in is taken for that allocator's, but for what
 * the program is known to have mapped itself. False: it lies in such.
 */
static bool add_foreign(struct finder *f, const struct reach_block *b)
{
	const struct mapping *m = maps_at(f->from->maps, b->address);
	uint64_t at = m != NULL ? m->start : 0;
	struct span part;

	f->to->foreign_blocks++;
	if (m == NULL || spans_at(f->from->mapped, b->address) != NULL)
		return false;
	while (spans_gap(f->from->mapped, &at, m->end, &part))
		spans_add(&f->heap, part.start, part.end);
	spans_settle(&f->heap);
	return true;
}

/* Of the blocks that no heap has. */
static void find_outer_blocks(struct finder *f)
{
	struct spans outer = {.list = NULL};

	for (size_t i = 0; i < f->from->block_count; i++) {
		const struct reach_block *b = &f->from->blocks[i];
		struct span chunk = {b->address, b->address + b->size};

		if (spans_at(&f->heap, b->address) == NULL &&
		    (is_mapped_chunk(f, b->address, &chunk) || !add_foreign(f, b)))
			spans_add(&outer, chunk.start, chunk.end);
	}
	for (size_t i = 0; i < outer.count; i++)
		spans_add(&f->heap, outer.list[i].start, outer.list[i].end);
	f->to->failed |= outer.failed;
	spans_free(&outer);
}

static bool holds_block(const struct finder *f, const struct mapping *m)
{
	size_t low = 0, high = f->from->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->from->blocks[middle].address < m->start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->from->block_count && f->from->blocks[low].address < m->end;
}

/* The program break's: the allocator's, unless the program moved it itself, or uses
 * another allocator that does not. */
static void find_first_heap(struct finder *f, bool whether)
{
	for (size_t i = 0; i < f->from->maps->count; i++) {
		const struct mapping *m = &f->from->maps->list[i];
		uint64_t at = m->start;
		struct span part;

		if (strcmp(m->name, "[heap]") != 0 || !(whether || holds_block(f, m)))
			continue;
		while (spans_gap(f->from->mapped, &at, m->end, &part))
			spans_add(&f->heap, part.start, part.end);
	}
}

static void find_allocator(struct finder *f)
{
	find_first_heap(f, false);
	for (size_t i = 0; i < f->from->maps->count; i++)
		if (is_private(&f->from->maps->list[i]))
			find_heaps(f, &f->from->maps->list[i]);
	spans_settle(&f->heap);
	find_outer_blocks(f);
	find_first_heap(f, f->to->foreign_blocks == 0);
	spans_settle(&f->heap);
}

/*
 * The first arena is a variable of libc, and its lists of free chunks lead to where these
 * begin: 16 bytes before a block, which is within the block before it. It is found by its
 * empty lists, of which the head leads to 16 bytes before itself, twice.
 */
static bool is_empty_bin(const struct finder *f, uint64_t at)
{
	return word_or_0(f, at) == at - HEAD && word_or_0(f, at + WORD) == at - HEAD;
}

static bool is_arena(const struct finder *f, uint64_t at)
{
	uint64_t top = word_or_0(f, at + ARENA_TOP), next = word_or_0(f, at + ARENA_NEXT);

	return (spans_at(&f->heap, top) != NULL || top == at + ARENA_TOP) &&
	       (next == at || (next % HEAP_MOST >= 32 && next % HEAP_MOST <= 64));
}

static void find_arena(struct finder *f, const struct mapping *m)
{
	for (uint64_t at = m->start; at + ARENA <= m->end; at += HEAD) {
		if (!is_empty_bin(f, at))
			continue;
		/* The arena that has it begins some bins before. */
		for (uint64_t bin = 0; bin < BINS / 2; bin++) {
			uint64_t arena = at - ARENA_BINS - bin * HEAD;

			if (arena >= m->start && is_arena(f, arena)) {
				spans_add(&f->dead, arena, arena + ARENA);
				return;
			}
		}
	}
}

static bool is_libc(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash != NULL && strncmp(slash, "/libc", 5) == 0 &&
	       (strncmp(slash + 5, ".so", 3) == 0 || strncmp(slash + 5, "-2.", 3) == 0);
}

static void find_arenas(struct finder *f)
{
	for (size_t i = 0; i < f->from->maps->count; i++) {
		const struct mapping *m = &f->from->maps->list[i];

		if (m->read && m->write && !m->shared && is_libc(m->name))
			find_arena(f, m);
	}
}

/* ---- threads --------------------------------------------------------------------- */

/* Of one that sleeps in the kernel it is only known where its stack is. */
static bool has_thread(const struct finder *f, const struct mapping *m, uint64_t tcb)
{
	for (size_t i = 0; i < f->from->thread_count; i++) {
		const struct stopped_thread *t = &f->from->threads[i];

		if (t->tls == tcb || (t->stack >= m->start && t->stack < m->end))
			return true;
	}
	return false;
}

/* In struct pthread: {stack, its size}, guard included, of a stack that `sp` is in. */
static bool find_stack(const struct finder *f, uint64_t tcb, uint64_t sp, uint64_t *start)
{
	for (uint64_t at = tcb; at < tcb + THREAD; at += WORD) {
		uint64_t block = word_or_0(f, at), size = word_or_0(f, at + WORD);

		if (block != 0 && block % PAGE == 0 && size != 0 && size % PAGE == 0 &&
		    block < sp && sp < tcb && tcb < block + size && size < UINT64_C(1) << 40) {
			*start = block;
			return true;
		}
	}
	return false;
}

/* A stack below its pointer holds what was there before. */
static void skip_unused(struct finder *f, const struct stopped_thread *t)
{
	uint64_t sp = t->stack, start;
	const struct mapping *m = maps_at(f->from->maps, sp);

	if (t->asleep || m == NULL || sp < m->start + ROOTS_RED_ZONE)
		return;
	if (strcmp(m->name, "[stack]") == 0)
		spans_add(&f->dead, m->start, sp - ROOTS_RED_ZONE);
	else if (find_stack(f, t->tls, sp, &start) && start < sp - ROOTS_RED_ZONE)
		spans_add(&f->dead, start, sp - ROOTS_RED_ZONE);
}

/* The block that holds an address, of those that were recorded. */
static const struct reach_block *block_at(const struct finder *f, uint64_t address)
{
	size_t low = 0, high = f->from->block_count;
	const struct reach_block *b;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->from->blocks[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	b = low != 0 ? &f->from->blocks[low - 1] : NULL;
	return b != NULL && address - b->address < b->size ? b : NULL;
}

/* A stack that lies in a block: of a coroutine, or of a handler. It is in use. */
static void add_inner_stack(struct finder *f, const struct stopped_thread *t, struct spans *more)
{
	uint64_t sp = t->stack;
	const struct reach_block *b = block_at(f, sp);

	if (b == NULL)
		return;
	spans_add(more, sp - b->address > ROOTS_RED_ZONE ? sp - ROOTS_RED_ZONE : b->address,
		  b->address + b->size);
}

/*
 * A thread that is over leaves its stack to the next one. What it leaves at the top,
 * struct pthread, may still be asked for (pthread_join).
 */
static void skip_left_stack(struct finder *f, const struct mapping *m)
{
	uint64_t lowest = m->end - m->start > TLS_MOST ? m->end - TLS_MOST : m->start;

	for (uint64_t at = (m->end - THREAD) & ~(uint64_t)63; at >= lowest && at < m->end;
	     at -= 64) {
		if (word_or_0(f, at) != at || word_or_0(f, at + (uint64_t)2 * WORD) != at)
			continue;
		if (has_thread(f, m, at))
			return;
		spans_add(&f->dead, m->start, at);
		return;
	}
}

static bool is_guard(const struct mapping *m)
{
	return !m->read && !m->write && !m->execute && m->inode == 0;
}

static void find_threads(struct finder *f)
{
	const struct maps *maps = f->from->maps;

	for (size_t i = 0; i < f->from->thread_count; i++)
		skip_unused(f, &f->from->threads[i]);
	for (size_t i = 1; i < maps->count; i++)
		if (is_private(&maps->list[i]) && is_guard(&maps->list[i - 1]) &&
		    maps->list[i - 1].end == maps->list[i].start &&
		    maps->list[i].end - maps->list[i].start > THREAD)
			skip_left_stack(f, &maps->list[i]);
}

/* ---- the loader's list ---------------------------------------------------------------- */

/*
 * The loader's structures of modules lead from one to the next. Those that it allocated for
 * this library are in no block that was recorded, and would break the chain.
 */
enum {
	MODULES_MOST = 4096,
	LINK_NEXT = 24, /* in struct link_map, as <link.h> has it */
	LINK_LEAST = 512,
	LINK_MOST = 8192,
	DEBUG_MAP = 8, /* in struct r_debug */
};

/* Where the program's dynamic section stands; 0: nowhere. */
static uint64_t dynamic_section(const struct finder *f)
{
	uint64_t at = f->from->headers, bias = 0, found = 0;

	for (uint64_t i = 0; i < f->from->header_count && i < 64; i++, at += sizeof(Elf64_Phdr)) {
		uint32_t type = (uint32_t)word_or_0(f, at);
		uint64_t address = word_or_0(f, at + offsetof(Elf64_Phdr, p_vaddr));

		if (type == PT_PHDR)
			bias = f->from->headers - address;
		else if (type == PT_DYNAMIC)
			found = address;
	}
	return found != 0 ? found + bias : 0;
}

static uint64_t first_module(const struct finder *f)
{
	uint64_t at = dynamic_section(f), tag;

	for (int i = 0; at != 0 && i < 128; i++, at += sizeof(Elf64_Dyn)) {
		tag = word_or_0(f, at);
		if (tag == DT_DEBUG)
			return word_or_0(f, word_or_0(f, at + WORD) + DEBUG_MAP);
		if (tag == DT_NULL)
			break;
	}
	return 0;
}

static void add_modules(struct finder *f, struct spans *more)
{
	uint64_t at = first_module(f);

	for (int i = 0; at != 0 && at % WORD == 0 && i < MODULES_MOST; i++) {
		uint64_t bytes = word_or_0(f, at - WORD) & ~(uint64_t)FLAGS;

		if (spans_at(&f->heap, at) != NULL && block_at(f, at) == NULL &&
		    bytes >= LINK_LEAST && bytes <= LINK_MOST)
			spans_add(more, at, at + bytes - HEAD);
		at = word_or_0(f, at + LINK_NEXT);
	}
}

/* ---- all -------------------------------------------------------------------------------- */

static void add_root(struct finder *f, uint64_t start, uint64_t end, bool shared)
{
	struct roots *r = f->to;

	if (!vector_reserve(r->list, r->room, r->count + 1)) {
		r->failed = true;
		return;
	}
	r->list[r->count++] = (struct root){start, end, shared};
}

/* Devices may do anything when they are read. */
static bool is_device(const struct mapping *m)
{
	return strncmp(m->name, "/dev/", 5) == 0 && strncmp(m->name, "/dev/shm/", 9) != 0 &&
	       strncmp(m->name, "/dev/zero", 9) != 0;
}

static bool is_kernels(const struct mapping *m)
{
	return strncmp(m->name, "[v", 2) == 0; /* vdso, vvar, vsyscall */
}

/* The library's data, from the first page of it that can be written on. */
static void skip_library(struct finder *f, const struct mapping *m)
{
	uint64_t end = f->from->own_end > m->end ? f->from->own_end : m->end, at = m->start;
	struct span part;

	while (spans_gap(f->from->held, &at, end, &part))
		spans_add(&f->dead, part.start, part.end);
}

static bool is_library(const struct mapping *m)
{
	const char *slash = strrchr(m->name, '/');

	return slash != NULL && strcmp(slash, "/libperfhook.so") == 0;
}

static void find_in(struct finder *f, const struct mapping *m, const struct spans *skipped)
{
	uint64_t at = m->start;
	struct span part;

	if (!m->read || (m->shared && !m->write) || is_kernels(m) || is_device(m) ||
	    f->from->is_ours(f->from->context, m))
		return;
	while (spans_gap(skipped, &at, m->end, &part)) {
		add_root(f, part.start, part.end, m->shared);
		f->to->shared_bytes += m->shared ? part.end - part.start : 0;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct root *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void roots_find(struct roots *r, const struct roots_source *source)
{
	struct finder f = {.to = r, .from = source};
	struct spans inner = {.list = NULL};

	*r = (struct roots){.list = NULL};
	find_allocator(&f);
	find_arenas(&f);
	find_threads(&f);
	for (size_t i = 0; i < source->maps->count; i++)
		if (is_library(&source->maps->list[i]) && source->maps->list[i].write)
			skip_library(&f, &source->maps->list[i]);
	for (size_t i = 0; i < f.heap.count; i++)
		spans_add(&f.dead, f.heap.list[i].start, f.heap.list[i].end);
	spans_settle(&f.dead);
	for (size_t i = 0; i < source->maps->count; i++)
		find_in(&f, &source->maps->list[i], &f.dead);
	for (size_t i = 0; i < source->thread_count; i++)
		add_inner_stack(&f, &source->threads[i], &inner);
	add_modules(&f, &inner);
	spans_settle(&inner);
	for (size_t i = 0; i < inner.count; i++)
		add_root(&f, inner.list[i].start, inner.list[i].end, false);
	qsort(r->list, r->count, sizeof(*r->list), by_address);
	r->failed |= f.heap.failed || f.dead.failed || inner.failed;
	spans_free(&f.heap);
	spans_free(&f.dead);
	spans_free(&inner);
}

void roots_free(struct roots *r)
{
	free(r->list);
	*r = (struct roots){.list = NULL};
}
