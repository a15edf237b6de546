/* SPDX-License-Identifier: MIT */
/*
 * Cells to an EVENTS payload. The columns grow side by side in the room behind
 * the output, each with room for the worst case, and are moved together at the
 * end; so nothing is checked or allocated per value.
 */
#include <string.h>

#include "trace/buffer.h"
#include "trace/columns.h"
#include "trace/varint.h"

enum op_class {
	OP_TAKES, /* memory cell of an allocation */
	OP_GIVES, /* memory cell of a free */
	OP_CALL,
	OP_CLOCK,
	OP_WIDE,
	OP_PAD,
	OP_INVALID,
};

/* One more than the class, so that what no row names is invalid. */
#define CLASS_OF(kind)                                                                             \
	(PH_KIND_##kind == PH_KIND_ALLOC  ? OP_TAKES + 1                                           \
	 : PH_KIND_##kind == PH_KIND_FREE ? OP_GIVES + 1                                           \
					  : OP_CALL + 1)
#define PH_IO(id, kind, ...)	  [PH_OP_##id] = CLASS_OF(kind),
#define PH_BY_HAND(id, kind, ...) [PH_OP_##id] = CLASS_OF(kind),
static const uint8_t classes[256] = {
#include "trace/functions.def"
	[PH_OP_REALLOC_BEGIN] = OP_GIVES + 1,
	[PH_OP_REALLOC_FAILED] = OP_TAKES + 1,
	[PH_OP_WIDE] = OP_WIDE + 1,
	[PH_OP_CLOCK] = OP_CLOCK + 1,
	[PH_OP_LOST] = OP_CALL + 1,
	[PH_OP_OBJECT] = OP_CALL + 1,
	[PH_OP_THREAD_START] = OP_CALL + 1,
	[PH_OP_THREAD_END] = OP_CALL + 1,
	[PH_OP_FORKED] = OP_CALL + 1,
	[PH_OP_ENDED] = OP_CALL + 1,
	[PH_OP_PAD] = OP_PAD + 1,
	[PH_OP_SPAWNED] = OP_CALL + 1,
};

/* Every op may need the shape that holds anything; what is left of the symbols
 * is for shapes that hold less. */
#define SYMBOLS_WHOLE (PH_OP_FUNCTIONS + (PH_OP_LAST - PH_OP_REALLOC_BEGIN))
#define SYMBOLS_LEAN  (SYMBOLS_MAX - SYMBOLS_WHOLE)
_Static_assert(SYMBOLS_LEAN >= 0, "each op has a symbol");
#define WHOLE_MEMORY (SHAPE_NODE | SHAPE_SIZE_GIVEN | SHAPE_ADDRESS_FAR)
#define WHOLE_CALL   (SHAPE_NODE | SHAPE_FLAGS | SHAPE_PAYLOAD_MANY)

/* A larger table finds little more (4096 entries: 1 % more bytes, 65536: none less). */
#define SEEN_BITS_MIN 6
#define SEEN_BITS_MAX 14

struct seen {
	uint64_t address;
	uint64_t event;
};

/* Cleared for each block, since a block must decode alone. */
struct tables {
	uint64_t expected[1 << EXPECTED_BITS];
	uint64_t extra[256];
	uint8_t number[256][SHAPE_LOW + 1]; /* of the symbol, + 1 */
	uint8_t symbols[SYMBOLS_MAX][2];
	struct seen seen[]; /* by address; a newer one drives an older one out */
};

/* What the loop over memory cells keeps in registers. */
struct hot {
	uint8_t *record, *node, *seen, *address, *size;
	uint64_t event;
	uint64_t last_seen[2], last_address[2];
};

struct encoder {
	struct hot hot;
	struct tables *tables;
	uint8_t *start[COLUMNS];
	uint8_t *at[COLUMNS];
	unsigned seen_shift; /* 64 less the bits of its index */
	unsigned symbol_count, lean_count;
	ph_map_node *map;
	void *context;
	uint64_t stamp, first_stamp;
	uint64_t call_end;
};

