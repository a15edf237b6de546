/* SPDX-License-Identifier: MIT */
/*
 * How an EVENTS payload is laid out: shared by the encoder and the decoder,
 * private to trace/. Prose and reasons: docs/trace-format.md.
 */
#ifndef PH_TRACE_COLUMNS_H
#define PH_TRACE_COLUMNS_H

#include <stdint.h>

#define EVENTS_LAYOUT 1

/* A record is one byte, the number of a symbol; a symbol is an op and a shape,
 * and the shape says which columns hold something for the record. */
#define SYMBOLS_MAX 255

enum shape {
	SHAPE_CLASS = 0xc0,
	SHAPE_MEMORY = 0x00,
	SHAPE_CALL = 0x40,
	SHAPE_CLOCK = 0x80, /* not an event: the stamp moves */

	SHAPE_NODE = 0x01,

	/* Memory. */
	SHAPE_GIVES = 0x20,	/* deltas against those of this group: frees; else allocations */
	SHAPE_SIZE = 0x06,	/* one of: */
	SHAPE_SIZE_NONE = 0x00, /* it is 0 */
	SHAPE_SIZE_GIVEN = 0x02,
	SHAPE_SIZE_EXPECTED = 0x04, /* the last one at this node */
	SHAPE_ADDRESS = 0x18,	    /* one of: */
	SHAPE_ADDRESS_SEEN = 0x00,  /* that of an earlier event of the block */
	SHAPE_ADDRESS_NEAR = 0x08,  /* difference, a multiple of 16 */
	SHAPE_ADDRESS_FAR = 0x10,   /* difference */

	/* Calls. */
	SHAPE_FLAGS = 0x02,
	SHAPE_ARG_IS_RESULT = 0x04,
	SHAPE_PAYLOAD = 0x18,	   /* one of: */
	SHAPE_PAYLOAD_NONE = 0x00, /* three cells */
	SHAPE_PAYLOAD_ONE = 0x08,  /* four cells */
	SHAPE_PAYLOAD_MANY = 0x10, /* as the column says */
};
#define SHAPE_LOW 0x1f /* what an op's shapes differ by: the rest follows from the op */

enum column {
	COLUMN_RECORD,
	COLUMN_CLOCK,
	COLUMN_NODE,
	COLUMN_SEEN,
	COLUMN_ADDRESS,
	COLUMN_SIZE,
	COLUMN_FD,
	COLUMN_OBJECT,
	COLUMN_ENTRY,
	COLUMN_DURATION,
	COLUMN_RESULT,
	COLUMN_ARG,
	COLUMN_FLAGS,
	COLUMN_EXTRA,
	COLUMN_CELLS,
	COLUMN_PAYLOAD,
	COLUMNS
};

/* The last size at a node: a table without collision handling, which is part of
 * the format. */
#define EXPECTED_BITS 12
static inline uint32_t expected_slot(uint32_t node)
{
	return node * 2654435761u >> (32 - EXPECTED_BITS);
}

#endif
