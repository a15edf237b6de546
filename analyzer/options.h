/* SPDX-License-Identifier: MIT */
/*
 * Options of the commands. Each option is a row of one table; a command names
 * those it takes as a set of bits.
 */
#ifndef PH_ANALYZER_OPTIONS_H
#define PH_ANALYZER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/diff_noise.h"
#include "analyzer/emit_text.h"
#include "analyzer/error.h"
#include "analyzer/limits.h"
#include "analyzer/moment.h"
#include "analyzer/pattern.h"
#include "analyzer/thresholds.h"
#include "analyzer/top.h"

struct cost;
struct export_format;
struct export_table;

enum option_bit {
	OPTION_JSON = 1 << 0,
	OPTION_OUTPUT = 1 << 1,
	OPTION_TOP = 1 << 2,
	OPTION_FULL = 1 << 3,
	OPTION_SYSROOT = 1 << 4,
	OPTION_DEBUG_PATH = 1 << 5,
	OPTION_COLOR = 1 << 6,
	OPTION_RECORD_OUTPUT = 1 << 7,
	OPTION_STOP_AT_WORD = 1 << 8, /* no row: what follows the first word is not ours */
	OPTION_HELP = 1 << 9,	      /* every command's */
	OPTION_PACK_OUTPUT = 1 << 10,
	OPTION_THRESHOLD = 1 << 11,
	OPTION_WINDOW = 1 << 12, /* --from, --until, --at */
	OPTION_FILTER = 1 << 13, /* --thread, --module, --size, --stack */
	OPTION_TO = 1 << 14,	 /* --to: as --until, where it has no other meaning */
	OPTION_BY = 1 << 15,
	OPTION_CHECK = 1 << 16, /* limits, and all that only `check` takes */
	OPTION_MIN_CHANGE = 1 << 17,
	OPTION_SUPPRESSIONS = 1 << 18,
	OPTION_COST = 1 << 19,
	OPTION_FLAME = 1 << 20, /* all that only `flame` takes */
	OPTION_HTML = 1 << 21,
	OPTION_NO_PAGER = 1 << 22,
	OPTION_DURATION = 1 << 23,
	OPTION_PID = 1 << 24, /* a process that runs, and how it is looked at */
	OPTION_LEAKS = 1 << 25,
	OPTION_EXPORT = 1 << 26, /* likewise `export` */
	OPTION_GENERATE = 1 << 27,
};

/* A row of the table: what a command line may say. */
struct option_row {
	enum option_bit bit;
	const char *name;
	char letter;	      /* 0: none */
	const char *argument; /* NULL: takes none; "[X]": one or none; "FILE" and "DIR" are that */
	const char *help;
};

#define OPTIONS_SYMBOLS (OPTION_SYSROOT | OPTION_DEBUG_PATH)
/* What of a run is counted: command_view.h. */
#define OPTIONS_SUMS (OPTION_BY | OPTION_COST) /* what is summed up */
#define OPTIONS_VIEW (OPTION_WINDOW | OPTION_TO | OPTION_FILTER)

struct options {
	bool json, html, full, help;
	bool pager;	    /* the command's long answers go through one on a terminal */
	const char *output; /* NULL: standard output */
	double duration_s;  /* 0: not given */
	bool top_given;
	uint64_t top; /* 0: all */
	enum color_choice color;
	struct thresholds thresholds;
	struct moment from, to, at;
	enum top_by by;
	struct patterns threads, modules, stacks;
	bool sized; /* --size */
	uint64_t least_bytes, most_bytes;
	const struct cost *cost;	    /* NULL: not given */
	const char *diff;		    /* the trace before; NULL */
	bool folded, inverted, by_thread;   /* of a flame graph */
	const struct export_format *format; /* NULL: not given */
	const struct export_table *table;   /* NULL: all */
	struct diff_noise noise;
	struct limits limits;
	const char *against, *junit; /* NULL: not given */
	struct tolerance tolerance;
	bool tolerance_given, allow_incomplete;
	int pid;		   /* of a process that runs; 0: not given */
	bool blocks;		   /* each of its blocks is listed */
	bool leaks;		   /* search for lost blocks at the end */
	bool copy;		   /* its memory is read while it stands, not by a fork of it */
	const char **suppressions; /* files */
	size_t suppression_count;
	bool generate;		 /* suppressions for the suspects */
	const char *generate_to; /* NULL: instead of the answer */
	const char **sysroots, **debug_paths;
	size_t sysroot_count, debug_path_count;
	char **arguments; /* what is no option; within argv, NULL at its end */
	int argument_count;
};

/*
 * Parse argv (argv[0] is the command's name, in messages) by the options in
 * `accepted`. 0, or -1 with a sentence in *e. Strings are argv's own;
 * options_free() in any case.
 */
int options_parse(struct options *o, unsigned accepted, int argc, char **argv, struct error *e);
void options_free(struct options *o);

/* May its argument be left out? It is given as --name=X then. */
bool option_is_optional(const struct option_row *row);
/* The rows of the options in `accepted`, and of --help; `i` begins at 0. NULL: no more. */
const struct option_row *options_next(unsigned accepted, size_t *i);
/* The i-th word that an option's value may be, or may begin with ("name="); NULL: no more,
 * or it may be anything. */
const char *option_value(const struct option_row *row, size_t i);

/* The help lines of the options in `accepted`. */
void options_help(struct emit_text *t, unsigned accepted);

/* How long a list may be: what was asked, else 100 in JSON, 200 in HTML and 10 in text. */
size_t options_top(const struct options *o);

#endif
