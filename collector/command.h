/* SPDX-License-Identifier: MIT */
/* A command before it is run: will the loader load libperfhook.so into it? */
#ifndef PH_COLLECTOR_COMMAND_H
#define PH_COLLECTOR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Where execvp(3) finds it. False: nowhere. */
bool command_find(const char *name, char *out, size_t room);

enum command_fate {
	COMMAND_RECORDED, /* nothing is known that speaks against it */
	COMMAND_UNRECORDED,
	COMMAND_SAYS_SO, /* unrecorded; the library, loaded by musl, says so itself */
};

/* What becomes of the file `path`, or of what its #! line names. UNRECORDED: `why`
 * is a sentence. */
enum command_fate command_fate(const char *path, char *why, size_t room);

#endif
