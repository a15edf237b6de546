/* SPDX-License-Identifier: MIT */
/*
 * Damaged traces: cut at every block and at random, bits flipped, stretches
 * overwritten, checksums made to fit again. Each gives a clear error or what
 * could be saved, never a crash or a hang; run it with SAN=address,undefined.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "analyzer/activity.h"
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/make_trace.h"
#include "trace/decode.h"

static struct make_trace t;
static uint8_t *bytes; /* a copy to damage */
static uint64_t seed = 0x2545f4914f6cdd1du;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

static void add_io(uint32_t stream, uint64_t i)
{
	struct ph_object o = {
		.class = i % 3 ? PH_CLASS_FILE : PH_CLASS_SOCKET, .family = 2, .type = 1};
	uint32_t object = (uint32_t)(i % 20) + 1;
	uint64_t stamp = i * 50;

	o.local_bytes = o.class == PH_CLASS_SOCKET ? 16 : 0;
	make_object(&t, stream, stamp, object, 3, o, i % 3 ? "/tmp/some/file" : "",
		    "\2\0\0\120\177\0\0\1\0\0\0\0\0\0\0\0", NULL);
	for (unsigned op = PH_OP_mmap; op < PH_OP_FUNCTIONS; op++) {
		if (op % 7 == i % 7)
			make_call(&t, stream, stamp,
				  (struct ph_call){.op = (uint8_t)op,
						   .fd = 3,
						   .object = object,
						   .entry = stamp,
						   .duration = i,
						   .result = (int64_t)(i % 50) - 2,
						   .arg = 4096},
				  (uint64_t[2]){4096, 4096}, i % 2 ? 16 : 0);
	}
}

static int make(void **state)
{
	uint32_t node = 0;

	(void)state;
	make_trace_begin(&t);
	t.threads =
		"{\"stream\":1,\"tid\":1,\"name\":\"a\"},{\"stream\":2,\"tid\":2,\"name\":\"b\"}";
	t.modules = "{\"id\":1,\"path\":\"/bin/x\",\"build_id\":\"ab\",\"base\":\"0x1000\","
		    "\"ranges\":[[\"0x1000\",\"0x9000\"]],\"loaded\":1,\"unloaded\":null}";
	t.nodes_per_block = 4;
	for (uint64_t i = 0; i < 1200; i++) {
		uint32_t stream = 1 + (uint32_t)(i / 9 % 3);

		if (i % 50 == 0)
			node = make_node(&t, node, 0x1000 + i);
		make_stream(&t, stream)->cells_per_block = 150;
		make_memory(&t, stream, i * 50, PH_OP_malloc, 0x10000 + 16 * (i % 300), i % 77,
			    node);
		if (i % 5 == 0)
			make_memory(&t, stream, i * 50, PH_OP_REALLOC_BEGIN,
				    0x10000 + 16 * (i % 300), 0, 0);
		if (i % 5 == 0)
			make_memory(&t, stream, i * 50, PH_OP_realloc, 0x20000 + 16 * (i % 300), i,
				    node);
		if (i % 3 != 0)
			make_memory(&t, 1 + i % 3, i * 50, PH_OP_free, 0x10000 + 16 * (i % 300), 0,
				    0);
		if (i % 40 == 0)
			add_io(stream, i);
	}
	make_trace_finish(&t);
	bytes = malloc(2 * t.file.length);
	return bytes == NULL;
}

static int unmake(void **state)
{
	(void)state;
	free(bytes);
	make_trace_free(&t);
	return 0;
}

static void check_sane(const struct run *run)
{
	assert_true(isfinite(run->duration_s));
	assert_true(run->heap.timeline_count <= 128);
	assert_non_null(run->executable);
	assert_non_null(run->host);
	assert_non_null(run->end);
	for (size_t i = 0; i < run->site_count; i++) {
		assert_true(run->sites[i].node < run->node_count);
		/* Stacks end. */
		for (uint32_t n = run->sites[i].node; n != 0; n = run->nodes[n].parent) {
			assert_true(run->nodes[n].parent < n);
			assert_true(run->nodes[n].address < run->address_count);
		}
	}
	for (size_t i = 0; i < run->file_count; i++)
		assert_non_null(run->files[i].path);
	if (!run->complete)
		assert_true(run->notice_count > 0);
}

