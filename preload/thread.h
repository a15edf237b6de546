/* SPDX-License-Identifier: MIT */
/*
 * A thread's recording state and its ring. The way of every event:
 *
 *	struct ph_stream *s = ph_enter(frame);	 NULL: not now, pass through
 *	ph_put(s, cells, n);
 *	ph_leave(s);
 *
 * The guard between enter and leave covers our own code only, never a call of
 * the program's. It holds the address of the hook's frame: a hook entered while
 * it is set runs in a signal handler (deeper, or on another stack) and records
 * into a second stream, so that what the outer one was about to write stays
 * untouched; an entry further out on the same stack means that the outer hook is
 * dead, left by siglongjmp.
 */
#ifndef PH_PRELOAD_THREAD_H
#define PH_PRELOAD_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/compiler.h"
#include "preload/process.h"
#include "trace/clock.h"

struct ph_stream {
	struct ph_slot *slot; /* NULL: none yet */
	struct ph_cell *cells;
	uint64_t mask, first; /* of the ring in use */
	uint64_t next;	      /* number of the cell to be written next; slot->head lags behind */
	uint64_t checkpoint;  /* below it `next` needs no look at the consumer or the clock */
	uint64_t clock;	      /* coarse stamp last written */
	uint64_t dropping;    /* events lost since the ring turned to drop; 0: it has not */
	uint64_t dropping_since;
};

struct ph_kept_stack;

struct ph_thread {
	uint64_t generation; /* of the process that this state belongs to */
	uintptr_t guard;     /* frame of the hook whose code of ours is running; 0: none */
	uintptr_t nested_guard;
	uintptr_t
		in_malloc; /* frame of the malloc-family hook in progress, its real call included */
	struct ph_stream own, nested;
	struct ph_kept_stack *kept;
	uint64_t suspended; /* generation to go back to after a vfork; 0: none pending */
	uint64_t refused;   /* generation in which no slot could be had */
	uint64_t shared;    /* generation in which another process runs on this memory, thread-local
			     * storage included; 0: none */
	bool confined_child;	/* a vfork's child has had a seccomp filter installed */
	bool spawned;		/* a vfork's child left word of what it became */
	uintptr_t signal_stack; /* sigaltstack(); bytes 0: none */
	size_t signal_stack_bytes;
};

extern PH_TLS struct ph_thread ph_self;

/* The frame of the exported wrapper itself: what guards are made of. */
#define PH_FRAME() ((uintptr_t)__builtin_frame_address(0))

PH_COLD struct ph_stream *ph_enter_slow(uintptr_t frame);
PH_COLD bool ph_make_room(struct ph_stream *s, unsigned cells);

static inline struct ph_stream *ph_enter(uintptr_t frame)
{
	struct ph_thread *t = &ph_self;

	if (unlikely(t->generation != ph_process->generation || t->guard != 0 ||
		     t->generation <= PH_OFF))
		return ph_enter_slow(frame);
	t->guard = frame;
	t->nested_guard = 0; /* whatever ran inside the hook before is over */
	signal_fence();
	return &t->own;
}

static inline bool ph_is_nested(const struct ph_stream *s)
{
	return s == &ph_self.nested;
}

static inline void ph_leave(struct ph_stream *s)
{
	signal_fence();
	if (likely(!ph_is_nested(s)))
		ph_self.guard = 0;
	else
		ph_self.nested_guard = 0;
}

static inline void ph_store_cell(struct ph_stream *s, uint64_t number, struct ph_cell c)
{
	s->cells[(number - s->first) & s->mask] = c;
}

/*
 * The stamp that threads' events are merged by. With one stream, the shared word:
 * it costs nothing, and nothing needs to be told apart. With several, the counter
 * itself: a free's is taken before the real free and an allocation's after the
 * real allocation, so that on one address they cannot invert.
 */
static inline uint64_t ph_stamp(const struct ph_segment *g)
{
	if (atomic_load_explicit(&g->fine_stamps, memory_order_relaxed))
		return ph_clock_now_ordered(g->clock_kind) & ~PH_CLOCK_ASLEEP;
	return atomic_load_explicit(&g->clock, memory_order_relaxed);
}

PH_COLD uint64_t ph_wake_clock(void);

/* Append a whole event. Counts it as lost where there is no room. */
static inline void ph_put(struct ph_stream *s, const struct ph_cell *cells, unsigned count)
{
	uint64_t stamp = ph_stamp(ph_process->segment);

	uint64_t at;

	/* One more: a CLOCK cell may come first. */
	if (unlikely(s->next + count + 1 > s->checkpoint) && !ph_make_room(s, count + 1))
		return;
	at = s->next;
	if (stamp != s->clock) {
		if (unlikely(stamp & PH_CLOCK_ASLEEP))
			stamp = ph_wake_clock();
		ph_store_cell(s, at++, (struct ph_cell){.w0 = PH_OP_CLOCK, .w1 = stamp});
	}
	for (unsigned i = 0; i < count; i++)
		ph_store_cell(s, at++, cells[i]);
	/* In this order: a siglongjmp out of here leaves nothing half written. */
	signal_fence();
	s->next = at;
	signal_fence();
	s->clock = stamp;
	/* Pairs with the collector's acquire: who sees head sees the cells. */
	atomic_store_explicit(&s->slot->head, at, memory_order_release);
}

/* A thread begins or ends, as its pthread_create trampoline says. */
void ph_thread_started(void);
void ph_thread_ending(void);

/* Around a vfork: its child runs on this thread's memory and must record nothing. */
void ph_suspend_for_vfork(void);

/* Is this such a child? False in a parent that has not noticed yet that it is over. */
bool ph_is_vfork_child(void);

/* clone(CLONE_VM) without a thread-local storage of its own: whose event is it? From
 * here on each event of this thread asks. */
void ph_share_with_child(void);

/* Before no system call can be made any more: slots and rings for new threads. */
PH_COLD void ph_threads_reserve(void);

#endif
