/* SPDX-License-Identifier: MIT */
/* Options of the commands: the table, its parsing and its help. */
#include "analyzer/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/costs.h"
#include "analyzer/export.h"
#include "analyzer/export_tables.h"
#include "analyzer/format_text.h"

static const struct option_row rows[] = {
	{OPTION_JSON, "json", 0, NULL, "print JSON instead of text"},
	{OPTION_HTML, "html", 0, NULL, "write one HTML page that needs nothing else"},
	{OPTION_HTML, "diff", 0, "BEFORE", "with --html: compare with the trace BEFORE"},
	{OPTION_OUTPUT, "output", 'o', "FILE", "write the answer to FILE"},
	{OPTION_RECORD_OUTPUT, "output", 'o', "FILE",
	 "where the trace goes; %p is the pid, %e the program"},
	{OPTION_DURATION, "duration", 0, "S", "end the command after S seconds, by SIGTERM"},
	{OPTION_PACK_OUTPUT, "output", 'o', "FILE",
	 "where the packed trace goes; may be TRACE itself. Else x.trace is x.packed.trace"},
	{OPTION_TOP, "top", 'n', "N",
	 "length of lists: 10 in text, 100 in JSON, 200 in HTML; 0 is all"},
	{OPTION_FULL, "full", 0, NULL, "whole stacks and whole names"},
	{OPTION_THRESHOLD, "threshold", 0, "NAME=VALUE",
	 "what a finding is judged by; repeatable (see docs/findings.md)"},
	{OPTION_WINDOW, "from", 0, "MOMENT", "count only what came after: 12.5, 500ms, 2m, -10s"},
	{OPTION_TO, "to", 0, "MOMENT", "up to it: as --until"},
	{OPTION_WINDOW, "until", 0, "MOMENT",
	 "only what came up to it: 50%, a date, a mark, start, end, peak"},
	{OPTION_WINDOW, "at", 0, "MOMENT", "the state at that moment: as --until"},
	{OPTION_BY, "by", 0, "WHAT", "sums by function, file, module, thread or stack"},
	{OPTION_FILTER, "thread", 0, "PATTERN",
	 "only threads of that name or id; repeatable, !: none"},
	{OPTION_FILTER, "module", 0, "PATTERN",
	 "only what code of that module asked for; likewise"},
	{OPTION_FILTER, "stack", 0, "PATTERN", "only below a function or file like that; likewise"},
	{OPTION_FILTER, "size", 0, "MIN..MAX",
	 "only allocations of so many bytes: 1k..1M, 64, 4k.."},
	{OPTION_MIN_CHANGE, "min-change", 0, "AMOUNT",
	 "leave out smaller changes: bytes (64K), a part (5%), a time (20ms); repeatable"},
	{OPTION_LEAKS, "leaks", 0, NULL,
	 "at its end, find out which blocks are lost (PERFHOOK_LEAKS=exit)"},
	{OPTION_PID, "pid", 0, "PID", "look for lost blocks in a recorded process that runs"},
	{OPTION_PID, "blocks", 0, NULL, "with --pid: list every block that lives"},
	{OPTION_PID, "copy", 0, NULL,
	 "with --pid: read its memory while it stands still, without a fork of it"},
#define LIMIT(id, option, argument, unit, key, cost, compared, help)                               \
	{OPTION_CHECK, option, 0, argument, help},
#include "analyzer/limits.def"
#undef LIMIT
	{OPTION_CHECK, "against", 0, "BASELINE",
	 "no figure is more than in BASELINE: a trace, or what check --json wrote"},
	{OPTION_CHECK, "tolerance", 0, "AMOUNT",
	 "but so much: a part (5%, the default), bytes (64K) or a number; repeatable"},
	{OPTION_CHECK, "allow-incomplete", 0, NULL,
	 "limits hold if they do as far as an incomplete recording goes"},
	{OPTION_CHECK, "junit", 0, "FILE", "write the verdicts as JUnit XML to FILE too"},
	{OPTION_SUPPRESSIONS, "suppressions", 0, "FILE",
	 "leaks that are known: LeakSanitizer's or Valgrind's file; repeatable"},
	{OPTION_GENERATE, "generate-suppressions", 0, "[FILE]",
	 "write suppressions for the suspects, to FILE or instead of the answer"},
	{OPTION_SYSROOT, "sysroot", 0, "DIR", "look for binaries below DIR first; repeatable"},
	{OPTION_DEBUG_PATH, "debug-path", 0, "DIR", "look for debug files in DIR too; repeatable"},
	{OPTION_COLOR, "color", 0, "WHEN", "auto (on a terminal; the default), always, never"},
	{OPTION_NO_PAGER, "no-pager", 0, NULL, "write to the terminal, not through a pager"},
	{OPTION_COST, "cost", 0, "COST",
	 "peak (the default), leaked, allocated, temporary, read, written, sent, received, time, "
	 "waited"},
	{OPTION_FLAME, "diff", 0, "BEFORE", "red is more than in the trace BEFORE, blue is less"},
	{OPTION_FLAME, "folded", 0, NULL, "folded stacks instead of SVG: a;b;c 123"},
	{OPTION_FLAME, "inverted", 0, NULL, "begin with the functions called last, callers on top"},
	{OPTION_FLAME, "threads", 0, NULL, "a tree for each thread; not of the peak"},
	{OPTION_EXPORT, "to", 0, "FORMAT", "the format (see below)"},
	{OPTION_EXPORT, "table", 0, "TABLE", "csv, jsonl and sqlite: this one only (see below)"},
	{OPTION_HELP, "help", 'h', NULL, "show this help"},
};

