/* SPDX-License-Identifier: MIT */
/*
 * Processes begun, exchanged and ended in the way that the first argument names:
 * what a recorder of process trees has to see as the kernel does. Every process
 * does something that is recorded before it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "lane.h"
#include "truth.h"

extern char **environ;

static char *self;
static char *const truly[] = {"true", "of", "two words", NULL};

static void work(void)
{
	free(keep(malloc(100)));
}

/* The status as a shell has it. */
static int ended(pid_t child)
{
	int status = -1;

	expect(child > 0 && waitpid(child, &status, __WALL) == child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- begun ---------------------------------------------------------------- */

/* The last one goes on when its parents are long gone. */
static void double_fork(bool then_exec)
{
	pid_t child = fork();

	if (child == 0) {
		pid_t middle = getpid();

		setsid();
		if (fork() != 0)
			_exit(0);
		while (getppid() == middle)
			usleep(1000);
		work();
		if (then_exec)
			execvp("true", truly);
		_exit(5);
	}
	expect(ended(child) == 0);
}

static void orphan(void)
{
	double_fork(false);
}

static void orphan_exec(void)
{
	double_fork(true);
}

/* libc's own, whose fork nobody intercepts. */
static void by_daemon(void)
{
	expect(daemon(1, 1) == 0);
	work();
	exit(4);
}

/* noinline: the frame that vfork returns into must still be there. */
__attribute__((noinline)) static pid_t vfork_to(const char *path)
{
	pid_t child = vfork();

	if (child == 0) {
		if (path != NULL)
			execv(path, truly);
		_exit(7);
	}
	return child;
}

static void by_vfork(void)
{
	for (int i = 0; i < 3; i++) {
		expect(ended(vfork_to("/bin/true")) == 0);
		expect(ended(vfork_to("/bin/false")) == 1);
		expect(ended(vfork_to("/no/such/program")) == 7);
		expect(ended(vfork_to(NULL)) == 7);
		work();
	}
}

static void by_spawn(void)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t child = 0;

	expect(posix_spawnp(&child, "true", NULL, NULL, truly, environ) == 0);
	expect(ended(child) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "spawned", O_WRONLY | O_CREAT, 0644);
	posix_spawn_file_actions_addclose(&actions, 0);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	expect(posix_spawn(&child, "/bin/echo", &actions, &attributes,
			   (char *const[]){"echo", "spawned", NULL}, environ) == 0);
	expect(ended(child) == 0);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	expect(posix_spawn(&child, "/no/such/program", NULL, NULL, truly, environ) == ENOENT);
}

static void by_system(void)
{
	expect(system("exit 5") == 5 << 8);
	expect(system("echo a | cat > /dev/null; false") == 1 << 8);
	expect(system("kill -9 $$") == 9);
}

static void by_popen(void)
{
	char line[64] = "";
	FILE *in = popen("echo from; exit 3", "r"), *out = popen("cat > /dev/null", "w");

	expect(in != NULL && fgets(line, sizeof(line), in) != NULL && strcmp(line, "from\n") == 0);
	expect(out != NULL && fputs("to\n", out) >= 0);
	expect(pclose(in) == 3 << 8 && pclose(out) == 0);
}

/* Children of calls that libc knows nothing of may only do what a handler may. */
static int in_raw_child(void *unused)
{
	(void)unused;
	expect(write(1, "", 0) == 0);
	_exit(11);
}

static pid_t by_clone3(void)
{
	struct clone_args how = {.exit_signal = SIGCHLD};

	return (pid_t)syscall(SYS_clone3, &how, sizeof(how));
}

static void by_clone(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	pid_t child = clone(in_raw_child, stack + sizeof(stack), SIGCHLD, NULL);

	expect(ended(child) == 11);
	child = clone(in_raw_child, stack + sizeof(stack), 0, NULL);
	expect(ended(child) == 11);
	child = _Fork();
	if (child == 0)
		in_raw_child(NULL);
	expect(ended(child) == 11);
	child = (pid_t)syscall(SYS_fork);
	if (child == 0)
		in_raw_child(NULL);
	expect(ended(child) == 11);
	child = by_clone3();
	if (child == 0)
		in_raw_child(NULL);
	expect(child == -1 || ended(child) == 11);
	child = _Fork();
	if (child == 0) {
		expect(write(1, "", 0) == 0);
		execv("/bin/true", truly);
	}
	expect(ended(child) == 0);
}

/* A brother of its maker. */
static void by_clone_parent(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		pid_t brother =
			(pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

		if (brother == 0)
			in_raw_child(NULL);
		work();
		_exit(0);
	}
	expect(waitpid(child, &status, 0) == child);
	while (waitpid(-1, &status, 0) < 0 && errno == EINTR)
		;
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 11);
}

/* A child that never becomes another program, and its own children. */
static void idle(void)
{
	pid_t child = fork();

	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			work();
			exit(13);
		}
		expect(ended(grandchild) == 13);
		for (;;)
			pause();
	}
	usleep(300000);
	kill(child, SIGKILL);
	expect(ended(child) == 128 + SIGKILL);
	/* The grandchild of a child that is killed meanwhile stays alive. */
	child = fork();
	if (child == 0) {
		if (fork() == 0) {
			pid_t parent = getppid();

			kill(parent, SIGKILL);
			while (getppid() == parent)
				usleep(1000);
			work();
			exit(14);
		}
		for (;;)
			pause();
	}
	expect(ended(child) == 128 + SIGKILL);
}

/* Ends that only the kernel knows of, of children that nobody asks after at once. */
static void reaped_late(void)
{
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		work();
		if (i == 0)
			quick_exit(0);
		if (i == 1)
			quick_exit(36);
		if (i == 2)
			raise(SIGKILL);
		syscall(SYS_exit_group, 0);
	}
	usleep(500000);
	for (int i = 0; i < 4; i++)
		expect(wait(NULL) > 0);
}

