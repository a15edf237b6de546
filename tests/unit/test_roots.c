/* SPDX-License-Identifier: MIT */
/* What of a process's memory is looked through for pointers, over processes that are made
 * up; and what that is made of: mappings, memory, sets of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analyzer/roots.h"
#include "analyzer/spans.h"

#include <cmocka.h>

#include "tests/unit/random.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define PAGE	 UINT64_C(4096)

/* ---- sets of addresses ------------------------------------------------------------- */

/* Against an address for an address. */
static void test_spans(void **state)
{
	enum { MOST = 500 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct spans s = {.list = NULL};
		bool in[MOST] = {false}, seen[MOST] = {false};
		struct span gap;
		uint64_t at = 7, end = MOST - 9;

		for (int i = 0; i < round % 20; i++) {
			uint64_t from = next_random() % MOST, to = from + next_random() % 40;

			to = to < MOST ? to : MOST;
			spans_add(&s, from, to);
			for (uint64_t k = from; k < to; k++)
				in[k] = true;
		}
		spans_settle(&s);
		for (uint64_t k = 0; k < MOST; k++)
			assert_int_equal(spans_at(&s, k) != NULL, in[k]);
		for (size_t i = 1; i < s.count; i++)
			assert_true(s.list[i - 1].end < s.list[i].start);
		while (spans_gap(&s, &at, end, &gap))
			for (uint64_t k = gap.start; k < gap.end; k++)
				seen[k] = true;
		for (uint64_t k = 0; k < MOST; k++)
			assert_int_equal(seen[k], k >= 7 && k < end && !in[k]);
		spans_free(&s);
	}
}

/* ---- mappings ------------------------------------------------------------------------ */

static struct maps parsed(const char *text)
{
	struct maps m;

	assert_true(maps_parse(&m, strdup(text)));
	return m;
}

static void test_maps(void **state)
{
	struct maps m = parsed("1000-3000 r--p 00000000 fe:10a 77     /a path (deleted)\n"
			       "nonsense\n"
			       "3000-3000 rw-p 00000000 00:00 0 \n"
			       "4000-6000 rwxs 00001000 00:00 0\n"
			       "7000-8000 ---p 00000000 00:00 0                          [heap]");

	(void)state;
	assert_int_equal(m.count, 3);
	assert_string_equal(m.list[0].name, "/a path (deleted)");
	assert_true(m.list[0].read && !m.list[0].write && !m.list[0].execute && !m.list[0].shared);
	assert_int_equal(m.list[0].inode, 77);
	assert_true(m.list[1].read && m.list[1].write && m.list[1].execute && m.list[1].shared);
	assert_string_equal(m.list[1].name, "");
	assert_string_equal(m.list[2].name, "[heap]");
	assert_null(maps_at(&m, 0xfff));
	assert_ptr_equal(maps_at(&m, 0x1000), &m.list[0]);
	assert_ptr_equal(maps_at(&m, 0x2fff), &m.list[0]);
	assert_null(maps_at(&m, 0x3000));
	assert_ptr_equal(maps_at(&m, 0x5fff), &m.list[1]);
	assert_null(maps_at(&m, 0x8000));
	maps_free(&m);
}

/* ---- memory -------------------------------------------------------------------------- */

/* A process that is made up: its mappings, and words here and there in pages of zeros. */
struct world {
	struct maps maps;
	struct memory memory;
	uint64_t *copies;
	struct stopped_thread threads[4];
	size_t thread_count;
	struct reach_block blocks[8];
	size_t block_count;
	struct spans mapped;
	uint64_t own_end;
	struct spans held;
	uint64_t headers, header_count;
};

#define PAGES_MOST 256

static struct world *world(const char *maps)
{
	struct world *w = calloc(1, sizeof(*w));

