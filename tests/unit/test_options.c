/* SPDX-License-Identifier: MIT */
/* Options: what is accepted, and what each mistake is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/options.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define REPORT                                                                                     \
	(OPTION_JSON | OPTION_OUTPUT | OPTION_TOP | OPTION_FULL | OPTIONS_SYMBOLS | OPTION_COLOR)

#define WORDS 16

/* Parse a line of words; argv lives in the caller's array. */
static int parse(struct options *o, unsigned accepted, const char *line, char **argv,
		 struct error *e)
{
	static char copy[256];
	char *rest = copy, *word;
	int argc = 0;

	assert_true(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	while ((word = strsep(&rest, " ")) != NULL)
		argv[argc++] = word;
	argv[argc] = NULL;
	*e = (struct error){.code = ERROR_NONE};
	return options_parse(o, accepted, argc, argv, e);
}

static void test_all_options(void **state)
{
	char *argv[WORDS];
	struct options o;
	struct error e;

	(void)state;
	assert_int_equal(parse(&o, REPORT,
			       "report a.trace --json -o out --top=3 --sysroot /s1 --sysroot=/s2 "
			       "--debug-path /d b.trace --color=never --full",
			       argv, &e),
			 0);
	assert_true(o.json && o.full && o.top_given && !o.help);
	assert_string_equal(o.output, "out");
	assert_int_equal(o.top, 3);
	assert_int_equal(options_top(&o), 3);
	assert_int_equal(o.sysroot_count, 2);
	assert_string_equal(o.sysroots[1], "/s2");
	assert_int_equal(o.debug_path_count, 1);
	assert_int_equal(o.color, COLOR_NEVER);
	assert_int_equal(o.argument_count, 2);
	assert_string_equal(o.arguments[0], "a.trace");
	assert_string_equal(o.arguments[1], "b.trace");
	options_free(&o);
}

static void test_top_defaults(void **state)
{
	char *argv[WORDS];
	struct options o;
	struct error e;

	(void)state;
	assert_int_equal(parse(&o, REPORT, "report t", argv, &e), 0);
	assert_int_equal(options_top(&o), 10);
	options_free(&o);
	assert_int_equal(parse(&o, REPORT, "report t --json", argv, &e), 0);
	assert_int_equal(options_top(&o), 100);
	options_free(&o);
	assert_int_equal(parse(&o, REPORT, "report t --top 0", argv, &e), 0);
	assert_true(options_top(&o) == SIZE_MAX);
	options_free(&o);
}

/* What follows the first word is the command's own. */
static void test_command_is_left_alone(void **state)
{
	char *argv[WORDS];
	struct options o;
	struct error e;
	const unsigned record = OPTION_RECORD_OUTPUT | OPTION_STOP_AT_WORD;

	(void)state;
	assert_int_equal(parse(&o, record, "record -o t ls -l --json", argv, &e), 0);
	assert_string_equal(o.output, "t");
	assert_int_equal(o.argument_count, 3);
	assert_string_equal(o.arguments[1], "-l");
	assert_null(o.arguments[3]);
	options_free(&o);
	assert_int_equal(parse(&o, record, "record -- -odd -o x", argv, &e), 0);
	assert_null(o.output);
	assert_string_equal(o.arguments[0], "-odd");
	options_free(&o);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *line;
		const char *said; /* part of the message */
	} rows[] = {
		{"report --jsno t", "did you mean --json?"},
		{"report --jsno t", "unknown option '--jsno'"},
		{"report --zzzzzzzzzzzz t", "unknown option '--zzzzzzzzzzzz'"},
		{"report t --to", NULL}, /* a prefix of one: getopt takes it, then wants a value */
		{"report t --top", "--top needs a value"},
		{"report t --top x", "not 'x'"},
		{"report t --top -1", "not '-1'"},
		{"report t --top 3x", "not '3x'"},
		{"report t --top 99999999999999999999999", "--top takes a number"},
		{"report t --color=sometimes", "not 'sometimes'"},
		{"report t --json=yes", "takes no value"},
		{"report -x t", "unknown option '-x'"},
		{"report t -o", "needs a value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *argv[WORDS];
		struct options o;
		struct error e;

		assert_int_equal(parse(&o, REPORT, rows[i].line, argv, &e), -1);
		assert_int_equal(e.code, ERROR_USAGE);
		assert_null(strchr(e.text, '\n'));
		if (rows[i].said != NULL && strstr(e.text, rows[i].said) == NULL)
			fail_msg("'%s' said: %s", rows[i].line, e.text);
		options_free(&o);
	}
}

static void test_not_this_commands(void **state)
{
	char *argv[WORDS];
	struct options o;
	struct error e;

	(void)state;
	assert_int_equal(parse(&o, OPTION_JSON, "dump --top 3 t", argv, &e), -1);
	assert_non_null(strstr(e.text, "dump: unknown option '--top'"));
	options_free(&o);
	assert_int_equal(parse(&o, OPTION_JSON, "dump --help", argv, &e), 0);
	assert_true(o.help);
	options_free(&o);
}

static void test_help_lists_what_is_accepted(void **state)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct emit_text t = {.out = out, .width = 80};

	(void)state;
	options_help(&t, OPTION_JSON | OPTION_TOP);
	fclose(out);
	assert_non_null(strstr(text, "--json"));
	assert_non_null(strstr(text, "--top N"));
	assert_non_null(strstr(text, "--help"));
	assert_null(strstr(text, "--sysroot"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_top_defaults),
		cmocka_unit_test(test_command_is_left_alone),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_not_this_commands),
		cmocka_unit_test(test_help_lists_what_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
