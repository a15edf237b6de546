/* SPDX-License-Identifier: MIT */
/* What /proc and pidfds say of other processes. */
#ifndef PH_COLLECTOR_PROC_H
#define PH_COLLECTOR_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Field 22 of /proc/PID/stat (proc(5)): with the pid it names one process for
 * ever. 0: no such process. */
uint64_t proc_start_time(int pid);

/* Is it there, the same one, and not a zombie? */
bool proc_alive(int pid, uint64_t start_time);

/* Is this thread of the process still there? */
bool proc_thread_alive(int pid, int tid);

/* /proc/PID/task/TID/comm into `out`; empty when it cannot be read. */
void proc_thread_name(int pid, int tid, char *out, size_t room);

/* A descriptor that becomes readable when the process ends; -1: none can be had. */
int proc_open(int pid);
/* `pidfd` may be -1: then by pid and start time, as well as can be told. */
bool proc_ended(int pidfd, int pid, uint64_t start_time);

/* Its wait status (wait(2)) where the kernel tells a stranger: PIDFD_GET_INFO of
 * Linux 6.15, or a zombie's /proc/PID/stat. False: not known. */
bool proc_wait_status(int pidfd, int pid, int *status);

/* CPU-independent name lookup: readlink into a NUL-terminated buffer. */
bool proc_link(const char *path, char *out, size_t room);

#endif
