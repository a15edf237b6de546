/* SPDX-License-Identifier: MIT */
/* Names of functions, demangled, in the room that there is. All work in place: every
 * step makes a name shorter, or leaves it. */
#include "analyzer/format_function.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

/* Put "..." in place of what stands between two places, if that is longer. */
static char *put_dots(char *from, char *to)
{
	if (to - from <= 3)
		return to;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the rest follows */
	memcpy(from, "...", 3);
	memmove(from + 3, to, strlen(to) + 1);
	return from + 3;
}

static void replace_all(char *s, const char *what, const char *with)
{
	size_t length = strlen(what), less = strlen(with);

	while ((s = strstr(s, what)) != NULL) {
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the rest follows */
		memcpy(s, with, less);
		memmove(s + less, s + length, strlen(s + length) + 1);
		s += less;
	}
}

static void shorten_strings(char *s)
{
	replace_all(s, "std::__cxx11::", "std::");
	replace_all(s, "std::__1::", "std::");
	replace_all(s, "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
		    "std::string");
	replace_all(s, "std::basic_string_view<char, std::char_traits<char> >", "std::string_view");
}

/* The parameters' opening parenthesis: of the last group, behind which only qualifiers
 * may stand. NULL: there is none. */
static char *find_parameters(char *s)
{
	char *end = strrchr(s, ')'), *open = end;
	int depth = 0;

	if (end == NULL || strstr(end, "::") != NULL)
		return NULL;
	for (; open >= s; open--) {
		depth += *open == ')';
		depth -= *open == '(';
		if (depth == 0)
			break;
	}
	return open > s ? open : NULL;
}

static void drop_parameters(char *s)
{
	char *open = find_parameters(s);

	if (open != NULL)
		put_dots(open + 1, strrchr(s, ')'));
}

static bool is_operator(const char *s, const char *at)
{
	while (at > s && (at[-1] == '<' || at[-1] == '>' || at[-1] == '-' || at[-1] == '='))
		at--;
	return at - s >= 8 && strncmp(at - 8, "operator", 8) == 0;
}

/* The '>' of a '<'; NULL: they do not match, for all that can be seen here. */
static char *find_close(const char *s, char *open)
{
	int depth = 0;

	for (char *c = open; *c != '\0'; c++) {
		if ((*c == '<' || *c == '>') && is_operator(s, c))
			continue;
		depth += *c == '<';
		depth -= *c == '>' && c[-1] != '-';
		if (depth == 0)
			return c;
	}
	return NULL;
}

static void drop_templates(char *s)
{
	for (char *c = s; *c != '\0'; c++) {
		char *close = *c == '<' && !is_operator(s, c) ? find_close(s, c) : NULL;

		if (close != NULL)
			c = put_dots(c + 1, close);
	}
}

/* "void f<...>(...)": only templates are named with what they return. */
static void drop_returned(char *s)
{
	char *end = find_parameters(s), *space = NULL;
	int depth = 0;

	if (end == NULL || strstr(s, "operator ") != NULL)
		return;
	for (char *c = s; c < end; c++) {
		depth += *c == '<' || *c == '(' || *c == '{';
		depth -= *c == '>' || *c == ')' || *c == '}';
		if (*c == ' ' && depth == 0)
			space = c;
	}
	if (space != NULL)
		memmove(s, space + 1, strlen(space + 1) + 1);
}

char *format_function(const char *name, size_t columns, bool utf8)
{
	static void (*const steps[])(char *) = {shorten_strings, drop_parameters, drop_templates,
						drop_returned};
	char *safe = format_name(name, 0, utf8), *cut;

	for (size_t i = 0; safe != NULL && columns > 0 && i < sizeof(steps) / sizeof(*steps); i++)
		if (format_columns(safe) > columns)
			steps[i](safe);
	if (safe == NULL || columns == 0 || format_columns(safe) <= columns)
		return safe;
	cut = format_name(safe, columns, utf8);
	free(safe);
	return cut;
}
