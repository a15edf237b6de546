/* SPDX-License-Identifier: MIT */
/* Trials of what moves bytes. Each is called on a descriptor that is right, and on
 * ones that are wrong; what it moved must stand with its file or socket. */
#ifndef PH_TESTS_EVERY_CALL_TRANSFER_H
#define PH_TESTS_EVERY_CALL_TRANSFER_H

#include "every_call.h"

enum { PIECE = 100 }; /* what each of them moves */

static struct iovec pieces[] = {{buffer, 60}, {buffer + 60, 40}};

/* Returned, and as its event has it: bytes. */
static void transferred(struct trial *t, long r, long returned, long bytes)
{
	CHECK_TRIAL(t, t->error == 0 ? r == returned && errno == SENTINEL
				     : r == -1 && errno == t->error);
	event(t, t->error == 0 ? bytes : -t->error);
}

#define MOVES(t, ...) transferred(t, CALL(t, __VA_ARGS__), PIECE, PIECE)

/* ---- on one descriptor ---------------------------------------------------------- */

#define USES(id, ...)                                                                              \
	static void use_##id(struct trial *t, int fd)                                              \
	{                                                                                          \
		MOVES(t, fd, __VA_ARGS__);                                                         \
	}
USES(read, buffer, PIECE)
USES(pread, buffer, PIECE, 50)
USES(readv, pieces, 2)
USES(preadv, pieces, 2, 50)
USES(preadv2, pieces, 2, 50, 0)
USES(__read_chk, buffer, PIECE, sizeof(buffer))
USES(__pread_chk, buffer, PIECE, 50, sizeof(buffer))
USES(recv, buffer, PIECE, 0)
USES(__recv_chk, buffer, PIECE, sizeof(buffer), 0)

static void use_recvfrom(struct trial *t, int fd)
{
	struct sockaddr_un from;
	socklen_t length = sizeof(from);

	if (t->error == 0)
		FAILS(t, EFAULT, fd, buffer, PIECE, MSG_PEEK, &from, 8);
	t->more_calls += t->error == 0;
	MOVES(t, fd, buffer, PIECE, 0, &from, &length);
	MOVES(t, fd, buffer, PIECE, 0, NULL, NULL);
}

static void use___recvfrom_chk(struct trial *t, int fd)
{
	struct sockaddr_un from;
	socklen_t length = sizeof(from);

	if (t->error == 0)
		FAILS(t, EFAULT, fd, buffer, PIECE, sizeof(buffer), MSG_PEEK, &from, 8);
	t->more_calls += t->error == 0;
	MOVES(t, fd, buffer, PIECE, sizeof(buffer), 0, &from, &length);
	MOVES(t, fd, buffer, PIECE, sizeof(buffer), 0, NULL, NULL);
}

static void use_recvmsg(struct trial *t, int fd)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

	MOVES(t, fd, &message, 0);
}

static void use_recvmmsg(struct trial *t, int fd)
{
	struct mmsghdr two[2] = {{.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 2}},
				 {.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 2}}};

	transferred(t, CALL(t, fd, two, 2, MSG_WAITFORONE, NULL), 2, 2L * PIECE);
}

USES(write, buffer, PIECE)
USES(pwrite, buffer, PIECE, 50)
USES(writev, pieces, 2)
USES(pwritev, pieces, 2, 50)
USES(pwritev2, pieces, 2, 50, 0)
USES(send, buffer, PIECE, 0)

static void use_sendto(struct trial *t, int fd)
{
	MOVES(t, fd, buffer, PIECE, 0, NULL, 0);
	if (t->error == 0)
		FAILS(t, EFAULT, fd, buffer, PIECE, 0, 8, sizeof(struct sockaddr_un));
	t->more_calls += t->error == 0;
}

static void use_sendmsg(struct trial *t, int fd)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};

	MOVES(t, fd, &message, 0);
}

static void use_sendmmsg(struct trial *t, int fd)
{
	struct mmsghdr two[2] = {{.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 2}},
				 {.msg_hdr = {.msg_iov = pieces, .msg_iovlen = 2}}};

	transferred(t, CALL(t, fd, two, 2, 0), 2, 2L * PIECE);
}

static void say_traffic(const char *what, const struct traffic *t)
{
	say("truth: traffic.%s=%llu %llu %llu %llu %llu\n", what, t->read_bytes, t->written_bytes,
	    t->read_calls, t->write_calls, t->sync_calls);
}

static void try_failing(struct trial *t, void (*use)(struct trial *, int), int fd, int error)
{
	t->error = error;
	use(t, fd);
	t->error = 0;
}

