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

/* A call that made two. */
void ph_end_pair(struct ph_call_state *c, unsigned op, const int fds[2], int r, unsigned origin,
		 uintptr_t frame, void *caller);

/* To be registered with at_quick_exit() before the program can. */
void ph_at_quick_exit(void *unused);

/* PERFHOOK_ROOT as children see it: "PERFHOOK_ROOT=PID:FOLDER", in memory of ours. */
extern char *ph_root_entry;

#endif
