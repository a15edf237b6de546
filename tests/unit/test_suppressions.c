/* SPDX-License-Identifier: MIT */
/* The files of LeakSanitizer and Valgrind: what is read, what is left out and named, and
 * what matches. tests/truth/test_suppressions.c asks the tools themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/suppressions.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct suppressions parse(const char *text)
{
	struct suppressions s = {0};
	struct error e = {0};

	assert_int_equal(suppressions_parse(&s, text, strlen(text), "x.supp", &e), 0);
	return s;
}

static void test_globs(void **state)
{
	static const char *const yes[][2] = {
		{"", ""},	{"*", ""},	   {"*", "anything"},
		{"a*c", "abc"}, {"a*c", "ac"},	   {"a?c", "abc"},
		{"*b*", "abc"}, {"a**b", "ab"},	   {"*.so*", "x.so.1"},
		{"???", "abc"}, {"*aab", "aaaab"},
	};
	static const char *const no[][2] = {
		{"", "a"}, {"a", ""}, {"?", ""}, {"a*c", "abd"}, {"abc", "ab"}, {"ab", "abc"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(suppression_glob(yes[i][0], yes[i][1]));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(suppression_glob(no[i][0], no[i][1]));
}

static void test_templates(void **state)
{
	static const char *const yes[][2] = {
		{"Foo", "a::FooBar()"},	  {"^Foo", "FooBar"},	  {"Bar$", "FooBar"},
		{"^Foo*Bar$", "FooXBar"}, {"F*B", "xFoBx"},	  {"*Foo*", "aFoob"},
		{"oo$", "fooo"},	  {"^FooBar$", "FooBar"}, {"Foo*$", "Foobar"},
	};
	static const char *const no[][2] = {
		{"Foo", ""},	{"^Foo", "aFoo"}, {"Foo$", "Fooa"}, {"^Foo*Bar$", "FooBarx"},
		{"B*F", "FoB"}, {"x", "FooBar"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(suppression_template(yes[i][0], yes[i][1]));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(suppression_template(no[i][0], no[i][1]));
}

static void test_reading(void **state)
{
	struct suppressions s = parse("# comment\r\n"
				      "leak:libfoo\r\n"
				      "   leak: with space \n"
				      "race:not_ours\n"
				      "{\n   a name # with all\n   Memcheck,DRD:Leak\n"
				      "   match-leak-kinds: definite, possible\n"
				      "   fun:malloc\n   ...\n   # inside\n   obj:*/libx.so*\n"
				      "   src:a.c:12\n}\n"
				      "{\n   cond\n   Memcheck:Cond\n   fun:x\n}\n"
				      "{\n   other tool\n   Helgrind:Race\n   fun:x\n}\n"
				      "{\n   param\n   Memcheck:Param\n   write(buf)\n   fun:x\n}\n"
				      "{\nlast\nmemcheck:Leak\nfun:f\n}");

	(void)state;
	assert_int_equal(s.bad, 0);
	assert_int_equal(s.other, 4);
	assert_int_equal(s.count, 4);
	assert_true(s.list[0].is_substring);
	assert_string_equal(s.list[0].name, "libfoo");
	assert_int_equal(s.list[0].line, 2);
	assert_string_equal(s.list[1].name, " with space");
	assert_string_equal(s.list[2].name, "a name # with all");
	assert_int_equal(s.list[2].line, 5);
	assert_int_equal(s.list[2].kinds, 1u << REACH_LOST | 1u << REACH_POSSIBLE);
	assert_int_equal(s.list[2].line_count, 4);
	assert_int_equal(s.list[2].lines[1].kind, SUPPRESSION_ANY);
	assert_string_equal(s.list[2].lines[2].pattern, "*/libx.so*");
	assert_string_equal(s.list[3].name, "last");
	suppressions_free(&s);
}

