/* SPDX-License-Identifier: MIT */
/*
 * syscall(2) for what is otherwise a row of trace/functions.def: an event under the
 * name of the function that makes the same call. It is no cancellation point, which
 * those functions are, so the real call is syscall()'s own.
 */
#include <fcntl.h>

#include "preload/hooks.h"

enum shape {
	NOTHING, /* of no interest: so are all numbers without a row */
	TRANSFER,
	MOVE,	  /* from, its offset, to, its offset, count */
	SENDFILE, /* to, from, its offset, count */
	TEE,	  /* from, to, count */
	SEND_MESSAGES,
	RECEIVE_MESSAGES,
	OPEN,	 /* path, flags */
	OPENAT,	 /* directory, path, flags */
	OPENAT2, /* directory, path, struct open_how */
	MADE,	 /* a descriptor without a name */
	CLOSE,
	DUP,
	DUP2,
	SOCKET,
	BIND,
	CONNECT,
	ACCEPT,
};

/* hooks_jump.S looks whether all four are zero. */
struct row {
	uint8_t op, shape;
	uint8_t asked, offset; /* which argument, 0: none: the first is never it */
};
_Static_assert(sizeof(struct row) == 4 && PH_OP_FUNCTIONS <= 256, "hooks_jump.S counts on it");

#define ROWS 512 /* as there */
extern const struct row ph_syscall_rows[ROWS] __attribute__((visibility("hidden")));
PH_REACHED_BY_ASM const struct row ph_syscall_rows[ROWS] = {
	[SYS_read] = {PH_OP_read, TRANSFER, 2, 0},
	[SYS_pread64] = {PH_OP_pread, TRANSFER, 2, 3},
	[SYS_readv] = {PH_OP_readv, TRANSFER, 0, 0},
	[SYS_preadv] = {PH_OP_preadv, TRANSFER, 0, 3},
	[SYS_preadv2] = {PH_OP_preadv2, TRANSFER, 0, 3},
	[SYS_write] = {PH_OP_write, TRANSFER, 2, 0},
	[SYS_pwrite64] = {PH_OP_pwrite, TRANSFER, 2, 3},
	[SYS_writev] = {PH_OP_writev, TRANSFER, 0, 0},
	[SYS_pwritev] = {PH_OP_pwritev, TRANSFER, 0, 3},
	[SYS_pwritev2] = {PH_OP_pwritev2, TRANSFER, 0, 3},
	[SYS_sendto] = {PH_OP_sendto, TRANSFER, 2, 0},
	[SYS_sendmsg] = {PH_OP_sendmsg, TRANSFER, 0, 0},
	[SYS_sendmmsg] = {PH_OP_sendmmsg, SEND_MESSAGES, 0, 0},
	[SYS_recvfrom] = {PH_OP_recvfrom, TRANSFER, 2, 0},
	[SYS_recvmsg] = {PH_OP_recvmsg, TRANSFER, 0, 0},
	[SYS_recvmmsg] = {PH_OP_recvmmsg, RECEIVE_MESSAGES, 0, 0},
	[SYS_sendfile] = {PH_OP_sendfile, SENDFILE, 3, 0},
	[SYS_splice] = {PH_OP_splice, MOVE, 4, 0},
	[SYS_copy_file_range] = {PH_OP_copy_file_range, MOVE, 4, 0},
	[SYS_tee] = {PH_OP_tee, TEE, 2, 0},
	[SYS_lseek] = {PH_OP_lseek, TRANSFER, 1, 0},
	[SYS_fsync] = {PH_OP_fsync, TRANSFER, 0, 0},
	[SYS_fdatasync] = {PH_OP_fdatasync, TRANSFER, 0, 0},
	[SYS_syncfs] = {PH_OP_syncfs, TRANSFER, 0, 0},
	[SYS_sync_file_range] = {PH_OP_sync_file_range, TRANSFER, 2, 1},
	[SYS_ftruncate] = {PH_OP_ftruncate, TRANSFER, 1, 0},
	[SYS_fallocate] = {PH_OP_fallocate, TRANSFER, 3, 2},
#ifdef SYS_open
	[SYS_open] = {PH_OP_open, OPEN, 1, 0},
	[SYS_creat] = {PH_OP_creat, OPEN, 0, 0},
#endif
	[SYS_openat] = {PH_OP_openat, OPENAT, 2, 0},
	[SYS_openat2] = {PH_OP_openat2, OPENAT2, 0, 0},
	[SYS_memfd_create] = {PH_OP_memfd_create, MADE, 1, 0},
	[SYS_eventfd2] = {PH_OP_eventfd, MADE, 1, 0},
	[SYS_timerfd_create] = {PH_OP_timerfd_create, MADE, 1, 0},
	[SYS_inotify_init1] = {PH_OP_inotify_init1, MADE, 0, 0},
	[SYS_epoll_create1] = {PH_OP_epoll_create1, MADE, 0, 0},
	[SYS_pidfd_open] = {PH_OP_pidfd_open, MADE, 1, 0},
	[SYS_pidfd_getfd] = {PH_OP_pidfd_getfd, MADE, 2, 0},
	[SYS_close] = {PH_OP_close, CLOSE, 0, 0},
	[SYS_dup] = {PH_OP_dup, DUP, 0, 0},
#ifdef SYS_dup2
	[SYS_dup2] = {PH_OP_dup2, DUP2, 1, 0},
#endif
	[SYS_dup3] = {PH_OP_dup3, DUP2, 1, 0},
	[SYS_socket] = {PH_OP_socket, SOCKET, 0, 0},
	[SYS_bind] = {PH_OP_bind, BIND, 0, 0},
	[SYS_listen] = {PH_OP_listen, BIND, 1, 0},
	[SYS_connect] = {PH_OP_connect, CONNECT, 0, 0},
	[SYS_accept] = {PH_OP_accept, ACCEPT, 0, 0},
	[SYS_accept4] = {PH_OP_accept4, ACCEPT, 0, 0},
	[SYS_shutdown] = {PH_OP_shutdown, TRANSFER, 1, 0},
};

