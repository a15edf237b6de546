/* SPDX-License-Identifier: MIT */
/*
 * Cells to an EVENTS payload. The columns grow side by side in the room behind
 * the output, each with room for the worst case, and are moved together at the
 * end; so nothing is checked or allocated per value.
 */
#include <stdbool.h>
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
	[PH_OP_LOCKED] = OP_CALL + 1,
};

/* Every op may need the shape that holds anything; what is left of the symbols
 * is for shapes that hold less. Few blocks have many ops: only where they turn out to
 * be more than some, a block is encoded again with room for all. */
#define SYMBOLS_WHOLE (PH_OP_FUNCTIONS + (PH_OP_LAST - PH_OP_REALLOC_BEGIN))
#define SYMBOLS_SOME  100
#define SYMBOLS_LEAN  (SYMBOLS_MAX - SYMBOLS_WHOLE)
_Static_assert(SYMBOLS_LEAN >= 0, "each op has a symbol");
#define WHOLE_MEMORY (SHAPE_NODE | SHAPE_SIZE_GIVEN | SHAPE_ADDRESS_FAR)
#define WHOLE_CALL   (SHAPE_NODE | SHAPE_FLAGS | SHAPE_PAYLOAD_MANY)

/* A larger table finds little more (4096 entries: 1 % more bytes, 65536: none less).
 * An entry is the upper 44 bits of an address that fits 48, and the number of its
 * last event; addresses that are no multiple of 16 are not looked up. */
#define SEEN_BITS_MIN	 6
#define SEEN_BITS_MAX	 14
#define SEEN_EVENT_BITS	 20
#define SEEN_MULTIPLE	 16
#define SEEN_ADDRESS_MAX UINT64_C(0xffffffffffff)
_Static_assert(PH_ENCODE_CELLS_MAX < 1u << SEEN_EVENT_BITS, "an event's number fits");

/* Cleared for each block, since a block must decode alone. */
struct tables {
	uint64_t expected[1 << EXPECTED_BITS];
	uint64_t extra[256];
	uint8_t number[256][SHAPE_LOW + 1]; /* of the symbol, + 1 */
	uint8_t symbols[SYMBOLS_MAX][2];
	uint64_t seen[]; /* by address; a newer one drives an older one out */
};

/* What the loop over memory cells keeps in registers: nothing that is stored through
 * a byte pointer may alias it. */
struct hot {
	struct tables *tables;
	const uint32_t *numbers; /* the map's */
	uint32_t number_count;
	unsigned seen_shift; /* 64 less the bits of its index */
	uint8_t *record, *node, *seen, *address, *size, *clock;
	uint64_t event, stamp;
	uint64_t last_seen[2], last_address[2];
};

struct encoder {
	struct hot hot;
	uint8_t *start[COLUMNS];
	uint8_t *at[COLUMNS];
	unsigned symbol_count, lean_count, lean_most;
	bool short_of_symbols; /* what was encoded is no good */
	const struct ph_node_map *map;
	uint64_t first_stamp;
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
	size_t tables_bytes = sizeof(struct tables) + (sizeof(uint64_t) << bits);
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
	e->hot.tables = (struct tables *)at;
	memset(e->hot.tables, 0, tables_bytes);
	e->hot.seen_shift = 64 - bits;
	e->hot.record = e->start[COLUMN_RECORD];
	e->hot.node = e->start[COLUMN_NODE];
	e->hot.seen = e->start[COLUMN_SEEN];
	e->hot.address = e->start[COLUMN_ADDRESS];
	e->hot.size = e->start[COLUMN_SIZE];
	e->hot.clock = e->start[COLUMN_CLOCK];
	return 0;
}

/* The number of a symbol met for the first time, or 0: the record must take the
 * whole shape. */