	w->maps = parsed(maps);
	w->copies = calloc(PAGES_MOST, PAGE);
	w->memory = (struct memory){.memory_fd = -1,
				    .live_fd = -1,
				    .pagemap_fd = -1,
				    .copies = (const uint8_t *)w->copies};
	w->memory.pieces = calloc(PAGES_MOST, sizeof(*w->memory.pieces));
	return w;
}

/* Pages come in ascending order. */
static void put(struct world *w, uint64_t address, uint64_t word)
{
	struct memory_piece *last = &w->memory.pieces[w->memory.piece_count];

	if (w->memory.piece_count == 0 || (last - 1)->start != (address & ~(PAGE - 1))) {
		assert_true(w->memory.piece_count < PAGES_MOST);
		*last = (struct memory_piece){address & ~(PAGE - 1), PAGE,
					      w->memory.piece_count++ * PAGE};
		last++;
	}
	w->copies[((last - 1)->offset + address % PAGE) / 8] = word;
}

static void end_world(struct world *w)
{
	w->memory.copies = NULL;
	memory_close(&w->memory);
	maps_free(&w->maps);
	spans_free(&w->mapped);
	spans_free(&w->held);
	free(w->copies);
	free(w);
}

struct seen {
	uint64_t next, words, sum;
};

static void count_words(void *context, uint64_t address, const uint64_t *words, size_t count)
{
	struct seen *s = context;

	assert_true(address >= s->next && count > 0 && address % 8 == 0);
	s->next = address + count * sizeof(*words);
	s->words += count;
	for (size_t i = 0; i < count; i++)
		s->sum += words[i];
}

static void test_memory_of_copies(void **state)
{
	struct world *w = world("");
	struct seen s = {0};
	uint64_t word;

	(void)state;
	put(w, 0x10008, 1);
	put(w, 0x10ff8, 2);
	put(w, 0x12000, 4);
	memory_each(&w->memory, 0x10000, 0x13000, false, count_words, &s);
	assert_int_equal(s.words, 2 * 512);
	assert_int_equal(s.sum, 7);
	s = (struct seen){0};
	/* Whole aligned words only. */
	memory_each(&w->memory, 0x10ff1, 0x1200f, false, count_words, &s);
	assert_int_equal(s.words, 2);
	assert_int_equal(s.sum, 6);
	assert_true(memory_word(&w->memory, 0x10ff8, &word) && word == 2);
	assert_true(memory_word(&w->memory, 0x12008, &word) && word == 0);
	assert_false(memory_word(&w->memory, 0x11000, &word));
	assert_true(memory_holds(&w->memory, 0x10000) && memory_holds(&w->memory, 0x12fff));
	assert_false(memory_holds(&w->memory, 0xffff) || memory_holds(&w->memory, 0x11000));
	assert_false(memory_word(&w->memory, 0x12001, &word));
	end_world(w);
}

/* Ourselves: what is there, and what is not. */
static void check_memory_of_process(bool listed)
{
	enum { PAGES = 300 };
	uint64_t *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uintptr_t)area, word;
	struct memory m;
	struct seen s = {0};

	assert_ptr_not_equal(area, MAP_FAILED);
	assert_true(memory_open(&m, getpid()));
	m.listed = listed;
	for (size_t i = 0; i < PAGES; i += 3)
		area[i * 512 + i] = i + 1;
	memory_each(&m, at, at + PAGES * PAGE, true, count_words, &s);
	/* Only pages that were written to. */
	assert_int_equal(s.words, PAGES / 3 * 512);
	assert_int_equal(s.sum, (uint64_t)PAGES / 3 * (PAGES - 1) / 2);
	assert_true(memory_word(&m, at + (UINT64_C(3) * 512 + 3) * 8, &word) && word == 4);
	assert_true(memory_holds(&m, at) && !memory_holds(&m, at + PAGE));
	assert_int_equal(mprotect(area + 512, PAGE, PROT_NONE), 0);
	munmap(area + UINT64_C(9) * 512, PAGE);
	s = (struct seen){0};
	memory_each(&m, at, at + 12 * PAGE, true, count_words, &s);
	assert_int_equal(s.sum, 1 + 4 + 7);
	/* Code is a file's. */
	s = (struct seen){0};
	at = (uintptr_t)check_memory_of_process & ~(PAGE - 1);
	memory_each(&m, at, at + PAGE, true, count_words, &s);
	assert_int_equal(s.words, 0);
	memory_each(&m, at, at + PAGE, false, count_words, &s);
	assert_int_equal(s.words, 512);
	memory_close(&m);
	munmap(area, PAGES * PAGE);
}

