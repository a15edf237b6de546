/* SPDX-License-Identifier: MIT */
/* Trials of calls about files that move no bytes, of asynchronous requests, and of
 * looking up names. */
#ifndef PH_TESTS_EVERY_CALL_METADATA_H
#define PH_TESTS_EVERY_CALL_METADATA_H

#include <aio.h>
#include <netdb.h>

#include "every_call.h"

#define MADE(t) close(make_file((t)->file, O_RDWR))

/* ---- by a path ------------------------------------------------------------------- */

/* Twice on a file of its own, once on nothing. */
#define TRY_PATH(id, good, bad)                                                                    \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		static struct stat st;                                                             \
		static struct statx stx;                                                           \
                                                                                                   \
		(void)st;                                                                          \
		(void)stx;                                                                         \
		MADE(t);                                                                           \
		GIVES good;                                                                        \
		GIVES good;                                                                        \
		FAILS bad;                                                                         \
	}
TRY_PATH(stat, (t, 0, t->file, &st), (t, ENOENT, "no/such", &st))
TRY_PATH(lstat, (t, 0, t->file, &st), (t, EFAULT, 8, &st))
TRY_PATH(fstatat, (t, 0, AT_FDCWD, t->file, &st, 0), (t, EBADF, NOWHERE, "no", &st, 0))
TRY_PATH(statx, (t, 0, AT_FDCWD, t->file, 0, STATX_SIZE, &stx),
	 (t, ENOENT, AT_FDCWD, "", 0, 0, &stx))
TRY_PATH(__xstat, (t, 0, 1, t->file, &st), (t, ENOENT, 1, "no/such", &st))
TRY_PATH(__lxstat, (t, 0, 1, t->file, &st), (t, ENOENT, 1, "no/such", &st))
TRY_PATH(__fxstatat, (t, 0, 1, AT_FDCWD, t->file, &st, 0), (t, ENOENT, 1, AT_FDCWD, "no", &st, 0))
TRY_PATH(access, (t, 0, t->file, R_OK), (t, ENOENT, "no/such", R_OK))
TRY_PATH(faccessat, (t, 0, AT_FDCWD, t->file, R_OK, 0), (t, EINVAL, AT_FDCWD, 8, 77, 0))
TRY_PATH(euidaccess, (t, 0, t->file, R_OK), (t, ENOENT, "no/such", R_OK))
TRY_PATH(truncate, (t, 0, t->file, 77), (t, ENOENT, "no/such", 77))
TRY_PATH(chmod, (t, 0, t->file, 0600), (t, ENOENT, "no/such", 0600))
TRY_PATH(fchmodat, (t, 0, AT_FDCWD, t->file, 0600, 0), (t, ENOENT, AT_FDCWD, "no", 0600, 0))
TRY_PATH(chown, (t, 0, t->file, -1, -1), (t, ENOENT, "no/such", -1, -1))
TRY_PATH(lchown, (t, 0, t->file, -1, -1), (t, ENOENT, "no/such", -1, -1))
TRY_PATH(fchownat, (t, 0, AT_FDCWD, t->file, -1, -1, 0), (t, ENOENT, AT_FDCWD, "no", -1, -1, 0))
TRY_PATH(utimensat, (t, 0, AT_FDCWD, t->file, NULL, 0), (t, ENOENT, AT_FDCWD, "no", NULL, 0))

/* A link to "there" is read. */
#define TRY_READLINK(id, good, bad)                                                                \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		char room[64] = {0};                                                               \
                                                                                                   \
		MADE(t);                                                                           \
		expect(symlink("there", t->other) == 0);                                           \
		GIVES good;                                                                        \
		CHECK_TRIAL(t, memcmp(room, "there", 5) == 0);                                     \
		FAILS bad;                                                                         \
	}
TRY_READLINK(readlink, (t, 5, t->other, room, sizeof(room)), (t, EINVAL, t->file, room, 9))
TRY_READLINK(readlinkat, (t, 5, AT_FDCWD, t->other, room, sizeof(room)),
	     (t, ENOENT, AT_FDCWD, "no", room, 9))
