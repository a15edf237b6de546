/* SPDX-License-Identifier: MIT */
/* Several traces as one report of the tree of processes. */
#include "harness.h"

static const cJSON *process_of(const cJSON *tree, uint64_t pid, uint64_t image)
{
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(tree, "processes"))
	{
		if (json_u64(e, "process.pid") == pid && json_u64(e, "process.image") == image)
			return e;
	}
	fail_msg("image %llu of process %llu is not in the report", (unsigned long long)image,
		 (unsigned long long)pid);
	return NULL;
}

static uint64_t sum_of(const cJSON *tree, const char *path)
{
	uint64_t sum = 0;
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(tree, "processes"))
	{
		sum += json_u64(e, path);
	}
	return sum;
}

static uint64_t sum_of_list(const cJSON *tree, const char *list, const char *member)
{
	uint64_t sum = 0;
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(tree, list))
	{
		sum += json_u64(e, member);
	}
	return sum;
}

/* Each total against the processes' own figures, and the lists against the totals. */
static void check_sums(const cJSON *tree)
{
	static const char *const paths[] = {
		"trace.events",
		"trace.dropped",
		"trace.bytes",
		"memory.allocations",
		"memory.frees",
		"memory.allocated_bytes",
		"memory.temporary_allocations",
		"memory.unmatched_frees",
		"memory.inherited_bytes",
		"memory.inherited_live_blocks",
		"io.read_bytes",
		"io.written_bytes",
		"io.read_calls",
		"io.write_calls",
		"io.errors",
		"io.latency_us.count",
		"sockets.sent_bytes",
		"sockets.received_bytes",
		"sockets.latency_us.count",
	};

	for (size_t i = 0; i < COUNT_OF(paths); i++)
		check_u64(json_u64(tree, paths[i]), sum_of(tree, paths[i]), paths[i]);
	check_u64(json_u64(tree, "memory.live_bytes"),
		  sum_of(tree, "memory.live_bytes") - sum_of(tree, "memory.inherited_live_bytes"),
		  "live bytes, each block once");
	check_u64(sum_of_list(tree, "leaks", "bytes"), json_u64(tree, "memory.live_bytes"),
		  "sum of leaks[].bytes");
	check_u64(sum_of_list(tree, "leaks", "blocks"), json_u64(tree, "memory.live_blocks"),
		  "sum of leaks[].blocks");
	check_u64(sum_of_list(tree, "peak", "bytes"), json_u64(tree, "memory.peak_bytes"),
		  "sum of peak[].bytes");
	check_u64(sum_of_list(tree, "io.files", "read_bytes"), json_u64(tree, "io.read_bytes"),
		  "sum of files[].read_bytes");
}

static void pipeline(void **state)
{
	struct outcome o;
	cJSON *tree;
	const cJSON *e, *pipe;
	size_t children = 0;

	(void)state;
	write_file(in_box("input"), "a\nb\nc\n", 6);
	o = record(ARGV("sh", "-c", "cat input | dd bs=64 status=none | cat"), NULL);
	check_status(&o, 0);
	tree = report_of_all(&o);
	check_sums(tree);
	check_u64(json_u64(tree, "process.pid"), (uint64_t)o.pid, "the root's pid");
	cJSON_ArrayForEach(e, json_at(tree, "processes"))
	{
		if (json_u64(e, "process.pid") == (uint64_t)o.pid) {
			check(cJSON_IsNull(json_at(e, "process.parent_pid")), "a root's parent");
			continue;
		}
		check_u64(json_u64(e, "process.parent_pid"), (uint64_t)o.pid, "parent");
		children += json_u64(e, "process.image") == 0;
	}
	check_u64(children, 3, "children of the shell");
	check_u64(json_u64(file_entry(tree, in_box("input")), "read_bytes"), 6, "input");
	/* A pipe is one, whoever has which end. */
	cJSON_ArrayForEach(pipe, json_at(tree, "io.files"))
	{
		if (strncmp(json_text(pipe, "path"), "pipe:", 5) != 0)
			continue;
		if (json_u64(pipe, "written_bytes") == 6 && json_u64(pipe, "read_bytes") == 6)
			return;
	}
	fail_msg("no pipe has both its ends");
}

