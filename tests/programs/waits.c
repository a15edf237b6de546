/* SPDX-License-Identifier: MIT */
/*
 * Waits for things of all kinds, each from a function of its own.
 *     waits           for each once or a few times
 *     waits free      takes what is free, and asks without waiting: says how often
 *     waits killed    threads compute, and are killed by SIGKILL
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#include "truth.h"

#define APART __attribute__((noinline)) static
#define END   __asm__ volatile("" ::: "memory") /* no jump to what is called last */

enum { TIMES = 3, WAIT_US = 3000 };

/* Not recorded: only who waits is. */
static void pass_time(void)
{
	const struct timespec span = {0, WAIT_US * 1000};

	syscall(SYS_nanosleep, &span, NULL);
}

/* ---- locks ---------------------------------------------------------------------- */

pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t known_condition = PTHREAD_COND_INITIALIZER;
sem_t known_semaphore;
static _Atomic int waiters;

APART void wait_for_variable(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	END;
}

APART void wait_for_block(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	END;
}

APART void wait_for_local(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	END;
}

struct locker {
	void (*wait)(pthread_mutex_t *mutex);
	pthread_mutex_t *mutex;
};

static void *lock_once(void *argument)
{
	const struct locker *l = argument;

	waiters++;
	l->wait(l->mutex);
	pthread_mutex_unlock(l->mutex);
	return NULL;
}

static void contend(void (*wait)(pthread_mutex_t *mutex), pthread_mutex_t *mutex)
{
	struct locker l = {wait, mutex};
	pthread_t thread;

	waiters = 0;
	pthread_mutex_lock(mutex);
	expect(pthread_create(&thread, NULL, lock_once, &l) == 0);
	while (waiters == 0)
		pass_time();
	pass_time();
	pthread_mutex_unlock(mutex);
	pthread_join(thread, NULL);
}

struct block {
	char before[40];
	pthread_mutex_t mutex;
};

APART struct block *make_block(void)
{
	struct block *b = calloc(1, sizeof(*b));

	pthread_mutex_init(&b->mutex, NULL);
	return b;
}

APART void wait_for_condition(void)
{
	struct timespec until;

	pthread_mutex_lock(&known_lock);
	for (int i = 0; i < TIMES; i++) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_US * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		expect(pthread_cond_timedwait(&known_condition, &known_lock, &until) == ETIMEDOUT);
	}
	pthread_mutex_unlock(&known_lock);
	END;
}

static void *posts(void *unused)
{
	for (int i = 0; i < TIMES; i++) {
		pass_time();
		sem_post(&known_semaphore);
	}
	return unused;
}

APART void wait_for_semaphore(void)
{
	pthread_t thread;

	sem_init(&known_semaphore, 0, 0);
	expect(pthread_create(&thread, NULL, posts, NULL) == 0);
	for (int i = 0; i < TIMES; i++)
		expect(sem_wait(&known_semaphore) == 0);
	pthread_join(thread, NULL);
	END;
}

/* ---- descriptors ------------------------------------------------------------------ */

static void *writes(void *argument)
{
	for (int i = 0; i < TIMES; i++) {
		pass_time();
		expect(syscall(SYS_write, *(int *)argument, "x", 1) == 1);
		/* Until it has been taken. */
		do
			pass_time();
		while (waiters <= i);
	}
	return NULL;
}

static void each_byte(int from, int to, void (*wait)(int fd))
{
	pthread_t thread;
	char byte;

	waiters = 0;
	expect(pthread_create(&thread, NULL, writes, &to) == 0);
	for (int i = 0; i < TIMES; i++) {
		wait(from);
		expect(syscall(SYS_read, from, &byte, 1) == 1);
		waiters++;
	}
	pthread_join(thread, NULL);
}

APART void wait_for_pipe(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	expect(poll(&p, 1, -1) == 1);
	END;
}

APART void wait_for_socket(int fd)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	expect(select(fd + 1, &set, NULL, NULL, NULL) == 1);
	END;
}

APART void wait_for_several(int fd)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	expect(ppoll(p, 2, NULL, NULL) == 2);
	END;
}

APART void wait_for_epoll(int fd)
{
	static int epoll = -1;
	struct epoll_event e = {.events = EPOLLIN};

	if (epoll < 0) {
		epoll = epoll_create1(0);
		expect(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0);
	}
	expect(epoll_wait(epoll, &e, 1, -1) == 1);
	END;
}

/* ---- the rest ---------------------------------------------------------------------- */

static void *lingers(void *unused)
{
	truth("joined_tid", (unsigned long long)gettid());
	pass_time();
	pass_time();
	return unused;
}

