/* SPDX-License-Identifier: MIT */
/* A bar on standard error, on a terminal only, for work that takes longer than
 * a second; with what is left of it, as far as that can be told. progress_update() is a progress_fn
 * (analyzer/run.h). */
#ifndef PH_ANALYZER_PROGRESS_H
#define PH_ANALYZER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct progress {
	const char *what;	     /* "reading FILE" without control characters, borrowed */
	struct timespec begun, next; /* nothing is drawn before `next` */
	bool on_terminal, drawn;
	int columns; /* of the terminal */
};

void progress_begin(struct progress *p, const char *what);
void progress_update(void *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *p); /* wipes the bar, if there is one */

#endif