static void images_in_order(void **state)
{
	struct outcome o = record(ARGV(program("ending"), "exec"), NULL);
	cJSON *tree;
	const cJSON *first, *second;

	(void)state;
	check_status(&o, 11);
	tree = report_of_all(&o);
	check_sums(tree);
	first = process_of(tree, (uint64_t)o.pid, 0);
	second = process_of(tree, (uint64_t)o.pid, 1);
	assert_string_equal(json_text(first, "process.end"), "exec");
	check_u64(json_u64(second, "process.status"), 11, "the second image's status");
	check(json_at(first, "process.started_at_s")->valuedouble == 0, "the first begins at 0");
	check(json_at(second, "process.started_at_s")->valuedouble > 0, "the second later");
	assert_string_equal(json_text(tree, "process.end"), "exec");
}

static void workers_leak_at_one_line(void **state)
{
	struct outcome o = record(ARGV(program("tree_shapes"), "prefork", "40"), NULL);
	cJSON *tree;
	struct amount before;
	const cJSON *leak;

	(void)state;
	check_status(&o, 0);
	tree = report_of_all(&o);
	check_sums(tree);
	check_u64((uint64_t)cJSON_GetArraySize(json_at(tree, "processes")), 41, "processes");
	leak = leak_with_function(tree, "leak_here");
	check(leak != NULL, "the workers' leak is not there");
	check_u64(json_u64(leak, "bytes"), truth(&o, "leaked.bytes"), "bytes in one entry");
	check_u64(json_u64(leak, "blocks"), truth(&o, "leaked.blocks"), "blocks in one entry");
	check_u64(json_u64(leak, "processes"), 40, "processes that have it");
	check_u64(leaked_by(tree, "leak_here").bytes, truth(&o, "leaked.bytes"), "no other entry");
	before = leaked_by(tree, "before_the_forks");
	check_u64(before.bytes, truth(&o, "before.bytes"), "what 41 processes had, once");
	check_u64(json_u64(file_entry(tree, in_box("shared")), "written_bytes"),
		  truth(&o, "written"), "one file");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(tree, "threads")), 41, "threads");
	check_u64(json_u64(cJSON_GetArrayItem(json_at(tree, "threads"), 0), "pid"), (uint64_t)o.pid,
		  "the first thread's process");
}

/* Loaded to other places, it is the same line. */
static void same_line_elsewhere(void **state)
{
	const char *leaky = program("tree_shapes");
	struct outcome o = record(
		ARGV("sh", "-c", text("%s leak; %s leak; %s leak", leaky, leaky, leaky)), NULL);
	cJSON *tree;
	const cJSON *leak;

	(void)state;
	check_status(&o, 0);
	tree = report_of_all(&o);
	check_sums(tree);
	leak = leak_with_function(tree, "leak_here");
	check(leak != NULL, "the leak is not there");
	check_u64(json_u64(leak, "bytes"), 3 * 5 * 100, "bytes of three processes");
	check_u64(json_u64(leak, "processes"), 3, "processes");
}

static void double_fork(void **state)
{
	struct outcome o = record(ARGV(program("tree_shapes"), "double"), NULL);
	uint64_t middle, child;
	cJSON *tree;
	const cJSON *e;

	(void)state;
	check_status(&o, 0);
	middle = truth(&o, "middle");
	child = truth(&o, "daemon");
	tree = report_of_all(&o);
	check_sums(tree);
	e = process_of(tree, middle, 0);
	check_u64(json_u64(e, "process.parent_pid"), (uint64_t)o.pid, "the middle one's parent");
	e = process_of(tree, child, 0);
	check_u64(json_u64(e, "process.parent_pid"), middle, "the parent that has ended");
	check_u64(leaked_by(tree, "daemon_leaks").bytes, truth(&o, "daemon.bytes"), "its leak");
	/* In the tree's order: each after its parent. */
	check_u64(json_u64(cJSON_GetArrayItem(json_at(tree, "processes"), 2), "process.pid"), child,
		  "the last one");
}

/* Spawned children name no trace: they are found by their parent's pid. */
static void spawned(void **state)
{
	struct outcome o = record(ARGV(program("vfork_exec")), NULL);
	cJSON *tree;
	const cJSON *e;
	size_t children = 0;

	(void)state;
	check_status(&o, 0);
	tree = report_of_all(&o);
	check_sums(tree);
	cJSON_ArrayForEach(e, json_at(tree, "processes"))
	{
		if (json_u64(e, "process.pid") == (uint64_t)o.pid)
			continue;
		check_u64(json_u64(e, "process.parent_pid"), (uint64_t)o.pid, "parent");
		children++;
	}
	check(children >= 20, "%zu children", children);
}

