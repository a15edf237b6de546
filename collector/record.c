/* SPDX-License-Identifier: MIT */
/* `perfhook record`: a session whose first process is a command of ours. */
#include "collector/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/command.h"
#include "collector/outname.h"
#include "collector/proc.h"
#include "trace/segment.h"

#ifndef PERFHOOK_LIBDIR /* as the Makefile says */
#define PERFHOOK_LIBDIR "/usr/local/lib"
#define PERFHOOK_TO_LIB "../lib"
#endif

struct session {
	char folder[128];
	struct ph_control *control;
	char library[PATH_MAX];
	int watch; /* says whether the library is opened; -1: that cannot be known */
};

static int complain(const char *what, const char *name)
{
	fprintf(stderr, "perfhook: record: %s%s%s: %s\n", what, name != NULL ? " " : "",
		name != NULL ? name : "", strerror(errno));
	return 2;
}

/* The library: beside this program, in ../lib, where it was installed as seen from here,
 * and there. */
static bool find_library(char *out, size_t room)
{
	static const char *const tails[] = {"libperfhook.so", "../lib/libperfhook.so",
					    PERFHOOK_TO_LIB "/libperfhook.so"};
	char self[PATH_MAX];
	char *slash;

	if (!proc_link("/proc/self/exe", self, sizeof(self)))
		return false;
	slash = strrchr(self, '/');
	if (slash == NULL)
		return false;
	slash[1] = '\0';
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		char path[PATH_MAX + 32];

		snprintf(path, sizeof(path), "%s%s", self, tails[i]);
		if (realpath(path, out) != NULL)
			return true;
	}
	snprintf(out, room, "%s", PERFHOOK_LIBDIR "/libperfhook.so");
	return access(out, R_OK) == 0;
}

