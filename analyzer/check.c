/* SPDX-License-Identifier: MIT */
/* A run held to limits and to a baseline. */
#include "analyzer/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/costs.h"
#include "analyzer/diff.h"
#include "analyzer/map.h"
#include "analyzer/suppressions.h"

/* ---- Figures ---- */

static double waited(const struct run *run)
{
	double sum = 0;

	for (size_t i = 0; i < run->wait_count; i++)
		sum += run->waits[i].time_s;
	return sum;
}

static double figure(const struct report *r, enum limit_id id)
{
	const struct run *run = r->run;
	double sum = 0;

	switch (id) {
	case LIMIT_PEAK:
		return (double)run->heap.peak_bytes;
	case LIMIT_LIVE:
		return (double)run->heap.live_bytes;
	case LIMIT_LEAKED:
		for (size_t i = 0; i < r->leak_count; i++)
			sum += (double)leaked_bytes(r, &r->leaks[i]);
		return sum;
	case LIMIT_LEAKS:
		for (size_t i = 0; i < r->leak_count; i++)
			sum += leaked_bytes(r, &r->leaks[i]) > 0;
		return sum;
	case LIMIT_ALLOCATIONS:
		return (double)run->heap.allocations;
	case LIMIT_ALLOCATED:
		return (double)run->heap.allocated_bytes;
	case LIMIT_TEMPORARY:
		return (double)run->heap.temporary_allocations;
	case LIMIT_TEMPORARY_SHARE:
		return run->heap.allocations == 0 ? 0
						  : (double)run->heap.temporary_allocations /
							    (double)run->heap.allocations;
	case LIMIT_READ:
		return (double)run->io.total.read_bytes;
	case LIMIT_WRITTEN:
		return (double)run->io.total.written_bytes;
	case LIMIT_SENT:
		return (double)run->sockets.total.written_bytes;
	case LIMIT_RECEIVED:
		return (double)run->sockets.total.read_bytes;
	case LIMIT_ERRORS:
		return (double)(run->io.total.errors + run->sockets.total.errors);
	case LIMIT_DURATION:
		return run->duration_s;
	case LIMIT_IO_TIME:
		return run->io.total.time_s + run->sockets.total.time_s;
	case LIMIT_WAITED:
		return waited(run);
	default:
		return (double)NAN;
	}
}

/* RUN_OFF_...: if all of these are off, it is not known. */
static unsigned needs(enum limit_id id)
{
	switch (id) {
	case LIMIT_READ:
	case LIMIT_WRITTEN:
		return RUN_OFF_IO;
	case LIMIT_SENT:
	case LIMIT_RECEIVED:
		return RUN_OFF_NET;
	case LIMIT_ERRORS:
	case LIMIT_P50:
	case LIMIT_P95:
	case LIMIT_P99:
	case LIMIT_LATENCY:
	case LIMIT_IO_TIME:
		return RUN_OFF_IO | RUN_OFF_NET;
	case LIMIT_WAITED:
		return RUN_OFF_WAIT;
	case LIMIT_DURATION:
		return 0;
	default:
		return RUN_OFF_MEMORY;
	}
}

static bool is_off(const struct run *run, enum limit_id id)
{
	return needs(id) != 0 && (run->off & needs(id)) == needs(id);
}

void figures_of(const struct report *r, struct figures *figures)
{
	for (int id = 0; id < LIMIT_COUNT; id++)
		figures->of[id] = is_off(r->run, (enum limit_id)id) ? (double)NAN
								    : figure(r, (enum limit_id)id);
}

/* ---- Latencies ---- */

static double quantile(const struct latency *l, enum limit_id id)
{
	return (id == LIMIT_P50	  ? l->p50
		: id == LIMIT_P95 ? l->p95
		: id == LIMIT_P99 ? l->p99
				  : l->max) /
	       1e6;
}

/* Descending, and no more than there is room for. */
static void put_evidence(struct check_item *item, const struct check_evidence *made)
{
	size_t at = item->evidence_count;

	while (at > 0 && item->evidence[at - 1].value < made->value)
		at--;
	if (at == EVIDENCE_MAX)
		return;
	if (item->evidence_count < EVIDENCE_MAX)
		item->evidence_count++;
	memmove(&item->evidence[at + 1], &item->evidence[at],
		(item->evidence_count - 1 - at) * sizeof(*item->evidence));
	item->evidence[at] = *made;
}

static bool is_meant(const char *pattern, const char *name)
{
	return name != NULL && suppression_glob(pattern, name);
}

/* The worst of what the pattern names. */
static void take_latency(struct check_item *item, const char *pattern, const char *name,
			 const char *other, const struct latency *l, uint32_t node)
{
	const struct check_evidence made = {.value = quantile(l, item->id),
					    .count = l->count,
					    .before = (double)NAN,
					    .name = name,
					    .node = node};

	if (l->count == 0 || (!is_meant(pattern, name) && !is_meant(pattern, other)))
		return;
	if (isnan(item->value) || made.value > item->value)
		item->value = made.value;
	put_evidence(item, &made);
}