static void test_memory_of_process(void **state)
{
	(void)state;
	check_memory_of_process(true);
	check_memory_of_process(false);
}

/* ---- roots ------------------------------------------------------------------------------- */

static bool is_ours(const void *context, const struct mapping *m)
{
	(void)context;
	return strstr(m->name, ".segment") != NULL;
}

static struct roots find(struct world *w)
{
	const struct roots_source source = {
		.maps = &w->maps,
		.threads = w->threads,
		.thread_count = w->thread_count,
		.memory = &w->memory,
		.blocks = w->blocks,
		.block_count = w->block_count,
		.is_ours = is_ours,
		.own_end = w->own_end,
		.held = &w->held,
		.headers = w->headers,
		.header_count = w->header_count,
		.mapped = &w->mapped,
	};
	struct roots r;

	spans_settle(&w->mapped);
	roots_find(&r, &source);
	assert_false(r.failed);
	return r;
}

static bool has(const struct roots *r, uint64_t address)
{
	for (size_t i = 0; i < r->count; i++)
		if (address >= r->list[i].start && address < r->list[i].end)
			return true;
	return false;
}

#define assert_root(r, address)	   assert_true(has(r, address))
#define assert_no_root(r, address) assert_false(has(r, address))

static void add_block(struct world *w, uint64_t address, uint64_t size)
{
	w->blocks[w->block_count++] = (struct reach_block){.address = address, .size = size};
}

static void test_mappings(void **state)
{
	struct world *w = world("10000-11000 r-xp 00000000 fe:00 1 /app\n"
				"11000-12000 r--p 00000000 fe:00 1 /app\n"
				"12000-13000 rw-p 00000000 fe:00 1 /app\n"
				"13000-14000 rw-p 00000000 00:00 0 \n"
				"14000-15000 ---p 00000000 00:00 0 \n"
				"15000-16000 rw-s 00000000 00:01 2 /dev/shm/theirs\n"
				"16000-17000 r--s 00000000 fe:00 3 /data\n"
				"17000-18000 rw-s 00000000 00:01 4 /dev/shm/x.segment\n"
				"18000-19000 rw-s 00000000 00:05 5 /dev/dri/card0\n"
				"20000-30000 rw-p 00000000 00:00 0 [heap]\n"
				"30000-31000 r--p 00000000 00:00 0 [vvar]\n"
				"31000-32000 r-xp 00000000 00:00 0 [vdso]\n");
	struct roots r;

	(void)state;
	add_block(w, 0x20010, 100);
	r = find(w);
	assert_root(&r, 0x12000);
	assert_root(&r, 0x13ff8);
	/* Read-only once it was relocated: pages that were written to are its own. */
	assert_root(&r, 0x11000);
	assert_no_root(&r, 0x14000);
	assert_root(&r, 0x15000);
	assert_int_equal(r.shared_bytes, PAGE);
	assert_no_root(&r, 0x16000);
	assert_no_root(&r, 0x17000);
	assert_no_root(&r, 0x18000);
	assert_no_root(&r, 0x20010);
	assert_no_root(&r, 0x2fff8);
	assert_no_root(&r, 0x30000);
	assert_no_root(&r, 0x31000);
	assert_int_equal(r.foreign_blocks, 0);
	for (size_t i = 1; i < r.count; i++)
		assert_true(r.list[i - 1].end <= r.list[i].start);
	roots_free(&r);
	end_world(w);
}

