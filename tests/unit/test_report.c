/* SPDX-License-Identifier: MIT */
/*
 * Reports of a run made by hand: the JSON's fields, types and nulls; ranks; what
 * the text must say. Modules do not exist, so that frames are module and offset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/report.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Modules: the program, libc, libstdc++, ld.so, ourselves, a second library. */
enum { PROGRAM, LIBC, LIBSTDCXX, LOADER, OURS, PLUGIN };

static struct module modules[] = {
	{"/nowhere/bin/server", "aa", 0x400000, false, 0},
	{"/nowhere/lib/libc.so.6", "bb", 0x7f0000000000, false, 0},
	{"/nowhere/lib/libstdc++.so.6.0.30", "cc", 0x7f1000000000, false, 0},
	{"/nowhere/lib64/ld-linux-x86-64.so.2", "dd", 0x7f2000000000, false, 0},
	{"/nowhere/lib/libperfhook.so", "ee", 0x7f3000000000, false, 0},
	{"/nowhere/lib/plugin.so", "", 0x7f4000000000, true, 0},
};

static struct address addresses[] = {
	{0x400100, PROGRAM},	     /* 0: main */
	{0x400200, PROGRAM},	     /* 1: leaks */
	{0x7f1000000300, LIBSTDCXX}, /* 2: the emergency pool */
	{0x7f2000000400, LOADER},    /* 3: calls initializers */
	{0x7f3000000500, OURS},	     /* 4: malloc's wrapper */
	{0x7f4000000600, PLUGIN},    /* 5 */
	{0xdead0000, -1},	     /* 6: generated code */
	{0x7f0000000700, LIBC},	     /* 7: strdup, say */
};

static struct node nodes[] = {
	{0, 0}, {0, 0}, /* 1: main */
	{1, 1},		/* 2: leaks < main */
	{2, 4},		/* 3: malloc < leaks < main */
	{0, 3},		/* 4: ld.so */
	{4, 2},		/* 5: pool < ld.so */
	{1, 5},		/* 6: plugin < main */
	{6, 6},		/* 7: generated < plugin < main */
	{2, 7},		/* 8: strdup < leaks < main */
};

/* As it is of a pool that stays as it is, and of what grows all along. */
#define STAYS                                                                                      \
	{                                                                                          \
		.measured = true, .early_blocks = 1, .slope_bytes_per_hour = 0                     \
	}
#define GROWS(blocks, bytes, slope)                                                                \
	{                                                                                          \
		.measured = true, .form = GROWTH_EVEN, .axis = GROWTH_BY_TIME, .amount = 2,        \
		.from = 0.1, .grown_blocks = (blocks), .grown_bytes = (bytes), .steps = 20,        \
		.quarters = 4, .late_share = 0.5, .slope_bytes_per_hour = (slope),                 \
		.confidence = 0.9, .bytes_per_request = (double)NAN, .ran_s = 2                    \
	}

static struct site sites[] = {
	/* The pool is larger than any leak, and must not head the list. */
	{.node = 5,
	 .allocations = 1,
	 .allocated_bytes = 72704,
	 .live_bytes = 72704,
	 .live_blocks = 1,
	 .peak_bytes = 72704,
	 .peak_blocks = 1,
	 .first_at_s = 0.001,
	 .last_at_s = 0.001,
	 .last_live_at_s = 0.001,
	 .growth = STAYS},
	{.node = 3,
	 .allocations = 100,
	 .allocated_bytes = 10000,
	 .live_bytes = 10000,
	 .live_blocks = 100,
	 .peak_bytes = 8000,
	 .peak_blocks = 80,
	 .first_at_s = 0.1,
	 .last_at_s = 1.9,
	 .last_live_at_s = 1.9,
	 .growth = GROWS(90, 9000, 3600e3)},
	{.node = 7,
	 .allocations = 50,
	 .allocated_bytes = 5000,
	 .frees = 49,
	 .live_bytes = 100,
	 .live_blocks = 1,
	 .peak_bytes = 100000,
	 .peak_blocks = 4,
	 .first_at_s = 0.5,
	 .last_at_s = 0.6,
	 .last_live_at_s = 0.55,
	 .growth = {.measured = true,
		    .form = GROWTH_STEADY,
		    .axis = GROWTH_BY_ROUNDS,
		    .amount = 50,
		    .from = 0.1,
		    .grown_blocks = 1,
		    .grown_bytes = 100,
		    .frees = 49,
		    .typical_age = 4,
		    .typical_s = 0.001,
		    .oldest_s = 1.4,
		    .slope_bytes_per_hour = 36,
		    .waited = true,
		    .ran_s = 2}},
	{.node = 6,
	 .allocations = 9,
	 .allocated_bytes = 90,
	 .frees = 9,
	 .first_at_s = 0.5,
	 .last_at_s = 0.6,
	 .last_live_at_s = NAN},
	{.node = 8,
	 .allocations = 2,
	 .allocated_bytes = 20,
	 .live_bytes = 20,
	 .live_blocks = 2,
	 .first_at_s = 0.5,
	 .last_at_s = 0.6,
	 .last_live_at_s = 0.6,
	 .growth = GROWS(2, 20, 7)},
};

static struct heap_sample heap_timeline[] = {
	{0, 100, 1, 3, 30}, {1, 180704, 85, 2, 20}, {2, 82824, 104, 0, 0}};
static struct rate_sample rates[] = {{0, 1024, 0}, {1, 0, 2048}};

static struct io_stack io_stacks[] = {
	{.node = 3, .function = "read", .calls = 4, .bytes = 4096, .time_s = 0.5},
};
static struct io_function io_functions[] = {
	{.name = "read", .calls = 4, .bytes = 4096, .time_s = 0.5},
	{.name = "stat", .calls = 2, .errors = 1, .time_s = 0.001},
};
static struct io_error io_errors[] = {{.number = 2, .calls = 7}};
static struct file_access accesses[] = {
	{.read = {.calls = 4,
		  .located = 4,
		  .steps = 3,
		  .sequential = 3,
		  .consecutive = 3,
		  .tiny = 1,
		  .sizes = {0, 3, 1},
		  .again_unknown = true},
	 .sync_latency = {.count = 1, .p50 = 7},
	 .timeline = rates,
	 .timeline_count = COUNT(rates)},
};

