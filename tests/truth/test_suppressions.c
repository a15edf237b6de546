/* SPDX-License-Identifier: MIT */
/*
 * Suppressions as their own tools understand them: each rule's bytes and blocks, compared
 * with what Valgrind and LeakSanitizer say of one program; the files that Debian has; and
 * those that perfhook writes, read by Valgrind.
 */
#include <glob.h>

#include "tests/integration/harness.h"

/* Each is for other blocks, or for none: which of two that match is used is chance. */
static const struct rule {
	const char *name, *lines;
} valgrind_rules[] = {
	{"linker's name in C", "fun:malloc\nfun:leak_in_c"},
	{"not a part of a name", "fun:malloc\nfun:leak_in"},
	{"another function in front", "fun:leak_in_c\nfun:main"},
	{"of its kind", "match-leak-kinds: definite\nfun:calloc\nfun:leak_zeroed\nfun:main"},
	{"libc between", "fun:malloc\nfun:strdup\nfun:_ZL9leak_copyv"},
	{"static in C++, wildcards", "fun:_Zn?m\nfun:_ZN4shop4Cart3addEi"},
	{"an object", "fun:malloc\nfun:_ZN4shop4keepI*\nobj:*/tests/programs/suppressed"},
	{"another object", "fun:malloc\nfun:_ZL14leak_otherwisev\nobj:*/lib*.so*"},
	{"inlined", "fun:malloc\nfun:leak_inlined\nfun:_ZL5outerv"},
	{"frames between", "fun:malloc\n...\nfun:_ZL9leak_deepi\nfun:main"},
	{"frames before", "...\nfun:_ZL14leak_otherwisev"},
	{"nothing of it", "fun:malloc\n...\nfun:nowhere"},
	{"too many frames", "fun:malloc\nfun:leak_in_c\nfun:main\nfun:*\nfun:main"},
};

static const char *const lsan_rules[] = {
	"leak_in_c", "^leak_zeroed$", "leak_copy*",	  "shop::Cart::add(int)", "*keep<*",
	"^eak_deep", "outer$",	      "nowhere_in_there", "^leak_otherwise$",
};

struct used {
	uint64_t blocks, bytes;
};

static char *write_rules(void)
{
	char *path = in_box("rules.supp");
	FILE *out = fopen(path, "we");

	check(out != NULL, "%s cannot be written", path);
	for (size_t i = 0; i < COUNT_OF(valgrind_rules); i++)
		fprintf(out, "{\n%s\nMemcheck:Leak\n%s\n}\n", valgrind_rules[i].name,
			valgrind_rules[i].lines);
	fclose(out);
	return path;
}

/* "used_suppression:  1 NAME FILE:LINE suppressed: 1,001 bytes in 1 blocks" */
static struct used used_by_valgrind(const struct outcome *o, const char *name)
{
	const char *at = o->err;
	struct used used = {0};

	while ((at = strstr(at, "used_suppression:")) != NULL) {
		char line[512], *digit;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		at += strlen("used_suppression:");
		if (strstr(line, text(" %s /", name)) == NULL)
			continue;
		digit = strstr(line, "suppressed: ");
		check(digit != NULL, "no bytes in '%s'", line);
		for (digit += strlen("suppressed: "); *digit != ' '; digit++)
			if (*digit != ',')
				used.bytes = used.bytes * 10 + (uint64_t)(*digit - '0');
		used.blocks = strtoull(digit + strlen(" bytes in "), NULL, 10);
	}
	return used;
}

static cJSON *leaks(const char *trace, const char *suppressions)
{
	struct outcome o =
		run(ARGV(perfhook_path(), "leaks", "--json", "--suppressions", suppressions, trace),
		    NULL);
	cJSON *json = cJSON_Parse(o.out);

	check_status(&o, 0);
	check(json != NULL, "no JSON: %s", o.out);
	return json;
}

static struct used used_by_us(const cJSON *json, const char *name)
{
	const cJSON *rule;

	cJSON_ArrayForEach(
		rule,
		json_at(json, "suppressions.rules")) if (strcmp(json_text(rule, "name"), name) ==
							 0) return (struct used){
		json_u64(rule, "blocks"), json_u64(rule, "bytes")};
	fail_msg("no rule '%s'", name);
	return (struct used){0};
}

static struct outcome memcheck(const char *suppressions)
{
	return run(ARGV("valgrind", "-v", "--leak-check=full", "--show-leak-kinds=all",
			text("--suppressions=%s", suppressions), program("suppressed")),
		   NULL);
}

static void test_valgrind(void **state)
{
	char *rules = write_rules();
	struct outcome recorded, judged;
	size_t matched = 0;
	cJSON *json;

	(void)state;
	need_tool("valgrind");
	recorded = record(ARGV(program("suppressed")), NULL);
	judged = memcheck(rules);
	json = leaks(recorded.trace, rules);
	for (size_t i = 0; i < COUNT_OF(valgrind_rules); i++) {
		const char *name = valgrind_rules[i].name;
		struct used theirs = used_by_valgrind(&judged, name);
		struct used ours = used_by_us(json, name);

		check_u64(ours.bytes, theirs.bytes, name);
		check_u64(ours.blocks, theirs.blocks, name);
		matched += theirs.blocks > 0;
	}
	check_u64(matched, 8, "rules that match something");
	cJSON_Delete(json);
}

