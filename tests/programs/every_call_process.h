/* SPDX-License-Identifier: MIT */
/* Trials of threads, processes, ends, and what a process gives up. What does not
 * return, or cannot be taken back, happens in a process of its own. */
#ifndef PH_TESTS_EVERY_CALL_PROCESS_H
#define PH_TESTS_EVERY_CALL_PROCESS_H

#include <libgen.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <threads.h>

#include "every_call.h"

extern char **environ;

enum { CHILD_STATUS = 7 }; /* of what is started here */

/* The path of this program, and how it is to be called as what a trial starts. */
static char self[4096], *self_name;
static const char *const became[] = {"became", "first", "second", NULL};

static void wait_for(struct trial *t, long child, int wanted)
{
	int status = -1;

	CHECK_TRIAL(t, waitpid((pid_t)child, &status, 0) == child && WIFEXITED(status) &&
			       WEXITSTATUS(status) == wanted);
}

/* ---- threads ------------------------------------------------------------------------- */

static void *add_one(void *argument)
{
	++*(int *)argument;
	return argument;
}

static void cannot_thread(struct trial *t)
{
	pthread_t thread;

	forbid_processes();
	CHECK_TRIAL(t, CALL(t, &thread, NULL, add_one, NULL) == EAGAIN);
	event(t, -EAGAIN);
}

static void try_pthread_create(struct trial *t)
{
	pthread_t thread;
	void *result;
	int count = 0;

	GIVES(t, 0, &thread, NULL, add_one, &count);
	CHECK_TRIAL(t, pthread_join(thread, &result) == 0 && result == &count && count == 1);
	expect(in_child(cannot_thread, t) == 0);
}

static int add_one_too(void *argument)
{
	++*(int *)argument;
	return 5;
}

static void cannot_thrd(struct trial *t)
{
	thrd_t thread;

	forbid_processes();
	CHECK_TRIAL(t, CALL(t, &thread, add_one_too, NULL) == thrd_error);
	event(t, -EAGAIN);
}

static void try_thrd_create(struct trial *t)
{
	thrd_t thread;
	int count = 0, result = 0;

	GIVES(t, thrd_success, &thread, add_one_too, &count);
	CHECK_TRIAL(t, thrd_join(thread, &result) == thrd_success && result == 5 && count == 1);
	expect(in_child(cannot_thrd, t) == 0);
}

/* ---- forks --------------------------------------------------------------------------- */

static void forks(struct trial *t, long child)
{
	if (child == 0)
		end_quietly(errno == SENTINEL ? CHILD_STATUS : 98);
	CHECK_TRIAL(t, child > 0 && errno == SENTINEL);
	event(t, child);
	wait_for(t, child, CHILD_STATUS);
}

static void cannot_fork(struct trial *t)
{
	forbid_processes();
	FAILS(t, EAGAIN);
}

static void try_fork(struct trial *t)
{
	forks(t, CALL(t));
	expect(in_child(cannot_fork, t) == 0);
}

/* Its child may not return from the function that called it: call_NAME() ends it. It
 * is written down before, without a result. */
static bool is_vfork;

static void cannot_vfork(struct trial *t)
{
	forbid_processes();
	CHECK_TRIAL(t, CALL(t) == -1 && errno == EAGAIN);
	event(t, 0);
}

static void try_vfork(struct trial *t)
{
	long child;

	is_vfork = true;
	child = CALL(t);
	CHECK_TRIAL(t, child > 0 && errno == SENTINEL);
	event(t, 0);
	wait_for(t, child, CHILD_STATUS);
	expect(in_child(cannot_vfork, t) == 0);
	is_vfork = false;
}

static char clone_stack[65536] __attribute__((aligned(16)));

static int cloned(void *argument)
{
	end_quietly(argument == clone_stack ? CHILD_STATUS : 98);
}

/* As fork, with its result; on this memory, without. */
static void try_clone(struct trial *t)
{
	char *top = clone_stack + sizeof(clone_stack);
	pid_t told = 0;
	long child =
		CALL(t, cloned, top, SIGCHLD | CLONE_PARENT_SETTID, clone_stack, &told, NULL, NULL);

	CHECK_TRIAL(t, child > 0 && errno == SENTINEL && told == child);
	event(t, child);
	wait_for(t, child, CHILD_STATUS);
	child = CALL(t, cloned, top, SIGCHLD | CLONE_VM | CLONE_VFORK, clone_stack);
	CHECK_TRIAL(t, child > 0 && errno == SENTINEL);
	event(t, 0);
	wait_for(t, child, CHILD_STATUS);
	FAILS(t, EINVAL, NULL, top, SIGCHLD, NULL);
	FAILS(t, EINVAL, cloned, top, CLONE_SIGHAND, NULL);
}

static void cannot_forkpty(struct trial *t)
{
	int leader;

	forbid_processes();
	FAILS(t, EAGAIN, &leader, NULL, NULL, NULL);
}