static void peak_of_all(void **state)
{
	struct outcome o = record(ARGV(program("tree_shapes"), "peaks"), NULL);
	uint64_t peak, wanted = truth(&o, "peak"), parents = 0, childs = 0;
	cJSON *tree;
	const cJSON *e;

	(void)state;
	check_status(&o, 0);
	tree = report_of_all(&o);
	check_sums(tree);
	peak = json_u64(tree, "memory.peak_bytes");
	check(peak >= wanted && peak < wanted + 65536, "the peak is %llu, not about %llu",
	      (unsigned long long)peak, (unsigned long long)wanted);
	check(json_u64(tree, "memory.peak_uncertainty_bytes") < 65536, "uncertain by %llu",
	      (unsigned long long)json_u64(tree, "memory.peak_uncertainty_bytes"));
	cJSON_ArrayForEach(e, json_at(tree, "peak"))
	{
		check(frame_of(e, "parent_alone") == NULL, "what came later is in the peak");
		if (frame_of(e, "parent_holds") != NULL)
			parents += json_u64(e, "bytes");
		if (frame_of(e, "child_holds") != NULL) {
			childs += json_u64(e, "bytes");
			check_u64(json_u64(e, "most_pid"), truth(&o, "child"), "who holds it");
		}
	}
	check_u64(parents, 4 << 20, "held by the parent then");
	check_u64(childs, 8 << 20, "held by the child then");
}

static struct outcome report_with(const char *const *options, char **paths, size_t count)
{
	struct options o = {.timeout_s = 120, .env = ARGV("LC_ALL=C", "COLUMNS=100")};
	const char *argv[256] = {perfhook_path(), "report"};
	size_t n = 2;

	while (*options != NULL)
		argv[n++] = *options++;
	for (size_t i = 0; i < count; i++)
		argv[n++] = paths[i];
	return run(argv, &o);
}

static void order_is_nothing(void **state)
{
	struct outcome o =
		record(ARGV("sh", "-c", "cat /etc/passwd | sort | dd status=none"), NULL);
	struct outcome there, back;
	char **paths, *moved;
	size_t count;

	(void)state;
	check_status(&o, 0);
	count = list_traces(&o, &paths);
	there = report_with(ARGV("--json", "--top", "0"), paths, count);
	check_status(&there, 0);
	for (size_t i = 0; i < count / 2; i++) {
		moved = paths[i];
		paths[i] = paths[count - 1 - i];
		paths[count - 1 - i] = moved;
	}
	back = report_with(ARGV("--json", "--top", "0"), paths, count);
	assert_string_equal(there.out, back.out);
}

static void drawn(void **state)
{
	struct outcome o = record(ARGV(program("tree_shapes"), "prefork", "20"), NULL);
	struct outcome said;
	char **paths;
	size_t count, lines = 0;

	(void)state;
	check_status(&o, 0);
	count = list_traces(&o, &paths);
	said = report_with(ARGV("--top", "5"), paths, count);
	check_status(&said, 0);
	check(strstr(said.out, "PROCESSES  21 in 21 images") != NULL, "%s", said.out);
	check(strstr(said.out, text("%d tree_shapes prefork 20", o.pid)) != NULL, "%s", said.out);
	check(strstr(said.out, "`- ... 16 more") != NULL, "%s", said.out);
	for (const char *at = said.out; (at = strstr(at, "(fork)")) != NULL; at++)
		lines++;
	check_u64(lines, 4, "children drawn");
	said = report_with(ARGV("--top", "20"), paths, count);
	check(strstr(said.out, "  ... 1 more process (--top 0 shows all)") != NULL, "%s", said.out);
	said = report_with(ARGV("--top", "5"), paths, count);
	check(strstr(said.out, "left by 20 processes, 500 B of it by ") != NULL, "%s", said.out);
}

/* Whatever --top is, programs that were not recorded are named. */
static void unrecorded_are_never_cut(void **state)
{
	struct outcome o = record(
		ARGV("sh", "-c", "env -i /bin/true; env -i /bin/false; cat /dev/null; true"), NULL);
	struct outcome said;
	char **paths;
	size_t count;

	(void)state;
	check_status(&o, 0);
	count = list_traces(&o, &paths);
	said = report_with(ARGV("--top", "1"), paths, count);
	check_status(&said, 0);
	check(strstr(said.out, "/bin/true, which is not recorded") != NULL, "%s", said.out);
	check(strstr(said.out, "/bin/false, which is not recorded") != NULL, "%s", said.out);
}

