/* SPDX-License-Identifier: MIT */
#include "preload/stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/config.h"
#include "preload/modules.h"
#include "preload/nodes.h"
#include "preload/unwind.h"
#include "preload/walk.h"

#define OWN_FRAMES_MAX 8 /* frames of ours that stand inside the wrapper's caller */
#define DEPTH_ROOM     (4096 + OWN_FRAMES_MAX)
#define UNWINDER_ROOM  12288 /* bytes of stack that are surely enough for libunwind */
#define WALK_ROOM      3072  /* ... and for our own walk */

struct ph_kept_stack {
	struct ph_walk *nested; /* the nested stream's, once there was one */
	bool warm;		/* the unwinder has what it needs for this thread */
	_Alignas(16) char spawned[PH_SPAWNED_ROOM];
	struct ph_cell scratch[2][PH_CALL_CELLS_MAX]; /* the thread's own and its nested stream's */
	void *unwound[DEPTH_ROOM];
	struct ph_walk walk;
};

/* Where libc's signal trampoline was seen: the frame outside of it was
 * interrupted, not calling, so its address is taken as it is. */
static const char *trampoline;

/* mov $15 (rt_sigreturn), %rax; syscall: what the kernel returns to. */
static const uint8_t trampoline_code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

static bool is_trampoline(const void *ip)
{
	return memcmp(ip, trampoline_code, sizeof(trampoline_code)) == 0;
}

/* Its second instruction may be interrupted too. */
static bool is_in_trampoline(const void *ip)
{
	return trampoline != NULL &&
	       (uintptr_t)ip - (uintptr_t)trampoline < sizeof(trampoline_code);
}

void ph_stack_forget(struct ph_thread *t)
{
	if (t->walk == NULL)
		return;
	ph_walk_forget(t->walk);
}

/* ---- what threads keep -------------------------------------------------- */

/* Zero in a fork's child, whose tables have other numbers. */
static struct ph_kept_stack *kept_stacks[PH_SLOTS_MOST];

struct ph_kept_stack *ph_stack_of_slot(uint32_t slot)
{
	if (slot >= PH_SLOTS_MOST)
		return NULL;
	if (kept_stacks[slot] == NULL && !ph_confined)
		kept_stacks[slot] = ph_map_wiped(sizeof(struct ph_kept_stack));
	return kept_stacks[slot];
}

void *ph_stack_copy(const struct ph_thread *t)
{
	void *copy = NULL;

	if (t->kept != NULL)
		copy = sys_mmap(NULL, sizeof(*t->kept), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy != NULL)
		memcpy(copy, t->kept, sizeof(*t->kept));
	return copy;
}

void ph_stack_put_back(const struct ph_thread *t, void *copy, bool put)
{
	if (copy == NULL)
		return;
	if (put)
		memcpy(t->kept, copy, sizeof(*t->kept));
	sys_munmap(copy, sizeof(*t->kept));
}

void ph_stack_wipe(const struct ph_thread *t)
{
	if (t->kept != NULL)
		memset(t->kept, 0, sizeof(*t->kept));
}

struct ph_walk *ph_stack_walk(struct ph_kept_stack *k)
{
	return k != NULL ? &k->walk : NULL;
}

struct ph_cell *ph_scratch(const struct ph_stream *s)
{
	struct ph_kept_stack *k = ph_self.kept;

	return k != NULL ? k->scratch[ph_is_nested(s)] : NULL;
}

struct ph_spawned *ph_stack_spawned(const struct ph_thread *t)
{
	return t->kept != NULL ? (struct ph_spawned *)t->kept->spawned : NULL;
}

static struct ph_walk *walk_of(struct ph_stream *s)
{
	struct ph_kept_stack *k = ph_self.kept;

	if (likely(k != NULL && !ph_is_nested(s)))
		return &k->walk;
	if (k != NULL && k->nested == NULL && !ph_confined)
		k->nested = ph_map_wiped(sizeof(*k->nested));
	return k != NULL ? k->nested : NULL;
}

void ph_stack_reserve(unsigned slots)
{
	for (unsigned i = 0; i < slots; i++)
		ph_stack_of_slot(i);
	ph_nodes_reserve();
}

/* ---- taking a stack --------------------------------------------------- */

static bool has_room(const struct ph_thread *t, uintptr_t bytes)
{
	uintptr_t here = PH_FRAME();

	return here - t->signal_stack >= t->signal_stack_bytes || here - t->signal_stack > bytes;
}

