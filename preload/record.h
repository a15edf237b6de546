/* SPDX-License-Identifier: MIT */
/*
 * From a hook to the ring: the two kinds of events. None of these allocates,
 * locks or changes errno.
 */
#ifndef PH_PRELOAD_RECORD_H
#define PH_PRELOAD_RECORD_H

#include "preload/modules.h"
#include "preload/objects.h"
#include "preload/stack.h"
#include "preload/thread.h"
#include "preload/walk.h"

#define PH_QUIET UINTPTR_MAX /* ph_self.in_malloc while the loader works for us */

/* ---- memory --------------------------------------------------------- */

/*
 * Around the real call of a malloc-family function, which may itself come back
 * to us (reallocarray calls realloc, an allocator calls mmap): the outer call is
 * the one that counts. False: it is nested, or memory is not recorded.
 */
static inline bool ph_memory_is_nested(uintptr_t frame, const void *caller)
{
	if (likely(ph_self.in_malloc == 0))
		return false;
	if (ph_self.in_malloc == PH_QUIET)
		return true;
	/* Further out than the one in progress: that one was left by siglongjmp.
	 * Called from elsewhere than an allocator: a signal handler's own. */
	return frame < ph_self.in_malloc && ph_modules_is_allocator(caller);
}

static inline bool ph_memory_begin(uintptr_t frame, const void *caller)
{
	if (ph_memory_is_nested(frame, caller))
		return false;
	ph_self.in_malloc = frame;
	signal_fence();
	return true;
}

static inline void ph_memory_end(void)
{
	signal_fence();
	ph_self.in_malloc = 0;
}

void ph_record_memory(unsigned op, const void *block, size_t size, uintptr_t frame, void *caller);

/*
 * The short way of nearly all events: nothing of this library's is under way in the
 * thread, neither is a malloc, it is not on its signal stack, and the process is the one
 * that it was (a fork's child finds another generation). What else there is to ask was
 * asked when the thread was called plain.
 */
static inline bool ph_is_idle(const struct ph_thread *t, uintptr_t frame)
{
	return likely((t->guard | t->in_malloc) == 0) &&
	       likely(frame - t->signal_stack >= t->signal_stack_bytes);
}

static inline bool ph_is_plain(const struct ph_thread *t, uintptr_t frame)
{
	return likely(t->plain == ph_process->generation) && ph_is_idle(t, frame);
}

/* The rest of it where the stack is another than the last. */
PH_NOINLINE void ph_record_changed(struct ph_cell cell, const void *block, uintptr_t frame,
				   void *caller, const struct ph_walk_word *bad);

/* An allocation, by a thread that is plain. */
static inline __attribute__((always_inline)) void ph_record_plain(struct ph_thread *t, unsigned op,
								  const void *block, size_t size,
								  uintptr_t frame, void *caller)
{
	const struct ph_walk_word *bad;
	uint32_t node;

	t->guard = frame;
	signal_fence();
	/* A handler may have come meanwhile, and have forked; see ph_enter(). */
	if (unlikely(t->plain != ph_process->generation ||
		     ph_memory_is_wide((uintptr_t)block, size))) {
		t->guard = 0;
		ph_record_memory(op, block, size, frame, caller);
		return;
	}
	node = ph_walk_same(t->walk, frame, caller, ph_modules_version(), &bad);
	if (likely(node != 0))
		ph_put_memory(&t->own, ph_memory_cell(op, (uintptr_t)block, size, node),
			      (uintptr_t)block);
	else
		ph_record_changed(ph_memory_cell(op, (uintptr_t)block, size, 0), block, frame,
				  caller, bad);
	signal_fence();
	t->guard = 0;
}

/* A free, likewise, just before it, of one that ph_is_idle(). False: the thread is not
 * plain. */
static inline bool ph_record_plain_free(struct ph_thread *t, unsigned op, const void *block,
					uintptr_t frame)
{
	t->guard = frame;
	signal_fence();
	if (unlikely(t->plain != ph_process->generation)) {
		t->guard = 0;
		return false;
	}
	ph_put_memory(&t->own, ph_memory_cell(op, (uintptr_t)block, 0, 0), (uintptr_t)block);
	signal_fence();
	t->guard = 0;
	return true;
}

/* ---- calls ---------------------------------------------------------- */

/* A call in progress, from just before the real call to just after. */
struct ph_call_state {
	uint64_t generation; /* of the process that it began in */
	uint64_t entry;	     /* ticks; 0: not recorded */
	uint64_t exit;	     /* ticks; 0: ph_call_end() takes the time */
	uint32_t object;
	uint32_t other; /* the object that bytes go to, where there are two */
};

static inline uint64_t ph_now(void)
{
	return ph_clock_now(atomic_load_explicit(&ph_clock_kind, memory_order_relaxed));
}

/* Describes the descriptors where they are new; -1: there is none. */
void ph_call_begin_two(struct ph_call_state *c, unsigned op, int fd, int other, uintptr_t frame);

static inline void ph_call_begin(struct ph_call_state *c, unsigned op, int fd, uintptr_t frame)
{
	ph_call_begin_two(c, op, fd, -1, frame);
}

/* Where describing what came of the call is not to count as its time. */
static inline void ph_call_returned(struct ph_call_state *c)
{
	if (c->entry != 0)
		c->exit = ph_now();
}

/* As a result: a function that returns its error, and leaves errno alone. */
#define PH_ERROR(error) (INT64_MIN + (error))

/* `result` as returned; a negative one takes errno. `extra` are words of payload, 4
 * at most. */
void ph_call_end(const struct ph_call_state *c, unsigned op, int fd, int64_t result, int64_t arg,
		 const uint64_t *extra, unsigned extra_count, uintptr_t frame, void *caller);

/* What a call's event is made of, where that is more: text after the words. */
struct ph_call_facts {
	unsigned op;
	int fd;
	int64_t result, arg;
	uint64_t extra[4];
	unsigned extra_count;
	const void *tail; /* 4 KiB at most */
	size_t tail_bytes;
};
void ph_call_end_with(const struct ph_call_state *c, const struct ph_call_facts *facts,
		      uintptr_t frame, void *caller);

/* In a vfork's child: what it is about to become, or (path NULL) does not. Its parent
 * writes it down at its next call. */
#define PH_EXEC_PATH_MAX 512
void ph_note_spawned(const char *path, uint32_t flags);

/* exit() or _exit() is on its way: say so in the segment, and ring the collector. */
void ph_note_end(int status);

/* ---- our own doings --------------------------------------------------- */

/* What the loader allocates for us in between is not the program's. */
void ph_quiet_begin(void);
void ph_quiet_end(void);

/* ph_real_resolve(), quietly. */
PH_COLD void ph_resolve(void);

/* Write down what was kept aside before there was a ring. */
void ph_record_flush_early(void);

#endif
