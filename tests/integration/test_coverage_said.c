/* SPDX-License-Identifier: MIT */
/* What is not seen is said: the kernel's count of bytes against what was seen, and
 * what the recorder knows it cannot see. */
#include <signal.h>

#include "harness.h"

/* The line about the kernel's count. */
static const char uncovered[] = "went through calls that are not seen";

/* An entry of coverage.not_seen that holds `part`; NULL: none. */
static const char *not_seen(const cJSON *json, const char *part)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_at(json, "coverage.not_seen"))
	{
		if (strstr(item->valuestring, part) != NULL)
			return item->valuestring;
	}
	return NULL;
}

static void check_said(const cJSON *json, const char *part, bool said)
{
	check((not_seen(json, part) != NULL) == said, "\"%s\" is %s", part,
	      said ? "not said" : "said");
}

static uint64_t missed(const cJSON *json, const char *way)
{
	return json_u64(json, text("coverage.kernel_counted_%s_bytes", way)) -
	       json_u64(json, text("coverage.seen_%s_bytes", way));
}

/* What a target says of itself is written by calls that nobody sees. */
static struct outcome unseen(const char *const *argv)
{
	struct outcome o = record(argv, NULL);

	check_status(&o, 0);
	return o;
}

static void families_agree_with_the_kernel(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "families"));
	cJSON *json = report(o.trace);

	(void)state;
	check_u64(json_u64(json, "coverage.seen_read_bytes"), truth(&o, "read"), "seen read");
	check_u64(json_u64(json, "coverage.seen_written_bytes"), truth(&o, "written"),
		  "seen written");
	check_u64(missed(json, "read"), 0, "read and not seen");
	check_u64(missed(json, "written"), o.out_size, "written and not seen");
	check_u64(json_u64(json, "coverage.kernel_counted_bytes"),
		  truth(&o, "read") + truth(&o, "written") + o.out_size, "counted in all");
	check_said(json, uncovered, false);
}

static void unseen_calls_are_counted(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "unseen"));
	cJSON *json = report(o.trace);

	(void)state;
	check_u64(missed(json, "read"), truth(&o, "read"), "read and not seen");
	check_u64(missed(json, "written"), truth(&o, "written") + o.out_size,
		  "written and not seen");
	check(strstr(not_seen(json, uncovered), "all 29.3 KiB that the kernel counted "
						"as read and ") != NULL,
	      "%s", not_seen(json, uncovered));
}

static const char streams_unknown[] = "this libc's streams are not as they are known";

/* The stack of a file leads from the program through libc. */
static void check_stack(const cJSON *json, const char *path)
{
	const cJSON *file, *frame;
	const char *before = "";

	cJSON_ArrayForEach(file, json_at(json, "io.files"))
	{
		if (strcmp(json_text(file, "path"), path) != 0)
			continue;
		cJSON_ArrayForEach(frame, json_at(file, "stack"))
		{
			if (strcmp(json_text(frame, "function"), "by_stdio") == 0) {
				check(strstr(before, "libc.so") != NULL, "%s: called by %s", path,
				      before);
				return;
			}
			before = json_text(frame, "module");
		}
	}
	fail_msg("no stack of %s leads through by_stdio()", path);
}

static void stdio_is_covered(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "stdio"));
	cJSON *json = report(o.trace);

	(void)state;
	check_u64(json_u64(json, "coverage.kernel_counted_read_bytes"), truth(&o, "read"),
		  "counted read");
	check_u64(missed(json, "read"), 0, "read and not seen");
	check_u64(missed(json, "written"), o.out_size, "written and not seen");
	check_said(json, uncovered, false);
	check_said(json, streams_unknown, false);
	check_stack(json, "/dev/zero");
	check_stack(json, "/dev/null");
}

/* A libc whose tables are not as they should be is left alone, and that is said: of
 * the process and of its child. */
static void strange_stdio_is_said(void **state)
{
	struct outcome o = unseen(ARGV(program("strange_stdio")));
	char **traces;
	size_t count = list_traces(&o, &traces);

	(void)state;
	check_u64(count, 2, "traces");
	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);
		bool child = strcmp(traces[i], o.trace) != 0;

		check_said(json, streams_unknown, true);
		check_u64(missed(json, "read"), child ? 8192 : truth(&o, "read"),
			  "read and not seen");
		check_said(json, uncovered, true);
	}
}

