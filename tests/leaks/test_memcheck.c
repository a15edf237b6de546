/* SPDX-License-Identifier: MIT */
/*
 * What is lost and what is still reachable at the end, block for block against Valgrind's
 * memcheck: each case runs under both, with less work and no pauses, and of each chain of
 * functions the blocks and bytes of every class must be the same.
 */
#include <glob.h>
#include <signal.h>

#include "tests/leaks/cases.h"
#include "tests/leaks/memcheck.h"

static const char *const *environment(int variant, const char *preload)
{
	const char **e = kept(calloc(8, sizeof(*e)));
	size_t n = 0;

	e[n++] = "LEAKS_WORK=25";
	e[n++] = text("LEAKS_VARIANT=%d", variant);
	e[n++] = "PYTHONHASHSEED=0";
	e[n++] = "PYTHONMALLOC=malloc";
	e[n++] = "PYTHONDONTWRITEBYTECODE=1";
	e[n++] = preload != NULL ? text("LD_PRELOAD=%s", preload) : "PERFHOOK_LEAKS=exit";
	return e;
}

static struct running *start_memcheck(const struct leak_case *c, int variant)
{
	const char *const *command = case_command(c);
	/* Its own lock starves a thread now and then, for minutes. */
	const char *all[32] = {"valgrind",
			       "--fair-sched=try",
			       "--leak-check=full",
			       "--show-leak-kinds=all",
			       "--leak-resolution=high",
			       "--keep-debuginfo=yes",
			       "--num-callers=200",
			       "--run-libc-freeres=no",
			       "--run-cxx-freeres=no",
			       "--xml=yes",
			       text("--xml-file=%s", in_box("%d.%%p.xml", variant))};
	struct options options = {.timeout_s = 120,
				  .env = environment(variant, program("../leaks/lib_stand_in.so"))};
	size_t count = 11;

	for (size_t i = 0; command[i] != NULL; i++)
		all[count++] = command[i];
	return start(all, &options);
}

/* The XML of each process; the first is the one that was started. */
static size_t finish_memcheck(struct running *running, int variant, char **xml, size_t room)
{
	struct outcome o = finish(running);
	const char *first = in_box("%d.%d.xml", variant, o.pid);
	size_t count = 1;
	glob_t found = {0};

	check_status(&o, 0);
	xml[0] = read_file(first, NULL);
	check(xml[0] != NULL && glob(in_box("%d.*.xml", variant), 0, NULL, &found) == 0,
	      "no XML of: %s", o.line);
	for (size_t i = 0; i < found.gl_pathc && count < room; i++)
		if (strcmp(found.gl_pathv[i], first) != 0)
			xml[count++] = read_file(found.gl_pathv[i], NULL);
	globfree(&found);
	return count;
}

static void add_memcheck(struct leak_groups *to, struct running *running, int variant)
{
	char *xml[16];
	size_t count = finish_memcheck(running, variant, xml, COUNT_OF(xml));
	struct leak_groups parent = {0};

	read_memcheck(to, xml[0]);
	read_memcheck(&parent, xml[0]);
	for (size_t i = 1; i < count; i++) {
		struct leak_groups child = {0};

		read_memcheck(&child, xml[i]);
		add_child(to, &parent, &child);
	}
}

static void by_perfhook(const struct leak_case *c, int variant, struct leak_groups *to)
{
	struct options options = {.timeout_s = 60, .env = environment(variant, NULL)};
	struct outcome o = record(case_command(c), &options);
	cJSON *json;

	check_status(&o, 0);
	json = leaks_of_all(&o);
	check(cJSON_GetArraySize(json_at(json, "leaks")) == 0 ||
		      cJSON_IsTrue(json_at(json, "reachability.made")),
	      "no search was made of: %s", o.line);
	read_leaks(to, json);
}

static bool is_near(uint64_t a, uint64_t b, uint64_t slack)
{
	return a > b ? a - b <= slack : b - a <= slack;
}

