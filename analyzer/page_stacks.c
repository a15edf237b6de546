/* SPDX-License-Identifier: MIT */
#include "analyzer/page_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/stack_lines.h"
#include "analyzer/vector.h"

enum { NAME_MAX_BYTES = 400 }; /* of a function's name: templates write novels */

#define KEPT_SHARE   0.99  /* of each cost is in stacks that are shown */
#define KEPT_LEAST   256   /* stacks of each cost, however little they are */
#define OTHERS_SHARE 0.001 /* of a cost: the others below a frame that are less go further out */

/* Strings, frames and nodes: each is there once. */

/* As much of it as the page has, and whole characters. */
static char *cut(const char *s)
{
	size_t length = strlen(s);
	char *copy;

	if (length <= NAME_MAX_BYTES)
		return strdup(s);
	length = NAME_MAX_BYTES;
	while (length > NAME_MAX_BYTES - 4 && ((unsigned char)s[length] & 0xc0) == 0x80)
		length--;
	copy = malloc(length + sizeof("..."));
	if (copy != NULL) {
		memcpy(copy, s, length);
		memcpy(copy + length, "...", sizeof("..."));
	}
	return copy;
}

/* Takes `s`, which may be NULL: out of memory. */
static uint32_t string_of(struct page_stacks *p, char *s)
{
	uint64_t hash = s != NULL ? map_hash_bytes(s, strlen(s)) : 0;
	size_t at = SIZE_MAX;
	uint32_t place;

	while (s != NULL && (place = index_find(&p->string_index, hash, &at)) != 0) {
		if (strcmp(p->strings[place - 1], s) == 0) {
			free(s);
			return place - 1;
		}
	}
	if (s == NULL || !vector_reserve(p->strings, p->string_room, p->string_count + 1) ||
	    !index_insert(&p->string_index, hash, (uint32_t)p->string_count + 1)) {
		free(s);
		p->failed = true;
		return 0;
	}
	p->strings[p->string_count] = s;
	return (uint32_t)p->string_count++;
}

static uint32_t copy_of(struct page_stacks *p, const char *s)
{
	return string_of(p, cut(s != NULL ? s : ""));
}

static uint32_t label_of(struct page_stacks *p, const struct frame *f)
{
	char *whole = frame_label(f), *part = whole != NULL ? cut(whole) : NULL;

	free(whole);
	return string_of(p, part);
}

static bool is_same_frame(const struct page_frame *a, const struct page_frame *b)
{
	return a->function == b->function && a->file == b->file && a->module == b->module &&
	       a->line == b->line && a->inlined == b->inlined && a->offset == b->offset;
}

static uint32_t frame_of(struct page_stacks *p, const struct frame *f)
{
	const struct page_frame like = {
		.function = label_of(p, f),
		.file = copy_of(p, f->file),
		.module = copy_of(p, f->module),
		.line = f->line,
		.inlined = f->inlined,
		.own = f->module != NULL && !stack_is_runtime(f),
		.offset = f->line > 0 ? 0 : f->module_offset,
	};
	uint64_t hash =
		map_hash(map_hash((uint64_t)like.function << 32 | like.file) ^
			 (uint64_t)like.module << 32 ^ (uint32_t)like.line ^ like.offset << 8);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&p->frame_index, hash, &at)) != 0)
		if (is_same_frame(&p->frames[place - 1], &like))
			return place - 1;
	if (!vector_reserve(p->frames, p->frame_room, p->frame_count + 1) ||
	    !index_insert(&p->frame_index, hash, (uint32_t)p->frame_count + 1)) {
		p->failed = true;
		return 0;
	}
	p->frames[p->frame_count] = like;
	return (uint32_t)p->frame_count++;
}

static uint32_t node_of(struct page_stacks *p, uint32_t parent, uint32_t frame)
{
	uint64_t hash = map_hash((uint64_t)parent << 32 | frame);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&p->node_index, hash, &at)) != 0)
		if (p->nodes[place - 1].parent == parent && p->nodes[place - 1].frame == frame)
			return place - 1;
	if (!vector_reserve(p->nodes, p->node_room, p->node_count + 1) ||
	    !index_insert(&p->node_index, hash, (uint32_t)p->node_count + 1)) {
		p->failed = true;
		return 0;
	}
	p->nodes[p->node_count] = (struct page_node){parent, frame};
	return (uint32_t)p->node_count++;
}

