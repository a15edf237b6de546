/* SPDX-License-Identifier: MIT */
/*
 * Threads that each spend their time in ways of their own, and say what the kernel's
 * clocks had of it:
 *     truth: ROLE.wall_us=        CLOCK_MONOTONIC, from the first line of its function to the last
 *     truth: ROLE.running_us=     processor time outside of its calls
 *     truth: ROLE.runnable_us=    the rest of the time outside of its calls
 *     truth: ROLE.reading_us=     and writing, network, waiting, sleeping: in its calls
 * Lengths of time are chosen so that no part is small against the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>

#include "truth.h"

#define MS INT64_C(1000000)

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

enum part { READING, WRITING, NETWORK, WAITING, SLEEPING, PARTS };
static const char *const part_names[PARTS] = {"reading", "writing", "network", "waiting",
					      "sleeping"};

/* One thread's account. */
struct account {
	const char *role;
	int64_t began, in[PARTS], outside, ran;
	int64_t wall_mark, cpu_mark;
};

static void open_account(struct account *a, const char *role)
{
	*a = (struct account){.role = role};
	a->began = a->wall_mark = clock_ns(CLOCK_MONOTONIC);
	a->cpu_mark = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void before_call(struct account *a)
{
	int64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);

	a->outside += wall - a->wall_mark;
	a->ran += cpu - a->cpu_mark;
	a->wall_mark = wall;
}

static void after_call(struct account *a, enum part part)
{
	int64_t wall = clock_ns(CLOCK_MONOTONIC);

	a->in[part] += wall - a->wall_mark;
	a->wall_mark = wall;
	a->cpu_mark = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

#define TIMED(a, part, call)                                                                       \
	do {                                                                                       \
		before_call(a);                                                                    \
		call;                                                                              \
		after_call(a, part);                                                               \
	} while (0)

static void close_account(struct account *a)
{
	int64_t wall;

	before_call(a);
	wall = clock_ns(CLOCK_MONOTONIC) - a->began;
	say("truth: %s.tid=%d\n", a->role, gettid());
	say("truth: %s.wall_us=%lld\n", a->role, (long long)(wall / 1000));
	say("truth: %s.running_us=%lld\n", a->role, (long long)(a->ran / 1000));
	say("truth: %s.runnable_us=%lld\n", a->role, (long long)((a->outside - a->ran) / 1000));
	for (int i = 0; i < PARTS; i++)
		say("truth: %s.%s_us=%lld\n", a->role, part_names[i], (long long)(a->in[i] / 1000));
}

/* By processor time, so that a busy machine changes how long it takes, not what it is. */
static void compute(int64_t ns)
{
	int64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 20000; i++)
			;
}

static void sleep_ms(int64_t ms)
{
	const struct timespec span = {0, ms * MS};

	expect(nanosleep(&span, NULL) == 0);
}

/* ---- the roles ---------------------------------------------------------------- */