static uint8_t new_symbol(struct encoder *e, unsigned op, unsigned shape, unsigned whole)
{
	unsigned low = shape & SHAPE_LOW;
	if (low != whole) {
		if (e->lean_count == e->lean_most)
			return 0;
		e->lean_count++;
	}
	if (e->symbol_count == SYMBOLS_MAX) {
		e->short_of_symbols = true;
		return 1;
	}
	e->hot.tables->symbols[e->symbol_count][0] = (uint8_t)op;
	e->hot.tables->symbols[e->symbol_count][1] = (uint8_t)shape;
	return e->hot.tables->number[op][low] = (uint8_t)++e->symbol_count;
}

/* The number of the record's symbol, + 1, when its own shape has none yet; *shape
 * becomes the one that was found for it. */
static __attribute__((noinline)) uint8_t other_symbol(struct encoder *e, unsigned op,
						      unsigned *shape, unsigned whole)
{
	uint8_t number = new_symbol(e, op, *shape, whole);
	if (number)
		return number;
	*shape = (*shape & ~(unsigned)SHAPE_LOW) | whole;
	number = e->hot.tables->number[op][whole];
	return number ? number : new_symbol(e, op, *shape, whole);
}

/* The number of the record's symbol. */
static inline uint8_t symbol_of(struct encoder *e, const struct tables *tables, unsigned op,
				unsigned *shape, unsigned whole)
{
	uint8_t number = tables->number[op][*shape & SHAPE_LOW];
	if (__builtin_expect(!number, 0)) {
		unsigned other = *shape;
		number = other_symbol(e, op, &other, whole);
		*shape = other;
	}
	return (uint8_t)(number - 1);
}

/* As varint_put(), without a branch for values of up to two bytes; writes one byte
 * more than it takes. */
static inline uint8_t *put_short(uint8_t *at, uint64_t value)
{
	if (__builtin_expect(value < 1u << 14, 1)) {
		unsigned two = value >= 0x80;
		at[0] = (uint8_t)(value | two << 7);
		at[1] = (uint8_t)(value >> 7);
		return at + 1 + two;
	}
	return varint_put(at, value);
}

/* Where the last event of an address stands in the table; its number there is left in
 * *earlier, or 0: there is none. */
static inline uint64_t *find_seen(const struct hot *h, uint64_t address, uint64_t *earlier)
{
	uint64_t key = address / SEEN_MULTIPLE;
	uint64_t *seen = &h->tables->seen[key * 0x9E3779B97F4A7C15u >> h->seen_shift];
	uint64_t event = *seen ^ key << SEEN_EVENT_BITS;

	*earlier = event >> SEEN_EVENT_BITS ? 0 : event;
	return seen;
}

/* Note where the address is seen, in the event that h->event counts already. Returns
 * the event before, or 0. */
static inline uint64_t see(const struct hot *h, uint64_t address)
{
	uint64_t earlier, *seen;

	if (__builtin_expect(address % SEEN_MULTIPLE || address > SEEN_ADDRESS_MAX, 0))
		return 0;
	seen = find_seen(h, address, &earlier);
	*seen = address / SEEN_MULTIPLE << SEEN_EVENT_BITS | h->event;
	return earlier;
}

