/* SPDX-License-Identifier: MIT */
/*
 * The distinct stacks of a run: addresses, each with the module that was there
 * at its time, and the tree of nodes. Equal ones are one, whatever the file
 * says, so that results can be kept by node.
 */
#ifndef PH_ANALYZER_STACKS_H
#define PH_ANALYZER_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/map.h"
#include "analyzer/meta.h"
#include "analyzer/run.h"
#include "trace/encode.h"

struct stacks {
	struct address *addresses;
	struct node *nodes; /* [0] is the root */
	struct module *modules;
	size_t address_count, address_room, node_count, node_room, module_count, module_room;
	struct index address_index, node_index, module_index;
	/* The file's numbers, from 1, to ours. */
	uint32_t *file_addresses, *file_nodes;
	size_t file_address_count, file_address_room, file_node_count, file_node_room;
	/* Where code was, by start; see stacks_begin(). */
	struct code_range *ranges;
	size_t range_count;
	uint64_t patience;
	bool rebased; /* what is imported: see stacks_rebase() */
	bool failed;  /* out of memory */
};

/* All modules are known. The caller frees even after a failure. */
bool stacks_begin(struct stacks *s, const struct meta *meta);
void stacks_free(struct stacks *s);

/* Append what a STACKS block defines. Its numbers begin at the given ones; a gap
 * before them is lost and stands for "no stack". */
void stacks_add(struct stacks *s, size_t first_address, size_t first_node,
		const struct ph_new_address *addresses, size_t address_count,
		const struct ph_new_node *nodes, size_t node_count);

/* Our node for the file's; 0 if the file does not define it. */
static inline uint32_t stacks_node(const struct stacks *s, uint32_t file_node)
{
	return file_node < s->file_node_count ? s->file_nodes[file_node] : 0;
}

/* From here on modules that are imported are one wherever they were loaded, with
 * a base of 0, and addresses are those within a module's file. */
static inline void stacks_rebase(struct stacks *s)
{
	s->rebased = true;
}

/* A copy of another run's stack: its node here. `known` remembers what was
 * copied. */
uint32_t stacks_import(struct stacks *s, const struct run *from, uint32_t node, struct map *known,
		       struct arena *arena);

/* Hand addresses, nodes and modules over to the run. */
void stacks_publish(struct stacks *s, struct run *run);

#endif