static void *computes_and_sleeps(void *unused)
{
	struct account a;

	open_account(&a, "sleeper");
	for (int i = 0; i < 10; i++) {
		compute(20 * MS);
		TIMED(&a, SLEEPING, sleep_ms(30));
	}
	close_account(&a);
	return unused;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *holds(void *unused)
{
	struct account a;

	open_account(&a, "holder");
	for (int i = 0; i < 5; i++) {
		pthread_mutex_lock(&lock);
		TIMED(&a, WAITING, pthread_barrier_wait(&both));
		TIMED(&a, SLEEPING, sleep_ms(40));
		pthread_mutex_unlock(&lock);
		TIMED(&a, WAITING, pthread_barrier_wait(&both));
		compute(20 * MS);
	}
	close_account(&a);
	return unused;
}

static void *locks(void *unused)
{
	struct account a;

	open_account(&a, "locker");
	for (int i = 0; i < 5; i++) {
		TIMED(&a, WAITING, pthread_barrier_wait(&both));
		TIMED(&a, WAITING, pthread_mutex_lock(&lock));
		compute(5 * MS);
		pthread_mutex_unlock(&lock);
		TIMED(&a, WAITING, pthread_barrier_wait(&both));
		compute(20 * MS);
	}
	close_account(&a);
	return unused;
}

/* Reads of what is in the page cache: their processor time is theirs. */
static void *copies(void *unused)
{
	enum { BYTES = 4 << 20 };
	static char block[BYTES];
	struct account a;
	int fd = open("time_split.data", O_RDWR | O_CREAT | O_TRUNC, 0600);

	expect(fd >= 0);
	open_account(&a, "copier");
	for (int i = 0; i < 60; i++) {
		TIMED(&a, WRITING, expect(pwrite(fd, block, BYTES, 0) == BYTES));
		TIMED(&a, READING, expect(pread(fd, block, BYTES, 0) == BYTES));
		compute(1 * MS);
	}
	close_account(&a);
	close(fd);
	return unused;
}

static int ends[2];

static void *answers(void *unused)
{
	struct account a;
	char word[8];

	open_account(&a, "server");
	for (int i = 0; i < 10; i++) {
		TIMED(&a, NETWORK, expect(recv(ends[1], word, sizeof(word), 0) == sizeof(word)));
		compute(15 * MS);
		TIMED(&a, NETWORK, expect(send(ends[1], word, sizeof(word), 0) == sizeof(word)));
	}
	close_account(&a);
	return unused;
}

static void *asks(void *unused)
{
	struct account a;
	char word[8] = {0};

	open_account(&a, "client");
	for (int i = 0; i < 10; i++) {
		struct pollfd p = {.fd = ends[0], .events = POLLIN};

		compute(15 * MS);
		TIMED(&a, NETWORK, expect(send(ends[0], word, sizeof(word), 0) == sizeof(word)));
		TIMED(&a, WAITING, expect(poll(&p, 1, -1) == 1));
		TIMED(&a, NETWORK, expect(recv(ends[0], word, sizeof(word), 0) == sizeof(word)));
	}
	close_account(&a);
	return unused;
}

/* threads.h has functions of its own. */
static mtx_t mutex;
static cnd_t turned;
static int turn;

static void take_turns(struct account *a, int own)
{
	for (int i = 0; i < 10; i++) {
		mtx_lock(&mutex);
		while (turn % 2 != own)
			TIMED(a, WAITING, expect(cnd_wait(&turned, &mutex) == thrd_success));
		mtx_unlock(&mutex);
		compute(10 * MS);
		mtx_lock(&mutex);
		turn++;
		cnd_signal(&turned);
		mtx_unlock(&mutex);
	}
}

static int takes_even_turns(void *unused)
{
	struct account a;

	(void)unused;
	open_account(&a, "even");
	take_turns(&a, 0);
	close_account(&a);
	return 0;
}

static int takes_odd_turns(void *unused)
{
	struct account a;

	(void)unused;
	open_account(&a, "odd");
	take_turns(&a, 1);
	close_account(&a);
	return 0;
}

int main(void)
{
	static void *(*const roles[])(void *) = {
		computes_and_sleeps, holds, locks, copies, answers, asks};
	pthread_t threads[sizeof(roles) / sizeof(roles[0])];
	thrd_t even, odd;
	struct account a;

	expect(pthread_barrier_init(&both, NULL, 2) == 0);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	expect(mtx_init(&mutex, mtx_plain) == thrd_success && cnd_init(&turned) == thrd_success);
	open_account(&a, "main");
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		expect(pthread_create(&threads[i], NULL, roles[i], NULL) == 0);
	expect(thrd_create(&even, takes_even_turns, NULL) == thrd_success);
	expect(thrd_create(&odd, takes_odd_turns, NULL) == thrd_success);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		TIMED(&a, WAITING, expect(pthread_join(threads[i], NULL) == 0));
	TIMED(&a, WAITING, expect(thrd_join(even, NULL) == thrd_success));
	TIMED(&a, WAITING, expect(thrd_join(odd, NULL) == thrd_success));
	compute(300 * MS);
	close_account(&a);
	unlink("time_split.data");
	return wrongs != 0;
}
