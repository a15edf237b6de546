/* SPDX-License-Identifier: MIT */
#include "preload/nodes.h"

#include <stdatomic.h>

#include "preload/compiler.h"
#include "preload/modules.h"
#include "preload/process.h"
#include "preload/segment.h"

#define FOLDING_LEVELS	2 /* of the table of addresses left: three quarters */
#define FOLDED_BYTES	65536
#define RESERVED_LEVELS 6 /* of each table, before no page can be had any more: 2.5 MiB */

#define HASH	   UINT64_C(0x9e3779b97f4a7c15)
#define HINTS_NEAR 8 /* entries from a key's own that its hint may stand in */

/* An address is found by pc alone, unless it was retired. */
#define ADDRESS_MASK (PH_ADDRESS_RETIRED | UINT64_C(0xffffffffffff))

static _Atomic uint64_t *entries_of(const struct ph_table *table)
{
	return (_Atomic uint64_t *)((char *)ph_process->segment + table->offset);
}

static inline uint64_t mix(uint64_t x)
{
	x *= HASH;
	return x ^ x >> 32;
}

/* ---- the index ------------------------------------------------------------ */

struct hints {
	_Atomic uint32_t *numbers; /* at the hash of a key, or a few further on; 0: none */
	unsigned shift;		   /* 64 less the bits of its size */
};

/* Its memory is wiped by a fork: the child's numbers are others. */
struct index {
	const struct hints *_Atomic now;
	struct hints sizes[PH_TABLE_LEVELS_MAX + 1]; /* by levels of the table; they stay */
	_Atomic uint64_t growing; /* generation of the process of which a thread is at it; 0 */
};

static _Atomic uint32_t no_numbers[2];
static const struct hints no_hints = {.numbers = no_numbers, .shift = 63};

static struct index address_index = {.now = &no_hints}, node_index = {.now = &no_hints};

static _Atomic uint64_t *address_notes; /* by number */
static _Atomic uint32_t notes_room;	/* release: they are there */

static void *map_wiped(uint64_t bytes)
{
	return ph_confined ? NULL : ph_map_wiped(bytes);
}

static bool have_notes(const struct ph_table *addresses)
{
	uint32_t room = ph_level_base(addresses->level_0, addresses->levels_max) + 1;
	_Atomic uint64_t *notes;

	if (atomic_load_explicit(&notes_room, memory_order_acquire) != 0)
		return true;
	notes = map_wiped(room * sizeof(*notes));
	if (notes == NULL)
		return false;
	address_notes = notes;
	atomic_store_explicit(&notes_room, room, memory_order_release);
	return true;
}

/* As large as the table has become: at most half of it is in use. The one before stays
 * for whoever looks at it. */
static void grow_index(struct index *x, const struct ph_table *table, uint32_t levels)
{
	uint64_t mine = ph_process->generation;
	uint64_t seen = atomic_load(&x->growing);
	uint64_t count = 2 * ((uint64_t)table->level_0 << levels);
	struct hints *size = &x->sizes[levels];

	/* A fork may have come amid another thread's growing: its mark is not ours. */
	if (levels > PH_TABLE_LEVELS_MAX || seen == mine ||
	    !atomic_compare_exchange_strong(&x->growing, &seen, mine))
		return;
	if (size->numbers == NULL && (x != &address_index || have_notes(table))) {
		size->numbers = map_wiped(count * sizeof(*size->numbers));
		size->shift = (unsigned)__builtin_clzll(count) + 1;
	}
	if (size->numbers != NULL)
		atomic_store_explicit(&x->now, size, memory_order_release);
	atomic_store(&x->growing, 0);
}

