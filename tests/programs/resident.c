/* SPDX-License-Identifier: MIT */
/*
 * Fills its heap with small blocks and gives every second one back, so that what it has in
 * memory stays and what it asked for is half. It says what the kernel counts:
 *     truth: full.anonymous_bytes=   and half.anonymous_bytes
 *     truth: full.live_bytes=        and half.live_bytes
 */
#include <fcntl.h>
#include <time.h>

#include "truth.h"

#define BLOCKS 48000
#define BYTES  1000

static void *blocks[BLOCKS];

/* RssAnon, as /proc/self/statm has it: resident less shared. */
static unsigned long long anonymous(void)
{
	char text[128] = "";
	unsigned long long size, resident, shared;
	int fd = (int)system_call(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY);

	if (system_call(SYS_read, fd, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
		return 0;
	system_call(SYS_close, fd);
	return (resident - shared) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void stay(int ms)
{
	struct timespec span = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&span, NULL);
}

int main(void)
{
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = memset(keep(malloc(BYTES)), 1, BYTES);
	truth("full.anonymous_bytes", anonymous());
	truth("full.live_bytes", (unsigned long long)BLOCKS * BYTES);
	stay(500);
	for (int i = 0; i < BLOCKS; i += 2)
		free(blocks[i]);
	truth("half.anonymous_bytes", anonymous());
	truth("half.live_bytes", (unsigned long long)BLOCKS / 2 * BYTES);
	stay(1000);
	return 0;
}
