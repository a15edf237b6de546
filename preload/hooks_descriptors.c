/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: where they come from and where they end. What was opened is
 * described after the real call; what is closed is forgotten before it, because
 * once it is closed another thread may be given its number.
 */
#include <fcntl.h>
#include <stdarg.h>

#include "preload/hooks.h"

/* After a successful call: a new descriptor, described. */
static void describe_new(struct ph_call_state *c, int fd, unsigned origin, const char *path,
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

static void end_open(struct ph_call_state *c, unsigned op, int fd, int flags, const char *path,
		     uintptr_t frame, void *caller)
{
	describe_new(c, fd, PH_ORIGIN_OPENED, path, frame);
	ph_call_end(c, op, fd, fd, flags, NULL, 0, frame, caller);
}

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
	end_open(&c, PH_OP_open, fd, flags, path, PH_FRAME(), PH_CALLER());
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
	end_open(&c, PH_OP_openat, fd, flags, path, PH_FRAME(), PH_CALLER());
	return fd;
}

int ph_hook___open_2(const char *path, int flags)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(__open_2);
	ph_call_begin(&c, PH_OP___open_2, -1, PH_FRAME());
	fd = ph_real.__open_2(path, flags);
	ph_call_returned(&c);
	end_open(&c, PH_OP___open_2, fd, flags, path, PH_FRAME(), PH_CALLER());
	return fd;
}

int ph_hook___openat_2(int directory, const char *path, int flags)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(__openat_2);
	ph_call_begin(&c, PH_OP___openat_2, -1, PH_FRAME());
	fd = ph_real.__openat_2(directory, path, flags);
	ph_call_returned(&c);
	end_open(&c, PH_OP___openat_2, fd, flags, path, PH_FRAME(), PH_CALLER());
	return fd;
}

int ph_hook_creat(const char *path, mode_t mode)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(creat);
	ph_call_begin(&c, PH_OP_creat, -1, PH_FRAME());
	fd = ph_real.creat(path, mode);
	ph_call_returned(&c);
	end_open(&c, PH_OP_creat, fd, O_CREAT | O_WRONLY | O_TRUNC, path, PH_FRAME(), PH_CALLER());
	return fd;
}

/* stdio's own descriptors: its reads and writes go past us, but whose number it
 * is must be known, or the next file under that number would get its name. */
FILE *ph_hook_fopen(const char *path, const char *mode)
{
	struct ph_call_state c;
	FILE *stream;

	PH_NEED(fopen);
	ph_call_begin(&c, PH_OP_fopen, -1, PH_FRAME());
	stream = ph_real.fopen(path, mode);
	ph_call_returned(&c);
	end_open(&c, PH_OP_fopen, stream != NULL ? fileno(stream) : -1, 0, path, PH_FRAME(),
		 PH_CALLER());
	return stream;
}

int ph_hook_fclose(FILE *stream)
{
	struct ph_call_state c;
	int fd = stream != NULL ? fileno(stream) : -1;
	int r;

	PH_NEED(fclose);
	ph_call_begin(&c, PH_OP_fclose, -1, PH_FRAME());
	if (c.entry != 0)
		c.object = ph_object_forget(fd);
	r = ph_real.fclose(stream);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_fclose, fd, r, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_close(int fd)
{
	struct ph_call_state c;
	int r;

	PH_NEED(close);
	ph_call_begin(&c, PH_OP_close, -1, PH_FRAME());
	if (c.entry != 0)
		c.object = ph_object_forget(fd);
	r = ph_real.close(fd);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_close, fd, r, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}

/* A dup closes what stood at its target; the analyzer knows that. */
static void end_dup(struct ph_call_state *c, unsigned op, int fd, int target, int r,
		    uint32_t replaced, uintptr_t frame, void *caller)
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
	end_dup(&c, PH_OP_dup, fd, -1, r, 0, PH_FRAME(), PH_CALLER());
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
	end_dup(&c, PH_OP_dup2, fd, target, r, replaced, PH_FRAME(), PH_CALLER());
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
	end_dup(&c, PH_OP_dup3, fd, target, r, replaced, PH_FRAME(), PH_CALLER());
	return r;
}

static void end_pair(struct ph_call_state *c, unsigned op, const int fds[2], int r, unsigned origin,
		     uintptr_t frame, void *caller)
{
	int64_t both = -1;

	if (r == 0) {
		struct ph_call_state other = *c;

		describe_new(&other, fds[1], origin, NULL, frame);
		describe_new(c, fds[0], origin, NULL, frame);
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
	end_pair(&c, PH_OP_pipe, fds, r, PH_ORIGIN_OPENED, PH_FRAME(), PH_CALLER());
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
	end_pair(&c, PH_OP_pipe2, fds, r, PH_ORIGIN_OPENED, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- sockets ------------------------------------------------------------ */

int ph_hook_socket(int domain, int type, int protocol)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(socket);
	ph_call_begin(&c, PH_OP_socket, -1, PH_FRAME());
	fd = ph_real.socket(domain, type, protocol);
	ph_call_returned(&c);
	describe_new(&c, fd, PH_ORIGIN_OPENED, NULL, PH_FRAME());
	ph_call_end(&c, PH_OP_socket, fd, fd, domain, NULL, 0, PH_FRAME(), PH_CALLER());
	return fd;
}

int ph_hook_socketpair(int domain, int type, int protocol, int fds[2])
{
	struct ph_call_state c;
	int r;

	PH_NEED(socketpair);
	ph_call_begin(&c, PH_OP_socketpair, -1, PH_FRAME());
	r = ph_real.socketpair(domain, type, protocol, fds);
	ph_call_returned(&c);
	end_pair(&c, PH_OP_socketpair, fds, r, PH_ORIGIN_SOCKETPAIR, PH_FRAME(), PH_CALLER());
	return r;
}

/* The peer as the program named it: it stands in the trace even when the
 * connection fails or is still being made. */
static void note_peer(const struct ph_call_state *c, int fd, const struct sockaddr *address,
		      socklen_t length, uintptr_t frame)
{
	struct ph_stream *s;

	if (c->entry == 0 || address == NULL)
		return;
	s = ph_enter(frame);
	if (s == NULL)
		return;
	ph_object_connected(s, fd, address, length);
	ph_leave(s);
}

int ph_hook_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	struct ph_call_state c;
	int r;

	PH_NEED(connect);
	ph_call_begin(&c, PH_OP_connect, fd, PH_FRAME());
	r = ph_real.connect(fd, address, length);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_connect, fd, r, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	note_peer(&c, fd, address, length, PH_FRAME());
	return r;
}

static void end_accept(struct ph_call_state *c, unsigned op, int fd, int r, uintptr_t frame,
		       void *caller)
{
	uint64_t listener = c->object;

	describe_new(c, r, PH_ORIGIN_ACCEPT, NULL, frame);
	ph_call_end(c, op, fd, r, 0, &listener, 1, frame, caller);
}

int ph_hook_accept(int fd, struct sockaddr *address, socklen_t *length)
{
	struct ph_call_state c;
	int r;

	PH_NEED(accept);
	ph_call_begin(&c, PH_OP_accept, fd, PH_FRAME());
	r = ph_real.accept(fd, address, length);
	ph_call_returned(&c);
	end_accept(&c, PH_OP_accept, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	struct ph_call_state c;
	int r;

	PH_NEED(accept4);
	ph_call_begin(&c, PH_OP_accept4, fd, PH_FRAME());
	r = ph_real.accept4(fd, address, length, flags);
	ph_call_returned(&c);
	end_accept(&c, PH_OP_accept4, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}
