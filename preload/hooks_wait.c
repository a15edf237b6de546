/* SPDX-License-Identifier: MIT */
/*
 * Calls in which a thread waits. Recorded is what really waited: what returns within
 * a few microseconds is not an event, and what is there to be taken (a free mutex, a
 * semaphore that is up) is taken by the function that does not wait, and costs that
 * call alone.
 *
 * Trying first changes nothing that a caller can see. The functions that try and
 * those that wait acquire alike and return the same for a lock that can be taken or
 * was taken too often (EAGAIN); only where the one says EBUSY does the other wait, or
 * find that it would wait for itself (EDEADLK). What the waiting ones check before
 * they look at the lock, a clock or a time, is checked here too. sem_wait(3) is a
 * cancellation point even where it does not wait. Mutexes that are robust, or have to
 * do with priorities, are never tried: glibc's pthread_mutex_trylock() keeps a robust
 * one that cannot be recovered locked (2.36).
 *
 * pthread_spin_lock() is not here: who spins runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>

#include "preload/config.h"
#include "preload/hooks.h"

/* Between two looks at the thread's processor time. */
#define SAMPLE_TICKS UINT64_C(20000000) /* of the counter: 5 to 10 ms */
#define SAMPLE_NS    UINT64_C(10000000)

/* What returns sooner did not wait. */
#define AT_ONCE_TICKS UINT64_C(12000) /* of the counter: 3 to 6 us */
#define AT_ONCE_NS    UINT64_C(5000)

static bool counts_ns(void)
{
	return ph_process->segment->clock_kind == PH_CLOCK_MONOTONIC;
}

/* ---- one wait ------------------------------------------------------------- */

/* This process's first event: it may have to be set up. */
static PH_COLD bool set_up(uintptr_t frame)
{
	struct ph_stream *s = ph_enter(frame);

	if (s != NULL)
		ph_leave(s);
	return ph_process->generation > PH_OFF;
}

/* When it begins; 0: it is not to be recorded. */
static uint64_t begin(uintptr_t frame)
{
	int saved = errno;
	bool on;

	if (!(ph_config.events & PH_EVENTS_WAIT) || ph_self.in_malloc == PH_QUIET)
		return 0;
	on = likely(ph_process->generation > PH_OFF) ||
	     (ph_process->generation != PH_OFF && set_up(frame));
	errno = saved;
	return on ? ph_now() : 0;
}

/* Is it over, and was it one? A fork in a handler may have come meanwhile, or the end
 * of recording. */
static bool has_waited(struct ph_call_state *c, bool certainly)
{
	if (c->entry == 0 || ph_process->generation <= PH_OFF)
		return false;
	c->exit = ph_now();
	return certainly || c->exit - c->entry >= (counts_ns() ? AT_ONCE_NS : AT_ONCE_TICKS);
}

/* Now and then, so that the time outside of waits can be told from that in which the
 * thread had no processor. It costs a system call. */
static unsigned sample_cpu(const struct ph_call_state *c, uint64_t *cpu_ns)
{
	static PH_TLS uint64_t sampled_at;

	if (ph_confined || c->exit - sampled_at < (counts_ns() ? SAMPLE_NS : SAMPLE_TICKS))
		return 0;
	sampled_at = c->exit;
	*cpu_ns = sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return 1;
}

/* What an event of a wait says. */
struct waited {
	unsigned op;
	int fd; /* -1: for none, or for several */
	int64_t result, arg;
};

static void record(struct ph_call_state *c, const struct waited *w, uintptr_t frame, void *caller)
{
	uint64_t cpu_ns;
	unsigned extra = sample_cpu(c, &cpu_ns);
	int saved = errno;
	struct ph_stream *s;

	if (w->fd >= 0 && (s = ph_enter(frame)) != NULL) {
		c->object = ph_object_of(s, w->fd);
		ph_leave(s);
		errno = saved;
	}
	ph_call_end(c, w->op, w->fd, w->result, w->arg, &cpu_ns, extra, frame, caller);
}

/* Of a function that returns its error. */
static int64_t result_of(int error)
{
	return error != 0 ? PH_ERROR(error) : 0;
}

static int64_t address_of(const void *object)
{
	return (int64_t)(uintptr_t)object;
}

