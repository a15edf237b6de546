/* SPDX-License-Identifier: MIT */
/* Exports that replay the trace once more: which calls are kept of many, and each block's
 * coming and going in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/export.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/unit/make_trace.h"

static char *export(const char *path, const char *format)
{
	const struct symbols_options options = {0};
	struct run run;
	struct report r;
	struct error e = {.code = ERROR_NONE};
	struct export x = {.report = &r};
	char *text;
	size_t length;

	assert_int_equal(run_load(&run, path, NULL, &e), 0);
	assert_int_equal(report_open(&r, &run, symbols_open(&options), 10, &e), 0);
	x.out = open_memstream(&text, &length);
	if (export_format_by_name(format)->write(&x, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(fclose(x.out), 0);
	symbols_close(r.symbols);
	report_close(&r);
	run_free(&run);
	return text;
}

/* Calls of 1 to MANY ticks, in no order of length. */
static void longest_calls(void **state)
{
	enum { MANY = 20010, STEP = 7919 };
	struct make_trace t;
	const char *path = make_path("calls.trace");
	cJSON *json, *event;
	int calls = 0;
	double least = 1e9, last = 0;
	char *text;

	(void)state;
	make_trace_begin(&t);
	make_object(&t, 1, 500, 7, 3,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED},
		    "/data/\x01\xff", NULL, NULL);
	for (uint64_t i = 0; i < MANY; i++)
		make_call(&t, 1, 1000 + 50000 * i,
			  (struct ph_call){.op = PH_OP_read,
					   .fd = 3,
					   .object = 7,
					   .entry = MAKE_TRACE_START + 1000 + 50000 * i,
					   .duration = i * STEP % MANY + 1,
					   .result = 5,
					   .arg = 64},
			  NULL, 0);
	make_trace_write(&t, path);
	make_trace_free(&t);
	text = export(path, "chrome");
	json = cJSON_Parse(text);
	assert_non_null(json);
	cJSON_ArrayForEach(event, cJSON_GetObjectItem(json, "traceEvents"))
	{
		if (strcmp(cJSON_GetObjectItem(event, "ph")->valuestring, "X") != 0)
			continue;
		calls++;
		if (cJSON_GetObjectItem(event, "dur")->valuedouble < least)
			least = cJSON_GetObjectItem(event, "dur")->valuedouble;
		assert_true(cJSON_GetObjectItem(event, "ts")->valuedouble >= last);
		last = cJSON_GetObjectItem(event, "ts")->valuedouble;
	}
	assert_int_equal(calls, 20000);
	/* The ten shortest are not among them: 1 to 10 ns. */
	assert_true(least > 0.0105 && least < 0.0115);
	assert_non_null(strstr(text, "\"shorter_calls_left_out\":\"10\""));
	assert_non_null(strstr(text, "\"object\":\"/data/\\u0001\xef\xbf\xbd\""));
	cJSON_Delete(json);
	free(text);
}

static void has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("not said: %s\nin:\n%s", what, text);
}

/* A temporary block; a free that only looks like one of a temporary block; a realloc; two
 * blocks of one size. */
static void blocks(void **state)
{
	struct make_trace t;
	const char *path = make_path("blocks.trace");
	uint32_t main_node, node;
	char *text;

	(void)state;
	make_trace_begin(&t);
	main_node = make_node(&t, 0, 0x1000);
	node = make_node(&t, main_node, 0x2000);
	make_memory(&t, 1, 1000, PH_OP_malloc, 0x10000, 16, node);
	make_memory(&t, 1, 2000, PH_OP_malloc, 0x20000, 16, node);
	make_memory(&t, 1, 3000, PH_OP_free, 0x20000, 0, 0);
	make_memory(&t, 1, 4000, PH_OP_malloc, 0x30000, 16, node);
	make_memory(&t, 1, 5000, PH_OP_free, 0x10000, 0, 0);
	make_memory(&t, 1, 6000000, PH_OP_REALLOC_BEGIN, 0x30000, 0, 0);
	make_memory(&t, 1, 7000000, PH_OP_realloc, 0x40000, 256, main_node);
	make_memory(&t, 1, 8000000, PH_OP_free, 0x50000, 0, 0); /* never seen before */
	make_trace_write(&t, path);
	make_trace_free(&t);
	text = export(path, "heaptrack");
	has(text, "v 10400 2\nX");
	/* main's address, and its stack; then the other below it. */
	has(text, "i 1000 0\nt 1 0\ni 2000 0\nt 2 1\na 10 2\na 10 2\n+ 0\n");
	has(text, "+ 0\n+ 0\n- 0\n+ 0\n- 1\n");
	/* The old block goes before the new one comes. */
	has(text, "c 7\n- 0\na 100 1\na 100 1\n+ 2\nc 8\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_calls),
		cmocka_unit_test(blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