static const char *const color_names[] = {
	[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never", NULL};

#define ROWS	    (sizeof(rows) / sizeof(*rows))
#define HELP_COLUMN 26
#define LONG_BASE   256 /* getopt's values: LONG_BASE + row */

bool option_is_optional(const struct option_row *row)
{
	return row->argument != NULL && row->argument[0] == '[';
}

struct getopt_tables {
	struct option longs[ROWS + 1];
	char letters[2 * ROWS + 4];
	const char *names[ROWS + 1]; /* "--json": to suggest from */
	char spelled[ROWS][32];
};

static void fill_tables(struct getopt_tables *g, unsigned accepted)
{
	char *letter = g->letters;
	size_t n = 0;

	memset(g, 0, sizeof(*g));
	if (accepted & OPTION_STOP_AT_WORD)
		*letter++ = '+';
	*letter++ = ':'; /* a missing argument is told apart */
	for (size_t i = 0; i < ROWS; i++) {
		if (!(accepted & rows[i].bit))
			continue;
		g->longs[n] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].argument == NULL	  ? no_argument
				   : option_is_optional(&rows[i]) ? optional_argument
								  : required_argument,
			.val = LONG_BASE + (int)i,
		};
		snprintf(g->spelled[n], sizeof(g->spelled[n]), "--%s", rows[i].name);
		g->names[n] = g->spelled[n];
		n++;
		if (rows[i].letter != 0) {
			*letter++ = rows[i].letter;
			if (rows[i].argument != NULL)
				*letter++ = ':';
		}
	}
}

static const struct option_row *find_row(int value, unsigned accepted)
{
	if (value >= LONG_BASE)
		return &rows[value - LONG_BASE];
	for (size_t i = 0; i < ROWS; i++)
		if ((accepted & rows[i].bit) && rows[i].letter == value)
			return &rows[i];
	return NULL;
}

static int parse_top(struct options *o, const char *text, struct error *e)
{
	char *end;

	errno = 0;
	o->top = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || !isdigit((unsigned char)*text))
		return fail(e, ERROR_USAGE, 0, "--top takes a number, 0 for all: not '%s'", text);
	o->top_given = true;
	return 0;
}

