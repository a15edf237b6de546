/* SPDX-License-Identifier: MIT */
/*
 * Starts a program in one of the ways there are, with an environment that is kept,
 * emptied, or keeps only LD_PRELOAD: starts WAY ENVIRONMENT PROGRAM. Its status is
 * the program's.
 */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "truth.h"

static char *only_preload[2], *nothing[1];
static char **environment;
static char *arguments[2];

static int status_of(pid_t child)
{
	int status = -1;

	expect(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int by_exec(void)
{
	execve(arguments[0], arguments, environment);
	return 99;
}

static int by_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(by_exec());
	return status_of(child);
}

/* noinline: the frame that vfork returns into must still be there. */
__attribute__((noinline)) static pid_t begin_vfork(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execve(arguments[0], arguments, environment);
		_exit(99);
	}
	return child;
}

static int by_vfork(void)
{
	return status_of(begin_vfork());
}

static int by_spawn(void)
{
	pid_t child = 0;

	expect(posix_spawn(&child, arguments[0], NULL, NULL, arguments, environment) == 0);
	return status_of(child);
}

static int exec_in_clone(void *unused)
{
	(void)unused;
	_exit(by_exec());
}

static int by_clone(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	return status_of(clone(exec_in_clone, stack + sizeof(stack), SIGCHLD, NULL));
}

/* clone() as a vfork: on the same memory, with a stack of its own. */
static int by_clone_vm(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	return status_of(clone(exec_in_clone, stack + sizeof(stack),
			       CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

/* A failure first, then the real thing. */
static int after_failure(void)
{
	execve("/no/such/program", arguments, nothing);
	return by_exec();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*start)(void);
	} ways[] = {{"exec", by_exec},	     {"fork", by_fork},	  {"vfork", by_vfork},
		    {"spawn", by_spawn},     {"clone", by_clone}, {"clone_vm", by_clone_vm},
		    {"again", after_failure}};

	if (argc < 4)
		return 98;
	arguments[0] = argv[3];
	environment = strcmp(argv[2], "kept") == 0 ? environ : nothing;
	for (char **e = environ; strcmp(argv[2], "preload") == 0 && *e != NULL; e++) {
		if (strncmp(*e, "LD_PRELOAD=", 11) == 0) {
			only_preload[0] = *e;
			environment = only_preload;
		}
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]) == 0) {
			int status = ways[i].start();

			/* Something after it: a vfork's child is told of at the next call. */
			expect(write(2, "", 0) == 0);
			return status != 0 ? status : wrongs;
		}
	}
	return 97;
}
