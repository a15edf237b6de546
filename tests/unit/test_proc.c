/* SPDX-License-Identifier: MIT */
/* What /proc and pidfds say: of ourselves, of a thread, of children that end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/proc.h"
#include "trace/segment.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define ODD_NAME "a b) 7 (c) Z 1"

/* A child that waits until it is killed, or until told to end with `status`. */
struct child {
	pid_t pid;
	int tell;
};

static struct child begin(void)
{
	int ends[2];
	struct child c;
	unsigned char status;

	assert_int_equal(pipe(ends), 0);
	c.pid = fork();
	if (c.pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &status, 1) == 1 ? status : 255);
	}
	assert_true(c.pid > 0);
	close(ends[0]);
	c.tell = ends[1];
	return c;
}

/* It becomes a zombie, and stays one. */
static void wait_for_zombie(struct child *c)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT), 0);
	close(c->tell);
}

static void end_with(struct child *c, unsigned char status)
{
	assert_int_equal(write(c->tell, &status, 1), 1);
	wait_for_zombie(c);
}

static void kill_with(struct child *c, int sig)
{
	assert_int_equal(kill(c->pid, sig), 0);
	wait_for_zombie(c);
}

static int reap(struct child *c)
{
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	return status;
}

/* Field 22 where the command's name is one word. */
static uint64_t start_of_plain_name(void)
{
	FILE *stat = fopen("/proc/self/stat", "r");
	char field[64] = "";

	assert_non_null(stat);
	for (int i = 0; i < 22; i++)
		assert_int_equal(fscanf(stat, "%63s", field), 1);
	fclose(stat);
	return strtoull(field, NULL, 10);
}

