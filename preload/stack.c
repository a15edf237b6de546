/* SPDX-License-Identifier: MIT */
#include "preload/stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/config.h"
#include "preload/modules.h"
#include "preload/unwind.h"

#define OWN_FRAMES_MAX 8 /* frames of ours that stand inside the wrapper's caller */
#define DEPTH_ROOM     (4096 + OWN_FRAMES_MAX)
#define UNWINDER_ROOM  12288 /* bytes of stack that are surely enough for libunwind */

/* Innermost first as the unwinder gives them; kept outermost first, so that the
 * unchanged part of two stacks has the same indices. */
struct ph_kept_stack {
	uint32_t epoch; /* of the module list that it was taken under */
	uint32_t count;
	void *frames[DEPTH_ROOM];
	uint32_t nodes[DEPTH_ROOM];
	void *fresh[DEPTH_ROOM];
	bool warm; /* the unwinder has what it needs for this thread */
	_Alignas(16) char spawned[PH_SPAWNED_ROOM];
	struct ph_cell scratch[2][PH_CALL_CELLS_MAX]; /* the thread's own and its nested stream's */
};

#define FOLDING_LEVELS 2 /* of the table of addresses left: three quarters */
#define FOLDED_BYTES   65536

#define RESERVED_LEVELS 6 /* of each table, before no page can be had any more: 2.5 MiB */

/* Where libc's signal trampoline was seen: the frame outside of it was
 * interrupted, not calling, so its address is taken as it is. */
static void *trampoline;

void ph_stack_forget(struct ph_thread *t)
{
	if (t->kept != NULL)
		t->kept->count = 0;
}

/* ---- the tables, see trace/segment.h ---------------------------------- */

static inline uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 32;
}

/* One more level, unless somebody else has just added it. False: the ceiling. */
static bool add_level(struct ph_table *table, _Atomic uint64_t *entries, uint32_t levels)
{
	uint64_t bytes;

	if (levels >= table->levels_max)
		return false;
	bytes = (uint64_t)(table->level_0 << levels) * sizeof(*entries);
	if (!ph_populate((void *)(entries + ph_level_base(table->level_0, levels)), bytes))
		return false;
	atomic_compare_exchange_strong_explicit(&table->levels, &levels, levels + 1,
						memory_order_release, memory_order_relaxed);
	return true;
}

/* Index of the entry that equals `key` under `mask`, made if it is not there. -1:
 * the table is at its ceiling. */
static int64_t find_or_add(struct ph_table *table, uint64_t key, uint64_t mask, uint64_t hash)
{
	_Atomic uint64_t *entries =
		(_Atomic uint64_t *)((char *)ph_process->segment + table->offset);

	for (uint32_t level = 0;; level++) {
		uint32_t size = table->level_0 << level;
		uint32_t base = ph_level_base(table->level_0, level);

		/* Pairs with add_level(): who sees the level sees its pages. */
		if (level >= atomic_load_explicit(&table->levels, memory_order_acquire) &&
		    !add_level(table, entries, level)) {
			atomic_fetch_add_explicit(&table->full, 1, memory_order_relaxed);
			return -1;
		}
		for (uint32_t probe = 0; probe < PH_PROBE; probe++) {
			uint32_t index = base + ((uint32_t)(hash + probe) & (size - 1));
			uint64_t seen = atomic_load_explicit(&entries[index], memory_order_acquire);

			if (seen == 0 && atomic_compare_exchange_strong_explicit(
						 &entries[index], &seen, key, memory_order_release,
						 memory_order_acquire))
				return index;
			if ((seen & mask) == (key & mask))
				return index;
		}
	}
}

static bool is_trampoline(const void *ip)
{
	/* mov $15 (rt_sigreturn), %rax; syscall: what the kernel returns to. */
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

	return memcmp(ip, code, sizeof(code)) == 0;
}

/*
 * Code that is in no module was generated, and may be so without end. Once the
 * table has little room left it is known by its region only, so that it does not
 * crowd out what has names.
 */
static uint64_t fold_generated(const struct ph_table *table, uint64_t pc)
{
	if (atomic_load_explicit(&table->levels, memory_order_relaxed) + FOLDING_LEVELS <
		    table->levels_max ||
	    ph_modules_holds((const void *)(uintptr_t)pc))
		return pc;
	return pc & ~(uint64_t)(FOLDED_BYTES - 1);
}

/* The node of frame `ip` under `parent`. `exact`: ip itself, not a call before it. */
static uint32_t node_of(uint32_t parent, void *ip, bool exact, uint32_t epoch)
{
	struct ph_segment *g = ph_process->segment;
	uint64_t pc = ((uintptr_t)ip - !exact) & UINT64_C(0xffffffffffff);
	uint64_t key;
	int64_t address, node;

	pc = fold_generated(&g->addresses, pc);
	address = find_or_add(&g->addresses, pc | (uint64_t)epoch << 48,
			      PH_ADDRESS_RETIRED | UINT64_C(0xffffffffffff), mix(pc));
	if (address < 0)
		return parent;
	key = (uint64_t)parent << 32 | (uint32_t)(address + 1);
	node = find_or_add(&g->nodes, key, UINT64_MAX, mix(key));
	return node < 0 ? parent : (uint32_t)node + 1;
}

