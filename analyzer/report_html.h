/* SPDX-License-Identifier: MIT */
/*
 * A report as one HTML page: what html/ holds, with the run's model in it as JSON. The
 * page asks for nothing from anywhere, and all names in it are data.
 */
#ifndef PH_ANALYZER_REPORT_HTML_H
#define PH_ANALYZER_REPORT_HTML_H

#include <stdio.h>

#include "analyzer/emit_json.h"
#include "analyzer/error.h"
#include "analyzer/report.h"

/* 0, or -1 with *e filled: out of memory. Write errors stay in `out`. */
int report_html(struct report *r, FILE *out, struct error *e);

/* A part of it (page_words.c): "summary". */
void page_words(struct report *r, struct emit_json *e);

#endif
