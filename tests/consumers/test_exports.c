/* SPDX-License-Identifier: MIT */
/*
 * Exports and flame graphs, read by what they are made for: its totals are the
 * report's. A reader that is not installed is skipped, with a word. The readers from npm
 * are pinned in package.json here and installed below the build folder.
 */
#include "tests/integration/harness.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>

/* What the function is renamed to: markup, if anything took it for that. */
#define MARKUP "</script><img src=x onerror=alert(1)>"

struct subject {
	char *trace;
	char **traces; /* of a tree, all of them; NULL: `trace` */
	size_t trace_count;
	cJSON *json; /* its report */
};

/* tests/programs/exported, its symbols renamed, without debug information for them. */
static char *renamed_program(void)
{
	char *to = in_box("exported");

	check_status(
		&(struct outcome){
			.line = "objcopy",
			.status = run(ARGV("objcopy", "--strip-debug", "--redefine-sym",
					   "renamed_by_the_test=" MARKUP, program("exported"), to),
				      NULL)
					  .status},
		0);
	return to;
}

static struct subject recorded(char *path)
{
	struct outcome o = record(ARGV(path), NULL);

	check_status(&o, 0);
	return (struct subject){.trace = o.trace, .json = report(o.trace)};
}

/* What the report says that a cost is in all. */
static uint64_t total(const struct subject *s, const char *cost)
{
	static const char *const at[][2] = {
		{"peak", "memory.peak_bytes"},
		{"leaked", "memory.live_bytes"},
		{"allocated", "memory.allocated_bytes"},
		{"temporary", "memory.temporary_allocations"},
		{"read", "io.read_bytes"},
		{"written", "io.written_bytes"},
		{"sent", "sockets.sent_bytes"},
		{"received", "sockets.received_bytes"},
	};

	for (size_t i = 0; i < COUNT_OF(at); i++)
		if (strcmp(cost, at[i][0]) == 0)
			return json_u64(s->json, at[i][1]);
	fail_msg("no total of %s", cost);
	return 0;
}

/* Costs whose totals are whole numbers in the report. */
static const char *const exact_costs[] = {"peak", "leaked",  "allocated", "temporary",
					  "read", "written", "sent",	  "received"};

/* Seconds, of waits all those that are listed. */
static double seconds(const struct subject *s, const char *cost)
{
	const cJSON *wait;
	double sum = 0;

	if (strcmp(cost, "time") == 0)
		return json_at(s->json, "io.time_s")->valuedouble +
		       json_at(s->json, "sockets.time_s")->valuedouble;
	cJSON_ArrayForEach(wait, json_at(s->json, "waits"))
	{
		sum += json_at(wait, "time_s")->valuedouble;
	}
	return sum;
}

static void check_seconds(double ns, const struct subject *s, const char *cost)
{
	double wanted = seconds(s, cost);

	check(wanted > 0, "the report has no %s", cost);
	check(fabs(ns / 1e9 - wanted) < 1e-6, "%s: %f s, and the report says %f s", cost, ns / 1e9,
	      wanted);
}

/* `perfhook COMMAND TRACE... WORDS...`. */
static struct outcome perfhook(const char *command, const struct subject *s,
			       const char *const *words)
{
	const char *argv[64] = {perfhook_path(), command};
	size_t count = 2;
	struct outcome o;

	for (size_t i = 0; i < s->trace_count && count < COUNT_OF(argv) - 1; i++)
		argv[count++] = s->traces[i];
	if (s->trace_count == 0)
		argv[count++] = s->trace;
	while (*words != NULL && count < COUNT_OF(argv) - 1)
		argv[count++] = *words++;
	o = run(argv, NULL);
	check(o.status == 0, "%s: %s", o.line, o.err);
	return o;
}

static char *exported(const struct subject *s, const char *format, const char *cost,
		      const char *name)
{
	char *path = in_box("%s", name);

	perfhook("export", s, ARGV("--to", format, "--cost", cost, "-o", path));
	return path;
}

