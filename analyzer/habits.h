/* SPDX-License-Identifier: MIT */
/*
 * What a stack does to a file or a connection again and again, one right after the
 * other: tiny writes, syncs, requests and their responses. A series is at least two of
 * the same kind that nothing else comes between and that follow within a moment; only
 * what is part of one counts.
 */
#ifndef PH_ANALYZER_HABITS_H
#define PH_ANALYZER_HABITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/map.h"
#include "analyzer/run.h"
#include "analyzer/thresholds.h"

enum habit_kind { HABIT_TINY_WRITE, HABIT_SYNC, HABIT_ROUND_TRIP, HABIT_KINDS };

/* Of one kind, one file or connection, one stack. Times are nanoseconds. */
struct habit {
	enum habit_kind kind;
	uint32_t sink, node;
	bool socket;
	const char *subject;		 /* in the end: the path, or the endpoint's name */
	uint64_t count, series, longest; /* longest: of the series that ended here */
	uint64_t bytes;			 /* written or sent; of a sync: since the one before */
	uint64_t received_bytes;
	double ns;
};

struct habits {
	const struct thresholds *thresholds;
	struct habit *list;
	size_t count, room;
	struct map place_by_key[HABIT_KINDS]; /* sink << 32 | node, to its place + 1 */
	struct map work_by_thread; /* how often it was given something to do, by its address */
	bool failed;		   /* out of memory */
};

/* Of one file or connection. All zero: nothing has happened. */
struct habit_item {
	bool set, small, counted;
	uint32_t habit; /* where it was counted: place + 1 */
	const struct thread *thread;
	uint32_t node;
	uint64_t work; /* of the thread's */
	uint64_t bytes, received_bytes;
	uint64_t place; /* of a write: where it ended; HABIT_NOWHERE: not known */
	uint64_t in_series;
	double begin, end, ns;
	bool follows, answered; /* of a request */
};
struct habit_state {
	struct habit_item write, sync, last_trip, trip;
	uint64_t unsynced_bytes;
};

#define HABIT_NOWHERE UINT64_MAX

/* One call. Times are nanoseconds since the start. */
struct habit_call {
	const struct thread *thread;
	uint32_t sink, node;
	double begin, ns;
	uint64_t bytes;
};

/* `thresholds` is borrowed. */
void habits_init(struct habits *h, const struct thresholds *thresholds);
void habits_free(struct habits *h);

/* Bytes were written, to `place` in a file or at its end (HABIT_NOWHERE). */
void habits_written(struct habits *h, struct habit_state *s, const struct habit_call *call,
		    uint64_t place);
/* Something else was done to it, so that what was written must be there. */
void habits_interrupted(struct habit_state *s);
void habits_synced(struct habits *h, struct habit_state *s, const struct habit_call *call);
/* Of a connection on which this side asks. */
void habits_asked(struct habits *h, struct habit_state *s, const struct habit_call *call);
void habits_answered(struct habit_state *s, const struct habit_call *call);
/* A client asked the thread for something: what it does next is another piece of work. */
void habits_got_work(struct habits *h, const struct thread *thread);
/* No more calls. */
void habits_end(struct habits *h, struct habit_state *s, uint32_t sink);

#endif
