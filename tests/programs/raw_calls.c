/* SPDX-License-Identifier: MIT */
/*
 * What libc's functions do, asked of the kernel by syscall(2): files in the working
 * directory, pipes and sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "truth.h"

static char buffer[5000];
static struct iovec two[] = {{buffer, 300}, {buffer, 400}};

static void written(const char *name, unsigned long long bytes)
{
	say("truth: written.%s=%llu\n", name, bytes);
}

static void files(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "raw", O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(syscall(SYS_write, fd, buffer, 5000) == 5000);
	expect(syscall(SYS_pwrite64, fd, buffer, 2000, 100) == 2000);
	expect(syscall(SYS_writev, fd, two, 2) == 700);
	expect(syscall(SYS_pwritev, fd, two, 2, 10L, 0L) == 700);
	expect(syscall(SYS_pwritev2, fd, two, 2, 20L, 0L, 0) == 700);
	written("raw", 9100);
	expect(syscall(SYS_pread64, fd, buffer, 3000, 0L) == 3000);
	expect(syscall(SYS_readv, fd, two, 2) == 0);
	expect(syscall(SYS_preadv, fd, two, 2, 10L, 0L) == 700);
	expect(syscall(SYS_preadv2, fd, two, 2, 20L, 0L, 0) == 700);
	expect(lseek(fd, 0, SEEK_SET) == 0 && syscall(SYS_read, fd, buffer, 123) == 123);
	say("truth: read.raw=4523\n");
	expect(syscall(SYS_fsync, fd) == 0 && syscall(SYS_fdatasync, fd) == 0);
	expect(syscall(SYS_ftruncate, fd, 6000L) == 0);
	expect(syscall(SYS_close, fd) == 0);
	errno = 0;
	expect(syscall(SYS_read, fd, buffer, 1) == -1 && errno == EBADF);
	expect(syscall(SYS_close, fd) == -1 && errno == EBADF);
	expect(syscall(SYS_openat, AT_FDCWD, "no/such", O_RDONLY) == -1 && errno == ENOENT);
}

/* One number after another, each for its own file. */
static void copies(void)
{
	const struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 0644};
	int one = (int)syscall(SYS_openat2, AT_FDCWD, "one", &how, sizeof(how)), other;

	expect(one >= 0 && syscall(SYS_dup3, one, 50, O_CLOEXEC) == 50);
	other = (int)syscall(SYS_dup, one);
	expect(syscall(SYS_close, one) == 0);
	expect(syscall(SYS_openat, AT_FDCWD, "two", O_WRONLY | O_CREAT, 0644) == one);
	expect(write(one, buffer, 11) == 11 && write(50, buffer, 12) == 12);
	expect(write(other, buffer, 13) == 13);
	expect(syscall(SYS_dup3, one, other, 0) == other && write(other, buffer, 14) == 14);
	written("one", 12 + 13);
	written("two", 11 + 14);
	expect(close(one) == 0 && close(other) == 0 && close(50) == 0);
}

static void moves(void)
{
	int in = open("raw", O_RDONLY), out = open("moved", O_WRONLY | O_CREAT, 0644), ends[2];
	long offset = 1000;

	expect(pipe(ends) == 0);
	expect(syscall(SYS_sendfile, out, in, &offset, 500) == 500 && offset == 1500);
	offset = 0;
	expect(syscall(SYS_copy_file_range, in, &offset, out, NULL, 600, 0) == 600);
	expect(syscall(SYS_splice, in, NULL, ends[1], NULL, 700, 0) == 700);
	expect(syscall(SYS_splice, ends[0], NULL, out, NULL, 700, 0) == 700);
	written("moved", 1800);
	close(in);
	close(out);
	close(ends[0]);
	close(ends[1]);
}

static void converse(int a, int b)
{
	struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
	struct mmsghdr both[2] = {{.msg_hdr = message}, {.msg_hdr = message}};

	expect(syscall(SYS_sendto, a, buffer, 1000, 0, NULL, 0) == 1000);
	expect(syscall(SYS_recvfrom, b, buffer, 1000, MSG_WAITALL, NULL, NULL) == 1000);
	expect(syscall(SYS_sendmsg, a, &message, 0) == 700);
	expect(syscall(SYS_recvmsg, b, &message, MSG_WAITALL) == 700);
	expect(syscall(SYS_sendmmsg, a, both, 2, 0) == 2);
	expect(syscall(SYS_recvmmsg, b, both, 2, MSG_WAITALL, NULL) == 2);
	expect(syscall(SYS_shutdown, a, SHUT_WR) == 0);
	expect(syscall(SYS_read, b, buffer, 1) == 0);
}

static void sockets(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), to, from;

	expect(syscall(SYS_bind, listener, &address, length) == 0);
	expect(syscall(SYS_listen, listener, 1) == 0);
	expect(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	to = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	expect(syscall(SYS_connect, to, &address, length) == 0);
	from = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
	converse(to, from);
	expect(close(to) == 0 && close(from) == 0 && close(listener) == 0);
}

int main(void)
{
	files();
	copies();
	moves();
	sockets();
	return wrongs != 0;
}