static struct file files[] = {
	{.path = "/data/big",
	 .failed_opens = 2,
	 .closes = 1,
	 .open_s = 1.5,
	 .open_longest_s = 1.25,
	 .metadata_calls = 2,
	 .metadata_errors = 1,
	 .access = accesses,
	 .facts = {io_stacks, COUNT(io_stacks), io_functions, COUNT(io_functions), io_errors,
		   COUNT(io_errors)},
	 .first_at_s = 1,
	 .last_at_s = 3,
	 .opens = 1,
	 .top_node = 3,
	 .traffic = {.read_bytes = 4096,
		     .read_calls = 4,
		     .time_s = 0.5,
		     .read_time_s = 0.5,
		     .latency = {.count = 4,
				 .mean = 2,
				 .median = 2,
				 .stdev = 1,
				 .min = 1,
				 .p50 = 2,
				 .p75 = 3,
				 .p90 = 3,
				 .p95 = 3,
				 .p99 = 4,
				 .max = 4}}},
	{.path = "/data/\xff\xfe\x1b[31mevil\n",
	 .first_at_s = 2,
	 .last_at_s = 2,
	 .traffic = {.written_bytes = 10, .write_calls = 1, .errors = 1}},
};

static struct connection connections[] = {
	{.fd = 3,
	 .family = "inet",
	 .type = "stream",
	 .local = "127.0.0.1:1000",
	 .peer = "127.0.0.1:80",
	 .opened_by = "connect",
	 .opened_at_s = 0.5,
	 .closed_at_s = NAN,
	 .connect_s = 0.01,
	 .traffic = {.written_bytes = 10, .write_calls = 1}},
	{.fd = 4,
	 .opened_at_s = 0.7,
	 .closed_at_s = 0.9,
	 .connect_s = NAN,
	 .top_node = 2,
	 .traffic = {.read_bytes = 99, .read_calls = 2}},
};

static struct endpoint endpoints[] = {
	{.name = "127.0.0.1:80",
	 .host = "db\x1b[31m",
	 .side = "connect",
	 .type = "stream",
	 .connections = 3,
	 .failed = 1,
	 .most_open = 2,
	 .turns = 10,
	 .idle_s = 1,
	 .open_s = 4,
	 .turn_latency = {.count = 10, .p50 = 1500},
	 .traffic = {.written_bytes = 10, .write_calls = 1}},
	{.name = "port 8080", .side = "accept", .connections = 10000},
};
static struct folder folders[] = {
	{.path = "/data", .files = 2, .traffic = {.read_bytes = 4096, .read_calls = 4}},
	{.path = "/", .files = 3, .traffic = {.read_bytes = 4096, .read_calls = 4}},
};
static struct io_total totals[] = {
	{.of = {.name = "read", .calls = 4, .bytes = 4096, .time_s = 0.5}, .latency = {.count = 4}},
	{.of = {.name = "stat", .kind = PH_KIND_META, .calls = 9, .errors = 5, .time_s = 0.25}},
};
static struct resolved resolved[] = {
	{.name = "db", .addresses = "127.0.0.1", .calls = 2, .time_s = 0.125},
	{.name = "nowhere", .calls = 1, .errors = 1},
};

static struct thread threads[] = {
	{.tid = 77,
	 .name = "server",
	 .started_at_s = 0,
	 .ended_at_s = NAN,
	 .allocations = 5,
	 .running_s = NAN,
	 .runnable_s = NAN,
	 .unexplained_s = NAN},
	{.tid = 78,
	 .name = NULL,
	 .started_at_s = 1,
	 .ended_at_s = 2,
	 .running_s = 0.25,
	 .waiting_s = 0.5,
	 .unexplained_s = 0.125},
};

static struct wait waits[] = {
	{.kind = "poll", .object = "/evil\x1b[31m", .count = 3, .time_s = 0.5, .node = 2},
	{.kind = "lock",
	 .address = 0x7f0000001010,
	 .home_bytes = 64,
	 .home_offset = 16,
	 .count = 1,
	 .time_s = 0.25,
	 .latency = {.count = 1, .max = 250000}},
	{.kind = "lock",
	 .address = 0x5010,
	 .module = "/nowhere/lib.so",
	 .build_id = "",
	 .module_base = 0x5000,
	 .count = 1,
	 .time_s = 0.2},
	{.kind = "lock", .address = 0x99, .count = 1, .time_s = 0.1},
	{.kind = "sleep", .count = 1, .time_s = 0.1},
};

static struct notice notices[] = {
	{false, "a program that was not recorded", NOTICE_PROGRAM},
	{true, "12 events were lost: the ring was full", NOTICE_OTHER},
};

static const char *command[] = {"server", "--port", "80", NULL};

