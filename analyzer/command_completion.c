/* SPDX-License-Identifier: MIT */
/* `perfhook completion bash` or `zsh`: a shell's script that completes perfhook's command
 * line, from the tables. What is installed is made by it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/commands.h"

/* What an option's value is. */
static bool is_file(const struct option_row *row)
{
	return strstr(row->argument, "FILE") != NULL || strcmp(row->argument, "BEFORE") == 0;
}

static bool is_folder(const struct option_row *row)
{
	return strcmp(row->argument, "DIR") == 0;
}

static bool is_process(const char *argument)
{
	return strncmp(argument, "PID", 3) == 0;
}

/* Words that end in "=" when a value follows: "NAME=VALUE". */
static void print_values(const struct option_row *row, FILE *out)
{
	const char *word, *tail = strchr(row->argument, '=') != NULL ? "=" : "";

	for (size_t i = 0; (word = option_value(row, i)) != NULL; i++)
		fprintf(out, "%s%s%s", i > 0 ? " " : "", word, tail);
}

static bool runs_a_command(const struct command *c)
{
	return (c->options & OPTION_STOP_AT_WORD) != 0;
}

/* ---- bash ------------------------------------------------------------------------- */

static const char bash_head[] =
	"# bash completion of perfhook, made by `perfhook completion bash`.\n"
	"\n"
	"_perfhook_words()\n"
	"{\n"
	"\tCOMPREPLY=($(compgen -W \"$1\" -- \"$cur\"))\n"
	"\t[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace "
	"2>/dev/null\n"
	"\treturn 0\n"
	"}\n"
	"\n"
	"# _perfhook_files KIND [PATTERN]: compgen's kind of file, those of a pattern first.\n"
	"_perfhook_files()\n"
	"{\n"
	"\tlocal IFS=$'\\n'\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\t[[ -n ${2-} ]] && COMPREPLY=($(compgen -f -X \"!$2\" -- \"$cur\") "
	"$(compgen -d -- \"$cur\"))\n"
	"\t[[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen \"$1\" -- \"$cur\"))\n"
	"}\n"
	"\n"
	"# Processes that are recorded.\n"
	"_perfhook_pids()\n"
	"{\n"
	"\tlocal maps=$(grep -ls 'libperfhook\\.so' /proc/[0-9]*/maps 2>/dev/null)\n"
	"\tmaps=${maps//\\/proc\\//}\n"
	"\t_perfhook_words \"${maps//\\/maps/}\"\n"
	"}\n"
	"\n"
	"# What a command that is run takes; its options with a value are $1. False: its name\n"
	"# has not come yet.\n"
	"_perfhook_run()\n"
	"{\n"
	"\tlocal i\n"
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
	"\t\t\t((i++))\n"
	"\t\t\tbreak\n"
	"\t\telif [[ \" $1 \" == *\" ${COMP_WORDS[i]} \"* ]]; then\n"
	"\t\t\t[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))\n"
	"\t\t\t((i++))\n"
	"\t\telif [[ ${COMP_WORDS[i]} != -* ]]; then\n"
	"\t\t\tbreak\n"
	"\t\tfi\n"
	"\tdone\n"
	"\t((i < COMP_CWORD)) || return 1\n"
	"\tif declare -F _command_offset >/dev/null; then\n"
	"\t\t_command_offset \"$i\"\n"
	"\telse\n"
	"\t\t_perfhook_files -f\n"
	"\tfi\n"
	"\treturn 0\n"
	"}\n"
	"\n"
	"_perfhook()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tCOMPREPLY=()\n"
	"\t# --option=value comes as three words.\n"
	"\tif [[ $cur == = ]]; then\n"
	"\t\tcur=\n"
	"\telif [[ $option == = ]]; then\n"
	"\t\toption=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tfi\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\t_perfhook_words \"$_perfhook_commands help --help --version\"\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase ${COMP_WORDS[1]} in\n"
	"\thelp) _perfhook_words \"$_perfhook_commands\" ;;\n";

static const char bash_tail[] = "\tesac\n"
				"}\n"
				"\n"
				"complete -F _perfhook perfhook\n";

static void bash_option(const struct option_row *row, FILE *out)
{
	if (row->argument == NULL || option_is_optional(row))
		return;
	fputs("\t\t", out);
	if (row->letter != 0)
		fprintf(out, "-%c | ", row->letter);
	fprintf(out, "--%s) ", row->name);
	if (is_file(row)) {
		fputs("_perfhook_files -f; ", out);
	} else if (is_folder(row)) {
		fputs("_perfhook_files -d; ", out);
	} else if (is_process(row->argument)) {
		fputs("_perfhook_pids; ", out);
	} else if (option_value(row, 0) != NULL) {
		fputs("_perfhook_words '", out);
		print_values(row, out);
		fputs("'; ", out);
	}
	fputs("return ;;\n", out);
}

/* "-o --output", of all that take a value. */
static void bash_valued(const struct command *c, FILE *out)
{
	const struct option_row *row;

	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;) {
		bool valued = row->argument != NULL && !option_is_optional(row);

		if (valued && row->letter != 0)
			fprintf(out, "-%c ", row->letter);
		if (valued)
			fprintf(out, "--%s ", row->name);
	}
}

