/* SPDX-License-Identifier: MIT */
/*
 * Everything that a process can easily see of itself, as text: it has to be the
 * same with and without the library. What differs from run to run (numbers of
 * processes, inodes, times) is left out. self_view [FILE]: written there instead
 * of to standard output.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <errno.h>

#include "truth.h"

extern char **environ;
static int out = 1;

__attribute__((format(printf, 1, 2))) static void show(const char *format, ...)
{
	char line[8192];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	system_call(SYS_write, out, line, (size_t)length);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Numeric names in a folder, without the descriptor that reads it. */
static int numbers_in(const char *path, int *numbers, int room)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int count = 0, skip = d != NULL ? dirfd(d) : -1;

	while (d != NULL && (e = readdir(d)) != NULL && count < room) {
		bool number = e->d_name[0] >= '0' && e->d_name[0] <= '9';

		if (number && (atoi(e->d_name) != skip || strstr(path, "/fd") == NULL))
			numbers[count++] = atoi(e->d_name);
	}
	if (d != NULL)
		closedir(d);
	qsort(numbers, (size_t)count, sizeof(*numbers), by_number);
	return count;
}

static void show_threads(void)
{
	int ids[256], count = numbers_in("/proc/self/task", ids, 256);

	show("threads: %d\n", count);
	for (int i = 0; i < count; i++) {
		char path[64], name[64] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%d/comm", ids[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (read(fd, name, sizeof(name) - 1) > 0)
			show("thread: %s", name);
		close(fd);
	}
}

static int parent_of(int pid)
{
	char path[64], stat[512] = "", *after;
	int fd, parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, stat, sizeof(stat) - 1) > 0 && (after = strrchr(stat, ')')) != NULL)
		sscanf(after, ") %*c %d", &parent);
	close(fd);
	return parent;
}

static void show_children(void)
{
	static int pids[32768];
	int count = numbers_in("/proc", pids, 32768), children = 0;

	for (int i = 0; i < count; i++)
		children += parent_of(pids[i]) == getpid();
	show("children: %d\n", children);
	errno = 0;
	show("wait: %d %d\n", (int)waitpid(-1, NULL, WNOHANG), errno);
}

static void show_descriptors(void)
{
	int fds[256], count = numbers_in("/proc/self/fd", fds, 256);

	for (int i = 0; i < count; i++) {
		char path[64], target[PATH_MAX], *colon;
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		length = readlink(path, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		colon = strstr(target, ":[");
		if (colon != NULL)
			*colon = '\0';
		show("descriptor: %d %s flags %x %x\n", fds[i], target, fcntl(fds[i], F_GETFD),
		     fcntl(fds[i], F_GETFL));
	}
	/* What a program gets next. */
	count = dup(STDERR_FILENO);
	show("next descriptor: %d\n", count);
	close(count);
}

/* The lines of /proc/self/status that do not move by themselves. */
static void show_status(void)
{
	static const char *const lines[] = {
		"SigPnd",     "ShdPnd",	 "SigBlk",  "SigIgn",	 "SigCgt", "CapInh",	  "CapPrm",
		"CapEff",     "CapBnd",	 "CapAmb",  "Umask",	 "Uid",	   "Gid",	  "Groups",
		"NoNewPrivs", "Seccomp", "Threads", "TracerPid", "Name",   "Cpus_allowed"};
	FILE *f = fopen("/proc/self/status", "re");
	char line[1024];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			size_t length = strlen(lines[i]);

			if (strncmp(line, lines[i], length) == 0 && line[length] == ':')
				show("%s", line);
		}
	}
	if (f != NULL)
		fclose(f);
}

static void show_signals(void)
{
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;

		if (sigaction(i, NULL, &action) != 0)
			continue;
		show("signal %d: %s flags %x\n", i,
		     action.sa_handler == SIG_DFL   ? "default"
		     : action.sa_handler == SIG_IGN ? "ignored"
						    : "handled",
		     (unsigned)action.sa_flags);
	}
}

static void show_limits(void)
{
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit limit = {0};

		getrlimit((__rlimit_resource_t)i, &limit);
		show("limit %d: %lx %lx\n", i, (unsigned long)limit.rlim_cur,
		     (unsigned long)limit.rlim_max);
	}
}

static void show_attributes(void)
{
	struct itimerval timer = {0};
	stack_t stack = {0};
	cpu_set_t cpus;
	char cwd[PATH_MAX] = "";
	int death = 0, reaper = 0;

	sigaltstack(NULL, &stack);
	prctl(PR_GET_PDEATHSIG, &death);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	show("cwd: %s\n", getcwd(cwd, sizeof(cwd)));
	show("dumpable: %d, keep capabilities: %d, death signal: %d, subreaper: %d\n",
	     prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS), death, reaper);
	show("name in its group: %d, leads its group: %d, leads its session: %d\n",
	     getpgrp() == getpid(), getpgid(0) == getpid(), getsid(0) == getpid());
	show("signal stack: %p %x\n", stack.ss_sp, (unsigned)stack.ss_flags);
	show("nice: %d, scheduler: %d, processors: %d\n", getpriority(PRIO_PROCESS, 0),
	     sched_getscheduler(0), CPU_COUNT(&cpus));
	for (int i = 0; i < 3; i++) {
		getitimer((__itimer_which_t)i, &timer);
		show("timer %d: %d\n", i, timer.it_value.tv_sec || timer.it_value.tv_usec);
	}
	show("alarm: %u\n", alarm(0));
	show("program: %s %s\n", program_invocation_name, program_invocation_short_name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_environment(void)
{
	size_t count = 0;

	while (environ[count] != NULL)
		count++;
	qsort(environ, count, sizeof(*environ), by_text);
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 &&
		    strncmp(environ[i], "PERFHOOK_", 9) != 0)
			show("environment: %s\n", environ[i]);
	}
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : NULL;

	/* Before a descriptor of our own is open. */
	if (path != NULL && (out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
		return 2;
	show("arguments: %d\n", argc);
	show_threads();
	show_children();
	show_descriptors();
	show_status();
	show_signals();
	show_limits();
	show_attributes();
	show_environment();
	return 0;
}