static int parse_pid(struct options *o, const char *text, struct error *e)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || pid <= 0 || pid > INT32_MAX)
		return fail(e, ERROR_USAGE, 0, "--pid takes the number of a process: not '%s'",
			    text);
	o->pid = (int)pid;
	return 0;
}

static int take_live(struct options *o, const char *name, const char *value, struct error *e)
{
	if (strcmp(name, "pid") == 0)
		return parse_pid(o, value, e);
	if (strcmp(name, "blocks") == 0)
		o->blocks = true;
	else
		o->copy = true;
	return 0;
}

static int parse_duration(struct options *o, const char *text, struct error *e)
{
	char *end;

	o->duration_s = strtod(text, &end);
	if (*end != '\0' || end == text || !(o->duration_s > 0 && o->duration_s <= 1e9))
		return fail(e, ERROR_USAGE, 0, "--duration takes seconds, such as 2.5: not '%s'",
			    text);
	return 0;
}

static int parse_color(struct options *o, const char *text, struct error *e)
{
	const char *near = format_nearest(text, color_names);

	for (int i = COLOR_AUTO; i <= COLOR_NEVER; i++) {
		if (strcmp(text, color_names[i]) == 0) {
			o->color = (enum color_choice)i;
			return 0;
		}
	}
	return fail(e, ERROR_USAGE, 0, "--color takes auto, always or never: not '%s'%s%s%s", text,
		    near != NULL ? " (did you mean " : "", near != NULL ? near : "",
		    near != NULL ? "?)" : "");
}

/* "64", "4k", "1.5MiB", "2G". What follows; NULL: it is none. */
static const char *parse_bytes(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	const char *end = text, *unit;
	double value = 0, scale = 1;

	for (; isdigit((unsigned char)*end); end++)
		value = value * 10 + (*end - '0');
	if (end == text)
		return NULL;
	if (*end == '.' && isdigit((unsigned char)end[1]))
		for (end++; isdigit((unsigned char)*end); end++)
			value += (*end - '0') * (scale /= 10);
	unit = *end != '\0' ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit != NULL) {
		value *= (double)(UINT64_C(1024) << 10 * (unit - units));
		end += end[1] == 'i' && end[2] == 'B' ? 2 : 1;
	}
	if (!(value < 0x1p63))
		return NULL;
	*bytes = (uint64_t)value;
	return end + (*end == 'B');
}

static int parse_sizes(struct options *o, const char *text, struct error *e)
{
	const char *at = text;

	o->sized = true;
	o->least_bytes = 0;
	o->most_bytes = UINT64_MAX;
	if (strncmp(at, "..", 2) != 0)
		at = parse_bytes(at, &o->least_bytes);
	if (at != NULL && *at == '\0')
		o->most_bytes = o->least_bytes;
	else if (at != NULL && strncmp(at, "..", 2) == 0 && at[2] != '\0')
		at = parse_bytes(at + 2, &o->most_bytes);
	else if (at != NULL)
		at = strcmp(at, "..") == 0 ? at + 2 : NULL;
	if (at == NULL || *at != '\0' || o->least_bytes > o->most_bytes)
		return fail(e, ERROR_USAGE, 0,
			    "--size takes MIN..MAX in bytes (64, 1k..1M, 4k..): not '%s'", text);
	return 0;
}

static int apply_filter(struct options *o, const char *name, const char *value, struct error *e)
{
	struct patterns *to = strcmp(name, "thread") == 0   ? &o->threads
			      : strcmp(name, "module") == 0 ? &o->modules
							    : &o->stacks;

	if (strcmp(name, "size") == 0)
		return parse_sizes(o, value, e);
	if (*value == '\0' || strcmp(value, "!") == 0)
		return fail(e, ERROR_USAGE, 0, "--%s takes a name, or a part of one: not '%s'",
			    name, value);
	if (to->count == PATTERNS_MAX)
		return fail(e, ERROR_USAGE, 0, "--%s is given too often", name);
	to->list[to->count++] = value;
	return 0;
}

