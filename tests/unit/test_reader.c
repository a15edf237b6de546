/* SPDX-License-Identifier: MIT */
/* What a trace says of itself, and what is made of it when parts are missing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "analyzer/reader.h"
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"

static void load(void)
{
	load_made("reader.trace");
}

static bool has_notice(const char *part, bool lost)
{
	for (size_t i = 0; i < run.notice_count; i++) {
		if (strstr(run.notices[i].text, part) != NULL)
			return run.notices[i].lost == lost;
	}
	return false;
}

static void alloc(uint64_t stamp, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, 1, stamp, PH_OP_malloc, address, size, node);
}

static void assert_near(double got, double wanted)
{
	if (!(fabs(got - wanted) < 1e-9))
		fail_msg("%.12g, not %.12g", got, wanted);
}

static void assert_unusable(const void *data, size_t length, enum error_code code, const char *part)
{
	const char *path = make_path("bad.trace");
	struct error e = {0};

	make_file(path, data, length);
	assert_int_equal(run_load(&run, path, NULL, &e), -1);
	assert_int_equal(e.code, code);
	assert_non_null(strstr(e.text, "bad.trace"));
	if (strstr(e.text, part) == NULL)
		fail_msg("%s", e.text);
}

static void test_what_is_no_trace(void **state)
{
	struct error e = {0};
	struct ph_file_header h = {0};

	(void)state;
	assert_unusable("", 0, ERROR_FORMAT, "empty");
	assert_unusable("hello", 5, ERROR_FORMAT, "not a perfhook trace");
	assert_unusable("\x7f"
			"ELF and more than forty bytes of something else",
			48, ERROR_FORMAT, "not a perfhook trace");
	assert_unusable(PH_TRACE_MAGIC, 8, ERROR_FORMAT, "ends within its header");
	ph_file_header_seal(&h);
	assert_unusable(&h, sizeof(h), ERROR_FORMAT, "nothing in it can be used");
	assert_int_equal(run_load(&run, make_path("absent"), NULL, &e), -1);
	assert_int_equal(e.code, ERROR_SYSTEM);
	assert_non_null(strstr(e.text, "No such file"));
	e = (struct error){0};
	assert_int_equal(run_load(&run, "/", NULL, &e), -1);
	e = (struct error){0};
	assert_int_equal(mkfifo(make_path("fifo"), 0600), 0);
	assert_int_equal(run_load(&run, make_path("fifo"), NULL, &e), -1);
	assert_int_equal(e.code, ERROR_FORMAT);
}

static void test_a_newer_version(void **state)
{
	(void)state;
	make_trace_finish(&t);
	t.file.data[8] = PH_TRACE_MAJOR + 1;
	assert_unusable(t.file.data, t.file.length, ERROR_VERSION, "newer");
	make_trace_finish(&t);
	t.file.data[10] = 99; /* minor: the header's checksum no longer fits */
	make_file(make_path("minor"), t.file.data, t.file.length);
	load_file(make_path("minor"), NULL);
	assert_false(run.complete);
}

static void test_without_an_index(void **state)
{
	(void)state;
	t.without_index = true;
	alloc(1, 0x10, 1, 0);
	load();
	assert_true(run.complete);
	assert_int_equal(run.heap.live_bytes, 1);
	assert_int_equal(run.notice_count, 0);
}

static void test_without_an_end(void **state)
{
	(void)state;
	t.without_end = t.without_index = true;
	alloc(5 * MS, 0x10, 1, 0);
	load();
	assert_false(run.complete);
	assert_string_equal(run.end, "unknown");
	assert_int_equal(run.status, -1);
	assert_near(run.duration_s, 5e-3);
	assert_true(has_notice("has no end", true));
}

static void test_still_running(void **state)
{
	char json[5000], executable[4096] = "";
	struct utsname host;

	(void)state;
	assert_int_equal(uname(&host), 0);
	assert_true(readlink("/proc/self/exe", executable, sizeof(executable) - 1) > 0);
	snprintf(json, sizeof(json), "{\"pid\":%d,\"host\":\"%s\",\"executable\":\"%s\"}", getpid(),
		 host.nodename, executable);
	t.run = json;
	t.without_end = t.without_index = true;
	load();
	assert_string_equal(run.end, "running");
	assert_false(run.complete);
	assert_true(has_notice("still running", false));
}

