/* SPDX-License-Identifier: MIT */
/* Text for a terminal or a file. */
#include "analyzer/emit_text.h"

#include <ctype.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "analyzer/format_text.h"

#define WIDTH_DEFAULT 100
#define WIDTH_LEAST   40
#define WIDTH_MOST    160

static size_t text_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long width = 0;

	if (columns != NULL)
		width = strtol(columns, NULL, 10);
	else if (ioctl(fd, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width <= 0)
		return WIDTH_DEFAULT;
	if (width < WIDTH_LEAST)
		return WIDTH_LEAST;
	return width > WIDTH_MOST ? WIDTH_MOST : (size_t)width;
}

static bool wants_color(int fd, enum color_choice choice)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (choice != COLOR_AUTO)
		return choice == COLOR_ALWAYS;
	if (no_color != NULL && *no_color != '\0')
		return false;
	return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

void emit_text_init_for(struct emit_text *t, FILE *out, int fd, enum color_choice choice)
{
	*t = (struct emit_text){
		.out = out,
		.color = wants_color(fd, choice),
		.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.width = text_width(fd),
	};
}

void emit_text_init(struct emit_text *t, FILE *out, enum color_choice choice)
{
	emit_text_init_for(t, out, fileno(out), choice);
}

void text_style(struct emit_text *t, enum emit_style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "0", [STYLE_HEADING] = "1;36", [STYLE_STRONG] = "1",
		[STYLE_FAINT] = "2", [STYLE_WARNING] = "33",   [STYLE_BAD] = "1;31",
		[STYLE_BARS] = "32",
	};

	if (t->color)
		fprintf(t->out, "\x1b[%sm", codes[style]);
}

void text_end(struct emit_text *t)
{
	fputc('\n', t->out);
	t->at = t->hang = 0;
}

void text_indent(struct emit_text *t, size_t indent)
{
	fprintf(t->out, "%*s", (int)indent, "");
	t->at = t->hang = indent;
}

/* How much of `s` stays together: a word, and with a number what it is a number of. */
static size_t word_length(const char *s)
{
	size_t n = strcspn(s, " ");

	while (n > 0 && isdigit((unsigned char)s[n - 1]) && s[n] == ' ' && s[n + 1] != '\0' &&
	       (isalnum((unsigned char)s[n + 1]) || (s[n + 1] & 0x80)))
		n += 1 + strcspn(s + n + 1, " ");
	return n;
}

static size_t columns_of(const char *s, size_t length)
{
	size_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += ((unsigned char)s[i] & 0xc0) != 0x80;
	return columns;
}

/* Spaces in front of a word that begins a new line are given up. Where `more` follows on
 * the line, there is room for a comma. */
static void put_words(struct emit_text *t, const char *s, bool more)
{
	while (*s != '\0') {
		size_t spaces = strspn(s, " "), length = word_length(s + spaces);
		size_t width = columns_of(s + spaces, length);
		size_t room = t->width - (more && s[spaces + length] == '\0');

		if (t->at > t->hang && t->at + spaces + width > room && spaces > 0) {
			fprintf(t->out, "\n%*s", (int)t->hang, "");
			t->at = t->hang;
		} else {
			fprintf(t->out, "%*s", (int)spaces, "");
			t->at += spaces;
		}
		fprintf(t->out, "%.*s", (int)length, s + spaces);
		t->at += width;
		s += spaces + length;
	}
}

static void say(struct emit_text *t, enum emit_style style, const char *format, va_list arguments)
{
	char *words = NULL;
	int length = vasprintf(&words, format, arguments);
	bool ends = length > 0 && words[length - 1] == '\n';

	if (length < 0)
		return;
	if (ends)
		words[length - 1] = '\0';
	if (style != STYLE_PLAIN)
		text_style(t, style);
	put_words(t, words, !ends);
	if (style != STYLE_PLAIN)
		text_style(t, STYLE_PLAIN);
	if (ends)
		text_end(t);
	free(words);
}

