/* SPDX-License-Identifier: MIT */
/*
 * What the README and the guide tell a reader to type is typed, in order, in one folder
 * for each: blocks of code that begin with ```sh. All must succeed, and what they print
 * must match each "<!-- shows: EXPRESSION -->" (POSIX extended) up to the next block.
 * Runs in the sources' folder, whose `build` and `examples` the blocks see.
 */
#include <regex.h>
#include <unistd.h>

#include "tests/integration/harness.h"

#define SHOWS "<!-- shows: "

static char *sources;

struct block {
	char *commands, *said;
	size_t line, checks;
};

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* Up to the closing fence. */
static char *read_block(char **rest, size_t *line_number)
{
	char *commands = text("%s", ""), *line;

	while ((line = strsep(rest, "\n")) != NULL && !begins(line, "```")) {
		commands = text("%s%s\n", commands, line);
		++*line_number;
	}
	++*line_number;
	check(line != NULL, "a block of code does not end");
	return commands;
}

static void run_block(const char *name, struct block *b)
{
	char *script = text("%s\n", b->commands);
	struct outcome o = run(ARGV("bash", "-e", "-o", "pipefail", "-c", script),
			       &(struct options){.timeout_s = 120, .env = ARGV("LC_ALL=C.UTF-8")});

	check(o.status == 0, "%s:%zu: status %d of\n%s%s%s", name, b->line, o.status, b->commands,
	      o.out, o.err);
	b->said = text("%s%s", o.out, o.err);
}

static void check_shown(const char *name, size_t line_number, char *line, struct block *b)
{
	char *expression = line + strlen(SHOWS), *end = strstr(expression, " -->");
	regex_t wanted;

	check(end != NULL && b->said != NULL, "%s:%zu: what is to be shown, by what?", name,
	      line_number);
	*end = '\0';
	check(regcomp(&wanted, expression, REG_EXTENDED | REG_NOSUB | REG_NEWLINE) == 0,
	      "%s:%zu: '%s' is no expression", name, line_number, expression);
	check(regexec(&wanted, b->said, 0, NULL, 0) == 0, "%s:%zu: nothing like '%s' in\n%s", name,
	      line_number, expression, b->said);
	regfree(&wanted);
	b->checks++;
}

/* A command of ours in other code is not tried. */
static void check_no_command(const char *name, size_t line_number, const char *line)
{
	check(!begins(line, "    build/perfhook ") && !begins(line, "    perfhook ") &&
		      !begins(line, "build/perfhook "),
	      "%s:%zu: a command outside of a block that is run (```sh): %s", name, line_number,
	      line);
}

/* Returns how many blocks there were. */
static size_t run_document(const char *name)
{
	char *rest = read_file(text("%s/%s", sources, name), NULL), *line;
	struct block b = {0};
	size_t blocks = 0;

	check(rest != NULL, "%s cannot be read", name);
	check(symlink(text("%s/%s", sources, getenv("PERFHOOK_BUILD")), in_box("build")) == 0 &&
		      symlink(text("%s/examples", sources), in_box("examples")) == 0,
	      "symlink");
	for (size_t n = 1; (line = strsep(&rest, "\n")) != NULL; n++) {
		if (strcmp(line, "```sh") == 0) {
			b = (struct block){.line = n};
			b.commands = read_block(&rest, &n);
			run_block(name, &b);
			blocks++;
		} else if (begins(line, SHOWS)) {
			check_shown(name, n, line, &b);
		} else if (begins(line, "```")) {
			read_block(&rest, &n);
		} else {
			check_no_command(name, n, line);
		}
	}
	return blocks;
}

static void guide(void **state)
{
	(void)state;
	check(run_document("docs/guide.md") >= 10, "the guide has few commands");
}

static void readme(void **state)
{
	(void)state;
	check(run_document("README.md") >= 1, "the README has no commands");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(guide), boxed(readme)};

	sources = realpath(".", NULL);
	return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
