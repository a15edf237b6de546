/* SPDX-License-Identifier: MIT */
/*
 * Transfers that a row of the table cannot describe: between two descriptors, of
 * several messages, and with addresses or descriptors that come along.
 */
#include <fcntl.h>
#include <string.h>

#include "preload/hooks.h"

/* ---- from one descriptor to another --------------------------------------- */

void ph_begin_move(struct ph_call_state *c, const struct ph_move *m, uintptr_t frame)
{
	ph_call_begin_two(c, m->op, m->from, m->to, frame);
}

/* Where it began: a call that succeeded has moved it on. Of one that failed nobody
 * knows whether there is anything to read. */
static uint64_t offset_before(const off_t *offset, ssize_t moved)
{
	return offset != NULL && moved >= 0 ? (uint64_t)(*offset - moved) : UINT64_MAX;
}

void ph_end_move(struct ph_call_state *c, const struct ph_move *m, ssize_t r, uintptr_t frame,
		 void *caller)
{
	const uint64_t extra[3] = {(uint32_t)m->to | (uint64_t)c->other << 32,
				   offset_before(m->from_offset, r),
				   offset_before(m->to_offset, r)};

	ph_call_end(c, m->op, m->from, r, (int64_t)m->asked, extra, 3, frame, caller);
}

ssize_t ph_hook_sendfile(int to, int from, off_t *offset, size_t count)
{
	const struct ph_move m = {PH_OP_sendfile, from, to, count, offset, NULL};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED(sendfile);
	ph_begin_move(&c, &m, PH_FRAME());
	r = ph_real.sendfile(to, from, offset, count);
	ph_end_move(&c, &m, r, PH_FRAME(), PH_CALLER());
	return r;
}

ssize_t ph_hook_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t count,
		       unsigned flags)
{
	const struct ph_move m = {PH_OP_splice, from, to, count, from_offset, to_offset};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED(splice);
	ph_begin_move(&c, &m, PH_FRAME());
	r = ph_real.splice(from, from_offset, to, to_offset, count, flags);
	ph_end_move(&c, &m, r, PH_FRAME(), PH_CALLER());
	return r;
}

ssize_t ph_hook_tee(int from, int to, size_t count, unsigned flags)
{
	const struct ph_move m = {PH_OP_tee, from, to, count, NULL, NULL};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED(tee);
	ph_begin_move(&c, &m, PH_FRAME());
	r = ph_real.tee(from, to, count, flags);
	ph_end_move(&c, &m, r, PH_FRAME(), PH_CALLER());
	return r;
}

