/* SPDX-License-Identifier: MIT */
/* The table of sub-commands, its help, and what they share. */
#include "analyzer/commands.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/export.h"
#include "analyzer/export_tables.h"
#include "analyzer/format_text.h"

#define OPTIONS_REPORT                                                                             \
	(OPTION_JSON | OPTION_OUTPUT | OPTION_TOP | OPTION_FULL | OPTIONS_SYMBOLS | OPTION_COLOR | \
	 OPTION_NO_PAGER)

static const struct command commands[] = {
	{"record", "[-o FILE] [--duration S] [--leaks] [--] COMMAND [ARG...]",
	 "run a command and record it",
	 OPTION_RECORD_OUTPUT | OPTION_DURATION | OPTION_LEAKS | OPTION_STOP_AT_WORD, 1, -1,
	 command_record},
	{"report", "TRACE... [OPTION...]", "findings, peak, leaks, files, connections and threads",
	 OPTIONS_REPORT | OPTIONS_VIEW | OPTIONS_SUMS | OPTION_HTML | OPTION_THRESHOLD |
		 OPTION_SUPPRESSIONS | OPTION_GENERATE,
	 1, -1, command_report},
	{"leaks", "TRACE... | --pid PID [OPTION...]",
	 "only what was never freed, suspects first; of a process that runs, what is lost",
	 OPTIONS_REPORT | OPTIONS_VIEW | OPTIONS_SUMS | OPTION_PID | OPTION_SUPPRESSIONS |
		 OPTION_GENERATE,
	 0, -1, command_leaks},
	{"io", "TRACE... [OPTION...]", "only findings, files and connections, with their stacks",
	 OPTIONS_REPORT | OPTIONS_VIEW | OPTION_THRESHOLD, 1, -1, command_io},
	{"diff", "BEFORE AFTER [OPTION...]", "what two runs differ in: stacks, files and peers",
	 OPTIONS_REPORT | OPTIONS_VIEW | OPTION_MIN_CHANGE | OPTION_SUPPRESSIONS, 1, 2,
	 command_diff},
	{"check", "TRACE... LIMIT... [OPTION...]", "hold a run to limits or a baseline, for CI",
	 OPTIONS_REPORT | OPTIONS_VIEW | OPTION_CHECK | OPTION_SUPPRESSIONS, 1, -1, command_check},
	{"dump", "TRACE [--json] [--full] [-o FILE]", "every event in time order, one a line",
	 OPTION_JSON | OPTION_OUTPUT | OPTION_FULL | OPTION_NO_PAGER | OPTIONS_VIEW |
		 OPTIONS_SYMBOLS,
	 1, 1, command_dump},
	{"flame", "TRACE... [--cost COST] [--diff BEFORE] [-o FILE.svg]",
	 "a flame graph of what stacks cost, as one SVG",
	 OPTION_OUTPUT | OPTIONS_SYMBOLS | OPTIONS_VIEW | OPTION_COST | OPTION_FLAME, 1, -1,
	 command_flame},
	{"export", "TRACE... --to FORMAT [--cost COST] [-o FILE]",
	 "what other tools show, in their formats",
	 OPTION_OUTPUT | OPTIONS_SYMBOLS | (OPTIONS_VIEW & ~OPTION_TO) | OPTION_COST |
		 OPTION_EXPORT,
	 1, -1, command_export},
	{"mark", "PID [NAME]", "give this moment of a recorded process a name, for --at NAME", 0, 1,
	 2, command_mark},
	{"pack", "TRACE [-o FILE]", "the same trace, smaller; all it holds stays",
	 OPTION_PACK_OUTPUT, 1, 1, command_pack},
	{"completion", "bash|zsh", NULL, 0, 1, 1, command_completion},
};

#define COUNT (sizeof(commands) / sizeof(*commands))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

const struct command *commands_next(size_t *i)
{
	while (*i < COUNT && commands[*i].help == NULL)
		++*i;
	return *i < COUNT ? &commands[(*i)++] : NULL;
}

static int fail_command(const char *word, struct error *e)
{
	const char *names[COUNT + 1] = {NULL}, *near;
	const struct command *c;
	size_t n = 0;

	if (word[0] == '-')
		return fail(e, ERROR_USAGE, 0, "unknown option '%s' (see perfhook --help)", word);
	for (size_t i = 0; (c = commands_next(&i)) != NULL;)
		names[n++] = c->name;
	near = format_nearest(word, names);
	if (near != NULL)
		return fail(e, ERROR_USAGE, 0, "unknown command '%s' (did you mean %s?)", word,
			    near);
	return fail(e, ERROR_USAGE, 0, "unknown command '%s' (see perfhook --help)", word);
}

