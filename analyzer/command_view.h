/* SPDX-License-Identifier: MIT */
/* What of a run a command line asks for, once the run is known. */
#ifndef PH_ANALYZER_COMMAND_VIEW_H
#define PH_ANALYZER_COMMAND_VIEW_H

#include <stdbool.h>

#include "analyzer/error.h"
#include "analyzer/options.h"
#include "analyzer/run.h"

/* Does it ask for less than the whole run? */
bool view_is_given(const struct options *o);

/* Does it take a run whose length and peak are known? Those are found by loading all. */
bool view_needs_all(const struct options *o, const struct run *outline);

/*
 * The times that are asked for, in seconds since the start of `whole`: a run, a tree's
 * sum, or where it suffices (view_needs_all()) an outline. 0, or -1 with a sentence in
 * *e.
 */
int view_resolve(const struct options *o, const struct run *whole, struct run_view *view,
		 struct error *e);

#endif
