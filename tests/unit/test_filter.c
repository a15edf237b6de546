/* SPDX-License-Identifier: MIT */
/* What filters count and what they leave out, from traces made by hand. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/pattern.h"
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"
#include "tests/unit/random.h"

static struct run_filter filter;
static const char *path;
static const char *patterns[4];

static int begin_modules(void **state)
{
	(void)state;
	make_trace_begin(&t);
	t.threads = "{\"stream\":1,\"tid\":101,\"name\":\"main\",\"nested_in\":0,\"started_ticks\":"
		    "\"0\",\"ended_ticks\":null},"
		    "{\"stream\":2,\"tid\":102,\"name\":\"worker-1\",\"nested_in\":0,"
		    "\"started_ticks\":\"0\",\"ended_ticks\":null},"
		    "{\"stream\":3,\"tid\":103,\"name\":\"worker-2\",\"nested_in\":0,"
		    "\"started_ticks\":\"0\",\"ended_ticks\":null}";
	t.modules = "{\"id\":1,\"path\":\"/bin/app\",\"build_id\":\"aa\",\"base\":\"0x10000\","
		    "\"loaded\":1,\"unloaded\":null,\"ranges\":[[\"0x10000\",\"0x20000\"]]},"
		    "{\"id\":2,\"path\":\"/usr/lib/libone.so.1\",\"build_id\":\"bb\",\"base\":"
		    "\"0x30000\",\"loaded\":1,\"unloaded\":null,\"ranges\":[[\"0x30000\","
		    "\"0x40000\"]]},"
		    "{\"id\":3,\"path\":\"/lib/libc.so.6\",\"build_id\":\"cc\",\"base\":"
		    "\"0x50000\",\"loaded\":1,\"unloaded\":null,\"ranges\":[[\"0x50000\","
		    "\"0x60000\"]]}";
	filter = (struct run_filter){.sized = false};
	return 0;
}

static void load(const struct run_view *view)
{
	const struct run_options options = {.view = view};

	run_free(&run);
	load_file(path, &options);
	assert_true(run.complete);
}

static void load_filtered(void)
{
	const struct run_view view = {.filter = &filter};

	load(&view);
}

static struct patterns only(const char *one)
{
	patterns[0] = one;
	return (struct patterns){patterns, 1};
}

static void write_trace(const char *name)
{
	path = make_path(name);
	make_trace_write(&t, path);
}

static void alloc(uint32_t stream, uint64_t ms, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, stream, ms * MS, PH_OP_malloc, address, size, node);
}

static void release(uint32_t stream, uint64_t ms, uint64_t address)
{
	make_memory(&t, stream, ms * MS, PH_OP_free, address, 0, 0);
}

static void call(uint32_t stream, unsigned op, unsigned ms, int64_t result, uint32_t node)
{
	make_call(&t, stream, (ms + 1) * (uint64_t)MS,
		  (struct ph_call){.op = (uint8_t)op,
				   .fd = 3,
				   .object = 1,
				   .node = node,
				   .entry = ms * (uint64_t)MS,
				   .duration = MS,
				   .result = result,
				   .arg = 100},
		  NULL, 0);
}

/* ---- patterns ------------------------------------------------------------------- */

static void test_patterns(void **state)
{
	const char *list[] = {"one", "t?o", "!three"}, *against[] = {"!one", "!two"};
	const struct patterns p = {list, 3}, n = {against, 2}, none = {NULL, 0};

	(void)state;
	assert_true(pattern_fits("ork", "worker"));
	assert_false(pattern_fits("orc", "worker"));
	assert_true(pattern_fits("work*", "worker"));
	assert_false(pattern_fits("ork*", "worker"));
	assert_true(pattern_fits("!ork", "worker"));
	assert_false(pattern_fits("x", NULL));
	assert_int_equal(patterns_fit(&p, "one two three"), 1 | 4);
	assert_int_equal(patterns_fit(&p, "two"), 2);
	assert_true(patterns_allow(&p, 1));
	assert_true(patterns_allow(&p, 1 | 2));
	assert_false(patterns_allow(&p, 0));
	assert_false(patterns_allow(&p, 2 | 4));
	assert_true(patterns_allow(&n, 0));
	assert_false(patterns_allow(&n, 2));
	assert_true(patterns_allow(&none, 0));
}

