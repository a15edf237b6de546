/* SPDX-License-Identifier: MIT */
/* The second layout back to events. Each number is checked where it is read. */
#include <stdlib.h>
#include <string.h>

#include "trace/packed.h"
#include "trace/varint.h"

static const char too_short[] = "a packed event block ends in the middle";
static const char number_wrong[] = "a number in a packed event block is out of range";
static const char not_there[] = "a packed event block refers to an event that it does not have";
static const char no_memory[] = "out of memory for a block's events";

struct unpacker {
	struct varint_reader columns[PACKED_COLUMNS];
	struct form *forms;
	uint64_t form_count, token_count;
	size_t event_count;
	struct live *live;
	struct link *links;
	struct model *model;
	struct ph_event *events;
	size_t at; /* events so far */
	uint64_t *storage;
	uint64_t gap; /* addresses still to come as expected */
	uint64_t last_any, last_seen, call_end;
	uint64_t extra[256];
	uint64_t last_object;
	uint32_t objects[FORM_FDS];
	struct {
		uint64_t address, size;
		bool open;
	} begun;
};

static const char *read_head(struct unpacker *u, const struct ph_block_header *header,
			     const uint8_t *payload, size_t length)
{
	struct varint_reader r = {.at = payload, .end = payload + length};
	uint64_t layout = varint_get(&r), lengths[PACKED_COLUMNS];

	u->form_count = varint_get(&r);
	u->token_count = varint_get(&r);
	u->event_count = header->events;
	for (int i = 0; i < PACKED_COLUMNS; i++)
		lengths[i] = varint_get(&r);
	if (r.bad || layout != PACKED_LAYOUT)
		return too_short;
	for (int i = 0; i < PACKED_COLUMNS; i++) {
		if (lengths[i] > (size_t)(r.end - r.at))
			return too_short;
		u->columns[i] = (struct varint_reader){.at = r.at, .end = r.at + lengths[i]};
		r.at += lengths[i];
	}
	if (r.at != r.end)
		return "a packed event block has bytes left over";
	/* A stamp between two events at most, a byte a token. */
	if (u->event_count > PH_BLOCK_EVENTS_MAX || u->token_count < u->event_count ||
	    u->token_count > 2 * (uint64_t)u->event_count ||
	    u->token_count > lengths[PACKED_TOKEN] || u->form_count > u->token_count)
		return number_wrong;
	return NULL;
}

static uint64_t take(struct unpacker *u, enum packed_column column)
{
	return varint_get(&u->columns[column]);
}

/* ---- forms ------------------------------------------------------------------ */

static int form_is_valid(const struct form *f)
{
	switch (f->kind) {
	case FORM_CLOCK:
		return f->op == PH_OP_CLOCK && !f->pick && !f->shape;
	case FORM_TAKE:
	case FORM_TAKE_AT:
	case FORM_GIVE_ANY:
		return f->op && f->op <= PH_OP_REALLOC_FAILED && !f->pick && !f->shape;
	case FORM_GIVE:
		return f->op && f->op <= PH_OP_REALLOC_FAILED && !f->shape;
	case FORM_CALL:
		return f->op && f->op != PH_OP_WIDE && f->op != PH_OP_CLOCK && f->op != PH_OP_PAD &&
		       f->op != PH_OP_REALLOC_BEGIN && f->op != PH_OP_REALLOC_FAILED && !f->pick &&
		       f->shape < FORM_SHAPES;
	default:
		return 0;
	}
}

static bool is_take(const struct unpacker *u, uint64_t form)
{
	return form < u->form_count &&
	       (u->forms[form].kind == FORM_TAKE || u->forms[form].kind == FORM_TAKE_AT);
}

static bool read_call_form(struct unpacker *u, struct form *f)
{
	uint64_t flags = take(u, PACKED_FORMS), cells = take(u, PACKED_FORMS),
		 fd = unzigzag(take(u, PACKED_FORMS));

	f->flags = (uint8_t)flags;
	f->cells = (uint16_t)cells;
	f->fd = (uint32_t)fd;
	return flags <= UINT8_MAX && cells >= PH_CALL_CELLS && cells <= PH_CALL_CELLS_MAX &&
	       (uint64_t)(int64_t)(int32_t)f->fd == fd;
}

static const char *read_forms(struct unpacker *u)
{
	struct varint_reader *r = &u->columns[PACKED_FORMS];
	struct form *end = u->forms + u->form_count;
	uint64_t target = 0, node;
	bool good = true;

	if (u->form_count > (size_t)(r->end - r->at) / 2)
		return too_short;
	for (struct form *f = u->forms; f < end; f++, r->at += 2) {
		f->kind = r->at[0] & 7;
		f->pick = r->at[0] >> 3 & 3;
		f->shape = r->at[0] >> 5;
		f->op = r->at[1];
		if (!form_is_valid(f))
			return "a packed event block has an event of an unknown form";
	}
	for (struct form *f = u->forms; f < end; f++) {
		if (f->kind == FORM_CLOCK)
			continue;
		f->node = (uint32_t)(node = varint_get(r));
		good = good && node <= UINT32_MAX;
	}
	for (struct form *f = u->forms; f < end; f++)
		if (f->kind != FORM_CLOCK && f->kind != FORM_CALL)
			f->size = varint_get(r);
	for (struct form *f = u->forms; f < end; f++) {
		if (f->kind != FORM_GIVE)
			continue;
		target += unzigzag(varint_get(r));
		f->target = (uint32_t)target;
		good = good && is_take(u, target);
	}
	for (struct form *f = u->forms; f < end; f++)
		if (f->kind == FORM_CALL)
			good = good && read_call_form(u, f);
	return good && !r->bad && r->at == r->end ? NULL : number_wrong;
}

