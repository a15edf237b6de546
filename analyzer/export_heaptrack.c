/* SPDX-License-Identifier: MIT */
/*
 * Heaptrack's file format, version 2: each allocation and free in order, with what it
 * was of. That is the one format here as long as the trace; memory follows what is
 * distinct. The trace is replayed once more for it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"
#include "analyzer/map.h"
#include "analyzer/string_table.h"
#include "analyzer/vector.h"

enum { HEAPTRACK_VERSION = 0x010400, FILE_VERSION = 2 };

/*
 * Blocks of one size from one stack. A reader takes a free for that of a temporary block
 * where the line before it is an allocation of the same kind, whichever block it is of.
 * So there are two of each kind, alike, and a free that is not of the last block is of
 * the second.
 */
struct kind_of_block {
	uint32_t node;
	uint64_t size;
};

struct heaptrack {
	struct export *x;
	const struct run *run; /* of this replay; NULL: no block came yet */
	struct report names;
	struct string_table strings; /* their numbers are one less than in the file */
	uint32_t *place_of;	     /* by address: its "i"; 0: none yet */
	uint32_t *trace_of;	     /* by node: its "t", + 1; 0: none yet */
	uint32_t place_count, trace_count;
	struct kind_of_block *blocks;
	size_t block_count, block_room;
	struct index block_index;
	uint32_t *path; /* nodes of one stack */
	size_t path_room;
	uint64_t ms;	       /* the last "c" */
	uint32_t last_kind;    /* of the line before; UINT32_MAX: no allocation */
	uint64_t last_address; /* its block */
	bool failed;
};

/* A string's number in the file, where it is written when it is met first; 0: none. */
static uint32_t text_number(struct heaptrack *h, const char *text)
{
	size_t before = h->strings.count;
	uint32_t number = text != NULL ? string_number(&h->strings, text) : 0;
	char *safe;

	if (text == NULL)
		return 0;
	h->failed |= number == STRING_TABLE_FULL;
	if (h->strings.count > before) {
		safe = format_line(text, "");
		h->failed |= safe == NULL;
		fprintf(h->x->out, "s %s\n", safe != NULL ? safe : "");
		free(safe);
	}
	return number + 1;
}

/* An address's number, or 0 where it is our own library's. */
static uint32_t place_number(struct heaptrack *h, uint32_t node)
{
	const struct address *a = node_address(h->run, node);
	uint32_t *place = &h->place_of[a - h->run->addresses];
	size_t count;
	const struct frame *frames = node_frames(&h->names, node, &count);
	uint32_t module;

	h->failed |= count > 0 && frames == NULL;
	if (count == 0 || *place != 0 || h->failed)
		return *place;
	module = text_number(h, frames[0].module);
	for (size_t i = 0; i < count; i++) {
		text_number(h, frames[i].function);
		text_number(h, frames[i].file);
	}
	fprintf(h->x->out, "i %" PRIx64 " %" PRIx32, a->pc, module);
	for (size_t i = 0; i < count && (frames[i].function != NULL || i > 0); i++)
		fprintf(h->x->out, " %" PRIx32 " %" PRIx32 " %x",
			text_number(h, frames[i].function), text_number(h, frames[i].file),
			frames[i].line > 0 ? (unsigned)frames[i].line : 0);
	fputc('\n', h->x->out);
	return *place = ++h->place_count;
}

/* A stack's number; 0: none. Outer frames are written before inner ones. */
static uint32_t trace_number(struct heaptrack *h, uint32_t node)
{
	size_t depth = 0;
	uint32_t trace;

	while (node_address(h->run, node) != NULL && h->trace_of[node] == 0) {
		if (!vector_reserve(h->path, h->path_room, depth + 1)) {
			h->failed = true;
			return 0;
		}
		h->path[depth++] = node;
		node = h->run->nodes[node].parent;
	}
	trace = node_address(h->run, node) != NULL ? h->trace_of[node] - 1 : 0;
	while (depth-- > 0 && !h->failed) {
		uint32_t place = place_number(h, h->path[depth]);

		if (place != 0) {
			fprintf(h->x->out, "t %" PRIx32 " %" PRIx32 "\n", place, trace);
			trace = ++h->trace_count;
		}
		h->trace_of[h->path[depth]] = trace + 1;
	}
	return trace;
}

