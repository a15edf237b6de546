/* SPDX-License-Identifier: MIT */
/* Lines that are broken to fit, tables of all widths, names of functions in the room
 * that there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/emit_text.h"
#include "analyzer/format_function.h"

static char *text;
static size_t size;

static struct emit_text begin(size_t width, bool color)
{
	return (struct emit_text){
		.out = open_memstream(&text, &size), .width = width, .color = color, .utf8 = true};
}

static void expect(struct emit_text *t, const char *wanted)
{
	fclose(t->out);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_broken_lines(void **state)
{
	struct emit_text t = begin(20, false);

	(void)state;
	text_say(&t, "short\n");
	text_indent(&t, 4);
	text_say(&t, "it is broken here, and ");
	text_say(&t, "here\n");
	/* A number stays with what it counts. */
	text_say(&t, "it took nearly 12.5 ms of it\n");
	text_say(&t, "averylongwordthatdoesnotfit anywhere\n");
	text_say(&t, "\n");
	expect(&t, "short\n"
		   "    it is broken\n"
		   "    here, and here\n"
		   "it took nearly\n"
		   "12.5 ms of it\n"
		   "averylongwordthatdoesnotfit\n"
		   "anywhere\n"
		   "\n");
}

static void test_styles_take_no_room(void **state)
{
	struct emit_text t = begin(10, true);

	(void)state;
	text_styled(&t, STYLE_STRONG, "12345");
	text_say(&t, " 678");
	text_styled(&t, STYLE_FAINT, " no room\n");
	expect(&t, "\x1b[1m12345\x1b[0m 678\x1b[2m\nno room\x1b[0m\n");
}

/* What is said in pieces is not wider for the comma that joins them. */
static void test_room_for_a_comma(void **state)
{
	struct emit_text t = begin(10, false);

	(void)state;
	text_say(&t, "12345");
	text_say(&t, " 6789");
	text_say(&t, ", 1\n");
	text_say(&t, "12345 6789\n");
	expect(&t, "12345\n6789, 1\n12345 6789\n");
}

static void test_wrapped_names_are_safe(void **state)
{
	struct emit_text t = begin(30, false);

	(void)state;
	text_wrap(&t, "evil \x1b[31m\n name", 0, 2);
	text_end(&t);
	expect(&t, "evil \\x1b[31m\\n name\n");
}

static struct text_table make_table(void)
{
	struct text_table table = {
		.headers = {"calls", "bytes", "none", "time"},
		.columns = 4,
		.name_header = "file",
		.spare = {2},
	};
	struct text_row *row = table_row(&table, "/var/lib/data");

	strcpy(row->cells[0], "1,234");
	strcpy(row->cells[1], "10.0 MiB");
	strcpy(row->cells[3], "12.5 \xc2\xb5s");
	row = table_row(&table, "two words");
	strcpy(row->cells[0], "1");
	return table;
}

/* Columns and names; names on lines of their own; fewer columns; no columns. */
static void test_tables(void **state)
{
	static const struct {
		size_t width;
		const char *printed;
	} rows[] = {
		{60, "  calls     bytes     time  file\n"
		     "  1,234  10.0 MiB  12.5 \xc2\xb5s  /var/lib/data\n"
		     "      1                     two words\n"},
		{30, "  calls     bytes     time\n"
		     "  /var/lib/data\n"
		     "  1,234  10.0 MiB  12.5 \xc2\xb5s\n"
		     "  two words\n"
		     "      1\n"},
		{20, "  calls     time\n"
		     "  /var/lib/data\n"
		     "  1,234  12.5 \xc2\xb5s\n"
		     "  two words\n"
		     "      1\n"},
		{12, "  /v.../data\n"
		     "    calls 1,234,\n"
		     "    bytes 10.0 MiB,\n"
		     "    time 12.5 \xc2\xb5s\n"
		     "  two words\n"
		     "    calls 1\n"},
	};
	struct text_table table = make_table();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct emit_text t = begin(rows[i].width, false);

		table_print(&t, &table);
		expect(&t, rows[i].printed);
	}
	table_free(&table);
}

static void test_function_names(void **state)
{
	static const char push[] =
		"void std::vector<double, std::allocator<double> >::_M_realloc_insert<double>"
		"(__gnu_cxx::__normal_iterator<double*, std::vector<double> >, double&&)";
	static const char open[] =
		"Store::open(std::__cxx11::basic_string<char, std::char_traits<char>, "
		"std::allocator<char> > const&)";
	static const struct {
		const char *name;
		size_t columns;
		const char *shown;
	} rows[] = {
		{"main", 0, "main"},
		{"main", 4, "main"},
		{push, 0, push},
		{open, 0, open},
		{open, 40, "Store::open(std::string const&)"},
		{open, 20, "Store::open(...)"},
		{push, 80, "void std::vector<...>::_M_realloc_insert<...>(...)"},
		{push, 46, "std::vector<...>::_M_realloc_insert<...>(...)"},
		{"(anonymous namespace)::run(Configuration const&) const", 40,
		 "(anonymous namespace)::run(...) const"},
		{"(anonymous namespace)::a_rather_long_name", 30, "(anonymou...a_rather_long_name"},
		{"operator new(unsigned long, std::align_val_t)", 20, "operator new(...)"},
		{"Big<int, long, char>::operator<< <int>(std::ostream&, int)", 36,
		 "Big<...>::operator<< <int>(...)"},
		{"Big<int, long>::operator->() const", 30, "Big<...>::operator->() const"},
		{"a<b<c<d<e", 8, "a...<d<e"},
		{"f(((", 3, "..."},
		{"\x1b[31mred", 0, "\\x1b[31mred"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *shown = format_function(rows[i].name, rows[i].columns, true);

		if (strcmp(shown, rows[i].shown) != 0)
			fail_msg("%s in %zu: %s", rows[i].name, rows[i].columns, shown);
		free(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_lines),
		cmocka_unit_test(test_styles_take_no_room),
		cmocka_unit_test(test_room_for_a_comma),
		cmocka_unit_test(test_wrapped_names_are_safe),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_function_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
