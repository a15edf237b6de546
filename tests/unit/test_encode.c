/* SPDX-License-Identifier: MIT */
/* Events and stacks to columns and back, and what damaged columns do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/decode.h"
#include "trace/encode.h"
#include "trace/functions.h"

#define ROOM 40000

static struct ph_cell cells[ROOM];
static size_t count;
static uint64_t state_;

static uint64_t rnd(void)
{
	state_ ^= state_ << 13;
	state_ ^= state_ >> 7;
	state_ ^= state_ << 17;
	return state_;
}

/* Any magnitude is as likely as any other. */
static uint64_t rnd_wide(void)
{
	return rnd() >> rnd() % 64;
}

static void restart(void)
{
	count = 0;
	state_ = 88172645463325252u;
}

static void add(uint64_t w0, uint64_t w1)
{
	assert_true(count < ROOM);
	cells[count++] = (struct ph_cell){w0, w1};
}

static void add_clock(uint64_t stamp)
{
	add(PH_OP_CLOCK, stamp);
}

static void add_memory(unsigned op, uint64_t address, uint64_t size, uint32_t node)
{
	if (ph_memory_is_wide(address, size))
		add(address >> 48 << 16 | PH_OP_WIDE, size >> 40);
	assert_true(count < ROOM);
	cells[count++] = ph_memory_cell(op, address, size & 0xffffffffff, node);
}

static void add_call(struct ph_call call, unsigned payload)
{
	call.cells = (uint16_t)(PH_CALL_CELLS + payload);
	assert_true(count + call.cells <= ROOM);
	memcpy(&cells[count], &call, sizeof(call));
	count += PH_CALL_CELLS;
	while (payload--)
		add(rnd_wide(), rnd_wide());
}

static int is_memory(unsigned op)
{
	if (op < PH_OP_FUNCTIONS)
		return ph_functions[op].kind == PH_KIND_ALLOC ||
		       ph_functions[op].kind == PH_KIND_FREE;
	return op == PH_OP_REALLOC_BEGIN || op == PH_OP_REALLOC_FAILED;
}

static int is_call(unsigned op)
{
	return op && !is_memory(op) &&
	       (op < PH_OP_FUNCTIONS || (op >= PH_OP_LOST && op <= PH_OP_ENDED) ||
		op == PH_OP_LOCKED);
}

static unsigned rnd_op(int (*of)(unsigned op))
{
	for (;;) {
		unsigned op = (unsigned)(rnd() % 256);
		if (of(op))
			return op;
	}
}

/* File numbers that differ from the segment's, and how often they were asked for. */
struct mapping {
	unsigned asked;
	uint32_t last;
};

static uint32_t map_node(void *context, uint32_t node)
{
	struct mapping *m = context;
	assert_int_not_equal(node, 0);
	m->asked++;
	return m->last = node * 3 + 1;
}

static uint32_t mapped(uint32_t node)
{
	return node ? node * 3 + 1 : 0;
}

/* What decoding cells[from..] must give, read from the cells one by one. */
static void expect_events(const struct ph_cell *c, size_t n, uint64_t stamp,
			  const struct ph_events *got)
{
	uint64_t high_address = 0, high_size = 0;
	size_t events = 0;

	for (size_t i = 0; i < n;) {
		unsigned op = ph_cell_op(c[i]);
		const struct ph_event *e = &got->events[events];
		if (op == PH_OP_CLOCK) {
			stamp = c[i++].w1;
		} else if (op == PH_OP_WIDE) {
			high_address = c[i].w0 >> 16 << 48;
			high_size = c[i++].w1 << 40;
		} else if (op == PH_OP_PAD) {
			i += c[i].w0 >> 16 & 0xffff;
		} else if (is_memory(op)) {
			assert_true(events++ < got->count);
			assert_int_equal(e->op, op);
			assert_int_equal(e->stamp, stamp);
			assert_int_equal(e->address, high_address | ph_cell_address(c[i]));
			assert_int_equal(e->size, high_size | ph_cell_size(c[i]));
			assert_int_equal(e->node, mapped(ph_cell_node(c[i])));
			assert_null(e->call);
			high_address = high_size = 0;
			i++;
		} else {
			struct ph_call call;
			memcpy(&call, &c[i], sizeof(call));
			call.node = mapped(call.node);
			assert_true(events++ < got->count);
			assert_int_equal(e->op, op);
			assert_int_equal(e->stamp, stamp);
			assert_int_equal(e->node, call.node);
			assert_non_null(e->call);
			assert_memory_equal(e->call, &call, sizeof(call));
			assert_memory_equal(e->call + 1, &c[i + PH_CALL_CELLS],
					    (call.cells - PH_CALL_CELLS) * sizeof(*c));
			i += call.cells;
		}
	}
	assert_int_equal(got->count, events);
}

