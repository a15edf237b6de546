/* SPDX-License-Identifier: MIT */
/* Human units at their boundaries, names made safe, bars, the nearest word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_bytes(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1048524, "1023.9 KiB"},
		{1048575, "1.0 MiB"}, /* not "1024.0 KiB" */
		{1048576, "1.0 MiB"},
		{1073741823, "1.0 GiB"},
		{18446744073709551615.0, "16.0 EiB"},
		{1e300, "-"},
		{INFINITY, "-"},
		{NAN, "-"},
	};
	char buf[FORMAT_ROOM];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(format_bytes(buf, rows[i].bytes), rows[i].text);
	assert_string_equal(format_rate(buf, 2048), "2.0 KiB/s");
	assert_string_equal(format_rate(buf, NAN), "-");
}

static void test_counts(void **state)
{
	char buf[FORMAT_ROOM];

	(void)state;
	assert_string_equal(format_count(buf, 0), "0");
	assert_string_equal(format_count(buf, 999), "999");
	assert_string_equal(format_count(buf, 1000), "1,000");
	assert_string_equal(format_count(buf, 1234567), "1,234,567");
	assert_string_equal(format_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(format_percent(buf, 1, 3), "33.3%");
	assert_string_equal(format_percent(buf, 0, 3), "0.0%");
	assert_string_equal(format_percent(buf, 1, 1e6), "<0.1%");
	assert_string_equal(format_percent(buf, 1, 0), "-");
	assert_string_equal(format_growth(buf, 1000, 1123), "+12.3%");
	assert_string_equal(format_growth(buf, 1000, 600), "-40.0%");
	assert_string_equal(format_growth(buf, 1000, 0), "-100.0%");
	assert_string_equal(format_growth(buf, 100, 999), "+899.0%");
	assert_string_equal(format_growth(buf, 100, 1000), "10.0x");
	assert_string_equal(format_growth(buf, 100, 26500), "265x");
	assert_string_equal(format_growth(buf, 1, UINT64_MAX), "1.8e+19x");
	assert_string_equal(format_growth(buf, 0, 5), "");
	assert_string_equal(format_growth(buf, 5, 5), "");
}

static void test_seconds(void **state)
{
	static const struct {
		double s;
		const char *text;
	} rows[] = {
		{NAN, "-"},
		{0, "0 s"},
		{1e-9, "1 ns"},
		{999e-9, "999 ns"},
		{1e-6, "1.00 us"},
		{999.4e-6, "999 us"},
		{999.6e-6, "1.00 ms"},
		{12.34e-3, "12.3 ms"},
		{0.9996, "1.00 s"},
		{59.96, "60.0 s"},
		{99.96, "1 min 40 s"},
		{119.9, "2 min 00 s"},
		{3599.6, "1 h 00 min"},
		{7260, "2 h 01 min"},
		{90000, "1 d 01 h"},
		{1e300, "-"},
	};
	char buf[FORMAT_ROOM];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(format_seconds(buf, rows[i].s, false), rows[i].text);
	assert_string_equal(format_seconds(buf, 2e-6, true), "2.00 \xc2\xb5s");
	assert_string_equal(format_signal(buf, SIGKILL), "SIGKILL");
	assert_string_equal(format_signal(buf, 99), "signal 99");
}

static void check_name(const char *name, size_t columns, bool utf8, const char *expected)
{
	char *safe = format_name(name, columns, utf8);

	assert_non_null(safe);
	assert_string_equal(safe, expected);
	free(safe);
}

static void test_hostile_names(void **state)
{
	(void)state;
	check_name("plain name", 0, true, "plain name");
	check_name("a\x1b[31mb\nc\td", 0, true, "a\\x1b[31mb\\nc\\td");
	check_name("\x7f\r", 0, true, "\\x7f\\r");
	check_name("caf\xc3\xa9", 0, true, "caf\xc3\xa9");
	check_name("caf\xc3\xa9", 0, false, "caf\\u{e9}");
	check_name("\xff\xc3", 0, true, "\\xff\\xc3");
	check_name("\xc0\xaf", 0, true, "\\xc0\\xaf");		/* overlong */
	check_name("\xed\xa0\x80", 0, true, "\\xed\\xa0\\x80"); /* surrogate */
	check_name("\xc2\x9b", 0, true, "\\u{9b}");		/* C1: begins an escape */
	check_name("\xe2\x80\xae", 0, true, "\\u{202e}");	/* right to left */
}

static void test_shortened_names(void **state)
{
	(void)state;
	check_name("0123456789", 10, true, "0123456789");
	check_name("0123456789a", 10, true, "01...6789a");
	check_name("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 5, true,
		   "...\xc3\xa9\xc3\xa9");
	check_name("0123", 3, true, "...");
}

static void test_utf8(void **state)
{
	static const uint32_t characters[] = {1,     0x7f,   0x80,    0x7ff,
					      0x800, 0xfffd, 0x10000, 0x10ffff};
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++) {
		char text[5] = {0};
		size_t length = utf8_encode(text, characters[i]);

		assert_int_equal(utf8_decode(text, &c), length);
		assert_int_equal(c, characters[i]);
	}
	assert_int_equal(utf8_decode("\xf4\x90\x80\x80", &c), 0); /* past the last */
	assert_int_equal(utf8_decode("\xe2\x82", &c), 0);	  /* cut */
	assert_int_equal(utf8_decode("\x80", &c), 0);
}

static void test_sparkline(void **state)
{
	static const double values[] = {0, 1, 2, 4, 8, 8, 0, 8};
	static const double flat[] = {0, 0};
	char *bars;

	(void)state;
	bars = format_sparkline(values, COUNT(values), 8, false);
	assert_string_equal(bars, " .:=@@ @");
	free(bars);
	bars = format_sparkline(values, COUNT(values), 4, false); /* maxima of pairs */
	assert_string_equal(bars, ".=@@");
	free(bars);
	bars = format_sparkline(values, COUNT(values), 8, true);
	assert_int_equal(format_columns(bars), 8);
	assert_memory_equal(bars + 1, "\xe2\x96\x81", 3);
	free(bars);
	bars = format_sparkline(flat, COUNT(flat), 8, true);
	assert_string_equal(bars, "  ");
	free(bars);
	bars = format_sparkline(NULL, 0, 8, true);
	assert_string_equal(bars, "");
	free(bars);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"report", "record", "leaks", "io", "dump", NULL};
	char long_word[200];

	(void)state;
	assert_string_equal(format_nearest("reprot", names), "report");
	assert_string_equal(format_nearest("leak", names), "leaks");
	assert_string_equal(format_nearest("oi", names), "io");
	assert_string_equal(format_nearest("tpo", (const char *const[]){"to", "top", NULL}), "top");
	assert_string_equal(format_nearest("t", (const char *const[]){"to", "top", NULL}), "to");
	assert_null(format_nearest("frobnicate", names));
	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	assert_null(format_nearest(long_word, names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_seconds),		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_shortened_names), cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_sparkline),	cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
