/* SPDX-License-Identifier: MIT */
/*
 * Threads and processes. Built without -fexceptions, so that the clean-up of a
 * thread's end needs no personality routine (which would bring libgcc's unwinder
 * along); pthread_exit and cancellation run it all the same.
 */
#include <errno.h>
#include <string.h>

#include "preload/hooks.h"

/* What pthread_cleanup_push is made of; musl has neither. */
#pragma weak __pthread_register_cancel
#pragma weak __pthread_unregister_cancel

/* ---- threads ------------------------------------------------------------ */

/* What a new thread's trampoline needs; taken from a pool, because a hook never
 * allocates. Given back as soon as the thread has read it. */
struct closure {
	_Atomic uint32_t used;
	void *(*start)(void *);
	void *argument;
};

#define CLOSURES 512
static struct closure closures[CLOSURES];

static struct closure *take_closure(void)
{
	static _Atomic uint32_t hint;
	uint32_t from = atomic_fetch_add_explicit(&hint, 1, memory_order_relaxed);

	for (uint32_t i = 0; i < CLOSURES; i++) {
		struct closure *c = &closures[(from + i) % CLOSURES];
		uint32_t unused = 0;

		if (atomic_compare_exchange_strong_explicit(
			    &c->used, &unused, 1, memory_order_acquire, memory_order_relaxed))
			return c;
	}
	return NULL;
}

static void thread_over(void *unused)
{
	(void)unused;
	ph_thread_ending();
}

static void *thread_main(void *argument)
{
	struct closure *c = argument;
	void *(*start)(void *) = c->start;
	void *result;

	argument = c->argument;
	atomic_store_explicit(&c->used, 0, memory_order_release);
	ph_thread_started();
	pthread_cleanup_push(thread_over, NULL);
	result = start(argument);
	pthread_cleanup_pop(1);
	return result;
}

int ph_hook_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			   void *(*start)(void *), void *argument)
{
	struct ph_call_state c;
	struct closure *closure = NULL;
	int error;

	PH_NEED(pthread_create);
	ph_call_begin(&c, PH_OP_pthread_create, -1, PH_FRAME());
	if (c.entry != 0)
		closure = take_closure();
	if (closure == NULL) {
		error = ph_real.pthread_create(thread, attributes, start, argument);
	} else {
		closure->start = start;
		closure->argument = argument;
		error = ph_real.pthread_create(thread, attributes, thread_main, closure);
		if (error != 0)
			atomic_store_explicit(&closure->used, 0, memory_order_release);
	}
	ph_call_returned(&c);
	/* It returns its error and leaves errno alone. */
	ph_call_end(&c, PH_OP_pthread_create, -1, error, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	return error;
}

/* ---- fork --------------------------------------------------------------- */

/* Before a fork: its place among the parent's events, for the child's inherited
 * blocks, and its number, for the child to name. */
static uint32_t announce_fork(uintptr_t frame)
{
	struct ph_call call = {.op = PH_OP_FORKED, .cells = PH_CALL_CELLS, .fd = -1};
	struct ph_cell cells[PH_CALL_CELLS];
	struct ph_stream *s = ph_enter(frame);
	struct ph_segment *g = ph_process->segment;

	if (s == NULL)
		return 0;
	call.entry = ph_now();
	call.arg = atomic_fetch_add_explicit(&g->forks, 1, memory_order_relaxed) + 1;
	memcpy(cells, &call, sizeof(call));
	ph_put(s, cells, PH_CALL_CELLS);
	ph_leave(s);
	return (uint32_t)call.arg;
}

pid_t ph_hook_fork(void)
{
	struct ph_call_state c;
	uint32_t number;
	pid_t pid;
	int saved;

	PH_NEED(fork);
	ph_call_begin(&c, PH_OP_fork, -1, PH_FRAME());
	number = c.entry != 0 ? announce_fork(PH_FRAME()) : 0;
	ph_fork_note.number = number;
	pid = ph_real.fork();
	saved = errno;
	if (pid == 0) {
		/* A child without events has a trace too. */
		ph_thread_started();
		errno = saved;
		return 0;
	}
	ph_fork_note.number = 0;
	ph_call_returned(&c);
	errno = saved;
	ph_call_end(&c, PH_OP_fork, -1, pid, number, NULL, 0, PH_FRAME(), PH_CALLER());
	return pid;
}

/* vfork itself stands in hooks_jump.S: its child returns through the frame of
 * whoever called it, so there may be none of ours. It is recorded before, without
 * a result. */
PH_REACHED_BY_ASM void *ph_vfork_target(void *caller);
void *ph_vfork_target(void *caller)
{
	struct ph_call_state c;

	PH_NEED(vfork);
	ph_call_begin(&c, PH_OP_vfork, -1, PH_FRAME());
	ph_call_end(&c, PH_OP_vfork, -1, 0, 0, NULL, 0, PH_FRAME(), caller);
	ph_suspend_for_vfork();
	return (void *)ph_real.vfork;
}

/* ---- the end ------------------------------------------------------------ */

static void record_end(unsigned op, int status, uintptr_t frame, void *caller)
{
	struct ph_call_state c;

	ph_call_begin(&c, op, -1, frame);
	ph_call_end(&c, op, -1, status & 0xff, 0, NULL, 0, frame, caller);
}

void ph_hook_exit(int status)
{
	PH_NEED(exit);
	record_end(PH_OP_exit, status, PH_FRAME(), PH_CALLER());
	ph_real.exit(status);
	__builtin_unreachable();
}

void ph_hook_abort(void)
{
	PH_NEED(abort);
	record_end(PH_OP_abort, 134, PH_FRAME(), PH_CALLER());
	ph_real.abort();
	__builtin_unreachable();
}

void ph_hook__exit(int status)
{
	PH_NEED(_exit);
	record_end(PH_OP__exit, status, PH_FRAME(), PH_CALLER());
	ph_note_end(status);
	ph_real._exit(status);
	__builtin_unreachable();
}
