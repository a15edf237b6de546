/* SPDX-License-Identifier: MIT */
/* Making a process fork without its knowing. */
#include "inspect/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect/maps.h"
#include "inspect/trace.h"

#if !defined(__x86_64__)
void snapshot_prepare(struct snapshot *copy, pid_t pid, pid_t thread)
{
	(void)pid, (void)thread;
	*copy = (struct snapshot){.why = "that is done on x86-64 only"};
}

bool snapshot_make(struct snapshot *copy, struct stop *s)
{
	(void)copy, (void)s;
	return false;
}

void snapshot_part(struct snapshot *copy)
{
	(void)copy;
}

void snapshot_end(struct snapshot *copy, struct stop *s)
{
	(void)copy, (void)s;
}
#else

#define RED_ZONE  128
#define CODE_64	  0x33 /* the selector of 64-bit code */
#define NO_NUMBER ((unsigned long long)-1)

/* ---- an instruction to use --------------------------------------------------- */

/* "syscall" in the code of a mapping; 0: there is none. Also the last two bytes of a
 * longer instruction will do: nothing but it is executed. */
static uint64_t find_gadget(pid_t thread, const struct mapping *m)
{
	static uint8_t code[1u << 16];

	for (uint64_t at = m->start; at + 2 <= m->end; at += sizeof(code) - 1) {
		struct iovec here = {code, sizeof(code)}, there = {(void *)at, sizeof(code)};
		ssize_t n;

		if (there.iov_len > m->end - at)
			there.iov_len = m->end - at;
		n = process_vm_readv(thread, &here, 1, &there, 1, 0);
		for (ssize_t i = 0; i + 2 <= n; i++)
			if (code[i] == 0x0f && code[i + 1] == 0x05)
				return at + (uint64_t)i;
		if (n < (ssize_t)there.iov_len)
			return 0;
	}
	return 0;
}

/* The kernel's own page comes first: it never goes away. */
static uint64_t choose_gadget(pid_t thread)
{
	struct maps maps = {.list = NULL};
	char *text = maps_text(thread);
	uint64_t found = 0;

	if (text != NULL && maps_parse(&maps, text)) {
		for (size_t i = 0; i < maps.count && found == 0; i++)
			if (strcmp(maps.list[i].name, "[vdso]") == 0)
				found = find_gadget(thread, &maps.list[i]);
		for (size_t i = 0; i < maps.count && found == 0; i++)
			if (maps.list[i].execute && maps.list[i].inode != 0)
				found = find_gadget(thread, &maps.list[i]);
	}
	maps_free(&maps);
	return found;
}

/* ---- what would be its death ---------------------------------------------------- */

/* A filter that we have too, both from a container that started us both, allows the
 * process what it allows us. Any other may take a call that the process does not make
 * itself for an attack. */
static bool is_filtered(pid_t pid, pid_t tid)
{
	pid_t self = getpid();
	uint64_t mode = trace_status(pid, tid, "Seccomp:", 10);
	uint64_t filters = trace_status(pid, tid, "Seccomp_filters:", 10);

	return mode != 0 && (mode != trace_status(self, self, "Seccomp:", 10) ||
			     filters != trace_status(self, self, "Seccomp_filters:", 10));
}

/* The first process of all that it can see: who gets the orphans, as a rule. */
static pid_t init_of(pid_t pid)
{
	for (int i = 0; i < 64; i++) {
		pid_t parent = (pid_t)trace_status(pid, pid, "PPid:", 10);

		if (parent == 0)
			break;
		pid = parent;
	}
	return pid;
}

