/* SPDX-License-Identifier: MIT */
/*
 * Trials of what waits. What does not wait is no event: so each call waits for some
 * milliseconds, until another thread does what it waits for, its time is over, or a
 * signal comes.
 */
#ifndef PH_TESTS_EVERY_CALL_WAITS_H
#define PH_TESTS_EVERY_CALL_WAITS_H

#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <threads.h>
#include <time.h>

#include "every_call.h"

#define WAIT_NS 4000000

static const struct timespec a_while = {0, WAIT_NS};
static const struct timeval a_while_us = {0, WAIT_NS / 1000};

static void pass_time(void)
{
	syscall(SYS_nanosleep, &a_while, NULL);
}

static struct timespec in_a_while(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += WAIT_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* It gave an error, and left errno alone: the event has that one. */
#define RETURNS_ERROR(t, wanted, error, ...)                                                       \
	({                                                                                         \
		long r_ = CALL(t, ##__VA_ARGS__);                                                  \
		CHECK_TRIAL(t, r_ == (wanted) && errno == SENTINEL);                               \
		event(t, -(error));                                                                \
	})

/* ---- another thread ---------------------------------------------------------------- */

/* It does one thing at once, and another after a while. */
struct helper {
	void (*first)(void *argument), (*then)(void *argument);
	void *argument;
	_Atomic bool begun;
	pthread_t thread;
	pid_t waiter; /* the thread that began it */
};

static void *help(void *argument)
{
	struct helper *h = argument;

	if (h->first != NULL)
		h->first(h->argument);
	h->begun = true;
	pass_time();
	if (h->then != NULL)
		h->then(h->argument);
	else
		syscall(SYS_tgkill, getpid(), h->waiter, SIGUSR1);
	return NULL;
}

static void begin_help(struct helper *h, void (*first)(void *), void (*then)(void *),
		       void *argument)
{
	*h = (struct helper){.first = first, .then = then, .argument = argument};
	h->waiter = gettid();
	expect(pthread_create(&h->thread, NULL, help, h) == 0);
	while (!h->begun)
		syscall(SYS_sched_yield);
}

static void end_help(struct helper *h)
{
	expect(pthread_join(h->thread, NULL) == 0);
}

#define HELPED(first, then, argument, statement)                                                   \
	do {                                                                                       \
		struct helper h_;                                                                  \
		begin_help(&h_, first, then, argument);                                            \
		statement;                                                                         \
		end_help(&h_);                                                                     \
	} while (0)

static void on_signal(int number)
{
	(void)number;
}

/* By a signal whose handler does nothing. */
#define INTERRUPTED(statement)                                                                     \
	do {                                                                                       \
		struct sigaction a_ = {.sa_handler = on_signal}, before_;                          \
		sigaction(SIGUSR1, &a_, &before_);                                                 \
		HELPED(NULL, NULL, NULL, statement);                                               \
		sigaction(SIGUSR1, &before_, NULL);                                                \
	} while (0)

/* ---- descriptors --------------------------------------------------------------------- */

static void write_byte(void *fd)
{
	expect(syscall(SYS_write, *(int *)fd, "x", 1) == 1);
}

static void drain(int fd)
{
	expect(syscall(SYS_read, fd, buffer, 1) == 1);
}

/* The fourth or fifth word is what the checked names have besides. */
static void try_poll(struct trial *t)
{
	int fds[2];
	struct pollfd p;

	expect(pipe(fds) == 0);
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	GIVES(t, 0, &p, 1, WAIT_NS / 1000000, sizeof(p));
	HELPED(NULL, write_byte, &fds[1], GIVES(t, 1, &p, 1, -1, sizeof(p)));
	/* At once: no event. */
	CHECK_TRIAL(t, CALL(t, &p, 1, 0, sizeof(p)) == 1);
	drain(fds[0]);
	INTERRUPTED(FAILS(t, EINTR, &p, 1, -1, sizeof(p)));
	close(fds[0]);
	close(fds[1]);
}
#define try___poll_chk try_poll

static void try_ppoll(struct trial *t)
{
	int fds[2];
	struct pollfd p;

	expect(pipe(fds) == 0);
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	GIVES(t, 0, &p, 1, &a_while, NULL, sizeof(p));
	HELPED(NULL, write_byte, &fds[1], GIVES(t, 1, &p, 1, NULL, NULL, sizeof(p)));
	INTERRUPTED(drain(fds[0]); FAILS(t, EINTR, &p, 1, NULL, NULL, sizeof(p)));
	close(fds[0]);
	close(fds[1]);
}
#define try___ppoll_chk try_ppoll

static void try_selecting(struct trial *t, const void *timeout)
{
	int fds[2];
	fd_set set;

	expect(pipe(fds) == 0);
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	GIVES(t, 0, fds[0] + 1, &set, NULL, NULL, timeout, NULL);
	FD_SET(fds[0], &set);
	HELPED(NULL, write_byte, &fds[1], GIVES(t, 1, fds[0] + 1, &set, NULL, NULL, NULL, NULL));
	CHECK_TRIAL(t, FD_ISSET(fds[0], &set));
	drain(fds[0]);
	INTERRUPTED(FAILS(t, EINTR, fds[0] + 1, &set, NULL, NULL, NULL, NULL));
	close(fds[0]);
	close(fds[1]);
}

static void try_select(struct trial *t)
{
	struct timeval timeout = a_while_us; /* the kernel counts it down */

	try_selecting(t, &timeout);
}

static void try_pselect(struct trial *t)
{
	try_selecting(t, &a_while);
}

static void try_epolling(struct trial *t, long timeout, long forever)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fds[2], epoll = epoll_create1(0);

	expect(pipe(fds) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &e) == 0);
	GIVES(t, 0, epoll, &e, 1, timeout, NULL, 8);
	HELPED(NULL, write_byte, &fds[1], GIVES(t, 1, epoll, &e, 1, forever, NULL, 8));
	drain(fds[0]);
	INTERRUPTED(FAILS(t, EINTR, epoll, &e, 1, forever, NULL, 8));
	close(epoll);
	close(fds[0]);
	close(fds[1]);
}

