/* SPDX-License-Identifier: MIT */
#include "analyzer/command_view.h"

#include <math.h>

#include "analyzer/format_text.h"

bool view_has_moments(const struct options *o)
{
	return o->from.kind != MOMENT_NONE || o->to.kind != MOMENT_NONE ||
	       o->at.kind != MOMENT_NONE;
}

bool view_needs_all(const struct options *o, const struct run *outline)
{
	const struct moment *const moments[] = {&o->from, &o->to, &o->at};

	for (size_t i = 0; i < 3; i++)
		if (moment_needs_peak(moments[i]) ||
		    (moment_needs_duration(moments[i]) && isnan(outline->duration_s)))
			return true;
	return false;
}

static int fail_order(const struct run_view *v, struct error *e)
{
	char from[FORMAT_ROOM], to[FORMAT_ROOM];

	return fail(e, ERROR_USAGE, 0,
		    "--from is %s after the start, --to is %s: nothing is between",
		    format_seconds(from, v->from_s, false), format_seconds(to, v->to_s, false));
}

static int fail_outside(const char *option, double at_s, double duration_s, struct error *e)
{
	char at[FORMAT_ROOM], end[FORMAT_ROOM];

	if (at_s < 0)
		return fail(e, ERROR_USAGE, 0, "%s is %s before the start", option,
			    format_seconds(at, -at_s, false));
	return fail(e, ERROR_USAGE, 0, "%s is %s after the start, and the run ended after %s",
		    option, format_seconds(at, at_s, false),
		    format_seconds(end, duration_s, false));
}

/* The first bytes were there before any event; whoever asks for the peak wants it as it
 * was, not what the same few milliseconds led to. */
int view_resolve(const struct options *o, const struct run *whole, struct run_view *view,
		 struct error *e)
{
	const struct moment_span span = {
		.started_ns = whole->started_ns,
		.duration_s = whole->duration_s,
		.peak_s = whole->heap.peak_at_s,
		.marks = whole->marks,
		.mark_count = whole->mark_count,
	};
	bool at = o->at.kind != MOMENT_NONE;
	const struct moment *end = at ? &o->at : &o->to;
	const char *end_name = at ? "--at" : "--to";

	view->windowed = true;
	view->from_s = -INFINITY;
	view->to_s = INFINITY;
	if (o->from.kind != MOMENT_NONE &&
	    moment_resolve(&o->from, "--from", &span, &view->from_s, e) != 0)
		return -1;
	if (end->kind != MOMENT_NONE && moment_resolve(end, end_name, &span, &view->to_s, e) != 0)
		return -1;
	if (view->from_s > whole->duration_s)
		return fail_outside("--from", view->from_s, whole->duration_s, e);
	if (view->to_s < 0)
		return fail_outside(end_name, view->to_s, whole->duration_s, e);
	if (view->from_s > view->to_s)
		return fail_order(view, e);
	if (o->from.kind == MOMENT_PEAK)
		view->from_level = whole->heap.peak_bytes;
	if (end->kind == MOMENT_PEAK)
		view->to_level = whole->heap.peak_bytes;
	if (view->from_s <= 0)
		view->from_s = -INFINITY;
	return 0;
}

const struct run_filter *view_filter(struct view_filter *f, const struct options *o,
				     struct symbols *symbols)
{
	*f = (struct view_filter){
		.filter = {.threads = o->threads,
			   .modules = o->modules,
			   .sized = o->sized,
			   .least_bytes = o->least_bytes,
			   .most_bytes = o->most_bytes},
		.stacks = {.patterns = &o->stacks, .symbols = symbols},
	};
	if (o->stacks.count != 0) {
		f->filter.stacks = &o->stacks;
		f->filter.begin = stack_filter_begin;
		f->filter.allows = stack_filter_allows;
		f->filter.context = &f->stacks;
	}
	return o->threads.count + o->modules.count + o->stacks.count + o->sized != 0 ? &f->filter
										     : NULL;
}

void view_filter_free(struct view_filter *f)
{
	stack_filter_free(&f->stacks);
}

int view_check_threads(const struct run *run, struct error *e)
{
	if (run->view.filter == NULL || run->view.filter->threads.count == 0 ||
	    run->thread_count != 0)
		return 0;
	return fail(e, ERROR_USAGE, 0, "--thread lets no thread through%s%s",
		    run->view.other_threads != NULL ? "; the threads are " : "",
		    run->view.other_threads != NULL ? run->view.other_threads : "");
}
