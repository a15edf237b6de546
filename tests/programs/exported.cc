// SPDX-License-Identifier: MIT
// A little of all that can be exported: blocks that are kept, freed at once and freed
// late, by templates, recursion and a function whose name the test changes into markup;
// a file written and read, bytes over sockets, a thread, sleep.
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <pthread.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

static void *volatile kept[64];
static int keeps;
static void *volatile passing;

template <typename T> struct Box {
	__attribute__((noinline)) void fill(int count)
	{
		for (int i = 0; i < count; i++)
			kept[keeps++] = new T[100];
	}
};

static inline __attribute__((always_inline)) void *inlined_alloc(size_t size)
{
	return malloc(size);
}

extern "C" __attribute__((noinline)) void renamed_by_the_test()
{
	kept[keeps++] = inlined_alloc(12345);
}

__attribute__((noinline)) static void recurse(int depth)
{
	passing = inlined_alloc(1000 + static_cast<size_t>(depth));
	free(passing);
	if (depth > 0)
		recurse(depth - 1);
	asm volatile("" ::: "memory");
}

__attribute__((noinline)) static void peak()
{
	std::vector<void *> blocks(32);

	for (void *&block : blocks)
		block = malloc(50000);
	for (void *block : blocks)
		free(block);
}

static void require(bool condition)
{
	if (!condition) {
		perror("exported");
		_exit(1);
	}
}

__attribute__((noinline)) static void use_file()
{
	char buffer[4096] = "x";
	int fd = open("exported.data", O_RDWR | O_CREAT | O_TRUNC, 0600);

	require(fd >= 0);
	for (int i = 0; i < 20; i++)
		require(write(fd, buffer, sizeof(buffer)) == static_cast<ssize_t>(sizeof(buffer)));
	require(lseek(fd, 0, SEEK_SET) == 0);
	while (read(fd, buffer, 1000) > 0)
		;
	close(fd);
}

__attribute__((noinline)) static void use_socket()
{
	char buffer[700] = "y";
	int fds[2];

	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	for (int i = 0; i < 3; i++) {
		require(send(fds[0], buffer, sizeof(buffer), 0) ==
			static_cast<ssize_t>(sizeof(buffer)));
		require(recv(fds[1], buffer, sizeof(buffer), MSG_WAITALL) ==
			static_cast<ssize_t>(sizeof(buffer)));
	}
	close(fds[0]);
	close(fds[1]);
}

static void *work(void *)
{
	recurse(5);
	usleep(3000);
	renamed_by_the_test();
	return nullptr;
}

int main()
{
	pthread_t thread;

	Box<std::pair<int, char>>().fill(3);
	Box<double>().fill(2);
	require(pthread_create(&thread, nullptr, work, nullptr) == 0);
	require(pthread_join(thread, nullptr) == 0);
	peak();
	use_file();
	use_socket();
	return 0;
}
