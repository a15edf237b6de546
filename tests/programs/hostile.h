/* SPDX-License-Identifier: MIT */
/* What a program does after it has done something hostile to a preloaded library:
 * heap, files, threads, children. All of it has to work as if nobody were there. */
#ifndef PH_TESTS_HOSTILE_H
#define PH_TESTS_HOSTILE_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "truth.h"

__attribute__((unused)) static void use_heap(int rounds)
{
	char *kept[64] = {NULL};

	for (int i = 0; i < rounds; i++) {
		char **slot = &kept[i * 7 % 64];

		free(*slot);
		*slot = keep(malloc((size_t)(i * 37 % 9000 + 1)));
		expect(*slot != NULL);
		if (*slot != NULL)
			**slot = (char)i;
	}
	for (int i = 0; i < 64; i++)
		free(kept[i]);
}

__attribute__((unused)) static void use_file(const char *name)
{
	char text[8] = "";
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(fd >= 0 && write(fd, "content", 7) == 7);
	expect(pread(fd, text, 7, 0) == 7 && strcmp(text, "content") == 0);
	expect(close(fd) == 0);
}

static inline void *use_heap_in_thread(void *unused)
{
	use_heap(2000);
	return unused;
}

__attribute__((unused)) static void use_threads(int count)
{
	pthread_t threads[64];

	for (int i = 0; i < count; i++) {
		int error = pthread_create(&threads[i], NULL, use_heap_in_thread, &wrongs);

		if (error != 0) {
			say("no thread: %s\n", strerror(error));
			_exit(7);
		}
	}
	for (int i = 0; i < count; i++) {
		void *result;

		expect(pthread_join(threads[i], &result) == 0 && result == &wrongs);
	}
}

static inline void expect_exit(pid_t child, int wanted)
{
	int status = -1;

	expect(child > 0 && waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status))
		say("signal %d ended a child\n", WTERMSIG(status));
	expect(WIFEXITED(status) && WEXITSTATUS(status) == wanted);
}

__attribute__((unused)) static void use_fork(const char *name)
{
	pid_t child = fork();

	if (child == 0) {
		use_heap(500);
		use_file(name);
		use_threads(2);
		_exit(wrongs == 0 ? 5 : 6);
	}
	expect_exit(child, 5);
}

__attribute__((unused)) static void use_exec(char *const *environment)
{
	pid_t child = fork();

	if (child == 0) {
		execle("/bin/sh", "sh", "-c", "exit 8", NULL, environment);
		_exit(9);
	}
	expect_exit(child, 8);
}

__attribute__((unused)) static void use_all(void)
{
	use_heap(3000);
	use_file("file");
	use_threads(4);
	use_fork("file.child");
}

__attribute__((unused)) static int is_mode(int argc, char **argv, const char *mode)
{
	return argc > 1 && strcmp(argv[1], mode) == 0;
}

#endif