static int measure_latency(struct check *c, struct check_item *item, struct error *e)
{
	const struct run *run = c->report->run;
	char *pattern = strndup(item->pattern, item->pattern_length);

	if (pattern == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < run->file_count; i++)
		take_latency(item, pattern, run->files[i].path, NULL,
			     &run->files[i].traffic.latency, run->files[i].top_node);
	for (size_t i = 0; i < run->endpoint_count; i++)
		take_latency(item, pattern, run->endpoints[i].name, run->endpoints[i].host,
			     &run->endpoints[i].traffic.latency, 0);
	if (isnan(item->value))
		fail(e, ERROR_USAGE, 0,
		     "--%s: no file or peer that was read or written is named '%s'",
		     limit_rows[item->id].name, pattern);
	free(pattern);
	return isnan(item->value) ? -1 : 0;
}

/* ---- Who answers for it ---- */

static int blame_cost(struct check *c, struct check_item *item, const struct cost *cost,
		      struct error *e)
{
	struct cost_samples samples;
	bool by_count =
		limit_rows[item->id].unit == LIMIT_UNIT_COUNT && cost->unit != COST_ALLOCATIONS;
	double unit = cost->unit == COST_NANOSECONDS ? 1e-9 : 1;

	if (costs_of(c->report->run, cost, &samples, e) != 0)
		return -1;
	for (size_t i = 0; i < samples.count; i++) {
		const struct cost_sample *s = &samples.list[i];

		put_evidence(item,
			     &(struct check_evidence){.value = by_count ? (double)s->count
									: (double)s->value * unit,
						      .count = s->count,
						      .before = (double)NAN,
						      .node = s->node});
	}
	costs_free(&samples);
	return 0;
}

static bool is_about_leaks(enum limit_id id)
{
	return id == LIMIT_LEAKED || id == LIMIT_LEAKS;
}

/* The nodes with leaked blocks. False: out of memory. */
static bool note_leaked(const struct report *r, struct map *leaked)
{
	for (size_t i = 0; i < r->leak_count; i++)
		if (leaked_bytes(r, &r->leaks[i]) > 0 &&
		    !map_put(leaked, (uint64_t)r->leaks[i].site->node + 1, 1))
			return false;
	return true;
}

/* What grew since the baseline's run. */
static int blame_growth(const struct check *c, struct check_item *item, const struct diff *d,
			int cost, struct error *e)
{
	bool by_count = limit_rows[item->id].unit == LIMIT_UNIT_COUNT &&
			costs[cost].unit != COST_ALLOCATIONS && !is_about_leaks(item->id);
	struct map leaked = {.entries = NULL};

	if (is_about_leaks(item->id) && !note_leaked(c->report, &leaked)) {
		map_free(&leaked);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	for (size_t i = 0; i < d->stack_count; i++) {
		const struct diff_stack *s = &d->stacks[i];
		const struct diff_value *v = &s->costs[cost];
		const uint64_t *of = by_count ? v->count : v->value;
		struct check_evidence made = {.value = (double)of[DIFF_AFTER],
					      .count = v->count[DIFF_AFTER],
					      .before = (double)of[DIFF_BEFORE],
					      .node = s->node[DIFF_AFTER]};

		if (of[DIFF_AFTER] > of[DIFF_BEFORE] && s->in[DIFF_AFTER] &&
		    (!is_about_leaks(item->id) || map_get(&leaked, (uint64_t)made.node + 1) != 0))
			put_evidence(item, &made);
	}
	map_free(&leaked);
	return 0;
}

static void blame_leaks(struct check *c, struct check_item *item)
{
	for (size_t i = 0; i < c->report->leak_count; i++) {
		const struct leak *l = &c->report->leaks[i];
		uint64_t bytes = leaked_bytes(c->report, l);

		if (bytes > 0)
			put_evidence(item, &(struct check_evidence){.value = (double)bytes,
								    .count = l->site->live_blocks,
								    .before = (double)NAN,
								    .node = l->site->node});
	}
}

static void blame_errors(struct check *c, struct check_item *item)
{
	const struct run *run = c->report->run;

	for (size_t i = 0; i < run->file_count; i++)
		if (run->files[i].traffic.errors > 0)
			put_evidence(item, &(struct check_evidence){
						   .value = (double)run->files[i].traffic.errors,
						   .before = (double)NAN,
						   .name = run->files[i].path,
						   .node = run->files[i].top_node});
	for (size_t i = 0; i < run->endpoint_count; i++)
		if (run->endpoints[i].traffic.errors > 0)
			put_evidence(item,
				     &(struct check_evidence){
					     .value = (double)run->endpoints[i].traffic.errors,
					     .before = (double)NAN,
					     .name = run->endpoints[i].name});
}

static int blame_all(struct check *c, struct diff *d, struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		struct check_item *item = &c->items[i];
		int cost = is_about_leaks(item->id) ? COST_LEAKED : limit_rows[item->id].cost;

		if (item->verdict != VERDICT_EXCEEDED || item->pattern != NULL)
			continue;
		if (item->from_baseline && d != NULL && cost != COST_COUNT && d->known[cost]) {
			if (blame_growth(c, item, d, cost, e) != 0)
				return -1;
		} else if (is_about_leaks(item->id))
			blame_leaks(c, item);
		else if (item->id == LIMIT_ERRORS)
			blame_errors(c, item);
		else if (cost != COST_COUNT && blame_cost(c, item, &costs[cost], e) != 0)
			return -1;
	}
	return 0;
}