static struct ph_events decoded; /* reused from test to test, as a reader does */

static void round_trip_from(const struct ph_cell *c, size_t n, uint64_t *stamp)
{
	struct ph_block_header h = {.kind = PH_BLOCK_EVENTS};
	struct ph_buffer payload = {0};
	struct mapping m = {0};
	uint64_t before = *stamp;
	size_t bad;

	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = c, .count = n},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  stamp, &h, &payload, &bad),
			 0);
	assert_false(payload.failed);
	assert_null(ph_decode_events(&h, payload.data, payload.length, &decoded));
	assert_int_equal(decoded.count, h.events);
	expect_events(c, n, before, &decoded);
	if (h.events)
		assert_int_equal(h.first_stamp, decoded.events[0].stamp);
	ph_buffer_free(&payload);
}

static void round_trip(void)
{
	uint64_t stamp = 77;
	round_trip_from(cells, count, &stamp);
}

static struct ph_call rnd_call(void)
{
	int64_t result = (int64_t)(rnd() % 2 ? rnd_wide() : 0 - rnd_wide());
	return (struct ph_call){
		.op = (uint8_t)rnd_op(is_call),
		.flags = rnd() % 4 ? 0 : (uint8_t)rnd(),
		.fd = rnd() % 4 ? (int32_t)(rnd() % 10) : (int32_t)rnd(),
		.object = rnd() % 2 ? 0 : (uint32_t)rnd_wide(),
		.node = rnd() % 2 ? 0 : (uint32_t)rnd_wide(),
		.entry = rnd_wide(),
		.duration = rnd_wide(),
		.result = result,
		.arg = rnd() % 2 ? result : (int64_t)rnd(),
	};
}

static void add_random_event(void)
{
	static uint64_t live[64];
	uint64_t *slot = &live[rnd() % 64];

	switch (rnd() % 16) {
	case 0:
		add_clock(rnd() % 8 ? 1000000 + count * 1000 : rnd_wide());
		break;
	case 1:
		add_memory(rnd_op(is_memory), rnd_wide(), rnd_wide(), (uint32_t)rnd_wide());
		break;
	case 2:
		add_call(rnd_call(), rnd() % 2 ? 0 : (unsigned)(rnd() % 4));
		break;
	case 3:
		add_call(rnd_call(), (unsigned)(rnd() % (PH_CALL_CELLS_MAX - PH_CALL_CELLS + 1)));
		break;
	case 4:
		add(PH_OP_PAD | 3 << 16, 0);
		add(rnd(), rnd());
		add(rnd(), rnd());
		break;
	default:
		if (*slot) {
			add_memory(PH_OP_free, *slot, 0, 0);
			*slot = 0;
		} else {
			*slot = 0x7f0000000000 + (rnd() % 1000) * 16;
			add_memory(PH_OP_malloc, *slot, rnd() % 500, (uint32_t)(rnd() % 9));
		}
	}
}

static void random_streams(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		uint64_t stamp = 0;
		restart();
		state_ *= seed;
		/* Several blocks of one stream: each must decode alone. */
		for (unsigned block = 0; block < 5; block++) {
			count = 0;
			while (count < rnd() % 4000)
				add_random_event();
			round_trip_from(cells, count, &stamp);
		}
	}
}

