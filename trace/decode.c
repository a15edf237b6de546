/* SPDX-License-Identifier: MIT */
/*
 * An EVENTS payload back to events. The columns are checked as a whole first:
 * each holds exactly as many varints as the records will read, so the loop over
 * the records needs no bounds for them; what remains to check there are values.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/columns.h"
#include "trace/decode.h"
#include "trace/packed.h"
#include "trace/varint.h"

struct symbol {
	uint8_t op, shape;
};

struct decoder {
	struct symbol symbols[SYMBOLS_MAX];
	unsigned symbol_count;
	const uint8_t *at[COLUMNS];
	size_t length[COLUMNS];
	size_t events, calls; /* how many records are an event, a call */
	uint64_t wrong;	      /* not 0: a number did not fit where it belongs */
	uint64_t last_seen[2], last_address[2];
	uint64_t call_end;
	uint64_t expected[1 << EXPECTED_BITS];
	uint64_t extra[256];
};

static const char too_short[] = "an event block ends in the middle";
static const char number_wrong[] = "a number in an event block is out of range";

static int symbol_is_valid(struct symbol s)
{
	switch (s.shape & SHAPE_CLASS) {
	case SHAPE_MEMORY:
		return s.op && (s.op <= PH_OP_REALLOC_FAILED) &&
		       (s.shape & SHAPE_SIZE) != SHAPE_SIZE &&
		       (s.shape & SHAPE_ADDRESS) != SHAPE_ADDRESS;
	case SHAPE_CALL:
		return s.op && s.op != PH_OP_WIDE && s.op != PH_OP_CLOCK && s.op != PH_OP_PAD &&
		       s.op != PH_OP_REALLOC_BEGIN && s.op != PH_OP_REALLOC_FAILED &&
		       !(s.shape & SHAPE_GIVES) && (s.shape & SHAPE_PAYLOAD) != SHAPE_PAYLOAD;
	case SHAPE_CLOCK:
		return s.op == PH_OP_CLOCK && s.shape == SHAPE_CLOCK;
	default:
		return 0;
	}
}

static const char *read_head(struct decoder *d, const uint8_t *payload, size_t length)
{
	struct varint_reader r = {.at = payload, .end = payload + length};
	uint64_t layout = varint_get(&r);
	uint64_t symbols = varint_get(&r);

	if (r.bad)
		return too_short;
	if (layout != EVENTS_LAYOUT)
		return "an event block is laid out in a way this perfhook does not know";
	if (symbols > SYMBOLS_MAX || symbols * 2 > (size_t)(r.end - r.at))
		return too_short;
	d->symbol_count = (unsigned)symbols;
	for (unsigned i = 0; i < symbols; i++, r.at += 2) {
		d->symbols[i] = (struct symbol){r.at[0], r.at[1]};
		if (!symbol_is_valid(d->symbols[i]))
			return "an event block has a record of an unknown shape";
	}
	for (int i = 0; i < COLUMNS; i++)
		d->length[i] = varint_get(&r);
	if (r.bad)
		return too_short;
	for (int i = 0; i < COLUMNS; i++) {
		d->at[i] = r.at;
		if (d->length[i] > (size_t)(r.end - r.at))
			return too_short;
		r.at += d->length[i];
	}
	return r.at == r.end ? NULL : "an event block has bytes left over";
}

/* How many values the records will read from each column. */
static void count_values(const struct decoder *d, const size_t records[], size_t values[])
{
	for (unsigned i = 0; i < d->symbol_count; i++) {
		unsigned shape = d->symbols[i].shape;
		size_t n = records[i];
		if ((shape & SHAPE_CLASS) == SHAPE_CLOCK) {
			values[COLUMN_CLOCK] += n;
			continue;
		}
		if (shape & SHAPE_NODE)
			values[COLUMN_NODE] += n;
		if ((shape & SHAPE_CLASS) == SHAPE_MEMORY) {
			values[shape & SHAPE_ADDRESS ? COLUMN_ADDRESS : COLUMN_SEEN] += n;
			if (shape & SHAPE_SIZE_GIVEN)
				values[COLUMN_SIZE] += n;
			continue;
		}
		for (int c = COLUMN_FD; c <= COLUMN_RESULT; c++)
			values[c] += n;
		if (shape & SHAPE_FLAGS)
			values[COLUMN_FLAGS] += n;
		if (!(shape & SHAPE_ARG_IS_RESULT))
			values[COLUMN_ARG] += n;
		if (shape & SHAPE_PAYLOAD_ONE)
			values[COLUMN_EXTRA] += 2 * n;
		if (shape & SHAPE_PAYLOAD_MANY)
			values[COLUMN_CELLS] += n;
	}
}

