/* SPDX-License-Identifier: MIT */
/*
 * `perfhook diff` of programs in several builds: two runs of one build differ in nothing,
 * nor do two builds of one source, however optimised and wherever its lines; a build with
 * three planted changes differs in these.
 */
#include "harness.h"

/* The traces lie where a whole test can find them. */
static char *recorded(const char *name, const char *build)
{
	const struct outcome o =
		record(ARGV(program(text("%s.%s", name, build)), in_box("out")), NULL);

	check_status(&o, 0);
	return o.trace;
}

/* How long it took is the machine's, not the build's. */
static cJSON *diff(const char *before, const char *after)
{
	struct outcome o = run(ARGV(perfhook_path(), "diff", "--json", "--top", "0", "--min-change",
				    "10h", before, after),
			       NULL);
	cJSON *json = cJSON_Parse(o.out);

	check_status(&o, 0);
	check(json != NULL, "no JSON: %s", o.out);
	return json;
}

static int entries(const cJSON *json, const char *list)
{
	return cJSON_GetArraySize(json_at(json, list));
}

static void check_identical(const char *before, const char *after)
{
	cJSON *json = diff(before, after);
	char *all = cJSON_Print(json);

	check(cJSON_IsTrue(json_at(json, "identical")), "%s and %s differ: %s", before, after, all);
	for (size_t i = 0; i < 6; i++) {
		static const char *const lists[] = {"memory", "peak_made_up", "io",
						    "time",   "files",	      "peers"};

		check_u64((uint64_t)entries(json, lists[i]), 0, lists[i]);
	}
	free(all);
	cJSON_Delete(json);
}

static void test_same_build(void **state)
{
	static const char *const names[] = {"diff_shapes", "diff_shapes_cxx"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char *first = recorded(names[i], "moved"), *second = recorded(names[i], "moved");

		check_identical(first, second);
		check_identical(first, first);
	}
}

static void test_other_optimisation(void **state)
{
	(void)state;
	check_identical(recorded("diff_shapes", "before"), recorded("diff_shapes", "moved"));
	check_identical(recorded("diff_shapes", "moved"), recorded("diff_shapes", "bare"));
	check_identical(recorded("diff_shapes_cxx", "before"),
			recorded("diff_shapes_cxx", "moved"));
}

/* An entry of a list that has a frame of that function; fails unless there is one only. */
static const cJSON *only_entry(const cJSON *list, const char *function)
{
	const cJSON *e, *found = NULL;

	cJSON_ArrayForEach(e, list)
	{
		if (frame_of(e, function) == NULL)
			continue;
		check(found == NULL, "two entries with %s", function);
		found = e;
	}
	check(found != NULL, "no entry with %s", function);
	return found;
}

static void check_cost(const cJSON *entry, const char *cost, uint64_t before, uint64_t after)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(entry, "costs"))
	{
		if (strcmp(json_text(c, "cost"), cost) != 0)
			continue;
		check_u64(json_u64(c, "before"), before, cost);
		check_u64(json_u64(c, "after"), after, cost);
		return;
	}
	fail_msg("%s has not changed", cost);
}

static void test_planted_c(void **state)
{
	cJSON *json = diff(recorded("diff_shapes", "before"), recorded("diff_shapes", "changed"));
	const cJSON *memory = json_at(json, "memory"), *e;

	(void)state;
	check_u64((uint64_t)entries(json, "memory"), 2, "stacks that allocate otherwise");
	e = only_entry(memory, "build_index");
	check_cost(e, "allocated", 5 * 8 + 15 * 16, 5 * 8 + 2 * 15 * 16);
	check_cost(e, "leaked", 5 * 8 + 15 * 16, 5 * 8 + 2 * 15 * 16);
	check(strcmp(json_text(e, "kind"), "changed") == 0, "it is in both");
	check_cost(only_entry(memory, "remember"), "leaked", 0,
		   4 * sizeof("what there is to know"));
	check_u64((uint64_t)entries(json, "io"), 1, "stacks that write otherwise");
	check_cost(only_entry(json_at(json, "io"), "save"), "written", 20 * 16, 30 * 16);
	check_u64((uint64_t)entries(json, "files"), 1, "files");
	check_u64((uint64_t)entries(json, "peers"), 0, "peers");
	check_u64((uint64_t)entries(json, "peak_made_up"), 0, "parts of the peak");
	cJSON_Delete(json);
}

