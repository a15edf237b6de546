/* SPDX-License-Identifier: MIT */
/*
 * The unwinder, behind one function so that another can take its place. Today
 * libunwind's unw_backtrace(3), loaded with dlopen(RTLD_LOCAL): to link it would
 * put its _Unwind_* before libgcc's for the whole target.
 */
#ifndef PH_PRELOAD_UNWIND_H
#define PH_PRELOAD_UNWIND_H

#include <stdbool.h>

/* Load it; from our constructor only (dlopen inside a malloc is not safe).
 * False: there is none, stacks stay one frame deep. */
bool ph_unwind_load(void);

/* Return addresses of the calling thread's stack, innermost first, into
 * frames[0..room). Returns how many; 0 before ph_unwind_load(). Allocates
 * nothing; may change errno. */
int ph_unwind(void **frames, int room);

/* A thread's first unwinding allocates, in an allocator that is not reached by way of
 * us (one in the executable, or preloaded first): it must not happen inside that. */
extern bool ph_unwind_allocates_outside;

/* A module went away: forget what was learned about its addresses. */
void ph_unwind_flush(void);

#endif
