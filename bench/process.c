/* SPDX-License-Identifier: MIT */
#include "bench/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_STARTED = 8, MAX_WORDS = 64 };

struct place place;
static unsigned limit;
/* The groups that run now: a signal's handler must know them. */
static volatile pid_t started[MAX_STARTED];
static volatile sig_atomic_t too_long;

static void kill_all(void)
{
	for (unsigned i = 0; i < MAX_STARTED; i++)
		if (started[i] > 0)
			kill(-started[i], SIGKILL);
}

static void on_alarm(int signal)
{
	(void)signal;
	too_long = 1;
	kill_all();
}

static void on_end(int signal)
{
	kill_all();
	_exit(128 + signal);
}

void process_setup(unsigned limit_s)
{
	static const char *const unwanted[] = {
		"LD_PRELOAD",		"PERFHOOK_OUT",	     "PERFHOOK_EVENTS", "PERFHOOK_DEPTH",
		"PERFHOOK_START",	"PERFHOOK_OVERFLOW", "PERFHOOK_RING",	"PERFHOOK_CHILDREN",
		"PERFHOOK_FREE_STACKS", "PERFHOOK_ROOT",     "DEBUGINFOD_URLS", "MAKEFLAGS",
		"PYTHONPATH",
	};
	struct sigaction action = {.sa_handler = on_alarm};

	limit = limit_s;
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = on_end;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		unsetenv(unwanted[i]);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		perror("bench: prctl");
}

double wall_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

unsigned core_count(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* The n-th of the cores that we may use. */
static void hold(pid_t pid, int n)
{
	static cpu_set_t ours;
	static bool known;
	cpu_set_t one;

	if (!known)
		known = sched_getaffinity(0, sizeof(ours), &ours) == 0;
	if (n < 0 || CPU_COUNT(&ours) < 2)
		return;
	CPU_ZERO(&one);
	for (int core = 0; core < CPU_SETSIZE; core++)
		if (CPU_ISSET(core, &ours) && n-- == 0)
			CPU_SET(core, &one);
	sched_setaffinity(pid, sizeof(one), &one);
}

static void redirect(const char *path, int flags, int to)
{
	int fd;

	path = path != NULL ? path : "/dev/null";
	fd = open(path, flags, 0600);
	if (fd < 0 || dup2(fd, to) < 0) {
		perror(path);
		_exit(126);
	}
	close(fd);
}

/* NAME=VALUE, and no path that has such a sign in it. */
static bool is_variable(const char *word)
{
	return word[strcspn(word, "=/")] == '=';
}

static void become(const struct command *c)
{
	char *const *argv = c->argv;

	setpgid(0, 0);
	hold(0, c->core);
	redirect(c->in, O_RDONLY, 0);
	redirect(c->out, O_WRONLY | O_CREAT | O_TRUNC, 1);
	if (c->err != NULL)
		redirect(c->err, O_WRONLY | O_CREAT | O_TRUNC, 2);
	for (; *argv != NULL && is_variable(*argv); argv++)
		putenv(*argv);
	for (const char *const *env = c->env; env != NULL && *env != NULL; env++)
		putenv((char *)*env);
	if (*argv != NULL) {
		execvp(*argv, argv);
		perror(*argv);
	}
	_exit(127);
}

pid_t process_start(const struct command *c)
{
	pid_t pid;

	alarm(limit);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(c);
	if (pid > 0)
		setpgid(pid, pid);
	for (unsigned i = 0; i < MAX_STARTED && pid > 0; i++)
		if (started[i] == 0) {
			started[i] = pid;
			break;
		}
	return pid;
}

static bool wait_for(pid_t which, pid_t *got, struct usage *u)
{
	struct rusage r;
	int status;

	while ((*got = wait4(which, &status, 0, &r)) < 0 && errno == EINTR)
		;
	if (*got < 0)
		return false;
	for (unsigned i = 0; i < MAX_STARTED; i++)
		if (started[i] == *got)
			started[i] = 0;
	u->cpu_s = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
		   (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
	u->rss_kib = r.ru_maxrss;
	u->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

bool process_wait(pid_t pid, struct usage *u)
{
	pid_t got;

	return pid > 0 && wait_for(pid, &got, u) && !too_long;
}

bool process_wait_all(struct usage *sum)
{
	bool fine = !too_long;
	struct usage u;
	pid_t got;

	*sum = (struct usage){.status = 0};
	while (wait_for(-1, &got, &u)) {
		sum->cpu_s += u.cpu_s;
		if (u.status != 0)
			sum->status = u.status;
	}
	fine = fine && !too_long;
	alarm(0);
	too_long = 0;
	return fine;
}

/* The parent stands after the name in brackets and the state: proc(5). */
static pid_t parent_of(const char *pid)
{
	char path[300], line[512];
	const char *end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL && (end = strrchr(line, ')')) != NULL &&
	    strlen(end) > 4)
		parent = (int)strtol(end + 4, NULL, 10);
	fclose(f);
	return parent;
}

static bool is_started(pid_t pid)
{
	for (unsigned i = 0; i < MAX_STARTED; i++)
		if (started[i] == pid)
			return true;
	return false;
}

static bool hold_those_there(int core)
{
	DIR *d = opendir("/proc");
	bool any = false;

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (!isdigit((unsigned char)e->d_name[0]) || is_started(pid) ||
		    parent_of(e->d_name) != getpid())
			continue;
		hold(pid, core);
		any = true;
	}
	if (d != NULL)
		closedir(d);
	return any;
}

void process_hold_adopted(int core, int wait_ms)
{
	for (double end = wall_s() + wait_ms / 1e3; wall_s() < end && !hold_those_there(core);)
		usleep(500);
}

/* ---- text ----------------------------------------------------------------- */

char *text_of(const char *format, ...)
{
	char *s = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&s, format, args) < 0)
		abort();
	va_end(args);
	return s;
}

static const char *replacement(char letter)
{
	return letter == 'b' ? place.build : letter == 'i' ? place.inputs : place.programs;
}

static char *one_word(const char *from, size_t length)
{
	char *word = text_of("%.*s", (int)length, from), *at;

	while ((at = strchr(word, '%')) != NULL && at[1] != '\0') {
		char *longer =
			text_of("%.*s%s%s", (int)(at - word), word, replacement(at[1]), at + 2);

		free(word);
		word = longer;
	}
	return word;
}

char **words_of(const char *line)
{
	char **words = calloc(MAX_WORDS + 1, sizeof(*words));

	if (words == NULL)
		abort();
	for (size_t n = 0; n < MAX_WORDS && *(line += strspn(line, " ")) != '\0'; n++) {
		size_t length = strcspn(line, " ");

		words[n] = one_word(line, length);
		line += length;
	}
	return words;
}

void words_free(char **words)
{
	for (char **w = words; *w != NULL; w++)
		free(*w);
	free(words);
}
