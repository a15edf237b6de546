/* SPDX-License-Identifier: MIT */
/*
 * Which stacks of two builds are the same one. Those with one key are (stack_keys.h).
 * Of the others, what optimisation did to a stack is undone where it can be told:
 *
 * 1. by name: stacks of the same functions by scoped_name() are one. Files may be other
 *    ones, signatures may have changed.
 * 2. by alignment: a frame may be missing in one build (inlined without debug
 *    information, a call in tail position). Where one stack's functions are the other's
 *    but for some, they are taken for one if together they cost the same in both builds,
 *    to the last byte: that hides no difference. The language's library does not count;
 *    and if only it tells two stacks apart, one left in each build, they are one.
 * 3. by what is left: where one build has no debug information, inlined functions are
 *    not in its stacks. Each of the other build's then becomes part of the longest one
 *    whose functions are all among its own; the language's library does not count.
 */
#ifndef PH_ANALYZER_STACK_MATCH_H
#define PH_ANALYZER_STACK_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/stack_keys.h"

enum { MATCH_VALUES = 20 };

enum match_kind {
	MATCH_EXACT, /* or in one build only */
	MATCH_NAME,
	MATCH_ALIGNED,
};

/* A key's stacks in both builds. */
struct match_entry {
	uint32_t key;
	uint32_t into; /* place + 1 of the entry that it was found to be; 0: none */
	bool in[2];
	uint64_t value[2][MATCH_VALUES];
	enum match_kind how; /* what it is made of by now */
};

struct match_options {
	uint32_t exact;	  /* a bit for each value that two runs of one build have equal */
	bool lineless[2]; /* the program has no debug information in this build */
};

/* Merge entries, of which each has a key of its own. False: out of memory. */
bool stack_match(struct stack_keys *keys, struct match_entry *entries, size_t count,
		 const struct match_options *options);

#endif