static struct moment *moment_of(struct options *o, const char *name)
{
	return strcmp(name, "from") == 0 ? &o->from : strcmp(name, "at") == 0 ? &o->at : &o->to;
}

static int take_cost(struct options *o, const char *value, struct error *e)
{
	const char *names[COST_COUNT + 1] = {NULL};
	char list[200];

	o->cost = cost_by_name(value);
	if (o->cost != NULL)
		return 0;
	for (size_t i = 0; i < COST_COUNT; i++)
		names[i] = costs[i].name;
	return fail(e, ERROR_USAGE, 0, "--cost takes %s: not '%s'",
		    format_list(list, sizeof(list), names), value);
}

static int take_format(struct options *o, const char *value, struct error *e)
{
	const char *names[EXPORT_FORMATS_MAX + 1] = {NULL};
	char list[200];

	o->format = export_format_by_name(value);
	if (o->format != NULL)
		return 0;
	for (size_t i = 0; i < export_format_count; i++)
		names[i] = export_formats[i].name;
	return fail(e, ERROR_USAGE, 0, "--to takes %s: not '%s'",
		    format_list(list, sizeof(list), names), value);
}

static int take_table(struct options *o, const char *value, struct error *e)
{
	const char *names[EXPORT_TABLES_MAX + 1] = {NULL};
	char list[400];

	o->table = export_table_by_name(value);
	if (o->table != NULL)
		return 0;
	for (size_t i = 0; i < export_table_count; i++)
		names[i] = export_tables[i]->name;
	return fail(e, ERROR_USAGE, 0, "--table takes %s: not '%s'",
		    format_list(list, sizeof(list), names), value);
}

static int take_export(struct options *o, const struct option_row *row, const char *value,
		       struct error *e)
{
	return strcmp(row->name, "to") == 0 ? take_format(o, value, e) : take_table(o, value, e);
}

static int take_flame(struct options *o, const struct option_row *row, const char *value)
{
	if (strcmp(row->name, "diff") == 0)
		o->diff = value;
	else if (strcmp(row->name, "folded") == 0)
		o->folded = true;
	else if (strcmp(row->name, "threads") == 0)
		o->by_thread = true;
	else
		o->inverted = true;
	return 0;
}

static int take_check(struct options *o, const char *name, const char *value, struct error *e)
{
	if (strcmp(name, "against") == 0)
		o->against = value;
	else if (strcmp(name, "junit") == 0)
		o->junit = value;
	else if (strcmp(name, "allow-incomplete") == 0)
		o->allow_incomplete = true;
	else if (strcmp(name, "tolerance") != 0)
		return limits_set(&o->limits, name, value, e);
	else
		o->tolerance_given = true;
	return strcmp(name, "tolerance") == 0 ? tolerance_set(&o->tolerance, value, e) : 0;
}

