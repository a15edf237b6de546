/* SPDX-License-Identifier: MIT */
/* A command before it is run: will the loader load libperfhook.so into it? */
#ifndef PH_COLLECTOR_COMMAND_H
#define PH_COLLECTOR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Where execvp(3) finds it. False: nowhere. */
bool command_find(const char *name, char *out, size_t room);

/* A sentence that says why the file `path`, or what its #! line names, runs
 * unrecorded, into `why`. False: nothing is known that speaks against it. */
bool command_unrecordable(const char *path, char *why, size_t room);

#endif
