/* SPDX-License-Identifier: MIT */
/* A report as text: who held the peak, what leaks, and the stacks. */
#include "analyzer/report_sections.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

/* A long stack is shown by its two ends. */
#define SHOWN_INNER 6
#define SHOWN_OUTER 2

/* Frames to print: what is outside of main, or of a thread's function, is the
 * same in every program. */
static size_t telling_frames(const struct stack *stack)
{
	static const char *const outside[] = {"_start",
					      "__libc_start_main",
					      "__libc_start_call_main",
					      "start_thread",
					      "clone",
					      "clone3",
					      "__clone3",
					      "__clone"};
	size_t count = stack->count;

	for (size_t i = 0; i < count; i++)
		if (stack->frames[i].function != NULL &&
		    strcmp(stack->frames[i].function, "main") == 0)
			return i + 1;
	while (count > 1) {
		const char *name = stack->frames[count - 1].function;
		size_t known = sizeof(outside) / sizeof(*outside), i = 0;

		while (i < known && (name == NULL || strcmp(name, outside[i]) != 0))
			i++;
		if (i == known)
			break;
		count--;
	}
	return count;
}

/* "function", or the place in a module's file where there is no name. */
static void frame_name(const struct frame *f, char *buf, size_t room)
{
	if (f->function != NULL)
		snprintf(buf, room, "%s%s", f->function, f->inlined ? " [inlined]" : "");
	else if (f->module != NULL)
		snprintf(buf, room, "%s+0x%" PRIx64, base_name(f->module), f->module_offset);
	else
		snprintf(buf, room, "0x%" PRIx64 " (generated code)", f->address);
}

static void frame_place(const struct frame *f, bool full, char *buf, size_t room)
{
	*buf = '\0';
	if (f->file != NULL && f->line > 0)
		snprintf(buf, room, "%s:%d", full ? f->file : base_name(f->file), f->line);
	else if (f->file != NULL)
		snprintf(buf, room, "%s", full ? f->file : base_name(f->file));
	else if (f->function != NULL && f->module != NULL)
		snprintf(buf, room, "in %s", full ? f->module : base_name(f->module));
}

static void print_frame(struct report *r, struct emit_text *t, const struct frame *f, size_t indent)
{
	size_t room = r->full ? 0 : t->width - indent, place_room = 0;
	char name[4096], place[4096];

	frame_name(f, name, sizeof(name));
	frame_place(f, r->full, place, sizeof(place));
	if (room > 0) {
		place_room = strlen(place) < room / 2 ? strlen(place) : room / 2;
		room -= place_room > 0 ? place_room + 2 : 0;
	}
	fprintf(t->out, "%*s", (int)indent, "");
	text_name(t, name, room);
	if (*place != '\0') {
		fputs("  ", t->out);
		text_style(t, STYLE_FAINT);
		text_name(t, place, place_room);
		text_style(t, STYLE_PLAIN);
	}
	fputc('\n', t->out);
}

static void print_frames(struct report *r, struct emit_text *t, const struct stack *stack,
			 size_t indent)
{
	size_t count = r->full ? stack->count : telling_frames(stack);

	for (size_t i = 0; i < count; i++) {
		/* One frame in place of the line that says one is missing. */
		if (!r->full && i == SHOWN_INNER && count > SHOWN_INNER + SHOWN_OUTER + 1) {
			size_t left = count - SHOWN_INNER - SHOWN_OUTER;

			text_styled(t, STYLE_FAINT, "%*s... %zu more frames (--full)\n",
				    (int)indent, "", left);
			i += left;
		}
		print_frame(r, t, &stack->frames[i], indent);
	}
}

void text_stack(struct report *r, struct emit_text *t, uint32_t node, size_t indent)
{
	struct stack stack;

	if (report_stack(r, node, &stack) != 0) {
		fprintf(t->out, "%*s(out of memory)\n", (int)indent, "");
		return;
	}
	if (stack.count == 0)
		text_styled(t, STYLE_FAINT, "%*s(no stack was recorded)\n", (int)indent, "");
	print_frames(r, t, &stack, indent);
	stack_free(&stack);
}

/* Frames of the program itself, those of the runtime libraries left out. */
static size_t own_frames(struct stack *stack)
{
	size_t count = telling_frames(stack), kept = 0;

	for (size_t i = 0; i < count; i++)
		if (module_class(stack->frames[i].module) == MODULE_PROGRAM)
			stack->frames[kept++] = stack->frames[i];
	return kept != 0 ? kept : count;
}

