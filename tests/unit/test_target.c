/* SPDX-License-Identifier: MIT */
/* A segment is the recorded program's memory: whatever it writes into its header,
 * the collector keeps to what is there. Most of all under AddressSanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define SLOTS 4u

static char path[64], trace[80];
static struct ph_segment *segment;
static uint64_t bytes;

/* A segment as the library lays it out, with an empty ring for each slot. */
static int make(void **state)
{
	uint64_t at = (sizeof(*segment) + 4095) & ~UINT64_C(4095);
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/perfhook-test-target.XXXXXX");
	fd = mkstemp(path);
	/* Room for stages, which take no more than half of the rings'. */
	bytes = at + 65536 + 4 * PH_STAGE_CELLS * sizeof(struct ph_cell);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	segment = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(segment, MAP_FAILED);
	close(fd);
	segment->version = PH_SEGMENT_VERSION;
	segment->bytes = bytes;
	segment->pid = getpid();
	segment->slot_count = SLOTS;
	segment->slots_offset = at;
	segment->modules_offset = at + 8192;
	segment->modules_bytes = 4096;
	segment->addresses =
		(struct ph_table){.offset = at + 12288, .level_0 = 64, .levels_max = 2};
	segment->nodes = (struct ph_table){.offset = at + 16384, .level_0 = 64, .levels_max = 2};
	segment->rings_offset = at + 20480;
	segment->rings_used = 4096;
	segment->rings_end = bytes;
	segment->magic = PH_SEGMENT_MAGIC;
	return 0;
}

static int discard(void **state)
{
	(void)state;
	munmap(segment, bytes);
	unlink(path);
	return 0;
}

static bool is_taken(void)
{
	struct target *t = target_map(path, "");

	if (t != NULL)
		target_free(t);
	return t != NULL;
}

static void test_plausible(void **state)
{
	(void)state;
	assert_true(is_taken());
	segment->magic++;
	assert_false(is_taken());
	segment->magic--;
	segment->version++;
	assert_false(is_taken());
	segment->version--;
	segment->bytes--;
	assert_false(is_taken());
}

/* Each number of the layout, with values that would overflow a careless sum. */
static void test_hostile_numbers(void **state)
{
	uint64_t *const wide[] = {&segment->slots_offset,  &segment->modules_offset,
				  &segment->modules_bytes, &segment->addresses.offset,
				  &segment->nodes.offset,  &segment->rings_offset};
	uint32_t *const narrow[] = {&segment->slot_count, &segment->addresses.level_0,
				    &segment->addresses.levels_max, &segment->nodes.level_0,
				    &segment->nodes.levels_max};
	const uint64_t bad[] = {bytes + 1, UINT64_MAX, UINT64_MAX - 63, UINT64_C(1) << 63,
				UINT64_MAX - bytes};
	const uint32_t bad_narrow[] = {UINT32_MAX, 1u << 31, (1u << 31) + 1, 1u << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			uint64_t good = *wide[i];

			*wide[i] = bad[k];
			assert_false(is_taken());
			*wide[i] = good;
		}
	}
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
		for (size_t k = 0; k < sizeof(bad_narrow) / sizeof(bad_narrow[0]); k++) {
			uint32_t good = *narrow[i];

			*narrow[i] = bad_narrow[k];
			assert_false(is_taken());
			*narrow[i] = good;
		}
	}
	assert_true(is_taken());
}

static struct ph_slot *use_slot(uint32_t index)
{
	struct ph_slot *slot = (struct ph_slot *)((char *)segment + segment->slots_offset) + index;

	segment->slots_used = index + 1;
	slot->stream = index + 1;
	slot->tid = (uint32_t)getpid();
	slot->ring_count = 1;
	slot->rings[0] = (struct ph_ring){.offset = segment->rings_offset, .mask = 63};
	slot->state = PH_SLOT_ACTIVE;
	return slot;
}

static void finish(struct target *t)
{
	const struct target_end end = {.kind = "exit", .status = 0};
	struct stat st;

	assert_true(target_finish(t, &end));
	assert_int_equal(fstat(t->fd, &st), 0);
	assert_true(st.st_size > 0);
	target_free(t);
	unlink(trace);
}

