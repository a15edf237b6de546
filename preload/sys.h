/* SPDX-License-Identifier: MIT */
/*
 * System calls that go through nobody: libc's wrappers are what we interpose,
 * set errno and are cancellation points. Each returns what the kernel does:
 * the result or -errno. Async-signal-safe.
 */
#ifndef PH_PRELOAD_SYS_H
#define PH_PRELOAD_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * The program has had a seccomp filter installed: a call that the program does
 * not make itself may be its death. From then on we make none; what needs one
 * was reserved before, or is done without. Set for good, and inherited.
 */
extern bool ph_confined;

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}
#else
static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long r = syscall(n, a, b, c, d, e, f);

	if (r == -1)
		r = -errno;
	errno = saved;
	return r;
}
#endif

#define SYS_ARG(x)	    ((long)(x))
#define sys0(n)		    sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a)	    sys6(n, SYS_ARG(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b)	    sys6(n, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define sys3(n, a, b, c)    sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define sys5(n, a, b, c, d, e)                                                                     \
	sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)

/* As libc's wrappers return it. */
static inline long sys_result(long r)
{
	if (r >= 0 || r < -4095)
		return r;
	errno = (int)-r;
	return -1;
}

static inline int sys_open(const char *path, int flags, int mode)
{
	return (int)sys4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static inline void sys_close(int fd)
{
	sys1(SYS_close, fd);
}

static inline long sys_read(int fd, void *buffer, size_t count)
{
	return sys3(SYS_read, fd, buffer, count);
}

static inline long sys_write(int fd, const void *buffer, size_t count)
{
	return sys3(SYS_write, fd, buffer, count);
}

static inline long sys_readlink(const char *path, char *buffer, size_t room)
{
	return sys4(SYS_readlinkat, AT_FDCWD, path, buffer, room);
}

/* NULL on failure. */
static inline void *sys_mmap(void *address, size_t length, int protection, int flags, int fd,
			     long offset)
{
	long r = sys6(SYS_mmap, SYS_ARG(address), SYS_ARG(length), protection, flags, fd, offset);

	return r < 0 && r > -4096 ? NULL : (void *)r;
}

static inline void sys_munmap(void *address, size_t length)
{
	sys2(SYS_munmap, address, length);
}

static inline int sys_getpid(void)
{
	return (int)sys0(SYS_getpid);
}

static inline int sys_gettid(void)
{
	return (int)sys0(SYS_gettid);
}

/* Shared between processes, so not FUTEX_PRIVATE. `timeout_ns` < 0: none. */
static inline long sys_futex_wait(const void *word, uint32_t value, int64_t timeout_ns)
{
	struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};

	return sys4(SYS_futex, word, FUTEX_WAIT, value, timeout_ns < 0 ? NULL : &ts);
}

static inline void sys_futex_wake(const void *word)
{
	sys3(SYS_futex, word, FUTEX_WAKE, 0x7fffffff);
}

static inline uint64_t sys_clock_ns(int clock)
{
	struct timespec ts = {0, 0};

	sys2(SYS_clock_gettime, clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
