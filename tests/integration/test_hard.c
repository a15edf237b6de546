/* SPDX-License-Identifier: MIT */
/* The situations that break preloaded libraries: forks of every kind, missing
 * memory, jumps and cancellations out of hooks, a collector that stands still. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "harness.h"
#include "tests/programs/counter_shm.h"

static uint64_t written_to(const cJSON *json, const char *name)
{
	const cJSON *file = file_entry(json, in_box("%s", name));

	return file != NULL ? json_u64(file, "written_bytes") : 0;
}

static void check_written(const struct pair *p, const char *name)
{
	check_u64(written_to(p->report, name), truth(&p->outcome, text("%s.written_bytes", name)),
		  name);
}

/* Children share the rings' mapping until somebody notices. */
static void forks_of_every_kind(void **state)
{
	struct pair p = record_pair(ARGV(program("fork_raw")), NULL);
	const struct outcome *o = &p.outcome;
	uint64_t recorded = 0;
	char **traces;
	size_t count;

	(void)state;
	check_heap_truth(&p);
	check_u64(written_to(p.report, "parent"), truth(o, "parent_writes"), "parent's writes");
	check_u64(written_to(p.report, "children"), 0, "children's writes in the parent's trace");
	count = list_traces(o, &traces);
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes;

		if (strcmp(traces[i], o->trace) == 0)
			continue;
		/* A child that was not followed has no trace, or an empty one. */
		bytes = written_to(report(traces[i]), "children");
		check(bytes == 0 || bytes == truth(o, "writes_of_a_child"),
		      "%s: %llu bytes of a child", traces[i], (unsigned long long)bytes);
		recorded += bytes != 0;
	}
	check(recorded >= truth(o, "forked"), "%llu children recorded, of %llu by fork()",
	      (unsigned long long)recorded, (unsigned long long)truth(o, "forked"));
}

/* The unwinder has locks of its own. */
static void forks_amid_unwinding(void **state)
{
	struct outcome o = record(ARGV(program("fork_cold"), full_mode() ? "2000" : "100"),
				  &(struct options){.timeout_s = 120});

	(void)state;
	check_status(&o, 0);
	check_u64(truth(&o, "children"), full_mode() ? 2000 : 100, "children that ended");
}

static void vfork_children(void **state)
{
	struct pair p = record_pair(ARGV(program("vfork_exec")), NULL);

	(void)state;
	check_heap_truth(&p);
	check_written(&p, "data");
}

/* A container's /dev/shm: full, missing, or not writable. */
static void small_shared_memory(void **state)
{
	static const char *const mounts[] = {"mount -t tmpfs -o size=64k none /dev/shm",
					     "mount -t tmpfs -o size=4k none /dev/shm",
					     "mount -t tmpfs -o size=1m none /dev/shm",
					     "mount -t tmpfs -o ro none /dev/shm",
					     "mount --bind /proc/self /dev/shm"};
	struct outcome plain = run(ARGV(program("remote_free"), "8", "5000"), NULL);

	(void)state;
	need_tool("unshare");
	for (size_t i = 0; i < COUNT_OF(mounts); i++) {
		struct outcome probe = run(ARGV("unshare", "-m", "sh", "-c", mounts[i]), NULL), o;
		char *traces = in_box("small.%zu", i);

		if (probe.status != 0)
			skip_because("cannot mount: %s", probe.err);
		o = run(ARGV("unshare", "-m", "sh", "-c",
			     text("%s && exec env LD_PRELOAD=%s PERFHOOK_OUT=%s %s 8 5000",
				  mounts[i], library_path(), traces, program("remote_free"))),
			NULL);
		check_status(&o, 0);
		assert_string_equal(o.out, plain.out);
		/* Recorded as well as it could be, and readable if it is there. */
		if (access(traces, F_OK) == 0)
			report(traces);
	}
}

struct counting {
	const char *path;
	uint64_t enough;
};