static struct target *attach(void)
{
	struct target *t = target_map(path, "");

	assert_non_null(t);
	snprintf(trace, sizeof(trace), "%s.trace", path);
	snprintf(t->trace_path, sizeof(t->trace_path), "%s", trace);
	t->fd = open(trace, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(t->fd >= 0);
	target_begin(t, NULL);
	return t;
}

/* What was good when it was mapped may be anything afterwards. */
static void test_overwritten_header(void **state)
{
	struct target *t = attach();
	struct ph_slot *slot = use_slot(0);

	(void)state;
	slot->head = 10;
	memset((char *)segment + offsetof(struct ph_segment, slots_offset), 0xff,
	       offsetof(struct ph_segment, alone) - offsetof(struct ph_segment, slots_offset));
	segment->slot_count = UINT32_MAX;
	segment->bytes = UINT64_MAX;
	segment->slots_used = UINT32_MAX;
	segment->modules_used = UINT64_MAX;
	target_drain(t, true);
	target_reclaim(t);
	finish(t);
}

static void test_hostile_rings(void **state)
{
	const struct ph_ring bad[] = {
		{.offset = UINT64_MAX - 15, .mask = 0},
		{.offset = UINT64_MAX, .mask = 63},
		{.offset = bytes - 16, .mask = 63},
		{.offset = 0, .mask = 63},
		{.offset = segment->rings_offset, .mask = 62},
		{.offset = segment->rings_offset, .mask = UINT64_MAX},
		{.offset = segment->rings_offset, .first = UINT64_MAX, .mask = 63},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct target *t = attach();
		struct ph_slot *slot = use_slot(0);

		slot->rings[0] = bad[i];
		slot->tail = 0;
		slot->head = 64;
		target_drain(t, true);
		finish(t);
	}
	for (uint32_t count = 0; count < 40; count += 13) {
		struct target *t = attach();
		struct ph_slot *slot = use_slot(0);

		/* A thread that is gone: its slot is given back. */
		slot->tid = 0x3fffffff;
		slot->ring_count = count;
		slot->head = slot->tail = 0;
		target_reclaim(t);
		finish(t);
	}
}

static void record(struct ph_slot *slot, unsigned count)
{
	struct ph_cell *cells = (struct ph_cell *)((char *)segment + slot->rings[0].offset);

	for (unsigned i = 0; i < count; i++, slot->head++)
		cells[slot->head & slot->rings[0].mask] =
			ph_memory_cell(PH_OP_malloc, (slot->head + 1) * 16, 24, 0);
}

static uint64_t written(const struct target *t)
{
	uint64_t events = 0;

	for (size_t i = 0; i < t->index_count; i++)
		events += t->index[i].events;
	return events;
}

static struct target *take_over(const struct target *dead)
{
	struct target *t = target_map(path, "");