APART void wait_for_thread(void)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, lingers, NULL) == 0);
	expect(pthread_join(thread, NULL) == 0);
	END;
}

APART void wait_for_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		pass_time();
		pass_time();
		syscall(SYS_exit_group, 0);
	}
	truth("child", (unsigned long long)child);
	expect(waitpid(child, NULL, 0) == child);
	END;
}

static void in_child_locked(int fd, int kind)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int own, ready[2];
	char byte;

	expect(pipe(ready) == 0);
	if (fork() == 0) {
		own = open("locked", O_RDWR);
		if (kind == 0)
			syscall(SYS_flock, own, LOCK_EX);
		else
			syscall(SYS_fcntl, own, F_SETLK, &l);
		syscall(SYS_write, ready[1], "x", 1);
		for (int i = 0; i < 5; i++)
			pass_time();
		syscall(SYS_exit_group, 0);
	}
	expect(syscall(SYS_read, ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	(void)fd;
}

APART void wait_for_file(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open("locked", O_RDWR | O_CREAT, 0600);

	for (int kind = 0; kind < 2; kind++) {
		in_child_locked(fd, kind);
		if (kind == 0)
			expect(flock(fd, LOCK_EX) == 0 && flock(fd, LOCK_UN) == 0);
		else
			expect(fcntl(fd, F_SETLKW, &l) == 0);
		syscall(SYS_wait4, -1, NULL, 0, NULL);
	}
	close(fd);
	END;
}

/* poll(2) of nothing is a way to sleep. */
APART void sleeps(void)
{
	const struct timespec span = {0, WAIT_US * 1000};
	struct timeval short_time = {0, WAIT_US};

	for (int i = 0; i < 5; i++) {
		if (i == 0)
			nanosleep(&span, NULL);
		else if (i == 1)
			usleep(WAIT_US);
		else if (i == 2)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
		else if (i == 3)
			poll(NULL, 0, WAIT_US / 1000);
		else
			select(0, NULL, NULL, NULL, &short_time);
	}
	END;
}

static int wait_for_all(void)
{
	pthread_mutex_t local = PTHREAD_MUTEX_INITIALIZER;
	struct block *block = make_block();
	int pair[2];

	contend(wait_for_variable, &known_lock);
	contend(wait_for_block, &block->mutex);
	contend(wait_for_local, &local);
	wait_for_condition();
	wait_for_semaphore();
	expect(pipe(pair) == 0);
	each_byte(pair[0], pair[1], wait_for_pipe);
	each_byte(pair[0], pair[1], wait_for_several);
	each_byte(pair[0], pair[1], wait_for_epoll);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	each_byte(pair[0], pair[1], wait_for_socket);
	wait_for_thread();
	wait_for_child();
	wait_for_file();
	sleeps();
	free(block);
	return wrongs != 0;
}

/* ---- what is free -------------------------------------------------------------------- */

APART void takes_what_is_free(unsigned times)
{
	static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
	static mtx_t mutex;
	struct timespec until = {0, 0};
	struct pollfd p = {.fd = 1, .events = POLLOUT};

	mtx_init(&mutex, mtx_plain);
	sem_init(&known_semaphore, 0, times * 2);
	for (unsigned i = 0; i < times; i++) {
		expect(pthread_mutex_lock(&known_lock) == 0);
		expect(pthread_mutex_unlock(&known_lock) == 0);
		expect(pthread_mutex_timedlock(&known_lock, &until) == 0);
		expect(pthread_mutex_unlock(&known_lock) == 0);
		expect(pthread_rwlock_rdlock(&lock) == 0 && pthread_rwlock_unlock(&lock) == 0);
		expect(pthread_rwlock_wrlock(&lock) == 0 && pthread_rwlock_unlock(&lock) == 0);
		expect(mtx_lock(&mutex) == 0 && mtx_unlock(&mutex) == 0);
		expect(sem_wait(&known_semaphore) == 0);
		expect(sem_timedwait(&known_semaphore, &until) == 0);
		expect(poll(&p, 0, 0) == 0);
		expect(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	}
	END;
}

/* ---- killed --------------------------------------------------------------------------- */

static void *runs(void *unused)
{
	for (volatile unsigned long i = 0;; i++)
		;
	return unused;
}

static int64_t process_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Two that share a processor have a second and more each when both have had four. */
static void be_killed(void)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, runs, NULL) == 0);
	while (process_ns() < INT64_C(5000000000))
		;
	kill(getpid(), SIGKILL);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "killed") == 0)
		be_killed();
	if (argc > 1 && strcmp(argv[1], "free") == 0) {
		takes_what_is_free(2000);
		truth("times", 2000);
		return wrongs != 0;
	}
	return wait_for_all();
}
