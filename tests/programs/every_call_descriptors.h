/* SPDX-License-Identifier: MIT */
/* Trials of what makes, copies and closes descriptors. */
#ifndef PH_TESTS_EVERY_CALL_DESCRIPTORS_H
#define PH_TESTS_EVERY_CALL_DESCRIPTORS_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "every_call.h"

/* ---- opening --------------------------------------------------------------------- */

/* Any two calls: one that opens, one that does not. */
#define TRY_OPEN(id, arguments, impossible)                                                        \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		close(make_file(t->file, O_RDWR));                                                 \
		close(OPENS arguments);                                                            \
		close(OPENS arguments);                                                            \
		FAILS impossible;                                                                  \
	}
TRY_OPEN(__open_2, (t, t->file, O_RDONLY), (t, ENOENT, "no/such", O_RDONLY))
TRY_OPEN(__openat_2, (t, AT_FDCWD, t->file, O_RDONLY), (t, EBADF, NOWHERE, "no", O_RDONLY))
TRY_OPEN(creat, (t, t->other, 0640), (t, ENOENT, "no/such", 0640))
TRY_OPEN(memfd_create, (t, "name", 0), (t, EINVAL, "name", ~0u))
TRY_OPEN(posix_openpt, (t, O_RDWR | O_NOCTTY), (t, ENOTDIR, O_RDWR | O_DIRECTORY))
TRY_OPEN(eventfd, (t, 7, EFD_CLOEXEC), (t, EINVAL, 7, -1))
TRY_OPEN(timerfd_create, (t, CLOCK_MONOTONIC, 0), (t, EINVAL, 99, 0))
TRY_OPEN(inotify_init1, (t, IN_NONBLOCK), (t, EINVAL, -1))
TRY_OPEN(epoll_create, (t, 1), (t, EINVAL, 0))
TRY_OPEN(epoll_create1, (t, EPOLL_CLOEXEC), (t, EINVAL, -1))
TRY_OPEN(pidfd_open, (t, getpid(), 0), (t, EINVAL, -1, 0))

static void check_mode(struct trial *t, int fd, mode_t mode)
{
	struct stat st;

	CHECK_TRIAL(t, fstat(fd, &st) == 0 && (st.st_mode & 0777) == mode);
	close(fd);
}

static void try_open(struct trial *t)
{
	check_mode(t, OPENS(t, t->file, O_RDWR | O_CREAT | O_EXCL, 0640), 0640);
	close(OPENS(t, t->file, O_RDONLY));
	FAILS(t, EEXIST, t->file, O_RDWR | O_CREAT | O_EXCL, 0640);
	FAILS(t, ENOENT, "no/such", O_RDONLY);
	FAILS(t, EFAULT, 8, O_RDONLY);
}

static void try_openat(struct trial *t)
{
	int here = open(".", O_RDONLY | O_DIRECTORY);

	check_mode(t, OPENS(t, AT_FDCWD, t->file, O_RDWR | O_CREAT | O_EXCL, 0600), 0600);
	close(OPENS(t, here, t->file, O_RDONLY));
	FAILS(t, EBADF, NOWHERE, t->file, O_RDONLY);
	close(here);
}

static void try_openat2(struct trial *t)
{
	struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0604};
	struct open_how wrong = {.flags = O_RDONLY, .mode = 0604};

	check_mode(t, OPENS(t, AT_FDCWD, t->file, &how, sizeof(how)), 0604);
	FAILS(t, EINVAL, AT_FDCWD, t->file, &wrong, sizeof(wrong));
	FAILS(t, ENOENT, AT_FDCWD, "no/such", &how, sizeof(how));
	FAILS(t, EFAULT, AT_FDCWD, "no/such", 8, sizeof(how));
}

/* Not every file system has handles, and not everybody may use them. */
static void try_open_by_handle_at(struct trial *t)
{
	struct {
		struct file_handle head;
		unsigned char more[MAX_HANDLE_SZ];
	} handle = {.head.handle_bytes = MAX_HANDLE_SZ};
	int here = open(".", O_RDONLY | O_DIRECTORY), mount;

	close(make_file(t->file, O_RDWR));
	if (name_to_handle_at(AT_FDCWD, t->file, &handle.head, &mount, 0) != 0)
		handle.head.handle_bytes = 0;
	close((int)SEES(t, here, &handle, O_RDONLY));
	handle.head.handle_bytes = 0;
	CHECK_TRIAL(t, SEES(t, here, &handle, O_RDONLY) == -1);
	CHECK_TRIAL(t, SEES(t, NOWHERE, &handle, O_RDONLY) == -1);
	close(here);
}

