/* SPDX-License-Identifier: MIT */
/*
 * Forks of every kind while other threads allocate: fork(), _Fork(), the system
 * calls fork and clone. The children of the raw ones may only do what a signal
 * handler may; they write to a file and end. The parent's own count has to come
 * out exactly.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lane.h"
#include "truth.h"

enum { THREADS = 3, ROUNDS = 10, WRITES = 10 };

static struct lane lanes[THREADS];
static struct tally tallies[THREADS];
static atomic_bool stop;

static void *allocate(void *argument)
{
	struct tally *t = argument;

	for (int i = 0; !atomic_load(&stop); i++) {
		void *p = take(64), *q = take(512);

		tally_alloc(t, 64);
		tally_alloc(t, 512);
		free(p);
		free(q);
		tally_free(t, 64);
		tally_free(t, 512);
		if (i % 100 == 0)
			usleep(500);
	}
	return NULL;
}

static pid_t by_fork(void)
{
	return fork();
}

static pid_t by_underscore_fork(void)
{
	return _Fork();
}

static pid_t by_fork_call(void)
{
	return (pid_t)syscall(SYS_fork);
}

static pid_t by_clone_call(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t (*const ways[])(void) = {by_fork, by_underscore_fork, by_fork_call, by_clone_call};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static void in_the_child(int fd, int way)
{
	for (int i = 0; i < WRITES; i++) {
		if (write(fd, "c", 1) != 1)
			_exit(1);
	}
	/* After fork() alone, libc promises that this works. */
	if (way == 0)
		free(keep(malloc(100)));
	_exit(42);
}

int main(int argc, char **argv)
{
	int fd = open("children", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int own = open("parent", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct tally sum = {0};

	truth_begin(argc, argv);
	for (int i = 0; i < THREADS; i++)
		lane_start(&lanes[i], allocate, &tallies[i]);
	for (int i = 0; i < ROUNDS * WAYS; i++) {
		int status = -1;
		pid_t child = ways[i % WAYS]();

		if (child == 0)
			in_the_child(fd, i % WAYS);
		expect(child > 0 && write(own, "p", 1) == 1);
		expect(waitpid(child, &status, 0) == child);
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		lane_join(&lanes[i]);
		tally_add(&sum, &tallies[i]);
	}
	truth("forked", ROUNDS);
	truth("writes_of_a_child", WRITES);
	truth("parent_writes", ROUNDS * WAYS);
	truth("children_bytes", (unsigned long long)lseek(fd, 0, SEEK_END));
	tally_say(&sum);
	return wrongs != 0;
}
