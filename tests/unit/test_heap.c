/* SPDX-License-Identifier: MIT */
/* The heap's figures, from traces made by hand whose truth is plain to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* cmocka has a macro of the name of our fail(). */
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"

static void load(const char *name)
{
	load_made(name);
	assert_true(run.complete);
}

static void alloc(uint32_t stream, uint64_t stamp, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, stream, stamp, PH_OP_malloc, address, size, node);
}

static void release(uint32_t stream, uint64_t stamp, uint64_t address)
{
	make_memory(&t, stream, stamp, PH_OP_free, address, 0, 0);
}

static void begin_realloc(uint32_t stream, uint64_t stamp, uint64_t address)
{
	make_memory(&t, stream, stamp, PH_OP_REALLOC_BEGIN, address, 0, 0);
}

static void end_realloc(uint32_t stream, uint64_t stamp, uint64_t address, uint64_t size,
			uint32_t node)
{
	make_memory(&t, stream, stamp, PH_OP_realloc, address, size, node);
}

/* The site whose only frame is at `pc`. */
static const struct site *site(uint64_t pc)
{
	for (size_t i = 0; i < run.site_count; i++) {
		const struct node *n = &run.nodes[run.sites[i].node];

		if (run.sites[i].node != 0 && run.addresses[n->address].pc == pc)
			return &run.sites[i];
	}
	fail_msg("no site at %#lx", (unsigned long)pc);
	return NULL;
}

static bool has_notice(const char *part)
{
	for (size_t i = 0; i < run.notice_count; i++) {
		if (strstr(run.notices[i].text, part) != NULL)
			return true;
	}
	return false;
}

static void test_peak_and_who_held_it(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb), c = make_node(&t, 0, 0xc);

	(void)state;
	alloc(1, 1 * MS, 0x1000, 100, a);
	alloc(1, 2 * MS, 0x2000, 200, b);
	release(1, 3 * MS, 0x1000);
	alloc(1, 4 * MS, 0x3000, 1000, c);
	alloc(1, 5 * MS, 0x4000, 50, b);
	/* Here it is: b 250, c 1000. */
	release(1, 6 * MS, 0x3000);
	alloc(1, 7 * MS, 0x5000, 900, a);
	release(1, 8 * MS, 0x2000);
	load("peak");
	assert_int_equal(run.heap.allocations, 5);
	assert_int_equal(run.heap.frees, 3);
	assert_int_equal(run.heap.allocated_bytes, 2250);
	assert_int_equal(run.heap.peak_bytes, 1250);
	assert_int_equal(run.heap.peak_blocks, 3);
	assert_int_equal(run.heap.peak_uncertainty_bytes, 0);
	assert_true(run.heap.peak_at_s > 0.00499 && run.heap.peak_at_s < 0.00501);
	assert_int_equal(run.heap.live_bytes, 950);
	assert_int_equal(run.heap.live_blocks, 2);
	assert_int_equal(run.site_count, 3);
	assert_int_equal(site(0xa)->peak_bytes, 0);
	assert_int_equal(site(0xb)->peak_bytes, 250);
	assert_int_equal(site(0xb)->peak_blocks, 2);
	assert_int_equal(site(0xc)->peak_bytes, 1000);
	assert_int_equal(site(0xa)->live_bytes, 900);
	assert_int_equal(site(0xb)->live_bytes, 50);
	assert_int_equal(site(0xc)->live_bytes, 0);
	assert_int_equal(site(0xb)->frees, 1);
	assert_true(site(0xa)->first_at_s < 0.0011 && site(0xa)->last_at_s > 0.0069);
	assert_true(site(0xb)->last_live_at_s > 0.0049 && site(0xb)->last_live_at_s < 0.0051);
	assert_string_equal(run.started, "2023-11-14T22:13:20.123456Z");
	assert_string_equal(run.end, "exit");
	assert_int_equal(run.pid, 4242);
	assert_string_equal(run.command[1], "up");
	assert_null(run.command[2]);
}

static void test_peak_at_the_end(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa);

	(void)state;
	alloc(1, 1, 0x10, 7, a);
	alloc(1, 2, 0x20, 8, a);
	load("peak-end");
	assert_int_equal(run.heap.peak_bytes, 15);
	assert_int_equal(site(0xa)->peak_bytes, 15);
}

static void test_sizes_of_zero_and_wide(void **state)
{
	(void)state;
	alloc(1, 1, 0x10, 0, 0);
	alloc(1, 2, 0xffff800000001000, (uint64_t)1 << 41, 0);
	release(1, 3, 0x10);
	load("wide");
	assert_int_equal(run.heap.live_blocks, 1);
	assert_int_equal(run.heap.live_bytes, (uint64_t)1 << 41);
	assert_int_equal(run.heap.frees, 1);
}