static struct run make_run(void)
{
	return (struct run){
		.pid = 77,
		.ppid = 1,
		.executable = "/nowhere/bin/server",
		.command = command,
		.host = NULL,
		.started = "2024-05-06T07:08:09Z",
		.duration_s = 2,
		.end = "exit",
		.status = 3,
		.depth = 256,
		.events = (1ull << 53) + 1,
		.dropped = 12,
		.trace_bytes = 2048,
		.complete = false,
		.stalled_s = 0,
		.notices = notices,
		.notice_count = COUNT(notices),
		.heap = {.allocations = 162,
			 .frees = 58,
			 .allocated_bytes = UINT64_MAX,
			 .peak_bytes = 180704,
			 .peak_blocks = 85,
			 .peak_at_s = NAN,
			 .live_bytes = 82824,
			 .live_blocks = 104,
			 .temporary_allocations = 40,
			 .timeline = heap_timeline,
			 .timeline_count = COUNT(heap_timeline)},
		.sites = sites,
		.site_count = COUNT(sites),
		.io = {.total = {.read_bytes = 4096, .read_calls = 4},
		       .timeline = rates,
		       .timeline_count = COUNT(rates)},
		.sockets = {.total = {.written_bytes = 10, .read_bytes = 99, .write_calls = 1}},
		.files = files,
		.file_count = COUNT(files),
		.connections = connections,
		.connection_count = COUNT(connections),
		.endpoints = endpoints,
		.endpoint_count = COUNT(endpoints),
		.folders = folders,
		.folder_count = COUNT(folders),
		.functions = totals,
		.function_count = COUNT(totals),
		.resolved = resolved,
		.resolved_count = COUNT(resolved),
		.waits = waits,
		.wait_count = COUNT(waits),
		.threads = threads,
		.thread_count = COUNT(threads),
		.addresses = addresses,
		.address_count = COUNT(addresses),
		.nodes = nodes,
		.node_count = COUNT(nodes),
		.modules = modules,
		.module_count = COUNT(modules),
	};
}

/* A report of a run, as it is printed. */
struct printed {
	char *text;
	cJSON *json; /* NULL: it was text */
};

static struct printed print(const struct run *run, enum report_kind kind, size_t top, bool as_json)
{
	const struct symbols_options options = {0};
	struct symbols *symbols = symbols_open(&options);
	struct report report;
	struct error e = {.code = ERROR_NONE};
	struct printed p = {0};
	size_t size;
	FILE *out = open_memstream(&p.text, &size);

	assert_int_equal(report_open(&report, run, symbols, top, &e), 0);
	if (as_json) {
		struct emit_json json;

		emit_json_begin(&json);
		report_json(&report, kind, &json);
		assert_int_equal(emit_json_finish(&json, out, true), 0);
	} else {
		struct emit_text text = {.out = out, .width = 80};

		report_text(&report, kind, &text);
	}
	fclose(out);
	report_close(&report);
	symbols_close(symbols);
	if (as_json) {
		p.json = cJSON_Parse(p.text);
		assert_non_null(p.json);
	}
	return p;
}

static void discard(struct printed *p)
{
	cJSON_Delete(p->json);
	free(p->text);
}

/* A value by its path: "leaks/0/stack/1/module". */
static const cJSON *at(const struct printed *p, const char *path)
{
	char copy[200], *rest = copy, *word;
	const cJSON *item = p->json;

	assert_true(strlen(path) < sizeof(copy));
	strcpy(copy, path);
	while ((word = strsep(&rest, "/")) != NULL) {
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(word))
					   : cJSON_GetObjectItemCaseSensitive(item, word);
		if (item == NULL)
			fail_msg("no %s (at %s)", path, word);
	}
	return item;
}

static double number(const struct printed *p, const char *path)
{
	assert_true(cJSON_IsNumber(at(p, path)));
	return at(p, path)->valuedouble;
}

static const char *string(const struct printed *p, const char *path)
{
	assert_true(cJSON_IsString(at(p, path)));
	return at(p, path)->valuestring;
}

static void assert_null_at(const struct printed *p, const char *path)
{
	if (!cJSON_IsNull(at(p, path)))
		fail_msg("%s is not null", path);
}

static void test_json_process(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_string_equal(string(&p, "perfhook/version"), PERFHOOK_VERSION);
	assert_int_equal(number(&p, "perfhook/schema"), 1);
	assert_int_equal(number(&p, "process/pid"), 77);
	assert_string_equal(string(&p, "process/command/2"), "80");
	assert_int_equal(cJSON_GetArraySize(at(&p, "process/command")), 3);
	assert_null_at(&p, "process/host");
	assert_string_equal(string(&p, "process/end"), "exit");
	assert_int_equal(number(&p, "process/status"), 3);
	assert_true(cJSON_IsFalse(at(&p, "trace/complete")));
	assert_int_equal(number(&p, "trace/dropped"), 12);
	assert_int_equal(number(&p, "threads/0/tid"), 77);
	assert_null_at(&p, "threads/0/ended_at_s");
	assert_null_at(&p, "threads/0/running_s");
	assert_null_at(&p, "threads/0/unexplained_s");
	assert_null_at(&p, "threads/1/name");
	assert_true(number(&p, "threads/1/running_s") == 0.25);
	assert_true(number(&p, "threads/1/waiting_s") == 0.5);
	assert_true(number(&p, "threads/1/unexplained_s") == 0.125);
	assert_string_equal(string(&p, "coverage/not_seen/0"), "a program that was not recorded");
	assert_int_equal(cJSON_GetArraySize(at(&p, "coverage/not_seen")), 1);
	assert_string_equal(string(&p, "coverage/lost/0"), notices[1].text);
	assert_null_at(&p, "coverage/seen_bytes");
	discard(&p);
}

static void test_json_waits(void **state)
{
	struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(at(&p, "waits")), COUNT(waits));
	assert_string_equal(string(&p, "waits/0/kind"), "poll");
	assert_int_equal(number(&p, "waits/0/count"), 3);
	assert_true(number(&p, "waits/0/time_s") == 0.5);
	assert_null_at(&p, "waits/0/latency_us/max");
	assert_true(cJSON_GetArraySize(at(&p, "waits/0/stack")) > 0);
	assert_string_equal(string(&p, "waits/1/object"),
			    "heap block of 64 B, at 16: 0x7f0000001010");
	assert_int_equal(number(&p, "waits/1/latency_us/max"), 250000);
	assert_string_equal(string(&p, "waits/2/object"), "lib.so+0x10");
	assert_string_equal(string(&p, "waits/3/object"), "0x99");
	assert_null_at(&p, "waits/4/object");
	discard(&p);
	run.off = RUN_OFF_WAIT;
	p = print(&run, REPORT_WHOLE, 100, true);
	assert_null_at(&p, "waits");
	assert_null_at(&p, "threads/1/waiting_s");
	assert_null_at(&p, "threads/1/unexplained_s");
	assert_true(number(&p, "threads/1/running_s") == 0.25);
	discard(&p);
}

