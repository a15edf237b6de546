/* SPDX-License-Identifier: MIT */
#include "collector/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/format.h"
#include "trace/segment.h"

/* <linux/pidfd.h> of Linux 6.15; Debian 12's headers are older. */
struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");
#define PIDFD_GET_INFO_V0 _IOWR(0xff, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT	  (UINT64_C(1) << 3)

static bool read_small(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Field `number` of /proc/PID/stat; fields are counted after the command, which
 * may hold blanks and parentheses. NULL: no such process. */
static const char *stat_field(int pid, int number, char *text, size_t room)
{
	char path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_small(path, text, room))
		return NULL;
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < number; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? at + 1 : NULL;
}

uint64_t proc_start_time(int pid)
{
	char text[1024];
	const char *field = stat_field(pid, 22, text, sizeof(text));

	return field != NULL ? strtoull(field, NULL, 10) : 0;
}

bool proc_alive(int pid, uint64_t start_time)
{
	char text[1024];
	const char *state = stat_field(pid, 3, text, sizeof(text));

	if (state == NULL || *state == 'Z' || *state == 'X')
		return false;
	return start_time == 0 || proc_start_time(pid) == start_time;
}

bool proc_thread_alive(int pid, int tid)
{
	/* Not by /proc, which may be missing or hidden: no answer is not "gone". */
	return syscall(SYS_tgkill, pid, tid, 0) == 0 || errno != ESRCH;
}

void proc_thread_name(int pid, int tid, char *out, size_t room)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	read_small(path, out, room);
	out[strcspn(out, "\n")] = '\0';
}

bool proc_thread_cpu(int pid, int tid, struct ph_cpu *out)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	read_small(path, text, sizeof(text));
	return sscanf(text, "%" SCNu64 " %" SCNu64, &out->ran_ns, &out->delayed_ns) == 2;
}

int proc_open(int pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool proc_ended(int pidfd, int pid, uint64_t start_time)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	uint64_t start;

	if (pidfd >= 0)
		return poll(&p, 1, 0) == 1;
	/* Old kernels and some sandboxes have no pidfds. */
	if (kill(pid, 0) != 0 && errno == ESRCH)
		return true;
	start = proc_start_time(pid);
	return start != 0 && (start != start_time || !proc_alive(pid, start_time));
}

/* Since Linux 6.15, once it is reaped. */
static bool exit_info(int pidfd, int *status)
{
	struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT};

	if (pidfd < 0 || ioctl(pidfd, PIDFD_GET_INFO_V0, &info) != 0 ||
	    (info.mask & PIDFD_INFO_EXIT) == 0)
		return false;
	*status = info.exit_code;
	return true;
}

/* The kernel shows an exit code of zero to whom it denies the true one. This link
 * it shows to the same askers only, of a zombie too. */
static bool may_ask(int pid)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	return proc_link(path, target, sizeof(target));
}

/* Of a zombie, and of one that its parent is just taking (X). */
static bool zombie_status(int pid, int *status)
{
	char text[1024];
	const char *field = stat_field(pid, 3, text, sizeof(text));

	if (field == NULL || (*field != 'Z' && *field != 'X'))
		return false;
	field = stat_field(pid, 52, text, sizeof(text));
	if (field == NULL)
		return false;
	*status = atoi(field);
	return *status != 0 || may_ask(pid);
}

bool proc_wait_status(int pidfd, int pid, int *status)
{
	/* Asked again: it may be reaped between the first two questions. */
	return exit_info(pidfd, status) || zombie_status(pid, status) || exit_info(pidfd, status);
}

bool proc_link(const char *path, char *out, size_t room)
{
	ssize_t n = readlink(path, out, room - 1);

	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* ---- what the kernel counts -------------------------------------------------- */

int proc_io_open(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool add_io(int fd, struct ph_io_count *sum)
{
	char text[256];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
	unsigned long long read_bytes, written_bytes;

	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "rchar: %llu wchar: %llu", &read_bytes, &written_bytes) != 2)
		return false;
	sum->read += read_bytes;
	sum->written += written_bytes;
	return true;
}

bool proc_io_read(int fd, struct ph_io_count *out)
{
	*out = (struct ph_io_count){0, 0};
	return add_io(fd, out);
}