#define HEAP_2 UINT64_C(0x7f0004000000) /* where a thread's heap may begin */
#define HEAP_3 UINT64_C(0x7f0008000000)

static void test_further_heaps(void **state)
{
	struct world *w = world("10000-11000 rw-p 00000000 00:00 0 [heap]\n"
				"7f0003fff000-7f0004021000 rw-p 00000000 00:00 0 \n"
				"7f0004021000-7f0008000000 ---p 00000000 00:00 0 \n"
				"7f0008000000-7f0008100000 rw-p 00000000 00:00 0 \n");
	struct roots r;

	(void)state;
	put(w, HEAP_2, HEAP_2 + 0x30);
	put(w, HEAP_2 + 16, 0x21000);
	put(w, HEAP_2 + 24, 0x21000);
	/* Not one of them: it says that it is larger than they are. */
	put(w, HEAP_3, HEAP_2 + 0x30);
	put(w, HEAP_3 + 16, 0x100000);
	put(w, HEAP_3 + 24, 0x8000000);
	add_block(w, 0x10010, 24);
	add_block(w, HEAP_2 + 0x900, 24);
	r = find(w);
	/* The page before it is another's. */
	assert_root(&r, HEAP_2 - 8);
	assert_no_root(&r, HEAP_2);
	assert_no_root(&r, HEAP_2 + 0x20ff8);
	assert_root(&r, HEAP_3);
	assert_int_equal(r.foreign_blocks, 0);
	roots_free(&r);
	end_world(w);
}

/* A chunk of pages of its own, in a mapping that others share. */
static void test_mapped_chunks(void **state)
{
	struct world *w = world("10000-40000 rw-p 00000000 00:00 0 \n");
	struct roots r;

	(void)state;
	put(w, 0x20008, 0x4000 | 2);
	/* As memalign moves it on: 0x1ff0 bytes were left out before it. */
	put(w, 0x31ff0, 0x1ff0);
	put(w, 0x31ff8, (0x6000 - 0x1ff0) | 2);
	add_block(w, 0x20010, 0x3000);
	add_block(w, 0x32000, 0x2000);
	r = find(w);
	assert_int_equal(r.foreign_blocks, 0);
	assert_root(&r, 0x1fff8);
	assert_no_root(&r, 0x20000);
	assert_no_root(&r, 0x23ff8);
	assert_root(&r, 0x24000);
	assert_root(&r, 0x2fff8);
	assert_no_root(&r, 0x30000);
	assert_no_root(&r, 0x35ff8);
	assert_root(&r, 0x36000);
	roots_free(&r);
	end_world(w);
}

/* Another allocator: what its blocks lie in, but for what the program mapped. */
static void test_foreign_blocks(void **state)
{
	struct world *w = world("10000-40000 rw-p 00000000 00:00 0 \n"
				"50000-60000 rw-p 00000000 00:00 0 \n"
				"70000-80000 rw-p 00000000 00:00 0 [heap]\n");
	struct roots r;

	(void)state;
	put(w, 0x11000, 0);
	put(w, 0x21000, 0);
	spans_add(&w->mapped, 0x20000, 0x28000);
	add_block(w, 0x11008, 24);
	add_block(w, 0x21008, 24); /* carved from what the program mapped */
	r = find(w);
	assert_int_equal(r.foreign_blocks, 2);
	assert_no_root(&r, 0x10000);
	assert_no_root(&r, 0x1fff8);
	assert_root(&r, 0x20000);
	assert_no_root(&r, 0x21008);
	assert_root(&r, 0x21020);
	assert_root(&r, 0x27ff8);
	assert_no_root(&r, 0x28000);
	assert_root(&r, 0x50000);
	/* It uses no program break: the program does. */
	assert_root(&r, 0x70000);
	roots_free(&r);
	end_world(w);
}

