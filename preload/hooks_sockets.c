/* SPDX-License-Identifier: MIT */
/* Sockets: where they come from, and what their ends are called. */
#include "preload/hooks.h"

int ph_hook_socket(int domain, int type, int protocol)
{
	struct ph_call_state c;
	int fd;

	PH_NEED(socket);
	ph_call_begin(&c, PH_OP_socket, -1, PH_FRAME());
	fd = ph_real.socket(domain, type, protocol);
	ph_call_returned(&c);
	ph_describe_new(&c, fd, PH_ORIGIN_SOCKET, NULL, PH_FRAME());
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
	ph_end_pair(&c, PH_OP_socketpair, fds, r, PH_ORIGIN_SOCKETPAIR, PH_FRAME(), PH_CALLER());
	return r;
}

/* What is known of a socket has changed. The peer as the program named it stands
 * in the trace even when the connection fails or is still being made. */
void ph_describe_again(const struct ph_call_state *c, int fd, unsigned origin,
		       const struct sockaddr *peer, socklen_t length, uintptr_t frame)
{
	int saved = errno;
	struct ph_stream *s;

	if (c->entry == 0)
		return;
	s = ph_enter(frame);
	if (s == NULL)
		return;
	ph_object_again(s, fd, origin, peer, length);
	ph_leave(s);
	errno = saved;
}

int ph_hook_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	struct ph_call_state c;
	int r;

	PH_NEED(bind);
	ph_call_begin(&c, PH_OP_bind, fd, PH_FRAME());
	r = ph_real.bind(fd, address, length);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_bind, fd, r, 0, NULL, 0, PH_FRAME(), PH_CALLER());
	if (r == 0)
		ph_describe_again(&c, fd, PH_ORIGIN_BIND, NULL, 0, PH_FRAME());
	return r;
}

/* It may give the socket an address, if it has none. */
int ph_hook_listen(int fd, int backlog)
{
	struct ph_call_state c;
	int r;

	PH_NEED(listen);
	ph_call_begin(&c, PH_OP_listen, fd, PH_FRAME());
	r = ph_real.listen(fd, backlog);
	ph_call_returned(&c);
	ph_call_end(&c, PH_OP_listen, fd, r, backlog, NULL, 0, PH_FRAME(), PH_CALLER());
	if (r == 0)
		ph_describe_again(&c, fd, PH_ORIGIN_BIND, NULL, 0, PH_FRAME());
	return r;
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
	if (address != NULL && (r == 0 || errno != EFAULT))
		ph_describe_again(&c, fd, PH_ORIGIN_CONNECT, address, length, PH_FRAME());
	return r;
}

void ph_end_accept(struct ph_call_state *c, unsigned op, int fd, int r, uintptr_t frame,
		   void *caller)
{
	uint64_t listener = c->object;
	int saved = errno;

	ph_describe_new(c, r, PH_ORIGIN_ACCEPT, NULL, frame);
	errno = saved;
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
	ph_end_accept(&c, PH_OP_accept, fd, r, PH_FRAME(), PH_CALLER());
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
	ph_end_accept(&c, PH_OP_accept4, fd, r, PH_FRAME(), PH_CALLER());
	return r;
}
