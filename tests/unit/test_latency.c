/* SPDX-License-Identifier: MIT */
/* Percentiles within 1 % of those of the sorted values, whatever these are; the
 * moments exact; merging two is recording all. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/latency.h"

#include <cmocka.h>

#include "tests/unit/random.h"

enum { MANY = 20000 };
static uint64_t values[MANY];
static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_near(double got, double wanted, double share)
{
	if (fabs(got - wanted) > share * fabs(wanted) + 1e-9)
		fail_msg("%.17g, not %.17g", got, wanted);
}

static double nearest_rank(size_t n, double share)
{
	size_t rank = (size_t)ceil(share * (double)n);

	return (double)values[rank ? rank - 1 : 0] / 1e3;
}

/* Against the first n of values[], which get sorted. */
static void check(const struct recorder *r, size_t n)
{
	struct latency l;
	long double sum = 0, squares = 0, mean;

	qsort(values, n, sizeof(*values), ascending);
	for (size_t i = 0; i < n; i++)
		sum += values[i];
	mean = sum / n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	latency_result(r, &l);
	assert_int_equal(l.count, n);
	assert_near(l.min, (double)values[0] / 1e3, 0);
	assert_near(l.max, (double)values[n - 1] / 1e3, 0);
	assert_near(l.mean, (double)(mean / 1e3L), 1e-9);
	assert_near(l.stdev, (double)(sqrtl(squares / n) / 1e3L), 1e-6);
	assert_near(l.p50, nearest_rank(n, 0.50), 0.01);
	assert_near(l.median, nearest_rank(n, 0.50), 0.01);
	assert_near(l.p75, nearest_rank(n, 0.75), 0.01);
	assert_near(l.p90, nearest_rank(n, 0.90), 0.01);
	assert_near(l.p95, nearest_rank(n, 0.95), 0.01);
	assert_near(l.p99, nearest_rank(n, 0.99), 0.01);
}

static void record(struct recorder *r, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		assert_true(latency_record(r, values[i]));
}

/* Of all magnitudes from nanoseconds to minutes. */
static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = next_random() >> (27 + next_random() % 37);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 31, 32, 33, 100, 1000, MANY};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct recorder r = {0};

		fill(sizes[i]);
		record(&r, 0, sizes[i]);
		check(&r, sizes[i]);
		latency_free(&r);
	}
}

static void test_extremes(void **state)
{
	struct recorder r = {0};

	(void)state;
	for (size_t i = 0; i < 64; i++)
		values[i] = (uint64_t)1 << i;
	record(&r, 0, 64);
	check(&r, 64);
	latency_free(&r);
	for (size_t i = 0; i < 64; i++)
		values[i] = i == 0 ? 0 : UINT64_MAX >> i;
	record(&r, 0, 64);
	check(&r, 64);
	latency_free(&r);
}

static void test_merge(void **state)
{
	static const size_t cuts[][2] = {{10, 20}, {10, 60}, {50, 60},
					 {0, 40},  {40, 40}, {1000, 3000}};

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct recorder a = {0}, b = {0};

		fill(cuts[i][1]);
		record(&a, 0, cuts[i][0]);
		record(&b, cuts[i][0], cuts[i][1]);
		assert_true(latency_merge(&a, &b));
		check(&a, cuts[i][1]);
		latency_free(&a);
		latency_free(&b);
	}
}

static void test_empty(void **state)
{
	struct recorder r = {0};
	struct latency l;

	(void)state;
	latency_result(&r, &l);
	assert_int_equal(l.count, 0);
	assert_true(l.p99 == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
