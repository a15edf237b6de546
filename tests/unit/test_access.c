/* SPDX-License-Identifier: MIT */
/* Where files are touched, who answers whom, and what paths mean: the parts that the
 * replay of files and sockets is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/access.h"
#include "analyzer/arena.h"
#include "analyzer/buckets.h"
#include "analyzer/names.h"
#include "analyzer/paths.h"
#include "analyzer/ranges.h"
#include "analyzer/turns.h"

#include <cmocka.h>

#include "tests/unit/random.h"

/* ---- ranges ----------------------------------------------------------------- */

/* Against a byte for a byte. */
static void test_ranges_are_a_set(void **state)
{
	enum { BYTES = 2000 };
	static bool in[BYTES];
	struct ranges r = {0};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint64_t begin = next_random() % BYTES, end = begin + 1 + next_random() % 20, known;
		uint64_t wanted = 0, pieces = 0;

		end = end < BYTES ? end : BYTES;
		for (uint64_t k = begin; k < end; k++) {
			wanted += in[k];
			in[k] = true;
		}
		assert_true(ranges_add(&r, begin, end, SIZE_MAX, &known));
		assert_int_equal(known, wanted);
		for (uint64_t k = 0; k < BYTES; k++)
			pieces += in[k] && (k == 0 || !in[k - 1]);
		assert_int_equal(r.count, pieces);
	}
	ranges_clear(&r);
}

static void test_ranges_are_bounded(void **state)
{
	struct ranges r = {0};
	uint64_t known;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		assert_true(ranges_add(&r, i * 10, i * 10 + 5, 10, &known));
	assert_false(ranges_add(&r, 1000, 1001, 10, &known));
	assert_true(ranges_add(&r, 5, 10, 10, &known)); /* it closes a gap */
	assert_int_equal(known, 0);
	assert_int_equal(r.count, 9);
	assert_true(ranges_add(&r, UINT64_MAX - 1, UINT64_MAX, 10, &known));
	ranges_clear(&r);
}

/* ---- access ------------------------------------------------------------------- */

struct accessed {
	struct access a;
	struct cursor c;
	struct ranges r;
};

static void touch(struct accessed *x, uint64_t offset, uint64_t bytes)
{
	access_note(&x->a, &x->c, &x->r, offset, bytes);
}

/* Darshan's counters, from its own words: a sequential access begins at or behind the
 * end of the one before, a consecutive one at it. */
static void test_steps(void **state)
{
	struct accessed x = {0};

	(void)state;
	touch(&x, 0, 10);
	touch(&x, 10, 10);  /* consecutive */
	touch(&x, 30, 10);  /* sequential */
	touch(&x, 35, 10);  /* neither: it overlaps */
	touch(&x, 0, 10);   /* back */
	touch(&x, 0, 10);   /* again */
	touch(&x, 100, 10); /* sequential */
	touch(&x, 200, 10); /* and as far as the step before */
	assert_int_equal(x.a.calls, 8);
	assert_int_equal(x.a.located, 8);
	assert_int_equal(x.a.steps, 7);
	assert_int_equal(x.a.consecutive, 1);
	assert_int_equal(x.a.sequential, 4);
	assert_int_equal(x.a.repeated, 1);
	assert_int_equal(x.a.strided, 1);
	assert_int_equal(x.a.tiny, 8);
	assert_int_equal(x.a.unaligned, 5);
	assert_int_equal(x.a.again_bytes, 5 + 10 + 10);
	assert_int_equal(x.a.distinct_bytes, 10 + 10 + 10 + 5 + 10 + 10);
	ranges_clear(&x.r);
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern;
		uint64_t offsets[6]; /* of 10 bytes each */
	} cases[] = {
		{"consecutive", {0, 10, 20, 30, 40, 50}},
		{"sequential", {0, 100, 110, 180, 300, 310}},
		{"strided", {0, 100, 200, 300, 400, 500}},
		{"strided", {500, 400, 300, 200, 100, 0}},
		{"repeated", {70, 70, 70, 70, 70, 70}},
		{"random", {500, 100, 300, 0, 700, 200}},
		{"mixed", {0, 10, 20, 90, 30, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct accessed x = {0};

		for (size_t k = 0; k < 6; k++) {
			assert_true(k >= 3 || access_pattern(&x.a) == NULL);
			touch(&x, cases[i].offsets[k], 10);
		}
		assert_string_equal(access_pattern(&x.a), cases[i].pattern);
		ranges_clear(&x.r);
	}
}

/* What has no known place takes part in nothing that needs one. */
static void test_unknown_places(void **state)
{
	struct accessed x = {0};

	(void)state;
	touch(&x, 0, 10);
	touch(&x, ACCESS_NOWHERE, 10);
	touch(&x, 20, 10);
	touch(&x, UINT64_MAX - 5, 10);
	assert_int_equal(x.a.calls, 4);
	assert_int_equal(x.a.located, 2);
	assert_int_equal(x.a.steps, 0);
	assert_true(x.a.again_unknown);
	assert_null(access_pattern(&x.a));
	for (int i = 0; i < 5; i++)
		access_note_append(&x.a, &x.c, 7);
	assert_int_equal(x.a.appended, 5);
	assert_int_equal(x.a.consecutive, 4);
	ranges_clear(&x.r);
}

static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {1,	    100,       101,	   1024,     1025,
					 10240,	    10241,     102400,	   102401,   1048576,
					 1048577,   4194304,   4194305,	   10485760, 10485761,
					 104857600, 104857601, 1073741824, 1u << 31};
	static const uint64_t wanted[ACCESS_SIZES] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 1};
	struct accessed x = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		touch(&x, 0, sizes[i]);
	assert_memory_equal(x.a.sizes, wanted, sizeof(wanted));
	assert_int_equal(x.a.tiny, 5);
	ranges_clear(&x.r);
}