#define FOLDED_NAMES 5

/* "called by a, b, ..., main". */
static void print_callers(struct emit_text *t, const struct stack *stack, size_t count,
			  size_t indent)
{
	char name[4096], *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 1; out != NULL && i < count; i++) {
		if (i == FOLDED_NAMES && count > FOLDED_NAMES + 1) {
			fputs(", ...", out);
			i = count - 1;
		}
		frame_name(&stack->frames[i], name, sizeof(name));
		fprintf(out, "%s%s", i > 1 ? ", " : "called by ", name);
	}
	if (out != NULL && fclose(out) == 0 && count > 1) {
		fprintf(t->out, "%*s", (int)indent, "");
		text_wrap(t, text, indent, indent);
		fputc('\n', t->out);
	}
	free(text);
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
	if (count != 0)
		print_frame(r, t, &stack.frames[0], indent);
	print_callers(t, &stack, count, indent);
	stack_free(&stack);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_holder(struct emit_text *t, size_t rank, const char *share, uint64_t bytes,
			 uint64_t blocks)
{
	char b[FORMAT_ROOM], n[FORMAT_ROOM];

	fprintf(t->out, "  %3zu.  ", rank);
	if (share != NULL)
		text_styled(t, STYLE_STRONG, "%6s  ", share);
	text_styled(t, STYLE_STRONG, "%10s", format_bytes(b, (double)bytes));
	fprintf(t->out, "  in %s block%s", format_count(n, blocks), plural(blocks));
}

static void print_whose(struct emit_text *t, const struct holder *h)
{
	char n[FORMAT_ROOM];

	if (h->processes == 0)
		return;
	if (h->processes > 1)
		fprintf(t->out, " of %s processes, most in", format_count(n, h->processes));
	else
		fputs(" of", t->out);
	fprintf(t->out, " %d (", h->pid);
	text_name(t, h->program, 24);
	fputc(')', t->out);
}

void text_peak(struct report *r, struct emit_text *t)
{
	char share[FORMAT_ROOM], missing[96];

	if (r->peak_count == 0)
		return;
	format_percent(share, (double)r->nameless_bytes, (double)r->run->heap.peak_bytes);
	snprintf(missing, sizeof(missing), "(%s without a name: see the end)", share);
	text_heading(t, "WHO HELD THE PEAK", r->nameless_bytes > 0 ? missing : NULL);
	for (size_t i = 0; i < r->peak_count && i < r->top; i++) {
		const struct site *s = r->peak[i];

		format_percent(share, (double)s->peak_bytes, (double)r->run->heap.peak_bytes);
		print_holder(t, i + 1, share, s->peak_bytes, s->peak_blocks);
		print_whose(t, &s->peak_in);
		fputc('\n', t->out);
		text_stack(r, t, s->node, 8);
	}
	text_more(r, t, r->peak_count, "stacks");
}

static void print_leak(struct report *r, struct emit_text *t, const struct leak *l, size_t rank)
{
	print_holder(t, rank, NULL, l->site->live_bytes, l->site->live_blocks);
	if (l->suspect)
		text_styled(t, STYLE_WARNING, "  suspect, score %d", l->score);
	else
		text_styled(t, STYLE_FAINT, "  not suspect");
	fputc('\n', t->out);
	for (size_t w = 0; w < l->why_count; w++) {
		fputs("        - ", t->out);
		text_wrap(t, l->why[w], 10, 10);
		fputc('\n', t->out);
	}
	text_stack(r, t, l->site->node, 8);
}

void text_leaks(struct report *r, struct emit_text *t)
{
	char bytes[FORMAT_ROOM], n[FORMAT_ROOM], remark[128];

	if (r->leak_count == 0) {
		text_heading(t, "LEAKS", NULL);
		fputs(r->run->heap.live_blocks > 0
			      ? "  none of its own: what is live is its parent's\n"
			      : "  none: every block that was seen was freed\n",
		      t->out);
		return;
	}
	snprintf(remark, sizeof(remark), "%s suspect in %s of %zu stacks with live blocks",
		 format_bytes(bytes, (double)r->suspect_bytes), format_count(n, r->suspect_count),
		 r->leak_count);
	text_heading(t, "LEAKS", remark);
	for (size_t i = 0; i < r->leak_count && i < r->top; i++)
		print_leak(r, t, &r->leaks[i], i + 1);
	text_more(r, t, r->leak_count, "stacks");
}
