/* SPDX-License-Identifier: MIT */
#include "analyzer/reach.h"

#include <stdlib.h>

#include "analyzer/pages.h"
#include "analyzer/vector.h"

/*
 * From an address to its block: addresses are cut into lines, of which each knows the
 * first block that reaches into it. Blocks are 16 bytes apart at least, as allocators
 * go, so a line has few.
 */
enum {
	LINE_SHIFT = 8,
	PART_SHIFT = 24, /* lines are kept by parts of so many bytes */
	ADDRESS_BITS = 47,
	LINES = 1 << (PART_SHIFT - LINE_SHIFT),
	PARTS = 1 << (ADDRESS_BITS - PART_SHIFT),
};

/* Of a pointer: which block, and whether it is to its start. */
#define TO_START    (UINT32_C(1) << 31)
#define TO_BLOCK(e) ((e) & ~TO_START)

struct reach_graph {
	struct reach_block *blocks;
	size_t count;
	struct reach_memory memory;
	uint64_t low, span; /* of all that is searched for */
	struct part {
		uint32_t *lines; /* numbers of blocks + 1; 0: none */
		uint32_t whole;	 /* one block has all of it: its number + 1 */
	} * parts;		 /* by address */
	uint32_t **lines;	 /* all of them, to be freed */
	size_t line_count, line_room;
	/* Pointers, in the order of those that hold them: the roots', then the blocks'. */
	uint32_t *edges;
	size_t edge_count, edge_room;
	size_t *first; /* edge of each block; [count]: the end */
	size_t filled; /* blocks whose `first` is known */
	size_t begun;  /* first edge of whose words come now */
	uint32_t *stack;
	bool failed;
};

/* ---- looking up ---------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct reach_block *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static uint64_t size_of(const struct reach_block *b)
{
	return b->size != 0 ? b->size : 1;
}

/* One past its last address; a hostile size does not wrap. */
static uint64_t end_of(const struct reach_block *b)
{
	uint64_t end;

	return __builtin_add_overflow(b->address, size_of(b), &end) ? UINT64_MAX : end;
}

static bool put_line(struct reach_graph *r, uint64_t line, uint32_t number)
{
	struct part *part = &r->parts[line >> (PART_SHIFT - LINE_SHIFT)];
	uint32_t *at;

	if (part->lines == NULL) {
		if (!vector_reserve(r->lines, r->line_room, r->line_count + 1))
			return false;
		part->lines = calloc(LINES, sizeof(*part->lines));
		if (part->lines == NULL)
			return false;
		r->lines[r->line_count++] = part->lines;
	}
	at = &part->lines[line & (LINES - 1)];
	*at = *at != 0 ? *at : number;
	return true;
}

/* Of a block that may be larger than memory is, whole parts cost nothing. */
static bool put_block(struct reach_graph *r, uint64_t from, uint64_t last, uint32_t number)
{
	const uint64_t part_bytes = UINT64_C(1) << PART_SHIFT;

	for (uint64_t at = from; at <= last;) {
		struct part *part = &r->parts[at >> PART_SHIFT];

		if (at % part_bytes == 0 && last - at >= part_bytes - 1) {
			part->whole = part->whole != 0 ? part->whole : number;
			at += part_bytes;
			continue;
		}
		if (!put_line(r, at >> LINE_SHIFT, number))
			return false;
		at = ((at >> LINE_SHIFT) + 1) << LINE_SHIFT;
	}
	return true;
}

static bool make_lines(struct reach_graph *r)
{
	for (size_t i = 0; i < r->count; i++) {
		uint64_t last = end_of(&r->blocks[i]) - 1;

		/* No user's address is above. */
		if (last >> ADDRESS_BITS != 0)
			continue;
		if (!put_block(r, r->blocks[i].address, last, (uint32_t)i + 1))
			return false;
		if (last + 1 - r->low > r->span)
			r->span = last + 1 - r->low;
	}
	return true;
}

