/* SPDX-License-Identifier: MIT */
/* The sub-commands of perfhook. A command is a row of the table in commands.c. */
#ifndef PH_ANALYZER_COMMANDS_H
#define PH_ANALYZER_COMMANDS_H

#include <stdio.h>

#include "analyzer/error.h"
#include "analyzer/options.h"
#include "analyzer/pager.h"

enum exit_status {
	STATUS_DONE = 0,
	STATUS_LIMIT = 1,    /* `check`: a limit was exceeded */
	STATUS_UNUSABLE = 2, /* the command line, a trace or a file */
};

/* A row of the table. */
struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *help;  /* one line; NULL: it is not for users, and listed nowhere */
	unsigned options;
	int least, most; /* arguments; most -1: any number */
	int (*run)(const struct options *o, struct error *e);
};

/* The commands for users; `i` begins at 0. NULL: no more. */
const struct command *commands_next(size_t *i);

/* Help, of all or of one, with examples (command_help.c). */
void help_print(FILE *out);
void help_print_command(FILE *out, const struct command *c);
/* The i-th example of a command: the words behind its name, and what they do. False: no
 * more. */
bool help_example(const struct command *c, size_t i, const char **words, const char **what);

/* The whole program but its fast ways out; returns the exit status. */
int commands_main(int argc, char **argv);

/* Each gets its options parsed, and returns the exit status; -1 with *e filled
 * is STATUS_UNUSABLE and one line on standard error. */
int command_report(const struct options *o, struct error *e);
int command_leaks(const struct options *o, struct error *e);
int command_io(const struct options *o, struct error *e);
int command_check(const struct options *o, struct error *e);
int command_diff(const struct options *o, struct error *e);
int command_dump(const struct options *o, struct error *e);
int command_flame(const struct options *o, struct error *e);
int command_export(const struct options *o, struct error *e);
int command_mark(const struct options *o, struct error *e);
int command_pack(const struct options *o, struct error *e);
int command_completion(const struct options *o, struct error *e);
int command_record(const struct options *o, struct error *e);

/* Where the answer goes: -o's file, a pager or standard output. */
struct output {
	FILE *file;
	const char *path; /* NULL: standard output */
	bool paged;
	struct pager pager;
};

/* Refuses to write over one of the command's traces. 0, or -1. */
int output_open(struct output *out, const struct options *o, struct error *e);
/* An emitter for text of the answer, as wide and as coloured as what it ends up on. */
void output_text(const struct output *out, const struct options *o, struct emit_text *t);
/* -o, if it was given, names no trace of the command's. 0, or -1 with *e filled. */
int output_check(const struct options *o, struct error *e);
/* Everything was written, or -1. Closes in any case. A reader that went away
 * (EPIPE) is no error: it has seen enough. */
int output_close(struct output *out, struct error *e);

#endif