static uint64_t counted(const char *path)
{
	size_t size = 0;
	char *bytes = read_file(path, &size);
	struct counters c;
	uint64_t sum = 0;

	if (bytes == NULL || size < sizeof(c))
		return 0;
	memcpy(&c, bytes, sizeof(c));
	for (int i = 0; i < COUNTER_THREADS; i++)
		sum += c.of[i].frees;
	return sum;
}

static bool has_counted(void *context)
{
	const struct counting *c = context;

	return counted(c->path) >= c->enough;
}

static struct running *start_counting(const char *loops)
{
	struct counting c = {in_box("counters"), 1000};
	struct running *r = start(ARGV(program("counter_shm"), c.path, "1", loops),
				  &(struct options){.preload = true});

	check(wait_until(has_counted, &c, 30), "the target does not get going");
	return r;
}

/* Lines of /proc/PID/maps that are shared and writable, but for the counters. */
static char *next_shared(char **rest)
{
	char *line;

	while ((line = strsep(rest, "\n")) != NULL) {
		char *path = strchr(line, '/');

		if (strstr(line, " rw-s ") != NULL && path != NULL &&
		    strstr(path, "/counters") == NULL)
			return path;
	}
	return NULL;
}

static bool is_gone(void *path)
{
	return access(path, F_OK) != 0;
}

/* On a disk, write-back would stall the target's stores. */
static void segment_is_memory(void **state)
{
	struct running *r = start_counting("-1");
	char *maps = read_file(text("/proc/%d/maps", running_pid(r)), NULL), *path;
	char *segments[64];
	struct outcome o;
	size_t count = 0;

	(void)state;
	while ((path = next_shared(&maps)) != NULL) {
		struct statfs fs = {0};
		bool memory = strncmp(path, "/memfd:", 7) == 0 ||
			      (statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC);

		check(memory, "mapped from %s, which is on no tmpfs", path);
		if (count < COUNT_OF(segments) && path[1] != 'm')
			segments[count++] = path;
	}
	check(count > 0 || strstr(read_file(text("/proc/%d/maps", running_pid(r)), NULL),
				  "/memfd:") != NULL,
	      "nothing shared is mapped");
	kill(running_pid(r), SIGKILL);
	o = finish(r);
	report(o.trace);
	/* Once the trace is whole, nothing stays behind. */
	for (size_t i = 0; i < count; i++)
		check(wait_until(is_gone, segments[i], 5), "%s is left behind", segments[i]);
}

static void jumps_out_of_hooks(void **state)
{
	struct pair p = record_pair(ARGV(program("longjmp_storm")), NULL);
	uint64_t during;

	(void)state;
	check_heap_truth(&p);
	check_written(&p, "after");
	during = written_to(p.report, "during");
	check(during >= truth(&p.outcome, "during.returned") &&
		      during <= truth(&p.outcome, "during.in_the_file"),
	      "%llu written in the storm; returned %llu, in the file %llu",
	      (unsigned long long)during, (unsigned long long)truth(&p.outcome, "during.returned"),
	      (unsigned long long)truth(&p.outcome, "during.in_the_file"));
}

static void signals_among_allocations(void **state)
{
	struct pair p = record_pair(ARGV(program("signal_storm"), "write"), NULL);

	(void)state;
	check_heap_truth(&p);
	check_written(&p, "storm");
}

static void allocations_in_handlers(void **state)
{
	struct pair p = record_pair(ARGV(program("signal_storm"), "malloc"), NULL);

	(void)state;
	check_heap_truth(&p);
	check_written(&p, "storm");
}

/* The child goes on in the hook that its parent was in. What it wrote is in its trace,
 * and the parent's has lost nothing and gained nothing. */
static void forks_in_handlers(void **state)
{
	struct outcome o =
		record(ARGV(program("fork_in_handler"), full_mode() ? "3000" : "200"), NULL);
	const cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	check_u64(truth(&o, "bad"), 0, "children that did not end well");
	check_u64(json_u64(json_at(json, "trace"), "dropped"), 0, "dropped");
	check_u64(written_to(json, "written"), truth(&o, "written"), "written by the parent");
}

