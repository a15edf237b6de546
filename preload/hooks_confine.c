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

/* A new image would begin with system calls of ours: it finds that it must not. */
static void keep_images_out(void)
{
	static const char off[] = "PERFHOOK_ROOT=off";

	if (ph_root_entry != NULL)
		memcpy(ph_root_entry, off, sizeof(off));
}

static void confine(uintptr_t frame)
{
	struct ph_stream *s;

	if (ph_confined || ph_process->generation <= PH_OFF)
		return;
	s = ph_enter(frame);
	if (s == NULL || ph_is_nested(s)) {
		if (s != NULL)
			ph_leave(s);
		return;
	}
	ph_threads_reserve();
	ph_leave(s);
	atomic_store_explicit(&ph_process->segment->confined, 1, memory_order_release);
	ph_wake_collector(ph_process->control);
	keep_images_out();
	ph_confined = true;
}

/* Programs also ask what the kernel can do, with a filter that is none. */
static bool installs(bool strict, unsigned long filter)
{
	return strict || filter != 0;
}

int ph_hook_prctl(int option, ...)
{
	struct ph_call_state c;
	unsigned long a[4];
	va_list rest;
	int r;

	va_start(rest, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(rest, unsigned long);
	va_end(rest);
	PH_NEED(prctl);
	if (option != PR_SET_SECCOMP || !installs(a[0] == SECCOMP_MODE_STRICT, a[1]))
		return ph_real.prctl(option, a[0], a[1], a[2], a[3]);
	/* Before: afterwards nothing may be asked any more. */
	ph_call_begin(&c, PH_OP_prctl, -1, PH_FRAME());
	ph_call_end(&c, PH_OP_prctl, -1, 0, option, NULL, 0, PH_FRAME(), PH_CALLER());
	confine(PH_FRAME());
	r = ph_real.prctl(option, a[0], a[1], a[2], a[3]);
	return r;
}

/*
 * syscall() itself stands in hooks_jump.S: it comes here the first time and for
 * seccomp(2), and jumps to what this returns.
 */
PH_REACHED_BY_ASM long (*ph_real_syscall)(long number, ...) __attribute__((visibility("hidden")));
PH_REACHED_BY_ASM void *ph_syscall_target(long number, void *caller, unsigned operation,
					  unsigned long filter);
void *ph_syscall_target(long number, void *caller, unsigned operation, unsigned long filter)
{
	struct ph_call_state c;

	PH_NEED(syscall);
	ph_real_syscall = ph_real.syscall;
	if (number == SYS_seccomp && operation <= SECCOMP_SET_MODE_FILTER &&
	    installs(operation == SECCOMP_SET_MODE_STRICT, filter)) {
		ph_call_begin(&c, PH_OP_syscall, -1, PH_FRAME());
		ph_call_end(&c, PH_OP_syscall, -1, 0, SYS_seccomp, NULL, 0, PH_FRAME(), caller);
		confine(PH_FRAME());
	}
	return (void *)ph_real.syscall;
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
	if (r == 0 && stack != NULL) {
		ph_self.signal_stack = (uintptr_t)now.ss_sp;
		ph_self.signal_stack_bytes = now.ss_flags & SS_DISABLE ? 0 : now.ss_size;
	}
	ph_call_end(&c, PH_OP_sigaltstack, -1, r, (int64_t)now.ss_size, NULL, 0, PH_FRAME(),
		    PH_CALLER());
	return r;
}
