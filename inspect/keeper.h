/* SPDX-License-Identifier: MIT */
/*
 * A process as it was at one instant, to be looked at in peace: a child of ours, the keeper,
 * stops it, takes its registers and a copy of its memory, lets it go on and keeps the copy.
 * The keeper has no other business, so that what it begins with a process comes to its end
 * whatever becomes of us; when we are gone it cleans up and goes.
 */
#ifndef PH_INSPECT_KEEPER_H
#define PH_INSPECT_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "analyzer/error.h"
#include "inspect/maps.h"
#include "inspect/memory.h"
#include "inspect/stop.h"

struct keep_wish {
	pid_t pid;
	pid_t thread; /* one of its that has not ended, maybe the first: by it /proc tells of
		       * its memory */
	/* Called while the process stands, in the keeper: false if this is no good moment; then
	 * it runs for a moment and is stopped again, some times, and then it is good enough.
	 * What it changes must be shared memory. */
	bool (*now)(void *context);
	/* Is this mapping to be left out? */
	bool (*skip)(const void *context, const struct mapping *m);
	void *context;
	bool copy; /* by reading, not by a fork of the process */
};

struct kept {
	pid_t keeper;
	int socket;
	struct stop stop; /* the threads as they stood */
	struct maps maps; /* likewise */
	struct memory memory;
	uint64_t program_headers; /* where the program's stand, by auxv; 0: not known */
	uint64_t program_header_count;
	pid_t snapshot;	    /* 0: its memory was read while it stood */
	char why_copy[128]; /* then: why */
	uint64_t stood_ns;  /* in all stops */
	uint32_t stops;	    /* until a moment was good */
	bool good;	    /* it was in the end */
	bool shared_later;  /* shared memory was too large to be copied meanwhile */
};

/* 0, or -1 with *e filled: then there is nothing to end. */
int keep_begin(struct kept *k, const struct keep_wish *wish, struct error *e);

/* Is the copy still there, so that all that was read by now was its? The kernel may end it
 * where memory is short, and whoever ends all of the process's group or container. */
bool keep_is_whole(const struct kept *k);

/* The copy is not needed any more. The threads and mappings stay. */
void keep_release(struct kept *k);
void keep_free(struct kept *k);

#endif
