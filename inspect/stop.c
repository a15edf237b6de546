/* SPDX-License-Identifier: MIT */
/* Stopping every thread of a process, and letting them go on unaware. */
#include "inspect/stop.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect/trace.h"

#define PATIENCE_NS  INT64_C(2000000000) /* for a thread to stop */
#define ASLEEP_NS    INT64_C(3000000)	 /* after which one that cannot be woken is left */
#define STATUS_ROOM  (1u << 20)		 /* a user may be in very many groups */
#define VECTORS_MOST (64u << 10)	 /* bytes: AVX-512 takes 2.7 KB, AMX 8 more */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- /proc ------------------------------------------------------------------ */

static bool read_small(char *out, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool read_small(char *out, size_t room, const char *format, ...)
{
	char path[96];
	va_list arguments;
	ssize_t n;
	int fd;

	va_start(arguments, format);
	vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, room - 1);
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

char trace_state(pid_t pid, pid_t tid)
{
	char text[512];
	const char *at;

	read_small(text, sizeof(text), "/proc/%d/task/%d/stat", pid, tid);
	at = strrchr(text, ')');
	return at != NULL && at[1] == ' ' ? at[2] : '\0';
}

uint64_t trace_start(pid_t pid)
{
	char text[512];
	const char *at;

	read_small(text, sizeof(text), "/proc/%d/stat", pid);
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

/* Behind the field's name, which begins a line: the process's own name may hold any text. */
static const char *find_field(const char *text, const char *field)
{
	size_t length = strlen(field);

	while (text != NULL && strncmp(text, field, length) != 0) {
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return text != NULL ? text + length : NULL;
}

uint64_t trace_status(pid_t pid, pid_t tid, const char *field, int base)
{
	static char text[STATUS_ROOM];
	const char *at;

	read_small(text, sizeof(text), "/proc/%d/task/%d/status", pid, tid);
	at = find_field(text, field);
	return at != NULL ? strtoull(at, NULL, base) : 0;
}

void trace_status_line(pid_t pid, const char *field, char *out, size_t room)
{
	static char text[STATUS_ROOM];
	const char *at;

	*out = '\0';
	read_small(text, sizeof(text), "/proc/%d/status", pid);
	at = find_field(text, field);
	if (at != NULL)
		snprintf(out, room, "%.*s", (int)strcspn(at, "\n"), at);
}

/* Where a thread sleeps in the kernel: "number arguments... sp pc" (proc(5)). */
static void read_sleeper(pid_t pid, struct stopped_thread *t)
{
	char text[256];
	uint64_t sp;
	int number;

	read_small(text, sizeof(text), "/proc/%d/task/%d/syscall", pid, t->tid);
	if (sscanf(text, "%d %*x %*x %*x %*x %*x %*x %" SCNx64, &number, &sp) == 2 ||
	    sscanf(text, "%d %" SCNx64, &number, &sp) == 2)
		t->stack = sp;
}

/* ---- who may ------------------------------------------------------------------ */

static int yama_scope(void)
{
	char text[16];

	return read_small(text, sizeof(text), "/proc/sys/kernel/yama/ptrace_scope") ? text[0] - '0'
										    : 0;
}

static bool is_other_user(pid_t pid)
{
	return trace_status(pid, pid, "Uid:", 10) != geteuid();
}

/* One line for each way to be refused. */
static int explain(pid_t pid, int error, struct error *e)
{
	int tracer = (int)trace_status(pid, pid, "TracerPid:", 10), scope = yama_scope();

	if (error == ESRCH || error == ENOENT)
		return fail(e, ERROR_SYSTEM, 0, "process %d has ended", pid);
	if (tracer != 0)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d is traced by process %d, a debugger or strace: it can have "
			    "no second one; detach that first",
			    pid, tracer);
	if (scope == 3)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d cannot be stopped: this system forbids ptrace altogether "
			    "(kernel.yama.ptrace_scope=3)",
			    pid);
	if (geteuid() != 0 && scope != 0)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d cannot be stopped: ptrace is restricted "
			    "(kernel.yama.ptrace_scope=%d): run this as root, or set it to 0 with "
			    "sysctl",
			    pid, scope);
	if (geteuid() != 0 && is_other_user(pid))
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d cannot be stopped: it is another user's; run this as that "
			    "user or as root",
			    pid);
	if (error == EPERM)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d cannot be stopped: ptrace is not permitted (a container "
			    "without SYS_PTRACE, or a process that is not dumpable): run this as "
			    "root outside, or give the container --cap-add=SYS_PTRACE",
			    pid);
	return fail(e, ERROR_SYSTEM, 0, "process %d cannot be stopped: %s", pid, strerror(error));
}

/* ---- threads --------------------------------------------------------------------- */