/* Below the page's node `above`. */
static uint32_t place_node(struct page_stacks *p, uint32_t node, uint32_t above)
{
	size_t count;
	const struct frame *frames = node_frames(p->r, node, &count);

	if (frames == NULL && count > 0)
		p->failed = true;
	while (frames != NULL && count-- > 0)
		above = node_of(p, above, frame_of(p, &frames[count]));
	return above;
}

/* Is the node one of the run's stacks, and not its root? */
static bool is_frame(const struct page_stacks *p, uint32_t node)
{
	return node_address(p->r->run, node) != NULL;
}

uint32_t page_stacks_node(struct page_stacks *p, uint32_t node)
{
	const struct run *run = p->r->run;
	uint32_t path[STACK_MAX], above = 0;
	size_t depth = 0;

	while (is_frame(p, node) && p->place[node] == 0 && depth < STACK_MAX) {
		path[depth++] = node;
		node = run->nodes[node].parent;
	}
	if (is_frame(p, node) && p->place[node] != 0)
		above = p->place[node] - 1;
	while (depth > 0) {
		above = place_node(p, path[--depth], above);
		p->place[path[depth]] = above + 1;
	}
	return above;
}

/* Stacks. */

static uint32_t stack_at(struct page_stacks *p, struct map *by_node, uint32_t node)
{
	size_t place = map_get(by_node, (uint64_t)node + 1);

	if (place == 0) {
		place = p->stack_count + 1;
		if (!vector_reserve(p->stacks, p->stack_room, place) ||
		    !map_put(by_node, (uint64_t)node + 1, place)) {
			p->failed = true;
			return 0;
		}
		p->stacks[p->stack_count++] = (struct page_stack){node, node, 0};
	}
	return (uint32_t)place - 1;
}

static void show_stack(struct page_stacks *p, uint32_t node)
{
	uint32_t place = page_stacks_node(p, node);
	uint32_t stack = stack_at(p, &p->stack_by_node, place);
	uint32_t telling = telling_node(p->r, node);

	p->stack[node] = stack + 1;
	if (!p->failed && telling != 0)
		p->stacks[stack].telling = page_stacks_node(p, telling);
}

/* The innermost frame of a stack that is shown. */
static uint32_t shown_above(const struct page_stacks *p, uint32_t node)
{
	while (is_frame(p, node) && p->place[node] == 0)
		node = p->r->run->nodes[node].parent;
	return is_frame(p, node) ? p->place[node] - 1 : 0;
}

uint32_t page_stacks_stack(struct page_stacks *p, uint32_t node)
{
	if (node >= p->r->run->node_count)
		node = 0;
	return p->stack[node] != 0 ? p->stack[node] - 1
				   : stack_at(p, &p->others_by_node, shown_above(p, node));
}

/* What has no stack in the run has none. */
static void check_nodes(struct cost_samples *s, size_t count)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].node >= count)
			s->list[i].node = 0;
}

/* The first that make nearly all of a cost. */
static void choose(struct page_stacks *p, const struct cost_samples *s, size_t most)
{
	double enough = (double)s->total * KEPT_SHARE, sum = 0;

	for (size_t i = 0; i < s->count && i < most && (i < KEPT_LEAST || sum < enough); i++) {
		p->kept[s->list[i].node] = true;
		sum += (double)s->list[i].value;
	}
}

/* A leak that is listed is shown, however large what else was never freed. */
static void choose_leaks(struct page_stacks *p, size_t rows)
{
	const struct report *r = p->r;

	for (size_t i = 0; i < r->leak_count && i < rows; i++)
		if (r->leaks[i].site->node < r->run->node_count)
			p->kept[r->leaks[i].site->node] = true;
}

/* What is left out at each node of the page, as shares of the costs. */
static void weigh_others(struct page_stacks *p, double (*shares)[COST_COUNT])
{
	for (size_t c = 0; c < COST_COUNT; c++) {
		const struct cost_samples *s = &p->samples[c];

		for (size_t i = 0; i < s->count; i++)
			if (p->stack[s->list[i].node] == 0)
				shares[shown_above(p, s->list[i].node)][c] +=
					(double)s->list[i].value / (double)s->total;
	}
}

