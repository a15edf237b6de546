/* SPDX-License-Identifier: MIT */
/*
 * A mark goes straight into the segment of the running process, so that it is exact and
 * outlives the collector, which writes it to the trace when it next looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "collector/collector.h"
#include "collector/proc.h"
#include "trace/clock.h"
#include "trace/segment.h"

/* A file that a process has mapped, by a line of /proc/PID/maps. */
struct mapping {
	unsigned major, minor;
	unsigned long inode;
	char path[4400];
};

/* "start-end rw-s offset major:minor inode path": shared and writable. */
static bool read_mapping(const char *line, struct mapping *m)
{
	char modes[8];
	int at = 0;
	size_t length;

	if (sscanf(line, "%*x-%*x %7s %*x %x:%x %lu %n", modes, &m->major, &m->minor, &m->inode,
		   &at) != 4 ||
	    at == 0 || strncmp(modes, "rw-s", 4) != 0)
		return false;
	length = strcspn(line + at, "\n");
	if (length >= sizeof(m->path))
		return false;
	memcpy(m->path, line + at, length);
	m->path[length] = '\0';
	return true;
}

static bool is_segment_name(const char *path)
{
	size_t length = strlen(path), suffix = strlen(PH_SEGMENT_SUFFIX);

	return length > suffix && strcmp(path + length - suffix, PH_SEGMENT_SUFFIX) == 0;
}

/* The mapped file, and no other that has its name by now. -1: there is none. */
static int open_mapping(int thread, const struct mapping *m)
{
	char path[4500];
	struct stat st;
	int fd;

	/* As the process sees it: it may have another root. */
	snprintf(path, sizeof(path), "/proc/%d/root%s", thread, m->path);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = open(m->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == m->inode &&
	    major(st.st_dev) == m->major && minor(st.st_dev) == m->minor &&
	    (size_t)st.st_size >= sizeof(struct ph_segment))
		return fd;
	close(fd);
	errno = ENOENT;
	return -1;
}

/* NULL: not one of ours. */
static struct ph_segment *map_segment(int fd)
{
	struct ph_segment *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (s == MAP_FAILED)
		return NULL;
	/* Pairs with the library's release: with the magic, the rest is there. */
	if (__atomic_load_n(&s->magic, __ATOMIC_ACQUIRE) == PH_SEGMENT_MAGIC &&
	    s->version == PH_SEGMENT_VERSION)
		return s;
	munmap(s, sizeof(*s));
	return NULL;
}

static struct ph_segment *find_segment(int thread, FILE *maps, int *error)
{
	struct ph_segment *found = NULL;
	struct mapping m;
	size_t room = 0;
	char *line = NULL;

	while (found == NULL && getline(&line, &room, maps) > 0) {
		int fd;

		if (!read_mapping(line, &m) || !is_segment_name(m.path))
			continue;
		fd = open_mapping(thread, &m);
		if (fd < 0) {
			*error = errno;
			continue;
		}
		found = map_segment(fd);
		close(fd);
	}
	free(line);
	return found;
}

static struct ph_segment *segment_of(int pid, struct error *e)
{
	char path[64];
	struct ph_segment *s;
	int error = 0, living = proc_living_thread(pid), thread = living != 0 ? living : pid;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", thread);
	maps = fopen(path, "re");
	if (maps == NULL) {
		if (errno == ENOENT || errno == ESRCH)
			fail(e, ERROR_USAGE, 0, "%d: no such process", pid);
		else
			fail(e, ERROR_USAGE, 0, "%s: %s", path, strerror(errno));
		return NULL;
	}
	s = find_segment(thread, maps, &error);
	fclose(maps);
	if (s == NULL && error != 0 && error != ENOENT)
		fail(e, ERROR_USAGE, 0, "%d: what it is recorded with cannot be opened: %s", pid,
		     strerror(error));
	else if (s == NULL)
		fail(e, ERROR_USAGE, 0,
		     "%d: is not being recorded (or by another version of perfhook)", pid);
	return s;
}

/* NULL: all are used. */
static struct ph_mark *take_mark(struct ph_segment *s)
{
	uint32_t used = atomic_load(&s->marks_used);

	do {
		if (used >= PH_MARKS_MOST)
			return NULL;
	} while (!atomic_compare_exchange_weak(&s->marks_used, &used, used + 1));
	return &s->marks[used];
}

/* How many ticks there are to a second, by what went by since the process began. */
static double seconds_since_start(const struct ph_segment *s, uint64_t ticks)
{
	struct ph_clock_pair now = ph_clock_pair(s->clock_kind);
	double ns = (double)now.realtime_ns - (double)s->start_realtime_ns;
	double all = (double)(now.ticks - s->start_ticks);

	return all > 0 ? (double)(ticks - s->start_ticks) / all * ns / 1e9 : 0;
}

static int set_mark(struct ph_segment *s, const char *name, double *at_s, struct error *e)
{
	struct ph_mark *mark;
	uint64_t ticks;

	/* Its pages are there: the process made them before it began. */
	mark = take_mark(s);
	if (mark == NULL)
		return fail(e, ERROR_USAGE, 0,
			    "%d: has had %u marks, which is all there is room for", s->pid,
			    PH_MARKS_MOST);
	snprintf(mark->name, sizeof(mark->name), "%s", name);
	/* The last moment before what follows. */
	ticks = ph_clock_mark(&s->clock, s->clock_kind) - 1;
	atomic_store_explicit(&mark->ticks, ticks, memory_order_release);
	*at_s = seconds_since_start(s, ticks);
	return 0;
}

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return length > 0 && length < sizeof(((struct ph_mark *)NULL)->name);
}

int collector_mark(int pid, const char *name, double *at_s, struct error *e)
{
	struct ph_segment *s;
	int rc;

	if (!is_name(name))
		return fail(e, ERROR_USAGE, 0,
			    "a mark's name has 1 to %zu bytes and no control characters",
			    sizeof(((struct ph_mark *)NULL)->name) - 1);
	s = segment_of(pid, e);
	if (s == NULL)
		return -1;
	if (atomic_load(&s->collector) == PH_COLLECTOR_REFUSED)
		rc = fail(e, ERROR_USAGE, 0, "%d: is not being recorded: %.*s", pid,
			  (int)sizeof(s->refusal), s->refusal);
	else
		rc = set_mark(s, name, at_s, e);
	munmap(s, sizeof(*s));
	return rc;
}