/* libc's first arena, some of whose lists are empty. */
static void test_arena(void **state)
{
	const uint64_t arena = 0x20c40, bins = arena + 112;
	struct world *w = world("10000-18000 rw-p 00000000 00:00 0 [heap]\n"
				"20000-22000 rw-p 00001000 fe:00 9 /lib/libc.so.6\n");
	struct roots r;

	(void)state;
	add_block(w, 0x10010, 24);
	put(w, arena + 96, 0x17000); /* top */
	for (uint64_t i = 0; i < 127; i++) {
		bool used = i % 10 == 0;

		put(w, bins + i * 16, used ? 0x12340 : bins + i * 16 - 16);
		put(w, bins + i * 16 + 8, used ? 0x12340 : bins + i * 16 - 16);
	}
	put(w, arena + 2160, arena); /* next: itself */
	r = find(w);
	assert_root(&r, arena - 8);
	assert_no_root(&r, arena);
	assert_no_root(&r, bins);
	assert_no_root(&r, arena + 2192);
	assert_root(&r, arena + 2200);
	roots_free(&r);
	end_world(w);
}

/* A struct pthread at `tcb`, of a stack that begins at `start`, guard and all. */
static void put_thread(struct world *w, uint64_t tcb, uint64_t start, uint64_t end)
{
	put(w, tcb, tcb);
	put(w, tcb + 16, tcb);
	put(w, tcb + 0x690, start);
	put(w, tcb + 0x698, end - start);
}

static void test_stacks(void **state)
{
	struct world *w = world("10000-18000 rw-p 00000000 00:00 0 [heap]\n"
				"100000-101000 ---p 00000000 00:00 0 \n"
				"101000-111000 rw-p 00000000 00:00 0 \n"
				"111000-112000 ---p 00000000 00:00 0 \n"
				"112000-122000 rw-p 00000000 00:00 0 \n"
				"122000-123000 ---p 00000000 00:00 0 \n"
				"123000-133000 rw-p 00000000 00:00 0 \n"
				"200000-210000 rw-p 00000000 00:00 0 [stack]\n");
	struct roots r;

	(void)state;
	add_block(w, 0x10010, 24);
	add_block(w, 0x11000, 0x1000);
	put_thread(w, 0x1106c0, 0x100000, 0x111000);
	put_thread(w, 0x1216c0, 0x111000, 0x122000);
	put_thread(w, 0x1326c0, 0x122000, 0x133000);
	/* The first runs; the second is over; the third sleeps in the kernel; the fourth runs
	 * on a stack in a block, and is the main thread. */
	w->threads[0].stack = 0x10f000;
	w->threads[0].tls = 0x1106c0;
	w->threads[1].asleep = true;
	w->threads[1].stack = 0x12f000;
	w->threads[2].stack = 0x11800;
	w->threads[2].tls = 0x13000;
	w->thread_count = 3;
	r = find(w);
	assert_no_root(&r, 0x101000);
	assert_no_root(&r, 0x10f000 - 136);
	assert_root(&r, 0x10f000 - 128);
	assert_root(&r, 0x110ff8);
	assert_no_root(&r, 0x112000);
	assert_no_root(&r, 0x1216b8);
	assert_root(&r, 0x1216c0); /* what pthread_join would return */
	assert_root(&r, 0x123000);
	assert_root(&r, 0x132ff8);
	assert_no_root(&r, 0x11000);
	assert_root(&r, 0x11800 - 128);
	assert_root(&r, 0x11ff8);
	assert_no_root(&r, 0x12000);
	/* Its own stack is full of what waits. */
	assert_root(&r, 0x200000);
	roots_free(&r);
	w->threads[2].stack = 0x20f000;
	r = find(w);
	assert_no_root(&r, 0x20f000 - 136);
	assert_root(&r, 0x20f000 - 128);
	assert_no_root(&r, 0x11800);
	roots_free(&r);
	end_world(w);
}

