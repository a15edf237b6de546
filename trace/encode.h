/* SPDX-License-Identifier: MIT */
/*
 * Cells to columns: what the collector writes into EVENTS and STACKS blocks.
 * Not thread-safe (one encoder, one thread); allocates; never prints.
 */
#ifndef PH_TRACE_ENCODE_H
#define PH_TRACE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/cell.h"
#include "trace/format.h"

/* A growing byte buffer, freed with ph_buffer_free(). All zero is empty.
 * `failed` is set when memory ran out; what is appended then is dropped. */
struct ph_buffer {
	uint8_t *data;
	size_t length, room;
	int failed;
};

void ph_buffer_put(struct ph_buffer *b, const void *data, size_t length);
void ph_buffer_put_varint(struct ph_buffer *b, uint64_t value);
void ph_buffer_free(struct ph_buffer *b);

/* Gives the number under which a stack node stands in the file, for a node as
 * it stands in the segment (never 0). */
typedef uint32_t ph_define_node(void *context, uint32_t node);

/* From nodes of the segment to nodes of the file. `numbers` has `count` entries,
 * by node; where it ends, and where it holds 0, define() is asked, which may
 * change both. All of it is the caller's. */
struct ph_node_map {
	const uint32_t *numbers;
	uint32_t count;
	ph_define_node *define;
	void *context;
};

/* Cells in order, in two pieces: as they stand in a ring that may wrap. Somebody may
 * overwrite them meanwhile: each is read once. */
struct ph_cells {
	const struct ph_cell *cells;
	size_t count;
	const struct ph_cell *more;
	size_t more_count;
};

/*
 * Encode whole events of one stream from cells into an EVENTS payload
 * (raw, not yet compressed), appended to `out`. `*stamp` is the coarse stamp in
 * force before the first cell (0 at the stream's beginning) and is left at the
 * one in force after the last. Fills header->events and header->first_stamp;
 * the caller has set stream and first_cell. Returns 0, or -1 when the cells are
 * not whole, valid events (what comes before the bad one is encoded, and
 * *bad_cell says where it is) or when memory ran out or there are more cells
 * than a block can hold (out->failed is set and nothing encoded). PAD cells are
 * dropped; header->events may be 0, and such a block need not be written.
 * Reserves about 77 bytes of `out` a cell, most of it never touched: use the
 * same buffer again and again.
 */
#define PH_ENCODE_CELLS_MAX (1u << 19) /* so that no payload is over PH_BLOCK_RAW_MAX */
int ph_encode_events(const struct ph_cells *in, const struct ph_node_map *map, uint64_t *stamp,
		     struct ph_block_header *header, struct ph_buffer *out, size_t *bad_cell);

/* New addresses and nodes, to be written before the events that use them. Both
 * are numbered from 1 in the order in which the file defines them. */
struct ph_new_address {
	uint64_t address; /* of the call: return address - 1; an interrupted frame's own */
	uint32_t epoch;	  /* the module list's, from 1: tells which module was there */
};
struct ph_new_node {
	uint32_t parent;  /* file number of the next outer frame; 0: outermost */
	uint32_t address; /* file number of the address */
};
void ph_encode_stacks(const struct ph_new_address *addresses, size_t address_count,
		      const struct ph_new_node *nodes, size_t node_count, struct ph_buffer *out);

/*
 * Append a whole block (header and payload, compressed where that is smaller)
 * to `out`. `header` gives kind, stream, events, first_stamp, first_cell; the
 * rest is computed. zstd level 1. Returns 0, or -1 when memory ran out.
 */
int ph_block_seal(const struct ph_block_header *header, const void *payload, size_t length,
		  struct ph_buffer *out);

/* Fill a file header but for its id, which the caller has set. */
void ph_file_header_seal(struct ph_file_header *header);

#endif
