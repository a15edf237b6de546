/* SPDX-License-Identifier: MIT */
/* Ends, forks, new images: each process its own trace, with the right end. */
#include <signal.h>

#include "harness.h"

static void check_end(const char *way, int status, int signal, const char *end)
{
	struct outcome o = record(ARGV(program("ending"), way), NULL);
	cJSON *json;

	check(o.status == status && o.signal == signal, "%s: status %d, signal %d", way, o.status,
	      o.signal);
	json = report(o.trace);
	check(strcmp(json_text(json, "process.end"), end) == 0, "%s: end is \"%s\"", way,
	      json_text(json, "process.end"));
	if (signal == 0)
		check_u64(json_u64(json, "process.status"), (uint64_t)status, way);
	check(leaked_by(json, "main").bytes >= 12345, "%s: the allocation is missing", way);
	check_u64(json_u64(json, "process.pid"), (uint64_t)o.pid, "pid");
}

static void ends_by_exit(void **state)
{
	(void)state;
	check_end("return", 5, 0, "exit");
	check_end("exit", 3, 0, "exit");
	check_end("_exit", 4, 0, "exit");
	check_end("_Exit", 8, 0, "exit");
	check_end("thread", 9, 0, "exit");
}

/* What nobody in the process sees: what is told must not be made up. */
static void ends_unseen(void **state)
{
	static const char *const ways[] = {"quick_exit", "exit_group", "SIGTERM", "SIGKILL",
					   "SIGSEGV"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct outcome o = record(ARGV(program("ending"), ways[i]), NULL);
		cJSON *json = report(o.trace);
		const char *end = json_text(json, "process.end");
		const char *likely = ways[i][0] == 'S' ? "signal" : "exit";
		const cJSON *status = json_at(json, "process.status");

		check(strcmp(end, "unknown") == 0 || strcmp(end, likely) == 0, "%s: end is \"%s\"",
		      ways[i], end);
		if (strcmp(end, "unknown") != 0 && !cJSON_IsNull(status))
			check_u64(json_u64(json, "process.status"),
				  (uint64_t)(o.signal != 0 ? o.signal : o.status), ways[i]);
		check(leaked_by(json, "main").bytes >= 12345, "%s: the allocation is missing",
		      ways[i]);
	}
}

/* `perfhook record` is the parent: it knows how its command ended. */
static void check_record_end(const char *way, int status, const char *end, int number)
{
	char *trace = in_box("%s.trace", way);
	struct outcome o = run(
		ARGV(perfhook_path(), "record", "-o", trace, "--", program("ending"), way), NULL);
	cJSON *json;

	check_status(&o, status);
	json = report(trace);
	check(strcmp(json_text(json, "process.end"), end) == 0, "%s: end is \"%s\"", way,
	      json_text(json, "process.end"));
	check_u64(json_u64(json, "process.status"), (uint64_t)number, way);
	check(leaked_by(json, "main").bytes >= 12345, "%s: the allocation is missing", way);
}

static void ends_under_record(void **state)
{
	struct outcome o;

	(void)state;
	check_record_end("return", 5, "exit", 5);
	check_record_end("quick_exit", 6, "exit", 6);
	check_record_end("SIGTERM", 128 + SIGTERM, "signal", SIGTERM);
	check_record_end("SIGKILL", 128 + SIGKILL, "signal", SIGKILL);
	check_record_end("abort", 128 + SIGABRT, "signal", SIGABRT);
	o = run(ARGV(perfhook_path(), "record", "-o", in_box("t"), "--", "/no/such/command"), NULL);
	check_status(&o, 127);
	o = run(ARGV(perfhook_path(), "record", "-o", in_box("t"), "--", "/etc/passwd"), NULL);
	check_status(&o, 126);
}

static void child_inherits_blocks(void **state)
{
	struct outcome o = record(ARGV(program("fork_inherit")), NULL);
	struct outcome base = record(ARGV(program("fork_inherit"), "baseline"), NULL);
	cJSON *parent, *child, *parent_base;
	uint64_t libc_bytes;

	(void)state;
	check_status(&o, 0);
	parent = report(o.trace);
	parent_base = report(base.trace);
	child = report(text("%s/out.%llu.trace", o.traces, (unsigned long long)truth(&o, "child")));
	libc_bytes = json_u64(parent_base, "memory.live_bytes");
	check_u64(json_u64(parent, "memory.live_bytes") - libc_bytes,
		  truth(&o, "parent.live_bytes"), "parent's live_bytes");
	check_u64(json_u64(child, "memory.live_bytes") - libc_bytes, truth(&o, "child.live_bytes"),
		  "child's live_bytes");
	check_u64(leaked_by(child, "in_the_child").bytes, truth(&o, "child.own_bytes"),
		  "allocated by the child");
	check_u64(leaked_by(child, "before_the_fork").bytes,
		  truth(&o, "child.live_bytes") - truth(&o, "child.own_bytes"),
		  "inherited by the child");
	check_u64(json_u64(file_entry(child, in_box("shared")), "written_bytes"),
		  truth(&o, "child.written_bytes"), "written by the child");
	check_u64(json_u64(file_entry(parent, in_box("shared")), "written_bytes"),
		  truth(&o, "parent.written_bytes"), "written by the parent");
	check_u64(json_u64(child, "process.ppid"), (uint64_t)o.pid, "ppid");
	check_u64(json_u64(child, "process.status"), 21, "the child's status");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(report_of_all(&o), "processes")), 2,
		  "processes of the tree");
}