/* Always inlined, for one group: what that does not need falls away. */
static inline __attribute__((always_inline)) void put_memory(struct encoder *e, struct hot *h,
							     unsigned op, unsigned group,
							     uint64_t address, uint64_t size,
							     uint32_t node)
{
	uint64_t delta = address - h->last_address[group], earlier;
	unsigned shape = SHAPE_MEMORY | group * SHAPE_GIVES;

	/* Events are counted from 1: 0 is an empty entry. */
	h->event++;
	earlier = see(h, address);
	if (!earlier)
		shape |= delta % 16 ? SHAPE_ADDRESS_FAR : SHAPE_ADDRESS_NEAR;
	if (group == OP_TAKES || __builtin_expect(node || size, 0)) {
		uint64_t *expected = &h->tables->expected[expected_slot(node)];

		shape |= node ? SHAPE_NODE : 0;
		if (size)
			shape |= size == *expected ? SHAPE_SIZE_EXPECTED : SHAPE_SIZE_GIVEN;
		*h->record++ = symbol_of(e, h->tables, op, &shape, WHOLE_MEMORY);
		if (shape & SHAPE_NODE)
			h->node = put_short(h->node, node);
		if (shape & SHAPE_SIZE_GIVEN) {
			h->size = put_short(h->size, size);
			*expected = size;
		}
	} else {
		*h->record++ = symbol_of(e, h->tables, op, &shape, WHOLE_MEMORY);
		/* The whole shape, as above. */
		if (__builtin_expect(shape & SHAPE_NODE, 0)) {
			h->node = put_short(h->node, 0);
			h->size = put_short(h->size, 0);
			h->tables->expected[expected_slot(0)] = 0;
		}
	}
	if (earlier && !(shape & SHAPE_ADDRESS)) {
		h->seen = put_short(h->seen, zigzag(earlier - h->last_seen[group]));
		h->last_seen[group] = earlier;
		return;
	}
	if (shape & SHAPE_ADDRESS_NEAR)
		delta = (uint64_t)((int64_t)delta >> 4);
	h->address = put_short(h->address, zigzag(delta));
	h->last_address[group] = address;
}

static __attribute__((noinline)) uint32_t define_node(const struct encoder *e, uint32_t node)
{
	return e->map->define(e->map->context, node);
}

static inline uint32_t map_node(const struct encoder *e, struct hot *h, uint32_t node)
{
	uint32_t number = 0;

	if (__builtin_expect(node < h->number_count, 1))
		number = h->numbers[node];
	if (__builtin_expect(!number && node, 0)) {
		number = define_node(e, node);
		h->numbers = e->map->numbers;
		h->number_count = e->map->count;
	}
	return number;
}

static inline void put_clock(struct encoder *e, struct hot *h, uint64_t stamp)
{
	uint64_t delta = stamp - h->stamp;
	unsigned shape = SHAPE_CLOCK;

	h->stamp = stamp;
	if (!h->event) {
		e->first_stamp = stamp;
	} else if (delta) {
		*h->record++ = symbol_of(e, h->tables, PH_OP_CLOCK, &shape, 0);
		h->clock = put_short(h->clock, delta);
	}
}

/* Where there are many stacks their numbers do not fit the caches. */
#define AHEAD 16
static inline void prefetch_node(const struct hot *h, struct ph_cell c)
{
	if (ph_cell_node(c) < h->number_count)
		__builtin_prefetch(&h->numbers[ph_cell_node(c)]);
}

/* Memory cells and stamps from `at` on, as far as they go without another. AHEAD cells
 * behind them can be read. */
