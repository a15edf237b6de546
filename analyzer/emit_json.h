/* SPDX-License-Identifier: MIT */
/*
 * JSON written as a series of calls over a cJSON tree: begin, members, end.
 * `key` is NULL within an array, else a string that outlives the emitter.
 * Running out of memory is remembered and said once, by emit_json_finish().
 */
#ifndef PH_ANALYZER_EMIT_JSON_H
#define PH_ANALYZER_EMIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EMIT_JSON_DEPTH 16

struct cJSON;

struct emit_json {
	struct cJSON *open[EMIT_JSON_DEPTH]; /* open[0] is the root */
	int depth;			     /* how many are open */
	bool failed;
	bool unknown; /* while it is set, all values and arrays are null */
};

void emit_json_begin(struct emit_json *e); /* the root object */
/* Print the tree and free it. -1: out of memory (ENOMEM) or `out` failed (errno). */
int emit_json_finish(struct emit_json *e, FILE *out, bool indented);
void emit_json_free(struct emit_json *e);

void emit_object(struct emit_json *e, const char *key);
void emit_array(struct emit_json *e, const char *key);
void emit_end(struct emit_json *e);

void emit_null(struct emit_json *e, const char *key);
void emit_bool(struct emit_json *e, const char *key, bool value);
void emit_u64(struct emit_json *e, const char *key, uint64_t value); /* exact, always */
void emit_i64(struct emit_json *e, const char *key, int64_t value);
void emit_double(struct emit_json *e, const char *key, double value); /* NaN, infinity: null */
/* NULL: null. Bytes that are no valid UTF-8 become U+FFFD. */
void emit_string(struct emit_json *e, const char *key, const char *value);
void emit_hex(struct emit_json *e, const char *key, uint64_t value); /* "0x..." */
/* An array of numbers, as one item: for many of them. */
void emit_numbers(struct emit_json *e, const char *key, const int64_t *values, size_t count);

/* A string by itself, quoted, for what is written as it is made; as emit_string(). -1: out
 * of memory. */
int json_print_string(FILE *out, const char *value);

#endif