static void try_file(struct trial *t, void (*use)(struct trial *, int), bool reads)
{
	struct traffic moved = {0};
	int fd = make_file(t->file, O_RDWR), other;

	use(t, fd);
	use(t, fd);
	try_failing(t, use, NOWHERE, EBADF);
	other = open(t->file, reads ? O_WRONLY : O_RDONLY);
	try_failing(t, use, other, EBADF);
	close(other);
	close(fd);
	*(reads ? &moved.read_bytes : &moved.written_bytes) = 2ULL * PIECE;
	*(reads ? &moved.read_calls : &moved.write_calls) = 3;
	say_traffic(t->file, &moved);
}

/* Messages come as they were sent: as many as any of them takes. */
static void exchange(int fd, int messages, bool in)
{
	for (int i = 0; i < messages; i++) {
		if (in)
			expect(system_call(SYS_write, fd, buffer, PIECE) == PIECE);
		else
			expect(system_call(SYS_read, fd, buffer, PIECE) == PIECE);
	}
}

static void try_socket(struct trial *t, void (*use)(struct trial *, int), bool reads,
		       unsigned calls, unsigned messages)
{
	struct traffic moved = {0};
	int fd = make_socket(t->file, SOCK_DGRAM), peer = make_socket(t->other, SOCK_DGRAM);
	int file = make_file("no-socket", O_RDWR);

	expect(connect_to(fd, t->other) == 0 && connect_to(peer, t->file) == 0);
	if (reads)
		exchange(peer, (int)messages, true);
	use(t, fd);
	if (!reads)
		exchange(peer, (int)messages, false);
	try_failing(t, use, NOWHERE, EBADF);
	try_failing(t, use, file, ENOTSOCK);
	if (reads) {
		expect(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
		try_failing(t, use, fd, EAGAIN);
	} else {
		expect(shutdown(fd, SHUT_WR) == 0);
		try_failing(t, use, fd, EPIPE);
	}
	close(fd);
	close(peer);
	close(file);
	*(reads ? &moved.read_bytes : &moved.written_bytes) = (unsigned long long)messages * PIECE;
	*(reads ? &moved.read_calls : &moved.write_calls) = 2ULL * calls + t->more_calls;
	say_traffic(t->file, &moved);
}

#define TRY_FILE(id, reads)                                                                        \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		try_file(t, use_##id, reads);                                                      \
	}
#define TRY_SOCKET(id, reads, calls, messages)                                                     \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		try_socket(t, use_##id, reads, calls, messages);                                   \
	}
TRY_FILE(read, true)
TRY_FILE(pread, true)
TRY_FILE(readv, true)
TRY_FILE(preadv, true)
TRY_FILE(preadv2, true)
TRY_FILE(__read_chk, true)
TRY_FILE(__pread_chk, true)
TRY_FILE(write, false)
TRY_FILE(pwrite, false)
TRY_FILE(writev, false)
TRY_FILE(pwritev, false)
TRY_FILE(pwritev2, false)
TRY_SOCKET(recv, true, 1, 1)
TRY_SOCKET(__recv_chk, true, 1, 1)
TRY_SOCKET(recvfrom, true, 2, 2)
TRY_SOCKET(__recvfrom_chk, true, 2, 2)
TRY_SOCKET(recvmsg, true, 1, 1)
TRY_SOCKET(recvmmsg, true, 1, 2)
TRY_SOCKET(send, false, 1, 1)
TRY_SOCKET(sendto, false, 1, 1)
TRY_SOCKET(sendmsg, false, 1, 1)
TRY_SOCKET(sendmmsg, false, 1, 2)

/* ---- from one to another ----------------------------------------------------------- */

/* Failed calls of both count as well. */
static void say_move(struct trial *t, unsigned long long failed)
{
	say_traffic(t->file, &(struct traffic){.read_bytes = PIECE, .read_calls = 1 + failed});
	say_traffic(t->other, &(struct traffic){.written_bytes = PIECE, .write_calls = 1 + failed});
}

static void try_sendfile(struct trial *t)
{
	int from = make_file(t->file, O_RDWR), to = make_file(t->other, O_RDWR);

	MOVES(t, to, from, NULL, PIECE);
	FAILS(t, EBADF, to, NOWHERE, NULL, PIECE);
	FAILS(t, EBADF, NOWHERE, from, NULL, PIECE);
	FAILS(t, EFAULT, to, from, 8, PIECE);
	say_move(t, 2);
	close(from);
	close(to);
}

