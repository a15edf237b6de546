/* SPDX-License-Identifier: MIT */
/* Runs as they were at one instant, and what a search for lost blocks left in a trace, from
 * traces made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/reach.h"
#include "analyzer/reach_found.h"
#include "analyzer/run.h"
#include "analyzer/scan.h"
#include "analyzer/spans.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"

static const char *path;

static int begin_live(void **state)
{
	(void)state;
	make_trace_begin(&t);
	path = make_path("live");
	return 0;
}

static void alloc(uint32_t stream, uint64_t ms, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, stream, ms * MS, PH_OP_malloc, address, size, node);
}

static void release(uint32_t stream, uint64_t ms, uint64_t address)
{
	make_memory(&t, stream, ms * MS, PH_OP_free, address, 0, 0);
}

static void load(const struct run_options *options)
{
	make_trace_write(&t, path);
	load_file(path, options);
}

/* ---- an instant --------------------------------------------------------------------- */

static const struct reach_block *block_at(const struct run_live *live, uint64_t address)
{
	for (size_t i = 0; i < live->count; i++)
		if (live->blocks[i].address == address)
			return &live->blocks[i];
	return NULL;
}

static void free_live(struct run_live *live)
{
	free(live->blocks);
	free(live->file_nodes);
	spans_free(live->mapped);
}

/* Two streams at different places, one that had ended and one that began later. */
static void test_instant(void **state)
{
	static struct run_stream_end ends[] = {{1, 2}, {2, 4}};
	const struct run_instant instant = {.ends = ends,
					    .count = 2,
					    .streams = 3,
					    .ticks = MAKE_TRACE_START + 25 * (uint64_t)MS};
	struct spans mapped = {.list = NULL};
	struct run_live live = {.mapped = &mapped};
	const struct run_options options = {.instant = &instant, .live = &live};
	uint32_t node = make_node(&t, 0, 0x4000);

	(void)state;
	make_stream(&t, 1);
	make_stream(&t, 2);
	make_stream(&t, 3);
	make_stream(&t, 4);
	alloc(1, 0, 0x1000, 100, node); /* with its clock's, two cells */
	make_flush(&t, 1);
	release(1, 30, 0x1000);
	make_flush(&t, 1);
	alloc(2, 10, 0x2000, 200, 0);
	alloc(2, 10, 0x3000, 300, node);
	alloc(2, 10, 0x3100, 400, node);
	make_flush(&t, 2);
	alloc(2, 20, 0x5000, 500, node); /* before the instant by its stamp, not by its place */
	make_flush(&t, 2);
	alloc(3, 1, 0x6000, 600, node);
	release(3, 2, 0x6000);
	alloc(3, 3, 0x6100, 610, node);
	make_flush(&t, 3);
	alloc(4, 5, 0x7000, 700, node);
	make_flush(&t, 4);
	ends[0].cells = t.streams[0].first_cell - 2;
	ends[1].cells = 4;
	load(&options);
	assert_int_equal(live.count, 5);
	assert_int_equal(block_at(&live, 0x1000)->size, 100);
	assert_int_equal(block_at(&live, 0x6100)->size, 610);
	assert_null(block_at(&live, 0x5000));
	assert_null(block_at(&live, 0x7000));
	assert_int_equal(run.heap.live_bytes, 100 + 200 + 300 + 400 + 610);
	assert_int_equal(run.sites[block_at(&live, 0x3000)->site].live_bytes,
			 100 + 300 + 400 + 610);
	assert_int_equal(run.sites[block_at(&live, 0x2000)->site].node, 0);
	assert_int_equal(live.file_nodes[run.sites[block_at(&live, 0x3000)->site].node], node);
	/* Its end is nothing to the instant. */
	assert_string_equal(run.end, "running");
	assert_true(run.complete);
	assert_true(fabs(run.duration_s - 0.025) < 1e-9);
	free_live(&live);
}

static void map(uint64_t ms, uint32_t node, uint64_t address, uint64_t bytes)
{
	make_call(&t, 1, ms * MS,
		  (struct ph_call){.op = PH_OP_mmap,
				   .fd = -1,
				   .node = node,
				   .entry = ms * MS,
				   .result = (int64_t)address,
				   .arg = (int64_t)bytes},
		  &(uint64_t){0}, sizeof(uint64_t));
}

static void unmap(uint64_t ms, uint64_t address, uint64_t bytes)
{
	make_call(&t, 1, ms * MS,
		  (struct ph_call){
			  .op = PH_OP_munmap, .fd = -1, .entry = ms * MS, .arg = (int64_t)bytes},
		  &address, sizeof(address));
}

