/* SPDX-License-Identifier: MIT */
#include "analyzer/report_html.h"

#include <stdlib.h>
#include <string.h>

/* html_page.S: what stands before and behind the model. */
extern const char ph_page_before[], ph_page_after[];
extern const uint64_t ph_page_before_bytes, ph_page_after_bytes;

enum {
	MODEL_MOST = 2500 * 1024, /* bytes: the page is to stay below 3 MB */
	SUMS_LEAST = 4096,	  /* of what stacks did over time */
	TRIES = 8,
};

/* How much goes into a page. */
struct limits {
	size_t stacks; /* of each cost */
	size_t sums;
	size_t rows; /* of each list */
};

static uint32_t number_of(void *context, uint32_t node)
{
	return page_stacks_node(context, node);
}

static void emit_model(struct report *r, struct page_stacks *p, const struct limits *most,
		       struct emit_json *e)
{
	const struct stack_numbers numbers = {number_of, p};

	r->numbers = &numbers;
	report_json(r, REPORT_WHOLE, e);
	r->numbers = NULL;
	page_processes(r, e);
	emit_object(e, "page");
	emit_u64(e, "rows", r->top);
	page_words(r, e);
	page_stacks_costs(p, e);
	page_activity(r, p, most->sums, e);
	page_stacks_json(p, e);
	emit_end(e);
}

/* Within <script>, where only "</script" and "<!--" mean anything; and a line separator
 * ends a line of a script, should anyone make one of it. */
static void escape(const char *s, FILE *out)
{
	for (; *s != '\0'; s++) {
		if (*s == '<' || *s == '>' || *s == '&')
			fprintf(out, "\\u%04x", (unsigned)*s);
		else if (strncmp(s, "\xe2\x80\xa8", 3) == 0 || strncmp(s, "\xe2\x80\xa9", 3) == 0) {
			fprintf(out, "\\u202%c", s[2] == '\xa8' ? '8' : '9');
			s += 2;
		} else {
			fputc(*s, out);
		}
	}
}

/* Malloc'ed. NULL with *e filled. */
static char *make_model(struct report *r, const struct limits *most, size_t *length,
			struct error *e)
{
	size_t top = r->top;
	struct page_stacks p;
	struct emit_json json;
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	int rc = -1;

	if (out == NULL) {
		fail(e, ERROR_MEMORY, 0, "out of memory");
		return NULL;
	}
	if (page_stacks_open(&p, r, most->stacks, e) == 0) {
		r->top = most->rows;
		emit_json_begin(&json);
		emit_model(r, &p, most, &json);
		rc = emit_json_finish(&json, out, false);
		r->top = top;
	}
	page_stacks_free(&p);
	if (fclose(out) == 0 && rc == 0)
		return text;
	free(text);
	fail(e, ERROR_MEMORY, 0, "out of memory");
	return NULL;
}

/* Where it is too much, stacks and sums go first, then rows too. */
static void lessen(struct limits *most, int try)
{
	most->stacks /= 2;
	if (most->sums / 2 >= SUMS_LEAST)
		most->sums /= 2;
	if (try >= TRIES / 2)
		most->rows = most->rows / 2 + 1;
}

int report_html(struct report *r, FILE *out, struct error *e)
{
	struct limits most = {.stacks = 16384, .sums = 24576, .rows = r->top};
	size_t length;
	char *model = make_model(r, &most, &length, e);

	for (int try = 0; model != NULL && length > MODEL_MOST && try < TRIES; try++) {
		free(model);
		lessen(&most, try);
		model = make_model(r, &most, &length, e);
	}
	if (model == NULL)
		return -1;
	fwrite(ph_page_before, 1, ph_page_before_bytes, out);
	escape(model, out);
	fwrite(ph_page_after, 1, ph_page_after_bytes, out);
	free(model);
	return 0;
}