static void try_epoll_wait(struct trial *t)
{
	try_epolling(t, WAIT_NS / 1000000, -1);
}
#define try_epoll_pwait try_epoll_wait

static void try_epoll_pwait2(struct trial *t)
{
	try_epolling(t, (long)&a_while, 0);
}

/* ---- sleep ---------------------------------------------------------------------------- */

static const struct timespec ten_seconds = {10, 0};

static void try_nanosleep(struct trial *t)
{
	GIVES(t, 0, &a_while, NULL);
	INTERRUPTED(FAILS(t, EINTR, &ten_seconds, NULL));
}

static void try_clock_nanosleep(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_MONOTONIC);

	GIVES(t, 0, CLOCK_MONOTONIC, 0, &a_while, NULL);
	until = in_a_while(CLOCK_MONOTONIC);
	GIVES(t, 0, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	INTERRUPTED(RETURNS_ERROR(t, EINTR, EINTR, CLOCK_MONOTONIC, 0, &ten_seconds, NULL));
}

static void try_usleep(struct trial *t)
{
	GIVES(t, 0, WAIT_NS / 1000);
	INTERRUPTED(FAILS(t, EINTR, 900000));
}

/* What is left of it. */
static void try_sleep(struct trial *t)
{
	INTERRUPTED(CHECK_TRIAL(t, SEES(t, 10) == 9));
}

static void try_thrd_sleep(struct trial *t)
{
	GIVES(t, 0, &a_while, NULL);
	INTERRUPTED(CHECK_TRIAL(t, CALL(t, &ten_seconds, NULL) == -1); event(t, -EINTR));
}

/* ---- locks ------------------------------------------------------------------------------ */

static void lock_mutex(void *mutex)
{
	expect(pthread_mutex_lock(mutex) == 0);
}

static void unlock_mutex(void *mutex)
{
	expect(pthread_mutex_unlock(mutex) == 0);
}

/* Where it is free: no event. */
static void try_pthread_mutex_lock(struct trial *t)
{
	pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

	HELPED(lock_mutex, unlock_mutex, &mutex, GIVES(t, 0, &mutex));
	RETURNS_ERROR(t, EDEADLK, EDEADLK, &mutex);
	unlock_mutex(&mutex);
	CHECK_TRIAL(t, CALL(t, &mutex) == 0);
	unlock_mutex(&mutex);
}

static void try_locking_for(struct trial *t, bool with_clock)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct timespec until;

	lock_mutex(&mutex);
	if (with_clock) {
		until = in_a_while(CLOCK_MONOTONIC);
		RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, &mutex, CLOCK_MONOTONIC, &until);
	} else {
		until = in_a_while(CLOCK_REALTIME);
		RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, &mutex, &until);
	}
	unlock_mutex(&mutex);
	until = in_a_while(CLOCK_REALTIME);
	until.tv_sec += 10;
	HELPED(lock_mutex, unlock_mutex, &mutex,
	       (void)(with_clock ? GIVES(t, 0, &mutex, CLOCK_REALTIME, &until)
				 : GIVES(t, 0, &mutex, &until)));
	unlock_mutex(&mutex);
}