/* ---- threads -------------------------------------------------------------------- */

/* Whoever frees it: a block is who allocated it. */
static void make_threads(void)
{
	uint32_t node = make_node(&t, 0, 0x10010);

	alloc(1, 1, 0x1000, 100, node);
	alloc(2, 2, 0x2000, 200, node);
	alloc(3, 3, 0x3000, 400, node);
	release(1, 4, 0x2000);
	release(2, 5, 0x1000);
	alloc(2, 6, 0x2000, 800, node);
	make_object(&t, 1, 6 * MS, 1, 3,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED},
		    "/tmp/a", NULL, NULL);
	call(1, PH_OP_read, 7, 10, node);
	call(2, PH_OP_read, 8, 20, node);
	call(3, PH_OP_usleep, 10, 0, node);
	write_trace("threads");
}

static void test_thread(void **state)
{
	(void)state;
	make_threads();
	filter.threads = only("worker-1");
	load_filtered();
	assert_int_equal(run.heap.allocations, 2);
	assert_int_equal(run.heap.allocated_bytes, 1000);
	assert_int_equal(run.heap.frees, 1);
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.peak_bytes, 800);
	assert_int_equal(run.heap.live_bytes, 800);
	assert_int_equal(run.heap.temporary_allocations, 0);
	assert_int_equal(run.io.total.read_calls, 1);
	assert_int_equal(run.io.total.read_bytes, 20);
	assert_int_equal(run.wait_count, 0);
	assert_int_equal(run.thread_count, 1);
	assert_int_equal(run.threads[0].tid, 102);
	assert_int_equal(run.threads[0].allocations, 2);
	assert_int_equal(run.view.events, 4);
	assert_int_equal(run.view.of_events, 9);
	assert_false(run.coverage.known);
}

static void test_thread_forms(void **state)
{
	(void)state;
	make_threads();
	filter.threads = only("worker");
	load_filtered();
	assert_int_equal(run.heap.allocations, 3);
	assert_int_equal(run.thread_count, 2);
	filter.threads = only("*-2");
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 400);
	assert_int_equal(run.wait_count, 1);
	filter.threads = only("101");
	load_filtered();
	assert_int_equal(run.heap.allocated_bytes, 100);
	filter.threads = only("!worker");
	load_filtered();
	assert_int_equal(run.heap.allocated_bytes, 100);
	assert_string_equal(run.view.other_threads, "worker-1 (102), worker-2 (103)");
	filter.threads = only("nobody");
	load_filtered();
	assert_int_equal(run.thread_count, 0);
	assert_int_equal(run.view.events, 0);
}

/* ---- sizes, stacks, modules --------------------------------------------------------- */

static void test_size(void **state)
{
	(void)state;
	make_threads();
	filter.sized = true;
	filter.least_bytes = 200;
	filter.most_bytes = 400;
	load_filtered();
	assert_int_equal(run.heap.allocations, 2);
	assert_int_equal(run.heap.frees, 1);
	assert_int_equal(run.heap.peak_bytes, 600);
	assert_int_equal(run.heap.live_bytes, 400);
	assert_int_equal(run.io.total.read_calls, 2); /* no allocations */
	assert_int_equal(run.thread_count, 3);
}