/* The bytes below 0x80: each varint ends with one. Eight at a time. */
static size_t count_varints(const uint8_t *at, size_t length)
{
	size_t n = 0, i = 0;
	uint64_t word;
	for (; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(&word, at + i, sizeof(word));
		n += ((~word >> 7 & 0x0101010101010101) * 0x0101010101010101) >> 56;
	}
	for (; i < length; i++)
		n += at[i] < 0x80;
	return length && at[length - 1] >= 0x80 ? SIZE_MAX : n;
}

/* How often each byte is there. In four tables, since in one a byte would wait for
 * the one before, which is often the same. */
static void count_bytes(const uint8_t *at, size_t length, size_t counts[256])
{
	uint32_t parts[4][256] = {0};
	size_t i = 0;
	for (; i + 4 <= length; i += 4) {
		parts[0][at[i]]++;
		parts[1][at[i + 1]]++;
		parts[2][at[i + 2]]++;
		parts[3][at[i + 3]]++;
	}
	for (; i < length; i++)
		parts[0][at[i]]++;
	for (int byte = 0; byte < 256; byte++)
		counts[byte] =
			(size_t)parts[0][byte] + parts[1][byte] + parts[2][byte] + parts[3][byte];
}

static const char *check_columns(struct decoder *d)
{
	size_t records[256], values[COLUMNS] = {0};

	count_bytes(d->at[COLUMN_RECORD], d->length[COLUMN_RECORD], records);
	for (unsigned i = d->symbol_count; i < 256; i++) {
		if (records[i])
			return "an event block has a record of an unknown shape";
	}
	count_values(d, records, values);
	for (int c = COLUMN_CLOCK; c < COLUMN_PAYLOAD; c++) {
		size_t n = c == COLUMN_FLAGS ? d->length[c] : count_varints(d->at[c], d->length[c]);
		if (n != values[c])
			return "an event block's columns do not fit together";
	}
	d->events = d->length[COLUMN_RECORD] - values[COLUMN_CLOCK];
	d->calls = values[COLUMN_FD];
	return NULL;
}

/* Room as large as the payload's own columns justify. */
static const char *reserve(const struct decoder *d, struct ph_events *out)
{
	size_t words = d->calls * (sizeof(struct ph_call) / 8) + d->length[COLUMN_EXTRA] +
		       d->length[COLUMN_PAYLOAD] / 8;
	if (out->room < d->events) {
		free(out->events);
		out->events = malloc(d->events * sizeof(*out->events));
		out->room = out->events ? d->events : 0;
	}
	if (out->calls_room < words) {
		free(out->calls);
		out->calls = malloc(words * sizeof(*out->calls));
		out->calls_room = out->calls ? words : 0;
	}
	if (out->room < d->events || out->calls_room < words)
		return "out of memory for a block's events";
	return NULL;
}

/* A varint that is known to end within its column. */
static inline uint64_t get(const uint8_t **column, uint64_t *wrong)
{
	const uint8_t *at = *column;
	uint64_t value = *at++;
	if (__builtin_expect(value >= 0x80, 0)) {
		uint64_t byte;
		unsigned shift = 7;
		value &= 0x7f;
		do {
			byte = *at++;
			if (shift < 64)
				value |= (byte & 0x7f) << shift;
			else
				*wrong = 1;
			shift += 7;
		} while (byte >= 0x80);
	}
	*column = at;
	return value;
}

static uint64_t take(struct decoder *d, enum column column)
{
	return get(&d->at[column], &d->wrong);
}

/* A number that must fit 32 bits. */
static inline uint32_t take32(struct decoder *d, enum column column)
{
	uint64_t value = take(d, column);
	d->wrong |= value >> 32;
	return (uint32_t)value;
}

static uint64_t *take_payload(struct decoder *d, unsigned op, unsigned shape, struct ph_call *call,
			      uint64_t *storage)
{
	size_t more = 0;

	if (shape & SHAPE_PAYLOAD_ONE) {
		storage[0] = d->extra[op] += unzigzag(take(d, COLUMN_EXTRA));
		storage[1] = unzigzag(take(d, COLUMN_EXTRA));
		more = 1;
	} else if (shape & SHAPE_PAYLOAD_MANY) {
		more = take(d, COLUMN_CELLS);
		if (more > PH_CALL_CELLS_MAX - PH_CALL_CELLS ||
		    more * sizeof(struct ph_cell) > d->length[COLUMN_PAYLOAD])
			return NULL;
		memcpy(storage, d->at[COLUMN_PAYLOAD], more * sizeof(struct ph_cell));
		d->at[COLUMN_PAYLOAD] += more * sizeof(struct ph_cell);
		d->length[COLUMN_PAYLOAD] -= more * sizeof(struct ph_cell);
	}
	call->cells = (uint16_t)(PH_CALL_CELLS + more);
	return storage + 2 * more;
}