#define TRY_MKTEMP(id, suffix, ...)                                                                \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		char pattern[64] = "file.XXXXXX" suffix, wrong[64] = "file.XX";                    \
                                                                                                   \
		check_mode(t, OPENS(t, pattern, ##__VA_ARGS__), 0600);                             \
		CHECK_TRIAL(t, unlink(pattern) == 0 && unlink("file.XXXXXX" suffix) != 0);         \
		FAILS(t, EINVAL, wrong, ##__VA_ARGS__);                                            \
	}
TRY_MKTEMP(mkstemp, "")
TRY_MKTEMP(mkostemp, "", O_CLOEXEC)
TRY_MKTEMP(mkstemps, ".c", 2)
TRY_MKTEMP(mkostemps, ".c", 2, O_CLOEXEC)

static void try_shm_open(struct trial *t)
{
	char name[64];

	snprintf(name, sizeof(name), "/perfhook-test.%d", getpid());
	check_mode(t, OPENS(t, name, O_CREAT | O_RDWR, 0600), 0600);
	shm_unlink(name);
	FAILS(t, ENOENT, name, O_RDWR, 0600);
}

static void try_signalfd(struct trial *t)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	fd = OPENS(t, -1, &signals, 0);
	GIVES(t, fd, fd, &signals, 0); /* the same one, for other signals */
	FAILS(t, EINVAL, -1, &signals, -1);
	close(fd);
}

static void try_inotify_init(struct trial *t)
{
	close(OPENS(t));
	WITHOUT_DESCRIPTORS(FAILS(t, EMFILE));
}

/* For root only. */
static void try_fanotify_init(struct trial *t)
{
	close((int)SEES(t, 0, O_RDONLY));
	CHECK_TRIAL(t, SEES(t, ~0u, O_RDONLY) == -1);
}

static void try_pidfd_getfd(struct trial *t)
{
	int self = (int)system_call(SYS_pidfd_open, getpid(), 0);

	close(OPENS(t, self, 1, 0));
	FAILS(t, EBADF, self, NOWHERE, 0);
	system_call(SYS_close, self);
}

/* ---- streams ------------------------------------------------------------------------- */

static FILE *streams(struct trial *t, long r)
{
	FILE *stream = (FILE *)r;

	CHECK_TRIAL(t, stream != NULL && errno == SENTINEL);
	event(t, stream != NULL ? fileno(stream) : -1);
	return stream;
}

static void no_stream(struct trial *t, long r, int error)
{
	CHECK_TRIAL(t, r == 0 && errno == error);
	event(t, -error);
}

static void try_fopen(struct trial *t)
{
	fclose(streams(t, CALL(t, t->file, "w")));
	fclose(streams(t, CALL(t, t->file, "r")));
	no_stream(t, CALL(t, "no/such", "r"), ENOENT);
	no_stream(t, CALL(t, t->file, "?"), EINVAL);
}

static void try_freopen(struct trial *t)
{
	FILE *stream = fopen(t->file, "w");

	stream = streams(t, CALL(t, t->other, "w", stream));
	stream = streams(t, CALL(t, t->file, "r", stream));
	no_stream(t, CALL(t, "no/such", "r", stream), ENOENT);
}

static void try_tmpfile(struct trial *t)
{
	fclose(streams(t, CALL(t)));
	WITHOUT_DESCRIPTORS(no_stream(t, CALL(t), EMFILE));
}

static void try_popen(struct trial *t)
{
	FILE *stream = streams(t, CALL(t, "exit 3", "r"));

	CHECK_TRIAL(t, pclose(stream) == 3 << 8);
	no_stream(t, CALL(t, "true", "x"), EINVAL);
	WITHOUT_DESCRIPTORS(no_stream(t, CALL(t, "true", "r"), EMFILE));
}

static void try_opendir(struct trial *t)
{
	DIR *directory = (DIR *)CALL(t, ".");

	CHECK_TRIAL(t, directory != NULL && errno == SENTINEL);
	event(t, dirfd(directory));
	closedir(directory);
	no_stream(t, CALL(t, "no/such"), ENOENT);
}

/* ---- closing ------------------------------------------------------------------------- */

static void try_close(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);

	GIVES(t, 0, fd);
	CHECK_TRIAL(t, !is_open(fd));
	FAILS(t, EBADF, fd);
	FAILS(t, EBADF, -1);
}