static void test_reallocs(void **state)
{
	uint32_t node = make_node(&t, 0, 0x10010);
	const uint64_t sizes[] = {50, 500, 600, 60};

	(void)state;
	/* Into what counts, within it, out of it, and gone. */
	alloc(1, 1, 0x1000, 10, node);
	for (unsigned i = 0; i < 4; i++) {
		make_memory(&t, 1, (2 + i) * MS, PH_OP_REALLOC_BEGIN, 0x1000 + 0x100 * i, 0, 0);
		make_memory(&t, 1, (2 + i) * MS, PH_OP_realloc, 0x1100 + 0x100 * i, sizes[i], node);
	}
	make_memory(&t, 1, 7 * MS, PH_OP_REALLOC_BEGIN, 0x1400, 0, 0);
	make_memory(&t, 1, 7 * MS, PH_OP_realloc, 0, 0, 0);
	write_trace("reallocs");
	filter.sized = true;
	filter.least_bytes = 100;
	filter.most_bytes = UINT64_MAX;
	load_filtered();
	assert_int_equal(run.heap.allocations, 2);
	assert_int_equal(run.heap.frees, 2);
	assert_int_equal(run.heap.peak_bytes, 600);
	assert_int_equal(run.heap.peak_blocks, 1);
	assert_int_equal(run.heap.live_blocks, 0);
	filter.least_bytes = 0;
	filter.most_bytes = 99;
	load_filtered();
	assert_int_equal(run.heap.allocations, 3);
	assert_int_equal(run.heap.frees, 3);
	assert_int_equal(run.heap.live_blocks, 0);
	assert_int_equal(run.heap.peak_bytes, 60);
}

/* libone's own, the program's through libc, and libone's through the program. */
static void test_module(void **state)
{
	uint32_t app = make_node(&t, 0, 0x10010), one = make_node(&t, app, 0x30010);
	uint32_t libc = make_node(&t, app, 0x50010), back = make_node(&t, one, 0x10020);

	(void)state;
	alloc(1, 1, 0x1000, 1, one);
	alloc(1, 2, 0x2000, 10, libc);
	alloc(1, 3, 0x3000, 100, back);
	alloc(1, 4, 0x4000, 1000, make_node(&t, 0, 0x50020)); /* libc for itself */
	alloc(1, 5, 0x5000, 10000, 0);
	write_trace("modules");
	filter.modules = only("libone");
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 1);
	filter.modules = only("app");
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 110);
	filter.modules = only("libc.so*");
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 1000);
	filter.modules = only("!/usr/lib/*");
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 11110);
}

static uint32_t asked_nodes;

static bool begin_stacks(void *context, const struct run *of)
{
	*(const struct run **)context = of;
	asked_nodes = 0;
	return true;
}

/* Below 0x10020. */
static bool allows_stack(void *context, uint32_t node)
{
	const struct run *of = *(const struct run **)context;

	asked_nodes++;
	for (; node != 0; node = of->nodes[node].parent)
		if (of->addresses[of->nodes[node].address].pc == 0x10020)
			return true;
	return false;
}

static void test_stacks(void **state)
{
	uint32_t a = make_node(&t, 0, 0x10010), b = make_node(&t, a, 0x10020);
	uint32_t c = make_node(&t, b, 0x10030);
	const struct run *of;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		alloc(1, 1 + i, 0x1000 + 0x100 * i, 1, a);
		alloc(1, 1 + i, 0x2000 + 0x100 * i, 10, b);
		alloc(1, 1 + i, 0x3000 + 0x100 * i, 100, c);
	}
	call(1, PH_OP_read, 10, 7, a);
	call(1, PH_OP_read, 12, 8, c);
	call(1, PH_OP_usleep, 14, 0, a);
	call(1, PH_OP_usleep, 16, 0, b);
	write_trace("stacks");
	filter.begin = begin_stacks;
	filter.allows = allows_stack;
	filter.context = &of;
	load_filtered();
	assert_int_equal(run.heap.live_bytes, 550);
	assert_int_equal(run.io.total.read_bytes, 8);
	assert_int_equal(run.wait_count, 1);
	assert_int_equal(asked_nodes, 3); /* each once */
	/* A thread's time is all of it. */
	assert_true(fabs(run.threads[0].sleeping_s - 0.002) < 1e-9);
	assert_int_equal(run.threads[0].read_bytes, 8);
	/* With a window too. */
	const struct run_view view = {
		.windowed = true, .from_s = 0.0035, .to_s = 0.0135, .filter = &filter};
	load(&view);
	assert_int_equal(run.heap.allocations, 4);
	assert_int_equal(run.heap.live_bytes, 550);
	assert_int_equal(run.heap.older_live_bytes, 330);
	assert_int_equal(run.io.total.read_calls, 1);
	assert_int_equal(run.view.events, 5);
	assert_int_equal(run.view.of_events, 8);
}

