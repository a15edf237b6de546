/* SPDX-License-Identifier: MIT */
/*
 * Something of everything for the HTML page: three phases with a heap, files, sockets,
 * waits and threads of their own, a leak, and names that would run if they were not data.
 * Arguments: the folder to write in; how many steps the heap grows by (10).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define HOSTILE	 "<img src=x onerror=document.title=1>"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *leaked[64];

static void pause_ms(long ms)
{
	const struct timespec t = {0, ms * 1000000};

	nanosleep(&t, NULL);
}

static NOINLINE void *remember(size_t i)
{
	return leaked[i] = malloc(4096);
}

static NOINLINE void scratch(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *volatile p = malloc(100 + i % 50);

		free(p);
	}
}

static NOINLINE char *build_index(size_t size)
{
	char *p = malloc(size);

	if (p != NULL)
		memset(p, 1, size);
	return p;
}

/* The heap grows in steps, and goes. */
static NOINLINE void load(size_t steps)
{
	char *parts[sizeof(leaked) / sizeof(*leaked)];

	for (size_t i = 0; i < steps; i++) {
		parts[i] = build_index(200000);
		remember(i);
		scratch(200);
		pause_ms(4);
	}
	for (size_t i = 0; i < steps; i++)
		free(parts[i]);
}

static NOINLINE void write_records(int fd)
{
	static char record[512];

	for (int i = 0; i < 200; i++)
		if (write(fd, record, sizeof(record)) < 0)
			exit(1);
}

static NOINLINE void read_back(int fd)
{
	char buffer[4096];

	if (lseek(fd, 0, SEEK_SET) < 0)
		exit(1);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

static NOINLINE void store(const char *folder, const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	if (fd < 0)
		exit(1);
	write_records(fd);
	read_back(fd);
	close(fd);
	unlink(path);
}

static NOINLINE void hold_lock(void)
{
	pthread_mutex_lock(&lock);
	pause_ms(20);
	pthread_mutex_unlock(&lock);
}

static void *worker(void *name)
{
	pthread_setname_np(pthread_self(), name);
	free(build_index(300000));
	hold_lock();
	return NULL;
}

static NOINLINE void talk(void)
{
	char bytes[1000] = {0};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		exit(1);
	for (int i = 0; i < 50; i++)
		if (send(ends[0], bytes, sizeof(bytes), 0) < 0 ||
		    recv(ends[1], bytes, sizeof(bytes), 0) < 0)
			exit(1);
	close(ends[0]);
	close(ends[1]);
}

int main(int argc, char **argv)
{
	static char names[2][16] = {"worker", "<i>worker</i>"};
	size_t steps = argc > 2 ? strtoul(argv[2], NULL, 10) : 10;
	pthread_t threads[2];

	if (argc < 2 || steps > sizeof(leaked) / sizeof(*leaked))
		return 1;
	load(steps);
	pause_ms(30);
	store(argv[1], "records");
	store(argv[1], "<script>document.title=1<");
	store(argv[1], HOSTILE);
	pause_ms(30);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, worker, names[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	talk();
	return 0;
}
