/* SPDX-License-Identifier: MIT */
/*
 * Events to the second layout: first each event's form, in the order in which forms are
 * met, then the columns with forms numbered by how often they are used.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/buffer.h"
#include "trace/functions.h"
#include "trace/pack.h"
#include "trace/packed.h"
#include "trace/varint.h"

/* Open addressing; the key 0 is an empty place, so keys are kept + 1. */
struct table {
	uint64_t *keys;
	uint32_t *values;
	unsigned bits;
};

struct packer {
	const struct ph_event *events;
	struct form *forms;
	uint32_t *uses; /* of each form */
	uint32_t form_count, form_room;
	struct table by_form;	 /* hash of the form's bytes, to its number + 1 */
	struct table by_address; /* to the event that has it, + 1; 0: none */
	struct table by_last;	 /* to the event that had it last, + 1 */
	uint64_t last_seen;
	struct live *live;  /* one a form */
	struct link *links; /* one an event */
	uint32_t *tokens;
	size_t token_count;
	struct model model;
	struct ph_buffer columns[PACKED_COLUMNS];
	uint64_t expected, last_any, call_end;
	uint64_t extra[256];
	uint32_t objects[FORM_FDS], last_object;
	struct {
		uint64_t address, size;
		bool open;
	} begun; /* a realloc */
	bool failed;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9E3779B97F4A7C15u;
	return x ^ x >> 29;
}

static bool table_begin(struct table *t, size_t most)
{
	t->bits = 6;
	while ((size_t)1 << t->bits < most * 2)
		t->bits++;
	t->keys = calloc((size_t)1 << t->bits, sizeof(*t->keys));
	t->values = calloc((size_t)1 << t->bits, sizeof(*t->values));
	return t->keys && t->values;
}

static void table_free(struct table *t)
{
	free(t->keys);
	free(t->values);
}

/* The place of a key, which is put there with the value 0 if it is new. `most` of
 * table_begin() bounds how many there are. */
static uint32_t *table_at(const struct table *t, uint64_t key)
{
	size_t mask = ((size_t)1 << t->bits) - 1;
	size_t at = (size_t)(mix(key) >> 7) & mask;

	key++;
	while (t->keys[at] && t->keys[at] != key)
		at = (at + 1) & mask;
	t->keys[at] = key;
	return &t->values[at];
}

static uint64_t form_hash(const struct form *f)
{
	uint64_t h = f->kind | f->op << 8 | f->pick << 16 | (uint64_t)f->flags << 24 |
		     (uint64_t)f->cells << 32 | (uint64_t)f->shape << 48;

	h = mix(h) + f->node;
	h = mix(h) + f->target;
	h = mix(h) + f->size;
	return mix(h) + f->fd;
}

static bool form_equal(const struct form *a, const struct form *b)
{
	return a->kind == b->kind && a->op == b->op && a->pick == b->pick && a->flags == b->flags &&
	       a->cells == b->cells && a->shape == b->shape && a->node == b->node &&
	       a->target == b->target && a->size == b->size && a->fd == b->fd;
}

static bool resize(void *array, size_t bytes)
{
	void **p = array;
	void *more = realloc(*p, bytes);

	if (!more)
		return false;
	*p = more;
	return true;
}

static bool widen_forms(struct packer *p, uint32_t room)
{
	if (!resize(&p->forms, room * sizeof(*p->forms)) ||
	    !resize(&p->uses, room * sizeof(*p->uses)) ||
	    !resize(&p->live, room * sizeof(*p->live)))
		return false;
	memset(p->live + p->form_room, 0, (room - p->form_room) * sizeof(*p->live));
	p->form_room = room;
	return true;
}

static uint32_t add_form(struct packer *p, const struct form *f)
{
	if (p->form_count == p->form_room && !widen_forms(p, p->form_room * 2)) {
		p->failed = true;
		return 0;
	}
	p->forms[p->form_count] = *f;
	p->uses[p->form_count] = 0;
	return p->form_count++;
}

