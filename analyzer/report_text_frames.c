/* SPDX-License-Identifier: MIT */
/* A report as text: stacks. */
#include "analyzer/report_sections.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_function.h"
#include "analyzer/format_text.h"
#include "analyzer/stack_lines.h"

#define NAME_ROOM    4096
#define NAME_LEAST   16 /* columns of a function's name before its place gives way */
#define NARROW	     60 /* columns: stacks are indented less */
#define INLINED	     " [inlined]"
#define FOLDED_NAMES 5

/* "function", or the place in a module's file where there is no name. Malloc'ed; at
 * most `columns` wide, 0: any. */
static char *frame_name(const struct frame *f, size_t columns, bool utf8)
{
	size_t tail = f->inlined ? strlen(INLINED) : 0;
	char place[NAME_ROOM], *function, *out = NULL;

	if (f->function == NULL) {
		if (f->module != NULL)
			snprintf(place, sizeof(place), "%s+0x%" PRIx64, base_name(f->module),
				 f->module_offset);
		else
			snprintf(place, sizeof(place), "0x%" PRIx64 " (generated code)",
				 f->address);
		return format_name(place, columns, utf8);
	}
	function = format_function(f->function, columns > tail ? columns - tail : columns, utf8);
	if (function == NULL || asprintf(&out, "%s%s", function, f->inlined ? INLINED : "") < 0)
		out = NULL;
	free(function);
	return out;
}

static void module_place(const struct frame *f, const char *module, bool full, char *buf,
			 size_t room)
{
	char offset[24] = "";

	if (f->offset != 0)
		snprintf(offset, sizeof(offset), "+0x%" PRIx64, f->offset);
	if (!full && module != NULL && strcmp(f->module, module) == 0)
		snprintf(buf, room, "%s", offset);
	else
		snprintf(buf, room, "%s  in %s", offset, full ? f->module : base_name(f->module));
}

/* Where it is: the line; or how far into the function, and the module, if `module` is not
 * it already. */
static void frame_place(const struct frame *f, const char *module, bool full, char *buf,
			size_t room)
{
	*buf = '\0';
	if (f->file != NULL && f->line > 0)
		snprintf(buf, room, "%s:%d", full ? f->file : base_name(f->file), f->line);
	else if (f->file != NULL)
		snprintf(buf, room, "%s", full ? f->file : base_name(f->file));
	else if (f->function != NULL && f->module != NULL)
		module_place(f, module, full, buf, room);
}

static void put_name(struct emit_text *t, const struct frame *f, size_t columns,
		     enum emit_style style)
{
	char *name = frame_name(f, columns, t->utf8);

	if (name != NULL)
		text_styled(t, style, "%s", name);
	free(name);
}

/* `module` is that of the frame above; NULL: none is. */
static void print_frame(struct report *r, struct emit_text *t, const struct frame *f,
			const char *module, enum emit_style style)
{
	size_t room = r->full ? 0 : t->width - t->at, place_room = 0;
	char place[NAME_ROOM];

	frame_place(f, module, r->full, place, sizeof(place));
	if (room > 0 && *place != '\0') {
		place_room = format_columns(place);
		if (place_room + 2 + NAME_LEAST > room)
			place_room = room - 2 - NAME_LEAST;
		room -= place_room + 2;
	}
	put_name(t, f, room, style);
	if (*place != '\0') {
		fputs(f->file != NULL ? "  " : "", t->out);
		text_style(t, STYLE_FAINT);
		text_name(t, place, place_room);
		text_style(t, STYLE_PLAIN);
	}
	text_end(t);
}

/* The innermost frame of the program stands out, those of the runtime stand back. */
static enum emit_style style_of(const struct stack *stack, size_t i, bool *told)
{
	if (stack_is_runtime(&stack->frames[i]))
		return STYLE_FAINT;
	if (*told)
		return STYLE_PLAIN;
	*told = true;
	return STYLE_STRONG;
}

static const char *runtime_name(const struct frame *f)
{
	if (module_class(f->module) != MODULE_PROGRAM)
		return base_name(f->module);
	return f->file != NULL && strstr(f->file, "/c++/") != NULL ? "the C++ library"
								   : "Rust's library";
}

/* The line in place of frames. `rank`: of the earlier stack; 0: the one above. */
static void say_line(struct emit_text *t, const struct stack *stack, const struct stack_line *line,
		     size_t rank)
{
	const struct frame *f = &stack->frames[line->first];
	const char *s = line->count == 1 ? "" : "s";
	char *name;

	switch (line->kind) {
	case LINE_FRAME:
		break;
	case LINE_REPEATED:
		if (line->period == 1)
			text_say(t, "... the same %zu times more", line->times);
		else if (line->times == 1)
			text_say(t, "... these %zu frames once more", line->period);
		else
			text_say(t, "... these %zu frames %zu times more", line->period,
				 line->times);
		break;
	case LINE_RUNTIME:
		text_say(t, "... %zu frame%s of %s", line->count, s, runtime_name(f));
		break;
	case LINE_NAMELESS:
		text_say(t, "... %zu more without name%s", line->count, s);
		break;
	case LINE_LEFT_OUT:
		text_say(t, "... %zu more frame%s (--full)", line->count, s);
		break;
	case LINE_AS_BEFORE:
		name = frame_name(f, t->width / 2, t->utf8);
		if (rank != 0)
			text_say(t, "... as %zu. from %s on (%zu frame%s)", rank,
				 name != NULL ? name : "here", line->count, s);
		else
			text_say(t, "... as above from %s on (%zu frame%s)",
				 name != NULL ? name : "here", line->count, s);
		free(name);
		break;
	}
}