/* ---- from threads ----------------------------------------------------------- */

static void *exec_in_thread(void *unused)
{
	(void)unused;
	work();
	execvp("true", truly);
	_exit(99);
}

static void *wait_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static struct lane lanes[4];

/* The new image gets the first thread's number, whichever thread asked. */
static void thread_exec(void)
{
	lane_start(&lanes[0], wait_for_ever, NULL);
	lane_start(&lanes[1], wait_for_ever, NULL);
	usleep(20000);
	lane_start(&lanes[2], exec_in_thread, NULL);
	lane_join(&lanes[2]);
}

static void *fork_in_thread(void *argument)
{
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		if (child == 0) {
			work();
			if (argument != NULL)
				execvp("true", truly);
			_exit(0);
		}
		expect(ended(child) == 0);
	}
	return NULL;
}

static void thread_fork(void)
{
	for (size_t i = 0; i < 4; i++)
		lane_start(&lanes[i], fork_in_thread, i % 2 ? self : NULL);
	for (size_t i = 0; i < 4; i++)
		lane_join(&lanes[i]);
}

static void *fork_and_exit(void *unused)
{
	(void)unused;
	usleep(20000);
	fork_in_thread(NULL);
	exit(6);
}

/* The first thread ends before the others. */
static void first_thread_ends(void)
{
	lane_start(&lanes[0], fork_and_exit, NULL);
	pthread_exit(NULL);
}

/* ---- exchanged -------------------------------------------------------------- */

static void chain(void)
{
	work();
	execl(self, self, "chain-second", "", "arg\n\"2\"", NULL);
	_exit(99);
}

static void chain_second(void)
{
	work();
	execlp("sh", "sh", "-c", "exec true \"$@\"", "sh", "third", NULL);
	_exit(99);
}

static void by_descriptor(void)
{
	pid_t child = fork();
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	if (child == 0) {
		fexecve(fd, truly, environ);
		_exit(99);
	}
	expect(ended(child) == 0);
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "itself", "nothing", NULL);
		_exit(99);
	}
	expect(ended(child) == 0);
	close(fd);
}

/* Nothing of the library's mark is left but what is given. */
static void bare_environment(void)
{
	pid_t child = fork();

	if (child == 0) {
		char *keeps[2] = {NULL, NULL};

		for (char **e = environ; *e != NULL; e++)
			if (strncmp(*e, "LD_PRELOAD=", 11) == 0)
				keeps[0] = *e;
		execve("/bin/true", truly, keeps);
		_exit(99);
	}
	expect(ended(child) == 0);
}

/* ---- ended ------------------------------------------------------------------ */

static void by_return(void)
{
}

static void by_exit(void)
{
	exit(31);
}

static void by_underscore_exit(void)
{
	_exit(32);
}

static void by_upper_exit(void)
{
	_Exit(33);
}

static void by_quick_exit(void)
{
	quick_exit(34);
}

static void by_exit_call(void)
{
	syscall(SYS_exit_group, 35);
}

static void by_abort(void)
{
	abort();
}

static void by_sigterm(void)
{
	raise(SIGTERM);
}

static void by_sigkill(void)
{
	raise(SIGKILL);
}

static void by_sigsegv(void)
{
	volatile int *volatile nowhere = (volatile int *)8;

	*nowhere = 1;
}

static void by_sigpipe(void)
{
	int fds[2];

	expect(pipe(fds) == 0 && close(fds[0]) == 0);
	expect(write(fds[1], "", 1) == 1);
}

static const struct way {
	const char *name;
	void (*go)(void);
} begun[] = {{"orphan", orphan},
	     {"orphan_exec", orphan_exec},
	     {"daemon", by_daemon},
	     {"vfork", by_vfork},
	     {"spawn", by_spawn},
	     {"system", by_system},
	     {"popen", by_popen},
	     {"clone", by_clone},
	     {"clone_parent", by_clone_parent},
	     {"idle", idle},
	     {"reaped_late", reaped_late},
	     {"thread_exec", thread_exec},
	     {"thread_fork", thread_fork},
	     {"first_thread_ends", first_thread_ends},
	     {"chain", chain},
	     {"chain-second", chain_second},
	     {"descriptor", by_descriptor},
	     {"bare_environment", bare_environment},
	     {"nothing", by_return}},
  ends[] = {{"return", by_return},	   {"exit", by_exit},
	    {"_exit", by_underscore_exit}, {"_Exit", by_upper_exit},
	    {"quick_exit", by_quick_exit}, {"exit_group", by_exit_call},
	    {"abort", by_abort},	   {"SIGTERM", by_sigterm},
	    {"SIGKILL", by_sigkill},	   {"SIGSEGV", by_sigsegv},
	    {"SIGPIPE", by_sigpipe}};

__attribute__((noinline)) static pid_t vfork_to_self(const char *way)
{
	pid_t child = vfork();

	if (child == 0) {
		execl(self, self, way, NULL);
		_exit(99);
	}
	return child;
}

/* Each end as a child of this one's, and as an image that was exec'd. */
static void all_ends(void)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		pid_t child = fork();

		if (child == 0) {
			work();
			ends[i].go();
			exit(30);
		}
		ended(child);
		ended(vfork_to_self(ends[i].name));
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";

	self = argv[0];
	for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]); i++) {
		if (strcmp(way, begun[i].name) == 0) {
			begun[i].go();
			return wrongs != 0;
		}
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(way, ends[i].name) == 0) {
			work();
			ends[i].go();
			return 30;
		}
	}
	if (strcmp(way, "ends") != 0)
		return 98;
	all_ends();
	return wrongs != 0;
}
