/* SPDX-License-Identifier: MIT */
#include "preload/spawn.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "preload/log.h"
#include "preload/sys.h"

#ifndef PERFHOOK_BINDIR /* as the Makefile says */
#define PERFHOOK_BINDIR "/usr/local/bin"
#define PERFHOOK_TO_BIN "../bin"
#endif

/* Where this library stands, with a trailing slash. */
static size_t library_folder(char *out, size_t room)
{
	Dl_info info;
	size_t n = 0;

	out[0] = '\0';
	if (!dladdr((void *)library_folder, &info) || info.dli_fname == NULL)
		return 0;
	if (info.dli_fname[0] != '/') {
		long length = sys2(SYS_getcwd, out, room);

		n = length > 1 ? (size_t)length - 1 : 0;
		n = ph_append(out, room, n, "/");
	}
	n = ph_append(out, room, n, info.dli_fname);
	while (n > 0 && out[n - 1] != '/')
		n--;
	out[n] = '\0';
	return n;
}

static struct {
	char name[256];
	bool preloaded;
} library;

const char *ph_library_name(void)
{
	return library.name;
}

bool ph_library_is_preloaded(void)
{
	return library.preloaded;
}

void ph_library_learn(char *const *environment)
{
	const char *slash;
	Dl_info info;

	if (!dladdr((void *)library_folder, &info) || info.dli_fname == NULL)
		return;
	slash = strrchr(info.dli_fname, '/');
	ph_append(library.name, sizeof(library.name), 0,
		  slash != NULL ? slash + 1 : info.dli_fname);
	for (; environment != NULL && *environment != NULL; environment++)
		if (strncmp(*environment, "LD_PRELOAD=", 11) == 0 && library.name[0] != '\0' &&
		    strstr(*environment + 11, library.name) != NULL)
			library.preloaded = true;
}

/* perfhook: beside the library, in ../bin, where it was installed as seen from here, and
 * there. */
static bool find_perfhook(char *out, size_t room)
{
	static const char *const tails[] = {"perfhook", "../bin/perfhook",
					    PERFHOOK_TO_BIN "/perfhook"};
	size_t n = library_folder(out, room);

	for (size_t i = 0; n > 0 && i < sizeof(tails) / sizeof(tails[0]); i++) {
		ph_append(out, room, n, tails[i]);
		if (sys3(SYS_faccessat, AT_FDCWD, out, X_OK) == 0)
			return true;
	}
	ph_append(out, room, 0, PERFHOOK_BINDIR "/perfhook");
	return sys3(SYS_faccessat, AT_FDCWD, out, X_OK) == 0;
}

/* A fork that no libc handler and no SIGCHLD knows of, and no debugger or strace, either: gdb
 * takes a child without a signal for a thread, and fails when it becomes the collector. But a
 * filter may ask a tracer about each call (strace --seccomp-bpf, rr): without one they fail. */
static long bare_fork(void)
{
	bool filtered = sys2(SYS_prctl, PR_GET_SECCOMP, 0) != 0;

	return sys5(SYS_clone, filtered ? 0 : CLONE_UNTRACED, 0, NULL, NULL, 0);
}

/* In the grandchild: become somebody else, then the collector. */
static void run_collector(const char *program, const char *folder)
{
	char *const arguments[] = {(char *)"perfhook", (char *)"collect", (char *)folder, NULL};
	char *const environment[] = {NULL};
	uint64_t no_signals = 0;
	int null;

	sys0(SYS_setsid);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
	sys1(SYS_chdir, "/");
	null = (int)sys4(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	if (null >= 0) {
		sys3(SYS_dup3, null, 0, 0);
		sys3(SYS_dup3, null, 1, 0);
	}
	/* 2 stays for one line of refusal; the collector closes it. */
	if (sys3(SYS_close_range, 3, ~0u, 0) != 0)
		for (int fd = 3; fd < 65536; fd++)
			sys_close(fd);
	sys3(SYS_execve, program, arguments, environment);
	sys1(SYS_exit_group, 127);
}

bool ph_collector_possible(void)
{
	char program[PATH_MAX];
	int subreaper = 0;

	sys2(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper);
	return subreaper == 0 && sys_getpid() != 1 && find_perfhook(program, sizeof(program));
}

bool ph_spawn_collector(const char *folder)
{
	char program[PATH_MAX];
	int status = 0;
	long child;

	if (!find_perfhook(program, sizeof(program)))
		return false;
	child = bare_fork();
	if (child == 0) {
		if (bare_fork() == 0)
			run_collector(program, folder);
		sys1(SYS_exit_group, 0);
	}
	if (child < 0)
		return false;
	while (sys4(SYS_wait4, child, &status, __WALL, NULL) == -EINTR)
		;
	return true;
}

bool ph_collector_alive(const struct ph_control *c)
{
	int32_t pid = atomic_load_explicit(&c->collector_pid, memory_order_seq_cst);

	if (pid == PH_COLLECTOR_CLOSED)
		return false;
	/* 0: started, but it has not said its name yet. */
	return pid == 0 || sys2(SYS_kill, pid, 0) != -ESRCH;
}