static void try_copy_file_range(struct trial *t)
{
	int from = make_file(t->file, O_RDWR), to = make_file(t->other, O_RDWR);
	off_t at = 10, onto = 20;

	MOVES(t, from, &at, to, &onto, PIECE, 0);
	CHECK_TRIAL(t, at == 10 + PIECE && onto == 20 + PIECE);
	FAILS(t, EINVAL, from, NULL, to, NULL, PIECE, 77);
	FAILS(t, EFAULT, from, 8, to, NULL, PIECE, 0);
	FAILS(t, EBADF, NOWHERE, NULL, NOWHERE, NULL, PIECE, 0);
	say_move(t, 2);
	close(from);
	close(to);
}

static void try_splice(struct trial *t)
{
	int from = make_file(t->file, O_RDWR), to = make_file(t->other, O_RDWR), ends[2];

	expect(pipe(ends) == 0);
	MOVES(t, from, NULL, ends[1], NULL, PIECE, 0);
	MOVES(t, ends[0], NULL, to, NULL, PIECE, 0);
	FAILS(t, EINVAL, from, NULL, to, NULL, PIECE, 0); /* no pipe */
	FAILS(t, EBADF, NOWHERE, NULL, ends[1], NULL, PIECE, 0);
	FAILS(t, EFAULT, from, 8, ends[1], NULL, PIECE, 0);
	FAILS(t, EFAULT, ends[0], NULL, to, 8, PIECE, 0);
	say_move(t, 2);
	close(ends[0]);
	close(ends[1]);
	close(from);
	close(to);
}

static void name_pipe(int fd, char *name, size_t room)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, name, room - 1);
	expect(length > 0);
	name[length > 0 ? length : 0] = '\0';
}

static void try_tee(struct trial *t)
{
	int one[2], two[2];
	char name[64];

	expect(pipe(one) == 0 && pipe(two) == 0);
	expect(system_call(SYS_write, one[1], buffer, PIECE) == PIECE);
	MOVES(t, one[0], two[1], PIECE, 0);
	FAILS(t, EINVAL, one[0], one[1], PIECE, 0); /* one pipe */
	name_pipe(two[1], name, sizeof(name));
	say_traffic(name, &(struct traffic){.written_bytes = PIECE, .write_calls = 1});
	for (int i = 0; i < 2; i++) {
		close(one[i]);
		close(two[i]);
	}
}

/* Into a pipe, and out of it. */
static void try_vmsplice(struct trial *t)
{
	char name[64];
	int ends[2];

	expect(pipe(ends) == 0);
	MOVES(t, ends[1], pieces, 2, 0);
	MOVES(t, ends[0], pieces, 2, 0);
	FAILS(t, EBADF, NOWHERE, pieces, 2, 0);
	name_pipe(ends[0], name, sizeof(name));
	say_traffic(name, &(struct traffic){PIECE, PIECE, 1, 1, 0});
	close(ends[0]);
	close(ends[1]);
}

/* ---- what changes a file otherwise ---------------------------------------------------- */

/* Twice as it should, once on nothing. */
#define TRY_CHANGE(id, syncs, ...)                                                                 \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		int fd = make_file(t->file, O_RDWR);                                               \
                                                                                                   \
		GIVES(t, 0, fd, ##__VA_ARGS__);                                                    \
		GIVES(t, 0, fd, ##__VA_ARGS__);                                                    \
		FAILS(t, EBADF, NOWHERE, ##__VA_ARGS__);                                           \
		say_traffic(t->file, &(struct traffic){.sync_calls = (syncs)});                    \
		close(fd);                                                                         \
	}
TRY_CHANGE(fsync, 2)
TRY_CHANGE(fdatasync, 2)
TRY_CHANGE(syncfs, 2)
TRY_CHANGE(sync_file_range, 2, 0, PIECE, 0)
TRY_CHANGE(ftruncate, 0, 1234)
TRY_CHANGE(fallocate, 0, 0, 0, 5000)

/* It returns its error and leaves errno alone. */
static void try_posix_fallocate(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);

	GIVES(t, 0, fd, 0, 5000);
	CHECK_TRIAL(t, CALL(t, NOWHERE, 0, 5000) == EBADF && errno == SENTINEL);
	event(t, -EBADF);
	CHECK_TRIAL(t, CALL(t, fd, -1, 5000) == EINVAL && errno == SENTINEL);
	event(t, -EINVAL);
	say_traffic(t->file, &(struct traffic){0});
	close(fd);
}

#endif
