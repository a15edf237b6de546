/* SPDX-License-Identifier: MIT */
/* The leak cases: what each is, and what is planted in it. */
#ifndef PH_TESTS_LEAKS_CASES_H
#define PH_TESTS_LEAKS_CASES_H

#include "tests/integration/harness.h"

enum { CASE_PLANTED = 3, CASE_WORDS = 6, MOST_CASES = 100 };

struct leak_case {
	const char *name;
	/* Functions in the stacks of what leaks; none: a program without a leak. */
	const char *planted[CASE_PLANTED + 1];
	/* The command; none: the program of that name in tests/leaks. */
	const char *command[CASE_WORDS + 1];
	/* When it takes a search for pointers at the end to tell the leak. */
	enum { SEARCH_NEVER, SEARCH_IF_SHORT, SEARCH_ALWAYS } search;
	const char *argument; /* of the program in tests/leaks */
	/* An interpreter: blocks' sizes depend on addresses, which it keeps as numbers, and
	 * old words of its own stacks may lead to a lost block or two. */
	bool interpreted;
	/* What leaks does so by time, or by work of another pace than the rest: no case of
	 * its own without pauses. */
	bool by_time;
	int signal; /* that it ends by; 0: exit status 0 */
};

extern const struct leak_case leak_cases[];
size_t leak_case_count(void);

/* The command line; strings that live until the test ends. */
const char *const *case_command(const struct leak_case *c);
/* Lacks the machine what it needs? Skips the running test if so. */
void case_needs(const struct leak_case *c);
/* Did it end as it should? */
void case_ended(const struct leak_case *c, const struct outcome *o);
/* The planted function in this entry's stack; NULL: none. */
const char *planted_in(const struct leak_case *c, const cJSON *entry);

#endif
