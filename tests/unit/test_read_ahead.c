/* SPDX-License-Identifier: MIT */
/* Blocks decoded ahead are those that are decoded when they are wanted, in whatever
 * order they are taken, and whenever it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* cmocka has a macro of the name of our fail(). */
#include "analyzer/read_ahead.h"

#include <cmocka.h>

#include "tests/unit/make_trace.h"

enum { STREAMS = 3, BLOCKS = 20, EVENTS = 50, ROUNDS = 1000 };

static struct make_trace t;
static struct reader reader;
static const char *path;

static int begin(void **state)
{
	(void)state;
	make_trace_begin(&t);
	path = make_path("read_ahead.trace");
	return 0;
}

static int end(void **state)
{
	(void)state;
	reader_close(&reader);
	make_trace_free(&t);
	return 0;
}

static void open_reader(void)
{
	struct error e = {0};

	if (reader_open(&reader, path, &e) != 0)
		fail_msg("%s", e.text);
}

/* Each stream's stamps begin later than the one's before, so that the order in which
 * the blocks are due is not that of the file. */
static void make_blocks(uint32_t streams, unsigned blocks)
{
	for (uint32_t stream = 1; stream <= streams; stream++)
		for (unsigned i = 0; i < blocks * EVENTS; i++) {
			make_memory(&t, stream, 1000 * stream + 100 * i, PH_OP_malloc,
				    0x1000 * stream + 64 * i, i % 700, 0);
			if (i % EVENTS == EVENTS - 1)
				make_flush(&t, stream);
		}
	make_trace_write(&t, path);
	open_reader();
}

static bool decode(size_t block, struct ph_events *events)
{
	const struct block *b = &reader.blocks[block];
	struct ph_buffer stored = {0}, payload = {0};
	bool good = reader_load(&reader, b, &stored, &payload) &&
		    ph_decode_events(&b->header, payload.data, payload.length, events) == NULL;

	ph_buffer_free(&stored);
	ph_buffer_free(&payload);
	return good;
}

static void check_same(const struct ph_events *a, const struct ph_events *b)
{
	assert_int_equal(a->count, b->count);
	assert_true(a->count != 0);
	for (size_t i = 0; i < a->count; i++) {
		assert_int_equal(a->events[i].stamp, b->events[i].stamp);
		assert_int_equal(a->events[i].address, b->events[i].address);
		assert_int_equal(a->events[i].size, b->events[i].size);
		assert_int_equal(a->events[i].op, b->events[i].op);
	}
}

/* Takes one, and says whether it had been decoded ahead. */
static bool check_take(struct read_ahead *a, size_t block, struct ph_events *events)
{
	enum read_ahead_result result = read_ahead_take(a, block, events);
	struct ph_events alone = {0};
	bool good = decode(block, &alone);

	if (result == READ_AHEAD_DECODED) {
		assert_true(good);
		check_same(&alone, events);
	} else if (result == READ_AHEAD_DAMAGED) {
		assert_false(good);
	}
	ph_events_free(&alone);
	return result != READ_AHEAD_NOT;
}

/* In steps of so many blocks through the list, which takes each once. */
static size_t take_all(size_t step)
{
	struct read_ahead *a = read_ahead_begin(&reader);
	struct ph_events events = {0};
	size_t ahead = 0, at = 0;

	assert_non_null(a);
	for (size_t i = 0; i < reader.block_count; i++, at = (at + step) % reader.block_count)
		if (reader.blocks[at].header.kind == PH_BLOCK_EVENTS)
			ahead += check_take(a, at, &events);
	read_ahead_end(a);
	ph_events_free(&events);
	return ahead;
}

static size_t greatest_common_divisor(size_t a, size_t b)
{
	return b == 0 ? a : greatest_common_divisor(b, a % b);
}

static void in_any_order(void **state)
{
	size_t ahead = 0;

	(void)state;
	make_blocks(STREAMS, BLOCKS);
	for (size_t step = 1; step < reader.block_count; step++)
		if (greatest_common_divisor(step, reader.block_count) == 1)
			ahead += take_all(step);
	/* The other thread may be late, but not each time. */
	for (int i = 0; i < ROUNDS && ahead == 0; i++)
		ahead += take_all(1);
	assert_true(ahead > 0);
}

static void ended_at_any_time(void **state)
{
	struct ph_events events = {0};

	(void)state;
	make_blocks(STREAMS, BLOCKS);
	for (size_t taken = 0; taken < reader.block_count; taken++) {
		struct read_ahead *a = read_ahead_begin(&reader);

		assert_non_null(a);
		for (size_t i = 0; i < taken; i++)
			if (reader.blocks[i].header.kind == PH_BLOCK_EVENTS)
				check_take(a, i, &events);
		read_ahead_end(a);
	}
	ph_events_free(&events);
}

static void damaged_block(void **state)
{
	enum read_ahead_result result = READ_AHEAD_NOT;
	struct ph_events events = {0};
	size_t block = 0;
	FILE *f;

	(void)state;
	make_blocks(STREAMS, BLOCKS);
	while (reader.blocks[block].header.kind != PH_BLOCK_EVENTS)
		block++;
	f = fopen(path, "r+e");
	assert_non_null(f);
	fseek(f, (long)(reader.blocks[block].offset + sizeof(struct ph_block_header)), SEEK_SET);
	fputs("damage", f);
	fclose(f);
	for (int i = 0; i < ROUNDS && result == READ_AHEAD_NOT; i++) {
		struct read_ahead *a = read_ahead_begin(&reader);

		usleep(100);
		result = read_ahead_take(a, block, &events);
		read_ahead_end(a);
	}
	assert_int_equal(READ_AHEAD_DAMAGED, result);
	ph_events_free(&events);
}

static void nothing_to_gain(void **state)
{
	struct ph_events events = {0};

	(void)state;
	make_blocks(1, 1);
	assert_null(read_ahead_begin(&reader));
	assert_int_equal(READ_AHEAD_NOT, read_ahead_take(NULL, 0, &events));
	read_ahead_end(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_any_order),
		TEST(ended_at_any_time),
		TEST(damaged_block),
		TEST(nothing_to_gain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
