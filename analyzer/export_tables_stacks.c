/* SPDX-License-Identifier: MIT */
/* Tables of stacks: those that the other tables name. */
#include "analyzer/export_columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/canonical.h"
#include "analyzer/format_text.h"

static void use_stack(struct table_rows *rows, uint32_t node)
{
	if (node < rows->report->run->node_count)
		rows->used[node] = true;
}

static void use_facts(struct table_rows *rows, const struct io_facts *facts)
{
	for (size_t i = 0; i < facts->stack_count; i++)
		use_stack(rows, facts->stacks[i].node);
}

static bool find_used(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	if (rows->used != NULL)
		return true;
	rows->used = calloc(run->node_count + 1, sizeof(*rows->used));
	if (rows->used == NULL)
		return false;
	for (size_t i = 0; i < run->site_count; i++)
		use_stack(rows, run->sites[i].node);
	for (size_t i = 0; i < run->stack_traffic_count; i++)
		use_stack(rows, run->stack_traffic[i].node);
	for (size_t i = 0; i < run->wait_count; i++)
		use_stack(rows, run->waits[i].node);
	for (size_t i = 0; i < run->finding_count; i++)
		use_stack(rows, run->findings[i].node);
	for (size_t i = 0; i < run->file_count; i++) {
		use_stack(rows, run->files[i].top_node);
		use_facts(rows, &run->files[i].facts);
	}
	for (size_t i = 0; i < run->connection_count; i++) {
		use_stack(rows, run->connections[i].top_node);
		use_stack(rows, run->connections[i].opened_node);
		use_facts(rows, &run->connections[i].facts);
	}
	rows->used[0] = false;
	return true;
}

struct stack_row {
	uint32_t node;
	const struct stack *stack;
};

/* FNV-1a over a string and its NUL. */
static uint64_t hash_on(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	while (*text++ != '\0');
	return hash;
}

/* The same for stacks of the same functions in any run: what compilers add to names does
 * not count. Frames without a name count by their place in their module. */
static void get_key(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;
	uint64_t hash = UINT64_C(14695981039346656037);
	char *text = NULL;

	(void)column;
	for (size_t i = 0; i < stack->count; i++) {
		char *label = frame_label(&stack->frames[i]);
		char *plain = label != NULL ? malloc(strlen(label) + 1) : NULL;

		row->rows->failed |= plain == NULL;
		if (plain != NULL)
			hash = hash_on(hash, canonical_name(plain, label));
		free(label);
		free(plain);
	}
	put_text(row, cell, asprintf(&text, "%016" PRIx64, hash) >= 0 ? text : NULL);
}

