/* SPDX-License-Identifier: MIT */
/*
 * A flame graph as one SVG: drawn as it is for any viewer, and with a script of its
 * own for a browser (zoom, search, other orders). Nothing is loaded from anywhere,
 * and names of the trace are text in it, never markup.
 */
#ifndef PH_ANALYZER_FLAME_H
#define PH_ANALYZER_FLAME_H

#include <stdbool.h>
#include <stdio.h>

#include "analyzer/call_tree.h"
#include "analyzer/error.h"

struct flame {
	const struct call_tree *tree;	     /* finished */
	const struct report *after, *before; /* before: NULL if nothing is compared */
	const struct cost *cost;
	struct call_shape shape; /* how the tree was made */
};

/* 0, or -1 with *e filled: out of memory. Errors of `out` are the caller's to find. */
int flame_write(FILE *out, const struct flame *flame, struct error *e);

/* What stands in it as it is (flame_assets.S): ends with a NUL each. */
extern const char flame_script[], flame_style[];

#endif
