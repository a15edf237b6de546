/* SPDX-License-Identifier: MIT */
/*
 * Stacks taken by verifying what was there before, and walking only what changed.
 *
 * A thread keeps its last stack: for each frame the slot its return address was
 * loaded from and the value that stood there; between them the other words that
 * a frame's rule (cfi.h) read. When a frame of the next stack equals a kept one,
 * and each kept word further out still holds its value, the rest of the stack is
 * the kept one: the rules are functions of the address alone, and read the same
 * words with the same values, so every state further out is the same too. Nothing
 * of the program's is written, and no table is asked.
 *
 * Words are checked from the inside out: that one can be read is known because
 * all inside of it held.
 */
#ifndef PH_PRELOAD_WALK_H
#define PH_PRELOAD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PH_WALK_FRAMES 512u  /* that are walked at most at once; deeper ones are cut off */
#define PH_WALK_WORDS  2048u /* that are kept at most: of 700 to 2,000 frames */
#define PH_WALK_RULES  4096u /* of the caches, powers of two */
#define PH_WALK_NODES  4096u
#define PH_WALK_RANGES 8u

/* A word of the program's stack and what it held. */
struct ph_walk_word {
	uintptr_t at, value;
};

/* What goes with it: a frame's, or nothing (PH_WALK_CHECK). */
struct ph_walk_frame {
	uintptr_t fp;	  /* rbp in this frame */
	uint32_t node;	  /* the stack from here outward */
	uint32_t address; /* of the table of addresses, + 1 */
	uint32_t number;  /* from the outermost, 1 */
	uint32_t flags;
};

/* A frame on its way into the kept stack. */
struct ph_walk_fresh {
	uintptr_t at, ip, pc, fp;
	uint64_t rule;
	struct ph_walk_word cfa;   /* what the step to the next outer frame read besides; at 0: */
	struct ph_walk_word saved; /* nothing */
	uint32_t flags;
};

/* Stack that is known to be readable. */
struct ph_walk_range {
	uintptr_t low, high;
};

/* One a stream, zero at first, in memory that a fork wipes. Only what is used of it
 * is ever touched. */
struct ph_walk {
	uint32_t epoch;
	uint32_t count; /* words kept, outermost first; 0: none */
	uint32_t range, range_count;
	struct ph_walk_range ranges[PH_WALK_RANGES];
	struct ph_walk_word words[PH_WALK_WORDS];
	struct ph_walk_frame frames[PH_WALK_WORDS];
	struct ph_walk_fresh fresh[PH_WALK_FRAMES];
	struct ph_walk_rule {
		uint64_t key, rule; /* pc | epoch << 48 */
		uint32_t address;
	} rules[PH_WALK_RULES];
	struct ph_walk_node {
		uint64_t key; /* parent << 32 | address */
		uint32_t node;
	} nodes[PH_WALK_NODES];
};

/* From our constructor, once. False: the unwinder does it all, as before
 * glibc 2.35. */
bool ph_walk_begin(void);

/* Is this the frame of the function that returns to `caller`, and can we walk? Not of
 * one that was reached by a jump with a frame of its own. */
extern bool ph_walk_ready;
static inline bool ph_walk_knows(uintptr_t frame, const void *caller)
{
	return ph_walk_ready && *(const uintptr_t *)(frame + 8) == (uintptr_t)caller;
}

/*
 * The stack whose innermost frame called the function with the frame `frame`
 * (__builtin_frame_address(0), with a frame pointer), in *node, `depth` frames of
 * it at most. False: no rule leads on; ask the unwinder. Async-signal-safe for
 * different `w`.
 */
bool ph_walk(struct ph_walk *w, uintptr_t frame, uint32_t depth, uint32_t epoch, uint32_t *node);

#endif