/* Bytes that one cell can add to a column, times 4. */
static const uint8_t worst[COLUMNS] = {
	[COLUMN_RECORD] = 4,   [COLUMN_CLOCK] = 40,    [COLUMN_NODE] = 20,   [COLUMN_SEEN] = 24,
	[COLUMN_ADDRESS] = 40, [COLUMN_SIZE] = 24,     [COLUMN_FD] = 8,	     [COLUMN_OBJECT] = 8,
	[COLUMN_ENTRY] = 14,   [COLUMN_DURATION] = 14, [COLUMN_RESULT] = 14, [COLUMN_ARG] = 14,
	[COLUMN_FLAGS] = 2,    [COLUMN_EXTRA] = 20,    [COLUMN_CELLS] = 4,   [COLUMN_PAYLOAD] = 64,
};
#define HEAD_MAX (PH_VARINT_MAX * (3 + COLUMNS) + 2 * SYMBOLS_MAX)
#define SLACK	 16 /* a last varint, alignment */

static int encoder_begin(struct encoder *e, size_t count, struct ph_buffer *out)
{
	unsigned bits = SEEN_BITS_MIN;
	while (bits < SEEN_BITS_MAX && count >> bits)
		bits++;
	size_t tables_bytes = sizeof(struct tables) + (sizeof(struct seen) << bits);
	size_t total = HEAD_MAX + tables_bytes + SLACK;
	for (int i = 0; i < COLUMNS; i++)
		total += count * worst[i] / 4 + SLACK;
	uint8_t *at = count > PH_ENCODE_CELLS_MAX ? NULL : buffer_reserve(out, total);
	if (!at)
		return -1;
	at += HEAD_MAX;
	for (int i = 0; i < COLUMNS; i++) {
		e->start[i] = e->at[i] = at;
		at += count * worst[i] / 4 + SLACK;
	}
	at += -(uintptr_t)at & (_Alignof(struct tables) - 1);
	e->tables = (struct tables *)at;
	memset(e->tables, 0, tables_bytes);
	e->seen_shift = 64 - bits;
	e->hot.record = e->start[COLUMN_RECORD];
	e->hot.node = e->start[COLUMN_NODE];
	e->hot.seen = e->start[COLUMN_SEEN];
	e->hot.address = e->start[COLUMN_ADDRESS];
	e->hot.size = e->start[COLUMN_SIZE];
	return 0;
}

/* The number of a symbol met for the first time, or 0: the record must take the
 * whole shape. */
static uint8_t new_symbol(struct encoder *e, unsigned op, unsigned shape, unsigned whole)
{
	unsigned low = shape & SHAPE_LOW;
	if (low != whole) {
		if (e->lean_count == SYMBOLS_LEAN)
			return 0;
		e->lean_count++;
	}
	e->tables->symbols[e->symbol_count][0] = (uint8_t)op;
	e->tables->symbols[e->symbol_count][1] = (uint8_t)shape;
	return e->tables->number[op][low] = (uint8_t)++e->symbol_count;
}

/* Put the record's symbol; *shape becomes the one that was found for it. */
static inline uint8_t *put_symbol(struct encoder *e, uint8_t *record, unsigned op, unsigned *shape,
				  unsigned whole)
{
	uint8_t number = e->tables->number[op][*shape & SHAPE_LOW];
	if (__builtin_expect(!number, 0)) {
		number = new_symbol(e, op, *shape, whole);
		if (!number) {
			*shape = (*shape & ~(unsigned)SHAPE_LOW) | whole;
			number = e->tables->number[op][whole];
			if (!number)
				number = new_symbol(e, op, *shape, whole);
		}
	}
	*record++ = (uint8_t)(number - 1);
	return record;
}