	assert_non_null(t);
	t->fd = dup(dead->fd);
	t->file_bytes = dead->file_bytes;
	target_adopt_stages(t);
	return t;
}

/* Taken from the ring and not yet written: it is there for whoever comes after. */
static void test_staged(void **state)
{
	struct target *t = attach(), *next;
	struct ph_slot *slot = use_slot(0);

	(void)state;
	target_drain(t, false); /* the first one of a second takes everything */
	record(slot, 40);
	assert_int_equal(target_drain(t, false), 40);
	assert_int_equal(slot->tail, 40);
	record(slot, 50); /* over the ring's end */
	assert_int_equal(target_drain(t, false), 50);
	assert_int_equal(slot->stage_count, 90);
	assert_int_equal(written(t), 0);
	assert_int_equal(target_unwritten(t, 0), 0);

	/* Killed before it could say that the ring is free. */
	slot->tail = 40;
	record(slot, 3);
	next = take_over(t);
	assert_false(next->damaged);
	assert_int_equal(slot->tail, 90);
	assert_int_equal(target_unwritten(next, 0), 0);
	target_drain(next, true);
	assert_int_equal(written(next), 93);
	assert_int_equal(slot->stage_count, 0);
	assert_int_equal(slot->tail, 93);
	target_free(t);
	finish(next);
}

/* Events of block number `i`, of those that hold any. */
static uint64_t block_events(const struct target *t, size_t i)
{
	size_t seen = 0;

	for (size_t k = 0; k < t->index_count; k++)
		if (t->index[k].kind == PH_BLOCK_EVENTS && seen++ == i)
			return t->index[k].events;
	return 0;
}

/* What was recorded before a look from outside and what came after are in blocks of their
 * own, in whatever pieces they are taken. */
static void test_cut(void **state)
{
	(void)state;
	for (unsigned before = 0; before <= 60; before += 15) {
		struct target *t = attach();
		struct ph_slot *slot = use_slot(0);

		segment->rings_used = 4096; /* there is room for a stage */
		target_drain(t, false);
		record(slot, 40);
		target_drain(t, false); /* staged */
		record(slot, before % 30);
		slot->cut = slot->head;
		record(slot, 20);
		target_drain(t, before > 30);
		record(slot, 30);
		target_drain(t, true);
		assert_int_equal(block_events(t, 0), 40 + before % 30);
		assert_int_equal(written(t), 90 + before % 30);
		slot->cut = slot->head = slot->tail = 0;
		finish(t);
	}
}

/* All that is there, and then it is said, once. */
static void test_flush(void **state)
{
	struct target *t = attach();
	struct ph_slot *slot = use_slot(0);

	(void)state;
	target_drain(t, false);
	record(slot, 40);
	target_drain(t, false);
	target_flush(t);
	assert_int_equal(written(t), 0);
	segment->flush_wanted = 2;
	target_flush(t);
	assert_int_equal(written(t), 40);
	assert_int_equal(segment->flushed, 2);
	record(slot, 5);
	target_flush(t);
	assert_int_equal(written(t), 40);
	finish(t);
}

static void test_hostile_stages(void **state)
{
	struct target *t = attach();
	struct ph_slot *slot = use_slot(0);
	const struct {
		uint64_t stage, first, count, tail;
	} bad[] = {
		{0, 0, 32, 32},
		{segment->rings_offset + 4, 0, 32, 32},
		{bytes - 16, 0, 32, 32},
		{UINT64_MAX - 7, 0, 32, 32},
		{segment->rings_offset, 0, PH_STAGE_CELLS + 1, 32},
		{segment->rings_offset, 0, UINT64_MAX, 32},
		{segment->rings_offset, UINT64_MAX, 2, 0},
		{segment->rings_offset, 20, 32, 32}, /* more than was recorded */
		{segment->rings_offset, 10, 20, 9},
		{segment->rings_offset, 0, 8, 9},
	};

	(void)state;
	slot->head = 40;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct target *next;

		slot->stage = bad[i].stage;
		slot->stage_first = bad[i].first;
		slot->stage_count = bad[i].count;
		slot->tail = bad[i].tail;
		next = take_over(t);
		assert_true(next->damaged);
		assert_int_equal(slot->tail, bad[i].tail);
		target_drain(next, true);
		target_free(next);
	}
	finish(t);
}

/* Its only name is gone, then the file is written again with all it had. */
static void test_removed_trace(void **state)
{
	struct target *t = attach();
	struct stat st;
	uint64_t had = t->file_bytes;

	(void)state;
	assert_int_equal(unlink(trace), 0);
	target_keep(t, true);
	assert_int_equal(stat(trace, &st), 0);
	assert_int_equal(st.st_size, had);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Once more; and not when something else is there. */
	assert_int_equal(unlink(trace), 0);
	close(open(trace, O_RDWR | O_CREAT | O_EXCL, 0644));
	target_keep(t, true);
	assert_true(t->replaced);
	assert_int_equal(stat(trace, &st), 0);
	assert_int_equal(st.st_size, 0);
	finish(t);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, make, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fresh(test_plausible),
		fresh(test_hostile_numbers),
		fresh(test_overwritten_header),
		fresh(test_hostile_rings),
		fresh(test_staged),
		fresh(test_cut),
		fresh(test_flush),
		fresh(test_hostile_stages),
		fresh(test_removed_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
