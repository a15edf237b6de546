/* SPDX-License-Identifier: MIT */
/* Shared among what stops a process: what /proc says of a thread. */
#ifndef PH_INSPECT_TRACE_H
#define PH_INSPECT_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* 'R', 'S', 'D', ... (proc_pid_stat(5)); 0: no such thread. */
char trace_state(pid_t pid, pid_t tid);

/* When it began, in clock ticks since the system did; 0: no such process. */
uint64_t trace_start(pid_t pid);

/* A number of /proc/PID/task/TID/status: "SigCgt:". 0: none. */
uint64_t trace_status(pid_t pid, pid_t tid, const char *field, int base);

/* The text behind /proc/PID/status's field, its line's; empty: none. */
void trace_status_line(pid_t pid, const char *field, char *out, size_t room);

#endif
