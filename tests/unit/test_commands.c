/* SPDX-License-Identifier: MIT */
/* The commands as they are typed: statuses, what is said where, dump's lines,
 * several traces in one object, answers that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/commands.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "tests/unit/make_trace.h"

/* What one command said. */
static struct {
	char out[1 << 20], err[4096];
	int status;
} said;

static void read_file(const char *path, char *buf, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, room - 1);

	assert_true(fd >= 0 && n >= 0);
	buf[n] = '\0';
	close(fd);
}

/* Point a standard stream to a file; returns a copy of what it was. */
static int redirect(FILE *stream, int fd, const char *path)
{
	int saved = dup(fd), to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fflush(stream);
	assert_true(saved >= 0 && to >= 0 && dup2(to, fd) == fd);
	close(to);
	return saved;
}

static void restore(FILE *stream, int fd, int saved)
{
	fflush(stream);
	clearerr(stream);
	dup2(saved, fd);
	close(saved);
}

#define WORDS 16

/* `line` is cut at its spaces. Standard output goes to `out_path`. */
static void perfhook_to(const char *out_path, const char *line)
{
	static char copy[1024], name[] = "perfhook";
	char *argv[WORDS + 1] = {name}, *rest = copy, *word;
	char err_path[512];
	int argc = 1, out, err;

	assert_true(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	while (argc < WORDS && (word = strsep(&rest, " ")) != NULL)
		argv[argc++] = word;
	snprintf(err_path, sizeof(err_path), "%s", make_path("err"));
	out = redirect(stdout, STDOUT_FILENO, out_path);
	err = redirect(stderr, STDERR_FILENO, err_path);
	said.status = commands_main(argc, argv);
	restore(stderr, STDERR_FILENO, err);
	restore(stdout, STDOUT_FILENO, out);
	read_file(err_path, said.err, sizeof(said.err));
}

static void perfhook(const char *line)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", make_path("out"));
	perfhook_to(path, line);
	read_file(path, said.out, sizeof(said.out));
}

__attribute__((format(printf, 1, 2))) static const char *line_of(const char *format, ...)
{
	static char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	return line;
}

/* The first trace: two blocks, one kept; a file that is read; a failed read. */
static const char *write_trace(const char *name, int pid)
{
	static char path[2][512];
	static int which;
	struct make_trace t;
	char more[256];
	uint32_t node;
	uint64_t offset = 512;
	char *to = path[which++ % 2];

	make_trace_begin(&t);
	t.id[0] = (uint8_t)pid;
	snprintf(more, sizeof(more), "\"pid\":%d", pid);
	t.run_more = more;
	node = make_node(&t, 0, 0x1234);
	make_memory(&t, 1, 1000, PH_OP_malloc, 0x10000, 100, node);
	make_memory(&t, 1, 2000, PH_OP_malloc, 0x20000, 50, node);
	make_memory(&t, 1, 3000, PH_OP_free, 0x20000, 0, 0);
	make_object(&t, 1, 4000, 7, 3,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED},
		    "/data/a\x1b\n", NULL, NULL);
	make_call(&t, 1, 5000,
		  (struct ph_call){.op = PH_OP_pread,
				   .fd = 3,
				   .object = 7,
				   .entry = MAKE_TRACE_START + 5000,
				   .duration = 10,
				   .result = 64,
				   .arg = 4096},
		  &offset, sizeof(offset));
	make_call(&t, 1, 6000,
		  (struct ph_call){.op = PH_OP_read,
				   .fd = 3,
				   .object = 7,
				   .entry = MAKE_TRACE_START + 6000,
				   .result = -EIO,
				   .arg = 10},
		  NULL, 0);
	snprintf(to, sizeof(path[0]), "%s", make_path(name));
	make_trace_write(&t, to);
	make_trace_free(&t);
	return to;
}

static void assert_said(const char *where, const char *text)
{
	if (strstr(where, text) == NULL)
		fail_msg("'%s' is not in '%.900s'", text, where);
}

static void assert_one_line(const char *text)
{
	assert_true(strchr(text, '\n') == text + strlen(text) - 1);
}

static void test_help(void **state)
{
	static const char *const commands[] = {"record", "report", "leaks", "io", "dump"};

	(void)state;
	perfhook("--version");
	assert_int_equal(said.status, 0);
	assert_string_equal(said.out, "perfhook " PERFHOOK_VERSION "\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		perfhook("--help");
		assert_int_equal(said.status, 0);
		assert_said(said.out, commands[i]);
		assert_string_equal(said.err, "");
		perfhook(line_of("%s --help", commands[i]));
		assert_int_equal(said.status, 0);
		assert_said(said.out, line_of("Usage: perfhook %s", commands[i]));
	}
	perfhook("--help");
	assert_null(strstr(said.out, "collect"));
}

