/* SPDX-License-Identifier: MIT */
/* Starts three children and waits for any child until there is none: nobody
 * else's may be among them, and no other SIGCHLD may come. "reaper PROGRAM…": be
 * one that inherits orphans, and become PROGRAM. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "truth.h"

static volatile sig_atomic_t child_signals;

static void count_signal(int number)
{
	(void)number;
	child_signals++;
}

static int wait_for_all(void)
{
	int count = 0, status, sum = 0;

	for (int i = 1; i <= 3; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(i);
		/* One after the other: signals of two that end together become one. */
		expect(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT) == 0);
	}
	while (wait(&status) > 0) {
		count++;
		sum += WEXITSTATUS(status);
	}
	expect(errno == ECHILD);
	truth("children", (unsigned long long)count);
	truth("sum_of_statuses", (unsigned long long)sum);
	truth("signals", (unsigned long long)child_signals);
	return wrongs != 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "reaper") == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		execv(argv[2], argv + 2);
		return 127;
	}
	signal(SIGCHLD, count_signal);
	return wait_for_all();
}
