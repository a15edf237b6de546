/* SPDX-License-Identifier: MIT */
/* `perfhook check`: each limit at the figure that the report has, and one below; against a
 * baseline; what cannot be told; and what JUnit's readers get. */
#include "harness.h"

static char *recorded(const char *name, const char *build)
{
	const struct outcome o =
		record(ARGV(program(text("%s.%s", name, build)), in_box("out")), NULL);

	check_status(&o, 0);
	return o.trace;
}

/* `perfhook check TRACE OPTION` */
static struct outcome checked(const char *trace, const char *option)
{
	return run(ARGV(perfhook_path(), "check", trace, option), NULL);
}

/* With no temporary file in the names, so that one more or less is told. */
static void test_each_limit(void **state)
{
	static const struct {
		const char *option, *figure;
	} limits[] = {
		{"max-peak", "memory.peak_bytes"},
		{"max-live-at-exit", "memory.live_bytes"},
		{"max-allocations", "memory.allocations"},
		{"max-allocated", "memory.allocated_bytes"},
		{"max-temporary", "memory.temporary_allocations"},
		{"max-read", "io.read_bytes"},
		{"max-written", "io.written_bytes"},
		{"max-sent", "sockets.sent_bytes"},
		{"max-received", "sockets.received_bytes"},
	};
	char *trace = recorded("diff_shapes", "changed");
	cJSON *json = report(trace);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		unsigned long value = json_u64(json, limits[i].figure);
		struct outcome o = checked(trace, text("--%s=%lu", limits[i].option, value));

		check_status(&o, 0);
		check(strstr(o.out, "held") != NULL, "%s: %s", o.line, o.out);
		o = checked(trace, text("--%s=%lu", limits[i].option, value - 1));
		check_status(&o, 1);
		check(strstr(o.out, "exceeded") != NULL && o.err[0] == '\0', "%s: %s", o.line,
		      o.out);
		check(strstr(o.out, "main  diff_shapes.c:") != NULL, "who it was: %s", o.out);
	}
}

/* Suspects are what leaks; what is suppressed is none. */
static void test_suspects(void **state)
{
	struct outcome target = record(ARGV(program("leak")), NULL), o;
	unsigned long bytes = truth(&target, "leaked_bytes");
	char *rules = in_box("known.supp");

	(void)state;
	o = checked(target.trace, text("--max-leaked=%lu", bytes));
	check_status(&o, 0);
	o = checked(target.trace, text("--max-leaked=%lu", bytes - 1));
	check_status(&o, 1);
	check(strstr(o.out, "entry_new") != NULL, "the leak: %s", o.out);
	o = checked(target.trace, "--max-leaks=1");
	check_status(&o, 0);
	o = checked(target.trace, "--max-leaks=0");
	check_status(&o, 1);
	write_file(rules, "leak:lookup\n", strlen("leak:lookup\n"));
	o = run(ARGV(perfhook_path(), "check", target.trace, "--max-leaked", "0", "--suppressions",
		     rules),
		NULL);
	check_status(&o, 0);
	check(strstr(o.out, "SUPPRESSED") != NULL, "what was suppressed: %s", o.out);
}

/* Where pointers were searched for it is what is lost, however little. */
static void test_lost(void **state)
{
	/* As the program has them, the last two one behind the other. */
	const unsigned long bytes =
		1001 + 1002 + 1003 + 1004 + 1009 + 1020 + 1030 + 1040 + sizeof(char *) * 4 + 63;
	char *trace = in_box("lost.trace");
	struct outcome o =
		run(ARGV(perfhook_path(), "record", "--leaks", "-o", trace, program("suppressed")),
		    NULL);

	(void)state;
	check_status(&o, 0);
	o = checked(trace, text("--max-leaked=%lu", bytes));
	check_status(&o, 0);
	o = checked(trace, text("--max-leaked=%lu", bytes - 1));
	check_status(&o, 1);
	o = checked(trace, "--max-leaks=10");
	check_status(&o, 0);
	o = checked(trace, "--max-leaks=9");
	check_status(&o, 1);
}

static cJSON *figures(const char *trace, const char *option)
{
	struct outcome o = run(ARGV(perfhook_path(), "check", "--json", trace, option), NULL);
	cJSON *json = cJSON_Parse(o.out);

	check(json != NULL, "%s: no JSON: %s%s", o.line, o.out, o.err);
	return json;
}

static const cJSON *limit_of(const cJSON *json, const char *name)
{
	const cJSON *limit;

	cJSON_ArrayForEach(limit, json_at(json, "limits")) if (strcmp(json_text(limit, "limit"),
								      name) == 0) return limit;
	fail_msg("no limit %s", name);
	return NULL;
}

static bool mentions(const cJSON *limit, const char *function)
{
	const cJSON *stack;

	cJSON_ArrayForEach(stack, json_at(limit, "stacks")) if (frame_of(stack, function) !=
								NULL) return true;
	return false;
}