/* What is added up by stack and thread is of those that there are. */
static void check_activity(const struct run *run)
{
	assert_non_null(run->activity);
	for (size_t i = 0; i < run->activity->count; i++) {
		const struct activity_key *k = &run->activity->sums[i].key;

		assert_true(k->node < run->node_count);
		assert_true(k->thread < run->thread_count || k->thread == ACTIVITY_NOBODY);
		assert_true(k->slice < ACTIVITY_SLICES);
	}
}

/* The number of events that could be saved; -1: none of it was usable. */
static int64_t try(const uint8_t *data, size_t length, bool *complete)
{
	const char *path = make_path("damaged.trace");
	const struct run_options options = {.activity = true};
	struct error e = {0};
	struct run run;
	int64_t events = -1;

	make_file(path, data, length);
	if (run_load(&run, path, &options, &e) == 0) {
		check_sane(&run);
		check_activity(&run);
		events = (int64_t)run.events;
		*complete = run.complete;
		run_free(&run);
	} else {
		assert_true(e.code != ERROR_NONE && e.code != ERROR_MEMORY);
		assert_non_null(strstr(e.text, "damaged.trace"));
		*complete = false;
	}
	unlink(path);
	return events;
}

static void test_whole(void **state)
{
	bool complete;

	(void)state;
	assert_true(try(t.file.data, t.file.length, &complete) > 2000);
	assert_true(complete);
}

static void test_cut_at_every_block(void **state)
{
	struct ph_block_header h;
	int64_t before = -1;
	bool complete;

	(void)state;
	for (size_t at = sizeof(struct ph_file_header); at < t.file.length;
	     at += sizeof(h) + h.stored_bytes) {
		int64_t events = try(t.file.data, at, &complete);

		memcpy(&h, t.file.data + at, sizeof(h));
		/* The END is there, only the index is not. */
		assert_int_equal(complete, h.kind == PH_BLOCK_INDEX);
		assert_true(events >= before);
		before = events;
		/* Within the block: what came before it stands. */
		if (h.stored_bytes > 1)
			assert_int_equal(
				try(t.file.data, at + sizeof(h) + h.stored_bytes / 2, &complete),
				events);
	}
	assert_true(before > 2000);
}

static void test_cut_anywhere(void **state)
{
	bool complete;

	(void)state;
	for (int i = 0; i < 500; i++)
		try(t.file.data, next_random() % t.file.length, &complete);
}

/* One block's payload is flipped: the others are all there. */
static void test_damage_costs_only_itself(void **state)
{
	struct ph_block_header h;
	bool complete;
	int64_t all = try(t.file.data, t.file.length, &complete);

	(void)state;
	for (size_t at = sizeof(struct ph_file_header); at < t.file.length;
	     at += sizeof(h) + h.stored_bytes) {
		memcpy(&h, t.file.data + at, sizeof(h));
		memcpy(bytes, t.file.data, t.file.length);
		bytes[at + sizeof(h) + h.stored_bytes / 2] ^= 0x10;
		assert_int_equal(try(bytes, t.file.length, &complete), all - h.events);
		/* The index is not needed for anything. */
		if (h.kind != PH_BLOCK_INDEX)
			assert_false(complete);
		/* And the same of its header: found again behind it. */
		memcpy(bytes, t.file.data, t.file.length);
		bytes[at + 8] ^= 0x10;
		assert_int_equal(try(bytes, t.file.length, &complete), all - h.events);
		assert_false(complete);
	}
}

static void test_flipped_bits(void **state)
{
	bool complete;

	(void)state;
	for (int i = 0; i < 2500; i++) {
		memcpy(bytes, t.file.data, t.file.length);
		for (uint64_t n = 1 + next_random() % 8; n > 0; n--)
			bytes[next_random() % t.file.length] ^= (uint8_t)(1u << next_random() % 8);
		try(bytes, t.file.length, &complete);
	}
}

