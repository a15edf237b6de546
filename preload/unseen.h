/* SPDX-License-Identifier: MIT */
/*
 * What recording does not see, as far as the process itself can tell: bytes that
 * the kernel counted, another malloc before ours, io_uring, dlmopen, Go. Plain
 * system calls and reads of the loader's data; allocates nothing.
 */
#ifndef PH_PRELOAD_UNSEEN_H
#define PH_PRELOAD_UNSEEN_H

#include <stdbool.h>

#include "preload/compiler.h"
#include "trace/segment.h"

/* In the constructor, before the process is set up: whose malloc is called? Asks
 * the loader, which may allocate. */
PH_COLD void ph_unseen_look_for_malloc(void);

/* Everything of ours is in place: from here on the program's bytes count. */
PH_COLD void ph_unseen_begin(struct ph_segment *g);

/* Has a seccomp filter come since, by a call that was not seen? Then a system call of
 * ours may be the process's death. */
PH_COLD bool ph_unseen_filtered(void);

/* The process ends, or becomes another program: what the kernel has counted, and
 * what is open. Async-signal-safe; opens and closes descriptors, so not under a
 * seccomp filter. May be called again. */
PH_COLD void ph_unseen_end(struct ph_segment *g);

/* stdio is not, in this process and in those that it forks. Before the above. */
PH_COLD void ph_unseen_stdio(void);

/* After a library came or went: has dlmopen(3) been used? */
PH_COLD void ph_unseen_namespaces(struct ph_segment *g);

#endif
