/* SPDX-License-Identifier: MIT */
#include "collector/command.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "trace/image.h"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool command_find(const char *name, char *out, size_t room)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/') != NULL)
		return snprintf(out, room, "%s", name) < (int)room && is_program(out);
	/* An empty entry is the working directory. */
	for (path = path != NULL ? path : "/bin:/usr/bin";; path++) {
		size_t n = strcspn(path, ":");

		snprintf(out, room, "%.*s%s%s", (int)n, path, n > 0 ? "/" : "", name);
		if (is_program(out))
			return true;
		path += n;
		if (*path == '\0')
			return false;
	}
}

/* Would it run with rights that we do not have? Then the kernel says so to the
 * loader (AT_SECURE), which ignores LD_PRELOAD. */
static const char *why_protected(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) != 0 || (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID)))
		return NULL;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return "is set-uid: the loader ignores LD_PRELOAD there";
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())
		return "is set-gid: the loader ignores LD_PRELOAD there";
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities: the loader ignores LD_PRELOAD there";
	return NULL;
}

static bool classify(const char *path, struct ph_image *image)
{
	char head[PH_IMAGE_HEAD];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, head, sizeof(head)) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	ph_image_classify(head, (size_t)n, image);
	return true;
}

/* Why the library is not loaded into it, to stand behind its name; NULL: it is. One
 * that may be run but not read tells of its rights only. */
static const char *why_not(const char *path, struct ph_image *image)
{
	const char *why = why_protected(path);

	*image = (struct ph_image){.flags = PH_IMAGE_UNKNOWN};
	return classify(path, image) && why == NULL ? ph_image_why(image, path) : why;
}

enum command_fate command_fate(const char *path, char *why, size_t room)
{
	struct ph_image image;
	char interpreter[PH_IMAGE_PATH];
	const char *reason = why_not(path, &image);

	if (image.flags & PH_IMAGE_SCRIPT) {
		/* Its own rights are nothing to the kernel. */
		snprintf(interpreter, sizeof(interpreter), "%s", image.interpreter);
		reason = why_not(interpreter, &image);
		snprintf(why, room, "%s is run by %s, which %s", path, interpreter,
			 reason != NULL ? reason : "");
	} else {
		snprintf(why, room, "%s %s", path, reason != NULL ? reason : "");
	}
	if (reason == NULL)
		return COMMAND_RECORDED;
	return image.flags & PH_IMAGE_MUSL ? COMMAND_SAYS_SO : COMMAND_UNRECORDED;
}
