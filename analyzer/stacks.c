/* SPDX-License-Identifier: MIT */
#include "analyzer/stacks.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

enum {
	FILE_NUMBERS_MAX = 1 << 26, /* of the numbers that a file may define */
};

/* Steps that all look-ups of addresses among overlapping ranges may take: real
 * traces need a few each, and a hostile one must not take for ever. */
#define PATIENCE 2000000000u

struct code_range {
	uint64_t start, end;
	uint64_t highest_end; /* of this one and all before it */
	uint32_t loaded, unloaded;
	int32_t module;
};

static int32_t intern_module(struct stacks *s, const struct module *wanted)
{
	uint64_t hash = map_hash(wanted->base ^ map_hash_bytes(wanted->path, strlen(wanted->path)));
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&s->module_index, hash, &at)) != 0) {
		struct module *m = &s->modules[place - 1];

		if (m->base == wanted->base && strcmp(m->path, wanted->path) == 0 &&
		    strcmp(m->build_id, wanted->build_id) == 0) {
			m->unloaded &= wanted->unloaded;
			return (int32_t)place - 1;
		}
	}
	if (s->module_count >= INT32_MAX - 1 ||
	    !vector_reserve(s->modules, s->module_room, s->module_count + 1) ||
	    !index_insert(&s->module_index, hash, (uint32_t)s->module_count + 1)) {
		s->failed = true;
		return -1;
	}
	s->modules[s->module_count] = *wanted;
	return (int32_t)s->module_count++;
}

static uint32_t intern_address(struct stacks *s, uint64_t pc, int32_t module)
{
	uint64_t hash = map_hash(pc ^ (uint64_t)(uint32_t)module << 40);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&s->address_index, hash, &at)) != 0) {
		const struct address *a = &s->addresses[place - 1];

		if (a->pc == pc && a->module == module)
			return place - 1;
	}
	if (!vector_reserve(s->addresses, s->address_room, s->address_count + 1) ||
	    !index_insert(&s->address_index, hash, (uint32_t)s->address_count + 1)) {
		s->failed = true;
		return 0;
	}
	s->addresses[s->address_count] = (struct address){pc, module};
	return (uint32_t)s->address_count++;
}

static uint32_t intern_node(struct stacks *s, uint32_t parent, uint32_t address)
{
	uint64_t hash = map_hash((uint64_t)parent << 32 | address);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&s->node_index, hash, &at)) != 0) {
		if (s->nodes[place].parent == parent && s->nodes[place].address == address)
			return place;
	}
	if (!vector_reserve(s->nodes, s->node_room, s->node_count + 1) ||
	    !index_insert(&s->node_index, hash, (uint32_t)s->node_count)) {
		s->failed = true;
		return 0;
	}
	s->nodes[s->node_count] = (struct node){parent, address};
	return (uint32_t)s->node_count++;
}

static int by_start(const void *a, const void *b)
{
	const struct code_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void add_ranges(struct stacks *s, const struct module_entry *e)
{
	struct module m = {e->path, e->build_id, e->base, e->unloaded != UINT32_MAX, 0};
	int32_t module;

	for (size_t i = 0; i < e->range_count; i++)
		if (e->ranges[i][1] - e->base > m.code_end)
			m.code_end = e->ranges[i][1] - e->base;
	module = intern_module(s, &m);
	for (size_t i = 0; i < e->range_count; i++) {
		s->ranges[s->range_count++] = (struct code_range){
			.start = e->ranges[i][0],
			.end = e->ranges[i][1],
			.loaded = e->loaded,
			.unloaded = e->unloaded,
			.module = module,
		};
	}
}

bool stacks_begin(struct stacks *s, const struct meta *meta)
{
	size_t count = 0;
	uint64_t highest = 0;

	*s = (struct stacks){.patience = PATIENCE};
	for (size_t i = 0; i < meta->module_count; i++)
		count += meta->modules[i].range_count;
	s->ranges = calloc(count + 1, sizeof(*s->ranges));
	if (s->ranges == NULL || !vector_reserve(s->nodes, s->node_room, 1) ||
	    !vector_reserve(s->file_nodes, s->file_node_room, 1) ||
	    !vector_reserve(s->file_addresses, s->file_address_room, 1))
		return false;
	s->nodes[0] = (struct node){0, 0};
	s->file_nodes[0] = s->file_addresses[0] = 0;
	s->node_count = s->file_node_count = s->file_address_count = 1;
	for (size_t i = 0; i < meta->module_count; i++)
		add_ranges(s, &meta->modules[i]);
	qsort(s->ranges, s->range_count, sizeof(*s->ranges), by_start);
	for (size_t i = 0; i < s->range_count; i++) {
		highest = s->ranges[i].end > highest ? s->ranges[i].end : highest;
		s->ranges[i].highest_end = highest;
	}
	return !s->failed;
}

void stacks_free(struct stacks *s)
{
	free(s->addresses);
	free(s->nodes);
	free(s->modules);
	free(s->file_addresses);
	free(s->file_nodes);
	free(s->ranges);
	index_free(&s->address_index);
	index_free(&s->node_index);
	index_free(&s->module_index);
	*s = (struct stacks){0};
}

static int32_t find_module(struct stacks *s, uint64_t pc, uint32_t epoch)
{
	size_t low = 0, high = s->range_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].start <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0 && s->ranges[low].highest_end > pc && s->patience > 0) {
		const struct code_range *r = &s->ranges[low];

		s->patience--;
		if (pc < r->end && r->loaded <= epoch && epoch < r->unloaded)
			return r->module;
	}
	return -1;
}