/* In nanoseconds; -1: not to be read. */
static int64_t span_of(const struct timespec *span)
{
	return ph_may_be_read(span) ? span->tv_sec * INT64_C(1000000000) + span->tv_nsec : -1;
}

/* What begins and ends a wait in an exported function, whose frame and caller are the
 * event's. `certain`: it is recorded however short. */
#define BEGIN(condition) struct ph_call_state c = {.entry = (condition) ? begin(PH_FRAME()) : 0}
#define END(certain, ...)                                                                          \
	do {                                                                                       \
		if (has_waited(&c, certain)) {                                                     \
			const struct waited w_ = {__VA_ARGS__};                                    \
			record(&c, &w_, PH_FRAME(), PH_CALLER());                                  \
		}                                                                                  \
	} while (0)

/* ---- descriptors ------------------------------------------------------------ */

/* The one that was ready, or the only one; -1: several. */
static int polled_fd(const struct pollfd *fds, nfds_t count, int r)
{
	if (r == 1)
		for (nfds_t i = 0; i < count; i++)
			if (fds[i].revents != 0)
				return fds[i].fd;
	return count == 1 && r == 0 ? fds[0].fd : -1;
}

int ph_hook_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	BEGIN(timeout != 0);
	int r;

	PH_NEED(poll);
	r = ph_real.poll(fds, count, timeout);
	END(false, PH_OP_poll, polled_fd(fds, count, r), r, (int64_t)count);
	return r;
}

int ph_hook___poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
	BEGIN(timeout != 0);
	int r;

	PH_NEED_OR(__poll_chk, -1);
	r = ph_real.__poll_chk(fds, count, timeout, room);
	END(false, PH_OP___poll_chk, polled_fd(fds, count, r), r, (int64_t)count);
	return r;
}

static bool is_none(const struct timespec *timeout)
{
	return ph_may_be_read(timeout) && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

int ph_hook_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		  const sigset_t *signals)
{
	BEGIN(!is_none(timeout));
	int r;

	PH_NEED(ppoll);
	r = ph_real.ppoll(fds, count, timeout, signals);
	END(false, PH_OP_ppoll, polled_fd(fds, count, r), r, (int64_t)count);
	return r;
}

int ph_hook___ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			const sigset_t *signals, size_t room)
{
	BEGIN(!is_none(timeout));
	int r;

	PH_NEED_OR(__ppoll_chk, -1);
	r = ph_real.__ppoll_chk(fds, count, timeout, signals, room);
	END(false, PH_OP___ppoll_chk, polled_fd(fds, count, r), r, (int64_t)count);
	return r;
}

/* A set may be larger than fd_set has it. */
static bool is_in(int fd, const fd_set *set)
{
	const unsigned bits = 8 * sizeof(unsigned long);
	unsigned long word;

	if (set == NULL)
		return false;
	memcpy(&word, (const char *)set + (unsigned)fd / bits * sizeof(word), sizeof(word));
	return word >> (unsigned)fd % bits & 1;
}

static int selected_fd(int count, const fd_set *const sets[3], int r)
{
	for (int fd = 0; r == 1 && fd < count; fd++)
		if (is_in(fd, sets[0]) || is_in(fd, sets[1]) || is_in(fd, sets[2]))
			return fd;
	return -1;
}

int ph_hook_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		   struct timeval *timeout)
{
	const fd_set *const sets[3] = {readable, writable, exceptional};
	BEGIN(!(ph_may_be_read(timeout) && timeout->tv_sec == 0 && timeout->tv_usec == 0));
	int r;

	PH_NEED(select);
	r = ph_real.select(count, readable, writable, exceptional, timeout);
	END(false, PH_OP_select, selected_fd(count, sets, r), r, count);
	return r;
}

int ph_hook_pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		    const struct timespec *timeout, const sigset_t *signals)
{
	const fd_set *const sets[3] = {readable, writable, exceptional};
	BEGIN(!is_none(timeout));
	int r;

	PH_NEED(pselect);
	r = ph_real.pselect(count, readable, writable, exceptional, timeout, signals);
	END(false, PH_OP_pselect, selected_fd(count, sets, r), r, count);
	return r;
}