/* The form's number, in the order in which they are met. */
static uint32_t form_number(struct packer *p, const struct form *f)
{
	for (uint64_t key = form_hash(f) >> 1;; key = mix(key) >> 1) {
		uint32_t *number = table_at(&p->by_form, key);
		if (!*number)
			return (*number = add_form(p, f) + 1) - 1;
		if (p->failed || form_equal(&p->forms[*number - 1], f))
			return *number - 1;
	}
}

static void put(struct packer *p, enum packed_column column, uint64_t value)
{
	ph_buffer_put_varint(&p->columns[column], value);
}

static uint32_t put_form(struct packer *p, const struct form *f)
{
	uint32_t number = form_number(p, f);

	if (!p->failed)
		p->uses[number]++;
	p->tokens[p->token_count++] = number;
	return number;
}

/* A difference of addresses: mostly a multiple of 16. */
static void put_address(struct packer *p, enum packed_column column, uint64_t plus, uint64_t delta)
{
	uint64_t low = delta & 15, high = zigzag((uint64_t)((int64_t)delta >> 4));

	put(p, column, (high << 1 | (low != 0)) + plus);
	if (low)
		put(p, column, low);
}

/* `seen`: the last event that was there, or 0. */
static void put_miss(struct packer *p, uint64_t address, uint32_t seen)
{
	if (seen && p->events[seen - 1].address == address) {
		put(p, PACKED_MISS, MISS_SEEN);
		put(p, PACKED_SEEN, zigzag((uint64_t)seen - p->last_seen));
		p->last_seen = seen;
	} else {
		put_address(p, PACKED_MISS, MISS_ELSEWHERE, address - p->model.end);
	}
}

static bool passes_cache(unsigned op)
{
	return op == PH_OP_calloc || op == PH_OP_memalign || op == PH_OP_posix_memalign ||
	       op == PH_OP_aligned_alloc;
}

static void put_take(struct packer *p, const struct ph_event *e, uint32_t event)
{
	bool past = passes_cache(e->op);
	struct form f = {.kind = past ? FORM_TAKE_AT : FORM_TAKE,
			 .op = e->op,
			 .node = e->node,
			 .size = e->size};
	uint32_t number = put_form(p, &f);
	uint64_t guess, other = p->begun.address;
	uint32_t *seen = table_at(&p->by_last, e->address);
	bool stays = p->begun.open && model_chunk(e->size) <= model_chunk(p->begun.size);

	guess = stays ? p->begun.address : model_take(&p->model, e->size, past);
	if (e->address == guess) {
		p->expected++;
	} else {
		put(p, PACKED_GAP, p->expected);
		p->expected = 0;
		if (e->address == p->model.end)
			put(p, PACKED_MISS, MISS_BEHIND);
		else if (p->begun.open && e->address == other)
			put(p, PACKED_MISS, MISS_STAYED);
		else
			put_miss(p, e->address, *seen);
		p->model.end = e->address + model_chunk(e->size);
	}
	if (p->begun.open && e->address != other)
		model_give(&p->model, other, p->begun.size);
	p->begun.open = false;
	if (p->failed)
		return;
	live_add(p->live, p->links, number, event);
	*seen = event;
	*table_at(&p->by_address, e->address) = event;
}

/* Gone from the address: the model may hand it out again. */
static void let_go(struct packer *p, unsigned op, uint64_t address, uint64_t size)
{
	if (p->begun.open)
		model_give(&p->model, p->begun.address, p->begun.size);
	p->begun.open = op == PH_OP_REALLOC_BEGIN;
	p->begun.address = address;
	p->begun.size = size;
	if (!p->begun.open)
		model_give(&p->model, address, size);
}