static void test_the_end(void **state)
{
	struct ph_call lost = {
		.op = PH_OP_LOST, .entry = 1200 * MS, .duration = 2200u * MS, .arg = 5};

	(void)state;
	t.end = "{\"end\":\"signal\",\"status\":9,\"ended_ticks\":\"6000000000\",\"lost\":7,"
		"\"nested_lost\":2,\"stalled_ns\":\"1500000000\",\"short_stacks\":3,"
		"\"objects_unknown\":4,\"notes\":[\"a note\"]}";
	t.run_more = "\"notes\":[\"another\"]";
	make_call(&t, 1, 3400 * (uint64_t)MS, lost, NULL, 0);
	load();
	assert_true(run.complete);
	assert_string_equal(run.end, "signal");
	assert_int_equal(run.status, 9);
	assert_near(run.duration_s, 5);
	assert_int_equal(run.dropped, 9);
	assert_near(run.stalled_s, 1.5);
	assert_true(has_notice("7 events were lost between 1.200 s and 3.400 s", true));
	assert_true(has_notice("2 events of signal handlers", true));
	assert_true(has_notice("3 stacks were cut short", false));
	assert_true(has_notice("4 files could not be named", false));
	assert_true(has_notice("a note", false));
	assert_true(has_notice("another", false));
}

/* The index knows of a block that somebody cut out. */
static void test_a_block_cut_out(void **state)
{
	struct ph_block_header h;
	size_t at = sizeof(struct ph_file_header), length;

	(void)state;
	alloc(1, 0x10, 100, 0);
	make_flush(&t, 1);
	alloc(2, 0x20, 10, 0);
	make_trace_finish(&t);
	for (;; at += sizeof(h) + h.stored_bytes) {
		memcpy(&h, t.file.data + at, sizeof(h));
		if (h.kind == PH_BLOCK_EVENTS)
			break;
	}
	length = sizeof(h) + h.stored_bytes;
	memmove(t.file.data + at, t.file.data + at + length, t.file.length - at - length);
	make_file(make_path("cut"), t.file.data, t.file.length - length);
	load_file(make_path("cut"), NULL);
	assert_false(run.complete);
	assert_int_equal(run.heap.live_bytes, 10);
	assert_true(has_notice("could not be read", true));
}

static void test_a_block_twice(void **state)
{
	struct ph_buffer copy = {0};

	(void)state;
	alloc(1, 0x10, 100, 0);
	alloc(2, 0x20, 10, 0);
	make_flush(&t, 1);
	ph_buffer_put(&copy, t.blocks.data, t.blocks.length);
	ph_buffer_put(&t.blocks, copy.data, copy.length);
	ph_buffer_free(&copy);
	load();
	assert_int_equal(run.heap.allocations, 2);
	assert_false(run.complete);
	assert_true(has_notice("overlap", true));
}

static void test_blocks_of_unknown_kinds(void **state)
{
	struct ph_block_header h = {.kind = 77};

	(void)state;
	assert_int_equal(ph_block_seal(&h, "whatever", 8, &t.blocks), 0);
	alloc(1, 0x10, 100, 0);
	load();
	assert_true(run.complete);
	assert_int_equal(run.heap.live_bytes, 100);
	assert_true(has_notice("does not know", false));
}

static void test_missing_functions(void **state)
{
	(void)state;
	t.without_functions = true;
	alloc(1, 0x10, 100, 0);
	load();
	assert_int_equal(run.heap.live_bytes, 100);
	assert_true(has_notice("table of functions is missing", false));
	run_free(&run);
	/* Of another version nothing is assumed. */
	t.version = "99.0";
	load();
	assert_int_equal(run.heap.live_bytes, 0);
	assert_true(has_notice("functions that this perfhook does not know", false));
}

