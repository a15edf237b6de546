/* SPDX-License-Identifier: MIT */
/* Sums over stacks, and the heap's other views, of runs that are made up. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/heap_views.h"
#include "analyzer/report.h"

#include <cmocka.h>

/* Two modules that no file has: their functions have no names. */
static struct module modules[] = {
	{.path = "/nowhere/app", .build_id = "", .base = 0x1000},
	{.path = "/nowhere/libone.so", .build_id = "", .base = 0x2000},
};
static struct address addresses[] = {{0x1010, 0}, {0x1020, 0}, {0x2010, 1}};

/* app; app > app; app > app > libone; app > app > libone > app */
static struct node nodes[] = {{0, 0}, {0, 0}, {1, 1}, {2, 2}, {3, 0}};

static struct site sites[] = {
	{.node = 2, .allocations = 1, .allocated_bytes = 1, .peak_bytes = 1, .peak_blocks = 1},
	{.node = 3, .allocations = 2, .allocated_bytes = 10, .live_bytes = 5, .live_blocks = 1},
	{.node = 4, .allocations = 4, .allocated_bytes = 100, .peak_bytes = 7, .peak_blocks = 1},
	{.node = 0, .allocations = 8, .allocated_bytes = 1000, .temporary = 8},
};
static struct thread threads[] = {
	{.tid = 7, .name = "one", .allocated_bytes = 100, .live_bytes = 5, .reading_s = 0.5},
	{.tid = 8, .name = "one", .allocated_bytes = 1011, .network_s = 0.25},
	{.tid = 9, .name = "idle"},
};

static struct run make_run(void)
{
	return (struct run){
		.sites = sites,
		.site_count = 4,
		.threads = threads,
		.thread_count = 3,
		.modules = modules,
		.module_count = 2,
		.addresses = addresses,
		.address_count = 3,
		.nodes = nodes,
		.node_count = 5,
		.executable = "/nowhere/app",
		.end = "exit",
		.trace_path = "/nowhere/trace",
		.heap = {.allocated_bytes = 1111, .peak_bytes = 8, .live_bytes = 5},
	};
}

struct summed {
	struct run run;
	struct symbols *symbols;
	struct report report;
};

static const struct top *sum_up(struct summed *s, enum top_by by, const struct cost *cost)
{
	const struct symbols_options options = {.sysroot_count = 0};
	struct error e = {0};

	s->run = make_run();
	s->symbols = symbols_open(&options);
	if (report_open(&s->report, &s->run, s->symbols, 100, &e) != 0 ||
	    report_sum_up(&s->report, by, cost, false, &e) != 0)
		fail_msg("%s", e.text);
	return s->report.by;
}

static void drop(struct summed *s)
{
	report_close(&s->report);
	symbols_close(s->symbols);
}

static const struct top_row *row(const struct top *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->rows[i].name, name) == 0)
			return &t->rows[i];
	fail_msg("no row %s", name);
	return NULL;
}

/* A stack in which a module stands three times has its cost once. */
static void test_modules(void **state)
{
	struct summed s;
	const struct top *t = sum_up(&s, TOP_MODULE, &costs[COST_ALLOCATED]);

	(void)state;
	assert_int_equal(t->count, 3);
	assert_string_equal(t->rows[0].name, "(no stack)");
	assert_int_equal(t->rows[0].self[COST_ALLOCATED], 1000);
	assert_int_equal(row(t, "/nowhere/app")->self[COST_ALLOCATED], 101);
	assert_int_equal(row(t, "/nowhere/app")->total[COST_ALLOCATED], 111);
	assert_int_equal(row(t, "/nowhere/libone.so")->self[COST_ALLOCATED], 10);
	assert_int_equal(row(t, "/nowhere/libone.so")->total[COST_ALLOCATED], 110);
	assert_int_equal(row(t, "/nowhere/libone.so")->total[COST_PEAK], 7);
	assert_int_equal(row(t, "/nowhere/libone.so")->self[COST_LEAKED], 5);
	assert_int_equal(t->sums[COST_ALLOCATED], 1111);
	drop(&s);
}

/* What has no name goes by its module; rows that cost nothing are none. */
static void test_functions(void **state)
{
	struct summed s;
	const struct top *t = sum_up(&s, TOP_FUNCTION, NULL);

	(void)state;
	assert_ptr_equal(t->cost, &costs[COST_PEAK]);
	assert_int_equal(t->count, 2);
	assert_string_equal(t->rows[0].name, "[app]");
	assert_int_equal(t->rows[0].self[COST_PEAK], 8);
	assert_string_equal(t->rows[1].name, "[libone.so]");
	assert_int_equal(t->rows[1].self[COST_PEAK], 0);
	assert_int_equal(t->rows[1].total[COST_PEAK], 7);
	drop(&s);
}

