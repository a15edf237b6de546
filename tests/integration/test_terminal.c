/* SPDX-License-Identifier: MIT */
/*
 * Reports on a terminal: a pseudo-terminal of a given width shows what a user would
 * see. Colours, bars, lines that fit, the pager.
 */
#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness.h"

#define SCREEN (1 << 20)

struct screen {
	char *text; /* with escape sequences, lines ended by "\n" */
	int status;
};

static void become(const char *const *argv, const char *const *env)
{
	static const char *const unset[] = {"COLUMNS", "NO_COLOR", "PAGER", "PERFHOOK_PAGER",
					    "LESS"};

	for (size_t i = 0; i < COUNT_OF(unset); i++)
		unsetenv(unset[i]);
	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	for (; env != NULL && *env != NULL; env++)
		putenv((char *)(uintptr_t)*env);
	execv(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

/* Run on a terminal that is so wide and as high as few are. */
static struct screen show(int columns, const char *const *argv, const char *const *env)
{
	struct winsize size = {.ws_row = 200, .ws_col = (unsigned short)columns};
	struct screen s = {.text = kept(calloc(1, SCREEN))};
	size_t length = 0;
	int master, status;
	ssize_t n;
	pid_t pid = forkpty(&master, NULL, NULL, &size);

	check(pid >= 0, "no pseudo-terminal can be had");
	if (pid == 0)
		become(argv, env);
	while (length + 1 < SCREEN && (n = read(master, s.text + length, SCREEN - 1 - length)) > 0)
		length += (size_t)n;
	close(master);
	check(waitpid(pid, &status, 0) == pid, "lost the process");
	s.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	for (char *from = s.text, *to = s.text; *to != '\0'; from++)
		if ((*to = *from) != '\r')
			to += *to != '\0';
	return s;
}

static char *leak_trace(void)
{
	struct outcome o = record(ARGV(program("leak")), NULL);

	check_status(&o, 0);
	return o.trace;
}

static struct screen report_on(int columns, const char *trace, const char *const *env)
{
	return show(columns, ARGV(perfhook_path(), "report", trace), env);
}

static bool has(const struct screen *s, const char *what)
{
	return strstr(s->text, what) != NULL;
}

/* The widest line, escape sequences left out. A single word, such as a path in a
 * sentence, is left to the terminal. */
static size_t widest(const struct screen *s)
{
	size_t width = 0, words = 0, most = 0;
	bool in_word = false;

	for (const char *c = s->text; *c != '\0'; c++) {
		if (*c == '\x1b') {
			while (*c != '\0' && *c != 'm' && *c != 'K')
				c++;
		} else if (*c == '\n') {
			most = words > 1 && width > most ? width : most;
			width = words = 0;
			in_word = false;
		} else {
			width += (*c & 0xc0) != 0x80;
			words += *c != ' ' && !in_word;
			in_word = *c != ' ';
		}
	}
	return most;
}

static void colours(void **state)
{
	char *trace = leak_trace();
	struct screen s = report_on(100, trace, NULL);
	struct outcome piped = run(ARGV(perfhook_path(), "report", trace), NULL);

	(void)state;
	check(has(&s, "\x1b[1;36mHEAP\x1b[0m"), "no colour on a terminal: %s", s.text);
	check(has(&s, "\xe2\x96\x88"), "no bars");
	check_u64((uint64_t)s.status, 0, "status");
	s = report_on(100, trace, ARGV("NO_COLOR=1"));
	check(!has(&s, "\x1b[1"), "colour in spite of NO_COLOR");
	s = report_on(100, trace, ARGV("TERM=dumb"));
	check(!has(&s, "\x1b"), "colour on a dumb terminal");
	s = show(100, ARGV(perfhook_path(), "report", trace, "--color=never"), NULL);
	check(!has(&s, "\x1b[1"), "colour in spite of --color=never");
	check(strchr(piped.out, '\x1b') == NULL, "colour in a pipe");
	s = report_on(100, trace, ARGV("LC_ALL=C"));
	check(has(&s, "over time") && !has(&s, "\xe2\x96"), "not only ASCII: %s", s.text);
}

static void lines_fit(void **state)
{
	static const char *const names[] = {"leak", "files", "tcp", "threads", "shapes"};
	static const char *const commands[] = {"report", "leaks", "io"};
	static const int widths[] = {40, 60, 80, 120};

	(void)state;
	for (size_t n = 0; n < COUNT_OF(names); n++) {
		struct outcome o = record(ARGV(program(names[n])), NULL);

		for (size_t i = 0; i < COUNT_OF(commands) * COUNT_OF(widths); i++) {
			int columns = widths[i % COUNT_OF(widths)];
			const char *command = commands[i / COUNT_OF(widths)];
			struct screen s =
				show(columns, ARGV(perfhook_path(), command, o.trace, "--no-pager"),
				     NULL);

			check_u64((uint64_t)s.status, 0, "status");
			check(widest(&s) <= (size_t)columns, "%s of %s has %zu columns in %d:\n%s",
			      command, names[n], widest(&s), columns, s.text);
		}
	}
}

static char *make_script(const char *name, const char *lines)
{
	char *path = in_box("%s", name), *content = text("#!/bin/sh\n%s\n", lines);

	write_file(path, content, strlen(content));
	check(chmod(path, 0700) == 0, "chmod");
	return path;
}

static void pager(void **state)
{
	char *trace = leak_trace(), *used = in_box("used");
	char *script = make_script("pager", text("echo \"$LESS\" >%s; echo paged; cat", used));
	char *by_script = text("PERFHOOK_PAGER=%s", script);
	struct screen s = report_on(60, trace, ARGV(by_script)), plain;
	struct outcome piped;

	(void)state;
	check(strncmp(s.text, "paged\n", 6) == 0, "not paged: %s", s.text);
	check(has(&s, "\x1b[1;36mHEAP"), "no colour through a pager");
	check(widest(&s) <= 60 && widest(&s) > 50, "not as wide as the terminal: %s", s.text);
	check(strcmp(read_file(used, NULL), "FRX\n") == 0, "less is not told to be quiet");
	plain = show(60, ARGV(perfhook_path(), "report", trace, "--no-pager"), ARGV(by_script));
	check(strcmp(plain.text, s.text + 6) == 0, "paged and plain differ");
	s = report_on(60, trace, ARGV(text("PAGER=%s", script)));
	check(strncmp(s.text, "paged\n", 6) == 0, "PAGER is not used");
	s = report_on(60, trace, ARGV(text("PAGER=%s", script), "PERFHOOK_PAGER="));
	check(strcmp(s.text, plain.text) == 0, "an empty PERFHOOK_PAGER is not none");
	s = report_on(60, trace, ARGV("PAGER=A=1 sed s/HEAP/PILE/ | cat"));
	check(has(&s, "PILE") && s.status == 0, "the shell's part of PAGER is not done");
	piped = run(ARGV(perfhook_path(), "report", trace),
		    &(struct options){.env = ARGV(by_script)});
	check(strstr(piped.out, "paged") == NULL, "paged in a pipe");
}

static void pager_that_is_missing_or_leaves(void **state)
{
	char *trace = leak_trace();
	struct screen plain = report_on(60, trace, ARGV("PERFHOOK_PAGER=cat"));
	struct screen s = report_on(60, trace, ARGV("PERFHOOK_PAGER=/nonexistent/less -R"));

	(void)state;
	check_u64((uint64_t)s.status, 0, "status with a missing pager");
	check(strcmp(s.text, plain.text) == 0, "a missing pager is said: %s", s.text);
	s = report_on(60, trace, ARGV("PERFHOOK_PAGER=head -n 1"));
	check_u64((uint64_t)s.status, 0, "status of a pager that left");
	check(strlen(s.text) < 200, "more than head gave: %s", s.text);
	s = show(60, ARGV(perfhook_path(), "dump", trace), ARGV("PERFHOOK_PAGER=head -n 1"));
	check_u64((uint64_t)s.status, 0, "status of a long answer whose pager left");
	s = show(60, ARGV(perfhook_path(), "report", "/nonexistent"), NULL);
	check_u64((uint64_t)s.status, 2, "status of a trace that is missing");
	check(has(&s, "/nonexistent cannot be opened"), "it is not said: %s", s.text);
}

/* What nobody chose a name for is named to who sits there, and to nobody else. */
static void name_of_the_trace(void **state)
{
	const char *command = text("cd %s && exec %s record", box_dir(), perfhook_path());
	struct screen s =
		show(100, ARGV("/bin/sh", "-c", text("%s %s", command, program("leak"))), NULL);
	struct outcome o;

	(void)state;
	check_u64((uint64_t)s.status, 0, "status");
	check(has(&s, "perfhook: 1 trace: perfhook report perfhook.leak."), "not named: %s",
	      s.text);
	s = show(100,
		 ARGV("/bin/sh", "-c", text("%s -o chosen.trace %s", command, program("leak"))),
		 NULL);
	check(!has(&s, "1 trace"), "named: %s", s.text);
	o = run(ARGV(perfhook_path(), "record", program("leak")), NULL);
	check(o.err[0] == '\0', "said where nobody sits: %s", o.err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(colours),
		boxed(lines_fit),
		boxed(pager),
		boxed(pager_that_is_missing_or_leaves),
		boxed(name_of_the_trace),
	};

	return cmocka_run_group_tests_name("terminal", tests, NULL, NULL);
}
