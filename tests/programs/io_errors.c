/* SPDX-License-Identifier: MIT */
/* Calls that fail, and errno: each error arrives as libc gives it, and a call
 * that succeeds leaves errno alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "truth.h"

#define SENTINEL 12345

#define FAILS(call, error)                                                                         \
	do {                                                                                       \
		errno = SENTINEL;                                                                  \
		expect((call) == -1 && errno == (error));                                          \
	} while (0)

#define LEAVES_ERRNO(call)                                                                         \
	do {                                                                                       \
		errno = SENTINEL;                                                                  \
		expect((call) && errno == SENTINEL);                                               \
	} while (0)

static unsigned errors;

static void bad_descriptor(char *buffer)
{
	struct iovec part = {buffer, 1};

	FAILS(read(99, buffer, 1), EBADF);
	FAILS(write(-1, buffer, 1), EBADF);
	FAILS(pread(99, buffer, 1, 0), EBADF);
	FAILS(readv(99, &part, 1), EBADF);
	errors += 4;
}

static void wrong_direction(char *buffer)
{
	int in = open("data", O_RDONLY | O_CREAT, 0644), ends[2] = {-1, -1};

	expect(in >= 0 && pipe(ends) == 0);
	FAILS(write(in, buffer, 1), EBADF);
	FAILS(pread(ends[0], buffer, 1, 0), ESPIPE);
	FAILS(read(ends[1], buffer, 1), EBADF);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	FAILS(read(ends[0], buffer, 1), EAGAIN);
	close(ends[0]);
	FAILS(write(ends[1], buffer, 1), EPIPE);
	errors += 5;
	truth("data.errors", 1);
	close(ends[1]);
	close(in);
}

static void sockets(char *buffer)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "nobody-listens"};
	int pair[2], lone = socket(AF_UNIX, SOCK_STREAM, 0);

	FAILS(connect(lone, (struct sockaddr *)&nowhere, sizeof(nowhere)), ENOENT);
	FAILS(accept(lone, NULL, NULL), EINVAL);
	FAILS(send(lone, buffer, 1, MSG_NOSIGNAL), ENOTCONN);
	/* No socket: counted with the files. */
	FAILS(recv(99, buffer, 1, 0), EBADF);
	errors++;
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	FAILS(recv(pair[0], buffer, 1, MSG_DONTWAIT), EAGAIN);
	close(pair[1]);
	FAILS(send(pair[0], buffer, 1, MSG_NOSIGNAL), EPIPE);
	truth("socket_errors", 3);
	close(pair[0]);
	close(lone);
}

static void descriptors(void)
{
	int *volatile nowhere = (int *)8;
	FILE *file;

	FAILS(open("no/such/file", O_RDONLY), ENOENT);
	FAILS(openat(99, "relative", O_RDONLY), EBADF);
	FAILS(creat("/proc/cannot", 0644), ENOENT);
	FAILS(close(99), EBADF);
	FAILS(close(-1), EBADF);
	FAILS(dup(99), EBADF);
	FAILS(dup2(99, 5), EBADF);
	FAILS(dup3(1, 1, 0), EINVAL);
	FAILS(pipe(nowhere), EFAULT);
	FAILS(socket(-1, 0, 0), EAFNOSUPPORT);
	errno = SENTINEL;
	file = fopen("no/such/file", "r");
	expect(file == NULL && errno == ENOENT);
}

static void successes(char *buffer)
{
	int fd, copy, ends[2];
	void *p;

	LEAVES_ERRNO((fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644)) >= 0);
	LEAVES_ERRNO(write(fd, buffer, 64) == 64);
	LEAVES_ERRNO(pread(fd, buffer, 64, 0) == 64);
	LEAVES_ERRNO(read(fd, buffer, 64) == 0);
	LEAVES_ERRNO((copy = dup(fd)) >= 0);
	LEAVES_ERRNO(close(copy) == 0);
	LEAVES_ERRNO(close(fd) == 0);
	LEAVES_ERRNO(pipe(ends) == 0);
	LEAVES_ERRNO(close(ends[0]) == 0 && close(ends[1]) == 0);
	LEAVES_ERRNO((p = keep(malloc(1000))) != NULL);
	LEAVES_ERRNO((p = keep(realloc(p, 100000))) != NULL);
	errno = SENTINEL;
	free(p);
	expect(errno == SENTINEL);
}

int main(int argc, char **argv)
{
	char buffer[64] = "";

	truth_begin(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (baseline)
		return 0;
	bad_descriptor(buffer);
	wrong_direction(buffer);
	sockets(buffer);
	descriptors();
	successes(buffer);
	truth("read_write_errors", errors);
	return wrongs != 0;
}