static void test_reallocs(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	(void)state;
	alloc(1, 1, 0x10, 100, a);
	begin_realloc(1, 2, 0x10); /* moves and grows */
	end_realloc(1, 2, 0x20, 150, b);
	begin_realloc(1, 3, 0x20); /* shrinks where it is */
	end_realloc(1, 3, 0x20, 40, b);
	begin_realloc(1, 4, 0x20); /* fails */
	make_memory(&t, 1, 4, PH_OP_REALLOC_FAILED, 0x20, 0, 0);
	end_realloc(1, 5, 0x30, 9, a); /* realloc(NULL, 9) */
	begin_realloc(1, 6, 0x30);     /* realloc(p, 0) that frees */
	end_realloc(1, 6, 0, 0, a);
	load("realloc");
	assert_int_equal(run.heap.allocations, 4);
	assert_int_equal(run.heap.frees, 3);
	assert_int_equal(run.heap.allocated_bytes, 299);
	assert_int_equal(run.heap.peak_bytes, 150);
	assert_int_equal(run.heap.peak_blocks, 1);
	assert_int_equal(run.heap.live_bytes, 40);
	assert_int_equal(run.heap.live_blocks, 1);
	assert_int_equal(site(0xa)->live_bytes, 0);
	assert_int_equal(site(0xb)->live_bytes, 40);
	assert_int_equal(site(0xb)->peak_bytes, 150);
	assert_int_equal(run.heap.unmatched_frees, 0);
}

static void test_realloc_under_way_at_the_end(void **state)
{
	(void)state;
	alloc(1, 1, 0x10, 100, 0);
	begin_realloc(1, 2, 0x10);
	load("realloc-end");
	assert_int_equal(run.heap.live_bytes, 100);
	assert_int_equal(run.heap.live_blocks, 1);
	assert_int_equal(run.heap.frees, 0);
}

static void test_temporary(void **state)
{
	(void)state;
	alloc(1, 1, 0x10, 1, 0);
	release(1, 2, 0x10); /* temporary */
	alloc(1, 3, 0x10, 1, 0);
	alloc(1, 4, 0x20, 1, 0);
	release(1, 5, 0x10); /* another came between */
	release(1, 6, 0x20); /* temporary */
	alloc(1, 7, 0x30, 1, 0);
	release(2, 8, 0x30); /* another thread's */
	alloc(1, 9, 0x40, 1, 0);
	alloc(2, 10, 0x50, 1, 0);
	release(1, 11, 0x40); /* temporary: the other thread's do not count */
	load("temporary");
	assert_int_equal(run.heap.temporary_allocations, 3);
	assert_int_equal(run.heap.live_blocks, 1);
}

static void test_unmatched_frees(void **state)
{
	(void)state;
	release(1, 1, 0x10);
	begin_realloc(1, 2, 0x20);
	end_realloc(1, 2, 0x20, 5, 0);
	release(1, 3, 0x20);
	load("unmatched");
	assert_int_equal(run.heap.frees, 3);
	assert_int_equal(run.heap.unmatched_frees, 2);
	assert_int_equal(run.heap.live_bytes, 0);
	assert_true(has_notice("2 blocks were freed that were allocated before"));
}

static void test_missed_free(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	(void)state;
	alloc(1, 1, 0x10, 100, a);
	alloc(1, 2, 0x10, 60, b);
	load("missed");
	assert_int_equal(run.heap.live_bytes, 60);
	assert_int_equal(run.heap.live_blocks, 1);
	assert_int_equal(run.heap.frees, 0);
	assert_int_equal(run.heap.peak_bytes, 100);
	assert_int_equal(site(0xa)->live_bytes, 0);
	assert_true(has_notice("was allocated again"));
}

/* In one tie: the free stands in a stream that comes first. */
static void test_free_waits_for_its_allocation(void **state)
{
	(void)state;
	release(1, 5, 0x10);
	alloc(1, 5, 0x20, 7, 0);
	alloc(2, 5, 0x10, 100, 0);
	load("tie-free");
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.live_bytes, 7);
	assert_int_equal(run.heap.live_blocks, 1);
	assert_int_equal(run.heap.peak_bytes, 100);
	/* Its own free comes before the 7. */
	assert_int_equal(run.heap.peak_uncertainty_bytes, 0);
}