/* What was ready is in the program's own words: the event is about the epoll. */
int ph_hook_epoll_wait(int epoll, struct epoll_event *events, int room, int timeout)
{
	BEGIN(timeout != 0);
	int r;

	PH_NEED(epoll_wait);
	r = ph_real.epoll_wait(epoll, events, room, timeout);
	END(false, PH_OP_epoll_wait, epoll, r, room);
	return r;
}

int ph_hook_epoll_pwait(int epoll, struct epoll_event *events, int room, int timeout,
			const sigset_t *signals)
{
	BEGIN(timeout != 0);
	int r;

	PH_NEED(epoll_pwait);
	r = ph_real.epoll_pwait(epoll, events, room, timeout, signals);
	END(false, PH_OP_epoll_pwait, epoll, r, room);
	return r;
}

int ph_hook_epoll_pwait2(int epoll, struct epoll_event *events, int room,
			 const struct timespec *timeout, const sigset_t *signals)
{
	BEGIN(!is_none(timeout));
	int r;

	PH_NEED_OR(epoll_pwait2, -1);
	r = ph_real.epoll_pwait2(epoll, events, room, timeout, signals);
	END(false, PH_OP_epoll_pwait2, epoll, r, room);
	return r;
}

/* ---- sleep -------------------------------------------------------------------- */

int ph_hook_nanosleep(const struct timespec *span, struct timespec *left)
{
	BEGIN(true);
	int r;

	PH_NEED(nanosleep);
	r = ph_real.nanosleep(span, left);
	END(false, PH_OP_nanosleep, -1, r, span_of(span));
	return r;
}

int ph_hook_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
			    struct timespec *left)
{
	BEGIN(true);
	int r;

	PH_NEED(clock_nanosleep);
	r = ph_real.clock_nanosleep(clock, flags, span, left);
	END(false, PH_OP_clock_nanosleep, -1, result_of(r),
	    flags & TIMER_ABSTIME ? -1 : span_of(span));
	return r;
}

int ph_hook_usleep(useconds_t us)
{
	BEGIN(true);
	int r;

	PH_NEED(usleep);
	r = ph_real.usleep(us);
	END(false, PH_OP_usleep, -1, r, us * INT64_C(1000));
	return r;
}

unsigned ph_hook_sleep(unsigned seconds)
{
	BEGIN(true);
	unsigned r;

	PH_NEED(sleep);
	r = ph_real.sleep(seconds);
	END(false, PH_OP_sleep, -1, r, seconds * INT64_C(1000000000));
	return r;
}

/* It returns -1 where a signal came, and something below for any other error. */
int ph_hook_thrd_sleep(const struct timespec *span, struct timespec *left)
{
	BEGIN(true);
	int r;

	PH_NEED_OR(thrd_sleep, -2);
	r = ph_real.thrd_sleep(span, left);
	END(false, PH_OP_thrd_sleep, -1,
	    result_of(r == 0	? 0
		      : r == -1 ? EINTR
				: EINVAL),
	    span_of(span));
	return r;
}

/* ---- locks -------------------------------------------------------------------- */

#pragma weak pthread_mutex_trylock

/*
 * While the real functions are looked up: a program's own dlsym() may lock. No other
 * thread has a lock yet that could not be had soon; one that waits for itself is no
 * worse off than with the real function.
 */
static PH_COLD int lock_early(pthread_mutex_t *mutex)
{
	int r = ENOSYS;

	while (pthread_mutex_trylock != NULL && (r = pthread_mutex_trylock(mutex)) == EBUSY)
		sys0(SYS_sched_yield);
	return r;
}

/* Neither robust nor PTHREAD_PRIO_INHERIT nor PTHREAD_PRIO_PROTECT: as the static
 * initializers of every program have it. */
static inline bool is_plain(const pthread_mutex_t *mutex)
{
	return (mutex->__data.__kind & 0x70) == 0;
}

static PH_NOINLINE int wait_for_mutex(pthread_mutex_t *mutex, uintptr_t frame, void *caller)
{
	struct ph_call_state c = {0};
	int r;

	PH_NEED(pthread_mutex_lock);
	if (unlikely(ph_real.pthread_mutex_lock == NULL))
		return lock_early(mutex);
	c.entry = begin(frame);
	r = ph_real.pthread_mutex_lock(mutex);
	if (has_waited(&c, is_plain(mutex))) {
		const struct waited w = {PH_OP_pthread_mutex_lock, -1, result_of(r),
					 address_of(mutex)};

		record(&c, &w, frame, caller);
	}
	return r;
}