static void test_lsan(void **state)
{
	char *rules = in_box("rules.supp");
	FILE *out = fopen(rules, "we");
	struct outcome recorded = record(ARGV(program("suppressed")), NULL), judged;
	size_t matched = 0;
	cJSON *json;

	(void)state;
	check(out != NULL, "%s cannot be written", rules);
	for (size_t i = 0; i < COUNT_OF(lsan_rules); i++)
		fprintf(out, "leak:%s\n", lsan_rules[i]);
	fclose(out);
	judged = run(
		ARGV(program("suppressed.lsan")),
		&(struct options){.env = (const char *const[]){text("LSAN_OPTIONS=suppressions=%s:"
								    "fast_unwind_on_malloc=0",
								    rules),
							       NULL}});
	if (strstr(judged.err, "Suppressions used") == NULL)
		skip_because("LeakSanitizer does not run here: %.200s", judged.err);
	json = leaks(recorded.trace, rules);
	for (size_t i = 0; i < COUNT_OF(lsan_rules); i++) {
		const char *line = strstr(judged.err, text(" %s\n", lsan_rules[i]));
		struct used ours = used_by_us(json, lsan_rules[i]), theirs = {0};

		while (line != NULL && line > judged.err && line[-1] != '\n')
			line--;
		if (line != NULL)
			sscanf(line, "%lu %lu", &theirs.blocks, &theirs.bytes);
		check_u64(ours.bytes, theirs.bytes, lsan_rules[i]);
		check_u64(ours.blocks, theirs.blocks, lsan_rules[i]);
		matched += theirs.blocks > 0;
	}
	check_u64(matched, 7, "rules that match something");
	cJSON_Delete(json);
}

/* What perfhook writes suppresses all of it, in Valgrind and here. */
static void test_generated(void **state)
{
	char *written = in_box("known.supp");
	char *trace = in_box("lost.trace");
	struct outcome o =
		run(ARGV(perfhook_path(), "record", "--leaks", "-o", trace, program("suppressed")),
		    NULL);
	const cJSON *leak;
	cJSON *json;

	(void)state;
	need_tool("valgrind");
	check_status(&o, 0);
	o = run(ARGV(perfhook_path(), "leaks", trace, text("--generate-suppressions=%s", written)),
		NULL);
	check_status(&o, 0);
	check(strstr(o.out, "LEAKS") != NULL, "the report as well: %s", o.out);
	json = leaks(trace, written);
	check_u64(json_u64(json, "suppressions.malformed"), 0, "malformed");
	check_u64(json_u64(json, "suppressions.blocks"), 10, "blocks");
	cJSON_ArrayForEach(leak, json_at(json, "leaks"))
		check(!cJSON_IsTrue(json_at(leak, "suspect")), "no suspect is left");
	cJSON_Delete(json);
	o = memcheck(written);
	check(strstr(o.err, "definitely lost: 0 bytes") != NULL &&
		      strstr(o.err, "indirectly lost: 0 bytes") != NULL &&
		      strstr(o.err, "still reachable: 0 bytes") != NULL,
	      "Valgrind takes it: %s", o.err);
	/* Without a name for a file it is the answer. */
	o = run(ARGV(perfhook_path(), "leaks", trace, "--generate-suppressions"), NULL);
	check(o.out[0] == '{' && strstr(o.out, "LEAKS") == NULL, "only that: %s", o.out);
}

/* Lines that are "{" and nothing else. */
static uint64_t count_entries(const char *content)
{
	uint64_t count = 0;

	for (const char *line = content; line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		count += *line == '{' && line[1 + strspn(line + 1, " \t\r")] == '\n';
	}
	return count;
}

/* The files of Valgrind's own package and of Python's. */
static void test_debian(void **state)
{
	struct outcome recorded = record(ARGV(program("suppressed")), NULL);
	glob_t files;

	(void)state;
	glob("/usr/lib/valgrind/*.supp", 0, NULL, &files);
	glob("/usr/libexec/valgrind/*.supp", GLOB_APPEND, NULL, &files);
	if (files.gl_pathc == 0) {
		globfree(&files);
		skip_because("no file of suppressions is installed (valgrind)");
	}
	for (size_t i = 0; i < files.gl_pathc; i++) {
		char *path = text("%s", files.gl_pathv[i]);
		cJSON *json = leaks(recorded.trace, path);
		uint64_t rules = (uint64_t)cJSON_GetArraySize(json_at(json, "suppressions.rules"));

		check_u64(json_u64(json, "suppressions.malformed"), 0, path);
		check_u64(rules + json_u64(json, "suppressions.of_other_kinds"),
			  count_entries(read_file(path, NULL)), path);
		cJSON_Delete(json);
	}
	globfree(&files);
}

/* Said on standard error with its line; the others hold. */
static void test_malformed(void **state)
{
	static const char rules[] = "leak:leak_in_c\nnonsense\n{\nname\nMemcheck:Leak\n}\n";
	char *path = in_box("rules.supp");
	struct outcome recorded = record(ARGV(program("suppressed")), NULL), o;

	(void)state;
	write_file(path, rules, sizeof(rules) - 1);
	o = run(ARGV(perfhook_path(), "leaks", "--suppressions", path, recorded.trace), NULL);
	check_status(&o, 0);
	check(strstr(o.err, "rules.supp:2: ") != NULL && strstr(o.err, "rules.supp:3: ") != NULL,
	      "both are named: %s", o.err);
	check(strstr(o.out, "1001 B") != NULL || strstr(o.out, "1,001 B") != NULL ||
		      strstr(o.out, "by 1 of 1") != NULL,
	      "the first one holds: %s", o.out);
	o = run(ARGV(perfhook_path(), "leaks", "--suppressions", "/nowhere", recorded.trace), NULL);
	check_status(&o, 2);
	check(strstr(o.err, "/nowhere") != NULL, "which file: %s", o.err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(test_valgrind), boxed(test_lsan),	     boxed(test_generated),
		boxed(test_debian),   boxed(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