/* Extend a table of file numbers to `count`; what is skipped is 0. */
static bool extend(struct stacks *s, uint32_t **table, size_t *count, size_t *room, size_t wanted)
{
	if (wanted > FILE_NUMBERS_MAX ||
	    !vector_reserve_bytes((void **)table, room, wanted, sizeof(**table))) {
		s->failed |= wanted <= FILE_NUMBERS_MAX;
		return false;
	}
	if (wanted > *count) {
		memset(*table + *count, 0, (wanted - *count) * sizeof(**table));
		*count = wanted;
	}
	return true;
}

void stacks_add(struct stacks *s, size_t first_address, size_t first_node,
		const struct ph_new_address *addresses, size_t address_count,
		const struct ph_new_node *nodes, size_t node_count)
{
	if (!extend(s, &s->file_addresses, &s->file_address_count, &s->file_address_room,
		    first_address + address_count) ||
	    !extend(s, &s->file_nodes, &s->file_node_count, &s->file_node_room,
		    first_node + node_count))
		return;
	for (size_t i = 0; i < address_count; i++) {
		int32_t module = find_module(s, addresses[i].address, addresses[i].epoch);

		s->file_addresses[first_address + i] =
			intern_address(s, addresses[i].address, module) + 1;
	}
	for (size_t i = 0; i < node_count; i++) {
		uint32_t address = nodes[i].address < s->file_address_count
					   ? s->file_addresses[nodes[i].address]
					   : 0;
		uint32_t parent = stacks_node(s, nodes[i].parent);

		/* A stack whose outer part is lost would be a wrong one. */
		if (address == 0 || (nodes[i].parent != 0 && parent == 0))
			continue;
		s->file_nodes[first_node + i] = intern_node(s, parent, address - 1);
	}
}

/* `known` has modules as well, beyond the numbers of nodes. */
static int32_t import_module(struct stacks *s, const struct run *from, int32_t theirs,
			     struct map *known, struct arena *arena)
{
	uint64_t key = (uint64_t)1 << 32 | (uint32_t)theirs;
	struct module m;
	int32_t ours;

	if (theirs < 0)
		return -1;
	ours = (int32_t)map_get(known, key) - 1;
	if (ours >= 0)
		return ours;
	m = from->modules[theirs];
	m.path = arena_copy(arena, m.path, strlen(m.path));
	m.build_id = arena_copy(arena, m.build_id, strlen(m.build_id));
	if (s->rebased)
		m.base = 0;
	ours = intern_module(s, &m);
	s->failed |= !map_put(known, key, (uint64_t)ours + 1);
	return ours;
}

static uint32_t import_frame(struct stacks *s, const struct run *from, uint32_t node,
			     uint32_t parent, struct map *known, struct arena *arena)
{
	const struct address *a = &from->addresses[from->nodes[node].address];
	int32_t module = import_module(s, from, a->module, known, arena);
	uint64_t base = s->rebased && a->module >= 0 ? from->modules[a->module].base : 0;

	return intern_node(s, parent, intern_address(s, a->pc - base, module));
}

uint32_t stacks_import(struct stacks *s, const struct run *from, uint32_t node, struct map *known,
		       struct arena *arena)
{
	uint32_t *path = NULL, ours;
	size_t depth = 0, room = 0;

	while (node != 0 && map_get(known, node) == 0) {
		if (!vector_reserve(path, room, depth + 1)) {
			s->failed = true;
			break;
		}
		path[depth++] = node;
		node = from->nodes[node].parent;
	}
	ours = node ? (uint32_t)map_get(known, node) : 0;
	while (depth-- > 0) {
		ours = import_frame(s, from, path[depth], ours, known, arena);
		s->failed |= !map_put(known, path[depth], ours);
	}
	free(path);
	return ours;
}

void stacks_publish(struct stacks *s, struct run *run)
{
	run->addresses = s->addresses;
	run->address_count = s->address_count;
	run->nodes = s->nodes;
	run->node_count = s->node_count;
	run->modules = s->modules;
	run->module_count = s->module_count;
	s->addresses = NULL;
	s->nodes = NULL;
	s->modules = NULL;
}
