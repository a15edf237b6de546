/* SPDX-License-Identifier: MIT */
/* The wrappers whose whole body is their row in trace/functions.def. */
#include "preload/hooks.h"

#define PH_IO(id, kind, ret, params, args, fd, requested, offset)                                  \
	ret ph_hook_##id params                                                                    \
	{                                                                                          \
		const uint64_t at = (uint64_t)(int64_t)(offset);                                   \
		struct ph_call_state c;                                                            \
		ret r;                                                                             \
                                                                                                   \
		PH_NEED_OR(id, -1);                                                                \
		ph_call_begin(&c, PH_OP_##id, fd, PH_FRAME());                                     \
		r = ph_real.id args;                                                               \
		ph_call_end(&c, PH_OP_##id, fd, r, (int64_t)(requested), &at, (offset) != -1,      \
			    PH_FRAME(), PH_CALLER());                                              \
		return r;                                                                          \
	}
#include "trace/functions.def"
