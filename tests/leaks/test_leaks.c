/* SPDX-License-Identifier: MIT */
/*
 * Leak hunting, judged from outside: each case is recorded and `perfhook leaks` asked.
 * What was planted must be first in the list and marked as suspect; all else stands below
 * it, unmarked. A table of all results is printed at the end.
 */
#include "tests/leaks/cases.h"

enum { MOST_MIXTURES = 100, HIDDEN = 3, ATTEMPTS = 3 };

struct verdict {
	const char *name;
	int number;		      /* of the variant or of the seed */
	int leaks, marked, last_rank; /* entries of the planted functions */
	int lowest_score;
	int others, wrongly_marked, best_rank; /* the others; 0: none */
	int highest_score;
	const char *missing; /* a planted function without an entry */
	bool good;
};

static struct verdict verdicts[5 * MOST_CASES + MOST_MIXTURES];
static size_t verdict_count;

static void judge_leak(struct verdict *v, const cJSON *entry, int rank)
{
	int score = (int)json_u64(entry, "score");

	v->leaks++;
	v->marked += cJSON_IsTrue(json_at(entry, "suspect"));
	v->last_rank = rank;
	if (v->leaks == 1 || score < v->lowest_score)
		v->lowest_score = score;
}

static void judge_other(struct verdict *v, const cJSON *entry, int rank)
{
	int score = (int)json_u64(entry, "score");

	v->others++;
	v->wrongly_marked += cJSON_IsTrue(json_at(entry, "suspect"));
	if (v->best_rank == 0)
		v->best_rank = rank;
	if (score > v->highest_score)
		v->highest_score = score;
}

static const char *find_missing(const struct leak_case *c, const cJSON *json)
{
	for (size_t i = 0; c->planted[i] != NULL; i++)
		if (leak_with_function(json, c->planted[i]) == NULL)
			return c->planted[i];
	return NULL;
}

static struct verdict *judge(const struct leak_case *c, const cJSON *json)
{
	struct verdict *v = &verdicts[verdict_count++];
	const cJSON *entry;
	int rank = 0;

	v->name = c->name;
	cJSON_ArrayForEach(entry, json_at(json, "leaks"))
	{
		check_u64(json_u64(entry, "rank"), (uint64_t)++rank, "rank");
		if (planted_in(c, entry) != NULL)
			judge_leak(v, entry, rank);
		else
			judge_other(v, entry, rank);
	}
	v->missing = find_missing(c, json);
	v->good = v->missing == NULL && v->last_rank == v->leaks && v->marked == v->leaks &&
		  v->wrongly_marked == 0;
	return v;
}

static void print_heading(void)
{
	print_message("%-30s %5s %6s %5s   %6s %6s %5s   %s\n", "case", "leaks", "marked", "score",
		      "others", "marked", "score", "verdict");
}

static void print_verdict(const struct verdict *v)
{
	const char *word = v->good		   ? "ok"
			   : v->missing != NULL	   ? "NOT FOUND"
			   : v->marked < v->leaks  ? "NOT MARKED"
			   : v->wrongly_marked > 0 ? "WRONGLY MARKED"
						   : "BADLY RANKED";

	print_message("%-27s %2d %5d %6d %5d   %6d %6d %5d   %s\n", v->name, v->number, v->leaks,
		      v->marked, v->lowest_score, v->others, v->wrongly_marked, v->highest_score,
		      word);
}

/* What a person needs to see why. */
static void explain(const struct leak_case *c, const cJSON *json)
{
	const cJSON *entry, *why, *frame;

	cJSON_ArrayForEach(entry, json_at(json, "leaks"))
	{
		bool marked = cJSON_IsTrue(json_at(entry, "suspect"));

		if (marked == (planted_in(c, entry) != NULL))
			continue;
		print_message("  %s at rank %llu, score %llu, %llu blocks of %llu bytes:\n",
			      marked ? "marked" : "not marked",
			      (unsigned long long)json_u64(entry, "rank"),
			      (unsigned long long)json_u64(entry, "score"),
			      (unsigned long long)json_u64(entry, "blocks"),
			      (unsigned long long)json_u64(entry, "bytes"));
		cJSON_ArrayForEach(frame, json_at(entry, "stack"))
		{
			const cJSON *name = cJSON_GetObjectItemCaseSensitive(frame, "function");

			print_message(" < %s", cJSON_IsString(name) ? name->valuestring : "?");
		}
		print_message("\n");
		cJSON_ArrayForEach(why, json_at(entry, "why"))
		{
			print_message("    %s\n", why->valuestring);
		}
	}
}

