/* SPDX-License-Identifier: MIT */
/* Directories with what happened to the files below them. */
#ifndef PH_ANALYZER_FOLDERS_H
#define PH_ANALYZER_FOLDERS_H

#include "analyzer/arena.h"
#include "analyzer/run.h"

/* run->folders from run->files, whose recorders are still there, most bytes first;
 * strings are the arena's. Where one directory leads to nothing but another, only the
 * inner one is listed. False: out of memory. */
bool folders_make(struct run *run, struct arena *arena);

#endif
