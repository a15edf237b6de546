/* SPDX-License-Identifier: MIT */
/* What is shown of stacks: a stack is written as a line of words, innermost first, and
 * so are the lines that come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/stack_lines.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 256

/* "main", "libc:read", "?1" (no name, in the program), "std:push" (a template of the C++
 * library's in the program). The same word is the same address. */
static struct stack make_stack(const char *words)
{
	static char texts[8][4096];
	static int which;
	char *rest = strcpy(texts[which++ % 8], words), *word;
	struct stack stack = {.frames = calloc(FRAMES, sizeof(*stack.frames))};

	while (*words != '\0' && (word = strsep(&rest, " ")) != NULL) {
		struct frame *f = &stack.frames[stack.count++];

		*f = (struct frame){.function = word, .module = "/bin/program"};
		for (const char *c = word; *c != '\0'; c++)
			f->address = f->address * 31 + (unsigned char)*c;
		if (strncmp(word, "libc:", 5) == 0) {
			f->module = "/lib/libc.so.6";
			f->function = word + 5;
		} else if (strncmp(word, "std:", 4) == 0) {
			f->file = "/usr/include/c++/12/bits/vector.tcc";
		} else if (strncmp(word, "gthr:", 5) == 0) {
			f->file = "/usr/include/x86_64-linux-gnu/c++/12/bits/gthr-default.h";
		} else if (*word == '?') {
			f->function = NULL;
		}
	}
	return stack;
}

static const char *show(const struct stack *stack, size_t common)
{
	static char text[4096];
	struct stack_lines lines;
	size_t frames = 0;
	char *out = text;

	*text = '\0';
	assert_int_equal(stack_lines(stack, common, &lines), 0);
	for (size_t i = 0; i < lines.count; i++) {
		const struct stack_line *l = &lines.lines[i];
		const struct frame *f = &stack->frames[l->first];

		/* Every frame is in one line, and they are in order. */
		assert_int_equal(l->first, frames);
		frames += l->count;
		out += sprintf(out, "%s", i > 0 ? " " : "");
		switch (l->kind) {
		case LINE_FRAME:
			out += sprintf(out, "%s", f->function != NULL ? f->function : "?");
			break;
		case LINE_REPEATED:
			out += sprintf(out, "[%zux%zu]", l->period, l->times);
			assert_int_equal(l->period * l->times, l->count);
			break;
		case LINE_RUNTIME:
			out += sprintf(out, "[%zu runtime]", l->count);
			break;
		case LINE_NAMELESS:
			out += sprintf(out, "[%zu nameless]", l->count);
			break;
		case LINE_LEFT_OUT:
			out += sprintf(out, "[%zu left out]", l->count);
			break;
		case LINE_AS_BEFORE:
			out += sprintf(out, "[%zu as before]", l->count);
			break;
		}
	}
	assert_int_equal(frames, stack_telling(stack));
	stack_lines_free(&lines);
	return text;
}

static void test_shown(void **state)
{
	static const struct {
		const char *stack, *shown;
	} rows[] = {
		{"", ""},
		{"a", "a"},
		{"a main", "a main"},
		/* What is the same in every program. */
		{"a main libc:__libc_start_call_main libc:__libc_start_main_impl _start", "a main"},
		{"?1 ?2 libc:__libc_start_call_main libc:__libc_start_main_impl ?3", "? ?"},
		{"a worker libc:start_thread libc:clone3", "a worker"},
		{"libc:start_thread libc:clone3", "start_thread"},
		/* The call that the program made of a runtime library. */
		{"libc:grow libc:put libc:printf a main", "[2 runtime] printf a main"},
		{"libc:put libc:printf a main", "put printf a main"},
		{"std:grow std:insert std:push a main", "[2 runtime] std:push a main"},
		{"gthr:lock std:lock std:guard a main", "[2 runtime] std:guard a main"},
		{"a libc:x libc:y libc:qsort b main", "a [2 runtime] qsort b main"},
		{"libc:x libc:y libc:z", "x y z"},
		{"a std:call std:invoke std:run libc:execute", "a [3 runtime] execute"},
		{"?1 ?2 ?3 ?4 a main", "? [3 nameless] a main"},
		{"?1 ?2 a main", "? ? a main"},
		/* Recursion. */
		{"r r r r main", "r [1x3] main"},
		{"r r main", "r r main"},
		{"e f e f e f e main", "e f [2x2] e main"},
		{"a ?1 ?1 ?1 ?1 main", "a ? [1x3] main"},
		{"a b c d e f g h i", "a b c d e f g h i"},
		{"a b c d e f g h i j", "a b c d e f [2 left out] i j"},
		{"a b c d e ?1 ?2 ?3 ?4 h i j k", "a b c d e ? [5 left out] j k"},
		{"a b c d e f g r r r r main", "a b c d e f [5 left out] main"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct stack stack = make_stack(rows[i].stack);

		if (strcmp(show(&stack, 0), rows[i].shown) != 0)
			fail_msg("'%s' is shown as '%s'", rows[i].stack, show(&stack, 0));
		stack_free(&stack);
	}
}

static void test_as_before(void **state)
{
	struct stack first =
		make_stack("a serve handle loop run main libc:__libc_start_main _start");
	struct stack second = make_stack("b c handle loop run main libc:__libc_start_main _start");
	struct stack third = make_stack("d run main");

	(void)state;
	assert_int_equal(stack_common(&second, &first), 4);
	assert_string_equal(show(&second, 4), "b c [4 as before]");
	/* Too little to look up above for it. */
	assert_int_equal(stack_common(&third, &first), 2);
	assert_string_equal(show(&third, 2), "d run main");
	/* Its innermost frame is always shown. */
	assert_int_equal(stack_common(&first, &first), 5);
	assert_string_equal(show(&first, 5), "a [5 as before]");
	stack_free(&first);
	stack_free(&second);
	stack_free(&third);
}

/* A library's frames that an earlier stack has some of are one line all the same. */
static void test_as_before_in_a_runtime(void **state)
{
	struct stack stack = make_stack("std:new std:grow std:add std:insert get handle loop main");

	(void)state;
	assert_string_equal(show(&stack, 6), "[3 runtime] std:insert [4 as before]");
	assert_string_equal(show(&stack, 5), "[3 runtime] std:insert [4 as before]");
	assert_string_equal(show(&stack, 4), "[3 runtime] std:insert [4 as before]");
	assert_string_equal(show(&stack, 3), "[3 runtime] std:insert get handle loop main");
	stack_free(&stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_as_before),
		cmocka_unit_test(test_as_before_in_a_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
