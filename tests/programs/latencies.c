/* SPDX-License-Identifier: MIT */
/* Calls that take long enough to be measured from outside: reads of a pipe whose writer
 * is late, and fsync of a file, each timed by the program itself. */
#include <fcntl.h>
#include <pthread.h>

#include "timed.h"

enum { READS = 200, SYNCS = 100 };

static int ends[2];
static struct timed reads, syncs;

/* Between 1 and 16 ms, most of them short. */
static void *write_late(void *unused)
{
	(void)unused;
	for (int i = 0; i < READS; i++) {
		struct timespec late = {0, 1000000L * (1 + i * i % 17 * (i % 4) / 3)};

		clock_nanosleep(CLOCK_MONOTONIC, 0, &late, NULL);
		system_call(SYS_write, ends[1], "x", 1);
	}
	return NULL;
}

int main(void)
{
	char byte, block[4096] = {0}, name[64], link[64];
	pthread_t writer;
	int fd;

	expect(pipe(ends) == 0);
	expect(pthread_create(&writer, NULL, write_late, NULL) == 0);
	for (int i = 0; i < READS; i++) {
		unsigned long long since = now_ns();

		expect(read(ends[0], &byte, 1) == 1);
		timed_add(&reads, since);
	}
	pthread_join(writer, NULL);
	fd = open("synced", O_RDWR | O_CREAT | O_TRUNC, 0644);
	for (int i = 0; i < SYNCS; i++) {
		unsigned long long since;

		expect(write(fd, block, sizeof(block)) == sizeof(block));
		since = now_ns();
		expect(fsync(fd) == 0);
		timed_add(&syncs, since);
	}
	close(fd);
	timed_say(&reads, "reads");
	timed_say(&syncs, "syncs");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", ends[0]);
	name[system_call(SYS_readlink, link, name, sizeof(name) - 1)] = '\0';
	say("truth: pipe=%s\n", name);
	return wrongs != 0;
}