/* How long ago it began. */
static double age_s(pid_t pid)
{
	struct timespec now;
	uint64_t ticks = trace_start(pid);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Does it leave its children unburied, as a program does that is a container's first
 * process and was not made for that? One that looks after them now and then has some that
 * died lately. */
static bool keeps_dead(pid_t init)
{
	enum { MANY = 8, LONG_S = 60 };
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	int found = 0;

	while (folder != NULL && found < MANY && (entry = readdir(folder)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		found += pid > 0 && trace_state(pid, pid) == 'Z' && age_s(pid) > LONG_S &&
			 (pid_t)trace_status(pid, pid, "PPid:", 10) == init;
	}
	if (folder != NULL)
		closedir(folder);
	return found >= MANY;
}

void snapshot_prepare(struct snapshot *copy, pid_t pid, pid_t thread)
{
	*copy = (struct snapshot){.pid = 0};
	copy->thread = thread;
	copy->orphan = !keeps_dead(init_of(pid));
	if (is_filtered(pid, thread))
		copy->why = "a seccomp filter might kill it for a fork";
	else if ((copy->gadget = choose_gadget(thread)) == 0)
		copy->why = "its code has no system call";
}

/* ---- calls that the process did not mean to make ----------------------------------- */

/* The thread that makes them. */
struct hand {
	pid_t tid;
	struct user_regs_struct registers; /* its own */
	uint64_t mask;			   /* of its signals */
	uint64_t gadget;
	int lost; /* a signal that came in between and could not be blocked: SIGSTOP */
};

/* Its next stop but for signals. False: it is gone. */
static bool next_stop(struct hand *h, int *status)
{
	int request = 0;

	for (;;) {
		if (waitpid(h->tid, status, __WALL) != h->tid || !WIFSTOPPED(*status))
			return false;
		if (WSTOPSIG(*status) == (SIGTRAP | 0x80) || *status >> 16 != 0)
			return true;
		h->lost = WSTOPSIG(*status);
		if (ptrace(PTRACE_SYSCALL, h->tid, NULL, (void *)(long)request) != 0)
			return false;
	}
}

static bool go_on(struct hand *h, int *status)
{
	return ptrace(PTRACE_SYSCALL, h->tid, NULL, NULL) == 0 && next_stop(h, status);
}

/* The result, or -errno; ESRCH: it is gone. `child`, of a clone: as we know it. */
static long call(struct hand *h, long number, const unsigned long arguments[5], pid_t *child)
{
	struct user_regs_struct r = h->registers;
	unsigned long event = 0;
	int status;

	r.rax = (unsigned long long)number;
	r.orig_rax = NO_NUMBER;
	r.rip = h->gadget;
	r.rdi = arguments[0];
	r.rsi = arguments[1];
	r.rdx = arguments[2];
	r.r10 = arguments[3];
	r.r8 = arguments[4];
	if (ptrace(PTRACE_SETREGS, h->tid, NULL, &r) != 0 || !go_on(h, &status) ||
	    !go_on(h, &status))
		return -ESRCH;
	if (status >> 16 == PTRACE_EVENT_CLONE || status >> 16 == PTRACE_EVENT_FORK) {
		ptrace(PTRACE_GETEVENTMSG, h->tid, NULL, &event);
		if (child != NULL)
			*child = (pid_t)event;
		if (!go_on(h, &status))
			return -ESRCH;
	}
	if (ptrace(PTRACE_GETREGS, h->tid, NULL, &r) != 0)
		return -ESRCH;
	return (long)r.rax;
}

/* A stopped thread; its signals wait meanwhile. `options`: besides those of its calls. */
static bool take_hand(struct hand *h, pid_t tid, uint64_t gadget, uintptr_t options)
{
	const uint64_t all = UINT64_MAX;

	*h = (struct hand){.tid = tid, .gadget = gadget};
	return ptrace(PTRACE_GETREGS, tid, NULL, &h->registers) == 0 &&
	       h->registers.cs == CODE_64 &&
	       ptrace(PTRACE_SETOPTIONS, tid, NULL,
		      (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			       options)) == 0 &&
	       ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(h->mask), &h->mask) == 0 &&
	       ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(all), (void *)&all) == 0;
}

