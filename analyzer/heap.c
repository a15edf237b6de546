/* SPDX-License-Identifier: MIT */
#include "analyzer/heap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/pages.h"
#include "analyzer/vector.h"

struct heap_early {
	uint64_t address;
	struct heap_stream *stream; /* NULL: settled */
	bool stolen;		    /* another stream freed there, in the same tie */
	uint32_t next;		    /* of the same address, + 1 */
};

/* A memory of limited size: see was_stolen(). */
struct heap_freed {
	uint64_t address;
	uint32_t tie;
	uint32_t stream; /* or FREED_BY_SEVERAL */
};
#define FREED_BY_SEVERAL UINT32_MAX

enum {
	FREED_SETS = 8192,
	FREED_WAYS = 4, /* of a set: one cache line */
};

struct heap_shadow {
	struct heap_block block; /* address 0: settled */
	uint32_t next;		 /* of the same address, older, + 1 */
};

/* The live table. What each event goes through is inline: a sixth less time. */

enum {
	LEAST_SLOTS = 1024,
	SPARSE_SLOTS = 1 << 15, /* to there it is small anyway, and a quarter full at most */
	BLOCKS_A_PIECE = (2 << 20) / sizeof(struct heap_block), /* given back at a time */
};

static inline size_t home_of(const struct replay_heap *h, uint64_t address)
{
	return map_hash(address) >> h->shift;
}

static inline struct heap_block *find(const struct replay_heap *h, uint64_t address)
{
	size_t i = home_of(h, address);

	while (h->blocks[i].address != address && h->blocks[i].address != 0)
		i = (i + 1) & h->mask;
	return &h->blocks[i];
}

bool heap_is_live(const struct replay_heap *h, uint64_t address)
{
	return find(h, address)->address != 0;
}

const struct heap_block *heap_holder(const struct replay_heap *h, uint64_t address)
{
	enum { ALIGNMENT = 16, REACH = 4096 };

	for (uint64_t at = address & ~(uint64_t)(ALIGNMENT - 1);
	     at != 0 && at <= address && address - at < REACH; at -= ALIGNMENT) {
		const struct heap_block *b = find(h, at);

		if (b->address != 0)
			return address - at < b->size ? b : NULL;
	}
	return NULL;
}

void heap_prefetch(const struct replay_heap *h, uint64_t address)
{
	__builtin_prefetch(&h->blocks[home_of(h, address)], 1);
}

/* The home of what stands in a table twice as large is twice its home here, or one
 * more: from the first to the last, what was moved is not needed again. */
static void table_move(struct replay_heap *h, struct heap_block *old, size_t slots)
{
	for (size_t i = 0; i < slots; i++) {
		if (old[i].address != 0)
			*find(h, old[i].address) = old[i];
		if ((i + 1) % BLOCKS_A_PIECE == 0)
			pages_drop(&old[i + 1 - BLOCKS_A_PIECE], BLOCKS_A_PIECE * sizeof(*old));
	}
}

static bool table_grow(struct replay_heap *h)
{
	struct heap_block *old = h->blocks;
	size_t slots = old ? h->mask + 1 : 0, wanted = old ? 2 * slots : LEAST_SLOTS;
	struct heap_block *bigger = pages_new(wanted * sizeof(*bigger));

	if (bigger == NULL) {
		h->failed = true;
		return false;
	}
	h->blocks = bigger;
	h->mask = wanted - 1;
	h->shift = (unsigned)__builtin_clzll(wanted) + 1;
	h->block_limit = wanted <= SPARSE_SLOTS ? wanted / 4 : wanted - wanted / 4;
	table_move(h, old, slots);
	pages_free(old, slots * sizeof(*old));
	return true;
}

/* `slot` is where find() did not find the address. */
static inline bool table_put(struct replay_heap *h, struct heap_block *slot,
			     const struct heap_block *b)
{
	if (h->block_count >= h->block_limit) {
		if (!table_grow(h))
			return false;
		slot = find(h, b->address);
	}
	*slot = *b;
	h->block_count++;
	return true;
}

/* Close the hole: what probed past it moves up. */
static inline void table_take(struct replay_heap *h, struct heap_block *b)
{
	size_t hole = (size_t)(b - h->blocks);

	for (size_t i = (hole + 1) & h->mask; h->blocks[i].address != 0; i = (i + 1) & h->mask) {
		size_t home = home_of(h, h->blocks[i].address);

		if (((i - home) & h->mask) >= ((i - hole) & h->mask)) {
			h->blocks[hole] = h->blocks[i];
			hole = i;
		}
	}
	h->blocks[hole].address = 0;
	h->block_count--;
}