/* Against a trace and against a file, of this build and of the one before. */
static void test_baseline(void **state)
{
	char *before = recorded("diff_shapes", "before"), *moved = recorded("diff_shapes", "moved");
	char *changed = recorded("diff_shapes", "changed"), *file = in_box("baseline.json");
	struct outcome o = run(ARGV(perfhook_path(), "check", before, "--json", "-o", file), NULL);
	const char *const baselines[] = {before, file};

	(void)state;
	check_status(&o, 0);
	for (size_t i = 0; i < COUNT_OF(baselines); i++) {
		char *against = text("--against=%s", baselines[i]);
		cJSON *json = figures(changed, against);

		o = checked(moved, against);
		check_status(&o, 0);
		o = checked(changed, against);
		check_status(&o, 1);
		check(cJSON_IsFalse(json_at(json, "passed")), "it is not passed");
		check(strcmp(json_text(limit_of(json, "max-written"), "verdict"), "exceeded") == 0,
		      "half as much again");
		check(strcmp(json_text(limit_of(json, "max-peak"), "verdict"), "held") == 0,
		      "within 5%%");
		check(mentions(limit_of(json, "max-live-at-exit"), "build_index"), "what is live");
		/* Of a trace, only what grew. */
		check(mentions(limit_of(json, "max-live-at-exit"), "numbers") == (i == 1),
		      "what grew");
		o = run(ARGV(perfhook_path(), "check", changed, against, "--tolerance", "50%",
			     "--tolerance", "200"),
			NULL);
		check_status(&o, 0);
		cJSON_Delete(json);
	}
}

static void check_unusable(const struct outcome *o, const char *word)
{
	check_status(o, 2);
	check(strstr(o->err, word) != NULL && strchr(o->err, '\n') == strrchr(o->err, '\n'),
	      "%s: one line with '%s': %s", o->line, word, o->err);
}

static void test_unusable(void **state)
{
	static const char *const options[][2] = {
		{"--max-peak=5x", "--max-peak"},
		{"--max-leaks=1.5.2", "--max-leaks"},
		{"--max-p99=/tmp", "--max-p99"},
		{"--max-p99==5ms", "--max-p99"},
		{"--max-p99=/nowhere=5ms", "/nowhere"},
		{"--max-temporary-share=5", "5"},
		{"--max-time=20", "--max-time"},
		{"--tolerance=x", "--tolerance"},
		{"--against=/nowhere.json", "nowhere"},
		{"--max-nothing=1", "--max-nothing"},
		{"--suppressions=/nowhere", "/nowhere"},
		{"--generate-suppressions", "unknown option"},
	};
	char *trace = recorded("diff_shapes", "moved"), *junk = in_box("junk.json");
	struct outcome o, memory;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		o = checked(trace, options[i][0]);
		check_unusable(&o, options[i][1]);
	}
	write_file(junk, "{\"figures\": 3}", strlen("{\"figures\": 3}"));
	o = checked(trace, text("--against=%s", junk));
	check_unusable(&o, "junk.json");
	memory = record(
		ARGV(program("diff_shapes.moved"), in_box("out")),
		&(struct options){.env = (const char *const[]){"PERFHOOK_EVENTS=memory", NULL}});
	o = checked(memory.trace, "--max-written=1M");
	check_unusable(&o, "PERFHOOK_EVENTS");
	o = checked(memory.trace, "--max-peak=1M");
	check_status(&o, 0);
}

/* A copy that lacks its end, and no more than makes it incomplete. */
static void cut_off(const char *trace, const char *copy)
{
	bool complete = true;
	size_t size;
	char *content;

	report(trace); /* which waits until it is written */
	content = read_file(trace, &size);
	for (size_t less = 4; complete && less < size; less += 4) {
		cJSON *json;

		write_file(copy, content, size - less);
		json = figures(copy, "--allow-incomplete");
		complete = cJSON_IsTrue(json_at(json, "complete"));
		cJSON_Delete(json);
	}
	check(!complete, "%s cannot be made incomplete", trace);
}

/* That limits held cannot be said of a part of a trace; that they did not can. */
static void test_incomplete(void **state)
{
	char *whole = recorded("diff_shapes", "moved"), *cut = in_box("cut.trace");
	struct outcome o;

	(void)state;
	cut_off(whole, cut);
	o = checked(cut, "--max-peak=1G");
	check_unusable(&o, "incomplete");
	check(strstr(o.out, "unknown") != NULL, "the verdict: %s", o.out);
	o = run(ARGV(perfhook_path(), "check", cut, "--max-peak=1G", "--allow-incomplete"), NULL);
	check_status(&o, 0);
	o = checked(cut, "--max-peak=1");
	check_status(&o, 1);
}

