/* SPDX-License-Identifier: MIT */
/* What of a run a command line asks for, once the run is known. */
#ifndef PH_ANALYZER_COMMAND_VIEW_H
#define PH_ANALYZER_COMMAND_VIEW_H

#include <stdbool.h>

#include "analyzer/error.h"
#include "analyzer/options.h"
#include "analyzer/run.h"
#include "analyzer/stack_filter.h"
#include "analyzer/symbols.h"

/* Does it ask for a part of the run's time? */
bool view_has_moments(const struct options *o);

/* Does it take a run whose length and peak are known? Those are found by loading all. */
bool view_needs_all(const struct options *o, const struct run *outline);

/*
 * Sets the times that are asked for in *view, in seconds since the start of `whole`: a run, a
 * tree's sum, or where it suffices (view_needs_all()) an outline. 0, or -1 with a sentence in *e.
 */
int view_resolve(const struct options *o, const struct run *whole, struct run_view *view,
		 struct error *e);

/* Whom and what a command line asks for. */
struct view_filter {
	struct run_filter filter;
	struct stack_filter stacks;
};

/* Its filter, in `f`; NULL: it leaves nothing out. Borrows all three, which must live as
 * long as the runs that are loaded with it. view_filter_free() in any case. */
const struct run_filter *view_filter(struct view_filter *f, const struct options *o,
				     struct symbols *symbols);
void view_filter_free(struct view_filter *f);

/* A run, or a tree's sum, in which nobody passed: a sentence in *e, and -1. */
int view_check_threads(const struct run *run, struct error *e);

#endif