const struct heap_block *heap_next_block(const struct replay_heap *h, size_t *at)
{
	while (*at <= h->mask) {
		const struct heap_block *b = &h->blocks[(*at)++];

		if (b->address != 0)
			return b;
	}
	return NULL;
}

/* Sums: of the whole, and of each site. */

static struct band own_level(const struct replay_heap *h)
{
	uint64_t bytes = heap_own_bytes(h);

	return (struct band){bytes, bytes, h->sums.live_blocks - h->sums.inherited_live_blocks};
}

/* After each change. */
static void note_own(struct replay_heap *h)
{
	struct band now = own_level(h);

	if (!h->own_changed) {
		h->own = now;
		h->own_changed = true;
		return;
	}
	if (now.high > h->own.high)
		h->own.high = now.high;
	if (now.low < h->own.low)
		h->own.low = now.low;
	if (now.high_blocks > h->own.high_blocks)
		h->own.high_blocks = now.high_blocks;
}

/* Periods: what the whole, or a site, has when one is left. */

static struct history_level level_of(const struct heap_site *s)
{
	return (struct history_level){s->live_bytes, s->live_blocks, s->allocated_bytes,
				      s->allocations};
}

static void leave_period(struct replay_heap *h, struct heap_site *s)
{
	const struct history_level level = level_of(s);

	if (s->allocations != 0 || s->live_blocks != 0)
		h->failed |= !history_put(&s->track, &h->axis, s->place, &level);
	s->place = h->place;
}

static void mark_period(struct replay_heap *h)
{
	history_mark(h->marks, &h->axis,
		     &(struct history_mark){
			     .place = h->place,
			     .level = {h->sums.live_bytes, h->sums.live_blocks,
				       h->sums.allocated_bytes, h->sums.allocations},
			     .requests = h->requests,
			     .rounds = h->rounds,
		     });
}

/* Where an allocation is that is made now. */
static void find_place(struct replay_heap *h)
{
	uint64_t number = (h->earlier_allocations + h->sums.allocations) >> h->number_unit;
	struct history_place now = {h->born.at,
				    number < UINT32_MAX ? (uint32_t)number : UINT32_MAX};
	uint32_t origin = h->axis.origin.number;
	uint64_t next;

	h->born.number = now.number;

	if (history_moves(&h->axis, h->place, now)) {
		mark_period(h);
		h->place = now;
		h->epoch++;
	}
	next = ((uint64_t)(now.number - origin) >> h->axis.number_shift) + 1;
	next = origin + (next << h->axis.number_shift);
	h->next_period = (next << h->number_unit) - h->earlier_allocations;
}

/*
 * The peak is only looked for when something is about to be taken away, since
 * it cannot be passed otherwise. Of equal peaks the last counts, as in DHAT. A
 * site keeps its figures at the peak by saving them before its first change
 * after it: see touch().
 */
static inline void note_high(struct replay_heap *h)
{
	if (h->sums.live_blocks > h->high_blocks)
		h->high_blocks = h->sums.live_blocks;
	if (h->sums.live_bytes < h->high_bytes)
		return;
	h->high_bytes = h->sums.live_bytes;
	if (h->high_bytes >= h->sums.peak_bytes) {
		h->sums.peak_bytes = h->high_bytes;
		h->sums.peak_blocks = h->sums.live_blocks;
		h->peak_at = h->grown_at;
		h->peak_number++;
		h->epoch++;
	}
}

__attribute__((noinline)) static void enter_epoch(struct replay_heap *h, struct heap_site *s)
{
	if (s->peak_number != h->peak_number) {
		s->saved_bytes = s->live_bytes;
		s->saved_blocks = s->live_blocks;
		s->peak_number = h->peak_number;
	}
	if (s->place.at != h->place.at || s->place.number != h->place.number)
		leave_period(h, s);
	s->epoch = h->epoch;
}

/* Before each change of a site. */
static inline void touch(struct replay_heap *h, struct heap_site *s)
{
	if (s->epoch != h->epoch)
		enter_epoch(h, s);
}

static inline void site_gains(struct replay_heap *h, struct heap_site *s, uint64_t size)
{
	touch(h, s);
	s->live_bytes += size;
	s->live_blocks++;
}

static inline void site_loses(struct replay_heap *h, struct heap_site *s, uint64_t size)
{
	touch(h, s);
	s->live_bytes -= size;
	s->live_blocks--;
}

/* A block comes (+1) or goes (-1). */
__attribute__((noinline)) static void note_grown(struct replay_heap *h, const struct heap_block *b,
						 int sign)
{
	uint64_t *values =
		activity_now(h->activity, ACTIVITY_HEAP, h->sites[b->site].node, b->thread);

	values[ACTIVITY_GROWN] += sign < 0 ? 0 - b->size : b->size;
	values[ACTIVITY_GROWN_BLOCKS] += (uint64_t)(int64_t)sign;
}

