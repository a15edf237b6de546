/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are held from all the places that a program has, and some that are not: each
 * size is of one block, and says which. They stay until the file "go" is there. Meanwhile
 * threads wait in every way and say at the end whether anything disturbed them.
 *
 * held_blocks LIBRARY [MODE...]: subreaper, ignore (SIGCHLD), quiet (no waiting threads),
 * confined (a seccomp filter), limited (no more processes), sleeping (in vfork)
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define NOINLINE __attribute__((noinline))

static _Atomic bool over; /* the file is there */

/* Where a pointer must not be found it is kept inverted. */
static uintptr_t hide(const void *p)
{
	return ~(uintptr_t)p;
}

static void *block(size_t size, const char *class)
{
	void *p = calloc(1, size);

	say("truth: class.%zu=%s\n", size, class);
	return p;
}

/* Whatever lies below on this stack. */
NOINLINE static void scrub(void)
{
	char room[60000];

	memset(room, 0, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
}

/* ---- where blocks are held -------------------------------------------------------- */

static void *volatile global;
static void *volatile inner;
static __thread void *volatile of_thread;
static void *volatile *mapped;
static void *volatile *carved; /* a pool of the program's own */
static void *volatile chain;
static void *volatile of_no_size;
static volatile size_t no_bytes;

/* What is asked of one thread that keeps something where only it can. */
struct keeper {
	pthread_t thread;
	uintptr_t hidden;
	_Atomic bool ready;
};

static void *keep_on_stack(void *argument)
{
	struct keeper *k = argument;
	void *volatile on_stack = (void *)~k->hidden;

	k->ready = true;
	while (!over)
		usleep(1000);
	return on_stack;
}

static void *keep_in_tls(void *argument)
{
	struct keeper *k = argument;

	of_thread = (void *)~k->hidden;
	k->ready = true;
	while (!over)
		usleep(1000);
	return NULL;
}

/* Only in a register: of the whole numbers, or a vector's. It sleeps in the kernel or runs. */
static void *keep_in_register(void *argument)
{
	struct keeper *k = argument;

	k->ready = true;
	__asm__ volatile("mov %[hidden], %%r13\n\tnot %%r13\n"
			 "1:\tpause\n\tcmpb $0, %[over]\n\tje 1b\n\txor %%r13, %%r13"
			 :
			 : [hidden] "r"(k->hidden), [over] "m"(over)
			 : "r13", "memory");
	return NULL;
}

static void *keep_in_vector(void *argument)
{
	struct keeper *k = argument;

	k->ready = true;
	__asm__ volatile("mov %[hidden], %%rax\n\tnot %%rax\n\tmovq %%rax, %%xmm9\n"
			 "\tpslldq $8, %%xmm9\n\txor %%eax, %%eax\n"
			 "1:\tpause\n\tcmpb $0, %[over]\n\tje 1b\n\tpxor %%xmm9, %%xmm9"
			 :
			 : [hidden] "r"(k->hidden), [over] "m"(over)
			 : "rax", "xmm9", "memory");
	return NULL;
}

static void *return_it(void *argument)
{
	struct keeper *k = argument;

	k->ready = true;
	return (void *)~k->hidden;
}

static struct keeper keepers[5];

NOINLINE static void begin_keeper(size_t i, void *(*start)(void *), size_t size)
{
	keepers[i].hidden = hide(block(size, "still reachable"));
	expect(pthread_create(&keepers[i].thread, NULL, start, &keepers[i]) == 0);
	while (!keepers[i].ready)
		sched_yield();
}

/* ---- who else holds none ------------------------------------------------------------- */

NOINLINE static void lose(void)
{
	void *volatile *a = block(1001, "lost"), *volatile *b = block(1003, "indirectly lost");

	a[1] = (void *)b;
	b[2] = block(1005, "indirectly lost");
	a = block(1007, "lost"); /* the earlier of a ring */
	b = block(1009, "indirectly lost");
	a[0] = (void *)b;
	b[0] = (void *)a;
}

/* What a thread left on its stack is not held. */
static void *leave(void *unused)
{
	void *volatile left[64];

	left[0] = block(1011, "lost");
	left[63] = left[0];
	(void)unused;
	return NULL;
}

NOINLINE static void lose_in_thread(void)
{
	pthread_t t;

	expect(pthread_create(&t, NULL, leave, NULL) == 0);
	expect(pthread_join(t, NULL) == 0);
}

/* What only a freed block leads to. */
NOINLINE static void lose_in_free(void)
{
	void *volatile *freed = malloc(4000);

	freed[100] = block(1013, "lost");
	freed[101] = freed[100];
	free((void *)freed);
}

NOINLINE static void hold(const char *library)
{
	void (*hold_in_library)(void *, void *);
	void *handle = dlopen(library, RTLD_NOW);
	char *interior;
	void *volatile *way;

	global = block(2001, "still reachable");
	interior = block(2003, "possibly lost");
	inner = interior + 100;
	/* From there on nothing is certain. */
	*(void *volatile *)interior = block(2005, "possibly lost");
	mapped[7] = block(2007, "still reachable");
	carved[1000] = block(2009, "still reachable");
	way = chain = block(2011, "still reachable");
	way[3] = block(2013, "still reachable");
	of_no_size = malloc(no_bytes);
	hold_in_library = (void (*)(void *, void *))(uintptr_t)dlsym(handle, "hold_in_library");
	if (hold_in_library == NULL)
		exit(2);
	hold_in_library(block(2015, "still reachable"), block(2017, "still reachable"));
	/* One of pages of its own, that holds another. */
	way = block(300001, "still reachable");
	mapped[9] = (void *)way;
	way[30000] = block(2019, "still reachable");
	free(malloc(200000));
}

/* ---- who must not be disturbed -------------------------------------------------------- */

static _Atomic unsigned long disturbed;
static _Atomic unsigned child_signals;
static _Atomic unsigned opened; /* threads that have what they need */
static _Atomic int mark;	/* of the line that was */

#define undisturbed(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			disturbed++;                                                               \
			mark = __LINE__;                                                           \
		}                                                                                  \
	} while (0)

