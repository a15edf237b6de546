/* SPDX-License-Identifier: MIT */
/* What the text sections of files and of connections share. */
#ifndef PH_ANALYZER_REPORT_TEXT_IO_H
#define PH_ANALYZER_REPORT_TEXT_IO_H

#include "analyzer/report.h"

#define US 1e-6 /* latencies are microseconds */

/* Lines of sums, and of rates. */
void text_traffic(struct emit_text *t, const struct traffic *total, const char *in,
		  const char *out);
void text_rates(struct report *r, struct emit_text *t, const struct io *io);

/* Columns of calls, failures, rate, p50, p99 and max, from column `c` on. */
void traffic_cells(struct text_row *row, size_t c, const struct traffic *t, double span, bool utf8);

/* A line below the name of one file or connection: what was written to `out` (NULL: no
 * memory), after its label, broken to fit. */
struct detail {
	FILE *out;
	char *text;
	size_t length;
};
void detail_begin(struct detail *d);
void detail_end(struct emit_text *t, const char *label, struct detail *d);

/* Lines below the name of one file or connection. */
void text_percentiles(struct emit_text *t, const char *label, const struct latency *l);
void text_facts(struct emit_text *t, const struct io_facts *f);
void text_top_stacks(struct report *r, struct emit_text *t, const struct io_facts *f);

#endif