/* Can it be had, or refused, without a wait? Then *r is what the real function would
 * return, which does not look at its time in that case. */
static inline bool try_mutex(pthread_mutex_t *mutex, int *r)
{
	return likely(is_plain(mutex)) && likely(ph_real.pthread_mutex_trylock != NULL) &&
	       (*r = ph_real.pthread_mutex_trylock(mutex)) != EBUSY;
}

static inline bool try_read(pthread_rwlock_t *lock, int *r)
{
	return likely(ph_real.pthread_rwlock_tryrdlock != NULL) &&
	       (*r = ph_real.pthread_rwlock_tryrdlock(lock)) != EBUSY;
}

static inline bool try_write(pthread_rwlock_t *lock, int *r)
{
	return likely(ph_real.pthread_rwlock_trywrlock != NULL) &&
	       (*r = ph_real.pthread_rwlock_trywrlock(lock)) != EBUSY;
}

static inline bool try_thread_mutex(mtx_t *mutex, int *r)
{
	return likely(ph_real.mtx_trylock != NULL) &&
	       (*r = ph_real.mtx_trylock(mutex)) != thrd_busy;
}

/* Where nobody has the function: a program that asked for it found ours. */
#define NEED_OR_ERROR(id)                                                                          \
	PH_NEED(id);                                                                               \
	if (unlikely(ph_real.id == NULL))                                                          \
	return ENOSYS

/* What the real function would refuse, and a wait has none of. */
static bool is_usual_clock(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

static bool is_usual_time(const struct timespec *until)
{
	return ph_may_be_read(until) && until->tv_nsec >= 0 && until->tv_nsec < 1000000000;
}

int ph_hook_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int r;

	return try_mutex(mutex, &r) ? r : wait_for_mutex(mutex, PH_FRAME(), PH_CALLER());
}