__attribute__((noinline)) static void tell(struct replay_heap *h, const struct heap_block *b,
					   enum heap_event what)
{
	const struct heap_change change = {what, h->sites[b->site].node, b->address, b->size};

	h->watch(h->watch_context, h->watched_run, clock_ns(h->clock, h->now), &change);
}

__attribute__((noinline)) static void note_allocated(struct replay_heap *h,
						     const struct heap_block *b)
{
	uint64_t *values =
		activity_now(h->activity, ACTIVITY_HEAP, h->sites[b->site].node, b->thread);

	values[ACTIVITY_ALLOCATED] += b->size;
	values[ACTIVITY_ALLOCATIONS]++;
}

static inline void gain(struct replay_heap *h, const struct heap_block *b)
{
	site_gains(h, &h->sites[b->site], b->size);
	h->sums.live_bytes += b->size;
	h->sums.live_blocks++;
	h->grown_at = h->now;
	if (h->activity != NULL)
		note_grown(h, b, 1);
	if (h->watch != NULL)
		tell(h, b, HEAP_COMES);
	if (h->profile != NULL)
		note_own(h);
}

/* A block that a fork left is no more. */
static inline void disinherit(struct replay_heap *h, const struct heap_block *b)
{
	if (b->thread == HEAP_INHERITED) {
		h->sums.inherited_live_bytes -= b->size;
		h->sums.inherited_live_blocks--;
	}
}

static inline void lose(struct replay_heap *h, const struct heap_block *b)
{
	note_high(h);
	site_loses(h, &h->sites[b->site], b->size);
	h->sums.live_bytes -= b->size;
	h->sums.live_blocks--;
	disinherit(h, b);
	if (h->activity != NULL)
		note_grown(h, b, -1);
	if (h->watch != NULL)
		tell(h, b, HEAP_GOES);
	if (h->profile != NULL)
		note_own(h);
}

/* A realloc's old block gives way to its new one in one step. */
static void exchange(struct replay_heap *h, const struct heap_block *old,
		     const struct heap_block *new)
{
	if (new->size < old->size)
		note_high(h);
	else if (new->size > old->size)
		h->grown_at = h->now;
	site_loses(h, &h->sites[old->site], old->size);
	site_gains(h, &h->sites[new->site], new->size);
	h->sums.live_bytes += new->size - old->size;
	disinherit(h, old);
	if (h->activity != NULL) {
		note_grown(h, old, -1);
		note_grown(h, new, 1);
	}
	if (h->watch != NULL) {
		tell(h, old, HEAP_IS_REPLACED);
		tell(h, new, HEAP_COMES);
	}
	if (h->profile != NULL)
		note_own(h);
}

static uint32_t new_site(struct replay_heap *h, uint32_t node)
{
	if (!vector_reserve(h->sites, h->site_room, h->site_count + 1)) {
		h->failed = true;
		return 0;
	}
	h->sites[h->site_count] = (struct heap_site){.node = node, .place = h->place};
	return h->site_of[node] = (uint32_t)h->site_count++;
}

static inline uint32_t site_at(struct replay_heap *h, uint32_t node)
{
	uint32_t site = h->site_of[node];

	return site ? site : new_site(h, node);
}

static inline void count_up(uint32_t *counter)
{
	if (__builtin_expect(++*counter == 0, 0))
		*counter = UINT32_MAX;
}

/* Which power of two it has, or is above: 0 is like 1. */
static inline unsigned log2_of(uint64_t value)
{
	return 63 ^ (unsigned)__builtin_clzll(value | 1);
}

/* A block's life is over. */
static inline void count_life(const struct replay_heap *h, struct heap_site *s,
			      const struct heap_block *b)
{
	uint64_t us = (h->born.at - b->born.at) * h->us_per_unit >> 20;

	count_up(&s->spread.lifetimes[log2_of(us)]);
	count_up(&s->spread.ages[log2_of(h->born.number - b->born.number)]);
}

static inline void count_allocation(struct replay_heap *h, struct heap_block *b)
{
	struct heap_site *s = &h->sites[b->site];
	unsigned class;

	if (h->sums.allocations >= h->next_period)
		find_place(h);
	touch(h, s);
	b->born = h->born;
	h->born.number += h->number_step;
	class = log2_of(b->size < UINT32_MAX ? b->size : UINT32_MAX);
	count_up(&s->spread.sizes[class]);
	h->sums.sizes.allocations[class]++;
	h->sums.sizes.bytes[class] += b->size;
	h->sums.allocations++;
	h->sums.allocated_bytes += b->size;
	if (s->allocations++ == 0)
		s->first = h->now;
	s->allocated_bytes += b->size;
	s->last = h->now;
	if (h->activity != NULL)
		note_allocated(h, b);
}