static int apply(struct options *o, const struct option_row *row, const char *value,
		 struct error *e)
{
	switch (row->bit) {
	case OPTION_JSON:
		o->json = true;
		return 0;
	case OPTION_HTML:
		o->html |= value == NULL;
		o->diff = value != NULL ? value : o->diff;
		return 0;
	case OPTION_FULL:
		o->full = true;
		return 0;
	case OPTION_HELP:
		o->help = true;
		return 0;
	case OPTION_NO_PAGER:
		o->pager = false;
		return 0;
	case OPTION_OUTPUT:
	case OPTION_RECORD_OUTPUT:
	case OPTION_PACK_OUTPUT:
		o->output = value;
		return 0;
	case OPTION_SYSROOT: /* the lists have room for every word of the line */
		o->sysroots[o->sysroot_count++] = value;
		return 0;
	case OPTION_DEBUG_PATH:
		o->debug_paths[o->debug_path_count++] = value;
		return 0;
	case OPTION_SUPPRESSIONS:
		o->suppressions[o->suppression_count++] = value;
		return 0;
	case OPTION_GENERATE:
		o->generate = true;
		o->generate_to = value;
		return 0;
	case OPTION_TOP:
		return parse_top(o, value, e);
	case OPTION_LEAKS:
		o->leaks = true;
		return 0;
	case OPTION_PID:
		return take_live(o, row->name, value, e);
	case OPTION_DURATION:
		return parse_duration(o, value, e);
	case OPTION_THRESHOLD:
		return thresholds_set(&o->thresholds, value, e);
	case OPTION_CHECK:
		return take_check(o, row->name, value, e);
	case OPTION_MIN_CHANGE:
		return diff_noise_set(&o->noise, value, e);
	case OPTION_COLOR:
		return parse_color(o, value, e);
	case OPTION_BY:
		o->by = top_by_name(value);
		if (o->by == TOP_NONE)
			return fail(e, ERROR_USAGE, 0,
				    "--by takes function, file, module, thread or stack: not '%s'",
				    value);
		return 0;
	case OPTION_FILTER:
		return apply_filter(o, row->name, value, e);
	case OPTION_TO:
	case OPTION_WINDOW:
		*moment_of(o, row->name) = moment_parse(value);
		return 0;
	case OPTION_COST:
		return take_cost(o, value, e);
	case OPTION_FLAME:
		return take_flame(o, row, value);
	case OPTION_EXPORT:
		return take_export(o, row, value, e);
	case OPTION_STOP_AT_WORD:
		break;
	}
	return fail(e, ERROR_USAGE, 0, "option --%s is not handled", row->name);
}

/* getopt_long said '?': `word` is a long option as it was typed, with its value. */
static int fail_long(const struct getopt_tables *g, const char *command, const char *word,
		     struct error *e)
{
	size_t length = strcspn(word, "="), same = 0;
	char typed[64];
	const char *near;

	snprintf(typed, sizeof(typed), "%.*s", (int)length, word);
	for (const char *const *name = g->names; *name != NULL; name++) {
		if (strcmp(*name, typed) == 0)
			return fail(e, ERROR_USAGE, 0, "%s: option %s takes no value", command,
				    typed);
		same += strncmp(*name, typed, strlen(typed)) == 0;
	}
	near = format_nearest(typed, g->names);
	return fail(e, ERROR_USAGE, 0, "%s: %s option '%s'%s%s%s", command,
		    same > 1 ? "ambiguous" : "unknown", typed,
		    near != NULL ? " (did you mean " : "", near != NULL ? near : "",
		    near != NULL ? "?)" : "");
}

static int fail_option(const struct getopt_tables *g, int code, char **argv, struct error *e)
{
	const char *command = argv[0], *word = argv[optind - 1];

	if (code == ':')
		return fail(e, ERROR_USAGE, 0, "%s: option %s needs a value", command, word);
	if (optopt == 0 || optopt >= LONG_BASE)
		return fail_long(g, command, word, e);
	return fail(e, ERROR_USAGE, 0, "%s: unknown option '-%c'", command,
		    isprint(optopt) ? optopt : '?');
}

