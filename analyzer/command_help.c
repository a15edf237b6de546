/* SPDX-License-Identifier: MIT */
/* Help: of perfhook, and of each command with examples. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/commands.h"
#include "analyzer/export.h"
#include "analyzer/export_tables.h"

/* Every command has one at least. */
static const struct example {
	const char *command, *words, *what;
} examples[] = {
	{"record", "-o app.trace ./app --port 8080", "record ./app --port 8080"},
	{"record", "-o 'app.%p.trace' make -j4", "and each process it starts, by its pid"},
	{"report", "app.trace", "what stands out, the peak, leaks, files, connections"},
	{"report", "app.*.trace*", "the same of a tree of processes"},
	{"report", "--html app.trace -o app.html", "a page to look around in, and to pass on"},
	{"report", "--json app.trace | jq .memory.peak_bytes", "a figure for a script"},
	{"leaks", "app.trace", "who allocated what was never freed"},
	{"leaks", "--from 50% app.trace", "only of the second half of the run"},
	{"leaks", "--pid 1234", "what the process 1234 has lost, while it runs"},
	{"leaks", "--top 1 --full app.trace", "the first suspect's whole stack"},
	{"io", "app.trace", "each file and connection, and which lines use it"},
	{"io", "--threshold sync-calls=20 app.trace", "with fewer syncs that stand out"},
	{"dump", "app.trace | grep openat", "calls of one function, in order of time"},
	{"diff", "before.trace after.trace", "what a change has made better or worse"},
	{"diff", "--min-change 5% before.trace after.trace", "without what changed less"},
	{"check", "app.trace --max-peak 200M --max-leaked 0", "fails if it needed or lost more"},
	{"check", "app.trace --json -o baseline.json", "keep its figures"},
	{"check", "app.trace --against baseline.json --junit memory.xml", "not more than then"},
	{"flame", "app.trace -o app.svg", "who held the peak, as a picture"},
	{"flame", "--cost leaked --diff before.trace after.trace -o leaks.svg",
	 "what leaks more than before"},
	{"export", "--to speedscope app.trace -o app.json", "for www.speedscope.app"},
	{"export", "--to sqlite app.trace -o app.db", "all that is known, to be asked in SQL"},
	{"export", "--to pprof --cost allocated app.trace -o app.pb.gz", "for go tool pprof"},
	{"mark", "1234 before-upgrade", "for --from before-upgrade, in what reads the trace"},
	{"pack", "app.trace", "makes app.packed.trace, a fraction of the size"},
	{"pack", "-o app.trace app.trace", "in its own place"},
};

bool help_example(const struct command *c, size_t i, const char **words, const char **what)
{
	for (size_t e = 0; e < sizeof(examples) / sizeof(*examples); e++) {
		if (strcmp(examples[e].command, c->name) != 0 || i-- != 0)
			continue;
		*words = examples[e].words;
		*what = examples[e].what;
		return true;
	}
	return false;
}

static void print_entry(struct emit_text *t, const char *name, const char *help)
{
	text_indent(t, 2);
	fprintf(t->out, "%-15s  ", name);
	t->at = t->hang = 19;
	text_say(t, "%s\n", help);
}

void help_print(FILE *out)
{
	const struct command *c;
	struct emit_text t;

	emit_text_init(&t, out, COLOR_AUTO);
	text_say(&t, "Usage: perfhook COMMAND [OPTION...] ...\n");
	text_say(&t, "Records what an unmodified program does with memory, files and sockets, and "
		     "tells which line of it did so.\n");
	text_say(&t, "\nCommands:\n");
	for (size_t i = 0; (c = commands_next(&i)) != NULL;)
		print_entry(&t, c->name, c->help);
	text_say(&t, "\nExamples:\n");
	text_say(&t, "  perfhook record -o app.trace ./app   # run it, and record it\n");
	text_say(&t, "  perfhook report app.trace            # what it did\n");
	text_say(&t, "\n'perfhook COMMAND --help' and 'man perfhook-COMMAND' tell a command's "
		     "options. Options of perfhook itself: --help, --version.\n");
}

static void print_formats(struct emit_text *t)
{
	text_say(t, "\nFormats:\n");
	for (size_t i = 0; i < export_format_count; i++)
		print_entry(t, export_formats[i].name, export_formats[i].help);
	text_say(t, "\nTables of csv, jsonl and sqlite:\n");
	for (size_t i = 0; i < export_table_count; i++)
		print_entry(t, export_tables[i]->name, export_tables[i]->help);
}

void help_print_command(FILE *out, const struct command *c)
{
	const char *words, *what;
	struct emit_text t;

	emit_text_init(&t, out, COLOR_AUTO);
	text_say(&t, "Usage: perfhook %s %s\n", c->name, c->usage);
	text_say(&t, "%c%s.\n\nOptions:\n", c->help[0] - 'a' + 'A', c->help + 1);
	options_help(&t, c->options);
	if (c->options & OPTION_EXPORT)
		print_formats(&t);
	text_say(&t, "\nExamples:\n");
	for (size_t i = 0; help_example(c, i, &words, &what); i++) {
		text_styled(&t, STYLE_STRONG, "  perfhook %s %s\n", c->name, words);
		text_indent(&t, 6);
		text_say(&t, "%s\n", what);
	}
}
