/* SPDX-License-Identifier: MIT */
/*
 * Children by vfork, which run on their parent's memory: they close and
 * duplicate descriptors, as python's subprocess does, then become another
 * program or end. The parent's descriptors and counts must not change by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "truth.h"

enum { ROUNDS = 20 };

/* noinline: the frame that vfork returns into must still be there. */
__attribute__((noinline)) static pid_t begin(int fd, char *const *command)
{
	pid_t child = vfork();

	if (child == 0) {
		close(fd);
		dup2(2, 50);
		if (command != NULL)
			execv(command[0], command);
		_exit(7);
	}
	called("vfork");
	return child;
}

static int ended(pid_t child)
{
	int status = -1;

	expect(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	char *const truly[] = {"/bin/true", NULL}, *const falsely[] = {"/bin/false", NULL};
	int fd = open("data", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	struct tally tally = {0};

	truth_begin(argc, argv);
	for (int i = 0; i < ROUNDS; i++) {
		void *p = take(200);

		tally_alloc(&tally, 200);
		expect(ended(begin(fd, NULL)) == 7);
		expect(ended(begin(fd, truly)) == 0);
		expect(ended(begin(fd, falsely)) == 1);
		/* The child's close was of its own descriptor. */
		expect(write(fd, "still open", 10) == 10);
		errno = 0;
		expect(fcntl(50, F_GETFD) == -1 && errno == EBADF);
		if (i % 2 == 0) {
			free(p);
			tally_free(&tally, 200);
		}
	}
	truth("data.written_bytes", ROUNDS * 10);
	truth("data.write_calls", ROUNDS);
	tally_say(&tally);
	called_say();
	return wrongs != 0;
}