/* Its number + 1; 0: none. */
static inline uint32_t look_up(const struct reach_graph *r, uint64_t address)
{
	const struct part *part;
	size_t i;

	if (address - r->low >= r->span)
		return 0;
	part = &r->parts[address >> PART_SHIFT];
	i = part->lines != NULL ? part->lines[address >> LINE_SHIFT & (LINES - 1)] : 0;
	i = i != 0 ? i : part->whole;
	if (i == 0)
		return 0;
	while (i < r->count && r->blocks[i].address <= address)
		i++;
	i--;
	if (address < r->blocks[i].address || address >= end_of(&r->blocks[i]))
		return 0;
	return (uint32_t)i + 1;
}

struct reach_block *reach_find(const struct reach_graph *r, uint64_t address)
{
	uint32_t number = look_up(r, address);

	return number != 0 ? &r->blocks[number - 1] : NULL;
}

/* ---- pointers into blocks -------------------------------------------------- */

/*
 * Some pointers into a block's midst are as good as one to its start, because of what
 * the compiler or a library makes of it. These are the guesses that memcheck makes by
 * default (--leak-check-heuristics=all).
 */

enum { WORD = 8, PAGE = 4096 };

static bool word_at(const struct reach_graph *r, uint64_t address, uint64_t *out)
{
	return r->memory.word != NULL && r->memory.word(r->memory.context, address, out);
}

/* A block that begins with the number of its other bytes (sqlite's), or of the objects
 * with destructors that it holds (operator new[]). */
static bool is_counted(const struct reach_graph *r, const struct reach_block *b, uint64_t pointer)
{
	uint64_t n;

	if (pointer != b->address + WORD || b->size < WORD || !word_at(r, b->address, &n) || n == 0)
		return false;
	return n == b->size - WORD || (b->size - WORD) % n == 0;
}

/* The characters of a std::string of the old kind, behind length, capacity and count. */
static bool is_string(const struct reach_graph *r, const struct reach_block *b, uint64_t pointer)
{
	uint64_t length, capacity, header = UINT64_C(3) * WORD;

	return pointer == b->address + header && b->size > header &&
	       word_at(r, b->address + WORD, &capacity) && capacity == b->size - header - 1 &&
	       word_at(r, b->address, &length) && length <= capacity;
}

/* Words of a file of which the first two that are not null lead to code. */
static bool is_vtable(const struct reach_graph *r, uint64_t address)
{
	enum { LOOKED_AT = 20 };
	int functions = 0;
	bool code = false;

	if (address % WORD != 0 || address < PAGE || r->memory.file == NULL ||
	    !r->memory.file(r->memory.context, address, &code))
		return false;
	for (uint64_t at = address; at < address + (uint64_t)LOOKED_AT * WORD && functions < 2;
	     at += WORD) {
		uint64_t function;

		if (!word_at(r, at, &function))
			return false;
		if (function == 0)
			continue;
		if (!r->memory.file(r->memory.context, function, &code) || !code)
			return false;
		functions++;
	}
	return functions == 2;
}

/* An object's second or later base class: it has a table of functions of its own. */
static bool is_base(const struct reach_graph *r, const struct reach_block *b, uint64_t pointer)
{
	uint64_t inner, outer;

	return pointer % WORD == 0 && b->size >= (uint64_t)2 * WORD &&
	       pointer - b->address <= b->size - WORD && word_at(r, pointer, &inner) &&
	       word_at(r, b->address, &outer) && is_vtable(r, inner) && is_vtable(r, outer);
}

static bool is_as_good(const struct reach_graph *r, const struct reach_block *b, uint64_t pointer)
{
	return is_counted(r, b, pointer) || is_string(r, b, pointer) || is_base(r, b, pointer);
}

/* ---- the graph --------------------------------------------------------------- */

struct reach_graph *reach_begin(struct reach_block *blocks, size_t count,
				const struct reach_memory *memory)
{
	struct reach_graph *r = count < REACH_BLOCKS_MOST ? calloc(1, sizeof(*r)) : NULL;

	if (r == NULL)
		return NULL;
	r->blocks = blocks;
	r->count = count;
	r->memory = *memory;
	if (count != 0)
		qsort(blocks, count, sizeof(*blocks), by_address);
	r->low = count != 0 ? blocks[0].address : 0;
	r->parts = pages_new(PARTS * sizeof(*r->parts));
	r->first = calloc(count + 1, sizeof(*r->first));
	if (r->parts != NULL && r->first != NULL && make_lines(r))
		return r;
	reach_free(r);
	return NULL;
}