static void try_pthread_mutex_timedlock(struct trial *t)
{
	try_locking_for(t, false);
}

static void try_pthread_mutex_clocklock(struct trial *t)
{
	try_locking_for(t, true);
}

static void lock_to_write(void *lock)
{
	expect(pthread_rwlock_wrlock(lock) == 0);
}

static void unlock(void *lock)
{
	expect(pthread_rwlock_unlock(lock) == 0);
}

static void try_pthread_rwlock_rdlock(struct trial *t)
{
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

	HELPED(lock_to_write, unlock, &lock, GIVES(t, 0, &lock));
	unlock(&lock);
	lock_to_write(&lock);
	RETURNS_ERROR(t, EDEADLK, EDEADLK, &lock);
	unlock(&lock);
}
#define try_pthread_rwlock_wrlock try_pthread_rwlock_rdlock

static void try_rwlock_for(struct trial *t, bool with_clock)
{
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
	struct timespec until = in_a_while(CLOCK_REALTIME);

	until.tv_sec += 10;
	HELPED(lock_to_write, unlock, &lock,
	       (void)(with_clock ? GIVES(t, 0, &lock, CLOCK_REALTIME, &until)
				 : GIVES(t, 0, &lock, &until)));
	unlock(&lock);
}

static void try_pthread_rwlock_timedrdlock(struct trial *t)
{
	try_rwlock_for(t, false);
}
#define try_pthread_rwlock_timedwrlock try_pthread_rwlock_timedrdlock

static void try_pthread_rwlock_clockrdlock(struct trial *t)
{
	try_rwlock_for(t, true);
}
#define try_pthread_rwlock_clockwrlock try_pthread_rwlock_clockrdlock

static void lock_mtx(void *mutex)
{
	expect(mtx_lock(mutex) == thrd_success);
}

static void unlock_mtx(void *mutex)
{
	expect(mtx_unlock(mutex) == thrd_success);
}

static void try_mtx_lock(struct trial *t)
{
	mtx_t mutex;

	expect(mtx_init(&mutex, mtx_plain) == thrd_success);
	HELPED(lock_mtx, unlock_mtx, &mutex, GIVES(t, thrd_success, &mutex));
	unlock_mtx(&mutex);
}

static void try_mtx_timedlock(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_REALTIME);
	mtx_t mutex;

	expect(mtx_init(&mutex, mtx_timed) == thrd_success);
	lock_mtx(&mutex);
	RETURNS_ERROR(t, thrd_timedout, ETIMEDOUT, &mutex, &until);
	unlock_mtx(&mutex);
	until.tv_sec += 10;
	HELPED(lock_mtx, unlock_mtx, &mutex, GIVES(t, thrd_success, &mutex, &until));
	unlock_mtx(&mutex);
}

/* ---- conditions ------------------------------------------------------------------------- */

struct condition {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
};

static void signal_condition(void *argument)
{
	struct condition *c = argument;

	lock_mutex(&c->mutex);
	expect(pthread_cond_signal(&c->condition) == 0);
	unlock_mutex(&c->mutex);
}

static void try_condition(struct trial *t, bool timed, bool with_clock)
{
	struct condition c = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
	struct timespec until = in_a_while(CLOCK_REALTIME);

	lock_mutex(&c.mutex);
	if (with_clock)
		RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, &c.condition, &c.mutex, CLOCK_REALTIME,
			      &until);
	else if (timed)
		RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, &c.condition, &c.mutex, &until);
	until.tv_sec += 10;
	HELPED(NULL, signal_condition, &c,
	       (void)(with_clock ? GIVES(t, 0, &c.condition, &c.mutex, CLOCK_REALTIME, &until)
				 : GIVES(t, 0, &c.condition, &c.mutex, &until)));
	unlock_mutex(&c.mutex);
}

static void try_pthread_cond_wait(struct trial *t)
{
	try_condition(t, false, false);
}

static void try_pthread_cond_timedwait(struct trial *t)
{
	try_condition(t, true, false);
}

static void try_pthread_cond_clockwait(struct trial *t)
{
	try_condition(t, true, true);
}

