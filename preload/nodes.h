/* SPDX-License-Identifier: MIT */
/*
 * The segment's tables of addresses and of stack nodes (trace/segment.h). Lock-free;
 * async-signal-safe; they grow by allocating pages of the segment.
 */
#ifndef PH_PRELOAD_NODES_H
#define PH_PRELOAD_NODES_H

#include <stdint.h>

/* The number of a code address under an epoch of the module list, from 1. 0: the
 * table is at its ceiling, which is counted. */
uint32_t ph_node_address(uint64_t pc, uint32_t epoch);

/* The node of a frame at that address, called from the stack `parent`. `parent`
 * itself where there is no room. */
uint32_t ph_node_child(uint32_t parent, uint32_t address);

/* Make room while pages can still be had. */
void ph_nodes_reserve(void);

#endif
