/* SPDX-License-Identifier: MIT */
/*
 * Text for a terminal or a file: headings, names made safe, tables that fit the
 * width. Colours only where asked; write errors stay in the FILE (ferror).
 */
#ifndef PH_ANALYZER_EMIT_TEXT_H
#define PH_ANALYZER_EMIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analyzer/format_text.h"

struct emit_text {
	FILE *out;
	bool color;
	bool utf8;
	size_t width;
	/* Of the line that is being written by the functions below: the column that it
	 * stands at, and the one that its next line begins at if it must be broken. */
	size_t at, hang;
};

enum emit_style {
	STYLE_PLAIN,
	STYLE_HEADING,
	STYLE_STRONG,
	STYLE_FAINT,
	STYLE_WARNING,
	STYLE_BAD,
	STYLE_BARS,
};

enum color_choice {
	COLOR_AUTO,
	COLOR_ALWAYS,
	COLOR_NEVER,
};

/* Width, colour and character set for `out`, from the terminal and environment. What
 * goes through a pager is for the terminal `fd` behind it; else -1. */
void emit_text_init(struct emit_text *t, FILE *out, enum color_choice choice);
void emit_text_init_for(struct emit_text *t, FILE *out, int fd, enum color_choice choice);

void text_style(struct emit_text *t, enum emit_style style); /* until STYLE_PLAIN */
void text_heading(struct emit_text *t, const char *title, const char *remark); /* remark or NULL */
/* Words, broken at spaces to fit, but not between a number and its unit. A newline at
 * the end ends the line. Not for what a trace says. */
void text_say(struct emit_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_styled(struct emit_text *t, enum emit_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void text_end(struct emit_text *t);		      /* ends the line */
void text_indent(struct emit_text *t, size_t indent); /* begins one */
/* A name of the trace, made safe; at most `columns` wide (0: no limit). Returns
 * how wide it came out. */
size_t text_name(struct emit_text *t, const char *name, size_t columns);
/* A sentence, made safe, broken at spaces to fit; lines after the first are
 * indented. Begins at column `at`. */
void text_wrap(struct emit_text *t, const char *sentence, size_t at, size_t indent);

/*
 * A table: numbers in columns that are as wide as they must be, then a name in
 * the room that is left, or on a line of its own where that is too little.
 */
#define TABLE_COLUMNS 12
#define TABLE_CELL    FORMAT_ROOM

struct text_row {
	char cells[TABLE_COLUMNS][TABLE_CELL];
	const char *name; /* borrowed */
};

struct text_table {
	const char *headers[TABLE_COLUMNS]; /* of the numbers */
	size_t columns;
	const char *name_header;
	size_t name_enough; /* a longer name may be shortened to this; 0: 40 */
	bool keep_heads;    /* it is shortened at its end; otherwise in its middle */
	/* Columns, counted from 1, that are left out where all are too wide: the first one
	 * first. 0 ends them. */
	unsigned char spare[TABLE_COLUMNS];
	struct text_row *rows;
	size_t count, room;
};

/* The next row, its cells empty; NULL: out of memory. */
struct text_row *table_row(struct text_table *table, const char *name);
void table_print(struct emit_text *t, const struct text_table *table);
void table_free(struct text_table *table);

#endif
