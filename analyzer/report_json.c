/* SPDX-License-Identifier: MIT */
/* A report's sections as JSON. Users rely on the names: they change only with a
 * note in the changelog. What is not known is null, never left out. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/suppressions.h"

#define SCHEMA 1

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void json_perfhook(struct report *r, struct emit_json *e)
{
	(void)r;
	emit_string(e, "version", PERFHOOK_VERSION);
	emit_u64(e, "schema", SCHEMA);
}

void json_process(struct report *r, struct emit_json *e)
{
	const struct run *run = r->tree != NULL ? &r->tree->images[0].run : r->run;

	emit_i64(e, "pid", run->pid);
	emit_i64(e, "ppid", run->ppid);
	emit_string(e, "executable", run->executable);
	emit_array(e, "command");
	for (const char **word = run->command; word != NULL && *word != NULL; word++)
		emit_string(e, NULL, *word);
	emit_end(e);
	emit_string(e, "host", run->host);
	emit_string(e, "started", run->started[0] != '\0' ? run->started : NULL);
	emit_double(e, "duration_s", run->duration_s);
	emit_string(e, "end", run->end);
	if (run->status >= 0)
		emit_i64(e, "status", run->status);
	else
		emit_null(e, "status");
	emit_u64(e, "children", run->fork_count);
	emit_string(e, "became", run->became);
}

void json_in_tree(const struct tree *t, size_t place, struct emit_json *e)
{
	const struct tree_image *image = &t->images[place];
	size_t parent = t->processes[image->process].parent_image;

	if (parent != TREE_NONE)
		emit_i64(e, "parent_pid", t->images[parent].run.pid);
	else
		emit_null(e, "parent_pid");
	emit_u64(e, "image", image->number);
	emit_double(e, "started_at_s", image->at_s);
	emit_string(e, "trace_path", image->run.trace_path);
}

/* What a sum over processes that fork counts once. */
void json_inherited(struct report *r, struct emit_json *e)
{
	emit_u64(e, "inherited_live_bytes", r->run->heap.inherited_live_bytes);
	emit_u64(e, "inherited_live_blocks", r->run->heap.inherited_live_blocks);
}

void json_window(struct report *r, struct emit_json *e)
{
	const struct run *run = r->run;

	emit_double(e, "from_s", run->view.windowed ? run->view.from_s : 0);
	emit_double(e, "to_s", run->view.windowed ? run->view.to_s : run->duration_s);
	emit_double(e, "duration_s", run_span_s(run));
}

void json_marks(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < r->run->mark_count; i++) {
		const struct mark *m = &r->run->marks[i];

		emit_object(e, NULL);
		emit_string(e, "name", m->name);
		emit_double(e, "at_s", m->at_s);
		emit_i64(e, "pid", m->pid);
		emit_end(e);
	}
}

static void emit_known(struct emit_json *e, const char *key, bool known, uint64_t value)
{
	if (known)
		emit_u64(e, key, value);
	else
		emit_null(e, key);
}

static void json_patterns(struct emit_json *e, const char *key, const struct patterns *p)
{
	emit_array(e, key);
	for (size_t i = 0; p != NULL && i < p->count; i++)
		emit_string(e, NULL, p->list[i]);
	emit_end(e);
}

/* All null where nothing is left out. */
void json_filter(struct report *r, struct emit_json *e)
{
	static const struct run_filter none = {.sized = false};
	const struct run_view *v = &r->run->view;
	const struct run_filter *f = v->filter != NULL ? v->filter : &none;

	e->unknown = v->filter == NULL;
	json_patterns(e, "threads", &f->threads);
	json_patterns(e, "modules", &f->modules);
	json_patterns(e, "stacks", f->stacks);
	emit_known(e, "least_bytes", f->sized, f->least_bytes);
	emit_known(e, "most_bytes", f->sized && f->most_bytes != UINT64_MAX, f->most_bytes);
	emit_u64(e, "events", v->events);
	emit_u64(e, "of_events", v->of_events);
	e->unknown = false;
}

