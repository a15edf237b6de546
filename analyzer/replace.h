/* SPDX-License-Identifier: MIT */
/* Files that are written beside the one whose place they then take. */
#ifndef PH_ANALYZER_REPLACE_H
#define PH_ANALYZER_REPLACE_H

#include "analyzer/error.h"

/* The name that a new file for `path` takes by rename(): what a link leads to, malloc'ed.
 * NULL, with *e filled: a device, a pipe or a folder is there, which is not to be replaced. */
char *replace_name(const char *path, struct error *e);

#endif
