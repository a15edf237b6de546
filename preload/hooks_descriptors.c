/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: where they come from and where they end. What was opened is
 * described after the real call; what is closed is forgotten before it, because
 * once it is closed another thread may be given its number.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "preload/hooks.h"

void ph_describe_new(struct ph_call_state *c, int fd, unsigned origin, const char *path,
		     uintptr_t frame)
{
	struct ph_stream *s;

	if (c->entry == 0 || fd < 0)
		return;
	s = ph_enter(frame);
	if (s == NULL)
		return;
	c->object = ph_object_new(s, fd, origin, path);
	ph_leave(s);
}

/* A relative path says nothing of a file elsewhere. */
const char *ph_name_from(int directory, const char *path)
{
	return directory == AT_FDCWD || path == NULL || path[0] == '/' ? path : NULL;
}

/* ---- opening -------------------------------------------------------------- */

void ph_end_open(struct ph_call_state *c, unsigned op, int fd, int flags, const char *path,
		 uintptr_t frame, void *caller)
{
	int saved = errno;

	ph_describe_new(c, fd, PH_ORIGIN_OPENED, path, frame);
	errno = saved;
	ph_call_end(c, op, fd, fd, flags, NULL, 0, frame, caller);
}

/* By a path. Which one it was stands in the event where there is no object to tell. */
static void end_open_at(struct ph_call_state *c, unsigned op, int directory, const char *path,
			int fd, int flags, uintptr_t frame, void *caller)
{
	const struct ph_path_call p = {
		.op = op, .directory = directory, .path = path, .result = fd, .arg = flags};

	if (fd >= 0)
		ph_end_open(c, op, fd, flags, ph_name_from(directory, path), frame, caller);
	else
		ph_end_path(c, &p, frame, caller);
}

/* The wrappers whose whole body is their row. */
#define PH_BY_HAND(...)
#define PH_OPEN(id, params, args, flags_, path_)                                                   \
	int ph_hook_##id params                                                                    \
	{                                                                                          \
		struct ph_call_state c;                                                            \
		int r;                                                                             \
                                                                                                   \
		PH_NEED_OR(id, -1);                                                                \
		ph_call_begin(&c, PH_OP_##id, -1, PH_FRAME());                                     \
		r = ph_real.id args;                                                               \
		ph_call_returned(&c);                                                              \
		ph_end_open(&c, PH_OP_##id, r, flags_, r >= 0 ? (path_) : NULL, PH_FRAME(),        \
			    PH_CALLER());                                                          \
		return r;                                                                          \
	}
#include "trace/functions.def"

#define OPEN_MODE(flags)                                                                           \
	({                                                                                         \
		mode_t mode_ = 0;                                                                  \
		va_list rest_;                                                                     \
		va_start(rest_, flags);                                                            \
		if (__OPEN_NEEDS_MODE(flags))                                                      \
			mode_ = (mode_t)va_arg(rest_, unsigned int);                               \
		va_end(rest_);                                                                     \
		mode_;                                                                             \
	})

int ph_hook_open(const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags);
	struct ph_call_state c;
	int fd;

	PH_NEED(open);
	ph_call_begin(&c, PH_OP_open, -1, PH_FRAME());
	fd = ph_real.open(path, flags, mode);
	ph_call_returned(&c);
	end_open_at(&c, PH_OP_open, AT_FDCWD, path, fd, flags, PH_FRAME(), PH_CALLER());
	return fd;
}

int ph_hook_openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = OPEN_MODE(flags);
	struct ph_call_state c;
	int fd;

	PH_NEED(openat);
	ph_call_begin(&c, PH_OP_openat, -1, PH_FRAME());
	fd = ph_real.openat(directory, path, flags, mode);
	ph_call_returned(&c);
	end_open_at(&c, PH_OP_openat, directory, path, fd, flags, PH_FRAME(), PH_CALLER());
	return fd;
}

/* No C library has it yet; where one does, it is a system call as this is. */
int ph_hook_openat2(int directory, const char *path, const struct open_how *how, size_t size)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(openat2);
	ph_call_begin(&c, PH_OP_openat2, -1, PH_FRAME());
	if (ph_real.openat2 != NULL)
		fd = ph_real.openat2(directory, path, how, size);
	else
		fd = (int)sys_result(sys4(SYS_openat2, directory, path, how, size));
	ph_call_returned(&c);
	end_open_at(&c, PH_OP_openat2, directory, path, fd, fd >= 0 ? (int)how->flags : 0,
		    PH_FRAME(), PH_CALLER());
	return fd;
}

