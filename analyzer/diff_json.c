/* SPDX-License-Identifier: MIT */
/* What changed between two runs, as JSON. */
#include <math.h>
#include <string.h>

#include "analyzer/diff.h"
#include "analyzer/report_sections.h"

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void json_side(struct diff *d, struct emit_json *e, int side)
{
	struct report *r = d->reports[side];

	emit_object(e, side == DIFF_BEFORE ? "before" : "after");
	emit_string(e, "trace_path", report_trace_path(r));
	emit_string(e, "moment", d->moments[side]);
	emit_object(e, "process");
	json_process(r, e);
	emit_end(e);
	emit_object(e, "trace");
	json_trace(r, e);
	emit_end(e);
	emit_bool(e, "has_names", !d->nameless[side]);
	emit_bool(e, "has_lines", !d->lineless[side]);
	emit_end(e);
}

static void json_change(struct emit_json *e, const char *key, const uint64_t of[DIFF_SIDES])
{
	emit_i64(e, key, (int64_t)(of[DIFF_AFTER] - of[DIFF_BEFORE]));
}

static void json_value(struct emit_json *e, int id, const struct diff_value *v, bool known)
{
	double before = (double)v->value[DIFF_BEFORE], after = (double)v->value[DIFF_AFTER];

	emit_object(e, NULL);
	emit_string(e, "cost", costs[id].name);
	emit_string(e, "unit", cost_unit_name(costs[id].unit));
	e->unknown = !known;
	emit_u64(e, "before", v->value[DIFF_BEFORE]);
	emit_u64(e, "after", v->value[DIFF_AFTER]);
	json_change(e, "change", v->value);
	emit_double(e, "change_percent",
		    before > 0 ? (after - before) / before * 100 : (double)NAN);
	emit_u64(e, "before_count", v->count[DIFF_BEFORE]);
	emit_u64(e, "after_count", v->count[DIFF_AFTER]);
	e->unknown = false;
	emit_end(e);
}

static const char *kind(bool before, bool after)
{
	return before && after ? "changed" : after ? "new" : "gone";
}

static void json_entry(struct diff *d, struct emit_json *e, enum diff_group group,
		       const struct diff_stack *s)
{
	static const char *const matched[] = {
		[MATCH_EXACT] = "exact", [MATCH_NAME] = "name", [MATCH_ALIGNED] = "aligned"};
	int side = s->in[DIFF_AFTER] ? DIFF_AFTER : DIFF_BEFORE;
	bool both = s->in[DIFF_BEFORE] && s->in[DIFF_AFTER];

	emit_object(e, NULL);
	emit_string(e, "kind", kind(s->in[DIFF_BEFORE], s->in[DIFF_AFTER]));
	emit_string(e, "matched", both ? matched[s->how] : NULL);
	emit_array(e, "costs");
	for (int id = 0; id < COST_COUNT; id++)
		if (s->changed & diff_group_costs(group) & 1u << id)
			json_value(e, id, &s->costs[id], true);
	emit_end(e);
	json_stack(d->reports[side], e, s->node[side]);
	emit_end(e);
}

static void json_places(struct diff *d, struct emit_json *e, const char *key,
			const struct diff_places *places, const char *const figures[FIGURE_COUNT])
{
	emit_array(e, key);
	for (size_t i = 0; i < least(places->count, d->reports[DIFF_AFTER]->top); i++) {
		const struct diff_place *p = &places->list[i];
		int side = p->name[DIFF_AFTER] != NULL ? DIFF_AFTER : DIFF_BEFORE;
		int blamed = diff_blamed_side(p);

		emit_object(e, NULL);
		emit_string(e, "kind",
			    kind(p->name[DIFF_BEFORE] != NULL, p->name[DIFF_AFTER] != NULL));
		emit_string(e, "name", p->name[side]);
		emit_array(e, "figures");
		for (int f = 0; f < FIGURE_COUNT; f++) {
			if (!(p->changed & 1u << f))
				continue;
			emit_object(e, NULL);
			emit_string(e, "figure", figures[f]);
			emit_u64(e, "before", p->figures[f][DIFF_BEFORE]);
			emit_u64(e, "after", p->figures[f][DIFF_AFTER]);
			json_change(e, "change", p->figures[f]);
			emit_end(e);
		}
		emit_end(e);
		json_stack(d->reports[blamed], e, p->node[blamed]);
		emit_end(e);
	}
	emit_end(e);
}

void diff_json(struct diff *d, struct emit_json *e)
{
	static const char *const lists[DIFF_GROUPS] = {[DIFF_MEMORY] = "memory",
						       [DIFF_PEAK] = "peak_made_up",
						       [DIFF_IO] = "io",
						       [DIFF_TIME] = "time"};
	static const char *const of_files[FIGURE_COUNT] = {
		"read_bytes", "written_bytes",	"read_calls", "write_calls",
		"opens",      "metadata_calls", "errors"};
	static const char *const of_peers[FIGURE_COUNT] = {
		"received_bytes", "sent_bytes", "receive_calls", "send_calls",
		"connections",	  "none",	"errors"};

	emit_object(e, "perfhook");
	json_perfhook(d->reports[DIFF_AFTER], e);
	emit_end(e);
	for (int side = 0; side < DIFF_SIDES; side++)
		json_side(d, e, side);
	emit_bool(e, "identical", diff_is_empty(d));
	emit_array(e, "totals");
	for (int id = 0; id < COST_COUNT; id++)
		json_value(e, id, &d->totals[id], d->known[id]);
	emit_end(e);
	for (int group = 0; group < DIFF_GROUPS; group++) {
		e->unknown = d->stacks_unknown;
		emit_array(e, lists[group]);
		e->unknown = false;
		for (size_t i = 0; i < least(d->list_counts[group], d->reports[DIFF_AFTER]->top);
		     i++)
			json_entry(d, e, (enum diff_group)group, d->lists[group][i].stack);
		emit_end(e);
	}
	json_places(d, e, "files", &d->files, of_files);
	json_places(d, e, "peers", &d->peers, of_peers);
}