void json_trace(struct report *r, struct emit_json *e)
{
	emit_u64(e, "events", r->run->events);
	emit_u64(e, "dropped", r->run->dropped);
	emit_u64(e, "bytes", r->run->trace_bytes);
	emit_bool(e, "complete", r->run->complete);
	emit_double(e, "stalled_s", r->run->stalled_s);
}

void json_memory(struct report *r, struct emit_json *e)
{
	const struct heap *h = &r->run->heap;

	emit_u64(e, "allocations", h->allocations);
	emit_u64(e, "frees", h->frees);
	emit_u64(e, "allocated_bytes", h->allocated_bytes);
	emit_u64(e, "peak_bytes", h->peak_bytes);
	emit_u64(e, "peak_uncertainty_bytes", h->peak_uncertainty_bytes);
	emit_u64(e, "peak_blocks", h->peak_blocks);
	emit_double(e, "peak_at_s", h->peak_at_s);
	emit_u64(e, "live_bytes", h->live_bytes);
	emit_u64(e, "live_blocks", h->live_blocks);
	emit_u64(e, "older_live_bytes", h->older_live_bytes);
	emit_u64(e, "older_live_blocks", h->older_live_blocks);
	emit_u64(e, "temporary_allocations", h->temporary_allocations);
	emit_u64(e, "unmatched_frees", h->unmatched_frees);
	if (h->inherited_unknown) {
		emit_null(e, "inherited_bytes");
		emit_null(e, "inherited_blocks");
	} else {
		emit_u64(e, "inherited_bytes", h->inherited_bytes);
		emit_u64(e, "inherited_blocks", h->inherited_blocks);
	}
	emit_u64(e, "mappings", h->mappings);
	emit_u64(e, "unmappings", h->unmappings);
	emit_u64(e, "mapped_bytes", h->mapped_bytes);
	if (h->mapped_peak_unknown)
		emit_null(e, "mapped_peak_bytes");
	else
		emit_u64(e, "mapped_peak_bytes", h->mapped_peak_bytes);
	if (r->tree != NULL)
		json_inherited(r, e);
	emit_array(e, "timeline");
	for (size_t i = 0; i < h->timeline_count; i++) {
		emit_object(e, NULL);
		emit_double(e, "at_s", h->timeline[i].at_s);
		emit_u64(e, "live_bytes", h->timeline[i].live_bytes);
		emit_u64(e, "live_blocks", h->timeline[i].live_blocks);
		emit_double(e, "allocations_per_s", h->timeline[i].allocations_per_s);
		emit_double(e, "allocated_bytes_per_s", h->timeline[i].allocated_bytes_per_s);
		emit_end(e);
	}
	emit_end(e);
}

static void json_frame(struct emit_json *e, const struct frame *f)
{
	emit_object(e, NULL);
	emit_string(e, "function", f->function);
	emit_string(e, "file", f->file);
	if (f->line > 0)
		emit_i64(e, "line", f->line);
	else
		emit_null(e, "line");
	emit_string(e, "module", f->module);
	emit_hex(e, "address", f->address);
	emit_bool(e, "inlined", f->inlined);
	emit_end(e);
}

void json_stack(struct report *r, struct emit_json *e, uint32_t node)
{
	struct stack stack;

	if (r->numbers != NULL) {
		emit_u64(e, "stack", r->numbers->number(r->numbers->context, node));
		return;
	}
	emit_array(e, "stack");
	if (report_stack(r, node, &stack) != 0)
		e->failed = true;
	for (size_t i = 0; i < stack.count; i++)
		json_frame(e, &stack.frames[i]);
	stack_free(&stack);
	emit_end(e);
}

static void json_holder(struct emit_json *e, const struct holder *h)
{
	emit_u64(e, "processes", h->processes);
	emit_i64(e, "most_pid", h->pid);
	emit_u64(e, "most_bytes", h->bytes);
}

void json_peak(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < least(r->peak_count, r->top); i++) {
		emit_object(e, NULL);
		emit_u64(e, "bytes", r->peak[i]->peak_bytes);
		emit_u64(e, "blocks", r->peak[i]->peak_blocks);
		if (r->tree != NULL)
			json_holder(e, &r->peak[i]->peak_in);
		json_stack(r, e, r->peak[i]->node);
		emit_end(e);
	}
}