static void test_json_sections(void **state)
{
	static const char *const keys[] = {
		"perfhook",	"process",     "trace",	    "window",
		"marks",	"filter",      "top",	    "allocation_sizes",
		"lifetimes",	"resident",    "temporary", "findings",
		"memory",	"peak",	       "leaks",	    "io",
		"sockets",	"waits",       "threads",   "coverage",
		"reachability", "suppressions"};
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		at(&p, keys[i]);
	assert_int_equal(cJSON_GetArraySize(p.json), COUNT(keys));
	discard(&p);
	p = print(&run, REPORT_LEAKS, 100, true);
	at(&p, "leaks");
	assert_null(cJSON_GetObjectItem(p.json, "io"));
	assert_null(cJSON_GetObjectItem(p.json, "peak"));
	discard(&p);
	p = print(&run, REPORT_IO, 100, true);
	at(&p, "sockets/connections/0/peer");
	assert_null(cJSON_GetObjectItem(p.json, "leaks"));
	discard(&p);
}

/* A double holds no more than 2^53: the digits themselves must be there. */
static void test_json_big_integers(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_non_null(strstr(p.text, "9007199254740993"));
	assert_non_null(strstr(p.text, "18446744073709551615"));
	discard(&p);
}

static void test_json_memory(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_int_equal(number(&p, "memory/allocations"), 162);
	assert_int_equal(number(&p, "memory/peak_uncertainty_bytes"), 0);
	assert_null_at(&p, "memory/peak_at_s"); /* NaN */
	assert_int_equal(cJSON_GetArraySize(at(&p, "memory/timeline")), 3);
	assert_int_equal(number(&p, "memory/timeline/1/live_bytes"), 180704);
	/* By bytes; a site that held nothing at the peak is not there. */
	assert_int_equal(cJSON_GetArraySize(at(&p, "peak")), 3);
	assert_int_equal(number(&p, "peak/0/bytes"), 100000);
	assert_int_equal(number(&p, "peak/1/bytes"), 72704);
	assert_int_equal(number(&p, "peak/2/blocks"), 80);
	discard(&p);
}

static void test_json_stacks(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	/* Generated code, in no module. */
	assert_int_equal(cJSON_GetArraySize(at(&p, "peak/0/stack")), 3);
	assert_null_at(&p, "peak/0/stack/0/module");
	assert_null_at(&p, "peak/0/stack/0/function");
	assert_null_at(&p, "peak/0/stack/0/file");
	assert_null_at(&p, "peak/0/stack/0/line");
	assert_string_equal(string(&p, "peak/0/stack/0/address"), "0xdead0000");
	assert_true(cJSON_IsFalse(at(&p, "peak/0/stack/0/inlined")));
	assert_string_equal(string(&p, "peak/0/stack/1/module"), modules[PLUGIN].path);
	/* Our own wrapper's frame is dropped. */
	assert_int_equal(cJSON_GetArraySize(at(&p, "peak/2/stack")), 2);
	assert_string_equal(string(&p, "peak/2/stack/0/address"), "0x400200");
	assert_null(strstr(p.text, "libperfhook.so"));
	discard(&p);
}

static void test_json_leaks(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks")), 4);
	assert_int_equal(number(&p, "leaks/0/rank"), 1);
	assert_int_equal(number(&p, "leaks/0/bytes"), 10000);
	assert_int_equal(number(&p, "leaks/0/blocks"), 100);
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	assert_string_equal(string(&p, "leaks/0/why/0"),
			    "90 blocks of 8.8 KiB were added after start-up, evenly over the run's "
			    "2.00 s");
	assert_string_equal(string(&p, "leaks/0/why/1"), "none of its 100 blocks was ever freed");
	assert_string_equal(string(&p, "leaks/0/clues/0/name"), "grows evenly");
	assert_int_equal(number(&p, "leaks/0/clues/0/points"), 45);
	assert_int_equal(number(&p, "leaks/0/slope_bytes_per_hour"), 3600000);
	assert_int_equal(number(&p, "leaks/0/projected_bytes_per_day"), 24 * 3600000);
	assert_null_at(&p, "leaks/0/bytes_per_request");
	assert_null_at(&p, "leaks/0/reachability");
	assert_null_at(&p, "leaks/0/reachability_bytes/lost");
	assert_true(cJSON_IsFalse(at(&p, "reachability/made")));
	assert_null_at(&p, "reachability/blocks/still_reachable");
	/* Allocated by libc for the program: the program's leak. */
	assert_int_equal(number(&p, "leaks/2/bytes"), 20);
	assert_true(cJSON_IsTrue(at(&p, "leaks/2/suspect")));
	/* The start-up pool, though it is the largest. */
	assert_int_equal(number(&p, "leaks/3/bytes"), 72704);
	assert_true(cJSON_IsFalse(at(&p, "leaks/3/suspect")));
	assert_non_null(strstr(string(&p, "leaks/3/why/0"), "libstdc++.so.6.0.30 for itself"));
	assert_true(number(&p, "leaks/0/score") > number(&p, "leaks/3/score"));
	/* What outlives its siblings, now and then. */
	assert_int_equal(number(&p, "leaks/1/bytes"), 100);
	assert_true(cJSON_IsTrue(at(&p, "leaks/1/suspect")));
	assert_non_null(strstr(string(&p, "leaks/1/why/1"),
			       "of 49 freed nearly all lived less than 1.00 ms; 1 block is older"));
	assert_true(number(&p, "leaks/0/score") > number(&p, "leaks/1/score"));
	discard(&p);
}