static void new_image(void **state)
{
	struct outcome o = record(ARGV(program("ending"), "exec"), NULL);
	bool first = false, second = false;
	char **traces;
	size_t count;

	(void)state;
	check_status(&o, 11);
	count = list_traces(&o, &traces);
	check_u64(count, 2, "traces of a process with two images");
	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);
		const char *end = json_text(json, "process.end");

		check_u64(json_u64(json, "process.pid"), (uint64_t)o.pid, "pid");
		first |= strcmp(end, "exec") == 0 && strcmp(traces[i], o.trace) == 0;
		second |= strcmp(end, "exit") == 0 && json_u64(json, "process.status") == 11;
	}
	check(first, "the first image does not end by exec");
	check(second, "the second image does not end by exit with 11");
}

static void children_that_libc_starts(void **state)
{
	const char *const skip_children[] = {"PERFHOOK_CHILDREN=skip", NULL};
	struct outcome o = record(ARGV(program("ending"), "spawn"), NULL);
	char **traces;

	(void)state;
	check_status(&o, 0);
	/* sh, sh with cat (one or two processes), true. */
	check(list_traces(&o, &traces) >= 4, "children are missing");
	o = record(ARGV(program("ending"), "spawn"), &(struct options){.env = skip_children});
	check_status(&o, 0);
	check_u64(list_traces(&o, &traces), 1, "traces with PERFHOOK_CHILDREN=skip");
}

static void output_names(void **state)
{
	struct options options = {.preload = true};
	const char *const names[] = {text("PERFHOOK_OUT=%s", in_box("x.%%p%%%%.%%e")), NULL};
	const char *const foreign[] = {text("PERFHOOK_OUT=%s", in_box("precious")), NULL};
	struct outcome o;
	size_t size;

	(void)state;
	options.env = names;
	o = run(ARGV(program("ending"), "return"), &options);
	check_status(&o, 5);
	check(access(in_box("x.%d%%.ending", o.pid), R_OK) == 0, "no x.%d%%.ending: %s", o.pid,
	      o.err);
	write_file(in_box("precious"), "not a trace", 11);
	options.env = foreign;
	o = run(ARGV(program("ending"), "return"), &options);
	check_status(&o, 5);
	assert_string_equal(read_file(in_box("precious"), &size), "not a trace");
	check(strncmp(o.err, "perfhook: ", 10) == 0, "not refused in a line: %s", o.err);
}

struct sleeper {
	const char *trace;
	int pid;
};

static bool is_told(void *context)
{
	const struct sleeper *s = context;
	struct outcome o = run(ARGV(perfhook_path(), "report", "--json", s->trace), NULL);
	cJSON *json = o.status == 0 ? cJSON_Parse(o.out) : NULL;
	cJSON *thread = json != NULL ? json_at(json, "threads")->child : NULL;

	return thread != NULL && json_u64(thread, "tid") == (uint64_t)s->pid &&
	       strcmp(json_text(thread, "name"), "sleep") == 0;
}

/* Who the threads of a process are stands in its trace while it runs. */
static void runs_on(void **state)
{
	struct sleeper s = {.trace = in_box("sleep.trace")};
	const char *const env[] = {text("PERFHOOK_OUT=%s", s.trace), NULL};
	const struct options options = {.preload = true, .output = in_box("out"), .env = env};
	struct running *r = start(ARGV("sleep", "50"), &options);

	(void)state;
	s.pid = running_pid(r);
	check(wait_until(is_told, &s, 40), "its thread is not named");
	kill(s.pid, SIGTERM);
	finish(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(ends_by_exit),	      boxed(ends_unseen), boxed(ends_under_record),
		boxed(child_inherits_blocks), boxed(new_image),	  boxed(children_that_libc_starts),
		boxed(output_names),	      boxed(runs_on)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
