/* SPDX-License-Identifier: MIT */
/* Which blocks can be reached, over memory that is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/reach.h"
#include "analyzer/reach_sums.h"

#include <cmocka.h>

#include "tests/unit/random.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* ---- a made-up process -------------------------------------------------------- */

#define HEAP  UINT64_C(0x555500000000)
#define CODE  UINT64_C(0x400000)
#define TABLE UINT64_C(0x500000) /* two functions, a null among them */
#define DATA  UINT64_C(0x500100) /* of a file, and no table */
#define END   UINT64_C(0)

struct source {
	uint64_t at;	   /* 0: the roots */
	uint64_t words[6]; /* END ends them */
};

/* Words of blocks, for whoever asks: struct source list. */
struct world {
	const struct source *sources;
	size_t count;
};

static bool read_word(void *context, uint64_t address, uint64_t *out)
{
	const struct world *w = context;

	if (address >= TABLE && address < TABLE + 24) {
		*out = address == TABLE + 8 ? 0 : CODE + address % 64;
		return true;
	}
	if (address >= DATA && address < DATA + 160) {
		*out = 7;
		return true;
	}
	for (size_t i = 0; i < w->count; i++) {
		uint64_t at = w->sources[i].at;

		if (at != 0 && address >= at && address < at + sizeof(w->sources[i].words)) {
			*out = w->sources[i].words[(address - at) / 8];
			return true;
		}
	}
	return false;
}

static bool file_at(void *context, uint64_t address, bool *code)
{
	(void)context;
	*code = address >= CODE && address < CODE + 4096;
	return *code || (address >= TABLE && address < TABLE + 4096);
}

static size_t words_of(const struct source *h)
{
	size_t n = 0;

	while (n < COUNT(h->words) && h->words[n] != END)
		n++;
	return n;
}

/* Holders stand in the order of the blocks, the roots first. */
static void judge(struct reach_block *blocks, size_t count, const struct source *sources,
		  size_t source_count)
{
	struct world w = {sources, source_count};
	const struct reach_memory memory = {read_word, file_at, &w};
	struct reach_graph *r = reach_begin(blocks, count, &memory);

	assert_non_null(r);
	for (size_t i = 0; i < source_count; i++) {
		const struct source *h = &sources[i];
		struct reach_block *b = h->at != 0 ? reach_find(r, h->at) : NULL;

		assert_true(h->at == 0 || b != NULL);
		reach_from(r, b != NULL ? (size_t)(b - blocks) : REACH_ROOTS);
		reach_words(r, h->words, words_of(h));
	}
	assert_true(reach_judge(r));
	reach_free(r);
}

static void assert_class(const struct reach_block *blocks, size_t count, uint64_t address,
			 enum reach_class class)
{
	for (size_t i = 0; i < count; i++) {
		if (blocks[i].address != address)
			continue;
		if (blocks[i].class != class)
			fail_msg("%#lx is %s, not %s", (unsigned long)address,
				 reach_names[blocks[i].class].text, reach_names[class].text);
		return;
	}
	fail_msg("%#lx is no block", (unsigned long)address);
}

#define JUDGE(blocks, sources)		     judge(blocks, COUNT(blocks), sources, COUNT(sources))
#define ASSERT_CLASS(blocks, address, class) assert_class(blocks, COUNT(blocks), address, class)

/* ---- the classes ----------------------------------------------------------------- */

/* The nine ways of memcheck's manual, section 4.2.8: by starts and by midsts, over a
 * block and directly. */
static void test_nine_ways(void **state)
{
	enum { A = 0x1000, B = 0x2000 };
	static const struct {
		uint64_t root, inner; /* in A and in B; 0: no pointer */
		enum reach_class a, b;
	} ways[] = {
		{HEAP + A, HEAP + B, REACH_STILL, REACH_STILL},
		{0, HEAP + B, REACH_LOST, REACH_INDIRECT},
		{HEAP + A + 16, HEAP + B, REACH_POSSIBLE, REACH_POSSIBLE},
		{HEAP + A, HEAP + B + 16, REACH_STILL, REACH_POSSIBLE},
		{0, HEAP + B + 16, REACH_LOST, REACH_INDIRECT},
		{HEAP + A + 16, HEAP + B + 16, REACH_POSSIBLE, REACH_POSSIBLE},
		{HEAP + A, 0, REACH_STILL, REACH_LOST},
		{HEAP + A + 16, 0, REACH_POSSIBLE, REACH_LOST},
		{0, 0, REACH_LOST, REACH_LOST},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct reach_block blocks[] = {{.address = HEAP + A, .size = 48},
					       {.address = HEAP + B, .size = 48}};
		const struct source sources[] = {{0, {ways[i].root}}, {HEAP + A, {ways[i].inner}}};

		JUDGE(blocks, sources);
		ASSERT_CLASS(blocks, HEAP + A, ways[i].a);
		ASSERT_CLASS(blocks, HEAP + B, ways[i].b);
	}
}