static void test_stacks(void **state)
{
	struct summed s;
	const struct top *t = sum_up(&s, TOP_STACK, &costs[COST_TEMPORARY]);

	(void)state;
	assert_int_equal(t->count, 1);
	assert_int_equal(t->rows[0].node, 0);
	assert_int_equal(t->rows[0].self[COST_TEMPORARY], 8);
	drop(&s);
}

static void test_threads(void **state)
{
	struct summed s;
	const struct top *t = sum_up(&s, TOP_THREAD, NULL);

	(void)state;
	assert_ptr_equal(t->cost, &costs[COST_ALLOCATED]);
	assert_int_equal(t->count, 2); /* of one name: two all the same */
	assert_int_equal(t->rows[0].tid, 8);
	assert_int_equal(t->rows[0].self[COST_TIME], 250000000);
	assert_int_equal(t->rows[1].self[COST_LEAKED], 5);
	assert_true(t->rows[0].self[COST_PEAK] == TOP_UNKNOWN);
	drop(&s);
}

static void test_refusals(void **state)
{
	const struct symbols_options options = {.sysroot_count = 0};
	struct symbols *symbols = symbols_open(&options);
	struct run run = make_run();
	struct report r;
	struct error e = {0};

	(void)state;
	run.off = RUN_OFF_MEMORY;
	assert_int_equal(report_open(&r, &run, symbols, 10, &e), 0);
	assert_int_equal(report_sum_up(&r, TOP_THREAD, &costs[COST_PEAK], false, &e), -1);
	assert_non_null(strstr(e.text, "not kept by thread"));
	e = (struct error){0};
	assert_int_equal(report_sum_up(&r, TOP_FILE, &costs[COST_PEAK], false, &e), -1);
	assert_non_null(strstr(e.text, "not recorded"));
	report_close(&r);
	symbols_close(symbols);
	assert_int_equal(top_by_name("file"), TOP_FILE);
	assert_int_equal(top_by_name("files"), TOP_NONE);
}

/* ---- the heap's views ------------------------------------------------------------- */

static void test_resident(void **state)
{
	struct memory_sample samples[300] = {{.at_s = 0}};
	const struct memory_sample *thin[100];
	struct run run = {.samples = samples, .sample_count = 300, .heap = {.peak_at_s = 12.4}};
	struct resident r;
	size_t count;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		samples[i] = (struct memory_sample){
			.at_s = (double)i, .anonymous = 1000, .rss_most = i, .live_bytes = 500};
	samples[200].anonymous = 4000;
	r = heap_resident(&run);
	assert_ptr_equal(r.most, &samples[200]);
	assert_ptr_equal(r.peak, &samples[12]);
	samples[13].live_bytes = samples[12].live_bytes + 1;
	assert_ptr_equal(heap_resident(&run).peak, &samples[13]);
	run.heap.peak_bytes = 1003; /* nobody saw half of it */
	assert_ptr_equal(heap_resident(&run).peak, &samples[13]);
	run.heap.peak_bytes = 1004;
	assert_null(heap_resident(&run).peak);
	assert_ptr_equal(r.last, &samples[299]);
	assert_int_equal(r.most_rss, 299);
	assert_true(heap_asked_percent(&run, r.most) == 12.5);
	count = heap_thin_samples(&run, thin, 100);
	assert_int_equal(count, 100);
	assert_ptr_equal(thin[66], &samples[200]); /* the most of its part */
	run.sample_count = 0;
	assert_null(heap_resident(&run).last);
	assert_int_equal(heap_thin_samples(&run, thin, 100), 0);
	assert_true(isnan(heap_asked_percent(&run, NULL)));
	run.off = RUN_OFF_MEMORY;
	assert_true(isnan(heap_asked_percent(&run, r.most)));
}

static void test_lives(void **state)
{
	static const struct spread one = {.lifetimes = {1, 2}, .ages = {3}};
	static const struct spread two = {.lifetimes = {4, 0, 5}, .ages = {0, 9}};
	struct site of[] = {{.spread = &one}, {.spread = &two}, {.spread = NULL}};
	const struct run run = {.sites = of, .site_count = 3};
	const struct lives lives = heap_lives(&run);

	(void)state;
	assert_int_equal(lives.blocks, 12);
	assert_int_equal(lives.by_us[0], 5);
	assert_int_equal(lives.by_us[2], 5);
	assert_int_equal(lives.by_age[1], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modules),	 cmocka_unit_test(test_functions),
		cmocka_unit_test(test_stacks),	 cmocka_unit_test(test_threads),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_resident),
		cmocka_unit_test(test_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
