/* SPDX-License-Identifier: MIT */
/*
 * What is shown of a stack where not all of it is: its frames, innermost first, and
 * single lines in place of those that say nothing more. What is outside of main, or of
 * a thread's function, is the same in every program and is not shown at all.
 */
#ifndef PH_ANALYZER_STACK_LINES_H
#define PH_ANALYZER_STACK_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/report.h"

enum stack_line_kind {
	LINE_FRAME,	/* frames[first] */
	LINE_REPEATED,	/* the `period` frames above it, `times` times more */
	LINE_RUNTIME,	/* inside a runtime library, which the next line's frame is the call of */
	LINE_NAMELESS,	/* more of the frame's module above it, without names */
	LINE_LEFT_OUT,	/* in the middle of a long stack */
	LINE_AS_BEFORE, /* from frames[first] on the same as of an earlier stack */
};

struct stack_line {
	enum stack_line_kind kind;
	size_t first, count; /* of the frames that it stands for */
	size_t period, times;
};

struct stack_lines {
	struct stack_line *lines; /* malloc'ed */
	size_t count;
};

/* Of the C or C++ library, or of Rust's; templates of theirs in the program too. */
bool stack_is_runtime(const struct frame *f);

/* The frames from the innermost to main or to a thread's function; at least one, where
 * there are any. */
size_t stack_telling(const struct stack *stack);

/*
 * The outermost `common` of the telling frames were shown before. 0, or -1: out of
 * memory. stack_lines_free() after success.
 */
int stack_lines(const struct stack *stack, size_t common, struct stack_lines *out);
void stack_lines_free(struct stack_lines *lines);

/* How many of the outermost telling frames two stacks have in common, but for the
 * innermost of `stack`. */
size_t stack_common(const struct stack *stack, const struct stack *earlier);

#endif
