/* SPDX-License-Identifier: MIT */
/* Where a trace goes: the pattern of PERFHOOK_OUT made a path, and the file. */
#ifndef PH_COLLECTOR_OUTNAME_H
#define PH_COLLECTOR_OUTNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outname {
	const char *pattern;	/* PERFHOOK_OUT; "": the default */
	const char *directory;	/* a relative name's, absolute */
	const char *executable; /* path */
	const char *host;
	int pid;
	uint64_t started_ns; /* realtime */
};

#define OUTNAME_DEFAULT "perfhook.%e.%p.trace"

/* Fills `out`; false when it would not fit. %p pid, %e base name of the
 * executable, %h host, %t start as YYYYmmddTHHMMSS (UTC, as a process without a collector
 * can tell it too), %% a percent
 * sign; any other %x stays as it is. */
bool outname_expand(const struct outname *n, char *out, size_t room);

/* Does the pattern hold %p? */
bool outname_has_pid(const char *pattern);

/*
 * Create the trace at `path`, mode 0600. An existing one is replaced when it is
 * a perfhook trace; anything else is refused, and links are never followed.
 * Returns the descriptor, or -1 with a sentence in `why`, or OUTNAME_BUSY where a
 * trace stands that somebody is writing (who holds its lock): another session's,
 * or OUTNAME_FOREIGN (with a sentence) where one stands that is another user's.
 */
#define OUTNAME_BUSY	(-2)
#define OUTNAME_FOREIGN (-3)
int outname_create(const char *path, char *why, size_t room);

/*
 * Could a trace be created by this name (relative to the working directory)? As far
 * as can be told while the names in it stand for nothing yet. False, with a
 * sentence in `why`; nothing is created.
 */
bool outname_check(const char *pattern, char *why, size_t room);

#endif