/* Two stacks without a guard between them are one mapping. */
static void test_stacks_side_by_side(void **state)
{
	struct world *w = world("100000-120000 rw-p 00000000 00:00 0 \n");
	struct roots r;

	(void)state;
	put_thread(w, 0x10f6c0, 0x100000, 0x110000);
	put_thread(w, 0x11f6c0, 0x110000, 0x120000);
	w->threads[0].stack = 0x10e000;
	w->threads[0].tls = 0x10f6c0;
	w->threads[1].stack = 0x11e000;
	w->threads[1].tls = 0x11f6c0;
	w->thread_count = 2;
	r = find(w);
	assert_no_root(&r, 0x10d000);
	assert_root(&r, 0x10e000);
	assert_root(&r, 0x10fff8);
	assert_no_root(&r, 0x110000);
	assert_root(&r, 0x11e000);
	roots_free(&r);
	end_world(w);
}

static void test_library(void **state)
{
	struct world *w = world("10000-11000 r-xp 00000000 fe:00 1 /x/libperfhook.so\n"
				"11000-12000 r--p 00000000 fe:00 1 /x/libperfhook.so\n"
				"12000-13000 rw-p 00000000 fe:00 1 /x/libperfhook.so\n"
				"13000-20000 rw-p 00000000 00:00 0 \n");
	struct roots r;

	(void)state;
	w->own_end = 0x16800;
	spans_add(&w->held, 0x15000, 0x15100);
	spans_add(&w->held, 0x14000, 0x14100);
	spans_settle(&w->held);
	r = find(w);
	assert_no_root(&r, 0x12000);
	assert_no_root(&r, 0x13ff8);
	assert_root(&r, 0x14000);
	assert_root(&r, 0x140f8);
	assert_no_root(&r, 0x14100);
	assert_root(&r, 0x15000);
	assert_no_root(&r, 0x15100);
	assert_no_root(&r, 0x167f8);
	/* What the kernel put behind it. */
	assert_root(&r, 0x16800);
	roots_free(&r);
	end_world(w);
}

/* The loader's list leads through what no event says: that is searched, and its recorded
 * blocks are blocks. */
static void test_modules(void **state)
{
	const uint64_t unrecorded = 0x20010, recorded = 0x21010;
	struct world *w = world("10000-11000 r--p 00000000 fe:00 1 /app\n"
				"11000-12000 rw-p 00001000 fe:00 1 /app\n"
				"20000-28000 rw-p 00000000 00:00 0 [heap]\n"
				"30000-31000 rw-p 00000000 fe:00 2 /ld.so\n");
	struct roots r;

	(void)state;
	w->headers = 0x10040;
	put(w, 0x10040, 6); /* PT_PHDR */
	put(w, 0x10050, 0x40);
	put(w, 0x10078, 2); /* PT_DYNAMIC */
	put(w, 0x10088, 0x1100);
	put(w, 0x11100, 21); /* DT_DEBUG */
	put(w, 0x11108, 0x30100);
	put(w, unrecorded - 8, 0x490 | 1);
	put(w, unrecorded + 24, recorded);
	put(w, recorded - 8, 0x490 | 1);
	put(w, recorded + 24, unrecorded); /* round and round, in a hostile process */
	put(w, 0x30108, 0x30800);
	put(w, 0x30818, unrecorded);
	add_block(w, recorded, 0x480);
	w->header_count = 2;
	r = find(w);
	assert_root(&r, unrecorded);
	assert_root(&r, unrecorded + 0x478);
	assert_no_root(&r, unrecorded + 0x480);
	assert_no_root(&r, recorded);
	roots_free(&r);
	w->header_count = 0;
	r = find(w);
	assert_no_root(&r, unrecorded);
	roots_free(&r);
	end_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_memory_of_copies),
		cmocka_unit_test(test_memory_of_process),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_further_heaps),
		cmocka_unit_test(test_mapped_chunks),
		cmocka_unit_test(test_foreign_blocks),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_stacks_side_by_side),
		cmocka_unit_test(test_library),
		cmocka_unit_test(test_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
