/* SPDX-License-Identifier: MIT */
/* Blocks and the file header: whole ones come back, damaged ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <zlib.h>

#include "trace/decode.h"
#include "trace/encode.h"

static void fill(uint8_t *to, size_t length, int random)
{
	uint64_t state = 42;
	for (size_t i = 0; i < length; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		to[i] = random ? (uint8_t)(state >> 56) : (uint8_t)(i / 64);
	}
}

static struct ph_block_header header_of(const struct ph_buffer *block)
{
	struct ph_block_header h;
	assert_true(block->length >= sizeof(h));
	memcpy(&h, block->data, sizeof(h));
	assert_int_equal(block->length, sizeof(h) + h.stored_bytes);
	return h;
}

/* Recompute what seals a header that a test has changed. */
static void reseal(struct ph_block_header *h)
{
	h->header_crc =
		(uint32_t)crc32(0, (const void *)h, offsetof(struct ph_block_header, header_crc));
}

static void round_trip(size_t length, int random, unsigned flags)
{
	const struct ph_block_header given = {.kind = PH_BLOCK_EVENTS,
					      .stream = 7,
					      .events = length ? 1 : 0,
					      .first_stamp = 1ull << 63,
					      .first_cell = 12345678901};
	uint8_t *payload = malloc(length + 1);
	struct ph_buffer block = {0}, back = {0};

	fill(payload, length, random);
	assert_int_equal(ph_block_seal(&given, payload, length, &block), 0);
	struct ph_block_header h = header_of(&block);
	assert_null(ph_block_header_check(&h));
	assert_int_equal(h.flags, flags);
	assert_int_equal(h.raw_bytes, length);
	assert_int_equal(h.kind, given.kind);
	assert_int_equal(h.stream, given.stream);
	assert_int_equal(h.events, given.events);
	assert_int_equal(h.first_stamp, given.first_stamp);
	assert_int_equal(h.first_cell, given.first_cell);
	assert_null(ph_block_open(&h, block.data + sizeof(h), &back));
	assert_int_equal(back.length, length);
	if (length)
		assert_memory_equal(back.data, payload, length);
	ph_buffer_free(&block);
	ph_buffer_free(&back);
	free(payload);
}

static void blocks_come_back(void **state)
{
	(void)state;
	round_trip(0, 0, 0);
	round_trip(1, 0, 0);
	round_trip(100000, 0, PH_BLOCK_ZSTD);
	round_trip(100000, 1, 0);
	round_trip(PH_BLOCK_RAW_MAX, 0, PH_BLOCK_ZSTD);
}

static void *seal_in_a_thread(void *unused)
{
	(void)unused;
	round_trip(5000, 0, PH_BLOCK_ZSTD);
	round_trip(5000, 0, PH_BLOCK_ZSTD);
	return &round_trip;
}

static void each_thread_has_its_work_area(void **state)
{
	pthread_t threads[4];
	void *done;
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, seal_in_a_thread, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
}

static void blocks_follow_each_other(void **state)
{
	const struct ph_block_header run = {.kind = PH_BLOCK_RUN}, end = {.kind = PH_BLOCK_END};
	struct ph_buffer file = {0}, back = {0};
	struct ph_block_header h;
	(void)state;
	assert_int_equal(ph_block_seal(&run, "first", 5, &file), 0);
	size_t second = file.length;
	assert_int_equal(ph_block_seal(&end, "second", 6, &file), 0);
	memcpy(&h, file.data + second, sizeof(h));
	assert_null(ph_block_open(&h, file.data + second + sizeof(h), &back));
	assert_int_equal(back.length, 6);
	assert_memory_equal(back.data, "second", 6);
	memcpy(&h, file.data, sizeof(h));
	assert_null(ph_block_open(&h, file.data + sizeof(h), &back));
	assert_int_equal(back.length, 5);
	assert_memory_equal(back.data, "first", 5);
	ph_buffer_free(&file);
	ph_buffer_free(&back);
}

static void too_large_a_payload_is_not_sealed(void **state)
{
	const struct ph_block_header run = {.kind = PH_BLOCK_RUN};
	struct ph_buffer block = {0};
	(void)state;
	assert_int_equal(ph_block_seal(&run, "", PH_BLOCK_RAW_MAX + 1, &block), -1);
	assert_int_equal(block.length, 0);
	ph_buffer_free(&block);
}

