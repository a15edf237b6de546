/* SPDX-License-Identifier: MIT */
/*
 * Writes a file, always the same, and reads from it as often as the argument
 * says: most time goes into what does not change. reread TIMES
 */
#include <fcntl.h>

#include "truth.h"

#define NOINLINE __attribute__((noinline))

enum { BYTES = 512 };

NOINLINE static bool fill(int file)
{
	char bytes[BYTES] = {1};
	bool good = true;

	for (int i = 0; i < 200; i++)
		good &= pwrite(file, bytes, BYTES, (off_t)i * BYTES) == BYTES && fsync(file) == 0;
	return good;
}

NOINLINE static bool look_up(int file, int times)
{
	char bytes[BYTES];
	bool good = true;

	for (int i = 0; i < times; i++)
		good &= pread(file, bytes, BYTES, (off_t)i * BYTES) == BYTES;
	return good;
}

int main(int argc, char **argv)
{
	int file = open("reread.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	bool good = argc == 2 && file >= 0 && fill(file) && look_up(file, atoi(argv[1]));

	close(file);
	return !good;
}
