/* SPDX-License-Identifier: MIT */
/* What is run and what is asked of it: two tables, a line a row. */
#ifndef PH_BENCH_ROWS_H
#define PH_BENCH_ROWS_H

#include <stddef.h>

enum workload_flags {
	SAYS = 1,	 /* prints the line of bench/programs/said.h */
	HEAPTRACK = 2,	 /* heaptrack runs it too */
	REAL = 4,	 /* of the real programs, of which geometric means are made */
	BOTH_CORES = 8,	 /* not held on one core */
	FILES = 16,	 /* for its files only: run once recorded, never timed */
	FULL = 32,	 /* with BENCH=full only */
	STARTUP = 64,	 /* short: run more often than the others */
	NO_EVENTS = 128, /* its calls are passed through */
	STRACE = 256,	 /* strace -f -c runs it too */
	LOOKED = 512,	 /* stays, and is looked at by leaks --pid; never timed */
};

/* In all strings %b is the build folder, %i that of the inputs, %s bench/programs. */
struct workload {
	const char *name;
	const char *command; /* words, no quoting; NAME=VALUE may come first */
	unsigned flags;
	unsigned frames;    /* that the deepest stack of its report must have at least */
	const char *input;  /* a file for standard input; NULL: /dev/null */
	const char *client; /* of a server: what loads it, until which ends it runs */
	unsigned port;	    /* where the server listens */
};

extern const struct workload workloads[];
extern const size_t workload_count;

enum measure {
	ADDED_RATIO,	 /* CPU added to the target per call, heaptrack's over perfhook's */
	TOTAL_RATIO,	 /* the same with collector and helpers */
	ADDED_NS,	 /* CPU added to the target per call */
	STRACE_RATIO,	 /* all CPU added per call, strace's over perfhook's */
	GROWTH,		 /* CPU added to the target per call, over the one of another workload */
	SLOWDOWN,	 /* all CPU over the unrecorded one's, of all real programs */
	BELOW_HEAPTRACK, /* all CPU, perfhook's over heaptrack's */
	TRACE_BYTES,	 /* as recorded, an event, of all real programs */
	KEPT_RATIO,	 /* what is kept over heaptrack's final file, of all real programs */
	STARTUP_MS,	 /* wall time added */
	RSS_MIB,	 /* memory added */
	THREAD_RSS_KIB,	 /* memory added for each further thread, over another workload */
	REPORT_RATE,	 /* million events a second */
	REPORT_RATIO,	 /* heaptrack_interpret and heaptrack_print, over perfhook report */
	REPORT_BYTES,	 /* the report's memory a live block, over another workload */
	REPORT_GROWTH,	 /* the report's memory, over another workload */
	LOOK_PAUSE,	 /* how long a process stands still for leaks --pid */
	LOOK_RATE,	 /* GiB of live blocks a second, of the whole command */
};

struct row {
	const char *name;
	enum measure measure;
	const char *workload; /* NULL: the real ones */
	const char *other;
	double bar;
};

extern const struct row rows[];
extern const size_t row_count;

#endif
