/* SPDX-License-Identifier: MIT */
/* What is shown of a stack where not all of it is. */
#include "analyzer/stack_lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A long stack is shown by its two ends. */
#define SHOWN_INNER 6
#define SHOWN_OUTER 2

#define RUN_LEAST    3	/* frames that are worth a line instead */
#define COMMON_LEAST 4	/* lines that are worth a look at an earlier stack */
#define PERIOD_MOST  32 /* functions that call each other in turns */

static bool is_named(const struct frame *f, const char *const *names)
{
	for (; f->function != NULL && *names != NULL; names++)
		if (strcmp(f->function, *names) == 0)
			return true;
	return false;
}

size_t stack_telling(const struct stack *stack)
{
	static const char *const mains[] = {"main", NULL};
	static const char *const outside[] = {"__libc_start_call_main",
					      "__libc_start_main_impl",
					      "__libc_start_main",
					      "_start",
					      "start_thread",
					      "clone",
					      "clone3",
					      "__clone3",
					      "__clone",
					      "__start_context",
					      NULL};

	for (size_t i = 0; i < stack->count; i++) {
		if (is_named(&stack->frames[i], mains))
			return i + 1;
		if (i > 0 && is_named(&stack->frames[i], outside))
			return i;
	}
	return stack->count;
}

bool stack_is_runtime(const struct frame *f)
{
	return is_library_file(f->file) || module_class(f->module) != MODULE_PROGRAM;
}

static bool is_same_module(const struct frame *a, const struct frame *b)
{
	return a->module == b->module ||
	       (a->module != NULL && b->module != NULL && strcmp(a->module, b->module) == 0);
}

/* Recursion calls from here or there in a function. */
static bool is_same_function(const struct frame *a, const struct frame *b)
{
	if (a->function == NULL || b->function == NULL)
		return a->function == b->function && a->address == b->address;
	return strcmp(a->function, b->function) == 0 && is_same_module(a, b);
}

static bool is_same_frame(const struct frame *a, const struct frame *b)
{
	return a->address == b->address && a->inlined == b->inlined && is_same_function(a, b);
}

size_t stack_common(const struct stack *stack, const struct stack *earlier)
{
	size_t a = stack_telling(stack), b = stack_telling(earlier), common = 0;

	while (common + 1 < a && common < b &&
	       is_same_frame(&stack->frames[a - 1 - common], &earlier->frames[b - 1 - common]))
		common++;
	return common;
}

/* How often the `period` frames at `first` stand there, one after the other. */
static size_t count_times(const struct frame *frames, size_t first, size_t count, size_t period)
{
	size_t i = first + period;

	while (i < count && is_same_function(&frames[i], &frames[i - period]))
		i++;
	return (i - first) / period;
}

/* The repetition at `first` that takes most frames; times 0: none that is worth it. */
static struct stack_line find_repeated(const struct frame *frames, size_t first, size_t count)
{
	struct stack_line best = {.kind = LINE_REPEATED};

	for (size_t period = 1; period <= PERIOD_MOST && first + 2 * period <= count; period++) {
		size_t more = count_times(frames, first, count, period) - 1;

		if (more * period < RUN_LEAST || more * period <= best.count)
			continue;
		best.first = first + period;
		best.count = more * period;
		best.period = period;
		best.times = more;
	}
	return best;
}

static size_t count_runtime(const struct frame *frames, size_t first, size_t count)
{
	size_t n = 0;

	while (first + n < count && stack_is_runtime(&frames[first + n]))
		n++;
	return n;
}

static size_t count_nameless(const struct frame *frames, size_t first, size_t count)
{
	size_t n = 0;

	while (first + n < count && frames[first + n].function == NULL &&
	       frames[first + n].module != NULL &&
	       is_same_module(&frames[first + n], &frames[first]))
		n++;
	return n;
}

static void add(struct stack_lines *out, enum stack_line_kind kind, size_t first, size_t count)
{
	out->lines[out->count++] = (struct stack_line){kind, first, count, 0, 0};
}

/* The line or lines that begin at a frame, one of `count` in a stack of `whole`. Returns the
 * next frame. */
static size_t add_at(struct stack_lines *out, const struct frame *frames, size_t i, size_t count,
		     size_t whole)
{
	struct stack_line repeated = find_repeated(frames, i, count);
	size_t runtime = count_runtime(frames, i, count);
	size_t nameless = count_nameless(frames, i, count);

	if (repeated.times > 0) {
		for (size_t n = 0; n < repeated.period; n++)
			add(out, LINE_FRAME, i + n, 1);
		out->lines[out->count++] = repeated;
		return repeated.first + repeated.count;
	}
	/* Not all of a stack: then they are what there is to tell. */
	if (runtime >= RUN_LEAST && (i > 0 || runtime < whole)) {
		add(out, LINE_RUNTIME, i, runtime - 1);
		add(out, LINE_FRAME, i + runtime - 1, 1);
		return i + runtime;
	}
	add(out, LINE_FRAME, i, 1);
	if (nameless < RUN_LEAST)
		return i + 1;
	add(out, LINE_NAMELESS, i + 1, nameless - 1);
	return i + nameless;
}

/* The middle gives way to one line, if that saves any. */
static void leave_out(struct stack_lines *out)
{
	struct stack_line *middle = &out->lines[SHOWN_INNER], *outer;

	if (out->count <= SHOWN_INNER + SHOWN_OUTER + 1)
		return;
	outer = &out->lines[out->count - SHOWN_OUTER];
	/* It says something of those above it, which are gone. */
	if (outer->kind == LINE_REPEATED || outer->kind == LINE_NAMELESS)
		outer++;
	for (struct stack_line *line = middle + 1; line < outer; line++)
		middle->count += line->count;
	middle->kind = LINE_LEFT_OUT;
	memmove(middle + 1, outer, (size_t)(out->lines + out->count - outer) * sizeof(*outer));
	out->count = (size_t)(middle + 1 - out->lines) + (size_t)(out->lines + out->count - outer);
}

/* A run-time library's frames are one line, where only the outer ones are common, too:
 * then these are not. */
static size_t whole_runs(const struct stack *stack, size_t telling, size_t common)
{
	const struct frame *begin = &stack->frames[telling - common];
	size_t n = count_runtime(begin, 0, common);

	return common < telling && n < common && stack_is_runtime(begin - 1) ? common - n : common;
}

int stack_lines(const struct stack *stack, size_t common, struct stack_lines *out)
{
	size_t telling = stack_telling(stack), end;

	if (common > 0)
		common = whole_runs(stack, telling, common);
	end = telling - common;
	/* No frame makes more lines than itself and one in place of others. */
	*out = (struct stack_lines){.lines = calloc(2 * telling + 2, sizeof(*out->lines))};
	if (out->lines == NULL)
		return -1;
	for (size_t i = 0; i < end;)
		i = add_at(out, stack->frames, i, end, telling);
	end = out->count;
	for (size_t i = telling - common; i < telling;)
		i = add_at(out, stack->frames, i, telling, telling);
	if (out->count - end >= COMMON_LEAST) {
		out->count = end;
		add(out, LINE_AS_BEFORE, telling - common, common);
	}
	leave_out(out);
	return 0;
}

void stack_lines_free(struct stack_lines *lines)
{
	free(lines->lines);
	*lines = (struct stack_lines){0};
}
