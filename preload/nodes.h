/* SPDX-License-Identifier: MIT */
/*
 * The segment's tables of addresses and of stack nodes (trace/segment.h). Lock-free;
 * async-signal-safe; they grow by allocating pages of the segment.
 *
 * To find an entry there takes a look at each level of a table that has grown. Before
 * them stands an index of this process's own, which only hints at numbers: what it
 * finds is compared, and what is not found in it is looked up and put there.
 */
#ifndef PH_PRELOAD_NODES_H
#define PH_PRELOAD_NODES_H

#include <stdint.h>

/* The number of a code address under an epoch of the module list, from 1. 0: the
 * table is at its ceiling, or no page can be had for it, which is counted. */
uint32_t ph_node_address(uint64_t pc, uint32_t epoch);

/* The node of a frame at that address, called from the stack `parent`. `parent`
 * itself where there is no room. */
uint32_t ph_node_child(uint32_t parent, uint32_t address);

/* Make room while pages can still be had. */
void ph_nodes_reserve(void);

/*
 * A word that is kept of an address, by its number, such as the rule of its frame
 * (cfi.h). 0: none is, or the number stands for other addresses than `pc` too. The
 * next call of ph_address_noted() may not know of the last of ph_address_note().
 */
uint64_t ph_address_noted(uint32_t number, uint64_t pc);
void ph_address_note(uint32_t number, uint64_t pc, uint64_t note);

#endif
