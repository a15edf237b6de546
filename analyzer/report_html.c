/* SPDX-License-Identifier: MIT */
#include "analyzer/report_html.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/page_stacks.h"

/* html_page.S: what stands before and behind the model. */
extern const char ph_page_before[], ph_page_after[];
extern const uint64_t ph_page_before_bytes, ph_page_after_bytes;

enum {
	MODEL_MOST = 2500 * 1024, /* bytes: the page is to stay below 3 MB */
	STACKS_MOST = 16384,	  /* of a cost, to begin with */
	STACKS_LEAST = 64,
};

static uint32_t number_of(void *context, uint32_t node)
{
	return page_stacks_node(context, node);
}

static void emit_model(struct report *r, struct page_stacks *p, struct emit_json *e)
{
	const struct stack_numbers numbers = {number_of, p};

	r->numbers = &numbers;
	report_json(r, REPORT_WHOLE, e);
	report_json_processes(r, e);
	r->numbers = NULL;
	emit_object(e, "page");
	page_words(r, e);
	page_stacks_costs(p, e);
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

/* The model with at most so many stacks of each cost; malloc'ed. NULL with *e filled. */
static char *make_model(struct report *r, size_t most, size_t *length, struct error *e)
{
	struct page_stacks p;
	struct emit_json json;
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	int rc = -1;

	if (out != NULL && page_stacks_open(&p, r, most, e) == 0) {
		emit_json_begin(&json);
		emit_model(r, &p, &json);
		rc = emit_json_finish(&json, out, false);
	}
	if (out != NULL) {
		page_stacks_free(&p);
		if (fclose(out) != 0)
			rc = -1;
	}
	if (rc == 0)
		return text;
	free(text);
	fail(e, ERROR_MEMORY, 0, "out of memory");
	return NULL;
}

int report_html(struct report *r, FILE *out, struct error *e)
{
	size_t most = STACKS_MOST, length;
	char *model = make_model(r, most, &length, e);

	while (model != NULL && length > MODEL_MOST && most > STACKS_LEAST) {
		free(model);
		most /= 2;
		model = make_model(r, most, &length, e);
	}
	if (model == NULL)
		return -1;
	fwrite(ph_page_before, 1, ph_page_before_bytes, out);
	escape(model, out);
	fwrite(ph_page_after, 1, ph_page_after_bytes, out);
	free(model);
	return 0;
}
