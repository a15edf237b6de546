/* SPDX-License-Identifier: MIT */
/*
 * Columns back to events. Input is hostile: every function checks what it reads
 * and returns an error instead of reading or writing out of bounds.
 * Thread-safe as long as each caller has its own buffers.
 */
#ifndef PH_TRACE_DECODE_H
#define PH_TRACE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/cell.h"
#include "trace/encode.h"
#include "trace/format.h"

/*
 * One event. Memory events (ALLOC, FREE, REALLOC_BEGIN, REALLOC_FAILED) have
 * address and size; all others have call, which points into the decoded block.
 * Which of the two an event is the block itself says: a hostile one may give a
 * malloc a call and a read none, so look at `call` as well as at the kind. And
 * the decoder does not look into payloads: an object's name_bytes may be wrong.
 */
struct ph_event {
	uint64_t stamp; /* coarse, ticks: the key that threads are merged by */
	uint64_t address;
	uint64_t size;
	const struct ph_call *call; /* NULL: a memory event */
	uint32_t node;		    /* file number of the stack; 0: none */
	uint8_t op;
};

/* A decoded EVENTS block. All zero is empty; freed with ph_events_free();
 * decoding into a used one reuses its memory. CLOCK and WIDE cells are folded
 * into the events. A call's payload follows its struct ph_call. */
struct ph_events {
	struct ph_event *events;
	size_t count, room;
	uint64_t *calls; /* storage of the calls */
	size_t calls_room;
};

#define PH_BLOCK_EVENTS_MAX (1u << 20) /* no block has more */

/* Returns NULL, or a static sentence saying what is wrong with the payload. */
const char *ph_decode_events(const struct ph_block_header *header, const uint8_t *payload,
			     size_t length, struct ph_events *out);
void ph_events_free(struct ph_events *e);

/* Both arrays are malloc'ed, the caller frees them. NULL or a sentence. */
const char *ph_decode_stacks(const uint8_t *payload, size_t length,
			     struct ph_new_address **addresses, size_t *address_count,
			     struct ph_new_node **nodes, size_t *node_count);

/* Check a header that was read from a file: magic, CRC, sizes. NULL or a sentence. */
const char *ph_block_header_check(const struct ph_block_header *header);

/* Check and decompress a payload into `out` (emptied first). NULL or a sentence. */
const char *ph_block_open(const struct ph_block_header *header, const void *stored,
			  struct ph_buffer *out);

/* Check a file's header. NULL or a sentence; a newer major version names both. */
const char *ph_file_header_check(const struct ph_file_header *header);

#endif
