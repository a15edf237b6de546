/* SPDX-License-Identifier: MIT */
#include "analyzer/merge.h"

#include <stdlib.h>

#include "analyzer/read_ahead.h"
#include "analyzer/vector.h"

struct merge_stream {
	uint32_t number;
	size_t *blocks; /* places in the reader's list */
	size_t block_count, block_room, next_block;
	uint64_t next_cell; /* least first_cell that the next block may have */
	struct ph_events events;
	uint64_t held; /* memory of the decoded block, at most */
	size_t at;     /* the next event */
	uint64_t key;  /* stamp to merge by: the next event's, never going back */
	/* While it waits: neighbours (+ 1) among all that wait, and among those that
	 * wait for the same key. */
	uint64_t wants;
	uint32_t earlier, later, same_earlier, same_later;
};

static bool add_block(struct merge *m, struct map *known, size_t block)
{
	const struct ph_block_header *h = &m->reader->blocks[block].header;
	size_t place = map_get(known, h->stream);
	struct merge_stream *s;

	if (place == 0) {
		if (!vector_reserve(m->streams, m->stream_room, m->stream_count + 1))
			return false;
		m->streams[m->stream_count] =
			(struct merge_stream){.number = h->stream, .key = h->first_stamp};
		place = ++m->stream_count;
		if (!map_put(known, h->stream, place))
			return false;
	}
	s = &m->streams[place - 1];
	if (!vector_reserve(s->blocks, s->block_room, s->block_count + 1))
		return false;
	s->blocks[s->block_count++] = block;
	return true;
}

bool merge_init(struct merge *m, struct reader *reader, const struct merge_consumer *consumer,
		void *context)
{
	struct map known = {0};
	bool good = true;

	*m = (struct merge){.reader = reader, .consumer = consumer, .context = context};
	for (size_t i = 0; i < reader->block_count && good; i++) {
		if (reader->blocks[i].header.kind == PH_BLOCK_EVENTS)
			good = add_block(m, &known, i);
	}
	map_free(&known);
	if (!good || m->stream_count >= UINT32_MAX)
		return false;
	m->heap = calloc(m->stream_count + 1, sizeof(*m->heap));
	m->ready = calloc(m->stream_count + 1, sizeof(*m->ready));
	return m->heap != NULL && m->ready != NULL;
}

uint32_t merge_stream_number(const struct merge *m, size_t stream)
{
	return m->streams[stream].number;
}

uint64_t merge_stream_first_stamp(const struct merge *m, size_t stream)
{
	const struct merge_stream *s = &m->streams[stream];

	return m->reader->blocks[s->blocks[0]].header.first_stamp;
}

void merge_free(struct merge *m)
{
	for (size_t i = 0; i < m->stream_count; i++) {
		free(m->streams[i].blocks);
		ph_events_free(&m->streams[i].events);
	}
	free(m->streams);
	free(m->heap);
	free(m->ready);
	map_free(&m->waiting);
	ph_buffer_free(&m->stored);
	ph_buffer_free(&m->payload);
	*m = (struct merge){0};
}

/* A few bytes may claim to be a block of millions of events, in each of many
 * streams: what is held at once stays in proportion to the file. */
static bool may_hold(const struct merge *m, const struct ph_block_header *h, uint64_t *bytes)
{
	const uint64_t most = ((uint64_t)256 << 20) + 400 * m->reader->size;

	*bytes = h->events * (uint64_t)sizeof(struct ph_event) + h->raw_bytes;
	return h->events <= PH_BLOCK_EVENTS_MAX && m->held + *bytes <= most;
}

static void let_go(struct merge *m, struct merge_stream *s)
{
	s->at = s->events.count = 0;
	m->held -= s->held;
	s->held = 0;
}

static bool decode(struct merge *m, struct merge_stream *s, const struct block *b,
		   enum read_ahead_result ahead)
{
	if (ahead == READ_AHEAD_DECODED)
		return true;
	if (ahead == READ_AHEAD_NOT && reader_load(m->reader, b, &m->stored, &m->payload) &&
	    ph_decode_events(&b->header, m->payload.data, m->payload.length, &s->events) == NULL)
		return true;
	reader_damage(m->reader, b->offset);
	return false;
}

/* Decode one block into the stream, if it can be used. */
static void take_block(struct merge *m, struct merge_stream *s, size_t block)
{
	const struct block *b = &m->reader->blocks[block];
	enum read_ahead_result ahead;
	uint64_t bytes;

	m->bytes += b->header.stored_bytes;
	m->consumer->progress(m->context, m->bytes);
	let_go(m, s);
	ahead = read_ahead_take(m->ahead, block, &s->events);
	/* Each event takes a cell at least: what begins earlier was seen already. */
	if (b->header.first_cell < s->next_cell) {
		m->dropped++;
		ph_events_free(&s->events);
		return;
	}
	if (!may_hold(m, &b->header, &bytes)) {
		reader_damage(m->reader, b->offset);
		ph_events_free(&s->events);
		return;
	}
	if (!decode(m, s, b, ahead)) {
		s->events.count = 0;
		return;
	}
	m->held += s->held = bytes;
	s->next_cell = b->header.first_cell + s->events.count;
}

