/* SPDX-License-Identifier: MIT */
/*
 * The collector: beside the recorded processes, it empties their rings into one
 * trace file each. One collector a session (a process tree).
 */
#ifndef PH_COLLECTOR_COLLECTOR_H
#define PH_COLLECTOR_COLLECTOR_H

#include <stdbool.h>

#include "analyzer/error.h"

struct record_options {
	const char *output; /* NULL: PERFHOOK_OUT, or the default name */
	double duration_s;  /* after which the command is ended; 0: it ends by itself */
	bool leaks;	    /* search for lost blocks at the end, whatever PERFHOOK_LEAKS says */
};

/* `perfhook record`: start a collector, run the command, wait for both. Returns
 * the command's status (128 + signal), 126 or 127 when it could not be started,
 * 2 when recording could not begin. */
int collector_record(const struct record_options *options, char **command);

/* Is it a trace of the session with this control file? */
bool collector_wrote(const char *path, const char *control);

/*
 * Give this moment of a recorded process a name, which its trace keeps: events before it
 * stand before it there, others behind. 0 with the moment in *at_s, seconds since the
 * process's start, or -1 with *e filled.
 */
int collector_mark(int pid, const char *name, double *at_s, struct error *e);

/* `perfhook collect FOLDER`: be the collector of the session in that folder. */
int collector_main(int argc, char **argv);

/*
 * Before a trace is read: when its process has ended and its collector still
 * writes, wait for it, with a word on standard error; when the collector died,
 * finish its work from what stands in shared memory. 0 also when there was
 * nothing to do or nothing can be done: the reader says what is missing. -1
 * with *e filled when the trace cannot be opened at all.
 */
int collector_finish_wait(const char *trace_path, struct error *e);

#endif