/* Beyond so many ranges it is not guessed. */
static void test_again_is_bounded(void **state)
{
	struct accessed x = {0};

	(void)state;
	for (uint64_t i = 0; i < ACCESS_RANGES_MAX; i++)
		touch(&x, i * 100, 10);
	assert_false(x.a.again_unknown);
	touch(&x, ACCESS_RANGES_MAX * 100, 10);
	assert_true(x.a.again_unknown);
	assert_int_equal(x.r.count, 0);
	touch(&x, 0, 10);
	assert_int_equal(x.r.count, 0);
}

static void test_access_adds_up(void **state)
{
	struct accessed x = {0}, y = {0};
	struct access sum = {0};

	(void)state;
	touch(&x, 0, 10);
	touch(&x, 10, 10);
	touch(&y, 0, 10);
	touch(&y, 0, 10);
	access_add(&sum, &x.a);
	assert_memory_equal(&sum, &x.a, sizeof(sum));
	access_add(&sum, &y.a);
	assert_int_equal(sum.calls, 4);
	assert_int_equal(sum.consecutive, 1);
	assert_int_equal(sum.repeated, 1);
	assert_true(sum.again_unknown); /* what both have touched is not known */
	ranges_clear(&x.r);
	ranges_clear(&y.r);
}

/* ---- turns ------------------------------------------------------------------------ */

static void test_client(void **state)
{
	struct turns t = {.side = TURNS_CLIENT};
	struct latency l;

	(void)state;
	assert_true(turns_note(&t, true, 1, 5)); /* the server greets: nobody asked */
	assert_true(turns_note(&t, false, 100, 110));
	assert_true(turns_note(&t, false, 120, 130)); /* more of the request */
	assert_true(turns_note(&t, true, 140, 1100));
	assert_true(turns_note(&t, true, 1200, 1300)); /* more of the response */
	assert_true(turns_note(&t, false, 2000, 2010));
	assert_true(turns_note(&t, true, 2020, 2500));
	assert_true(turns_note(&t, false, 3000, 3001)); /* never answered */
	latency_result(&t.latency, &l);
	assert_int_equal(t.count, 2);
	assert_true(l.max == 1.0 && l.min == 0.5);
	assert_true(t.first_byte == 5);
	/* 5 to 100, 1300 to 2000, 2500 to 3000; and to its end. */
	assert_true(turns_idle_ns(&t, 0, 4001) == 95 + 700 + 500 + 1000);
	latency_free(&t.latency);
}