/* ---- records ---------------------------------------------------------------- */

static uint64_t take_address(struct unpacker *u, enum packed_column column, uint64_t value)
{
	uint64_t delta = unzigzag(value >> 1) << 4;
	return value & 1 ? delta | (take(u, column) & 15) : delta;
}

static bool take_miss(struct unpacker *u, uint64_t size, uint64_t *out)
{
	uint64_t value = take(u, PACKED_MISS), address = u->model->end;

	if (value == MISS_STAYED) {
		address = u->begun.address;
	} else if (value == MISS_SEEN) {
		u->last_seen += unzigzag(take(u, PACKED_SEEN));
		if (u->last_seen - 1 >= u->at)
			return false;
		address = u->events[u->last_seen - 1].address;
	} else if (value >= MISS_ELSEWHERE) {
		address += take_address(u, PACKED_MISS, value - MISS_ELSEWHERE);
	}
	u->model->end = address + model_chunk(size);
	*out = address;
	return true;
}

static const char *put_take(struct unpacker *u, const struct form *f, struct ph_event *e)
{
	bool stays = u->begun.open && model_chunk(f->size) <= model_chunk(u->begun.size);

	e->address =
		stays ? u->begun.address : model_take(u->model, f->size, f->kind == FORM_TAKE_AT);
	if (u->gap) {
		u->gap--;
	} else {
		if (!take_miss(u, f->size, &e->address))
			return not_there;
		u->gap = u->columns[PACKED_GAP].at < u->columns[PACKED_GAP].end
				 ? take(u, PACKED_GAP)
				 : UINT64_MAX;
	}
	if (u->begun.open && e->address != u->begun.address)
		model_give(u->model, u->begun.address, u->begun.size);
	u->begun.open = false;
	live_add(u->live, u->links, (uint32_t)(f - u->forms), (uint32_t)u->at + 1);
	return NULL;
}

static void let_go(struct unpacker *u, unsigned op, uint64_t address, uint64_t size)
{
	if (u->begun.open)
		model_give(u->model, u->begun.address, u->begun.size);
	u->begun.open = op == PH_OP_REALLOC_BEGIN;
	u->begun.address = address;
	u->begun.size = size;
	if (!u->begun.open)
		model_give(u->model, address, size);
}

static const char *put_give(struct unpacker *u, const struct form *f, struct ph_event *e)
{
	const struct live *l = &u->live[f->target];
	uint64_t event;

	if (f->kind == FORM_GIVE_ANY) {
		u->last_any += take_address(u, PACKED_ANY, take(u, PACKED_ANY));
		e->address = u->last_any;
		return NULL;
	}
	event = f->pick == PICK_NUMBER ? l->given + unzigzag(take(u, PACKED_NUMBER))
				       : live_pick(l, f->pick);
	if (event - 1 >= u->at || u->links[event - 1].form != f->target + 1)
		return not_there;
	e->address = u->events[event - 1].address;
	live_remove(u->live, u->links, (uint32_t)event);
	let_go(u, f->op, e->address, u->events[event - 1].size);
	return NULL;
}

static const char *put_call(struct unpacker *u, const struct form *f, struct ph_event *e)
{
	struct ph_call call = {.op = f->op,
			       .flags = f->flags,
			       .cells = f->cells,
			       .fd = (int32_t)f->fd,
			       .node = f->node};
	uint32_t *object = &u->objects[f->fd % FORM_FDS];
	size_t words = (size_t)(f->cells - PH_CALL_CELLS) * 2;
	struct varint_reader *payload = &u->columns[PACKED_PAYLOAD];
	uint64_t *storage = u->storage;

	if (!(f->shape & FORM_OBJECT_OF_FD)) {
		u->last_object += unzigzag(take(u, PACKED_OBJECT));
		if (u->last_object > UINT32_MAX)
			return number_wrong;
		*object = (uint32_t)u->last_object;
	}
	u->last_object = call.object = *object;
	call.entry = u->call_end + unzigzag(take(u, PACKED_ENTRY));
	call.duration = take(u, PACKED_DURATION);
	u->call_end = call.entry + call.duration;
	call.result = (int64_t)unzigzag(take(u, PACKED_RESULT));
	call.arg = f->shape & FORM_ARG_IS_RESULT ? call.result
						 : (int64_t)unzigzag(take(u, PACKED_ARG));
	memcpy(storage, &call, sizeof(call));
	storage += sizeof(call) / sizeof(*storage);
	if (words == 2) {
		storage[0] = u->extra[f->op] += unzigzag(take(u, PACKED_EXTRA));
		storage[1] = unzigzag(take(u, PACKED_EXTRA));
	} else if (words) {
		if (words * sizeof(*storage) > (size_t)(payload->end - payload->at))
			return too_short;
		memcpy(storage, payload->at, words * sizeof(*storage));
		payload->at += words * sizeof(*storage);
	}
	e->call = (const struct ph_call *)u->storage;
	u->storage = storage + words;
	return NULL;
}