static void json_growth(struct emit_json *e, const struct leak *l)
{
	const struct growth *g = &l->site->growth;

	emit_array(e, "clues");
	for (size_t i = 0; i < l->why_count; i++) {
		if (l->clues[i] == NULL)
			continue;
		emit_object(e, NULL);
		emit_string(e, "name", l->clues[i]);
		emit_i64(e, "points", l->points[i]);
		emit_end(e);
	}
	emit_end(e);
	emit_double(e, "slope_bytes_per_hour", g->slope_bytes_per_hour);
	emit_double(e, "projected_bytes_per_day", 24 * g->slope_bytes_per_hour);
	emit_double(e, "confidence", g->confidence);
	emit_double(e, "bytes_per_request", g->bytes_per_request);
}

void json_leaks(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < least(r->leak_count, r->top); i++) {
		const struct leak *l = &r->leaks[i];

		emit_object(e, NULL);
		emit_u64(e, "rank", i + 1);
		emit_u64(e, "bytes", l->site->live_bytes);
		emit_u64(e, "blocks", l->site->live_blocks);
		emit_bool(e, "suspect", l->suspect);
		emit_i64(e, "score", l->score);
		emit_array(e, "why");
		for (size_t w = 0; w < l->why_count; w++)
			emit_string(e, NULL, l->why[w]);
		emit_end(e);
		emit_string(e, "suppressed_by", l->suppressed != NULL ? l->suppressed->name : NULL);
		json_growth(e, l);
		json_site_reach(r, e, l->site);
		emit_double(e, "first_at_s", l->site->first_at_s);
		emit_double(e, "last_at_s", l->site->last_at_s);
		if (r->tree != NULL)
			json_holder(e, &l->site->live_in);
		json_stack(r, e, l->site->node);
		emit_end(e);
	}
}

static void json_wait(struct report *r, struct emit_json *e, const struct wait *w)
{
	char *object = wait_object(r, w);

	emit_object(e, NULL);
	emit_string(e, "kind", w->kind);
	emit_string(e, "object", object);
	emit_u64(e, "count", w->count);
	emit_double(e, "time_s", w->time_s);
	json_latency(e, "latency_us", &w->latency);
	json_stack(r, e, w->node);
	emit_end(e);
	free(object);
}

void json_waits(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < least(r->run->wait_count, r->top); i++)
		json_wait(r, e, &r->run->waits[i]);
}

void finding_evidence(struct report *r, struct emit_json *e, const struct finding *f)
{
	char *waited_for = f->waited_for != NULL ? wait_object(r, f->waited_for) : NULL;

	if (f->waited_for != NULL)
		emit_string(e, "object", waited_for);
	free(waited_for);
	for (size_t i = 0; i < f->evidence_count; i++) {
		const struct evidence *v = &f->evidence[i];

		if (v->type == EVIDENCE_TEXT)
			emit_string(e, v->key, v->text);
		else if (v->type == EVIDENCE_COUNT)
			emit_u64(e, v->key, v->count);
		else
			emit_double(e, v->key, v->number);
	}
}

void json_findings(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < least(r->run->finding_count, r->top); i++) {
		const struct finding *f = &r->run->findings[i];
		char *what = finding_what(r, f);

		e->failed |= what == NULL;
		emit_object(e, NULL);
		emit_string(e, "kind", f->kind);
		emit_string(e, "severity", f->severity);
		emit_double(e, "saves_s", f->saves_s);
		emit_string(e, "what", what);
		emit_object(e, "evidence");
		finding_evidence(r, e, f);
		emit_end(e);
		emit_string(e, "advice", f->advice);
		if (r->tree != NULL) {
			emit_i64(e, "most_pid", f->pid);
			emit_u64(e, "processes", f->processes);
		}
		json_stack(r, e, f->node);
		emit_end(e);
		free(what);
	}
}

