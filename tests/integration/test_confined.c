/* SPDX-License-Identifier: MIT */
/* Programs that give up rights while they are recorded: what they do then is
 * recorded all the same, and the library does nothing that would be their end. */
#include "harness.h"

static bool says(const cJSON *report, const char *list, const char *what)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, json_at(report, list))
	{
		if (cJSON_IsString(entry) && strstr(entry->valuestring, what) != NULL)
			return true;
	}
	return false;
}

/* Death for each call that the program does not make itself. */
static void filtered(const char *how)
{
	struct pair pair = record_pair(ARGV(program("confined"), how), NULL);

	check_status(&pair.outcome, 0);
	check_heap_truth(&pair);
	check(says(pair.report, "coverage.not_seen", "seccomp filter"),
	      "%s: the filter is not named", how);
}

static void filter_by_prctl(void **state)
{
	(void)state;
	filtered("filter");
}

static void filter_by_syscall(void **state)
{
	(void)state;
	filtered("syscall");
}

static void filter_then_threads(void **state)
{
	struct pair pair = record_pair(ARGV(program("confined"), "threads"), NULL);

	(void)state;
	check_status(&pair.outcome, 0);
	check_heap_truth(&pair);
	/* Known by the name that the program used. */
	check_u64(json_u64(file_entry(pair.report, in_box("data")), "read_bytes"), 1,
		  "read under the filter");
	check(says(pair.report, "coverage.not_seen", "1 process that it forked"),
	      "the unrecorded child is not named");
}

static void probes_change_nothing(void **state)
{
	struct pair pair = record_pair(ARGV(program("confined"), "probes"), NULL);
	char **traces;

	(void)state;
	check_status(&pair.outcome, 0);
	check_heap_truth(&pair);
	check_u64(list_traces(&pair.outcome, &traces), 3, "traces of three generations");
	check(!says(pair.report, "coverage.not_seen", "seccomp") &&
		      !says(pair.report, "coverage.lost", "strict"),
	      "a filter is named that is not there");
}

/* Not even the counter can be read: recording ends, and says so. */
static void strict_mode(void **state)
{
	struct outcome o = record(ARGV(program("confined"), "strict"), NULL);
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	check(json_u64(json, "memory.allocations") >= 101, "what came before is missing");
	check(says(json, "coverage.lost", "strict mode"), "the end of recording is not named");
}

/* Children too: their segments were made before. */
static void with_children(const char *how)
{
	struct outcome o = record(ARGV(program("confined"), how), NULL);
	struct pair pair = record_pair(ARGV(program("confined"), how), NULL);
	char **traces;
	size_t children = 0, grandchildren = 0, count;

	check_status(&o, 0);
	check_status(&pair.outcome, 0);
	count = list_traces(&o, &traces);
	check_u64(count, 5, "traces of a process, its two children and theirs");
	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);

		if (strcmp(traces[i], o.trace) == 0)
			continue;
		if (leaked_by(json, "grandchild").bytes == 55 &&
		    leaked_by(json, "child").bytes < 777) {
			grandchildren++;
			continue;
		}
		children++;
		check(leaked_by(json, "child").bytes >= 777, "%s: the child's block is missing",
		      how);
		check_u64(json_u64(json, "process.ppid"), (uint64_t)o.pid, "ppid");
		check_u64(json_u64(json, "process.status"), 4 + children, "status");
	}
	check_u64(children, 2, "children");
	check_u64(grandchildren, 2, "grandchildren");
	check_heap_truth(&pair);
}

static void another_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("only root may chroot");
	with_children("chroot");
}

static void another_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("only root may become somebody else");
	with_children("user");
}

/* A process that is no thread, on our memory and thread-local storage. */
static void same_memory(void **state)
{
	struct pair pair = record_pair(ARGV(program("confined"), "vm"), NULL);

	(void)state;
	check_status(&pair.outcome, 0);
	check_u64(json_u64(pair.report, "memory.allocations") -
			  json_u64(pair.baseline_report, "memory.allocations"),
		  truth(&pair.outcome, "allocations"), "allocations");
	/* Its opens and closes are counted, and said. */
	check_u64(json_u64(pair.report, "trace.dropped"), 4000, "events of the other process");
	check(says(pair.report, "coverage.lost", "same memory"), "it is not said");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(filter_by_prctl),     boxed(filter_by_syscall),
					   boxed(filter_then_threads), boxed(probes_change_nothing),
					   boxed(strict_mode),	       boxed(another_root),
					   boxed(another_user),	       boxed(same_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
