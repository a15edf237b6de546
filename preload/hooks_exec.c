/* SPDX-License-Identifier: MIT */
/*
 * New images and new processes of other programs. What begins is written down
 * before, since a successful exec does not return. Whether the library will be
 * there too is judged as well as can be told: what is not recorded must not go
 * unsaid.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "preload/hooks.h"
#include "preload/log.h"
#include "preload/spawn.h"
#include "preload/unseen.h"
#include "trace/image.h"

#define PATH_ROOM PH_EXEC_PATH_MAX
#define HEAD_ROOM 1024 /* of a file, to judge it by: its program headers and loader */

/* ---- will it be recorded? --------------------------------------------------- */

/* Does an environment name this library in LD_PRELOAD? */
static bool names_library(char *const *environment)
{
	const char *own = ph_library_name();

	for (; ph_may_be_read(environment) && *environment != NULL; environment++)
		if (strncmp(*environment, "LD_PRELOAD=", 11) == 0)
			return strstr(*environment + 11, own) != NULL;
	return false;
}

/* Set-uid, set-gid and capabilities make the loader ignore LD_PRELOAD: ld.so(8),
 * capabilities(7). */
static bool is_secure(int fd, const struct stat *st)
{
	char capabilities[64];
	struct statfs fs;

	if (sys0(SYS_getuid) != sys0(SYS_geteuid) || sys0(SYS_getgid) != sys0(SYS_getegid))
		return true;
	if (sys5(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (sys2(SYS_fstatfs, fd, &fs) == 0 && (fs.f_flags & ST_NOSUID)))
		return false;
	if (st->st_mode & S_ISUID && st->st_uid != (uid_t)sys0(SYS_geteuid))
		return true;
	if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP &&
	    st->st_gid != (gid_t)sys0(SYS_getegid))
		return true;
	return sys0(SYS_geteuid) != 0 && sys4(SYS_fgetxattr, fd, "security.capability",
					      capabilities, sizeof(capabilities)) > 0;
}