static void test_uncertainty(void **state)
{
	(void)state;
	alloc(1, 5, 0x10, 7, 0);
	release(1, 5, 0x10);
	alloc(1, 5, 0x30, 2, 0);
	alloc(2, 5, 0x20, 100, 0);
	release(2, 5, 0x20);
	load("uncertainty");
	/* 7 and 100 may have lived at once. */
	assert_int_equal(run.heap.peak_bytes + run.heap.peak_uncertainty_bytes, 107);
	assert_int_equal(run.heap.live_bytes, 2);
}

static void test_allocation_waits_for_the_free(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	(void)state;
	alloc(2, 1, 0x10, 100, a);
	alloc(1, 5, 0x10, 30, b);
	release(2, 5, 0x10);
	load("tie-alloc");
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.live_bytes, 30);
	assert_int_equal(site(0xb)->live_bytes, 30);
	assert_int_equal(site(0xa)->frees, 1);
}

/* Taking the streams in order, stream 1 allocates x too early, and then both
 * wait: whatever is forced, the books must balance. */
static void test_a_knot(void **state)
{
	enum { X = 0x10, W = 0x20 };
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	(void)state;
	alloc(1, 5, X, 10, a);
	release(1, 5, W);
	release(1, 5, X);
	alloc(2, 5, X, 20, b);
	release(2, 5, X);
	alloc(2, 5, W, 30, b);
	load("knot");
	assert_int_equal(run.heap.allocations, 3);
	assert_int_equal(run.heap.frees, 3);
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.live_bytes, 0);
	assert_int_equal(run.heap.live_blocks, 0);
	assert_int_equal(site(0xa)->frees, 1);
	assert_int_equal(site(0xb)->frees, 2);
	assert_false(has_notice("was allocated again"));
}

/* Frees of unknown blocks in a giant tie, each of which can only be forced. */
static void test_many_unmatched_frees_in_one_tie(void **state)
{
	enum { N = 200000 };

	(void)state;
	for (uint64_t i = 0; i < N; i++) {
		release(1, 5, 0x100000 + 16 * i);
		release(2, 5, 0x9000000 + 16 * i);
		alloc(1, 5, 0x20000000 + 16 * i, 1, 0);
		release(3, 5, 0x20000000 + 16 * i);
	}
	load("many-unmatched");
	assert_int_equal(run.heap.unmatched_frees, 2 * N);
	assert_int_equal(run.heap.frees, 3 * N);
	assert_int_equal(run.heap.live_blocks, 0);
}

/* A stream's own free before its own allocation cannot be of that block. */
static void test_own_free_stays_unmatched(void **state)
{
	(void)state;
	release(1, 5, 0x10);
	alloc(1, 5, 0x10, 3, 0);
	alloc(2, 5, 0x20, 4, 0);
	load("own-free");
	assert_int_equal(run.heap.unmatched_frees, 1);
	assert_int_equal(run.heap.live_bytes, 7);
}

static void test_timeline(void **state)
{
	uint64_t highest = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		alloc(1, i * MS, 0x1000 + 16 * i, i == 500 ? 5000 : 10, 0);
	release(1, 1000 * MS, 0x1000 + 16 * 500);
	release(1, 3000 * MS, 0x1000);
	load("timeline");
	assert_in_range(run.heap.timeline_count, 64, 128);
	for (size_t i = 0; i < run.heap.timeline_count; i++) {
		const struct heap_sample *s = &run.heap.timeline[i];
		double width = run.heap.timeline[1].at_s;

		assert_true(s->at_s > (double)i * width - 1e-9 &&
			    s->at_s < (double)i * width + 1e-9);
		highest = s->live_bytes > highest ? s->live_bytes : highest;
		/* Between the last two events nothing happened. */
		if (s->at_s > 1.1 && s->at_s + width < 2.9)
			assert_int_equal(s->live_bytes, 9990);
		if (s->at_s > 0.6 && s->at_s + width < 0.9)
			assert_true(s->live_bytes > 10000);
	}
	assert_int_equal(highest, run.heap.peak_bytes);
	assert_int_equal(run.heap.peak_bytes, 999 * 10 + 5000);
	assert_true(run.heap.timeline[run.heap.timeline_count - 1].at_s <= 3.0);
}

static void map(unsigned op, int64_t result, int64_t arg, const uint64_t extra[2])
{
	make_call(&t, 1, 1, (struct ph_call){.op = (uint8_t)op, .result = result, .arg = arg},
		  extra, 16);
}

