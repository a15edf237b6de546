/* SPDX-License-Identifier: MIT */
/*
 * Calls about files that move no bytes: what they are and what they are called, where
 * a descriptor stands, and POSIX's asynchronous requests. A path is written down as the
 * program gave it; the analyzer, which knows the working directory and what each
 * descriptor is, makes it whole.
 */
#include <aio.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>

#include "preload/config.h"
#include "preload/hooks.h"

#define PATHS_MAX 4000 /* bytes of both; longer ones are left out */

static bool files_are_recorded(void)
{
	return ph_config.events & PH_EVENTS_IO;
}

/* ---- the working directory --------------------------------------------------- */

/* Whose working directory was written down last, so that each process says its own
 * once, at the first path that needs it. */
static _Atomic int said_by;

/* PH_OP_OBJECT of AT_FDCWD. Where the kernel cannot be asked, relative paths stay so. */
static void say_directory(const struct ph_call_state *c, uintptr_t frame)
{
	const struct ph_object object = {.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED};
	struct ph_call_state now = {.entry = c->entry, .exit = c->entry};
	struct ph_call_facts f = {.op = PH_OP_OBJECT, .fd = AT_FDCWD, .extra_count = 1};
	char path[1024];
	struct ph_object head = object;
	long bytes;

	if (ph_confined || !ph_stack_has_room(&ph_self))
		return;
	bytes = sys_readlink("/proc/self/cwd", path, sizeof(path));
	if (bytes <= 0 || bytes == sizeof(path))
		return;
	head.name_bytes = (uint16_t)bytes;
	memcpy(&f.extra[0], &head, sizeof(head));
	f.tail = path;
	f.tail_bytes = (size_t)bytes;
	ph_call_end_with(&now, &f, frame, NULL);
}

static void need_directory(const struct ph_call_state *c, uintptr_t frame)
{
	int pid = ph_process->segment->pid;

	if (likely(atomic_load_explicit(&said_by, memory_order_relaxed) == pid))
		return;
	atomic_store_explicit(&said_by, pid, memory_order_relaxed);
	say_directory(c, frame);
}

/* ---- calls with paths ---------------------------------------------------------- */

/* Has the kernel read the paths? Of what it refused before it did, nobody knows whether
 * there is anything to read. */
static bool paths_were_read(const struct ph_path_call *p)
{
	if (p->result >= 0)
		return true;
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
	case EACCES:
	case EEXIST:
	case ENOTEMPTY:
	case ELOOP:
	case EXDEV:
	case EROFS:
	case EISDIR:
	case EBUSY:
	case ETXTBSY:
	case ENOSPC:
	case ENXIO:
		return true;
	case EPERM: /* a filter refuses likewise, before anything is read */
		return !ph_confined;
	case EINVAL: /* what is no link */
		return p->op == PH_OP_readlink && p->arg > 0;
	}
	return false;
}

/* Of a path that was refused for being empty, the second was perhaps not looked at. */
static size_t path_bytes(const char *path, size_t room)
{
	size_t n = ph_may_be_read(path) ? strnlen(path, room) : 0;

	return n < room ? n : 0;
}

static bool is_relative(const char *path, size_t bytes, int directory)
{
	return directory == AT_FDCWD && bytes != 0 && path[0] != '/';
}

void ph_end_path(const struct ph_call_state *c, const struct ph_path_call *p, uintptr_t frame,
		 void *caller)
{
	struct ph_call_facts f = {
		.op = p->op, .fd = p->directory, .result = p->result, .arg = p->arg};
	int saved = errno;
	size_t first, second = 0;

	if (c->entry == 0)
		return;
	if (p->path == NULL || !paths_were_read(p)) {
		ph_call_end_with(c, &f, frame, caller);
		return;
	}
	first = path_bytes(p->path, PATHS_MAX);
	if (p->other != NULL && first != 0 && ph_stack_has_room(&ph_self))
		second = path_bytes(p->other, PATHS_MAX - first);
	if (is_relative(p->path, first, p->directory) ||
	    is_relative(p->other, second, p->other_directory)) {
		need_directory(c, frame);
		errno = saved;
	}
	f.extra[0] = first | (uint64_t)second << 32;
	f.extra[1] = (uint32_t)p->other_directory | (uint64_t)c->other << 32;
	f.extra_count = 2;
	if (second == 0) {
		f.tail = p->path;
		f.tail_bytes = first;
		ph_call_end_with(c, &f, frame, caller);
	} else {
		char both[first + second];

		memcpy(both, p->path, first);
		memcpy(both + first, p->other, second);
		f.tail = both;
		f.tail_bytes = first + second;
		ph_call_end_with(c, &f, frame, caller);
	}
}