void reach_free(struct reach_graph *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->line_count; i++)
		free(r->lines[i]);
	free(r->lines);
	pages_free(r->parts, PARTS * sizeof(*r->parts));
	free(r->edges);
	free(r->first);
	free(r->stack);
	free(r);
}

void reach_from(struct reach_graph *r, size_t block)
{
	if (block == REACH_ROOTS || block >= r->count)
		return;
	while (r->filled <= block)
		r->first[r->filled++] = r->edge_count;
	r->begun = r->edge_count;
}

static void add_edge(struct reach_graph *r, uint32_t edge)
{
	if (r->edge_count > r->begun && r->edges[r->edge_count - 1] == edge)
		return;
	if (r->edge_count == r->edge_room &&
	    !vector_reserve(r->edges, r->edge_room, r->edge_count + 1)) {
		r->failed = true;
		return;
	}
	r->edges[r->edge_count++] = edge;
}

void reach_words(struct reach_graph *r, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t number = look_up(r, words[i]);
		const struct reach_block *b;

		if (number == 0)
			continue;
		b = &r->blocks[number - 1];
		if (words[i] == b->address || is_as_good(r, b, words[i]))
			add_edge(r, (number - 1) | TO_START);
		else
			add_edge(r, number - 1);
	}
}

/* ---- judging ------------------------------------------------------------------- */

/* What is held by a start from what is held for certain is so itself; all else that a
 * pointer leads to is possibly so. What becomes certain is looked through once more. */
static void hold(struct reach_graph *r, uint32_t edge, bool certain, size_t *depth)
{
	struct reach_block *b = &r->blocks[TO_BLOCK(edge)];

	if (certain && (edge & TO_START) && b->class != REACH_STILL)
		b->class = REACH_STILL;
	else if (b->class == REACH_LOST)
		b->class = REACH_POSSIBLE;
	else
		return;
	r->stack[(*depth)++] = TO_BLOCK(edge);
}

/* From the roots' pointers on. Of a block that waits to be looked through there are two
 * entries at most, for it can come to wait as possible and then as certain. */
static void follow_roots(struct reach_graph *r)
{
	size_t depth = 0;

	for (size_t e = 0; e < r->first[0]; e++) {
		hold(r, r->edges[e], true, &depth);
		while (depth > 0) {
			uint32_t b = r->stack[--depth];
			bool certain = r->blocks[b].class == REACH_STILL;

			for (size_t n = r->first[b]; n < r->first[b + 1]; n++)
				hold(r, r->edges[n], certain, &depth);
		}
	}
}

/* What a lost block leads to is indirectly lost, by whatever pointer; also one that was
 * found lost before. A ring of blocks that nothing leads to is led by its first. */
static void follow_lost(struct reach_graph *r, uint32_t leader)
{
	size_t depth = 0;

	r->stack[depth++] = leader;
	while (depth > 0) {
		uint32_t b = r->stack[--depth];

		for (size_t n = r->first[b]; n < r->first[b + 1]; n++) {
			uint32_t to = TO_BLOCK(r->edges[n]);

			if (to == leader || r->blocks[to].class != REACH_LOST)
				continue;
			r->blocks[to].class = REACH_INDIRECT;
			r->stack[depth++] = to;
		}
	}
}

bool reach_judge(struct reach_graph *r)
{
	while (r->filled <= r->count)
		r->first[r->filled++] = r->edge_count;
	r->stack = r->failed ? NULL : calloc(2 * r->count + 1, sizeof(*r->stack));
	if (r->stack == NULL)
		return false;
	for (size_t i = 0; i < r->count; i++)
		r->blocks[i].class = REACH_LOST;
	follow_roots(r);
	for (size_t i = 0; i < r->count; i++)
		if (r->blocks[i].class == REACH_LOST)
			follow_lost(r, (uint32_t)i);
	free(r->stack);
	r->stack = NULL;
	return true;
}