static void every_op(void **state)
{
	(void)state;
	restart();
	for (unsigned op = 0; op < 256; op++) {
		if (is_memory(op)) {
			add_memory(op, 0x1000 + op, op, op);
		} else if (is_call(op)) {
			struct ph_call call = rnd_call();
			call.op = (uint8_t)op;
			add_call(call, op % 5);
		}
	}
	round_trip();
	assert_int_equal(decoded.count, PH_OP_FUNCTIONS - 1 + 9);
}

/* 2^k and its neighbours, in each field. */
static void every_magnitude(void **state)
{
	(void)state;
	restart();
	for (unsigned k = 0; k < 64; k++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (1ull << k) + (uint64_t)(int64_t)d;
			add_clock(v);
			add_memory(PH_OP_malloc, v, 1, 1);
			add_memory(PH_OP_malloc, 4096, v, 2);
			add_memory(PH_OP_malloc, v << 4, v, (uint32_t)v);
			add_memory(PH_OP_free, 0 - v, 0, 0);
			add_memory(PH_OP_free_sized, v, v, 0);
			struct ph_call call = {.op = PH_OP_pread,
					       .flags = (uint8_t)v,
					       .fd = (int32_t)v,
					       .object = (uint32_t)v,
					       .node = (uint32_t)v,
					       .entry = v,
					       .duration = v,
					       .result = (int64_t)v,
					       .arg = (int64_t)v};
			add_call(call, 1);
			call.fd = ~call.fd;
			call.result = (int64_t)(0 - v);
			call.entry = call.duration = 0 - v;
			add_call(call, 0);
		}
	}
	round_trip();
	restart();
	for (unsigned payload = 0; payload <= PH_CALL_CELLS_MAX - PH_CALL_CELLS; payload += 13)
		add_call(rnd_call(), payload);
	round_trip();
}

/* More kinds of records than there are symbols. */
static void more_shapes_than_symbols(void **state)
{
	size_t distinct = 0;
	(void)state;
	restart();
	for (unsigned op = 0; op < 256; op++) {
		for (unsigned shape = 0; is_memory(op) && shape < 18; shape++) {
			uint64_t address = shape % 3 == 0   ? 4096
					   : shape % 3 == 1 ? (rnd() >> 20 << 4)
							    : (rnd() >> 20 | 1);
			uint32_t node = shape / 9 ? 1 + shape % 2 : 0;
			/* A size as expected is one that was there before. */
			add_memory(op, address, shape / 3 % 3 ? shape / 3 % 3 + op / 3 : 0, node);
			add_memory(op, address, shape / 3 % 3 ? shape / 3 % 3 + op / 3 : 0, node);
			distinct++;
		}
		for (unsigned shape = 0; is_call(op) && shape < 24; shape++) {
			struct ph_call call = rnd_call();
			call.op = (uint8_t)op;
			call.node = shape & 1;
			call.flags = shape >> 1 & 1;
			call.arg = call.result + (shape >> 2 & 1);
			add_call(call, shape >> 3);
			distinct++;
		}
	}
	add_clock(99);
	add_memory(PH_OP_malloc, 1, 2, 3);
	assert_true(distinct > 256);
	round_trip();
}

static void nodes_are_mapped_once(void **state)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	struct mapping m = {0};
	uint64_t stamp = 0;
	size_t bad;
	(void)state;
	restart();
	add_memory(PH_OP_malloc, 16, 1, 5);
	add_memory(PH_OP_malloc, 32, 1, 5);
	add_memory(PH_OP_free, 16, 0, 0);
	add_call((struct ph_call){.op = PH_OP_read}, 0);
	add_memory(PH_OP_malloc, 1ull << 60, 1, 6);
	add_call((struct ph_call){.op = PH_OP_read, .node = 8}, 2);
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells, .count = count},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  &stamp, &h, &payload, &bad),
			 0);
	assert_int_equal(m.asked, 4);
	assert_int_equal(m.last, 25);
	assert_int_equal(h.events, 6);
	ph_buffer_free(&payload);
}

