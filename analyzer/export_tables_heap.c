/* SPDX-License-Identifier: MIT */
/* Tables of the heap. */
#include "analyzer/export_columns.h"

#include <stdio.h>
#include <stdlib.h>

/* Null where no search for pointers was made. */
static void get_reach(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct reach_sum *sums = row_field(row, column);

	if (row->rows->report->run->heap.reach.made)
		*cell = (struct cell){.kind = CELL_COUNT, .count = sums[column->part].bytes};
}

#define REACH(name, f, class)                                                                      \
	{                                                                                          \
		name, COLUMN_INTEGER, get_reach, offsetof(ROW, f), class, 0                        \
	}
#define ROW struct site
static const struct column site_columns[] = {
	RUN,
	STACK("stack", node),
	FUNCTION("function", node),
	U64("allocations", allocations),
	U64("allocated_bytes", allocated_bytes),
	U64("frees", frees),
	U64("reallocated", reallocated),
	U64("temporary_allocations", temporary),
	U64("live_bytes", live_bytes),
	U64("live_blocks", live_blocks),
	U64("peak_bytes", peak_bytes),
	U64("peak_blocks", peak_blocks),
	NUMBER("first_at_s", first_at_s),
	NUMBER("last_at_s", last_at_s),
	U64("inherited_bytes", inherited_bytes),
	U64("inherited_blocks", inherited_blocks),
	REACH("lost_bytes", reach, REACH_LOST),
	REACH("indirectly_lost_bytes", reach, REACH_INDIRECT),
	REACH("possibly_lost_bytes", reach, REACH_POSSIBLE),
	REACH("still_reachable_bytes", reach, REACH_STILL),
};
#undef ROW

static bool each_site(struct table_rows *rows)
{
	return each_of(rows, rows->report->run->sites, rows->report->run->site_count,
		       sizeof(struct site));
}

struct leak_row {
	const struct leak *leak;
	struct site site;
};

static void get_why(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = row_field(row, column);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; out != NULL && i < (*leak)->why_count; i++)
		fprintf(out, "%s%s", i > 0 ? "; " : "", (*leak)->why[i]);
	if (out == NULL || fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

static void get_suspect(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = row_field(row, column);

	(void)row;
	*cell = (struct cell){.kind = CELL_BOOL, .truth = (*leak)->suspect};
}

static void get_score(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = row_field(row, column);

	(void)row;
	*cell = (struct cell){.kind = CELL_SIGNED, .integer = (*leak)->score};
}

#define ROW struct leak_row
static const struct column leak_columns[] = {
	RUN,
	PLACE("rank"),
	STACK("stack", site.node),
	FUNCTION("function", site.node),
	U64("bytes", site.live_bytes),
	U64("blocks", site.live_blocks),
	COLUMN("suspect", BOOL, get_suspect, leak),
	COLUMN("score", INTEGER, get_score, leak),
	COLUMN("why", TEXT, get_why, leak),
	NUMBER("first_at_s", site.first_at_s),
	NUMBER("last_at_s", site.last_at_s),
};
#undef ROW

static bool each_leak(struct table_rows *rows)
{
	for (size_t i = 0; i < rows->report->leak_count; i++) {
		const struct leak *leak = &rows->report->leaks[i];
		struct leak_row l = {.leak = leak, .site = *leak->site};

		if (!emit_row(rows, &l, i))
			return false;
	}
	return true;
}

#define ROW struct heap_sample
static const struct column heap_timeline_columns[] = {
	RUN,
	NUMBER("at_s", at_s),
	U64("live_bytes", live_bytes),
	U64("live_blocks", live_blocks),
};
#undef ROW

static bool each_heap_sample(struct table_rows *rows)
{
	const struct heap *h = &rows->report->run->heap;

	return each_of(rows, h->timeline, h->timeline_count, sizeof(*h->timeline));
}

const struct export_table table_sites = {"sites", "what each stack did to the heap",
					 COLUMNS(site_columns), each_site};
const struct export_table table_leaks = {"leaks",
					 "stacks with blocks that were never freed, ranked",
					 COLUMNS(leak_columns), each_leak};
const struct export_table table_heap_timeline = {"heap_timeline", "live bytes over time",
						 COLUMNS(heap_timeline_columns), each_heap_sample};
