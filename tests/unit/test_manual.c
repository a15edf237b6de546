/* SPDX-License-Identifier: MIT */
/*
 * The manual pages' sources against the tables: every command has a page that names each
 * of its options, no page names one that there is not, and every environment variable of
 * the README is explained. Runs in the sources' folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/commands.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES "docs/man/"

/* Malloc'ed; NULL: there is none. */
static char *read_page(const char *name)
{
	char path[256], *text = NULL;
	size_t length;
	FILE *in, *out;
	int c;

	snprintf(path, sizeof(path), PAGES "%s", name);
	in = fopen(path, "re");
	if (in == NULL)
		return NULL;
	out = open_memstream(&text, &length);
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
	return text;
}

/* With its parts in place, as docs/man/expand.awk puts them. */
static char *read_whole(const char *name)
{
	char *page = read_page(name), *rest = page, *line, *text = NULL;
	size_t length;
	FILE *out;

	if (page == NULL)
		return NULL;
	out = open_memstream(&text, &length);
	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t n = strlen(line);
		char part[128], *included;

		if (n < 3 || line[0] != '@' || line[n - 1] != '@') {
			fprintf(out, "%s\n", line);
			continue;
		}
		snprintf(part, sizeof(part), "%.*s.inc", (int)n - 2, line + 1);
		included = read_page(part);
		if (included == NULL)
			fail_msg(PAGES "%s has a part that is not there: %s", name, part);
		else
			fprintf(out, "%s", included);
		free(included);
	}
	fclose(out);
	free(page);
	return text;
}

/* Is it explained: at the beginning of a line, which an indented one follows? */
static bool is_explained(const char *page, const char *name)
{
	char wanted[64];
	const char *at = page;

	snprintf(wanted, sizeof(wanted), "*%s*", name);
	while ((at = strstr(at, wanted)) != NULL) {
		const char *line = at, *next = strchr(at, '\n');

		while (line > page && line[-1] != '\n')
			line--;
		if (*line == '*' && next != NULL && next[1] == '\t')
			return true;
		at++;
	}
	return false;
}

static void check_options(const struct command *c, const char *name, const char *page)
{
	const struct option_row *row;

	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;) {
		char spelled[48];

		snprintf(spelled, sizeof(spelled), "--%s", row->name);
		if (!is_explained(page, spelled))
			fail_msg(PAGES
				 "%s does not explain %s: add it, or a part (*.inc) that does",
				 name, spelled);
		snprintf(spelled, sizeof(spelled), "-%c", row->letter);
		if (row->letter != 0 && !is_explained(page, spelled))
			fail_msg(PAGES "%s does not explain %s", name, spelled);
	}
}

/* The words that a value may be; those of thresholds and tables are --help's. */
static void check_values(const struct command *c, const char *name, const char *page)
{
	static const char *const values[] = {"to", "cost", "color", NULL};
	const struct option_row *row;
	const char *word;

	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;) {
		bool listed = false;

		for (const char *const *v = values; *v != NULL; v++)
			listed |= strcmp(*v, row->name) == 0;
		for (size_t n = 0; listed && (word = option_value(row, n)) != NULL; n++) {
			char spelled[48];

			snprintf(spelled, sizeof(spelled), "*%s*", word);
			if (strstr(page, spelled) == NULL)
				fail_msg(PAGES "%s does not explain %s of --%s", name, spelled,
					 row->name);
		}
	}
}

static bool has_option(const struct command *c, const char *name, size_t length)
{
	const struct option_row *row;

	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;)
		if (strlen(row->name) == length && strncmp(row->name, name, length) == 0)
			return true;
	return false;
}

/* The other way round, of all lines that explain options. */
static void check_explained(const struct command *c, const char *name, const char *page)
{
	const char *next;

	for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
		line += line != page;
		next = strchr(line, '\n');
		if (strncmp(line, "*-", 2) != 0 || next == NULL || next[1] != '\t')
			continue;
		for (const char *at = line; *at != '\n' && *at != '\0'; at++) {
			size_t length = strcspn(at, "*\n");

			if (strncmp(at, "--", 2) == 0 && length > 2 &&
			    !has_option(c, at + 2, length - 2))
				fail_msg(PAGES "%s explains %.*s, which %s does not take", name,
					 (int)length, at, c->name);
			at += strncmp(at, "--", 2) == 0;
		}
	}
}

static void test_commands(void **state)
{
	char *overview = read_whole("perfhook.1.scd");
	const struct command *c;

	(void)state;
	assert_non_null(overview);
	for (size_t i = 0; (c = commands_next(&i)) != NULL;) {
		char name[64], *page;

		snprintf(name, sizeof(name), "perfhook-%s.1.scd", c->name);
		page = read_whole(name);
		if (page == NULL)
			fail_msg("%s has no page: write " PAGES "%s", c->name, name);
		if (!is_explained(overview, c->name))
			fail_msg(PAGES "perfhook.1.scd does not name %s", c->name);
		check_options(c, name, page);
		check_explained(c, name, page);
		check_values(c, name, page);
		for (const char *const *section =
			     (const char *const[]){"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS",
						   "EXIT STATUS", "EXAMPLES", "SEE ALSO", NULL};
		     *section != NULL; section++) {
			char heading[32];

			snprintf(heading, sizeof(heading), "\n# %s\n", *section);
			if (strstr(page, heading) == NULL)
				fail_msg(PAGES "%s has no section %s", name, *section);
		}
		free(page);
	}
	free(overview);
}

/* The list of commands names none that is gone. */
static void test_no_other_commands(void **state)
{
	char *overview = read_whole("perfhook.1.scd");
	const char *at = strstr(overview, "\n# COMMANDS\n"), *end;

	(void)state;
	assert_non_null(at);
	end = strstr(at, "\n# OPTIONS\n");
	assert_non_null(end);
	while ((at = strstr(at, "*perfhook-")) != NULL && at < end) {
		size_t length = strcspn(at += 10, "*");
		const struct command *c;
		bool found = false;

		for (size_t i = 0; (c = commands_next(&i)) != NULL;)
			found |= strlen(c->name) == length && strncmp(c->name, at, length) == 0;
		if (!found)
			fail_msg(PAGES "perfhook.1.scd names perfhook-%.*s", (int)length, at);
	}
	free(overview);
}

/* The rows of the README's table: "| `PERFHOOK_OUT` | ...". */
static void test_environment(void **state)
{
	char *overview = read_whole("perfhook.1.scd"), *readme = read_page("../../README.md");
	const char *at = readme;
	size_t found = 0;

	(void)state;
	assert_non_null(readme);
	while ((at = strstr(at, "\n| `PERFHOOK_")) != NULL) {
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 4, "`"), at + 4);
		if (!is_explained(overview, name))
			fail_msg(PAGES "perfhook.1.scd does not explain %s", name);
		found++;
		at++;
	}
	assert_true(found >= 8);
	free(overview);
	free(readme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_no_other_commands),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
