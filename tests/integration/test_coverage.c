/* SPDX-License-Identifier: MIT */
/* The table of functions is what the library exports, and each row of it is
 * recorded as often as a target calls it. */
#include "harness.h"

struct row {
	const char *exported, *recorded;
};

static const struct row rows[] = {
#define PH_IO(id, ...)	    {#id, #id},
#define PH_BY_HAND(id, ...) {#id, #id},
#define PH_ALIAS(alias, id) {#alias, #id},
#include "trace/functions.def"
};

static bool is_exported_row(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(rows[i].exported, name) == 0)
			return true;
	}
	return false;
}

/* Third column of `nm -D --defined-only`, without versions. */
static char *exports(void)
{
	struct outcome o = run(ARGV("nm", "-D", "--defined-only", library_path()), NULL);
	char *all = text("\n"), *rest = NULL;

	check_status(&o, 0);
	for (char *l = strtok_r(o.out, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest)) {
		const char *name = strrchr(l, ' ') + 1;

		all = text("%s%.*s\n", all, (int)strcspn(name, "@"), name);
	}
	return all;
}

static void exports_are_the_rows(void **state)
{
	char *all, *rest = NULL;

	(void)state;
	need_tool("nm");
	all = exports();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check(strstr(all, text("\n%s\n", rows[i].exported)) != NULL, "%s is not exported",
		      rows[i].exported);
	for (char *l = strtok_r(all, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest))
		/* preload/sanitizer.c */
		check(is_exported_row(l) || strcmp(l, "__asan_default_options") == 0,
		      "%s is exported, and no row", l);
}

static void needs_only_libc(void **state)
{
	struct outcome o;
	const char *p;
	int needed = 0;

	(void)state;
	need_tool("readelf");
	o = run(ARGV("readelf", "-dW", library_path()), NULL);
	check_status(&o, 0);
	for (p = o.out; (p = strstr(p, "(NEEDED)")) != NULL; p++) {
		needed++;
		check(strncmp(strchr(p, '['), "[libc.so.6]", 11) == 0, "needs %.60s", p);
	}
	check_u64((uint64_t)needed, 1, "libraries needed");
	check(strstr(o.out, "TEXTREL") == NULL, "has text relocations");
}

/* The checked names are really what that target imports. */
static void fortified_target_is_fortified(void **state)
{
	struct outcome o;

	(void)state;
	need_tool("nm");
	o = run(ARGV("nm", "-D", "--undefined-only", program("io_fortified")), NULL);
	check_status(&o, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *name = rows[i].exported;
		size_t length = strlen(name);
		bool checked =
			strncmp(name, "__", 2) == 0 && (strcmp(name + length - 4, "_chk") == 0 ||
							strcmp(name + length - 2, "_2") == 0);

		check(!checked || strstr(o.out, text(" %s", name)) != NULL,
		      "io_fortified does not import %s", name);
	}
}

static bool said[COUNT_OF(rows)];

/* What the target says it called against what was recorded of it. */
static void check_calls(const char *const *argv, int status)
{
	struct outcome o = record(argv, NULL);
	struct outcome base = record(ARGV(argv[0], "baseline"), NULL);
	char *dump = dump_of_all(&o), *base_dump = dump_of_all(&base);

	check_status(&o, status);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *name = rows[i].recorded;
		char *times = truth_text(&o, text("calls.%s", name));
		char *base_times = truth_text(&base, text("calls.%s", name));

		if (times == NULL)
			continue;
		said[i] = true;
		check_u64(dump_count(dump, name) - dump_count(base_dump, name),
			  strtoull(times, NULL, 10) -
				  (base_times != NULL ? strtoull(base_times, NULL, 10) : 0),
			  text("events of %s", name));
		check(strtoull(times, NULL, 10) == 0 || dump_count(dump, name) > 0,
		      "no event of %s", name);
	}
}

static void each_row_is_recorded(void **state)
{
	(void)state;
	check_calls(ARGV(program("memory_calls")), 0);
	check_calls(ARGV(program("memory_maps")), 0);
	check_calls(ARGV(program("io_calls")), 0);
	check_calls(ARGV(program("io_fortified")), 0);
	check_calls(ARGV(program("ending"), "rows"), 9);
	check_calls(ARGV(program("vfork_exec")), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check(said[i], "no target calls %s: add a call to tests/programs",
		      rows[i].recorded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(exports_are_the_rows), boxed(needs_only_libc),
					   boxed(fortified_target_is_fortified),
					   boxed(each_row_is_recorded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
