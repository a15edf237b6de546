/* SPDX-License-Identifier: MIT */
#include "preload/nodes.h"

#include "preload/modules.h"
#include "preload/process.h"

#define FOLDING_LEVELS	2 /* of the table of addresses left: three quarters */
#define FOLDED_BYTES	65536
#define RESERVED_LEVELS 6 /* of each table, before no page can be had any more: 2.5 MiB */

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

	pc = fold_generated(t, pc);
	return (uint32_t)(find_or_add(t, pc | (uint64_t)epoch << 48,
				      PH_ADDRESS_RETIRED | UINT64_C(0xffffffffffff), mix(pc)) +
			  1);
}

uint32_t ph_node_child(uint32_t parent, uint32_t address)
{
	uint64_t key = (uint64_t)parent << 32 | address;
	int64_t node;

	if (address == 0)
		return parent;
	node = find_or_add(&ph_process->segment->nodes, key, UINT64_MAX, mix(key));
	return node < 0 ? parent : (uint32_t)node + 1;
}

void ph_nodes_reserve(void)
{
	struct ph_segment *g = ph_process->segment;
	struct ph_table *tables[] = {&g->addresses, &g->nodes};

	for (int t = 0; t < 2; t++) {
		_Atomic uint64_t *entries = (_Atomic uint64_t *)((char *)g + tables[t]->offset);

		for (uint32_t level = atomic_load(&tables[t]->levels); level < RESERVED_LEVELS;)
			level = add_level(tables[t], entries, level) ? level + 1 : RESERVED_LEVELS;
	}
}