static void cancellations(void **state)
{
	struct pair p = record_pair(ARGV(program("cancel")), NULL);
	struct amount left = leaked_by(p.report, "leave_behind");

	(void)state;
	check_heap_truth(&p);
	check_written(&p, "unwound");
	check_u64(left.blocks, truth(&p.outcome, "left_blocks"), "left by ended threads");
	check_u64(left.bytes, truth(&p.outcome, "left_bytes"), "bytes left by ended threads");
	check(leak_with_function(p.report, "hold") == NULL, "a freed block leaks");
}

static void ends_of_threads(void **state)
{
	struct pair p = record_pair(ARGV(program("thread_ends"), "500"), NULL);

	(void)state;
	check_heap_truth(&p);
	check_u64(leaked_by(p.report, "kept_at_the_end").bytes, truth(&p.outcome, "kept_bytes"),
		  "kept by destructors");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(p.report, "threads")),
		  truth(&p.outcome, "threads") + 1, "threads");
}

/* ---- a collector that stands still ------------------------------------ */

static int stopped_collector;

static int let_collector_go(void **state)
{
	if (stopped_collector != 0)
		kill(stopped_collector, SIGCONT);
	stopped_collector = 0;
	return box_teardown(state);
}

static bool collector_is_there(void *context)
{
	stopped_collector = find_collector(context);
	return stopped_collector != 0;
}

#define STALLED_LOOPS "1500000"

static void stopped_collector_does_not_hang_us(void **state)
{
	const uint64_t did = 3 * strtoull(STALLED_LOOPS, NULL, 10);
	struct running *r = start_counting(STALLED_LOOPS);
	struct outcome o;
	cJSON *json;
	uint64_t seen, dropped;

	(void)state;
	kill(running_pid(r), SIGSTOP);
	check(wait_until(collector_is_there, (void *)running_traces(r), 10),
	      "no collector holds the trace open");
	kill(stopped_collector, SIGSTOP);
	kill(running_pid(r), SIGCONT);
	/* Fails if it is still running after a minute. */
	o = finish(r);
	check_status(&o, 0);
	check_u64(counted(in_box("counters")), did / 3, "rounds of the target");
	kill(stopped_collector, SIGCONT);
	stopped_collector = 0;
	json = report(o.trace);
	dropped = json_u64(json, "trace.dropped");
	seen = json_u64(json, "memory.allocations") + json_u64(json, "memory.frees") +
	       json_u64(file_entry(json, "/dev/null"), "write_calls");
	check(dropped > 0, "nothing is said to be lost");
	check(seen + dropped >= did, "seen %llu and dropped %llu of %llu", (unsigned long long)seen,
	      (unsigned long long)dropped, (unsigned long long)did);
	check(json_u64(file_entry(json, "/dev/null"), "write_calls") <= did / 3, "made up");
}

/* ... and neither does one that is killed: the analyzer finishes its work. */
static void killed_collector_loses_nothing_before(void **state)
{
	struct running *r = start_counting("-1");
	uint64_t before;
	struct outcome o;
	cJSON *json;

	(void)state;
	check(wait_until(collector_is_there, (void *)running_traces(r), 10), "no collector");
	kill(running_pid(r), SIGSTOP);
	before = counted(in_box("counters"));
	kill(stopped_collector, SIGKILL);
	stopped_collector = 0;
	kill(running_pid(r), SIGKILL);
	o = finish(r);
	json = report(o.trace);
	check(json_u64(json, "memory.frees") >= before, "%llu frees, %llu had returned",
	      (unsigned long long)json_u64(json, "memory.frees"), (unsigned long long)before);
}

/* A service manager's SIGTERM goes to the collector as well (systemd.kill(5)): it
 * finishes its work, and not before the programs have. */