static bool make_control(struct session *s)
{
	uint8_t random[8];
	char path[256];
	size_t n;
	int fd;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	n = (size_t)snprintf(s->folder, sizeof(s->folder), "/dev/shm/" PH_SESSION_PREFIX "%u-",
			     geteuid());
	for (size_t i = 0; i < sizeof(random); i++)
		n += (size_t)snprintf(s->folder + n, sizeof(s->folder) - n, "%02x", random[i]);
	if (mkdir(s->folder, 0700) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/control", s->folder);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (posix_fallocate(fd, 0, sizeof(*s->control)) == 0)
		s->control =
			mmap(NULL, sizeof(*s->control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (s->control == NULL || s->control == MAP_FAILED)
		return false;
	s->control->magic = PH_CONTROL_MAGIC;
	s->control->version = PH_SEGMENT_VERSION;
	proc_link("/proc/self/ns/pid", s->control->pid_namespace,
		  sizeof(s->control->pid_namespace));
	if (getcwd(s->control->directory, sizeof(s->control->directory)) == NULL)
		s->control->directory[0] = '\0';
	s->control->parent_pid = getpid();
	s->control->parent_start = proc_start_time(getpid());
	atomic_store(&s->control->has_parent, 1);
	return true;
}

/* The collector, as nobody's child: it outlives us when the command leaves
 * processes behind. */
static bool start_collector(const struct session *s)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return false;
	if (child == 0) {
		char *argv[] = {(char *)"collect", (char *)s->folder, NULL};

		setsid();
		if (fork() != 0)
			_exit(0);
		if (chdir("/") != 0)
			_exit(2);
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		_exit(collector_main(2, argv));
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < 2000 && atomic_load(&s->control->collector_pid) == 0; i++)
		usleep(1000);
	return atomic_load(&s->control->collector_pid) != 0;
}

/* ---- the command ---------------------------------------------------------- */

static void set_environment(const struct session *s, const struct record_options *options)
{
	const char *preload = getenv("LD_PRELOAD");
	char root[256], joined[2 * PATH_MAX];

	if (preload != NULL && *preload != '\0')
		snprintf(joined, sizeof(joined), "%s:%s", s->library, preload);
	else
		snprintf(joined, sizeof(joined), "%s", s->library);
	setenv("LD_PRELOAD", joined, 1);
	snprintf(root, sizeof(root), "%d:%s", (int)getpid(), s->folder);
	setenv("PERFHOOK_ROOT", root, 1);
	if (options->output != NULL)
		setenv("PERFHOOK_OUT", options->output, 1);
	if (options->leaks)
		setenv("PERFHOOK_LEAKS", "exit", 1);
}

static void run_command(const struct session *s, const struct record_options *options,
			char **command)
{
	int error;

	s->control->root_pid = getpid();
	set_environment(s, options);
	execvp(command[0], command);
	error = errno;
	fprintf(stderr, "perfhook: record: %s cannot be started: %s\n", command[0],
		strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

static double monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#define GRACE_S 10 /* to end after SIGTERM */

/* False: it has not ended after so long. Without a descriptor of it (an old kernel), it
 * is looked at every 20 ms. */
static bool ends_within(pid_t child, double seconds)
{
	int handle = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd wanted = {.fd = handle, .events = POLLIN};
	siginfo_t ended = {.si_pid = 0};

	for (double now = monotonic_s(), until = now + seconds; ended.si_pid == 0 && now < until;
	     now = monotonic_s()) {
		double left_ms = (until - now) * 1e3 + 1, most_ms = handle >= 0 ? 1e6 : 20;

		poll(&wanted, handle >= 0 ? 1 : 0, (int)(left_ms < most_ms ? left_ms : most_ms));
		waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT);
	}
	if (handle >= 0)
		close(handle);
	return ended.si_pid != 0;
}

/* As timeout(1) does it: by a signal that can be met, then by one that cannot, to all that it
 * started; but not by a process group of its own, which would take the terminal from it. */
static void end_after(pid_t child, double seconds, const char *name)
{
	if (ends_within(child, seconds))
		return;
	fprintf(stderr, "perfhook: record: %s was ended after %g s (--duration)\n", name, seconds);
	proc_signal_tree(child, SIGTERM);
	proc_signal_tree(child, SIGCONT); /* if it is stopped */
	if (ends_within(child, GRACE_S))
		return;
	fprintf(stderr, "perfhook: record: %s went on for %d s after SIGTERM: it was killed\n",
		name, GRACE_S);
	proc_signal_tree(child, SIGKILL);
}

static int wait_for(pid_t child, const struct record_options *options, const char *name)
{
	int status;

	/* The terminal's signals are the command's business. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	if (options->duration_s > 0)
		end_after(child, options->duration_s, name);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* ---- what came of it -------------------------------------------------------- */

static bool was_loaded(const struct session *s)
{
	char events[4096];

	return s->watch >= 0 && read(s->watch, events, sizeof(events)) > 0;
}

/* Where the library was loaded and does not record, it has said why, unless it was
 * told not to. */
static void say_unrecorded(const struct session *s, const char *name)
{
	const char *start = getenv("PERFHOOK_START");

	if (start != NULL && strcmp(start, "off") == 0)
		fprintf(stderr,
			"perfhook: record: %s was not recorded: recording is switched off "
			"(PERFHOOK_START=off)\n",
			name);
	else if (!was_loaded(s))
		fprintf(stderr,
			"perfhook: record: %s was not recorded: it did not load the library\n",
			name);
}

/* The pattern of the traces' names, for a shell: stars for what is filled in and for
 * .PID.N. False: it has a character that a shell would take for something else. */
static bool shell_pattern(const char *output, char *out, size_t room)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./+,:=@-";
	size_t n = 0;

	for (const char *c = output; *c != '\0'; c++) {
		bool filled = c[0] == '%' && c[1] != '\0' && strchr("peht", c[1]) != NULL;

		if (n + 3 > room || (!filled && strchr(plain, *c) == NULL))
			return false;
		out[n++] = filled ? '*' : *c;
		c += filled;
	}
	if (n == 0 || out[n - 1] != '*')
		out[n++] = '*';
	out[n] = '\0';
	return output[0] != '-';
}

/* How to see all of several traces at once, or at a terminal one whose name was not chosen. */
static void say_traces(const struct session *s, const struct record_options *options)
{
	const char *wanted = getenv("PERFHOOK_OUT"), *last = NULL;
	const char *output = options->output != NULL		 ? options->output
			     : wanted != NULL && *wanted != '\0' ? wanted
								 : OUTNAME_DEFAULT;
	char pattern[PATH_MAX], control[256];
	size_t ours = 0;
	glob_t found;

	if (atomic_load(&s->control->announced) == 1 &&
	    (strcmp(output, OUTNAME_DEFAULT) != 0 || !isatty(STDERR_FILENO)))
		return;
	snprintf(control, sizeof(control), "%s/control", s->folder);
	if (!shell_pattern(output, pattern, sizeof(pattern)) || glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (!collector_wrote(found.gl_pathv[i], control))
			continue;
		ours++;
		last = found.gl_pathv[i];
	}
	if (ours == 1 && atomic_load(&s->control->announced) == 1)
		fprintf(stderr, "perfhook: 1 trace: perfhook report %s\n", last);
	if (ours > 1 && ours == found.gl_pathc)
		fprintf(stderr, "perfhook: %zu traces: perfhook report %s\n", ours, pattern);
	else if (ours > 1)
		fprintf(stderr,
			"perfhook: %zu traces: perfhook report %s (%zu of others have such "
			"names)\n",
			ours, pattern, found.gl_pathc - ours);
	globfree(&found);
}

/* Whether it is said why it runs unrecorded; before it runs, which may be long. */
static bool said_unrecorded(const char *name)
{
	char path[PATH_MAX], why[2 * PATH_MAX];
	enum command_fate fate = COMMAND_RECORDED;

	if (command_find(name, path, sizeof(path)))
		fate = command_fate(path, why, sizeof(why));
	if (fate == COMMAND_UNRECORDED)
		fprintf(stderr, "perfhook: record: %s; it runs unrecorded\n", why);
	return fate != COMMAND_RECORDED;
}

/* A name that was asked for and cannot be written is a mistake to be told before
 * the command runs. Placeholders are filled in later, by the collector. */
static bool output_is_usable(const char *output)
{
	char why[PATH_MAX + 128];

	if (output == NULL || outname_check(output, why, sizeof(why)))
		return true;
	fprintf(stderr, "perfhook: record: %s; the command was not run\n", why);
	return false;
}

int collector_record(const struct record_options *options, char **command)
{
	struct session s = {.control = NULL, .watch = -1};
	bool said;
	pid_t child;
	int status;

	if (!output_is_usable(options->output))
		return 2;

	if (!find_library(s.library, sizeof(s.library))) {
		fprintf(stderr,
			"perfhook: record: libperfhook.so was not found beside perfhook, in "
			"../lib nor in " PERFHOOK_LIBDIR "\n");
		return 2;
	}
	if (!make_control(&s))
		return complain("no shared memory for recording can be had in", "/dev/shm");
	if (!start_collector(&s))
		return complain("the collector could not be started", NULL);
	said = said_unrecorded(command[0]);
	s.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s.watch >= 0)
		inotify_add_watch(s.watch, s.library, IN_OPEN);
	fflush(NULL);
	child = fork();
	if (child < 0)
		return complain("the command could not be started", NULL);
	if (child == 0)
		run_command(&s, options, command);
	status = wait_for(child, options, command[0]);
	atomic_store(&s.control->root_status, status);
	atomic_store(&s.control->root_ended, 1);
	if (!said && atomic_load(&s.control->announced) == 0 &&
	    !(WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127)))
		say_unrecorded(&s, command[0]);
	if (atomic_load(&s.control->announced) > 0)
		say_traces(&s, options);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