/* Whose mapping it is: the program's, or its allocator's. */
static void test_mapped(void **state)
{
	struct spans mapped = {.list = NULL};
	struct run_live live = {
		.mapped = &mapped, .allocator_start = 0x9000, .allocator_end = 0xa000};
	const struct run_options options = {.live = &live};
	uint32_t program, allocator;

	(void)state;
	make_stream(&t, 1);
	program = make_node(&t, 0, 0x4000);
	allocator = make_node(&t, program, 0x9fff);
	map(1, program, 0x10000, 0x10000);
	map(2, allocator, 0x30000, 0x10000);
	map(3, 0, 0x50000, 0x4000);
	unmap(4, 0x14000, 0x2000);
	/* Given back and taken again by the other. */
	map(5, allocator, 0x18000, 0x1000);
	load(&options);
	assert_non_null(spans_at(&mapped, 0x10000));
	assert_null(spans_at(&mapped, 0x14000));
	assert_non_null(spans_at(&mapped, 0x16000));
	assert_null(spans_at(&mapped, 0x18000));
	assert_non_null(spans_at(&mapped, 0x19000));
	assert_null(spans_at(&mapped, 0x30000));
	assert_non_null(spans_at(&mapped, 0x53fff));
	free_live(&live);
}

/* ---- what was found ------------------------------------------------------------------- */

static uint32_t two_sites(void)
{
	uint32_t node;

	make_stream(&t, 1);
	node = make_node(&t, 0, 0x4000);
	alloc(1, 1, 0x1000, 100, node);
	alloc(1, 2, 0x2000, 50, node);
	alloc(1, 3, 0x3000, 10, make_node(&t, 0, 0x5000));
	t.run_more = "\"leaks\":true";
	return node;
}

static const struct site *site_of(uint64_t pc)
{
	for (size_t i = 0; i < run.site_count; i++)
		if (run.addresses[run.nodes[run.sites[i].node].address].pc == pc)
			return &run.sites[i];
	fail_msg("no site");
	return NULL;
}

static void test_found(void **state)
{
	(void)state;
	two_sites();
	t.reach[0] = "{\"how\":\"copy\",\"ticks\":\"1002000000\",\"pause_ns\":\"1500000\","
		     "\"notes\":[\"a note\",7]}";
	t.reach[1] = "{\"sites\":[[1,100,1,0,0,50,1,0,0]],\"inherited\":[[0,1,1,1,1,1,1,1,1]]}";
	t.reach[2] = "{\"sites\":[[2,0,0,0,0,0,0,10,1],[99,7,1,0,0,0,0,0,0]]}";
	load(NULL);
	assert_true(run.heap.reach.made);
	assert_null(run.heap.reach.missing);
	assert_string_equal(run.heap.reach.how, "copy");
	assert_true(fabs(run.heap.reach.at_s - 0.002) < 1e-9);
	assert_true(fabs(run.heap.reach.pause_s - 0.0015) < 1e-9);
	assert_int_equal(run.heap.reach.note_count, 1);
	assert_string_equal(run.heap.reach.notes[0], "a note");
	assert_int_equal(site_of(0x4000)->reach[REACH_LOST].bytes, 100);
	assert_int_equal(site_of(0x4000)->reach[REACH_POSSIBLE].blocks, 1);
	assert_int_equal(site_of(0x5000)->reach[REACH_STILL].bytes, 10);
	/* Also of stacks that are not there. */
	assert_int_equal(run.heap.reach.sums[REACH_LOST].bytes, 100 + 1 + 7);
}

/* Nothing was asked for: nothing is missing. Asked for: why there is none. */
static void test_missing(void **state)
{
	(void)state;
	two_sites();
	t.run_more = NULL;
	load(NULL);
	assert_false(run.heap.reach.made);
	assert_null(run.heap.reach.missing);
	run_free(&run);
	t.run_more = "\"leaks\":true";
	t.file.length = 0;
	load(NULL);
	assert_non_null(strstr(run.heap.reach.missing, "did not end by exit()"));
	run_free(&run);
	t.end = "{\"end\":\"signal\",\"status\":9,\"ended_ticks\":\"1010000000\",\"lost\":0}";
	t.file.length = 0;
	load(NULL);
	assert_non_null(strstr(run.heap.reach.missing, "a signal ended"));
	run_free(&run);
	t.reach[0] = "{\"failed\":\"it is traced\"}";
	t.file.length = 0;
	load(NULL);
	assert_string_equal(run.heap.reach.missing, "it is traced");
}