/* A reader's answer; it must have nothing to complain of. */
static struct outcome reads(const char *const *argv, const char *const *env)
{
	struct outcome o = run(argv, &(struct options){.env = env, .timeout_s = 120});

	check(o.status == 0, "%s ended with %d:\n%s%s", o.line, o.status, o.out, o.err);
	return o;
}

static void has(const struct outcome *o, const char *what)
{
	check(strstr(o->out, what) != NULL, "%s does not say '%s' but:\n%s", o->line, what, o->out);
}

/* A script of ours with what npm installed. */
static struct outcome node(const char *script, const char *const *arguments)
{
	char sources[PATH_MAX], modules[PATH_MAX];
	const char *argv[16] = {"node"}, *env[3] = {NULL};
	size_t count = 2;

	need_tool("node");
	if (realpath(text("%s/consumers/node_modules", getenv("PERFHOOK_BUILD")), modules) == NULL)
		skip_because("its readers were not installed: make consumers (needs npm)");
	check(realpath("tests/consumers", sources) != NULL, "not run from the source folder");
	argv[1] = text("%s/%s", sources, script);
	while (*arguments != NULL && count < COUNT_OF(argv) - 1)
		argv[count++] = *arguments++;
	env[0] = text("NODE_PATH=%s", modules);
	env[1] = text("HOME=%s", box_dir());
	return reads(argv, env);
}

static void need_browser(void)
{
	if (access("/usr/bin/chromium", X_OK) != 0)
		skip_because("chromium is not installed");
}

/* pprof. */

/* Sums of the columns of `pprof -raw`: "peak/bytes peak_blocks/count ...", then a line of
 * numbers a sample. */
struct columns {
	char *names[32];
	uint64_t sums[32];
	size_t count;
};

static struct columns raw_columns(char *raw)
{
	struct columns c = {.count = 0};
	char *rest = NULL, *samples = strstr(raw, "\nSamples:\n"), *end, *line, *word;

	check(samples != NULL, "no samples in:\n%s", raw);
	samples += strlen("\nSamples:\n");
	end = strstr(samples, "\nLocations\n");
	check(end != NULL, "no locations in:\n%s", raw);
	*end = '\0';
	line = strtok_r(samples, "\n", &rest);
	for (char *more = NULL; (word = strtok_r(line, " ", &more)) != NULL; line = NULL) {
		check(c.count < COUNT_OF(c.names), "too many sample types");
		c.names[c.count++] = text("%.*s", (int)strcspn(word, "/"), word);
	}
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
		if (strchr(line, ':') == NULL || strchr(line, '[') != NULL)
			continue;
		for (size_t i = 0; i < c.count; i++)
			c.sums[i] += strtoull(line, &line, 10);
	}
	return c;
}

static uint64_t column(const struct columns *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->names[i], name) == 0)
			return c->sums[i];
	fail_msg("no sample type %s", name);
	return 0;
}

static void pprof(void **state)
{
	const char *const env[] = {text("HOME=%s", box_dir()), NULL};
	struct subject s;
	struct columns c;
	struct outcome o;
	char *path;

	(void)state;
	need_tool("go");
	s = recorded(program("exported"));
	path = exported(&s, "pprof", "leaked", "x.pb.gz");
	o = reads(ARGV("go", "tool", "pprof", "-raw", path), env);
	has(&o, "Comment: exported (");
	c = raw_columns(o.out);
	for (size_t i = 0; i < COUNT_OF(exact_costs); i++)
		check_u64(column(&c, exact_costs[i]), total(&s, exact_costs[i]), exact_costs[i]);
	check_u64(column(&c, "peak_blocks"), json_u64(s.json, "memory.peak_blocks"), "peak_blocks");
	check_u64(column(&c, "leaked_blocks"), json_u64(s.json, "memory.live_blocks"),
		  "leaked_blocks");
	check_u64(column(&c, "allocations"), json_u64(s.json, "memory.allocations"), "allocations");
	check_seconds((double)column(&c, "time"), &s, "time");
	check_seconds((double)column(&c, "waited"), &s, "waited");
	/* What was asked for is shown first; inlined functions are frames of their own. */
	o = reads(ARGV("go", "tool", "pprof", "-symbolize=none", "-top", path), env);
	has(&o, "Type: leaked");
	has(&o, "Box<double>::fill");
	has(&o, "inlined_alloc");
	o = reads(ARGV("go", "tool", "pprof", "-symbolize=none", "-tags", path), env);
	has(&o, "memory");
	has(&o, "transfer");
	has(&o, "wait");
	o = reads(ARGV("go", "tool", "pprof", "-symbolize=none", "-sample_index=written",
		       "-list=use_file", path),
		  env);
	has(&o, "exported.cc");
}