int options_parse(struct options *o, unsigned accepted, int argc, char **argv, struct error *e)
{
	struct getopt_tables g;
	int code;

	*o = (struct options){
		.pager = (accepted & OPTION_NO_PAGER) != 0,
	};
	thresholds_default(&o->thresholds);
	diff_noise_default(&o->noise);
	o->sysroots = calloc((size_t)argc + 1, sizeof(*o->sysroots));
	o->debug_paths = calloc((size_t)argc + 1, sizeof(*o->debug_paths));
	o->threads.list = calloc((size_t)argc + 1, sizeof(*o->threads.list));
	o->modules.list = calloc((size_t)argc + 1, sizeof(*o->modules.list));
	o->stacks.list = calloc((size_t)argc + 1, sizeof(*o->stacks.list));
	o->limits.list = calloc((size_t)argc + 1, sizeof(*o->limits.list));
	o->suppressions = calloc((size_t)argc + 1, sizeof(*o->suppressions));
	if (o->sysroots == NULL || o->debug_paths == NULL || o->threads.list == NULL ||
	    o->modules.list == NULL || o->stacks.list == NULL || o->suppressions == NULL ||
	    o->limits.list == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	fill_tables(&g, accepted | OPTION_HELP);
	opterr = 0;
	optind = 0; /* begin anew: it may have run before */
	while ((code = getopt_long(argc, argv, g.letters, g.longs, NULL)) != -1) {
		if (code == '?' || code == ':')
			return fail_option(&g, code, argv, e);
		if (apply(o, find_row(code, accepted | OPTION_HELP), optarg, e) != 0)
			return -1;
	}
	o->arguments = argv + optind;
	o->argument_count = argc - optind;
	if (o->at.kind != MOMENT_NONE && (o->from.kind != MOMENT_NONE || o->to.kind != MOMENT_NONE))
		return fail(e, ERROR_USAGE, 0,
			    "%s: --at is the state at a moment: it goes with neither --from nor "
			    "--to",
			    argv[0]);
	return 0;
}

void options_free(struct options *o)
{
	free(o->sysroots);
	free(o->debug_paths);
	free(o->threads.list);
	free(o->modules.list);
	free(o->stacks.list);
	free(o->suppressions);
	free(o->limits.list);
	o->limits.list = NULL;
	o->sysroots = o->debug_paths = o->suppressions = NULL;
	o->threads.list = o->modules.list = o->stacks.list = NULL;
}

const struct option_row *options_next(unsigned accepted, size_t *i)
{
	while (*i < ROWS && !((accepted | OPTION_HELP) & rows[*i].bit))
		++*i;
	return *i < ROWS ? &rows[(*i)++] : NULL;
}

const char *option_value(const struct option_row *row, size_t i)
{
	switch (row->bit) {
	case OPTION_COLOR:
		return i < sizeof(color_names) / sizeof(*color_names) ? color_names[i] : NULL;
	case OPTION_THRESHOLD:
		return i < THRESHOLDS ? threshold_rows[i].name : NULL;
	case OPTION_COST:
		return i < COST_COUNT ? costs[i].name : NULL;
	case OPTION_BY:
		return i < TOP_STACK ? top_name((enum top_by)(TOP_FUNCTION + i)) : NULL;
	case OPTION_EXPORT:
		if (strcmp(row->name, "table") == 0)
			return i < export_table_count ? export_tables[i]->name : NULL;
		return i < export_format_count ? export_formats[i].name : NULL;
	default:
		return NULL;
	}
}

/* "  -o, --output FILE", and its text behind or, where that is too long, below. */
static void print_row(struct emit_text *t, const struct option_row *row)
{
	bool narrow = t->width < (size_t)3 * HELP_COLUMN;
	size_t indent = narrow ? 10 : HELP_COLUMN;

	text_indent(t, 2);
	if (row->letter != 0)
		text_say(t, "-%c, --%s", row->letter, row->name);
	else
		text_say(t, "    --%s", row->name);
	if (option_is_optional(row))
		text_say(t, "[=%s", row->argument + 1);
	else if (row->argument != NULL)
		text_say(t, " %s", row->argument);
	t->hang = indent;
	if (narrow || t->at + 2 > indent) {
		text_end(t);
		text_indent(t, indent);
	} else {
		fprintf(t->out, "%*s", (int)(indent - t->at), "");
		t->at = indent;
	}
	text_say(t, "%s\n", row->help);
}

void options_help(struct emit_text *t, unsigned accepted)
{
	const struct option_row *row;

	for (size_t i = 0; (row = options_next(accepted, &i)) != NULL;)
		print_row(t, row);
}

size_t options_top(const struct options *o)
{
	if (o->top_given)
		return o->top == 0 || o->top > SIZE_MAX ? SIZE_MAX : (size_t)o->top;
	return o->html ? 200 : o->json ? 100 : REPORT_TOP;
}