static int blame(struct check *c, struct error *e)
{
	struct diff_noise noise;
	struct diff d;
	int rc;

	if (c->exceeded == 0)
		return 0;
	if (c->baseline == NULL || c->baseline->report == NULL)
		return blame_all(c, NULL, e);
	diff_noise_default(&noise);
	rc = diff_open(&d, c->baseline->report, c->report, &noise, e);
	if (rc == 0)
		rc = blame_all(c, &d, e);
	diff_close(&d);
	return rc;
}

/* ---- Verdicts ---- */

static int fail_unknown(const struct check *c, const struct check_item *item, struct error *e)
{
	const struct run *run = c->report->run;

	return fail(e, ERROR_USAGE, 0,
		    "%s%s: not known of %s: PERFHOOK_EVENTS was '%s' when it was recorded",
		    item->from_baseline ? "--against: " : "--", limit_rows[item->id].name,
		    report_trace_path(c->report), run->asked_for != NULL ? run->asked_for : "?");
}

static int judge(struct check *c, struct check_item *item, bool allow_incomplete, struct error *e)
{
	item->value = (double)NAN;
	if (is_off(c->report->run, item->id))
		return fail_unknown(c, item, e);
	if (item->pattern == NULL)
		item->value = c->figures.of[item->id];
	else if (measure_latency(c, item, e) != 0)
		return -1;
	if (isnan(item->value))
		return fail_unknown(c, item, e);
	item->verdict = item->value > item->most	     ? VERDICT_EXCEEDED
			: c->incomplete && !allow_incomplete ? VERDICT_UNKNOWN
							     : VERDICT_HELD;
	c->exceeded += item->verdict == VERDICT_EXCEEDED;
	c->unknown += item->verdict == VERDICT_UNKNOWN;
	return 0;
}

static void add_baseline(struct check *c)
{
	for (int id = 0; c->baseline != NULL && id < LIMIT_COUNT; id++) {
		const struct tolerance *t = &c->baseline->tolerance;
		double was = c->baseline->figures.of[id];
		enum limit_unit unit = limit_rows[id].unit;
		double more = unit == LIMIT_UNIT_BYTES ? t->bytes : t->count;

		if (!limit_rows[id].compared || isnan(was))
			continue;
		c->items[c->count++] = (struct check_item){.id = (enum limit_id)id,
							   .from_baseline = true,
							   .baseline = was,
							   .most = was * (1 + t->fraction) + more};
	}
}

/* A launcher's trace holds any limit: what it launched is another image. */
static bool goes_on_elsewhere(const struct report *r)
{
	const struct tree *t = r->tree;

	if (t == NULL)
		return r->run->became != NULL;
	for (size_t i = 0; i < t->process_count; i++) {
		const struct tree_process *p = &t->processes[i];

		if (t->images[p->first_image + p->image_count - 1].run.became != NULL)
			return true;
	}
	return false;
}

int check_open(struct check *c, struct report *r, const struct limits *limits,
	       const struct baseline *baseline, bool allow_incomplete, struct error *e)
{
	*c = (struct check){.report = r, .baseline = baseline};
	c->items = calloc(limits->count + LIMIT_COUNT, sizeof(*c->items));
	if (c->items == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	figures_of(r, &c->figures);
	c->goes_on = goes_on_elsewhere(r);
	c->incomplete = !r->run->complete || r->run->dropped > 0 || c->goes_on;
	for (size_t i = 0; i < limits->count; i++)
		c->items[c->count++] = (struct check_item){
			.id = limits->list[i].id,
			.pattern = limits->list[i].pattern,
			.pattern_length = limits->list[i].pattern_length,
			.most = limits->list[i].most,
			.baseline = baseline != NULL ? baseline->figures.of[limits->list[i].id]
						     : (double)NAN,
		};
	add_baseline(c);
	for (size_t i = 0; i < c->count; i++)
		if (judge(c, &c->items[i], allow_incomplete, e) != 0)
			return -1;
	return blame(c, e);
}

void check_close(struct check *c)
{
	free(c->items);
	*c = (struct check){0};
}

/* ---- Words ---- */

char *check_format(char buf[FORMAT_ROOM], enum limit_id id, double value, bool utf8)
{
	switch (limit_rows[id].unit) {
	case LIMIT_UNIT_BYTES:
		return format_bytes(buf, value);
	case LIMIT_UNIT_COUNT:
		return format_count(buf, value < 1e19 ? (uint64_t)value : UINT64_MAX);
	case LIMIT_UNIT_SHARE:
		return format_percent(buf, value, 1);
	default:
		return format_seconds(buf, value, utf8);
	}
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {[VERDICT_HELD] = "held",
					    [VERDICT_EXCEEDED] = "exceeded",
					    [VERDICT_UNKNOWN] = "unknown"};

	return names[verdict];
}