static void clocks(void **state)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	struct mapping m;
	uint64_t stamp = 5;
	size_t bad;
	(void)state;
	restart();
	add_clock(7);
	add_clock(9);
	add_memory(PH_OP_malloc, 16, 1, 0);
	add_clock(9);
	add_memory(PH_OP_free, 16, 0, 0);
	add_clock(4);
	add_memory(PH_OP_malloc, 16, 1, 0);
	add_clock(11);
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells, .count = count},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  &stamp, &h, &payload, &bad),
			 0);
	assert_int_equal(h.first_stamp, 9);
	assert_int_equal(stamp, 11);
	assert_null(ph_decode_events(&h, payload.data, payload.length, &decoded));
	assert_int_equal(decoded.count, 3);
	assert_int_equal(decoded.events[0].stamp, 9);
	assert_int_equal(decoded.events[1].stamp, 9);
	assert_int_equal(decoded.events[2].stamp, 4);

	/* The next block begins where this one ended; what is there is kept. */
	size_t first = payload.length;
	restart();
	add_memory(PH_OP_malloc, 16, 1, 0);
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells, .count = count},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  &stamp, &h, &payload, &bad),
			 0);
	assert_int_equal(h.first_stamp, 11);
	assert_null(ph_decode_events(&h, payload.data + first, payload.length - first, &decoded));
	assert_int_equal(decoded.count, 1);
	assert_int_equal(decoded.events[0].stamp, 11);
	ph_buffer_free(&payload);
}

static void nothing_is_a_block_too(void **state)
{
	(void)state;
	restart();
	round_trip();
	assert_int_equal(decoded.count, 0);
	add_clock(3);
	add(PH_OP_PAD | 3 << 16, 0);
	add(0, 0);
	add(0, 0);
	round_trip();
	assert_int_equal(decoded.count, 0);
}

/* Five good cells are there: the bad one comes sixth. */
static void stops_at_the_end(void)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	struct mapping m;
	uint64_t stamp = 0;
	size_t bad = 0;

	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells, .count = count},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  &stamp, &h, &payload, &bad),
			 -1);
	assert_int_equal(bad, 5);
	assert_false(payload.failed);
	assert_int_equal(h.events, 2);
	assert_int_equal(stamp, 123);
	assert_null(ph_decode_events(&h, payload.data, payload.length, &decoded));
	expect_events(cells, 5, 0, &decoded);
	ph_buffer_free(&payload);
	count = 5;
}

static void bad_cells_are_named(void **state)
{
	(void)state;
	restart();
	add_clock(123);
	add_memory(PH_OP_malloc, 4096, 10, 1);
	add_call((struct ph_call){.op = PH_OP_read, .fd = 3}, 0);
	assert_int_equal(count, 5);

	add(PH_OP_NONE, 0), stops_at_the_end();
	add(PH_OP_FUNCTIONS, 0), stops_at_the_end();
	add(PH_OP_PAD + 1, 0), stops_at_the_end();
	add(0xff, 0), stops_at_the_end();
	/* Cut short. */
	add(PH_OP_read | 3 << 16, 0), stops_at_the_end();
	add(PH_OP_read | 3 << 16, 0), add(0, 0), stops_at_the_end();
	add(PH_OP_read | 4 << 16, 0), add(0, 0), add(0, 0), stops_at_the_end();
	add(PH_OP_PAD | 2 << 16, 0), stops_at_the_end();
	add(PH_OP_WIDE, 0), stops_at_the_end();
	/* Lengths that no event has. */
	add(PH_OP_read | 2 << 16, 0), add(0, 0), add(0, 0), stops_at_the_end();
	add(PH_OP_PAD, 0), stops_at_the_end();
	add_call((struct ph_call){.op = PH_OP_write}, PH_CALL_CELLS_MAX), stops_at_the_end();
	/* WIDE before what is no memory cell, and with bits that it cannot have. */
	add(PH_OP_WIDE, 0), add_clock(500), stops_at_the_end();
	add(PH_OP_WIDE, 0), add_call((struct ph_call){.op = PH_OP_read}, 0), stops_at_the_end();
	add(PH_OP_WIDE | 1ull << 32, 0), add_memory(PH_OP_malloc, 1, 1, 1), stops_at_the_end();
	add(PH_OP_WIDE, 1 << 24), add_memory(PH_OP_malloc, 1, 1, 1), stops_at_the_end();
}

