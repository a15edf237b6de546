/* SPDX-License-Identifier: MIT */
/*
 * Its libc seems to have another way to read: a function of that name stands before
 * libc's. Streams work as ever, in it and in its child; numbers are used again.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "truth.h"

ssize_t _IO_file_read(FILE *stream, void *buffer, ssize_t size);
ssize_t _IO_file_read(FILE *stream, void *buffer, ssize_t size)
{
	return read(fileno(stream), buffer, (size_t)size);
}

static void reads(int blocks)
{
	char buffer[4096];
	FILE *zero = fopen("/dev/zero", "r");

	expect(zero != NULL);
	for (int i = 0; i < blocks && zero != NULL; i++)
		expect(fread(buffer, 1, sizeof(buffer), zero) == sizeof(buffer));
	expect(zero != NULL && fclose(zero) == 0);
}

int main(void)
{
	pid_t child;

	reads(10);
	truth("read", 10 * 4096);
	child = fork();
	if (child == 0) {
		reads(2);
		_exit(wrongs != 0);
	}
	expect(waitpid(child, NULL, 0) == child);
	return wrongs != 0;
}
