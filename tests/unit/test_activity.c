/* SPDX-License-Identifier: MIT */
/* Sums by stack, thread, thing and time slice: they stay whole, whatever is given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/activity.h" /* before cmocka.h */

#include <cmocka.h>
#include <stdlib.h>

#define MS 1e6

static int64_t total(const struct activity *a, enum activity_kind kind, unsigned value)
{
	int64_t sum = 0;

	for (size_t i = 0; i < a->count; i++)
		if (a->sums[i].key.kind == kind)
			sum += (int64_t)a->sums[i].values[value];
	return sum;
}

static const struct activity_sum *find(const struct activity *a, enum activity_kind kind,
				       uint32_t node, uint32_t thread, unsigned slice)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct activity_key *k = &a->sums[i].key;

		if (k->kind == kind && k->node == node && k->thread == thread && k->slice == slice)
			return &a->sums[i];
	}
	return NULL;
}

static void allocate(struct activity *a, double ns, uint32_t node, uint32_t thread, uint64_t bytes)
{
	uint64_t *values;

	activity_time(a, ns);
	values = activity_now(a, ACTIVITY_HEAP, node, thread);
	values[ACTIVITY_ALLOCATED] += bytes;
	values[ACTIVITY_ALLOCATIONS]++;
	values[ACTIVITY_GROWN] += bytes;
}

static void test_keys(void **state)
{
	struct activity *a = activity_new(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		allocate(a, 100 * i, 7, 1, 10);
		allocate(a, 100 * i, 7, 2, 100);
		allocate(a, 100 * i, 8, 1, 1000);
	}
	activity_settle(a);
	assert_int_equal(a->count, 3);
	assert_int_equal(find(a, ACTIVITY_HEAP, 7, 1, 0)->values[ACTIVITY_ALLOCATED], 30);
	assert_int_equal(find(a, ACTIVITY_HEAP, 7, 2, 0)->values[ACTIVITY_ALLOCATED], 300);
	assert_int_equal(find(a, ACTIVITY_HEAP, 8, 1, 0)->values[ACTIVITY_ALLOCATIONS], 3);
	/* In order. */
	assert_int_equal(a->sums[0].key.node, 7);
	assert_int_equal(a->sums[0].key.thread, 1);
	assert_int_equal(a->sums[2].key.node, 8);
	activity_free(a);
}

/* Slices double until the end fits, and what was in two is in one. */
static void test_time(void **state)
{
	struct activity *a = activity_new(0);

	(void)state;
	for (int i = 0; i < 1000; i++)
		allocate(a, i * MS, 1, 1, (uint64_t)i);
	activity_settle(a);
	assert_true(a->count <= ACTIVITY_SLICES);
	assert_true((double)a->width_ns * ACTIVITY_SLICES >= 999 * MS);
	assert_true((double)a->width_ns * ACTIVITY_SLICES < 2 * 1000 * MS);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATED), 999 * 1000 / 2);
	for (size_t i = 0; i < a->count; i++) {
		int64_t expected = 0;

		for (int k = 0; k < 1000; k++)
			if ((uint64_t)(k * MS) / a->width_ns == a->sums[i].key.slice)
				expected += k;
		assert_int_equal(a->sums[i].values[ACTIVITY_ALLOCATED], expected);
	}
	activity_free(a);
}

/* A call's time and bytes are spread over it, to the last one; it counts at its end. */
static void test_calls(void **state)
{
	struct activity *a = activity_new(0);
	const struct activity_key key = {.node = 3, .thread = 2, .thing = 5, .kind = ACTIVITY_WAIT};
	const struct activity_sum *first, *last;

	(void)state;
	activity_call(a, &key, (const int64_t[4]){101, 7, 64001, 1}, 0, 64001);
	activity_settle(a);
	assert_int_equal(a->width_ns, 2000);
	assert_int_equal(a->count, 33);
	first = find(a, ACTIVITY_WAIT, 3, 2, 0);
	last = find(a, ACTIVITY_WAIT, 3, 2, 32);
	assert_int_equal(first->values[ACTIVITY_NS], 2000);
	assert_int_equal(last->values[ACTIVITY_NS], 1);
	assert_int_equal(first->values[ACTIVITY_CALLS], 0);
	assert_int_equal(last->values[ACTIVITY_CALLS], 1);
	assert_int_equal(first->key.thing, 5);
	assert_int_equal(total(a, ACTIVITY_WAIT, ACTIVITY_NS), 64001);
	assert_int_equal(total(a, ACTIVITY_WAIT, ACTIVITY_IN), 101);
	assert_int_equal(total(a, ACTIVITY_WAIT, ACTIVITY_OUT), 7);
	activity_free(a);
}

