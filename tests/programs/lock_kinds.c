/* SPDX-License-Identifier: MIT */
/*
 * What locks, semaphores and conditions return, and what they do to errno: printed, to
 * be the same with the library and without. Of each kind of lock as it is free, held by
 * its own thread, by another, by a dead one.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <threads.h>
#include <time.h>

#include "truth.h"

enum { SENTINEL = 12345 };

#define SHOW(what, call)                                                                           \
	do {                                                                                       \
		long r_;                                                                           \
		errno = SENTINEL;                                                                  \
		r_ = (long)(call);                                                                 \
		say("%s: %s = %ld, errno %d\n", what, #call, r_, errno);                           \
	} while (0)

static struct timespec soon(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += 2000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static const struct timespec past = {1, 0}, never = {1, 1000000000}, before = {1, -1};

/* ---- mutexes ----------------------------------------------------------------------- */

struct kind {
	const char *name;
	int type, robust, protocol;
};

static const struct kind kinds[] = {
	{"normal", PTHREAD_MUTEX_NORMAL, 0, 0},
	{"recursive", PTHREAD_MUTEX_RECURSIVE, 0, 0},
	{"checking", PTHREAD_MUTEX_ERRORCHECK, 0, 0},
	{"adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, 0, 0},
	{"robust", PTHREAD_MUTEX_NORMAL, 1, 0},
	{"robust recursive", PTHREAD_MUTEX_RECURSIVE, 1, 0},
	{"robust checking", PTHREAD_MUTEX_ERRORCHECK, 1, 0},
	{"inheriting", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT},
	{"inheriting recursive", PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_INHERIT},
	{"inheriting checking", PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_INHERIT},
	{"inheriting robust", PTHREAD_MUTEX_NORMAL, 1, PTHREAD_PRIO_INHERIT},
	{"protecting", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_PROTECT},
	{"protecting checking", PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_PROTECT},
};

static void make(pthread_mutex_t *mutex, const struct kind *k)
{
	pthread_mutexattr_t a;

	expect(pthread_mutexattr_init(&a) == 0);
	expect(pthread_mutexattr_settype(&a, k->type) == 0);
	if (k->robust)
		expect(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	expect(pthread_mutexattr_setprotocol(&a, k->protocol) == 0);
	expect(pthread_mutex_init(mutex, &a) == 0);
}

static void *dies_with(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static void in_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, body, argument) == 0);
	expect(pthread_join(thread, NULL) == 0);
}

struct other {
	const char *name;
	pthread_mutex_t *mutex;
};

static void *finds_it_held(void *argument)
{
	const struct other *o = argument;
	struct timespec real = soon(CLOCK_REALTIME), monotonic = soon(CLOCK_MONOTONIC);

	SHOW(o->name, pthread_mutex_timedlock(o->mutex, &real));
	SHOW(o->name, pthread_mutex_timedlock(o->mutex, &past));
	SHOW(o->name, pthread_mutex_timedlock(o->mutex, &never));
	SHOW(o->name, pthread_mutex_clocklock(o->mutex, CLOCK_MONOTONIC, &monotonic));
	SHOW(o->name, pthread_mutex_clocklock(o->mutex, CLOCK_PROCESS_CPUTIME_ID, &past));
	return NULL;
}