static int check_arguments(const struct command *c, const struct options *o, struct error *e)
{
	if (o->argument_count < c->least)
		return fail(e, ERROR_USAGE, 0, "%s: nothing given: perfhook %s %s", c->name,
			    c->name, c->usage);
	if (c->most >= 0 && o->argument_count > c->most)
		return fail(e, ERROR_USAGE, 0, "%s: too much given ('%s'): perfhook %s %s", c->name,
			    o->arguments[c->most], c->name, c->usage);
	return 0;
}

/* Help and version: a full disk is an error for them too. */
static int finish_stdout(struct error *e)
{
	struct output out = {.file = stdout};

	return output_close(&out, e);
}

static int run_command(const struct command *c, int argc, char **argv, struct error *e)
{
	struct options o;
	int status = -1;

	if (options_parse(&o, c->options, argc, argv, e) == 0) {
		if (o.help) {
			help_print_command(stdout, c);
			status = finish_stdout(e);
		} else if (check_arguments(c, &o, e) == 0) {
			status = c->run(&o, e);
		}
	}
	options_free(&o);
	return status;
}

static int dispatch(int argc, char **argv, struct error *e)
{
	const struct command *c;

	if (argc < 2)
		return fail(e, ERROR_USAGE, 0, "no command given (see perfhook --help)");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    (strcmp(argv[1], "help") == 0 && argc == 2)) {
		help_print(stdout);
		return finish_stdout(e);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("perfhook " PERFHOOK_VERSION);
		return finish_stdout(e);
	}
	if (strcmp(argv[1], "help") == 0) {
		c = find_command(argv[2]);
		if (c == NULL || c->help == NULL)
			return fail_command(argv[2], e);
		help_print_command(stdout, c);
		return finish_stdout(e);
	}
	c = find_command(argv[1]);
	return c != NULL ? run_command(c, argc - 1, argv + 1, e) : fail_command(argv[1], e);
}

/* One line, whatever the error's text was made from. */
static void print_error(const struct error *e)
{
	char *line = format_name(e->text, 0, true);

	fprintf(stderr, "perfhook: %s\n", line != NULL ? line : "out of memory");
	free(line);
}

int commands_main(int argc, char **argv)
{
	struct error e = {.code = ERROR_NONE};
	int status;

	setlocale(LC_CTYPE, ""); /* whether output is UTF-8; numbers stay as in C */
	status = dispatch(argc, argv, &e);
	if (status >= 0)
		return status;
	print_error(&e);
	return STATUS_UNUSABLE;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int output_check(const struct options *o, struct error *e)
{
	if (o->output == NULL)
		return 0;
	if (o->diff != NULL && is_same_file(o->output, o->diff))
		return fail(e, ERROR_USAGE, 0, "%s: is the trace before: not written over",
			    o->output);
	for (int i = 0; i < o->argument_count; i++)
		if (is_same_file(o->output, o->arguments[i]))
			return fail(e, ERROR_USAGE, 0, "%s: is the trace itself: not written over",
				    o->output);
	return 0;
}

int output_open(struct output *out, const struct options *o, struct error *e)
{
	*out = (struct output){.file = stdout, .path = o->output};
	if (o->output == NULL) {
		FILE *pager = o->pager ? pager_open(&out->pager) : NULL;

		out->paged = pager != NULL;
		out->file = pager != NULL ? pager : stdout;
		return 0;
	}
	if (output_check(o, e) != 0)
		return -1;
	out->file = fopen(o->output, "we");
	if (out->file == NULL)
		return fail(e, ERROR_SYSTEM, 0, "%s: %s", o->output, strerror(errno));
	return 0;
}

void output_text(const struct output *out, const struct options *o, struct emit_text *t)
{
	emit_text_init_for(t, out->file, out->paged ? STDOUT_FILENO : fileno(out->file), o->color);
}

int output_close(struct output *out, struct error *e)
{
	const char *name = out->path != NULL ? out->path : "standard output";
	bool failed = ferror(out->file) != 0;
	int error = failed ? errno : 0;

	/* A stream says only that a write failed; the next flush says why, unless
	 * what failed was all there was. */
	if (fflush(out->file) != 0) {
		failed = true;
		error = errno;
	}
	if ((out->path != NULL || out->paged) && fclose(out->file) != 0) {
		error = failed ? error : errno;
		failed = true;
	}
	if (out->paged)
		pager_wait(&out->pager);
	if (!failed || error == EPIPE)
		return STATUS_DONE;
	return fail(e, ERROR_SYSTEM, 0, "%s: cannot be written: %s", name,
		    error != 0 ? strerror(error) : "write error");
}
