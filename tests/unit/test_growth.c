/* SPDX-License-Identifier: MIT */
/* What grows and what only looks like it, from runs made by hand; and the trends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka has a macro of the name of our fail(). */
#include "analyzer/growth.h"
#include "analyzer/run.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/one_run.h"

enum {
	RUN_MS = 2000, /* of each run; a request a millisecond */
	PC = 0xa,      /* of the stack in question */
};

static uint32_t node, other;
static uint64_t address, step_ns; /* how far apart the requests are */

static void begin_requests(uint64_t ms)
{
	make_trace_begin(&t);
	node = make_node(&t, 0, PC);
	other = make_node(&t, 0, PC + 1);
	address = 0x10000;
	step_ns = ms * MS;
}

/* All that a request does beside: temporary blocks of another stack. */
static void serve(uint64_t at)
{
	for (uint64_t i = 0; i < 4; i++) {
		make_memory(&t, 1, at * step_ns, PH_OP_malloc, 0x1000, 10, other);
		make_memory(&t, 1, at * step_ns, PH_OP_free, 0x1000, 0, 0);
	}
}

static uint64_t make_block(uint64_t at, uint64_t size)
{
	address += 64;
	make_memory(&t, 1, at * step_ns, PH_OP_malloc, address, size, node);
	return address;
}

static void drop(uint64_t at, uint64_t block)
{
	if (block != 0)
		make_memory(&t, 1, at * step_ns, PH_OP_free, block, 0, 0);
}

static uint64_t grow(uint64_t at, uint64_t block, uint64_t size)
{
	address += 1 << 20;
	make_memory(&t, 1, at * step_ns, PH_OP_REALLOC_BEGIN, block, 0, 0);
	make_memory(&t, 1, at * step_ns, PH_OP_realloc, address, size, node);
	return address;
}

static unsigned scatter(unsigned i)
{
	i = (i ^ 61) ^ (i >> 16);
	i *= 9;
	i ^= i >> 4;
	i *= 0x27d4eb2d;
	return i ^ (i >> 15);
}

static struct growth measured(void)
{
	struct growth found = {.measured = false};

	load_made("growth");
	for (size_t i = 0; i < run.site_count; i++)
		if (run.addresses[run.nodes[run.sites[i].node].address].pc == PC)
			found = run.sites[i].growth;
	make_trace_free(&t);
	run_free(&run);
	return found;
}

/* Each way to use a heap: what its stack does at request i. */

static void leak_always(unsigned i)
{
	make_block(i, 100);
}

static void leak_one_in_200(unsigned i)
{
	uint64_t block = make_block(i, 100);

	if (i % 200 != 77)
		drop(i, block);
}

static void leak_by_stairs(unsigned i)
{
	for (int k = 0; i % 100 == 50 && k < 30; k++)
		make_block(i, 100);
}

static void leak_in_bursts(unsigned i)
{
	uint64_t block = make_block(i, 100);

	if (i % 500 >= 40)
		drop(i, block);
}

static void append(unsigned i)
{
	static uint64_t text, length;

	if (i == 0)
		text = make_block(i, length = 64);
	if (i % 20 == 0)
		text = grow(i, text, length += 512);
}

/* A cache that is full soon, and one that replaces by chance. */
static void fill(unsigned i)
{
	if (i < RUN_MS * 3 / 10)
		make_block(i, 100);
}

static void replace_by_chance(unsigned i)
{
	static uint64_t slots[100];
	uint64_t *slot = &slots[scatter(i) % 100];

	if (i == 0)
		memset(slots, 0, sizeof(slots));
	drop(i, *slot);
	*slot = make_block(i, 100 + scatter(i) % 50);
}

/* Ever rarer misses. */
static void warm_up(unsigned i)
{
	static bool known[250];
	bool *at = &known[scatter(i) % 250];

	if (i == 0)
		memset(known, 0, sizeof(known));
	if (!*at)
		make_block(i, 700);
	*at = true;
}

static void start_up_only(unsigned i)
{
	for (int k = 0; i == 0 && k < 500; k++)
		make_block(i, 1000);
}

static void one_burst(unsigned i)
{
	if (i >= 1000 && i < 1040)
		make_block(i, 100);
}

static void flush(unsigned i)
{
	static uint64_t blocks[300];

	blocks[i % 300] = make_block(i, 64);
	for (unsigned k = 0; i % 300 == 299 && k < 300; k++)
		drop(i, blocks[k]);
}

static void double_up(unsigned i)
{
	static uint64_t table, room;

	if (i == 0)
		table = make_block(i, room = 16);
	if (i >= room)
		table = grow(i, table, room *= 2);
}

static void replace_in_turn(unsigned i)
{
	static uint64_t ring[64];

	if (i < 64)
		ring[i] = 0;
	drop(i, ring[i % 64]);
	ring[i % 64] = make_block(i, 200);
}

static const struct way {
	const char *name;
	void (*serve)(unsigned i);
	enum growth_form with_time, without; /* NONE: no growth */
} ways[] = {
	{"leak, always", leak_always, GROWTH_EVEN, GROWTH_EVEN},
	{"leak, one in 200", leak_one_in_200, GROWTH_EVEN, GROWTH_EVEN},
	{"leak, by stairs", leak_by_stairs, GROWTH_EVEN, GROWTH_EVEN},
	{"leak, in bursts", leak_in_bursts, GROWTH_EVEN, GROWTH_STEADY},
	{"append", append, GROWTH_EVEN, GROWTH_EVEN},
	{"fill", fill, GROWTH_NONE, GROWTH_NONE},
	{"replace by chance", replace_by_chance, GROWTH_NONE, GROWTH_NONE},
	{"warm up", warm_up, GROWTH_NONE, GROWTH_NONE},
	{"start-up only", start_up_only, GROWTH_NONE, GROWTH_NONE},
	{"one burst", one_burst, GROWTH_NONE, GROWTH_NONE},
	{"flush", flush, GROWTH_NONE, GROWTH_NONE},
	{"double", double_up, GROWTH_NONE, GROWTH_NONE},
	{"replace in turn", replace_in_turn, GROWTH_NONE, GROWTH_NONE},
};

