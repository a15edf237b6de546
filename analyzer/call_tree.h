/* SPDX-License-Identifier: MIT */
/*
 * Stacks merged by the names of their functions, with what they cost: what flame
 * graphs and trees in other formats are drawn from. Two runs may be put side by
 * side in one tree; stacks of equal names are one. Not thread-safe.
 */
#ifndef PH_ANALYZER_CALL_TREE_H
#define PH_ANALYZER_CALL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/costs.h"
#include "analyzer/error.h"
#include "analyzer/map.h"
#include "analyzer/report.h"
#include "analyzer/string_table.h"

/* Names what has no stack. */
#define CALL_NO_STACK "(no stack)"

/* Which run, where there are two. */
enum call_side {
	CALL_AFTER, /* or the only one */
	CALL_BEFORE,
	CALL_SIDES,
};

/* How stacks become a tree. */
struct call_shape {
	bool inverted;	/* the function called last is below the root, its callers below it */
	bool lines;	/* frames are one only if their lines are: "f (file.c:12)" */
	bool threads;	/* each thread has a tree of its own below the root: thread_costs.h */
	bool canonical; /* names as two builds agree on them (canonical.h) */
};

/* Of a name: as it was met first. */
struct call_name {
	enum module_class class;
	const char *module; /* path, borrowed from the report; NULL: none */
};

struct call_node {
	uint32_t parent, name;	    /* name: its number in `names` */
	uint32_t first_child, next; /* 0: none */
	/* In the cost's unit: of stacks that end here; and with all that is below. */
	uint64_t self[CALL_SIDES], value[CALL_SIDES];
	uint64_t self_count[CALL_SIDES], count[CALL_SIDES];
};

/* All zero is empty; nodes[0] is the root, which has no name. */
struct call_tree {
	struct call_node *nodes;
	size_t node_count, node_room;
	struct string_table names; /* as frame_label() says, or with their lines; not made safe */
	struct call_name *about;   /* each of the names */
	size_t about_count, about_room;
	size_t stack_count[CALL_SIDES]; /* distinct stacks that cost something */
	struct map children;		/* parent and name to node */
};

/*
 * Add what a run's stacks cost. A stack that was not recorded is one frame,
 * CALL_NO_STACK, so that all adds up. Names borrow from the report, which must live
 * as long. 0, or -1 with *e filled: out of memory. call_tree_free() in any case.
 */
int call_tree_add(struct call_tree *t, struct report *r, const struct cost *cost,
		  enum call_side side, struct call_shape shape, struct error *e);

/* All are added: sum up, and put children in order, the larger of both sides first. */
void call_tree_finish(struct call_tree *t);

void call_tree_free(struct call_tree *t);

static inline const char *call_name(const struct call_tree *t, uint32_t node)
{
	return t->names.strings[t->nodes[node].name];
}

/* The next node after `node` where each is followed by what is below it; 0: no more. */
uint32_t call_tree_next(const struct call_tree *t, uint32_t node, unsigned *depth);

#endif