static void too_many_cells(void **state)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	uint64_t stamp = 3;
	size_t bad;
	(void)state;
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells,
							     .count = PH_ENCODE_CELLS_MAX + 1},
					  &(struct ph_node_map){.define = map_node}, &stamp, &h,
					  &payload, &bad),
			 -1);
	assert_true(payload.failed);
	assert_int_equal(h.events, 0);
	assert_int_equal(stamp, 3);
	ph_buffer_free(&payload);
}

static void encode_mix(struct ph_block_header *h, struct ph_buffer *payload, size_t cells_wanted)
{
	struct mapping m;
	uint64_t stamp = 0;
	size_t bad;

	restart();
	while (count < cells_wanted)
		add_random_event();
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = cells, .count = count},
					  &(struct ph_node_map){.define = map_node, .context = &m},
					  &stamp, h, payload, &bad),
			 0);
}

/* Read all that was decoded: a sanitizer sees what is out of bounds. */
static uint64_t read_all(const struct ph_events *e)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < e->count; i++) {
		const struct ph_event *event = &e->events[i];
		sum += event->address ^ event->size ^ event->stamp ^ event->node;
		if (!event->call)
			continue;
		assert_in_range(event->call->cells, PH_CALL_CELLS, PH_CALL_CELLS_MAX);
		assert_int_equal(event->call->op, event->op);
		const struct ph_cell *c = (const struct ph_cell *)event->call;
		for (unsigned k = 0; k < event->call->cells; k++)
			sum ^= c[k].w0 + c[k].w1;
	}
	return sum;
}

/* Decode from memory that ends where the payload does, so that a sanitizer sees
 * the first byte too many. */
static const char *decode_copy(const struct ph_block_header *h, const uint8_t *payload,
			       size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	memcpy(copy, payload, length);
	const char *wrong = ph_decode_events(h, copy, length, &decoded);
	free(copy);
	assert_int_equal(decoded.count, wrong ? 0 : h->events);
	read_all(&decoded);
	return wrong;
}

static void truncated_events(void **state)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	(void)state;
	encode_mix(&h, &payload, 1500);
	for (size_t length = 0; length < payload.length; length++)
		assert_non_null(decode_copy(&h, payload.data, length));
	assert_null(decode_copy(&h, payload.data, payload.length));
	ph_buffer_put(&payload, "", 1);
	assert_non_null(decode_copy(&h, payload.data, payload.length));
	ph_buffer_free(&payload);
}