static void test_hostile_json(void **state)
{
	static const char *const runs[] = {
		"{\"pid\":\"x\",\"command\":7,\"executable\":[],\"host\":null,\"started_ticks\":-1,"
		"\"parent\":[1],\"notes\":{\"a\":1},\"depth\":1e300,\"started_ns\":1e308}",
		"{\"pid\":1e99,\"command\":[1,null,\"x\"],\"ticks_per_s\":\"0\","
		"\"parent\":{\"trace\":5,\"path\":6,\"fork\":\"9999999999999\"}}",
		"{\"started_ticks\":\"18446744073709551615\",\"started_ns\":"
		"\"18446744073709551615\"}",
		"{\"parent\":{\"trace\":\"zz111111111111111111111111111111\",\"path\":\"\","
		"\"fork\":1}}",
		"[]",
		"{",
		"",
	};

	(void)state;
	t.threads =
		"7,null,{\"stream\":1,\"nested_in\":1},{\"stream\":2,\"nested_in\":3,\"tid\":1e99},"
		"{\"stream\":3,\"nested_in\":2,\"name\":5}";
	t.modules =
		"7,{\"ranges\":[[1],\"x\",[2,1],[\"0x1\",\"0xffffffffffffffff\"],{}],\"id\":[]},{}";
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		t.run = runs[i];
		alloc(i, 0x10 + 16 * i, 1, make_node(&t, 0, 0x1234));
		load();
		assert_true(isfinite(run.duration_s));
		assert_int_equal(run.heap.allocations, i + 1);
		run_free(&run);
	}
}

static void test_equal_stacks_are_one(void **state)
{
	uint32_t outer, a, b;

	(void)state;
	outer = make_node(&t, 0, 0x100);
	a = make_node(&t, outer, 0x200);
	b = make_node(&t, make_node(&t, 0, 0x100), 0x200);
	t.nodes_per_block = 1;
	alloc(1, 0x10, 1, a);
	alloc(2, 0x20, 2, b);
	alloc(3, 0x30, 4, 4444); /* no such node */
	load();
	assert_int_equal(run.node_count, 3);
	assert_int_equal(run.address_count, 2);
	assert_int_equal(run.site_count, 2);
	assert_int_equal(run.sites[0].live_bytes, 3);
	assert_int_equal(run.sites[1].live_bytes, 4);
	assert_int_equal(run.sites[1].node, 0);
}

/* One of three STACKS blocks is damaged. */
static void damage_second_stacks(bool say_where)
{
	struct ph_block_header h;
	int seen = 0;

	run_free(&run);
	t.nodes_per_block = 1;
	t.stacks_say_where = say_where;
	make_trace_finish(&t);
	for (size_t at = sizeof(struct ph_file_header); at < t.file.length;
	     at += sizeof(h) + h.stored_bytes) {
		memcpy(&h, t.file.data + at, sizeof(h));
		if (h.kind == PH_BLOCK_STACKS && ++seen == 2)
			t.file.data[at + sizeof(h)] ^= 1;
	}
	make_file(make_path("stacks"), t.file.data, t.file.length);
	load_file(make_path("stacks"), NULL);
	assert_false(run.complete);
}

static void test_damaged_stacks_are_never_wrong(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		alloc(i, 0x10 + 16 * i, 1u << i, make_node(&t, 0, 0x100 + i));
	damage_second_stacks(true);
	assert_int_equal(run.site_count, 3);
	assert_int_equal(run.addresses[run.nodes[run.sites[0].node].address].pc, 0x100);
	assert_int_equal(run.sites[1].node, 0);
	assert_int_equal(run.addresses[run.nodes[run.sites[2].node].address].pc, 0x102);
	/* Where it is not said, the third could be anything. */
	damage_second_stacks(false);
	assert_int_equal(run.site_count, 2);
	assert_int_equal(run.addresses[run.nodes[run.sites[0].node].address].pc, 0x100);
	assert_int_equal(run.sites[1].node, 0);
	assert_int_equal(run.sites[1].live_bytes, 6);
}