/* Where too little is left out, it stands further out: to[i] leads there. */
static void gather_others(const struct page_stacks *p, double (*shares)[COST_COUNT], uint32_t *to)
{
	for (size_t i = p->node_count; i-- > 1;) {
		uint32_t parent = p->nodes[i].parent;
		double most = 0;

		for (size_t c = 0; c < COST_COUNT; c++)
			most = shares[i][c] > most ? shares[i][c] : most;
		to[i] = (uint32_t)i;
		if (most >= OTHERS_SHARE)
			continue;
		to[i] = parent;
		for (size_t c = 0; c < COST_COUNT; c++)
			shares[parent][c] += shares[i][c];
	}
	for (size_t i = 1; i < p->node_count; i++)
		to[i] = to[to[i]]; /* a parent comes first, and is settled */
}

/* A stack is counted once, whatever it cost. */
static void place_others(struct page_stacks *p)
{
	double(*shares)[COST_COUNT] = calloc(p->node_count + 1, sizeof(*shares));
	uint32_t *to = calloc(p->node_count + 1, sizeof(*to));

	p->failed |= shares == NULL || to == NULL;
	if (!p->failed) {
		weigh_others(p, shares);
		gather_others(p, shares, to);
	}
	for (size_t c = 0; c < COST_COUNT; c++) {
		for (size_t i = 0; i < p->samples[c].count && !p->failed; i++) {
			uint32_t node = p->samples[c].list[i].node, stack;

			if (p->stack[node] != 0)
				continue;
			stack = stack_at(p, &p->others_by_node, to[shown_above(p, node)]);
			p->stack[node] = stack + 1;
			if (!p->failed)
				p->stacks[stack].others++;
		}
	}
	free(shares);
	free(to);
}

/* The stacks that are shown come first, so that the others can be put where they end. */
static void place_stacks(struct page_stacks *p)
{
	for (size_t c = 0; c < COST_COUNT; c++)
		for (size_t i = 0; i < p->samples[c].count && !p->failed; i++)
			if (p->kept[p->samples[c].list[i].node])
				show_stack(p, p->samples[c].list[i].node);
	place_others(p);
}

int page_stacks_open(struct page_stacks *p, struct report *r, size_t most, size_t rows,
		     struct error *e)
{
	static const struct frame nothing = {.function = "(no stack)"};
	const struct run *run = r->run;

	*p = (struct page_stacks){.r = r};
	p->place = calloc(run->node_count + 1, sizeof(*p->place));
	p->kept = calloc(run->node_count + 1, sizeof(*p->kept));
	p->stack = calloc(run->node_count + 1, sizeof(*p->stack));
	if (p->place == NULL || p->kept == NULL || p->stack == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t c = 0; c < COST_COUNT; c++) {
		if (!cost_is_known(run, &costs[c]))
			continue;
		if (costs_of(run, &costs[c], &p->samples[c], e) != 0)
			return -1;
		check_nodes(&p->samples[c], run->node_count);
		choose(p, &p->samples[c], most);
	}
	choose_leaks(p, rows);
	node_of(p, 0, frame_of(p, &nothing));
	place_stacks(p);
	return p->failed ? fail(e, ERROR_MEMORY, 0, "out of memory") : 0;
}

void page_stacks_free(struct page_stacks *p)
{
	for (size_t i = 0; i < p->string_count; i++)
		free(p->strings[i]);
	for (size_t c = 0; c < COST_COUNT; c++)
		costs_free(&p->samples[c]);
	index_free(&p->string_index);
	index_free(&p->frame_index);
	index_free(&p->node_index);
	map_free(&p->stack_by_node);
	map_free(&p->others_by_node);
	free(p->strings);
	free(p->frames);
	free(p->nodes);
	free(p->stacks);
	free(p->place);
	free(p->kept);
	free(p->stack);
	*p = (struct page_stacks){0};
}

/* JSON: a member an array, since objects would take a multiple of the room. */

#define EMIT_COLUMN(e, key, list, count, member)                                                   \
	do {                                                                                       \
		int64_t *column_ = calloc((count) + 1, sizeof(*column_));                          \
		for (size_t i_ = 0; column_ != NULL && i_ < (count); i_++)                         \
			column_[i_] = (int64_t)(list)[i_].member;                                  \
		emit_column(e, key, column_, count);                                               \
	} while (0)

/* Takes the column; NULL: out of memory. */
static void emit_column(struct emit_json *e, const char *key, int64_t *column, size_t count)
{
	if (column == NULL)
		e->failed = true;
	else
		emit_numbers(e, key, column, count);
	free(column);
}

struct page_sample {
	uint32_t stack;
	uint64_t value, count;
};