int proc_status_open(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The number of the line that begins so; false: there is none. */
static bool status_value(const char *text, const char *name, uint64_t unit, uint64_t *value)
{
	const char *at = strstr(text, name);
	unsigned long long number;

	if (at == NULL || sscanf(at + strlen(name), "%llu", &number) != 1)
		return false;
	*value = number * unit;
	return true;
}

/* A zombie has no memory, and no such lines. RssAnon and its like are of Linux 4.5. */
bool proc_memory(int fd, struct ph_sample *out)
{
	char text[4096];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;

	text[n > 0 ? n : 0] = '\0';
	return status_value(text, "\nVmSize:", 1024, &out->vms_bytes) &&
	       status_value(text, "\nVmRSS:", 1024, &out->rss_bytes) &&
	       status_value(text, "\nVmHWM:", 1024, &out->rss_most_bytes) &&
	       status_value(text, "\nRssAnon:", 1024, &out->anonymous_bytes) &&
	       status_value(text, "\nRssFile:", 1024, &out->file_bytes) &&
	       status_value(text, "\nRssShmem:", 1024, &out->shared_bytes) &&
	       status_value(text, "\nThreads:", 1, &out->threads);
}

/* A folder of /proc/PID whose entries are numbers. */
static DIR *open_folder(int pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return opendir(path);
}

static bool has_ended(int pid, int tid)
{
	char path[64], text[1024];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (!read_small(path, text, sizeof(text)))
		return true;
	at = strrchr(text, ')');
	return at == NULL || at[1] == '\0' || at[2] == 'Z' || at[2] == 'X';
}

int proc_living_thread(int pid)
{
	int found = has_ended(pid, pid) ? 0 : pid;
	DIR *tasks = found == 0 ? open_folder(pid, "task") : NULL;
	const struct dirent *entry;

	while (tasks != NULL && found == 0 && (entry = readdir(tasks)) != NULL) {
		int tid = (int)strtol(entry->d_name, NULL, 10);

		found = tid > 0 && !has_ended(pid, tid) ? tid : 0;
	}
	if (tasks != NULL)
		closedir(tasks);
	return found;
}

bool proc_io_threads(int pid, struct ph_io_count *out)
{
	DIR *tasks = open_folder(pid, "task");
	struct dirent *entry;
	bool any = false;

	*out = (struct ph_io_count){0, 0};
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		char path[300];
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/io", entry->d_name);
		fd = openat(dirfd(tasks), path, O_RDONLY | O_CLOEXEC);
		any |= add_io(fd, out);
		if (fd >= 0)
			close(fd);
	}
	if (tasks != NULL)
		closedir(tasks);
	return any;
}

bool proc_has_reaped(int pid)
{
	char text[1024];
	const char *field = stat_field(pid, 11, text, sizeof(text));
	unsigned long long minor, major_of_own, major;

	/* cminflt, majflt, cmajflt: whatever ran for a moment had a page fault. */
	return field != NULL &&
	       sscanf(field, "%llu %llu %llu", &minor, &major_of_own, &major) == 3 &&
	       (minor != 0 || major != 0);
}

bool proc_has_anonymous(int pid, const char *name)
{
	enum { MOST = 4096 };
	DIR *descriptors = open_folder(pid, "fd");
	struct dirent *entry;
	bool found = false;

	for (int i = 0; i < MOST && !found && descriptors != NULL; i++) {
		char link[64];
		ssize_t n;

		entry = readdir(descriptors);
		if (entry == NULL)
			break;
		n = readlinkat(dirfd(descriptors), entry->d_name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		found = strncmp(link, "anon_inode:", 11) == 0 && strcmp(link + 11, name) == 0;
	}
	if (descriptors != NULL)
		closedir(descriptors);
	return found;
}

/* A process, and whose child it is. */
struct kin {
	int pid, parent;
	bool is_of_it;
};

/* All processes, malloc'ed; NULL: not to be had. */
static struct kin *list_processes(size_t *count)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	struct kin *list = NULL;
	size_t room = 0;

	*count = 0;
	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		int pid = (int)strtol(entry->d_name, NULL, 10);
		char text[1024];
		const char *parent = pid > 0 ? stat_field(pid, 4, text, sizeof(text)) : NULL;

		if (parent == NULL)
			continue;
		if (*count == room) {
			struct kin *more = realloc(list, (room = 2 * room + 256) * sizeof(*more));

			if (more == NULL)
				break;
			list = more;
		}
		list[(*count)++] = (struct kin){pid, (int)strtol(parent, NULL, 10), false};
	}
	if (proc != NULL)
		closedir(proc);
	return list;
}

static int by_pid(const void *a, const void *b)
{
	const struct kin *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* In a list by pid. True: some more are known to be of it. */
static bool find_descendants(struct kin *list, size_t count, int pid)
{
	bool more = false;

	for (size_t i = 0; i < count; i++) {
		const struct kin wanted = {.pid = list[i].parent};
		const struct kin *parent = bsearch(&wanted, list, count, sizeof(*list), by_pid);

		if (list[i].is_of_it ||
		    (list[i].parent != pid && (parent == NULL || !parent->is_of_it)))
			continue;
		list[i].is_of_it = more = true;
	}
	return more;
}

void proc_signal_tree(int pid, int signal)
{
	size_t count;
	struct kin *list = list_processes(&count);

	if (count != 0)
		qsort(list, count, sizeof(*list), by_pid);
	while (count != 0 && find_descendants(list, count, pid))
		;
	/* Who starts them first: it is not to start more. */
	kill(pid, signal);
	for (size_t i = 0; i < count; i++)
		if (list[i].is_of_it)
			kill(list[i].pid, signal);
	free(list);
}