static void test_modules_by_epoch(void **state)
{
	static const char *const wanted[] = {"/lib/one.so", "/lib/one.so", "/lib/two.so",
					     "/lib/big.so", NULL};

	(void)state;
	t.modules = "{\"id\":1,\"path\":\"/lib/one.so\",\"build_id\":\"aa\",\"base\":\"0x1000\","
		    "\"ranges\":[[\"0x1000\",\"0x2000\"]],\"loaded\":1,\"unloaded\":3},"
		    "{\"id\":2,\"path\":\"/lib/two.so\",\"build_id\":\"\",\"base\":\"0x1800\","
		    "\"ranges\":[[\"0x1800\",\"0x2000\"]],\"loaded\":3,\"unloaded\":null},"
		    "{\"id\":3,\"path\":\"/lib/big.so\",\"build_id\":\"\",\"base\":\"0x500\","
		    "\"ranges\":[[\"0x500\",\"0x600\"],[\"0x5000\",\"0x9000\"]],\"loaded\":1},"
		    "{\"id\":4,\"path\":\"old name\",\"ranges\":[[\"0x0\",\"0x9000\"]]},"
		    "{\"id\":4,\"path\":\"/gone\",\"ranges\":[]}";
	for (uint32_t i = 0; i < 5; i++)
		alloc(i, 0x10 + 16 * i, i,
		      make_node(&t, 0,
				i < 3	 ? 0x1900
				: i == 3 ? 0x8fff
					 : 0x9000));
	t.addresses[1].epoch = 2;
	t.addresses[2].epoch = 3;
	load();
	assert_int_equal(run.site_count, 4); /* the first two are one */
	for (size_t i = 1; i < 5; i++) {
		const struct node *n = &run.nodes[run.sites[i - 1].node];
		int32_t module = run.addresses[n->address].module;

		if (wanted[i] == NULL)
			assert_int_equal(module, -1);
		else
			assert_string_equal(run.modules[module].path, wanted[i]);
		if (i < 3)
			assert_int_equal(run.modules[module].unloaded, i == 1);
	}
}

static void test_clock_lines(void **state)
{
	/* 1 ns a tick for a second, then 2, with absurd pairs among them. */
	static struct ph_clock_pair pairs[] = {
		{1000000000, 500000000000, 0}, {2000000000, 501000000000, 0},
		{3000000000, 503000000000, 0}, {2500000000, 1, 0},
		{2500000001, UINT64_MAX, 0},   {1500000000, 500000000000, 0},
	};

	(void)state;
	t.clock = pairs;
	t.clock_count = sizeof(pairs) / sizeof(pairs[0]);
	alloc(500 * MS, 0x10, 1, make_node(&t, 0, 1));
	alloc(1500 * MS, 0x20, 1, make_node(&t, 0, 2));
	alloc(3000ull * MS, 0x30, 1, make_node(&t, 0, 3));
	load();
	assert_near(run.sites[0].first_at_s, 0.5);
	assert_near(run.sites[1].first_at_s, 2.0);
	assert_near(run.sites[2].first_at_s, 5.0);
	assert_true(has_notice("did not run evenly (by up to 100%)", false));
}

static void test_even_clock(void **state)
{
	/* Within the error of reading two clocks one after the other. */
	static struct ph_clock_pair pairs[] = {
		{1000000000, 500000000000, 0},
		{2000000000, 501000000000, 0},
		{3000000000, 502000004000, 0},
	};

	(void)state;
	t.clock = pairs;
	t.clock_count = sizeof(pairs) / sizeof(pairs[0]);
	alloc(500 * MS, 0x10, 1, make_node(&t, 0, 1));
	load();
	assert_false(has_notice("did not run evenly", false));
}