static void json_thread(struct report *r, struct emit_json *e, const struct thread *t)
{
	const unsigned timed = RUN_OFF_IO | RUN_OFF_NET | RUN_OFF_WAIT;
	unsigned off = r->run->off;

	emit_object(e, NULL);
	if (r->tree != NULL)
		emit_i64(e, "pid", t->pid);
	emit_i64(e, "tid", t->tid);
	emit_string(e, "name", t->name);
	emit_double(e, "started_at_s", t->started_at_s);
	emit_double(e, "ended_at_s", t->ended_at_s);
	emit_double(e, "running_s", t->running_s);
	e->unknown = off & RUN_OFF_IO;
	emit_double(e, "reading_s", t->reading_s);
	emit_double(e, "writing_s", t->writing_s);
	e->unknown = off & RUN_OFF_NET;
	emit_double(e, "network_s", t->network_s);
	e->unknown = off & RUN_OFF_WAIT;
	emit_double(e, "waiting_s", t->waiting_s);
	emit_double(e, "sleeping_s", t->sleeping_s);
	e->unknown = off & timed;
	emit_double(e, "runnable_s", t->runnable_s);
	emit_double(e, "recording_s", t->recording_s);
	emit_double(e, "unexplained_s", t->unexplained_s);
	e->unknown = off & RUN_OFF_MEMORY;
	emit_u64(e, "allocations", t->allocations);
	emit_u64(e, "allocated_bytes", t->allocated_bytes);
	e->unknown = off & RUN_OFF_IO;
	emit_u64(e, "read_bytes", t->read_bytes);
	emit_u64(e, "written_bytes", t->written_bytes);
	e->unknown = off & RUN_OFF_NET;
	emit_u64(e, "sent_bytes", t->sent_bytes);
	emit_u64(e, "received_bytes", t->received_bytes);
	e->unknown = false;
	emit_end(e);
}

void json_threads(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < least(r->run->thread_count, r->top); i++)
		json_thread(r, e, &r->run->threads[i]);
}

static void json_nameless(struct report *r, struct emit_json *e)
{
	emit_array(e, "modules_without_names");
	for (size_t i = 0; i < r->nameless_count; i++)
		emit_string(e, NULL, r->nameless[i].module->path);
	emit_end(e);
	emit_array(e, "names_missing");
	for (size_t i = 0; i < r->nameless_count; i++) {
		emit_object(e, NULL);
		emit_string(e, "module", r->nameless[i].module->path);
		emit_string(e, "reason", r->nameless[i].reason);
		emit_u64(e, "peak_bytes", r->nameless[i].bytes);
		emit_end(e);
	}
	emit_end(e);
	emit_double(e, "bytes_without_names_percent",
		    r->run->heap.peak_bytes > 0
			    ? 100 * (double)r->nameless_bytes / (double)r->run->heap.peak_bytes
			    : (double)NAN);
}

void json_coverage(struct report *r, struct emit_json *e)
{
	const struct coverage *c = &r->run->coverage;

	emit_known(e, "kernel_counted_bytes", c->known, c->counted[0] + c->counted[1]);
	emit_known(e, "kernel_counted_read_bytes", c->known, c->counted[0]);
	emit_known(e, "kernel_counted_written_bytes", c->known, c->counted[1]);
	emit_double(e, "kernel_counted_until_s", c->known ? c->until_s : (double)NAN);
	emit_known(e, "seen_bytes", c->wanted, c->seen[0] + c->seen[1]);
	emit_known(e, "seen_read_bytes", c->wanted, c->seen[0]);
	emit_known(e, "seen_written_bytes", c->wanted, c->seen[1]);
	emit_array(e, "not_seen");
	for (size_t i = 0; i < r->run->notice_count; i++)
		if (!r->run->notices[i].lost)
			emit_string(e, NULL, r->run->notices[i].text);
	emit_end(e);
	emit_array(e, "lost");
	for (size_t i = 0; i < r->run->notice_count; i++)
		if (r->run->notices[i].lost)
			emit_string(e, NULL, r->run->notices[i].text);
	emit_end(e);
	json_nameless(r, e);
}