/* Each is named with its line, and costs no other entry. */
static void test_malformed(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
	} bad[] = {
		{"what is this\n", 1},
		{"leak:\n", 1},
		{"\n{\n", 2},
		{"{\n}\n", 1},
		{"{\nname\n}\n", 1},
		{"{\nname\nMemcheck\nfun:a\n}\n", 1},
		{"{\nname\nMemcheck:\nfun:a\n}\n", 1},
		{"{\nname\n:Leak\nfun:a\n}\n", 1},
		{"{\nname\nMemcheck:Leak\n}\n", 1},
		{"{\nname\nMemcheck:Leak\n...\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nfun:\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nmalloc\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nmatch-leak-kinds: some\nfun:a\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nmatch-leak-kinds: definite,\nfun:a\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nfun:a\nmatch-leak-kinds: all\n}\n", 1},
		{"{\nname\nMemcheck:Leak\nfun:a\n", 1},
		{"{\nname\nMemcheck:Cond\nfun:a\n", 1},
		{"}\n", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char text[512];
		struct suppressions s;

		snprintf(text, sizeof(text), "%s{\ngood\nMemcheck:Leak\nfun:b\n}\n", bad[i].text);
		s = parse(text);
		assert_int_equal(s.bad, 1);
		assert_int_equal(s.problems[0].line, bad[i].line);
		assert_string_equal(s.problems[0].file, "x.supp");
		assert_int_equal(s.count, 1);
		assert_string_equal(s.list[0].name, "good");
		suppressions_free(&s);
	}
}

static void test_unreadable(void **state)
{
	static const char *const paths[] = {"/nowhere/x.supp", "/", "/dev/zero"};

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct suppressions s = {0};
		struct error e = {0};

		assert_int_equal(suppressions_read(&s, paths[i], &e), -1);
		assert_non_null(strstr(e.text, paths[i]));
		suppressions_free(&s);
	}
}

/* What a shell names for `<(command)`, and nothing at all. */
static void test_pipe(void **state)
{
	struct suppressions s = {0};
	struct error e = {0};
	char path[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "leak:here\n", 10), 10);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_int_equal(suppressions_read(&s, path, &e), 0);
	close(ends[0]);
	assert_int_equal(suppressions_read(&s, "/dev/null", &e), 0);
	assert_int_equal(s.count, 1);
	assert_string_equal(s.list[0].name, "here");
	suppressions_free(&s);
}

/* malloc < grow < (inlined) push < load < main < libc */
static const struct suppressed_frame stack[] = {
	{.allocates = true},
	{.names = {"_ZN3vec4growEm", "vec::grow(unsigned long)", "vec::grow(unsigned long)",
		   "vec::grow"},
	 .file = "/src/vec.h",
	 .line = 12,
	 .module = "/opt/app/libvec.so.1"},
	{.names = {"push(int)", "push(int)", "push", "push"},
	 .inlined = true,
	 .file = "/src/vec.h",
	 .line = 30,
	 .module = "/opt/app/libvec.so.1"},
	{.names = {"load.part.0", "load", "load", "load"},
	 .file = "/src/load.c",
	 .line = 7,
	 .module = "/opt/app/app"},
	{.names = {"main"}, .file = "/src/main.c", .line = 3, .module = "/opt/app/app"},
	{.names = {"__libc_start_call_main"}, .module = "/lib/libc.so.6"},
	{.module = "/lib/libunknown.so"},
};

static bool suppressed(const char *lines, unsigned kinds)
{
	char text[512];
	struct suppressions s;
	bool found;

	if (strncmp(lines, "leak:", 5) == 0)
		snprintf(text, sizeof(text), "%s\n", lines);
	else
		snprintf(text, sizeof(text), "{\nname\nMemcheck:Leak\n%s\n}\n", lines);
	s = parse(text);
	assert_int_equal(s.bad, 0);
	found = suppressions_match(&s, stack, COUNT(stack), kinds) != NULL;
	suppressions_free(&s);
	return found;
}