/* Shadows: within a tie, blocks whose address was forced upon. */

static void shadow_put(struct replay_heap *h, const struct heap_block *b)
{
	uint32_t older = (uint32_t)map_get(&h->shadow_by_address, b->address);

	if (!vector_reserve(h->shadows, h->shadow_room, h->shadow_count + 1) ||
	    !map_put(&h->shadow_by_address, b->address, h->shadow_count + 1)) {
		h->failed = true;
		return;
	}
	h->shadows[h->shadow_count++] = (struct heap_shadow){*b, older};
}

/* More than a few forced events on one address of one tie are not worth the walk. */
enum { WALK_MAX = 64 };

/* Of the blocks at one address, the one that this stream frees: its own if it
 * has one there, else the oldest. Takes it out of its place. */
static struct heap_block choose_block(struct replay_heap *h, struct heap_stream *s,
				      struct heap_block *top)
{
	struct heap_block chosen = *top;
	uint32_t first = (uint32_t)map_get(&h->shadow_by_address, top->address);
	struct heap_shadow *oldest = NULL, *own = NULL, *newest = NULL, *shadow;
	int steps = 0;

	for (uint32_t at = first; at != 0 && steps++ < WALK_MAX; at = shadow->next) {
		shadow = &h->shadows[at - 1];
		if (shadow->block.address == 0)
			continue;
		newest = newest ? newest : shadow;
		own = shadow->block.thread == s->thread ? shadow : own;
		oldest = shadow;
	}
	if (oldest != NULL && chosen.thread != s->thread) {
		shadow = own ? own : oldest;
		chosen = shadow->block;
		shadow->block.address = 0;
		return chosen;
	}
	/* The topmost goes; the one under it comes up. */
	if (newest != NULL) {
		*top = newest->block;
		newest->block.address = 0;
		return chosen;
	}
	table_take(h, top);
	return chosen;
}

static struct heap_freed *freed_set(const struct replay_heap *h, uint64_t address)
{
	return &h->freed[map_hash(address) % FREED_SETS * FREED_WAYS];
}

static void note_freed(struct replay_heap *h, const struct heap_stream *s, uint64_t address)
{
	struct heap_freed *set = freed_set(h, address), *to = &set[h->sums.frees % FREED_WAYS];
	uint32_t stream = (uint32_t)(s - h->streams), tie = (uint32_t)h->tie;

	for (int i = 0; i < FREED_WAYS; i++) {
		if (set[i].address == address && set[i].tie == tie) {
			if (set[i].stream != stream)
				set[i].stream = FREED_BY_SEVERAL;
			return;
		}
		if (set[i].tie != tie)
			to = &set[i];
	}
	*to = (struct heap_freed){address, tie, stream};
}

/*
 * Has another stream freed a block of this address in this tie? Then that one
 * may have been taken too early, and this free is of it.
 */
static bool was_stolen(const struct replay_heap *h, const struct heap_stream *s, uint64_t address)
{
	const struct heap_freed *set = freed_set(h, address);

	for (int i = 0; i < FREED_WAYS; i++) {
		if (set[i].address == address && set[i].tie == (uint32_t)h->tie)
			return set[i].stream != (uint32_t)(s - h->streams);
	}
	return false;
}

/* Take the block that a free or realloc of `address` gives back. */
static inline bool take_block(struct replay_heap *h, struct heap_stream *s, uint64_t address,
			      struct heap_block *taken)
{
	struct heap_block *b = find(h, address);

	if (b->address == 0)
		return false;
	if (h->tied)
		note_freed(h, s, address);
	if (h->shadow_count != 0) {
		*taken = choose_block(h, s, b);
	} else {
		*taken = *b;
		table_take(h, b);
	}
	return true;
}

/* Put a block where another may be: that one's free was not seen, or is yet to
 * come in this tie. */
static inline void place_block(struct replay_heap *h, const struct heap_block *b)
{
	struct heap_block *there = find(h, b->address);

	if (there->address == 0) {
		table_put(h, there, b);
	} else if (h->tied) {
		shadow_put(h, there);
		*there = *b;
	} else {
		if (there->site != 0) {
			h->missed_frees++;
			lose(h, there);
		}
		*there = *b;
	}
}

/* Early frees: forced, in a tie, before their block was there. */

static void early_put(struct replay_heap *h, struct heap_stream *s, uint64_t address)
{
	uint32_t older = (uint32_t)map_get(&h->early_by_address, address);

	if (!vector_reserve(h->early, h->early_room, h->early_count + 1) ||
	    !map_put(&h->early_by_address, address, h->early_count + 1)) {
		h->failed = true;
		return;
	}
	h->early[h->early_count++] =
		(struct heap_early){address, s, was_stolen(h, s, address), older};
}