static void test_server(void **state)
{
	struct turns t = {.side = TURNS_SERVER};
	struct latency l;

	(void)state;
	assert_true(turns_note(&t, true, 0, 1000)); /* it waited for the request */
	assert_true(turns_note(&t, true, 1010, 1020));
	assert_true(turns_note(&t, false, 3000, 3500));
	assert_true(turns_note(&t, false, 3600, 3700));
	latency_result(&t.latency, &l);
	assert_int_equal(t.count, 1);
	assert_true(l.max == 2.0);
	latency_free(&t.latency);
}

static void test_side_by_first(void **state)
{
	struct turns sends = {0}, receives = {0};

	(void)state;
	assert_true(turns_note(&sends, false, 1, 2) && turns_note(&sends, true, 3, 4));
	assert_true(turns_note(&receives, true, 1, 2) && turns_note(&receives, false, 3, 4));
	assert_int_equal(sends.side, TURNS_CLIENT);
	assert_int_equal(receives.side, TURNS_SERVER);
	assert_int_equal(sends.count + receives.count, 2);
	assert_true(turns_idle_ns(&(struct turns){0}, 10, 50) == 40);
	latency_free(&sends.latency);
	latency_free(&receives.latency);
}

/* ---- paths and names ---------------------------------------------------------------- */

static void test_paths(void **state)
{
	static const struct {
		const char *directory, *path, *wanted;
	} cases[] = {
		{NULL, "/a/b", "/a/b"},	  {"/x", "/a//b/", "/a/b"}, {"/x", "a/./b", "/x/a/b"},
		{"/x/y", "../a", "/x/a"}, {"/x", "../../a", "/a"},  {"/x", "..", "/"},
		{"/", "a", "/a"},	  {"/x", "...", "/x/..."},  {"/x", ".a", "/x/.a"},
		{NULL, "/", "/"},	  {NULL, "a", NULL},	    {"pipe:[7]", "a", NULL},
		{"/x", "", NULL},
	};
	static char out[PATH_ROOM], longest[PATH_ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = cases[i].path;
		const char *got = path_absolute(out, cases[i].directory, path, strlen(path));

		if (cases[i].wanted == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].wanted);
	}
	memset(longest, 'a', sizeof(longest));
	assert_null(path_absolute(out, "/x", longest, sizeof(longest)));
	assert_string_equal(path_absolute(out, "/x", "abcdef", 3), "/x/abc");
}

static void test_names(void **state)
{
	struct arena *arena = arena_new();
	struct names *n = names_new();
	const char *const one[] = {"10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80"};
	const char *const two[] = {"[::1]:443", "10.0.0.2:443"};
	struct resolved *list;
	size_t count;

	(void)state;
	assert_true(names_add(n, arena, "one", one, 3, false, 0.5));
	assert_true(names_add(n, arena, "two", two, 2, false, 1));
	assert_true(names_add(n, arena, "none", NULL, 0, true, 0.1));
	assert_true(names_add(n, arena, "one", one, 3, false, 0.25));
	assert_string_equal(names_of(n, "10.0.0.1:12345"), "one");
	assert_string_equal(names_of(n, "10.0.0.2:1"), "one"); /* it was the last to give it */
	assert_string_equal(names_of(n, "[::1]:9"), "two");
	assert_null(names_of(n, "10.0.0.3:80"));
	list = names_take(n, &count);
	assert_int_equal(count, 3);
	assert_string_equal(list[0].name, "two");
	assert_string_equal(list[1].name, "one");
	assert_string_equal(list[1].addresses, "10.0.0.1, 10.0.0.2");
	assert_int_equal(list[1].calls, 2);
	assert_int_equal(list[2].errors, 1);
	assert_null(list[2].addresses);
	free(list);
	names_free(n);
	arena_free(arena);
}

static void test_small_buckets(void **state)
{
	struct buckets *b = buckets_small(FILE_SLICES);
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buckets_spread(b, i % 2, 3, i * 1e6, (i + 1) * 1e6);
	assert_in_range(b->count, FILE_SLICES / 2, FILE_SLICES);
	for (size_t i = 0; i < b->count; i++)
		sum += b->values[i][0] + b->values[i][1];
	assert_int_equal(sum, 3000);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_are_a_set),
		cmocka_unit_test(test_ranges_are_bounded),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_unknown_places),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_again_is_bounded),
		cmocka_unit_test(test_access_adds_up),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_side_by_first),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_small_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