struct thread_condition {
	mtx_t mutex;
	cnd_t condition;
};

static void signal_cnd(void *argument)
{
	struct thread_condition *c = argument;

	lock_mtx(&c->mutex);
	expect(cnd_signal(&c->condition) == thrd_success);
	unlock_mtx(&c->mutex);
}

static void try_cnd(struct trial *t, bool timed)
{
	struct thread_condition c;
	struct timespec until = in_a_while(CLOCK_REALTIME);

	expect(mtx_init(&c.mutex, mtx_plain) == thrd_success);
	expect(cnd_init(&c.condition) == thrd_success);
	lock_mtx(&c.mutex);
	if (timed)
		RETURNS_ERROR(t, thrd_timedout, ETIMEDOUT, &c.condition, &c.mutex, &until);
	until.tv_sec += 10;
	HELPED(NULL, signal_cnd, &c, GIVES(t, thrd_success, &c.condition, &c.mutex, &until));
	unlock_mtx(&c.mutex);
}

static void try_cnd_wait(struct trial *t)
{
	try_cnd(t, false);
}

static void try_cnd_timedwait(struct trial *t)
{
	try_cnd(t, true);
}

/* ---- semaphores, barriers ----------------------------------------------------------------- */

static void post(void *semaphore)
{
	expect(sem_post(semaphore) == 0);
}

static void try_sem_wait(struct trial *t)
{
	sem_t semaphore;

	expect(sem_init(&semaphore, 0, 1) == 0);
	CHECK_TRIAL(t, CALL(t, &semaphore) == 0); /* no event */
	HELPED(NULL, post, &semaphore, GIVES(t, 0, &semaphore));
	INTERRUPTED(FAILS(t, EINTR, &semaphore));
}

static void try_sem_timedwait(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_REALTIME);
	sem_t semaphore;

	expect(sem_init(&semaphore, 0, 0) == 0);
	FAILS(t, ETIMEDOUT, &semaphore, &until);
	until.tv_sec += 10;
	HELPED(NULL, post, &semaphore, GIVES(t, 0, &semaphore, &until));
}

static void try_sem_clockwait(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_MONOTONIC);
	sem_t semaphore;

	expect(sem_init(&semaphore, 0, 0) == 0);
	FAILS(t, ETIMEDOUT, &semaphore, CLOCK_MONOTONIC, &until);
	until.tv_sec += 10;
	HELPED(NULL, post, &semaphore, GIVES(t, 0, &semaphore, CLOCK_MONOTONIC, &until));
}

static void wait_at_barrier(void *barrier)
{
	pthread_barrier_wait(barrier);
}

/* One of those that meet there is told so. */
static void try_pthread_barrier_wait(struct trial *t)
{
	pthread_barrier_t barrier;
	long r;

	expect(pthread_barrier_init(&barrier, NULL, 2) == 0);
	HELPED(NULL, wait_at_barrier, &barrier, r = CALL(t, &barrier);
	       CHECK_TRIAL(t, (r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD) && errno == SENTINEL));
	event(t, r == PTHREAD_BARRIER_SERIAL_THREAD);
}

/* ---- threads and processes ------------------------------------------------------------------ */

static void *lingers(void *argument)
{
	pass_time();
	pass_time();
	pass_time();
	return argument;
}

static void try_pthread_join(struct trial *t)
{
	pthread_t thread;
	void *result;

	expect(pthread_create(&thread, NULL, lingers, buffer) == 0);
	GIVES(t, 0, thread, &result);
	CHECK_TRIAL(t, result == buffer);
}

static void try_pthread_timedjoin_np(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_REALTIME);
	pthread_t thread;

	expect(pthread_create(&thread, NULL, lingers, NULL) == 0);
	RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, thread, NULL, &until);
	until.tv_sec += 10;
	GIVES(t, 0, thread, NULL, &until);
}

static void try_pthread_clockjoin_np(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_MONOTONIC);
	pthread_t thread;

	expect(pthread_create(&thread, NULL, lingers, NULL) == 0);
	RETURNS_ERROR(t, ETIMEDOUT, ETIMEDOUT, thread, NULL, CLOCK_MONOTONIC, &until);
	until.tv_sec += 10;
	GIVES(t, 0, thread, NULL, CLOCK_MONOTONIC, &until);
}

static int lingers_too(void *argument)
{
	pass_time();
	return argument == buffer ? 7 : 0;
}

