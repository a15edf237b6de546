/* SPDX-License-Identifier: MIT */
/* What each stack cost adds up to what the run says of the whole. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/costs.h"
#include "analyzer/tree.h"

#include <cmocka.h>

#include "tests/unit/make_trace.h"

#define US 1000u

static struct make_trace t;
static struct run run;
static uint32_t nodes[4]; /* [0]: no stack */

static void file(uint32_t object, int fd, const char *path)
{
	make_object(&t, 1, US, object, fd,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED}, path,
		    NULL, NULL);
}

static void call(uint64_t at, unsigned op, int fd, uint32_t object, uint64_t us, int64_t result,
		 unsigned node)
{
	make_call(&t, 1, at * US,
		  (struct ph_call){.op = (uint8_t)op,
				   .fd = fd,
				   .object = object,
				   .entry = at * US,
				   .duration = us * US,
				   .result = result,
				   .node = nodes[node]},
		  NULL, 0);
}

static void move(uint64_t at, int fd, uint32_t object, int to, uint32_t to_object, uint64_t us,
		 int64_t result, unsigned node)
{
	const uint64_t extra[] = {(uint64_t)to_object << 32 | (uint32_t)to, UINT64_MAX, UINT64_MAX};

	make_call(&t, 1, at * US,
		  (struct ph_call){.op = PH_OP_sendfile,
				   .fd = fd,
				   .object = object,
				   .entry = at * US,
				   .duration = us * US,
				   .result = result,
				   .node = nodes[node]},
		  extra, sizeof(extra));
}

static void make_run(void)
{
	nodes[1] = make_node(&t, 0, 0x1000);
	nodes[2] = make_node(&t, nodes[1], 0x2000);
	nodes[3] = make_node(&t, nodes[1], 0x3000);
	make_memory(&t, 1, 1 * US, PH_OP_malloc, 0x10000, 100, nodes[2]);
	make_memory(&t, 1, 2 * US, PH_OP_malloc, 0x20000, 1000, nodes[3]);
	make_memory(&t, 1, 3 * US, PH_OP_free, 0x20000, 0, 0);
	make_memory(&t, 1, 4 * US, PH_OP_malloc, 0x30000, 50, nodes[2]);
	file(1, 3, "/tmp/a");
	file(2, 4, "/tmp/b");
	make_object(&t, 1, 5 * US, 3, 5,
		    (struct ph_object){.class = PH_CLASS_SOCKET,
				       .origin = PH_ORIGIN_SOCKETPAIR,
				       .family = AF_UNIX,
				       .type = SOCK_STREAM},
		    "", NULL, NULL);
	call(10, PH_OP_read, 3, 1, 2, 100, 2);
	call(20, PH_OP_write, 4, 2, 3, 70, 2);
	call(30, PH_OP_write, 5, 3, 4, 30, 3);
	call(40, PH_OP_recv, 5, 3, 5, 20, 3);
	call(50, PH_OP_recv, 5, 3, 6, -EAGAIN, 1);
	move(60, 3, 1, 4, 2, 7, 500, 3); /* from file to file: its time is one */
	move(70, 3, 1, 5, 3, 8, 600, 1); /* the file's and the socket's time */
	call(80, PH_OP_fsync, 4, 2, 9, 0, 1);
	call(90, PH_OP_usleep, -1, 0, 10, 0, 1);
	call(110, PH_OP_usleep, -1, 0, 11, 0, 1);
}

static int begin(void **state)
{
	struct error e = {0};
	const char *path = make_path("costs");

	(void)state;
	make_trace_begin(&t);
	make_run();
	make_trace_write(&t, path);
	return run_load(&run, path, NULL, &e);
}

static int end(void **state)
{
	(void)state;
	make_trace_free(&t);
	run_free(&run);
	return 0;
}

static uint64_t at_address(const struct run *of, const struct cost_samples *s, uint64_t pc)
{
	for (size_t i = 0; i < s->count; i++) {
		uint32_t node = s->list[i].node;

		if (node != 0 && of->addresses[of->nodes[node].address].pc == pc)
			return s->list[i].value;
	}
	return 0;
}

