/* SPDX-License-Identifier: MIT */
/*
 * Threads and processes. Built without -fexceptions, so that the clean-up of a
 * thread's end needs no personality routine (which would bring libgcc's unwinder
 * along); pthread_exit and cancellation run it all the same.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "preload/hooks.h"
#include "preload/modules.h"

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

void ph_held_memory(uint64_t *start, uint64_t *end)
{
	*start = (uintptr_t)closures;
	*end = (uintptr_t)(closures + CLOSURES);
}

/* What it held is the thread's from here on, and not to be found here any more. */
static void give_closure_back(struct closure *c)
{
	c->argument = NULL;
	atomic_store_explicit(&c->used, 0, memory_order_release);
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
	give_closure_back(c);
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
			give_closure_back(closure);
	}
	ph_call_returned(&c);
	/* It returns its error and leaves errno alone. */
	ph_call_end(&c, PH_OP_pthread_create, -1, error != 0 ? PH_ERROR(error) : 0, 0, NULL, 0,
		    PH_FRAME(), PH_CALLER());
	return error;
}

/* The same for threads.h, whose functions return a number. */
static int thread_main_of_number(void *argument)
{
	struct closure *c = argument;
	thrd_start_t start = (thrd_start_t)(uintptr_t)c->start;
	int result;

	argument = c->argument;
	give_closure_back(c);
	ph_thread_started();
	pthread_cleanup_push(thread_over, NULL);
	result = start(argument);
	pthread_cleanup_pop(1);
	return result;
}

int ph_hook_thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
	struct ph_call_state c;
	struct closure *closure = NULL;
	int r;

	PH_NEED(thrd_create);
	if (unlikely(ph_real.thrd_create == NULL))
		return thrd_error;
	ph_call_begin(&c, PH_OP_thrd_create, -1, PH_FRAME());
	if (c.entry != 0)
		closure = take_closure();
	if (closure == NULL) {
		r = ph_real.thrd_create(thread, start, argument);
	} else {
		closure->start = (void *(*)(void *))(uintptr_t)start;
		closure->argument = argument;
		r = ph_real.thrd_create(thread, thread_main_of_number, closure);
		if (r != thrd_success)
			give_closure_back(closure);
	}
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_thrd_create, -1,
		    r == thrd_success ? 0 : PH_ERROR(r == thrd_nomem ? ENOMEM : EAGAIN), 0, NULL, 0,
		    PH_FRAME(), PH_CALLER());
	return r;
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
	/* The child does not look for what was loaded before. */
	if ((ph_modules_version() & PH_MODULES_DIRTY) && !ph_confined)
		ph_modules_update();
	call.entry = ph_now();
	call.arg = atomic_fetch_add_explicit(&g->forks, 1, memory_order_relaxed) + 1;
	memcpy(cells, &call, sizeof(call));
	ph_put(s, cells, PH_CALL_CELLS);
	ph_leave(s);
	return (uint32_t)call.arg;
}

/*
 * A handler that has interrupted a hook forks, and the child goes on in that hook, whose
 * memory it finds wiped and whose ring is its parent's. It gets back what the hook is
 * at work on, and instead of the parent's segment private memory, where what is still
 * to be written is lost with it.
 */
struct amid {
	void *kept; /* NULL: no hook was interrupted */
	struct ph_segment *segment;
};

static struct amid keep_for_child(void)
{
	const struct ph_thread *t = &ph_self;
	struct amid amid = {0};

	if (t->guard != 0 && t->generation == ph_process->generation && !ph_confined) {
		amid.kept = ph_stack_copy(t);
		amid.segment = ph_process->segment;
	}
	return amid;
}

static void go_on_amid(const struct amid *amid, pid_t child)
{
	struct ph_thread *t = &ph_self;
	struct ph_slot *const slots[] = {t->own.slot, t->nested.slot};

	if (amid->kept == NULL)
		return;
	ph_stack_put_back(t, amid->kept, child == 0);
	if (child != 0)
		return;
	t->put_back = true;
	t->plain = PH_NOT_PLAIN;
	/* It reads what its parent's segment says, so that goes last. */
	if (!ph_process_start_amid())
		ph_process->segment = amid->segment;
	ph_segment_detach(amid->segment, slots, t->nested.slot != NULL ? 2 : 1);
}

/* A call that returns twice. The fork's number waits where the child finds it. */
static uint32_t begin_fork(struct ph_call_state *c, unsigned op, uintptr_t frame)
{
	uint32_t number;

	ph_call_begin(c, op, -1, frame);
	number = c->entry != 0 ? announce_fork(frame) : 0;
	ph_fork_note.number = number;
	return number;
}

static void end_fork(struct ph_call_state *c, unsigned op, uint32_t number, pid_t child,
		     uintptr_t frame, void *caller)
{
	int saved = errno;

	if (child == 0) {
		/* A child without events has a trace too. */
		ph_thread_started();
		errno = saved;
		return;
	}
	ph_fork_note.number = 0;
	ph_call_returned(c);
	errno = saved;
	ph_call_end(c, op, -1, child, number, NULL, 0, frame, caller);
}

pid_t ph_hook_fork(void)
{
	struct ph_call_state c;
	struct amid amid;
	uint32_t number;
	pid_t pid;

	PH_NEED(fork);
	number = begin_fork(&c, PH_OP_fork, PH_FRAME());
	amid = keep_for_child();
	pid = ph_real.fork();
	go_on_amid(&amid, pid);
	end_fork(&c, PH_OP_fork, number, pid, PH_FRAME(), PH_CALLER());
	return pid;
}

