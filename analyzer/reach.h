/* SPDX-License-Identifier: MIT */
/*
 * Which live blocks can be reached: the graph of who points at whom, made from words of
 * memory, and what follows from it. Pure: where the words come from is the caller's
 * business. docs/leaks.md says what the classes mean.
 *
 *	reach_begin();
 *	reach_from(REACH_ROOTS); reach_words() ...	variables, stacks, registers
 *	reach_from(0); reach_words() ...		the blocks, in order
 *	reach_judge();
 *
 * Not thread-safe.
 */
#ifndef PH_ANALYZER_REACH_H
#define PH_ANALYZER_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/run.h"

struct reach_block {
	uint64_t address, size;
	uint32_t site;	/* the caller's */
	uint32_t class; /* enum reach_class, once judged */
};

/* What the guesses about pointers into a block look at. */
struct reach_memory {
	/* One word. False: it cannot be read. */
	bool (*word)(void *context, uint64_t address, uint64_t *out);
	/* Does a file stand there, and is it code? */
	bool (*file)(void *context, uint64_t address, bool *code);
	void *context;
};

#define REACH_ROOTS	  SIZE_MAX
#define REACH_BLOCKS_MOST ((size_t)1 << 31)

struct reach_graph;

/* Sorts `blocks` by address; they stay the caller's and must live as long. NULL: out of
 * memory, or more than REACH_BLOCKS_MOST. */
struct reach_graph *reach_begin(struct reach_block *blocks, size_t count,
				const struct reach_memory *memory);
void reach_free(struct reach_graph *r);

/* Whose words come next: the roots', then each block's that has any, ascending. */
void reach_from(struct reach_graph *r, size_t block);

/* Words of it: aligned ones, as they stand in memory. */
void reach_words(struct reach_graph *r, const uint64_t *words, size_t count);

/* The block that holds an address; its size is at least 1 for this. NULL: none. */
struct reach_block *reach_find(const struct reach_graph *r, uint64_t address);

/* Give each block its class. False: out of memory, here or before. */
bool reach_judge(struct reach_graph *r);

#endif
