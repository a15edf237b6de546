/* SPDX-License-Identifier: MIT */
/*
 * Starting programs and waiting for them. We are the one that adopts orphans
 * (PR_SET_CHILD_SUBREAPER), so perfhook's collector, which is nobody's child, comes
 * to us when it ends, and wait4() tells its processor time exactly, as it does for
 * all others: nothing is sampled, and nothing is missed.
 */
#ifndef PH_BENCH_PROCESS_H
#define PH_BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

void process_setup(unsigned limit_s); /* a run that takes longer is killed */

struct command {
	char *const *argv;	    /* leading NAME=VALUE are its environment */
	const char *const *env;	    /* NAME=VALUE more, NULL-terminated; may be NULL */
	const char *in, *out, *err; /* files; NULL: /dev/null, for err ours */
	int core;		    /* held there; -1: anywhere */
};

pid_t process_start(const struct command *command);

struct usage {
	double cpu_s; /* with its children's that it waited for */
	long rss_kib; /* at most; not below what we have ourselves */
	int status;   /* of exit; 128 and more: a signal, as a shell says it */
};

/* Waits for one. False: it took too long, and all that was started was killed. */
bool process_wait(pid_t pid, struct usage *usage);
/* Waits for all others, adds up. */
bool process_wait_all(struct usage *sum);
/* Puts what we adopted, once there is any, on a core; up to wait_ms. */
void process_hold_adopted(int core, int wait_ms);

unsigned core_count(void);
double wall_s(void);

/* A line's words, split at blanks, with %b, %i and %s replaced; one allocation each. */
struct place {
	const char *build, *inputs, *programs, *folder, *heaptrack;
};
extern struct place place;
char **words_of(const char *line);
void words_free(char **words);
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
