/* SPDX-License-Identifier: MIT */
/* Which suppressions were used, as JSON and as text. */
#include "analyzer/report_sections.h"

#include <stdio.h>
#include <stdlib.h>

#include "analyzer/format_text.h"
#include "analyzer/suppressions.h"

static void json_rule(struct emit_json *e, const struct suppression *s)
{
	emit_object(e, NULL);
	emit_string(e, "name", s->name);
	emit_string(e, "format", s->is_substring ? "lsan" : "valgrind");
	emit_string(e, "file", s->file);
	emit_u64(e, "line", s->line);
	emit_u64(e, "stacks", s->stacks);
	emit_u64(e, "blocks", s->blocks);
	emit_u64(e, "bytes", s->bytes);
	emit_end(e);
}

void json_suppressions(struct report *r, struct emit_json *e)
{
	static const struct suppressions none;
	const struct suppressions *s = r->suppressions != NULL ? r->suppressions : &none;

	e->unknown |= r->suppressions == NULL;
	emit_u64(e, "bytes", r->suppressed_bytes);
	emit_u64(e, "blocks", r->suppressed_blocks);
	emit_u64(e, "of_other_kinds", s->other);
	emit_u64(e, "malformed", s->bad);
	emit_array(e, "rules");
	for (size_t i = 0; i < s->count; i++)
		json_rule(e, &s->list[i]);
	emit_end(e);
}

static int by_bytes(const void *a, const void *b)
{
	const struct suppression *x = *(const struct suppression *const *)a;
	const struct suppression *y = *(const struct suppression *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x < y ? -1 : x > y;
}

static void text_used(struct report *r, struct emit_text *t, const struct suppression **used,
		      size_t count)
{
	struct text_table table = {
		.headers = {"blocks", "bytes"}, .columns = 2, .name_header = "suppressed by"};

	qsort(used, count, sizeof(*used), by_bytes);
	for (size_t i = 0; i < count && i < r->top; i++) {
		struct text_row *row = table_row(&table, used[i]->name);

		if (row == NULL)
			break;
		format_count(row->cells[0], used[i]->blocks);
		format_bytes(row->cells[1], (double)used[i]->bytes);
	}
	table_print(t, &table);
	table_free(&table);
	text_more(r, t, count, "suppressions");
}

static void text_unused(struct report *r, struct emit_text *t, const struct suppressions *s,
			size_t count)
{
	size_t shown = 0;
	char n[FORMAT_ROOM];

	text_label(t, "never used");
	for (size_t i = 0; i < s->count && shown < r->top; i++) {
		if (s->list[i].stacks != 0)
			continue;
		text_say(t, "%s", shown++ > 0 ? ", " : "");
		text_name(t, s->list[i].name, 40);
	}
	if (shown < count)
		text_say(t, " and %s more", format_count(n, count - shown));
	text_end(t);
}

static const char *entries(char buf[FORMAT_ROOM], size_t count)
{
	char n[FORMAT_ROOM];

	snprintf(buf, FORMAT_ROOM, "%.30s %s", format_count(n, count),
		 count == 1 ? "entry" : "entries");
	return buf;
}

void text_suppressions(struct report *r, struct emit_text *t)
{
	const struct suppressions *s = r->suppressions;
	const struct suppression **used;
	char bytes[FORMAT_ROOM], blocks[FORMAT_ROOM], remark[160];
	size_t count = 0;

	if (s == NULL)
		return;
	used = calloc(s->count + 1, sizeof(struct suppression *));
	for (size_t i = 0; i < s->count && used != NULL; i++)
		if (s->list[i].stacks != 0)
			used[count++] = &s->list[i];
	snprintf(remark, sizeof(remark), "%s in %s, by %zu of %zu",
		 format_bytes(bytes, (double)r->suppressed_bytes),
		 format_counted(blocks, r->suppressed_blocks, "block"), count, s->count);
	text_heading(t, "SUPPRESSED", remark);
	if (count > 0)
		text_used(r, t, used, count);
	if (count < s->count)
		text_unused(r, t, s, s->count - count);
	if (s->bad > 0) {
		text_label(t, "left out");
		text_say(t, "%s that could not be understood\n", entries(blocks, s->bad));
	}
	if (s->other > 0) {
		text_label(t, "passed over");
		text_say(t, "%s for other errors than leaks\n", entries(blocks, s->other));
	}
	free(used);
}
