/* SPDX-License-Identifier: MIT */
/*
 * Where a program can begin to look for its blocks: which memory of a stopped process is
 * variables, stacks and thread-local storage, and which is the allocator's, whose lists of
 * what is free say nothing. docs/leaks.md says what is decided here, and why.
 */
#ifndef PH_ANALYZER_ROOTS_H
#define PH_ANALYZER_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/reach.h"
#include "analyzer/spans.h"
#include "inspect/maps.h"
#include "inspect/memory.h"
#include "inspect/stop.h"

#define ROOTS_RED_ZONE 128 /* bytes below the stack pointer that are in use: the ABI's */

struct roots_source {
	const struct maps *maps;
	const struct stopped_thread *threads;
	size_t thread_count;
	struct memory *memory;
	const struct reach_block *blocks; /* that live, ascending */
	size_t block_count;
	/* Ours: a mapping that is not the program's; data of the library, up to own_end, but
	 * for what it keeps for the program. */
	bool (*is_ours)(const void *context, const struct mapping *m);
	const void *context;
	uint64_t own_end;
	const struct spans *held; /* settled */
	/* The program's headers in memory, by which the loader's list is found; 0: not known. */
	uint64_t headers, header_count;
	const struct spans *mapped; /* by the program itself, as far as it is known; settled */
};

struct root {
	uint64_t start, end;
	bool shared; /* all of its pages count; otherwise those that are the process's own */
};

struct roots {
	struct root *list; /* ascending */
	size_t count, room;
	uint64_t foreign_blocks; /* that glibc's allocator did not make */
	uint64_t shared_bytes;
	bool failed; /* out of memory */
};

/* roots_free() in any case. */
void roots_find(struct roots *r, const struct roots_source *source);
void roots_free(struct roots *r);

#endif