/* Every command has examples, and they are not wrong. */
static void test_examples(void **state)
{
	const struct command *c;

	(void)state;
	for (size_t i = 0; (c = commands_next(&i)) != NULL;) {
		const char *words, *what;
		size_t n = 0;

		for (; help_example(c, n, &words, &what); n++) {
			char line[256], *argv[WORDS + 1], *rest = line, *word;
			struct error e = {.code = ERROR_NONE};
			struct options o;
			int argc = 0;

			snprintf(line, sizeof(line), "%s %s", c->name, words);
			line[strcspn(line, "|#")] = '\0';
			while (argc < WORDS && (word = strsep(&rest, " ")) != NULL)
				if (*word != '\0')
					argv[argc++] = word;
			argv[argc] = NULL;
			if (options_parse(&o, c->options, argc, argv, &e) != 0 ||
			    o.argument_count < c->least ||
			    (c->most >= 0 && o.argument_count > c->most))
				fail_msg("perfhook %s %s: %s", c->name, words, e.text);
			options_free(&o);
			perfhook(line_of("%s --help", c->name));
			assert_said(said.out, words);
		}
		if (n == 0)
			fail_msg("%s: give it an example in analyzer/command_help.c", c->name);
		perfhook(line_of("help %s", c->name));
		assert_said(said.out, c->usage);
	}
}

static void test_wrong_lines(void **state)
{
	static const char *const rows[][2] = {
		{"leask x", "did you mean leaks?"},
		{"frobnicate", "unknown command 'frobnicate'"},
		{"--frobnicate", "unknown option '--frobnicate'"},
		{"report", "nothing given"},
		{"report --tpo 3 x", "did you mean --top?"},
		{"dump a b", "too much given ('b')"},
		{"report /nowhere/x.trace", "/nowhere/x.trace"},
		{"leaks /dev/null", "/dev/null"},
		{"dump /nowhere/x.trace", "/nowhere/x.trace"},
		{"record", "nothing given"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		perfhook(rows[i][0]);
		assert_int_equal(said.status, 2);
		assert_string_equal(said.out, "");
		assert_said(said.err, rows[i][1]);
		assert_one_line(said.err);
	}
}

static void test_dump_text(void **state)
{
	const char *trace = write_trace("dump.trace", 5);

	(void)state;
	perfhook(line_of("dump %s", trace));
	assert_int_equal(said.status, 0);
	assert_said(said.out, " malloc(size=100) = 0x10000 #");
	assert_said(said.out, " free(address=0x20000)\n");
	assert_said(said.out, "origin=\"opened\", name=\"/data/a\\x1b\\n\")");
	assert_said(said.out, " pread(fd=3, object=7, count=4096, offset=512) = 64\n");
	assert_said(said.out, " read(fd=3, object=7, count=10) = -EIO\n");
	assert_true(strstr(said.out, "size=100") < strstr(said.out, "size=50"));
}

static void test_dump_json(void **state)
{
	const char *trace = write_trace("dump.trace", 5);
	char *rest = said.out, *line;
	size_t mallocs = 0, failed = 0, lines = 0;

	(void)state;
	perfhook(line_of("dump --json %s", trace));
	assert_int_equal(said.status, 0);
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		cJSON *event = cJSON_Parse(line);
		const cJSON *error = cJSON_GetObjectItem(event, "error");
		const char *function = cJSON_GetStringValue(cJSON_GetObjectItem(event, "function"));

		assert_non_null(function);
		assert_true(cJSON_IsNumber(cJSON_GetObjectItem(event, "at_s")));
		mallocs += strcmp(function, "malloc") == 0;
		failed += error != NULL && strcmp(error->valuestring, "EIO") == 0;
		lines++;
		cJSON_Delete(event);
	}
	assert_int_equal(mallocs, 2);
	assert_int_equal(failed, 1);
	assert_int_equal(lines, 6);
}

static void test_report_json_of_two(void **state)
{
	const char *first = write_trace("first.trace", 5);
	const char *second = write_trace("second.trace", 6);
	const cJSON *processes, *one;
	cJSON *root;

	(void)state;
	perfhook(line_of("report --json %s %s", first, second));
	assert_int_equal(said.status, 0);
	root = cJSON_Parse(said.out);
	assert_non_null(root);
	one = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "memory"), "live_bytes");
	assert_int_equal(one->valueint, 200);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "leaks")), 1);
	processes = cJSON_GetObjectItem(root, "processes");
	assert_int_equal(cJSON_GetArraySize(processes), 2);
	for (int i = 0; i < 2; i++) {
		one = cJSON_GetArrayItem(processes, i);
		assert_int_equal(cJSON_GetArraySize(one), 5);
		one = cJSON_GetObjectItem(cJSON_GetObjectItem(one, "io"), "read_bytes");
		assert_int_equal(one->valueint, 64);
	}
	cJSON_Delete(root);
}

