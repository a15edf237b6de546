/* SPDX-License-Identifier: MIT */
/*
 * calls WHAT FILE COUNT: one call of one byte, COUNT times, under ten frames.
 * WHAT is zero (reads of /dev/zero), read or write (a file), send or recv (a
 * socket pair; what has to stand at the other end is moved in large pieces), lock (a
 * mutex that is free, which is unlocked again: a call is both).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/programs/said.h"

enum { FRAMES = 10, PIECE = 4096 };

static const char *what;
static int fd, other;
static unsigned long count, made;
static void *kept;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Each piece's send and recv are calls too: one in 4096. */
static void one_piece(unsigned long n)
{
	char piece[PIECE], byte = 'x';

	memset(piece, 'x', sizeof(piece));
	if (strcmp(what, "send") == 0) {
		for (unsigned long i = 0; i < n; i++)
			made += send(fd, &byte, 1, 0) == 1;
		for (ssize_t got = 0, k; got < (ssize_t)n; got += k)
			if ((k = recv(other, piece, sizeof(piece), 0)) <= 0)
				exit(1);
	} else if (strcmp(what, "recv") == 0) {
		if (send(other, piece, n, 0) != (ssize_t)n)
			exit(1);
		for (unsigned long i = 0; i < n; i++)
			made += recv(fd, &byte, 1, 0) == 1;
	} else if (strcmp(what, "lock") == 0) {
		for (unsigned long i = 0; i < n; i++)
			made += pthread_mutex_lock(&mutex) == 0 &&
				pthread_mutex_unlock(&mutex) == 0;
	} else if (strcmp(what, "write") == 0) {
		for (unsigned long i = 0; i < n; i++)
			made += write(fd, &byte, 1) == 1;
	} else {
		for (unsigned long i = 0; i < n; i++)
			made += read(fd, &byte, 1) == 1;
	}
}

/* A stream socket's queue counts more than the bytes in it: 128 of one byte always fit. */
__attribute__((noinline)) static void deeper(unsigned left)
{
	if (left > 0) {
		deeper(left - 1);
		__asm__ volatile("" : : "r"(left));
		return;
	}
	kept = malloc(100000);
	for (unsigned long step = strcmp(what, "send") == 0 ? 128 : PIECE; made < count;)
		one_piece(step < count - made ? step : count - made);
}

static int open_what(const char *path)
{
	int pair[2];

	if (strcmp(what, "zero") == 0)
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (strcmp(what, "read") == 0)
		return open(path, O_RDONLY | O_CLOEXEC);
	if (strcmp(what, "write") == 0)
		return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	other = pair[1];
	return pair[0];
}

int main(int argc, char **argv)
{
	double start;

	if (argc != 4)
		return 2;
	what = argv[1];
	count = strtoul(argv[3], NULL, 10);
	fd = open_what(argv[2]);
	if (fd < 0)
		return 1;
	start = cpu_ns();
	deeper(FRAMES - 2);
	say(cpu_ns() - start, made, 1, 0, FRAMES, 0);
	return made == count ? 0 : 1;
}