static void try_forkpty(struct trial *t)
{
	int leader = -1;

	forks(t, CALL(t, &leader, NULL, NULL, NULL));
	CHECK_TRIAL(t, is_open(leader));
	close(leader);
	WITHOUT_DESCRIPTORS(FAILS(t, EMFILE, &leader, NULL, NULL, NULL));
	expect(in_child(cannot_forkpty, t) == 0);
}

static void cannot_daemon(struct trial *t)
{
	forbid_processes();
	event(t, 0);
	FAILS(t, EAGAIN, 1, 1);
}

/* The one that called it ends inside; the one that returns is another. */
static void become_daemon(struct trial *t)
{
	pid_t before = getpid();

	event(t, 0);
	CHECK_TRIAL(t, CALL(t, 1, 1) == 0 && getpid() != before);
}

static void try_daemon(struct trial *t)
{
	expect(in_child(cannot_daemon, t) == 0);
	expect(in_child(become_daemon, t) == 0);
}

/* ---- other programs -------------------------------------------------------------------- */

/* What they start: this program, called so. Did all of it arrive? */
static int main_of_what_was_started(int argc, char **argv)
{
	const char *told = getenv("EVERY_CALL");

	for (int i = 0; i < 3; i++)
		if (argc != 3 || strcmp(argv[i], became[i]) != 0)
			return 97;
	return told != NULL && strcmp(told, "told") == 0 ? CHILD_STATUS : 96;
}

static char *const *arguments(void)
{
	return (char *const *)(uintptr_t)became;
}

/* Two events: one before it begins, and why it did not. */
#define EXEC_FAILS(t, error, ...)                                                                  \
	do {                                                                                       \
		event(t, 0);                                                                       \
		FAILS(t, error, __VA_ARGS__);                                                      \
	} while (0)