/* What began before time did, or takes no time. */
static void test_odd_calls(void **state)
{
	struct activity *a = activity_new(5 * MS);
	const struct activity_key key = {.kind = ACTIVITY_FILE};

	(void)state;
	activity_call(a, &key, (const int64_t[4]){10, 0, 3000000, 1}, 3 * MS, 6 * MS);
	activity_call(a, &key, (const int64_t[4]){20, 0, 0, 1}, 7 * MS, 7 * MS);
	activity_call(a, &key, (const int64_t[4]){40, 0, -5, 0}, 7 * MS, 6 * MS);
	activity_settle(a);
	assert_int_equal(total(a, ACTIVITY_FILE, ACTIVITY_IN), 70);
	assert_int_equal(total(a, ACTIVITY_FILE, ACTIVITY_NS), 2999995);
	assert_int_equal(total(a, ACTIVITY_FILE, ACTIVITY_CALLS), 2);
	assert_int_equal(a->sums[0].key.slice, 0);
	activity_free(a);
}

static void test_left(void **state)
{
	struct activity *a = activity_new(0);

	(void)state;
	allocate(a, 0, 1, 1, 100);
	allocate(a, 50000, 1, 1, 100);
	activity_left(a, 1, 1, 50000, 100);
	activity_settle(a);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 0)->values[ACTIVITY_LEFT], 0);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 50)->values[ACTIVITY_LEFT], 100);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 50)->values[ACTIVITY_LEFT_BLOCKS], 1);
	activity_free(a);
}

static void test_window(void **state)
{
	struct activity *a = activity_new(0);
	const struct activity_key key = {.kind = ACTIVITY_FILE};

	(void)state;
	allocate(a, 0, 1, 1, 100);
	allocate(a, 1 * MS, 1, 1, 10);
	activity_call(a, &key, (const int64_t[4]){10, 0, 10, 1}, 0, 10);
	activity_begin_window(a, 2 * MS);
	allocate(a, 2 * MS + 1500, 1, 1, 1);
	activity_settle(a);
	assert_int_equal(a->count, 2);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 0)->values[ACTIVITY_GROWN], 110);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 0)->values[ACTIVITY_ALLOCATED], 0);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 1)->values[ACTIVITY_ALLOCATED], 1);
	activity_free(a);
}

static void by_ten(void *context, struct activity_key *key)
{
	*(int *)context += 1;
	key->node /= 10;
}

static void test_translate(void **state)
{
	struct activity *a = activity_new(0), *copy;
	int calls = 0;

	(void)state;
	for (uint32_t node = 0; node < 30; node++)
		allocate(a, 0, node, 1, 1);
	copy = activity_copy(a);
	activity_translate(a, by_ten, &calls);
	assert_int_equal(calls, 30);
	assert_int_equal(a->count, 3);
	assert_int_equal(find(a, ACTIVITY_HEAP, 2, 1, 0)->values[ACTIVITY_ALLOCATED], 10);
	assert_int_equal(copy->count, 30);
	activity_free(copy);
	activity_free(a);
}

/* The later one's slices are wider, and so are all in the end. */
static void test_merge(void **state)
{
	struct activity *a = activity_new(0), *b = activity_new(0);

	(void)state;
	allocate(a, 10000, 1, 1, 1);
	allocate(b, 10000, 1, 1, 2);
	allocate(b, 1000 * MS, 1, 2, 4);
	activity_settle(b);
	activity_merge(a, b);
	activity_settle(a);
	assert_int_equal(a->count, 2);
	assert_int_equal(find(a, ACTIVITY_HEAP, 1, 1, 0)->values[ACTIVITY_ALLOCATED], 3);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATED), 7);
	activity_free(a);
}

/* First time gets coarser, then threads are given up, then things. */
static void test_reduce(void **state)
{
	struct activity *a = activity_new(0);

	(void)state;
	for (uint32_t i = 0; i < 6400; i++)
		allocate(a, i * 10, 1, i % 4, 1);
	activity_settle(a);
	assert_int_equal(a->count, 256);
	activity_reduce(a, 100);
	assert_int_equal(a->count, 64);
	assert_false(a->no_threads);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATED), 6400);
	activity_reduce(a, 10);
	assert_true(a->no_threads);
	assert_false(a->no_things);
	assert_int_equal(a->count, 8);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATED), 6400);
	activity_free(a);
}

/* Far more keys than there is room for, and time goes on meanwhile. */
static void test_bound(void **state)
{
	enum { NODES = 200000, ROUNDS = 8 };
	struct activity *a = activity_new(0);

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (uint32_t node = 0; node < NODES; node++)
			allocate(a, round * MS + node, node, round % 3, 1);
	activity_settle(a);
	assert_false(a->failed);
	assert_true(a->room * sizeof(*a->sums) <= (size_t)256 << 20);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATED), NODES * ROUNDS);
	assert_int_equal(total(a, ACTIVITY_HEAP, ACTIVITY_ALLOCATIONS), NODES * ROUNDS);
	activity_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_time),
		cmocka_unit_test(test_calls),	  cmocka_unit_test(test_odd_calls),
		cmocka_unit_test(test_left),	  cmocka_unit_test(test_window),
		cmocka_unit_test(test_translate), cmocka_unit_test(test_merge),
		cmocka_unit_test(test_reduce),	  cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