static void test_reachability(void **state)
{
	static const char *notes[] = {"4 KiB could not be read"};
	struct site judged[COUNT(sites)];
	struct run run = make_run();
	struct printed p;

	(void)state;
	memcpy(judged, sites, sizeof(judged));
	run.sites = judged;
	run.heap.reach =
		(struct reach){.made = true,
			       .how = "snapshot",
			       .at_s = 1.5,
			       .pause_s = 0.002,
			       .notes = notes,
			       .note_count = 1,
			       .sums = {[REACH_INDIRECT] = {9000, 90}, [REACH_STILL] = {1000, 10}}};
	for (size_t i = 0; i < COUNT(judged); i++) {
		if (judged[i].live_bytes != 10000)
			continue;
		judged[i].reach[REACH_INDIRECT] = (struct reach_sum){9000, 90};
		judged[i].reach[REACH_STILL] = (struct reach_sum){1000, 10};
	}
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsTrue(at(&p, "reachability/made")));
	assert_null_at(&p, "reachability/missing");
	assert_string_equal(string(&p, "reachability/how"), "snapshot");
	assert_int_equal(number(&p, "reachability/bytes/indirectly_lost"), 9000);
	assert_int_equal(number(&p, "reachability/bytes/lost"), 0);
	assert_int_equal(number(&p, "reachability/blocks/still_reachable"), 10);
	assert_int_equal(cJSON_GetArraySize(at(&p, "reachability/notes")), 1);
	for (int i = 0; i < 4; i++) {
		char path[64];

		snprintf(path, sizeof(path), "leaks/%d/bytes", i);
		if (number(&p, path) != 10000)
			continue;
		snprintf(path, sizeof(path), "leaks/%d/reachability", i);
		assert_string_equal(string(&p, path), "indirectly lost");
		snprintf(path, sizeof(path), "leaks/%d/reachability_bytes/indirectly_lost", i);
		assert_int_equal(number(&p, path), 9000);
		snprintf(path, sizeof(path), "leaks/%d/reachability_blocks/still_reachable", i);
		assert_int_equal(number(&p, path), 10);
	}
	discard(&p);
	p = print(&run, REPORT_LEAKS, 100, false);
	assert_non_null(strstr(p.text, "indirectly lost"));
	assert_non_null(strstr(p.text, "in 90 blocks"));
	assert_non_null(strstr(p.text, "4 KiB could not be read"));
	discard(&p);
}

/* A stack that was cut does not show that the program is not in it. */
static void test_cut_stack_is_suspect(void **state)
{
	struct site pool = {.node = 5,
			    .allocations = 9,
			    .live_bytes = 900,
			    .live_blocks = 9,
			    .growth = GROWS(9, 900, 1e6)};
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.sites = &pool;
	run.site_count = 1;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsFalse(at(&p, "leaks/0/suspect")));
	discard(&p);
	run.depth = 2;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	discard(&p);
}

/* Nor does one that ends within libc, where unwinding failed. */
static void test_broken_stack_is_suspect(void **state)
{
	struct node broken[] = {{0, 0}, {0, 7}};
	struct site site = {.node = 1,
			    .allocations = 4,
			    .live_bytes = 64,
			    .live_blocks = 4,
			    .growth = GROWS(4, 64, 100)};
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.nodes = broken;
	run.node_count = COUNT(broken);
	run.sites = &site;
	run.site_count = 1;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	discard(&p);
}

/* What does not grow is no suspect, unless no pointer to it is left. */
static void test_one_early_block(void **state)
{
	struct site site = {.node = 2,
			    .allocations = 1,
			    .allocated_bytes = 500,
			    .live_bytes = 500,
			    .live_blocks = 1,
			    .first_at_s = 0.2,
			    .last_at_s = 0.2,
			    .last_live_at_s = 0.2,
			    .growth = STAYS};
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.sites = &site;
	run.site_count = 1;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsFalse(at(&p, "leaks/0/suspect")));
	assert_non_null(strstr(string(&p, "leaks/0/why/1"), "since start-up"));
	discard(&p);
	site.reach[REACH_STILL] = (struct reach_sum){500, 1};
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsFalse(at(&p, "leaks/0/suspect")));
	discard(&p);
	site.reach[REACH_LOST] = (struct reach_sum){500, 1};
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	assert_non_null(strstr(string(&p, "leaks/0/why/0"), "lost"));
	discard(&p);
	/* Nor does it help that the process leaves much else. */
	site.growth.stacks_left = 20;
	site.growth.axis = GROWTH_BY_ALLOCATIONS;
	site.growth.measured = true;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_non_null(strstr(string(&p, "leaks/0/why/3"), "left blocks of 20 stacks"));
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	assert_int_equal(number(&p, "leaks/0/score"), 50);
	discard(&p);
}

/* The more that grows, if it is still reachable, the less: but it counts. */
static void test_reachable_growth(void **state)
{
	struct site site = sites[1];
	struct run run = make_run();
	struct printed p;
	double unknown;

	(void)state;
	run.sites = &site;
	run.site_count = 1;
	p = print(&run, REPORT_LEAKS, 100, true);
	unknown = number(&p, "leaks/0/score");
	discard(&p);
	site.reach[REACH_STILL] = (struct reach_sum){10000, 100};
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(number(&p, "leaks/0/score") < unknown);
	assert_true(cJSON_IsTrue(at(&p, "leaks/0/suspect")));
	discard(&p);
	/* That it may be what the run is for takes more: to have been done in one go. */
	site.growth.axis = GROWTH_BY_ALLOCATIONS;
	site.growth.stacks_left = 20;
	p = print(&run, REPORT_LEAKS, 100, true);
	assert_true(cJSON_IsFalse(at(&p, "leaks/0/suspect")));
	discard(&p);
}