static void try_mutex(const struct kind *k)
{
	pthread_mutex_t mutex;
	struct other other = {k->name, &mutex};

	make(&mutex, k);
	SHOW(k->name, pthread_mutex_lock(&mutex));
	/* Where a thread may not have the priority, libc does not keep who holds it. */
	if (k->protocol == PTHREAD_PRIO_PROTECT) {
		SHOW(k->name, pthread_mutex_unlock(&mutex));
		return;
	}
	in_thread(finds_it_held, &other);
	if (k->type != PTHREAD_MUTEX_NORMAL && k->type != PTHREAD_MUTEX_ADAPTIVE_NP) {
		SHOW(k->name, pthread_mutex_lock(&mutex));
		SHOW(k->name, pthread_mutex_timedlock(&mutex, &past));
	}
	if (k->type == PTHREAD_MUTEX_RECURSIVE) {
		unsigned count = (unsigned)mutex.__data.__count;

		mutex.__data.__count = UINT_MAX;
		SHOW(k->name, pthread_mutex_lock(&mutex));
		mutex.__data.__count = count;
	}
	while (pthread_mutex_unlock(&mutex) == 0 && k->type == PTHREAD_MUTEX_RECURSIVE)
		;
	SHOW(k->name, pthread_mutex_timedlock(&mutex, &never));
	SHOW(k->name, pthread_mutex_unlock(&mutex));
	SHOW(k->name, pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &past));
	SHOW(k->name, pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &past));
	SHOW(k->name, pthread_mutex_unlock(&mutex));
	if (!k->robust)
		return;
	in_thread(dies_with, &mutex);
	SHOW(k->name, pthread_mutex_lock(&mutex));
	SHOW(k->name, pthread_mutex_consistent(&mutex));
	SHOW(k->name, pthread_mutex_unlock(&mutex));
	in_thread(dies_with, &mutex);
	SHOW(k->name, pthread_mutex_timedlock(&mutex, &past));
	SHOW(k->name, pthread_mutex_unlock(&mutex));
	SHOW(k->name, pthread_mutex_lock(&mutex));
	SHOW(k->name, pthread_mutex_timedlock(&mutex, &past));
}

/* ---- read-write locks -------------------------------------------------------------- */

static void *finds_lock_held(void *argument)
{
	pthread_rwlock_t *lock = argument;
	struct timespec real = soon(CLOCK_REALTIME), monotonic = soon(CLOCK_MONOTONIC);

	SHOW("held", pthread_rwlock_timedrdlock(lock, &real));
	SHOW("held", pthread_rwlock_timedwrlock(lock, &past));
	SHOW("held", pthread_rwlock_clockrdlock(lock, CLOCK_MONOTONIC, &monotonic));
	SHOW("held", pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &past));
	return NULL;
}

static void try_rwlock(pthread_rwlock_t *lock)
{
	SHOW("free", pthread_rwlock_rdlock(lock));
	SHOW("read", pthread_rwlock_rdlock(lock));
	SHOW("read", pthread_rwlock_timedwrlock(lock, &past));
	SHOW("read", pthread_rwlock_unlock(lock));
	SHOW("read", pthread_rwlock_unlock(lock));
	SHOW("free", pthread_rwlock_wrlock(lock));
	SHOW("own", pthread_rwlock_wrlock(lock));
	SHOW("own", pthread_rwlock_rdlock(lock));
	SHOW("own", pthread_rwlock_timedrdlock(lock, &past));
	in_thread(finds_lock_held, lock);
	SHOW("own", pthread_rwlock_unlock(lock));
	SHOW("free", pthread_rwlock_timedrdlock(lock, &never));
	SHOW("free", pthread_rwlock_timedwrlock(lock, &before));
	SHOW("free", pthread_rwlock_clockrdlock(lock, CLOCK_PROCESS_CPUTIME_ID, &past));
	SHOW("free", pthread_rwlock_clockwrlock(lock, CLOCK_REALTIME, &never));
	SHOW("free", pthread_rwlock_clockwrlock(lock, CLOCK_REALTIME, &past));
	SHOW("free", pthread_rwlock_unlock(lock));
}

/* ---- semaphores --------------------------------------------------------------------- */

static void on_alarm(int number)
{
	(void)number;
}

static sem_t semaphore;
static int was_cancelled = 1;

/* Cancelled where it need not wait: it is up. */
static void *is_cancelled(void *unused)
{
	pthread_cancel(pthread_self());
	sem_wait(&semaphore);
	was_cancelled = 0;
	return unused;
}

