/* SPDX-License-Identifier: MIT */
/*
 * A process that is not ours, stood still: every thread stopped by ptrace(2), and their
 * registers. They go on as if nothing had been: calls that the stop interrupted are made
 * again. All of it is for one thread of ours; should we die meanwhile, the kernel lets the
 * process go on.
 */
#ifndef PH_INSPECT_STOP_H
#define PH_INSPECT_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "analyzer/error.h"

#define STOP_REGISTERS 32

struct stopped_thread {
	pid_t tid;
	bool asleep;	  /* in the kernel, where it cannot be stopped, and runs nothing */
	bool paused;	  /* it stood already, by SIGSTOP or its like */
	bool attached;	  /* still ours */
	bool interrupted; /* the stop made a call fail with EINTR; see stop_end() */
	/* The rest is not known of one that is asleep, but for `stack` as a rule. */
	uint64_t stack, tls; /* pointers to; 0: not known */
	uint64_t registers[STOP_REGISTERS];
	size_t register_count;
	uint64_t *vectors; /* what else it has: floating point and vectors */
	size_t vector_words;
};

struct stop {
	pid_t pid;
	struct stopped_thread *threads;
	size_t count, room;
	uint64_t began_ns, ended_ns; /* CLOCK_MONOTONIC: how long it stood */
	bool refused;		     /* by the kernel: another's tracee, or no right to */
};

/* Of s->pid, the rest zero or from before. 0, or -1 with *e filled: then it runs. */
int stop_begin(struct stop *s, struct error *e);

/* Let it go on: what the stop interrupted is made again. The threads stay known. */
void stop_end(struct stop *s);

/* Those that could not be stopped are, once they wake: let them go too. True: none is left
 * to wait for. */
bool stop_serve(struct stop *s);

void stop_free(struct stop *s);

#endif