static void test_json_files(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_string_equal(string(&p, "io/files/0/path"), "/data/big");
	assert_int_equal(number(&p, "io/files/0/read_bytes_per_s"), 2048);
	assert_int_equal(number(&p, "io/files/0/written_bytes_per_s"), 0);
	assert_int_equal(number(&p, "io/files/0/latency_us/count"), 4);
	assert_int_equal(number(&p, "io/files/0/latency_us/p99"), 4);
	/* No time passed: no rate. No call was timed: no latency. Bytes that are
	 * no UTF-8 are replaced. */
	assert_null_at(&p, "io/files/1/read_bytes_per_s");
	assert_int_equal(number(&p, "io/files/1/latency_us/count"), 0);
	assert_null_at(&p, "io/files/1/latency_us/median");
	assert_string_equal(string(&p, "io/files/1/path"),
			    "/data/\xef\xbf\xbd\xef\xbf\xbd\x1b[31mevil\n");
	assert_int_equal(number(&p, "io/timeline/1/written_bytes_per_s"), 2048);
	discard(&p);
}

static void test_json_sockets(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_int_equal(number(&p, "sockets/received_bytes"), 99);
	/* Most bytes first. */
	assert_int_equal(number(&p, "sockets/connections/0/fd"), 4);
	assert_null_at(&p, "sockets/connections/0/family");
	assert_null_at(&p, "sockets/connections/0/opened_by");
	assert_int_equal(number(&p, "sockets/connections/0/receive_calls"), 2);
	assert_string_equal(string(&p, "sockets/connections/1/peer"), "127.0.0.1:80");
	assert_null_at(&p, "sockets/connections/1/closed_at_s");
	assert_int_equal(number(&p, "sockets/connections/1/sent_bytes"), 10);
	discard(&p);
}

static void test_json_kernel_counts(void **state)
{
	struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	assert_null_at(&p, "coverage/kernel_counted_bytes");
	discard(&p);
	run.coverage = (struct coverage){
		.known = true, .wanted = true, .counted = {1000, 200}, .seen = {900, 20}};
	p = print(&run, REPORT_WHOLE, 100, true);
	assert_int_equal(number(&p, "coverage/kernel_counted_bytes"), 1200);
	assert_int_equal(number(&p, "coverage/kernel_counted_read_bytes"), 1000);
	assert_int_equal(number(&p, "coverage/kernel_counted_written_bytes"), 200);
	assert_int_equal(number(&p, "coverage/seen_bytes"), 920);
	assert_int_equal(number(&p, "coverage/seen_read_bytes"), 900);
	assert_int_equal(number(&p, "coverage/seen_written_bytes"), 20);
	discard(&p);
	/* PERFHOOK_EVENTS=memory */
	run.coverage.wanted = false;
	p = print(&run, REPORT_WHOLE, 100, true);
	assert_int_equal(number(&p, "coverage/kernel_counted_bytes"), 1200);
	assert_null_at(&p, "coverage/seen_bytes");
	discard(&p);
}

static void test_json_coverage(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 100, true);

	(void)state;
	/* Nothing has a name here, and all modules but our own were shown. */
	assert_int_equal(cJSON_GetArraySize(at(&p, "coverage/modules_without_names")), 5);
	assert_string_equal(string(&p, "coverage/names_missing/0/module"), modules[LIBSTDCXX].path);
	assert_int_equal(number(&p, "coverage/names_missing/0/peak_bytes"), 72704);
	assert_true(strlen(string(&p, "coverage/names_missing/0/reason")) > 0);
	assert_int_equal(number(&p, "coverage/bytes_without_names_percent"), 100);
	discard(&p);
}

static void test_top(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 1, true);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(at(&p, "peak")), 1);
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks")), 1);
	assert_int_equal(cJSON_GetArraySize(at(&p, "io/files")), 1);
	assert_int_equal(cJSON_GetArraySize(at(&p, "sockets/connections")), 1);
	assert_int_equal(cJSON_GetArraySize(at(&p, "memory/timeline")), 3);
	discard(&p);
	p = print(&run, REPORT_WHOLE, 1, false);
	assert_non_null(strstr(p.text, "... 3 more stacks"));
	assert_non_null(strstr(p.text, "... 1 more file "));
	discard(&p);
}

static void test_empty_run(void **state)
{
	const struct run run = {.end = "unknown", .status = -1, .heap = {.peak_at_s = NAN}};
	struct printed p = print(&run, REPORT_WHOLE, 10, true);

	(void)state;
	assert_null_at(&p, "process/executable");
	assert_null_at(&p, "process/started");
	assert_null_at(&p, "process/status");
	assert_int_equal(cJSON_GetArraySize(at(&p, "process/command")), 0);
	assert_null_at(&p, "coverage/bytes_without_names_percent");
	discard(&p);
	p = print(&run, REPORT_WHOLE, 10, false);
	assert_non_null(strstr(p.text, "its end was not seen"));
	discard(&p);
}

static size_t place(const struct printed *p, const char *text);

/* What was not recorded is unknown, not zero; the rest is as it was. */
static void test_sections_that_are_off(void **state)
{
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.off = RUN_OFF_MEMORY | RUN_OFF_NET;
	run.asked_for = "io,wait";
	p = print(&run, REPORT_WHOLE, 100, true);
	assert_null_at(&p, "memory/allocations");
	assert_null_at(&p, "memory/peak_bytes");
	assert_null_at(&p, "memory/timeline");
	assert_null_at(&p, "peak");
	assert_null_at(&p, "leaks");
	assert_null_at(&p, "sockets/received_bytes");
	assert_null_at(&p, "sockets/connections");
	assert_null_at(&p, "sockets/latency_us/count");
	assert_null_at(&p, "threads/0/allocations");
	assert_null_at(&p, "threads/0/sent_bytes");
	assert_int_equal(number(&p, "threads/0/read_bytes"), 0);
	assert_int_equal(number(&p, "io/read_bytes"), 4096);
	assert_string_equal(string(&p, "io/files/0/path"), "/data/big");
	discard(&p);
	p = print(&run, REPORT_WHOLE, 10, false);
	assert_true(place(&p, "  not recorded  memory, net (PERFHOOK_EVENTS=io,wait)\n") <
		    place(&p, "FILES"));
	assert_null(strstr(p.text, "HEAP"));
	assert_null(strstr(p.text, "LEAKS"));
	assert_null(strstr(p.text, "NETWORK"));
	discard(&p);
	run.off = RUN_OFF_IO;
	p = print(&run, REPORT_WHOLE, 100, true);
	assert_null_at(&p, "io/files");
	assert_null_at(&p, "io/read_bytes");
	assert_int_equal(number(&p, "memory/allocations"), 162);
	discard(&p);
	p = print(&run, REPORT_IO, 10, false);
	assert_null(strstr(p.text, "FILES"));
	place(&p, "NETWORK");
	discard(&p);
}