/* Was this block freed ahead of its time? Then that is settled. A stream's own
 * order is exact: its own free was of an earlier block, which either was never
 * seen or was taken for another stream's. */
static bool early_settles(struct replay_heap *h, const struct heap_stream *s, uint64_t address)
{
	uint32_t at = (uint32_t)map_get(&h->early_by_address, address);

	for (int steps = 0; at != 0 && steps < WALK_MAX; at = h->early[at - 1].next, steps++) {
		struct heap_early *e = &h->early[at - 1];

		if (e->stream != NULL && (e->stream != s || e->stolen)) {
			e->stream = NULL;
			return true;
		}
	}
	return false;
}

/* The realloc failed after all: nothing was freed. */
static void early_withdraw(struct replay_heap *h, const struct heap_stream *s, uint64_t address)
{
	uint32_t at = (uint32_t)map_get(&h->early_by_address, address);

	for (int steps = 0; at != 0 && steps < WALK_MAX; at = h->early[at - 1].next, steps++) {
		if (h->early[at - 1].stream == s) {
			h->early[at - 1].stream = NULL;
			return;
		}
	}
}

/* Events. */

static void put_back(struct replay_heap *h, struct heap_stream *s)
{
	s->pending = false;
	if (s->matched)
		place_block(h, &s->block);
	else if (s->early)
		early_withdraw(h, s, s->block.address);
}

/* An early one's block may yet come: that is known when its tie ends. */
static void count_unmatched(struct replay_heap *h, bool early)
{
	/* Whose it was is not known. */
	if (h->filtered)
		return;
	h->sums.frees++;
	h->sums.unmatched_frees += !early;
}

/* The outcome of a realloc: `b` is its new block. */
static void finish_realloc(struct replay_heap *h, struct heap_stream *s, const struct heap_block *b)
{
	place_block(h, b);
	s->pending = false;
	if (s->matched && s->block.site != 0) {
		h->sums.frees++;
		h->sites[s->block.site].frees++;
		count_up(&h->sites[s->block.site].reallocated);
		count_life(h, &h->sites[s->block.site], &s->block);
		exchange(h, &s->block, b);
	} else {
		if (!s->matched)
			count_unmatched(h, s->early);
		gain(h, b);
	}
}

static inline void count_temporary(struct replay_heap *h, struct heap_stream *s,
				   struct heap_site *site, const struct heap_block *b)
{
	if (b->thread != s->thread || h->last_allocation[s->thread] != b->address)
		return;
	h->sums.temporary_allocations++;
	h->sums.sizes.temporary[log2_of(b->size < UINT32_MAX ? b->size : UINT32_MAX)]++;
	site->temporary++;
	h->last_allocation[s->thread] = 0;
	if (h->activity != NULL)
		activity_now(h->activity, ACTIVITY_HEAP, site->node,
			     b->thread)[ACTIVITY_TEMPORARY]++;
}

static inline void count_free(struct replay_heap *h, struct heap_stream *s,
			      const struct heap_block *b)
{
	struct heap_site *site = &h->sites[b->site];

	h->sums.frees++;
	site->frees++;
	count_life(h, site, b);
	count_temporary(h, s, site, b);
	lose(h, b);
}

/* A realloc that left no block: its size was 0, or the new one is gone already. */
static void realloc_released(struct replay_heap *h, struct heap_stream *s)
{
	s->pending = false;
	if (!s->matched)
		count_unmatched(h, s->early);
	else if (s->block.site != 0)
		count_free(h, s, &s->block);
}

void heap_alloc(struct replay_heap *h, struct heap_stream *s, uint64_t address, uint64_t size,
		uint32_t node)
{
	struct heap_block b = {.address = address, .size = size, .thread = s->thread};

	if (address == 0) {
		if (s->pending)
			realloc_released(h, s);
		return;
	}
	b.site = site_at(h, node);
	count_allocation(h, &b);
	h->last_allocation[s->thread] = address;
	if (h->early_count != 0 && early_settles(h, s, address)) {
		h->last_allocation[s->thread] = 0;
		h->sites[b.site].frees++;
		h->sums.frees += h->filtered;
		if (h->watch != NULL) {
			tell(h, &b, HEAP_COMES);
			tell(h, &b, HEAP_GOES);
		}
		if (s->pending)
			realloc_released(h, s);
		return;
	}
	if (s->pending) {
		finish_realloc(h, s, &b);
		return;
	}
	place_block(h, &b);
	gain(h, &b);
}

