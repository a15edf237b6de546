/* SPDX-License-Identifier: MIT */
/* Where calls and jumps in a module's code go, as far as the instruction itself says. */
#ifndef PH_ANALYZER_CALL_TARGET_H
#define PH_ANALYZER_CALL_TARGET_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/address_ranges.h"

/* The target of the direct call (x86-64's e8) that returns to an address, both as in the
 * file. False: there is none, or the bytes are not in the file. What only looks like a
 * call has a target where no function begins. */
bool call_target(Elf *module, uint64_t return_address, uint64_t *target);

enum { JUMP_TARGETS_MAX = 8 };

/* The distinct places outside of a function where direct jumps in it go, as in the file,
 * within `code`. Returns how many; the maximum says that there may be more. */
size_t jump_targets(Elf *module, uint64_t start, uint64_t bytes, const struct address_ranges *code,
		    uint64_t targets[JUMP_TARGETS_MAX]);

#endif