static inline void put_memory(struct encoder *e, struct hot *h, unsigned op, unsigned group,
			      uint64_t address, uint64_t size, uint32_t node)
{
	struct seen *seen = &e->tables->seen[(address >> 4) * 0x9E3779B97F4A7C15u >> e->seen_shift];
	uint64_t *expected = &e->tables->expected[expected_slot(node)];
	uint64_t delta = address - h->last_address[group];
	uint64_t earlier = seen->event;
	unsigned shape = SHAPE_MEMORY | group * SHAPE_GIVES;

	/* Events are kept from 1: 0 is an empty slot. */
	if (seen->address == address && earlier)
		shape |= SHAPE_ADDRESS_SEEN;
	else
		shape |= delta & 15 ? SHAPE_ADDRESS_FAR : SHAPE_ADDRESS_NEAR;
	seen->address = address;
	seen->event = ++h->event;
	if (node)
		shape |= SHAPE_NODE;
	if (size)
		shape |= size == *expected ? SHAPE_SIZE_EXPECTED : SHAPE_SIZE_GIVEN;

	h->record = put_symbol(e, h->record, op, &shape, WHOLE_MEMORY);
	if (shape & SHAPE_NODE)
		h->node = varint_put(h->node, node);
	if (shape & SHAPE_SIZE_GIVEN) {
		h->size = varint_put(h->size, size);
		*expected = size;
	}
	if ((shape & SHAPE_ADDRESS) == SHAPE_ADDRESS_SEEN) {
		h->seen = varint_put(h->seen, zigzag(earlier - h->last_seen[group]));
		h->last_seen[group] = earlier;
		return;
	}
	if (shape & SHAPE_ADDRESS_NEAR)
		delta = (uint64_t)((int64_t)delta >> 4);
	h->address = varint_put(h->address, zigzag(delta));
	h->last_address[group] = address;
}

static inline uint32_t map_node(struct encoder *e, uint32_t node)
{
	return node ? e->map(e->context, node) : 0;
}

/* Memory cells from `at` on, as far as they go without a special one. */
static size_t put_memory_cells(struct encoder *e, const struct ph_cell *cells, size_t at,
			       size_t count)
{
	struct hot hot = e->hot;
	for (; at < count; at++) {
		struct ph_cell c = cells[at];
		unsigned op = ph_cell_op(c);
		unsigned group = classes[op] - 1u;
		if (group > OP_GIVES)
			break;
		put_memory(e, &hot, op, group, ph_cell_address(c), ph_cell_size(c),
			   map_node(e, ph_cell_node(c)));
	}
	e->hot = hot;
	return at;
}

static size_t put_wide(struct encoder *e, const struct ph_cell *cells, size_t left)
{
	uint64_t address = cells[0].w0 >> 16, size = cells[0].w1;
	if (left < 2 || address > 0xffff || size > 0xffffff)
		return 0;
	unsigned op = ph_cell_op(cells[1]);
	unsigned group = classes[op] - 1u;
	if (group > OP_GIVES)
		return 0;
	put_memory(e, &e->hot, op, group, address << 48 | ph_cell_address(cells[1]),
		   size << 40 | ph_cell_size(cells[1]), map_node(e, ph_cell_node(cells[1])));
	return 2;
}

static size_t put_clock(struct encoder *e, uint64_t stamp)
{
	uint64_t delta = stamp - e->stamp;
	e->stamp = stamp;
	if (!e->hot.event) {
		e->first_stamp = stamp;
	} else if (delta) {
		unsigned shape = SHAPE_CLOCK;
		e->hot.record = put_symbol(e, e->hot.record, PH_OP_CLOCK, &shape, 0);
		e->at[COLUMN_CLOCK] = varint_put(e->at[COLUMN_CLOCK], delta);
	}
	return 1;
}

static void put(struct encoder *e, enum column column, uint64_t value)
{
	e->at[column] = varint_put(e->at[column], value);
}

static void put_payload(struct encoder *e, const struct ph_call *call, const struct ph_cell *cells,
			unsigned shape)
{
	size_t more = call->cells - PH_CALL_CELLS;
	if (shape & SHAPE_PAYLOAD_ONE) {
		put(e, COLUMN_EXTRA, zigzag(cells->w0 - e->tables->extra[call->op]));
		put(e, COLUMN_EXTRA, zigzag(cells->w1));
		e->tables->extra[call->op] = cells->w0;
	} else if (shape & SHAPE_PAYLOAD_MANY) {
		put(e, COLUMN_CELLS, more);
		memcpy(e->at[COLUMN_PAYLOAD], cells, more * sizeof(*cells));
		e->at[COLUMN_PAYLOAD] += more * sizeof(*cells);
	}
}

static unsigned call_shape(const struct ph_call *call)
{
	unsigned shape = SHAPE_CALL;
	if (call->node)
		shape |= SHAPE_NODE;
	if (call->flags)
		shape |= SHAPE_FLAGS;
	if (call->arg == call->result)
		shape |= SHAPE_ARG_IS_RESULT;
	if (call->cells > PH_CALL_CELLS + 1)
		shape |= SHAPE_PAYLOAD_MANY;
	else if (call->cells > PH_CALL_CELLS)
		shape |= SHAPE_PAYLOAD_ONE;
	return shape;
}