/* Make the stream's next event stand at `at`. false: it has no more, and its
 * memory is given back. */
static bool stream_fill(struct merge *m, struct merge_stream *s)
{
	while (s->at == s->events.count) {
		if (s->next_block == s->block_count) {
			let_go(m, s);
			ph_events_free(&s->events);
			return false;
		}
		take_block(m, s, s->blocks[s->next_block++]);
	}
	return true;
}

/* The stamp that the stream is due at, as far as it can be told without
 * decoding: a block that is not there yet is believed. false: at its end. */
static bool stream_due(struct merge *m, struct merge_stream *s)
{
	uint64_t stamp;

	if (s->at < s->events.count)
		stamp = s->events.events[s->at].stamp;
	else if (s->next_block < s->block_count)
		stamp = m->reader->blocks[s->blocks[s->next_block]].header.first_stamp;
	else
		return stream_fill(m, s);
	s->key = stamp > m->now ? stamp : m->now;
	return true;
}

/* Streams of equal stamps keep their order, so that results do not depend on
 * the heap's whims. */
static bool is_before(const struct merge *m, uint32_t a, uint32_t b)
{
	uint64_t x = m->streams[a].key, y = m->streams[b].key;

	return x < y || (x == y && a < b);
}

static void heap_sink(struct merge *m, size_t at)
{
	uint32_t moving = m->heap[at];

	for (size_t child; (child = 2 * at + 1) < m->heap_count; at = child) {
		if (child + 1 < m->heap_count && is_before(m, m->heap[child + 1], m->heap[child]))
			child++;
		if (!is_before(m, m->heap[child], moving))
			break;
		m->heap[at] = m->heap[child];
	}
	m->heap[at] = moving;
}

static void heap_push(struct merge *m, uint32_t stream)
{
	size_t at = m->heap_count++;

	for (; at > 0 && is_before(m, stream, m->heap[(at - 1) / 2]); at = (at - 1) / 2)
		m->heap[at] = m->heap[(at - 1) / 2];
	m->heap[at] = stream;
}

static uint32_t heap_pop(struct merge *m)
{
	uint32_t top = m->heap[0];

	m->heap[0] = m->heap[--m->heap_count];
	if (m->heap_count != 0)
		heap_sink(m, 0);
	return top;
}

/* The stamp of the second in the heap. */
static uint64_t heap_second(const struct merge *m)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 1; i <= 2 && i < m->heap_count; i++) {
		if (m->streams[m->heap[i]].key < least)
			least = m->streams[m->heap[i]].key;
	}
	return least;
}

/* How many of the stream's decoded events, at least one, have stamps up to
 * `last`. Stamps that go back within a stream give some number, no harm. */
static size_t count_up_to(const struct merge_stream *s, uint64_t last)
{
	const struct ph_event *e = s->events.events + s->at;
	size_t left = s->events.count - s->at, low = 1, step = 1;

	while (low + step < left && e[low + step].stamp <= last) {
		low += step;
		step *= 2;
	}
	for (; step > 0; step /= 2) {
		while (low + step <= left && e[low + step - 1].stamp <= last)
			low += step;
	}
	return low;
}

/* Linked lists of those who wait. */

static void link_waiting(struct merge *m, uint32_t stream, uint64_t key)
{
	struct merge_stream *s = &m->streams[stream];
	uint32_t head = (uint32_t)map_get(&m->waiting, key);

	s->wants = key;
	s->earlier = m->last_waiting;
	s->later = 0;
	if (m->last_waiting)
		m->streams[m->last_waiting - 1].later = stream + 1;
	else
		m->first_waiting = stream + 1;
	m->last_waiting = stream + 1;
	s->same_earlier = 0;
	s->same_later = head;
	if (head)
		m->streams[head - 1].same_earlier = stream + 1;
}

static void unlink_waiting(struct merge *m, uint32_t stream)
{
	struct merge_stream *s = &m->streams[stream];

	if (s->earlier)
		m->streams[s->earlier - 1].later = s->later;
	else
		m->first_waiting = s->later;
	if (s->later)
		m->streams[s->later - 1].earlier = s->earlier;
	else
		m->last_waiting = s->earlier;
	if (s->same_later)
		m->streams[s->same_later - 1].same_earlier = s->same_earlier;
	if (s->same_earlier)
		m->streams[s->same_earlier - 1].same_later = s->same_later;
	else
		map_put(&m->waiting, s->wants, s->same_later);
}