/* As it was, and stopped where the kernel itself makes an interrupted call again: that is
 * what the second stop is for. */
static void give_back(struct hand *h, pid_t pid)
{
	int status;

	ptrace(PTRACE_SETREGS, h->tid, NULL, &h->registers);
	ptrace(PTRACE_SETSIGMASK, h->tid, (void *)sizeof(h->mask), &h->mask);
	ptrace(PTRACE_INTERRUPT, h->tid, NULL, NULL);
	if (ptrace(PTRACE_CONT, h->tid, NULL, NULL) == 0)
		while (waitpid(h->tid, &status, __WALL) == h->tid && WIFSTOPPED(status) &&
		       status >> 16 != PTRACE_EVENT_STOP)
			ptrace(PTRACE_CONT, h->tid, NULL, (void *)(long)WSTOPSIG(status));
	if (h->lost != 0)
		kill(pid, h->lost);
}

/* ---- the two clones -------------------------------------------------------------------- */

/* A new child stands before its first instruction, ours, and is not to see it if we die. The
 * thread that made it has no such option at any time: the process would die with us. */
static bool await_child(pid_t child)
{
	int status;

	return waitpid(child, &status, __WALL) == child && WIFSTOPPED(status) &&
	       ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_EXITKILL) == 0;
}

static void end_child(pid_t child)
{
	int status;
	pid_t r = waitpid(child, &status, __WALL | WNOHANG);

	/* Others ended it: its number may be another's by now. */
	if (r < 0 || (r == child && !WIFSTOPPED(status)))
		return;
	kill(child, SIGKILL);
	while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status))
		;
}

/* Room for a few words, on a stack where nobody has anything. */
static uint64_t scratch(const struct hand *h)
{
	return (h->registers.rsp - RED_ZONE - 64) & ~UINT64_C(15);
}

/* Would it get the orphans below it? */
static bool adopts(struct hand *h, pid_t pid)
{
	uint64_t at = scratch(h);
	long flag;
	char text[1024];
	int depth = 0;

	/* "NSpid: 1234 1": the first of its namespace adopts too. */
	trace_status_line(pid, "NSpid:", text, sizeof(text));
	for (char *word = strtok(text, " \t"); word != NULL; word = strtok(NULL, " \t"), depth++)
		if (depth > 0 && strcmp(word, "1") == 0)
			return true;
	if (call(h, SYS_prctl, (const unsigned long[5]){PR_GET_CHILD_SUBREAPER, at}, NULL) != 0)
		return true;
	errno = 0;
	flag = ptrace(PTRACE_PEEKDATA, h->tid, (void *)at, NULL);
	return errno != 0 || (uint32_t)flag != 0;
}

static bool refuse(struct snapshot *copy, long error)
{
	copy->why = error == -EAGAIN   ? "a limit on its processes allows it no fork"
		    : error == -ENOMEM ? "there is not the memory for a fork of it"
				       : "it cannot fork";
	return false;
}

/* A stop or a signal that is under way comes first: then the kernel does not clone. */
static long clone_by(struct hand *h, unsigned long flags, pid_t *child)
{
	enum { NOT_YET = 513, TRIES = 4 }; /* ERESTARTNOINTR of <linux/errno.h> */
	const unsigned long arguments[5] = {flags};
	long r = -NOT_YET;

	for (int i = 0; i < TRIES && r == -NOT_YET; i++)
		r = call(h, SYS_clone, arguments, child);
	return r;
}

/* As a child of the process, which it can only see by wait4(__WALL). */
static bool make_child(struct snapshot *copy, struct hand *h)
{
	pid_t child = 0;
	long r = clone_by(h, CLONE_FILES, &child);

	if (r <= 0 || child == 0 || !await_child(child))
		return refuse(copy, r);
	copy->pid = child;
	copy->child = (pid_t)r;
	return true;
}

static bool reap(struct hand *h, pid_t child)
{
	const unsigned long arguments[5] = {(unsigned long)child, 0, __WALL | WNOHANG};

	return call(h, SYS_wait4, arguments, NULL) == child;
}