/* Callgrind: "...  PROGRAM TOTALS", by the order of the events. */
static void callgrind(void **state)
{
	struct subject s;
	struct outcome o;
	char *line;

	(void)state;
	need_tool("callgrind_annotate");
	s = recorded(program("exported"));
	o = reads(ARGV("callgrind_annotate", "--show-percs=no", "--inclusive=yes", "--auto=no",
		       "--threshold=100", exported(&s, "callgrind", "peak", "callgrind.out")),
		  NULL);
	line = strstr(o.out, "  PROGRAM TOTALS");
	check(line != NULL, "no totals in:\n%s", o.out);
	while (line[-1] != '\n')
		line--;
	for (size_t i = 0; i < COUNT_OF(exact_costs); i++) {
		char digits[32] = "";
		size_t length = 0;

		for (line += strspn(line, " "); *line != ' '; line++)
			if (*line != ',' && length < sizeof(digits) - 1)
				digits[length++] = *line;
		check_u64(strtoull(digits, NULL, 10), total(&s, exact_costs[i]), exact_costs[i]);
	}
	/* Of all that was written, all in main and none counted twice in the recursion. */
	o = reads(ARGV("callgrind_annotate", "--inclusive=yes", "--auto=no", "--threshold=100",
		       "--show=written,allocated", in_box("callgrind.out")),
		  NULL);
	has(&o, "(100.0%)");
	has(&o, "exported.cc:use_file() [");
	has(&o, "exported.cc:recurse(int)'2 [");
	for (const char *at = o.out; (at = strchr(at, '(')) != NULL; at++)
		check(strtod(at + 1, NULL) <= 100, "more than all:\n%s", at);
}

static void massif(void **state)
{
	struct subject s;
	struct outcome o;
	char bytes[32], *with_commas = bytes;
	uint64_t peak;

	(void)state;
	need_tool("ms_print");
	s = recorded(program("exported"));
	o = reads(ARGV("ms_print", "--threshold=0.1", exported(&s, "massif", "peak", "massif.out")),
		  NULL);
	peak = total(&s, "peak");
	check(peak >= 1000000 && peak < 1000000000, "the peak is %" PRIu64, peak);
	snprintf(bytes, sizeof(bytes), "%" PRIu64 ",%03" PRIu64 ",%03" PRIu64, peak / 1000000,
		 peak / 1000 % 1000, peak % 1000);
	has(&o, with_commas);
	has(&o, "(peak)");
	has(&o, "peak() (exported.cc:");
}

static void chrome(void **state)
{
	struct subject s = recorded(program("exported"));
	char *path = exported(&s, "chrome", "peak", "x.trace.json");
	struct outcome o;

	(void)state;
	o = node("chrome.js", ARGV(path));
	has(&o, "left out 0\n");
	for (size_t i = 4; i < COUNT_OF(exact_costs); i++)
		has(&o, text("%s %" PRIu64 "\n", exact_costs[i], total(&s, exact_costs[i])));
	has(&o, text("live at most %" PRIu64 "\n", total(&s, "peak")));
	has(&o, "waits pthread_join usleep\n");
	has(&o, "objects true\n");
	if (strstr(o.out, "profiler-cli cannot run") == NULL)
		has(&o, "profiler-cli true true\n");
}