/* Of several, those that can be read are reported, and the others named. */
static void test_unreadable_among_several(void **state)
{
	const char *first = write_trace("first.trace", 5);
	const cJSON *lost;
	cJSON *root;

	(void)state;
	perfhook(line_of("report --json %s /nowhere/x.trace", first));
	assert_int_equal(said.status, 0);
	assert_string_equal(said.err, "");
	root = cJSON_Parse(said.out);
	assert_non_null(root);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "processes")), 1);
	lost = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "coverage"), "lost");
	assert_int_equal(cJSON_GetArraySize(lost), 1);
	assert_said(cJSON_GetArrayItem(lost, 0)->valuestring, "/nowhere/x.trace");
	assert_true(
		cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "trace"), "complete")));
	cJSON_Delete(root);
	perfhook(line_of("report /nowhere/x.trace %s", first));
	assert_int_equal(said.status, 0);
	assert_said(said.out, "LOST        left out: /nowhere/x.trace");
	/* None: the first one's reason, and nothing else. */
	perfhook(line_of("report --json /nowhere/x.trace /nowhere/y.trace"));
	assert_int_equal(said.status, 2);
	assert_string_equal(said.out, "");
	assert_one_line(said.err);
	assert_said(said.err, "/nowhere/x.trace");
}

/* Twice is once. */
static void test_same_trace_twice(void **state)
{
	const char *first = write_trace("first.trace", 5);

	(void)state;
	perfhook(line_of("report %s %s", first, first));
	assert_int_equal(said.status, 0);
	assert_said(said.out, "counted once");
	assert_said(said.out, "100 B live in 1 block");
}

static void test_text_of_two(void **state)
{
	const char *first = write_trace("first.trace", 5);
	const char *second = write_trace("second.trace", 6);
	const char *heap;

	(void)state;
	perfhook(line_of("report %s %s", first, second));
	assert_int_equal(said.status, 0);
	heap = strstr(said.out, "HEAP");
	assert_non_null(heap);
	assert_null(strstr(heap + 1, "HEAP"));
	assert_said(said.out, "PROCESSES  2 in 2 images");
	assert_said(said.out, "200 B live in 2 blocks");
	assert_null(strchr(said.out, '\x1b'));
	perfhook(line_of("report --color=always %s", first));
	assert_non_null(strstr(said.out, "\x1b[1;36mHEAP\x1b[0m"));
	perfhook(line_of("leaks %s", first));
	assert_null(strstr(said.out, "HEAP"));
	assert_said(said.out, "LEAKS  0 B suspect in 0 of 1 stack");
	perfhook(line_of("io %s", first));
	assert_null(strstr(said.out, "LEAKS"));
	assert_said(said.out, "/data/a\\x1b\\n");
}

static void test_output_file(void **state)
{
	const char *trace = write_trace("first.trace", 5);
	char path[512], text[65536], before[4096], after[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s", make_path("answer"));
	perfhook(line_of("report -o %s %s", path, trace));
	assert_int_equal(said.status, 0);
	assert_string_equal(said.out, "");
	read_file(path, text, sizeof(text));
	assert_said(text, "HEAP");
	read_file(trace, before, sizeof(before));
	perfhook(line_of("report -o %s %s", trace, trace));
	assert_int_equal(said.status, 2);
	assert_said(said.err, "not written over");
	read_file(trace, after, sizeof(after));
	assert_memory_equal(before, after, sizeof("\x89PERFHK"));
}

static void test_full_disk(void **state)
{
	static const char *const lines[] = {"report %s", "report --json %s", "dump %s",
					    "dump --json %s", "leaks -o /dev/full %s"};
	char path[512];

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		char line[1024];

		snprintf(path, sizeof(path), "%s", write_trace("first.trace", 5));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(line, sizeof(line), lines[i], path);
#pragma GCC diagnostic pop
		perfhook_to("/dev/full", line);
		assert_int_equal(said.status, 2);
		assert_said(said.err, strerror(ENOSPC));
		assert_one_line(said.err);
	}
	perfhook_to("/dev/full", "--help");
	assert_int_equal(said.status, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_dump_text),
		cmocka_unit_test(test_dump_json),
		cmocka_unit_test(test_report_json_of_two),
		cmocka_unit_test(test_text_of_two),
		cmocka_unit_test(test_unreadable_among_several),
		cmocka_unit_test(test_same_trace_twice),
		cmocka_unit_test(test_output_file),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