/* `number` is the table's: of a variant or a seed. */
static bool run_case(const struct leak_case *c, int number, int variant, bool search)
{
	struct options options = {
		.env = (const char *const[]){text("LEAKS_VARIANT=%d", variant),
					     search ? "PERFHOOK_LEAKS=exit" : NULL, NULL}};
	struct verdict *v;
	struct outcome o;
	cJSON *json;

	case_needs(c);
	o = record(case_command(c), &options);
	case_ended(c, &o);
	json = leaks_of_all(&o);
	v = judge(c, json);
	v->number = number;
	print_heading();
	print_verdict(v);
	if (!v->good)
		explain(c, json);
	return v->good;
}

static void one_case(void **state)
{
	const struct leak_case *c = *state;

	assert_true(run_case(c, 0, 0, c->search == SEARCH_ALWAYS));
}

/* A run of some milliseconds. Where others hold the processor for as long again, it looks
 * as if the program had done nothing for most of its time: once more, then. */
static void one_case_at_once(void **state)
{
	const struct leak_case *c = *state;

	bool good = false;

	for (int i = 0; i < ATTEMPTS && !good; i++)
		good = run_case(c, 3, 3, c->search != SEARCH_NEVER);
	assert_true(good);
}

/* Other rates and sizes. */
static void one_case_varied(void **state)
{
	const struct leak_case *c = *state;
	bool good = true;

	for (int variant = 1; variant <= 2; variant++)
		good &= run_case(c, variant, variant, c->search == SEARCH_ALWAYS);
	assert_true(good);
}

/* With a search at the end, which must not make it worse. */
static void one_case_searched(void **state)
{
	const struct leak_case *c = *state;

	assert_true(run_case(c, 0, 0, true));
}

/* Programs made by chance. A few blocks that are lost among sessions that live for most of
 * the run can hide: of a hundred programs some may be wrong, of the first ten none. */
static void mixtures(void **state)
{
	struct leak_case c = {.name = "mixture", .planted = {"leak_0", "leak_1", "leak_2"}};
	int wrong = 0;

	(void)state;
	for (int seed = 1; seed <= MOST_MIXTURES; seed++) {
		if (seed == MOST_MIXTURES / 10 + 1 && !full_mode())
			return;
		c.argument = text("%d", seed);
		wrong += !run_case(&c, seed, 0, false);
		assert_in_range(wrong, 0, seed <= MOST_MIXTURES / 10 ? 0 : HIDDEN);
	}
}

static int print_table(void **state)
{
	size_t good = 0;

	(void)state;
	print_heading();
	for (size_t i = 0; i < verdict_count; i++) {
		print_verdict(&verdicts[i]);
		good += verdicts[i].good;
	}
	print_message("%zu of %zu as they should be\n", good, verdict_count);
	return 0;
}

/* What leaks by time, or has its own pace, has no run without pauses. */
static bool applies(CMUnitTestFunction way, const struct leak_case *c)
{
	return way != one_case_at_once || (!c->by_time && c->command[0] == NULL);
}

int main(void)
{
	static const CMUnitTestFunction ways[] = {one_case, one_case_at_once, one_case_varied,
						  one_case_searched};
	static struct CMUnitTest tests[COUNT_OF(ways) * MOST_CASES + 1] = {boxed(mixtures)};
	size_t count = 1;

	for (size_t w = 0; w < (full_mode() ? COUNT_OF(ways) : 2); w++) {
		for (size_t i = 0; i < leak_case_count(); i++) {
			if (!applies(ways[w], &leak_cases[i]))
				continue;
			tests[count] = (struct CMUnitTest)boxed(ways[w]);
			tests[count].name = leak_cases[i].name;
			tests[count++].initial_state = (void *)&leak_cases[i];
		}
	}
	return _cmocka_run_group_tests("leaks", tests, count, NULL, print_table);
}
