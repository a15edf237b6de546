/* SPDX-License-Identifier: MIT */
/* Ends in the way that its argument names, after allocating what it prints. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "lane.h"
#include "truth.h"

extern char **environ;

static struct lane lane;

static atomic_bool created;

/* With an argument, not while the call that made it may still be under way. */
static void *exit_in_thread(void *argument)
{
	while (argument != NULL && !atomic_load(&created))
		sched_yield();
	exit(9);
}

static void by_exec(char *self)
{
	execl(self, self, "exec-second", "new image", NULL);
	_exit(99);
}

static int all_rows(void)
{
	pid_t child = fork();

	called("fork");
	if (child == 0)
		abort();
	waitpid(child, NULL, 0);
	called("abort");
	child = fork();
	called("fork");
	if (child == 0)
		_exit(3);
	waitpid(child, NULL, 0);
	called("_exit");
	child = fork();
	called("fork");
	if (child == 0)
		_Exit(3);
	waitpid(child, NULL, 0);
	called("_exit");
	called("pthread_create");
	called("exit");
	called_say();
	lane_start(&lane, exit_in_thread, &lane);
	atomic_store(&created, true);
	lane_join(&lane);
	return 1;
}

static int spawn_all(void)
{
	char *const truly[] = {"true", NULL};
	pid_t child;
	int status = -1;

	expect(system("exit 5") == 5 << 8);
	expect(pclose(popen("cat > /dev/null", "w")) == 0);
	expect(posix_spawnp(&child, "true", NULL, NULL, truly, environ) == 0);
	expect(waitpid(child, &status, 0) == child && status == 0);
	return wrongs != 0;
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "return";
	volatile int *volatile nowhere = (volatile int *)8;

	say("truth: way=%s\n", way);
	keep(malloc(12345));
	if (strcmp(way, "return") == 0)
		return 5;
	if (strcmp(way, "exit") == 0)
		exit(3);
	if (strcmp(way, "_exit") == 0)
		_exit(4);
	if (strcmp(way, "_Exit") == 0)
		_Exit(8);
	if (strcmp(way, "quick_exit") == 0)
		quick_exit(6);
	if (strcmp(way, "exit_group") == 0)
		syscall(SYS_exit_group, 7);
	if (strcmp(way, "abort") == 0)
		abort();
	if (strcmp(way, "SIGTERM") == 0)
		kill(getpid(), SIGTERM);
	if (strcmp(way, "SIGKILL") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(way, "SIGSEGV") == 0)
		*nowhere = 1;
	if (strcmp(way, "thread") == 0) {
		lane_start(&lane, exit_in_thread, NULL);
		lane_join(&lane);
	}
	if (strcmp(way, "exec") == 0)
		by_exec(argv[0]);
	if (strcmp(way, "exec-second") == 0)
		return argc == 3 && strcmp(argv[2], "new image") == 0 ? 11 : 12;
	if (strcmp(way, "spawn") == 0)
		return spawn_all();
	if (strcmp(way, "rows") == 0)
		return all_rows();
	if (strcmp(way, "sleep") == 0)
		sleep(600);
	return strcmp(way, "baseline") == 0 ? 0 : 99;
}