static void test_matching(void **state)
{
	static const char *const yes[] = {
		"fun:malloc\nfun:_ZN3vec4growEm",
		"fun:calloc\nfun:_ZN3vec*\nfun:push",
		"fun:*\nfun:vec::grow*",
		"fun:malloc\nfun:vec::grow",
		"fun:_Znwm\nobj:*/libvec.so*\nobj:*\nfun:load.part.0\nfun:main",
		"...\nfun:load.part.0",
		"...\nfun:load",
		"fun:malloc\n...\nfun:main",
		"fun:malloc\n...\n...\nfun:main\nfun:(below main)",
		"fun:malloc\n...\nfun:_ZN3vec4growEm\n...\nfun:load*",
		"fun:malloc\n...\nsrc:load.c",
		"...\nsrc:vec.h:30",
		"...\nsrc:*/main.c",
		"obj:*vgpreload_memcheck*\nfun:*grow*",
		"...\nobj:/lib/libunknown.so",
		"fun:malloc\nfun:*\nfun:*\nfun:*\nfun:*\nfun:*\nfun:???\n...",
		"leak:vec::grow",
		"leak:^load",
		"leak:libvec",
		"leak:main.c$",
		"leak:/opt/app/app",
	};
	static const char *const no[] = {
		"fun:_ZN3vec4growEm", /* Valgrind's stacks begin with malloc */
		"fun:malloc\nfun:load",
		"fun:malloc\nfun:vec",
		"...\nfun:grow", /* not inlined: it has scopes */
		"fun:free\nfun:_ZN3vec4growEm",
		"fun:malloc\n...\nfun:main\nfun:load*",
		"...\nsrc:vec.h:31",
		"...\nobj:libvec.so.1",
		"fun:malloc\nfun:*\nfun:*\nfun:*\nfun:*\nfun:*\nfun:*\nfun:*",
		"leak:^vec.h",
		"leak:nothing",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		if (!suppressed(yes[i], 0))
			fail_msg("does not match: %s", yes[i]);
	for (size_t i = 0; i < COUNT(no); i++)
		if (suppressed(no[i], 0))
			fail_msg("matches: %s", no[i]);
}

/* Not known: any; else all that the blocks are. */
static void test_kinds(void **state)
{
	const unsigned lost = 1u << REACH_LOST, possible = 1u << REACH_POSSIBLE;
	const char *rule = "match-leak-kinds: possible,reachable\nfun:malloc\nfun:_ZN3vec*";

	(void)state;
	assert_true(suppressed(rule, 0));
	assert_true(suppressed(rule, possible));
	assert_false(suppressed(rule, lost));
	assert_false(suppressed(rule, lost | possible));
	assert_false(suppressed("match-leak-kinds: none\n...\nfun:main", 0));
	assert_true(suppressed("match-leak-kinds: all\n...\nfun:main", lost | possible));
	assert_true(suppressed("leak:main", lost));
}

/* Any bytes are read without harm; what remains is counted. */
static void test_any_bytes(void **state)
{
	static const char *const pieces[] = {
		"{\n",	       "}\n",
		"name\n",      "Memcheck:Leak\n",
		"fun:*\n",     "...\n",
		"obj:a*b\n",   "src:x:1\n",
		"leak:x*y$\n", "match-leak-kinds: all\n",
		"#\n",	       "\n",
		"\r",	       "fun:",
		"leak",	       ":",
		"*",	       "\xff",
		"Memcheck",    "match-leak-kinds: ,\n",
	};
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[512] = "";
		struct suppressions s = {0};
		struct error e = {0};
		size_t length = 0;

		for (int i = rand_r(&seed) % 24; i > 0; i--) {
			const char *piece = pieces[(size_t)rand_r(&seed) % COUNT(pieces)];

			memcpy(text + length, piece, strlen(piece) + 1);
			length += strlen(piece);
		}
		if (length > 0 && rand_r(&seed) % 4 == 0)
			text[(size_t)rand_r(&seed) % length] = (char)rand_r(&seed);
		assert_int_equal(suppressions_parse(&s, text, length, "x", &e), 0);
		suppressions_match(&s, stack, COUNT(stack), 0);
		suppressions_free(&s);
	}
}

/* A pattern made to take for ever takes no longer than another. */
static void test_hostile_pattern(void **state)
{
	static char text[100000], name[2000], lines[20000];
	const struct suppressed_frame frame = {.names = {name}};
	struct suppressed_frame deep[200];
	struct suppressions s;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	strcpy(text, "{\nn\nMemcheck:Leak\n...\n");
	for (int i = 0; i < 100; i++)
		strcat(lines, "fun:*a*a*a*a*a*a*a*a*b\n...\n");
	strcat(text, lines);
	strcat(text, "}\n");
	for (size_t i = 0; i < COUNT(deep); i++)
		deep[i] = frame;
	s = parse(text);
	assert_int_equal(s.count, 1);
	assert_null(suppressions_match(&s, deep, COUNT(deep), 0));
	suppressions_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs),	  cmocka_unit_test(test_templates),
		cmocka_unit_test(test_reading),	  cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_pipe),	  cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_matching),  cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_hostile_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