/* stdio's own descriptors. */

static int stream_fd(FILE *stream)
{
	int saved = errno;
	int fd = stream != NULL ? fileno(stream) : -1;

	errno = saved; /* one in memory has none */
	return fd;
}

/* Of fopen(3)'s mode what matters for where it writes, once the call succeeded. */
static int mode_flags(const char *mode)
{
	return mode[0] == 'a' ? O_APPEND : mode[0] == 'w' ? O_TRUNC : 0;
}

FILE *ph_hook_fopen(const char *path, const char *mode)
{
	struct ph_call_state c;
	FILE *stream;

	PH_NEED(fopen);
	ph_call_begin(&c, PH_OP_fopen, -1, PH_FRAME());
	/* In a constructor that comes before ours. */
	if (unlikely(!ph_stdio_is_seen) && c.entry != 0)
		ph_stdio_begin();
	stream = ph_real.fopen(path, mode);
	ph_call_returned(&c);
	end_open_at(&c, PH_OP_fopen, AT_FDCWD, path, stream_fd(stream),
		    stream != NULL ? mode_flags(mode) : 0, PH_FRAME(), PH_CALLER());
	return stream;
}

/* Before a stream is closed, which may write what it still has: seen, that is the
 * old object's. Then the number is forgotten where stdio closes it. */
static uint32_t begin_stream_close(int fd)
{
	return ph_stdio_is_seen ? ph_object_known(fd) : ph_object_forget(fd);
}

/* The same stream on another file, mostly under the same number. */
FILE *ph_hook_freopen(const char *path, const char *mode, FILE *stream)
{
	const int before = stream_fd(stream);
	struct ph_call_state c;
	uint32_t object;
	FILE *r;

	PH_NEED(freopen);
	ph_call_begin(&c, PH_OP_freopen, -1, PH_FRAME());
	object = c.entry != 0 ? begin_stream_close(before) : 0;
	r = ph_real.freopen(path, mode, stream);
	ph_call_returned(&c);
	/* Nothing was put in its place: it is closed all the same. */
	if (r == NULL && (object == 0 || ph_object_known(before) == object))
		ph_object_forget(before);
	end_open_at(&c, PH_OP_freopen, AT_FDCWD, path, stream_fd(r),
		    r != NULL ? mode_flags(mode) : 0, PH_FRAME(), PH_CALLER());
	return r;
}

FILE *ph_hook_tmpfile(void)
{
	struct ph_call_state c;
	FILE *stream;

	PH_NEED(tmpfile);
	ph_call_begin(&c, PH_OP_tmpfile, -1, PH_FRAME());
	stream = ph_real.tmpfile();
	ph_call_returned(&c);
	ph_end_open(&c, PH_OP_tmpfile, stream_fd(stream), 0, NULL, PH_FRAME(), PH_CALLER());
	return stream;
}

FILE *ph_hook_popen(const char *command, const char *type)
{
	struct ph_call_state c;
	FILE *stream;

	PH_NEED(popen);
	ph_call_begin(&c, PH_OP_popen, -1, PH_FRAME());
	stream = ph_real.popen(command, type);
	ph_call_returned(&c);
	ph_end_open(&c, PH_OP_popen, stream_fd(stream), 0, NULL, PH_FRAME(), PH_CALLER());
	return stream;
}

DIR *ph_hook_opendir(const char *path)
{
	struct ph_call_state c;
	DIR *directory;

	PH_NEED(opendir);
	ph_call_begin(&c, PH_OP_opendir, -1, PH_FRAME());
	directory = ph_real.opendir(path);
	ph_call_returned(&c);
	end_open_at(&c, PH_OP_opendir, AT_FDCWD, path, directory != NULL ? dirfd(directory) : -1,
		    O_RDONLY | O_DIRECTORY, PH_FRAME(), PH_CALLER());
	return directory;
}

/* ---- closing -------------------------------------------------------------- */