static void asked_collector_finishes_first(void **state)
{
	struct running *r = start_counting(STALLED_LOOPS);
	const uint64_t rounds = strtoull(STALLED_LOOPS, NULL, 10);
	struct outcome o;
	cJSON *json;

	(void)state;
	check(wait_until(collector_is_there, (void *)running_traces(r), 10), "no collector");
	kill(stopped_collector, SIGTERM);
	o = finish(r);
	stopped_collector = 0;
	check_status(&o, 0);
	json = report(o.trace);
	check(cJSON_IsTrue(json_at(json, "trace.complete")), "the trace is not complete");
	check_u64(json_u64(file_entry(json, "/dev/null"), "write_calls"), rounds, "writes");
	check_u64(json_u64(json, "trace.dropped"), 0, "dropped");
}

/* Its monotonic clock is another one: time_namespaces(7). */
static void time_namespace(void **state)
{
	const char *const command[] = {"unshare", "--time",	     "--fork", "--monotonic",
				       "100000",  program("ending"), "return", NULL};
	struct outcome o = run(command, NULL);
	char **traces;
	size_t count;

	(void)state;
	if (o.status != 5)
		skip_because("no time namespace can be had here: %s", o.err);
	o = record(command, NULL);
	check_status(&o, 5);
	count = list_traces(&o, &traces);
	check_u64(count, 3, "traces of unshare, its child and what that became");
	for (size_t i = 0; i < count; i++) {
		const cJSON *duration = json_at(report(traces[i]), "process.duration_s");

		check(duration->valuedouble >= 0 && duration->valuedouble < 1000, "%s lasted %g s",
		      traces[i], duration->valuedouble);
	}
}

/* libc loads and unloads modules by itself while others allocate and unwind. */
static void modules_that_libc_loads(void **state)
{
	struct outcome o = record(ARGV(program("iconv_storm")), NULL);
	struct amount between;

	(void)state;
	check_status(&o, 0);
	between = leaked_by(report(o.trace), "between");
	check_u64(between.blocks, truth(&o, "between.blocks"), "blocks of between()");
	check_u64(between.bytes, truth(&o, "between.bytes"), "bytes of between()");
}

/* What the least that the kernel accepts leaves to a handler. */
static void small_signal_stacks(void **state)
{
	const char *const *argv = ARGV(program("small_stack"), program("lib_raises.so"));
	struct outcome plain = run(argv, NULL), with = record(argv, NULL);
	uint64_t written = 0, survived = 0;
	char **traces, *rest = NULL;
	size_t count;

	(void)state;
	check_status(&plain, 0);
	check_status(&with, 0);
	/* Each line is a size, a way and how it ended: 0 where the handler could do it all. */
	for (char *l = strtok_r(plain.out, "\n", &rest); l != NULL;
	     l = strtok_r(NULL, "\n", &rest)) {
		if (strcmp(strchr(l, '='), "=0") != 0)
			continue;
		survived++;
		check(strstr(with.out, text("%s\n", l)) != NULL,
		      "%s without the library; with:\n%s", l, with.out);
	}
	check(survived >= 12, "%llu handlers had room enough", (unsigned long long)survived);
	count = list_traces(&with, &traces);
	for (size_t i = 0; i < count; i++)
		written += written_to(report(traces[i]), "from-handler");
	check_u64(written, survived * truth(&with, "written_bytes"), "written by handlers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(forks_of_every_kind),
		boxed(forks_amid_unwinding),
		boxed(vfork_children),
		boxed(small_shared_memory),
		boxed(segment_is_memory),
		boxed(jumps_out_of_hooks),
		boxed(forks_in_handlers),
		boxed(signals_among_allocations),
		boxed(allocations_in_handlers),
		boxed(small_signal_stacks),
		boxed(cancellations),
		boxed(ends_of_threads),
		boxed(modules_that_libc_loads),
		boxed(time_namespace),
		cmocka_unit_test_setup_teardown(stopped_collector_does_not_hang_us, box_setup,
						let_collector_go),
		cmocka_unit_test_setup_teardown(asked_collector_finishes_first, box_setup,
						let_collector_go),
		cmocka_unit_test_setup_teardown(killed_collector_loses_nothing_before, box_setup,
						let_collector_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
