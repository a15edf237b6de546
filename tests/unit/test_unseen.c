/* SPDX-License-Identifier: MIT */
/* What was seen against what the kernel counted: which calls, until when, from how
 * much on it is said; and what traces say of themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/coverage.h"
#include "analyzer/run.h"
#include "trace/functions.h"

#include "make_trace.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define RUN                                                                                        \
	"{\"pid\":7,\"executable\":\"/x\",\"version\":\"" PERFHOOK_VERSION                         \
	"\",\"started_ticks\":\"1000000000\",\"ticks_per_s\":\"1000000000\","                      \
	"\"clock\":\"monotonic\",\"events\":[\"memory\",\"io\",\"net\"]}"

/* A kernel_io that begins with the run; numbers as text, as they may be in JSON. */
#define END(look, ticks, read, written, threads, more)                                             \
	"{\"end\":\"exit\",\"status\":0,\"ended_ticks\":\"2000000000\",\"kernel_io\":{"            \
	"\"begin_ticks\":\"1000000100\",\"look_ticks\":\"" look "\",\"ticks\":\"" ticks            \
	"\",\"read_bytes\":\"" read "\",\"written_bytes\":\"" written "\",\"threads\":" threads    \
	"}" more "}"

static void call(struct make_trace *t, uint32_t stream, uint64_t at, unsigned op, int64_t result)
{
	make_call(t, stream, at,
		  (struct ph_call){.op = (uint8_t)op,
				   .cells = PH_CALL_CELLS,
				   .fd = 3,
				   .entry = at,
				   .duration = 10,
				   .result = result},
		  NULL, 0);
}

/* Two threads' calls; stream 2's thread ends at 5 s. */
static struct run load(const char *run_json, const char *end)
{
	struct make_trace t;
	struct error e = {0};
	struct run run;
	const char *path = make_path("t");

	make_trace_begin(&t);
	t.run = run_json;
	t.end = end;
	t.threads = "{\"stream\":1,\"tid\":7,\"name\":\"a\",\"started_ticks\":\"1000000000\","
		    "\"ended_ticks\":null,\"nested_in\":0},"
		    "{\"stream\":2,\"tid\":8,\"name\":\"b\",\"started_ticks\":\"1000000000\","
		    "\"ended_ticks\":\"1000005000\",\"nested_in\":0}";
	make_stream(&t, 1);
	make_stream(&t, 2);
	call(&t, 1, 50, PH_OP_read, 1000000); /* before the first look */
	call(&t, 1, 200, PH_OP_read, 10000);
	call(&t, 1, 300, PH_OP_pread, 2000);
	call(&t, 1, 400, PH_OP_read, -9);
	call(&t, 1, 500, PH_OP_recv, 400000);
	call(&t, 1, 600, PH_OP_write, 30000);
	call(&t, 1, 700, PH_OP_sendmsg, 500000);
	call(&t, 2, 800, PH_OP_readv, 7000);
	call(&t, 1, 9000, PH_OP_write, 600000); /* after the last */
	make_flush(&t, 1);
	make_flush(&t, 2);
	make_trace_write(&t, path);
	make_trace_free(&t);
	if (run_load(&run, path, NULL, &e) != 0)
		fail_msg("%s", e.text);
	unlink(path);
	return run;
}

static const char *notice(const struct run *run, const char *part)
{
	for (size_t i = 0; i < run->notice_count; i++)
		if (strstr(run->notices[i].text, part) != NULL)
			return run->notices[i].text;
	return NULL;
}

#define UNSEEN "went through calls that are not seen"

static void test_all_seen(void **state)
{
	struct run run = load(RUN, END("1000008000", "1000008000", "19000", "30000", "false", ""));

	(void)state;
	assert_true(run.coverage.known && run.coverage.wanted);
	assert_int_equal(run.coverage.seen[0], 19000);
	assert_int_equal(run.coverage.seen[1], 30000);
	assert_int_equal(run.coverage.counted[0], 19000);
	assert_null(notice(&run, UNSEEN));
	run_free(&run);
}

/* More than 4 KiB and more than 1 %, in one direction or both. */
static void test_from_when_it_is_said(void **state)
{
	struct run run = load(RUN, END("1000008000", "1000008000", "23096", "30000", "false", ""));

	(void)state;
	assert_null(notice(&run, UNSEEN));
	run_free(&run);
	run = load(RUN, END("1000008000", "1000008000", "23097", "30000", "false", ""));
	assert_non_null(
		notice(&run, "4.0 KiB of the 22.6 KiB that the kernel counted as read " UNSEEN));
	run_free(&run);
	run = load(RUN, END("1000008000", "1000008000", "19000", "40000", "false", ""));
	assert_non_null(
		notice(&run, "9.8 KiB of the 39.1 KiB that the kernel counted as written " UNSEEN));
	run_free(&run);
	run = load(RUN, END("1000008000", "1000008000", "119000", "130000", "false", ""));
	assert_non_null(notice(&run, "as read and 97.7 KiB of the "));
	run_free(&run);
}