static void expect(const struct run *of, enum cost_id id, uint64_t at1, uint64_t at2, uint64_t at3)
{
	struct cost_samples s;
	struct error e = {0};
	uint64_t sum = 0;

	assert_true(cost_is_known(of, &costs[id]));
	assert_int_equal(costs_of(of, &costs[id], &s, &e), 0);
	for (size_t i = 0; i < s.count; i++) {
		sum += s.list[i].value;
		assert_true(s.list[i].value != 0);
		assert_true(i == 0 || s.list[i].value <= s.list[i - 1].value);
	}
	assert_int_equal(sum, s.total);
	assert_int_equal(s.total, at1 + at2 + at3);
	assert_int_equal(at_address(of, &s, 0x1000), at1);
	assert_int_equal(at_address(of, &s, 0x2000), at2);
	assert_int_equal(at_address(of, &s, 0x3000), at3);
	costs_free(&s);
}

static void expect_all(const struct run *of, unsigned times)
{
	uint64_t n = times;

	expect(of, COST_LEAKED, 0, n * 150, 0);
	expect(of, COST_ALLOCATED, 0, n * 150, n * 1000);
	expect(of, COST_TEMPORARY, 0, 0, n * 1);
	expect(of, COST_READ, n * 600, n * 100, n * 500);
	expect(of, COST_WRITTEN, 0, n * 70, n * 500);
	expect(of, COST_SENT, n * 600, 0, n * 30);
	expect(of, COST_RECEIVED, 0, 0, n * 20);
	expect(of, COST_TIME, n * (6 + 2 * 8 + 9) * US, n * 5 * US, n * (9 + 7) * US);
	expect(of, COST_WAITED, n * 21 * US, 0, 0);
}

static void test_stacks(void **state)
{
	(void)state;
	expect(&run, COST_PEAK, 0, 100, 1000);
	expect_all(&run, 1);
}

/* What the report says of the whole. */
static void test_totals(void **state)
{
	const uint64_t totals[COST_COUNT] = {
		[COST_PEAK] = run.heap.peak_bytes,
		[COST_LEAKED] = run.heap.live_bytes,
		[COST_ALLOCATED] = run.heap.allocated_bytes,
		[COST_TEMPORARY] = run.heap.temporary_allocations,
		[COST_READ] = run.io.total.read_bytes,
		[COST_WRITTEN] = run.io.total.written_bytes,
		[COST_SENT] = run.sockets.total.written_bytes,
		[COST_RECEIVED] = run.sockets.total.read_bytes,
		[COST_TIME] =
			(uint64_t)llround((run.io.total.time_s + run.sockets.total.time_s) * 1e9),
		[COST_WAITED] = 21 * US,
	};
	struct cost_samples s;
	struct error e = {0};

	(void)state;
	for (size_t i = 0; i < COST_COUNT; i++) {
		assert_int_equal(costs_of(&run, &costs[i], &s, &e), 0);
		if (s.total != totals[i])
			fail_msg("%s: %lu, not %lu", costs[i].name, (unsigned long)s.total,
				 (unsigned long)totals[i]);
		costs_free(&s);
	}
}

static void test_tree(void **state)
{
	struct tree tree;
	struct error e = {0};
	const struct run_options options = {.for_tree = true};
	const char *paths[] = {make_path("costs"), make_path("costs_2")};
	struct run loaded;

	(void)state;
	make_trace_free(&t);
	make_trace_begin(&t);
	t.id[0] ^= 1;
	make_run();
	make_trace_write(&t, paths[1]);
	assert_int_equal(tree_begin(&tree, &e), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(run_load(&loaded, paths[i], &options, &e), 0);
		assert_int_equal(tree_add(&tree, &loaded, &e), 0);
	}
	assert_int_equal(tree_finish(&tree, &options, &e), 0);
	expect_all(&tree.run, 2);
	tree_free(&tree);
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COST_COUNT; i++)
		assert_ptr_equal(cost_by_name(costs[i].name), &costs[i]);
	assert_null(cost_by_name("price"));
	assert_string_equal(cost_unit_name(costs[COST_TIME].unit), "nanoseconds");
	run.off = RUN_OFF_IO;
	assert_false(cost_is_known(&run, &costs[COST_READ]));
	assert_true(cost_is_known(&run, &costs[COST_TIME]));
	run.off = RUN_OFF_IO | RUN_OFF_NET;
	assert_false(cost_is_known(&run, &costs[COST_TIME]));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_stacks),
		TEST(test_totals),
		TEST(test_tree),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
