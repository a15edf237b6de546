/* SPDX-License-Identifier: MIT */
/*
 * What the small programs say about themselves at their end, in one line that
 * bench/measure.c reads: the processor time of their work alone, how many calls
 * they made, and the most memory that they had.
 */
#ifndef PH_BENCH_SAID_H
#define PH_BENCH_SAID_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* VmHWM: getrusage's figure would start from that of the process we came from. */
static inline long peak_rss_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f != NULL)
		fclose(f);
	return kib;
}

/* calls: those whose cost is asked for; frames: what one of the stacks has at
 * least; threads: those that were started. */
static inline void say(double ns, unsigned long calls, unsigned long allocations,
		       unsigned long frees, unsigned frames, unsigned threads)
{
	printf("bench: cpu_ns=%.0f calls=%lu allocations=%lu frees=%lu frames=%u threads=%u "
	       "rss_kib=%ld\n",
	       ns, calls, allocations, frees, frames, threads, peak_rss_kib());
}

#endif
