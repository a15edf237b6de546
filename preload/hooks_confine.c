/* SPDX-License-Identifier: MIT */
/*
 * Calls after which a process cannot do any more what recording needs: a seccomp
 * filter may kill it for a system call that it does not make itself; after chroot
 * or as another user its children cannot reach the session's folder. What will be
 * needed is made ready before.
 */
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>

#include "preload/hooks.h"

/* ---- seccomp ---------------------------------------------------------------- */

/* What the event says. */
enum {
	CONFINED_FILTER = 1, /* no system call of ours any more */
	CONFINED_BLIND = 2,  /* nor can the counter be read: recording ends */
};

/* A new image would begin with system calls of ours: it finds that it must not. */
static void keep_images_out(bool out)
{
	static const char off[] = "PERFHOOK_ROOT=off";
	static char before[sizeof(off)];

	if (ph_root_entry == NULL)
		return;
	if (out)
		memcpy(before, ph_root_entry, sizeof(before));
	memcpy(ph_root_entry, out ? off : before, sizeof(before));
}

static void reserve(uintptr_t frame)
{
	struct ph_stream *s = ph_enter(frame);

	if (s == NULL)
		return;
	if (!ph_is_nested(s))
		ph_threads_reserve();
	ph_leave(s);
}

static void say(unsigned op, int how, int result, uintptr_t frame, void *caller)
{
	int saved = errno;
	struct ph_call_state c;

	ph_call_begin(&c, op, -1, frame);
	errno = saved;
	ph_call_end(&c, op, -1, result, how, NULL, 0, frame, caller);
	errno = saved;
}

/* Before the filter is there; written down while that can be. Returns how, 0 where
 * it is nothing to us. */
static int confine(unsigned op, int how, uintptr_t frame, void *caller)
{
	if (how == 0 || ph_confined)
		return 0;
	/* On the parent's memory: only what it becomes must know. */
	if (ph_is_vfork_child()) {
		ph_self.confined_child = true;
		return 0;
	}
	if (ph_process->generation > PH_OFF) {
		say(op, how, 0, frame, caller);
		if (how == CONFINED_BLIND)
			return how;
		reserve(frame);
		ph_objects_confine();
		atomic_store_explicit(&ph_process->segment->confined, 1, memory_order_release);
		ph_wake_collector(ph_process->control);
	}
	keep_images_out(true);
	ph_confined = true;
	return how;
}

/* Afterwards. Refused, nothing has changed. */
static void confined(unsigned op, int how, long result, uintptr_t frame, void *caller)
{
	if (how == 0)
		return;
	if (result >= 0) {
		if (how == CONFINED_BLIND)
			ph_process_off();
		return;
	}
	if (how == CONFINED_FILTER) {
		ph_confined = false;
		keep_images_out(false);
	}
	if (ph_process->generation > PH_OFF) {
		atomic_store_explicit(&ph_process->segment->confined, 0, memory_order_release);
		say(op, how, -1, frame, caller);
	}
}

/* 0: it changes nothing for us: programs also ask what the kernel can do, with a
 * filter that is none. Strict mode takes the counter away as well:
 * prctl(2), seccomp(2). */
static int confinement_of(int option, unsigned long argument, unsigned long filter)
{
	if (option == PR_SET_SECCOMP && argument == SECCOMP_MODE_STRICT)
		return CONFINED_BLIND;
	if (option == PR_SET_SECCOMP && argument == SECCOMP_MODE_FILTER && filter != 0)
		return CONFINED_FILTER;
	if (option == PR_SET_TSC && argument == PR_TSC_SIGSEGV)
		return CONFINED_BLIND;
	return 0;
}

