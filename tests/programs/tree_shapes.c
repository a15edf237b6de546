/* SPDX-License-Identifier: MIT */
/*
 * Trees of processes that know what they hold:
 *   tree_shapes prefork N   N workers leak at one line what their parent does not have
 *   tree_shapes double      a child's child, which outlives its parent
 *   tree_shapes peaks       the tree's peak is neither process's own
 *   tree_shapes leak        one process, leaking at the workers' line
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "truth.h"

enum {
	BEFORE = 10,
	BEFORE_SIZE = 1000,
	LEAKS = 5,
	LEAK_SIZE = 100,
	DAEMON_SIZE = 700,
	MIB = 1 << 20,
};

static void *kept[BEFORE];

__attribute__((noinline)) static void before_the_forks(void)
{
	for (int i = 0; i < BEFORE; i++)
		kept[i] = take(BEFORE_SIZE);
}

__attribute__((noinline)) static void leak_here(void)
{
	for (int i = 0; i < LEAKS; i++)
		keep(take(LEAK_SIZE));
}

__attribute__((noinline)) static void daemon_leaks(void)
{
	keep(take(DAEMON_SIZE));
}

static void prefork(int workers)
{
	int fd = open("shared", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644), status;

	before_the_forks();
	for (int i = 0; i < workers; i++) {
		if (fork() != 0)
			continue;
		/* What the child gives back of its parent's is no leak less. */
		free(kept[0]);
		leak_here();
		expect(write(fd, "worker", 6) == 6);
		exit(wrongs != 0);
	}
	while (wait(&status) > 0)
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	truth("workers", (unsigned)workers);
	truth("before.bytes", BEFORE * BEFORE_SIZE);
	truth("leaked.bytes", (unsigned)workers * LEAKS * LEAK_SIZE);
	truth("leaked.blocks", (unsigned)workers * LEAKS);
	truth("written", (unsigned)workers * 6);
}

static void wait_for(int fd)
{
	char byte;

	while (read(fd, &byte, 1) == 1)
		;
}

/* The pipe is at its end when the last of them is gone. */
static void double_fork(void)
{
	int ends[2], begun[2], status;
	pid_t middle;
	char byte;

	expect(pipe(ends) == 0 && pipe(begun) == 0);
	middle = fork();
	if (middle == 0) {
		pid_t parent = getpid();

		if (fork() != 0)
			_exit(wrongs != 0);
		close(begun[0]);
		while (getppid() == parent)
			usleep(1000);
		daemon_leaks();
		truth("daemon", (unsigned)getpid());
		exit(0);
	}
	close(ends[1]);
	close(begun[1]);
	expect(waitpid(middle, &status, 0) == middle);
	wait_for(ends[0]);
	expect(read(begun[0], &byte, 1) == 0);
	truth("middle", (unsigned)middle);
	truth("daemon.bytes", DAEMON_SIZE);
}

__attribute__((noinline)) static void *child_holds(void)
{
	return take(8 * MIB);
}

__attribute__((noinline)) static void *parent_holds(void)
{
	return take(4 * MIB);
}

__attribute__((noinline)) static void *parent_alone(void)
{
	return take(10 * MIB);
}

static void pass(int to)
{
	expect(write(to, "x", 1) == 1);
}

static void await(int from)
{
	char byte;

	expect(read(from, &byte, 1) == 1);
}

/* 4, 4 + 8, 4, nothing, 10: the most at one moment is 12. */
static void peaks(void)
{
	int there[2], back[2], status;
	pid_t child;
	void *p;

	expect(pipe(there) == 0 && pipe(back) == 0);
	child = fork();
	if (child == 0) {
		await(there[0]);
		p = child_holds();
		pass(back[1]);
		await(there[0]);
		free(p);
		exit(wrongs != 0);
	}
	p = parent_holds();
	pass(there[1]);
	await(back[0]);
	pass(there[1]);
	expect(waitpid(child, &status, 0) == child && WIFEXITED(status));
	/* A call that is recorded, so that what follows is known to come later. */
	close(back[1]);
	wait_for(back[0]);
	free(p);
	free(keep(parent_alone()));
	truth("peak", 12 * MIB);
	truth("child", (unsigned)child);
}

int main(int argc, char **argv)
{
	const char *shape = argc > 1 ? argv[1] : "";

	truth_begin(argc, argv);
	if (strcmp(shape, "prefork") == 0)
		prefork(argc > 2 ? atoi(argv[2]) : 4);
	else if (strcmp(shape, "double") == 0)
		double_fork();
	else if (strcmp(shape, "peaks") == 0)
		peaks();
	else if (strcmp(shape, "leak") == 0)
		leak_here();
	else
		return 2;
	return wrongs != 0;
}