static void each_flipped_bit_is_found(int random, unsigned flags)
{
	const struct ph_block_header given = {.kind = PH_BLOCK_STACKS, .first_cell = 3};
	struct ph_buffer block = {0}, back = {0};
	uint8_t payload[700];

	fill(payload, sizeof(payload), random);
	assert_int_equal(ph_block_seal(&given, payload, sizeof(payload), &block), 0);
	assert_int_equal(header_of(&block).flags, flags);
	for (size_t bit = 0; bit < block.length * 8; bit++) {
		struct ph_block_header h;
		block.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		memcpy(&h, block.data, sizeof(h));
		if (bit < sizeof(h) * 8)
			assert_non_null(ph_block_header_check(&h));
		else
			assert_null(ph_block_header_check(&h));
		assert_non_null(ph_block_open(&h, block.data + sizeof(h), &back));
		assert_int_equal(back.length, 0);
		block.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	struct ph_block_header h = header_of(&block);
	assert_null(ph_block_open(&h, block.data + sizeof(h), &back));
	ph_buffer_free(&block);
	ph_buffer_free(&back);
}

static void flipped_bits_are_found(void **state)
{
	(void)state;
	each_flipped_bit_is_found(0, PH_BLOCK_ZSTD);
	each_flipped_bit_is_found(1, 0);
}

/* Headers whose checksum is right and whose content is not. */
static void contradictions_are_refused(void **state)
{
	const struct ph_block_header given = {.kind = PH_BLOCK_EVENTS};
	struct ph_buffer block = {0}, back = {0};
	uint8_t payload[5000];
	struct ph_block_header h;
	(void)state;
	fill(payload, sizeof(payload), 0);
	assert_int_equal(ph_block_seal(&given, payload, sizeof(payload), &block), 0);
	const struct ph_block_header good = header_of(&block);
	const uint8_t *stored = block.data + sizeof(h);

	h = good, h.raw_bytes = PH_BLOCK_RAW_MAX + 1, reseal(&h);
	assert_non_null(ph_block_header_check(&h));
	h = good, h.stored_bytes = PH_BLOCK_RAW_MAX + 1, reseal(&h);
	assert_non_null(ph_block_header_check(&h));
	h = good, h.events = good.raw_bytes + 1, reseal(&h);
	assert_non_null(ph_block_header_check(&h));
	h = good, h.flags = 0, reseal(&h);
	assert_non_null(ph_block_header_check(&h));
	/* Of an unknown flag only the payload is refused: the block can be skipped. */
	h = good, h.flags |= 2, reseal(&h);
	assert_null(ph_block_header_check(&h));
	assert_non_null(strstr(ph_block_open(&h, stored, &back), "update perfhook"));
	/* Sizes that the frame does not bear out, both ways. */
	h = good, h.raw_bytes--, reseal(&h);
	assert_non_null(ph_block_open(&h, stored, &back));
	h = good, h.raw_bytes++, reseal(&h);
	assert_non_null(ph_block_open(&h, stored, &back));
	/* Not a frame at all. */
	h = good, h.payload_crc = (uint32_t)crc32(0, payload, good.stored_bytes), reseal(&h);
	assert_non_null(ph_block_open(&h, payload, &back));
	assert_null(ph_block_open(&good, stored, &back));
	ph_buffer_free(&block);
	ph_buffer_free(&back);
}

/* A frame that is damaged inside while every checksum is right. */
static void damaged_frames_do_no_harm(void **state)
{
	const struct ph_block_header given = {.kind = PH_BLOCK_RUN};
	struct ph_buffer block = {0}, back = {0};
	uint8_t payload[3000];
	unsigned refused = 0;
	(void)state;
	fill(payload, sizeof(payload), 0);
	for (size_t i = 0; i < sizeof(payload); i += 7)
		payload[i] ^= (uint8_t)(i * i >> 3);
	assert_int_equal(ph_block_seal(&given, payload, sizeof(payload), &block), 0);
	struct ph_block_header h = header_of(&block);
	uint8_t *stored = block.data + sizeof(h);
	for (size_t bit = 0; bit < h.stored_bytes * 8u; bit++) {
		stored[bit / 8] ^= (uint8_t)(1u << bit % 8);
		h.payload_crc = (uint32_t)crc32(0, stored, h.stored_bytes);
		reseal(&h);
		const char *wrong = ph_block_open(&h, stored, &back);
		assert_int_equal(back.length, wrong ? 0 : sizeof(payload));
		refused += wrong != NULL;
		stored[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(refused > 0);
	ph_buffer_free(&block);
	ph_buffer_free(&back);
}

static void file_header(void **state)
{
	struct ph_file_header h = {.id = "0123456789abcde"};
	(void)state;
	ph_file_header_seal(&h);
	assert_null(ph_file_header_check(&h));
	assert_int_equal(h.header_bytes, 40);
	assert_memory_equal(h.id, "0123456789abcde", 16);
	for (size_t bit = 0; bit < sizeof(h) * 8; bit++) {
		struct ph_file_header damaged = h;
		((uint8_t *)&damaged)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_non_null(ph_file_header_check(&damaged));
	}
}

static void file_versions(void **state)
{
	struct ph_file_header h = {0};
	(void)state;
	ph_file_header_seal(&h);
	h.minor = 9;
	h.crc = (uint32_t)crc32(0, (const void *)&h, offsetof(struct ph_file_header, crc));
	assert_null(ph_file_header_check(&h));
	h.major = PH_TRACE_MAJOR + 1;
	const char *wrong = ph_file_header_check(&h);
	assert_non_null(wrong);
	assert_non_null(strstr(wrong, "2.9"));
	assert_non_null(strstr(wrong, "1.x"));
	assert_non_null(strstr(wrong, "update perfhook"));
	memcpy(h.magic,
	       "\x7f"
	       "ELF\2\1\1\0",
	       8);
	assert_string_equal(ph_file_header_check(&h), "not a perfhook trace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_back),
		cmocka_unit_test(each_thread_has_its_work_area),
		cmocka_unit_test(blocks_follow_each_other),
		cmocka_unit_test(too_large_a_payload_is_not_sealed),
		cmocka_unit_test(flipped_bits_are_found),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(damaged_frames_do_no_harm),
		cmocka_unit_test(file_header),
		cmocka_unit_test(file_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
