/* SPDX-License-Identifier: MIT */
/*
 * Running a command under `strace -f` and reading what it wrote down: the other
 * opinion that the tests beside this compare with. The command can have the
 * library preloaded (strace has it not), so that both see the same run; strace
 * then sees the collector as well, and what the library itself asks of the kernel.
 */
#ifndef PH_TESTS_STRACE_LOG_H
#define PH_TESTS_STRACE_LOG_H

#include "tests/integration/harness.h"

enum strace_kind {
	STRACE_CALL,
	STRACE_EXITED, /* number: its status */
	STRACE_KILLED, /* number: the signal */
};

/* In the order in which they came to their end. */
struct strace_event {
	enum strace_kind kind;
	int tid;
	int number;
	char *call;	 /* its name */
	char *arguments; /* between its brackets, as at its begin and its end */
	bool returned;	 /* false: `= ?`, or the thread ended in it */
	long result;
};

struct strace_log {
	struct strace_event *events;
	size_t count;
};

struct strace_options {
	const char *calls;	   /* as for -e trace= */
	const char *const *format; /* more of strace's options; NULL: none */
	const char *const *before; /* words before strace's own, to change the user; or NULL */
	struct options run;	   /* of strace itself; preload: of the command */
};

struct straced {
	struct outcome outcome; /* status: strace's, which is the command's; pid: strace's */
	int pid;		/* the command's */
	struct strace_log log;	/* of the last run only; the arrays are used again */
};

/* Skips the test where strace may not trace. */
struct straced run_straced(const char *const *argv, const struct strace_options *options);

#endif
