/* SPDX-License-Identifier: MIT */
/* A report as text: what threads waited for, and how their time splits up. */
#include "analyzer/report_sections.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

#define US 1e-6

/* "+8", if it is not at the beginning. */
static const char *offset_text(char out[24], uint64_t offset)
{
	if (offset == 0)
		return "";
	snprintf(out, 24, "+%" PRIu64, offset);
	return out;
}

static char *block_text(struct report *r, const struct wait *w)
{
	uint32_t node = telling_node(r, w->home_node);
	const char *by = node_function(r, node);
	char bytes[FORMAT_ROOM], *out = NULL;

	if (asprintf(&out, "heap block of %s%s%s, at %" PRIu64 ": %#" PRIx64,
		     format_bytes(bytes, (double)w->home_bytes), by != NULL ? " from " : "",
		     by != NULL ? by : "", w->home_offset, w->address) < 0)
		return NULL;
	return out;
}

static char *variable_text(struct report *r, const struct wait *w)
{
	const char *module = base_name(w->module);
	uint64_t within = 0;
	const char *name = symbols_variable(r->symbols, w->module, w->build_id, w->module_base,
					    w->address, &within);
	char offset[24], *out = NULL;
	int n;

	if (name != NULL)
		n = asprintf(&out, "%s%s in %s", name, offset_text(offset, within), module);
	else
		n = asprintf(&out, "%s+%#" PRIx64, module, w->address - w->module_base);
	return n < 0 ? NULL : out;
}

char *wait_object(struct report *r, const struct wait *w)
{
	char *out = NULL;

	if (w->object != NULL)
		return strdup(w->object);
	if (w->address == 0)
		return NULL;
	if (w->home_bytes != 0)
		return block_text(r, w);
	if (w->module != NULL)
		return variable_text(r, w);
	return asprintf(&out, "%#" PRIx64, w->address) < 0 ? NULL : out;
}

/* Kind and object, on a line of their own where there is no room for them behind. */
static void print_object(struct report *r, struct emit_text *t, const char *kind,
			 const char *object)
{
	size_t width = strlen(kind) + (object != NULL ? 1 + format_columns(object) : 0);

	if (t->at + 2 + width > t->width) {
		text_end(t);
		text_indent(t, 6);
	} else {
		text_say(t, "  ");
	}
	text_say(t, "%s", kind);
	if (object != NULL) {
		text_say(t, " ");
		text_name(t, object, r->full ? 0 : t->width - t->at);
	}
	text_end(t);
}

static void print_wait(struct report *r, struct emit_text *t, struct shown_stacks *shown,
		       const struct wait *w)
{
	char time[FORMAT_ROOM], times[FORMAT_ROOM], median[FORMAT_ROOM], most[FORMAT_ROOM];
	char *object = wait_object(r, w);

	text_indent(t, 2);
	t->hang = 6;
	text_styled(t, STYLE_STRONG, "%s", format_seconds(time, w->time_s, t->utf8));
	text_style(t, STYLE_FAINT);
	text_say(t, " in %s, p50 %s, max %s", format_counted(times, w->count, "wait"),
		 format_seconds(median, w->latency.p50 * US, t->utf8),
		 format_seconds(most, w->latency.max * US, t->utf8));
	text_style(t, STYLE_PLAIN);
	print_object(r, t, w->kind, object);
	text_listed_stack(r, t, shown, 0, w->node, 8);
	free(object);
}

void text_waits(struct report *r, struct emit_text *t)
{
	struct shown_stacks shown = {.count = 0};

	if (r->run->wait_count == 0)
		return;
	text_heading(t, "WAITING", "most time first");
	for (size_t i = 0; i < r->run->wait_count && i < r->top; i++)
		print_wait(r, t, &shown, &r->run->waits[i]);
	shown_stacks_free(&shown);
	text_more(r, t, r->run->wait_count, "waits");
}

static void time_row(struct text_table *table, const struct thread *th, const struct run *run,
		     bool utf8)
{
	const unsigned timed = RUN_OFF_IO | RUN_OFF_NET | RUN_OFF_WAIT;
	const struct {
		double s;
		unsigned off;
	} parts[] = {
		{th->running_s, 0},
		{th->reading_s, RUN_OFF_IO},
		{th->writing_s, RUN_OFF_IO},
		{th->network_s, RUN_OFF_NET},
		{th->waiting_s, RUN_OFF_WAIT},
		{th->sleeping_s, RUN_OFF_WAIT},
		{th->runnable_s, timed},
		{th->recording_s, timed},
		{th->unexplained_s, timed},
	};
	struct text_row *row = table_row(table, th->name != NULL ? th->name : "(no name)");

	if (row == NULL)
		return;
	if (th->pid != 0)
		snprintf(row->cells[0], TABLE_CELL, "%d", th->pid);
	snprintf(row->cells[1], TABLE_CELL, "%d", th->tid);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		double s = run->off & parts[i].off ? (double)NAN : parts[i].s;

		/* What there is none of is left empty. */
		if (isnan(s) || s > 0)
			format_seconds(row->cells[2 + i], s, utf8);
	}
}

void text_thread_times(struct report *r, struct emit_text *t, const struct thread *const *threads,
		       size_t count)
{
	struct text_table table = {
		.headers = {"pid", "tid", "running", "reading", "writing", "network", "waiting",
			    "sleeping", "runnable", "recording", "unexplained"},
		.columns = 11,
		.name_header = "thread",
	};

	for (size_t i = 0; i < count && i < r->top; i++)
		time_row(&table, threads[i], r->run, t->utf8);
	table_print(t, &table);
	table_free(&table);
}
