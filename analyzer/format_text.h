/* SPDX-License-Identifier: MIT */
/*
 * Values as people read them: units, times, counts, names made safe to print.
 * Pure functions over the caller's buffer; each returns it. Also the UTF-8
 * decoder that the JSON emitter cleans strings with.
 */
#ifndef PH_ANALYZER_FORMAT_TEXT_H
#define PH_ANALYZER_FORMAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_ROOM 48 /* enough for any number below */

char *format_bytes(char buf[FORMAT_ROOM], double bytes);      /* "1.5 MiB" */
char *format_rate(char buf[FORMAT_ROOM], double bytes_per_s); /* "1.5 MiB/s"; "-" if NaN */
char *format_count(char buf[FORMAT_ROOM], uint64_t n);	      /* "1,234,567" */
/* The same with its noun: "1 block", "2,000 blocks". */
char *format_counted(char out[FORMAT_ROOM], uint64_t n, const char *noun);
char *format_percent(char buf[FORMAT_ROOM], double part, double whole); /* "12.3%" */
/* "+12.3%", "-40.0%"; "26.5x" of ten times as much and more; "" where nothing was before, or
 * the same. */
char *format_growth(char buf[FORMAT_ROOM], uint64_t before, uint64_t after);
char *format_seconds(char buf[FORMAT_ROOM], double s, bool utf8); /* "3.4 ms"; "-" if NaN */
char *format_signal(char buf[FORMAT_ROOM], int number);		  /* "SIGKILL" */

/* With as many digits as tell it from any other: what reads it has the same number. Never
 * without a point or an exponent, so that it is no integer. `value` is finite. */
char *format_exact(char buf[FORMAT_ROOM], double value);

/* Decode one character; returns its length in bytes, or 0 when the first byte
 * begins no valid UTF-8 (overlong forms and surrogates included). */
size_t utf8_decode(const char *s, uint32_t *character);
size_t utf8_encode(char out[4], uint32_t character);

/* Columns that a string without control characters takes: one a character. */
size_t format_columns(const char *s);

/*
 * A name from a trace, safe on a terminal: control characters (those that turn
 * the direction of writing too) and invalid bytes are shown escaped; characters
 * outside ASCII also, unless `utf8`. At most `columns` wide (0: no limit): the
 * middle is given up for "...". The result is malloc'ed; NULL: out of memory.
 */
char *format_name(const char *name, size_t columns, bool utf8);

/* Valid UTF-8: bytes that are not are U+FFFD. Malloc'ed; NULL: out of memory. */
char *format_utf8(const char *s);
/*
 * The same as one line of a file that has no quotes: control characters are
 * escaped (\n, \x1b), and so is each character of `reserved`, by its number.
 */
char *format_line(const char *s, const char *reserved);

/*
 * `count` values as a row of bars, scaled to the greatest, at most `columns`
 * wide (each column shows the greatest of its values). Malloc'ed.
 */
char *format_sparkline(const double *values, size_t count, size_t columns, bool utf8);

/* "a, b or c", cut to the room there is: `names` ends with NULL. Returns `buf`. */
char *format_list(char *buf, size_t room, const char *const *names);

/* A name for the word that was probably meant, or NULL: `names` ends with NULL. */
const char *format_nearest(const char *word, const char *const *names);

#endif