static void test_one_is_one(void **state)
{
	struct run run = make_run();
	struct site site = {.node = 2,
			    .allocations = 3,
			    .live_bytes = 9,
			    .live_blocks = 3,
			    .first_at_s = 0.00076,
			    .last_at_s = 1.9,
			    .last_live_at_s = 1.9,
			    .growth = GROWS(1, 3, 7200)};
	struct printed p;

	(void)state;
	run.events = 1;
	run.io.total.read_calls = 1;
	run.io.total.errors = 1;
	run.sites = &site;
	run.site_count = 1;
	p = print(&run, REPORT_WHOLE, 1, false);
	place(&p, "1 event in 2.0 KiB");
	place(&p, "4.0 KiB in 1 call, ");
	place(&p, "1 call failed");
	place(&p, "1 block of 3 B was added after start-up");
	place(&p, "+2 B/s; first at 760 ");
	place(&p, "last at 1.90 s");
	discard(&p);
}

/* Where a text stands in the report; it must be there. */
static size_t place(const struct printed *p, const char *text)
{
	const char *found = strstr(p->text, text);

	if (found == NULL)
		fail_msg("'%s' is not in the report", text);
	return (size_t)(found - p->text);
}

static void test_text(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 10, false);

	(void)state;
	assert_true(place(&p, "server --port 80") == 0);
	place(&p, "ran         2.00 s, exited with status 3");
	/* What is missing comes before any figure. */
	assert_true(place(&p, "INCOMPLETE") < place(&p, "HEAP"));
	assert_true(place(&p, "12 events were lost") < place(&p, "9,007,199,254,740,993 events"));
	assert_true(place(&p, "a program that was not recorded") < place(&p, "HEAP"));
	place(&p, "176.5 KiB in 85 blocks");
	place(&p, "55.3%    97.7 KiB  in 4 blocks");
	place(&p, "plugin.so+0x600");
	place(&p, "0xdead0000 (generated code)");
	place(&p, "9.8 KiB  in 100 blocks  suspect, score");
	place(&p, "- none of its 100 blocks was ever freed");
	assert_true(place(&p, "in 100 blocks  suspect") < place(&p, "in 1 block  not suspect"));
	place(&p, "/data/big");
	place(&p, "consecutive");
	place(&p, "9 calls, 250 ms, 5 failed");
	/* A peer with all its connections is one row; each of them is `perfhook io`'s. */
	place(&p, "to 127.0.0.1:80 (db");
	place(&p, "10,000");
	place(&p, "at port 8080");
	assert_null(strstr(p.text, "fd 3 inet stream"));
	place(&p, "THREADS");
	place(&p, "MODULES WITHOUT NAMES  100.0% of the bytes at the peak");
	discard(&p);
}

/* Each file and connection, with what was done to it. */
static void test_text_of_io(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_IO, 10, false);

	(void)state;
	assert_null(strstr(p.text, "HEAP"));
	place(&p, "DIRECTORIES");
	place(&p, "FUNCTIONS");
	place(&p, "127.0.0.1  db");
	place(&p, "4 calls, consecutive (100.0% consecutive, 100.0% sequential),");
	place(&p, "25.0% tiny");
	place(&p, "3 up to 1.0 KiB, 1 up to 10.0 KiB");
	place(&p, "1 time, 2 times failed, closed 1 time, open for 1.50 s, ");
	place(&p, "4 read in 500 ms, 2 stat in 1.00 ms");
	place(&p, "7 ENOENT");
	place(&p, "4 read, 4.0 KiB, 500 ms");
	place(&p, "fd 3 inet stream 127.0.0.1:1000 -> 127.0.0.1:80 connect");
	assert_null(strchr(p.text, '\x1b'));
	discard(&p);
}

/* What is added to a file and a connection, beside what INTERFACE promises. */
static void test_json_of_io(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_IO, 100, true);

	(void)state;
	assert_int_equal(number(&p, "io/files/0/failed_opens"), 2);
	assert_int_equal(number(&p, "io/files/0/metadata/errors"), 1);
	assert_string_equal(string(&p, "io/files/0/access/read/pattern"), "consecutive");
	assert_int_equal(number(&p, "io/files/0/access/read/sizes/1/calls"), 3);
	assert_int_equal(number(&p, "io/files/0/access/read/sizes/1/up_to_bytes"), 1024);
	assert_null_at(&p, "io/files/0/access/read/sizes/9/up_to_bytes");
	assert_null_at(&p, "io/files/0/access/read/again_bytes");
	assert_null_at(&p, "io/files/0/access/written");
	assert_null_at(&p, "io/files/1/access/read");
	assert_int_equal(number(&p, "io/files/0/sync_latency_us/p50"), 7);
	assert_int_equal(cJSON_GetArraySize(at(&p, "io/files/0/timeline")), COUNT(rates));
	assert_string_equal(string(&p, "io/files/0/errors_by_errno/0/error"), "ENOENT");
	assert_string_equal(string(&p, "io/files/0/functions/1/function"), "stat");
	assert_int_equal(number(&p, "io/files/0/stacks/0/bytes"), 4096);
	assert_int_equal(cJSON_GetArraySize(at(&p, "io/files/1/stacks")), 0);
	assert_string_equal(string(&p, "io/directories/1/path"), "/");
	assert_int_equal(number(&p, "io/functions/1/errors"), 5);
	assert_int_equal(number(&p, "sockets/endpoints/0/turns_per_connection"), 5);
	assert_int_equal(number(&p, "sockets/endpoints/0/turn_latency_us/p50"), 1500);
	assert_null_at(&p, "sockets/endpoints/1/host");
	assert_null_at(&p, "sockets/connections/0/peer_name");
	assert_int_equal(cJSON_GetArraySize(at(&p, "sockets/connections/0/opened/stack")), 0);
	assert_int_equal(number(&p, "sockets/resolved/1/errors"), 1);
	assert_null_at(&p, "sockets/resolved/1/addresses");
	discard(&p);
}