/* Nobody is asked for an address in digits. */
static void inner_sockets_are_said(void **state)
{
	static const char names[] = "libc looked up names",
			  log[] = "libc wrote to the system's log";
	cJSON *json = report(unseen(ARGV(program("unseen"), "digits")).trace);

	(void)state;
	check_said(json, names, false);
	check_said(json, log, false);
	json = report(unseen(ARGV(program("unseen"), "name")).trace);
	check_said(json, names, true);
	check_said(json, log, false);
	json = report(unseen(ARGV(program("unseen"), "log")).trace);
	check_said(json, names, false);
	check_said(json, log, true);
}

/* A killed program cannot look itself: the collector finds what it left. */
static bool collector_is_gone(void *context)
{
	return find_collector(context) == 0;
}

static void killed_program_is_counted(void **state)
{
	struct running *r = start(ARGV(program("unseen"), "stay"),
				  &(struct options){.preload = true, .output = in_box("said")});
	char *said = NULL;
	struct outcome o;
	cJSON *json;

	(void)state;
	while (said == NULL || strstr(said, "ready") == NULL) {
		usleep(1000);
		said = read_file(in_box("said"), NULL);
	}
	kill(running_pid(r), SIGKILL);
	/* A zombie until it is waited for. */
	check(wait_until(collector_is_gone, (void *)(uintptr_t)running_traces(r), 30),
	      "the collector does not end");
	o = finish(r);
	check_u64((uint64_t)o.signal, SIGKILL, "signal");
	json = report(o.trace);
	check_u64(missed(json, "read"), 30000, "read and not seen");
	check_said(json, uncovered, true);
}

static void children_are_left_out(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "families", "child"));
	struct outcome threads = unseen(ARGV(program("unseen"), "thread", "child", "unseen"));
	cJSON *json = report(o.trace);

	(void)state;
	check_u64(missed(json, "read"), 0, "read and not seen");
	check_u64(missed(json, "written"), o.out_size, "written and not seen");
	check_said(json, uncovered, false);
	/* With threads that ended before: what they were seen to do is theirs. */
	json = report(threads.trace);
	check_u64(json_u64(json, "coverage.seen_read_bytes"), 50000, "seen read");
	check_u64(missed(json, "read"), 30000, "read and not seen");
}

static void a_fork_child_has_its_own(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "child"));
	char **traces;
	size_t count = list_traces(&o, &traces);
	bool found = false;

	(void)state;
	check_u64(count, 2, "traces");
	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);

		if (strcmp(traces[i], o.trace) == 0)
			continue;
		found = true;
		check_u64(missed(json, "read"), 120000, "read by the child and not seen");
		check_said(json, uncovered, true);
	}
	check(found, "no child's trace");
}

static void what_was_not_asked_for_is_not_missed(void **state)
{
	const char *const env[] = {"PERFHOOK_EVENTS=memory", NULL};
	struct outcome o = record(ARGV(program("unseen"), "unseen"), &(struct options){.env = env});
	cJSON *json = report(o.trace);

	(void)state;
	check(cJSON_IsNull(json_at(json, "coverage.seen_bytes")), "seen_bytes is not null");
	check(json_u64(json, "coverage.kernel_counted_bytes") >= 50000, "not counted");
	check_said(json, uncovered, false);
	check_said(json, streams_unknown, false);
}

/* To look would be its death. */
static void filtered_program_lives(void **state)
{
	struct outcome o = record(ARGV(program("filtered")), NULL);

	(void)state;
	if (o.status == 77)
		skip_because("no seccomp filters here");
	check_status(&o, 6);
	check(json_u64(report(o.trace), "memory.frees") >= 1000, "not recorded");
	o = record(ARGV(program("filtered"), "_exit"), NULL);
	check_status(&o, 5);
	check_u64(json_u64(report(o.trace), "process.status"), 5, "status");
}

/* Text has it before any figure. */
static void first_screen(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "unseen"));
	struct outcome shown = run(ARGV(perfhook_path(), "report", o.trace), NULL);
	const char *line = strstr(shown.out, "  not seen    all 29.3 KiB that");

	(void)state;
	check_status(&shown, 0);
	check(line != NULL && line < strstr(shown.out, "HEAP"), "%s", shown.out);
}

