/* SPDX-License-Identifier: MIT */
/*
 * Calls every name of trace/functions.def, as it should be called and so that it
 * fails, and says for each call what its event is to hold:
 *     truth: NAME=RESULT                   of a call; -errno where it failed
 *     truth: NAME=ADDRESS:SIZE             of an allocation or a free
 *     truth: traffic.PATH=READ WRITTEN READS WRITES SYNCS    bytes and calls of a file
 *                                          or socket
 *     truth: untried=NAME                  there is no trial of that row
 * A new row needs one entry in trials[] below; its aliases are tried as it is.
 */
#include "preload/types.h"

#include "every_call_descriptors.h"
#include "every_call_memory.h"
#include "every_call_process.h"
#include "every_call_transfer.h"
#include "every_call_waits.h"

#include "every_call_metadata.h" /* its traffic is said as a transfer's */

enum name {
#define PH_IO(id, ...)	    AT_##id,
#define PH_BY_HAND(id, ...) AT_##id,
#define PH_AS(id, ...)	    AT_##id,
#define PH_ALIAS(alias, id) AT_##alias,
#include "trace/functions.def"
	NAMES,
};

/* ---- through which they are called ---------------------------------------------- */

static function *found[NAMES];

/* Not a jump: its frame is what is looked for. */
#define CALLER(id)                                                                                 \
	__attribute__((noinline)) static long call_##id(long a, long b, long c, long d, long e,    \
							long f, long g)                            \
	{                                                                                          \
		long r = found[AT_##id](a, b, c, d, e, f, g);                                      \
                                                                                                   \
		if (is_vfork && r == 0)                                                            \
			end_quietly(CHILD_STATUS);                                                 \
		__asm__ volatile("" : "+r"(r));                                                    \
		return r;                                                                          \
	}
#define PH_IO(id, ...)	    CALLER(id)
#define PH_BY_HAND(id, ...) CALLER(id)
#define PH_AS(id, ...)	    CALLER(id)
#define PH_ALIAS(alias, id) CALLER(alias)
#include "trace/functions.def"

#define RETURNS(type) _Generic((type *)NULL, void * : NOTHING, int * : NUMBER, default : WORD)

static const struct {
	const char *name;
	function *call;
	enum returns returns;
	enum name row;
} names[NAMES] = {
#define PH_IO(id, kind, ret, ...)      [AT_##id] = {#id, call_##id, RETURNS(ret), AT_##id},
#define PH_BY_HAND(id, kind, ret, ...) [AT_##id] = {#id, call_##id, RETURNS(ret), AT_##id},
#define PH_AS(id, as, ret, ...)	       [AT_##id] = {#id, call_##id, RETURNS(ret), AT_##id},
#define PH_ALIAS(alias, id)	       [AT_##alias] = {#alias, call_##alias, AS_ITS_ROW, AT_##id},
#include "trace/functions.def"
};

/* ---- the trials ------------------------------------------------------------------- */

static const struct {
	void (*body)(struct trial *t);
	bool alone; /* in a process of its own */
} trials[NAMES] = {
#define TRIAL(id) [AT_##id] = {try_##id, false}
#define ALONE(id) [AT_##id] = {try_##id, true}
	TRIAL(malloc),
	TRIAL(calloc),
	TRIAL(realloc),
	TRIAL(reallocarray),
	TRIAL(posix_memalign),
	TRIAL(aligned_alloc),
	TRIAL(memalign),
	TRIAL(valloc),
	TRIAL(pvalloc),
	TRIAL(free),
	TRIAL(cfree),
	TRIAL(free_sized),
	TRIAL(free_aligned_sized),
	TRIAL(mmap),
	TRIAL(munmap),
	TRIAL(mremap),
	TRIAL(brk),
	TRIAL(sbrk),
	TRIAL(read),
	TRIAL(pread),
	TRIAL(readv),
	TRIAL(preadv),
	TRIAL(preadv2),
	TRIAL(write),
	TRIAL(pwrite),
	TRIAL(writev),
	TRIAL(pwritev),
	TRIAL(pwritev2),
	TRIAL(__read_chk),
	TRIAL(__pread_chk),
	TRIAL(recv),
	TRIAL(__recv_chk),
	TRIAL(recvfrom),
	TRIAL(__recvfrom_chk),
	TRIAL(recvmsg),
	TRIAL(recvmmsg),
	TRIAL(send),
	TRIAL(sendto),
	TRIAL(sendmsg),
	TRIAL(sendmmsg),
	TRIAL(sendfile),
	TRIAL(splice),
	TRIAL(tee),
	TRIAL(copy_file_range),
	TRIAL(vmsplice),
	TRIAL(fsync),
	TRIAL(fdatasync),
	TRIAL(syncfs),
	TRIAL(sync_file_range),
	TRIAL(ftruncate),
	TRIAL(fallocate),
	TRIAL(posix_fallocate),
	TRIAL(open),
	TRIAL(openat),
	TRIAL(__open_2),
	TRIAL(__openat_2),
	TRIAL(openat2),
	TRIAL(open_by_handle_at),
	TRIAL(creat),
	TRIAL(mkstemp),
	TRIAL(mkostemp),
	TRIAL(mkstemps),
	TRIAL(mkostemps),
	TRIAL(shm_open),
	TRIAL(memfd_create),
	TRIAL(posix_openpt),
	TRIAL(eventfd),
	TRIAL(timerfd_create),
	TRIAL(signalfd),
	TRIAL(inotify_init),
	TRIAL(inotify_init1),
	TRIAL(fanotify_init),
	TRIAL(epoll_create),
	TRIAL(epoll_create1),
	TRIAL(pidfd_open),
	TRIAL(pidfd_getfd),
	TRIAL(fopen),
	TRIAL(freopen),
	TRIAL(tmpfile),
	TRIAL(popen),
	TRIAL(opendir),
	TRIAL(close),
	TRIAL(fclose),
	TRIAL(pclose),
	TRIAL(closedir),
	TRIAL(close_range),
	ALONE(closefrom),
	TRIAL(dup),
	TRIAL(dup2),
	TRIAL(dup3),
	TRIAL(fcntl),
	TRIAL(pipe),
	TRIAL(pipe2),
	TRIAL(openpty),
	[AT_socket] = {try_socket_row, false},
	TRIAL(socketpair),
	TRIAL(bind),
	TRIAL(listen),
	TRIAL(connect),
	TRIAL(accept),
	TRIAL(accept4),
	TRIAL(shutdown),
	TRIAL(stat),
	TRIAL(lstat),
	TRIAL(fstat),
	TRIAL(fstatat),
	TRIAL(statx),
	TRIAL(__xstat),
	TRIAL(__lxstat),
	TRIAL(__fxstat),
	TRIAL(__fxstatat),
	TRIAL(access),
	TRIAL(faccessat),
	TRIAL(euidaccess),
	TRIAL(readlink),
	TRIAL(readlinkat),
	TRIAL(__readlink_chk),
	TRIAL(truncate),
	TRIAL(chmod),
	TRIAL(fchmod),
	TRIAL(fchmodat),
	TRIAL(chown),
	TRIAL(lchown),
	TRIAL(fchown),
	TRIAL(fchownat),
	TRIAL(utimensat),
	TRIAL(futimens),
	TRIAL(unlink),
	TRIAL(unlinkat),
	TRIAL(remove),
	TRIAL(rmdir),
	TRIAL(mkdir),
	TRIAL(mkdirat),
	TRIAL(symlink),
	TRIAL(symlinkat),
	TRIAL(link),
	TRIAL(linkat),
	TRIAL(rename),
	TRIAL(renameat),
	TRIAL(renameat2),
	TRIAL(lseek),
	TRIAL(readdir),
	TRIAL(chdir),
	TRIAL(fchdir),
	TRIAL(aio_read),
	TRIAL(aio_write),
	TRIAL(aio_fsync),
	TRIAL(lio_listio),
	TRIAL(aio_return),
	TRIAL(getaddrinfo),
	TRIAL(pthread_create),
	TRIAL(thrd_create),
	TRIAL(fork),
	[AT__Fork] = {try_fork, false},
	TRIAL(vfork),
	TRIAL(clone),
	TRIAL(forkpty),
	TRIAL(daemon),
	TRIAL(execve),
	TRIAL(execv),
	TRIAL(execvp),
	TRIAL(execvpe),
	TRIAL(execl),
	TRIAL(execlp),
	TRIAL(execle),
	TRIAL(fexecve),
	TRIAL(execveat),
	TRIAL(posix_spawn),
	TRIAL(posix_spawnp),
	[AT_exit] = {try_end, false},
	[AT_quick_exit] = {try_end, false},
	[AT__exit] = {try_end, false},
	TRIAL(abort),
	TRIAL(sigaltstack),
	TRIAL(prctl),
	TRIAL(syscall),
	ALONE(chroot),
	ALONE(unshare),
	ALONE(setns),
	ALONE(setuid),
	[AT_seteuid] = {try_setuid, true},
	ALONE(setreuid),
	ALONE(setresuid),
	ALONE(setrlimit),
	ALONE(prlimit),
	TRIAL(poll),
	TRIAL(ppoll),
	TRIAL(__poll_chk),
	TRIAL(__ppoll_chk),
	TRIAL(select),
	TRIAL(pselect),
	TRIAL(epoll_wait),
	TRIAL(epoll_pwait),
	TRIAL(epoll_pwait2),
	TRIAL(nanosleep),
	TRIAL(clock_nanosleep),
	TRIAL(usleep),
	TRIAL(sleep),
	TRIAL(thrd_sleep),
	TRIAL(pthread_mutex_lock),
	TRIAL(pthread_mutex_timedlock),
	TRIAL(pthread_mutex_clocklock),
	TRIAL(pthread_rwlock_rdlock),
	TRIAL(pthread_rwlock_wrlock),
	TRIAL(pthread_rwlock_timedrdlock),
	TRIAL(pthread_rwlock_timedwrlock),
	TRIAL(pthread_rwlock_clockrdlock),
	TRIAL(pthread_rwlock_clockwrlock),
	TRIAL(mtx_lock),
	TRIAL(mtx_timedlock),
	TRIAL(pthread_cond_wait),
	TRIAL(pthread_cond_timedwait),
	TRIAL(pthread_cond_clockwait),
	TRIAL(cnd_wait),
	TRIAL(cnd_timedwait),
	TRIAL(sem_wait),
	TRIAL(sem_timedwait),
	TRIAL(sem_clockwait),
	TRIAL(pthread_barrier_wait),
	TRIAL(pthread_join),
	TRIAL(pthread_timedjoin_np),
	TRIAL(pthread_clockjoin_np),
	TRIAL(thrd_join),
	ALONE(wait),
	TRIAL(waitpid),
	ALONE(wait3),
	TRIAL(wait4),
	TRIAL(waitid),
	TRIAL(system),
	TRIAL(sigwait),
	TRIAL(sigwaitinfo),
	TRIAL(sigtimedwait),
	TRIAL(pause),
	TRIAL(sigsuspend),
	TRIAL(mq_receive),
	TRIAL(mq_timedreceive),
	TRIAL(mq_send),
	TRIAL(mq_timedsend),
	TRIAL(msgrcv),
	TRIAL(msgsnd),
	TRIAL(semop),
	TRIAL(semtimedop),
	TRIAL(flock),
	TRIAL(lockf),
};

static void try_name(enum name at)
{
	enum name row = names[at].row;
	struct trial t = {
		.name = names[at].name,
		.call = names[at].call,
		.returns = names[row].returns,
	};

	found[at] = (function *)dlsym(RTLD_DEFAULT, t.name);
	snprintf(t.file, sizeof(t.file), "%s.data", t.name);
	snprintf(t.other, sizeof(t.other), "%s.other", t.name);
	unlink(t.file);
	unlink(t.other);
	if (trials[row].body == NULL)
		say("truth: untried=%s\n", t.name);
	else if (found[at] == NULL)
		say("truth: missing=%s\n", t.name); /* of libc, and not recorded */
	else if (trials[row].alone)
		expect(in_child(trials[row].body, &t) == 0);
	else
		trials[row].body(&t);
}

static void find_self(void)
{
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	static char path[4200], copy[4096];

	expect(length > 0);
	memcpy(copy, self, sizeof(self));
	self_name = basename(self);
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", dirname(copy));
	setenv("PATH", path, 1);
	setenv("EVERY_CALL", "told", 1);
}

int main(int argc, char **argv)
{
	if (strcmp(argv[0], became[0]) == 0)
		return main_of_what_was_started(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	find_self();
	for (enum name at = 0; at < NAMES; at++) {
		/* One of them, for whoever looks for what is wrong with it. */
		if (argc < 2 || strcmp(argv[1], names[at].name) == 0)
			try_name(at);
	}
	return wrongs != 0;
}