void text_say(struct emit_text *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(t, STYLE_PLAIN, format, arguments);
	va_end(arguments);
}

void text_styled(struct emit_text *t, enum emit_style style, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(t, style, format, arguments);
	va_end(arguments);
}

void text_heading(struct emit_text *t, const char *title, const char *remark)
{
	text_end(t);
	text_styled(t, STYLE_HEADING, "%s", title);
	t->hang = 2;
	if (remark != NULL)
		text_styled(t, STYLE_FAINT, "  %s", remark);
	text_end(t);
}

size_t text_name(struct emit_text *t, const char *name, size_t columns)
{
	char *safe = format_name(name, columns, t->utf8);
	size_t width = 0;

	if (safe != NULL) {
		fputs(safe, t->out);
		width = format_columns(safe);
	}
	free(safe);
	t->at += width;
	return width;
}

void text_wrap(struct emit_text *t, const char *sentence, size_t at, size_t indent)
{
	char *safe = format_name(sentence, 0, t->utf8);

	t->at = at;
	t->hang = indent;
	if (safe != NULL)
		put_words(t, safe, false);
	free(safe);
}

struct text_row *table_row(struct text_table *table, const char *name)
{
	if (table->count == table->room) {
		size_t room = table->room * 2 + 8;
		struct text_row *rows = realloc(table->rows, room * sizeof(*rows));

		if (rows == NULL)
			return NULL;
		table->rows = rows;
		table->room = room;
	}
	table->rows[table->count] = (struct text_row){.name = name};
	return &table->rows[table->count++];
}

void table_free(struct text_table *table)
{
	free(table->rows);
	table->rows = NULL;
	table->count = table->room = 0;
}

static void pad_left(struct emit_text *t, const char *cell, size_t width)
{
	size_t have = format_columns(cell);

	fprintf(t->out, "%*s%s", (int)(have < width ? width - have : 0), "", cell);
}

/* Two spaces before each column. A column in which no row has anything is left
 * out: its width is 0. Returns what the numbers take. */
static size_t table_widths(const struct text_table *table, size_t *widths)
{
	size_t taken = 0;

	for (size_t c = 0; c < table->columns; c++) {
		widths[c] = 0;
		for (size_t r = 0; r < table->count; r++) {
			size_t width = format_columns(table->rows[r].cells[c]);

			if (width > widths[c])
				widths[c] = width;
		}
		if (widths[c] > 0 && widths[c] < format_columns(table->headers[c]))
			widths[c] = format_columns(table->headers[c]);
		taken += widths[c] > 0 ? widths[c] + 2 : 0;
	}
	return taken;
}

/* What nothing follows on its line ends with its last cell. */
static void table_line(struct emit_text *t, const struct text_table *table, const size_t *widths,
		       const struct text_row *row, bool own_line)
{
	size_t columns = table->columns;

	while (own_line && row != NULL && columns > 0 && row->cells[columns - 1][0] == '\0')
		columns--;
	for (size_t c = 0; c < columns; c++) {
		if (widths[c] == 0)
			continue;
		fputs("  ", t->out);
		pad_left(t, row != NULL ? row->cells[c] : table->headers[c], widths[c]);
	}
}

/* Leaves out what may be, until the numbers fit. Returns what they take then. */
static size_t drop_spare(const struct emit_text *t, const struct text_table *table, size_t *widths,
			 size_t taken)
{
	for (size_t i = 0; i < TABLE_COLUMNS && table->spare[i] != 0 && taken > t->width; i++) {
		size_t *width = &widths[table->spare[i] - 1];

		taken -= *width > 0 ? *width + 2 : 0;
		*width = 0;
	}
	return taken;
}

#define NAME_ENOUGH 40 /* a longer name may be shortened to this, not below */