void heap_leave_out(struct replay_heap *h, struct heap_stream *s, uint64_t address, uint64_t size)
{
	const struct heap_block b = {
		.address = address, .size = size, .born = h->born, .thread = s->thread};

	/* What is reallocated is not freed before another allocation. */
	if (address != 0)
		h->last_allocation[s->thread] = 0;
	if (s->pending)
		realloc_released(h, s);
	if (address == 0)
		return;
	h->last_allocation[s->thread] = address;
	if (h->early_count == 0 || !early_settles(h, s, address))
		place_block(h, &b);
}

static inline void release(struct replay_heap *h, struct heap_stream *s, uint64_t address,
			   bool filtered)
{
	struct heap_block b;

	if (address == 0)
		return;
	if (s->pending)
		put_back(h, s);
	if (take_block(h, s, address, &b)) {
		if (!filtered || b.site != 0)
			count_free(h, s, &b);
		else if (b.thread == s->thread && h->last_allocation[s->thread] == address)
			h->last_allocation[s->thread] = 0;
		return;
	}
	count_unmatched(h, h->tied);
	if (h->tied)
		early_put(h, s, address);
}

void heap_release(struct replay_heap *h, struct heap_stream *s, uint64_t address)
{
	release(h, s, address, false);
}

void heap_release_filtered(struct replay_heap *h, struct heap_stream *s, uint64_t address)
{
	release(h, s, address, true);
}

void heap_realloc_begin(struct replay_heap *h, struct heap_stream *s, uint64_t address)
{
	if (address == 0)
		return;
	if (s->pending)
		put_back(h, s);
	s->matched = take_block(h, s, address, &s->block);
	s->pending = true;
	s->early = !s->matched && h->tied;
	if (!s->matched)
		s->block.address = address;
	if (s->early)
		early_put(h, s, address);
}

void heap_realloc_failed(struct replay_heap *h, struct heap_stream *s)
{
	if (s->pending)
		put_back(h, s);
}

void heap_expect(struct replay_heap *h, size_t blocks)
{
	while (blocks >= h->block_limit && table_grow(h))
		;
}

void heap_know_site(struct replay_heap *h, uint32_t node)
{
	site_at(h, node);
}

void heap_inherit(struct replay_heap *h, uint64_t address, uint64_t size, uint32_t node)
{
	struct heap_block b = {address, size, h->born, site_at(h, node), HEAP_INHERITED};
	struct heap_block *slot = find(h, address);

	if (address == 0 || slot->address != 0)
		return;
	gain(h, &b);
	table_put(h, slot, &b);
	h->sums.inherited_bytes += size;
	h->sums.inherited_blocks++;
	h->sums.inherited_live_bytes += size;
	h->sums.inherited_live_blocks++;
}

void heap_inherit_left_out(struct replay_heap *h, uint64_t address, uint64_t size)
{
	const struct heap_block b = {address, size, h->born, 0, HEAP_INHERITED};
	struct heap_block *slot = find(h, address);

	if (address != 0 && slot->address == 0)
		table_put(h, slot, &b);
}

/* Time. */

static void mark_own(struct replay_heap *h)
{
	struct band now = own_level(h);

	if (h->own_changed)
		profile_note(h->profile, clock_ns(h->clock, h->now), &h->own, &now);
	h->own_changed = false;
}

/* What was allocated up to the last mark goes into the bucket that it was in. */
static void note_rate(struct replay_heap *h, size_t bucket, double ns)
{
	uint64_t *v = h->rates.values[buckets_at(&h->rates, h->rated_ns)];

	v[0] += h->marked.allocations - h->rated.allocations;
	v[1] += h->marked.bytes - h->rated.bytes;
	h->rated = h->marked;
	h->rated_bucket = bucket;
	h->rated_ns = ns;
}

/* What was live since the last mark goes into its bucket. */
static void mark(struct replay_heap *h)
{
	double ns = clock_ns(h->clock, h->now);
	size_t i = buckets_at(&h->timeline, ns);
	uint64_t *v = h->timeline.values[i];

	if (i != h->rated_bucket)
		note_rate(h, i, ns);
	h->marked = (struct heap_rated){h->sums.allocations, h->sums.allocated_bytes};
	note_high(h);
	if (h->high_bytes > v[0])
		v[0] = h->high_bytes;
	if (h->high_blocks > v[1])
		v[1] = h->high_blocks;
	h->high_bytes = h->sums.live_bytes;
	h->high_blocks = h->sums.live_blocks;
	if (h->profile != NULL)
		mark_own(h);
}

/* Between two events all stays as it was. */
static void fill_to(struct replay_heap *h, double ns)
{
	size_t i = buckets_at(&h->timeline, ns), last;

	/* Only now: the above may have folded the buckets. */
	last = buckets_at(&h->timeline, clock_ns(h->clock, h->now));
	for (; last < i; i--) {
		h->timeline.values[i][0] = h->sums.live_bytes;
		h->timeline.values[i][1] = h->sums.live_blocks;
	}
}

