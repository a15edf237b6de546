/* SPDX-License-Identifier: MIT */
/*
 * The second layout of an EVENTS payload, as `perfhook pack` writes it: shared by its
 * encoder and its decoder. Prose and reasons: docs/trace-format.md.
 */
#ifndef PH_TRACE_PACKED_H
#define PH_TRACE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/decode.h"

#define PACKED_LAYOUT 2

/* What an event is but for what differs each time: a token is the number of one. */
enum form_kind {
	FORM_CLOCK,    /* no event: the stamp moves */
	FORM_TAKE,     /* memory: it has an address from now on */
	FORM_TAKE_AT,  /* likewise; the allocator's nearest cache is passed over */
	FORM_GIVE,     /* memory: the address of an event of the form `target` */
	FORM_GIVE_ANY, /* memory: an address that none is known to have */
	FORM_CALL,
	FORM_KINDS
};

/* Which of its target's events a GIVE means. */
enum form_pick {
	PICK_LAST,     /* the newest */
	PICK_NEXT,     /* the one after that which was given last */
	PICK_PREVIOUS, /* the one before that */
	PICK_NUMBER,   /* as the column says */
	PICKS
};

/* Of a call: what needs no column. */
#define FORM_ARG_IS_RESULT 1u
#define FORM_OBJECT_OF_FD  2u /* the object of the last call of this descriptor */
#define FORM_SHAPES	   4u
#define FORM_FDS	   1024 /* which are told apart for that */

struct form {
	uint8_t kind, op, pick, flags;
	uint16_t cells; /* of a call, payload included */
	uint8_t shape;
	uint32_t node;
	uint32_t target; /* GIVE: a form's number */
	uint64_t size;	 /* memory events */
	uint32_t fd;
};

enum packed_column {
	PACKED_FORMS,
	PACKED_TOKEN,
	PACKED_CLOCK,
	PACKED_NUMBER, /* PICK_NUMBER: the difference to the target's event given last */
	PACKED_GAP,    /* addresses that came as expected, before the next that did not */
	PACKED_MISS,   /* enum packed_miss, or more: a difference of addresses */
	PACKED_SEEN,   /* MISS_SEEN: the difference of two events' numbers */
	PACKED_ANY,
	PACKED_OBJECT,
	PACKED_ENTRY,
	PACKED_DURATION,
	PACKED_RESULT,
	PACKED_ARG,
	PACKED_EXTRA,
	PACKED_PAYLOAD,
	PACKED_COLUMNS
};

/* Where an allocation is that is not where it was expected. */
enum packed_miss {
	MISS_BEHIND, /* where the last such one ended */
	MISS_STAYED, /* a realloc: where it was */
	MISS_SEEN,   /* where an earlier one of the block was */
	MISS_ELSEWHERE,
};

/*
 * Where the next allocation will be: a model of an allocator that keeps what is freed by
 * size, the latest first, in a small cache and behind it. It is a guess; what it says
 * must only be the same on both sides.
 */
#define MODEL_CLASSES 4096	      /* chunks of up to 64 KiB */
#define MODEL_SIZES   UINT64_C(65536) /* no larger one has a class */
#define MODEL_CACHE   7		      /* glibc's tcache_count */

struct model_entry {
	uint64_t address;
	uint32_t next;
};
struct model {
	uint32_t cached[MODEL_CLASSES], behind[MODEL_CLASSES]; /* first entries, + 1 */
	uint8_t count[MODEL_CLASSES];			       /* in the cache */
	struct model_entry *entries;			       /* one an event at most */
	uint32_t used, unused;				       /* unused: first one, + 1 */
	uint64_t end;					       /* of the last that was a miss */
};

static inline uint64_t model_chunk(uint64_t size)
{
	uint64_t chunk = (size + 8 + 15) & ~UINT64_C(15);
	return chunk < 32 ? 32 : chunk;
}

static inline void model_push(struct model *m, uint32_t *list, uint32_t entry)
{
	m->entries[entry - 1].next = *list;
	*list = entry;
}

static inline uint32_t model_pop(const struct model *m, uint32_t *list)
{
	uint32_t entry = *list;
	*list = m->entries[entry - 1].next;
	return entry;
}

static inline void model_give(struct model *m, uint64_t address, uint64_t size)
{
	uint64_t class = model_chunk(size) / 16;
	uint32_t entry = m->unused;

	if (class >= MODEL_CLASSES || size > MODEL_SIZES)
		return;
	if (entry)
		m->unused = m->entries[entry - 1].next;
	else
		entry = ++m->used;
	m->entries[entry - 1].address = address;
	if (m->count[class] < MODEL_CACHE) {
		m->count[class]++;
		model_push(m, &m->cached[class], entry);
	} else {
		model_push(m, &m->behind[class], entry);
	}
}

/* What an allocation of `size` will get; what is guessed is taken out. */
static inline uint64_t model_take(struct model *m, uint64_t size, bool past_cache)
{
	uint64_t class = model_chunk(size) / 16;
	uint32_t entry;

	if (class >= MODEL_CLASSES || size > MODEL_SIZES)
		return m->end;
	if (!past_cache && m->count[class]) {
		m->count[class]--;
		entry = model_pop(m, &m->cached[class]);
	} else if (m->behind[class]) {
		entry = model_pop(m, &m->behind[class]);
		/* The cache is filled from behind it, in turn. */
		while (m->behind[class] && m->count[class] < MODEL_CACHE) {
			m->count[class]++;
			model_push(m, &m->cached[class], model_pop(m, &m->behind[class]));
		}
	} else {
		return m->end;
	}
	model_push(m, &m->unused, entry);
	return m->entries[entry - 1].address;
}

/* A form's events that have an address still, oldest first; event numbers + 1. */
struct live {
	uint32_t newest, after, before; /* of the one given last */
	uint32_t given;			/* that one */
};
struct link {
	uint32_t next, previous;
	uint32_t form; /* + 1; 0: it has none */
};

static inline void live_add(struct live *live, struct link *links, uint32_t form, uint32_t event)
{
	struct live *l = &live[form];

	links[event - 1] = (struct link){.previous = l->newest, .form = form + 1};
	if (l->newest)
		links[l->newest - 1].next = event;
	l->newest = event;
}

static inline void live_remove(struct live *live, struct link *links, uint32_t event)
{
	struct link *k = &links[event - 1];
	struct live *l = &live[k->form - 1];

	if (k->next)
		links[k->next - 1].previous = k->previous;
	else
		l->newest = k->previous;
	if (k->previous)
		links[k->previous - 1].next = k->next;
	l->after = k->next;
	l->before = k->previous;
	l->given = event;
	k->form = 0;
}

static inline uint32_t live_pick(const struct live *l, unsigned pick)
{
	return pick == PICK_LAST ? l->newest : pick == PICK_NEXT ? l->after : l->before;
}

/* NULL or a sentence. */
const char *ph_decode_packed(const struct ph_block_header *header, const uint8_t *payload,
			     size_t length, struct ph_events *out);

#endif