static void test_one_percent(void **state)
{
	struct coverage c = {
		.known = true, .wanted = true, .counted = {1000000, 0}, .seen = {990000, 0}};
	struct arena *arena = arena_new();

	(void)state;
	assert_null(coverage_text(&c, 0, arena));
	c.seen[0]--;
	assert_non_null(coverage_text(&c, 0, arena));
	assert_null(strstr(coverage_text(&c, 0, arena), "lost"));
	assert_non_null(strstr(coverage_text(&c, 3, arena), "the events that were lost"));
	c.seen[0] = 0;
	assert_non_null(strstr(coverage_text(&c, 0, arena),
			       "all 976.6 KiB that the kernel counted as read went"));
	c.seen[0] = 1;
	assert_non_null(strstr(coverage_text(&c, 0, arena), "nearly all 976.6 KiB that"));
	/* More seen than counted: a call may have been under way. */
	c.seen[0] = 2000000;
	assert_null(coverage_text(&c, 0, arena));
	c = (struct coverage){.known = false, .wanted = true, .counted = {1000000, 0}};
	assert_null(coverage_text(&c, 0, arena));
	c = (struct coverage){.known = true, .wanted = false, .counted = {1000000, 0}};
	assert_null(coverage_text(&c, 0, arena));
	arena_free(arena);
}

/* The kernel's sum lacks the thread that was gone: what it did is added. */
static void test_threads_that_are_gone(void **state)
{
	struct run run = load(RUN, END("1000008000", "1000008000", "12000", "30000", "true", ""));

	(void)state;
	assert_int_equal(run.coverage.seen[0], 19000);
	assert_int_equal(run.coverage.counted[0], 19000);
	run_free(&run);
	run = load(RUN, END("1000004000", "1000008000", "19000", "30000", "true", ""));
	assert_int_equal(run.coverage.counted[0], 19000);
	run_free(&run);
}

/* Of a process that was killed, what was counted last; once it had begun. */
static void test_count_before_the_end(void **state)
{
#define KILLED(ticks, read)                                                                        \
	"{\"end\":\"signal\",\"status\":9,\"ended_ticks\":\"1300008000\",\"kernel_io\":{"          \
	"\"begin_ticks\":\"1000000100\",\"look_ticks\":\"" ticks "\",\"ticks\":\"" ticks           \
	"\",\"read_bytes\":\"" read "\",\"written_bytes\":\"0\",\"threads\":false}}"
	struct run run = load(RUN, KILLED("1000008000", "90000"));
	const char *text = notice(&run, UNSEEN);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "counted as read, up to 300 ms before its end, went"));
	assert_true(run.coverage.until_s > 7e-6 && run.coverage.until_s < 9e-6);
	run_free(&run);
	run = load(RUN, KILLED("1290008000", "900000"));
	assert_non_null(notice(&run, "counted as read " UNSEEN));
	run_free(&run);
	/* All of what was seen came later, or may have. */
	run = load(RUN, KILLED("1000000101", "0"));
	assert_false(run.coverage.known);
	assert_int_equal(run.coverage.seen[0], 1019000);
	assert_null(notice(&run, UNSEEN));
	run_free(&run);
	run = load(RUN, KILLED("1290008000", "0"));
	assert_true(run.coverage.known);
	run_free(&run);
}

static void test_what_is_known(void **state)
{
	struct run run = load(
		RUN, END("1", "2", "0", "0", "false",
			 ",\"own_malloc\":\"/opt/app\",\"unseen\":[\"go\",\"io_uring\",\"?\"]"));

	(void)state;
	assert_non_null(notice(&run, "/opt/app has a malloc of its own"));
	assert_non_null(notice(&run, "this is a Go program"));
	assert_non_null(notice(&run, "an io_uring was open"));
	assert_null(notice(&run, "dlmopen"));
	run_free(&run);
	run = load(RUN, END("1", "2", "0", "0", "false", ",\"unseen\":[\"namespace\"]"));
	assert_int_equal(run.notice_count, 1);
	assert_non_null(notice(&run, "dlmopen()"));
	run_free(&run);
}

static void test_older_and_hostile_traces(void **state)
{
	static const char *const ends[] = {
		"{\"end\":\"exit\",\"status\":0}",
		"{\"end\":\"exit\",\"kernel_io\":null,\"own_malloc\":null,\"unseen\":null}",
		"{\"end\":\"exit\",\"kernel_io\":[1,2],\"own_malloc\":7,\"unseen\":{\"go\":1}}",
	};
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		run = load(RUN, ends[i]);
		assert_false(run.coverage.known);
		assert_int_equal(run.notice_count, 0);
		run_free(&run);
	}
	run = load(RUN, END("x", "18446744073709551615", "18446744073709551615", "-1", "7", ""));
	assert_true(run.coverage.known);
	assert_non_null(notice(&run, UNSEEN));
	run_free(&run);
	/* A run that says nothing of what it recorded. */
	run = load("{\"pid\":7,\"version\":\"" PERFHOOK_VERSION "\"}",
		   END("1000008000", "1000008000", "900000", "0", "false", ""));
	assert_null(notice(&run, UNSEEN));
	run_free(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_seen),
		cmocka_unit_test(test_from_when_it_is_said),
		cmocka_unit_test(test_one_percent),
		cmocka_unit_test(test_threads_that_are_gone),
		cmocka_unit_test(test_count_before_the_end),
		cmocka_unit_test(test_what_is_known),
		cmocka_unit_test(test_older_and_hostile_traces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
