/* SPDX-License-Identifier: MIT */
/*
 * Memory of a process that is not ours: a snapshot's or its own, as far as it stands there,
 * and copies that were made of it. What cannot be read is as if it were not there.
 */
#ifndef PH_INSPECT_MEMORY_H
#define PH_INSPECT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A stretch that was copied: it stands before what the process has there now. */
struct memory_piece {
	uint64_t start, bytes;
	uint64_t offset; /* in the copies */
};

#define MEMORY_CACHED 256 /* pages */

struct memory {
	int memory_fd;		     /* /proc/PID/mem; -1: there are only copies */
	int live_fd;		     /* for what was not copied because it does not change; -1 */
	int pagemap_fd;		     /* /proc/PID/pagemap; -1: what is there cannot be asked */
	bool listed;		     /* pages are asked for one by one: before Linux 6.7 */
	struct memory_piece *pieces; /* ascending; malloc'ed */
	size_t piece_count, piece_room;
	const uint8_t *copies;	   /* mapped */
	uint64_t copied;	   /* bytes */
	struct memory_page *pages; /* a cache, for single words */
	uint64_t read, unreadable; /* bytes, by memory_each() */
};

/* Of a process: its memory as it is. False: it may not be looked at (errno). */
bool memory_open(struct memory *m, pid_t pid);
void memory_close(struct memory *m);

/* A process's memory as it is, for live_fd; -1. */
int memory_open_live(pid_t pid);

/* Aligned words that follow each other; `count` is never 0. */
typedef void memory_words_fn(void *context, uint64_t address, const uint64_t *words, size_t count);

/* All words from start to end that stand in memory, ascending. `own`: without pages that
 * are a file's still, or shared. */
void memory_each(struct memory *m, uint64_t start, uint64_t end, bool own, memory_words_fn *words,
		 void *context);

/* Of memory that is the process's alone: was the page ever written to or read? What was not
 * need not be looked at, and would be made by that. */
bool memory_holds(const struct memory *m, uint64_t address);

/* One aligned word. False: it is not there. */
bool memory_word(struct memory *m, uint64_t address, uint64_t *out);

#endif
