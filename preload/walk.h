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

#include "preload/compiler.h"

#define PH_WALK_FRAMES	  512u	/* that are walked at most at once; deeper ones are cut off */
#define PH_WALK_WORDS	  2048u /* that are kept at most: of 700 to 2,000 frames */
#define PH_WALK_RULE_BITS 10	/* of the caches, of two places each */
#define PH_WALK_NODE_BITS 11
#define PH_WALK_RANGES	  8u

/* A word of the program's stack and what it held. */
struct ph_walk_word {
	uintptr_t at, value;
};

/* What goes with it: a frame's, or nothing (PH_WALK_CHECK). As long as the word, so
 * that one pointer finds both. */
struct ph_walk_frame {
	uint32_t node;	  /* the stack from here outward */
	uint32_t address; /* of the table of addresses, + 1 */
	uint32_t number;  /* from the outermost, 1 */
	uint32_t flags;
};

/* A frame on its way into the kept stack. */
struct ph_walk_fresh {
	uintptr_t at, ip, fp;
	uint64_t word; /* struct ph_walk_rule's */
	/* If the step to the next outer frame was no simple one: */
	uint64_t rule;
	uintptr_t saved_at;	 /* it read its rbp here, */
	struct ph_walk_word cfa; /* and this; at 0: nothing */
	uint32_t flags;
};

/* Stack that is known to be readable. */
struct ph_walk_range {
	uintptr_t low, high;
};

/* What the next stack is held against first: the innermost frame kept. */
struct ph_walk_top {
	uintptr_t at; /* 0: there is none */
	uintptr_t ip;
	uintptr_t fp, fp_mask;		  /* mask 0: its rbp does not matter */
	const struct ph_walk_word *below; /* the next word further out */
	uint32_t version;		  /* of the list of modules: ph_modules_version() */
	uint32_t node;			  /* the stack, as deep as is recorded */
};

/* One a stream, zero at first, in memory that a fork wipes. Only what is used of it
 * is ever touched. */
struct ph_walk {
	struct ph_walk_top top;
	struct ph_walk_word *last; /* the innermost kept; &words[0]: none */
	uint32_t version;
	uint32_t range, range_count;
	struct ph_walk_range ranges[PH_WALK_RANGES];
	struct ph_walk_word words[1 + PH_WALK_WORDS]; /* from the outermost; [0] never holds:
						       * it ends a check */
	struct ph_walk_frame frames[1 + PH_WALK_WORDS];
	uintptr_t fps[1 + PH_WALK_WORDS]; /* rbp in a frame, where it is needed */
	struct ph_walk_fresh fresh[PH_WALK_FRAMES];
	/* Caches before nodes.h, small so that they stay near. */
	struct ph_walk_rule {
		uint64_t key;  /* pc | epoch << 48 */
		uint64_t word; /* its address and, packed, its rule: walk.c */
	} rules[1u << PH_WALK_RULE_BITS][2];
	uint64_t nodes[1u << PH_WALK_NODE_BITS][2]; /* packed */
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
 * Is the stack the kept one? Then its node; 0: it is not, and *bad is the word that
 * did not hold (NULL: the innermost), for ph_walk(). The innermost frame called the function with
 * the frame `frame` (__builtin_frame_address(0), with a frame pointer), which returns to `caller`.
 */
static inline uint32_t ph_walk_same(const struct ph_walk *w, uintptr_t frame, const void *caller,
				    uint32_t version, const struct ph_walk_word **bad)
{
	const struct ph_walk_top *top = &w->top;
	const struct ph_walk_word *word = top->below;
	uintptr_t fp = *(const uintptr_t *)frame;

	*bad = NULL;
	if (unlikely(((top->at ^ (frame + 8)) | (top->ip ^ (uintptr_t)caller) |
		      ((top->fp ^ fp) & top->fp_mask) | (top->version ^ version)) != 0))
		return 0;
	while (likely(*(const uintptr_t *)word->at == word->value))
		word--;
	if (likely(word == w->words))
		return top->node;
	*bad = word;
	return 0;
}

/*
 * The same where it is not the kept one, which it becomes; `depth` frames of it at most.
 * 0: no rule leads on; ask the unwinder. Async-signal-safe for different `w`.
 */
uint32_t ph_walk(struct ph_walk *w, uintptr_t frame, uint32_t depth, uint32_t version,
		 const struct ph_walk_word *bad);

/* Nothing is kept any more. */
static inline void ph_walk_forget(struct ph_walk *w)
{
	w->top.at = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	w->last = w->words;
}

#endif