static uint32_t at_of(const struct replay_heap *h, uint64_t stamp)
{
	uint64_t at = stamp > h->clock->start ? (stamp - h->clock->start) >> h->at_unit : 0;

	return at < UINT32_MAX ? (uint32_t)at : UINT32_MAX;
}

void heap_advance(struct replay_heap *h, uint64_t stamp)
{
	mark(h);
	while (h->sampled < h->sample_count && h->sample_stamps[h->sampled] < stamp)
		h->sample_live[h->sampled++] = h->sums.live_bytes;
	fill_to(h, clock_ns(h->clock, stamp));
	h->now = stamp;
	h->born.at = at_of(h, stamp);
	find_place(h);
	if (h->activity != NULL)
		activity_time(h->activity, clock_ns(h->clock, stamp));
}

/* Ties. */

void heap_tie_begins(struct replay_heap *h)
{
	h->tied = true;
	h->tie++;
	h->tie_began_with = h->sums.live_bytes;
	h->tie_highest = 0;
}

void heap_stretch_begins(struct replay_heap *h, struct heap_stream *s)
{
	mark(h);
	if (s->tie != h->tie) {
		s->tie = h->tie;
		s->change = s->highest = 0;
	}
	h->stretch_began_with = h->sums.live_bytes;
}

/* However the streams interleave, the live bytes cannot pass what the tie began
 * with and the sum of each stream's own highest. */
void heap_stretch_ends(struct replay_heap *h, struct heap_stream *s)
{
	int64_t highest;

	note_high(h);
	/* Unsigned, since a hostile trace may make any of it wrap. */
	highest = (int64_t)((uint64_t)s->change + h->high_bytes - h->stretch_began_with);
	if (highest > s->highest) {
		h->tie_highest += (uint64_t)highest - (uint64_t)s->highest;
		s->highest = highest;
	}
	s->change = (int64_t)((uint64_t)s->change + h->sums.live_bytes - h->stretch_began_with);
}

void heap_tie_ends(struct replay_heap *h)
{
	uint64_t bound = h->tie_began_with + h->tie_highest;

	if (bound > h->bound)
		h->bound = bound;
	h->tied = false;
	for (size_t i = 0; i < h->early_count && !h->filtered; i++)
		h->sums.unmatched_frees += h->early[i].stream != NULL;
	for (size_t i = 0; i < h->shadow_count; i++) {
		if (h->shadows[i].block.address == 0 || h->shadows[i].block.site == 0)
			continue;
		h->missed_frees++;
		lose(h, &h->shadows[i].block);
	}
	if (h->early_count != 0)
		map_clear(&h->early_by_address);
	if (h->shadow_count != 0)
		map_clear(&h->shadow_by_address);
	h->early_count = h->shadow_count = 0;
}

/* Mapped memory. */

static void note_mapped(struct replay_heap *h, bool good)
{
	h->failed |= !good;
	if (h->mapped.bytes > h->sums.mapped_peak_bytes)
		h->sums.mapped_peak_bytes = h->mapped.bytes;
}

void heap_map(struct replay_heap *h, uint64_t address, uint64_t length)
{
	h->sums.mappings++;
	note_mapped(h, mapped_add(&h->mapped, address, length));
}

void heap_unmap(struct replay_heap *h, uint64_t address, uint64_t length)
{
	h->sums.unmappings++;
	note_mapped(h, mapped_remove(&h->mapped, address, length));
}

/* An old length of 0 makes a second mapping of the same memory. */
void heap_remap(struct replay_heap *h, uint64_t from, uint64_t from_length, uint64_t to,
		uint64_t length)
{
	bool good = mapped_remove(&h->mapped, from, from_length);

	note_mapped(h, mapped_add(&h->mapped, to, length) && good);
}

void heap_break(struct replay_heap *h, uint64_t end, int64_t change)
{
	if (change > 0 && (uint64_t)change <= end)
		note_mapped(h, mapped_add(&h->mapped, end - (uint64_t)change, (uint64_t)change));
	else if (change < 0)
		note_mapped(h, mapped_remove(&h->mapped, end, -(uint64_t)change));
}

/* Beginning and end. */

/* Places have 32 bits each: as fine as a run of that length and size allows. */
static void choose_units(struct replay_heap *h, uint64_t events, uint64_t last)
{
	uint64_t ticks = last > h->clock->start ? last - h->clock->start : 0, unit;

	while (ticks >> h->at_unit >= UINT32_MAX / 2)
		h->at_unit++;
	while (events >> h->number_unit >= UINT32_MAX)
		h->number_unit++;
	h->number_step = h->number_unit == 0;
	unit = 1ull << h->at_unit;
	h->us_per_unit =
		(uint64_t)(clock_span_ns(h->clock, h->clock->start, unit) * (1 << 20) / 1e3);
	if (h->us_per_unit >= 1ull << 32)
		h->us_per_unit = (1ull << 32) - 1;
}

