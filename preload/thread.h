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
	const _Atomic uint64_t *now; /* the segment's clock */
	uint64_t clock;		     /* stamp last written */
	uint64_t next;	     /* number of the cell to be written next; slot->head lags behind */
	uint64_t checkpoint; /* below it `next` needs no look at the consumer or the clock */
	struct ph_cell *cells;
	uint64_t mask, first; /* of the ring in use */
	struct ph_slot *slot; /* NULL: none yet */
	uint64_t owner;	      /* of addresses; see ph_owners */
	uint64_t rung;	      /* `next` when the collector was last called for room */
	uint64_t dropping;    /* events lost since the ring turned to drop; 0: it has not */
	uint64_t dropping_since;
};

struct ph_kept_stack;

struct ph_walk;

struct ph_thread {
	uint64_t generation; /* of the process that this state belongs to */
	uint64_t plain;	     /* likewise, once memory events may go the short way (record.h) */
	uintptr_t guard;     /* frame of the hook whose code of ours is running; 0: none */
	uintptr_t
		in_malloc; /* frame of the malloc-family hook in progress, its real call included */
	uintptr_t signal_stack; /* sigaltstack(); bytes 0: none */
	size_t signal_stack_bytes;
	struct ph_walk *walk; /* of its own stream */
	struct ph_stream own;
	struct ph_stream nested;
	uintptr_t nested_guard;
	struct ph_kept_stack *kept;
	uint64_t suspended; /* generation to go back to after a vfork; 0: none pending */
	uint64_t refused;   /* generation in which no slot could be had */
	uint64_t shared;    /* generation in which another process runs on this memory, thread-local
			     * storage included; 0: none */
	bool put_back;	    /* what is kept is of the parent: see ph_stack_copy() */
	bool confined_child; /* a vfork's child has had a seccomp filter installed */
	bool spawned;	     /* a vfork's child left word of what it became */
};

extern PH_TLS struct ph_thread ph_self;

#define PH_NOT_PLAIN UINT64_MAX /* no generation */

/* The segment's, and its children's; known once a thread has entered. Calls take the time
 * outside of any guard, where a handler's fork may take the segment away. */
extern _Atomic uint32_t ph_clock_kind;

/* The frame of the exported wrapper itself: what guards are made of. */
#define PH_FRAME() ((uintptr_t)__builtin_frame_address(0))

PH_COLD struct ph_stream *ph_enter_slow(uintptr_t frame);

static inline struct ph_stream *ph_enter(uintptr_t frame)
{
	struct ph_thread *t = &ph_self;

	if (unlikely(t->guard != 0))
		return ph_enter_slow(frame);
	t->guard = frame;
	signal_fence();
	/* After the guard: a handler that forks before it leaves a child that finds another
	 * generation, and one that forks from here on puts back what the child needs. */
	if (unlikely(t->generation != ph_process->generation || t->generation <= PH_OFF)) {
		t->guard = 0;
		return ph_enter_slow(frame);
	}
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
	struct ph_cell *to = &s->cells[(number - s->first) & s->mask];

	/* Two stores of words: one of 16 bytes would wait until both words, which were
	 * stored to the stack, have left the store buffer. */
	to->w0 = c.w0;
	to->w1 = c.w1;
}

/*
 * Stamps are what threads' events are merged by. With one stream the shared word will
 * do: it costs nothing, and nothing needs to be told apart. With several, what counts
 * is the order of the events on one address, since a block that one thread frees
 * another may get within one step of that word. So each address has an owner, the
 * stream that its last event was in; an event of another stream takes the counter
 * itself as its stamp, before the real free or after the real allocation, and becomes
 * the owner. What follows in its stream has no lesser stamp, so that the events of one
 * owner on the address lie between the stamps that it and the next one began with:
 * merged by stamps they are in order.
 *
 * A fork's child inherits the table with its parent's numbers, some of which are its own
 * too. What happened on an address before its second stream has stamps no greater than
 * any of that stream, so a wrong owner from then does no harm; from then on each event
 * leaves its own.
 *
 * The table is a cache: whoever is driven out of it takes the counter, once too often.
 * No two threads can have an event on one address at once (it belongs to the one that
 * frees it, or was given it), so plain stores are enough; two that store for different
 * addresses cannot leave anything that either of them did not write.
 */
#define PH_OWNERS_BITS 15
#define PH_NOBODY      UINT64_C(0xffff) /* owns nothing: takes the counter each time */
extern _Atomic uint64_t ph_owners[1u << PH_OWNERS_BITS]; /* address << 16 | stream */

static inline _Atomic uint64_t *ph_owner_of(uint64_t address)
{
	return &ph_owners[address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PH_OWNERS_BITS)];
}

/* Does an event on `address` need no other stamp than the last one? `word` is the
 * shared one. */
static inline bool ph_is_in_order(const struct ph_stream *s, uint64_t word, uint64_t address)
{
	if (likely(word == s->clock))
		return true;
	return (word & PH_CLOCK_FLAGS) == PH_CLOCK_THREADS && word - PH_CLOCK_THREADS <= s->clock &&
	       atomic_load_explicit(ph_owner_of(address), memory_order_relaxed) ==
		       (address << 16 | s->owner);
}

/* Cells before number `next` are complete. */
static inline void ph_commit(struct ph_stream *s, uint64_t next)
{
	/* In this order: a siglongjmp out of here leaves nothing half written. */
	signal_fence();
	s->next = next;
	signal_fence();
	/* Pairs with the collector's acquire: who sees head sees the cells. */
	atomic_store_explicit(&s->slot->head, next, memory_order_release);
}

/* Append a whole event. Counts it as lost where there is no room. */
void ph_put(struct ph_stream *s, const struct ph_cell *cells, unsigned count);

/* The same, of a call that was over at `ticks`, and whose order among other threads'
 * matters to nobody but the reader of a list. */
void ph_put_timed(struct ph_stream *s, const struct ph_cell *cells, unsigned count, uint64_t ticks);

/* The same, of an event on `address`. */
void ph_put_at(struct ph_stream *s, const struct ph_cell *cells, unsigned count, uint64_t address);

static inline void ph_put_memory(struct ph_stream *s, struct ph_cell cell, uint64_t address)
{
	uint64_t word = atomic_load_explicit(s->now, memory_order_relaxed);

	if (unlikely(s->next >= s->checkpoint || !ph_is_in_order(s, word, address))) {
		ph_put_at(s, &cell, 1, address);
		return;
	}
	ph_store_cell(s, s->next, cell);
	ph_commit(s, s->next + 1);
}

/* The shared word, brought up to now; wakes the collector. */
PH_COLD uint64_t ph_wake_clock(void);

/* A thread begins or ends, as its pthread_create trampoline says. */
void ph_thread_started(void);
void ph_thread_ending(void);

/* The process ends, or its image: what processor time its threads have had. */
void ph_threads_ending(void);

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