static bool add_thread(struct stop *s, pid_t tid, bool attached)
{
	if (s->count == s->room) {
		size_t room = s->room != 0 ? 2 * s->room : 64;
		struct stopped_thread *more = realloc(s->threads, room * sizeof(*more));

		if (more == NULL)
			return false;
		s->threads = more;
		s->room = room;
	}
	s->threads[s->count++] = (struct stopped_thread){.tid = tid, .attached = attached};
	return true;
}

static bool is_known(const struct stop *s, pid_t tid)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->threads[i].tid == tid)
			return true;
	return false;
}

static void forget_thread(struct stop *s, struct stopped_thread *t)
{
	free(t->vectors);
	*t = s->threads[--s->count];
}

/* Of an earlier stop only those that still have to be let go. */
static void forget_detached(struct stop *s)
{
	for (size_t i = s->count; i-- > 0;) {
		struct stopped_thread *t = &s->threads[i];

		if (!t->attached)
			forget_thread(s, t);
		else
			*t = (struct stopped_thread){.tid = t->tid, .attached = true};
	}
}

/* One that ends, or has ended while others run on, or is the kernel's (io_uring's): it
 * runs nothing of the program's. */
static bool is_of_no_account(pid_t pid, pid_t tid)
{
	char state = trace_state(pid, tid), name[32];

	read_small(name, sizeof(name), "/proc/%d/task/%d/comm", pid, tid);
	if (strncmp(name, "iou-", 4) == 0)
		return true;
	return (state == '\0' && tid != pid) || state == 'Z' || state == 'X';
}

/* Seize those that are new; they run on. Returns how many, -1: an error (errno). */
static int seize_new(struct stop *s)
{
	char path[64];
	struct dirent *entry;
	int fresh = 0, error = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", s->pid);
	folder = opendir(path);
	if (folder == NULL)
		return -1;
	while (error == 0 && (entry = readdir(folder)) != NULL) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0 || is_known(s, tid))
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD) != 0) {
			error = errno;
			if (is_of_no_account(s->pid, tid))
				error = add_thread(s, tid, false) ? 0 : ENOMEM;
			continue;
		}
		fresh++;
		error = add_thread(s, tid, true) ? 0 : ENOMEM;
	}
	closedir(folder);
	errno = error;
	return error != 0 ? -1 : fresh;
}

/* ---- stopping --------------------------------------------------------------------- */

/* 1: it stands, 0: not yet, -1: it is gone. */
static int look_at(struct stopped_thread *t)
{
	int status;
	pid_t r = waitpid(t->tid, &status, __WALL | WNOHANG);

	if (r == 0)
		return 0;
	if (r < 0 || !WIFSTOPPED(status))
		return -1;
	if (status >> 16 == PTRACE_EVENT_STOP) {
		t->paused = WSTOPSIG(status) != SIGTRAP;
		return 1;
	}
	/* A signal was on its way, and goes on; the stop comes after it. */
	ptrace(PTRACE_CONT, t->tid, NULL, (void *)(long)(status >> 16 != 0 ? 0 : WSTOPSIG(status)));
	return 0;
}

/* A stop is a SIGCHLD to us; it may have come already. */
static void await_sigchld(int64_t ns)
{
	struct timespec ts = {.tv_sec = 0, .tv_nsec = ns};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &ts);
}

static int wait_for(struct stop *s, struct stopped_thread *t)
{
	uint64_t began = now_ns();
	int state;

	for (;;) {
		int64_t waited;

		state = look_at(t);
		if (state != 0)
			return state;
		waited = (int64_t)(now_ns() - began);
		/* A vfork's parent, or one that waits for a disk: it runs no code of its own. */
		if (waited > ASLEEP_NS && trace_state(s->pid, t->tid) == 'D') {
			t->asleep = true;
			return 1;
		}
		if (waited > PATIENCE_NS)
			return 0;
		await_sigchld(200000);
	}
}

/* ---- registers ---------------------------------------------------------------------- */

/*
 * Most calls that a stop interrupts the kernel makes again by itself. Some fail with EINTR
 * whatever the reason (signal(7)): these are made again by us. close() is not: it has
 * closed.
 */
#if defined(__x86_64__)
static const bool is_known_machine = true;

static void read_general(struct stopped_thread *t)
{
	struct user_regs_struct r;
	struct iovec io = {.iov_base = &r, .iov_len = sizeof(r)};

	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &io) != 0)
		return;
	t->stack = r.rsp;
	t->tls = r.fs_base;
	t->register_count = sizeof(r) / sizeof(uint64_t);
	memcpy(t->registers, &r, sizeof(r));
	t->interrupted = !t->paused && (long long)r.orig_rax >= 0 && (long long)r.rax == -EINTR &&
			 r.orig_rax != SYS_close;
}

_Static_assert(sizeof(struct user_regs_struct) <= STOP_REGISTERS * sizeof(uint64_t), "room");