/* Of two ways to a block the better one counts, whichever is found first. */
static void test_better_way_counts(void **state)
{
	struct reach_block blocks[] = {{.address = HEAP, .size = 48},
				       {.address = HEAP + 64, .size = 48},
				       {.address = HEAP + 128, .size = 48}};
	const struct source early[] = {
		{0, {HEAP + 16, HEAP}}, {HEAP, {HEAP + 64}}, {HEAP + 64, {HEAP + 128}}};
	const struct source late[] = {
		{0, {HEAP, HEAP + 16}}, {HEAP, {HEAP + 64}}, {HEAP + 64, {HEAP + 136, HEAP + 128}}};

	(void)state;
	JUDGE(blocks, early);
	ASSERT_CLASS(blocks, HEAP + 128, REACH_STILL);
	JUDGE(blocks, late);
	ASSERT_CLASS(blocks, HEAP, REACH_STILL);
	ASSERT_CLASS(blocks, HEAP + 128, REACH_STILL);
}

static void test_rings(void **state)
{
	struct reach_block blocks[] = {{.address = HEAP, .size = 32},
				       {.address = HEAP + 64, .size = 32},
				       {.address = HEAP + 128, .size = 32},
				       {.address = HEAP + 192, .size = 32},
				       {.address = HEAP + 256, .size = 32}};
	/* 0 <-> 64, 64 -> 128; 192 -> itself; nothing leads to either. */
	const struct source alone[] = {{0, {1}},
				       {HEAP, {HEAP + 64}},
				       {HEAP + 64, {HEAP, HEAP + 128}},
				       {HEAP + 192, {HEAP + 192}}};
	/* The last one leads to the ring's first: it alone is lost by itself. Where it
	 * leads to another of the ring, that one is taken already, as in memcheck. */
	const struct source led[] = {{0, {1}},
				     {HEAP, {HEAP + 64}},
				     {HEAP + 64, {HEAP, HEAP + 128}},
				     {HEAP + 192, {HEAP + 192}},
				     {HEAP + 256, {HEAP}}};
	const struct source beside[] = {{0, {1}},
					{HEAP, {HEAP + 64}},
					{HEAP + 64, {HEAP, HEAP + 128}},
					{HEAP + 256, {HEAP + 64}}};

	(void)state;
	JUDGE(blocks, alone);
	ASSERT_CLASS(blocks, HEAP, REACH_LOST);
	ASSERT_CLASS(blocks, HEAP + 64, REACH_INDIRECT);
	ASSERT_CLASS(blocks, HEAP + 128, REACH_INDIRECT);
	ASSERT_CLASS(blocks, HEAP + 192, REACH_LOST);
	JUDGE(blocks, led);
	ASSERT_CLASS(blocks, HEAP, REACH_INDIRECT);
	ASSERT_CLASS(blocks, HEAP + 64, REACH_INDIRECT);
	ASSERT_CLASS(blocks, HEAP + 256, REACH_LOST);
	JUDGE(blocks, beside);
	ASSERT_CLASS(blocks, HEAP, REACH_LOST);
	ASSERT_CLASS(blocks, HEAP + 64, REACH_INDIRECT);
	ASSERT_CLASS(blocks, HEAP + 256, REACH_LOST);
}

static void test_edges_of_blocks(void **state)
{
	struct reach_block blocks[] = {
		{.address = HEAP, .size = 32},	     /* by one past its end */
		{.address = HEAP + 64, .size = 31},  /* by its last byte */
		{.address = HEAP + 128, .size = 0},  /* by its start */
		{.address = HEAP + 192, .size = 0},  /* by the byte behind */
		{.address = HEAP + 256, .size = 1},  /* by its start */
		{.address = HEAP + 320, .size = 24}, /* by one before its start */
	};
	const struct source sources[] = {
		{0, {HEAP + 32, HEAP + 94, HEAP + 128, HEAP + 193, HEAP + 256, HEAP + 319}}};

	(void)state;
	JUDGE(blocks, sources);
	ASSERT_CLASS(blocks, HEAP, REACH_LOST);
	ASSERT_CLASS(blocks, HEAP + 64, REACH_POSSIBLE);
	ASSERT_CLASS(blocks, HEAP + 128, REACH_STILL);
	ASSERT_CLASS(blocks, HEAP + 192, REACH_LOST);
	ASSERT_CLASS(blocks, HEAP + 256, REACH_STILL);
	ASSERT_CLASS(blocks, HEAP + 320, REACH_LOST);
}