static void own_malloc_is_named(void **state)
{
	static const char line[] = "has a malloc of its own";
	char *both = text("LD_PRELOAD=%s:%s", program("lib_malloc.so"), library_path());
	char *after = text("LD_PRELOAD=%s:%s", library_path(), program("lib_malloc.so"));
	const char *const before_env[] = {both, NULL}, *const after_env[] = {after, NULL};
	struct outcome o;
	cJSON *json;

	(void)state;
	o = record(ARGV(program("leak")), &(struct options){.env = before_env});
	json = report(o.trace);
	check(not_seen(json, line) != NULL && strstr(not_seen(json, line), "lib_malloc.so has"),
	      "a malloc that was preloaded first is not named");
	check_u64(json_u64(json, "memory.allocations"), 0, "allocations");
	o = record(ARGV(program("leak")), &(struct options){.env = after_env});
	json = report(o.trace);
	check_said(json, line, false);
	check(json_u64(json, "memory.allocations") > 50000, "a malloc behind ours is not recorded");
}

/* Compiled by the test: flags matter. The program's path. */
static char *compile(const char *name, const char *source, const char *const *flags)
{
	char *path = in_box("%s", name), *file = in_box("%s.c", name);
	const char *argv[16] = {"gcc", "-o", path, file};
	struct outcome o;

	write_file(file, source, strlen(source));
	for (size_t i = 0; flags[i] != NULL; i++)
		argv[4 + i] = flags[i];
	o = run(argv, NULL);
	check_status(&o, 0);
	return path;
}

static void own_malloc_of_the_program(void **state)
{
	static const char line[] = "has a malloc of its own";
	struct outcome o;

	(void)state;
	need_tool("gcc");
	o = unseen(
		ARGV(compile("own",
			     "#include <stddef.h>\n"
			     "void *malloc(size_t n) { static char p[1 << 16]; static size_t at;\n"
			     "return p + (at += (n + 31) & ~15ul) - n; }\n"
			     "void free(void *p) { (void)p; }\n"
			     "int main(void) { free(malloc(10)); return 0; }\n",
			     ARGV("-fno-builtin"))));
	check(strstr(not_seen(report(o.trace), line), "own has a malloc") != NULL, "not named");
	/* The address of malloc in a fixed program is a stub of its own, and no malloc. */
	o = unseen(ARGV(compile("stub",
				"#include <stdlib.h>\n"
				"int main(void) { void *(*volatile f)(size_t) = malloc;\n"
				"free(f(1234)); return 0; }\n",
				ARGV("-no-pie", "-fno-pic"))));
	check_said(report(o.trace), line, false);
	check(json_u64(report(o.trace), "memory.allocated_bytes") >= 1234, "not recorded");
}

static void what_is_open_or_loaded_is_named(void **state)
{
	struct outcome o = unseen(ARGV(program("unseen"), "uring", "namespace"));
	struct outcome none = unseen(ARGV(program("unseen"), "families"));
	cJSON *json = report(o.trace), *other = report(none.trace);

	(void)state;
	check_said(json, "an io_uring was open", truth(&o, "uring") != 0);
	check_said(json, "dlmopen()", truth(&o, "namespace") != 0);
	check_said(other, "an io_uring was open", false);
	check_said(other, "dlmopen()", false);
	check_said(other, "Go program", false);
}

/* With the note that Go's linker leaves. */
static void go_programs_are_named(void **state)
{
	struct outcome o;

	(void)state;
	need_tool("gcc");
	o = unseen(ARGV(compile("go",
				"__asm__(\".section .note.go.buildid,\\\"a\\\",@note\\n\"\n"
				"\".long 4, 8, 4\\n .asciz \\\"Go\\\\0\\\"\\n .quad 1\\n "
				".text\");\n"
				"int main(void) { return 0; }\n",
				ARGV("-O0"))));
	check_said(report(o.trace), "this is a Go program", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(families_agree_with_the_kernel),
		boxed(unseen_calls_are_counted),
		boxed(stdio_is_covered),
		boxed(strange_stdio_is_said),
		boxed(inner_sockets_are_said),
		boxed(killed_program_is_counted),
		boxed(children_are_left_out),
		boxed(a_fork_child_has_its_own),
		boxed(what_was_not_asked_for_is_not_missed),
		boxed(filtered_program_lives),
		boxed(first_screen),
		boxed(own_malloc_is_named),
		boxed(own_malloc_of_the_program),
		boxed(what_is_open_or_loaded_is_named),
		boxed(go_programs_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