static size_t put_call(struct encoder *e, const struct ph_cell *cells, size_t left)
{
	struct ph_call call;
	if (left < PH_CALL_CELLS)
		return 0;
	memcpy(&call, cells, sizeof(call));
	if (call.cells < PH_CALL_CELLS || call.cells > PH_CALL_CELLS_MAX || call.cells > left)
		return 0;
	call.node = map_node(e, call.node);
	unsigned shape = call_shape(&call);
	e->hot.record = put_symbol(e, e->hot.record, call.op, &shape, WHOLE_CALL);
	e->hot.event++;
	if (shape & SHAPE_NODE)
		e->hot.node = varint_put(e->hot.node, call.node);
	if (shape & SHAPE_FLAGS)
		*e->at[COLUMN_FLAGS]++ = call.flags;
	put(e, COLUMN_FD, zigzag((uint64_t)call.fd));
	put(e, COLUMN_OBJECT, call.object);
	put(e, COLUMN_ENTRY, zigzag(call.entry - e->call_end));
	put(e, COLUMN_DURATION, call.duration);
	e->call_end = call.entry + call.duration;
	put(e, COLUMN_RESULT, zigzag((uint64_t)call.result));
	if (!(shape & SHAPE_ARG_IS_RESULT))
		put(e, COLUMN_ARG, zigzag((uint64_t)call.arg));
	put_payload(e, &call, cells + PH_CALL_CELLS, shape);
	return call.cells;
}

/* The event at `cells`: how many cells it takes, 0 if it is not a valid one. */
static size_t put_special(struct encoder *e, const struct ph_cell *cells, size_t left)
{
	size_t pad;

	switch (classes[ph_cell_op(cells[0])] - 1) {
	case OP_CLOCK:
		return put_clock(e, cells[0].w1);
	case OP_WIDE:
		return put_wide(e, cells, left);
	case OP_CALL:
		return put_call(e, cells, left);
	case OP_PAD:
		pad = cells[0].w0 >> 16 & 0xffff;
		return pad > left || pad > PH_CALL_CELLS_MAX ? 0 : pad;
	default:
		return 0;
	}
}

/* The head, then the columns moved down behind it. */
static void encoder_finish(struct encoder *e, struct ph_buffer *out)
{
	uint8_t *at = out->data + out->length;
	e->at[COLUMN_RECORD] = e->hot.record;
	e->at[COLUMN_NODE] = e->hot.node;
	e->at[COLUMN_SEEN] = e->hot.seen;
	e->at[COLUMN_ADDRESS] = e->hot.address;
	e->at[COLUMN_SIZE] = e->hot.size;

	at = varint_put(at, EVENTS_LAYOUT);
	at = varint_put(at, e->symbol_count);
	memcpy(at, e->tables->symbols, (size_t)e->symbol_count * 2);
	at += (size_t)e->symbol_count * 2;
	for (int i = 0; i < COLUMNS; i++)
		at = varint_put(at, (uint64_t)(e->at[i] - e->start[i]));
	for (int i = 0; i < COLUMNS; i++) {
		size_t length = (size_t)(e->at[i] - e->start[i]);
		memmove(at, e->start[i], length);
		at += length;
	}
	out->length = (size_t)(at - out->data);
}

int ph_encode_events(const struct ph_cell *cells, size_t count, ph_map_node *map, void *context,
		     uint64_t *stamp, struct ph_block_header *header, struct ph_buffer *out,
		     size_t *bad_cell)
{
	struct encoder e = {.map = map, .context = context, .stamp = *stamp, .first_stamp = *stamp};
	size_t at = 0;

	header->events = 0;
	header->first_stamp = *stamp;
	if (encoder_begin(&e, count, out)) {
		out->failed = 1;
		*bad_cell = 0;
		return -1;
	}
	while ((at = put_memory_cells(&e, cells, at, count)) < count) {
		size_t taken = put_special(&e, cells + at, count - at);
		if (!taken)
			break;
		at += taken;
	}
	encoder_finish(&e, out);
	*stamp = e.stamp;
	header->events = (uint32_t)e.hot.event;
	header->first_stamp = e.first_stamp;
	*bad_cell = at;
	return at < count ? -1 : 0;
}
