/* SPDX-License-Identifier: MIT */
/* What a search for pointers found, as JSON and as text. */
#include "analyzer/report_sections.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "analyzer/format_text.h"
#include "analyzer/reach.h"
#include "analyzer/reach_sums.h"

/* NULL: no search was made. */
static void emit_classes(struct emit_json *e, const char *key, const struct reach_sum *sums,
			 bool blocks)
{
	emit_object(e, key);
	for (int c = 0; c < REACH_CLASSES; c++) {
		if (sums == NULL)
			emit_null(e, reach_names[c].key);
		else
			emit_u64(e, reach_names[c].key, blocks ? sums[c].blocks : sums[c].bytes);
	}
	emit_end(e);
}

void json_site_reach(struct report *r, struct emit_json *e, const struct site *s)
{
	const struct reach_sum *sums = r->run->heap.reach.made ? s->reach : NULL;
	enum reach_class worst = reach_worst(s->reach);

	emit_string(e, "reachability", worst != REACH_CLASSES ? reach_names[worst].text : NULL);
	emit_classes(e, "reachability_bytes", sums, false);
	emit_classes(e, "reachability_blocks", sums, true);
}

void json_reachability(struct report *r, struct emit_json *e)
{
	const struct reach *s = &r->run->heap.reach;
	const struct reach_sum *sums = s->made ? s->sums : NULL;

	emit_bool(e, "made", s->made);
	emit_string(e, "missing", s->missing);
	emit_string(e, "how", s->how);
	emit_double(e, "at_s", s->made ? s->at_s : NAN);
	emit_double(e, "pause_s", s->made ? s->pause_s : NAN);
	emit_classes(e, "bytes", sums, false);
	emit_classes(e, "blocks", sums, true);
	emit_array(e, "notes");
	for (size_t i = 0; i < s->note_count; i++)
		emit_string(e, NULL, s->notes[i]);
	emit_end(e);
}

static void text_when(const struct reach *s, bool utf8, char *buf, size_t room)
{
	char at[FORMAT_ROOM], pause[FORMAT_ROOM];

	if (isnan(s->at_s) || s->how == NULL) {
		*buf = '\0';
		return;
	}
	snprintf(buf, room, "%s after the start, from a %s; the process stood still for %s",
		 format_seconds(at, s->at_s, utf8), s->how,
		 format_seconds(pause, s->pause_s, utf8));
}

void text_reachability(struct report *r, struct emit_text *t)
{
	const struct reach *s = &r->run->heap.reach;
	char when[128], bytes[FORMAT_ROOM], n[FORMAT_ROOM];

	if (!s->made && s->missing != NULL) {
		text_heading(t, "REACHABLE", NULL);
		text_say(t, "  not known: %s\n", s->missing);
	}
	if (!s->made)
		return;
	text_when(s, t->utf8, when, sizeof(when));
	text_heading(t, "REACHABLE", *when != '\0' ? when : NULL);
	for (int c = 0; c < REACH_CLASSES; c++) {
		text_indent(t, 2);
		t->hang = 19;
		text_say(t, "%-16s %10s in %s\n", reach_names[c].text,
			 format_bytes(bytes, (double)s->sums[c].bytes),
			 format_counted(n, s->sums[c].blocks, "block"));
	}
	for (size_t i = 0; i < s->note_count; i++) {
		text_label(t, "note");
		text_wrap(t, s->notes[i], 14, 14);
		text_end(t);
	}
}

/* By a site's place, its leak's rank; NULL: out of memory. */
static size_t *rank_sites(const struct report *r)
{
	size_t *ranks = calloc(r->run->site_count + 1, sizeof(*ranks));

	for (size_t i = 0; ranks != NULL && i < r->leak_count; i++)
		ranks[r->leaks[i].site - r->run->sites] = i + 1;
	return ranks;
}

void report_json_blocks(struct report *r, const struct reach_block *blocks, size_t count,
			struct emit_json *e)
{
	size_t *ranks = rank_sites(r);

	e->failed |= ranks == NULL;
	emit_array(e, "blocks");
	for (size_t i = 0; ranks != NULL && i < count; i++) {
		emit_object(e, NULL);
		emit_hex(e, "address", blocks[i].address);
		emit_u64(e, "bytes", blocks[i].size);
		emit_string(e, "reachability", reach_names[blocks[i].class].text);
		emit_u64(e, "leak", ranks[blocks[i].site]);
		emit_end(e);
	}
	emit_end(e);
	free(ranks);
}

void report_text_blocks(struct report *r, const struct reach_block *blocks, size_t count,
			struct emit_text *t)
{
	size_t *ranks = rank_sites(r);

	if (ranks == NULL)
		return;
	text_heading(t, "BLOCKS", "address, bytes, class, leak");
	for (size_t i = 0; i < count; i++)
		text_say(t, "  0x%-14" PRIx64 " %10" PRIu64 "  %-16s %4zu\n", blocks[i].address,
			 blocks[i].size, reach_names[blocks[i].class].text, ranks[blocks[i].site]);
	free(ranks);
}
