/* SPDX-License-Identifier: MIT */
/*
 * hostile_descriptors HOW [busy]: closes or covers every descriptor above 2, as
 * daemons do, then goes on. "busy": while other threads allocate, start and end.
 */
#include <errno.h>

#include "hostile.h"

enum { LAST = 1023 };

static volatile int stop;

static void *be_busy(void *unused)
{
	while (!stop) {
		use_threads(2);
		usleep(200);
	}
	return unused;
}

static void close_each(void)
{
	for (int fd = 3; fd <= LAST; fd++)
		close(fd);
}

/* Busy where another thread is about to open something there: libc's malloc does. */
static int cover(int fd, int with)
{
	int r;

	do
		r = dup2(with, fd);
	while (r < 0 && errno == EBUSY);
	return r;
}

/* Every descriptor is the same file, of which each byte is ours. */
static void cover_each(void)
{
	char text[4];
	int sink = open("sink", O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(sink >= 0);
	for (int fd = 3; fd <= LAST; fd++)
		expect(fd == sink || cover(fd, sink) == fd);
	use_heap(3000);
	use_threads(4);
	expect(write(500, "abc", 3) == 3 && pread(1000, text, 4, 0) == 3);
	use_fork("file.of.a.child");
	expect(lseek(700, 0, SEEK_END) == 3);
	close_each();
}

int main(int argc, char **argv)
{
	bool busy = argc > 2 && strcmp(argv[2], "busy") == 0;
	pthread_t thread;

	if (busy)
		expect(pthread_create(&thread, NULL, be_busy, NULL) == 0);
	for (int i = 0; i < (busy ? 50 : 1); i++) {
		if (is_mode(argc, argv, "close"))
			close_each();
		else if (is_mode(argc, argv, "close_range"))
			expect(close_range(3, ~0u, 0) == 0);
		else if (is_mode(argc, argv, "closefrom"))
			closefrom(3);
		else if (is_mode(argc, argv, "dup2"))
			cover_each();
		else
			return 2;
		use_heap(1000);
	}
	stop = 1;
	if (busy)
		expect(pthread_join(thread, NULL) == 0);
	/* Nothing came back that was not there. */
	errno = 0;
	for (int fd = 3; fd <= LAST; fd++)
		expect(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	use_all();
	use_exec(environ);
	expect(open("file", O_RDONLY) == 3);
	return wrongs != 0;
}