static void try_fclose(struct trial *t)
{
	FILE *stream = fopen("/dev/full", "w");

	GIVES(t, 0, fopen(t->file, "w"));
	expect(stream != NULL && fputc('x', stream) == 'x');
	FAILS(t, ENOSPC, stream);
}

/* Its result is the command's status. */
static void try_pclose(struct trial *t)
{
	FILE *stream = popen("exit 3", "r");

	CHECK_TRIAL(t, CALL(t, stream) == 3 << 8 && errno == SENTINEL);
	event(t, 0);
	stream = popen("exit 3", "r");
	expect(waitpid(-1, NULL, 0) > 0);
	FAILS(t, ECHILD, stream);
}

static void try_closedir(struct trial *t)
{
	GIVES(t, 0, opendir("."));
	FAILS(t, EINVAL, NULL);
}

static void make_three(int first)
{
	for (int i = 0; i < 3; i++)
		expect(dup2(1, first + i) == first + i);
}

static void try_close_range(struct trial *t)
{
	make_three(60);
	GIVES(t, 0, 60, 61, 0);
	CHECK_TRIAL(t, !is_open(60) && !is_open(61) && is_open(62));
	GIVES(t, 0, 62, 62, CLOSE_RANGE_CLOEXEC);
	CHECK_TRIAL(t, syscall(SYS_fcntl, 62, F_GETFD) == FD_CLOEXEC);
	GIVES(t, 0, 62, ~0u, 0);
	CHECK_TRIAL(t, !is_open(62));
	FAILS(t, EINVAL, 61, 60, 0);
}

static void try_closefrom(struct trial *t)
{
	make_three(60);
	GIVES(t, 0, 61);
	CHECK_TRIAL(t, is_open(60) && !is_open(61) && !is_open(62));
	close(60);
}

/* ---- copying ------------------------------------------------------------------------- */

static void try_dup(struct trial *t)
{
	close(OPENS(t, 1));
	FAILS(t, EBADF, NOWHERE);
	WITHOUT_DESCRIPTORS(FAILS(t, EMFILE, 1));
}

static void try_dup2(struct trial *t)
{
	GIVES(t, 40, 1, 40);
	GIVES(t, 40, 40, 40);
	GIVES(t, 40, 2, 40);
	FAILS(t, EBADF, NOWHERE, 40);
	close(40);
}

static void try_dup3(struct trial *t)
{
	GIVES(t, 40, 1, 40, O_CLOEXEC);
	CHECK_TRIAL(t, syscall(SYS_fcntl, 40, F_GETFD) == FD_CLOEXEC);
	FAILS(t, EINVAL, 1, 1, 0);
	FAILS(t, EBADF, NOWHERE, 40, 0);
	close(40);
}

