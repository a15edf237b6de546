/* SPDX-License-Identifier: MIT */
/* Amounts as they are typed on a command line: a number with a unit. */
#ifndef PH_ANALYZER_QUANTITY_H
#define PH_ANALYZER_QUANTITY_H

#include <stdbool.h>

/* Each takes a whole string: a number that is not negative, as 200 or 1.5, and a unit,
 * in any case, with a space between or none. False: it is something else. */

/* Bytes: none or B, K or KiB, M, G, T, each 1,024 of the one before; KB, MB, GB, TB are
 * powers of 1,000. */
bool quantity_bytes(const char *text, double *bytes);
/* Seconds: ns, us, ms, s, min, h; a bare 0 needs none. */
bool quantity_seconds(const char *text, double *seconds);
/* A number: none, or k, M, G for thousands and so on. */
bool quantity_count(const char *text, double *count);
/* As a fraction of 1: %, or a bare 0. */
bool quantity_percent(const char *text, double *fraction);

#endif
