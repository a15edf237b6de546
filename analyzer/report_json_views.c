/* SPDX-License-Identifier: MIT */
/* The heap's other views as JSON: sizes, lifetimes, temporary allocations, memory as the
 * kernel has it, and sums by function, file, module or thread. */
#include "analyzer/report_sections.h"

#include <math.h>

#include "analyzer/costs.h"
#include "analyzer/heap_views.h"

#define SAMPLES_SHOWN 128

static double power(size_t exponent)
{
	return ldexp(1, (int)exponent);
}

/* [least, most) of class i of `count`; the first has 0 too, the last has no end. */
static void json_bounds(struct emit_json *e, const char *least, const char *below, size_t i,
			size_t count)
{
	emit_u64(e, least, i == 0 ? 0 : (uint64_t)power(i));
	emit_double(e, below, i + 1 < count ? power(i + 1) : (double)NAN);
}

void json_size_classes(struct report *r, struct emit_json *e)
{
	const struct size_classes *c = &r->run->heap.sizes;

	for (size_t i = 0; i < SIZE_CLASSES; i++) {
		if (c->allocations[i] == 0)
			continue;
		emit_object(e, NULL);
		json_bounds(e, "least_bytes", "below_bytes", i, SIZE_CLASSES);
		emit_u64(e, "allocations", c->allocations[i]);
		emit_u64(e, "allocated_bytes", c->bytes[i]);
		emit_u64(e, "temporary_allocations", c->temporary[i]);
		emit_double(e, "temporary_percent",
			    100 * (double)c->temporary[i] / (double)c->allocations[i]);
		emit_end(e);
	}
}

void json_lifetimes(struct report *r, struct emit_json *e)
{
	const struct lives lives = heap_lives(r->run);

	emit_u64(e, "blocks", lives.blocks);
	emit_array(e, "by_time");
	for (size_t i = 0; i < LIFETIMES; i++) {
		if (lives.by_us[i] == 0)
			continue;
		emit_object(e, NULL);
		json_bounds(e, "least_us", "below_us", i, LIFETIMES);
		emit_u64(e, "blocks", lives.by_us[i]);
		emit_end(e);
	}
	emit_end(e);
	emit_array(e, "by_allocations");
	for (size_t i = 0; i < AGES; i++) {
		if (lives.by_age[i] == 0)
			continue;
		emit_object(e, NULL);
		json_bounds(e, "least_allocations", "below_allocations", i, AGES);
		emit_u64(e, "blocks", lives.by_age[i]);
		emit_end(e);
	}
	emit_end(e);
}

/* Stacks whose blocks were freed before their thread's next allocation. */
void json_temporary(struct report *r, struct emit_json *e)
{
	for (size_t i = 0; i < r->temporary_count && i < r->top; i++) {
		const struct site *s = r->temporary[i];

		emit_object(e, NULL);
		emit_u64(e, "temporary_allocations", s->temporary);
		emit_u64(e, "allocations", s->allocations);
		emit_u64(e, "allocated_bytes", s->allocated_bytes);
		json_stack(r, e, s->node);
		emit_end(e);
	}
}

static void json_sample(struct report *r, struct emit_json *e, const char *key,
			const struct memory_sample *s)
{
	bool known = s != NULL && !isnan(heap_asked_percent(r->run, s));
	bool was_unknown = e->unknown;

	emit_object(e, key);
	e->unknown |= s == NULL;
	s = s != NULL ? s : &(struct memory_sample){.at_s = 0};
	emit_double(e, "at_s", s->at_s);
	emit_u64(e, "rss_bytes", s->rss);
	emit_u64(e, "vms_bytes", s->vms);
	emit_u64(e, "anonymous_bytes", s->anonymous);
	emit_u64(e, "mapped_files_bytes", s->file);
	emit_u64(e, "shared_bytes", s->shared);
	e->unknown |= !known;
	emit_u64(e, "live_bytes", s->live_bytes);
	emit_double(e, "asked_percent", heap_asked_percent(r->run, s));
	e->unknown = was_unknown;
	emit_end(e);
}

void json_resident(struct report *r, struct emit_json *e)
{
	const struct memory_sample *shown[SAMPLES_SHOWN];
	const struct resident resident = heap_resident(r->run);
	size_t count = heap_thin_samples(r->run, shown, SAMPLES_SHOWN);
	bool was_unknown = e->unknown;

	emit_u64(e, "samples", r->run->sample_count);
	e->unknown |= resident.last == NULL;
	emit_u64(e, "peak_rss_bytes", resident.most_rss);
	e->unknown = was_unknown;
	json_sample(r, e, "most", resident.most);
	json_sample(r, e, "at_peak", resident.peak);
	json_sample(r, e, "last", resident.last);
	emit_array(e, "timeline");
	for (size_t i = 0; i < count; i++)
		json_sample(r, e, NULL, shown[i]);
	emit_end(e);
}

/* ---- sums -------------------------------------------------------------------- */

static void json_amounts(struct emit_json *e, const struct report *r, const char *key,
			 const uint64_t amounts[COST_COUNT])
{
	static const char *const keys[COST_COUNT] = {
		[COST_PEAK] = "peak_bytes",
		[COST_LEAKED] = "leaked_bytes",
		[COST_ALLOCATED] = "allocated_bytes",
		[COST_TEMPORARY] = "temporary_allocations",
		[COST_READ] = "read_bytes",
		[COST_WRITTEN] = "written_bytes",
		[COST_SENT] = "sent_bytes",
		[COST_RECEIVED] = "received_bytes",
		[COST_TIME] = "io_s",
		[COST_WAITED] = "waited_s",
	};

	emit_object(e, key);
	for (size_t i = 0; i < COST_COUNT; i++) {
		if (!cost_is_known(r->run, &costs[i]) || amounts[i] == TOP_UNKNOWN)
			emit_null(e, keys[i]);
		else if (costs[i].unit == COST_NANOSECONDS)
			emit_double(e, keys[i], (double)amounts[i] / 1e9);
		else
			emit_u64(e, keys[i], amounts[i]);
	}
	emit_end(e);
}

void json_top(struct report *r, struct emit_json *e)
{
	const struct top *top = r->by;

	e->unknown |= top == NULL;
	emit_string(e, "by", top != NULL ? top_name(top->by) : NULL);
	emit_string(e, "cost", top != NULL ? top->cost->name : NULL);
	emit_array(e, "entries");
	for (size_t i = 0; top != NULL && i < top->count && i < r->top; i++) {
		const struct top_row *row = &top->rows[i];

		emit_object(e, NULL);
		emit_string(e, "name", row->name);
		if (top->by == TOP_THREAD) {
			emit_i64(e, "pid", row->pid);
			emit_i64(e, "tid", row->tid);
		}
		json_amounts(e, r, "self", row->self);
		json_amounts(e, r, "total", row->total);
		if (top->by == TOP_STACK)
			json_stack(r, e, row->node);
		emit_end(e);
	}
	emit_end(e);
	e->unknown = false;
}