static void test_mapped_ranges(void **state)
{
	(void)state;
	map(PH_OP_mmap, 0x10000, 0x8000, (uint64_t[2]){3, 0});
	map(PH_OP_mmap, -12, 0x8000, (uint64_t[2]){3, 0});	 /* failed */
	map(PH_OP_munmap, 0, 0x1000, (uint64_t[2]){0x12000, 0}); /* a hole */
	map(PH_OP_munmap, 0, 0x3000, (uint64_t[2]){0x11000, 0}); /* around it: 2 pages */
	map(PH_OP_mmap, 0x17000, 0x1001, (uint64_t[2]){3, 0});	 /* one page over, one new */
	map(PH_OP_mremap, 0x40000, 0x5000, (uint64_t[2]){0x14000, 0x2000});
	map(PH_OP_munmap, 0, 0x100000, (uint64_t[2]){0x900000, 0}); /* nothing there */
	load("mapped");
	assert_int_equal(run.heap.mappings, 2);
	assert_int_equal(run.heap.unmappings, 3);
	/* 8 - 1 - 2 + 1 - 2 + 5 pages */
	assert_int_equal(run.heap.mapped_bytes, 9 * 0x1000);
	assert_int_equal(run.heap.mapped_peak_bytes, 9 * 0x1000);
	assert_int_equal(run.heap.live_bytes, 0);
}

static const char parent_json[] =
	"\"parent\":{\"pid\":1,\"trace\":\"%s\",\"path\":\"%s\",\"fork\":2}";
static const char parent_id[] = "11111111111111111111111111111111";

static void forked(uint64_t stamp, int64_t number)
{
	make_call(&t, 1, stamp, (struct ph_call){.op = PH_OP_FORKED, .arg = number}, NULL, 0);
}

static void make_parent(const char *name)
{
	uint32_t outer = make_node(&t, 0, 0x99), a = make_node(&t, outer, 0xa);

	memset(t.id, 0x11, sizeof(t.id));
	alloc(1, 1, 0x10, 100, a);
	forked(2, 1);
	alloc(1, 3, 0x20, 200, a);
	alloc(1, 3, 0x30, 300, 0);
	release(1, 4, 0x10);
	forked(5, 2);
	alloc(1, 6, 0x40, 400, a);
	make_trace_write(&t, make_path(name));
	make_trace_free(&t);
	make_trace_begin(&t);
}

static void make_child(const char *parent_path)
{
	static char json[512];
	uint32_t outer = make_node(&t, 0, 0x99), a = make_node(&t, outer, 0xa);

	snprintf(json, sizeof(json), parent_json, parent_id, parent_path);
	t.run_more = json;
	release(1, 1, 0x20);
	alloc(1, 2, 0x50, 50, a);
}

static void test_fork_inherits(void **state)
{
	(void)state;
	make_parent("parent.trace");
	make_child("/nowhere/at/all/parent.trace"); /* found beside the child's */
	load("child.trace");
	assert_false(run.heap.inherited_unknown);
	assert_int_equal(run.heap.inherited_bytes, 500);
	assert_int_equal(run.heap.inherited_blocks, 2);
	assert_int_equal(run.heap.allocations, 1);
	assert_int_equal(run.heap.frees, 1);
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.live_bytes, 350);
	assert_int_equal(run.heap.peak_bytes, 500);
	assert_int_equal(run.heap.temporary_allocations, 0);
	/* The parent's stack and the child's equal one are one. */
	assert_int_equal(run.node_count, 3);
	assert_int_equal(site(0xa)->live_bytes, 50);
	assert_int_equal(site(0xa)->peak_bytes, 200);
	assert_int_equal(site(0xa)->frees, 1);
}

static void test_grandchild(void **state)
{
	static char json[512];

	(void)state;
	make_parent("parent.trace");
	make_child(make_path("parent.trace"));
	memset(t.id, 0x22, sizeof(t.id));
	forked(3, 1);
	make_trace_write(&t, make_path("middle.trace"));
	make_trace_free(&t);
	make_trace_begin(&t);
	snprintf(json, sizeof(json),
		 "\"parent\":{\"trace\":\"22222222222222222222222222222222\",\"path\":\"%s\","
		 "\"fork\":1}",
		 make_path("middle.trace"));
	t.run_more = json;
	load("grandchild.trace");
	assert_int_equal(run.heap.inherited_bytes, 350);
	assert_int_equal(run.heap.live_bytes, 350);
	assert_int_equal(site(0xa)->live_bytes, 50);
}