#define TRY_EXEC(id, arguments_, impossible, unreadable)                                           \
	static void do_##id(struct trial *t)                                                       \
	{                                                                                          \
		EXEC_FAILS impossible;                                                             \
		unreadable;                                                                        \
		event(t, 0);                                                                       \
		CALL arguments_;                                                                   \
		CHECK_TRIAL(t, !"it returned");                                                    \
	}                                                                                          \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		expect(in_child(do_##id, t) == CHILD_STATUS);                                      \
	}
TRY_EXEC(execve, (t, self, arguments(), environ), (t, ENOENT, "no/such", arguments(), environ),
	 EXEC_FAILS(t, EFAULT, 8, arguments(), environ))
TRY_EXEC(execv, (t, self, arguments()), (t, ENOENT, "no/such", arguments()),
	 EXEC_FAILS(t, EFAULT, NULL, arguments()))
TRY_EXEC(execvp, (t, self_name, arguments()), (t, ENOENT, "no-such-program", arguments()), (void)0)
TRY_EXEC(execvpe, (t, self_name, arguments(), environ),
	 (t, ENOENT, "no-such-program", arguments(), environ), (void)0)
TRY_EXEC(execl, (t, self, became[0], became[1], became[2], NULL),
	 (t, ENOENT, "no/such", became[0], NULL), EXEC_FAILS(t, EFAULT, 8, became[0], NULL))
TRY_EXEC(execlp, (t, self_name, became[0], became[1], became[2], NULL),
	 (t, ENOENT, "no-such-program", became[0], NULL), (void)0)
TRY_EXEC(execle, (t, self, became[0], became[1], became[2], NULL, environ),
	 (t, ENOENT, "no/such", became[0], NULL, environ),
	 EXEC_FAILS(t, EFAULT, 8, became[0], NULL, environ))
TRY_EXEC(fexecve, (t, open(self, O_RDONLY), arguments(), environ),
	 (t, EBADF, NOWHERE, arguments(), environ), (void)0)
TRY_EXEC(execveat, (t, open(self, O_RDONLY), "", arguments(), environ, AT_EMPTY_PATH),
	 (t, ENOENT, AT_FDCWD, "no/such", arguments(), environ, 0),
	 EXEC_FAILS(t, EFAULT, AT_FDCWD, 8, arguments(), environ, 0))

/* It returns its error; its child may leave one in errno, which is on this memory. */
static void try_spawn(struct trial *t, const char *name, const char *none)
{
	pid_t child = -1;

	CHECK_TRIAL(t, CALL(t, &child, name, NULL, NULL, arguments(), environ) == 0 &&
			       errno == SENTINEL && child > 0);
	event(t, child);
	wait_for(t, child, CHILD_STATUS);
	CHECK_TRIAL(t, CALL(t, &child, none, NULL, NULL, arguments(), environ) == ENOENT);
	event(t, -ENOENT);
}

static void try_posix_spawn(struct trial *t)
{
	CHECK_TRIAL(t, CALL(t, NULL, 8, NULL, NULL, arguments(), environ) == EFAULT);
	event(t, -EFAULT);
	try_spawn(t, self, "no/such");
}

static void try_posix_spawnp(struct trial *t)
{
	try_spawn(t, self_name, "no-such-program");
}

/* ---- ends ---------------------------------------------------------------------------- */

static void end_with_3(struct trial *t)
{
	event(t, 3);
	CALL(t, 3);
}

static void end_by_abort(struct trial *t)
{
	event(t, 134);
	CALL(t);
}

static void try_end(struct trial *t)
{
	expect(in_child(end_with_3, t) == 3);
}

static void try_abort(struct trial *t)
{
	expect(in_child(end_by_abort, t) == 128 + SIGABRT);
}

/* ---- rights -------------------------------------------------------------------------- */

static struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog filter = {1, allow_all};

static void confine_by_prctl(struct trial *t)
{
	expect(syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	GIVES(t, 0, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/* Its other options arrive as they should, and have no events. */
static void try_prctl(struct trial *t)
{
	char name[32] = "";

	CHECK_TRIAL(t, CALL(t, PR_SET_NAME, "a name") == 0 && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, PR_GET_NAME, name) == 0 && strcmp(name, "a name") == 0);
	CHECK_TRIAL(t, CALL(t, PR_GET_DUMPABLE) >= 0 && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, -1, 0, 0, 0, 0) == -1 && errno == EINVAL);
	CHECK_TRIAL(t, CALL(t, PR_GET_NAME, 8) == -1 && errno == EFAULT);
	/* So it is asked whether there are filters at all. */
	CHECK_TRIAL(t, CALL(t, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT);
	expect(in_child(confine_by_prctl, t) == 0);
}

static void confine_by_syscall(struct trial *t)
{
	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	GIVES(t, 0, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* Likewise, with six arguments and with none. */
static void try_syscall(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);
	uint32_t action = SECCOMP_RET_ALLOW;
	char *mapped;

	expect(in_child(confine_by_syscall, t) == 0);
	CHECK_TRIAL(t, CALL(t, SYS_getpid) == getpid() && errno == SENTINEL);
	expect(pwrite(fd, "at 4096", 7, 4096) == 7);
	mapped = (char *)CALL(t, SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	CHECK_TRIAL(t, mapped != MAP_FAILED && errno == SENTINEL && strcmp(mapped, "at 4096") == 0);
	CHECK_TRIAL(t, CALL(t, SYS_munmap, mapped, 4096) == 0 && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 &&
			       errno == EFAULT);
	CHECK_TRIAL(t, CALL(t, SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 &&
			       errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, SYS_fcntl, NOWHERE, F_GETFD) == -1 && errno == EBADF);
	CHECK_TRIAL(t, CALL(t, 99999) == -1 && errno == ENOSYS);
	close(fd);
}

/* Only root has another root, and other users. */
static void try_chroot(struct trial *t)
{
	FAILS(t, ENOENT, "no/such");
	SEES(t, ".");
}

static void try_unshare(struct trial *t)
{
	FAILS(t, EINVAL, 1);
	GIVES(t, 0, CLONE_FILES);
}

static void try_setns(struct trial *t)
{
	FAILS(t, EBADF, NOWHERE, 0);
	SEES(t, open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS);
}

static void try_setuid(struct trial *t)
{
	FAILS(t, EINVAL, -1);
	GIVES(t, 0, geteuid());
	become_nobody();
	FAILS(t, EPERM, 0);
}

static void try_setreuid(struct trial *t)
{
	GIVES(t, 0, -1, geteuid());
	become_nobody();
	FAILS(t, EPERM, 0, 0);
}

static void try_setresuid(struct trial *t)
{
	GIVES(t, 0, -1, geteuid(), -1);
	become_nobody();
	FAILS(t, EPERM, 0, 0, 0);
}

static void try_setrlimit(struct trial *t)
{
	const struct rlimit large = {UINT64_C(1) << 40, RLIM_INFINITY}, wrong = {2, 1};

	GIVES(t, 0, RLIMIT_AS, &large);
	FAILS(t, EINVAL, RLIMIT_CORE, &wrong);
}

static void try_prlimit(struct trial *t)
{
	const struct rlimit large = {UINT64_C(1) << 40, RLIM_INFINITY}, wrong = {2, 1};
	struct rlimit old = {0, 0};

	GIVES(t, 0, 0, RLIMIT_AS, &large, NULL);
	GIVES(t, 0, 0, RLIMIT_AS, NULL, &old);
	CHECK_TRIAL(t, old.rlim_cur == large.rlim_cur);
	FAILS(t, EINVAL, 0, RLIMIT_CORE, &wrong, NULL);
}

static void try_sigaltstack(struct trial *t)
{
	static char room[65536];
	const stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};
	const stack_t small = {.ss_sp = room, .ss_size = 16}, none = {.ss_flags = SS_DISABLE};
	stack_t old = {0};

	GIVES(t, 0, &stack, NULL);
	GIVES(t, 0, NULL, &old);
	CHECK_TRIAL(t, old.ss_sp == room && old.ss_size == sizeof(room));
	FAILS(t, ENOMEM, &small, NULL);
	FAILS(t, EFAULT, 8, NULL);
	GIVES(t, 0, &none, NULL);
}

#endif
