/* SPDX-License-Identifier: MIT */
/* Keys of stacks, and which stacks of two builds are taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/diff_noise.h"
#include "analyzer/stack_match.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <string.h>

#define PROGRAM	     "/build/one/app"
#define LIBC	     "/lib/libc.so.6"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { BEFORE, AFTER, BYTES = 0 };

static struct frame own(const char *function, const char *file)
{
	return (struct frame){.function = function, .file = file, .module = PROGRAM};
}

/* "main a b" in one file, outermost first; "@" before a name puts it into libc, "?" is a
 * frame without a name. */
static uint32_t key(struct stack_keys *k, const char *words, const char *file)
{
	char line[256], *save = NULL;
	uint32_t result = 0;

	strcpy(line, words);
	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		struct frame f = own(word, file);

		if (*word == '@')
			f = (struct frame){.function = word + 1, .module = LIBC};
		if (*word == '?')
			f = (struct frame){.module = PROGRAM};
		result = stack_keys_push(k, result, &f, PROGRAM, false);
	}
	assert_int_equal(stack_keys_failed(k), 0);
	return result;
}

static void test_equal_keys(void **state)
{
	static const char *const pairs[][2] = {
		{"main a b", "main a b"},
		{"_start @__libc_start_main_impl @__libc_start_call_main main a", "main a"},
		{"@clone3 @start_thread work", "work"},
		{"main f f f g", "main f g"},
		{"main even odd even odd even odd", "main even odd"},
		{"main a b c a b c d", "main a b c d"},
		{"main f.constprop.0 g.cold", "main f g"},
		{"main ? ? a", "main ? a"},
	};
	static const char *const different[][2] = {
		{"main a b", "main b a"},
		{"main a", "main a b"},
		{"main a b a", "main a b"},
		{"main @qsort compare", "main compare"},
		{"@clone3 @helper", "@clone3 @other"},
	};
	struct stack_keys *k = stack_keys_new();

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_int_equal(key(k, pairs[i][0], "a.c"), key(k, pairs[i][1], "a.c"));
	for (size_t i = 0; i < COUNT(different); i++)
		assert_int_not_equal(key(k, different[i][0], "a.c"),
				     key(k, different[i][1], "a.c"));
	assert_int_equal(key(k, "main a", "/x/a.c"), key(k, "main a", "/y/z/a.c"));
	assert_int_not_equal(key(k, "main a", "a.c"), key(k, "main a", "b.c"));
	assert_int_equal(key(k, "", "a.c"), 0);
	stack_keys_free(k);
}

/* What the library calls by way of what is its own affair; the program may change its
 * name, a library its version. */
static void test_frames(void **state)
{
	struct stack_keys *k = stack_keys_new();
	struct frame main_frame = own("main", "a.cc");
	struct frame push = own("std::vector<int>::push_back(int&&)", "stl_vector.h");
	struct frame grow = own("std::vector<int>::_M_realloc_insert(int&&)", "vector.tcc");
	struct frame inlined = own("make_unique<X>", "/usr/include/c++/12/bits/unique_ptr.h");
	struct frame nameless = {.module = PROGRAM}, renamed = {.module = "/build/two/app-new"};
	struct frame old = {.module = "/lib/libz.so.1.2.3"}, young = {.module = "/lib/libz.so.1.3"};
	uint32_t outer = stack_keys_push(k, 0, &main_frame, PROGRAM, false), at;

	(void)state;
	at = stack_keys_push(k, outer, &push, PROGRAM, false);
	assert_int_not_equal(at, outer);
	assert_int_equal(stack_keys_push(k, at, &grow, PROGRAM, false), at);
	assert_int_equal(stack_keys_push(k, at, &inlined, PROGRAM, false), at);
	assert_int_equal(stack_keys_push(k, outer, &nameless, PROGRAM, false),
			 stack_keys_push(k, outer, &renamed, renamed.module, false));
	/* Of one and the same file it is the place that tells. */
	assert_int_equal(stack_keys_push(k, outer, &nameless, PROGRAM, true),
			 stack_keys_push(k, outer, &renamed, renamed.module, true));
	renamed.module_offset = 16;
	assert_int_not_equal(stack_keys_push(k, outer, &nameless, PROGRAM, true),
			     stack_keys_push(k, outer, &renamed, renamed.module, true));
	assert_int_equal(stack_keys_push(k, outer, &old, PROGRAM, false),
			 stack_keys_push(k, outer, &young, PROGRAM, false));
	stack_keys_free(k);
}

