/* SPDX-License-Identifier: MIT */
/* What Valgrind's memcheck says of the blocks that live at a program's end, and the same
 * of perfhook: blocks and bytes of each class, by the functions that allocated them. */
#ifndef PH_TESTS_LEAKS_MEMCHECK_H
#define PH_TESTS_LEAKS_MEMCHECK_H

#include "tests/integration/harness.h"

enum leak_class { LOST, INDIRECTLY_LOST, POSSIBLY_LOST, STILL_REACHABLE, LEAK_CLASSES };
extern const char *const leak_class_names[LEAK_CLASSES];

/* All blocks whose stacks have the same functions of the program and its own libraries. */
struct leak_group {
	const char *functions; /* "leak_job < main"; "": libc's or the loader's own */
	struct amount of[LEAK_CLASSES];
	struct amount all;
};

/* Part of a group's name: what the loader allocated for a library that was opened. */
#define LOADED "[dlopen]"

struct leak_groups {
	struct leak_group *list; /* the test's own */
	size_t count;
};

/* What --xml-file wrote of one process. */
void read_memcheck(struct leak_groups *to, const char *xml);
/* Of a fork's child, without what it inherited: that is counted as the parent's only, and
 * has its stacks. */
void add_child(struct leak_groups *to, const struct leak_groups *parent,
	       const struct leak_groups *child);
/* The entries of `perfhook leaks --json`; classes only if a search was made. */
void read_leaks(struct leak_groups *to, const cJSON *json);
/* Counts bytes no more. */
void forget_sizes(struct leak_groups *groups);
struct leak_group *leak_group(struct leak_groups *groups, const char *functions);

#endif