TRY_READLINK(__readlink_chk, (t, 5, t->other, room, 9, sizeof(room)),
	     (t, EINVAL, t->file, room, 9, 9))

/* ---- on a descriptor ---------------------------------------------------------------- */

#define TRY_FD(id, ...)                                                                            \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		int fd = make_file(t->file, O_RDWR);                                               \
		static struct stat st;                                                             \
                                                                                                   \
		(void)st;                                                                          \
		GIVES(t, 0, fd, ##__VA_ARGS__);                                                    \
		FAILS(t, EBADF, NOWHERE, ##__VA_ARGS__);                                           \
		close(fd);                                                                         \
	}
TRY_FD(fstat, &st)
TRY_FD(fchmod, 0600)
TRY_FD(fchown, -1, -1)
TRY_FD(futimens, NULL)

static void try___fxstat(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);
	struct stat st;

	GIVES(t, 0, 1, fd, &st);
	FAILS(t, EBADF, 1, NOWHERE, &st);
	close(fd);
}

/* Beyond the end is no error. */
static void try_lseek(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);

	GIVES(t, 100, fd, 100, SEEK_SET);
	GIVES(t, 110, fd, 10, SEEK_CUR);
	GIVES(t, 4096, fd, 0, SEEK_END);
	GIVES(t, 1L << 33, fd, 1L << 33, SEEK_SET);
	FAILS(t, EINVAL, fd, -1, SEEK_SET);
	FAILS(t, EBADF, NOWHERE, 0, SEEK_SET);
	close(fd);
}

/* ---- what changes names ---------------------------------------------------------------- */

#define TRY_END(id, good, bad)                                                                     \
	static void try_##id(struct trial *t)                                                      \
	{                                                                                          \
		MADE(t);                                                                           \
		GIVES good;                                                                        \
		FAILS bad;                                                                         \
	}
TRY_END(unlink, (t, 0, t->file), (t, ENOENT, t->file))
TRY_END(unlinkat, (t, 0, AT_FDCWD, t->file, 0), (t, ENOENT, AT_FDCWD, t->file, 0))
TRY_END(remove, (t, 0, t->file), (t, ENOENT, t->file))
TRY_END(rename, (t, 0, t->file, t->other), (t, ENOENT, t->file, t->other))
TRY_END(renameat, (t, 0, AT_FDCWD, t->file, AT_FDCWD, t->other),
	(t, EFAULT, AT_FDCWD, 8, AT_FDCWD, 8))
TRY_END(renameat2, (t, 0, AT_FDCWD, t->file, AT_FDCWD, t->other, 0),
	(t, ENOENT, AT_FDCWD, "", AT_FDCWD, t->other, 0))
TRY_END(link, (t, 0, t->file, t->other), (t, EEXIST, t->file, t->other))
TRY_END(linkat, (t, 0, AT_FDCWD, t->file, AT_FDCWD, t->other, 0),
	(t, ENOENT, AT_FDCWD, "no", AT_FDCWD, "no", 0))
TRY_END(symlink, (t, 0, "there", t->other), (t, EEXIST, "there", t->other))
TRY_END(symlinkat, (t, 0, "there", AT_FDCWD, t->other), (t, EEXIST, "there", AT_FDCWD, t->other))

static void try_mkdir(struct trial *t)
{
	GIVES(t, 0, t->other, 0755);
	FAILS(t, EEXIST, t->other, 0755);
	system_call(SYS_rmdir, t->other);
}

static void try_mkdirat(struct trial *t)
{
	GIVES(t, 0, AT_FDCWD, t->other, 0755);
	FAILS(t, EEXIST, AT_FDCWD, t->other, 0755);
	system_call(SYS_rmdir, t->other);
}

static void try_rmdir(struct trial *t)
{
	expect(mkdir(t->other, 0755) == 0);
	GIVES(t, 0, t->other);
	FAILS(t, ENOENT, t->other);
}

