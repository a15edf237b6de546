/* SPDX-License-Identifier: MIT */
/*
 * A copy of a process's memory, made by the kernel page by page as it is written to: a fork
 * that the process does not know of. While the process stands, one of its threads is made
 * to call clone() twice: a first child on its very memory, whose only purpose is to die as
 * soon as it has a child itself; that one is the copy. It is an orphan from the start, so
 * that the process has no child that it did not make, and never runs. Where the process
 * would adopt it, or nobody would bury it, it is a child that tells nobody of its end, and
 * reaped by the process, which does not know that either. It is made with the process's table
 * of descriptors, not one of its own, since copying that takes time; then it has none.
 *
 * While one of the functions below runs a thread of the process is in our hands: it must
 * come to its end.
 */
#ifndef PH_INSPECT_SNAPSHOT_H
#define PH_INSPECT_SNAPSHOT_H

#include <stdbool.h>

#include "inspect/stop.h"

struct snapshot {
	pid_t pid;	 /* 0: there is none */
	pid_t child;	 /* its number in the process, whose child it is; 0: an orphan */
	pid_t thread;	 /* of the process, whose seccomp filter is known */
	const char *why; /* there is none: a sentence without its end */
	bool orphan;	 /* it may be one: it will not stay dead for good */
	uint64_t gadget; /* where the process has a system call's instruction */
};

/* What need not wait until the process stands. `thread`: one that has not ended. */
void snapshot_prepare(struct snapshot *copy, pid_t pid, pid_t thread);

/* The process stands. False: it cannot be had, as copy->why says. */
bool snapshot_make(struct snapshot *copy, struct stop *s);

/* The process runs again: its files are not the copy's any more, so that what ends with it,
 * a pipe or a port, does not wait for the copy's end. Before Linux 5.9 they stay. Nor is its
 * name, so that who looks for that finds the process. */
void snapshot_part(struct snapshot *copy);

/* It is not needed any more. The process runs; where it would find a child, it is stopped
 * once more for a moment. */
void snapshot_end(struct snapshot *copy, struct stop *s);

#endif