bool ph_stack_has_room(const struct ph_thread *t)
{
	return has_room(t, UNWINDER_ROOM);
}

static uint32_t one_frame(void *caller, uint32_t epoch)
{
	uint64_t pc = ((uintptr_t)caller - 1) & UINT64_C(0xffffffffffff);

	return ph_node_child(0, ph_node_address(pc, epoch));
}

/* Frames from unwound[count - 1] (outermost) to unwound[first]. */
static uint32_t intern(struct ph_kept_stack *k, int first, int count, uint32_t epoch)
{
	uint32_t node = 0;

	for (int i = count - 1; i >= first; i--) {
		void *ip = k->unwound[i];
		bool exact;

		if (i > first && !is_in_trampoline(k->unwound[i - 1]) &&
		    ph_modules_maybe_trampoline(k->unwound[i - 1]) &&
		    is_trampoline(k->unwound[i - 1]))
			trampoline = k->unwound[i - 1];
		exact = is_in_trampoline(ip) || (i > first && is_in_trampoline(k->unwound[i - 1]));
		node = ph_node_child(
			node, ph_node_address(((uintptr_t)ip - !exact) & UINT64_C(0xffffffffffff),
					      epoch));
	}
	return node;
}

/* What no rule says: libunwind, which also guesses. */
static PH_COLD uint32_t unwind(struct ph_kept_stack *k, void *caller, uint32_t epoch)
{
	int room = (int)ph_config.depth + OWN_FRAMES_MAX, count, first = 0;

	k->warm = true;
	count = ph_unwind(k->unwound, room < DEPTH_ROOM ? room : DEPTH_ROOM);
	while (first < count && first < OWN_FRAMES_MAX && k->unwound[first] != caller)
		first++;
	/* The unwinder does not know better than the return address. */
	if (first >= count || k->unwound[first] != caller)
		return one_frame(caller, epoch);
	if (count - first > (int)ph_config.depth)
		count = first + (int)ph_config.depth;
	/* The outermost frame may be a null return address. */
	while (count > first + 1 && k->unwound[count - 1] == NULL)
		count--;
	return intern(k, first, count, epoch);
}

/* In the tests' judging build each stack is compared with others'. */
#ifdef PH_JUDGE
#include "preload/judge.h"
#define PH_JUDGED true
#else
#define PH_JUDGED			    false
#define judge_asked()			    ((void)0)
#define judge(s, node, caller, epoch)	    ((void)0)
#define judge_fallback(node, frame, caller) ((void)0)
#endif

/* By the unwinder, or only the innermost frame. */
static PH_COLD uint32_t fall_back(struct ph_stream *s, bool walked, void *caller, uint32_t epoch)
{
	struct ph_thread *t = &ph_self;
	uint32_t node;
	int saved;

	/* A new thread's unwinder would begin with mapping a cache; further out than a
	 * nested stream's hook it may be at work. */
	if (!walked || ph_is_nested(s) || !has_room(t, UNWINDER_ROOM) ||
	    (ph_confined && !t->kept->warm))
		return one_frame(caller, epoch);
	saved = errno;
	node = unwind(t->kept, caller, epoch);
	errno = saved;
	return node;
}

bool ph_stack_is_walked(const struct ph_thread *t)
{
	return !PH_JUDGED && ph_config.depth != 0 && ph_walk_ready && t->walk != NULL;
}

uint32_t ph_stack_unwalked(struct ph_stream *s, void *caller)
{
	return fall_back(s, true, caller, ph_modules_epoch(ph_modules_version()));
}

uint32_t ph_stack_node(struct ph_stream *s, uintptr_t frame, void *caller)
{
	struct ph_thread *t = &ph_self;
	uint32_t version = ph_modules_version() & ~PH_MODULES_DIRTY;
	uint32_t epoch = ph_modules_epoch(version), node;
	const struct ph_walk_word *bad;
	struct ph_walk *w = walk_of(s);

	if (ph_config.depth == 0)
		return 0;
	judge_asked();
	if (likely(w != NULL && frame != 0 && ph_walk_knows(frame, caller) &&
		   has_room(t, WALK_ROOM))) {
		node = ph_walk_same(w, frame, caller, version, &bad);
		if (unlikely(node == 0))
			node = ph_walk(w, frame, ph_config.depth, version, bad);
		if (likely(node != 0)) {
			judge(s, node, caller, epoch);
			return node;
		}
	}
	node = fall_back(s, w != NULL, caller, epoch);
	judge_fallback(node, frame, caller);
	return node;
}