pid_t ph_hook__Fork(void)
{
	struct ph_call_state c;
	struct amid amid;
	uint32_t number;
	pid_t pid;

	PH_NEED_OR(_Fork, -1);
	number = begin_fork(&c, PH_OP__Fork, PH_FRAME());
	amid = keep_for_child();
	pid = ph_real._Fork();
	go_on_amid(&amid, pid);
	end_fork(&c, PH_OP__Fork, number, pid, PH_FRAME(), PH_CALLER());
	return pid;
}

pid_t ph_hook_forkpty(int *leader, char *name, const struct termios *terminal,
		      const struct winsize *window)
{
	struct ph_call_state c, open;
	uint32_t number;
	pid_t pid;

	PH_NEED_OR(forkpty, -1);
	number = begin_fork(&c, PH_OP_forkpty, PH_FRAME());
	pid = ph_real.forkpty(leader, name, terminal, window);
	if (pid > 0) {
		open = c;
		ph_describe_new(&open, *leader, PH_ORIGIN_OPENED, NULL, PH_FRAME());
	}
	end_fork(&c, PH_OP_forkpty, number, pid, PH_FRAME(), PH_CALLER());
	return pid;
}

/* The parent ends inside; what returns is the child, or a failure. */
int ph_hook_daemon(int keep_directory, int keep_streams)
{
	struct ph_call_state c;
	int r;

	PH_NEED(daemon);
	begin_fork(&c, PH_OP_daemon, PH_FRAME());
	ph_call_end(&c, PH_OP_daemon, -1, 0, ph_fork_note.number, NULL, 0, PH_FRAME(), PH_CALLER());
	r = ph_real.daemon(keep_directory, keep_streams);
	if (r == 0) {
		ph_thread_started();
	} else {
		ph_fork_note.number = 0;
		ph_call_end(&c, PH_OP_daemon, -1, r, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	}
	return r;
}

/* ---- clone -------------------------------------------------------------- */

/* What a child of clone() without CLONE_VM runs first, on its copy of us. */
static int clone_main(void *argument)
{
	struct closure *closure = argument;
	int (*function)(void *) = (int (*)(void *))(uintptr_t)closure->start;

	argument = closure->argument;
	give_closure_back(closure);
	ph_thread_started();
	return function(argument);
}

/* The three that may follow, as registers and the stack have them. */
struct clone_rest {
	pid_t *parent_tid;
	void *tls;
	pid_t *child_tid;
};

static int clone_as_fork(int (*function)(void *), void *stack, int flags, void *argument,
			 const struct clone_rest *rest, uintptr_t frame, void *caller)
{
	struct ph_call_state c;
	uint32_t number = begin_fork(&c, PH_OP_clone, frame);
	/* Without a function it is an error, and clone()'s to give. */
	struct closure *closure = c.entry != 0 && function != NULL ? take_closure() : NULL;
	int r;

	if (closure != NULL) {
		closure->start = (void *(*)(void *))(uintptr_t)function;
		closure->argument = argument;
		function = clone_main;
		argument = closure;
	}
	r = ph_real.clone(function, stack, flags, argument, rest->parent_tid, rest->tls,
			  rest->child_tid);
	if (closure != NULL)
		give_closure_back(closure);
	end_fork(&c, PH_OP_clone, number, r, frame, caller);
	return r;
}

/*
 * With CLONE_VM the child runs on our memory. With CLONE_VFORK this thread sleeps
 * meanwhile: as for vfork. With a thread-local storage of its own it is a thread to
 * us. Otherwise two processes have one ring, and each event asks whose it is.
 */
int ph_hook_clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	struct clone_rest rest;
	struct ph_call_state c;
	va_list list;
	int r;

	va_start(list, argument);
	rest.parent_tid = va_arg(list, pid_t *);
	rest.tls = va_arg(list, void *);
	rest.child_tid = va_arg(list, pid_t *);
	va_end(list);
	PH_NEED(clone);
	if (!(flags & CLONE_VM))
		return clone_as_fork(function, stack, flags, argument, &rest, PH_FRAME(),
				     PH_CALLER());
	/* Written down before, as vfork is: the child may use this thread's ring. */
	ph_call_begin(&c, PH_OP_clone, -1, PH_FRAME());
	ph_call_end(&c, PH_OP_clone, -1, 0, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	if (flags & CLONE_VFORK)
		ph_suspend_for_vfork();
	else if (!(flags & CLONE_SETTLS))
		ph_share_with_child();
	r = ph_real.clone(function, stack, flags, argument, rest.parent_tid, rest.tls,
			  rest.child_tid);
	return r;
}

/* ---- vfork ---------------------------------------------------------------- */

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

/* The last of at_quick_exit's functions, because it was registered first. */
static int quick_status;

void ph_at_quick_exit(void *unused)
{
	(void)unused;
	ph_threads_ending();
	ph_note_end(quick_status);
}

void ph_hook_quick_exit(int status)
{
	PH_NEED(quick_exit);
	record_end(PH_OP_quick_exit, status, PH_FRAME(), PH_CALLER());
	quick_status = status;
	ph_real.quick_exit(status);
	__builtin_unreachable();
}

void ph_hook_abort(void)
{
	PH_NEED(abort);
	ph_threads_ending();
	record_end(PH_OP_abort, 134, PH_FRAME(), PH_CALLER());
	ph_real.abort();
	__builtin_unreachable();
}

void ph_hook__exit(int status)
{
	PH_NEED(_exit);
	record_end(PH_OP__exit, status, PH_FRAME(), PH_CALLER());
	ph_threads_ending();
	ph_note_end(status);
	ph_real._exit(status);
	__builtin_unreachable();
}
