/* SPDX-License-Identifier: MIT */
/*
 * What the trials of every_call.c share. A trial is one exported name, a row's own
 * or an alias, and makes its calls through call_NAME(): the innermost frame of each
 * of its events. It looks names up when it runs, so that a name which libc lacks
 * can be asked of the library. All of the functions take and return whole words,
 * at most seven, and are called as such.
 */
#ifndef PH_TESTS_EVERY_CALL_H
#define PH_TESTS_EVERY_CALL_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "truth.h"

#define SENTINEL 12345
#define NOWHERE	 999 /* a descriptor that is not open */
#define HUGE	 (SIZE_MAX / 4)

typedef long function(long, long, long, long, long, long, long);

struct traffic {
	unsigned long long read_bytes, written_bytes, read_calls, write_calls, sync_calls;
};

enum returns { AS_ITS_ROW, NOTHING, NUMBER, WORD };

struct trial {
	const char *name;
	function *call;
	enum returns returns;
	int error;	     /* what the calls of a transfer are to fail with; 0: they succeed */
	unsigned more_calls; /* of a transfer, on its socket, that fail in another way */
	char file[64], other[64]; /* of its own, in the working directory */
};

/* ---- one call --------------------------------------------------------------- */

__attribute__((unused)) static long call_it(struct trial *t, const long w[7])
{
	long r;

	errno = SENTINEL;
	r = t->call(w[0], w[1], w[2], w[3], w[4], w[5], w[6]);
	return t->returns == WORD ? r : t->returns == NUMBER ? (int)r : 0;
}

#define WORDS0()		 0
#define WORDS1(a)		 (long)(a)
#define WORDS2(a, b)		 (long)(a), (long)(b)
#define WORDS3(a, b, c)		 (long)(a), (long)(b), (long)(c)
#define WORDS4(a, b, c, d)	 (long)(a), (long)(b), (long)(c), (long)(d)
#define WORDS5(a, b, c, d, e)	 (long)(a), (long)(b), (long)(c), (long)(d), (long)(e)
#define WORDS6(a, b, c, d, e, f) (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)
#define WORDS7(a, b, c, d, e, f, g)                                                                \
	(long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f), (long)(g)
#define WORDS_OF(x, a, b, c, d, e, f, g, words, ...) words
#define WORDS(...)                                                                                 \
	WORDS_OF(x, ##__VA_ARGS__, WORDS7, WORDS6, WORDS5, WORDS4, WORDS3, WORDS2, WORDS1, WORDS0) \
	(__VA_ARGS__)
#define CALL(t, ...) call_it(t, (long[7]){WORDS(__VA_ARGS__)})

/* ---- what its event is to say --------------------------------------------------- */

__attribute__((unused)) static void event(const struct trial *t, long long result)
{
	say("truth: %s=%lld\n", t->name, result);
}

/* An allocation or, with no size, a free. */
__attribute__((unused)) static void event_of_block(const struct trial *t, const void *block,
						   size_t size)
{
	say("truth: %s=%p:%zu\n", t->name, block, size);
}

#define CHECK_TRIAL(t, condition)                                                                  \
	do {                                                                                       \
		int error_ = errno;                                                                \
		if (!(condition)) {                                                                \
			say("wrong: %s:%d: %s: %s (errno %d)\n", __FILE__, __LINE__, (t)->name,    \
			    #condition, error_);                                                   \
			wrongs++;                                                                  \
		}                                                                                  \
		errno = error_;                                                                    \
	} while (0)

/* It succeeded, left errno alone, and its result is its event's. */
#define GIVES(t, wanted, ...)                                                                      \
	({                                                                                         \
		long r_ = CALL(t, ##__VA_ARGS__);                                                  \
		CHECK_TRIAL(t, r_ == (long)(wanted) && errno == SENTINEL);                         \
		event(t, r_);                                                                      \
		r_;                                                                                \
	})

/* The same for what gives a descriptor. */
#define OPENS(t, ...)                                                                              \
	({                                                                                         \
		long r_ = CALL(t, ##__VA_ARGS__);                                                  \
		CHECK_TRIAL(t, r_ >= 0 && errno == SENTINEL);                                      \
		event(t, r_);                                                                      \
		CHECK_TRIAL(t, is_open((int)r_));                                                  \
		(int)r_;                                                                           \
	})

#define FAILS(t, error, ...)                                                                       \
	({                                                                                         \
		long r_ = CALL(t, ##__VA_ARGS__);                                                  \
		CHECK_TRIAL(t, r_ == -1 && errno == (error));                                      \
		event(t, -(error));                                                                \
	})

/* Where it is the machine's to decide: what it gave is its event's. */
#define SEES(t, ...)                                                                               \
	({                                                                                         \
		long r_ = CALL(t, ##__VA_ARGS__);                                                  \
		event(t, r_ < 0 ? -errno : r_);                                                    \
		r_;                                                                                \
	})

/* ---- what they are made on --------------------------------------------------------- */

static char buffer[8192];

__attribute__((unused)) static bool is_open(int fd)
{
	return syscall(SYS_fcntl, fd, F_GETFD) >= 0;
}

/* Opened by a recorded call, filled by one that is not. */
__attribute__((unused)) static int make_file(const char *path, int flags)
{
	int fd = open(path, O_CREAT | O_TRUNC | flags, 0644);

	expect(fd >= 0 && syscall(SYS_ftruncate, fd, 4096) == 0);
	return fd;
}

__attribute__((unused)) static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	return address;
}

/* A socket that goes by that path. */
__attribute__((unused)) static int make_socket(const char *path, int type)
{
	struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, type, 0);

	unlink(path);
	expect(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

__attribute__((unused)) static int connect_to(int fd, const char *path)
{
	struct sockaddr_un address = unix_address(path);

	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

__attribute__((unused)) static void set_limit(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit both;

	expect(getrlimit(resource, &both) == 0);
	both.rlim_cur = value < both.rlim_max ? value : both.rlim_max;
	expect(setrlimit(resource, &both) == 0);
}

/* No call gives a descriptor meanwhile: EMFILE. */
#define WITHOUT_DESCRIPTORS(statement)                                                             \
	do {                                                                                       \
		struct rlimit before_;                                                             \
		expect(getrlimit(RLIMIT_NOFILE, &before_) == 0);                                   \
		set_limit(RLIMIT_NOFILE, 0);                                                       \
		statement;                                                                         \
		expect(setrlimit(RLIMIT_NOFILE, &before_) == 0);                                   \
	} while (0)

__attribute__((unused, noreturn)) static void end_quietly(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

/* In a process of its own: its status, or 128 and the signal. */
__attribute__((unused)) static int in_child(void (*body)(struct trial *t), struct trial *t)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		wrongs = 0;
		body(t);
		end_quietly(wrongs != 0 ? 99 : 0);
	}
	expect(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whoever this is, it may not do what root may. */
__attribute__((unused)) static void become_nobody(void)
{
	syscall(SYS_setresuid, 65534, 65534, 65534);
}

__attribute__((unused)) static void forbid_processes(void)
{
	become_nobody();
	set_limit(RLIMIT_NPROC, 0);
}

#endif
