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

bool live_take(struct run_live *live, const struct replay_heap *heap, const struct mapped *own)
{
	const struct heap_block *b;

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