/* The next look goes to `number` at once. */
static void hint(struct index *x, const struct ph_table *table, uint64_t key, uint32_t number)
{
	const struct hints *hints = atomic_load_explicit(&x->now, memory_order_acquire);
	uint32_t levels = atomic_load_explicit(&table->levels, memory_order_relaxed);
	uint64_t mask, at;

	if (hints != &x->sizes[levels]) {
		grow_index(x, table, levels);
		hints = atomic_load_explicit(&x->now, memory_order_acquire);
	}
	if (hints == &no_hints)
		return;
	mask = (UINT64_C(1) << (64 - hints->shift)) - 1;
	at = key * HASH >> hints->shift;
	/* Two hints may drive each other out, but not as long as there is room near. */
	for (unsigned i = 0; i < HINTS_NEAR; i++)
		if (atomic_load_explicit(&hints->numbers[(at + i) & mask], memory_order_relaxed) ==
		    0) {
			at = (at + i) & mask;
			break;
		}
	atomic_store_explicit(&hints->numbers[at], number, memory_order_relaxed);
}

/* The number of the entry that equals `key` under `mask`, if there is a hint of it. */
static uint32_t look_up(const struct index *x, const struct ph_table *table, uint64_t key,
			uint64_t mask)
{
	const struct hints *hints = atomic_load_explicit(&x->now, memory_order_acquire);
	const _Atomic uint64_t *entries = entries_of(table);
	uint64_t last = (UINT64_C(1) << (64 - hints->shift)) - 1;

	for (unsigned i = 0; i < HINTS_NEAR; i++) {
		uint32_t number = atomic_load_explicit(
			&hints->numbers[((key * HASH >> hints->shift) + i) & last],
			memory_order_relaxed);

		if (number == 0)
			return 0;
		if ((atomic_load_explicit(&entries[number - 1], memory_order_acquire) & mask) ==
		    key)
			return number;
	}
	return 0;
}

/* ---- notes ----------------------------------------------------------------- */

static bool is_noted(uint32_t number, uint64_t pc)
{
	const _Atomic uint64_t *addresses = entries_of(&ph_process->segment->addresses);

	return number != 0 && number < atomic_load_explicit(&notes_room, memory_order_acquire) &&
	       (atomic_load_explicit(&addresses[number - 1], memory_order_relaxed) &
		ADDRESS_MASK) == pc;
}

uint64_t ph_address_noted(uint32_t number, uint64_t pc)
{
	return is_noted(number, pc)
		       ? atomic_load_explicit(&address_notes[number], memory_order_relaxed)
		       : 0;
}

void ph_address_note(uint32_t number, uint64_t pc, uint64_t note)
{
	if (is_noted(number, pc))
		atomic_store_explicit(&address_notes[number], note, memory_order_relaxed);
}

/* ---- the tables ----------------------------------------------------------- */

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
	_Atomic uint64_t *entries = entries_of(table);

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

uint32_t ph_node_address(uint64_t pc, uint32_t epoch)
{
	struct ph_table *t = &ph_process->segment->addresses;
	uint32_t number = look_up(&address_index, t, pc, ADDRESS_MASK);

	if (number != 0)
		return number;
	pc = fold_generated(t, pc);
	number = (uint32_t)(find_or_add(t, pc | (uint64_t)epoch << 48, ADDRESS_MASK, mix(pc)) + 1);
	if (number != 0)
		hint(&address_index, t, pc, number);
	return number;
}

uint32_t ph_node_child(uint32_t parent, uint32_t address)
{
	struct ph_table *t = &ph_process->segment->nodes;
	uint64_t key = (uint64_t)parent << 32 | address;
	uint32_t number;
	int64_t node;

	if (address == 0)
		return parent;
	number = look_up(&node_index, t, key, UINT64_MAX);
	if (number != 0)
		return number;
	node = find_or_add(t, key, UINT64_MAX, mix(key));
	if (node < 0)
		return parent;
	hint(&node_index, t, key, (uint32_t)node + 1);
	return (uint32_t)node + 1;
}

void ph_nodes_reserve(void)
{
	struct ph_segment *g = ph_process->segment;
	struct ph_table *tables[] = {&g->addresses, &g->nodes};

	for (int t = 0; t < 2; t++) {
		_Atomic uint64_t *entries = entries_of(tables[t]);

		for (uint32_t level = atomic_load(&tables[t]->levels); level < RESERVED_LEVELS;)
			level = add_level(tables[t], entries, level) ? level + 1 : RESERVED_LEVELS;
		grow_index(t == 0 ? &address_index : &node_index, tables[t],
			   atomic_load(&tables[t]->levels));
	}
}