static void get_folded(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool good = out != NULL;

	(void)column;
	for (size_t i = stack->count; i-- > 0 && good;) {
		char *label = frame_label(&stack->frames[i]);
		char *safe = label != NULL ? format_line(label, ";") : NULL;

		good = safe != NULL;
		fprintf(out, "%s%s", safe != NULL ? safe : "", i > 0 ? ";" : "");
		free(label);
		free(safe);
	}
	if (out != NULL && fclose(out) != 0)
		good = false;
	if (!good) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

static void get_depth(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;

	(void)column;
	*cell = (struct cell){.kind = CELL_COUNT, .count = stack->count};
}

#define ROW struct stack_row
static const struct column stack_columns[] = {
	RUN,
	STACK("stack", node),
	COLUMN("key", TEXT, get_key, stack),
	COLUMN("frames", INTEGER, get_depth, stack),
	FUNCTION("function", node),
	COLUMN("folded", TEXT, get_folded, stack),
};
#undef ROW

/* Of a stack: which place each frame is at, the innermost first. */
struct frame_row {
	uint32_t node, frame, place;
};

#define ROW struct frame_row
static const struct column frame_columns[] = {
	RUN,
	STACK("stack", node),
	U32("frame", frame), /* 0 is the innermost */
	U32("place", place),
};
#undef ROW

/* A place in the code, or of a function that is inlined there. */
struct place_row {
	uint32_t place;
	struct frame frame;
};

#define ROW struct place_row
static const struct column place_columns[] = {
	RUN,
	U32("place", place),
	TEXT("function", frame.function),
	TEXT("file", frame.file),
	INT("line", frame.line),
	TEXT("module", frame.module),
	COLUMN("address", TEXT, get_hex, frame.address),
	COLUMN("module_offset", TEXT, get_hex, frame.module_offset),
	TRUTH("inlined", frame.inlined),
};
#undef ROW

static size_t address_of(const struct table_rows *rows, uint32_t node)
{
	const struct run *run = rows->report->run;

	return (size_t)(node_address(run, node) - run->addresses);
}

/* The addresses on the used stacks. */
static bool find_addresses(struct table_rows *rows)
{
	const struct run *run = rows->report->run;
	bool *seen = calloc(run->node_count + 1, sizeof(*seen));

	rows->node_at = calloc(run->address_count + 1, sizeof(*rows->node_at));
	if (seen == NULL || rows->node_at == NULL) {
		free(seen);
		return false;
	}
	for (uint32_t i = 1; i < run->node_count; i++)
		for (uint32_t node = rows->used[i] ? i : 0;
		     node_address(run, node) != NULL && !seen[node];
		     node = run->nodes[node].parent) {
			seen[node] = true;
			rows->node_at[address_of(rows, node)] = node;
		}
	free(seen);
	return true;
}

/* Places are numbered once, whichever of the tables is asked for. */
static bool find_places(struct table_rows *rows)
{
	const struct run *run = rows->report->run;
	uint32_t next = 1;

	if (rows->place_of != NULL)
		return true;
	rows->place_of = calloc(run->address_count + 1, sizeof(*rows->place_of));
	if (!find_used(rows) || rows->place_of == NULL || !find_addresses(rows))
		return false;
	for (size_t i = 0; i < run->address_count; i++) {
		size_t count;
		const struct frame *frames = node_frames(rows->report, rows->node_at[i], &count);

		if (count > 0 && frames == NULL)
			return false;
		rows->place_of[i] = count > 0 ? next : 0;
		next += (uint32_t)count;
	}
	return true;
}

static bool each_frame_of(struct table_rows *rows, uint32_t stack)
{
	const struct run *run = rows->report->run;
	struct frame_row f = {.node = stack};
	uint32_t node = stack;

	for (size_t i = 0; i < STACK_MAX && node_address(run, node) != NULL; i++) {
		size_t count;

		f.place = rows->place_of[address_of(rows, node)];
		node_frames(rows->report, node, &count);
		for (; count > 0; count--, f.frame++, f.place++)
			if (!emit_row(rows, &f, f.frame))
				return false;
		node = run->nodes[node].parent;
	}
	return true;
}

static bool each_frame(struct table_rows *rows)
{
	bool good = find_places(rows);

	rows->failed |= !good;
	for (uint32_t i = 1; i < rows->report->run->node_count && good; i++)
		good = !rows->used[i] || each_frame_of(rows, i);
	return good;
}

static bool each_place(struct table_rows *rows)
{
	bool good = find_places(rows);

	rows->failed |= !good;
	for (size_t i = 0; i < rows->report->run->address_count && good; i++) {
		size_t count;
		const struct frame *frames = node_frames(rows->report, rows->node_at[i], &count);

		for (size_t f = 0; f < count && good; f++) {
			struct place_row p = {rows->place_of[i] + (uint32_t)f, frames[f]};

			if (p.frame.line <= 0)
				p.frame.line = -1; /* not known */
			good = emit_row(rows, &p, p.place);
		}
	}
	return good;
}

static bool each_stack(struct table_rows *rows)
{
	bool good = find_used(rows);

	rows->failed |= !good;
	for (size_t i = 1; i < rows->report->run->node_count && good; i++) {
		struct stack stack;
		struct stack_row s = {.node = (uint32_t)i, .stack = &stack};

		if (!rows->used[i])
			continue;
		if (report_stack(rows->report, s.node, &stack) != 0) {
			rows->failed = true;
			return false;
		}
		good = emit_row(rows, &s, i);
		stack_free(&stack);
	}
	return good;
}

const struct export_table table_stacks = {"stacks",
					  "each stack that the other tables name, on one line",
					  COLUMNS(stack_columns), each_stack};
const struct export_table table_frames = {"frames", "the frames of each of these stacks",
					  COLUMNS(frame_columns), each_frame};
const struct export_table table_places = {"places",
					  "where these frames are: function, file, line, module",
					  COLUMNS(place_columns), each_place};