static void test_text_is_safe(void **state)
{
	const struct run run = make_run();
	struct printed p = print(&run, REPORT_WHOLE, 10, false);

	(void)state;
	assert_null(strchr(p.text, '\x1b'));
	place(&p, "/data/\\xff\\xfe\\x1b[31mevil\\n");
	discard(&p);
}

/* 80 columns, for everything but the sentences of --help. */
static void test_text_fits(void **state)
{
	const struct run run = make_run();
	static const enum report_kind kinds[] = {REPORT_WHOLE, REPORT_IO};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct printed p = print(&run, kinds[i], 10, false);
		char *rest = p.text, *line;

		while ((line = strsep(&rest, "\n")) != NULL)
			if (strlen(line) > 80)
				fail_msg("%zu columns: %s", strlen(line), line);
		discard(&p);
	}
}

static void test_text_signal(void **state)
{
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.end = "signal";
	run.status = 9;
	p = print(&run, REPORT_LEAKS, 10, false);
	place(&p, "killed by SIGKILL (signal 9)");
	place(&p, "it may still have needed them");
	assert_null(strstr(p.text, "HEAP"));
	discard(&p);
}

/* A deep stack is shown by its ends, recursion once; JSON has all of it. */
static void test_text_long_stack(void **state)
{
	struct node deep[41] = {{0, 0}};
	struct address places[40];
	struct site site = {.node = 40, .allocations = 1, .live_bytes = 1, .live_blocks = 1};
	struct run run = make_run();
	struct printed p;

	(void)state;
	for (uint32_t i = 1; i < COUNT(deep); i++)
		deep[i] = (struct node){i - 1, i % 2};
	run.nodes = deep;
	run.node_count = COUNT(deep);
	run.sites = &site;
	run.site_count = 1;
	files[0].top_node = 0;
	p = print(&run, REPORT_LEAKS, 10, false);
	place(&p, "... these 2 frames 19 times more");
	discard(&p);
	for (uint32_t i = 1; i < COUNT(deep); i++) {
		deep[i].address = i - 1;
		places[i - 1] = i % 2 ? (struct address){0x400000 + i, PROGRAM}
				      : (struct address){0x7f4000000000 + i, PLUGIN};
	}
	run.addresses = places;
	run.address_count = COUNT(places);
	p = print(&run, REPORT_LEAKS, 10, false);
	place(&p, "... 32 more frames (--full)");
	discard(&p);
	p = print(&run, REPORT_LEAKS, 10, true);
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks/0/stack")), 40);
	discard(&p);
	files[0].top_node = 3;
}

/* Numbers that point nowhere are data, not trouble. */
static void test_hostile_model(void **state)
{
	struct node wild[] = {{0, 0}, {0, 99}, {77, 0}, {0, 1}};
	struct address far[] = {{1, 1000}, {2, -1}};
	struct site wild_sites[] = {
		{.node = 1, .live_bytes = 1, .live_blocks = 1, .peak_bytes = 1, .peak_blocks = 1},
		{.node = 2, .live_bytes = 1, .live_blocks = 1, .peak_bytes = 1, .peak_blocks = 1},
		{.node = 9999, .live_bytes = 1, .live_blocks = 1, .peak_blocks = 1},
	};
	struct run run = make_run();
	struct printed p;

	(void)state;
	run.nodes = wild;
	run.node_count = COUNT(wild);
	run.addresses = far;
	run.address_count = COUNT(far);
	run.sites = wild_sites;
	run.site_count = COUNT(wild_sites);
	p = print(&run, REPORT_WHOLE, 10, true);
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks")), 3);
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks/0/stack")), 0);
	assert_int_equal(cJSON_GetArraySize(at(&p, "leaks/1/stack")), 1);
	discard(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_process),
		cmocka_unit_test(test_json_waits),
		cmocka_unit_test(test_json_sections),
		cmocka_unit_test(test_json_big_integers),
		cmocka_unit_test(test_json_memory),
		cmocka_unit_test(test_json_stacks),
		cmocka_unit_test(test_json_leaks),
		cmocka_unit_test(test_reachability),
		cmocka_unit_test(test_cut_stack_is_suspect),
		cmocka_unit_test(test_broken_stack_is_suspect),
		cmocka_unit_test(test_one_early_block),
		cmocka_unit_test(test_reachable_growth),
		cmocka_unit_test(test_json_files),
		cmocka_unit_test(test_json_sockets),
		cmocka_unit_test(test_json_coverage),
		cmocka_unit_test(test_json_kernel_counts),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_empty_run),
		cmocka_unit_test(test_sections_that_are_off),
		cmocka_unit_test(test_one_is_one),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_of_io),
		cmocka_unit_test(test_json_of_io),
		cmocka_unit_test(test_text_is_safe),
		cmocka_unit_test(test_text_fits),
		cmocka_unit_test(test_text_signal),
		cmocka_unit_test(test_text_long_stack),
		cmocka_unit_test(test_hostile_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
