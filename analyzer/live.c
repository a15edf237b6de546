/* SPDX-License-Identifier: MIT */
#include "analyzer/live.h"

#include <stdlib.h>

#include "analyzer/reach.h"
#include "analyzer/spans.h"

/* Streams that had ended by then are not listed: all of theirs is from before. */
static bool is_after(const struct run_instant *instant, const struct ph_block_header *h)
{
	if (h->kind == PH_BLOCK_END || h->kind == PH_BLOCK_INDEX)
		return true;
	if (h->kind != PH_BLOCK_EVENTS)
		return false;
	for (size_t i = 0; i < instant->count; i++)
		if (instant->ends[i].stream == h->stream)
			return h->first_cell >= instant->ends[i].cells;
	return h->stream > instant->streams;
}

void live_cut(const struct run_instant *instant, struct reader *reader)
{
	size_t kept = 0;

	for (size_t i = 0; i < reader->block_count; i++)
		if (!is_after(instant, &reader->blocks[i].header))
			reader->blocks[kept++] = reader->blocks[i];
	reader->block_count = kept;
	reader->ended = false;
	/* A block that was being written. */
	reader->truncated = false;
}

bool live_map(struct mapped *m, uint64_t start, uint64_t length, bool own)
{
	return own ? mapped_add(m, start, length) : mapped_remove(m, start, length);
}

static void add_span(void *context, uint64_t start, uint64_t end)
{
	spans_add(context, start, end);
}

/* Numbers of the file's by the run's. */
static bool take_nodes(struct run_live *live, const struct stacks *stacks, size_t nodes)
{
	live->file_nodes = calloc(nodes + 1, sizeof(*live->file_nodes));
	for (size_t i = 1; live->file_nodes != NULL && i < stacks->file_node_count; i++)
		if (stacks->file_nodes[i] < nodes)
			live->file_nodes[stacks->file_nodes[i]] = (uint32_t)i;
	return live->file_nodes != NULL;
}

bool live_take(struct run_live *live, const struct replay_heap *heap, const struct stacks *stacks,
	       size_t inherited_sites, const struct mapped *own)
{
	const struct heap_block *b;

	live->inherited_sites = inherited_sites;
	if (!take_nodes(live, stacks, heap->node_count))
		return false;
	live->blocks = calloc(heap->block_count + 1, sizeof(*live->blocks));
	if (live->blocks == NULL)
		return false;
	for (size_t at = 0; (b = heap_next_block(heap, &at)) != NULL;)
		live->blocks[live->count++] =
			(struct reach_block){b->address, b->size, b->site - 1, 0};
	mapped_each(own, add_span, live->mapped);
	spans_settle(live->mapped);
	return !live->mapped->failed;
}
