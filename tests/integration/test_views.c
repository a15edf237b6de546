/* SPDX-License-Identifier: MIT */
/* Parts of runs, against a target that counts what it does in each of its phases. */
#include "harness.h"

enum { PHASES = 3 };

static struct outcome record_phases(const char *tree)
{
	struct outcome o = record(ARGV(program("phases"), perfhook_path(), tree), NULL);

	check_status(&o, 0);
	return o;
}

/* A command with options, on all traces of the outcome. */
static struct outcome ask(const struct outcome *o, const char *command, const char *const *options)
{
	const struct options how = {.timeout_s = 120};
	const char *argv[64] = {perfhook_path(), command};
	char **paths;
	size_t count = list_traces(o, &paths), n = 2;

	check(count > 0 && count < 20, "%zu traces", count);
	for (size_t i = 0; i < count; i++)
		argv[n++] = paths[i];
	for (size_t i = 0; options[i] != NULL; i++)
		argv[n++] = options[i];
	return run(argv, &how);
}

static cJSON *ask_json(const struct outcome *o, const char *command, const char *const *options)
{
	struct outcome answer = ask(o, command, options);
	cJSON *json;

	check_status(&answer, 0);
	json = cJSON_Parse(answer.out);
	check(json != NULL, "not JSON: %.400s", answer.out);
	return json;
}

static uint64_t sum_of(const cJSON *json, const char *list, const char *member)
{
	uint64_t sum = 0;
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(json, list))
	{
		sum += json_u64(e, member);
	}
	return sum;
}

/* What the files that the target wrote to got. */
static uint64_t written(const cJSON *json, const char *member)
{
	static const char *const names[] = {"written", "written.child"};
	uint64_t sum = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const cJSON *f = file_entry(json, names[i]);

		sum += f != NULL ? json_u64(f, member) : 0;
	}
	return sum;
}

#define BEGIN(phase) text("phase%d", (phase))
#define END(phase)   text("phase%d", (phase) + 1)

static void check_phase(const struct outcome *o, int phase, unsigned processes)
{
	cJSON *json = ask_json(o, "report",
			       ARGV("--json", "--top", "0", "--stack", "take_blocks", "--stack",
				    "write_some", "--from", BEGIN(phase), "--to", END(phase)));
	uint64_t live = 0;

	for (int i = 0; i <= phase; i++)
		live = truth(o, text("%d.live_bytes", i));
	check_u64(json_u64(json, "memory.allocations"),
		  processes * truth(o, text("%d.allocations", phase)), "allocations");
	check_u64(json_u64(json, "memory.frees"), processes * truth(o, text("%d.frees", phase)),
		  "frees");
	check_u64(json_u64(json, "memory.allocated_bytes"),
		  processes * truth(o, text("%d.allocated_bytes", phase)), "allocated bytes");
	check_u64(json_u64(json, "memory.live_bytes"), processes * live, "live bytes");
	check_u64(sum_of(json, "leaks", "bytes"),
		  processes * truth(o, text("%d.kept_bytes", phase)), "leaks of the phase");
	check_u64(json_u64(json, "memory.live_bytes") - json_u64(json, "memory.older_live_bytes"),
		  processes * truth(o, text("%d.kept_bytes", phase)), "live and not older");
	check_u64(written(json, "written_bytes"),
		  processes * truth(o, text("%d.written_bytes", phase)), "written bytes");
	check_u64(written(json, "write_calls"), processes * truth(o, text("%d.write_calls", phase)),
		  "write calls");
	cJSON_Delete(json);
}

static void windows(void **state)
{
	struct outcome o = record_phases(NULL);

	(void)state;
	for (int phase = 0; phase < PHASES; phase++)
		check_phase(&o, phase, 1);
}

static void windows_of_a_tree(void **state)
{
	struct outcome o = record_phases("tree");

	(void)state;
	for (int phase = 0; phase < PHASES; phase++)
		check_phase(&o, phase, 2);
}

