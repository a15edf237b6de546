/* SPDX-License-Identifier: MIT */
#include "collector/tidy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collector/proc.h"
#include "trace/format.h"
#include "trace/segment.h"

#define YOUNG_S 60 /* a session may just be being made */

/* The head of a file of ours, read-only; NULL: there is none. */
static const void *map_head(const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const void *map = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size >= bytes && st.st_uid == geteuid())
		map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map != MAP_FAILED ? map : NULL;
}

static bool is_drained(const char *folder)
{
	char path[512];
	const struct ph_control *c;
	struct stat st;
	bool alive;
	int pid;

	if (stat(folder, &st) != 0 || time(NULL) - st.st_mtime < YOUNG_S)
		return true;
	snprintf(path, sizeof(path), "%s/control", folder);
	c = map_head(path, sizeof(*c));
	if (c == NULL)
		return false;
	pid = atomic_load(&c->collector_pid);
	alive = pid > 0 && proc_alive(pid, atomic_load(&c->collector_start));
	munmap((void *)(uintptr_t)c, sizeof(*c));
	return alive;
}

/* Is the trace still there that its reader would finish from this segment? */
static bool trace_needs(const struct ph_segment *s)
{
	struct ph_file_header header;
	int fd = open(s->trace, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool same = fd >= 0 && read(fd, &header, sizeof(header)) == (ssize_t)sizeof(header) &&
		    memcmp(header.id, s->id, sizeof(s->id)) == 0;

	if (fd >= 0)
		close(fd);
	return same;
}

static bool is_needed(const char *path)
{
	const struct ph_segment *s = map_head(path, sizeof(*s));
	bool needed;

	if (s == NULL)
		return false;
	needed = s->version == PH_SEGMENT_VERSION &&
		 (proc_alive(s->pid, s->process_start) || trace_needs(s));
	munmap((void *)(uintptr_t)s, sizeof(*s));
	return needed;
}

static void tidy(const char *folder)
{
	char path[768];
	struct dirent *entry;
	bool needed = false;
	DIR *d = opendir(folder);

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		if (strstr(entry->d_name, PH_SEGMENT_SUFFIX) == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (is_needed(path))
			needed = true;
		else
			unlink(path);
	}
	closedir(d);
	if (needed)
		return;
	snprintf(path, sizeof(path), "%s/control", folder);
	unlink(path);
	rmdir(folder);
}

void tidy_sessions(void)
{
	char prefix[64], folder[384];
	struct dirent *entry;
	DIR *d = opendir("/dev/shm");
	struct stat st;

	if (d == NULL)
		return;
	snprintf(prefix, sizeof(prefix), PH_SESSION_PREFIX "%u-", geteuid());
	while ((entry = readdir(d)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(folder, sizeof(folder), "/dev/shm/%s", entry->d_name);
		if (lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
		    !is_drained(folder))
			tidy(folder);
	}
	closedir(d);
}
