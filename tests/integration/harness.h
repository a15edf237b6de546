/* SPDX-License-Identifier: MIT */
/*
 * What the tests that run real programs share: a folder to work in, starting
 * programs with and without the library, traces and reports. A failure inside
 * any of these fails the running cmocka test with a sentence that says what was
 * run; nothing here returns an error. Not thread-safe.
 */
#ifndef PH_TESTS_HARNESS_H
#define PH_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define check(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg(__VA_ARGS__);                                                     \
	} while (0)

#define check_u64(got, wanted, what) check_equal((got), (wanted), (what), __FILE__, __LINE__)
void check_equal(uint64_t got, uint64_t wanted, const char *what, const char *file, int line);

/* Skips the running test, and says why. */
#define skip_because(...)                                                                          \
	do {                                                                                       \
		fprintf(stderr, "skipped: ");                                                      \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		skip();                                                                            \
	} while (0)
bool have_tool(const char *name);
#define need_tool(name)                                                                            \
	do {                                                                                       \
		if (!have_tool(name))                                                              \
			skip_because("%s is not installed (make deps)", name);                     \
	} while (0)

/* cmocka's per-test set-up and tear-down: an empty folder, which is the working
 * directory of what a test starts, and is removed afterwards (unless
 * PERFHOOK_KEEP is set). What still runs then is killed. */
int box_setup(void **state);
int box_teardown(void **state);
#define boxed(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

const char *box_dir(void);
/* All of these return strings that live until the test ends. */
char *in_box(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *kept(void *memory);	 /* malloc()'s: freed when the test ends */
char *program(const char *name); /* "leak": tests/programs/leak or examples/leak, as built */
const char *library_path(void);
const char *perfhook_path(void);

/* Lines to be compared in any order: one text of them all, sorted. The list is empty
 * again then. */
struct lines {
	char **all;
	size_t count;
};
void add_line(struct lines *lines, char *line);
char *sorted_lines(struct lines *lines);

char *read_file(const char *path, size_t *size); /* NULL if there is none; the test's own */
void write_file(const char *path, const void *content, size_t size);

struct limit {
	int resource;
	unsigned long value;
};

struct options {
	bool preload;		    /* with LD_PRELOAD and PERFHOOK_OUT */
	int timeout_s;		    /* 0: 60 */
	const char *input;	    /* a file for standard input; NULL: /dev/null */
	const char *output;	    /* a file for standard output; NULL: captured */
	const char *directory;	    /* NULL: box_dir() */
	bool fixed_addresses;	    /* as under setarch -R */
	const char *const *env;	    /* "NAME=value"… added, NULL-terminated */
	const struct limit *limits; /* ended by resource -1 */
};

struct outcome {
	int pid;
	int status; /* of exit; -1: a signal ended it */
	int signal; /* 0: none */
	char *out, *err;
	size_t out_size, err_size;
	char *traces; /* folder of the traces, if it was preloaded */
	char *trace;  /* the first image's of this process */
	char *line;   /* the command, for messages */
};

/* argv[0] is looked up in PATH. NULL options: not preloaded. */
struct outcome run(const char *const *argv, const struct options *options);
/* The same with the library; also checks that a trace stands there. */
struct outcome record(const char *const *argv, const struct options *options);

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* In two steps, for tests that do something meanwhile. */
struct running;
struct running *start(const char *const *argv, const struct options *options);
struct outcome finish(struct running *running);
int running_pid(const struct running *running);

void check_status(const struct outcome *outcome, int status);
/* What standard error holds that is not a line of the library's own. */
char *foreign_errors(const struct outcome *outcome);

/* Traces of an outcome: of its process and of all that came from it. */
size_t list_traces(const struct outcome *outcome, char ***paths);

/* The report; the test's own, freed with it. */
cJSON *report(const char *trace);
cJSON *report_of_all(const struct outcome *outcome); /* all its traces as one tree */
cJSON *leaks_of_all(const struct outcome *outcome);  /* `perfhook leaks`, likewise */
/* "memory.peak_bytes"; anything missing or not a number fails the test. */
const cJSON *json_at(const cJSON *json, const char *path);
uint64_t json_u64(const cJSON *json, const char *path);
const char *json_text(const cJSON *json, const char *path);

/* Does a frame of this entry's "stack" stand in that function? NULL, or the frame. */
const cJSON *frame_of(const cJSON *entry, const char *function);
/* First entry of "leaks" with the function in its stack, or NULL. */
const cJSON *leak_with_function(const cJSON *report, const char *function);
/* Sums over all of them. */
struct amount {
	uint64_t bytes, blocks;
};
struct amount leaked_by(const cJSON *report, const char *function);
/* Entry of io.files, by path as it stands or as it ends; NULL: none. */
const cJSON *file_entry(const cJSON *report, const char *path);

/* `truth: NAME=VALUE` as the program printed it. */
uint64_t truth(const struct outcome *outcome, const char *name);
char *truth_text(const struct outcome *outcome, const char *name); /* NULL: not said */

/* `perfhook dump` of all its traces, and how many of the events are calls of a function. */
char *dump_of_all(const struct outcome *outcome);
uint64_t dump_count(const char *dump, const char *function);

/* The heap's totals. */
struct heap_totals {
	uint64_t allocations, frees, allocated_bytes, live_bytes, live_blocks;
};
struct heap_totals heap_totals(const cJSON *report);

/*
 * Many programs under tests/programs run twice: as they are, and with a last
 * argument "baseline", where they do all but their own allocations. The
 * difference is what they printed as their truth, whatever libc adds.
 */
struct pair {
	struct outcome outcome, baseline;
	cJSON *report, *baseline_report;
};
struct pair record_pair(const char *const *argv, const struct options *options);
void check_heap_truth(const struct pair *pair);

/* The process that empties the rings of a process with this outcome's folder of
 * traces; 0: none is running. */
int find_collector(const char *traces);
const char *running_traces(const struct running *running);

/* Poll `ready` every millisecond, up to timeout_s; false: it never was. */
bool wait_until(bool (*ready)(void *context), void *context, int timeout_s);

bool full_mode(void); /* PERFHOOK_STRESS=full */

#endif