static uint64_t folded_sum(char *text_of)
{
	uint64_t sum = 0;
	char *rest = NULL;

	for (char *line = strtok_r(text_of, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest))
		sum += strtoull(strrchr(line, ' '), NULL, 10);
	return sum;
}

/* What heaptrack itself makes of a cost, added up from its folded stacks. */
static uint64_t heaptrack_sum(const char *path, const char *cost)
{
	char *folded = in_box("%s.folded", cost), *text_of;

	reads(ARGV("heaptrack_print", "-f", path, "-F", folded, "--flamegraph-cost-type", cost,
		   "--print-peaks", "0", "--print-allocators", "0"),
	      NULL);
	text_of = read_file(folded, NULL);
	check(text_of != NULL, "no folded stacks of %s", cost);
	return folded_sum(text_of);
}

static void heaptrack(void **state)
{
	static const char *const threads[] = {"2", "64"};
	struct subject s;
	struct outcome o;
	char *path;

	(void)state;
	need_tool("heaptrack_print");
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		o = record(ARGV(program("remote_free"), threads[i], "500"), NULL);
		s = (struct subject){.trace = o.trace, .json = report(o.trace)};
		path = exported(&s, "heaptrack", "peak", "x.heaptrack");
		check_u64(heaptrack_sum(path, "peak"), total(&s, "peak"), "peak");
		check_u64(heaptrack_sum(path, "leaked"), total(&s, "leaked"), "leaked");
		check_u64(heaptrack_sum(path, "allocations"),
			  json_u64(s.json, "memory.allocations"), "allocations");
	}
	s = recorded(program("exported"));
	path = exported(&s, "heaptrack", "peak", "x.heaptrack");
	check_u64(heaptrack_sum(path, "leaked"), total(&s, "leaked"), "leaked");
	/* The stack of that, inlined functions too, with their lines. */
	o = reads(ARGV("heaptrack_print", "-f", path, "-l", "1"), NULL);
	has(&o, "inlined_alloc");
	has(&o, "recurse(int)");
	has(&o, "exported.cc:");
}

static void speedscope_schema(void **state)
{
	struct subject s = recorded(program("exported"));
	struct outcome o;

	(void)state;
	o = node("speedscope_schema.js", ARGV(exported(&s, "speedscope", "written", "x.json")));
	for (size_t i = 0; i < COUNT_OF(exact_costs); i++) {
		const char *unit = strcmp(exact_costs[i], "temporary") == 0 ? "none" : "bytes";

		has(&o,
		    text("%s %s %" PRIu64 "\n", exact_costs[i], unit, total(&s, exact_costs[i])));
	}
	has(&o, "active written\n");
}

/* Of all costs that are in main or below, main has all: the thread's and the loader's
 * are not. What is sent is main's alone. */
static void speedscope_page(void **state)
{
	struct subject s;
	struct outcome o;

	(void)state;
	need_browser();
	s = recorded(program("exported"));
	o = node("speedscope_page.js", ARGV(exported(&s, "speedscope", "sent", "x.speedscope.json"),
					    exported(&s, "pprof", "sent", "x.pb.gz"),
					    exported(&s, "folded", "sent", "x.folded"),
					    exported(&s, "callgrind", "sent", "callgrind.x")));
	has(&o, "x.speedscope.json 100%\n");
	has(&o, "x.pb.gz 100%\n");
	has(&o, "x.folded 100%\n");
	has(&o, "callgrind.x 100%\n");
}

/* Tables. */

/* The sums of three tables, as each engine says them: a '|' between numbers. */
#define SUMS                                                                                       \
	"SELECT sum(peak_bytes), sum(live_bytes), sum(allocated_bytes), "                          \
	"sum(temporary_allocations) FROM %s"
#define TRANSFERS                                                                                  \
	"SELECT sum(read_bytes), sum(written_bytes), sum(sent_bytes), sum(received_bytes) FROM %s"
#define WAITED "SELECT round(sum(time_s) * 1e9) FROM %s"