static void moments(void **state)
{
	struct outcome o = record_phases(NULL);
	cJSON *whole = ask_json(&o, "report", ARGV("--json", "--top", "0")), *json;

	(void)state;
	check_u64((uint64_t)cJSON_GetArraySize(json_at(whole, "marks")), PHASES + 1, "marks");
	for (int phase = 0; phase < PHASES; phase++) {
		json = ask_json(
			&o, "leaks",
			ARGV("--json", "--top", "0", "--stack", "take_blocks", "--at", END(phase)));
		check_u64(sum_of(json, "leaks", "bytes"), truth(&o, text("%d.live_bytes", phase)),
			  "live at the end of the phase");
		cJSON_Delete(json);
	}
	json = ask_json(&o, "report", ARGV("--json", "--at", "peak"));
	check_u64(json_u64(json, "memory.live_bytes"), json_u64(whole, "memory.peak_bytes"),
		  "live at the peak");
	check_u64(json_u64(json, "memory.live_blocks"), json_u64(whole, "memory.peak_blocks"),
		  "blocks at the peak");
	cJSON_Delete(json);
	json = ask_json(&o, "report", ARGV("--json", "--from", "start", "--to", "100%"));
	check_u64(json_u64(json, "memory.allocations"), json_u64(whole, "memory.allocations"),
		  "allocations of all the run");
	cJSON_Delete(json);
	cJSON_Delete(whole);
}

static void at_a_trees_peak(void **state)
{
	struct outcome o = record_phases("tree");
	cJSON *whole = ask_json(&o, "report", ARGV("--json"));
	cJSON *json = ask_json(&o, "report", ARGV("--json", "--at", "peak"));

	(void)state;
	check_u64(json_u64(json, "memory.live_bytes"), json_u64(whole, "memory.peak_bytes"),
		  "live at the tree's peak");
	cJSON_Delete(json);
	cJSON_Delete(whole);
}

static void filters(void **state)
{
	struct outcome o = record_phases(NULL);
	uint64_t helper = 0, large = 0, all = 0;
	cJSON *json;

	(void)state;
	for (int phase = 0; phase < PHASES; phase++) {
		helper += truth(&o, text("%d.helper_bytes", phase));
		large += truth(&o, text("%d.large_bytes", phase));
		all += truth(&o, text("%d.allocated_bytes", phase));
	}
	json = ask_json(&o, "report",
			ARGV("--json", "--thread", "helper", "--stack", "take_blocks"));
	check_u64(json_u64(json, "memory.allocated_bytes"), helper, "the helpers' bytes");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(json, "threads")), PHASES, "threads");
	cJSON_Delete(json);
	json = ask_json(&o, "report", ARGV("--json", "--size", "1000..", "--stack", "take_blocks"));
	check_u64(json_u64(json, "memory.allocated_bytes"), large, "bytes of large blocks");
	cJSON_Delete(json);
	json = ask_json(&o, "report",
			ARGV("--json", "--module", "phases", "--stack", "take_*", "--stack",
			     "!write_some"));
	check_u64(json_u64(json, "memory.allocated_bytes"), all, "the program's bytes");
	check(file_entry(json, "written") == NULL ||
		      json_u64(file_entry(json, "written"), "written_bytes") == 0,
	      "what write_some wrote was left out");
	cJSON_Delete(json);
	json = ask_json(&o, "report", ARGV("--json", "--stack", "!*"));
	check_u64(json_u64(json, "memory.allocations"), 0, "allocations that nobody made");
	check_u64(json_u64(json, "filter.events"), 0, "events");
	cJSON_Delete(json);
}

/* What a line of folded stacks ends with, added up. */
static uint64_t folded_sum(const char *lines)
{
	uint64_t sum = 0;

	for (const char *end; (end = strchr(lines, '\n')) != NULL; lines = end + 1) {
		const char *number = end;

		while (number > lines && number[-1] != ' ')
			number--;
		sum += strtoull(number, NULL, 10);
	}
	return sum;
}