bool heap_init(struct replay_heap *h, struct clock *clock, size_t nodes, size_t threads,
	       size_t streams, uint64_t events, uint64_t last)
{
	*h = (struct replay_heap){.clock = clock, .node_count = nodes, .stream_count = streams};
	h->site_of = calloc(nodes + 1, sizeof(*h->site_of));
	h->last_allocation = calloc(threads + 1, sizeof(*h->last_allocation));
	h->streams = calloc(streams + 1, sizeof(*h->streams));
	h->freed = calloc((size_t)FREED_SETS * FREED_WAYS, sizeof(*h->freed));
	h->site_count = 1;
	h->peak_number = 1;
	h->now = h->grown_at = h->peak_at = clock->start;
	h->marks = calloc(1, sizeof(*h->marks));
	choose_units(h, events, last);
	h->rates.sums = true;
	h->epoch = 1;
	h->next_period = 1ull << h->number_unit;
	return h->site_of != NULL && h->last_allocation != NULL && h->streams != NULL &&
	       h->freed != NULL && h->marks != NULL && vector_reserve(h->sites, h->site_room, 1) &&
	       table_grow(h) && memset(h->sites, 0, sizeof(*h->sites)) != NULL;
}

void heap_free(struct replay_heap *h)
{
	pages_free(h->blocks, h->blocks ? (h->mask + 1) * sizeof(*h->blocks) : 0);
	for (size_t i = 0; h->sites != NULL && i < h->site_count; i++)
		history_free(&h->sites[i].track);
	free(h->sites);
	free(h->marks);
	free(h->site_of);
	free(h->last_allocation);
	free(h->streams);
	free(h->freed);
	free(h->early);
	free(h->shadows);
	map_free(&h->early_by_address);
	map_free(&h->shadow_by_address);
	mapped_free(&h->mapped);
	*h = (struct replay_heap){0};
}

void heap_begin_window(struct replay_heap *h, double ns)
{
	const struct heap before = h->sums;

	h->sums = (struct heap){
		.peak_bytes = before.live_bytes,
		.peak_blocks = before.live_blocks,
		.live_bytes = before.live_bytes,
		.live_blocks = before.live_blocks,
		.inherited_bytes = before.inherited_bytes,
		.inherited_blocks = before.inherited_blocks,
		.inherited_live_bytes = before.inherited_live_bytes,
		.inherited_live_blocks = before.inherited_live_blocks,
		.mapped_peak_bytes = h->mapped.bytes,
	};
	for (size_t i = 1; i < h->site_count; i++) {
		struct heap_site *s = &h->sites[i];

		s->allocations = s->allocated_bytes = s->frees = s->temporary = 0;
		s->reallocated = 0;
		s->spread = (struct spread){0};
		s->track.count = s->track.generation = 0;
	}
	h->earlier_allocations += before.allocations;
	h->axis = (struct history_axis){.origin = h->born};
	h->marks->count = h->marks->generation = 0;
	h->place = h->born;
	h->epoch++;
	find_place(h);
	h->windowed = true;
	h->window = h->now;
	h->window_ns = ns;
	h->missed_frees = h->bound = 0;
	h->peak_at = h->grown_at = h->now;
	h->peak_number++;
	h->high_bytes = before.live_bytes;
	h->high_blocks = before.live_blocks;
	h->timeline = (struct buckets){.origin_ns = ns};
	h->rates = (struct buckets){.origin_ns = ns, .sums = true};
	h->rated = h->marked = (struct heap_rated){0};
	h->rated_bucket = 0;
	h->rated_ns = ns;
}

void heap_settle(struct replay_heap *h)
{
	for (size_t i = 0; i < h->stream_count; i++) {
		if (h->streams[i].pending)
			put_back(h, &h->streams[i]);
	}
}

void heap_end(struct replay_heap *h, double end_ns)
{
	heap_settle(h);
	mark(h);
	note_rate(h, h->rated_bucket, end_ns);
	while (h->sampled < h->sample_count)
		h->sample_live[h->sampled++] = h->sums.live_bytes;
	if (end_ns > clock_ns(h->clock, h->now))
		fill_to(h, end_ns);
	if (h->profile != NULL)
		profile_end(h->profile);
	h->failed |= h->profile != NULL && h->profile->failed;
	mark_period(h);
	history_fold_marks(h->marks, &h->axis);
	for (size_t i = 1; i < h->site_count; i++) {
		leave_period(h, &h->sites[i]);
		history_fold(&h->sites[i].track, &h->axis);
	}
}