/*
 * The kernel is told that the call is one of those: it makes it again unless a handler runs
 * first, also one whose signal comes only now. A program that waits for a signal by this call
 * (epoll_pwait) depends on that.
 */
static void repeat_call(const struct stopped_thread *t)
{
	enum { RESTART_UNLESS_HANDLED = 514 }; /* ERESTARTNOHAND of <linux/errno.h> */
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, t->tid, NULL, &r) != 0)
		return;
	r.rax = (unsigned long long)-RESTART_UNLESS_HANDLED;
	ptrace(PTRACE_SETREGS, t->tid, NULL, &r);
}
#define VECTORS NT_X86_XSTATE
#else
static const bool is_known_machine = false;

static void read_general(struct stopped_thread *t)
{
	(void)t;
}

static void repeat_call(const struct stopped_thread *t)
{
	(void)t;
}
#define VECTORS NT_PRFPREG
#endif

static void read_registers(struct stopped_thread *t)
{
	static uint64_t vectors[VECTORS_MOST / sizeof(uint64_t)];
	struct iovec io = {.iov_base = vectors, .iov_len = sizeof(vectors)};

	read_general(t);
	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)VECTORS, &io) != 0)
		return;
	free(t->vectors);
	t->vectors = malloc(io.iov_len + 1);
	t->vector_words = t->vectors != NULL ? io.iov_len / sizeof(*vectors) : 0;
	if (t->vectors != NULL)
		memcpy(t->vectors, vectors, t->vector_words * sizeof(*vectors));
}

static void read_all_registers(struct stop *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->threads[i].asleep)
			read_sleeper(s->pid, &s->threads[i]);
		else if (s->threads[i].attached)
			read_registers(&s->threads[i]);
	}
}

/* ---- all of them ---------------------------------------------------------------------- */

/* All that are known; who is gone is forgotten. */
static int stop_known(struct stop *s, size_t from, struct error *e)
{
	for (size_t i = from; i < s->count; i++)
		if (s->threads[i].attached)
			ptrace(PTRACE_INTERRUPT, s->threads[i].tid, NULL, NULL);
	for (size_t i = from; i < s->count;) {
		struct stopped_thread *t = &s->threads[i];
		int state = t->attached ? wait_for(s, t) : 1;

		if (state < 0) {
			forget_thread(s, t);
			continue;
		}
		if (state == 0)
			return fail(e, ERROR_SYSTEM, 0,
				    "process %d cannot be stopped: its thread %d does not react",
				    s->pid, t->tid);
		i++;
	}
	return 0;
}

static size_t count_attached(const struct stop *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->threads[i].attached;
	return n;
}

/* Until no thread is new: one that was not yet stopped may have made another. */
static int stop_all(struct stop *s, struct error *e)
{
	size_t from = 0;

	for (;;) {
		int fresh = seize_new(s);

		s->refused = fresh < 0 && errno == EPERM;
		if (fresh < 0) {
			struct error unheard;

			explain(s->pid, errno, e);
			/* Those that were had by then are let go, which only who stands can be. */
			stop_known(s, from, &unheard);
			return -1;
		}
		if (from == 0)
			s->began_ns = now_ns();
		if (fresh == 0 && from != 0)
			return 0;
		if (stop_known(s, from, e) != 0)
			return -1;
		if (count_attached(s) == 0)
			return explain(s->pid, ESRCH, e);
		from = s->count;
	}
}

int stop_begin(struct stop *s, struct error *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!is_known_machine)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d: this perfhook can look at processes on x86-64 only",
			    s->pid);
	forget_detached(s);
	if (stop_all(s, e) == 0) {
		read_all_registers(s);
		return 0;
	}
	read_all_registers(s);
	stop_end(s);
	return -1;
}

/* ---- going on ------------------------------------------------------------------------ */

static void let_go(struct stopped_thread *t)
{
	if (ptrace(PTRACE_DETACH, t->tid, NULL, NULL) == 0 || !t->asleep)
		t->attached = false;
}

void stop_end(struct stop *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->threads[i].interrupted)
			repeat_call(&s->threads[i]);
		let_go(&s->threads[i]);
	}
	s->ended_ns = now_ns();
}

bool stop_serve(struct stop *s)
{
	bool done = true;

	for (size_t i = 0; i < s->count; i++) {
		struct stopped_thread *t = &s->threads[i];
		int state;

		if (!t->attached)
			continue;
		state = look_at(t);
		if (state > 0) {
			read_general(t);
			if (t->interrupted)
				repeat_call(t);
			ptrace(PTRACE_DETACH, t->tid, NULL, NULL);
		}
		t->attached = state == 0;
		done &= !t->attached;
	}
	return done;
}

void stop_free(struct stop *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->threads[i].vectors);
	free(s->threads);
	*s = (struct stop){.pid = 0};
}
