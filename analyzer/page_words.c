/* SPDX-License-Identifier: MIT */
/* The page's summary: the lines of the text report, label and text apart. */
#include "analyzer/report_html.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/emit_text.h"
#include "analyzer/report_sections.h"

enum {
	LABEL_BEGINS = 2, /* columns of "  label       text" */
	TEXT_BEGINS = 14,
	WIDTH = 1 << 20, /* the page breaks lines itself */
};

#define ESCAPE '\x1b'

static const struct {
	void (*text)(struct report *r, struct emit_text *t);
	unsigned off; /* RUN_OFF_...: not shown where that was not recorded */
} parts[] = {
	{text_process, 0},
	{text_memory, RUN_OFF_MEMORY},
	{text_io, RUN_OFF_IO},
	{text_sockets, RUN_OFF_NET},
};

/* As emit_text.c writes them: what is worst on a line is what it is. */
static const struct {
	const char *code, *style;
} styles[] = {
	{"[1;31m", "bad"},
	{"[33m", "warning"},
	{"[1;36m", "heading"},
	{"[2m", "faint"},
};

static const char *style_of(const char *line)
{
	const char *worst = NULL;
	size_t rank = sizeof(styles) / sizeof(*styles);

	for (const char *at = line; (at = strchr(at, ESCAPE)) != NULL; at++)
		for (size_t i = 0; i < rank; i++)
			if (strncmp(at + 1, styles[i].code, strlen(styles[i].code)) == 0) {
				worst = styles[i].style;
				rank = i;
			}
	return worst;
}

/* In place: names are safe already, so that every escape is one of ours. */
static void strip_styles(char *line)
{
	char *to = line;

	while (*line != '\0') {
		if (*line == ESCAPE) {
			line += strcspn(line, "m");
			line += *line != '\0';
		} else {
			*to++ = *line++;
		}
	}
	*to = '\0';
}

static char *trimmed(char *s)
{
	char *end = s + strlen(s);

	while (end > s && end[-1] == ' ')
		*--end = '\0';
	return s + strspn(s, " ");
}

/* A row of bars: the page draws that better. */
static bool is_drawn(const char *text)
{
	static const char bar[] = "\xe2\x96"; /* U+2580 to U+25BF */

	return strncmp(text + strspn(text, " "), bar, strlen(bar)) == 0;
}

/* "  label       text", "              text" or "  text". */
static void emit_row(struct emit_json *e, const char *style, char *line)
{
	char *label = line + LABEL_BEGINS, *gap = strstr(label, "  ");
	char *text = label;

	if (gap != NULL && gap - line <= TEXT_BEGINS) {
		*gap = '\0';
		text = gap + 1;
	} else {
		label = line + strlen(line);
	}
	if (is_drawn(text))
		return;
	emit_object(e, NULL);
	emit_string(e, "label", label);
	emit_string(e, "text", trimmed(text));
	emit_string(e, "style", style);
	emit_end(e);
}

/* A part's title, then its rows up to its first table. */
static void emit_part(struct emit_json *e, char *text)
{
	bool titled = false;
	char *line;

	if (*text == '\0')
		return;
	emit_object(e, NULL);
	while ((line = strsep(&text, "\n")) != NULL) {
		const char *style = style_of(line);
		bool table = strncmp(line, "\x1b[2m", 4) == 0;

		strip_styles(line);
		if (*line == '\0')
			continue;
		if (!titled) {
			emit_string(e, "title", trimmed(line));
			emit_array(e, "rows");
			titled = true;
		} else if (table || strncmp(line, "  ", LABEL_BEGINS) != 0) {
			break;
		} else {
			emit_row(e, style, line);
		}
	}
	if (titled)
		emit_end(e);
	emit_end(e);
}

/* What a section of the text report says; malloc'ed. NULL: out of memory. */
static char *say(struct report *r, void (*section)(struct report *r, struct emit_text *t))
{
	struct emit_text t = {.color = true, .utf8 = true, .width = WIDTH};
	char *text = NULL;
	size_t length;

	t.out = open_memstream(&text, &length);
	if (t.out == NULL)
		return NULL;
	section(r, &t);
	if (fclose(t.out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Of no findings, the sentence that says so. */
static void emit_looked_for(struct report *r, struct emit_json *e)
{
	char *text = r->run->finding_count == 0 ? say(r, text_findings) : NULL;
	char *line = text != NULL ? strstr(text, "\n  ") : NULL;

	if (line != NULL) {
		strip_styles(line);
		line[strcspn(line + 1, "\n") + 1] = '\0';
		line = trimmed(line + 1);
	}
	emit_string(e, "looked_for", line);
	free(text);
}

void page_words(struct report *r, struct emit_json *e)
{
	emit_looked_for(r, e);
	emit_array(e, "summary");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		char *text;

		if (parts[i].off != 0 && (r->run->off & parts[i].off) != 0)
			continue;
		text = say(r, parts[i].text);
		if (text == NULL)
			e->failed = true;
		else
			emit_part(e, text);
		free(text);
	}
	emit_end(e);
}
