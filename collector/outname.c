/* SPDX-License-Identifier: MIT */
#include "collector/outname.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "trace/format.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* What stands for %x; NULL: nothing does. A name of a program or host must not
 * lead into another directory. */
static const char *value_of(char x, const struct outname *n, char *buffer, size_t room)
{
	time_t seconds = (time_t)(n->started_ns / 1000000000u);
	struct tm utc;

	switch (x) {
	case 'p':
		snprintf(buffer, room, "%d", n->pid);
		return buffer;
	case 'e':
		return base_name(n->executable);
	case 'h':
		snprintf(buffer, room, "%s", n->host);
		for (char *c = buffer; *c != '\0'; c++)
			if (*c == '/')
				*c = '_';
		return buffer;
	case 't':
		gmtime_r(&seconds, &utc);
		strftime(buffer, room, "%Y%m%dT%H%M%S", &utc);
		return buffer;
	case '%':
		return "%";
	default:
		return NULL;
	}
}

bool outname_expand(const struct outname *n, char *out, size_t room)
{
	const char *pattern = n->pattern[0] != '\0' ? n->pattern : OUTNAME_DEFAULT;
	size_t at = 0;

	if (pattern[0] != '/') {
		int written = snprintf(out, room, "%s/", n->directory);

		if (written < 0 || (size_t)written >= room)
			return false;
		at = (size_t)written;
	}
	for (const char *c = pattern; *c != '\0'; c++) {
		char buffer[512], plain[2] = {*c, '\0'};
		const char *value = *c == '%' ? value_of(c[1], n, buffer, sizeof(buffer)) : NULL;
		size_t length;

		if (value != NULL)
			c++;
		else
			value = plain;
		length = strlen(value);
		if (at + length >= room)
			return false;
		memcpy(out + at, value, length);
		at += length;
	}
	out[at] = '\0';
	return true;
}

bool outname_has_pid(const char *pattern)
{
	const char *c = pattern[0] != '\0' ? pattern : OUTNAME_DEFAULT;

	for (; *c != '\0'; c++) {
		if (c[0] != '%')
			continue;
		if (c[1] == 'p')
			return true;
		if (c[1] != '\0')
			c++;
	}
	return false;
}

/* 1: a trace, may be replaced; 0: nothing there; -1: refused, `why` filled;
 * OUTNAME_BUSY: a trace that is being written; OUTNAME_FOREIGN. */
static int judge_existing(const char *path, char *why, size_t room)
{
	char magic[8];
	bool ours, busy;
	struct stat st;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return 0;
	/* Not a folder's refusal: then nothing could be told of what stands there. */
	if (fd < 0 && (errno == EACCES || errno == EPERM) && lstat(path, &st) == 0) {
		snprintf(why, room, "%s cannot be replaced: it is another user's", path);
		return OUTNAME_FOREIGN;
	}
	if (fd < 0) {
		snprintf(why, room,
			 errno == ELOOP ? "%s is a link, which is not followed%s"
					: "%s cannot be replaced: %s",
			 path, errno == ELOOP ? "" : strerror(errno));
		return -1;
	}
	ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_size == 0 || (read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
				    memcmp(magic, PH_TRACE_MAGIC, sizeof(magic)) == 0));
	busy = ours && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	if (busy)
		return OUTNAME_BUSY;
	if (!ours)
		snprintf(why, room,
			 "%s exists and is not a perfhook trace: remove it or set "
			 "PERFHOOK_OUT to another name",
			 path);
	return ours ? 1 : -1;
}

int outname_create(const char *path, char *why, size_t room)
{
	int existing = judge_existing(path, why, room);
	int fd;

	if (existing < 0)
		return existing;
	if (existing > 0)
		unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		snprintf(why, room, "the trace %s cannot be created: %s", path, strerror(errno));
	return fd;
}

bool outname_check(const char *pattern, char *why, size_t room)
{
	const char *slash = strrchr(pattern, '/');
	size_t length = slash == NULL ? 0 : slash == pattern ? 1 : (size_t)(slash - pattern);
	char folder[4096];
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s", length > 0 ? (int)length : 1,
		 length > 0 ? pattern : ".");
	if (strchr(folder, '%') == NULL) {
		int error = stat(folder, &st) != 0	       ? errno
			    : !S_ISDIR(st.st_mode)	       ? ENOTDIR
			    : access(folder, W_OK | X_OK) != 0 ? errno
							       : 0;

		if (error != 0) {
			snprintf(why, room, "the trace %s cannot be created: %s", pattern,
				 strerror(error));
			return false;
		}
	}
	if (strchr(pattern, '%') == NULL) {
		int existing = judge_existing(pattern, why, room);

		/* Being written by another session: the next name is taken. */
		return existing >= 0 || existing == OUTNAME_BUSY;
	}
	return true;
}