/* ---- all together ------------------------------------------------------------------- */

static unsigned random_below(unsigned below)
{
	return (unsigned)(next_random() % below);
}

#define SUMS 9

struct sums {
	uint64_t of[SUMS];
};

static void add_up(struct sums *s)
{
	const uint64_t now[SUMS] = {
		run.heap.allocations,
		run.heap.frees - run.heap.unmatched_frees,
		run.heap.allocated_bytes,
		run.heap.live_bytes,
		run.heap.live_blocks,
		run.heap.temporary_allocations,
		run.io.total.read_calls,
		run.io.total.read_bytes,
		0,
	};

	for (size_t i = 0; i < SUMS; i++)
		s->of[i] += now[i];
	for (size_t i = 0; i < run.wait_count; i++)
		s->of[SUMS - 1] += run.waits[i].count;
}

/* Three threads that share addresses, with stamps that tie. */
static void make_chance(unsigned events)
{
	uint32_t nodes[4];

	nodes[0] = make_node(&t, 0, 0x10010);
	nodes[1] = make_node(&t, nodes[0], 0x30010);
	nodes[2] = make_node(&t, nodes[1], 0x10020);
	nodes[3] = make_node(&t, nodes[0], 0x50010);
	for (unsigned i = 1; i <= events; i++) {
		uint32_t stream = 1 + random_below(3), node = nodes[random_below(4)];
		uint64_t address = 0x1000 + 0x100 * (uint64_t)random_below(30);
		uint64_t ms = i / 8;

		switch (random_below(6)) {
		case 0:
		case 1:
			alloc(stream, ms, address, random_below(1000), node);
			break;
		case 2:
			release(stream, ms, address);
			break;
		case 3:
			make_memory(&t, stream, ms * MS, PH_OP_REALLOC_BEGIN, address, 0, 0);
			if (random_below(4) == 0)
				make_memory(&t, stream, ms * MS, PH_OP_REALLOC_FAILED, address, 0,
					    0);
			else
				alloc(stream, ms, address + 0x10 * (uint64_t)random_below(2),
				      random_below(1000), node);
			break;
		case 4:
			call(stream, PH_OP_read, (unsigned)ms, (int)random_below(100) - 10, node);
			break;
		default:
			call(stream, PH_OP_usleep, (unsigned)ms, 0, node);
		}
	}
}

static void check_parts(const char *name, void (*use)(bool against))
{
	struct sums whole = {0}, parts = {0};

	filter = (struct run_filter){.sized = false};
	load(NULL);
	add_up(&whole);
	for (int against = 0; against < 2; against++) {
		use(against);
		load_filtered();
		add_up(&parts);
	}
	for (size_t i = 0; i < SUMS; i++)
		if (whole.of[i] != parts.of[i])
			fail_msg("%s: sum %zu is %llu, not %llu", name, i,
				 (unsigned long long)parts.of[i], (unsigned long long)whole.of[i]);
}

static void by_thread(bool against)
{
	filter.threads = only(against ? "!worker" : "worker");
}

static void by_module(bool against)
{
	filter.modules = only(against ? "!app" : "app");
}

/* What a filter counts and what its opposite counts are the whole. */
static void test_opposites(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		make_trace_free(&t);
		begin(NULL);
		make_chance(600);
		write_trace("chance");
		check_parts("threads", by_thread);
		check_parts("modules", by_module);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test_setup_teardown(test_thread, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_thread_forms, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_size, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_reallocs, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_module, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_stacks, begin_modules, end),
		cmocka_unit_test_setup_teardown(test_opposites, begin_modules, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
