/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers that leave by siglongjmp, out of write and of blocked reads
 * (both may be left like that, malloc may not). Afterwards, without signals,
 * everything that is done has to be recorded: whatever an interrupted call had
 * begun must not stand in the way of the next.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "truth.h"

enum { JUMPS = 2000, AFTER = 1000 };

static sigjmp_buf back;
static volatile sig_atomic_t jumps;
/* Counted in one place, after the call: a jump leaves these as they are. */
static volatile unsigned long long returned;

static void handle(int number)
{
	(void)number;
	/* Then nobody waits there any more. */
	if (jumps >= JUMPS)
		return;
	jumps++;
	siglongjmp(back, 1);
}

static void storm(int microseconds)
{
	struct itimerval t = {{0, microseconds}, {0, microseconds}};

	setitimer(ITIMER_REAL, &t, NULL);
}

/* Blocks where the jumps are even, writes where they are odd. */
static void be_interrupted(int out, int empty)
{
	char byte;

	sigsetjmp(back, 1);
	while (jumps < JUMPS) {
		if (jumps % 2 == 0) {
			expect(read(empty, &byte, 1) == 1);
		} else {
			expect(write(out, "w", 1) == 1);
			returned++;
		}
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	int during, after, ends[2] = {-1, -1};
	struct tally tally = {0};

	truth_begin(argc, argv);
	during = open("during", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	after = open("after", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	expect(during >= 0 && after >= 0 && pipe(ends) == 0);
	sigaction(SIGALRM, &action, NULL);
	/* The first signal may not come before there is somewhere to go. */
	if (sigsetjmp(back, 1) == 0)
		storm(100);
	be_interrupted(during, ends[0]);
	signal(SIGALRM, SIG_IGN);
	storm(0);
	for (int i = 0; i < AFTER; i++) {
		void *p = take(24);

		tally_alloc(&tally, 24);
		expect(write(after, "after", 5) == 5);
		if (i % 10 != 0) {
			free(p);
			tally_free(&tally, 24);
		}
	}
	truth("during.returned", returned);
	truth("during.in_the_file", (unsigned long long)lseek(during, 0, SEEK_END));
	truth("jumps", (unsigned long long)jumps);
	truth("after.written_bytes", AFTER * 5);
	tally_say(&tally);
	return wrongs != 0;
}