static void check_sums(const struct subject *s, const char *said)
{
	for (size_t i = 0; i < COUNT_OF(exact_costs); i++) {
		char *end;

		check_u64(strtoull(said, &end, 10), total(s, exact_costs[i]), exact_costs[i]);
		check(end > said, "no number: %s", said);
		said = end + 1;
	}
	check_seconds(strtod(said, NULL), s, "waited");
}

static void sqlite(void **state)
{
	struct subject s;
	char *path;
	struct outcome o;

	(void)state;
	need_tool("sqlite3");
	s = recorded(program("exported"));
	path = in_box("x.sqlite");
	o = run(ARGV(perfhook_path(), "export", s.trace, "--to", "sqlite", "-o", path), NULL);
	if (strstr(o.err, "is not installed") != NULL)
		skip_because("libsqlite3 is not installed");
	check(o.status == 0, "%s: %s", o.line, o.err);
	o = reads(ARGV("sqlite3", path, "PRAGMA integrity_check"), NULL);
	check(strcmp(o.out, "ok\n") == 0, "integrity: %s", o.out);
	o = reads(ARGV("sqlite3", "-readonly", path, text(SUMS, "sites"),
		       text(TRANSFERS, "transfers"), text(WAITED, "waits")),
		  NULL);
	check_sums(&s, o.out);
	/* A table that others refer to. */
	o = reads(ARGV("sqlite3", "-readonly", path,
		       "SELECT count(*) FROM sites LEFT JOIN stacks USING (run, stack) "
		       "WHERE sites.stack IS NOT NULL AND folded IS NULL",
		       "SELECT line > 0 FROM waits JOIN stack_frames USING (run, stack) "
		       "WHERE kind = 'sleep' AND frame = 0 AND file LIKE '%exported.cc'"),
		  NULL);
	check(strcmp(o.out, "0\n1\n") == 0, "joins: %s", o.out);
}

static void duckdb_jsonl(void **state)
{
	struct subject s = recorded(program("exported"));
	char *path = exported(&s, "jsonl", "peak", "x.jsonl");
	const char *sites = text("read_json('%s', sample_size=-1, field_appearance_threshold=0) "
				 "WHERE \"table\" = 'sites'",
				 path);
	const char *transfers = text("read_json('%s', sample_size=-1, "
				     "field_appearance_threshold=0) WHERE \"table\" = 'transfers'",
				     path);
	const char *waits = text("read_json('%s', sample_size=-1, field_appearance_threshold=0) "
				 "WHERE \"table\" = 'waits'",
				 path);
	struct outcome o = node("duckdb.js", ARGV(text(SUMS, sites), text(TRANSFERS, transfers),
						  text(WAITED, waits)));

	(void)state;
	check_sums(&s, o.out);
}

/* A file a table; and by way of Parquet. */
static void duckdb_csv(void **state)
{
	struct subject s = recorded(program("exported"));
	char *folder = exported(&s, "csv", "peak", "tables");
	const char *parquet = in_box("waits.parquet");
	struct outcome o =
		node("duckdb.js", ARGV(text(SUMS, text("'%s/sites.csv'", folder)),
				       text(TRANSFERS, text("'%s/transfers.csv'", folder)),
				       text(WAITED, text("'%s/waits.csv'", folder)),
				       text("COPY (FROM '%s/waits.csv') TO '%s'", folder, parquet),
				       text(WAITED, text("'%s'", parquet))));

	(void)state;
	check_sums(&s, o.out);
	check(access(parquet, R_OK) == 0, "no Parquet");
	/* Every table can be read, and has the columns that it says. */
	o = node("duckdb.js",
		 ARGV(text("SELECT count(DISTINCT run) FROM read_csv('%s/frames.csv')", folder),
		      text("SELECT command, pid > 0, complete FROM read_csv('%s/runs.csv')",
			   folder)));
	check(strncmp(o.out, "1\n", 2) == 0 && strstr(o.out, "|true|true\n") != NULL, "%s", o.out);
}

