/* SPDX-License-Identifier: MIT */
/* Waits, and how threads' time splits up, against targets that measure themselves. */
#include <math.h>
#include <signal.h>

#include "harness.h"

/* ---- the split ------------------------------------------------------------------ */

#define TOLERATED 0.05 /* of the thread's whole time */

static const cJSON *thread_of(const cJSON *json, uint64_t tid)
{
	const cJSON *t;

	cJSON_ArrayForEach(t, json_at(json, "threads"))
	{
		if (json_u64(t, "tid") == tid)
			return t;
	}
	fail_msg("no thread %llu in the report", (unsigned long long)tid);
	return NULL;
}

static double seconds(const cJSON *thread, const char *part)
{
	const cJSON *n = json_at(thread, part);

	check(cJSON_IsNumber(n), "%s is not known", part);
	return n->valuedouble;
}

static double true_seconds(const struct outcome *o, const char *role, const char *part)
{
	return (double)truth(o, text("%s.%s_us", role, part)) / 1e6;
}

static void check_part(const struct outcome *o, const cJSON *thread, const char *role,
		       const char *part, double slack)
{
	double got = seconds(thread, text("%s_s", part)), wanted = true_seconds(o, role, part);
	double wall = true_seconds(o, role, "wall");

	check(fabs(got - wanted) <= TOLERATED * wall + slack,
	      "%s: %s for %.4f s, not %.4f s, of %.4f s\n%s", role, part, got, wanted, wall,
	      o->out);
}

static void check_split(const struct outcome *o, const cJSON *json, const char *role)
{
	static const char *const calls[] = {"reading", "writing", "network", "waiting", "sleeping"};
	const cJSON *thread = thread_of(json, truth(o, text("%s.tid", role)));
	/* What a thread was kept from running inside of calls that only compute is not
	 * told apart. */
	double slack = strcmp(role, "copier") == 0 ? true_seconds(o, role, "runnable") : 0;
	double sum = seconds(thread, "running_s") + seconds(thread, "runnable_s") +
		     seconds(thread, "unexplained_s");
	double whole = seconds(thread, "ended_at_s") - seconds(thread, "started_at_s");

	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		check_part(o, thread, role, calls[i], 0);
		sum += seconds(thread, text("%s_s", calls[i]));
	}
	check_part(o, thread, role, "running", slack);
	check(fabs(sum - whole) < 1e-3, "%s: the parts are %.4f s, not %.4f s", role, sum, whole);
	/* Before its own first line, and after its last, it did nothing worth the name. */
	check(seconds(thread, "unexplained_s") <= TOLERATED * whole,
	      "%s: %.4f s of %.4f s are not explained\n%s", role, seconds(thread, "unexplained_s"),
	      whole, o->out);
}

/* A hypervisor takes time away that no counter of the kernel shows. */
static bool is_explained(const cJSON *json)
{
	const cJSON *thread;

	cJSON_ArrayForEach(thread, json_at(json, "threads"))
	{
		/* One that did not end by itself ended with the process. */
		const cJSON *ended = json_at(thread, "ended_at_s");
		double whole =
			(cJSON_IsNumber(ended) ? ended->valuedouble
					       : seconds(json_at(json, "process"), "duration_s")) -
			seconds(thread, "started_at_s");

		if (seconds(thread, "unexplained_s") > TOLERATED * whole)
			return false;
	}
	return true;
}

static void threads_split(void **state)
{
	static const char *const roles[] = {"sleeper", "holder", "locker", "copier",
					    "server",  "client", "even",   "odd"};
	struct outcome o = record(ARGV(program("time_split")), NULL);
	const cJSON *json, *first;
	double early;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	for (int more = 3; more > 0 && !is_explained(json); more--) {
		o = record(ARGV(program("time_split")), NULL);
		check_status(&o, 0);
		json = report(o.trace);
	}
	for (size_t i = 0; i < COUNT_OF(roles); i++)
		check_split(&o, json, roles[i]);
	/* The first thread did not end by itself, and began before its main(). */
	first = thread_of(json, truth(&o, "main.tid"));
	early = seconds(json_at(json, "process"), "duration_s") - true_seconds(&o, "main", "wall");
	check_part(&o, first, "main", "waiting", 0);
	check_part(&o, first, "main", "running", early);
	check(seconds(first, "unexplained_s") <=
		      TOLERATED * true_seconds(&o, "main", "wall") + early,
	      "%.4f s of the first thread are not explained", seconds(first, "unexplained_s"));
}

/* ---- objects and stacks --------------------------------------------------------- */

/* Of all of that kind in a function, which may stand in several lines of it: how
 * many, each of them for that object (NULL: for none). */
