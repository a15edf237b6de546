/* SPDX-License-Identifier: MIT */
/*
 * Stacks as the HTML page has them: frames and the tree of them once, with inlined
 * functions, and of each cost the stacks that make nearly all of it. What is left out is
 * kept as a sum where it was: below the innermost frame that is shown.
 */
#ifndef PH_ANALYZER_PAGE_STACKS_H
#define PH_ANALYZER_PAGE_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/costs.h"
#include "analyzer/emit_json.h"
#include "analyzer/error.h"
#include "analyzer/map.h"
#include "analyzer/report.h"

struct page_frame {
	uint32_t function, file, module; /* places in strings */
	int line;
	bool inlined;
	bool own;	 /* the program's, and not a runtime library's */
	uint64_t offset; /* in the module's file, of one without a line; 0 */
};

struct page_node {
	uint32_t parent, frame; /* places in nodes, frames */
};

struct page_stack {
	uint32_t node;
	uint32_t telling; /* the node of the frame that answers for it */
	uint32_t others;  /* 0: the stack that ends here; else so many that go on from here */
};

struct page_stacks {
	struct report *r;
	char **strings;
	struct page_frame *frames; /* [0]: no frame */
	struct page_node *nodes;   /* [0]: the root */
	struct page_stack *stacks;
	size_t string_count, string_room, frame_count, frame_room, node_count, node_room,
		stack_count, stack_room;
	struct index string_index, frame_index, node_index;
	struct map stack_by_node, others_by_node;
	uint32_t *place; /* by the run's node: in nodes, + 1; 0: not there yet */
	bool *kept;	 /* by the run's node: it is the end of a stack that is shown */
	uint32_t *stack; /* likewise: in stacks, + 1; 0: it cost nothing */
	struct cost_samples samples[COST_COUNT];
	bool failed; /* out of memory */
};

/* Of each cost at most `most` stacks are chosen, and those of the first `rows` leaks. 0, or
 * -1 with *e filled; page_stacks_free() in any case. */
int page_stacks_open(struct page_stacks *p, struct report *r, size_t most, size_t rows,
		     struct error *e);
void page_stacks_free(struct page_stacks *p);

/* The page's node of a stack of the run. */
uint32_t page_stacks_node(struct page_stacks *p, uint32_t node);

/* The place among the page's stacks of one that cost something: its own, or that of the
 * others below the innermost frame that is shown. */
uint32_t page_stacks_stack(struct page_stacks *p, uint32_t node);

/* "costs"; then, when no node is asked for any more, "strings", "frames", "nodes" and
 * "stacks". */
void page_stacks_costs(struct page_stacks *p, struct emit_json *e);
void page_stacks_json(struct page_stacks *p, struct emit_json *e);

#endif
