/* SPDX-License-Identifier: MIT */
/*
 * Speedscope's file format: the frames once, then a profile for each cost that is
 * known, the asked-for one first to be shown. A frame is a function of a file: lines
 * would make each call of it another one. Written as it is made.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/emit_json.h"
#include "analyzer/export.h"
#include "analyzer/map.h"
#include "analyzer/string_table.h"
#include "analyzer/vector.h"

static const char schema[] = "https://www.speedscope.app/file-format-schema.json";

struct speedscope {
	struct export *x;
	struct string_table texts;
	struct map frame_by_texts; /* name and file to frame + 1 */
	uint32_t frame_count;
	struct frames {
		uint32_t *list; /* numbers, outermost first */
		size_t count;
		bool looked_at;
	} * by_address;			      /* of the run; the last one is CALL_NO_STACK */
	const struct frames *path[STACK_MAX]; /* of the stack in hand, innermost first */
	bool failed;
};

/* In front of all elements of an array but the first. */
static void separate(FILE *out, bool *first)
{
	if (!*first)
		fputc(',', out);
	*first = false;
}

static void print_frame(struct speedscope *s, const char *name, const char *file)
{
	FILE *out = s->x->out;

	fprintf(out, "%s\n{\"name\":", s->frame_count > 0 ? "," : "");
	s->failed |= json_print_string(out, name) != 0;
	if (file != NULL) {
		fputs(",\"file\":", out);
		s->failed |= json_print_string(out, file) != 0;
	}
	fputc('}', out);
}

/* The frame's number; it is printed when it is met first. */
static uint32_t frame_number(struct speedscope *s, const char *name, const char *file)
{
	uint32_t a = string_number(&s->texts, name != NULL ? name : "");
	uint32_t b = string_number(&s->texts, file != NULL ? file : "");
	uint64_t key = (uint64_t)a << 32 | b, number;

	s->failed |= name == NULL || a == STRING_TABLE_FULL || b == STRING_TABLE_FULL;
	number = map_get(&s->frame_by_texts, key);
	if (number != 0 || s->failed)
		return number != 0 ? (uint32_t)number - 1 : 0;
	print_frame(s, name, file);
	s->failed |= !map_put(&s->frame_by_texts, key, (uint64_t)s->frame_count + 1);
	return s->frame_count++;
}

static void look_at(struct speedscope *s, uint32_t node)
{
	const struct address *a = node_address(s->x->report->run, node);
	struct frames *to = &s->by_address[a - s->x->report->run->addresses];
	const struct frame *frames = node_frames(s->x->report, node, &to->count);

	to->looked_at = true;
	if (to->count == 0)
		return;
	to->list = calloc(to->count, sizeof(*to->list));
	if (to->list == NULL || frames == NULL) {
		s->failed = true;
		to->count = 0;
		return;
	}
	for (size_t i = 0; i < to->count; i++) {
		char *label = frame_label(&frames[i]);

		to->list[to->count - 1 - i] = frame_number(s, label, frames[i].file);
		free(label);
	}
}

/* All frames stand in front of the profiles: those of the stacks with a cost. */
static int print_frames_of(struct speedscope *s, const struct cost *cost, struct error *e)
{
	const struct run *run = s->x->report->run;
	struct cost_samples samples;

	if (costs_of(run, cost, &samples, e) != 0)
		return -1;
	for (size_t i = 0; i < samples.count && !s->failed; i++) {
		uint32_t node = samples.list[i].node;
		const struct address *a;

		for (size_t n = 0; n < STACK_MAX && (a = node_address(run, node)) != NULL; n++) {
			if (!s->by_address[a - run->addresses].looked_at)
				look_at(s, node);
			node = run->nodes[node].parent;
		}
	}
	costs_free(&samples);
	return 0;
}

/* Profiles. */