/* ---- pointers into blocks that are as good as to the start ------------------------- */

static void test_guesses(void **state)
{
	static const struct {
		const char *what;
		uint64_t size, pointer; /* into the block */
		uint64_t words[6];
		enum reach_class class;
	} blocks[] = {
		{"length64", 108, 8, {100}, REACH_STILL},
		{"length64, wrong", 108, 8, {99}, REACH_POSSIBLE},
		{"length64, elsewhere", 108, 16, {100}, REACH_POSSIBLE},
		{"newarray", 8 + 3 * 24, 8, {3}, REACH_STILL},
		{"newarray, of none", 8 + 3 * 24, 8, {0}, REACH_POSSIBLE},
		{"newarray, wrong", 8 + 3 * 24, 8, {5}, REACH_POSSIBLE},
		{"stdstring", 24 + 30 + 1, 24, {12, 30}, REACH_STILL},
		{"stdstring, full", 24 + 30 + 1, 24, {30, 30}, REACH_STILL},
		{"stdstring, too long", 24 + 30 + 1, 24, {31, 30}, REACH_POSSIBLE},
		{"stdstring, wrong", 24 + 30 + 1, 24, {12, 29}, REACH_POSSIBLE},
		{"second base", 64, 16, {TABLE, 1, TABLE}, REACH_STILL},
		{"second base, no table", 64, 16, {TABLE, 1, DATA}, REACH_POSSIBLE},
		{"no table", 64, 16, {DATA, 1, TABLE}, REACH_POSSIBLE},
		{"not at a word", 64, 20, {TABLE, 1, TABLE, TABLE}, REACH_POSSIBLE},
		{"too small", 8, 4, {TABLE}, REACH_POSSIBLE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(blocks); i++) {
		struct reach_block b = {.address = HEAP, .size = blocks[i].size};
		struct source sources[2] = {{0, {HEAP + blocks[i].pointer}}, {.at = HEAP}};

		memcpy(sources[1].words, blocks[i].words, sizeof(sources[1].words));
		judge(&b, 1, sources, 2);
		if (b.class != blocks[i].class)
			fail_msg("%s: %s", blocks[i].what, reach_names[b.class].text);
	}
}

/* ---- look-ups ------------------------------------------------------------------------- */

/* Against a look at each block. */
static void test_find(void **state)
{
	enum { BLOCKS = 2000, LOOKS = 200000 };
	static struct reach_block blocks[BLOCKS];
	const struct reach_memory none = {NULL, NULL, NULL};
	uint64_t at = HEAP;
	struct reach_graph *r;

	(void)state;
	for (size_t i = 0; i < BLOCKS; i++) {
		uint64_t size = next_random() % (i % 100 == 7 ? UINT64_C(50) << 20 : 300);

		blocks[i] = (struct reach_block){.address = at, .size = size, .site = (uint32_t)i};
		at += (size + 15 + next_random() % 64) & ~UINT64_C(15);
		at += i % 500 == 499 ? UINT64_C(1) << 32 : 0;
		at += size == 0 ? 16 : 0;
	}
	r = reach_begin(blocks, BLOCKS, &none);
	assert_non_null(r);
	for (size_t i = 0; i < LOOKS; i++) {
		const struct reach_block *b = &blocks[next_random() % BLOCKS], *found;
		uint64_t address = b->address + next_random() % (b->size + 100) - 20;
		const struct reach_block *wanted = NULL;

		for (const struct reach_block *n = b > blocks + 5 ? b - 5 : blocks;
		     n < b + 8 && n < blocks + BLOCKS; n++)
			if (address >= n->address &&
			    address - n->address < (n->size != 0 ? n->size : 1))
				wanted = n;
		found = reach_find(r, address);
		assert_ptr_equal(found, wanted);
	}
	reach_free(r);
}

/* Larger than memory is, or than there are addresses: a trace may say anything. */
static void test_hostile_sizes(void **state)
{
	struct reach_block blocks[] = {{.address = 0x1000, .size = UINT64_MAX},
				       {.address = 0x2000, .size = UINT64_C(1) << 45},
				       {.address = 0x3000, .size = 100},
				       {.address = UINT64_MAX - 8, .size = 100},
				       {.address = UINT64_MAX, .size = UINT64_MAX}};
	const struct source sources[] = {{0, {0x3000, UINT64_C(1) << 44, 0x2000, UINT64_MAX - 8}}};

	(void)state;
	JUDGE(blocks, sources);
	ASSERT_CLASS(blocks, 0x3000, REACH_STILL);
	ASSERT_CLASS(blocks, 0x2000, REACH_STILL);
	judge(NULL, 0, sources, 1);
}

/* ---- many blocks, against the definitions ----------------------------------------------- */

enum { MANY = 40 };

struct net {
	bool to[MANY + 1][MANY];    /* [MANY]: the roots */
	bool start[MANY + 1][MANY]; /* likewise, and to the start */
};

static void close_over(bool reaches[MANY + 1][MANY], bool with_roots)
{
	for (int k = 0; k < MANY; k++)
		for (int i = 0; i < MANY + with_roots; i++)
			for (int j = 0; reaches[i][k] && j < MANY; j++)
				reaches[i][j] |= reaches[k][j];
}

/* A lost block takes with it what it leads to, over blocks that were not taken before. */
static void take(const struct net *n, enum reach_class *classes, int leader, int from)
{
	for (int to = 0; to < MANY; to++) {
		if (!n->to[from][to] || to == leader || classes[to] != REACH_LOST)
			continue;
		classes[to] = REACH_INDIRECT;
		take(n, classes, leader, to);
	}
}

/* By closures: what starts reach from the roots, and what anything reaches from there. */
static void define(const struct net *n, enum reach_class classes[MANY])
{
	struct net any = *n, starts = *n;

	close_over(any.to, true);
	close_over(starts.start, true);
	for (int b = 0; b < MANY; b++)
		classes[b] = starts.start[MANY][b] ? REACH_STILL
			     : any.to[MANY][b]	   ? REACH_POSSIBLE
						   : REACH_LOST;
	for (int b = 0; b < MANY; b++)
		if (classes[b] == REACH_LOST)
			take(n, classes, b, b);
}

static void feed(struct reach_graph *r, const struct net *n, int from)
{
	for (int j = MANY; j-- > 0;) {
		uint64_t inner = HEAP + (uint64_t)j * 64 + 5, outer = HEAP + (uint64_t)j * 64;

		if (n->to[from][j] && (!n->start[from][j] || j % 2 == 0))
			reach_words(r, &inner, 1);
		if (n->start[from][j])
			reach_words(r, &outer, 1);
	}
}

static void test_definitions(void **state)
{
	const struct reach_memory none = {NULL, NULL, NULL};

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct reach_block blocks[MANY];
		enum reach_class wanted[MANY];
		struct net net = {0};
		struct reach_graph *r;

		for (int e = 0; e < round % 90; e++) {
			int from = (int)(next_random() % (MANY + 1)),
			    to = (int)(next_random() % MANY);

			if (from == MANY && next_random() % 4 != 0)
				continue;
			net.to[from][to] = true;
			net.start[from][to] |= next_random() % 2 == 0;
		}
		define(&net, wanted);
		for (int i = 0; i < MANY; i++)
			blocks[i] = (struct reach_block){.address = HEAP + (uint64_t)i * 64,
							 .size = 48};
		r = reach_begin(blocks, MANY, &none);
		assert_non_null(r);
		reach_from(r, REACH_ROOTS);
		feed(r, &net, MANY);
		for (int i = 0; i < MANY; i++) {
			if (i % 3 == 0 || memchr(net.to[i], 1, MANY) != NULL)
				reach_from(r, (size_t)i);
			feed(r, &net, i);
		}
		assert_true(reach_judge(r));
		for (int i = 0; i < MANY; i++)
			if (blocks[i].class != wanted[i])
				fail_msg("round %d, block %d: %s, not %s", round, i,
					 reach_names[blocks[i].class].text,
					 reach_names[wanted[i]].text);
		reach_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nine_ways),     cmocka_unit_test(test_better_way_counts),
		cmocka_unit_test(test_rings),	      cmocka_unit_test(test_edges_of_blocks),
		cmocka_unit_test(test_guesses),	      cmocka_unit_test(test_find),
		cmocka_unit_test(test_hostile_sizes), cmocka_unit_test(test_definitions),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
