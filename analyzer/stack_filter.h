/* SPDX-License-Identifier: MIT */
/*
 * Stacks by the names in them: a pattern fits a stack if it fits the function or the
 * source file of one of its frames, inlined ones included. Each address is looked up
 * once. Its functions are those of struct run_filter.
 */
#ifndef PH_ANALYZER_STACK_FILTER_H
#define PH_ANALYZER_STACK_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/pattern.h"
#include "analyzer/run.h"
#include "analyzer/symbols.h"

struct stack_filter {
	const struct patterns *patterns; /* borrowed, as are: */
	struct symbols *symbols;
	const struct run *run;
	/* What of the patterns fits each address, and each stack: bits, once they are known. */
	uint64_t *addresses, *nodes;
	bool *address_known, *node_known;
	uint32_t *path; /* room for the way from a node to the root */
};

/* The context is a struct stack_filter, in which `patterns` and `symbols` are set. */
bool stack_filter_begin(void *context, const struct run *run);
bool stack_filter_allows(void *context, uint32_t node);
void stack_filter_free(struct stack_filter *f);

#endif