/* Payloads damaged before they were sealed: checksums fit, content does not. */
static void test_wrong_but_sealed(void **state)
{
	bool complete;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		struct ph_buffer file = {0}, payload = {0};
		struct ph_block_header h;

		ph_buffer_put(&file, t.file.data, sizeof(struct ph_file_header));
		for (size_t at = sizeof(struct ph_file_header); at < t.file.length;
		     at += sizeof(h) + h.stored_bytes) {
			memcpy(&h, t.file.data + at, sizeof(h));
			assert_null(ph_block_open(&h, t.file.data + at + sizeof(h), &payload));
			if (next_random() % 4 == 0 && payload.length != 0) {
				for (uint64_t n = 1 + next_random() % 4; n > 0; n--)
					payload.data[next_random() % payload.length] =
						(uint8_t)next_random();
			}
			if (next_random() % 16 == 0)
				h.kind = (uint16_t)(next_random() % 11);
			if (next_random() % 16 == 0)
				h.first_stamp = next_random() << next_random() % 20;
			if (next_random() % 16 == 0)
				h.first_cell = next_random() >> next_random() % 53;
			if (next_random() % 32 == 0)
				h.events = (uint32_t)next_random() % 1000;
			assert_int_equal(ph_block_seal(&h, payload.data, payload.length, &file), 0);
			memcpy(&h, t.file.data + at, sizeof(h));
		}
		try(file.data, file.length, &complete);
		ph_buffer_free(&file);
		ph_buffer_free(&payload);
	}
}

static void test_overwritten_stretches(void **state)
{
	bool complete;

	(void)state;
	for (int i = 0; i < 300; i++) {
		size_t from = next_random() % t.file.length;
		size_t length = next_random() % (t.file.length - from);

		memcpy(bytes, t.file.data, t.file.length);
		if (i % 3 == 0)
			memset(bytes + from, 0, length);
		else if (i % 3 == 1)
			memmove(bytes + from, bytes, length);
		else
			for (size_t k = from; k < from + length; k++)
				bytes[k] = (uint8_t)next_random();
		try(bytes, t.file.length, &complete);
	}
}

static void test_garbage(void **state)
{
	static const uint32_t magic = PH_BLOCK_MAGIC;
	enum { LENGTH = 1 << 20 };
	uint8_t *garbage = malloc(LENGTH);
	bool complete;

	(void)state;
	assert_non_null(garbage);
	for (size_t i = 0; i < LENGTH; i++)
		garbage[i] = (uint8_t)next_random();
	assert_int_equal(try(garbage, LENGTH, &complete), -1);
	memcpy(garbage, t.file.data, sizeof(struct ph_file_header));
	assert_int_equal(try(garbage, LENGTH, &complete), -1);
	/* A block seems to begin at every word. */
	for (size_t i = 40; i < LENGTH; i += sizeof(magic))
		memcpy(garbage + i, &magic, sizeof(magic));
	assert_int_equal(try(garbage, LENGTH, &complete), -1);
	free(garbage);
}

/* Garbage between the blocks, and one trace in another's middle. */
static void test_insertions(void **state)
{
	bool complete;

	(void)state;
	for (int i = 0; i < 100; i++) {
		size_t at = next_random() % t.file.length, more = next_random() % 300;

		memcpy(bytes, t.file.data, at);
		for (size_t k = 0; k < more; k++)
			bytes[at + k] = (uint8_t)next_random();
		memcpy(bytes + at + more, t.file.data + at, t.file.length - at);
		try(bytes, t.file.length + more, &complete);
	}
	memcpy(bytes, t.file.data, t.file.length / 2);
	memcpy(bytes + t.file.length / 2, t.file.data, t.file.length);
	assert_true(try(bytes, t.file.length / 2 + t.file.length, &complete) > 0);
	assert_false(complete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut_at_every_block),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_damage_costs_only_itself),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_wrong_but_sealed),
		cmocka_unit_test(test_overwritten_stretches),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_insertions),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