/* ---- taking a stack --------------------------------------------------- */

/* Private memory: a fork's child goes on with its copy. */
static struct ph_kept_stack *kept_stacks[PH_SLOTS_MOST];

struct ph_kept_stack *ph_stack_of_slot(uint32_t slot)
{
	if (slot >= PH_SLOTS_MOST)
		return NULL;
	if (kept_stacks[slot] == NULL)
		kept_stacks[slot] =
			sys_mmap(NULL, sizeof(struct ph_kept_stack), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return kept_stacks[slot];
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

bool ph_stack_has_room(const struct ph_thread *t)
{
	uintptr_t here = PH_FRAME();

	return here - t->signal_stack >= t->signal_stack_bytes ||
	       here - t->signal_stack > UNWINDER_ROOM;
}

/* Frames from fresh[first] (innermost) to fresh[count - 1] become the kept stack. */
static uint32_t intern(struct ph_kept_stack *k, int first, int count, uint32_t epoch)
{
	uint32_t depth = (uint32_t)(count - first);
	uint32_t same = 0;
	uint32_t node;

	if (k->epoch != epoch) {
		k->epoch = epoch;
		k->count = 0;
	}
	while (same < depth && same < k->count &&
	       k->frames[same] == k->fresh[count - 1 - (int)same])
		same++;
	/* A frame may have been interrupted in one stack and calling in the other:
	 * what tells is the next inner frame, so take that one again. */
	if (same > 0)
		same--;
	/* Until it is whole again a handler's longjmp must find it empty. */
	k->count = 0;
	signal_fence();
	node = same > 0 ? k->nodes[same - 1] : 0;
	for (uint32_t i = same; i < depth; i++) {
		int at = count - 1 - (int)i;
		void *ip = k->fresh[at];
		bool exact;

		if (at > first && k->fresh[at - 1] != trampoline &&
		    ph_modules_maybe_trampoline(k->fresh[at - 1]) &&
		    is_trampoline(k->fresh[at - 1]))
			trampoline = k->fresh[at - 1];
		exact = trampoline != NULL &&
			(ip == trampoline || (at > first && k->fresh[at - 1] == trampoline));
		node = node_of(node, ip, exact, epoch);
		k->frames[i] = ip;
		k->nodes[i] = node;
	}
	signal_fence();
	k->count = depth;
	return node;
}

void ph_stack_reserve(unsigned slots)
{
	struct ph_segment *g = ph_process->segment;
	struct ph_table *tables[] = {&g->addresses, &g->nodes};

	for (unsigned i = 0; i < slots; i++)
		ph_stack_of_slot(i);
	for (int t = 0; t < 2; t++) {
		_Atomic uint64_t *entries = (_Atomic uint64_t *)((char *)g + tables[t]->offset);

		for (uint32_t level = atomic_load(&tables[t]->levels); level < RESERVED_LEVELS;)
			level = add_level(tables[t], entries, level) ? level + 1 : RESERVED_LEVELS;
	}
}

uint32_t ph_stack_node(struct ph_stream *s, void *caller)
{
	struct ph_thread *t = &ph_self;
	uint32_t epoch = atomic_load_explicit(&ph_process->segment->epoch, memory_order_acquire);
	int saved = errno;
	struct ph_kept_stack *k;
	int room, count, first = 0;
	uint32_t node;

	if (ph_config.depth == 0)
		return 0;
	k = ph_is_nested(s) ? NULL : t->kept;
	/* A new thread's unwinder would begin with mapping a cache. */
	if (k == NULL || !ph_stack_has_room(t) || (ph_confined && !k->warm))
		return node_of(0, caller, false, epoch);
	k->warm = true;
	room = (int)ph_config.depth + OWN_FRAMES_MAX;
	count = ph_unwind(k->fresh, room < DEPTH_ROOM ? room : DEPTH_ROOM);
	while (first < count && first < OWN_FRAMES_MAX && k->fresh[first] != caller)
		first++;
	if (first >= count || k->fresh[first] != caller) {
		/* The unwinder does not know better than the return address. */
		node = node_of(0, caller, false, epoch);
	} else {
		if (count - first > (int)ph_config.depth)
			count = first + (int)ph_config.depth;
		/* The outermost frame may be a null return address. */
		while (count > first + 1 && k->fresh[count - 1] == NULL)
			count--;
		node = intern(k, first, count, epoch);
	}
	errno = saved;
	return node;
}