static void test_parent_is_missing(void **state)
{
	(void)state;
	make_child("/nowhere/at/all/absent.trace");
	load("orphan.trace");
	assert_true(run.heap.inherited_unknown);
	assert_int_equal(run.heap.unmatched_frees, 1);
	assert_int_equal(run.heap.live_bytes, 50);
	assert_true(has_notice("/nowhere/at/all/absent.trace"));
}

static void test_parent_is_another_run(void **state)
{
	(void)state;
	make_parent("parent.trace");
	/* Another trace took the parent's name. */
	make_trace_write(&t, make_path("parent.trace"));
	make_child(make_path("parent.trace"));
	load("child.trace");
	assert_true(run.heap.inherited_unknown);
	assert_true(has_notice("is of another run"));
}

static void test_own_parent(void **state)
{
	(void)state;
	memset(t.id, 0x11, sizeof(t.id));
	make_child(make_path("loop.trace"));
	load("loop.trace");
	assert_true(run.heap.inherited_unknown);
}

static void test_threads(void **state)
{
	(void)state;
	t.threads = "{\"stream\":1,\"tid\":10,\"name\":\"main\",\"started_ticks\":\"1000000000\","
		    "\"ended_ticks\":null,\"nested_in\":0},"
		    "{\"stream\":2,\"tid\":11,\"name\":\"worker\",\"started_ticks\":\"1002000000\","
		    "\"ended_ticks\":\"1009000000\",\"nested_in\":0},"
		    "{\"stream\":3,\"tid\":10,\"name\":\"main\",\"started_ticks\":\"1003000000\","
		    "\"ended_ticks\":null,\"nested_in\":1}";
	alloc(1, 1 * MS, 0x10, 1, 0);
	alloc(2, 3 * MS, 0x20, 20, 0);
	alloc(3, 4 * MS, 0x30, 300, 0);
	release(1, 5 * MS, 0x30); /* of the same thread, by its handler: temporary */
	load("threads");
	assert_int_equal(run.thread_count, 2);
	assert_int_equal(run.threads[0].tid, 10);
	assert_string_equal(run.threads[0].name, "main");
	assert_int_equal(run.threads[0].allocations, 2);
	assert_int_equal(run.threads[0].allocated_bytes, 301);
	assert_true(run.threads[0].ended_at_s != run.threads[0].ended_at_s);
	assert_int_equal(run.threads[1].tid, 11);
	assert_true(run.threads[1].started_at_s > 0.00199 && run.threads[1].ended_at_s > 0.00899);
	assert_int_equal(run.heap.temporary_allocations, 1);
}

/* So many that the table of live blocks grows while they live, and gives back what it
 * has moved. */
static void test_many_blocks(void **state)
{
	const uint64_t n = 300000;
	uint32_t nodes[2] = {make_node(&t, 0, 0x100), make_node(&t, 0, 0x200)};

	(void)state;
	make_stream(&t, 1)->cells_per_block = 30000;
	for (uint64_t i = 0; i < n; i++)
		alloc(1, i, 0x10000 + 16 * i, i % 5, nodes[i % 2]);
	/* All but each third; the rest is there still. */
	for (uint64_t i = 0; i < n; i++)
		if (i % 3 != 0)
			release(1, n + i, 0x10000 + 16 * i);
	load("many");
	assert_int_equal(run.heap.allocations, n);
	assert_int_equal(run.heap.frees, n / 3 * 2);
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.peak_blocks, n);
	assert_int_equal(run.heap.peak_bytes, 2 * n);
	assert_int_equal(run.heap.live_blocks, n / 3);
	assert_int_equal(run.heap.live_bytes, 2 * n / 3);
	assert_int_equal(site(0x100)->live_blocks, n / 6);
	assert_int_equal(site(0x200)->live_blocks, n / 6);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_peak_and_who_held_it),
		TEST(test_peak_at_the_end),
		TEST(test_sizes_of_zero_and_wide),
		TEST(test_reallocs),
		TEST(test_realloc_under_way_at_the_end),
		TEST(test_temporary),
		TEST(test_unmatched_frees),
		TEST(test_missed_free),
		TEST(test_free_waits_for_its_allocation),
		TEST(test_uncertainty),
		TEST(test_allocation_waits_for_the_free),
		TEST(test_a_knot),
		TEST(test_many_unmatched_frees_in_one_tie),
		TEST(test_own_free_stays_unmatched),
		TEST(test_many_blocks),
		TEST(test_timeline),
		TEST(test_mapped_ranges),
		TEST(test_fork_inherits),
		TEST(test_grandchild),
		TEST(test_parent_is_missing),
		TEST(test_parent_is_another_run),
		TEST(test_own_parent),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