int ph_hook_prctl(int option, ...)
{
	unsigned long a[4];
	va_list rest;
	int how, r;

	va_start(rest, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(rest, unsigned long);
	va_end(rest);
	PH_NEED(prctl);
	how = confine(PH_OP_prctl, confinement_of(option, a[0], a[1]), PH_FRAME(), PH_CALLER());
	r = ph_real.prctl(option, a[0], a[1], a[2], a[3]);
	confined(PH_OP_prctl, how, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* syscall() itself stands in hooks_jump.S: it comes here for the first time, to
 * learn where to go on. */
PH_REACHED_BY_ASM long (*ph_real_syscall)(long number, ...) __attribute__((visibility("hidden")));
PH_REACHED_BY_ASM void ph_find_syscall(void);
void ph_find_syscall(void)
{
	PH_NEED(syscall);
	ph_real_syscall = ph_real.syscall;
}

/* ... and for seccomp(2), which is no clone: it may have a frame. */
PH_REACHED_BY_ASM long ph_syscall_seccomp(long number, unsigned long operation, unsigned long flags,
					  void *argument);
long ph_syscall_seccomp(long number, unsigned long operation, unsigned long flags, void *argument)
{
	int how = 0;
	long r;

	/* seccomp(2): nothing else can succeed; libraries try it to see what is there. */
	if (operation == SECCOMP_SET_MODE_STRICT && flags == 0 && argument == NULL)
		how = CONFINED_BLIND;
	else if (operation == SECCOMP_SET_MODE_FILTER && argument != NULL)
		how = CONFINED_FILTER;
	how = confine(PH_OP_syscall, how, PH_FRAME(), PH_CALLER());
	r = ph_real.syscall(number, operation, flags, argument);
	confined(PH_OP_syscall, how, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- another root, another user ---------------------------------------------- */

#define BEFORE(id)                                                                                 \
	struct ph_call_state c;                                                                    \
	int r;                                                                                     \
                                                                                                   \
	PH_NEED(id);                                                                               \
	ph_call_begin(&c, PH_OP_##id, -1, PH_FRAME());                                             \
	if (c.entry != 0 && !ph_confined)                                                          \
		ph_process_reserve();                                                              \
	(void)0

#define AFTER(id, what)                                                                            \
	ph_call_returned(&c);                                                                      \
	ph_call_end(&c, PH_OP_##id, -1, r, (int64_t)(what), NULL, 0, PH_FRAME(), PH_CALLER());     \
	return r

int ph_hook_chroot(const char *path)
{
	BEFORE(chroot);
	r = ph_real.chroot(path);
	AFTER(chroot, 0);
}

int ph_hook_unshare(int flags)
{
	BEFORE(unshare);
	r = ph_real.unshare(flags);
	AFTER(unshare, flags);
}

int ph_hook_setns(int fd, int type)
{
	BEFORE(setns);
	r = ph_real.setns(fd, type);
	AFTER(setns, type);
}

int ph_hook_setuid(uid_t user)
{
	BEFORE(setuid);
	r = ph_real.setuid(user);
	AFTER(setuid, user);
}

int ph_hook_seteuid(uid_t user)
{
	BEFORE(seteuid);
	r = ph_real.seteuid(user);
	AFTER(seteuid, user);
}

int ph_hook_setreuid(uid_t real, uid_t effective)
{
	BEFORE(setreuid);
	r = ph_real.setreuid(real, effective);
	AFTER(setreuid, effective);
}

int ph_hook_setresuid(uid_t real, uid_t effective, uid_t saved)
{
	BEFORE(setresuid);
	r = ph_real.setresuid(real, effective, saved);
	AFTER(setresuid, effective);
}

/* ---- limits ------------------------------------------------------------------ */

/* The address space that recording takes is reserved generously. */
static void before_limit(const struct ph_call_state *c, int resource, const struct rlimit *limit)
{
	if (c->entry != 0 && resource == RLIMIT_AS && ph_may_be_read(limit) &&
	    limit->rlim_cur != RLIM_INFINITY)
		ph_segment_shrink(ph_process->segment, limit->rlim_cur);
}

int ph_hook_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	struct ph_call_state c;
	int r;

	PH_NEED(setrlimit);
	ph_call_begin(&c, PH_OP_setrlimit, -1, PH_FRAME());
	before_limit(&c, (int)resource, limit);
	r = ph_real.setrlimit(resource, limit);
	AFTER(setrlimit, resource);
}

int ph_hook_prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
		    struct rlimit *old)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(prlimit, -1);
	ph_call_begin(&c, PH_OP_prlimit, -1, PH_FRAME());
	if (c.entry != 0 && (pid == 0 || pid == ph_process->segment->pid))
		before_limit(&c, (int)resource, limit);
	r = ph_real.prlimit(pid, resource, limit, old);
	AFTER(prlimit, resource);
}

/* ---- where handlers run ------------------------------------------------------ */

int ph_hook_sigaltstack(const stack_t *stack, stack_t *old)
{
	struct ph_call_state c;
	stack_t now = {0};
	int r;

	PH_NEED(sigaltstack);
	if (ph_may_be_read(stack))
		now = *stack;
	ph_call_begin(&c, PH_OP_sigaltstack, -1, PH_FRAME());
	r = ph_real.sigaltstack(stack, old);
	ph_call_returned(&c);
	/* A vfork's child has its own, on this memory. */
	if (r == 0 && stack != NULL && !ph_is_vfork_child()) {
		ph_self.signal_stack = (uintptr_t)now.ss_sp;
		ph_self.signal_stack_bytes = now.ss_flags & SS_DISABLE ? 0 : now.ss_size;
	}
	ph_call_end(&c, PH_OP_sigaltstack, -1, r, (int64_t)now.ss_size, NULL, 0, PH_FRAME(),
		    PH_CALLER());
	return r;
}
