/* SPDX-License-Identifier: MIT */
#include "analyzer/replace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *replace_name(const char *path, struct error *e)
{
	struct stat st;
	char *name;

	/* rename() would put a file in the place of /dev/null, or of a link like /dev/stdout. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		fail(e, ERROR_USAGE, 0, "%s: is no regular file: name a file that is to be written",
		     path);
		return NULL;
	}
	name = lstat(path, &st) == 0 ? realpath(path, NULL) : strdup(path);
	if (name == NULL)
		fail(e, ERROR_SYSTEM, 0, "%s: %s", path, strerror(errno));
	return name;
}