/* An image that replaced another stands under it. */
static void drawn_images(void **state)
{
	struct outcome o = record(ARGV("sh", "-c", "(cat /dev/null); exec true"), NULL);
	struct outcome said;
	char **paths;
	size_t count;

	(void)state;
	check_status(&o, 0);
	count = list_traces(&o, &paths);
	said = report_with(ARGV("--top", "0"), paths, count);
	check_status(&said, 0);
	check(strstr(said.out, "PROCESSES  2 in 4 images") != NULL, "%s", said.out);
	check(strstr(said.out, text("  %d sh -c (cat /dev/null); exec true\n", o.pid)) != NULL,
	      "%s", said.out);
	check(strstr(said.out, "  |    then true\n") != NULL, "%s", said.out);
	check(strstr(said.out, " (fork)\n") != NULL, "%s", said.out);
	check(strstr(said.out, "        then cat /dev/null\n") != NULL, "%s", said.out);
}

/* What is not given is named, and is no error. */
static void missing_traces(void **state)
{
	struct outcome o = record(ARGV(program("tree_shapes"), "double"), NULL);
	char *middle, *child, *paths[3];
	struct outcome said;

	(void)state;
	check_status(&o, 0);
	middle = text("%llu", (unsigned long long)truth(&o, "middle"));
	child = text("%llu", (unsigned long long)truth(&o, "daemon"));
	paths[0] = o.trace;
	paths[1] = text("%s/out.%s.trace", o.traces, child);
	said = report_with(ARGV("--top", "10"), paths, 2);
	check_status(&said, 0);
	check(strstr(said.out, text("%d forked 1 child whose trace was not given: %s", o.pid,
				    middle)) != NULL,
	      "%s", said.out);
	check(strstr(said.out,
		     text("%s was forked by %s, whose trace was not given", child, middle)) != NULL,
	      "%s", said.out);
	check(strstr(said.out, "of 2 processes") != NULL, "%s", said.out);
	write_file(in_box("broken.trace"), "no trace", 8);
	paths[1] = in_box("broken.trace");
	said = report_with(ARGV("--top", "10"), paths, 2);
	check_status(&said, 0);
	check(strstr(said.out, "LOST        left out: ") != NULL, "%s", said.out);
	check(strstr(said.out, "broken.trace") != NULL, "%s", said.out);
}

/* What a process became by exec, and one trace of a tree by itself. */
static void missing_successors(void **state)
{
	struct outcome o = record(ARGV("sh", "-c", "(cat /dev/null; exec true); exec true"), NULL);
	char *firsts[4], **paths;
	size_t count, n = 0;
	struct outcome said;
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	count = list_traces(&o, &paths);
	for (size_t i = 0; i < count && n < COUNT_OF(firsts); i++)
		if (strcmp(paths[i] + strlen(paths[i]) - 2, ".1") != 0)
			firsts[n++] = paths[i];
	check_u64(n, 3, "processes");
	said = report_with(ARGV("--top", "10"), firsts, n);
	check_status(&said, 0);
	check(strstr(said.out, "2 processes became other programs, whose traces were not given") !=
		      NULL,
	      "%s", said.out);
	said = report_with(ARGV("--top", "10"), paths, count);
	check(strstr(said.out, "not given") == NULL, "%s", said.out);
	check(strstr(said.out, "children  ") == NULL, "%s", said.out);
	said = report_with(ARGV("--top", "10"), &o.trace, 1);
	check(strstr(said.out, "children    1 process that it started is not in these figures") !=
		      NULL,
	      "%s", said.out);
	check(strstr(said.out, "  became ") != NULL && strstr(said.out, "/true, which is not in"),
	      "%s", said.out);
	json = report(o.trace);
	check_u64(json_u64(json, "process.children"), 1, "children");
	check(strstr(json_text(json, "process.became"), "/true") != NULL, "what it became");
	for (size_t i = 0; i < count; i++) {
		if (strcmp(paths[i] + strlen(paths[i]) - 2, ".1") != 0)
			continue;
		json = report(paths[i]);
		check_u64(json_u64(json, "process.children"), 0, "children of a last image");
		check(cJSON_IsNull(json_at(json, "process.became")), "became something");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(pipeline),
		boxed(images_in_order),
		boxed(workers_leak_at_one_line),
		boxed(same_line_elsewhere),
		boxed(double_fork),
		boxed(spawned),
		boxed(peak_of_all),
		boxed(order_is_nothing),
		boxed(drawn),
		boxed(drawn_images),
		boxed(unrecorded_are_never_cut),
		boxed(missing_traces),
		boxed(missing_successors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