/* Two runs' tables put together: the same stack has the same key in both, other stacks
 * have others. */
static void runs_together(void **state)
{
	struct subject a = recorded(program("exported")), b = recorded(program("exported"));
	struct outcome o;

	(void)state;
	exported(&a, "csv", "peak", "a");
	exported(&b, "csv", "peak", "b");
	o = node(
		"duckdb.js",
		ARGV(text("SELECT count(DISTINCT key), count(DISTINCT run), count(*) FROM "
			  "read_csv('%s/?/stacks.csv', union_by_name = true) "
			  "WHERE folded LIKE '%%;inlined_alloc' AND folded LIKE "
			  "'%%work(void*)%%renamed%%'",
			  box_dir()),
		     text("SELECT max(runs), min(runs) FROM (SELECT count(DISTINCT run) AS runs "
			  "FROM "
			  "read_csv('%s/?/stacks.csv', union_by_name = true) GROUP BY key, folded)",
			  box_dir())));
	check(strcmp(o.out, "1|2|2\n2|2\n") == 0, "keys: %s", o.out);
}

static void jq(void **state)
{
	struct subject s;
	struct outcome o;

	(void)state;
	need_tool("jq");
	s = recorded(program("exported"));
	o = reads(
		ARGV("jq", "-s",
		     "map(select(.table == \"files\" and (.path | endswith(\"/exported.data\")))) "
		     "| .[0].read_bytes, .[0].written_bytes",
		     exported(&s, "jsonl", "peak", "x.jsonl")),
		NULL);
	check(strcmp(o.out, "81920\n81920\n") == 0, "exported.data: %s", o.out);
}

/* Flame graphs. */

static char *flame(const struct subject *s, const char *cost, const char *name)
{
	char *path = in_box("%s", name);

	perfhook("flame", s, ARGV("--cost", cost, "-o", path));
	return path;
}

static void check_folded(const struct subject *s)
{
	for (size_t i = 0; i < COUNT_OF(exact_costs); i++) {
		struct outcome o = perfhook("flame", s, ARGV("--folded", "--cost", exact_costs[i]));

		check_u64(folded_sum(o.out), total(s, exact_costs[i]), exact_costs[i]);
		if (strcmp(exact_costs[i], "peak") == 0)
			continue;
		o = perfhook("flame", s, ARGV("--folded", "--threads", "--cost", exact_costs[i]));
		check_u64(folded_sum(o.out), total(s, exact_costs[i]), exact_costs[i]);
	}
}

/* Of two runs of one program nothing that counts is another; without its debug
 * information and a name, one function's stacks are. */
