/* SPDX-License-Identifier: MIT */
/*
 * A trace in the midst of being replayed: what run.c reads and settles, replay.c
 * applies events to and replay_notes.c takes notices from. Private to these.
 */
#ifndef PH_ANALYZER_REPLAY_H
#define PH_ANALYZER_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/arena.h"
#include "analyzer/clock.h"
#include "analyzer/coverage.h"
#include "analyzer/filter.h"
#include "analyzer/heap.h"
#include "analyzer/io.h"
#include "analyzer/loops.h"
#include "analyzer/merge.h"
#include "analyzer/meta.h"
#include "analyzer/reach_found.h"
#include "analyzer/reader.h"
#include "analyzer/run.h"
#include "analyzer/stacks.h"
#include "analyzer/thresholds.h"
#include "analyzer/waits.h"

/* CONFINE's argument, of the functions that may install a filter. */
enum { CONFINED_FILTER = 1, CONFINED_BLIND = 2 };

/* A program that was started and is not recorded. */
struct unrecorded {
	const char *path, *reason;
	uint64_t times;
};

struct replay {
	struct run *run;
	struct arena *arena; /* the run's */
	struct reader reader;
	struct meta meta;
	struct clock clock;
	struct stacks stacks;
	struct replay_heap heap;
	struct reach_found found; /* by a search for lost blocks at the end */
	uint32_t inherited_sites; /* of the heap, the first ones: their stacks came by a fork */
	struct mapped own_mapped; /* by the program itself; only if it is asked for */
	struct replay_io io;
	struct replay_waits waits;
	struct loops loops;
	struct thresholds thresholds; /* of findings */
	struct coverage_count coverage;
	struct merge merge;
	uint8_t actions[256];
	uint32_t *thread_of; /* by the merge's streams */
	size_t notice_room;
	const struct run_options *options;
	event_fn *visit;
	void *visit_context;
	/* A parent's, replayed for a child: */
	const struct replay *child;
	uint32_t stop_at_fork; /* 0: do not */
	bool stopped, fork_found;
	bool seeks;			       /* a moment of the heap, and to stop there */
	bool times_by_calls;		       /* see follow_call() */
	const struct run_view *view;	       /* of which one is wanted; NULL: all counts */
	bool before;			       /* what counts has not begun */
	bool watched;			       /* `seeks`, or within a view's times */
	uint64_t *sample_stamps, *sample_live; /* of meta.samples */
	struct filter *filter;		       /* NULL: nothing is left out */
	/* For the notices. */
	uint64_t lost, lost_from, lost_to; /* ticks */
	uint64_t unknown_events, unknown_blocks;
	uint64_t last_ticks;
	struct {
		const char *path, *reason; /* NULL path: none is under way */
	} exec;
	struct unrecorded *unrecorded;
	size_t unrecorded_count, unrecorded_room;
	unsigned confined; /* how, since confined_at; 0: not */
	uint64_t confined_at;
};

/* Strings are the arena's, or static. */
void replay_notice(struct replay *r, bool lost, int about, const char *text);

#define notice(r, lost, ...)                                                                       \
	replay_notice((r), (lost), NOTICE_OTHER, arena_print((r)->arena, __VA_ARGS__))
#define notice_program(r, ...)                                                                     \
	replay_notice((r), false, NOTICE_PROGRAM, arena_print((r)->arena, __VA_ARGS__))

/* What the trace's functions mean to the replay, by its own table. */
void replay_choose_actions(struct replay *r);

/* What the merge hands the events to; its context is the replay. */
extern const struct merge_consumer replay_consumer;

/* What counts begins here, at_s after the start; what was stays as it is. */
void replay_begin_window(struct replay *r, double at_s);

/* What a search for lost blocks found, after the notes. */
void replay_take_found(struct replay *r);

/* At the end: how it ended, and what was lost or not seen. */
void replay_note_all(struct replay *r);

#endif