void ph_begin_close(struct ph_call_state *c, unsigned op, int fd, uintptr_t frame)
{
	ph_call_begin(c, op, -1, frame);
	if (c->entry != 0)
		c->object = ph_object_forget(fd);
}

void ph_end_close(struct ph_call_state *c, unsigned op, int fd, int r, uintptr_t frame,
		  void *caller)
{
	ph_call_returned(c);
	ph_call_end(c, op, fd, r, 0, NULL, 0, frame, caller);
}

int ph_hook_close(int fd)
{
	struct ph_call_state c;
	int r;

	PH_NEED(close);
	ph_begin_close(&c, PH_OP_close, fd, PH_FRAME());
	r = ph_real.close(fd);
	ph_end_close(&c, PH_OP_close, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_fclose(FILE *stream)
{
	int fd = stream_fd(stream), r;
	struct ph_call_state c;
	uintptr_t outer;

	PH_NEED(fclose);
	ph_call_begin(&c, PH_OP_fclose, -1, PH_FRAME());
	if (c.entry != 0)
		c.object = begin_stream_close(fd);
	outer = ph_stdio_closing(PH_FRAME());
	r = ph_real.fclose(stream);
	ph_stdio_closing(outer);
	ph_end_close(&c, PH_OP_fclose, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* Its result is the command's status, which is not an error of the closing. */
int ph_hook_pclose(FILE *stream)
{
	int fd = stream_fd(stream), r;
	struct ph_call_state c;
	uintptr_t outer;

	PH_NEED(pclose);
	ph_call_begin(&c, PH_OP_pclose, -1, PH_FRAME());
	if (c.entry != 0)
		c.object = begin_stream_close(fd);
	outer = ph_stdio_closing(PH_FRAME());
	r = ph_real.pclose(stream);
	ph_stdio_closing(outer);
	ph_end_close(&c, PH_OP_pclose, fd, r < 0 ? -1 : 0, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_closedir(DIR *directory)
{
	int fd = directory != NULL ? dirfd(directory) : -1, r;
	struct ph_call_state c;

	PH_NEED(closedir);
	ph_begin_close(&c, PH_OP_closedir, fd, PH_FRAME());
	r = ph_real.closedir(directory);
	ph_end_close(&c, PH_OP_closedir, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}

static void begin_close_range(struct ph_call_state *c, unsigned op, unsigned first, unsigned last,
			      int flags, uintptr_t frame)
{
	ph_call_begin(c, op, -1, frame);
	if (c->entry != 0 && !(flags & CLOSE_RANGE_CLOEXEC) && first <= last)
		ph_objects_forget(first, last);
}

/* With CLOSE_RANGE_CLOEXEC nothing is closed: an empty range. */
int ph_hook_close_range(unsigned first, unsigned last, int flags)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(close_range, -1);
	begin_close_range(&c, PH_OP_close_range, first, last, flags, PH_FRAME());
	r = ph_real.close_range(first, last, flags);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_close_range, (int)first, r,
		    flags & CLOSE_RANGE_CLOEXEC ? -1 : (int64_t)last, NULL, 0, PH_FRAME(),
		    PH_CALLER());
	return r;
}

void ph_hook_closefrom(int first)
{
	unsigned from = first > 0 ? (unsigned)first : 0;
	struct ph_call_state c;

	PH_NEED(closefrom);
	begin_close_range(&c, PH_OP_closefrom, from, ~0u, 0, PH_FRAME());
	if (likely(ph_real.closefrom != NULL))
		ph_real.closefrom(first);
	else if (sys3(SYS_close_range, from, ~0u, 0) != 0)
		for (unsigned fd = from; fd < 65536; fd++)
			sys_close((int)fd);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_closefrom, (int)from, 0, UINT32_MAX, NULL, 0, PH_FRAME(),
		    PH_CALLER());
}

/* ---- copying --------------------------------------------------------------- */

/* A dup closes what stood at its target; the analyzer knows that. */
void ph_end_dup(struct ph_call_state *c, unsigned op, int fd, int target, int r, uint32_t replaced,
		uintptr_t frame, void *caller)
{
	uint64_t extra = replaced;

	if (c->entry != 0 && r >= 0 && r != fd)
		ph_object_share(fd, r);
	ph_call_end(c, op, fd, r, target, &extra, 1, frame, caller);
}

int ph_hook_dup(int fd)
{
	struct ph_call_state c;
	int r;

	PH_NEED(dup);
	ph_call_begin(&c, PH_OP_dup, fd, PH_FRAME());
	r = ph_real.dup(fd);
	ph_call_returned(&c);
	ph_end_dup(&c, PH_OP_dup, fd, -1, r, 0, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_dup2(int fd, int target)
{
	struct ph_call_state c;
	uint32_t replaced = 0;
	int r;

	PH_NEED(dup2);
	ph_call_begin(&c, PH_OP_dup2, fd, PH_FRAME());
	if (c.entry != 0 && fd != target)
		replaced = ph_object_known(target);
	r = ph_real.dup2(fd, target);
	ph_call_returned(&c);
	ph_end_dup(&c, PH_OP_dup2, fd, target, r, replaced, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_dup3(int fd, int target, int flags)
{
	struct ph_call_state c;
	uint32_t replaced = 0;
	int r;

	PH_NEED(dup3);
	ph_call_begin(&c, PH_OP_dup3, fd, PH_FRAME());
	if (c.entry != 0 && fd != target)
		replaced = ph_object_known(target);
	r = ph_real.dup3(fd, target, flags);
	ph_call_returned(&c);
	ph_end_dup(&c, PH_OP_dup3, fd, target, r, replaced, PH_FRAME(), PH_CALLER());
	return r;
}

/* Only what makes a descriptor or waits is of interest; the rest passes. */
int ph_hook_fcntl(int fd, int command, ...)
{
	struct ph_call_state c;
	va_list rest;
	long argument;
	int r;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	PH_NEED(fcntl);
	if (command == F_SETLKW || command == F_OFD_SETLKW)
		return ph_wait_for_record(fd, command, argument, PH_FRAME(), PH_CALLER());
	if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
		return ph_real.fcntl(fd, command, argument);
	ph_call_begin(&c, PH_OP_fcntl, fd, PH_FRAME());
	r = ph_real.fcntl(fd, command, argument);
	ph_call_returned(&c);
	ph_end_dup(&c, PH_OP_fcntl, fd, -1, r, 0, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- two at once ------------------------------------------------------------ */

void ph_end_pair(struct ph_call_state *c, unsigned op, const int fds[2], int r, unsigned origin,
		 uintptr_t frame, void *caller)
{
	int64_t both = -1;

	if (r == 0) {
		struct ph_call_state other = *c;

		ph_describe_new(&other, fds[1], origin, NULL, frame);
		ph_describe_new(c, fds[0], origin, NULL, frame);
		both = (uint32_t)fds[0] | (int64_t)fds[1] << 32;
	}
	ph_call_end(c, op, r == 0 ? fds[0] : -1, r, both, NULL, 0, frame, caller);
}

int ph_hook_pipe(int fds[2])
{
	struct ph_call_state c;
	int r;

	PH_NEED(pipe);
	ph_call_begin(&c, PH_OP_pipe, -1, PH_FRAME());
	r = ph_real.pipe(fds);
	ph_call_returned(&c);
	ph_end_pair(&c, PH_OP_pipe, fds, r, PH_ORIGIN_OPENED, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_pipe2(int fds[2], int flags)
{
	struct ph_call_state c;
	int r;

	PH_NEED(pipe2);
	ph_call_begin(&c, PH_OP_pipe2, -1, PH_FRAME());
	r = ph_real.pipe2(fds, flags);
	ph_call_returned(&c);
	ph_end_pair(&c, PH_OP_pipe2, fds, r, PH_ORIGIN_OPENED, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_openpty(int *leader, int *follower, char *name, const struct termios *terminal,
		    const struct winsize *window)
{
	struct ph_call_state c;
	int fds[2] = {-1, -1}, r;

	PH_NEED_OR(openpty, -1);
	ph_call_begin(&c, PH_OP_openpty, -1, PH_FRAME());
	r = ph_real.openpty(leader, follower, name, terminal, window);
	ph_call_returned(&c);
	if (r == 0) {
		fds[0] = *leader;
		fds[1] = *follower;
	}
	ph_end_pair(&c, PH_OP_openpty, fds, r, PH_ORIGIN_OPENED, PH_FRAME(), PH_CALLER());
	return r;
}
