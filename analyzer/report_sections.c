/* SPDX-License-Identifier: MIT */
/* The table of a report's sections, in the order they are printed. */
#include "analyzer/report_sections.h"

#define EVERY (REPORT_WHOLE | REPORT_LEAKS | REPORT_IO | REPORT_SUMS)

static const struct section {
	unsigned kinds; /* the reports it is part of */
	const char *key;
	bool is_list;					     /* JSON: an array, else an object */
	void (*json)(struct report *r, struct emit_json *e); /* its members; NULL: text only */
	void (*text)(struct report *r, struct emit_text *t); /* NULL: JSON only */
	unsigned of; /* RUN_OFF_...: not known where that was not recorded */
} sections[] = {
	{EVERY, "perfhook", false, json_perfhook, NULL, 0},
	{EVERY, "process", false, json_process, text_process, 0},
	{EVERY, "trace", false, json_trace, NULL, 0},
	{EVERY, "window", false, json_window, NULL, 0},
	{EVERY, "marks", true, json_marks, NULL, 0},
	{EVERY, "filter", false, json_filter, NULL, 0},
	{EVERY, "tree", false, NULL, text_processes, 0},
	{EVERY, "top", false, json_top, text_top, 0},
	{REPORT_WHOLE | REPORT_IO, "findings", true, json_findings, text_findings, 0},
	{REPORT_WHOLE, "memory", false, json_memory, text_memory, RUN_OFF_MEMORY},
	{REPORT_WHOLE, "peak", true, json_peak, text_peak, RUN_OFF_MEMORY},
	{REPORT_WHOLE | REPORT_LEAKS, "reachability", false, json_reachability, text_reachability,
	 RUN_OFF_MEMORY},
	{REPORT_WHOLE, "leaks", true, json_leaks, text_suspects, RUN_OFF_MEMORY},
	{REPORT_LEAKS, "leaks", true, json_leaks, text_leaks, RUN_OFF_MEMORY},
	{REPORT_WHOLE | REPORT_LEAKS, "suppressions", false, json_suppressions, text_suppressions,
	 RUN_OFF_MEMORY},
	{REPORT_WHOLE, "temporary", true, json_temporary, text_temporary, RUN_OFF_MEMORY},
	{REPORT_WHOLE, "allocation_sizes", true, json_size_classes, text_sizes, RUN_OFF_MEMORY},
	{REPORT_WHOLE, "lifetimes", false, json_lifetimes, text_lifetimes, RUN_OFF_MEMORY},
	{REPORT_WHOLE, "resident", false, json_resident, text_resident, 0},
	{REPORT_WHOLE | REPORT_IO, "io", false, json_io, text_io, RUN_OFF_IO},
	{REPORT_WHOLE | REPORT_IO, "sockets", false, json_sockets, text_sockets, RUN_OFF_NET},
	{REPORT_IO, "directories", false, NULL, text_folders, RUN_OFF_IO},
	{REPORT_IO, "functions", false, NULL, text_functions, RUN_OFF_IO | RUN_OFF_NET},
	{REPORT_IO, "names", false, NULL, text_resolved, RUN_OFF_NET},
	{REPORT_IO, "files", false, NULL, text_file_details, RUN_OFF_IO},
	{REPORT_IO, "connections", false, NULL, text_connections, RUN_OFF_NET},
	{REPORT_WHOLE | REPORT_IO, "waits", true, json_waits, text_waits, RUN_OFF_WAIT},
	{REPORT_WHOLE, "threads", true, json_threads, text_threads, 0},
	{EVERY, "coverage", false, json_coverage, text_coverage, 0},
};

/* Of each trace, in "processes". */
static const struct section process_sections[] = {
	{EVERY, "process", false, json_process, NULL, 0},
	{EVERY, "trace", false, json_trace, NULL, 0},
	{EVERY, "memory", false, json_memory, NULL, RUN_OFF_MEMORY},
	{EVERY, "io", false, json_io, NULL, RUN_OFF_IO},
	{EVERY, "sockets", false, json_sockets, NULL, RUN_OFF_NET},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool is_off(const struct section *s, const struct report *r)
{
	return s->of != 0 && (r->run->off & s->of) == s->of;
}

static void section_json(const struct section *s, struct report *r, struct emit_json *e)
{
	if (s->is_list && is_off(s, r)) {
		emit_null(e, s->key);
		return;
	}
	if (s->is_list)
		emit_array(e, s->key);
	else
		emit_object(e, s->key);
	e->unknown = is_off(s, r);
	s->json(r, e);
	e->unknown = false;
	emit_end(e);
}

void report_json(struct report *r, enum report_kind kind, struct emit_json *e)
{
	for (size_t i = 0; i < COUNT(sections); i++)
		if ((sections[i].kinds & kind) && sections[i].json != NULL)
			section_json(&sections[i], r, e);
}

/* Of an image: what is its own, and its place in the tree if there is one. */
static void process_json(struct report *r, const struct tree *t, size_t place, struct emit_json *e)
{
	emit_object(e, NULL);
	for (size_t i = 0; i < COUNT(process_sections); i++) {
		const struct section *s = &process_sections[i];

		emit_object(e, s->key);
		e->unknown = is_off(s, r);
		s->json(r, e);
		if (t != NULL && s->json == json_process)
			json_in_tree(t, place, e);
		if (t != NULL && s->json == json_memory)
			json_inherited(r, e);
		e->unknown = false;
		emit_end(e);
	}
	emit_end(e);
}

void report_json_processes(struct report *r, struct emit_json *e)
{
	emit_array(e, "processes");
	if (r->tree == NULL)
		process_json(r, NULL, 0, e);
	for (size_t i = 0; r->tree != NULL && i < r->tree->image_count; i++) {
		struct report image;
		struct run run;

		if (report_image(&image, &run, r, i) != 0)
			e->failed = true;
		else
			process_json(&image, r->tree, i, e);
		report_image_close(&image);
	}
	emit_end(e);
}

void report_text(struct report *r, enum report_kind kind, struct emit_text *t)
{
	for (size_t i = 0; i < COUNT(sections); i++)
		if ((sections[i].kinds & kind) && sections[i].text != NULL &&
		    !is_off(&sections[i], r))
			sections[i].text(r, t);
}
