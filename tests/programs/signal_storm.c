/* SPDX-License-Identifier: MIT */
/*
 * A timer's signals, thousands of them. "write": they interrupt a loop of
 * allocations, and each writes one byte. "malloc": they interrupt a blocked
 * read and what surrounds it (nothing that a handler's malloc could disturb),
 * and each allocates and frees; now and then one ends the read.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

#include "truth.h"

enum { SIGNALS = 3000, A_ROUND = 10 };

static volatile sig_atomic_t signals, wrong_in_handler;
static int out, ends[2];
static bool allocate_in_handler;
static struct tally tally;

static void handle(int number)
{
	int saved = errno;

	(void)number;
	signals++;
	if (allocate_in_handler) {
		free(take(48));
		tally_alloc(&tally, 48);
		tally_free(&tally, 48);
	}
	if (write(out, "s", 1) != 1)
		wrong_in_handler = 1;
	if (allocate_in_handler && signals % A_ROUND == 0 && write(ends[1], "e", 1) != 1)
		wrong_in_handler = 1;
	errno = saved;
}

static void storm(int microseconds)
{
	struct itimerval t = {{0, microseconds}, {0, microseconds}};

	setitimer(ITIMER_REAL, &t, NULL);
}

static void among_allocations(void)
{
	storm(100);
	for (size_t i = 0; signals < SIGNALS; i++) {
		size_t size = 16 + i % 200;
		void *p = take(size);

		tally_alloc(&tally, size);
		/* A kept one now and then, and each of the others freed. */
		if (i % 4096 != 0) {
			free(p);
			tally_free(&tally, size);
		}
		/* Keeps the number of events in bounds. */
		for (volatile int wait = 0; wait < 200; wait++)
			;
	}
	storm(0);
}

static void among_reads(void)
{
	unsigned long long reads = 0;
	sigset_t alarm_only, before;
	char byte;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm_only, &before);
	storm(100);
	while (signals < SIGNALS) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		expect(read(ends[0], &byte, 1) == 1);
		sigprocmask(SIG_BLOCK, &alarm_only, NULL);
		reads++;
	}
	storm(0);
	truth("reads", reads);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};

	truth_begin(argc, argv);
	allocate_in_handler = argc > 1 && strcmp(argv[1], "malloc") == 0;
	out = open("storm", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	expect(out >= 0 && pipe(ends) == 0);
	sigaction(SIGALRM, &action, NULL);
	if (allocate_in_handler)
		among_reads();
	else
		among_allocations();
	/* The last one may still have been under way. */
	signal(SIGALRM, SIG_IGN);
	expect(!wrong_in_handler);
	truth("storm.written_bytes", (unsigned long long)signals);
	tally_say(&tally);
	return wrongs != 0;
}
