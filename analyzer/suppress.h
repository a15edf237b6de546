/* SPDX-License-Identifier: MIT */
/* A report's leaks, suppressed; and suppressions made of its suspects. */
#ifndef PH_ANALYZER_SUPPRESS_H
#define PH_ANALYZER_SUPPRESS_H

#include <stdio.h>

#include "analyzer/emit_text.h"
#include "analyzer/report.h"
#include "analyzer/suppressions.h"

/* Take out of the suspects what `s` matches; `s` counts it, and must live as long as the
 * report. 0, or -1 with *e filled: out of memory. */
int report_suppress(struct report *r, struct suppressions *s, struct error *e);

/* One for each that has leaked (leaked_bytes()), as Valgrind reads them. Write errors stay in
 * `out`. 0, or -1 with *e filled: out of memory. */
int suppressions_write(struct report *r, FILE *out, struct error *e);

#endif