static uint32_t kind_number(struct heaptrack *h, uint32_t node, uint64_t size)
{
	uint64_t hash = map_hash(map_hash(node) ^ size);
	size_t at = SIZE_MAX;
	uint32_t place, trace;

	while ((place = index_find(&h->block_index, hash, &at)) != 0)
		if (h->blocks[place - 1].node == node && h->blocks[place - 1].size == size)
			return place - 1;
	trace = trace_number(h, node);
	if (!vector_reserve(h->blocks, h->block_room, h->block_count + 1) ||
	    !index_insert(&h->block_index, hash, (uint32_t)h->block_count + 1)) {
		h->failed = true;
		return 0;
	}
	for (int i = 0; i < 2; i++)
		fprintf(h->x->out, "a %" PRIx64 " %" PRIx32 "\n", size, trace);
	h->blocks[h->block_count] = (struct kind_of_block){node, size};
	return (uint32_t)h->block_count++;
}

static bool begin(struct heaptrack *h, const struct run *run)
{
	h->run = run;
	h->place_of = calloc(run->address_count + 1, sizeof(*h->place_of));
	h->trace_of = calloc(run->node_count + 1, sizeof(*h->trace_of));
	return report_names_open(&h->names, run, h->x->report->symbols) == 0 &&
	       h->place_of != NULL && h->trace_of != NULL;
}

/* A heap_watch_fn. */
static void take_change(void *context, const struct run *run, double ns,
			const struct heap_change *c)
{
	struct heaptrack *h = context;
	uint64_t ms = ns > 0 ? (uint64_t)(ns / 1e6) : 0;
	bool other = c->what == HEAP_IS_REPLACED || c->address != h->last_address;
	uint32_t kind;

	if (h->run == NULL && !h->failed)
		h->failed |= !begin(h, run);
	if (h->failed)
		return;
	kind = kind_number(h, c->node, c->size);
	if (ms > h->ms)
		fprintf(h->x->out, "c %" PRIx64 "\n", h->ms = ms);
	if (c->what == HEAP_COMES) {
		fprintf(h->x->out, "+ %" PRIx32 "\n", 2 * kind);
		h->last_kind = kind;
		h->last_address = c->address;
	} else {
		fprintf(h->x->out, "- %" PRIx32 "\n", 2 * kind + (kind == h->last_kind && other));
		h->last_kind = UINT32_MAX;
	}
}

static void print_head(struct heaptrack *h)
{
	fprintf(h->x->out, "v %x %x\nX", HEAPTRACK_VERSION, FILE_VERSION);
	for (const char **word = h->x->report->run->command; word != NULL && *word != NULL;
	     word++) {
		char *safe = format_line(*word, "");

		h->failed |= safe == NULL;
		fprintf(h->x->out, " %s", safe != NULL ? safe : "");
		free(safe);
	}
	fputc('\n', h->x->out);
}

static int replay(struct heaptrack *h, struct error *e)
{
	const struct run_options options = {
		.heap_watch = take_change,
		.heap_context = h,
		.progress = h->x->progress,
		.progress_context = h->x->progress_context,
	};
	struct run run;
	uint64_t end_ms = (uint64_t)(h->x->report->run->duration_s * 1e3);

	print_head(h);
	if (run_load(&run, h->x->report->run->trace_path, &options, e) != 0)
		return -1;
	if (end_ms > h->ms)
		fprintf(h->x->out, "c %" PRIx64 "\n", end_ms);
	if (h->run != NULL)
		report_close(&h->names);
	run_free(&run);
	return h->failed ? export_out_of_memory(e) : 0;
}

int export_heaptrack(struct export *x, struct error *e)
{
	struct heaptrack h = {.x = x, .last_kind = UINT32_MAX};
	int rc;

	if (x->report->tree != NULL)
		return fail(e, ERROR_USAGE, 0,
			    "export: a file of heaptrack's is of one process: give one trace");
	if (x->report->run->view.windowed || x->report->run->view.filter != NULL)
		return fail(e, ERROR_USAGE, 0,
			    "export: heaptrack has the whole run: not a part of it, nor filtered");
	rc = replay(&h, e);
	free(h.place_of);
	free(h.trace_of);
	free(h.blocks);
	free(h.path);
	index_free(&h.block_index);
	string_table_free(&h.strings);
	return rc;
}