/* By their paths as they are, or by a glob; the stack with most time in it is named. */
static void test_latency(void **state)
{
	char *trace = recorded("diff_shapes", "moved");
	struct outcome o;

	(void)state;
	o = checked(trace, text("--max-p99=%s=10min", in_box("out")));
	check_status(&o, 0);
	o = checked(trace, "--max-latency=*/out=1ns");
	check_status(&o, 1);
	check(strstr(o.out, "save") != NULL, "who wrote it: %s", o.out);
}

static void test_parts(void **state)
{
	char *trace = recorded("diff_shapes", "moved");
	struct outcome o = run(ARGV(perfhook_path(), "check", trace, "--stack", "sort_numbers",
				    "--max-live-at-exit", "0", "--max-leaks", "0"),
			       NULL);

	(void)state;
	check_status(&o, 0);
	o = run(ARGV(perfhook_path(), "check", trace, "--stack", "build_index",
		     "--max-live-at-exit=0"),
		NULL);
	check_status(&o, 1);
}

/* Well formed, all counted, in the shape that Surefire's schema has; names that would break
 * it come through. */
static void test_junit(void **state)
{
	static const char judge[] =
		"import sys, xml.etree.ElementTree as x\n"
		"root = x.parse(sys.argv[1]).getroot()\n"
		"assert root.tag == 'testsuites', root.tag\n"
		"suite, = root\n"
		"need = {'name', 'tests', 'failures', 'errors', 'skipped', 'time'}\n"
		"assert need <= set(suite.attrib) <= need | {'timestamp', 'hostname'}\n"
		"assert int(suite.get('tests')) == len(suite) == 3\n"
		"float(suite.get('time'))\n"
		"found = [c.tag for case in suite for c in case]\n"
		"assert found.count('failure') == int(suite.get('failures')) == 2, found\n"
		"assert found.count('error') == int(suite.get('errors')) == 0, found\n"
		"for case in suite:\n"
		"    assert case.tag == 'testcase' and {'name', 'classname', 'time'} == "
		"set(case.attrib)\n"
		"    for c in case:\n"
		"        assert set(c.attrib) == {'message', 'type'} and c.text.strip()\n"
		"assert suite[1].get('name') == 'max-p99 */o<u&t\"\\\\x01\\\\xff', "
		"suite[1].get('name')\n"
		"assert 'save' in suite[1][0].text and 'o<u&t' in suite[1][0].text, "
		"suite[1][0].text\n";
	char *xml = in_box("verdict.xml"), *path = in_box("o<u&t\"\001\377");
	struct outcome o = record(ARGV(program("diff_shapes.moved"), path), NULL);
	char *trace = o.trace;

	(void)state;
	need_tool("python3");
	o = run(ARGV(perfhook_path(), "check", trace, "--max-peak=1G",
		     "--max-p99=*/o<u&t\"\001\377=1ns", "--max-live-at-exit=0", "--junit", xml),
		NULL);
	check_status(&o, 1);
	o = run(ARGV("python3", "-c", judge, xml), NULL);
	check(o.status == 0, "%s\n%s", o.err, read_file(xml, NULL));
}

/* A tree of processes is one: the sum. */
static void test_tree(void **state)
{
	char *first = recorded("diff_shapes", "moved"), *second = recorded("diff_shapes", "moved");
	cJSON *one = report(first);
	unsigned long bytes = json_u64(one, "memory.allocated_bytes");
	struct outcome o = run(ARGV(perfhook_path(), "check", first, second, "--max-allocated",
				    text("%lu", 2 * bytes)),
			       NULL);

	(void)state;
	check_status(&o, 0);
	o = run(ARGV(perfhook_path(), "check", first, second, "--max-allocated",
		     text("%lu", 2 * bytes - 1)),
		NULL);
	check_status(&o, 1);
}

/* What launches a program keeps to any limit: the program is in another trace. */
static void test_launched(void **state)
{
	char *trace = in_box("launched.trace");
	struct outcome o =
		run(ARGV(perfhook_path(), "record", "-o", trace, "env", program("leak")), NULL);

	(void)state;
	check_status(&o, 0);
	o = checked(trace, "--max-leaked=0");
	check_status(&o, 2);
	check(strstr(o.out, "became") != NULL && strstr(o.out, "unknown") != NULL, "said: %s",
	      o.out);
	o = run(ARGV(perfhook_path(), "check", trace, "--max-leaked=0", "--allow-incomplete"),
		NULL);
	check_status(&o, 0);
	o = run(ARGV("sh", "-c", text("%s check %s* --max-leaked=0", perfhook_path(), trace)),
		NULL);
	check_status(&o, 1);
	check(strstr(o.out, "entry_new") != NULL, "the leak: %s", o.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(test_each_limit), boxed(test_suspects), boxed(test_lost),
		boxed(test_baseline),	boxed(test_unusable), boxed(test_incomplete),
		boxed(test_latency),	boxed(test_parts),    boxed(test_junit),
		boxed(test_tree),	boxed(test_launched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
