/* SPDX-License-Identifier: MIT */
/*
 * The arena beside the target's heap (preload/real.c). There is one in a process
 * and it only fills up, so the tests' order matters: the last one exhausts it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/real.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* last: it has a fail() */

static bool all(const void *block, unsigned char value, size_t bytes)
{
	const unsigned char *c = block;

	for (size_t i = 0; i < bytes; i++)
		if (c[i] != value)
			return false;
	return true;
}

/* All at once alive, each full of its own number: none may overlap another. */
static void test_alignment_and_size(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 200, 1000};
	enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), ALIGNMENTS = 13 };
	unsigned char *blocks[ALIGNMENTS * SIZES];

	(void)state;
	for (size_t i = 0; i < ALIGNMENTS * SIZES; i++) {
		size_t alignment = (size_t)1 << i % ALIGNMENTS, size = sizes[i / ALIGNMENTS];

		blocks[i] = ph_arena_allocate(alignment, size);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % alignment, 0);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		assert_true(all(blocks[i], 0, size));
		assert_int_equal(ph_arena_size(blocks[i]), size);
		memset(blocks[i], (int)i + 1, size);
	}
	for (size_t i = 0; i < ALIGNMENTS * SIZES; i++) {
		assert_true(ph_arena_owns(blocks[i]));
		assert_int_equal(ph_arena_size(blocks[i]), sizes[i / ALIGNMENTS]);
		assert_true(all(blocks[i], (unsigned char)(i + 1), sizes[i / ALIGNMENTS]));
		ph_arena_free(blocks[i]);
	}
}

static void test_owns_nothing_else(void **state)
{
	void *heap = malloc(16);
	int here;

	(void)state;
	assert_non_null(heap);
	assert_false(ph_arena_owns(NULL));
	assert_false(ph_arena_owns(heap));
	assert_false(ph_arena_owns(&here));
	assert_false(ph_arena_owns(&ph_real));
	ph_arena_free(NULL);
	free(heap);
}

/* A block that was given back comes again, with room for any small size and with
 * zeros, whatever its last user left. */
static void test_reuse(void **state)
{
	char *first = ph_arena_allocate(16, 1), *second = ph_arena_allocate(8, 64), *again;

	(void)state;
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	memset(first, 0xff, 1);
	memset(second, 0xff, 64);
	ph_arena_free(first);
	ph_arena_free(second);
	again = ph_arena_allocate(16, 40);
	assert_true(again == first || again == second);
	assert_true(all(again, 0, PH_ARENA_REUSED));
	assert_int_equal(ph_arena_size(again), 40);
	ph_arena_free(again);
	/* For ever: far more than the arena is large. */
	for (int i = 0; i < 100000; i++) {
		char *block = ph_arena_allocate(1, PH_ARENA_REUSED);

		assert_non_null(block);
		assert_true(all(block, 0, PH_ARENA_REUSED));
		memset(block, 0xff, PH_ARENA_REUSED);
		ph_arena_free(block);
	}
}

/* ---- threads --------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 50000, HELD = 8 };
static atomic_int wrongs;

/* Holds a few blocks, each full of the thread's own number. */
static void *allocate_and_free(void *argument)
{
	unsigned char mine = (unsigned char)(uintptr_t)argument;
	unsigned char *held[HELD] = {NULL};
	size_t sizes[HELD] = {0};

	for (unsigned i = 0; i < ROUNDS + HELD; i++) {
		unsigned k = i % HELD;

		if (held[k] != NULL &&
		    (!all(held[k], mine, sizes[k]) || ph_arena_size(held[k]) != sizes[k]))
			wrongs++;
		ph_arena_free(held[k]);
		held[k] = NULL;
		if (i >= ROUNDS)
			continue;
		sizes[k] = i * 7 % PH_ARENA_REUSED + 1;
		held[k] = ph_arena_allocate(16, sizes[k]);
		if (held[k] == NULL || !all(held[k], 0, sizes[k])) {
			wrongs++;
			continue;
		}
		memset(held[k], mine, sizes[k]);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, allocate_and_free, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrongs, 0);
}

static void test_refused(void **state)
{
	(void)state;
	assert_null(ph_arena_allocate(16, 1u << 20));
	assert_null(ph_arena_allocate(16, SIZE_MAX));
	assert_null(ph_arena_allocate(16, SIZE_MAX - 8));
	assert_null(ph_arena_allocate(8192, 16));
}

/* Full is full, but what is given back is there again. */
static void test_exhaustion(void **state)
{
	enum { BYTES = 1000 };
	size_t count = 0;
	char *small, *again;
	char *block;

	(void)state;
	small = ph_arena_allocate(16, 32);
	assert_non_null(small);
	while ((block = ph_arena_allocate(16, BYTES)) != NULL) {
		assert_true(ph_arena_owns(block) && ph_arena_owns(block + BYTES - 1));
		memset(block, 0xff, BYTES);
		assert_true(++count < 10000);
	}
	assert_true(count > 0);
	assert_null(ph_arena_allocate(16, BYTES));
	ph_arena_free(small);
	again = ph_arena_allocate(16, 32);
	assert_non_null(again);
	assert_true(all(again, 0, 32));
	/* The rest, down to the last small one. */
	while (ph_arena_allocate(16, PH_ARENA_REUSED) != NULL)
		assert_true(++count < 100000);
	assert_null(ph_arena_allocate(16, 1));
	ph_arena_free(again);
	assert_ptr_equal(ph_arena_allocate(16, 1), again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment_and_size),
		cmocka_unit_test(test_owns_nothing_else),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