static void check_waits(const cJSON *json, const char *kind, const char *function,
			const char *object, uint64_t wanted)
{
	uint64_t count = 0;
	const cJSON *w;

	cJSON_ArrayForEach(w, json_at(json, "waits"))
	{
		const cJSON *latency = json_at(w, "latency_us"), *named = json_at(w, "object");

		if (strcmp(json_text(w, "kind"), kind) != 0 || frame_of(w, function) == NULL)
			continue;
		check(object != NULL
			      ? cJSON_IsString(named) && strstr(named->valuestring, object) != NULL
			      : cJSON_IsNull(named),
		      "the %s in %s() is for %s, not %s", kind, function,
		      cJSON_IsString(named) ? named->valuestring : "nothing",
		      object != NULL ? object : "nothing");
		check_u64(json_u64(latency, "count"), json_u64(w, "count"), "latencies");
		check(seconds(w, "time_s") >= seconds(latency, "max") / 1e6 * 0.999,
		      "less in all than at most");
		count += json_u64(w, "count");
	}
	check_u64(count, wanted, text("%ss in %s()", kind, function));
}

static void objects_of_waits(void **state)
{
	struct outcome o = record(ARGV(program("waits")), NULL);
	const cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	check_waits(json, "lock", "wait_for_variable", "known_lock in waits", 1);
	check_waits(json, "lock", "wait_for_block", "from make_block", 1);
	check_waits(json, "lock", "wait_for_local", "0x", 1);
	check_waits(json, "condition", "wait_for_condition", "known_condition in waits", 3);
	check_waits(json, "semaphore", "wait_for_semaphore", "known_semaphore in waits", 3);
	check_waits(json, "poll", "wait_for_pipe", "pipe:[", 3);
	check_waits(json, "poll", "wait_for_socket", "unix stream", 3);
	check_waits(json, "poll", "wait_for_several", "several descriptors", 3);
	check_waits(json, "poll", "wait_for_epoll", "anon_inode:[eventpoll]", 3);
	check_waits(json, "join", "wait_for_thread",
		    text("thread %llu", (unsigned long long)truth(&o, "joined_tid")), 1);
	check_waits(json, "process", "wait_for_child",
		    text("process %llu", (unsigned long long)truth(&o, "child")), 1);
	check_waits(json, "file lock", "wait_for_file", in_box("locked"), 2);
	check_waits(json, "sleep", "sleeps", NULL, 5);
}

/* Of what does not wait, however often. */
static void what_does_not_wait(void **state)
{
	struct outcome o = record(ARGV(program("waits"), "free"), NULL);
	const cJSON *w, *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	cJSON_ArrayForEach(w, json_at(json, "waits"))
	{
		/* A machine that is busy may stop it anywhere. */
		check(json_u64(w, "count") < truth(&o, "times") / 10, "%s: %llu times, in %s",
		      json_text(w, "kind"), (unsigned long long)json_u64(w, "count"),
		      frame_of(w, "takes_what_is_free") != NULL ? "takes_what_is_free" : "?");
	}
}

/* Left out, they are unknown, and nothing else changes. */
static void without_waits(void **state)
{
	const struct options without = {
		.env = (const char *const[]){"PERFHOOK_EVENTS=memory,io,net", NULL}};
	struct outcome o = record(ARGV(program("waits")), &without);
	const cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	check(cJSON_IsNull(json_at(json, "waits")), "waits are reported");
	check(cJSON_IsNull(json_at(cJSON_GetArrayItem(json_at(json, "threads"), 0), "waiting_s")),
	      "waiting is reported");
	check(dump_count(dump_of_all(&o), "nanosleep") == 0, "a wait was recorded");
}

/* Everything that locks, waits or sleeps gives what it gives without the library. */
static void nothing_changes(void **state)
{
	struct outcome plain = run(ARGV(program("lock_kinds")), NULL);
	struct outcome o = record(ARGV(program("lock_kinds")), NULL);

	(void)state;
	check_status(&plain, 0);
	check_status(&o, 0);
	assert_string_equal(o.out, plain.out);
}

/* Killed, its threads say nothing themselves. */
static void a_killed_process(void **state)
{
	struct outcome o = record(ARGV(program("waits"), "killed"), NULL);
	const cJSON *t, *json;

	(void)state;
	check(o.signal == SIGKILL, "%s: signal %d", o.line, o.signal);
	json = report(o.trace);
	cJSON_ArrayForEach(t, json_at(json, "threads"))
	{
		check(seconds(t, "running_s") > 0.5, "%s ran for %.3f s", json_text(t, "name"),
		      seconds(t, "running_s"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(threads_split),      boxed(objects_of_waits),
					   boxed(what_does_not_wait), boxed(without_waits),
					   boxed(nothing_changes),    boxed(a_killed_process)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