int ph_hook_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_mutex_timedlock);
	if (likely(try_mutex(mutex, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_mutex_timedlock(mutex, until);
	END(is_plain(mutex), PH_OP_pthread_mutex_timedlock, -1, result_of(r), address_of(mutex));
	return r;
}

int ph_hook_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
				    const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_mutex_clocklock);
	if (is_usual_clock(clock) && likely(try_mutex(mutex, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_mutex_clocklock(mutex, clock, until);
	END(is_plain(mutex), PH_OP_pthread_mutex_clocklock, -1, result_of(r), address_of(mutex));
	return r;
}

int ph_hook_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_rdlock);
	if (likely(try_read(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_rdlock(lock);
	END(true, PH_OP_pthread_rwlock_rdlock, -1, result_of(r), address_of(lock));
	return r;
}

int ph_hook_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_wrlock);
	if (likely(try_write(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_wrlock(lock);
	END(true, PH_OP_pthread_rwlock_wrlock, -1, result_of(r), address_of(lock));
	return r;
}

int ph_hook_pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_timedrdlock);
	if (is_usual_time(until) && likely(try_read(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_timedrdlock(lock, until);
	END(true, PH_OP_pthread_rwlock_timedrdlock, -1, result_of(r), address_of(lock));
	return r;
}

int ph_hook_pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_timedwrlock);
	if (is_usual_time(until) && likely(try_write(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_timedwrlock(lock, until);
	END(true, PH_OP_pthread_rwlock_timedwrlock, -1, result_of(r), address_of(lock));
	return r;
}

int ph_hook_pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock,
				       const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_clockrdlock);
	if (is_usual_clock(clock) && is_usual_time(until) && likely(try_read(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_clockrdlock(lock, clock, until);
	END(true, PH_OP_pthread_rwlock_clockrdlock, -1, result_of(r), address_of(lock));
	return r;
}

int ph_hook_pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock,
				       const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_rwlock_clockwrlock);
	if (is_usual_clock(clock) && is_usual_time(until) && likely(try_write(lock, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_rwlock_clockwrlock(lock, clock, until);
	END(true, PH_OP_pthread_rwlock_clockwrlock, -1, result_of(r), address_of(lock));
	return r;
}

/* threads.h has its own words for errors. */
static int64_t thread_result(int r)
{
	return result_of(r == thrd_success ? 0 : r == thrd_timedout ? ETIMEDOUT : EINVAL);
}

#define NEED_OR_THREAD_ERROR(id)                                                                   \
	PH_NEED(id);                                                                               \
	if (unlikely(ph_real.id == NULL))                                                          \
	return thrd_error

int ph_hook_mtx_lock(mtx_t *mutex)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_THREAD_ERROR(mtx_lock);
	if (likely(try_thread_mutex(mutex, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.mtx_lock(mutex);
	END(true, PH_OP_mtx_lock, -1, thread_result(r), address_of(mutex));
	return r;
}

int ph_hook_mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_THREAD_ERROR(mtx_timedlock);
	if (likely(try_thread_mutex(mutex, &r)))
		return r;
	c.entry = begin(PH_FRAME());
	r = ph_real.mtx_timedlock(mutex, until);
	END(true, PH_OP_mtx_timedlock, -1, thread_result(r), address_of(mutex));
	return r;
}

/* ---- conditions ----------------------------------------------------------------- */

int ph_hook_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_cond_wait);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_cond_wait(condition, mutex);
	END(false, PH_OP_pthread_cond_wait, -1, result_of(r), address_of(condition));
	return r;
}

int ph_hook_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				   const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_cond_timedwait);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_cond_timedwait(condition, mutex, until);
	END(false, PH_OP_pthread_cond_timedwait, -1, result_of(r), address_of(condition));
	return r;
}

int ph_hook_pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				   clockid_t clock, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_cond_clockwait);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_cond_clockwait(condition, mutex, clock, until);
	END(false, PH_OP_pthread_cond_clockwait, -1, result_of(r), address_of(condition));
	return r;
}

int ph_hook_cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_THREAD_ERROR(cnd_wait);
	c.entry = begin(PH_FRAME());
	r = ph_real.cnd_wait(condition, mutex);
	END(false, PH_OP_cnd_wait, -1, thread_result(r), address_of(condition));
	return r;
}

int ph_hook_cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_THREAD_ERROR(cnd_timedwait);
	c.entry = begin(PH_FRAME());
	r = ph_real.cnd_timedwait(condition, mutex, until);
	END(false, PH_OP_cnd_timedwait, -1, thread_result(r), address_of(condition));
	return r;
}

/* ---- semaphores, barriers ------------------------------------------------------- */

/* True: it was up, and is taken. errno is what it was. */
static bool take_semaphore(sem_t *semaphore)
{
	int saved = errno;

	if (ph_real.sem_trywait == NULL || ph_real.pthread_testcancel == NULL)
		return false;
	ph_real.pthread_testcancel();
	if (ph_real.sem_trywait(semaphore) == 0)
		return true;
	errno = saved;
	return false;
}

int ph_hook_sem_wait(sem_t *semaphore)
{
	struct ph_call_state c = {0};
	int r;

	PH_NEED_OR(sem_wait, -1);
	if (take_semaphore(semaphore))
		return 0;
	c.entry = begin(PH_FRAME());
	r = ph_real.sem_wait(semaphore);
	END(true, PH_OP_sem_wait, -1, r, address_of(semaphore));
	return r;
}

int ph_hook_sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	PH_NEED_OR(sem_timedwait, -1);
	if (is_usual_time(until) && take_semaphore(semaphore))
		return 0;
	c.entry = begin(PH_FRAME());
	r = ph_real.sem_timedwait(semaphore, until);
	END(true, PH_OP_sem_timedwait, -1, r, address_of(semaphore));
	return r;
}

int ph_hook_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	PH_NEED_OR(sem_clockwait, -1);
	if (is_usual_clock(clock) && is_usual_time(until) && take_semaphore(semaphore))
		return 0;
	c.entry = begin(PH_FRAME());
	r = ph_real.sem_clockwait(semaphore, clock, until);
	END(true, PH_OP_sem_clockwait, -1, r, address_of(semaphore));
	return r;
}

/* One of them is told apart, which is no error. */
int ph_hook_pthread_barrier_wait(pthread_barrier_t *barrier)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_barrier_wait);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_barrier_wait(barrier);
	END(false, PH_OP_pthread_barrier_wait, -1,
	    r == PTHREAD_BARRIER_SERIAL_THREAD ? 1 : result_of(r), address_of(barrier));
	return r;
}

