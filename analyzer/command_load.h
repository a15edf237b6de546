/* SPDX-License-Identifier: MIT */
/*
 * The traces that a command line names, loaded, added up to a tree if there are
 * several, with names looked up: what the reports and exports begin with.
 */
#ifndef PH_ANALYZER_COMMAND_LOAD_H
#define PH_ANALYZER_COMMAND_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/command_view.h"
#include "analyzer/error.h"
#include "analyzer/options.h"
#include "analyzer/report.h"
#include "analyzer/run.h"
#include "analyzer/suppressions.h"
#include "analyzer/symbols.h"
#include "analyzer/tree.h"

/* All zero is empty. */
struct loaded {
	struct run run; /* of one trace */
	struct tree tree;
	bool is_tree;
	struct symbols *symbols;
	struct suppressions suppressions;
	struct view_filter filter; /* the run's view borrows it: not to be moved */
	struct report report;	   /* of the one, or of the tree's sum */
};

/*
 * Waits for collectors that are still at work. A trace of several that cannot be
 * read is left out and named in the report; one alone is an error. 0, or -1 with *e
 * filled; loaded_close() in any case. Shows progress on standard error.
 */
int loaded_open(struct loaded *l, char *const *paths, size_t count, const struct options *o,
		struct error *e);
/* The same of one word that may be a pattern for several traces, where no file has its
 * name. */
int loaded_open_word(struct loaded *l, const char *word, const struct options *o, struct error *e);
void loaded_close(struct loaded *l);

/* The same in two steps, of a process that runs: its trace up to an instant, with what lived
 * then; and, once that has been judged, the report. Its collector is not waited for. */
int loaded_open_live(struct loaded *l, const char *path, const struct run_instant *instant,
		     struct run_live *live, const struct options *o, struct error *e);
int loaded_rank(struct loaded *l, const struct options *o, struct error *e);

/* What of one trace `o` asks for, for who loads it himself. 0, or -1 with *e filled. */
int load_view(const char *path, const struct options *o, const struct run_filter *filter,
	      struct run_view *view, struct error *e);

#endif