static void bash_command(const struct command *c, FILE *out)
{
	const struct option_row *row;

	fprintf(out, "\t%s)\n", c->name);
	if (runs_a_command(c)) {
		fputs("\t\t_perfhook_run '", out);
		bash_valued(c, out);
		fputs("' && return\n", out);
	}
	fputs("\t\tcase $option in\n", out);
	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;)
		bash_option(row, out);
	fputs("\t\tesac\n\t\tif [[ $cur == -* ]]; then\n\t\t\t_perfhook_words '", out);
	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;)
		fprintf(out, "--%s ", row->name);
	fputs("'\n\t\telse\n\t\t\t", out);
	if (runs_a_command(c))
		fputs("_perfhook_files -c\n", out);
	else if (is_process(c->usage))
		fputs("((COMP_CWORD == 2)) && _perfhook_pids\n", out);
	else
		fputs("_perfhook_files -f '*.trace*'\n", out);
	fputs("\t\tfi\n\t\t;;\n", out);
}

static void print_bash(FILE *out)
{
	const struct command *c;
	const char *between = "";

	fputs("_perfhook_commands='", out);
	for (size_t i = 0; (c = commands_next(&i)) != NULL; between = " ")
		fprintf(out, "%s%s", between, c->name);
	fputs("'\n\n", out);
	fputs(bash_head, out);
	for (size_t i = 0; (c = commands_next(&i)) != NULL;)
		bash_command(c, out);
	fputs(bash_tail, out);
}

/* ---- zsh -------------------------------------------------------------------------- */

static const char zsh_head[] =
	"#compdef perfhook\n"
	"# zsh completion of perfhook, made by `perfhook completion zsh`.\n"
	"\n"
	"_perfhook() {\n"
	"\tlocal curcontext=$curcontext ret=1\n"
	"\tlocal -a state line names\n"
	"\tlocal -A opt_args\n"
	"\t_arguments -C '(- *)'{-h,--help}'[show help]' '(- *)--version[show the version]' \\\n"
	"\t\t'1:command:->command' '*::argument:->argument' && ret=0\n"
	"\tnames=(\n";

static const char zsh_middle[] = "\t\t'help:help, of a command too'\n"
				 "\t)\n"
				 "\tcase $state in\n"
				 "\tcommand) _describe -t commands command names && ret=0 ;;\n"
				 "\targument)\n"
				 "\t\tcase $words[1] in\n"
				 "\t\thelp) _describe -t commands command names && ret=0 ;;\n";

static const char zsh_tail[] = "\t\tesac\n"
			       "\t\t;;\n"
			       "\tesac\n"
			       "\treturn ret\n"
			       "}\n"
			       "\n"
			       "_perfhook \"$@\"\n";

/* Within '...', and within the [...] of a specification. */
static void zsh_text(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void zsh_value(const struct option_row *row, FILE *out)
{
	const char *name = row->argument + option_is_optional(row);

	fprintf(out, "%s:%.*s:", name != row->argument ? ":" : "", (int)strcspn(name, "]"), name);
	if (is_file(row)) {
		fputs("_files", out);
	} else if (is_folder(row)) {
		fputs("_files -/", out);
	} else if (is_process(row->argument)) {
		fputs("_pids", out);
	} else if (strchr(row->argument, '=') != NULL && option_value(row, 0) != NULL) {
		fputs("compadd -S \"\" -- ", out);
		print_values(row, out);
	} else if (option_value(row, 0) != NULL) {
		fputc('(', out);
		print_values(row, out);
		fputc(')', out);
	}
}

static void zsh_option(const struct option_row *row, FILE *out)
{
	const char *tail = option_is_optional(row) ? "=-" : row->argument != NULL ? "=" : "";
	const char *plus = *tail != '\0' ? "+" : "";

	/* One with a value may be given several times. */
	fprintf(out, " \\\n\t\t\t\t'%s", *tail != '\0' ? "*" : "");
	if (row->letter != 0)
		fprintf(out, "'{-%c%s,--%s%s}'[", row->letter, plus, row->name, tail);
	else
		fprintf(out, "--%s%s[", row->name, tail);
	zsh_text(row->help, out);
	fputc(']', out);
	if (row->argument != NULL)
		zsh_value(row, out);
	fputc('\'', out);
}

static void zsh_command(const struct command *c, FILE *out)
{
	const struct option_row *row;

	fprintf(out, "\t\t%s)\n\t\t\t_arguments -s %s", c->name,
		runs_a_command(c) ? "-A '-*'" : "-S");
	for (size_t i = 0; (row = options_next(c->options, &i)) != NULL;)
		zsh_option(row, out);
	if (runs_a_command(c))
		fputs(" \\\n\t\t\t\t'(-):command: _command_names -e' '*::argument: _normal'", out);
	else if (is_process(c->usage))
		fputs(" \\\n\t\t\t\t'1:process:_pids' '2:name:'", out);
	else
		fputs(" \\\n\t\t\t\t'*:trace:_files -g \"*.trace*\"'", out);
	fputs(" && ret=0 ;;\n", out);
}

static void print_zsh(FILE *out)
{
	const struct command *c;

	fputs(zsh_head, out);
	for (size_t i = 0; (c = commands_next(&i)) != NULL;) {
		fprintf(out, "\t\t'%s:", c->name);
		zsh_text(c->help, out);
		fputs("'\n", out);
	}
	fputs(zsh_middle, out);
	for (size_t i = 0; (c = commands_next(&i)) != NULL;)
		zsh_command(c, out);
	fputs(zsh_tail, out);
}

int command_completion(const struct options *o, struct error *e)
{
	struct output out;

	if (output_open(&out, o, e) != 0)
		return -1;
	if (strcmp(o->arguments[0], "bash") == 0)
		print_bash(out.file);
	else if (strcmp(o->arguments[0], "zsh") == 0)
		print_zsh(out.file);
	else
		return fail(e, ERROR_USAGE, 0, "completion: bash or zsh, not '%s'",
			    o->arguments[0]);
	return output_close(&out, e);
}