static int by_stack(const void *a, const void *b)
{
	const struct page_sample *x = a, *y = b;

	return (x->stack > y->stack) - (x->stack < y->stack);
}

/* Several stacks of the run may be one here. */
static struct page_sample *list_samples(struct page_stacks *p, const struct cost_samples *s,
					size_t *count)
{
	struct page_sample *list = calloc(s->count + 1, sizeof(*list));
	size_t kept = 0;

	*count = 0;
	if (list == NULL || s->count == 0)
		return list;
	for (size_t i = 0; i < s->count; i++)
		list[i] = (struct page_sample){page_stacks_stack(p, s->list[i].node),
					       s->list[i].value, s->list[i].count};
	qsort(list, s->count, sizeof(*list), by_stack);
	for (size_t i = 1; i < s->count; i++) {
		if (list[i].stack != list[kept].stack) {
			list[++kept] = list[i];
			continue;
		}
		list[kept].value += list[i].value;
		list[kept].count += list[i].count;
	}
	*count = kept + 1;
	return list;
}

/* How many stacks had a cost, how many of them are shown, and what these make of it. */
static void emit_kept(struct page_stacks *p, struct emit_json *e, const struct cost_samples *s)
{
	uint64_t stacks = 0, value = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (!p->kept[s->list[i].node])
			continue;
		stacks++;
		value += s->list[i].value;
	}
	emit_u64(e, "total", s->total);
	emit_u64(e, "stacks", s->count);
	emit_u64(e, "shown_stacks", stacks);
	emit_u64(e, "shown", value);
}

void page_stacks_costs(struct page_stacks *p, struct emit_json *e)
{
	emit_array(e, "costs");
	for (size_t c = 0; c < COST_COUNT; c++) {
		size_t count;
		struct page_sample *list;

		if (!cost_is_known(p->r->run, &costs[c]))
			continue;
		list = list_samples(p, &p->samples[c], &count);
		emit_object(e, NULL);
		emit_string(e, "name", costs[c].name);
		emit_string(e, "title", costs[c].title);
		emit_string(e, "help", costs[c].help);
		emit_string(e, "unit", cost_unit_name(costs[c].unit));
		emit_kept(p, e, &p->samples[c]);
		if (list == NULL) {
			e->failed = true;
		} else {
			EMIT_COLUMN(e, "stack", list, count, stack);
			EMIT_COLUMN(e, "value", list, count, value);
			EMIT_COLUMN(e, "count", list, count, count);
		}
		emit_end(e);
		free(list);
	}
	emit_end(e);
	e->failed |= p->failed;
}

/* A parent comes before its children, mostly just before: the distance is short. */
static void emit_parents(struct page_stacks *p, struct emit_json *e)
{
	int64_t *column = calloc(p->node_count + 1, sizeof(*column));

	for (size_t i = 0; column != NULL && i < p->node_count; i++)
		column[i] = (int64_t)i - (int64_t)p->nodes[i].parent;
	emit_column(e, "up", column, p->node_count);
}

void page_stacks_json(struct page_stacks *p, struct emit_json *e)
{
	emit_array(e, "strings");
	for (size_t i = 0; i < p->string_count; i++)
		emit_string(e, NULL, p->strings[i]);
	emit_end(e);
	emit_object(e, "frames");
	EMIT_COLUMN(e, "function", p->frames, p->frame_count, function);
	EMIT_COLUMN(e, "file", p->frames, p->frame_count, file);
	EMIT_COLUMN(e, "module", p->frames, p->frame_count, module);
	EMIT_COLUMN(e, "line", p->frames, p->frame_count, line);
	EMIT_COLUMN(e, "inlined", p->frames, p->frame_count, inlined);
	EMIT_COLUMN(e, "own", p->frames, p->frame_count, own);
	EMIT_COLUMN(e, "offset", p->frames, p->frame_count, offset);
	emit_end(e);
	emit_object(e, "nodes");
	emit_parents(p, e);
	EMIT_COLUMN(e, "frame", p->nodes, p->node_count, frame);
	emit_end(e);
	emit_object(e, "stacks");
	EMIT_COLUMN(e, "node", p->stacks, p->stack_count, node);
	EMIT_COLUMN(e, "telling", p->stacks, p->stack_count, telling);
	EMIT_COLUMN(e, "others", p->stacks, p->stack_count, others);
	emit_end(e);
	e->failed |= p->failed;
}