/* Of a part of the run it says nothing. */
static void test_found_of_part(void **state)
{
	const struct run_view view = {.windowed = true, .from_s = 0, .to_s = 0.002};
	const struct run_options options = {.view = &view};

	(void)state;
	two_sites();
	t.reach[0] = "{\"how\":\"copy\",\"ticks\":\"1\",\"pause_ns\":\"1\",\"notes\":[]}";
	load(&options);
	assert_false(run.heap.reach.made);
	assert_null(run.heap.reach.missing);
}

static void test_hostile_blocks(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{\"sites\":[[1,2,3]]}",
		"{\"sites\":[[1,1,1,1,1,1,1,1,1,1]]}",
		"{\"sites\":[7]}",
		"{\"how\":",
	};
	static const char *const odd[] = {
		("{\"sites\":[[-1,-1,-1,-1,-1,-1,-1,-1,-1]],"
		 "\"inherited\":[[1e30,1e30,1e300,1,1,1,1,1,1]]}"),
		"{\"how\":7,\"notes\":7,\"sites\":7,\"inherited\":\"x\",\"failed\":[]}",
		"{\"how\":\"x\",\"ticks\":\"-1\",\"pause_ns\":\"x\",\"notes\":{\"a\":\"b\"}}",
		"{\"sites\":[[\"1\",\"18446744073709551615\",true,null,{},[],0,0,0]]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad) + sizeof(odd) / sizeof(*odd); i++) {
		size_t good = i < sizeof(bad) / sizeof(*bad) ? 0 : i - sizeof(bad) / sizeof(*bad);
		bool is_bad = i < sizeof(bad) / sizeof(*bad);

		make_trace_free(&t);
		make_trace_begin(&t);
		two_sites();
		t.reach[0] = is_bad ? bad[i] : odd[good];
		load(NULL);
		assert_int_equal(run.complete, !is_bad);
		run_free(&run);
	}
}

/* Written and read again, every stack has its figures. */
static void test_round_trip(void **state)
{
	struct reach_block blocks[] = {{.size = 5, .site = 0, .class = REACH_LOST},
				       {.size = 7, .site = 0, .class = REACH_STILL},
				       {.size = 9, .site = 1, .class = REACH_INDIRECT},
				       {.size = 1ull << 52, .site = 2, .class = REACH_POSSIBLE}};
	struct site sites[4] = {{.node = 1}, {.node = 2}, {.node = 0}, {.node = 1}};
	uint32_t file_nodes[] = {0, 0, 17};
	const struct run_live live = {.file_nodes = file_nodes, .inherited_sites = 1};
	struct run made = {.sites = sites,
			   .site_count = 4,
			   .heap = {.reach = {.how = "snapshot", .pause_s = 0.25}}};
	struct reach_found found = {.made = false};
	struct arena *arena = arena_new();
	char *text, *next;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	scan_sum_up(&made, blocks, 4);
	found_write(out, &made, &live, 77);
	fclose(out);
	for (char *line = text; *line != '\0'; line = next) {
		struct ph_buffer payload = {.data = (uint8_t *)line};

		next = strchr(line, '\n') + 1;
		payload.length = (size_t)(next - line) - 1;
		assert_true(found_read(&found, &payload, arena));
	}
	assert_true(found.made);
	assert_int_equal(found.ticks, 77);
	assert_int_equal(found.pause_ns, 250000000);
	assert_int_equal(found.site_count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct found_site *s = &found.sites[i];

		if (s->inherited) {
			assert_int_equal(s->number, 0);
			assert_int_equal(s->sums[REACH_LOST].bytes, 5);
			assert_int_equal(s->sums[REACH_STILL].bytes, 7);
		} else if (s->number == 17) {
			assert_int_equal(s->sums[REACH_INDIRECT].blocks, 1);
		} else {
			assert_int_equal(s->number, 0); /* no stack */
			assert_int_equal(s->sums[REACH_POSSIBLE].bytes, 1ull << 52);
		}
	}
	found_free(&found);
	arena_free(arena);
	free(text);
}

int main(void)
{
#define with_trace(test) cmocka_unit_test_setup_teardown(test, begin_live, end)
	const struct CMUnitTest tests[] = {
		with_trace(test_instant),
		with_trace(test_mapped),
		with_trace(test_found),
		with_trace(test_missing),
		with_trace(test_found_of_part),
		with_trace(test_hostile_blocks),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
