/* SPDX-License-Identifier: MIT */
/*
 * The heap. An allocation is recorded after the real call, a free before it, so
 * that the order on one address can be true: once the real free has begun,
 * another thread may be given the address. A realloc is both: the old block is
 * announced before the call, the outcome after.
 */
#include <errno.h>
#include <string.h>

#include "preload/hooks.h"

/* Nothing to call yet: dlsym() itself is asking. */
static PH_COLD void *allocate_early(size_t alignment, size_t size)
{
	void *block = ph_arena_allocate(alignment, size);

	if (block == NULL)
		errno = ENOMEM;
	return block;
}

/* The loader, asking on behalf of our own code: the unwinder's first touch of its
 * thread-local storage in a new thread. Not the program's, and not in its heap. */
static inline bool is_for_us(const void *caller)
{
	return unlikely(ph_self.guard != 0) && ph_modules_is_loader(caller);
}

#define RECORD(id, block, size)                                                                    \
	do {                                                                                       \
		if (likely((block) != NULL))                                                       \
			ph_record_memory(PH_OP_##id, block, size, PH_FRAME(), PH_CALLER());        \
	} while (0)

/* Calls from within the allocator or the loader's doings for us go on by a jump: who
 * looks at the stack there (LeakSanitizer knows its loader's blocks by their caller)
 * sees the caller, and not us. */
static inline bool passes(uintptr_t frame, const void *caller)
{
	return ph_self.guard == 0 && ph_memory_is_nested(frame, caller);
}

/* Where the frame of the exported function is passed on it must stay: no jump there. */
#define KEEP_FRAME(result) __asm__ volatile("" : "+r"(result))

static PH_NOINLINE void *malloc_slowly(size_t size, uintptr_t frame, void *caller)
{
	void *block;

	PH_NEED(malloc);
	if (unlikely(ph_real.malloc == NULL))
		return allocate_early(16, size);
	if (is_for_us(caller)) {
		block = ph_arena_allocate(16, size);
		return block != NULL ? block : ph_real.malloc(size);
	}
	if (!ph_memory_begin(frame, caller))
		return ph_real.malloc(size);
	block = ph_real.malloc(size);
	ph_memory_end();
	if (likely(block != NULL))
		ph_record_memory(PH_OP_malloc, block, size, frame, caller);
	return block;
}

void *ph_hook_malloc(size_t size)
{
	struct ph_thread *t = &ph_self;
	void *block;

	if (unlikely(!ph_is_plain(t, PH_FRAME()))) {
		if (ph_real.malloc != NULL && passes(PH_FRAME(), PH_CALLER()))
			return ph_real.malloc(size);
		block = malloc_slowly(size, PH_FRAME(), PH_CALLER());
		KEEP_FRAME(block);
		return block;
	}
	t->in_malloc = PH_FRAME();
	signal_fence();
	block = ph_real.malloc(size);
	signal_fence();
	t->in_malloc = 0;
	if (likely(block != NULL))
		ph_record_plain(t, PH_OP_malloc, block, size, PH_FRAME(), PH_CALLER());
	return block;
}

static PH_NOINLINE void *calloc_slowly(size_t count, size_t size, uintptr_t frame, void *caller)
{
	void *block;

	PH_NEED(calloc);
	if (is_for_us(caller) && size < PH_ARENA_REUSED && count < PH_ARENA_REUSED) {
		block = ph_arena_allocate(16, count * size);
		if (block != NULL)
			return block;
	}
	if (unlikely(ph_real.calloc == NULL)) {
		/* The arena's blocks are zero. */
		if (size != 0 && count > SIZE_MAX / size)
			return NULL;
		return allocate_early(16, count * size);
	}
	if (!ph_memory_begin(frame, caller))
		return ph_real.calloc(count, size);
	block = ph_real.calloc(count, size);
	ph_memory_end();
	if (likely(block != NULL))
		ph_record_memory(PH_OP_calloc, block, count * size, frame, caller);
	return block;
}

void *ph_hook_calloc(size_t count, size_t size)
{
	struct ph_thread *t = &ph_self;
	void *block;

	if (unlikely(!ph_is_plain(t, PH_FRAME()))) {
		if (ph_real.calloc != NULL && passes(PH_FRAME(), PH_CALLER()))
			return ph_real.calloc(count, size);
		block = calloc_slowly(count, size, PH_FRAME(), PH_CALLER());
		KEEP_FRAME(block);
		return block;
	}
	t->in_malloc = PH_FRAME();
	signal_fence();
	block = ph_real.calloc(count, size);
	signal_fence();
	t->in_malloc = 0;
	if (likely(block != NULL))
		ph_record_plain(t, PH_OP_calloc, block, count * size, PH_FRAME(), PH_CALLER());
	return block;
}

/* Before a real free. False: there is nothing to free, the block is the arena's. */
static bool announce_free(unsigned op, void *block, uintptr_t frame, void *caller, bool *outermost)
{
	if (block == NULL)
		return false;
	if (ph_arena_owns(block)) {
		ph_arena_free(block);
		return false;
	}
	*outermost = !ph_memory_is_nested(frame, caller);
	if (*outermost) {
		ph_record_memory(op, block, 0, frame, caller);
		ph_memory_begin(frame, caller);
	}
	return true;
}

#define FREE_WITH(id, real_call)                                                                   \
	do {                                                                                       \
		bool outermost;                                                                    \
                                                                                                   \
		PH_NEED(free);                                                                     \
		if (!announce_free(PH_OP_##id, block, PH_FRAME(), PH_CALLER(), &outermost))        \
			return;                                                                    \
		real_call;                                                                         \
		if (likely(outermost))                                                             \
			ph_memory_end();                                                           \
	} while (0)

static PH_NOINLINE void free_slowly(void *block, uintptr_t frame, void *caller)
{
	bool outermost;

	PH_NEED(free);
	if (!announce_free(PH_OP_free, block, frame, caller, &outermost))
		return;
	ph_real.free(block);
	if (outermost)
		ph_memory_end();
}

void ph_hook_free(void *block)
{
	struct ph_thread *t = &ph_self;

	if (block == NULL)
		return;
	/* A free by the loader says that modules may have gone. */
	if (unlikely(!ph_is_idle(t, PH_FRAME()) || ph_arena_owns(block) ||
		     ph_memory_is_wide((uintptr_t)block, 0) || ph_modules_is_loader(PH_CALLER())) ||
	    unlikely(!ph_record_plain_free(t, PH_OP_free, block, PH_FRAME()))) {
		free_slowly(block, PH_FRAME(), PH_CALLER());
		KEEP_FRAME(block);
		return;
	}
	t->in_malloc = PH_FRAME();
	signal_fence();
	ph_real.free(block);
	signal_fence();
	t->in_malloc = 0;
}

/* These three exist in few C libraries; where nobody has them, free() does. */
void ph_hook_cfree(void *block)
{
	FREE_WITH(cfree, ph_real.cfree != NULL ? ph_real.cfree(block) : ph_real.free(block));
}

void ph_hook_free_sized(void *block, size_t size)
{
	FREE_WITH(free_sized, ph_real.free_sized != NULL ? ph_real.free_sized(block, size)
							 : ph_real.free(block));
}

void ph_hook_free_aligned_sized(void *block, size_t alignment, size_t size)
{
	FREE_WITH(free_aligned_sized, ph_real.free_aligned_sized != NULL
					      ? ph_real.free_aligned_sized(block, alignment, size)
					      : ph_real.free(block));
}

/* ---- realloc ----------------------------------------------------------- */

/* A block of the bootstrap arena moves to the real heap, or stays in the arena
 * while there is none. */
static PH_COLD void *leave_arena(void *old, size_t size, uintptr_t frame, void *caller)
{
	size_t had = ph_arena_size(old);
	void *block;

	if (ph_real.malloc == NULL)
		block = allocate_early(16, size);
	else
		block = ph_real.malloc(size);
	if (block == NULL)
		return NULL;
	memcpy(block, old, had < size ? had : size);
	ph_arena_free(old);
	if (ph_real.malloc != NULL)
		ph_record_memory(PH_OP_realloc, block, size, frame, caller);
	return block;
}

/* What became of `old`, announced by a REALLOC_BEGIN. */
static void record_outcome(unsigned op, void *old, void *block, size_t size, uintptr_t frame,
			   void *caller)
{
	if (block != NULL)
		ph_record_memory(op, block, size, frame, caller);
	else if (old == NULL)
		return;
	else if (size == 0)
		ph_record_memory(op, NULL, 0, frame, caller); /* it was freed */
	else
		ph_record_memory(PH_OP_REALLOC_FAILED, old, 0, frame, caller);
}

void *ph_hook_realloc(void *old, size_t size)
{
	void *block;

	PH_NEED(realloc);
	if (unlikely(ph_arena_owns(old) || ph_real.realloc == NULL)) {
		if (old == NULL)
			return allocate_early(16, size);
		block = leave_arena(old, size, PH_FRAME(), PH_CALLER());
		KEEP_FRAME(block);
		return block;
	}
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.realloc(old, size);
	if (old != NULL)
		ph_record_memory(PH_OP_REALLOC_BEGIN, old, 0, PH_FRAME(), PH_CALLER());
	block = ph_real.realloc(old, size);
	ph_memory_end();
	record_outcome(PH_OP_realloc, old, block, size, PH_FRAME(), PH_CALLER());
	return block;
}

void *ph_hook_reallocarray(void *old, size_t count, size_t size)
{
	size_t total;
	void *block;

	PH_NEED(realloc);
	if (unlikely(__builtin_mul_overflow(count, size, &total))) {
		errno = ENOMEM;
		return NULL;
	}
	if (unlikely(ph_arena_owns(old))) {
		block = leave_arena(old, total, PH_FRAME(), PH_CALLER());
		KEEP_FRAME(block);
		return block;
	}
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.realloc(old, total);
	if (old != NULL)
		ph_record_memory(PH_OP_REALLOC_BEGIN, old, 0, PH_FRAME(), PH_CALLER());
	block = ph_real.reallocarray != NULL ? ph_real.reallocarray(old, count, size)
					     : ph_real.realloc(old, total);
	ph_memory_end();
	record_outcome(PH_OP_reallocarray, old, block, total, PH_FRAME(), PH_CALLER());
	return block;
}

/* ---- aligned ------------------------------------------------------------ */

int ph_hook_posix_memalign(void **out, size_t alignment, size_t size)
{
	int error;

	PH_NEED(posix_memalign);
	if (unlikely(ph_real.posix_memalign == NULL))
		return ENOMEM;
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.posix_memalign(out, alignment, size);
	error = ph_real.posix_memalign(out, alignment, size);
	ph_memory_end();
	if (error == 0)
		RECORD(posix_memalign, *out, size);
	return error;
}

void *ph_hook_aligned_alloc(size_t alignment, size_t size)
{
	void *block;

	PH_NEED(aligned_alloc);
	if (unlikely(ph_real.aligned_alloc == NULL))
		return allocate_early(alignment, size);
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.aligned_alloc(alignment, size);
	block = ph_real.aligned_alloc(alignment, size);
	ph_memory_end();
	RECORD(aligned_alloc, block, size);
	return block;
}

void *ph_hook_memalign(size_t alignment, size_t size)
{
	void *block;

	PH_NEED(memalign);
	if (unlikely(ph_real.memalign == NULL))
		return allocate_early(alignment, size);
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.memalign(alignment, size);
	block = ph_real.memalign(alignment, size);
	ph_memory_end();
	RECORD(memalign, block, size);
	return block;
}

void *ph_hook_valloc(size_t size)
{
	void *block;

	PH_NEED(valloc);
	if (unlikely(ph_real.valloc == NULL))
		return allocate_early(4096, size);
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.valloc(size);
	block = ph_real.valloc(size);
	ph_memory_end();
	RECORD(valloc, block, size);
	return block;
}

void *ph_hook_pvalloc(size_t size)
{
	void *block;

	PH_NEED(pvalloc);
	if (unlikely(ph_real.pvalloc == NULL))
		return allocate_early(4096, size);
	if (!ph_memory_begin(PH_FRAME(), PH_CALLER()))
		return ph_real.pvalloc(size);
	block = ph_real.pvalloc(size);
	ph_memory_end();
	RECORD(pvalloc, block, size);
	return block;
}
