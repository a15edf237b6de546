/* SPDX-License-Identifier: MIT */
/*
 * What a search for lost blocks found, on its way into a trace and out of it: REACH blocks
 * (docs/trace-format.md). Sums by stack, since the blocks themselves may be many.
 */
#ifndef PH_ANALYZER_REACH_FOUND_H
#define PH_ANALYZER_REACH_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/arena.h"
#include "analyzer/run.h"
#include "trace/buffer.h"

/* One stack's: by its node in the file, or, of blocks that a fork left, by its place among
 * their stacks. */
struct found_site {
	uint32_t number;
	bool inherited;
	struct reach_sum sums[REACH_CLASSES];
};

/* All zero is empty; lists and strings are the arena's. */
struct reach_found {
	bool made;
	const char *failed; /* why it was not; NULL */
	const char *how;
	uint64_t ticks, pause_ns;
	const char **notes;
	size_t note_count;
	struct found_site *sites; /* malloc'ed */
	size_t site_count, site_room;
};

/* Take in one block. False: it is not what such a block holds. */
bool found_read(struct reach_found *f, const struct ph_buffer *payload, struct arena *arena);
void found_free(struct reach_found *f);

/* Each line is one block. What was found, by struct run's `reach`; `live` has the numbers
 * of its stacks. */
void found_write(FILE *out, const struct run *run, const struct run_live *live, uint64_t ticks);
void found_write_failure(FILE *out, const char *why);

#endif
