/* SPDX-License-Identifier: MIT */
/*
 * fork_in_handler FORKS: a handler forks wherever it comes, also amid hooks; the child
 * goes on where its parent was interrupted, makes calls and ends. Each child must end
 * well, and the parent's figures must be its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/programs/truth.h"

#define EVERY_US 700

static volatile sig_atomic_t is_child, forks, most;

static void on_alarm(int signal)
{
	(void)signal;
	if (is_child || forks >= most)
		return;
	forks++;
	is_child = fork() == 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval timer = {{0, EVERY_US}, {0, EVERY_US}};
	int fd = open("written", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	unsigned long written = 0, blocks = 0;
	int left = 300, ended = 0, bad = 0;
	pid_t parent = getpid();

	most = argc > 1 ? atoi(argv[1]) : 100;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (ended < most) {
		void *volatile block = malloc(100 + blocks % 50);
		int status;

		free(block);
		blocks++;
		if (is_child) {
			if (write(fd, "c", 1) != 1 || --left == 0)
				_exit(left != 0);
			continue;
		}
		if (write(fd, "p", 1) == 1)
			written++;
		while (!is_child && waitpid(-1, &status, WNOHANG) > 0) {
			ended++;
			bad += status != 0;
		}
	}
	if (getpid() != parent)
		_exit(0);
	truth("ended", (unsigned long long)ended);
	truth("bad", (unsigned long long)bad);
	truth("written", (unsigned long long)written);
	return 0;
}