static void try_thrd_join(struct trial *t)
{
	thrd_t thread;
	int result = 0;

	expect(thrd_create(&thread, lingers_too, buffer) == thrd_success);
	GIVES(t, thrd_success, thread, &result);
	CHECK_TRIAL(t, result == 7);
}

static pid_t make_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		pass_time();
		end_quietly(CHILD_STATUS);
	}
	expect(child > 0);
	return child;
}

#define CHECK_STATUS(t, status)                                                                    \
	CHECK_TRIAL(t, WIFEXITED(status) && WEXITSTATUS(status) == CHILD_STATUS)

static void try_wait(struct trial *t)
{
	pid_t child = make_child();
	int status = -1;

	GIVES(t, child, &status);
	CHECK_STATUS(t, status);
	/* At once: no event. */
	CHECK_TRIAL(t, CALL(t, &status) == -1 && errno == ECHILD);
}

static void try_waitpid(struct trial *t)
{
	pid_t child = make_child();
	int status = -1;

	GIVES(t, child, child, &status, 0, NULL);
	CHECK_STATUS(t, status);
	/* At once: no event. */
	child = make_child();
	CHECK_TRIAL(t, CALL(t, child, &status, WNOHANG, NULL) == 0);
	GIVES(t, child, child, &status, 0, NULL);
}
#define try_wait4 try_waitpid

static void try_wait3(struct trial *t)
{
	pid_t child = make_child();
	int status = -1;

	GIVES(t, child, &status, 0, NULL);
	CHECK_STATUS(t, status);
}

static void try_waitid(struct trial *t)
{
	pid_t child = make_child();
	siginfo_t info = {0};

	CHECK_TRIAL(t, CALL(t, P_PID, child, &info, WEXITED) == 0 && errno == SENTINEL);
	CHECK_TRIAL(t, info.si_pid == child && info.si_status == CHILD_STATUS);
	event(t, child);
}

static void try_system(struct trial *t)
{
	CHECK_TRIAL(t, SEES(t, "sleep 0.01; exit 3") == 3 << 8);
}

/* ---- signals ----------------------------------------------------------------------------------
 */

static void kill_own(void *unused)
{
	(void)unused;
	syscall(SYS_kill, getpid(), SIGUSR2);
}

/* In all threads. */
#define HELD_BACK(statement)                                                                       \
	do {                                                                                       \
		sigset_t set_, before_;                                                            \
		sigemptyset(&set_);                                                                \
		sigaddset(&set_, SIGUSR2);                                                         \
		pthread_sigmask(SIG_BLOCK, &set_, &before_);                                       \
		HELPED(NULL, kill_own, NULL, statement);                                           \
		pthread_sigmask(SIG_SETMASK, &before_, NULL);                                      \
	} while (0)

static void try_sigwait(struct trial *t)
{
	int number = 0;

	HELD_BACK(CHECK_TRIAL(t, CALL(t, &set_, &number) == 0 && number == SIGUSR2));
	event(t, SIGUSR2);
}

static void try_sigwaitinfo(struct trial *t)
{
	siginfo_t info;

	HELD_BACK(GIVES(t, SIGUSR2, &set_, &info));
}

static void try_sigtimedwait(struct trial *t)
{
	siginfo_t info;

	HELD_BACK(GIVES(t, SIGUSR2, &set_, &info, &ten_seconds);
		  FAILS(t, EAGAIN, &set_, &info, &a_while));
}

static void try_pause(struct trial *t)
{
	INTERRUPTED(FAILS(t, EINTR));
}

static void try_sigsuspend(struct trial *t)
{
	sigset_t none;

	sigemptyset(&none);
	INTERRUPTED(FAILS(t, EINTR, &none));
}

/* ---- messages ---------------------------------------------------------------------------------
 */

#define MESSAGE_ROOM 64

/* For one message. */
static mqd_t make_queue(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = MESSAGE_ROOM};
	char name[40];
	mqd_t queue;

	snprintf(name, sizeof(name), "/every_call.%d", getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	expect(queue >= 0);
	mq_unlink(name);
	return queue;
}

static void send_message(void *queue)
{
	expect(syscall(SYS_mq_timedsend, *(mqd_t *)queue, "12345", 5, 0, NULL) == 0);
}

static void receive_message(void *queue)
{
	static char message[MESSAGE_ROOM];

	expect(syscall(SYS_mq_timedreceive, *(mqd_t *)queue, message, MESSAGE_ROOM, NULL, NULL) ==
	       5);
}

