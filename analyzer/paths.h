/* SPDX-License-Identifier: MIT */
/* Paths as programs give them, made absolute. */
#ifndef PH_ANALYZER_PATHS_H
#define PH_ANALYZER_PATHS_H

#include <stddef.h>

#define PATH_ROOM 8192

/*
 * `path` below `directory` (NULL or not absolute: not known), without "//" and "/./";
 * ".." takes the name before it away, as if that were no link. Into `out`, of PATH_ROOM
 * bytes. NULL: it is relative to what is not known, or too long.
 */
const char *path_absolute(char *out, const char *directory, const char *path, size_t length);

#endif