/* ---- threads and processes ------------------------------------------------------ */

int ph_hook_pthread_join(pthread_t thread, void **result)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_join);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_join(thread, result);
	END(false, PH_OP_pthread_join, -1, result_of(r), (int64_t)thread);
	return r;
}

int ph_hook_pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_timedjoin_np);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_timedjoin_np(thread, result, until);
	END(false, PH_OP_pthread_timedjoin_np, -1, result_of(r), (int64_t)thread);
	return r;
}

int ph_hook_pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
				 const struct timespec *until)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_ERROR(pthread_clockjoin_np);
	c.entry = begin(PH_FRAME());
	r = ph_real.pthread_clockjoin_np(thread, result, clock, until);
	END(false, PH_OP_pthread_clockjoin_np, -1, result_of(r), (int64_t)thread);
	return r;
}

int ph_hook_thrd_join(thrd_t thread, int *result)
{
	struct ph_call_state c = {0};
	int r;

	NEED_OR_THREAD_ERROR(thrd_join);
	c.entry = begin(PH_FRAME());
	r = ph_real.thrd_join(thread, result);
	END(false, PH_OP_thrd_join, -1, thread_result(r), (int64_t)thread);
	return r;
}

#define ANY_CHILD (-1)

pid_t ph_hook_wait(int *status)
{
	BEGIN(true);
	pid_t r;

	PH_NEED(wait);
	r = ph_real.wait(status);
	END(false, PH_OP_wait, -1, r, ANY_CHILD);
	return r;
}

pid_t ph_hook_waitpid(pid_t pid, int *status, int options)
{
	BEGIN(!(options & WNOHANG));
	pid_t r;

	PH_NEED(waitpid);
	r = ph_real.waitpid(pid, status, options);
	END(false, PH_OP_waitpid, -1, r, pid);
	return r;
}

pid_t ph_hook_wait3(int *status, int options, struct rusage *usage)
{
	BEGIN(!(options & WNOHANG));
	pid_t r;

	PH_NEED(wait3);
	r = ph_real.wait3(status, options, usage);
	END(false, PH_OP_wait3, -1, r, ANY_CHILD);
	return r;
}

pid_t ph_hook_wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	BEGIN(!(options & WNOHANG));
	pid_t r;

	PH_NEED(wait4);
	r = ph_real.wait4(pid, status, options, usage);
	END(false, PH_OP_wait4, -1, r, pid);
	return r;
}

int ph_hook_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	BEGIN(!(options & WNOHANG));
	int r;

	PH_NEED(waitid);
	r = ph_real.waitid(type, id, info, options);
	END(false, PH_OP_waitid, -1, r == 0 && info != NULL ? info->si_pid : r,
	    type == P_PID ? (int64_t)id : ANY_CHILD);
	return r;
}

/* libc starts the shell and waits for it by inner calls. */
int ph_hook_system(const char *command)
{
	BEGIN(command != NULL);
	int r;

	PH_NEED(system);
	r = ph_real.system(command);
	END(false, PH_OP_system, -1, r, ANY_CHILD);
	return r;
}

/* ---- signals --------------------------------------------------------------------- */

int ph_hook_sigwait(const sigset_t *signals, int *number)
{
	BEGIN(true);
	int r;

	PH_NEED(sigwait);
	r = ph_real.sigwait(signals, number);
	END(false, PH_OP_sigwait, -1, r != 0 ? PH_ERROR(r) : *number, 0);
	return r;
}

int ph_hook_sigwaitinfo(const sigset_t *signals, siginfo_t *info)
{
	BEGIN(true);
	int r;

	PH_NEED(sigwaitinfo);
	r = ph_real.sigwaitinfo(signals, info);
	END(false, PH_OP_sigwaitinfo, -1, r, 0);
	return r;
}

int ph_hook_sigtimedwait(const sigset_t *signals, siginfo_t *info, const struct timespec *timeout)
{
	BEGIN(!is_none(timeout));
	int r;

	PH_NEED(sigtimedwait);
	r = ph_real.sigtimedwait(signals, info, timeout);
	END(false, PH_OP_sigtimedwait, -1, r, 0);
	return r;
}

int ph_hook_pause(void)
{
	BEGIN(true);
	int r;

	PH_NEED(pause);
	r = ph_real.pause();
	END(false, PH_OP_pause, -1, r, 0);
	return r;
}