/* As an orphan: the child of a child that dies at once and is reaped. */
static bool make_orphan(struct snapshot *copy, struct hand *h)
{
	struct hand middle;
	pid_t child = 0, grandchild = 0;
	long r = clone_by(h, CLONE_VM | CLONE_FILES, &child), s;

	if (r <= 0 || child == 0 || !await_child(child))
		return refuse(copy, r);
	/* The copying is its time. */
	setpriority(PRIO_PROCESS, (id_t)child, -20);
	s = take_hand(&middle, child, h->gadget, PTRACE_O_EXITKILL)
		    ? clone_by(&middle, CLONE_FILES, &grandchild)
		    : -EPERM;
	if (s > 0 && grandchild != 0 && await_child(grandchild))
		copy->pid = grandchild;
	else
		refuse(copy, s);
	end_child(child);
	reap(h, (pid_t)r);
	return copy->pid != 0;
}

static const struct stopped_thread *choose_thread(const struct stop *s, struct snapshot *copy)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->threads[i].paused) {
			copy->why = "it stands still anyway";
			return NULL;
		}
	for (size_t i = 0; i < s->count; i++) {
		const struct stopped_thread *t = &s->threads[i];

		/* A filter may be one thread's alone. */
		if (!t->attached || t->asleep)
			continue;
		if (t->tid == copy->thread || !is_filtered(s->pid, t->tid))
			return t;
		copy->why = "a seccomp filter might kill it for a fork";
	}
	if (copy->why == NULL)
		copy->why = "all of its threads are asleep in the kernel";
	return NULL;
}

bool snapshot_make(struct snapshot *copy, struct stop *s)
{
	const struct stopped_thread *t = copy->why == NULL ? choose_thread(s, copy) : NULL;
	struct hand h;

	if (t == NULL)
		return false;
	if (!take_hand(&h, t->tid, copy->gadget, 0)) {
		copy->why = "its registers cannot be set";
		return false;
	}
	if (!copy->orphan || adopts(&h, s->pid))
		make_child(copy, &h);
	else
		make_orphan(copy, &h);
	give_back(&h, s->pid);
	return copy->pid != 0;
}

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif

void snapshot_part(struct snapshot *copy)
{
	const unsigned long files[5] = {0, ~0u, CLOSE_RANGE_UNSHARE};
	unsigned long rename[5] = {PR_SET_NAME};
	long name = 0;
	struct hand h;

	if (copy->pid == 0 || !take_hand(&h, copy->pid, copy->gadget, PTRACE_O_EXITKILL))
		return;
	call(&h, SYS_close_range, files, NULL);
	memcpy(&name, "ph-copy", sizeof("ph-copy"));
	rename[1] = scratch(&h);
	if (ptrace(PTRACE_POKEDATA, h.tid, (void *)rename[1], (void *)name) == 0)
		call(&h, SYS_prctl, rename, NULL);
}

/* The process must not find it dead: it is reaped before any thread of it runs again. */
static void end_as_child(struct snapshot *copy, struct stop *s)
{
	struct error e = {.code = ERROR_NONE};
	const struct stopped_thread *t;
	struct hand h;
	bool taken = false;

	if (stop_begin(s, &e) != 0) {
		end_child(copy->pid);
		return;
	}
	t = choose_thread(s, copy);
	taken = t != NULL && take_hand(&h, t->tid, copy->gadget, 0);
	end_child(copy->pid);
	if (taken) {
		reap(&h, copy->child);
		give_back(&h, s->pid);
	}
	stop_end(s);
}

void snapshot_end(struct snapshot *copy, struct stop *s)
{
	if (copy->pid == 0)
		return;
	if (copy->child != 0)
		end_as_child(copy, s);
	else
		end_child(copy->pid);
	copy->pid = copy->child = 0;
}

#endif
