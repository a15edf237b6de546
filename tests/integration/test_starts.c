/* SPDX-License-Identifier: MIT */
/* Programs that a recorded one starts or becomes: recorded, or named with the
 * reason why not. */
#include "harness.h"

static const char *const ways[] = {"exec", "fork", "vfork", "spawn", "clone", "clone_vm", "again"};

static size_t traces_of(const struct outcome *o, const char *executable)
{
	char **traces;
	size_t count = list_traces(o, &traces), found = 0;

	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);
		const char *path = json_text(json, "process.executable");
		size_t n = strlen(path), m = strlen(executable);

		found += n >= m && strcmp(path + n - m, executable) == 0;
	}
	return found;
}

/* Is it said of one of the traces? */
static bool is_said(const struct outcome *o, const char *program_name, const char *reason)
{
	char **traces;
	size_t count = list_traces(o, &traces);

	for (size_t i = 0; i < count; i++) {
		const cJSON *note;

		cJSON_ArrayForEach(note, json_at(report(traces[i]), "coverage.not_seen"))
		{
			if (strstr(note->valuestring, program_name) != NULL &&
			    strstr(note->valuestring, reason) != NULL)
				return true;
		}
	}
	return false;
}

static void with_its_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct outcome o =
			record(ARGV(program("starts"), ways[i], "kept", program("ending")), NULL);

		check_status(&o, 5); /* of ending, which returns it */
		check_u64(traces_of(&o, "/ending"), 1, text("traces of what %s started", ways[i]));
		check(!is_said(&o, "ending", "not recorded"), "%s: said not to be recorded",
		      ways[i]);
	}
}

static void without_preload(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct outcome o = record(
			ARGV(program("starts"), ways[i], "emptied", program("ending")), NULL);

		check_status(&o, 5);
		check_u64(traces_of(&o, "/ending"), 0, text("traces of what %s started", ways[i]));
		check(is_said(&o, "ending", "does not have LD_PRELOAD"),
		      "%s: what is not recorded is not named", ways[i]);
	}
}

/* With LD_PRELOAD alone it begins a session of its own, under the default name. */
static void with_preload_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct outcome o = record(
			ARGV(program("starts"), ways[i], "preload", program("ending")), NULL);
		struct outcome l = run(ARGV("sh", "-c", "ls perfhook.ending.*.trace"), NULL);
		char *trace = in_box("%.*s", (int)strcspn(l.out, "\n"), l.out);

		check_status(&o, 5);
		check_status(&l, 0);
		check(strchr(l.out, '\n') == l.out + l.out_size - 1, "%s: not one trace: %s",
		      ways[i], l.out);
		/* Waits for the collector, which would put it back otherwise. */
		report(trace);
		check(unlink(trace) == 0, "%s cannot be removed", trace);
	}
}

static void static_programs(void **state)
{
	static const char source[] = "int main(void) { return 5; }\n";
	struct outcome o;

	(void)state;
	need_tool("gcc");
	write_file(in_box("s.c"), source, strlen(source));
	o = run(ARGV("gcc", "-static", "-o", "still", "s.c"), NULL);
	check_status(&o, 0);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		o = record(ARGV(program("starts"), ways[i], "kept", in_box("still")), NULL);
		check_status(&o, 5);
		check(is_said(&o, "still", "statically linked"), "%s: the program is not named",
		      ways[i]);
	}
}

/* The image that was left ends by exec, whatever came of the process. */
static void left_images_end_by_exec(void **state)
{
	struct outcome o =
		record(ARGV(program("starts"), "again", "emptied", program("ending")), NULL);

	(void)state;
	check_status(&o, 5);
	assert_string_equal(json_text(report(o.trace), "process.end"), "exec");
}

/* python's subprocess: vfork, then closes, then exec with another environment. */
static void python_subprocess(void **state)
{
	struct outcome o;

	(void)state;
	need_tool("python3");
	o = record(ARGV("python3", "-c",
			"import subprocess, os\n"
			"subprocess.run(['/bin/true'], env={})\n"
			"subprocess.run(['/bin/echo', 'recorded'])\n"),
		   NULL);
	check_status(&o, 0);
	check(is_said(&o, "/bin/true", "does not have LD_PRELOAD"), "true is not named");
	check(traces_of(&o, "/echo") == 1, "echo is not recorded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(with_its_environment),	boxed(without_preload),
		boxed(with_preload_alone),	boxed(static_programs),
		boxed(left_images_end_by_exec), boxed(python_subprocess)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
