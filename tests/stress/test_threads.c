/* SPDX-License-Identifier: MIT */
/*
 * 64 threads that free each other's blocks, also while threads end all the time:
 * totals and what is left, by function, come out exactly. PERFHOOK_STRESS=full
 * does 100000 allocations a thread.
 */
#include "tests/integration/harness.h"

static const char *allocations(void)
{
	return full_mode() ? "100000" : "5000";
}

static void check_makers(const struct pair *p)
{
	static const char *const makers[] = {"make_small", "make_zeroed", "make_grown"};

	for (size_t i = 0; i < COUNT_OF(makers); i++) {
		struct amount left = leaked_by(p->report, makers[i]);

		check_u64(left.bytes, truth(&p->outcome, text("%s.live_bytes", makers[i])),
			  text("bytes of %s", makers[i]));
		check_u64(left.blocks, truth(&p->outcome, text("%s.live_blocks", makers[i])),
			  text("blocks of %s", makers[i]));
	}
}

static void freed_by_others(void **state)
{
	struct options options = {.timeout_s = 300};
	struct pair p = record_pair(ARGV(program("remote_free"), "64", allocations()), &options);

	(void)state;
	check_heap_truth(&p);
	check_makers(&p);
}

static void threads_that_end(void **state)
{
	struct options options = {.timeout_s = 300};
	struct pair p =
		record_pair(ARGV(program("remote_free"), "64", allocations(), "churn"), &options);

	(void)state;
	check_heap_truth(&p);
	check_makers(&p);
}

static void many_short_threads(void **state)
{
	struct options options = {.timeout_s = 300};
	struct pair p =
		record_pair(ARGV(program("thread_ends"), full_mode() ? "20000" : "2000"), &options);

	(void)state;
	check_heap_truth(&p);
}

/* Small rings under heavy load, each policy: block loses nothing; what drop
 * loses, it counts. */
static void dropping_is_counted(void **state)
{
	const char *const drop[] = {"PERFHOOK_OVERFLOW=drop", NULL};
	struct options options = {.timeout_s = 300, .env = drop};
	struct outcome o = record(ARGV(program("remote_free"), "16", "20000"), &options);
	cJSON *json = report(o.trace);
	uint64_t dropped = json_u64(json, "trace.dropped");
	uint64_t seen = json_u64(json, "memory.allocations");

	(void)state;
	check_status(&o, 0);
	check(seen + dropped >= truth(&o, "allocations"), "seen %llu, dropped %llu of %llu",
	      (unsigned long long)seen, (unsigned long long)dropped,
	      (unsigned long long)truth(&o, "allocations"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(freed_by_others), boxed(threads_that_end),
					   boxed(many_short_threads), boxed(dropping_is_counted)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