static void flame_diff(void **state)
{
	struct subject a, b, c;
	struct outcome o;
	char *rest = NULL;

	(void)state;
	need_tool("objcopy");
	a = recorded(program("exported"));
	b = recorded(program("exported"));
	c = recorded(renamed_program());
	o = perfhook("flame", &a, ARGV("--folded", "--diff", b.trace, "--cost", "written"));
	check(strstr(o.out, "use_file() 81920 81920\n") != NULL, "%s", o.out);
	o = perfhook("flame", &a, ARGV("--folded", "--diff", b.trace, "--cost", "leaked"));
	for (char *line = strtok_r(o.out, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *after = strrchr(line, ' '), *before = after;

		while (before[-1] != ' ')
			before--;
		check_u64(strtoull(before, NULL, 10), strtoull(after, NULL, 10), line);
	}
	o = perfhook("flame", &c, ARGV("--folded", "--diff", b.trace, "--cost", "leaked"));
	check(strstr(o.out, MARKUP " 0 12345\n") != NULL, "%s", o.out);
	check(strstr(o.out, "inlined_alloc 12345 0\n") != NULL, "%s", o.out);
}

static void folded_adds_up(void **state)
{
	struct subject s = recorded(program("exported"));

	(void)state;
	check_folded(&s);
}

/* Three processes and a shell, given together: one sum in each format. */
static void tree(void **state)
{
	const char *path = program("exported");
	struct outcome o =
		record(ARGV("sh", "-c", text("%s; %s & %s; wait", path, path, path)), NULL);
	struct subject s = {.trace = o.trace, .json = report_of_all(&o)};
	const char *env[] = {text("HOME=%s", box_dir()), NULL};
	char *found;

	(void)state;
	s.trace_count = list_traces(&o, &s.traces);
	check(s.trace_count >= 4, "%zu traces", s.trace_count);
	check_folded(&s);
	check(strstr(read_file(flame(&s, "peak", "x.svg"), NULL), " more; ") != NULL, "no tree");
	found = read_file(exported(&s, "chrome", "peak", "x.trace.json"), NULL);
	check(strstr(found, "\"name\":\"usleep\"") != NULL, "no call of a child");
	exported(&s, "massif", "peak", "x.massif");
	exported(&s, "callgrind", "peak", "x.callgrind");
	exported(&s, "speedscope", "peak", "x.json");
	if (have_tool("go")) {
		struct columns c;

		o = reads(ARGV("go", "tool", "pprof", "-raw",
			       exported(&s, "pprof", "peak", "x.pb.gz")),
			  env);
		c = raw_columns(o.out);
		for (size_t i = 0; i < COUNT_OF(exact_costs); i++)
			check_u64(column(&c, exact_costs[i]), total(&s, exact_costs[i]),
				  exact_costs[i]);
	}
	need_tool("jq");
	o = reads(ARGV("jq", "-s", "-r",
		       "(map(select(.table == \"processes\")) | map(.allocated_bytes) | add), "
		       "(map(select(.table == \"runs\")) | .[0].peak_bytes, length), "
		       "(map(.run) | unique | length)",
		       exported(&s, "jsonl", "peak", "x.jsonl")),
		  NULL);
	check(strcmp(o.out, text("%" PRIu64 "\n%" PRIu64 "\n1\n1\n", total(&s, "allocated"),
				 total(&s, "peak"))) == 0,
	      "jsonl: %s", o.out);
}

static void flame_page(void **state)
{
	struct subject s;
	struct outcome o;

	(void)state;
	need_browser();
	need_tool("objcopy");
	s = recorded(renamed_program());
	o = node("flame_page.js", ARGV(flame(&s, "leaked", "x.svg"), MARKUP));
	has(&o, "all 900\n");
	has(&o, "images 0\n");
	has(&o, "search matched ");
	has(&o, "found 1\n");
	has(&o, "reset \"\"\n");
	has(&o, "zoomed true 900\n");
	has(&o, "again true\n");
	has(&o, "details true\n");
	has(&o, "swapped  callers and callees swapped 900\n");
	has(&o, "icicle true true\n");
	has(&o, "by keys true\n");
	has(&o, "narrow 320\n");
}

static void flame_is_xml(void **state)
{
	struct subject s;

	(void)state;
	need_tool("python3");
	need_tool("objcopy");
	s = recorded(renamed_program());
	reads(ARGV("python3", "-c",
		   "import sys, xml.etree.ElementTree as t\n"
		   "r = t.parse(sys.argv[1]).getroot()\n"
		   "n = '{http://www.w3.org/2000/svg}'\n"
		   "assert {e.tag for e in r.iter()} <= {n + x for x in"
		   " 'svg style rect text g title script'.split()}, {e.tag for e in r.iter()}\n"
		   "assert any(sys.argv[2] in (e.text or '') for e in r.iter(n + 'title'))\n",
		   flame(&s, "leaked", "x.svg"), MARKUP),
	      NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(pprof),
		boxed(callgrind),
		boxed(massif),
		boxed(heaptrack),
		boxed(chrome),
		boxed(speedscope_schema),
		boxed(speedscope_page),
		boxed(folded_adds_up),
		boxed(tree),
		boxed(flame_diff),
		boxed(flame_page),
		boxed(flame_is_xml),
		boxed(sqlite),
		boxed(duckdb_jsonl),
		boxed(duckdb_csv),
		boxed(runs_together),
		boxed(jq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