static const char *put_event(struct unpacker *u, const struct form *f, uint64_t stamp)
{
	struct ph_event *e = &u->events[u->at];
	const char *wrong;

	*e = (struct ph_event){.stamp = stamp, .node = f->node, .op = f->op};
	if (f->kind != FORM_CALL)
		e->size = f->size;
	wrong = f->kind == FORM_CALL		       ? put_call(u, f, e)
		: is_take(u, (uint64_t)(f - u->forms)) ? put_take(u, f, e)
						       : put_give(u, f, e);
	u->at++;
	return wrong;
}

static const char *read_events(struct unpacker *u, uint64_t stamp)
{
	const char *wrong = NULL;

	u->gap = u->columns[PACKED_GAP].at < u->columns[PACKED_GAP].end ? take(u, PACKED_GAP)
									: UINT64_MAX;
	for (uint64_t i = 0; i < u->token_count && !wrong; i++) {
		uint64_t token = take(u, PACKED_TOKEN);
		if (token >= u->form_count)
			return number_wrong;
		if (u->forms[token].kind == FORM_CLOCK)
			stamp += take(u, PACKED_CLOCK);
		else if (u->at < u->event_count)
			wrong = put_event(u, &u->forms[token], stamp);
		else
			return number_wrong;
	}
	if (wrong)
		return wrong;
	for (int i = 0; i < PACKED_COLUMNS; i++)
		if (u->columns[i].bad || u->columns[i].at != u->columns[i].end)
			return "a packed event block's columns do not fit together";
	return u->at == u->event_count
		       ? NULL
		       : "an event block has more or fewer events than its header says";
}

/* ---- room ------------------------------------------------------------------- */

/* Words that the calls will take: no more than the payload has bytes for. */
static const char *count_words(struct unpacker *u, size_t *words)
{
	struct varint_reader tokens = u->columns[PACKED_TOKEN];
	size_t payload = 0;

	*words = 0;
	for (uint64_t i = 0; i < u->token_count; i++) {
		uint64_t token = varint_get(&tokens);
		const struct form *f = &u->forms[token < u->form_count ? token : 0];
		if (f->kind != FORM_CALL)
			continue;
		*words += (size_t)f->cells * 2;
		if (f->cells > PH_CALL_CELLS + 1)
			payload += (size_t)(f->cells - PH_CALL_CELLS) * 16;
		if (payload >
		    (size_t)(u->columns[PACKED_PAYLOAD].end - u->columns[PACKED_PAYLOAD].at))
			return too_short;
	}
	return NULL;
}

static const char *reserve(struct unpacker *u, struct ph_events *out)
{
	size_t words;
	const char *wrong = count_words(u, &words);

	if (wrong)
		return wrong;
	if (out->room < u->event_count) {
		free(out->events);
		out->events = malloc(u->event_count * sizeof(*out->events));
		out->room = out->events ? u->event_count : 0;
	}
	if (out->calls_room < words) {
		free(out->calls);
		out->calls = malloc(words * sizeof(*out->calls));
		out->calls_room = out->calls ? words : 0;
	}
	u->events = out->events;
	u->storage = out->calls;
	u->links = calloc(u->event_count + 1, sizeof(*u->links));
	u->model->entries = calloc(u->event_count + 1, sizeof(*u->model->entries));
	return out->room < u->event_count || out->calls_room < words || !u->links ||
			       !u->model->entries
		       ? no_memory
		       : NULL;
}

static const char *decode(struct unpacker *u, uint64_t stamp, struct ph_events *out)
{
	const char *wrong;

	u->forms = calloc(u->form_count + 1, sizeof(*u->forms));
	u->live = calloc(u->form_count + 1, sizeof(*u->live));
	u->model = calloc(1, sizeof(*u->model));
	if (!u->forms || !u->live || !u->model)
		return no_memory;
	if ((wrong = read_forms(u)) || (wrong = reserve(u, out)) || (wrong = read_events(u, stamp)))
		return wrong;
	out->count = u->event_count;
	return NULL;
}

const char *ph_decode_packed(const struct ph_block_header *header, const uint8_t *payload,
			     size_t length, struct ph_events *out)
{
	struct unpacker u = {.at = 0};
	const char *wrong = read_head(&u, header, payload, length);

	out->count = 0;
	if (!wrong)
		wrong = decode(&u, header->first_stamp, out);
	free(u.forms);
	free(u.live);
	free(u.links);
	if (u.model)
		free(u.model->entries);
	free(u.model);
	return wrong;
}
