/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are lost when the process ends, and some that are held, each of a size that
 * says which; a child by fork has some of its own. lost_at_end HOW: return, exit, thread (by
 * another thread while more run on), left (the first thread is over before; a file `go` ends
 * it), _exit, abort, exec, fork
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "truth.h"

#define NOINLINE __attribute__((noinline))

static void *volatile held[4];
static void *volatile late;

NOINLINE static void lose(size_t size)
{
	keep(malloc(size)); /* NOLINT: lost */
}

NOINLINE static void scrub(void)
{
	char room[20000];

	memset(room, 0, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
}

static void *inside(void *p)
{
	return (char *)p + 500;
}

/* The program's own functions for the end come first. */
static void at_end(void)
{
	free((void *)late);
	late = NULL;
}

static void *busy(void *unused)
{
	(void)unused;
	for (;;)
		free(keep(malloc(16)));
	return NULL;
}

static void *end_here(void *unused)
{
	(void)unused;
	exit(0);
}

static void end_in_thread(void)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		expect(pthread_create(&t, NULL, busy, NULL) == 0);
	usleep(20000);
	expect(pthread_create(&t, NULL, end_here, NULL) == 0);
	for (;;)
		pause();
}

/* The last thread's end is the process's. */
static void *go_on_alone(void *first)
{
	struct stat st;

	expect(pthread_join(*(pthread_t *)first, NULL) == 0);
	say("truth: ready=1\n");
	while (stat("go", &st) != 0)
		usleep(5000);
	return NULL;
}

static _Noreturn void leave_to_another(void)
{
	static pthread_t first;
	pthread_t t;

	first = pthread_self();
	expect(pthread_create(&t, NULL, go_on_alone, &first) == 0);
	pthread_exit(NULL);
}

static int be_child(void)
{
	lose(1005);
	held[2] = malloc(1006);
	scrub();
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";
	const struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	atexit(at_end);
	lose(1001);
	held[0] = malloc(1002);
	held[1] = inside(malloc(1003));
	late = malloc(1004);
	scrub();
	if (strcmp(how, "fork") == 0) {
		if (fork() == 0)
			return be_child();
		wait(NULL);
	} else if (strcmp(how, "exit") == 0) {
		exit(3);
	} else if (strcmp(how, "thread") == 0) {
		end_in_thread();
	} else if (strcmp(how, "left") == 0) {
		leave_to_another();
	} else if (strcmp(how, "_exit") == 0) {
		_exit(0);
	} else if (strcmp(how, "abort") == 0) {
		abort();
	} else if (strcmp(how, "exec") == 0) {
		execlp("true", "true", (char *)NULL);
	}
	return 0;
}
