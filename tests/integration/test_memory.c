/* SPDX-License-Identifier: MIT */
/* The heap's figures against targets that count what they do. */
#include "harness.h"

static void every_function(void **state)
{
	struct pair p = record_pair(ARGV(program("memory_calls")), NULL);

	(void)state;
	check_heap_truth(&p);
}

static void before_and_after_main(void **state)
{
	struct pair p = record_pair(ARGV(program("early_late")), NULL);

	(void)state;
	check_heap_truth(&p);
	check_u64(leaked_by(p.report, "allocate_late").bytes, 2001 + 2002 + 3001,
		  "bytes kept by destructors");
}

static void threads(void **state)
{
	struct pair p = record_pair(ARGV(program("workers"), "8"), NULL);

	(void)state;
	check_heap_truth(&p);
	check_u64(leaked_by(p.report, "remember").blocks, 8, "blocks kept by the workers");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(p.report, "threads")),
		  truth(&p.outcome, "threads"), "threads");
}

static void freed_by_others(void **state)
{
	static const char *const makers[] = {"make_small", "make_zeroed", "make_grown"};
	struct pair p = record_pair(ARGV(program("remote_free"), "8", "5000"), NULL);

	(void)state;
	check_heap_truth(&p);
	for (size_t i = 0; i < COUNT_OF(makers); i++) {
		struct amount left = leaked_by(p.report, makers[i]);

		check_u64(left.bytes, truth(&p.outcome, text("%s.live_bytes", makers[i])),
			  makers[i]);
		check_u64(left.blocks, truth(&p.outcome, text("%s.live_blocks", makers[i])),
			  makers[i]);
	}
}

/* The sums over leaks and over peak are the totals: nothing is left out. */
static void lists_add_up(void **state)
{
	struct outcome o = record(ARGV(program("early_late")), NULL);
	cJSON *json = report(o.trace);
	uint64_t leaked = 0, blocks = 0, peak = 0;
	const cJSON *e;

	(void)state;
	cJSON_ArrayForEach(e, json_at(json, "leaks"))
	{
		leaked += json_u64(e, "bytes");
		blocks += json_u64(e, "blocks");
	}
	cJSON_ArrayForEach(e, json_at(json, "peak"))
	{
		peak += json_u64(e, "bytes");
	}
	check_u64(leaked, json_u64(json, "memory.live_bytes"), "sum of leaks[].bytes");
	check_u64(blocks, json_u64(json, "memory.live_blocks"), "sum of leaks[].blocks");
	check_u64(peak, json_u64(json, "memory.peak_bytes"), "sum of peak[].bytes");
	check_u64(json_u64(json, "memory.peak_uncertainty_bytes"), 0, "uncertainty");
}

static void libraries_at_one_address(void **state)
{
	struct outcome o = record(
		ARGV(program("dlopen_reuse"), program("lib_first.so"), program("lib_second.so")),
		NULL);
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	check(truth(&o, "reused") > 0, "the loader did not use one address twice");
	json = report(o.trace);
	check_u64(leaked_by(json, "first_allocates").bytes, truth(&o, "first_allocates.live_bytes"),
		  "first_allocates");
	check_u64(leaked_by(json, "second_allocates").bytes,
		  truth(&o, "second_allocates.live_bytes"), "second_allocates");
}

/* PERFHOOK_EVENTS and PERFHOOK_DEPTH do what they say. */
static void settings(void **state)
{
	const char *const no_memory[] = {"PERFHOOK_EVENTS=io,net", NULL};
	const char *const no_stacks[] = {"PERFHOOK_DEPTH=0", NULL};
	const char *const wrong[] = {"PERFHOOK_DEPTH=plenty", NULL};
	struct outcome o =
		record(ARGV(program("workers"), "2"), &(struct options){.env = no_memory});
	cJSON *json = report(o.trace);

	(void)state;
	check(cJSON_IsNull(json_at(json, "memory.allocations")), "allocations without memory");
	check(file_entry(json, in_box("worker-0")) != NULL, "no file with io alone");
	o = record(ARGV(program("workers"), "2"), &(struct options){.env = no_stacks});
	json = report(o.trace);
	check(json_u64(json, "memory.allocations") >= 302, "allocations without stacks");
	check(leak_with_function(json, "remember") == NULL, "a stack, at depth 0");
	o = run(ARGV(program("workers"), "2"), &(struct options){.preload = true, .env = wrong});
	check_status(&o, 0);
	check(strstr(o.err, "PERFHOOK_DEPTH") != NULL, "not named: %s", o.err);
	check(access(o.trace, F_OK) != 0, "recorded in spite of a wrong setting");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(every_function), boxed(before_and_after_main),
					   boxed(threads),	  boxed(freed_by_others),
					   boxed(lists_add_up),	  boxed(libraries_at_one_address),
					   boxed(settings)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
