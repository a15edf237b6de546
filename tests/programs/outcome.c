/* SPDX-License-Identifier: MIT */
/*
 * A bit of everything, for whatever libc, linkage and sanitizer the tests compile it
 * with; so nothing but POSIX, and no header of the tests. Says "done" and ends with
 * status 7. With a file's name: waits until it is there, and leaks in between.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *volatile kept;

static void *in_thread(void *block)
{
	free(block);
	return malloc(100);
}

static void wait_for(const char *path)
{
	puts("waiting");
	fflush(stdout);
	while (access(path, F_OK) != 0)
		usleep(1000);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *back = NULL, *more;
	int status = 1;
	pid_t child;

	for (int i = 1; i <= 1000; i++) {
		kept = calloc(3, (size_t)i);
		free(kept);
	}
	if (argc > 1)
		wait_for(argv[1]);
	kept = malloc(12345);
	more = realloc(kept, 23456);
	kept = more;
	if (kept == NULL || pthread_create(&thread, NULL, in_thread, malloc(50)) != 0 ||
	    pthread_join(thread, &back) != 0)
		return 1;
	free(back);
	child = fork();
	if (child == 0)
		_exit(3);
	if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 3)
		return 2;
	memset(kept, 'x', 23456);
	if (write(1, "done\n", 5) != 5)
		return 3;
	return 7;
}
