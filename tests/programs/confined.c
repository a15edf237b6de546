/* SPDX-License-Identifier: MIT */
/*
 * Gives up rights as servers do, and goes on working: by argument "strict" and
 * "filter" (seccomp, death for any call that is not allowed), "syscall" (the same
 * filter by syscall(2)), "threads" (a filter, then new threads and a child), "chroot"
 * and "user" (then threads, files and children), "vm" (a process on the same memory).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "truth.h"

#define ROUNDS		30000
#define THREADS		8
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct tally tally;

__attribute__((noinline)) static void work_confined(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		void *p = take(100 + (size_t)(i % 50));

		tally_alloc(&tally, 100 + (unsigned)(i % 50));
		if (i % 3 != 0 || p == NULL)
			continue;
		free(p);
		tally_free(&tally, 100 + (unsigned)(i % 50));
	}
}

/* Kills for every call that is not in the list. */
static struct sock_fprog *make_filter(const int *allowed, size_t count)
{
	static struct sock_filter code[64];
	static struct sock_fprog program = {.filter = code};
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	program.len = (unsigned short)n;
	return &program;
}

/* What the program itself needs: malloc's brk and mmap, write, the end. */
static const int few[] = {SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_exit_group};
/* ... and threads' (glibc's own needs), a fork, and waiting. */
static const int for_threads[] = {
	SYS_write,
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mprotect,
	SYS_exit_group,
	SYS_clone3,
	SYS_clone,
	SYS_rseq,
	SYS_set_robust_list,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_madvise,
	SYS_exit,
	SYS_futex,
	SYS_wait4,
	SYS_sched_getaffinity,
	SYS_getrandom,
	SYS_openat,
	SYS_read,
	SYS_close,
	SYS_execve,
};

static void *thread_work(void *unused)
{
	char *p = take(5000);

	(void)unused;
	if (p != NULL)
		p[0] = 1;
	return p;
}

static void threads(void)
{
	pthread_t list[THREADS];

	for (int i = 0; i < THREADS; i++)
		expect(pthread_create(&list[i], NULL, thread_work, NULL) == 0);
	for (int i = 0; i < THREADS; i++) {
		expect(pthread_join(list[i], NULL) == 0);
		tally_alloc(&tally, 5000);
	}
}

__attribute__((noinline)) static void grandchild(void)
{
	int got = -1;
	pid_t pid = fork();

	if (pid == 0) {
		expect(baseline || take(55) != NULL);
		_exit(0);
	}
	expect(waitpid(pid, &got, 0) == pid && got == 0);
}

static void child(int status, bool nested)
{
	int got = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("/child", O_WRONLY | O_CREAT, 0600);

		if (nested)
			grandchild();
		expect((baseline || take(777) != NULL) && (fd < 0 || write(fd, "child", 5) == 5));
		_exit(status);
	}
	expect(waitpid(pid, &got, 0) == pid && WIFEXITED(got) && WEXITSTATUS(got) == status);
}

static void confine(const char *how)
{
	struct sock_fprog *filter = make_filter(few, COUNT_OF(few));

	work_confined(100); /* libc's malloc asks for random bytes once */
	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (strcmp(how, "filter") == 0)
		expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) == 0);
	else
		expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) == 0);
	work_confined(ROUNDS);
	tally_say(&tally);
}

/* read, write, _exit and sigreturn only: what malloc needs must be there already. */
static void strict(void)
{
	void *heap;

	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	heap = malloc(16 << 20);
	expect(heap != NULL);
	free(heap);
	work_confined(100);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	work_confined(5000);
	tally_say(&tally);
	/* exit_group is not among them. */
	syscall(SYS_exit, 0);
}

static void confined_threads(void)
{
	struct sock_fprog *filter = make_filter(for_threads, COUNT_OF(for_threads));
	char byte;
	int fd;

	expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0);
	threads();
	work_confined(ROUNDS);
	fd = open("data", O_RDONLY);
	expect(fd >= 0 && read(fd, &byte, 1) == 1 && close(fd) == 0);
	child(4, false);
	tally_say(&tally);
}

/* What libraries do to see what the kernel can: nothing of it may change anything. */
static void probes(void)
{
	expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
	expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT);
	expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == -1);
	expect(prctl(PR_SET_SECCOMP, 77, 0, 0, 0) == -1 && errno == EINVAL);
	work_confined(ROUNDS);
	child(5, true);
	tally_say(&tally);
}

static void new_root(void)
{
	expect(chroot(".") == 0 && chdir("/") == 0);
	threads();
	work_confined(ROUNDS);
	child(5, true);
	child(6, true);
	tally_say(&tally);
}

static void new_user(void)
{
	expect(setresuid(65534, 65534, 0) == 0);
	threads();
	work_confined(ROUNDS);
	child(5, true);
	/* Again, as servers do that change to and fro. */
	expect(seteuid(0) == 0 && setresuid(65534, 65534, 65534) == 0);
	child(6, true);
	tally_say(&tally);
}

static _Atomic int over;

static int on_same_memory(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		int fd = open("data", O_RDONLY);

		close(fd);
	}
	over = 1;
	syscall(SYS_exit, 0);
	return 0;
}

/* Not a thread, and with the parent's thread-local storage: only system calls are
 * safe in it. */
static void same_memory(void)
{
	char *stack =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pid = clone(on_same_memory, stack + (1 << 20), CLONE_VM | SIGCHLD, NULL), status;

	expect(pid > 0);
	work_confined(ROUNDS);
	expect(waitpid(pid, &status, 0) == pid && over == 1);
	work_confined(ROUNDS);
	tally_say(&tally);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = {{"strict", strict}, {"threads", confined_threads}, {"chroot", new_root},
		    {"user", new_user}, {"vm", same_memory},	       {"probes", probes}};
	const char *how = argc > 1 ? argv[1] : "filter";
	int fd = open("data", O_WRONLY | O_CREAT, 0644);

	truth_begin(argc, argv);
	expect(fd >= 0 && write(fd, "data", 4) == 4);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (strcmp(ways[i].name, how) == 0) {
			ways[i].run();
			return wrongs != 0;
		}
	}
	confine(how);
	return wrongs != 0;
}
