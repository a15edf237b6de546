/* SPDX-License-Identifier: MIT */
#include "analyzer/report_html.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/report_sections.h"

/* html_page.S: what stands before and behind the model. */
extern const char ph_page_before[], ph_page_after[];
extern const uint64_t ph_page_before_bytes, ph_page_after_bytes;

enum {
	MODEL_MOST = 2500 * 1024, /* bytes: the page is to stay below 3 MB */
	STACKS_LEAST = 256,
	SUMS_LEAST = 4096, /* of what stacks did over time */
	TRIES = 12,
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

/* False: there is less about time in it than there should be. */
static bool emit_model(struct report *r, struct page_stacks *p, const struct limits *most,
		       struct emit_json *e)
{
	const struct stack_numbers numbers = {number_of, p};
	bool whole;

	r->numbers = &numbers;
	report_json(r, REPORT_WHOLE, e);
	r->numbers = NULL;
	page_processes(r, e);
	emit_object(e, "page");
	emit_u64(e, "rows", r->top);
	page_words(r, e);
	page_stacks_costs(p, e);
	whole = page_activity(r, p, most->sums, e);
	page_stacks_json(p, e);
	page_sources(p, e);
	emit_end(e);
	return whole;
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

struct made {
	char *text; /* malloc'ed; NULL: it could not be made */
	size_t length;
	bool whole; /* as emit_model() says */
};

/* What it is compared with: its stacks, and what describes it. */
static int emit_before(struct report *r, const struct limits *most, struct emit_json *e,
		       struct error *error)
{
	struct page_stacks p;
	int rc = page_stacks_open(&p, r, most->stacks, most->rows, error);

	if (rc == 0) {
		emit_object(e, "before");
		emit_string(e, "trace", r->run->trace_path);
		emit_object(e, "process");
		json_process(r, e);
		emit_end(e);
		page_stacks_costs(&p, e);
		page_stacks_json(&p, e);
		emit_end(e);
	}
	page_stacks_free(&p);
	return rc;
}

static struct made make_model(struct report *r, struct report *before, const struct limits *most,
			      struct error *e)
{
	struct made made = {.text = NULL};
	FILE *out = open_memstream(&made.text, &made.length);
	size_t top = r->top;
	struct page_stacks p;
	struct emit_json json;
	int rc = -1;

	if (out == NULL) {
		fail(e, ERROR_MEMORY, 0, "out of memory");
		return made;
	}
	if (page_stacks_open(&p, r, most->stacks, most->rows, e) == 0) {
		r->top = most->rows;
		emit_json_begin(&json);
		made.whole = emit_model(r, &p, most, &json);
		r->top = top;
		if (before == NULL || emit_before(before, most, &json, e) == 0)
			rc = emit_json_finish(&json, out, false);
		else
			emit_json_free(&json);
	}
	page_stacks_free(&p);
	if (fclose(out) == 0 && rc == 0)
		return made;
	free(made.text);
	made.text = NULL;
	fail(e, ERROR_MEMORY, 0, "out of memory");
	return made;
}

/* Whoever asks for all rows gets them, and no fewer stacks for it. */
static bool is_too_much(const struct made *made, const struct limits *most)
{
	if (most->rows == SIZE_MAX)
		return false;
	return made->length > MODEL_MOST || (!made->whole && most->stacks > STACKS_LEAST);
}

/* Stacks go first, then what they did over time, then rows. */
static void lessen(struct limits *most)
{
	if (most->stacks > STACKS_LEAST) {
		most->stacks /= 2;
	} else {
		if (most->sums > SUMS_LEAST)
			most->sums /= 2;
		most->rows = most->rows / 2 + 1;
	}
}

int report_html(struct report *r, struct report *before, FILE *out, struct error *e)
{
	struct limits most = {
		.stacks = 16384, .sums = r->top == SIZE_MAX ? 400000 : 40000, .rows = r->top};
	struct made made = make_model(r, before, &most, e);

	for (int try = 0; made.text != NULL && is_too_much(&made, &most) && try < TRIES; try++) {
		free(made.text);
		lessen(&most);
		made = make_model(r, before, &most, e);
	}
	if (made.text == NULL)
		return -1;
	fwrite(ph_page_before, 1, ph_page_before_bytes, out);
	escape(made.text, out);
	fwrite(ph_page_after, 1, ph_page_after_bytes, out);
	free(made.text);
	return 0;
}