static void *wait_for_events(void *unused)
{
	int set = epoll_create1(0);
	struct epoll_event e;
	sigset_t none;

	(void)unused;
	sigemptyset(&none);
	opened++;
	for (bool by_mask = false; !over; by_mask = !by_mask)
		undisturbed((by_mask ? epoll_pwait(set, &e, 1, 200, &none)
				     : epoll_wait(set, &e, 1, 200)) == 0);
	return NULL;
}

static void *wait_for_semaphore(void *unused)
{
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf take = {.sem_num = 0, .sem_op = -1};

	(void)unused;
	while (!over) {
		const struct timespec t = {.tv_nsec = 200000000};

		undisturbed(semtimedop(id, &take, 1, &t) == -1 && errno == EAGAIN);
	}
	semctl(id, 0, IPC_RMID);
	return NULL;
}

static void *wait_for_signal(void *unused)
{
	const struct timespec t = {.tv_nsec = 200000000};
	sigset_t set;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	while (!over)
		undisturbed(sigtimedwait(&set, NULL, &t) == -1 && errno == EAGAIN);
	return NULL;
}

static void *wait_for_bytes(void *unused)
{
	const struct timeval limit = {.tv_usec = 200000};
	int ends[2];
	char byte;

	(void)unused;
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	opened++;
	while (!over)
		undisturbed(recv(ends[0], &byte, 1, 0) == -1 && errno == EAGAIN);
	return NULL;
}

static void *sleep_exactly(void *unused)
{
	(void)unused;
	while (!over) {
		const struct timespec t = {.tv_nsec = 50000000};
		struct timespec rest = {0, 0}, before, after;

		clock_gettime(CLOCK_MONOTONIC, &before);
		undisturbed(nanosleep(&t, &rest) == 0);
		clock_gettime(CLOCK_MONOTONIC, &after);
		undisturbed((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec -
				    before.tv_nsec >=
			    50000000);
	}
	return NULL;
}

static void *poll_pipe(void *unused)
{
	int ends[2];
	char byte;

	(void)unused;
	expect(pipe(ends) == 0);
	opened++;
	while (!over) {
		struct pollfd p = {.fd = ends[0], .events = POLLIN};

		undisturbed(poll(&p, 1, 100) == 0);
		undisturbed(ppoll(&p, 1, &(struct timespec){.tv_nsec = 100000000}, NULL) == 0);
		undisturbed(write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	}
	return NULL;
}

static void *wait_for_condition(void *unused)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

	(void)unused;
	pthread_mutex_lock(&mutex);
	while (!over) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		undisturbed(pthread_cond_timedwait(&condition, &mutex, &until) == ETIMEDOUT);
	}
	return NULL;
}

