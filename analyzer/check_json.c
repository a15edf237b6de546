/* SPDX-License-Identifier: MIT */
/* A run held to limits, as JSON. */
#include <math.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/report_sections.h"

/* Whole numbers as such. */
static void emit_figure(struct emit_json *e, const char *key, enum limit_id id, double value)
{
	if (limit_rows[id].unit == LIMIT_UNIT_SHARE)
		emit_double(e, key, value * 100);
	else if (limit_rows[id].unit <= LIMIT_UNIT_COUNT && value >= 0 && value < 9e15)
		emit_u64(e, key, (uint64_t)value);
	else
		emit_double(e, key, value);
}

static const char *unit_name(enum limit_unit unit)
{
	static const char *const names[] = {
		[LIMIT_UNIT_BYTES] = "bytes",	  [LIMIT_UNIT_COUNT] = "count",
		[LIMIT_UNIT_SHARE] = "percent",	  [LIMIT_UNIT_SECONDS] = "seconds",
		[LIMIT_UNIT_LATENCY] = "seconds",
	};

	return names[unit];
}

static void json_evidence(struct check *c, struct emit_json *e, const struct check_item *item)
{
	emit_array(e, "stacks");
	for (size_t i = 0; i < item->evidence_count; i++) {
		const struct check_evidence *v = &item->evidence[i];

		emit_object(e, NULL);
		emit_figure(e, "value", item->id, v->value);
		emit_figure(e, "baseline", item->id, v->before);
		emit_u64(e, "count", v->count);
		emit_string(e, "name", v->name);
		json_stack(c->report, e, v->node);
		emit_end(e);
	}
	emit_end(e);
}

static void json_item(struct check *c, struct emit_json *e, const struct check_item *item)
{
	char pattern[4096];

	emit_object(e, NULL);
	emit_string(e, "limit", limit_rows[item->id].name);
	snprintf(pattern, sizeof(pattern), "%.*s", (int)item->pattern_length,
		 item->pattern != NULL ? item->pattern : "");
	emit_string(e, "pattern", item->pattern != NULL ? pattern : NULL);
	emit_string(e, "from", item->from_baseline ? "baseline" : "option");
	emit_string(e, "unit", unit_name(limit_rows[item->id].unit));
	emit_figure(e, "value", item->id, item->value);
	emit_figure(e, "allowed", item->id, item->most);
	emit_figure(e, "baseline", item->id, item->baseline);
	emit_string(e, "verdict", verdict_name(item->verdict));
	json_evidence(c, e, item);
	emit_end(e);
}

void check_json(struct check *c, struct emit_json *e)
{
	emit_object(e, "perfhook");
	json_perfhook(c->report, e);
	emit_end(e);
	emit_object(e, "process");
	json_process(c->report, e);
	emit_end(e);
	emit_object(e, "trace");
	json_trace(c->report, e);
	emit_end(e);
	emit_bool(e, "passed", c->exceeded == 0 && c->unknown == 0);
	emit_bool(e, "complete", !c->incomplete);
	emit_object(e, "figures");
	for (int id = 0; id < LIMIT_COUNT; id++)
		if (limit_rows[id].key != NULL)
			emit_figure(e, limit_rows[id].key, (enum limit_id)id, c->figures.of[id]);
	emit_end(e);
	emit_array(e, "limits");
	for (size_t i = 0; i < c->count; i++)
		json_item(c, e, &c->items[i]);
	emit_end(e);
	emit_object(e, "suppressions");
	json_suppressions(c->report, e);
	e->unknown = false;
	emit_end(e);
}