/* Of each node on the way, where its frames are; outermost first. */
static void print_stack(struct speedscope *s, uint32_t node)
{
	const struct run *run = s->x->report->run;
	const struct address *a;
	size_t depth = 0;
	bool first = true;

	for (; depth < STACK_MAX && (a = node_address(run, node)) != NULL; depth++) {
		s->path[depth] = &s->by_address[a - run->addresses];
		node = run->nodes[node].parent;
	}
	fputc('[', s->x->out);
	while (depth-- > 0) {
		for (size_t i = 0; i < s->path[depth]->count; i++) {
			separate(s->x->out, &first);
			fprintf(s->x->out, "%" PRIu32, s->path[depth]->list[i]);
		}
	}
	if (first)
		fprintf(s->x->out, "%" PRIu32, s->by_address[run->address_count].list[0]);
	fputc(']', s->x->out);
}

static const char *unit_of(const struct cost *cost)
{
	return cost->unit == COST_ALLOCATIONS ? "none" : cost_unit_name(cost->unit);
}

static void print_profile(struct speedscope *s, const struct cost *cost,
			  const struct cost_samples *samples)
{
	FILE *out = s->x->out;

	fprintf(out,
		"{\"type\":\"sampled\",\"name\":\"%s: %s\",\"unit\":\"%s\",\"startValue\":0,"
		"\"endValue\":%" PRIu64 ",\n\"samples\":[",
		cost->name, cost->title, unit_of(cost), samples->total);
	for (size_t i = 0; i < samples->count; i++) {
		fputs(i > 0 ? ",\n" : "\n", out);
		print_stack(s, samples->list[i].node);
	}
	fputs("],\n\"weights\":[", out);
	for (size_t i = 0; i < samples->count; i++)
		fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", samples->list[i].value);
	fputs("]}", out);
}

static bool is_shown(const struct speedscope *s, const struct cost *cost)
{
	return cost_is_known(s->x->report->run, cost);
}

static int print_profiles(struct speedscope *s, struct error *e)
{
	bool first = true;

	for (size_t i = 0; i < COST_COUNT; i++) {
		struct cost_samples samples;

		if (!is_shown(s, &costs[i]))
			continue;
		if (costs_of(s->x->report->run, &costs[i], &samples, e) != 0)
			return -1;
		separate(s->x->out, &first);
		fputc('\n', s->x->out);
		print_profile(s, &costs[i], &samples);
		costs_free(&samples);
	}
	return 0;
}

static size_t active_profile(const struct speedscope *s)
{
	size_t place = 0;

	for (const struct cost *c = costs; c < s->x->cost; c++)
		place += is_shown(s, c);
	return place;
}

static int print_head(struct speedscope *s)
{
	char *title = export_title(s->x->report);
	int rc = title != NULL ? 0 : -1;

	fprintf(s->x->out, "{\"$schema\":\"%s\",\n\"exporter\":\"perfhook %s\",\"name\":", schema,
		PERFHOOK_VERSION);
	if (rc == 0)
		rc = json_print_string(s->x->out, title);
	fprintf(s->x->out, ",\"activeProfileIndex\":%zu,\n\"shared\":{\"frames\":[",
		active_profile(s));
	free(title);
	return rc;
}

static int print_all(struct speedscope *s, struct error *e)
{
	struct frames *none = &s->by_address[s->x->report->run->address_count];

	none->list = calloc(1, sizeof(*none->list));
	if (none->list == NULL || print_head(s) != 0)
		return export_out_of_memory(e);
	none->list[0] = frame_number(s, CALL_NO_STACK, NULL);
	for (size_t i = 0; i < COST_COUNT; i++)
		if (is_shown(s, &costs[i]) && print_frames_of(s, &costs[i], e) != 0)
			return -1;
	fputs("]},\n\"profiles\":[", s->x->out);
	if (s->failed)
		return export_out_of_memory(e);
	if (print_profiles(s, e) != 0)
		return -1;
	fputs("]}\n", s->x->out);
	return 0;
}

static void speedscope_free(struct speedscope *s)
{
	for (size_t i = 0; s->by_address != NULL && i <= s->x->report->run->address_count; i++)
		free(s->by_address[i].list);
	free(s->by_address);
	string_table_free(&s->texts);
	map_free(&s->frame_by_texts);
}

int export_speedscope(struct export *x, struct error *e)
{
	struct speedscope s = {.x = x};
	int rc;

	s.by_address = calloc(x->report->run->address_count + 1, sizeof(*s.by_address));
	rc = s.by_address != NULL ? print_all(&s, e) : export_out_of_memory(e);
	speedscope_free(&s);
	return rc;
}
