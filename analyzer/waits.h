/* SPDX-License-Identifier: MIT */
/*
 * Waits replayed: time by kind, object and stack, and how each thread's own time
 * splits up. What a call takes counts as its own kind of time, less what calls inside
 * it take (of signal handlers). Processor time is known at a thread's beginning, now
 * and then, and at its end: between two such moments the thread ran for as long as it
 * had a processor, but not longer than it was outside of those calls.
 */
#ifndef PH_ANALYZER_WAITS_H
#define PH_ANALYZER_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/activity.h"
#include "analyzer/arena.h"
#include "analyzer/clock.h"
#include "analyzer/heap.h"
#include "analyzer/io.h"
#include "analyzer/map.h"
#include "analyzer/meta.h"
#include "analyzer/run.h"
#include "trace/cell.h"

struct replay_waits {
	struct clock *clock;
	struct arena *arena;
	struct wait_sum *sums;
	size_t sum_count, sum_room;
	struct index sum_by_key;
	struct thread_time *times; /* one a thread */
	size_t time_count;
	struct map tid_by_handle;  /* pthread_self() */
	struct activity *activity; /* NULL: not wanted */
	bool keep_recorders;
	bool quiet;	/* calls only take their thread's time: they are not counted */
	double from_ns; /* where what is counted begins, once it has; -INFINITY: at the start */
	bool failed;	/* out of memory */
};

/* False: out of memory; waits_free() in any case. */
bool waits_init(struct replay_waits *w, struct clock *clock, struct arena *arena,
		const struct thread *threads, size_t thread_count);
void waits_free(struct replay_waits *w);

/* From here on calls count, `ns` after the process's start, and threads' times are
 * without what was before: the caller has cleared those of run->threads. */
void waits_begin_window(struct replay_waits *w, double ns);

/* Does a call of this kind wait? */
bool waits_is_about(unsigned kind);

/* A call of one of those kinds, by thread number `at`, from the stack `node`. */
void waits_call(struct replay_waits *w, struct thread *thread, size_t at, unsigned kind,
		const struct ph_call *call, uint32_t node, const struct replay_io *io,
		const struct replay_heap *heap);

/* Any other call, when its time has been added to the thread's: `before` is the
 * thread before that. */
struct io_times {
	double reading_s, writing_s, network_s;
};
static inline struct io_times io_times(const struct thread *t)
{
	return (struct io_times){t->reading_s, t->writing_s, t->network_s};
}
void waits_io(struct replay_waits *w, struct thread *thread, size_t at,
	      const struct io_times *before, const struct ph_call *call);

/* PH_OP_THREAD_START: what joins call the thread. */
void waits_thread(struct replay_waits *w, const struct ph_call *call);

/* Fill run->waits and the parts of its threads' times. run->duration_s is known. */
void waits_result(struct replay_waits *w, struct run *run, const struct meta *meta);

/* The order of struct run's waits, for qsort(3). */
int wait_by_time(const void *a, const void *b);

#endif
