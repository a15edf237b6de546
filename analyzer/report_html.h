/* SPDX-License-Identifier: MIT */
/*
 * A report as one HTML page: what html/ holds, with the run's model in it as JSON. The
 * page asks for nothing from anywhere, and all names in it are data.
 */
#ifndef PH_ANALYZER_REPORT_HTML_H
#define PH_ANALYZER_REPORT_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analyzer/emit_json.h"
#include "analyzer/error.h"
#include "analyzer/page_stacks.h"
#include "analyzer/report.h"

/* `before` is what it is compared with; NULL: nothing. 0, or -1 with *e filled: out of
 * memory. Write errors stay in `out`. */
int report_html(struct report *r, struct report *before, FILE *out, struct error *e);

/* Its parts. "summary", and "looked_for" where there are no findings (page_words.c): */
void page_words(struct report *r, struct emit_json *e);
/* "sources" (page_sources.c), when all stacks are there: */
void page_sources(const struct page_stacks *p, struct emit_json *e);
/* "processes", at most so many (page_processes.c): */
#define PAGE_PROCESSES 2000
void page_processes(const struct report *r, struct emit_json *e);
/* "threads" and "activity" (page_activity.c), the latter in at most so many sums; null if the run
 * has none. False: for that, more than time was given up. */
bool page_activity(struct report *r, struct page_stacks *stacks, size_t most, struct emit_json *e);

#endif