static void test_io_counts(void **state)
{
	struct ph_io_count before, after, threads;
	char bytes[5000] = {0};
	int fd = proc_io_open(getpid()), ends[2];
	struct child c;

	(void)state;
	assert_true(fd >= 0 && pipe(ends) == 0);
	assert_true(proc_io_read(fd, &before));
	assert_int_equal(write(ends[1], bytes, 5000), 5000);
	assert_int_equal(read(ends[0], bytes, 3000), 3000);
	assert_true(proc_io_read(fd, &after));
	assert_int_equal(after.written - before.written, 5000);
	/* With what looking cost. */
	assert_in_range(after.read - before.read, 3000, 3400);
	assert_true(proc_io_threads(getpid(), &threads));
	assert_true(threads.written <= after.written && threads.written >= 5000);
	close(fd);
	/* Kept open it tells of a zombie, and of nobody once that is gone. */
	c = begin();
	fd = proc_io_open(c.pid);
	end_with(&c, 3);
	assert_true(proc_io_read(fd, &after));
	assert_int_equal(after.read, 1);
	reap(&c);
	assert_false(proc_io_read(fd, &after));
	assert_false(proc_io_threads(c.pid, &after));
	assert_false(proc_io_read(-1, &after));
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

static void test_reaped(void **state)
{
	struct child c = begin();
	pid_t parent;
	int status;

	(void)state;
	assert_false(proc_has_reaped(c.pid));
	kill_with(&c, SIGKILL);
	reap(&c);
	assert_true(proc_has_reaped(getpid()));
	parent = fork();
	if (parent == 0)
		_exit(proc_has_reaped(getpid()));
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
}

static void test_anonymous(void **state)
{
	int fd;

	(void)state;
	assert_false(proc_has_anonymous(getpid(), "[eventfd]"));
	fd = eventfd(0, 0);
	assert_true(proc_has_anonymous(getpid(), "[eventfd]"));
	assert_false(proc_has_anonymous(getpid(), "[event"));
	close(fd);
	assert_false(proc_has_anonymous(getpid(), "[eventfd]"));
}

static void test_start_time(void **state)
{
	uint64_t own;
	struct child c;

	(void)state;
	prctl(PR_SET_NAME, "plain");
	own = start_of_plain_name();
	assert_true(own > 0);
	assert_true(proc_start_time(getpid()) == own);
	/* The name must not shift the fields. */
	prctl(PR_SET_NAME, ODD_NAME);
	assert_true(proc_start_time(getpid()) == own);
	c = begin();
	assert_true(proc_start_time(c.pid) >= own);
	assert_true(proc_alive(c.pid, proc_start_time(c.pid)));
	kill_with(&c, SIGKILL);
	reap(&c);
	assert_true(proc_start_time(c.pid) == 0);
	prctl(PR_SET_NAME, "plain");
}

static void test_alive(void **state)
{
	struct child c;
	uint64_t start;

	(void)state;
	assert_true(proc_alive(getpid(), 0));
	assert_true(proc_alive(getpid(), proc_start_time(getpid())));
	assert_false(proc_alive(getpid(), proc_start_time(getpid()) + 1));
	assert_false(proc_alive(INT_MAX, 0));
	prctl(PR_SET_NAME, ODD_NAME);
	c = begin();
	prctl(PR_SET_NAME, "plain");
	start = proc_start_time(c.pid);
	assert_true(proc_alive(c.pid, 0));
	assert_true(proc_alive(c.pid, start));
	/* As if the number had been given to another process. */
	assert_false(proc_alive(c.pid, start - 1));
	kill_with(&c, SIGKILL);
	assert_false(proc_alive(c.pid, 0));
	assert_false(proc_alive(c.pid, start));
	reap(&c);
	assert_false(proc_alive(c.pid, start));
}

/* ---- threads --------------------------------------------------------------- */

struct guest {
	pthread_t thread;
	sem_t known, leave;
	pid_t tid;
};

static void *stay(void *argument)
{
	struct guest *g = argument;

	prctl(PR_SET_NAME, ODD_NAME);
	g->tid = gettid();
	sem_post(&g->known);
	while (sem_wait(&g->leave) != 0)
		;
	return NULL;
}

static void test_threads(void **state)
{
	struct guest g;
	char name[64], short_name[4];

	(void)state;
	sem_init(&g.known, 0, 0);
	sem_init(&g.leave, 0, 0);
	assert_int_equal(pthread_create(&g.thread, NULL, stay, &g), 0);
	while (sem_wait(&g.known) != 0)
		;
	assert_true(proc_thread_alive(getpid(), getpid()));
	assert_true(proc_thread_alive(getpid(), g.tid));
	proc_thread_name(getpid(), g.tid, name, sizeof(name));
	assert_string_equal(name, ODD_NAME);
	proc_thread_name(getpid(), g.tid, short_name, sizeof(short_name));
	assert_string_equal(short_name, "a b");
	prctl(PR_SET_NAME, "plain");
	proc_thread_name(getpid(), getpid(), name, sizeof(name));
	assert_string_equal(name, "plain");
	sem_post(&g.leave);
	pthread_join(g.thread, NULL);
	/* The kernel tells the joiner a little before the thread is gone. */
	while (proc_thread_alive(getpid(), g.tid))
		usleep(1000);
	proc_thread_name(getpid(), g.tid, name, sizeof(name));
	assert_string_equal(name, "");
	sem_destroy(&g.known);
	sem_destroy(&g.leave);
}

static void test_threads_of_others(void **state)
{
	struct child c = begin();

	(void)state;
	assert_true(proc_thread_alive(c.pid, c.pid));
	assert_false(proc_thread_alive(getpid(), c.pid));
	assert_false(proc_thread_alive(c.pid, getpid()));
	kill_with(&c, SIGKILL);
	reap(&c);
	assert_false(proc_thread_alive(c.pid, c.pid));
}

/* ---- ends ------------------------------------------------------------------ */

static void test_pidfd(void **state)
{
	struct child c = begin();
	int pidfd = proc_open(c.pid);
	uint64_t start = proc_start_time(c.pid);

	(void)state;
	assert_true(pidfd >= 0);
	assert_false(proc_ended(pidfd, c.pid, start));
	assert_false(proc_ended(-1, c.pid, start));
	/* Another process of that number. */
	assert_true(proc_ended(-1, c.pid, start + 1));
	end_with(&c, 0);
	assert_true(proc_ended(pidfd, c.pid, start));
	reap(&c);
	assert_true(proc_ended(pidfd, c.pid, start));
	close(pidfd);
	assert_int_equal(proc_open(c.pid), -1);
	assert_true(proc_ended(-1, c.pid, start));
}

static void test_wait_status(void **state)
{
	static const struct {
		int sig;
		unsigned char exit_status;
	} ends[] = {{0, 3}, {0, 255}, {SIGKILL, 0}, {SIGTERM, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct child c = begin();
		int pidfd = proc_open(c.pid), status = -1, expected;

		assert_false(proc_wait_status(pidfd, c.pid, &status));
		if (ends[i].sig != 0)
			kill_with(&c, ends[i].sig);
		else
			end_with(&c, ends[i].exit_status);
		assert_true(proc_wait_status(pidfd, c.pid, &status));
		/* Without a pidfd the zombie tells. */
		assert_true(proc_wait_status(-1, c.pid, &expected));
		assert_int_equal(status, expected);
		expected = reap(&c);
		assert_int_equal(status, expected);
		if (ends[i].sig != 0)
			assert_int_equal(WTERMSIG(status), ends[i].sig);
		else
			assert_int_equal(WEXITSTATUS(status), ends[i].exit_status);
		assert_false(proc_wait_status(-1, c.pid, &status));
		close(pidfd);
	}
}

/* Without a pidfd, too: the zombie's zero is no refusal, since we may ask. */
static void test_wait_status_zero(void **state)
{
	struct child c = begin();
	int pidfd = proc_open(c.pid), status = -1;

	(void)state;
	end_with(&c, 0);
	assert_true(proc_wait_status(-1, c.pid, &status));
	assert_int_equal(status, 0);
	status = -1;
	assert_true(proc_wait_status(pidfd, c.pid, &status));
	assert_int_equal(status, 0);
	assert_int_equal(reap(&c), 0);
	assert_false(proc_wait_status(-1, c.pid, &status));
	close(pidfd);
}

/* To a stranger the kernel says zero, whatever it was. */
static void test_wait_status_refused(void **state)
{
	struct child c;
	int status = -1;
	bool known;

	(void)state;
	if (geteuid() != 0)
		skip();
	c = begin();
	end_with(&c, 3);
	assert_int_equal(seteuid(65534), 0);
	known = proc_wait_status(-1, c.pid, &status);
	assert_int_equal(seteuid(0), 0);
	assert_false(known);
	assert_int_equal(reap(&c), 3 << 8);
}

static void test_link(void **state)
{
	char out[PATH_MAX], direct[PATH_MAX] = "", small[5];

	(void)state;
	assert_true(readlink("/proc/self/exe", direct, sizeof(direct) - 1) > 4);
	assert_true(proc_link("/proc/self/exe", out, sizeof(out)));
	assert_string_equal(out, direct);
	assert_true(proc_link("/proc/self/exe", small, sizeof(small)));
	assert_int_equal(strlen(small), 4);
	assert_int_equal(strncmp(small, direct, 4), 0);
	assert_false(proc_link("/proc/self/no-such-link", out, sizeof(out)));
	assert_string_equal(out, "");
	assert_false(proc_link("/proc/self/stat", out, sizeof(out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_time),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_threads_of_others),
		cmocka_unit_test(test_pidfd),
		cmocka_unit_test(test_wait_status),
		cmocka_unit_test(test_wait_status_zero),
		cmocka_unit_test(test_wait_status_refused),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_io_counts),
		cmocka_unit_test(test_reaped),
		cmocka_unit_test(test_anonymous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