static void test_absurd_times(void **state)
{
	struct ph_call c = {.op = PH_OP_read, .object = 1, .result = 1};

	(void)state;
	c.entry = UINT64_MAX - MAKE_TRACE_START;
	c.duration = UINT64_MAX;
	make_call(&t, 1, 1, c, NULL, 0);
	c.entry = -(uint64_t)MAKE_TRACE_START;
	make_call(&t, 1, UINT64_MAX - MAKE_TRACE_START, c, NULL, 0);
	alloc(UINT64_MAX - MAKE_TRACE_START, 0x10, UINT64_MAX, 0);
	alloc(UINT64_MAX - MAKE_TRACE_START, 0x20, UINT64_MAX, 0);
	load();
	assert_true(isfinite(run.duration_s));
	assert_true(isfinite(run.files[0].traffic.latency.stdev));
	for (size_t i = 0; i < run.io.timeline_count; i++)
		assert_true(isfinite(run.io.timeline[i].read_bytes_per_s));
	assert_in_range(run.heap.timeline_count, 1, 128);
}

struct shown {
	size_t count, stop_at;
	double last_s;
	char functions[256];
};

static int show(void *context, const struct run *r, int tid, double t_s,
		const struct ph_event *event, uint32_t node, const char *function)
{
	struct shown *s = context;

	assert_ptr_equal(r, &run);
	assert_int_equal(r->pid, 4242);
	/* The file has the one stack twice. */
	assert_int_equal(r->node_count, 2);
	assert_true(node < r->node_count);
	assert_int_equal(tid, 31);
	assert_true(t_s >= s->last_s);
	assert_int_equal(event->call == NULL, event->op != PH_OP_read);
	s->last_s = t_s;
	strcat(strcat(s->functions, function), " ");
	return ++s->count == s->stop_at;
}

static void test_dump(void **state)
{
	struct shown s = {0};
	struct error e = {0};
	const char *path = make_path("dump.trace");

	(void)state;
	t.threads = "{\"stream\":1,\"tid\":31},{\"stream\":2,\"tid\":31}";
	alloc(1, 0x10, 1, make_node(&t, 0, 1));
	make_call(&t, 2, 2, (struct ph_call){.op = PH_OP_read, .entry = 2}, NULL, 0);
	make_memory(&t, 1, 3, PH_OP_REALLOC_BEGIN, 0x10, 0, 0);
	make_memory(&t, 1, 3, PH_OP_realloc, 0x10, 5, make_node(&t, 0, 1));
	make_trace_write(&t, path);
	assert_int_equal(run_dump(&run, path, NULL, show, &s, &e), 0);
	assert_string_equal(s.functions, "malloc read realloc begins realloc ");
	assert_int_equal(run.heap.live_bytes, 5);
	run_free(&run);
	s = (struct shown){.stop_at = 2};
	assert_int_equal(run_dump(&run, path, NULL, show, &s, &e), 0);
	assert_int_equal(s.count, 2);
}

static void see_progress(void *context, uint64_t done, uint64_t total)
{
	uint64_t *last = context;

	assert_true(done >= *last && done <= total);
	*last = done;
}

static void test_progress(void **state)
{
	uint64_t last = 0;
	struct run_options options = {.progress = see_progress, .progress_context = &last};
	struct error e = {0};

	(void)state;
	make_stream(&t, 1)->cells_per_block = 10;
	for (uint64_t i = 0; i < 100; i++)
		alloc(i, 0x10 + 16 * i, 1, 0);
	make_trace_write(&t, make_path("progress"));
	assert_int_equal(run_load(&run, make_path("progress"), &options, &e), 0);
	assert_true(last > 0);
	assert_int_equal(run.events, 100);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_no_trace),
		TEST(test_a_newer_version),
		TEST(test_without_an_index),
		TEST(test_without_an_end),
		TEST(test_still_running),
		TEST(test_the_end),
		TEST(test_a_block_cut_out),
		TEST(test_a_block_twice),
		TEST(test_blocks_of_unknown_kinds),
		TEST(test_missing_functions),
		TEST(test_hostile_json),
		TEST(test_equal_stacks_are_one),
		TEST(test_damaged_stacks_are_never_wrong),
		TEST(test_modules_by_epoch),
		TEST(test_clock_lines),
		TEST(test_even_clock),
		TEST(test_absurd_times),
		TEST(test_dump),
		TEST(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
