/* SPDX-License-Identifier: MIT */
/*
 * Recording without a collector: the library stands alone in a folder, or the
 * process is one that adopts orphans. Nothing is lost, and the trace is made by
 * whoever reads it first.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/programs/counter_shm.h"

static char *trace;

/* The library without its perfhook beside it. */
static char *lonely_library(void)
{
	char *path = in_box("lib/libperfhook.so");
	size_t size = 0;
	char *bytes = read_file(library_path(), &size);
	struct outcome o = run(ARGV("mkdir", "-p", in_box("lib")), NULL);

	check_status(&o, 0);
	write_file(path, bytes, size);
	trace = in_box("alone.trace");
	return path;
}

static struct outcome run_alone(const char *const *argv)
{
	const char *const env[] = {text("LD_PRELOAD=%s", lonely_library()),
				   text("PERFHOOK_OUT=%s", in_box("alone.trace")), NULL};

	return run(argv, &(struct options){.env = env, .timeout_s = 120});
}

static void check_gone(const char *tail)
{
	check(access(text("%s%s", trace, tail), F_OK) != 0, "%s%s is left behind", trace, tail);
}

/* The rings are too small for it, so it is written out many times over. */
static void library_alone(void **state)
{
	struct outcome o =
		run_alone(ARGV(program("counter_shm"), in_box("counters"), "4", "30000"));
	size_t size = 0;
	struct counters all;
	uint64_t wanted = 0;
	cJSON *json;
	char *bytes;

	(void)state;
	check_status(&o, 0);
	assert_string_equal(o.err, "");
	check(access(text("%s.segment", trace), F_OK) == 0, "there is no segment beside the trace");
	bytes = read_file(in_box("counters"), &size);
	memcpy(&all, bytes, sizeof(all));
	for (int i = 0; i < COUNTER_THREADS; i++)
		wanted += all.of[i].writes;
	json = report(trace);
	check(cJSON_IsTrue(json_at(json, "trace.complete")), "the trace is not complete");
	check_u64(json_u64(json, "trace.dropped"), 0, "dropped");
	check(file_entry(json, "/dev/null") != NULL, "no write was recorded");
	check_u64(json_u64(file_entry(json, "/dev/null"), "write_calls"), wanted, "writes");
	assert_string_equal(json_text(json, "process.end"), "exit");
	check_gone(".segment");
	check_gone(".spill");
}

/* More threads, one after the other, than there are slots. */
static void slots_are_given_on(void **state)
{
	struct outcome o = run_alone(
		ARGV(program("remote_free"), "8", full_mode() ? "40000" : "4000", "churn"));
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(trace);
	check_u64(json_u64(json, "trace.dropped"), 0, "dropped");
	check(json_u64(json, "memory.live_bytes") >= truth(&o, "live_bytes"),
	      "live bytes: %llu, of which the target's own %llu",
	      (unsigned long long)json_u64(json, "memory.live_bytes"),
	      (unsigned long long)truth(&o, "live_bytes"));
}

struct counting {
	const char *path;
	uint64_t enough;
};

static bool has_counted(void *context)
{
	const struct counting *c = context;
	size_t size = 0;
	char *bytes = read_file(c->path, &size);
	struct counters all;

	if (bytes == NULL || size < sizeof(all))
		return false;
	memcpy(&all, bytes, sizeof(all));
	return all.of[0].frees >= c->enough;
}

static void killed_alone(void **state)
{
	const char *const env[] = {text("LD_PRELOAD=%s", lonely_library()),
				   text("PERFHOOK_OUT=%s", in_box("alone.trace")), NULL};
	struct counting c = {in_box("counters"), 200000};
	struct running *r = start(ARGV(program("counter_shm"), c.path, "1", "-1"),
				  &(struct options){.env = env});
	struct counters all;
	size_t size = 0;
	uint64_t got;
	cJSON *json;

	(void)state;
	check(wait_until(has_counted, &c, 60), "the target does not get going");
	kill(running_pid(r), SIGKILL);
	finish(r);
	memcpy(&all, read_file(c.path, &size), sizeof(all));
	json = report(in_box("alone.trace"));
	got = json_u64(json, "memory.frees");
	check(got >= all.of[0].frees && got <= all.of[0].frees + 1,
	      "frees: %llu recorded, %llu had returned", (unsigned long long)got,
	      (unsigned long long)all.of[0].frees);
}

/* A container's first process. The collector would be its child. */
static void first_process(void **state)
{
	const char *const env[] = {text("LD_PRELOAD=%s", library_path()),
				   text("PERFHOOK_OUT=%s", in_box("alone.trace")), NULL};
	struct outcome o = run(ARGV("unshare", "--fork", "--pid", "--mount-proc", "true"), NULL);
	cJSON *json;

	(void)state;
	trace = in_box("alone.trace");
	if (o.status != 0)
		skip_because("pid namespaces are not permitted");
	o = run(ARGV("unshare", "--fork", "--pid", "--mount-proc", "env", env[0], env[1],
		     program("wait_any")),
		NULL);
	check_status(&o, 0);
	check(access(text("%s.segment", trace), F_OK) == 0, "pid 1 has got a collector");
	json = report(trace);
	check(cJSON_IsTrue(json_at(json, "trace.complete")), "the trace is not complete");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(library_alone),
		boxed(slots_are_given_on),
		boxed(killed_alone),
		boxed(first_process),
	};

	return cmocka_run_group_tests_name("alone", tests, NULL, NULL);
}