static uint32_t judge_open_file(int fd, struct ph_image *image)
{
	char head[HEAD_ROOM];
	struct stat st;
	long bytes = sys_read(fd, head, sizeof(head));
	uint32_t flags = 0;

	memset(image, 0, sizeof(*image));
	if (bytes <= 0 || sys2(SYS_fstat, fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	ph_image_classify(head, (size_t)bytes, image);
	/* Of a script the bits mean nothing. */
	if (!(image->flags & PH_IMAGE_SCRIPT) && is_secure(fd, &st))
		flags |= PH_EXEC_SECURE;
	return flags;
}

/*
 * To close a file drops all of this process's POSIX locks on it (fcntl(2)), so one
 * that somebody holds a lock on is not opened. proc_locks(5): "... MM:mm:INODE ...".
 */
static bool is_locked(int directory, const char *path)
{
	char text[1024], inode[24];
	size_t n = ph_append(inode, sizeof(inode), 0, ":");
	struct stat st = {.st_ino = 0};
	bool found = false;
	long bytes, kept = 0;
	int fd;

	if (sys4(SYS_newfstatat, directory, path, &st, 0) != 0)
		return false;
	n = ph_append_number(inode, sizeof(inode), n, st.st_ino, 10);
	ph_append(inode, sizeof(inode), n, " ");
	fd = sys_open("/proc/locks", O_RDONLY, 0);
	while (fd >= 0 && !found &&
	       (bytes = sys_read(fd, text + kept, sizeof(text) - 1 - (size_t)kept)) > 0) {
		text[kept + bytes] = '\0';
		found = strstr(text, inode) != NULL;
		/* A number may stand across two reads. */
		bytes += kept;
		kept = bytes < (long)sizeof(inode) ? bytes : (long)sizeof(inode);
		memmove(text, text + bytes - kept, (size_t)kept);
	}
	if (fd >= 0)
		sys_close(fd);
	return found;
}

static uint32_t judge(int directory, const char *path)
{
	struct ph_image image;
	uint32_t flags = 0;

	if (ph_confined || !ph_stack_has_room(&ph_self))
		return 0;
	for (int level = 0; level < 4; level++) {
		int fd = is_locked(directory, path)
				 ? -1
				 : (int)sys4(SYS_openat, directory, path,
					     O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

		if (fd < 0)
			return flags;
		flags = judge_open_file(fd, &image);
		sys_close(fd);
		if (!(image.flags & PH_IMAGE_SCRIPT))
			break;
		directory = AT_FDCWD;
		path = image.interpreter;
	}
	if (image.flags & PH_IMAGE_STATIC && !ph_image_is_loader(path))
		flags |= PH_EXEC_STATIC;
	if (image.flags & (PH_IMAGE_FOREIGN | PH_IMAGE_OTHER_LOADER))
		flags |= PH_EXEC_FOREIGN;
	return flags;
}

/* As execvp(3) looks: the first of PATH that can be run. */
static const char *search(const char *file, char *out)
{
	const char *list = NULL;

	for (char **entry = environ; entry != NULL && *entry != NULL && list == NULL; entry++)
		if (strncmp(*entry, "PATH=", 5) == 0)
			list = *entry + 5;
	if (!ph_may_be_read(file) || strchr(file, '/') != NULL || ph_confined)
		return file;
	if (list == NULL)
		list = "/bin:/usr/bin";
	for (;;) {
		size_t length = strcspn(list, ":");
		size_t n = 0;

		for (size_t i = 0; i < length && n + 1 < PATH_ROOM; i++)
			out[n++] = list[i];
		out[n] = '\0';
		if (length != 0)
			n = ph_append(out, PATH_ROOM, n, "/");
		ph_append(out, PATH_ROOM, n, file);
		if (sys3(SYS_faccessat, AT_FDCWD, out, X_OK) == 0)
			return out;
		if (list[length] == '\0')
			return file;
		list += length + 1;
	}
}

/* ---- what is written down ----------------------------------------------------- */

struct image {
	unsigned op;
	int directory;
	const char *path;
	uint32_t flags;
	char searched[PATH_ROOM];
};

static void look_at(struct image *i, char *const *environment)
{
	i->flags = judge(i->directory, i->path);
	if (ph_library_is_preloaded() && !names_library(environment))
		i->flags |= PH_EXEC_UNPRELOADED;
}

static void record_image(const struct image *i, int64_t result, uintptr_t frame, void *caller)
{
	struct ph_call_state c;
	struct ph_call_facts f = {
		.op = i->op,
		.fd = -1,
		.result = result,
		.arg = i->flags,
		.extra_count = 1,
		.tail = i->path,
		.tail_bytes = ph_may_be_read(i->path) ? strnlen(i->path, PATH_ROOM) : 0,
	};

	f.extra[0] = f.tail_bytes;
	ph_call_begin(&c, i->op, -1, frame);
	ph_call_end_with(&c, &f, frame, caller);
}

/* Before an exec. In a vfork's child the parent will write it down. */
static void begin_exec(struct image *i, char *const *environment, uintptr_t frame, void *caller)
{
	int saved = errno;

	if (ph_is_vfork_child()) {
		look_at(i, environment);
		ph_note_spawned(ph_may_be_read(i->path) ? i->path : "", i->flags);
	} else if (ph_process->generation > PH_OFF) {
		look_at(i, environment);
		record_image(i, 0, frame, caller);
		if (!ph_confined && sys_getpid() == ph_process->segment->pid) {
			if (ph_stack_has_room(&ph_self))
				ph_unseen_end(ph_process->segment);
			ph_threads_ending();
			atomic_store_explicit(&ph_process->segment->exec_begun, 1,
					      memory_order_release);
		}
	}
	errno = saved;
}

/* It returned: it failed. */
static void exec_failed(const struct image *i, uintptr_t frame, void *caller)
{
	int saved = errno;

	if (ph_is_vfork_child()) {
		ph_note_spawned(NULL, 0);
	} else if (ph_process->generation > PH_OFF) {
		atomic_store_explicit(&ph_process->segment->exec_begun, 0, memory_order_release);
		errno = saved;
		record_image(i, -1, frame, caller);
	}
	errno = saved;
}

/* Under a seccomp filter a new image must not begin to record: its environment says
 * so, whatever copies of it the program has made. */

static bool must_stay_out(void)
{
	return ph_confined || ph_self.confined_child;
}

static size_t count_entries(char *const *environment)
{
	size_t n = 0;

	while (ph_may_be_read(environment) && environment[n] != NULL)
		n++;
	return n;
}

static char *const *keep_out(char *const *environment, char **copy)
{
	static char off[] = "PERFHOOK_ROOT=off";
	size_t n = 0;

	copy[n++] = off;
	for (; ph_may_be_read(environment) && *environment != NULL; environment++)
		if (strncmp(*environment, off, sizeof("PERFHOOK_ROOT=") - 1) != 0)
			copy[n++] = *environment;
	copy[n] = NULL;
	return copy;
}

static int exec_here(const char *path, char *const *arguments, char *const *env)
{
	if (must_stay_out() && ph_real.execve != NULL)
		return ph_real.execve(path, arguments, env);
	return ph_real.execv(path, arguments);
}

static int exec_found(const char *file, char *const *arguments, char *const *env)
{
	if (must_stay_out() && ph_real.execvpe != NULL)
		return ph_real.execvpe(file, arguments, env);
	return ph_real.execvp(file, arguments);
}

#define ENVIRONMENT(environment)                                                                   \
	char *copy_[must_stay_out() ? count_entries(environment) + 2 : 1];                         \
	char *const *env = must_stay_out() ? keep_out((environment), copy_) : (environment)

#define EXEC(id, directory_, path_, searched_, environment, call)                                  \
	struct image i = {.op = PH_OP_##id, .directory = (directory_)};                            \
	ENVIRONMENT(environment);                                                                  \
	int r;                                                                                     \
                                                                                                   \
	i.path = (searched_) ? search((path_), i.searched) : (path_);                              \
	begin_exec(&i, env, PH_FRAME(), PH_CALLER());                                              \
	r = (call);                                                                                \
	exec_failed(&i, PH_FRAME(), PH_CALLER());                                                  \
	return r

int ph_hook_execve(const char *path, char *const arguments[], char *const environment[])
{
	PH_NEED(execve);
	EXEC(execve, AT_FDCWD, path, false, environment, ph_real.execve(path, arguments, env));
}

int ph_hook_execv(const char *path, char *const arguments[])
{
	PH_NEED(execv);
	EXEC(execv, AT_FDCWD, path, false, environ, exec_here(path, arguments, env));
}

int ph_hook_execvp(const char *file, char *const arguments[])
{
	PH_NEED(execvp);
	EXEC(execvp, AT_FDCWD, file, true, environ, exec_found(file, arguments, env));
}

int ph_hook_execvpe(const char *file, char *const arguments[], char *const environment[])
{
	PH_NEED_OR(execvpe, -1);
	EXEC(execvpe, AT_FDCWD, file, true, environment, ph_real.execvpe(file, arguments, env));
}

int ph_hook_execveat(int directory, const char *path, char *const arguments[],
		     char *const environment[], int flags)
{
	PH_NEED_OR(execveat, -1);
	EXEC(execveat, directory, path, false, environment,
	     ph_real.execveat(directory, path, arguments, env, flags));
}

int ph_hook_fexecve(int fd, char *const arguments[], char *const environment[])
{
	char name[32];

	PH_NEED(fexecve);
	ph_append_number(name, sizeof(name), ph_append(name, sizeof(name), 0, "/proc/self/fd/"),
			 (unsigned)fd, 10);
	EXEC(fexecve, AT_FDCWD, name, false, environment, ph_real.fexecve(fd, arguments, env));
}

/* The arguments of execl() and its like, up to the null pointer, as `arguments`; `list`
 * stands behind it. */
#define COLLECT(first)                                                                             \
	size_t count = 1;                                                                          \
	va_list list;                                                                              \
                                                                                                   \
	va_start(list, first);                                                                     \
	while ((first) != NULL && va_arg(list, const char *) != NULL)                              \
		count++;                                                                           \
	va_end(list);                                                                              \
	char *arguments[count + 1];                                                                \
	arguments[0] = (char *)(uintptr_t)(first);                                                 \
	va_start(list, first);                                                                     \
	for (size_t at = 1; at <= count && (first) != NULL; at++)                                  \
		arguments[at] = va_arg(list, char *);                                              \
	arguments[count] = NULL

int ph_hook_execl(const char *path, const char *argument, ...)
{
	COLLECT(argument);
	va_end(list);
	PH_NEED(execv);
	EXEC(execl, AT_FDCWD, path, false, environ, exec_here(path, arguments, env));
}

int ph_hook_execlp(const char *file, const char *argument, ...)
{
	COLLECT(argument);
	va_end(list);
	PH_NEED(execvp);
	EXEC(execlp, AT_FDCWD, file, true, environ, exec_found(file, arguments, env));
}

int ph_hook_execle(const char *path, const char *argument, ...)
{
	COLLECT(argument);
	char *const *environment = va_arg(list, char *const *);

	va_end(list);
	PH_NEED(execve);
	EXEC(execle, AT_FDCWD, path, false, environment, ph_real.execve(path, arguments, env));
}

/* ---- posix_spawn ----------------------------------------------------------------- */

typedef int spawn_function(pid_t *child, const char *path,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const arguments[],
			   char *const environment[]);

/* What posix_spawn(3) is told beside the path. */
struct spawn {
	spawn_function *real;
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attributes;
	char *const *arguments, *const *environment;
};

/* It returns its error and leaves errno alone. */
static int spawn(struct image *i, const char *path, pid_t *child, const struct spawn *s,
		 uintptr_t frame, void *caller)
{
	bool recorded = ph_process->generation > PH_OFF;
	ENVIRONMENT(s->environment);
	pid_t made = 0;
	int error;

	if (recorded)
		look_at(i, s->environment);
	/* The program's own word: its handlers may look at it before this returns. */
	if (child == NULL)
		child = &made;
	error = s->real(child, path, s->actions, s->attributes, s->arguments, env);
	if (error == 0)
		made = *child;
	if (recorded)
		record_image(i, error != 0 ? PH_ERROR(error) : made, frame, caller);
	return error;
}

int ph_hook_posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const arguments[],
			char *const environment[])
{
	struct image i = {.op = PH_OP_posix_spawn, .directory = AT_FDCWD, .path = path};
	struct spawn s = {NULL, actions, attributes, arguments, environment};

	PH_NEED(posix_spawn);
	s.real = ph_real.posix_spawn;
	return spawn(&i, path, child, &s, PH_FRAME(), PH_CALLER());
}

int ph_hook_posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attributes, char *const arguments[],
			 char *const environment[])
{
	struct image i = {.op = PH_OP_posix_spawnp, .directory = AT_FDCWD};
	struct spawn s = {NULL, actions, attributes, arguments, environment};

	PH_NEED(posix_spawnp);
	s.real = ph_real.posix_spawnp;
	i.path = search(file, i.searched);
	return spawn(&i, file, child, &s, PH_FRAME(), PH_CALLER());
}
