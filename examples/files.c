/* SPDX-License-Identifier: MIT */
/*
 * The same bytes written in tiny pieces and in one, then read at random.
 *
 *     make programs
 *     LD_PRELOAD=build/libperfhook.so PERFHOOK_OUT=files.trace build/examples/files
 *     build/perfhook io files.trace
 *
 * The report should show tiny.dat and big.dat with the same bytes written, one
 * with 20000 calls and one with a single call, and most of the writing time spent
 * on the first; and for big.dat also 2000 reads of 512 bytes each.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 16, RECORDS = 20000, READ = 512, READS = 2000 };

static char all[RECORD * RECORDS];

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void write_tiny(void)
{
	int fd = open_or_die("tiny.dat", O_WRONLY | O_CREAT | O_TRUNC);

	for (int i = 0; i < RECORDS; i++) {
		if (write(fd, all + i * RECORD, RECORD) != RECORD)
			exit(1);
	}
	close(fd);
}

static void write_big(void)
{
	int fd = open_or_die("big.dat", O_WRONLY | O_CREAT | O_TRUNC);

	if (write(fd, all, sizeof(all)) != (ssize_t)sizeof(all))
		exit(1);
	close(fd);
}

static void read_at_random(void)
{
	int fd = open_or_die("big.dat", O_RDONLY);
	unsigned random = 1;
	char block[READ];

	for (int i = 0; i < READS; i++) {
		random = random * 1103515245 + 12345;
		if (pread(fd, block, READ, random % (sizeof(all) - READ)) != READ)
			exit(1);
	}
	close(fd);
}

int main(void)
{
	for (int i = 0; i < RECORDS; i++)
		memcpy(all + i * RECORD, "sixteen bytes..\n", RECORD);
	write_tiny();
	write_big();
	read_at_random();
	printf("truth: tiny.written_bytes=%zu\n", sizeof(all));
	printf("truth: tiny.write_calls=%d\n", RECORDS);
	printf("truth: big.written_bytes=%zu\n", sizeof(all));
	printf("truth: big.write_calls=1\n");
	printf("truth: big.read_bytes=%d\n", READ * READS);
	printf("truth: big.read_calls=%d\n", READS);
	return 0;
}
