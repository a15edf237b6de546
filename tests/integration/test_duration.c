/* SPDX-License-Identifier: MIT */
/* `perfhook record --duration`: how a command is ended, and what is recorded then. */
#include <signal.h>

#include "harness.h"

static struct outcome record_for(const char *seconds, const char *lines)
{
	return run(ARGV(perfhook_path(), "record", "-o", in_box("t.trace"), "--duration", seconds,
			"sh", "-c", lines),
		   NULL);
}

static void ended_by_a_signal(void **state)
{
	struct outcome o = record_for("0.3", "exec sleep 60");
	cJSON *json;

	(void)state;
	check_status(&o, 128 + SIGTERM);
	check(strstr(o.err, "was ended after 0.3 s (--duration)") != NULL, "it says: %s", o.err);
	o = run(ARGV("sh", "-c", text("%s report --json t.trace*", perfhook_path())), NULL);
	json = cJSON_Parse(o.out);
	check(json != NULL, "no report: %s", o.err);
	check(json_at(json, "trace.complete")->type == cJSON_True, "the trace is not complete");
	cJSON_Delete(json);
}

/* A program that meets the signal ends as it likes. */
static void ended_by_itself(void **state)
{
	struct outcome o = record_for("0.3", "trap 'exit 5' TERM; while :; do sleep 0.1; done");

	(void)state;
	check_status(&o, 5);
}

static bool has_gone(void *pid)
{
	return kill(*(int *)pid, 0) != 0;
}

/* What it started is not left over. */
static void ended_with_its_children(void **state)
{
	struct outcome o = record_for("0.5", "sh -c 'sleep 60 & echo $! >pid; wait'; true");
	int pid = atoi(read_file(in_box("pid"), NULL));

	(void)state;
	check_status(&o, 128 + SIGTERM);
	check(pid > 0 && wait_until(has_gone, &pid, 10), "process %d is left over", pid);
}

static void ends_before(void **state)
{
	struct outcome o = record_for("60", "exit 3");

	(void)state;
	check_status(&o, 3);
	check(strstr(o.err, "--duration") == NULL, "it says: %s", o.err);
}

static void wrong_durations(void **state)
{
	static const char *const wrong[] = {"0", "-1", "x", "1s", "nan", "inf", ""};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct outcome o = record_for(wrong[i], "echo ran");

		check_status(&o, 2);
		check(*o.out == '\0', "--duration %s: the command was run", wrong[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(ended_by_a_signal), boxed(ended_by_itself), boxed(ended_with_its_children),
		boxed(ends_before),	  boxed(wrong_durations),
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