/* Decode one call to `storage`. Returns where the next one goes, or NULL. */
static uint64_t *take_call(struct decoder *d, struct symbol s, uint64_t *storage)
{
	struct ph_call call = {.op = s.op};
	uint64_t fd;

	if (s.shape & SHAPE_NODE)
		call.node = take32(d, COLUMN_NODE);
	if (s.shape & SHAPE_FLAGS)
		call.flags = *d->at[COLUMN_FLAGS]++;
	fd = unzigzag(take(d, COLUMN_FD));
	call.fd = (int32_t)fd;
	d->wrong |= (uint64_t)call.fd ^ fd;
	call.object = take32(d, COLUMN_OBJECT);
	call.entry = d->call_end + unzigzag(take(d, COLUMN_ENTRY));
	call.duration = take(d, COLUMN_DURATION);
	d->call_end = call.entry + call.duration;
	call.result = (int64_t)unzigzag(take(d, COLUMN_RESULT));
	call.arg = s.shape & SHAPE_ARG_IS_RESULT ? call.result
						 : (int64_t)unzigzag(take(d, COLUMN_ARG));
	uint64_t *next =
		take_payload(d, s.op, s.shape, &call, storage + sizeof(call) / sizeof(*storage));
	memcpy(storage, &call, sizeof(call));
	return next;
}

/* Decode a memory event that is the i-th of its block. */
static inline int take_memory(struct decoder *d, struct symbol s, struct ph_event *events, size_t i)
{
	unsigned group = (s.shape & SHAPE_GIVES) != 0;
	uint32_t node = s.shape & SHAPE_NODE ? take32(d, COLUMN_NODE) : 0;
	uint64_t *expected = &d->expected[expected_slot(node)];
	uint64_t size = 0, address;

	if (s.shape & SHAPE_SIZE_EXPECTED)
		size = *expected;
	else if (s.shape & SHAPE_SIZE_GIVEN)
		size = *expected = take(d, COLUMN_SIZE);
	if (s.shape & SHAPE_ADDRESS) {
		address = unzigzag(take(d, COLUMN_ADDRESS));
		if (s.shape & SHAPE_ADDRESS_NEAR)
			address <<= 4;
		address += d->last_address[group];
		d->last_address[group] = address;
	} else {
		uint64_t earlier = d->last_seen[group] + unzigzag(take(d, COLUMN_SEEN));
		if (earlier - 1 >= i)
			return -1;
		d->last_seen[group] = earlier;
		address = events[earlier - 1].address;
	}
	events[i].address = address;
	events[i].size = size;
	events[i].node = node;
	events[i].call = NULL;
	return 0;
}

static const char *decode_records(struct decoder *d, uint64_t stamp, struct ph_events *out)
{
	const uint8_t *records = d->at[COLUMN_RECORD];
	size_t count = d->length[COLUMN_RECORD], n = 0;
	uint64_t *storage = out->calls;

	for (size_t i = 0; i < count; i++) {
		struct symbol s = d->symbols[records[i]];
		struct ph_event *event = &out->events[n];

		if ((s.shape & SHAPE_CLASS) == SHAPE_MEMORY) {
			if (take_memory(d, s, out->events, n))
				return "an event block refers to an event that it does not have";
		} else if ((s.shape & SHAPE_CLASS) == SHAPE_CALL) {
			uint64_t *next = take_call(d, s, storage);
			if (!next)
				return "an event block's payloads do not fit together";
			*event = (struct ph_event){.call = (struct ph_call *)storage,
						   .node = ((struct ph_call *)storage)->node};
			storage = next;
		} else {
			stamp += take(d, COLUMN_CLOCK);
			continue;
		}
		event->stamp = stamp;
		event->op = s.op;
		n++;
	}
	if (d->wrong)
		return number_wrong;
	if (d->length[COLUMN_PAYLOAD])
		return "an event block's payloads do not fit together";
	return NULL;
}

const char *ph_decode_events(const struct ph_block_header *header, const uint8_t *payload,
			     size_t length, struct ph_events *out)
{
	struct decoder d = {0};
	const char *wrong;

	out->count = 0;
	if (length && payload[0] == PACKED_LAYOUT)
		return ph_decode_packed(header, payload, length, out);
	if ((wrong = read_head(&d, payload, length)) || (wrong = check_columns(&d)))
		return wrong;
	if (d.events != header->events)
		return "an event block has more or fewer events than its header says";
	if ((wrong = reserve(&d, out)) || (wrong = decode_records(&d, header->first_stamp, out)))
		return wrong;
	out->count = d.events;
	return NULL;
}

void ph_events_free(struct ph_events *e)
{
	free(e->events);
	free(e->calls);
	*e = (struct ph_events){0};
}