int ph_hook_sigsuspend(const sigset_t *signals)
{
	BEGIN(true);
	int r;

	PH_NEED(sigsuspend);
	r = ph_real.sigsuspend(signals);
	END(false, PH_OP_sigsuspend, -1, r, 0);
	return r;
}

/* ---- messages --------------------------------------------------------------------- */

ssize_t ph_hook_mq_receive(mqd_t queue, char *message, size_t room, unsigned *priority)
{
	BEGIN(true);
	ssize_t r;

	PH_NEED_OR(mq_receive, -1);
	r = ph_real.mq_receive(queue, message, room, priority);
	END(false, PH_OP_mq_receive, queue, r, 0);
	return r;
}

ssize_t ph_hook_mq_timedreceive(mqd_t queue, char *message, size_t room, unsigned *priority,
				const struct timespec *until)
{
	BEGIN(true);
	ssize_t r;

	PH_NEED_OR(mq_timedreceive, -1);
	r = ph_real.mq_timedreceive(queue, message, room, priority, until);
	END(false, PH_OP_mq_timedreceive, queue, r, 0);
	return r;
}

int ph_hook_mq_send(mqd_t queue, const char *message, size_t bytes, unsigned priority)
{
	BEGIN(true);
	int r;

	PH_NEED_OR(mq_send, -1);
	r = ph_real.mq_send(queue, message, bytes, priority);
	END(false, PH_OP_mq_send, queue, r, 0);
	return r;
}

int ph_hook_mq_timedsend(mqd_t queue, const char *message, size_t bytes, unsigned priority,
			 const struct timespec *until)
{
	BEGIN(true);
	int r;

	PH_NEED_OR(mq_timedsend, -1);
	r = ph_real.mq_timedsend(queue, message, bytes, priority, until);
	END(false, PH_OP_mq_timedsend, queue, r, 0);
	return r;
}

ssize_t ph_hook_msgrcv(int id, void *message, size_t room, long type, int flags)
{
	BEGIN(!(flags & IPC_NOWAIT));
	ssize_t r;

	PH_NEED(msgrcv);
	r = ph_real.msgrcv(id, message, room, type, flags);
	END(false, PH_OP_msgrcv, -1, r, id);
	return r;
}

int ph_hook_msgsnd(int id, const void *message, size_t bytes, int flags)
{
	BEGIN(!(flags & IPC_NOWAIT));
	int r;

	PH_NEED(msgsnd);
	r = ph_real.msgsnd(id, message, bytes, flags);
	END(false, PH_OP_msgsnd, -1, r, id);
	return r;
}

int ph_hook_semop(int id, struct sembuf *operations, size_t count)
{
	BEGIN(true);
	int r;

	PH_NEED(semop);
	r = ph_real.semop(id, operations, count);
	END(false, PH_OP_semop, -1, r, id);
	return r;
}

int ph_hook_semtimedop(int id, struct sembuf *operations, size_t count,
		       const struct timespec *timeout)
{
	BEGIN(true);
	int r;

	PH_NEED(semtimedop);
	r = ph_real.semtimedop(id, operations, count, timeout);
	END(false, PH_OP_semtimedop, -1, r, id);
	return r;
}

/* ---- locks of files ------------------------------------------------------------- */

int ph_hook_flock(int fd, int operation)
{
	BEGIN(!(operation & (LOCK_NB | LOCK_UN)));
	int r;

	PH_NEED(flock);
	r = ph_real.flock(fd, operation);
	END(false, PH_OP_flock, fd, r, operation);
	return r;
}

int ph_hook_lockf(int fd, int command, off_t length)
{
	BEGIN(command == F_LOCK);
	int r;

	PH_NEED(lockf);
	r = ph_real.lockf(fd, command, length);
	END(false, PH_OP_lockf, fd, r, length);
	return r;
}

int ph_wait_for_record(int fd, int command, long argument, uintptr_t frame, void *caller)
{
	struct ph_call_state c = {.entry = begin(frame)};
	int r = ph_real.fcntl(fd, command, argument);

	if (has_waited(&c, false)) {
		const struct waited w = {PH_OP_LOCKED, fd, r, command};

		record(&c, &w, frame, caller);
	}
	return r;
}
