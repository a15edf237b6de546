/* SPDX-License-Identifier: MIT */
#include "analyzer/paths.h"

#include <stdbool.h>
#include <string.h>

static size_t parent(const char *out, size_t n)
{
	while (n > 0 && out[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* Append the names of `path`, each with a slash before it. */
static bool append(char *out, size_t *n, const char *path, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t name = 0;

		while (at < length && path[at] == '/')
			at++;
		while (at + name < length && path[at + name] != '/')
			name++;
		if (name == 2 && memcmp(path + at, "..", 2) == 0) {
			*n = parent(out, *n);
		} else if (name != 0 && !(name == 1 && path[at] == '.')) {
			if (*n + name + 2 > PATH_ROOM)
				return false;
			out[(*n)++] = '/';
			memcpy(out + *n, path + at, name);
			*n += name;
		}
		at += name;
	}
	return true;
}

const char *path_absolute(char *out, const char *directory, const char *path, size_t length)
{
	size_t n = 0;

	length = strnlen(path, length);
	if (length == 0)
		return NULL;
	if (path[0] != '/') {
		if (directory == NULL || directory[0] != '/' ||
		    !append(out, &n, directory, strlen(directory)))
			return NULL;
	}
	if (!append(out, &n, path, length))
		return NULL;
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return out;
}