static size_t put_memory_cells(struct encoder *e, const struct ph_cell *cells, size_t at,
			       size_t count)
{
	struct hot hot = e->hot;
	for (; at < count; at++) {
		struct ph_cell c = cells[at];
		unsigned op = ph_cell_op(c);
		unsigned class = classes[op] - 1u;
		prefetch_node(&hot, cells[at + AHEAD]);
		if (class == OP_TAKES)
			put_memory(e, &hot, op, OP_TAKES, ph_cell_address(c), ph_cell_size(c),
				   map_node(e, &hot, ph_cell_node(c)));
		else if (class == OP_GIVES)
			put_memory(e, &hot, op, OP_GIVES, ph_cell_address(c), ph_cell_size(c),
				   map_node(e, &hot, ph_cell_node(c)));
		else if (class == OP_CLOCK)
			put_clock(e, &hot, c.w1);
		else
			break;
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
	address = address << 48 | ph_cell_address(cells[1]);
	size = size << 40 | ph_cell_size(cells[1]);
	uint32_t node = map_node(e, &e->hot, ph_cell_node(cells[1]));
	if (group == OP_TAKES)
		put_memory(e, &e->hot, op, OP_TAKES, address, size, node);
	else
		put_memory(e, &e->hot, op, OP_GIVES, address, size, node);
	return 2;
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
		put(e, COLUMN_EXTRA, zigzag(cells->w0 - e->hot.tables->extra[call->op]));
		put(e, COLUMN_EXTRA, zigzag(cells->w1));
		e->hot.tables->extra[call->op] = cells->w0;
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
	call.node = map_node(e, &e->hot, call.node);
	unsigned shape = call_shape(&call);
	*e->hot.record++ = symbol_of(e, e->hot.tables, call.op, &shape, WHOLE_CALL);
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
	e->at[COLUMN_CLOCK] = e->hot.clock;

	at = varint_put(at, EVENTS_LAYOUT);
	at = varint_put(at, e->symbol_count);
	memcpy(at, e->hot.tables->symbols, (size_t)e->symbol_count * 2);
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

/* What is looked at at once: a copy that stays in the nearest cache. Whatever is left
 * of it is less than the longest event, or is none. */
#define WINDOW_CELLS 512
struct window {
	struct ph_cell cells[PH_CALL_CELLS_MAX + WINDOW_CELLS];
	struct ph_cell ahead[AHEAD];
	size_t count;
	struct ph_cells left;
};

static void window_fill(struct window *w, size_t used)
{
	struct ph_cells *left = &w->left;
	size_t room = sizeof(w->cells) / sizeof(w->cells[0]);

	w->count -= used;
	memmove(w->cells, w->cells + used, w->count * sizeof(*w->cells));
	while (left->count && w->count < room) {
		size_t n = room - w->count < left->count ? room - w->count : left->count;
		memcpy(w->cells + w->count, left->cells, n * sizeof(*w->cells));
		w->count += n;
		left->cells += n;
		left->count -= n;
		if (!left->count)
			*left = (struct ph_cells){left->more, left->more_count, NULL, 0};
	}
}

/* As many events as there are. Returns how many cells they take. */
static size_t put_cells(struct encoder *e, const struct ph_cells *in)
{
	struct window w = {.left = *in};
	size_t done = 0;

	if (!w.left.count)
		w.left = (struct ph_cells){in->more, in->more_count, NULL, 0};
	window_fill(&w, 0);
	for (;;) {
		size_t at = 0, taken;
		while ((at = put_memory_cells(e, w.cells, at, w.count)) < w.count &&
		       (taken = put_special(e, w.cells + at, w.count - at)))
			at += taken;
		done += at;
		/* It may go on behind the window. */
		if (!at || !w.left.count || e->short_of_symbols)
			return done;
		window_fill(&w, at);
	}
}

/* Into the columns; *taken is how many cells. False: no memory. */
static bool encode(struct encoder *e, const struct ph_cells *in, const struct ph_node_map *map,
		   uint64_t stamp, unsigned lean_most, struct ph_buffer *out, size_t *taken)
{
	*e = (struct encoder){
		.hot = {.numbers = map->numbers, .number_count = map->count, .stamp = stamp},
		.map = map,
		.first_stamp = stamp,
		.lean_most = lean_most,
	};
	if (encoder_begin(e, in->count + in->more_count, out)) {
		out->failed = 1;
		return false;
	}
	*taken = put_cells(e, in);
	return true;
}

int ph_encode_events(const struct ph_cells *in, const struct ph_node_map *map, uint64_t *stamp,
		     struct ph_block_header *header, struct ph_buffer *out, size_t *bad_cell)
{
	size_t count = in->count + in->more_count;
	struct encoder e;

	header->events = 0;
	header->first_stamp = *stamp;
	*bad_cell = 0;
	if (!encode(&e, in, map, *stamp, SYMBOLS_MAX - SYMBOLS_SOME, out, bad_cell))
		return -1;
	if (e.short_of_symbols && !encode(&e, in, map, *stamp, SYMBOLS_LEAN, out, bad_cell))
		return -1;
	encoder_finish(&e, out);
	*stamp = e.hot.stamp;
	header->events = (uint32_t)e.hot.event;
	header->first_stamp = e.first_stamp;
	return *bad_cell < count ? -1 : 0;
}
