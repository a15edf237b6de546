/* SPDX-License-Identifier: MIT */
/*
 * The exported functions: one a row of trace/functions.def. In C they are called
 * ph_hook_NAME, so that libc's own declarations (attributes, transparent unions,
 * fortified macros) do not get in the way; the assembler name is the real one.
 */
#ifndef PH_PRELOAD_HOOKS_H
#define PH_PRELOAD_HOOKS_H

#include <errno.h>

#include "preload/compiler.h"
#include "preload/real.h"
#include "preload/record.h"

#define PH_IO(id, kind, ret, params, ...)      PH_EXPORT ret ph_hook_##id params __asm__(#id);
#define PH_BY_HAND(id, kind, ret, params, ...) PH_EXPORT ret ph_hook_##id params __asm__(#id);
#define PH_NOTED(id, what, ret, params, ...)   PH_EXPORT ret ph_hook_##id params __asm__(#id);
#define PH_AS(id, as, ret, params, ...)	       PH_EXPORT ret ph_hook_##id params __asm__(#id);
#include "trace/functions.def"

/* First in each wrapper: the real function, looked up if this is the first call. */
#define PH_NEED(id)                                                                                \
	do {                                                                                       \
		if (unlikely(ph_real.id == NULL))                                                  \
			ph_resolve();                                                              \
	} while (0)

/* The same, for functions that a C library may not have: such a program asked for
 * it by name and found ours. */
#define PH_NEED_OR(id, missing)                                                                    \
	do {                                                                                       \
		PH_NEED(id);                                                                       \
		if (unlikely(ph_real.id == NULL)) {                                                \
			errno = ENOSYS;                                                            \
			return missing;                                                            \
		}                                                                                  \
	} while (0)

/* What the program gave may be no address at all: that is the kernel's to say. Only
 * for what must be read before the call; afterwards a success says that it is one. */
static inline bool ph_may_be_read(const void *p)
{
	return (uintptr_t)p - 4096 < (UINT64_C(1) << 47) - 8192;
}

/* After a successful call: a new descriptor, described. */
void ph_describe_new(struct ph_call_state *c, int fd, unsigned origin, const char *path,
		     uintptr_t frame);

/* A call about a file by its path. */
struct ph_path_call {
	unsigned op;
	int directory, other_directory; /* AT_FDCWD: the working directory */
	const char *path, *other;	/* NULL: none */
	int64_t result, arg;
};

/* Its end; the paths are read if the kernel was seen to have read them. */
void ph_end_path(const struct ph_call_state *c, const struct ph_path_call *p, uintptr_t frame,
		 void *caller);

/* A call that made two. */
void ph_end_pair(struct ph_call_state *c, unsigned op, const int fds[2], int r, unsigned origin,
		 uintptr_t frame, void *caller);

/* What wrappers of different names have in common; `frame` and `caller` are theirs. */
void ph_end_open(struct ph_call_state *c, unsigned op, int fd, int flags, const char *path,
		 uintptr_t frame, void *caller);
void ph_begin_close(struct ph_call_state *c, unsigned op, int fd, uintptr_t frame);
void ph_end_close(struct ph_call_state *c, unsigned op, int fd, int r, uintptr_t frame,
		  void *caller);
void ph_end_dup(struct ph_call_state *c, unsigned op, int fd, int target, int r, uint32_t replaced,
		uintptr_t frame, void *caller);
void ph_describe_again(const struct ph_call_state *c, int fd, unsigned origin,
		       const struct sockaddr *peer, socklen_t length, uintptr_t frame);
void ph_end_accept(struct ph_call_state *c, unsigned op, int fd, int r, uintptr_t frame,
		   void *caller);

struct ph_move {
	unsigned op;
	int from, to;
	size_t asked;
	const off_t *from_offset, *to_offset; /* NULL: the descriptor's own */
};
void ph_begin_move(struct ph_call_state *c, const struct ph_move *m, uintptr_t frame);
void ph_end_move(struct ph_call_state *c, const struct ph_move *m, ssize_t r, uintptr_t frame,
		 void *caller);

/* Several messages at once: what was made of them, after the call. */
struct ph_messages {
	unsigned op;
	int fd;
	struct mmsghdr *messages;
	bool received;
	socklen_t room; /* for the first one's address */
};
socklen_t ph_room_of_first(const struct mmsghdr *messages, unsigned count);
void ph_end_messages(struct ph_call_state *c, const struct ph_messages *all, int r, uintptr_t frame,
		     void *caller);

/* A path as it was given to openat(): NULL where it says nothing by itself. */
const char *ph_name_from(int directory, const char *path);

/* fcntl(2) with a command that waits for a lock. */
int ph_wait_for_record(int fd, int command, long argument, uintptr_t frame, void *caller);

/* What of this library's memory holds pointers for the program: threads' arguments. */
void ph_held_memory(uint64_t *start, uint64_t *end);

/* To be registered with at_quick_exit() before the program can. */
void ph_at_quick_exit(void *unused);

/*
 * In the constructor, or at the first stream that is opened before: puts functions of
 * ours where stdio calls the kernel, if libc is laid out as it should be. Once; it
 * changes libc's data, so nothing is done under a seccomp filter. Thread-safe.
 */
PH_COLD void ph_stdio_begin(void);

/* Whether it did: then reads, writes and closings inside stdio are events. */
extern bool ph_stdio_is_seen;

/* Around a real call that closes a stream, whose wrapper says so itself; 0: over.
 * Returns what to set it back to. */
uintptr_t ph_stdio_closing(uintptr_t frame);

/* PERFHOOK_ROOT as children see it: "PERFHOOK_ROOT=PID:FOLDER", in memory of ours. */
extern char *ph_root_entry;

#endif