static void try_mq_receive(struct trial *t)
{
	mqd_t queue = make_queue();

	HELPED(NULL, send_message, &queue, GIVES(t, 5, queue, buffer, MESSAGE_ROOM, NULL, NULL));
	close(queue);
}

static void try_mq_timedreceive(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_REALTIME);
	mqd_t queue = make_queue();

	FAILS(t, ETIMEDOUT, queue, buffer, MESSAGE_ROOM, NULL, &until);
	close(queue);
	try_mq_receive(t);
}

static void try_mq_send(struct trial *t)
{
	mqd_t queue = make_queue();

	send_message(&queue);
	HELPED(NULL, receive_message, &queue, GIVES(t, 0, queue, "67890", 5, 0, NULL));
	close(queue);
}

static void try_mq_timedsend(struct trial *t)
{
	struct timespec until = in_a_while(CLOCK_REALTIME);
	mqd_t queue = make_queue();

	send_message(&queue);
	FAILS(t, ETIMEDOUT, queue, "67890", 5, 0, &until);
	close(queue);
	try_mq_send(t);
}

struct letter {
	long type;
	char text[MESSAGE_ROOM];
};

static void send_letter(void *id)
{
	static struct letter letter = {.type = 1};

	expect(syscall(SYS_msgsnd, *(int *)id, &letter, 5, 0) == 0);
}

static void receive_letter(void *id)
{
	static struct letter letter;

	expect(syscall(SYS_msgrcv, *(int *)id, &letter, MESSAGE_ROOM, 0, 0) >= 0);
}

static void try_msgrcv(struct trial *t)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	struct letter letter;

	HELPED(NULL, send_letter, &id, GIVES(t, 5, id, &letter, MESSAGE_ROOM, 0, 0));
	INTERRUPTED(FAILS(t, EINTR, id, &letter, MESSAGE_ROOM, 0, 0));
	msgctl(id, IPC_RMID, NULL);
}

static void try_msgsnd(struct trial *t)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	struct letter letter = {.type = 1};

	while (syscall(SYS_msgsnd, id, &letter, MESSAGE_ROOM, IPC_NOWAIT) == 0)
		;
	HELPED(NULL, receive_letter, &id, GIVES(t, 0, id, &letter, MESSAGE_ROOM, 0));
	msgctl(id, IPC_RMID, NULL);
}

static void raise_semaphore(void *id)
{
	struct sembuf up = {.sem_op = 1};

	expect(syscall(SYS_semop, *(int *)id, &up, 1) == 0);
}

static void try_semop(struct trial *t)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	struct sembuf down = {.sem_op = -1};

	HELPED(NULL, raise_semaphore, &id, GIVES(t, 0, id, &down, 1, NULL));
	semctl(id, 0, IPC_RMID);
}

static void try_semtimedop(struct trial *t)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	struct sembuf down = {.sem_op = -1};

	FAILS(t, EAGAIN, id, &down, 1, &a_while);
	semctl(id, 0, IPC_RMID);
	try_semop(t);
}

/* ---- locks of files
 * ------------------------------------------------------------------------------ */

static void lock_whole(void *fd)
{
	expect(syscall(SYS_flock, *(int *)fd, LOCK_EX) == 0);
}

static void unlock_whole(void *fd)
{
	expect(syscall(SYS_flock, *(int *)fd, LOCK_UN) == 0);
}

static void try_flock(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR), other = open(t->file, O_RDWR);

	HELPED(lock_whole, unlock_whole, &other, GIVES(t, 0, fd, LOCK_EX));
	INTERRUPTED(unlock_whole(&fd); lock_whole(&other); FAILS(t, EINTR, fd, LOCK_EX));
	close(other);
	close(fd);
}

static void lock_record(void *fd)
{
	struct flock l = {.l_type = F_WRLCK};

	expect(syscall(SYS_fcntl, *(int *)fd, F_OFD_SETLK, &l) == 0);
}

static void unlock_record(void *fd)
{
	struct flock l = {.l_type = F_UNLCK};

	expect(syscall(SYS_fcntl, *(int *)fd, F_OFD_SETLK, &l) == 0);
}

static void try_lockf(struct trial *t)
{
	int fd = make_file(t->file, O_RDWR), other = open(t->file, O_RDWR);

	HELPED(lock_record, unlock_record, &other, GIVES(t, 0, fd, F_LOCK, 0));
	/* At once: no event. */
	CHECK_TRIAL(t, CALL(t, fd, F_ULOCK, 0) == 0);
	close(other);
	close(fd);
}

#endif
