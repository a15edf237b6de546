/* SPDX-License-Identifier: MIT */
/* Moments as they are written on command lines. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "analyzer/moment.h"

#include <cmocka.h>

static const struct mark marks[] = {
	{.name = "warm", .at_s = 1}, {.name = "loaded", .at_s = 2.5}, {.name = "warm", .at_s = 3},
	{.name = "5", .at_s = 4},    {.name = "peak", .at_s = 4.25},  {.name = "a#2", .at_s = 4.5},
};

/* 2024-05-01T12:00:00Z and half a second. */
static const struct moment_span span = {
	.started_ns = UINT64_C(1714564800500000000),
	.duration_s = 10,
	.peak_s = 7.5,
	.marks = marks,
	.mark_count = sizeof(marks) / sizeof(marks[0]),
};

static void is(const char *text, double at_s)
{
	const struct moment m = moment_parse(text);
	struct error e = {0};
	double got;

	if (moment_resolve(&m, "--from", &span, &got, &e) != 0)
		fail_msg("'%s': %s", text, e.text);
	if (fabs(got - at_s) > 1e-6)
		fail_msg("'%s' is %f, not %f", text, got, at_s);
}

static void test_times(void **state)
{
	(void)state;
	is("0", 0);
	is("12.5", 12.5);
	is("12.5s", 12.5);
	is("+3", 3);
	is("7.", 7);
	is(".5", 0.5);
	is("500ms", 0.5);
	is("250us", 0.00025);
	is("1000000ns", 0.001);
	is("2m", 120);
	is("2min", 120);
	is("1.5h", 5400);
	is("1d", 86400);
	is("-2.5", 7.5);
	is("-500ms", 9.5);
	is("50%", 5);
	is("12.5%", 1.25);
	is("100%", 10);
	is("start", 0);
	is("end", 10);
	is("peak", 7.5);
}

static void test_dates(void **state)
{
	(void)state;
	is("2024-05-01T12:00:03Z", 2.5);
	is("2024-05-01T12:00:03", 2.5);
	is("2024-05-01 12:00:03.75", 3.25);
	is("2024-05-01T12:00:00.500001Z", 1e-6);
	is("2024-05-01T14:00:03+02:00", 2.5);
	is("2024-05-01T14:00:03+0200", 2.5);
	is("2024-05-01T07:30:03-04:30", 2.5);
	is("2024-05-01T13:00:03+01", 2.5);
	is("2024-05-01T12:00:00Z", -0.5);
}

static void test_marks(void **state)
{
	(void)state;
	is("loaded", 2.5);
	is("warm", 1);
	is("warm#1", 1);
	is("warm#2", 3);
	is("a#2", 4.5);
	/* What has another meaning is that. */
	is("5", 5);
	is("mark:5", 4);
	is("mark:peak", 4.25);
	is("mark:warm#2", 3);
}

static void is_none(const char *text, const struct moment_span *of, const char *part,
		    const char *another)
{
	const struct moment m = moment_parse(text);
	struct error e = {0};
	double got;

	assert_int_equal(moment_resolve(&m, "--to", of, &got, &e), -1);
	assert_int_equal(e.code, ERROR_USAGE);
	if (strstr(e.text, part) == NULL || strstr(e.text, another) == NULL)
		fail_msg("'%s': %s", text, e.text);
}

static void test_mistakes(void **state)
{
	struct moment_span bare = span;

	(void)state;
	bare.marks = NULL;
	bare.mark_count = 0;
	bare.started_ns = 0;
	is_none("cold", &span, "--to 'cold'", "warm, loaded, warm, 5, peak, a#2");
	is_none("warm#3", &span, "--to 'warm#3'", "no mark");
	is_none("warm#", &span, "--to 'warm#'", "no mark");
	is_none("warm#0", &span, "--to 'warm#0'", "no mark");
	is_none("12 parsecs", &span, "12 parsecs", "500ms");
	is_none("12.5.5", &span, "12.5.5", "no mark");
	is_none("-5%", &span, "-5%", "no mark");
	is_none("1e3", &span, "1e3", "no mark");
	is_none("", &span, "''", "no mark");
	is_none(".", &span, "'.'", "no mark");
	is_none("2024-05-01", &span, "2024-05-01", "no mark");
	is_none("2024-05-01T12:00:00 at noon", &span, "at noon", "no mark");
	is_none("9999-05-01T12:00:00Z", &span, "9999-05-01", "no mark");
	is_none("cold", &bare, "no marks", "50%");
	is_none("2024-05-01T12:00:00Z", &bare, "2024-05-01", "when it began");
	is_none("evil\033[31m", &bare, "evil\\", "no marks");
}

/* Whether the run's length and peak must be found out first. */
static void test_needs(void **state)
{
	static const struct {
		const char *text;
		bool duration, peak;
	} rows[] = {{"5", false, false},   {"start", false, false}, {"-5", true, false},
		    {"50%", true, false},  {"end", true, false},    {"peak", false, true},
		    {"warm", false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct moment m = moment_parse(rows[i].text);

		assert_int_equal(moment_needs_duration(&m), rows[i].duration);
		assert_int_equal(moment_needs_peak(&m), rows[i].peak);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times), cmocka_unit_test(test_dates),
		cmocka_unit_test(test_marks), cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