static void put_give(struct packer *p, const struct ph_event *e, const struct ph_event *events)
{
	struct form f = {.kind = FORM_GIVE_ANY, .op = e->op, .node = e->node, .size = e->size};
	uint32_t *has = table_at(&p->by_address, e->address), event = *has;
	const struct live *l;

	*has = 0;
	if (!event || events[event - 1].address != e->address || p->failed) {
		put_form(p, &f);
		put_address(p, PACKED_ANY, 0, e->address - p->last_any);
		p->last_any = e->address;
		return;
	}
	f.kind = FORM_GIVE;
	f.target = p->links[event - 1].form - 1;
	l = &p->live[f.target];
	for (f.pick = PICK_LAST; f.pick < PICK_NUMBER && live_pick(l, f.pick) != event; f.pick++)
		;
	if (f.pick == PICK_NUMBER)
		put(p, PACKED_NUMBER, zigzag((uint64_t)event - l->given));
	put_form(p, &f);
	live_remove(p->live, p->links, event);
	let_go(p, e->op, e->address, events[event - 1].size);
}

static void put_call(struct packer *p, const struct ph_event *e)
{
	const struct ph_call *c = e->call;
	const uint64_t *words = (const uint64_t *)(c + 1);
	size_t more = (size_t)(c->cells - PH_CALL_CELLS) * 2;
	struct form f = {.kind = FORM_CALL,
			 .op = c->op,
			 .flags = c->flags,
			 .cells = c->cells,
			 .shape = c->arg == c->result ? FORM_ARG_IS_RESULT : 0,
			 .node = c->node,
			 .fd = (uint32_t)c->fd};
	uint32_t *object = &p->objects[f.fd % FORM_FDS];

	if (c->object == *object)
		f.shape |= FORM_OBJECT_OF_FD;
	else
		put(p, PACKED_OBJECT, zigzag((uint64_t)c->object - p->last_object));
	p->last_object = *object = c->object;
	put_form(p, &f);
	put(p, PACKED_ENTRY, zigzag(c->entry - p->call_end));
	put(p, PACKED_DURATION, c->duration);
	p->call_end = c->entry + c->duration;
	put(p, PACKED_RESULT, zigzag((uint64_t)c->result));
	if (c->arg != c->result)
		put(p, PACKED_ARG, zigzag((uint64_t)c->arg));
	if (more == 2) {
		put(p, PACKED_EXTRA, zigzag(words[0] - p->extra[c->op]));
		put(p, PACKED_EXTRA, zigzag(words[1]));
		p->extra[c->op] = words[0];
	} else if (more) {
		ph_buffer_put(&p->columns[PACKED_PAYLOAD], words, more * sizeof(*words));
	}
}

/* Does the address end with it? The writer's choice: see FORM_GIVE. */
static bool gives(const struct ph_event *e)
{
	return e->op == PH_OP_REALLOC_BEGIN ||
	       (e->op < PH_OP_FUNCTIONS && ph_functions[e->op].kind == PH_KIND_FREE);
}

static void put_events(struct packer *p, const struct ph_event *events, size_t count)
{
	uint64_t stamp = count ? events[0].stamp : 0;

	p->events = events;

	for (size_t i = 0; i < count && !p->failed; i++) {
		const struct ph_event *e = &events[i];
		if (e->stamp != stamp) {
			put_form(p, &(struct form){.kind = FORM_CLOCK, .op = PH_OP_CLOCK});
			put(p, PACKED_CLOCK, e->stamp - stamp);
			stamp = e->stamp;
		}
		if (e->call)
			put_call(p, e);
		else if (gives(e))
			put_give(p, e, events);
		else
			put_take(p, e, (uint32_t)i + 1);
	}
}

/* ---- forms by use --------------------------------------------------------- */

static int by_use(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? 1 : *x > *y ? -1 : 0;
}

/* `order`: the forms, most used first; where they are alike, the first met. A GIVE's
 * target may stand anywhere. */
static void sort_forms(const struct packer *p, uint64_t *order, uint32_t *place)
{
	for (uint32_t i = 0; i < p->form_count; i++)
		order[i] = (uint64_t)p->uses[i] << 32 | (UINT32_MAX - i);
	qsort(order, p->form_count, sizeof(*order), by_use);
	for (uint32_t i = 0; i < p->form_count; i++)
		place[order[i] = UINT32_MAX - (uint32_t)order[i]] = i;
}

