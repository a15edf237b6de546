/* SPDX-License-Identifier: MIT */
/*
 * Killed by SIGKILL at a random moment: every event whose call had returned is
 * in the trace, and at most the one under way more a thread. The target counts
 * returned calls in shared memory. 20 runs; 200 with PERFHOOK_STRESS=full.
 */
#include <signal.h>
#include <time.h>

#include "tests/integration/harness.h"
#include "tests/programs/counter_shm.h"

static struct counter sum_of(const char *path)
{
	size_t size = 0;
	char *bytes = read_file(path, &size);
	struct counter sum = {0};
	struct counters all;

	if (bytes == NULL || size < sizeof(all))
		return sum;
	memcpy(&all, bytes, sizeof(all));
	for (int i = 0; i < COUNTER_THREADS; i++) {
		sum.allocations += all.of[i].allocations;
		sum.writes += all.of[i].writes;
		sum.frees += all.of[i].frees;
	}
	return sum;
}

static bool has_begun(void *context)
{
	return sum_of(context).frees > 0;
}

static struct counter of_report(const cJSON *json)
{
	const cJSON *null = file_entry(json, "/dev/null");

	return (struct counter){
		.allocations = json_u64(json, "memory.allocations"),
		.frees = json_u64(json, "memory.frees"),
		.writes = null != NULL ? json_u64(null, "write_calls") : 0,
	};
}

static void check_between(const char *what, uint64_t got, uint64_t returned, uint64_t threads)
{
	check(got >= returned, "%s: %llu recorded, %llu had returned", what,
	      (unsigned long long)got, (unsigned long long)returned);
	check(got <= returned + threads, "%s: %llu recorded, of %llu that had returned", what,
	      (unsigned long long)got, (unsigned long long)returned);
}

/* What libc allocates for the same threads. */
static struct counter libc_share(const char *threads)
{
	struct outcome o = record(ARGV(program("counter_shm"), in_box("base"), threads, "0"), NULL);

	check_status(&o, 0);
	return of_report(report(o.trace));
}

static void kill_once(const char *threads, const struct counter *libc, unsigned microseconds)
{
	char *path = in_box("counters");
	struct counter returned, got;
	struct running *r;
	struct outcome o;
	cJSON *json;

	unlink(path);
	r = start(ARGV(program("counter_shm"), path, threads), &(struct options){.preload = true});
	check(wait_until(has_begun, path, 30), "the target does not get going");
	usleep(microseconds);
	kill(running_pid(r), SIGKILL);
	o = finish(r);
	check(o.signal == SIGKILL, "it ended otherwise: status %d", o.status);
	returned = sum_of(path);
	json = report(o.trace);
	got = of_report(json);
	check_u64(json_u64(json, "trace.dropped"), 0, "dropped");
	check_between("writes", got.writes, returned.writes, strtoul(threads, NULL, 10));
	check_between("allocations", got.allocations - libc->allocations, returned.allocations,
		      strtoul(threads, NULL, 10));
	/* Nothing that libc frees comes before the end. */
	check_between("frees", got.frees, returned.frees, strtoul(threads, NULL, 10));
	/* The next run needs the room. */
	unlink(o.trace);
}

static void kill_often(const char *threads)
{
	struct counter libc = libc_share(threads);
	int runs = full_mode() ? 100 : 10;

	srandom((unsigned)time(NULL));
	for (int i = 0; i < runs; i++) {
		unsigned pause = (unsigned)random() % (i % 4 == 0 ? 300000u : 20000u);

		print_message("  %s threads, killed after %u us\n", threads, pause);
		kill_once(threads, &libc, pause);
	}
}

static void one_thread(void **state)
{
	(void)state;
	kill_often("1");
}

static void four_threads(void **state)
{
	(void)state;
	kill_often("4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(one_thread), boxed(four_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
