/* SPDX-License-Identifier: MIT */
/* The sections of a report, each as JSON and as text. Only report_sections.c,
 * which lists them, needs these. */
#ifndef PH_ANALYZER_REPORT_SECTIONS_H
#define PH_ANALYZER_REPORT_SECTIONS_H

#include "analyzer/report.h"

void json_perfhook(struct report *r, struct emit_json *e);
void json_process(struct report *r, struct emit_json *e);
void json_window(struct report *r, struct emit_json *e);
void json_marks(struct report *r, struct emit_json *e);
void json_top(struct report *r, struct emit_json *e);
void json_size_classes(struct report *r, struct emit_json *e);
void json_lifetimes(struct report *r, struct emit_json *e);
void json_temporary(struct report *r, struct emit_json *e);
void json_resident(struct report *r, struct emit_json *e);
void json_filter(struct report *r, struct emit_json *e);
void json_trace(struct report *r, struct emit_json *e);
void json_in_tree(const struct tree *t, size_t place, struct emit_json *e);
void json_inherited(struct report *r, struct emit_json *e);
void json_findings(struct report *r, struct emit_json *e);
void json_memory(struct report *r, struct emit_json *e);
void json_peak(struct report *r, struct emit_json *e);
void json_leaks(struct report *r, struct emit_json *e);
void json_suppressions(struct report *r, struct emit_json *e);
void json_io(struct report *r, struct emit_json *e);
void json_sockets(struct report *r, struct emit_json *e);
void json_waits(struct report *r, struct emit_json *e);
void json_threads(struct report *r, struct emit_json *e);
void json_coverage(struct report *r, struct emit_json *e);
void json_reachability(struct report *r, struct emit_json *e);

void text_top(struct report *r, struct emit_text *t);
void text_sizes(struct report *r, struct emit_text *t);
void text_lifetimes(struct report *r, struct emit_text *t);
void text_temporary(struct report *r, struct emit_text *t);
void text_resident(struct report *r, struct emit_text *t);
/* What the figures do not hold, a line each; nothing where they hold all. */
void text_missing(struct report *r, struct emit_text *t);
void text_process(struct report *r, struct emit_text *t);
void text_processes(struct report *r, struct emit_text *t);
void text_findings(struct report *r, struct emit_text *t);
void text_memory(struct report *r, struct emit_text *t);
void text_peak(struct report *r, struct emit_text *t);
void text_leaks(struct report *r, struct emit_text *t);
void text_suspects(struct report *r, struct emit_text *t);
void text_suppressions(struct report *r, struct emit_text *t);
void text_io(struct report *r, struct emit_text *t);
void text_sockets(struct report *r, struct emit_text *t);
void text_file_details(struct report *r, struct emit_text *t);
void text_folders(struct report *r, struct emit_text *t);
void text_functions(struct report *r, struct emit_text *t);
void text_connections(struct report *r, struct emit_text *t);
void text_resolved(struct report *r, struct emit_text *t);
void text_waits(struct report *r, struct emit_text *t);
void text_threads(struct report *r, struct emit_text *t);
void text_coverage(struct report *r, struct emit_text *t);
void text_reachability(struct report *r, struct emit_text *t);

/* Shared among the JSON sections: a "stack". */
void json_stack(struct report *r, struct emit_json *e, uint32_t node);
void json_latency(struct emit_json *e, const char *key, const struct latency *l);
/* "reachability" of a stack's blocks, and its figures. */
void json_site_reach(struct report *r, struct emit_json *e, const struct site *s);

/* What a wait was for, malloc'ed; NULL: nothing, or out of memory. */
char *wait_object(struct report *r, const struct wait *wait);
/* A finding's line, with what was waited for, malloc'ed; NULL: out of memory. */
char *finding_what(struct report *r, const struct finding *f);
/* What it rests on, as members of the object that is open. */
void finding_evidence(struct report *r, struct emit_json *e, const struct finding *f);

/* Shared among the text sections. */
/* The frames of a node, each on a line of its own, begun at column `indent`. */
void text_stack(struct report *r, struct emit_text *t, uint32_t node, size_t indent);
/* The same of an entry in a list, whose outer frames are not said again where an earlier
 * entry has them: that one is named by its rank; 0 where a list has none, then only the
 * entry just above is looked at. All zero is empty. */
#define SHOWN_STACKS 32 /* that a list looks back at */
struct shown_stacks {
	struct stack stacks[SHOWN_STACKS];
	size_t ranks[SHOWN_STACKS];
	size_t count;
};
void text_listed_stack(struct report *r, struct emit_text *t, struct shown_stacks *shown,
		       size_t rank, uint32_t node, size_t indent);
void shown_stacks_free(struct shown_stacks *shown);
/* The same in one or two lines: where in the program, and by way of what. */
void text_folded_stack(struct report *r, struct emit_text *t, uint32_t node, size_t indent);
/* "  label       " in front of a line of figures. */
void text_label(struct emit_text *t, const char *label);
/* What each thread's time was spent on. */
void text_thread_times(struct report *r, struct emit_text *t, const struct thread *const *threads,
		       size_t count);
/* A labelled row of bars, with the range that it covers. */
size_t text_timeline(struct report *r, struct emit_text *t, const double *values, size_t count,
		     const char *top);
/* Says how many of a list are not shown, if any are not. */
void text_more(struct report *r, struct emit_text *t, size_t count, const char *what);

#endif
