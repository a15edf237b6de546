/* SPDX-License-Identifier: MIT */
/*
 * Stacks of several runs under one set of keys: stacks of the same functions have the
 * same key, whatever build, process or machine they are of. A key is made of the frames'
 * functions (canonical.h), inlined ones too, and the base names of their source files;
 * of a frame without a name, of its module
 * (and of its place in it, if all runs have the same file). Addresses and lines are no part of it.
 * Not in it either: what started the program or thread (libc's outermost frames); a recursion's
 * second round; what the C++ or Rust library calls within itself. A function that ended in a jump
 * to the next one is in it, where the call that it was called by tells. A key is a number that
 * means something only among those of one struct stack_keys. Not thread-safe.
 */
#ifndef PH_ANALYZER_STACK_KEYS_H
#define PH_ANALYZER_STACK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/report.h"

struct stack_keys;

struct stack_keys *stack_keys_new(void); /* NULL: out of memory */
void stack_keys_free(struct stack_keys *k);
bool stack_keys_failed(const struct stack_keys *k); /* out of memory: keys are not to be used */

/* The key of a stack with one more frame within. Key 0 is no stack. `executable` is the
 * program's own path (or NULL), which may be another name in another build. Of a module
 * that all runs have in the `same_build`, a frame without a name is its place in the file. */
uint32_t stack_keys_push(struct stack_keys *k, uint32_t key, const struct frame *frame,
			 const char *executable, bool same_build);

/*
 * The frames of a key that have a name, outermost first, as numbers; a recursion's second
 * round is left out by names that are alike. Returns how many. What a call gave may move
 * with the next one.
 */
size_t stack_keys_loose(struct stack_keys *k, uint32_t key, const uint32_t **frames);

/* Two such frames may be one function's in two builds: other parameters, another file; of
 * one the scopes are not known (canonical.h). */
bool stack_keys_alike(const struct stack_keys *k, uint32_t a, uint32_t b);

/* A frame of the library of the language, or of a header of it. */
bool stack_keys_is_library(const struct stack_keys *k, uint32_t frame);

/* Of keys with frames that are alike, one for one, it is the same; without those of the
 * library of the language, if only `own` frames are asked for. */
uint64_t stack_keys_loose_hash(struct stack_keys *k, uint32_t key, bool own);

/* The keys of a report's stacks, each worked out once. All zero is empty. */
struct keyed_report {
	struct stack_keys *keys;
	struct report *report;
	uint32_t *of_node; /* key + 1; 0: not known yet */
	bool *same_build;  /* of each module: the other run has this very file */
	uint32_t *chain;   /* nodes on the way to one that is known */
	size_t chain_room;
};

/* `other`: the run that it is compared with. */
bool keyed_report_open(struct keyed_report *r, struct stack_keys *keys, struct report *report,
		       const struct run *other);
void keyed_report_close(struct keyed_report *r);
uint32_t keyed_report_key(struct keyed_report *r, uint32_t node);

#endif
