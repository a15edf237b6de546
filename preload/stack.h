/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's stack as one number: a node of the segment's stack
 * table. Each thread keeps the stack it saw last, so that only frames that
 * changed since are looked up.
 */
#ifndef PH_PRELOAD_STACK_H
#define PH_PRELOAD_STACK_H

#include "preload/thread.h"

/*
 * The node of the stack whose innermost frame is the caller of the exported
 * wrapper: `frame` is PH_FRAME() in the wrapper (0: not known), `caller` its return
 * address. 0: stacks are off. Keeps errno. An event before our constructor gets the
 * one frame `caller`.
 */
uint32_t ph_stack_node(struct ph_stream *s, uintptr_t frame, void *caller);

/* The same for a thread's own stream, where ph_walk() has just found no way. */
PH_COLD uint32_t ph_stack_unwalked(struct ph_stream *s, void *caller);

/* May stacks of this thread's own stream be asked of ph_walk_same()? */
bool ph_stack_is_walked(const struct ph_thread *t);

/* The kept stack that goes with a slot: its next thread takes it over, so that
 * ended threads leave none behind. May be NULL. */
struct ph_kept_stack *ph_stack_of_slot(uint32_t slot);

/* What of it ph_walk() is given; NULL of NULL. */
struct ph_walk *ph_stack_walk(struct ph_kept_stack *k);

/* Room for one event of a stream that is being put together, PH_CALL_CELLS_MAX
 * cells: not on the stack, which may be a signal's. NULL: there is none. */
struct ph_cell *ph_scratch(const struct ph_stream *s);

/* Where record.c keeps what a vfork's child became; NULL: nowhere. */
struct ph_spawned *ph_stack_spawned(const struct ph_thread *t);
#define PH_SPAWNED_ROOM 544u

/*
 * What a thread keeps, copied, so that a fork's child can put it back: there is a hook
 * to be finished, which a handler that forks has interrupted. NULL: there is nothing, or
 * no memory. ph_stack_put_back() with `put` false only gives the copy back.
 */
void *ph_stack_copy(const struct ph_thread *t);
void ph_stack_put_back(const struct ph_thread *t, void *copy, bool put);

/* Nothing is kept any more, caches neither: they are of another process. */
void ph_stack_wipe(const struct ph_thread *t);

/* Is there room on the stack for the unwinder, or the loader's list, to be gone
 * through? One for signals may be 2 KiB. */
bool ph_stack_has_room(const struct ph_thread *t);

/* The kept stack is not to be trusted any more. */
void ph_stack_forget(struct ph_thread *t);

/* Before no system call can be made any more: room in the tables, and the kept
 * stacks of the first `slots` slots. */
PH_COLD void ph_stack_reserve(unsigned slots);

#define PH_CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

#endif