/* The wrappers whose whole body is their row. */
#define PH_BY_HAND(...)
#define PH_META(id, ...) PH_META_AS(id, id, __VA_ARGS__)
#define PH_META_AS(id, as, ret, params, args, at_, path_, arg_)                                    \
	ret ph_hook_##id params                                                                    \
	{                                                                                          \
		struct ph_path_call p = {.op = PH_OP_##as, .path = (path_), .directory = (at_)};   \
		struct ph_call_state c;                                                            \
		ret r;                                                                             \
                                                                                                   \
		PH_NEED_OR(id, -1);                                                                \
		if (!files_are_recorded())                                                         \
			return ph_real.id args;                                                    \
		ph_call_begin(&c, PH_OP_##as, at_, PH_FRAME());                                    \
		r = ph_real.id args;                                                               \
		ph_call_returned(&c);                                                              \
		p.result = r;                                                                      \
		p.arg = (int64_t)(arg_);                                                           \
		ph_end_path(&c, &p, PH_FRAME(), PH_CALLER());                                      \
		return r;                                                                          \
	}
#define PH_META2(id, ...) PH_META2_AS(id, id, __VA_ARGS__)
#define PH_META2_AS(id, as, params, args, at_, path_, at2_, path2_, arg_)                          \
	int ph_hook_##id params                                                                    \
	{                                                                                          \
		struct ph_path_call p = {.op = PH_OP_##as,                                         \
					 .path = (path_),                                          \
					 .other = (path2_),                                        \
					 .directory = (at_),                                       \
					 .other_directory = (at2_),                                \
					 .arg = (arg_)};                                           \
		struct ph_call_state c;                                                            \
		int r;                                                                             \
                                                                                                   \
		PH_NEED_OR(id, -1);                                                                \
		if (!files_are_recorded())                                                         \
			return ph_real.id args;                                                    \
		ph_call_begin_two(&c, PH_OP_##as, at_, at2_, PH_FRAME());                          \
		r = ph_real.id args;                                                               \
		ph_call_returned(&c);                                                              \
		p.result = r;                                                                      \
		ph_end_path(&c, &p, PH_FRAME(), PH_CALLER());                                      \
		return r;                                                                          \
	}
#include "trace/functions.def"

/* ---- directories ----------------------------------------------------------------- */

/* Only errno tells the end from an error. */
struct dirent *ph_hook_readdir(DIR *directory)
{
	int fd = directory != NULL ? dirfd(directory) : -1, saved = errno;
	struct ph_call_state c;
	struct dirent *entry;

	PH_NEED(readdir);
	if (!files_are_recorded())
		return ph_real.readdir(directory);
	ph_call_begin(&c, PH_OP_readdir, fd, PH_FRAME());
	errno = 0;
	entry = ph_real.readdir(directory);
	ph_call_end(&c, PH_OP_readdir, fd,
		    entry != NULL ? 1
		    : errno != 0  ? -1
				  : 0,
		    0, NULL, 0, PH_FRAME(), PH_CALLER());
	if (errno == 0)
		errno = saved;
	return entry;
}

static void end_chdir(const struct ph_call_state *c, const struct ph_path_call *p, uintptr_t frame,
		      void *caller)
{
	int saved = errno;

	ph_end_path(c, p, frame, caller);
	if (c->entry != 0 && p->result == 0)
		say_directory(c, frame);
	errno = saved;
}

int ph_hook_chdir(const char *path)
{
	struct ph_path_call p = {.op = PH_OP_chdir, .directory = AT_FDCWD, .path = path};
	struct ph_call_state c;

	PH_NEED(chdir);
	if (!files_are_recorded())
		return ph_real.chdir(path);
	ph_call_begin(&c, PH_OP_chdir, -1, PH_FRAME());
	if (c.entry != 0 && !ph_confined && ph_may_be_read(path))
		need_directory(&c, PH_FRAME()); /* the path is relative to the one before */
	p.result = ph_real.chdir(path);
	ph_call_returned(&c);
	end_chdir(&c, &p, PH_FRAME(), PH_CALLER());
	return (int)p.result;
}

int ph_hook_fchdir(int fd)
{
	struct ph_path_call p = {.op = PH_OP_chdir, .directory = fd};
	struct ph_call_state c;

	PH_NEED(fchdir);
	if (!files_are_recorded())
		return ph_real.fchdir(fd);
	ph_call_begin(&c, PH_OP_chdir, fd, PH_FRAME());
	p.result = ph_real.fchdir(fd);
	ph_call_returned(&c);
	end_chdir(&c, &p, PH_FRAME(), PH_CALLER());
	return (int)p.result;
}

/* ---- positions -------------------------------------------------------------------- */

off_t ph_hook_lseek(int fd, off_t offset, int whence)
{
	const uint64_t from = (uint32_t)whence;
	struct ph_call_state c;
	off_t r;

	PH_NEED(lseek);
	if (!files_are_recorded())
		return ph_real.lseek(fd, offset, whence);
	ph_call_begin(&c, PH_OP_lseek, fd, PH_FRAME());
	r = ph_real.lseek(fd, offset, whence);
	ph_call_end(&c, PH_OP_lseek, fd, r, offset, &from, 1, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- asynchronous requests ----------------------------------------------------------- */

/* libc itself reads the control block in the calling thread. */
static void end_request(const struct ph_call_state *c, unsigned op, const struct aiocb *control,
			int opcode, int64_t r, uintptr_t frame, void *caller)
{
	const uint64_t extra[2] = {(uint64_t)control->aio_offset, (uint64_t)opcode};

	ph_call_end(c, op, control->aio_fildes, r, (int64_t)control->aio_nbytes, extra, 2, frame,
		    caller);
}

int ph_hook_aio_read(struct aiocb *control)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(aio_read, -1);
	ph_call_begin(&c, PH_OP_aio_read, control->aio_fildes, PH_FRAME());
	r = ph_real.aio_read(control);
	end_request(&c, PH_OP_aio_read, control, LIO_READ, r, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_aio_write(struct aiocb *control)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(aio_write, -1);
	ph_call_begin(&c, PH_OP_aio_write, control->aio_fildes, PH_FRAME());
	r = ph_real.aio_write(control);
	end_request(&c, PH_OP_aio_write, control, LIO_WRITE, r, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_aio_fsync(int op, struct aiocb *control)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(aio_fsync, -1);
	ph_call_begin(&c, PH_OP_aio_fsync, control->aio_fildes, PH_FRAME());
	r = ph_real.aio_fsync(op, control);
	end_request(&c, PH_OP_aio_fsync, control, LIO_NOP, r, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
	struct ph_call_state c;
	int r;

	PH_NEED_OR(lio_listio, -1);
	ph_call_begin(&c, PH_OP_lio_listio, -1, PH_FRAME());
	r = ph_real.lio_listio(mode, list, count, event);
	ph_call_end(&c, PH_OP_lio_listio, -1, r, count, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}

/* What went wrong stands in the control block, not in errno. Once it was returned, the
 * program may use the block again. */
ssize_t ph_hook_aio_return(struct aiocb *control)
{
	const struct aiocb copy = *control;
	struct ph_call_state c;
	ssize_t r;

	PH_NEED_OR(aio_return, -1);
	ph_call_begin(&c, PH_OP_aio_return, copy.aio_fildes, PH_FRAME());
	r = ph_real.aio_return(control);
	end_request(&c, PH_OP_aio_return, &copy, copy.aio_lio_opcode,
		    r < 0 ? PH_ERROR(copy.__error_code) : r, PH_FRAME(), PH_CALLER());
	return r;
}
