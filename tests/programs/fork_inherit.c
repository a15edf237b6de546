/* SPDX-License-Identifier: MIT */
/* A child that frees and keeps some of what its parent allocated before the
 * fork, and allocates itself. Both print what is theirs. */
#include <fcntl.h>
#include <sys/wait.h>

#include "truth.h"

enum { BLOCKS = 10, SIZE = 1000, CHILD_FREES = 4, CHILD_BLOCKS = 3, CHILD_SIZE = 111 };

static void *blocks[BLOCKS];

__attribute__((noinline)) static void before_the_fork(void)
{
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = take(SIZE);
}

__attribute__((noinline)) static void in_the_child(void)
{
	for (int i = 0; i < CHILD_FREES; i++)
		free(blocks[i]);
	for (int i = 0; i < CHILD_BLOCKS; i++)
		blocks[i] = take(CHILD_SIZE);
}

int main(int argc, char **argv)
{
	int fd = open("shared", O_WRONLY | O_CREAT | O_TRUNC, 0644), status = -1;
	pid_t child;

	truth_begin(argc, argv);
	before_the_fork();
	expect(write(fd, "parent", 6) == 6);
	child = fork();
	if (child == 0) {
		in_the_child();
		expect(write(fd, "child", 5) == 5);
		exit(wrongs != 0 ? 1 : 21);
	}
	expect(waitpid(child, &status, 0) == child && WIFEXITED(status));
	expect(WEXITSTATUS(status) == 21);
	expect(write(fd, "more", 4) == 4);
	truth("child", (unsigned long long)child);
	truth("parent.live_bytes", BLOCKS * SIZE);
	truth("child.live_bytes", (BLOCKS - CHILD_FREES) * SIZE + CHILD_BLOCKS * CHILD_SIZE);
	truth("child.live_blocks", BLOCKS - CHILD_FREES + CHILD_BLOCKS);
	truth("child.frees", CHILD_FREES);
	truth("child.own_bytes", CHILD_BLOCKS * CHILD_SIZE);
	truth("parent.written_bytes", 10);
	truth("child.written_bytes", 5);
	return wrongs != 0;
}