static void damaged_events(void **state)
{
	struct ph_block_header h = {0};
	struct ph_buffer payload = {0};
	unsigned refused = 0;
	(void)state;
	encode_mix(&h, &payload, 400);
	for (unsigned i = 0; i < 20000; i++) {
		/* Every other one in the head, where it hurts most. */
		size_t bit = rnd() % (i % 2 ? payload.length * 8 : 1200);
		size_t other = rnd() % (payload.length * 8);
		payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		payload.data[other / 8] ^= (uint8_t)(i % 3 == 0) << other % 8;
		refused += decode_copy(&h, payload.data, payload.length) != NULL;
		payload.data[other / 8] ^= (uint8_t)(i % 3 == 0) << other % 8;
		payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(refused > 1000);
	assert_null(decode_copy(&h, payload.data, payload.length));
	h.events++;
	assert_non_null(decode_copy(&h, payload.data, payload.length));
	ph_buffer_free(&payload);
}

#define COLUMNS 16
#define RECORD	0
#define CLOCK	1
#define NODE	2
#define SEEN	3
#define ADDRESS 4
#define SIZE	5

/* A payload written by hand, as docs/trace-format.md has it. */
struct by_hand {
	const char *column[COLUMNS];
	uint16_t length[COLUMNS];
	uint8_t symbols[8];
	unsigned layout, symbol_count;
};

static const char *decode_by_hand(const struct by_hand *b, uint32_t events)
{
	struct ph_block_header h = {.events = events, .first_stamp = 1000};
	struct ph_buffer payload = {0};

	ph_buffer_put_varint(&payload, b->layout);
	ph_buffer_put_varint(&payload, b->symbol_count);
	ph_buffer_put(&payload, b->symbols, b->symbol_count * 2);
	for (int i = 0; i < COLUMNS; i++)
		ph_buffer_put_varint(&payload, b->length[i]);
	for (int i = 0; i < COLUMNS; i++)
		ph_buffer_put(&payload, b->column[i], b->length[i]);
	const char *wrong = decode_copy(&h, payload.data, payload.length);
	ph_buffer_free(&payload);
	return wrong;
}

/* malloc(64) = 0x1000 at node 5; clock + 300; free(0x1000); malloc(64) = 0x0ff0. */
static const struct by_hand worked = {
	.layout = 1,
	.symbol_count = 4,
	.symbols = {1, 0x0b, PH_OP_CLOCK, 0x80, 10, 0x20, 1, 0x0d},
	.column = {[RECORD] = "\0\1\2\3",
		   [CLOCK] = "\xac\2",
		   [NODE] = "\5\5",
		   [SEEN] = "\2",
		   [ADDRESS] = "\x80\x04\1",
		   [SIZE] = "\x40"},
	.length = {[RECORD] = 4, [CLOCK] = 2, [NODE] = 2, [SEEN] = 1, [ADDRESS] = 3, [SIZE] = 1},
};

static void the_worked_example(void **state)
{
	(void)state;
	assert_null(decode_by_hand(&worked, 3));
	const struct ph_event *e = decoded.events;
	assert_int_equal(e[0].op, 1);
	assert_int_equal(e[0].address, 0x1000);
	assert_int_equal(e[0].size, 64);
	assert_int_equal(e[0].node, 5);
	assert_int_equal(e[0].stamp, 1000);
	assert_int_equal(e[1].op, 10);
	assert_int_equal(e[1].address, 0x1000);
	assert_int_equal(e[1].size, 0);
	assert_int_equal(e[1].node, 0);
	assert_int_equal(e[1].stamp, 1300);
	assert_int_equal(e[2].op, 1);
	assert_int_equal(e[2].address, 0x0ff0);
	assert_int_equal(e[2].size, 64);
	assert_int_equal(e[2].node, 5);
	assert_int_equal(e[2].stamp, 1300);
}

static void hostile_events(void **state)
{
	struct by_hand b;
	(void)state;
	assert_non_null(decode_by_hand(&worked, 2));
	assert_non_null(decode_by_hand(&worked, UINT32_MAX));
	b = worked, b.layout = 2;
	assert_non_null(decode_by_hand(&b, 3));
	/* Shapes that do not exist, and ops that cannot have theirs. */
	b = worked, b.symbols[1] = 0xcb;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[1] = 0x0f;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[1] = 0x1b;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[0] = PH_OP_NONE;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[0] = PH_OP_OBJECT;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[2] = PH_OP_WIDE;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.symbols[0] = PH_OP_PAD, b.symbols[1] = 0x41;
	assert_non_null(decode_by_hand(&b, 3));
	/* A symbol that is not there. */
	b = worked, b.column[RECORD] = "\0\1\2\4";
	assert_non_null(decode_by_hand(&b, 3));
	/* An address of a later event, of the event itself, from before the first. */
	b = worked, b.column[SEEN] = "\4";
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.column[SEEN] = "\0";
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.column[SEEN] = "\1";
	assert_non_null(decode_by_hand(&b, 3));
	/* Columns with a value too many and one too few, and an unfinished one. */
	b = worked, b.column[SIZE] = "\1\1", b.length[SIZE] = 2;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.length[NODE] = 1;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.column[NODE] = "\5\x85";
	assert_non_null(decode_by_hand(&b, 3));
	/* Numbers that do not fit: 2^32 in a node, 11 bytes in a size. */
	b = worked, b.column[NODE] = "\5\x80\x80\x80\x80\x10", b.length[NODE] = 6;
	assert_non_null(decode_by_hand(&b, 3));
	b = worked, b.column[NODE] = "\5\xff\xff\xff\xff\x0f";
	b.length[NODE] = 6;
	assert_null(decode_by_hand(&b, 3));
	b = worked, b.column[SIZE] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01";
	b.length[SIZE] = 11;
	assert_non_null(decode_by_hand(&b, 3));
}

/* One call with `cells` (a varint of two bytes) of payload, of which `there` are there. */
static const char *decode_payload(const char *varint, unsigned there)
{
	static const char payload[600 * sizeof(struct ph_cell)];
	struct by_hand b = {.layout = 1, .symbol_count = 1, .symbols = {20, 0x50}};

	for (int i = RECORD; i < COLUMNS; i++) {
		b.column[i] = "";
		b.length[i] = i == RECORD || (i >= 6 && i <= 11);
	}
	b.column[14] = varint, b.length[14] = 2;
	b.column[15] = payload, b.length[15] = (uint16_t)(there * sizeof(struct ph_cell));
	return decode_by_hand(&b, 1);
}

static void hostile_payloads(void **state)
{
	(void)state;
	assert_null(decode_payload("\x82\0", 2));
	assert_int_equal(decoded.events[0].call->cells, 5);
	assert_non_null(decode_payload("\x82\0", 1));
	assert_non_null(decode_payload("\x82\0", 3));
	assert_null(decode_payload("\xfd\3", 509));
	assert_non_null(decode_payload("\xfe\3", 510));
}

static void stacks(size_t addresses, size_t nodes, int wild, struct ph_buffer *payload)
{
	struct ph_new_address *a = calloc(addresses + 1, sizeof(*a)), *a2 = NULL;
	struct ph_new_node *n = calloc(nodes + 1, sizeof(*n)), *n2 = NULL;
	size_t na, nn;

	for (size_t i = 0; i < addresses; i++) {
		a[i].address = wild ? rnd_wide() : 0x55550000 + rnd() % 100000;
		a[i].epoch = wild ? (uint32_t)rnd_wide() : 1 + (uint32_t)i / 50;
	}
	for (size_t i = 0; i < nodes; i++) {
		n[i].parent = wild ? (uint32_t)rnd_wide() : (uint32_t)(rnd() % (i + 1));
		n[i].address = wild ? (uint32_t)rnd_wide() : 1 + (uint32_t)i;
	}
	ph_encode_stacks(a, addresses, n, nodes, payload);
	assert_false(payload->failed);
	assert_null(ph_decode_stacks(payload->data, payload->length, &a2, &na, &n2, &nn));
	assert_int_equal(na, addresses);
	assert_int_equal(nn, nodes);
	for (size_t i = 0; i < addresses; i++) {
		assert_int_equal(a2[i].address, a[i].address);
		assert_int_equal(a2[i].epoch, a[i].epoch);
	}
	for (size_t i = 0; i < nodes; i++) {
		assert_int_equal(n2[i].parent, n[i].parent);
		assert_int_equal(n2[i].address, n[i].address);
	}
	free(a), free(a2), free(n), free(n2);
}

static void stacks_come_back(void **state)
{
	(void)state;
	restart();
	for (unsigned i = 0; i < 60; i++) {
		struct ph_buffer payload = {0};
		stacks(i * i % 500, i * 7 % 400, i % 2, &payload);
		ph_buffer_free(&payload);
	}
}

static const char *decode_stacks_copy(const uint8_t *payload, size_t length)
{
	struct ph_new_address *a = NULL;
	struct ph_new_node *n = NULL;
	size_t na = 0, nn = 0;
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, payload, length);
	const char *wrong = ph_decode_stacks(copy, length, &a, &na, &n, &nn);
	free(copy);
	if (wrong) {
		assert_null(a);
		assert_null(n);
	}
	assert_true(na + nn <= length / 2);
	free(a);
	free(n);
	return wrong;
}