static size_t indent_of(const struct emit_text *t, size_t indent)
{
	return t->width < NARROW ? indent / 2 + 2 : indent;
}

static void print_lines(struct report *r, struct emit_text *t, const struct stack *stack,
			const struct stack_lines *lines, size_t indent, size_t rank)
{
	const char *module = NULL;
	bool told = false;

	for (size_t i = 0; i < lines->count; i++) {
		const struct stack_line *line = &lines->lines[i];
		const struct frame *f = &stack->frames[line->first];

		text_indent(t, indent_of(t, indent));
		if (line->kind == LINE_FRAME) {
			print_frame(r, t, f, module, style_of(stack, line->first, &told));
			module = f->module;
			continue;
		}
		text_style(t, STYLE_FAINT);
		say_line(t, stack, line, rank);
		text_style(t, STYLE_PLAIN);
		text_end(t);
	}
}

static void print_whole(struct report *r, struct emit_text *t, const struct stack *stack,
			size_t indent)
{
	bool told = false;

	for (size_t i = 0; i < stack->count; i++) {
		text_indent(t, indent_of(t, indent));
		print_frame(r, t, &stack->frames[i], NULL, style_of(stack, i, &told));
	}
}

/* The earlier stack that has most frames in common, and how many. */
static size_t find_common(const struct shown_stacks *shown, const struct stack *stack, size_t rank,
			  size_t *which)
{
	size_t best = 0, first = rank == 0 && shown->count > 0 ? shown->count - 1 : 0;

	for (size_t i = first; i < shown->count; i++) {
		size_t common = stack_common(stack, &shown->stacks[i]);

		if (common > best) {
			best = common;
			*which = shown->ranks[i];
		}
	}
	return best;
}

/* Takes it over. */
static void keep_shown(struct shown_stacks *shown, struct stack *stack, size_t rank)
{
	struct stack *stacks = shown->stacks;

	if (shown->count == SHOWN_STACKS) {
		stack_free(&stacks[0]);
		memmove(&stacks[0], &stacks[1], (SHOWN_STACKS - 1) * sizeof(*stacks));
		memmove(&shown->ranks[0], &shown->ranks[1],
			(SHOWN_STACKS - 1) * sizeof(*shown->ranks));
		shown->count--;
	}
	shown->ranks[shown->count] = rank;
	stacks[shown->count++] = *stack;
	*stack = (struct stack){0};
}

void shown_stacks_free(struct shown_stacks *shown)
{
	for (size_t i = 0; i < shown->count; i++)
		stack_free(&shown->stacks[i]);
	shown->count = 0;
}

void text_listed_stack(struct report *r, struct emit_text *t, struct shown_stacks *shown,
		       size_t rank, uint32_t node, size_t indent)
{
	struct stack_lines lines;
	struct stack stack;
	size_t common, which = 0;

	if (report_stack(r, node, &stack) != 0) {
		fprintf(t->out, "%*s(out of memory)\n", (int)indent, "");
		return;
	}
	if (stack.count == 0) {
		text_styled(t, STYLE_FAINT, "%*s(no stack was recorded)\n", (int)indent, "");
		return;
	}
	common = shown != NULL ? find_common(shown, &stack, rank, &which) : 0;
	if (r->full || stack_lines(&stack, common, &lines) != 0) {
		print_whole(r, t, &stack, indent);
	} else {
		print_lines(r, t, &stack, &lines, indent, which);
		stack_lines_free(&lines);
		if (shown != NULL)
			keep_shown(shown, &stack, rank);
	}
	stack_free(&stack);
}

void text_stack(struct report *r, struct emit_text *t, uint32_t node, size_t indent)
{
	text_listed_stack(r, t, NULL, 0, node, indent);
}

/* Frames of the program itself, those of the runtime libraries left out. */
static size_t own_frames(struct stack *stack)
{
	size_t count = stack_telling(stack), kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!stack_is_runtime(&stack->frames[i]))
			stack->frames[kept++] = stack->frames[i];
	return kept != 0 ? kept : count;
}

/* "called by a, b, ..., main". */
static void print_callers(struct emit_text *t, const struct stack *stack, size_t count,
			  size_t indent)
{
	text_indent(t, indent_of(t, indent));
	for (size_t i = 1; i < count; i++) {
		char *name;

		if (i == FOLDED_NAMES && count > FOLDED_NAMES + 1) {
			text_say(t, ", ...");
			i = count - 1;
		}
		name = frame_name(&stack->frames[i], t->width / 2, t->utf8);
		text_say(t, "%s%s", i > 1 ? ", " : "called by ", name != NULL ? name : "?");
		free(name);
	}
	text_end(t);
}

void text_folded_stack(struct report *r, struct emit_text *t, uint32_t node, size_t indent)
{
	struct stack stack;
	size_t count;

	if (r->full || node == 0 || report_stack(r, node, &stack) != 0) {
		text_stack(r, t, node, indent);
		return;
	}
	count = own_frames(&stack);
	if (count != 0) {
		text_indent(t, indent_of(t, indent));
		print_frame(r, t, &stack.frames[0], NULL, STYLE_STRONG);
	}
	if (count > 1)
		print_callers(t, &stack, count, indent);
	stack_free(&stack);
}
