/* SPDX-License-Identifier: MIT */
/*
 * Making a process's segment of shared memory (trace/segment.h). Plain system
 * calls only: this runs inside the first malloc of a process, before libc's own
 * constructors may have run.
 */
#ifndef PH_PRELOAD_SEGMENT_H
#define PH_PRELOAD_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/segment.h"

/* What a fork's child says of its parent; all zero for an image of its own. */
struct ph_birth {
	bool by_fork;
	int32_t pid;
	uint8_t id[16];
	uint32_t fork;			  /* number of the PH_OP_FORKED event; 0: none */
	const struct ph_segment *segment; /* the parent's, still mapped; may be NULL */
};

/* Allocate the pages of a stretch of a segment, so that a store to it cannot be
 * SIGBUS. False: there is no room. Needs no descriptor. */
bool ph_populate(void *start, uint64_t bytes);

/* A shared mapping of a file of ours, `allocated` bytes of it backed by pages.
 * NULL: it cannot be had. */
void *ph_map_file(const char *path, uint64_t bytes, uint64_t allocated, bool create);

/* Private memory that a fork's child finds zero (MADV_WIPEONFORK). NULL: none. */
void *ph_map_wiped(size_t bytes);

/* readlink(2), NUL-ended; empty when it fails. */
void ph_read_link(const char *path, char *out, size_t room);

void ph_random_bytes(void *out, size_t count);

/* Do the limits on address space and file sizes (ulimit -v, -f) leave room? */
bool ph_segment_fits(void);

/* A head that says who this process is; for the name of its trace before there is
 * a segment. Static: processes are set up by their only thread. */
const struct ph_segment *ph_segment_describe(const struct ph_control *c, const struct ph_birth *b);

/*
 * Create this process's segment at `path` and fill it in; not announced yet. NULL:
 * the file cannot be had. `small` for a file on a disk.
 */
struct ph_segment *ph_segment_make(const char *path, bool small, const struct ph_control *c,
				   const struct ph_birth *b);

/* The same in two steps, for a child that will not be able to create a file: its
 * parent makes an empty one, the child that gets it fills it in. */
struct ph_segment *ph_segment_reserve(const char *path);
void ph_segment_take(struct ph_segment *s, const struct ph_control *c, const struct ph_birth *b);

/*
 * Before the program limits its address space to `bytes`: give back what of the
 * segment's is not used yet, if it is much of that. Rings and tables cannot grow as
 * far then.
 */
void ph_segment_shrink(struct ph_segment *s, uint64_t bytes);

/*
 * In a fork's child: put private memory in the place of its parent's segment, so that
 * whatever still points there, a hook that the fork interrupted, does its parent no harm.
 * The head and the `count` slots keep what they say.
 */
void ph_segment_detach(struct ph_segment *s, struct ph_slot *const *slots, unsigned count);

/* Last: the collector takes what has its magic for complete. */
void ph_segment_announce(struct ph_segment *s, struct ph_control *c);

#endif