static void make_ready(struct merge *m, uint32_t stream)
{
	/* Not zero: here is a stream. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
	m->ready[(m->ready_at + m->ready_count++) % m->stream_count] = stream;
}

static uint32_t take_ready(struct merge *m)
{
	uint32_t stream = m->ready[m->ready_at];

	m->ready_at = (m->ready_at + 1) % m->stream_count;
	m->ready_count--;
	return stream;
}

/* The event was applied: whoever waited for its key may look again. */
static void wake(struct merge *m, const struct ph_event *e)
{
	uint64_t key = e->address;
	uint32_t waiter;

	if (e->call != NULL) {
		if (e->op != PH_OP_OBJECT)
			return;
		key = MERGE_OBJECT_KEY(e->call->object);
	}
	while ((waiter = (uint32_t)map_get(&m->waiting, key)) != 0) {
		unlink_waiting(m, waiter - 1);
		make_ready(m, waiter - 1);
	}
}

enum outcome { GO_ON, STOP, NO_MEMORY };

/* Run a stream as far as it can go within the tie: to its end, where it leaves
 * for the heap, or to an event that waits. */
static enum outcome run_in_tie(struct merge *m, uint32_t stream)
{
	struct merge_stream *s = &m->streams[stream];

	while (stream_fill(m, s)) {
		const struct ph_event *e = s->events.events + s->at;
		size_t count, done;
		uint64_t key = 0;

		if (e->stamp > m->now)
			break;
		count = m->first_waiting ? 1 : count_up_to(s, m->now);
		done = m->consumer->run_tied(m->context, stream, e, count, &key);
		if (done > count)
			return STOP;
		s->at += done;
		if (m->first_waiting && done == 1)
			wake(m, e);
		if (done < count) {
			link_waiting(m, stream, key);
			return map_put(&m->waiting, key, stream + 1) ? GO_ON : NO_MEMORY;
		}
	}
	if (stream_due(m, s))
		heap_push(m, stream);
	return GO_ON;
}

static enum outcome force_first(struct merge *m)
{
	uint32_t stream = m->first_waiting - 1;
	struct merge_stream *s = &m->streams[stream];
	const struct ph_event *e = s->events.events + s->at;

	unlink_waiting(m, stream);
	s->at++;
	if (!m->consumer->force(m->context, stream, e))
		return STOP;
	wake(m, e);
	make_ready(m, stream);
	return GO_ON;
}

/* All streams that are due at m->now. */
static enum outcome run_tie(struct merge *m)
{
	enum outcome outcome = GO_ON;

	m->ready_at = m->ready_count = 0;
	while (m->heap_count != 0 && m->streams[m->heap[0]].key == m->now)
		make_ready(m, heap_pop(m));
	m->consumer->tie_begins(m->context, m->ready_count);
	while (outcome == GO_ON && (m->ready_count != 0 || m->first_waiting != 0))
		outcome = m->ready_count ? run_in_tie(m, take_ready(m)) : force_first(m);
	m->consumer->tie_ends(m->context);
	return outcome;
}

/* The first in the heap, alone, up to where the next one is due. */
static enum outcome run_alone(struct merge *m, uint64_t next)
{
	struct merge_stream *s = &m->streams[m->heap[0]];
	size_t count = count_up_to(s, m->heap_count > 1 ? next - 1 : UINT64_MAX);
	const struct ph_event *e = s->events.events + s->at;

	s->at += count;
	if (!m->consumer->run(m->context, m->heap[0], e, count))
		return STOP;
	if (e[count - 1].stamp > m->now)
		m->now = e[count - 1].stamp;
	if (stream_due(m, s))
		heap_sink(m, 0);
	else
		heap_pop(m);
	return GO_ON;
}

static enum outcome step(struct merge *m)
{
	struct merge_stream *s = &m->streams[m->heap[0]];
	uint64_t due = s->key, next;

	/* The block was believed until now. */
	if (!stream_fill(m, s)) {
		heap_pop(m);
		return GO_ON;
	}
	stream_due(m, s);
	if (s->key != due) {
		heap_sink(m, 0);
		return GO_ON;
	}
	next = heap_second(m);
	if (m->heap_count > 1 && next == s->key) {
		m->now = s->key;
		return run_tie(m);
	}
	return run_alone(m, next);
}

bool merge_run(struct merge *m)
{
	enum outcome outcome = GO_ON;

	for (uint32_t i = 0; i < m->stream_count; i++)
		heap_push(m, i);
	m->ahead = read_ahead_begin(m->reader);
	while (m->heap_count != 0 && outcome == GO_ON)
		outcome = step(m);
	read_ahead_end(m->ahead);
	m->ahead = NULL;
	return outcome != NO_MEMORY;
}