static void test_planted_cxx(void **state)
{
	cJSON *json =
		diff(recorded("diff_shapes_cxx", "before"), recorded("diff_shapes_cxx", "changed"));
	const cJSON *memory = json_at(json, "memory");

	(void)state;
	check_u64((uint64_t)entries(json, "memory"), 3, "stacks that allocate otherwise");
	check_cost(only_entry(memory, "add"), "allocated", 20 * 61, 20 * 121);
	check_cost(only_entry(memory, "each"), "leaked", 0, 5 * 4 * 12);
	only_entry(memory, "Cache<std::__cxx11::basic_string<char, std::char_traits<char>, "
			   "std::allocator<char> > >::fill(unsigned long)");
	check_u64((uint64_t)entries(json, "io"), 0, "stacks that read or write");
	check_u64((uint64_t)entries(json, "files"), 0, "files");
	cJSON_Delete(json);
}

/* Most grown first, also in text; the status is 0 though they differ. */
static void test_text(void **state)
{
	struct outcome o = run(ARGV(perfhook_path(), "diff", recorded("diff_shapes", "before"),
				    recorded("diff_shapes", "changed")),
			       NULL);
	const char *first, *second;

	(void)state;
	check_status(&o, 0);
	first = strstr(o.out, "build_index");
	second = strstr(o.out, "remember");
	check(first != NULL && second != NULL && first < second, "order: %s", o.out);
	check(strstr(o.out, "xmalloc") == NULL, "nothing else: %s", o.out);
	check(strstr(o.out, "+240 B") != NULL, "what it grew by: %s", o.out);
}

static void test_min_change(void **state)
{
	char *before = recorded("diff_shapes", "before");
	char *after = recorded("diff_shapes", "changed");
	struct outcome o =
		run(ARGV(perfhook_path(), "diff", "--json", "--min-change", "200", before, after),
		    NULL);
	cJSON *json = cJSON_Parse(o.out);

	(void)state;
	check_status(&o, 0);
	check_u64((uint64_t)entries(json, "memory"), 1, "stacks");
	only_entry(json_at(json, "memory"), "build_index");
	check_u64((uint64_t)entries(json, "io"), 0, "stacks that write 160 bytes more");
	cJSON_Delete(json);
	o = run(ARGV(perfhook_path(), "diff", "--min-change", "1e3", before, after), NULL);
	check_status(&o, 2);
	check(strstr(o.err, "--min-change") != NULL && strchr(o.err, '\n') == strrchr(o.err, '\n'),
	      "one line: %s", o.err);
}

/* Without names there is nothing to match by, and it says so. */
static void test_stripped(void **state)
{
	cJSON *json = diff(recorded("diff_shapes", "before"), recorded("diff_shapes", "stripped"));

	(void)state;
	check(cJSON_IsNull(json_at(json, "memory")), "stacks are not known");
	check(cJSON_IsFalse(json_at(json, "identical")), "nor that they are the same");
	check(cJSON_IsFalse(json_at(json, "after.has_names")), "whose names are missing");
	cJSON_Delete(json);
	check_identical(recorded("diff_shapes", "stripped"), recorded("diff_shapes", "stripped"));
}

/* What is suppressed has leaked in neither. */
static void test_suppressed(void **state)
{
	static const char rule[] = "leak:remember\n";
	char *path = in_box("known.supp");
	struct outcome o;
	cJSON *json;
	const cJSON *c;

	(void)state;
	write_file(path, rule, sizeof(rule) - 1);
	o = run(ARGV(perfhook_path(), "diff", "--json", "--suppressions", path,
		     recorded("diff_shapes", "before"), recorded("diff_shapes", "changed")),
		NULL);
	json = cJSON_Parse(o.out);
	check_status(&o, 0);
	c = json_at(only_entry(json_at(json, "memory"), "remember"), "costs");
	check_u64((uint64_t)cJSON_GetArraySize(c), 1, "costs");
	check(strcmp(json_text(cJSON_GetArrayItem(c, 0), "cost"), "temporary") == 0, "%s", o.out);
	cJSON_Delete(json);
}