/* One line if they are not the same, but for `slack` blocks. */
static int compare_amounts(const char *what, const struct amount *theirs, const struct amount *ours,
			   uint64_t slack)
{
	if (is_near(theirs->blocks, ours->blocks, slack) && theirs->bytes == ours->bytes)
		return 0;
	print_message("    %-15s memcheck %6llu blocks %9llu bytes, perfhook %6llu %9llu\n", what,
		      (unsigned long long)theirs->blocks, (unsigned long long)theirs->bytes,
		      (unsigned long long)ours->blocks, (unsigned long long)ours->bytes);
	return 1;
}

/* The loader's own tables of an opened library have pointers to their starts and into their
 * midst; of which there are some left is chance, under either. */
static void join_possible(struct leak_group *g)
{
	if (strstr(g->functions, LOADED) == NULL)
		return;
	g->of[STILL_REACHABLE].blocks += g->of[POSSIBLY_LOST].blocks;
	g->of[STILL_REACHABLE].bytes += g->of[POSSIBLY_LOST].bytes;
	g->of[POSSIBLY_LOST] = (struct amount){0};
}

/* How many classes differ. */
static int compare_group(struct leak_group *theirs, struct leak_group *ours, uint64_t slack)
{
	int differences = compare_amounts("all", &theirs->all, &ours->all, 0);

	join_possible(theirs);
	join_possible(ours);
	for (int c = 0; c < LEAK_CLASSES; c++)
		differences +=
			compare_amounts(leak_class_names[c], &theirs->of[c], &ours->of[c], slack);
	if (differences > 0)
		print_message("  of %s\n",
			      *ours->functions != '\0' ? ours->functions : "(runtime)");
	return differences;
}

static void compare(const struct leak_case *c, int variant)
{
	struct leak_groups theirs = {0}, ours = {0};
	int differences = 0;
	struct running *running;

	need_tool("valgrind");
	case_needs(c);
	running = start_memcheck(c, variant);
	by_perfhook(c, variant, &ours);
	add_memcheck(&theirs, running, variant);
	if (c->interpreted) {
		forget_sizes(&theirs);
		forget_sizes(&ours);
	}
	for (size_t i = 0; i < ours.count; i++)
		leak_group(&theirs, ours.list[i].functions);
	for (size_t i = 0; i < theirs.count; i++)
		differences +=
			compare_group(&theirs.list[i], leak_group(&ours, theirs.list[i].functions),
				      c->interpreted ? 2 : 0);
	print_message("%-30s %3zu groups, %d differ\n", c->name, theirs.count, differences);
	assert_int_equal(differences, 0);
}

static void one_case(void **state)
{
	compare(*state, 0);
}

/* With other rates and sizes. */
static void one_case_varied(void **state)
{
	const struct leak_case *c = *state;

	for (int variant = 1; variant <= 2; variant++)
		compare(c, variant);
}

/* Programs made by chance. */
static void mixtures(void **state)
{
	struct leak_case c = {.name = "mixture"};

	(void)state;
	for (int seed = 1; seed <= (full_mode() ? 40 : 4); seed++) {
		c.argument = text("%d", seed);
		compare(&c, seed);
	}
}

int main(void)
{
	static const CMUnitTestFunction ways[] = {one_case, one_case_varied};
	static struct CMUnitTest tests[COUNT_OF(ways) * MOST_CASES + 1] = {boxed(mixtures)};
	size_t count = 1;

	for (size_t w = 0; w < (full_mode() ? COUNT_OF(ways) : 1); w++) {
		for (size_t i = 0; i < leak_case_count(); i++) {
			/* Nobody can search what was killed. */
			if (leak_cases[i].signal == SIGKILL)
				continue;
			tests[count] = (struct CMUnitTest)boxed(ways[w]);
			tests[count].name = leak_cases[i].name;
			tests[count++].initial_state = (void *)&leak_cases[i];
		}
	}
	return _cmocka_run_group_tests("memcheck", tests, count, NULL, NULL);
}