ssize_t ph_hook_copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset,
				size_t count, unsigned flags)
{
	const struct ph_move m = {PH_OP_copy_file_range, from, to, count, from_offset, to_offset};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED_OR(copy_file_range, -1);
	ph_begin_move(&c, &m, PH_FRAME());
	r = ph_real.copy_file_range(from, from_offset, to, to_offset, count, flags);
	ph_end_move(&c, &m, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* From memory into a pipe, or from a pipe into memory when its reading end is given
 * (vmsplice(2)): the other side is no descriptor. */
ssize_t ph_hook_vmsplice(int fd, const struct iovec *iov, size_t count, unsigned flags)
{
	struct ph_move m = {PH_OP_vmsplice, -1, fd, (size_t)-1, NULL, NULL};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED(vmsplice);
	ph_call_begin(&c, PH_OP_vmsplice, fd, PH_FRAME());
	r = ph_real.vmsplice(fd, iov, count, flags);
	ph_call_returned(&c);
	if (c.entry != 0 && !ph_confined &&
	    (sys2(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		m.from = fd;
		m.to = -1;
	} else {
		c.other = c.object;
		c.object = 0;
	}
	ph_end_move(&c, &m, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- messages --------------------------------------------------------------- */

/* An event of a READ or WRITE with the other end's address, where there is one. */
struct message {
	unsigned op;
	int fd;
	int64_t result, asked;
	unsigned messages;
	const void *address;
	size_t address_bytes;
};

static void end_message(const struct ph_call_state *c, const struct message *m, uintptr_t frame,
			void *caller)
{
	struct {
		struct ph_peer head;
		char address[sizeof(struct sockaddr_storage)];
	} peer = {.head.bytes = (uint32_t)m->address_bytes};
	struct ph_call_facts f = {
		.op = m->op,
		.fd = m->fd,
		.result = m->result,
		.arg = m->asked,
		.extra = {UINT64_MAX, m->messages},
		.extra_count = 2,
	};

	if (m->address != NULL && m->address_bytes >= sizeof(sa_family_t) &&
	    m->address_bytes <= sizeof(peer.address)) {
		memcpy(peer.address, m->address, m->address_bytes);
		f.tail = &peer;
		f.tail_bytes = sizeof(peer.head) + m->address_bytes;
	}
	ph_call_end_with(c, &f, frame, caller);
}

/* What the kernel wrote of an address that there was `room` for. */
static size_t received_bytes(ssize_t r, const socklen_t *length, socklen_t room)
{
	if (r < 0 || room == 0 || length == NULL)
		return 0;
	return *length < room ? *length : room;
}

ssize_t ph_hook_recvfrom(int fd, void *buffer, size_t count, int flags, struct sockaddr *address,
			 socklen_t *length)
{
	const socklen_t room = address != NULL && ph_may_be_read(length) ? *length : 0;
	struct message m = {PH_OP_recvfrom, fd, 0, (int64_t)count, 0, address, 0};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED(recvfrom);
	ph_call_begin(&c, PH_OP_recvfrom, fd, PH_FRAME());
	r = ph_real.recvfrom(fd, buffer, count, flags, address, length);
	m.result = r;
	m.address_bytes = received_bytes(r, length, room);
	end_message(&c, &m, PH_FRAME(), PH_CALLER());
	return r;
}

ssize_t ph_hook___recvfrom_chk(int fd, void *buffer, size_t count, size_t buffer_room, int flags,
			       struct sockaddr *address, socklen_t *length)
{
	const socklen_t room = address != NULL && ph_may_be_read(length) ? *length : 0;
	struct message m = {PH_OP___recvfrom_chk, fd, 0, (int64_t)count, 0, address, 0};
	struct ph_call_state c;
	ssize_t r;

	PH_NEED_OR(__recvfrom_chk, -1);
	ph_call_begin(&c, PH_OP___recvfrom_chk, fd, PH_FRAME());
	r = ph_real.__recvfrom_chk(fd, buffer, count, buffer_room, flags, address, length);
	m.result = r;
	m.address_bytes = received_bytes(r, length, room);
	end_message(&c, &m, PH_FRAME(), PH_CALLER());
	return r;
}

ssize_t ph_hook_sendto(int fd, const void *buffer, size_t count, int flags,
		       const struct sockaddr *address, socklen_t length)
{
	struct message m = {PH_OP_sendto, fd, 0, (int64_t)count, 0, address, length};
	struct ph_call_state c;

	PH_NEED(sendto);
	ph_call_begin(&c, PH_OP_sendto, fd, PH_FRAME());
	m.result = ph_real.sendto(fd, buffer, count, flags, address, length);
	if (m.result < 0)
		m.address = NULL; /* it may be none */
	end_message(&c, &m, PH_FRAME(), PH_CALLER());
	return m.result;
}

ssize_t ph_hook_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct message m = {PH_OP_sendmsg, fd, 0, -1, 0, NULL, 0};
	struct ph_call_state c;

	PH_NEED(sendmsg);
	ph_call_begin(&c, PH_OP_sendmsg, fd, PH_FRAME());
	m.result = ph_real.sendmsg(fd, message, flags);
	/* Only now is it known that it can be read. */
	if (m.result >= 0) {
		m.address = message->msg_name;
		m.address_bytes = message->msg_namelen;
	}
	end_message(&c, &m, PH_FRAME(), PH_CALLER());
	return m.result;
}

/* Descriptors that another process sent along (unix(7), SCM_RIGHTS). */
static void describe_passed(struct ph_call_state *c, struct msghdr *message, uintptr_t frame)
{
	struct cmsghdr *h;

	if (c->entry == 0 || message->msg_controllen == 0)
		return;
	for (h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS ||
		    h->cmsg_len < CMSG_LEN(0))
			continue;
		for (size_t i = 0; i < count; i++) {
			struct ph_call_state passed = *c;
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			ph_describe_new(&passed, fd, PH_ORIGIN_PASSED, NULL, frame);
		}
	}
}

ssize_t ph_hook_recvmsg(int fd, struct msghdr *message, int flags)
{
	/* Afterwards it is the address's own length, which may be more. */
	const socklen_t room = ph_may_be_read(message) ? message->msg_namelen : 0;
	struct message m = {PH_OP_recvmsg, fd, 0, -1, 0, NULL, 0};
	struct ph_call_state c;

	PH_NEED(recvmsg);
	ph_call_begin(&c, PH_OP_recvmsg, fd, PH_FRAME());
	m.result = ph_real.recvmsg(fd, message, flags);
	ph_call_returned(&c);
	if (m.result >= 0) {
		m.address = message->msg_name;
		m.address_bytes = received_bytes(m.result, &message->msg_namelen, room);
		describe_passed(&c, message, PH_FRAME());
	}
	end_message(&c, &m, PH_FRAME(), PH_CALLER());
	return m.result;
}

/* Of the messages that were moved: all their bytes, and whose address they are. */
static void sum_messages(struct message *m, const struct mmsghdr *messages, int count,
			 socklen_t room)
{
	m->result = count;
	if (count <= 0)
		return;
	m->result = 0;
	m->messages = (unsigned)count;
	for (int i = 0; i < count; i++)
		m->result += messages[i].msg_len;
	/* Several may have several. */
	if (count == 1) {
		m->address = messages[0].msg_hdr.msg_name;
		m->address_bytes = received_bytes(count, &messages[0].msg_hdr.msg_namelen, room);
	}
}

void ph_end_messages(struct ph_call_state *c, const struct ph_messages *all, int r, uintptr_t frame,
		     void *caller)
{
	struct message m = {all->op, all->fd, 0, -1, 0, NULL, 0};

	ph_call_returned(c);
	sum_messages(&m, all->messages, r, all->room);
	for (int i = 0; all->received && i < r; i++)
		describe_passed(c, &all->messages[i].msg_hdr, frame);
	end_message(c, &m, frame, caller);
}

int ph_hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	const struct ph_messages all = {PH_OP_sendmmsg, fd, messages, false,
					sizeof(struct sockaddr_storage)};
	struct ph_call_state c;
	int r;

	PH_NEED_OR(sendmmsg, -1);
	ph_call_begin(&c, PH_OP_sendmmsg, fd, PH_FRAME());
	r = ph_real.sendmmsg(fd, messages, count, flags);
	ph_end_messages(&c, &all, r, PH_FRAME(), PH_CALLER());
	return r;
}

socklen_t ph_room_of_first(const struct mmsghdr *messages, unsigned count)
{
	return count > 0 && ph_may_be_read(messages) ? messages[0].msg_hdr.msg_namelen : 0;
}

int ph_hook_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
		     struct timespec *timeout)
{
	const struct ph_messages all = {PH_OP_recvmmsg, fd, messages, true,
					ph_room_of_first(messages, count)};
	struct ph_call_state c;
	int r;

	PH_NEED_OR(recvmmsg, -1);
	ph_call_begin(&c, PH_OP_recvmmsg, fd, PH_FRAME());
	r = ph_real.recvmmsg(fd, messages, count, flags, timeout);
	ph_end_messages(&c, &all, r, PH_FRAME(), PH_CALLER());
	return r;
}

/* ---- room for a file ---------------------------------------------------------- */

/* It returns its error and leaves errno alone. */
int ph_hook_posix_fallocate(int fd, off_t offset, off_t length)
{
	const uint64_t at = (uint64_t)offset;
	struct ph_call_state c;
	int error;

	PH_NEED(posix_fallocate);
	ph_call_begin(&c, PH_OP_posix_fallocate, fd, PH_FRAME());
	error = ph_real.posix_fallocate(fd, offset, length);
	ph_call_end(&c, PH_OP_posix_fallocate, fd, error != 0 ? PH_ERROR(error) : 0, length, &at, 1,
		    PH_FRAME(), PH_CALLER());
	return error;
}