/* Its other commands arrive as they should, and have no events. */
static void try_fcntl(struct trial *t)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 7};
	int fd = make_file(t->file, O_RDWR);

	close((int)GIVES(t, 50, fd, F_DUPFD, 50));
	GIVES(t, 51, fd, F_DUPFD_CLOEXEC, 51);
	CHECK_TRIAL(t, CALL(t, 51, F_GETFD) == FD_CLOEXEC && errno == SENTINEL);
	FAILS(t, EBADF, NOWHERE, F_DUPFD, 0);
	FAILS(t, EINVAL, fd, F_DUPFD, -1);
	CHECK_TRIAL(t, (CALL(t, fd, F_GETFL) & O_ACCMODE) == O_RDWR && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, fd, F_SETFL, O_APPEND) == 0 && errno == SENTINEL);
	CHECK_TRIAL(t, (CALL(t, fd, F_GETFL) & O_APPEND) != 0);
	CHECK_TRIAL(t, CALL(t, fd, F_SETLK, &lock) == 0 && errno == SENTINEL);
	CHECK_TRIAL(t, CALL(t, fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
	CHECK_TRIAL(t, CALL(t, NOWHERE, F_GETFL) == -1 && errno == EBADF);
	CHECK_TRIAL(t, CALL(t, fd, F_SETLK, 8) == -1 && errno == EFAULT);
	close(51);
	close(fd);
}

/* ---- two at once --------------------------------------------------------------------- */

static void close_two(struct trial *t, int *fds)
{
	CHECK_TRIAL(t, is_open(fds[0]) && is_open(fds[1]));
	close(fds[0]);
	close(fds[1]);
}

static void try_pipe(struct trial *t)
{
	int fds[2];

	GIVES(t, 0, fds);
	close_two(t, fds);
	FAILS(t, EFAULT, 8);
	WITHOUT_DESCRIPTORS(FAILS(t, EMFILE, fds));
}

static void try_pipe2(struct trial *t)
{
	int fds[2];

	GIVES(t, 0, fds, O_NONBLOCK);
	close_two(t, fds);
	FAILS(t, EINVAL, fds, -1);
}

static void try_openpty(struct trial *t)
{
	int fds[2];

	GIVES(t, 0, &fds[0], &fds[1], NULL, NULL, NULL);
	close_two(t, fds);
	WITHOUT_DESCRIPTORS(FAILS(t, EMFILE, &fds[0], &fds[1], NULL, NULL, NULL));
}

static void try_socketpair(struct trial *t)
{
	int fds[2];

	GIVES(t, 0, AF_UNIX, SOCK_STREAM, 0, fds);
	close_two(t, fds);
	FAILS(t, EAFNOSUPPORT, -1, SOCK_STREAM, 0, fds);
}

/* ---- sockets ------------------------------------------------------------------------- */

static void try_socket_row(struct trial *t)
{
	close(OPENS(t, AF_UNIX, SOCK_STREAM, 0));
	close(OPENS(t, AF_INET, SOCK_DGRAM, 0));
	FAILS(t, EAFNOSUPPORT, -1, 0, 0);
}

static void try_bind(struct trial *t)
{
	struct sockaddr_un address = unix_address(t->file);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	GIVES(t, 0, fd, &address, sizeof(address));
	FAILS(t, EADDRINUSE, fd, &address, sizeof(address));
	FAILS(t, EBADF, NOWHERE, &address, sizeof(address));
	close(fd);
}

static void try_listen(struct trial *t)
{
	int fd = make_socket(t->file, SOCK_STREAM), other = make_socket(t->other, SOCK_DGRAM);

	GIVES(t, 0, fd, 1);
	FAILS(t, EOPNOTSUPP, other, 1);
	FAILS(t, EBADF, NOWHERE, 1);
	close(fd);
	close(other);
}

static void try_connect(struct trial *t)
{
	struct sockaddr_un address = unix_address(t->file), none = unix_address("no-socket-here");
	int listener = make_socket(t->file, SOCK_STREAM), fd = socket(AF_UNIX, SOCK_STREAM, 0);

	expect(listen(listener, 1) == 0);
	FAILS(t, ENOENT, fd, &none, sizeof(none));
	FAILS(t, EFAULT, fd, 8, sizeof(none));
	GIVES(t, 0, fd, &address, sizeof(address));
	FAILS(t, EISCONN, fd, &address, sizeof(address));
	FAILS(t, EBADF, NOWHERE, &address, sizeof(address));
	close(fd);
	close(listener);
}

static void try_accept_with(struct trial *t, bool flags)
{
	int listener = make_socket(t->file, SOCK_STREAM), fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un peer;
	socklen_t length = sizeof(peer);
	int made;

	FAILS(t, EINVAL, listener, NULL, NULL, 0); /* it does not listen yet */
	expect(listen(listener, 1) == 0 && connect_to(fd, t->file) == 0);
	made = OPENS(t, listener, &peer, &length, SOCK_CLOEXEC);
	CHECK_TRIAL(t, syscall(SYS_fcntl, made, F_GETFD) == (flags ? FD_CLOEXEC : 0));
	FAILS(t, EBADF, NOWHERE, NULL, NULL, 0);
	expect(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
	FAILS(t, EAGAIN, listener, NULL, NULL, 0);
	close(made);
	close(fd);
	close(listener);
}

static void try_accept(struct trial *t)
{
	try_accept_with(t, false);
}

static void try_accept4(struct trial *t)
{
	try_accept_with(t, true);
}

static void try_shutdown(struct trial *t)
{
	int fds[2], fd = socket(AF_INET, SOCK_STREAM, 0);

	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	GIVES(t, 0, fds[0], SHUT_WR);
	FAILS(t, ENOTCONN, fd, SHUT_RDWR);
	FAILS(t, EBADF, NOWHERE, SHUT_RD);
	close_two(t, fds);
	close(fd);
}

#endif