static struct match_entry entry(uint32_t k, uint64_t before, uint64_t after)
{
	return (struct match_entry){.key = k,
				    .in = {before > 0, after > 0},
				    .value = {{[BYTES] = before}, {[BYTES] = after}}};
}

static void run(struct stack_keys *k, struct match_entry *list, size_t count, bool bare_after)
{
	const struct match_options options = {.exact = 1u << BYTES,
					      .lineless = {false, bare_after}};

	assert_true(stack_match(k, list, count, &options));
}

static void check_entry(const struct match_entry *e, uint64_t before, uint64_t after,
			enum match_kind how)
{
	assert_int_equal(e->into, 0);
	assert_int_equal(e->value[BEFORE][BYTES], before);
	assert_int_equal(e->value[AFTER][BYTES], after);
	assert_int_equal(e->how, how);
}

static void test_by_name(void **state)
{
	struct stack_keys *k = stack_keys_new();
	struct match_entry list[] = {
		entry(key(k, "main load", "a.c"), 10, 0),
		entry(key(k, "main load", "b.c"), 0, 15),
		entry(key(k, "main Box::f(int)", "a.c"), 7, 0),
		entry(key(k, "main f", "a.c"), 0, 7), /* inlined: without scopes */
		entry(key(k, "main A::g()", "a.c"), 3, 0),
		entry(key(k, "main B::g()", "a.c"), 0, 4), /* another g */
		entry(key(k, "main h(int)", "a.c"), 5, 5),
		entry(key(k, "main h(long)", "a.c"), 0,
		      6), /* a new overload: h(int) is as it was */
	};

	(void)state;
	run(k, list, COUNT(list), false);
	check_entry(&list[0], 10, 15, MATCH_NAME);
	assert_int_equal(list[1].into, 1);
	check_entry(&list[2], 7, 7, MATCH_NAME);
	check_entry(&list[4], 3, 0, MATCH_EXACT);
	check_entry(&list[5], 0, 4, MATCH_EXACT);
	check_entry(&list[6], 5, 5, MATCH_EXACT);
	check_entry(&list[7], 0, 6, MATCH_EXACT);
	stack_keys_free(k);
}

/* A frame that is missing hides nothing: what is taken for one cost the same. */
static void test_by_alignment(void **state)
{
	struct stack_keys *k = stack_keys_new();
	struct match_entry list[] = {
		entry(key(k, "main load xmalloc", "a.c"), 30, 0),
		entry(key(k, "main load", "a.c"), 10, 40), /* xmalloc ended in a jump */
		entry(key(k, "main save xmalloc", "a.c"), 30, 0),
		entry(key(k, "main save", "a.c"), 0, 31), /* a change */
		entry(key(k, "main other", "a.c"), 8, 0),
		entry(key(k, "main another", "a.c"), 0, 8), /* as much, but not the same */
		entry(key(k, "main p a", "a.c"), 1, 0),
		entry(key(k, "main p b", "a.c"), 2, 0),
		entry(key(k, "main p", "a.c"), 0, 3), /* both are missing a frame */
	};

	(void)state;
	run(k, list, COUNT(list), false);
	check_entry(&list[0], 40, 40, MATCH_ALIGNED);
	check_entry(&list[2], 30, 0, MATCH_EXACT);
	check_entry(&list[3], 0, 31, MATCH_EXACT);
	check_entry(&list[4], 8, 0, MATCH_EXACT);
	check_entry(&list[5], 0, 8, MATCH_EXACT);
	assert_int_not_equal(list[6].into, 0);
	assert_int_not_equal(list[7].into, 0);
	check_entry(&list[8], 3, 3, MATCH_ALIGNED);
	stack_keys_free(k);
}