static size_t name_width(const struct emit_text *t, const struct text_table *table)
{
	size_t widest = format_columns(table->name_header);
	size_t enough = table->name_enough != 0 ? table->name_enough : NAME_ENOUGH;

	for (size_t r = 0; r < table->count; r++) {
		char *safe = format_name(table->rows[r].name, 0, t->utf8);
		size_t width = safe != NULL ? format_columns(safe) : 0;

		if (width > widest)
			widest = width;
		free(safe);
	}
	return widest < enough ? widest : enough;
}

/* Shortened at its end. */
static void text_head(struct emit_text *t, const char *name, size_t columns)
{
	char *safe = format_name(name, 0, t->utf8);
	bool cut = safe != NULL && format_columns(safe) > columns && columns > 3;
	char *end = safe;

	if (cut) {
		for (size_t i = 0; i < columns - 3; i++)
			do
				end++;
			while (((unsigned char)*end & 0xc0) == 0x80);
		*end = '\0';
	}
	if (safe != NULL)
		fputs(safe, t->out);
	if (cut)
		fputs("...", t->out);
	free(safe);
}

static void row_name(struct emit_text *t, const struct text_table *table, size_t row, size_t room)
{
	fputs("  ", t->out);
	if (table->keep_heads)
		text_head(t, table->rows[row].name, room);
	else
		text_name(t, table->rows[row].name, room);
}

static bool is_blank(const struct text_table *table, size_t row)
{
	for (size_t c = 0; c < table->columns; c++)
		if (table->rows[row].cells[c][0] != '\0')
			return false;
	return true;
}

/* "calls 12", not torn apart, though both may have spaces. */
static void print_pair(struct emit_text *t, bool first, const char *header, const char *cell)
{
	size_t width = format_columns(header) + 1 + format_columns(cell);

	if (!first) {
		bool fits = t->at + 2 + width + 1 <= t->width; /* a comma may follow */

		fputs(fits ? ", " : ",\n", t->out);
		t->at += 2;
		if (!fits)
			text_indent(t, t->hang);
	}
	text_styled(t, STYLE_FAINT, "%s ", header);
	fputs(cell, t->out);
	t->at += format_columns(cell);
}

/* Too narrow for columns: a row's name, then what it has with the header in front. */
static void print_listed(struct emit_text *t, const struct text_table *table)
{
	for (size_t r = 0; r < table->count; r++) {
		const struct text_row *row = &table->rows[r];
		bool first = true;

		if (table->keep_heads || strchr(row->name, ' ') == NULL) {
			row_name(t, table, r, t->width - 2);
		} else {
			text_say(t, "  ");
			text_wrap(t, row->name, 2, 4);
		}
		text_end(t);
		text_indent(t, 4);
		for (size_t c = 0; c < table->columns; c++) {
			if (row->cells[c][0] == '\0')
				continue;
			print_pair(t, first, table->headers[c], row->cells[c]);
			first = false;
		}
		text_end(t);
	}
}

static void print_head(struct emit_text *t, const struct text_table *table, const size_t *widths,
		       bool own_line)
{
	text_style(t, STYLE_FAINT);
	table_line(t, table, widths, NULL, own_line);
	if (!own_line)
		fprintf(t->out, "  %s", table->name_header);
	text_style(t, STYLE_PLAIN);
	text_end(t);
}

void table_print(struct emit_text *t, const struct text_table *table)
{
	size_t widths[TABLE_COLUMNS];
	size_t taken = drop_spare(t, table, widths, table_widths(table, widths)) + 2;
	bool own_line = taken + name_width(t, table) > t->width;
	size_t name_room = own_line ? t->width - 4 : t->width - taken;

	if (taken - 2 > t->width) {
		print_listed(t, table);
		return;
	}
	print_head(t, table, widths, own_line);
	for (size_t r = 0; r < table->count; r++) {
		if (own_line) {
			row_name(t, table, r, name_room);
			text_end(t);
			if (is_blank(table, r))
				continue;
		}
		table_line(t, table, widths, &table->rows[r], own_line);
		if (!own_line)
			row_name(t, table, r, name_room);
		text_end(t);
	}
}
