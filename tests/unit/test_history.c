/* SPDX-License-Identifier: MIT */
/* Stacks' histories, from traces made by hand: bounded, and true at every period's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka has a macro of the name of our fail(). */
#include "analyzer/history.h"
#include "analyzer/tree.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/one_run.h"

static void alloc(uint64_t stamp, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, 1, stamp, PH_OP_malloc, address, size, node);
}

static void release(uint64_t stamp, uint64_t address)
{
	make_memory(&t, 1, stamp, PH_OP_free, address, 0, 0);
}

static const struct site *site(const struct run *r, uint64_t pc)
{
	for (size_t i = 0; i < r->site_count; i++)
		if (r->addresses[r->nodes[r->sites[i].node].address].pc == pc)
			return &r->sites[i];
	fail_msg("no site at %#lx", (unsigned long)pc);
	return NULL;
}

static uint64_t sum_of(const uint32_t *counts, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += counts[i];
	return sum;
}

/* At each period's end the sites' levels add up to the whole's. */
static void check_sums(const struct run *r)
{
	for (uint32_t i = 0; i < r->period_count; i++) {
		struct history_level sum = {0};

		for (size_t k = 0; k < r->site_count; k++) {
			struct history_level l = history_at(&r->sites[k], i);

			sum.live_bytes += l.live_bytes;
			sum.live_blocks += l.live_blocks;
			sum.allocated_bytes += l.allocated_bytes;
			sum.allocations += l.allocations;
		}
		assert_int_equal(sum.live_bytes, r->periods[i].live_bytes);
		assert_int_equal(sum.live_blocks, r->periods[i].live_blocks);
		assert_int_equal(sum.allocated_bytes, r->periods[i].allocated_bytes);
		assert_int_equal(sum.allocations, r->periods[i].allocations);
		assert_true(r->periods[i].until_s >= r->periods[i].from_s);
	}
}

/* Of every three blocks one is kept. */
static void test_long_run(void **state)
{
	enum { BLOCKS = 3000 };
	uint32_t a = make_node(&t, 0, 0xa);
	const struct site *s;
	uint64_t kept = 0;

	(void)state;
	for (uint64_t i = 0; i < BLOCKS; i++) {
		alloc(i * MS, 0x1000 + 16 * i, 10, a);
		if (i % 3 != 0)
			release(i * MS + MS / 2, 0x1000 + 16 * i);
	}
	load_made("long");
	s = site(&run, 0xa);
	check_sums(&run);
	assert_in_range(run.period_count, 32, PERIODS_MAX);
	assert_int_equal(s->history_count, run.period_count);
	for (size_t i = 0; i < s->history_count; i++) {
		const struct history_point *p = &s->history[i];
		double width_s = run.periods[i].until_s - run.periods[i].from_s;

		kept += p->kept_blocks;
		assert_int_equal(p->kept_bytes, 10 * p->kept_blocks);
		/* Kept as it was allocated, all of it: nothing else lives at a period's end
		 * but the block at hand. */
		assert_true(p->live_blocks - kept <= 1);
		assert_true(fabs((double)p->kept_blocks - width_s * 1000 / 3) < 2);
		assert_true(width_s < run.duration_s / 31);
	}
	assert_int_equal(kept, BLOCKS / 3);
	/* Half a millisecond each, and one allocation. */
	assert_int_equal(s->spread->lifetimes[8], BLOCKS / 3 * 2);
	assert_int_equal(s->spread->ages[0], BLOCKS / 3 * 2);
	assert_int_equal(s->spread->sizes[3], BLOCKS);
}

/* All at one stamp: then allocations tell. */
static void test_run_without_time(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);
	const struct site *early, *late;

	(void)state;
	for (uint64_t i = 0; i < 200; i++)
		alloc(MS, 0x1000 + 16 * i, 16, i < 100 ? a : b);
	load_made("instant");
	check_sums(&run);
	early = site(&run, 0xa);
	late = site(&run, 0xb);
	assert_in_range(run.period_count, 16, PERIODS_MAX);
	/* One period may have both. */
	assert_true(early->history[early->history_count - 1].period <= late->history[0].period);
	assert_in_range(early->history[0].period, 0, 1); /* nothing came before 1 ms */
	assert_int_equal(late->history[late->history_count - 1].period, run.period_count - 1);
	assert_in_range(early->history_count, 8, run.period_count - 8);
}

/* A stack that did something once has one point, however long it goes on elsewhere. */
static void test_sparse(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);
	struct history_level levels[4];
	const struct site *once;

	(void)state;
	for (uint64_t i = 0; i < 500; i++) {
		if (i == 250)
			alloc(i * MS, 0x900000, 77, a);
		alloc(i * MS, 0x1000, 1, b);
		release(i * MS + MS / 4, 0x1000);
	}
	load_made("sparse");
	once = site(&run, 0xa);
	assert_int_equal(once->history_count, 1);
	assert_int_equal(once->history[0].kept_blocks, 1);
	assert_int_equal(history_at(once, 0).live_bytes, 0);
	assert_int_equal(history_at(once, UINT32_MAX).live_bytes, 77);
	history_sample(&run, once, levels, 4);
	assert_int_equal(levels[0].live_bytes, 0);
	assert_int_equal(levels[2].live_bytes, 77);
	assert_int_equal(levels[3].live_bytes, 77);
}