static void damaged_stacks(void **state)
{
	struct ph_buffer payload = {0};
	(void)state;
	restart();
	stacks(150, 200, 0, &payload);
	for (size_t length = 0; length < payload.length; length++)
		assert_non_null(decode_stacks_copy(payload.data, length));
	for (size_t bit = 0; bit < payload.length * 8; bit++) {
		payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		decode_stacks_copy(payload.data, payload.length);
		payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_null(decode_stacks_copy(payload.data, payload.length));
	/* Counts whose sum wraps round. */
	payload.length = 0;
	ph_buffer_put_varint(&payload, 1);
	ph_buffer_put_varint(&payload, UINT64_MAX);
	ph_buffer_put_varint(&payload, 1);
	assert_non_null(decode_stacks_copy(payload.data, payload.length));
	payload.data[0] = 2;
	assert_non_null(decode_stacks_copy(payload.data, payload.length));
	ph_buffer_free(&payload);
}

static void functions_have_names(void **state)
{
	(void)state;
	assert_string_equal(ph_functions[PH_OP_NONE].name, "");
	assert_string_equal(ph_functions[PH_OP_malloc].name, "malloc");
	assert_int_equal(ph_functions[PH_OP_malloc].kind, PH_KIND_ALLOC);
	assert_string_equal(ph_functions[PH_OP_read].name, "read");
	assert_int_equal(ph_functions[PH_OP_read].kind, PH_KIND_READ);
	for (unsigned op = 1; op < PH_OP_FUNCTIONS; op++) {
		assert_true(strlen(ph_functions[op].name) > 0);
		assert_int_not_equal(ph_functions[op].kind, PH_KIND_NONE);
	}
}

static void buffers_grow(void **state)
{
	struct ph_buffer b = {0};
	(void)state;
	ph_buffer_put(&b, NULL, 0);
	assert_int_equal(b.length, 0);
	for (unsigned i = 0; i < 3000; i++) {
		ph_buffer_put(&b, &i, sizeof(i));
		ph_buffer_put_varint(&b, i % 100);
	}
	assert_int_equal(b.length, 3000 * 5);
	for (unsigned i = 0; i < 3000; i++) {
		assert_memory_equal(b.data + (size_t)i * 5, &i, sizeof(i));
		assert_int_equal(b.data[i * 5 + 4], i % 100);
	}
	/* What cannot be had is dropped, and said. */
	ph_buffer_put(&b, &b, SIZE_MAX - 100);
	assert_true(b.failed);
	ph_buffer_put(&b, "x", 1);
	assert_int_equal(b.length, 3000 * 5);
	ph_buffer_free(&b);
	assert_null(b.data);
}

static int free_decoded(void **state)
{
	(void)state;
	ph_events_free(&decoded);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_streams),
		cmocka_unit_test(every_op),
		cmocka_unit_test(every_magnitude),
		cmocka_unit_test(more_shapes_than_symbols),
		cmocka_unit_test(nodes_are_mapped_once),
		cmocka_unit_test(clocks),
		cmocka_unit_test(nothing_is_a_block_too),
		cmocka_unit_test(bad_cells_are_named),
		cmocka_unit_test(too_many_cells),
		cmocka_unit_test(truncated_events),
		cmocka_unit_test(damaged_events),
		cmocka_unit_test(the_worked_example),
		cmocka_unit_test(hostile_events),
		cmocka_unit_test(hostile_payloads),
		cmocka_unit_test(stacks_come_back),
		cmocka_unit_test(damaged_stacks),
		cmocka_unit_test(functions_have_names),
		cmocka_unit_test(buffers_grow),
	};
	return cmocka_run_group_tests(tests, NULL, free_decoded);
}
