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

/* A thread of the process that has not ended, by which /proc tells of its memory: the first,
 * or another where that has ended before them (pthread_exit() in main). 0: none, or no such
 * process. */
int proc_living_thread(int pid);

/* /proc/PID/task/TID/comm into `out`; empty when it cannot be read. */
void proc_thread_name(int pid, int tid, char *out, size_t room);

/* The processor time it has had, nanoseconds: /proc/PID/task/TID/schedstat, which is
 * up to a clock tick late. False: not known. */
struct ph_cpu;
bool proc_thread_cpu(int pid, int tid, struct ph_cpu *out);

/* A descriptor that becomes readable when the process ends; -1: none can be had. */
int proc_open(int pid);
/* `pidfd` may be -1: then by pid and start time, as well as can be told. */
bool proc_ended(int pidfd, int pid, uint64_t start_time);

/* Its wait status (wait(2)) where the kernel tells a stranger: PIDFD_GET_INFO of
 * Linux 6.15, or a zombie's /proc/PID/stat. False: not known. */
bool proc_wait_status(int pidfd, int pid, int *status);

/* What the kernel has counted, of /proc/PID/io (proc_pid_io(5)). A descriptor that
 * is kept goes on being readable when the process has become a zombie; -1. */
struct ph_io_count;
int proc_io_open(int pid);
bool proc_io_read(int fd, struct ph_io_count *out);
/* The sum over the threads that live. */
bool proc_io_threads(int pid, struct ph_io_count *out);
/* Has it waited for children, whose counts are among its own since? */
bool proc_has_reaped(int pid);

/* What its memory is (/proc/PID/status, a descriptor of which is kept), but for the ticks.
 * False: not known, or it has none any more. */
struct ph_sample;
int proc_status_open(int pid);
bool proc_memory(int fd, struct ph_sample *out);

/* Is one of its descriptors an anonymous inode of this name ("[io_uring]")? */
bool proc_has_anonymous(int pid, const char *name);

/* To a process, and to all that it has started and that has not lost its parent since. */
void proc_signal_tree(int pid, int signal);

/* CPU-independent name lookup: readlink into a NUL-terminated buffer. */
bool proc_link(const char *path, char *out, size_t room);

#endif