static void test_lifetimes_and_reallocs(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);
	const struct site *s;

	(void)state;
	alloc(1 * MS, 0x1000, 5, a);
	alloc(2 * MS, 0x2000, 0, b);
	alloc(2 * MS, 0x3000, UINT64_MAX / 4, b);
	make_memory(&t, 1, 5 * MS, PH_OP_REALLOC_BEGIN, 0x1000, 0, 0);
	make_memory(&t, 1, 5 * MS, PH_OP_realloc, 0x5000, 9, a);
	release(13 * MS, 0x5000);
	load_made("lives");
	s = site(&run, 0xa);
	assert_int_equal(s->reallocated, 1);
	assert_int_equal(s->frees, 2);
	assert_int_equal(s->spread->lifetimes[11], 1); /* 4 ms: 2048 us and more */
	assert_int_equal(s->spread->lifetimes[12], 1); /* 8 ms */
	assert_int_equal(sum_of(s->spread->lifetimes, LIFETIMES), 2);
	assert_int_equal(sum_of(s->spread->ages, AGES), 2);
	assert_int_equal(site(&run, 0xb)->spread->sizes[0], 1);
	assert_int_equal(site(&run, 0xb)->spread->sizes[SIZE_CLASSES - 1], 1);
}

/* Stamps that say nothing sensible. */
static void test_hostile_stamps(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa);

	(void)state;
	for (uint64_t i = 0; i < 300; i++)
		alloc(i * i * i << 37, 0x1000 + 16 * i, 16, a);
	load_made("hostile");
	assert_in_range(run.period_count, 1, PERIODS_MAX);
	check_sums(&run);
	assert_int_equal(site(&run, 0xa)->live_blocks, 300);
}

/* Two processes one after the other, each with a block a millisecond. */
static void add_process(struct tree *tree, uint8_t id, uint64_t started_ms, const char *name)
{
	char text[512];
	struct error e = {0};
	struct run part;
	uint32_t a;

	make_trace_begin(&t);
	memset(t.id, id, sizeof(t.id));
	snprintf(text, sizeof(text),
		 "{\"version\":\"%s\",\"pid\":%u,\"ppid\":1,\"executable\":\"/bin/p\","
		 "\"command\":[\"p\"],\"host\":\"h\",\"started_ns\":\"%llu\","
		 "\"started_ticks\":\"1000000000\",\"clock\":\"tsc\","
		 "\"ticks_per_s\":\"1000000000\",\"depth\":256}",
		 PERFHOOK_VERSION, id, 1700000000000000000ull + started_ms * MS);
	t.run = text;
	a = make_node(&t, 0, 0xa);
	for (uint64_t i = 0; i < 1000; i++)
		alloc(i * MS, 0x1000 + 16 * i, 10, a);
	make_trace_write(&t, make_path(name));
	assert_int_equal(
		run_load(&part, make_path(name), &(struct run_options){.for_tree = true}, &e), 0);
	assert_int_equal(tree_add(tree, &part, &e), 0);
	make_trace_free(&t);
}

static void test_tree(void **state)
{
	struct history_level levels[4];
	struct error e = {0};
	struct tree tree;
	const struct site *s;
	uint64_t kept = 0;

	(void)state;
	make_trace_free(&t);
	assert_int_equal(tree_begin(&tree, &e), 0);
	add_process(&tree, 1, 0, "first");
	add_process(&tree, 2, 1000, "second");
	assert_int_equal(tree_finish(&tree, &(struct run_options){.for_tree = false}, &e), 0);
	s = site(&tree.run, 0xa);
	check_sums(&tree.run);
	history_sample(&tree.run, s, levels, 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_in_range(levels[i].live_blocks, 500 * (i + 1) - 64, 500 * (i + 1) + 64);
	for (size_t i = 0; i < s->history_count; i++)
		kept += s->history[i].kept_blocks;
	assert_int_equal(kept, 2000);
	assert_int_equal(sum_of(s->spread->sizes, SIZE_CLASSES), 2000);
	tree_free(&tree);
	make_trace_begin(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_long_run, begin, end),
		cmocka_unit_test_setup_teardown(test_run_without_time, begin, end),
		cmocka_unit_test_setup_teardown(test_sparse, begin, end),
		cmocka_unit_test_setup_teardown(test_lifetimes_and_reallocs, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile_stamps, begin, end),
		cmocka_unit_test_setup_teardown(test_tree, begin, end),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