/* One call, between its entry and its event. */
struct raw {
	struct ph_call_state c;
	struct row row;
	long a[6];
	int fd; /* the first argument, mostly */
	uint32_t replaced;
	struct ph_messages messages;
	struct ph_move move;
};

static long asked(const struct raw *w)
{
	return w->row.asked != 0 ? w->a[w->row.asked] : -1;
}

static struct ph_move move_of(const struct raw *w)
{
	const size_t count = (size_t)asked(w);
	const long *a = w->a;

	switch (w->row.shape) {
	case SENDFILE:
		return (struct ph_move){w->row.op, (int)a[1],	  (int)a[0],
					count,	   (off_t *)a[2], NULL}; /* NOLINT: as given */
	case TEE:
		return (struct ph_move){w->row.op, (int)a[0], (int)a[1], count, NULL, NULL};
	default:
		return (struct ph_move){w->row.op,     (int)a[0],    (int)a[2], count,
					(off_t *)a[1], (off_t *)a[3]}; /* NOLINT: as given */
	}
}

static void begin(struct raw *w, uintptr_t frame)
{
	struct ph_call_state *c = &w->c;

	switch (w->row.shape) {
	case MOVE:
	case SENDFILE:
	case TEE:
		w->move = move_of(w);
		ph_begin_move(c, &w->move, frame);
		break;
	case OPEN:
	case OPENAT:
	case OPENAT2:
	case MADE:
	case SOCKET:
		ph_call_begin(c, w->row.op, -1, frame);
		break;
	case CLOSE:
		ph_begin_close(c, w->row.op, w->fd, frame);
		break;
	case DUP2:
		ph_call_begin(c, w->row.op, w->fd, frame);
		if (c->entry != 0 && w->fd != (int)w->a[1])
			w->replaced = ph_object_known((int)w->a[1]);
		break;
	default:
		ph_call_begin(c, w->row.op, w->fd, frame);
	}
	if (w->row.shape == SEND_MESSAGES || w->row.shape == RECEIVE_MESSAGES)
		w->messages = (struct ph_messages){
			.op = w->row.op,
			.fd = w->fd,
			.messages = (struct mmsghdr *)w->a[1], /* NOLINT: as given */
			.received = w->row.shape == RECEIVE_MESSAGES,
			.room = ph_room_of_first((struct mmsghdr *)w->a[1], /* NOLINT */
						 (unsigned)w->a[2]),
		};
}