/* A tree of processes is named by a pattern; what two processes do is done twice. */
static void test_trees(void **state)
{
	char *one = recorded("diff_shapes", "moved"), *two = recorded("diff_shapes", "changed");
	size_t size;
	cJSON *json;

	(void)state;
	for (int i = 0; i < 2; i++) {
		char *more = recorded("diff_shapes", i == 0 ? "moved" : "changed");
		const char *from[] = {i == 0 ? one : two, more};

		for (int j = 0; j < 2; j++) {
			char *content;

			report(from[j]); /* which waits until it is written */
			content = read_file(from[j], &size);
			write_file(in_box("%s.%d.trace", i == 0 ? "before" : "after", j), content,
				   size);
		}
	}
	check_identical(in_box("before.*.trace"), in_box("before.?.trace"));
	json = diff(in_box("before.*.trace"), in_box("after.*.trace"));
	check_u64((uint64_t)entries(json, "memory"), 2, "stacks");
	check_cost(only_entry(json_at(json, "memory"), "build_index"), "allocated", 560, 1040);
	cJSON_Delete(json);
}

static char *reread(const char *times)
{
	const struct outcome o = record(ARGV(program("reread"), times), NULL);

	check_status(&o, 0);
	return o.trace;
}

/* Of a file the stack is shown that changed, not the one with most time in it. */
static void check_blamed(const char *before, const char *after, const char *change)
{
	cJSON *json = diff(before, after);
	const cJSON *file = json_at(json, "files")->child;

	check_u64((uint64_t)entries(json, "files"), 1, "files");
	check(strcmp(json_text(json_at(file, "stack")->child, "function"), "look_up") == 0, "by %s",
	      cJSON_Print(file));
	check(strcmp(cJSON_Print(json_at(json_at(file, "figures")->child, "change")), change) == 0,
	      "%s", cJSON_Print(file));
	cJSON_Delete(json);
}

static void test_blamed_stack(void **state)
{
	char *few = reread("1"), *many = reread("21");
	struct outcome o = run(ARGV(perfhook_path(), "diff", few, many), NULL);

	(void)state;
	check_blamed(few, many, "10240");
	check_blamed(many, few, "-10240");
	check_blamed(few, reread("0"), "-512");
	check(strstr(o.out, "  21.0x  read from files") != NULL, "%s", o.out);
}

/* Of one trace: all of it came between its start and its end. */
static void test_two_moments(void **state)
{
	char *trace = recorded("diff_shapes", "moved");
	struct outcome o = run(ARGV(perfhook_path(), "diff", "--json", "--top", "0", "--from", "0",
				    "--to", "end", trace),
			       NULL);
	cJSON *json = cJSON_Parse(o.out), *whole = report(trace);
	const cJSON *total;

	(void)state;
	check_status(&o, 0);
	check_cost(only_entry(json_at(json, "memory"), "build_index"), "leaked", 0, 280);
	check(cJSON_IsTrue(json_at(json, "before.has_names")), "names are known at the start");
	cJSON_ArrayForEach(total, json_at(json, "totals")) if (strcmp(json_text(total, "cost"),
								      "allocated") == 0)
		check_u64(json_u64(total, "change"), json_u64(whole, "memory.allocated_bytes"),
			  "allocated");
	cJSON_Delete(json);
	o = run(ARGV(perfhook_path(), "diff", trace), NULL);
	check_status(&o, 2);
	o = run(ARGV(perfhook_path(), "diff", "--from", "end", "--to", "end", trace), NULL);
	check(strstr(o.out, "No differences") != NULL, "one moment: %s", o.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(test_same_build),	  boxed(test_other_optimisation),
		boxed(test_planted_c),	  boxed(test_planted_cxx),
		boxed(test_text),	  boxed(test_min_change),
		boxed(test_stripped),	  boxed(test_two_moments),
		boxed(test_suppressed),	  boxed(test_trees),
		boxed(test_blamed_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