/* Each command that takes the options says the same of the same part. */
static void every_command(void **state)
{
	struct outcome o = record_phases(NULL), answer;
	uint64_t wanted = truth(&o, "1.allocated_bytes");
	cJSON *json;

	(void)state;
	answer = ask(&o, "export",
		     ARGV("--to", "folded", "--cost", "allocated", "--from", BEGIN(1), "--until",
			  END(1), "--stack", "take_blocks"));
	check_status(&answer, 0);
	check_u64(folded_sum(answer.out), wanted, "export");
	answer = ask(&o, "flame",
		     ARGV("--folded", "--cost", "allocated", "--from", BEGIN(1), "--to", END(1),
			  "--stack", "take_blocks"));
	check_status(&answer, 0);
	check_u64(folded_sum(answer.out), wanted, "flame");
	answer = ask(&o, "dump",
		     ARGV("--json", "--from", BEGIN(1), "--to", END(1), "--stack", "take_blocks"));
	check_status(&answer, 0);
	check_u64(dump_count(answer.out, "malloc"), truth(&o, "1.allocations"), "dump's mallocs");
	check_u64(dump_count(answer.out, "free"), truth(&o, "1.frees"), "dump's frees");
	json = ask_json(&o, "io", ARGV("--json", "--from", BEGIN(1), "--to", END(1)));
	check_u64(written(json, "written_bytes"), truth(&o, "1.written_bytes"), "io");
	cJSON_Delete(json);
}

/* Of a dump's line what its stack's number means, and how long the call took. */
static void whole_dump(void **state)
{
	struct outcome o = record_phases(NULL), answer;
	unsigned long lines = 0, named = 0, timed = 0;
	cJSON *json;

	(void)state;
	answer = ask(&o, "dump", ARGV("--full", "--stack", "take_blocks"));
	check_status(&answer, 0);
	for (char *rest = answer.out, *line; (line = strsep(&rest, "\n")) != NULL;) {
		lines += strstr(line, " malloc(") != NULL;
		named += strstr(line, " malloc(") != NULL && strstr(line, " take_blocks (") != NULL;
	}
	check(lines > 0 && lines == named, "%lu of %lu mallocs have their stack", named, lines);
	answer = ask(&o, "dump", ARGV("--full", "--json"));
	check_status(&answer, 0);
	for (char *rest = answer.out, *line; (line = strsep(&rest, "\n")) != NULL;) {
		json = cJSON_Parse(line);
		if (json == NULL || !cJSON_HasObjectItem(json, "count"))
			continue;
		check(cJSON_IsArray(json_at(json, "stack")), "no stack: %s", line);
		timed += json_at(json, "duration_us")->valuedouble > 0;
		cJSON_Delete(json);
	}
	check(timed > 0, "no call has a duration");
}

static void check_refused(const struct outcome *o, const char *const *options, const char *part)
{
	struct outcome answer = ask(o, "report", options);

	check_status(&answer, 2);
	check(strstr(answer.err, part) != NULL, "no '%s' in: %s", part, answer.err);
	check(strchr(answer.err, '\n') == answer.err + strlen(answer.err) - 1, "not one line: %s",
	      answer.err);
}

static void mistakes(void **state)
{
	struct outcome o = record_phases(NULL);

	(void)state;
	check_refused(&o, ARGV("--at", "phase9"), "phase0, phase1, phase2, phase3");
	check_refused(&o, ARGV("--from", "1h"), "the run ended after");
	check_refused(&o, ARGV("--from", "phase2", "--to", "phase1"), "nothing is between");
	check_refused(&o, ARGV("--at", "peak", "--from", "1"), "neither --from nor --to");
	check_refused(&o, ARGV("--thread", "nobody"), "helper");
	check_refused(&o, ARGV("--size", "many"), "MIN..MAX");
}

static void marks_refused(void **state)
{
	const struct options how = {.timeout_s = 20};
	const char *unrecorded = text("%d", getpid());
	static const char *const lines[][2] = {{"nobody", "by its number"},
					       {"0", "by its number"},
					       {"999999999", "no such process"}};
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		o = run(ARGV(perfhook_path(), "mark", lines[i][0], "x"), &how);
		check_status(&o, 2);
		check(strstr(o.err, lines[i][1]) != NULL, "%s", o.err);
	}
	o = run(ARGV(perfhook_path(), "mark", unrecorded, "x"), &how);
	check_status(&o, 2);
	check(strstr(o.err, "not being recorded") != NULL, "%s", o.err);
	o = run(ARGV(perfhook_path(), "mark", unrecorded, "a\nb"), &how);
	check_status(&o, 2);
	check(strstr(o.err, "control characters") != NULL, "%s", o.err);
}

