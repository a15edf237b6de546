/* SPDX-License-Identifier: MIT */
/*
 * The functions that ours stand before, found with dlsym(RTLD_NEXT) so that a
 * target's own allocator is kept. One pointer a row of trace/functions.def;
 * NULL where nobody has the function.
 */
#ifndef PH_PRELOAD_REAL_H
#define PH_PRELOAD_REAL_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/compiler.h"
#include "preload/types.h"

struct ph_real {
#define PH_IO(id, kind, ret, params, ...)      ret(*id) params;
#define PH_BY_HAND(id, kind, ret, params, ...) ret(*id) params;
#define PH_NOTED(id, what, ret, params, ...)   ret(*id) params;
#define PH_AS(id, as, ret, params, ...)	       ret(*id) params;
#define PH_CALLED(id, ret, params, ...)	       ret(*id) params;
#include "trace/functions.def"
};
extern struct ph_real ph_real;

/* Fill ph_real. Idempotent, safe from any thread; a call from inside itself (dlsym
 * may allocate) returns at once. Async-signal-unsafe only the first time. */
PH_COLD void ph_real_resolve(void);

/*
 * A small arena beside the target's heap: what is asked for while dlsym() is at
 * work and the real allocator is not known yet, and what the loader allocates for
 * the unwinder's thread-local storage. NULL when it is full. Blocks of up to
 * PH_ARENA_REUSED bytes are used again once freed. Lock-free.
 */
#define PH_ARENA_REUSED 64u
#define PH_ARENA_BYTES	(512u << 10)
extern char ph_arena[PH_ARENA_BYTES];
void *ph_arena_allocate(size_t alignment, size_t size);
void ph_arena_free(void *block);
static inline bool ph_arena_owns(const void *block)
{
	return (uintptr_t)block - (uintptr_t)ph_arena < PH_ARENA_BYTES;
}
size_t ph_arena_size(const void *block); /* what was asked for */

#endif
