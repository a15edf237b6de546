/* SPDX-License-Identifier: MIT */
/*
 * What each stack did when, by which thread and to what: sums in time slices, for a page
 * on which any of these can be selected. Kept only if it is asked for. Memory is bounded:
 * where there is too much, first time gets coarser, then threads and things are given up.
 * Sums stay whole. Not thread-safe.
 */
#ifndef PH_ANALYZER_ACTIVITY_H
#define PH_ANALYZER_ACTIVITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACTIVITY_SLICES 64
#define ACTIVITY_NOBODY UINT32_MAX /* no thread, or one that is not known any more */
#define ACTIVITY_THING	UINT32_MAX /* likewise of what it was done to */

enum activity_kind {
	ACTIVITY_HEAP,
	ACTIVITY_FILE,
	ACTIVITY_SOCKET,
	ACTIVITY_WAIT,
};

/* Of the heap. Blocks that were freed count below zero where they were allocated. */
enum {
	ACTIVITY_ALLOCATED,   /* bytes */
	ACTIVITY_ALLOCATIONS, /* how many */
	ACTIVITY_TEMPORARY,
	ACTIVITY_GROWN, /* bytes, less those of its blocks that were freed then */
	ACTIVITY_GROWN_BLOCKS,
	ACTIVITY_LEFT, /* bytes allocated then and never freed */
	ACTIVITY_LEFT_BLOCKS,
	ACTIVITY_VALUES,
};

/* Of all others: a call's bytes and time are spread over it, and it counts at its end. */
enum {
	ACTIVITY_IN, /* bytes read or received */
	ACTIVITY_OUT,
	ACTIVITY_NS,
	ACTIVITY_CALLS,
};

struct activity_key {
	uint32_t node;	 /* of the run */
	uint32_t thread; /* as struct thread has it */
	uint32_t thing;	 /* as struct file, connection and wait have it */
	uint16_t kind;
	uint16_t slice;
};

struct activity_sum {
	struct activity_key key;
	/* What is below zero is so modulo 2^64: a trace may say anything, and sums wrap. */
	uint64_t values[ACTIVITY_VALUES];
};

struct activity {
	uint64_t width_ns; /* of a slice */
	double origin_ns;  /* where the first begins */
	uint32_t slice;	   /* now, of what has no time of its own */
	struct activity_sum *sums;
	size_t count, room;
	bool no_threads, no_things;  /* given up */
	bool failed;		     /* out of memory */
	struct activity_sum *recent; /* what was added to last, by hash */
};

struct activity *activity_new(double origin_ns); /* NULL: out of memory */
void activity_free(struct activity *a);		 /* NULL: nothing */

/* What follows happens at this time. */
void activity_time(struct activity *a, double ns);

/* What a stack does now, to be added to; valid until the next call. */
uint64_t *activity_now(struct activity *a, enum activity_kind kind, uint32_t node, uint32_t thread);

/* A block that was allocated at that time is live at the end. */
void activity_left(struct activity *a, uint32_t node, uint32_t thread, double born_ns,
		   uint64_t bytes);

/* A call's time as NS; what no clock says is cut. */
static inline int64_t activity_ns(double ns)
{
	return ns > 0 ? ns < 1e18 ? (int64_t)(ns + 0.5) : (int64_t)1e18 : 0;
}

/* Add what a call did from one time to the other: IN, OUT, NS and CALLS. */
void activity_call(struct activity *a, const struct activity_key *key, const int64_t values[4],
		   double begin_ns, double end_ns);

/* Only what is live stays of what was: what counts begins here. */
void activity_begin_window(struct activity *a, double ns);

/* All is added, or keys were changed: equal ones become one, in order of kind, node,
 * thread, thing and slice. Sums that are zero go. */
void activity_settle(struct activity *a);

/* Slices of twice the width. */
void activity_widen(struct activity *a);

/* Keys are changed by the function, and what becomes equal is added up. */
typedef void activity_key_fn(void *context, struct activity_key *key);
void activity_translate(struct activity *a, activity_key_fn *change, void *context);

/* Give up what must be given up for at most so many sums. */
void activity_reduce(struct activity *a, size_t most);

struct activity *activity_copy(struct activity *a); /* which is settled then; NULL: no memory */

/* Takes over what the other has, which is settled, begins where this one does, and is
 * freed. Its keys are this one's. */
void activity_merge(struct activity *a, struct activity *from);

#endif