/* Column by column: what stands beside each other is alike. */
static void put_forms(struct packer *p, const uint64_t *order, const uint32_t *place)
{
	struct ph_buffer *out = &p->columns[PACKED_FORMS];
	uint64_t last = 0;

	for (uint32_t i = 0; i < p->form_count; i++) {
		const struct form *f = &p->forms[order[i]];
		uint8_t two[2] = {(uint8_t)(f->kind | f->pick << 3 | f->shape << 5), f->op};
		ph_buffer_put(out, two, 2);
	}
	for (uint32_t i = 0; i < p->form_count; i++) {
		const struct form *f = &p->forms[order[i]];
		if (f->kind != FORM_CLOCK)
			ph_buffer_put_varint(out, f->node);
	}
	for (uint32_t i = 0; i < p->form_count; i++) {
		const struct form *f = &p->forms[order[i]];
		if (f->kind != FORM_CLOCK && f->kind != FORM_CALL)
			ph_buffer_put_varint(out, f->size);
	}
	for (uint32_t i = 0; i < p->form_count; i++) {
		const struct form *f = &p->forms[order[i]];
		if (f->kind == FORM_GIVE) {
			ph_buffer_put_varint(out, zigzag(place[f->target] - last));
			last = place[f->target];
		}
	}
	for (uint32_t i = 0; i < p->form_count; i++) {
		const struct form *f = &p->forms[order[i]];
		if (f->kind == FORM_CALL) {
			ph_buffer_put_varint(out, f->flags);
			ph_buffer_put_varint(out, f->cells);
			ph_buffer_put_varint(out, zigzag((uint64_t)(int64_t)(int32_t)f->fd));
		}
	}
}

/* The tokens, the forms, and all behind a head. */
static int finish(struct packer *p, struct ph_buffer *out)
{
	uint64_t *order = calloc(p->form_count + 1, sizeof(*order));
	uint32_t *place = calloc(p->form_count + 1, sizeof(*place));

	if (order && place && !p->failed) {
		sort_forms(p, order, place);
		put_forms(p, order, place);
		for (size_t i = 0; i < p->token_count; i++)
			put(p, PACKED_TOKEN, place[p->tokens[i]]);
		ph_buffer_put_varint(out, PACKED_LAYOUT);
		ph_buffer_put_varint(out, p->form_count);
		ph_buffer_put_varint(out, p->token_count);
		for (int i = 0; i < PACKED_COLUMNS; i++)
			ph_buffer_put_varint(out, p->columns[i].length);
		for (int i = 0; i < PACKED_COLUMNS; i++) {
			ph_buffer_put(out, p->columns[i].data, p->columns[i].length);
			out->failed |= p->columns[i].failed;
		}
	} else {
		out->failed = 1;
	}
	free(order);
	free(place);
	return out->failed ? -1 : 0;
}

int ph_pack_events(const struct ph_event *events, size_t count, struct ph_block_header *header,
		   struct ph_buffer *out)
{
	struct packer *p = count > PH_BLOCK_EVENTS_MAX ? NULL : calloc(1, sizeof(*p));
	int result = -1;

	header->events = (uint32_t)count;
	header->first_stamp = count ? events[0].stamp : 0;
	if (!p) {
		out->failed = 1;
		return -1;
	}
	p->links = calloc(count + 1, sizeof(*p->links));
	p->tokens = calloc(2 * count + 1, sizeof(*p->tokens));
	p->model.entries = calloc(count + 1, sizeof(*p->model.entries));
	if (p->links && p->tokens && p->model.entries && widen_forms(p, 1024) &&
	    table_begin(&p->by_form, count + 1) && table_begin(&p->by_address, count) &&
	    table_begin(&p->by_last, count)) {
		put_events(p, events, count);
		result = finish(p, out);
	} else {
		out->failed = 1;
	}
	for (int i = 0; i < PACKED_COLUMNS; i++)
		ph_buffer_free(&p->columns[i]);
	table_free(&p->by_form);
	table_free(&p->by_address);
	table_free(&p->by_last);
	free(p->model.entries);
	free(p->forms);
	free(p->uses);
	free(p->live);
	free(p->links);
	free(p->tokens);
	free(p);
	return result;
}