/* ".", ".." and one file; then the end, which leaves errno alone. */
static void try_readdir(struct trial *t)
{
	DIR *directory;

	expect(mkdir(t->other, 0755) == 0 && (directory = opendir(t->other)) != NULL);
	for (int i = 0; i < 2; i++) {
		CALL(t, directory);
		CHECK_TRIAL(t, errno == SENTINEL);
		event(t, 1);
	}
	CALL(t, directory);
	CHECK_TRIAL(t, errno == SENTINEL);
	event(t, 0);
	closedir(directory);
	system_call(SYS_rmdir, t->other);
}

static void try_chdir(struct trial *t)
{
	FAILS(t, ENOENT, "no/such");
	GIVES(t, 0, ".");
	FAILS(t, EFAULT, 8);
}

static void try_fchdir(struct trial *t)
{
	int here = open(".", O_RDONLY | O_DIRECTORY);

	GIVES(t, 0, here);
	FAILS(t, EBADF, NOWHERE);
	close(here);
}

/* ---- asynchronous requests ----------------------------------------------------------- */

static struct aiocb request(int fd, int opcode)
{
	return (struct aiocb){.aio_fildes = fd,
			      .aio_buf = buffer,
			      .aio_nbytes = 100,
			      .aio_offset = 10,
			      .aio_lio_opcode = opcode,
			      .aio_sigevent.sigev_notify = SIGEV_NONE};
}

static ssize_t await(struct aiocb *control)
{
	const struct aiocb *const list[] = {control};

	while (aio_error(control) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	return aio_error(control);
}

static void try_aio(struct trial *t, bool fsyncs)
{
	int fd = make_file(t->file, O_RDWR);
	struct aiocb control = request(fd, LIO_NOP);

	if (fsyncs)
		GIVES(t, 0, O_SYNC, &control);
	else
		GIVES(t, 0, &control);
	expect(await(&control) == 0);
	expect(aio_return(&control) == (fsyncs ? 0 : 100));
	close(fd);
}

static void try_aio_read(struct trial *t)
{
	try_aio(t, false);
	say_traffic(t->file, &(struct traffic){.read_bytes = 100, .read_calls = 1});
}

static void try_aio_write(struct trial *t)
{
	try_aio(t, false);
	say_traffic(t->file, &(struct traffic){.written_bytes = 100, .write_calls = 1});
}

static void try_aio_fsync(struct trial *t)
{
	try_aio(t, true);
}

static void try_lio_listio(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);
	struct aiocb one = request(fd, LIO_READ), two = request(fd, LIO_WRITE);
	struct aiocb *list[] = {&one, &two};

	GIVES(t, 0, LIO_WAIT, list, 2, NULL);
	FAILS(t, EINVAL, 77, list, 2, NULL);
	expect(aio_return(&one) == 100 && aio_return(&two) == 100);
	say_traffic(t->file, &(struct traffic){100, 100, 1, 1, 0});
	close(fd);
}

static void try_aio_return(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR);
	struct aiocb good = request(fd, LIO_NOP), bad = request(NOWHERE, LIO_NOP);

	expect(aio_read(&good) == 0 && await(&good) == 0);
	GIVES(t, 100, &good);
	expect(aio_write(&bad) == 0 && await(&bad) == EBADF);
	CHECK_TRIAL(t, CALL(t, &bad) == -1);
	event(t, -EBADF);
	say_traffic(t->file, &(struct traffic){.read_bytes = 100, .read_calls = 1});
	close(fd);
}

/* ---- names -------------------------------------------------------------------------------- */

static void try_getaddrinfo(struct trial *t)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	CHECK_TRIAL(t, CALL(t, "127.0.0.1", "80", &hints, &found) == 0 && found != NULL);
	event(t, 1);
	freeaddrinfo(found);
	CHECK_TRIAL(t, CALL(t, "no number", "80", &hints, &found) == EAI_NONAME);
	event(t, 0);
}

#endif