static void end_transfer(const struct raw *w, long r, uintptr_t frame, void *caller)
{
	const uint64_t at = w->row.offset != 0 ? (uint64_t)w->a[w->row.offset] : 0;

	ph_call_end(&w->c, w->row.op, w->fd, r, asked(w), &at, w->row.offset != 0, frame, caller);
}

static void end_open(struct raw *w, long r, uintptr_t frame, void *caller)
{
	const char *path = NULL;
	long flags = asked(w);

	if (r >= 0 && w->row.shape == OPEN)
		path = (const char *)w->a[0]; /* NOLINT: it was one */
	else if (r >= 0 && w->row.shape != MADE)
		path = ph_name_from(w->fd, (const char *)w->a[1]); /* NOLINT */
	if (w->row.shape == OPENAT2)
		flags = r >= 0 ? (long)((const struct open_how *)w->a[2])->flags : 0; /* NOLINT */
	ph_end_open(&w->c, w->row.op, (int)r, (int)flags, path, frame, caller);
}

static void end_addressed(struct raw *w, int r, uintptr_t frame, void *caller)
{
	const struct sockaddr *address = NULL;
	socklen_t length = 0;
	unsigned origin = PH_ORIGIN_BIND;

	ph_call_end(&w->c, w->row.op, w->fd, r, w->row.asked != 0 ? asked(w) : 0, NULL, 0, frame,
		    caller);
	if (w->row.shape == CONNECT) {
		address = (const struct sockaddr *)w->a[1]; /* NOLINT: as given */
		length = (socklen_t)w->a[2];
		origin = PH_ORIGIN_CONNECT;
		if (address == NULL || (r != 0 && errno == EFAULT))
			return;
	} else if (r != 0) {
		return;
	}
	ph_describe_again(&w->c, w->fd, origin, address, length, frame);
}

static void end(struct raw *w, long r, uintptr_t frame, void *caller)
{
	ph_call_returned(&w->c);
	switch (w->row.shape) {
	case MOVE:
	case SENDFILE:
	case TEE:
		ph_end_move(&w->c, &w->move, r, frame, caller);
		break;
	case SEND_MESSAGES:
	case RECEIVE_MESSAGES:
		ph_end_messages(&w->c, &w->messages, (int)r, frame, caller);
		break;
	case OPEN:
	case OPENAT:
	case OPENAT2:
	case MADE:
		end_open(w, r, frame, caller);
		break;
	case CLOSE:
		ph_end_close(&w->c, w->row.op, w->fd, (int)r, frame, caller);
		break;
	case DUP:
	case DUP2:
		ph_end_dup(&w->c, w->row.op, w->fd, (int)asked(w), (int)r, w->replaced, frame,
			   caller);
		break;
	case SOCKET:
		ph_describe_new(&w->c, (int)r, PH_ORIGIN_SOCKET, NULL, frame);
		ph_call_end(&w->c, w->row.op, (int)r, r, w->a[0], NULL, 0, frame, caller);
		break;
	case BIND:
	case CONNECT:
		end_addressed(w, (int)r, frame, caller);
		break;
	case ACCEPT:
		ph_end_accept(&w->c, w->row.op, w->fd, (int)r, frame, caller);
		break;
	default:
		end_transfer(w, r, frame, caller);
	}
}

/* syscall() jumps here for the numbers above, with its arguments as they are. */
PH_REACHED_BY_ASM long ph_syscall_row(long number, long a, long b, long c, long d, long e, long f);
long ph_syscall_row(long number, long a, long b, long c, long d, long e, long f)
{
	struct raw w = {.row = ph_syscall_rows[number], .a = {a, b, c, d, e, f}, .fd = (int)a};
	int saved;
	long r;

	begin(&w, PH_FRAME());
	r = ph_real.syscall(number, a, b, c, d, e, f);
	saved = errno;
	end(&w, r, PH_FRAME(), PH_CALLER());
	errno = saved;
	return r;
}