/* What only the library's frames tell apart is one, if it is the only one. */
static void test_library(void **state)
{
	struct stack_keys *k = stack_keys_new();
	struct match_entry list[] = {
		entry(key(k, "main add std::string::_M_construct(int)", "a.c"), 30, 0),
		entry(key(k, "main add std::string::string(int)", "a.c"), 0, 50),
		entry(key(k, "main fill std::vector<int>::reserve(int)", "a.c"), 5, 0),
		entry(key(k, "main fill std::map<int,int>::at(int)", "a.c"), 7, 0),
		entry(key(k, "main fill std::vector<int>::resize(int)", "a.c"), 0, 6),
	};

	(void)state;
	run(k, list, COUNT(list), false);
	check_entry(&list[0], 30, 50, MATCH_ALIGNED);
	check_entry(&list[2], 5, 0, MATCH_EXACT);
	check_entry(&list[3], 7, 0, MATCH_EXACT);
	check_entry(&list[4], 0, 6, MATCH_EXACT);
	stack_keys_free(k);
}

/* Without debug information: inlined functions are not in the stacks after. */
static void test_without_lines(void **state)
{
	struct stack_keys *k = stack_keys_new();
	struct match_entry list[] = {
		entry(key(k, "main parse row std::vector<int>::resize(int)", "a.c"), 30, 0),
		entry(key(k, "main parse cell", "a.c"), 5, 0),
		entry(key(k, "main parse", "a.c"), 0, 50),
		entry(key(k, "main", "a.c"), 2, 2),
		entry(key(k, "work", "a.c"), 9, 0),
	};

	(void)state;
	run(k, list, COUNT(list), true);
	check_entry(&list[2], 35, 50, MATCH_ALIGNED);
	check_entry(&list[3], 2, 2, MATCH_EXACT);
	check_entry(&list[4], 9, 0, MATCH_EXACT);
	stack_keys_free(k);
}

/* Bytes are exact unless asked otherwise; times have to be beyond what varies. */
static void test_noise(void **state)
{
	const uint64_t ms = 1000000;
	struct diff_noise noise;
	struct error e = {0};

	(void)state;
	diff_noise_default(&noise);
	assert_true(diff_is_change(&noise, 100, 101));
	assert_false(diff_is_change(&noise, 100, 100));
	assert_false(diff_is_slower(&noise, 0, 50 * ms, 1)); /* 50 ms and 1 */
	assert_true(diff_is_slower(&noise, 0, 52 * ms, 1));
	assert_false(diff_is_slower(&noise, 0, 149 * ms, 10000)); /* 1 ms for each of 100 */
	assert_true(diff_is_slower(&noise, 0, 151 * ms, 10000));
	assert_false(diff_is_slower(&noise, 1000 * ms, 1900 * ms, 1));
	assert_true(diff_is_slower(&noise, 2100 * ms, 1000 * ms, 1));
	noise.load_s = 0.1;
	assert_false(diff_is_slower(&noise, 0, 150 * ms, 1));
	assert_int_equal(diff_noise_set(&noise, "20ms", &e), 0);
	assert_true(diff_is_slower(&noise, 1000 * ms, 1021 * ms, 10000));
	assert_false(diff_is_slower(&noise, 1000 * ms, 1019 * ms, 1));
	assert_int_equal(diff_noise_set(&noise, "10%", &e), 0);
	assert_false(diff_is_change(&noise, 100, 109));
	assert_true(diff_is_change(&noise, 112, 100));
	assert_int_equal(diff_noise_set(&noise, "4K", &e), 0);
	assert_false(diff_is_change(&noise, 0, 4095));
	assert_true(diff_is_change(&noise, 0, 4096));
	assert_int_equal(diff_noise_set(&noise, "much", &e), -1);
	assert_non_null(strstr(e.text, "much"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_keys),    cmocka_unit_test(test_frames),
		cmocka_unit_test(test_by_name),	      cmocka_unit_test(test_by_alignment),
		cmocka_unit_test(test_without_lines), cmocka_unit_test(test_library),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
