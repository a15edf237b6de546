/* SPDX-License-Identifier: MIT */
/*
 * Programs that are generated (call_graph.h), each built by two compilers in several ways:
 * all do the same, so `perfhook diff` finds no difference between any two of them, however
 * their stacks came out. More seeds with PERFHOOK_STRESS=full.
 */
#include <sys/stat.h>

#include "tests/integration/harness.h"
#include "tests/truth/call_graph.h"

/* Their frames' functions are in files of one name; the lines of all but the first moved. */
static const char *const ways[] = {
	"gcc -O0 -g", "gcc -O1 -g",	 "gcc -O2 -g",
	"gcc -O3 -g", "clang-14 -O0 -g", "clang-14 -O2 -g",
};
static const char *const files[] = {"program", "first", "second"};

static void write_sources(const char *folder, uint64_t seed, bool cxx, bool moved)
{
	for (int i = CALL_GRAPH_PROGRAM; i <= CALL_GRAPH_SECOND; i++) {
		char *path = text("%s/%s.%s", folder, files[i], cxx ? "cc" : "c");
		FILE *f = fopen(path, "w");

		check(f != NULL, "%s", path);
		if (moved)
			fprintf(f, "\n\n\n#line 1000 \"%s.%s\"\n", files[i], cxx ? "cc" : "c");
		call_graph_write(f, (enum call_graph_file)i, seed, cxx);
		check(fclose(f) == 0, "%s", path);
	}
}

static const char *build_and_record(uint64_t seed, size_t way, bool cxx)
{
	const char *headers = kept(realpath("tests/programs", NULL)), *ending = cxx ? "cc" : "c";
	char *folder = in_box("%lu.%zu", (unsigned long)seed, way), *with;
	struct outcome o;

	check(headers != NULL, "run it from the project's folder");
	check(mkdir(folder, 0755) == 0, "%s", folder);
	write_sources(folder, seed, cxx, way > 0);
	with = text("%s -w -I%s%s", ways[way], headers, cxx ? " -x c++" : "");
	o = run(ARGV("sh", "-c",
		     text("cd %s && for f in first second; do"
			  " %s -fPIC -shared -o $f.so $f.%s -ldl -lpthread%s || exit; done;"
			  " %s -o program program.%s -ldl -lpthread%s",
			  folder, with, ending, cxx ? " -lstdc++" : "", with, ending,
			  cxx ? " -lstdc++" : "")),
		&(struct options){.timeout_s = 300});
	check(o.status == 0, "%s: %.2000s", with, o.err);
	o = record(ARGV(text("%s/program", folder), text("%lu", (unsigned long)seed), "0", "2000",
			text("%s/first.so", folder), text("%s/second.so", folder)),
		   NULL);
	check_status(&o, 0);
	return o.trace;
}

/* How many stacks are listed. */
static int differences(const char *before, const char *after)
{
	struct outcome o = run(ARGV(perfhook_path(), "diff", "--json", "--top", "0", "--min-change",
				    "10h", before, after),
			       NULL);
	cJSON *json = cJSON_Parse(o.out);
	const cJSON *entry;
	int differ = 0;

	check_status(&o, 0);
	check(json != NULL, "no JSON");
	/* The loader's tables are as long as the compiler made the libraries' need of others. */
	cJSON_ArrayForEach(entry, json_at(json, "memory")) differ +=
		frame_of(entry, "dlopen_doit") == NULL;
	cJSON_Delete(json);
	return differ;
}

static void check_language(bool cxx)
{
	const char *previous = NULL, *other;
	size_t pairs = 0;
	int differ;

	need_tool("gcc");
	need_tool("g++");
	for (uint64_t seed = 1; seed <= (full_mode() ? 20u : 2u); seed++) {
		const char *first = build_and_record(seed, 0, cxx);

		for (size_t way = 1; way < COUNT_OF(ways); way++) {
			if (seed > 1 && !full_mode())
				break;
			if (strncmp(ways[way], "clang", 5) == 0 && !have_tool("clang-14"))
				continue;
			other = build_and_record(seed, way, cxx);
			differ = differences(first, other);
			check(differ == 0, "seed %lu, %s: %d stacks differ: perfhook diff %s %s",
			      (unsigned long)seed, ways[way], differ, first, other);
			pairs++;
		}
		/* Another program has other stacks. */
		check(previous == NULL || differences(previous, first) > 50, "seeds are alike");
		previous = first;
	}
	print_message("%zu builds\n", pairs);
}

static void programs_in_c(void **state)
{
	(void)state;
	check_language(false);
}

static void programs_in_cxx(void **state)
{
	(void)state;
	check_language(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(programs_in_c), boxed(programs_in_cxx)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
