/* SPDX-License-Identifier: MIT */
/*
 * A recorded process that runs, looked at as it was at one instant: it is stopped for some
 * milliseconds, its collector writes what was recorded by then, and each block that lived is
 * judged by the process's memory.
 */
#ifndef PH_ANALYZER_COMMAND_LIVE_H
#define PH_ANALYZER_COMMAND_LIVE_H

#include "analyzer/command_load.h"
#include "analyzer/options.h"
#include "analyzer/reach.h"

/* What came of it, beside the report: every block that lived, by address. */
struct live_blocks {
	struct reach_block *list; /* malloc'ed; `site` is a place in the run's sites */
	size_t count;
};

/* Load and judge. 0, or -1 with *e filled; loaded_close() in any case, and free(b->list). */
int live_open(struct loaded *l, struct live_blocks *b, int pid, const struct options *o,
	      struct error *e);

/* `perfhook look PID FD`: the same for the collector; what is found goes to FD. */
int command_look(int argc, char **argv);

#endif
