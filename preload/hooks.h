/* SPDX-License-Identifier: MIT */
/*
 * The exported functions: one a row of trace/functions.def. In C they are called
 * ph_hook_NAME, so that libc's own declarations (attributes, transparent unions,
 * fortified macros) do not get in the way; the assembler name is the real one.
 */
#ifndef PH_PRELOAD_HOOKS_H
#define PH_PRELOAD_HOOKS_H

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

#endif