/* There is no child, of whatever kind. */
static void *look_for_children(void *unused)
{
	(void)unused;
	while (!over) {
		undisturbed(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
		undisturbed(waitpid(-1, NULL, WNOHANG | __WCLONE) == -1 && errno == ECHILD);
		undisturbed(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
		usleep(300);
	}
	return NULL;
}

/* Signals come as they should, in the midst of it. */
static _Atomic unsigned long handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void *be_signalled(void *unused)
{
	int set = epoll_create1(0);
	struct epoll_event e;

	(void)unused;
	opened++;
	while (!over) {
		unsigned long before = handled;

		/* Without a handler's call it does not fail. */
		undisturbed(epoll_wait(set, &e, 1, 500) == 0 || handled != before);
	}
	return NULL;
}

static void *count(void *argument)
{
	volatile unsigned long *n = argument;

	while (!over)
		++*n;
	return NULL;
}

static unsigned long counted[2];

static size_t descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void begin_waiting(bool with_children)
{
	static void *(*const waiting[])(void *) = {
		wait_for_events, wait_for_semaphore, wait_for_signal,	wait_for_bytes,
		sleep_exactly,	 poll_pipe,	     wait_for_condition};
	pthread_t t, signalled;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		expect(pthread_create(&t, NULL, waiting[i], NULL) == 0);
	if (!with_children)
		expect(pthread_create(&t, NULL, look_for_children, NULL) == 0);
	expect(pthread_create(&t, NULL, count, &counted[0]) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	expect(pthread_create(&signalled, NULL, be_signalled, NULL) == 0);
	while (opened < 4)
		usleep(1000);
}

static void on_child(int number)
{
	(void)number;
	child_signals++;
}

/* Nobody, who may have no more processes than there are. */
static void become_limited(void)
{
	const struct rlimit none = {1, 1};

	expect(setrlimit(RLIMIT_NPROC, &none) == 0);
	expect(syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
	/* As it was before: it may be looked at. */
	expect(prctl(PR_SET_DUMPABLE, 1) == 0);
}

/* It sleeps until its child goes on, and cannot be woken. What it holds is on its stack. */
static void *sleep_in_vfork(void *unused)
{
	void *volatile on_stack = block(3011, "still reachable");
	pid_t child = vfork();

	(void)unused;
	if (child == 0) {
		struct stat st;

		while (syscall(SYS_stat, "go", &st) != 0)
			syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 10000000}, NULL);
		_exit(0);
	}
	expect(waitpid(child, NULL, 0) == child);
	return on_stack;
}

/* To fork, or to ask for anything that it does not ask for itself, is its death. */
static void confine(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_wait4, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* ---- all ---------------------------------------------------------------------------------- */

static bool has(int argc, char **argv, const char *mode)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], mode) == 0)
			return true;
	return false;
}

NOINLINE static void make_blocks(const char *library)
{
	mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	carved = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hold(library);
	lose();
	lose_in_thread();
	lose_in_free();
	begin_keeper(0, keep_on_stack, 3001);
	begin_keeper(1, keep_in_tls, 3003);
	begin_keeper(2, keep_in_register, 3005);
	begin_keeper(3, keep_in_vector, 3007);
	begin_keeper(4, return_it, 3009);
}

int main(int argc, char **argv)
{
	pthread_t sleeper;
	struct stat st;
	size_t before;

	if (argc < 2)
		return 2;
	signal(SIGUSR1, on_signal);
	signal(SIGCHLD, has(argc, argv, "ignore") ? SIG_IGN : on_child);
	if (has(argc, argv, "subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	make_blocks(argv[1]);
	scrub();
	if (!has(argc, argv, "quiet"))
		begin_waiting(has(argc, argv, "subreaper") || has(argc, argv, "sleeping"));
	if (has(argc, argv, "confined"))
		confine();
	if (has(argc, argv, "limited"))
		become_limited();
	if (has(argc, argv, "sleeping"))
		expect(pthread_create(&sleeper, NULL, sleep_in_vfork, NULL) == 0);
	usleep(100000);
	before = descriptors();
	say("truth: ready=1\n");
	while (stat("go", &st) != 0) {
		usleep(20000);
		if (!has(argc, argv, "quiet"))
			kill(getpid(), SIGUSR1);
	}
	truth("descriptors", descriptors() - before);
	over = true;
	for (size_t i = 0; i < 5; i++)
		pthread_join(keepers[i].thread, NULL);
	if (has(argc, argv, "sleeping"))
		pthread_join(sleeper, NULL);
	usleep(600000);
	truth("disturbed", disturbed);
	truth("disturbed_line", (unsigned long long)mark);
	truth("child_signals", child_signals);
	/* No child was left dead. */
	if (has(argc, argv, "confined"))
		return wrongs != 0;
	truth("children", waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD ? 0 : 1);
	return wrongs != 0;
}