static struct growth grown(const struct way *w, uint64_t ms)
{
	begin_requests(ms);
	for (unsigned i = 0; i < RUN_MS; i++) {
		w->serve(i);
		serve(i);
	}
	return measured();
}

static void check_form(const struct way *w, const struct growth *g, enum growth_form form)
{
	if (!g->measured || g->form != form)
		fail_msg("%s: form %d, not %d; %u steps, %u quarters, late %g, last %g", w->name,
			 (int)g->form, (int)form, g->steps, g->quarters, g->late_share,
			 g->last_step);
}

static void test_with_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct growth g = grown(&ways[i], 1);

		check_form(&ways[i], &g, ways[i].with_time);
		assert_int_equal(g.axis, GROWTH_BY_TIME);
		assert_true(fabs(g.amount - RUN_MS / 1e3) < 0.01);
	}
}

/* All within one stamp of the clock. */
static void test_without_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct growth g = grown(&ways[i], 0);

		check_form(&ways[i], &g, ways[i].without);
		assert_int_equal(g.axis, GROWTH_BY_ALLOCATIONS);
		assert_true(isnan(g.slope_bytes_per_hour));
	}
}

static void test_slope(void **state)
{
	struct growth g = grown(&ways[0], 1); /* 100 bytes a millisecond */

	(void)state;
	assert_true(fabs(g.slope_bytes_per_hour / (100.0 * 1000 * 3600) - 1) < 0.02);
	assert_true(g.confidence > 0.999);
	assert_true(isnan(g.bytes_per_request));
	assert_int_equal(g.early_blocks + g.grown_blocks, RUN_MS);
	assert_int_equal(g.young_blocks, 0);
	g = grown(&ways[1], 1); /* 100 bytes in 200 ms */
	assert_true(fabs(g.slope_bytes_per_hour / (0.5 * 1000 * 3600) - 1) < 0.2);
	assert_int_equal(g.grown_bytes, 100 * g.grown_blocks);
	g = grown(&ways[8], 1);
	assert_true(fabs(g.slope_bytes_per_hour) < 1);
	assert_int_equal(g.early_blocks, 500);
	assert_int_equal(g.grown_blocks, 0);
}

static void test_lives(void **state)
{
	struct growth g = grown(&ways[12], 1); /* each lives for 64 ms and 320 allocations */

	(void)state;
	assert_int_equal(g.typical_age, 512);
	assert_true(fabs(g.typical_s - 65.536e-3) < 1e-6);
	assert_int_equal(g.young_blocks, 64);
	assert_int_equal(g.frees, RUN_MS - 64);
}

/* A block that is the only one of a process. */
static void test_one_block(void **state)
{
	struct growth g;

	(void)state;
	begin_requests(1);
	make_block(5, 10);
	g = measured();
	assert_true(g.measured);
	assert_int_equal(g.form, GROWTH_NONE);
	assert_int_equal(g.stacks_left, 1);
}

/* A run of 40 ms with nearly nothing but one stack's blocks, made from 16 ms on. */
static struct growth alone(unsigned ms)
{
	begin_requests(1);
	serve(0);
	for (unsigned i = 0; i < 400; i++)
		make_block(16 + i * ms / 400, 700);
	serve(40);
	return measured();
}

static void test_alone(void **state)
{
	struct growth g = alone(1);

	(void)state;
	assert_int_equal(g.axis, GROWTH_BY_ALLOCATIONS);
	assert_int_equal(g.form, GROWTH_NONE);
	assert_int_equal(g.early_blocks, 400);
	g = alone(24);
	assert_int_equal(g.form, GROWTH_EVEN);
}

static void test_trends(void **state)
{
	const double x[] = {0, 1, 2, 3, 4, 5, 6, 7};
	const double line[] = {1, 3, 5, 7, 9, 11, 13, 15};
	const double outlier[] = {1, 3, 5, 700, 9, 11, 13, 15};
	const double flat[] = {4, 4, 4, 4, 4, 4, 4, 4};
	const double saw[] = {1, 5, 9, 1, 5, 9, 1, 5};
	const double down[] = {8, 7, 6, 5, 4, 3, 2, 1};

	(void)state;
	assert_true(fabs(trend_slope(x, line, 8) - 2) < 1e-9);
	assert_true(fabs(trend_slope(x, outlier, 8) - 2) < 1e-9);
	assert_true(fabs(trend_slope(x, flat, 8)) < 1e-9);
	assert_true(isnan(trend_slope(x, line, 1)));
	/* Mann-Kendall of 8 that all ascend: S = 28, sd = sqrt(65.33), z = 3.34. */
	assert_true(fabs(trend_confidence(line, 8) - 0.99958) < 1e-4);
	assert_true(trend_confidence(outlier, 8) > 0.95);
	assert_true(trend_confidence(flat, 8) <= 0);
	assert_true(trend_confidence(saw, 8) < 0.7);
	assert_true(trend_confidence(down, 8) <= 0);
	assert_true(trend_confidence(line, 0) <= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_time), cmocka_unit_test(test_without_time),
		cmocka_unit_test(test_slope),	  cmocka_unit_test(test_lives),
		cmocka_unit_test(test_one_block), cmocka_unit_test(test_alone),
		cmocka_unit_test(test_trends),
	};

	return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
