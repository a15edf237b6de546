/* SPDX-License-Identifier: MIT */
/*
 * A pager between a long answer and the terminal: PERFHOOK_PAGER, else PAGER, else
 * less, which ends by itself where one screen is enough. None where standard output is
 * no terminal, or where the variable is empty or "cat"; one that cannot be started is
 * as none.
 */
#ifndef PH_ANALYZER_PAGER_H
#define PH_ANALYZER_PAGER_H

#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

struct pager {
	pid_t pid;
	struct sigaction interrupt, quit, pipe; /* what they were */
};

/* Where to write for the pager; NULL: there is none. While it runs, the keyboard's
 * signals are its own, and a write to one that has gone fails with EPIPE. */
FILE *pager_open(struct pager *p);

/* After the stream is closed: until the reader has seen enough. */
void pager_wait(struct pager *p);

#endif