/* A packed trace has its marks, and says the same of each part. */
static void packed(void **state)
{
	struct outcome o = record_phases(NULL), packer;
	const char *path = in_box("packed.trace");
	const struct options how = {.timeout_s = 60};
	cJSON *json;

	(void)state;
	packer = run(ARGV(perfhook_path(), "pack", o.trace, "-o", path), &how);
	check_status(&packer, 0);
	packer = run(ARGV(perfhook_path(), "report", path, "--json", "--stack", "take_blocks",
			  "--from", BEGIN(2), "--to", END(2)),
		     &how);
	check_status(&packer, 0);
	json = cJSON_Parse(packer.out);
	check_u64(json_u64(json, "memory.allocated_bytes"), truth(&o, "2.allocated_bytes"),
		  "allocated bytes");
	cJSON_Delete(json);
}

/* ---- sums and distributions ---------------------------------------------------- */

static double number(const cJSON *json, const char *path)
{
	const cJSON *n = json_at(json, path);

	check(cJSON_IsNumber(n), "%s is no number", path);
	return n->valuedouble;
}

/* What a row of "top" has of a cost; 0: it is not there. */
static uint64_t row_of(const cJSON *json, const char *name, const char *path)
{
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(json, "top.entries"))
	{
		if (strcmp(json_text(e, "name"), name) == 0)
			return json_u64(e, path);
	}
	return 0;
}

static void check_rows(const struct outcome *o, const char *by)
{
	cJSON *json = ask_json(o, "report",
			       ARGV("--json", "--top", "0", "--by", by, "--cost", "allocated"));

	check_u64(sum_of(json, "top.entries", "self.allocated_bytes"),
		  json_u64(json, "memory.allocated_bytes"), by);
	cJSON_Delete(json);
	json = ask_json(o, "report", ARGV("--json", "--top", "0", "--by", by));
	check_u64(sum_of(json, "top.entries", "self.peak_bytes"),
		  json_u64(json, "memory.peak_bytes"), by);
	cJSON_Delete(json);
	json = ask_json(o, "leaks", ARGV("--json", "--top", "0", "--by", by));
	check_u64(sum_of(json, "top.entries", "self.leaked_bytes"), sum_of(json, "leaks", "bytes"),
		  by);
	cJSON_Delete(json);
}

static void sums(void **state)
{
	static const char *const bys[] = {"function", "file", "module", "stack"};
	struct outcome o = record_phases(NULL);
	uint64_t all = 0, helper = 0, written_bytes = 0;
	cJSON *json;

	(void)state;
	for (int phase = 0; phase < PHASES; phase++) {
		all += truth(&o, text("%d.allocated_bytes", phase));
		helper += truth(&o, text("%d.helper_bytes", phase));
		written_bytes += truth(&o, text("%d.written_bytes", phase));
	}
	for (size_t i = 0; i < COUNT_OF(bys); i++)
		check_rows(&o, bys[i]);
	json = ask_json(&o, "report",
			ARGV("--json", "--top", "0", "--by", "function", "--cost", "allocated"));
	check_u64(row_of(json, "take_blocks", "self.allocated_bytes"), all, "take_blocks");
	check_u64(row_of(json, "help", "total.allocated_bytes"), helper, "help, with all below");
	check_u64(row_of(json, "help", "self.allocated_bytes"), 0, "help itself");
	cJSON_Delete(json);
	json = ask_json(&o, "report", ARGV("--json", "--by", "function", "--cost", "written"));
	check_u64(row_of(json, "write_some", "self.written_bytes"), written_bytes, "write_some");
	cJSON_Delete(json);
	json = ask_json(&o, "report", ARGV("--json", "--by", "thread", "--stack", "take_blocks"));
	check_u64(sum_of(json, "top.entries", "self.allocated_bytes"), all, "of threads");
	cJSON_Delete(json);
}

