/* SPDX-License-Identifier: MIT */
/* The processes of a page, by number, since a pid may be there twice: of each trace as much as a
 * row of the table shows, in the places that the report's JSON has it in; what a fork shares is its
 * parent's. */
#include <math.h>

#include "analyzer/report_html.h"
#include "analyzer/tree.h"

static void emit_process(struct emit_json *e, const struct run *run, size_t number, double at_s)
{
	emit_object(e, "process");
	emit_u64(e, "number", number);
	emit_string(e, "host", run->host);
	emit_i64(e, "pid", run->pid);
	emit_string(e, "executable", run->executable);
	emit_array(e, "command");
	for (const char **word = run->command; word != NULL && *word != NULL; word++)
		emit_string(e, NULL, *word);
	emit_end(e);
	emit_double(e, "started_at_s", at_s);
	emit_double(e, "duration_s", run->duration_s);
	emit_string(e, "end", run->end);
	if (run->status >= 0)
		emit_i64(e, "status", run->status);
	else
		emit_null(e, "status");
	emit_end(e);
}

/* `peak_bytes`: of what it allocated itself, as `live_bytes` is. */
static void emit_one(struct emit_json *e, const struct run *run, size_t number, double at_s,
		     uint64_t peak_bytes)
{
	emit_object(e, NULL);
	emit_process(e, run, number, at_s);
	emit_object(e, "memory");
	e->unknown = run->off & RUN_OFF_MEMORY;
	emit_u64(e, "peak_bytes", peak_bytes);
	emit_u64(e, "live_bytes", run->heap.live_bytes - run->heap.inherited_live_bytes);
	emit_u64(e, "allocations", run->heap.allocations);
	e->unknown = false;
	emit_end(e);
	emit_object(e, "io");
	e->unknown = run->off & RUN_OFF_IO;
	emit_u64(e, "read_bytes", run->io.total.read_bytes);
	emit_u64(e, "written_bytes", run->io.total.written_bytes);
	e->unknown = false;
	emit_end(e);
	emit_end(e);
}

void page_processes(const struct report *r, struct emit_json *e)
{
	emit_array(e, "processes");
	if (r->tree == NULL)
		emit_one(e, r->run, 0, 0, r->run->heap.peak_bytes);
	for (size_t i = 0; r->tree != NULL && i < r->tree->image_count && i < PAGE_PROCESSES; i++)
		emit_one(e, &r->tree->images[i].run, r->tree->images[i].process,
			 r->tree->images[i].at_s, r->tree->images[i].own_peak_bytes);
	emit_end(e);
	emit_u64(e, "process_count", r->tree != NULL ? r->tree->image_count : 1);
}