static void try_semaphore(void)
{
	const struct itimerspec each = {{0, 5000000}, {0, 5000000}}, off = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm};
	struct timespec real = soon(CLOCK_REALTIME), monotonic = soon(CLOCK_MONOTONIC);
	timer_t timer;
	int value;

	sem_init(&semaphore, 0, 3);
	SHOW("up", sem_wait(&semaphore));
	SHOW("up", sem_timedwait(&semaphore, &never));
	SHOW("up", sem_timedwait(&semaphore, &past));
	SHOW("up", sem_clockwait(&semaphore, CLOCK_PROCESS_CPUTIME_ID, &past));
	SHOW("up", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &past));
	SHOW("down", sem_timedwait(&semaphore, &real));
	SHOW("down", sem_timedwait(&semaphore, &never));
	SHOW("down", sem_clockwait(&semaphore, CLOCK_MONOTONIC, &monotonic));
	sigaction(SIGALRM, &action, NULL);
	expect(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
	timer_settime(timer, 0, &each, NULL);
	SHOW("interrupted", sem_wait(&semaphore));
	SHOW("interrupted", usleep(900000));
	timer_settime(timer, 0, &off, NULL);
	sem_post(&semaphore);
	in_thread(is_cancelled, NULL);
	SHOW("cancelled", sem_getvalue(&semaphore, &value));
	say("cancelled %d, value %d\n", was_cancelled, value);
}

/* ---- threads.h, conditions, sleep --------------------------------------------------- */

static mtx_t mutex;

static int finds_mutex_held(void *unused)
{
	struct timespec real = soon(CLOCK_REALTIME);

	(void)unused;
	SHOW("held", mtx_timedlock(&mutex, &real));
	return 7;
}

static void try_threads(void)
{
	thrd_t thread;
	int result;
	cnd_t condition;
	struct timespec real = soon(CLOCK_REALTIME);
	const struct timespec brief = {0, 1000}, wrong = {0, -1};

	mtx_init(&mutex, mtx_timed | mtx_recursive);
	cnd_init(&condition);
	SHOW("mtx", mtx_lock(&mutex));
	SHOW("mtx", mtx_lock(&mutex));
	SHOW("mtx", mtx_unlock(&mutex));
	expect(thrd_create(&thread, finds_mutex_held, NULL) == thrd_success);
	SHOW("thrd", thrd_join(thread, &result) == thrd_success && result == 7);
	SHOW("cnd", cnd_timedwait(&condition, &mutex, &real));
	SHOW("mtx", mtx_unlock(&mutex));
	SHOW("thrd", thrd_sleep(&brief, NULL));
	SHOW("thrd", thrd_sleep(&wrong, NULL) < -1);
	SHOW("sleep", nanosleep(&wrong, NULL));
	SHOW("sleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, NULL));
	SHOW("sleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));
	SHOW("sleep", usleep(1));
}

static void try_condition(void)
{
	static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
	struct timespec real = soon(CLOCK_REALTIME), monotonic = soon(CLOCK_MONOTONIC);

	pthread_mutex_lock(&held);
	SHOW("condition", pthread_cond_timedwait(&condition, &held, &real));
	SHOW("condition", pthread_cond_timedwait(&condition, &held, &never));
	SHOW("condition", pthread_cond_clockwait(&condition, &held, CLOCK_MONOTONIC, &monotonic));
	SHOW("condition",
	     pthread_cond_clockwait(&condition, &held, CLOCK_PROCESS_CPUTIME_ID, &past));
	SHOW("condition", pthread_mutex_unlock(&held));
}

int main(void)
{
	static pthread_rwlock_t reader = PTHREAD_RWLOCK_INITIALIZER,
				writer = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		try_mutex(&kinds[i]);
	try_rwlock(&reader);
	try_rwlock(&writer);
	try_semaphore();
	try_threads();
	try_condition();
	return wrongs != 0;
}