/* Of a tree and of a window too: each list adds up to the total. */
static void check_distributions(const cJSON *json)
{
	const cJSON *timeline = json_at(json, "memory.timeline"), *e;
	double wanted = number(json, "memory.allocations"), allocations = 0;
	double width = number(cJSON_GetArrayItem(timeline, 1), "at_s") -
		       number(cJSON_GetArrayItem(timeline, 0), "at_s");

	check_u64(sum_of(json, "allocation_sizes", "allocations"),
		  json_u64(json, "memory.allocations"), "allocations by size");
	check_u64(sum_of(json, "allocation_sizes", "allocated_bytes"),
		  json_u64(json, "memory.allocated_bytes"), "bytes by size");
	check_u64(sum_of(json, "allocation_sizes", "temporary_allocations"),
		  json_u64(json, "memory.temporary_allocations"), "temporary ones by size");
	check_u64(sum_of(json, "temporary", "temporary_allocations"),
		  json_u64(json, "memory.temporary_allocations"), "temporary ones by stack");
	check_u64(json_u64(json, "lifetimes.blocks"), json_u64(json, "memory.frees"),
		  "blocks that were freed");
	check_u64(sum_of(json, "lifetimes.by_time", "blocks"), json_u64(json, "memory.frees"),
		  "by time");
	check_u64(sum_of(json, "lifetimes.by_allocations", "blocks"),
		  json_u64(json, "memory.frees"), "by allocations");
	cJSON_ArrayForEach(e, timeline)
	{
		allocations += number(e, "allocations_per_s") * width;
	}
	check(allocations > 0.999 * wanted && allocations < 1.001 * wanted,
	      "%.3f allocations on the timeline, not %.0f", allocations, wanted);
}

static void distributions(void **state)
{
	struct outcome o = record_phases(NULL), tree = record_phases("tree");
	cJSON *json = ask_json(&o, "report", ARGV("--json", "--top", "0"));

	(void)state;
	check_distributions(json);
	cJSON_Delete(json);
	json = ask_json(&o, "report",
			ARGV("--json", "--top", "0", "--from", BEGIN(1), "--to", END(1)));
	check_distributions(json);
	cJSON_Delete(json);
	json = ask_json(&tree, "report", ARGV("--json", "--top", "0"));
	check_distributions(json);
	cJSON_Delete(json);
}

static void check_near(double got, double wanted, double part, const char *what)
{
	check(got >= wanted * (1 - part) && got <= wanted * (1 + part), "%s: %.0f, not %.0f", what,
	      got, wanted);
}

static void memory_of_the_kernel(void **state)
{
	struct outcome o = record(ARGV(program("resident")), NULL);
	cJSON *json = report(o.trace);
	double full = (double)truth(&o, "full.live_bytes");
	double asked_in_the_end = number(json, "resident.last.asked_percent");
	double asked_at_the_peak = number(json, "resident.at_peak.asked_percent");

	(void)state;
	check_near(number(json, "resident.most.anonymous_bytes"),
		   (double)truth(&o, "full.anonymous_bytes"), 0.05, "anonymous at most");
	check_near(number(json, "resident.last.anonymous_bytes"),
		   (double)truth(&o, "half.anonymous_bytes"), 0.05, "anonymous in the end");
	check_near(number(json, "resident.last.live_bytes"), full / 2, 0.01, "live in the end");
	check(asked_in_the_end < 60 && asked_at_the_peak > 80,
	      "%.1f %% asked for in the end, %.1f %% at the peak", asked_in_the_end,
	      asked_at_the_peak);
	check(number(json, "resident.peak_rss_bytes") >= full, "the most was %.0f",
	      number(json, "resident.peak_rss_bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(windows),
		boxed(windows_of_a_tree),
		boxed(moments),
		boxed(at_a_trees_peak),
		boxed(filters),
		boxed(every_command),
		boxed(whole_dump),
		boxed(mistakes),
		boxed(marks_refused),
		boxed(packed),
		boxed(sums),
		boxed(distributions),
		boxed(memory_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
