/* SPDX-License-Identifier: MIT */
/* JSON written as a series of calls over a cJSON tree. */
#include "analyzer/emit_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

/* Takes `item`, which may be NULL: out of memory. */
static void attach_any(struct emit_json *e, const char *key, cJSON *item)
{
	cJSON *parent = e->depth > 0 ? e->open[e->depth - 1] : NULL;
	bool done = item != NULL && parent != NULL &&
		    (key == NULL ? cJSON_AddItemToArray(parent, item)
				 : cJSON_AddItemToObjectCS(parent, key, item));

	if (!done) {
		e->failed = true;
		cJSON_Delete(item);
	}
}

static void attach(struct emit_json *e, const char *key, cJSON *item)
{
	if (e->unknown) {
		cJSON_Delete(item);
		if (e->open[e->depth - 1] == NULL)
			return;
		item = cJSON_CreateNull();
	}
	attach_any(e, key, item);
}

/* A container that could not be made is open all the same, as NULL, so that
 * begin and end stay in step. */
static void attach_open(struct emit_json *e, const char *key, cJSON *item)
{
	bool failed = e->failed;

	/* Within an array that is null instead. */
	if (e->unknown && e->open[e->depth - 1] == NULL) {
		cJSON_Delete(item);
		e->open[e->depth++] = NULL;
		return;
	}
	e->failed = false;
	attach_any(e, key, item);
	e->open[e->depth++] = e->failed ? NULL : item;
	e->failed |= failed;
}

void emit_json_begin(struct emit_json *e)
{
	e->open[0] = cJSON_CreateObject();
	e->depth = 1;
	e->failed = e->open[0] == NULL;
	e->unknown = false;
}

void emit_json_free(struct emit_json *e)
{
	cJSON_Delete(e->open[0]);
	e->open[0] = NULL;
	e->depth = 0;
}

int emit_json_finish(struct emit_json *e, FILE *out, bool indented)
{
	char *text = NULL;
	int rc = -1;

	if (!e->failed)
		text = indented ? cJSON_Print(e->open[0]) : cJSON_PrintUnformatted(e->open[0]);
	emit_json_free(e);
	if (text == NULL)
		errno = ENOMEM;
	else if (fputs(text, out) >= 0 && fputc('\n', out) != EOF)
		rc = 0;
	cJSON_free(text);
	return rc;
}

void emit_object(struct emit_json *e, const char *key)
{
	attach_open(e, key, cJSON_CreateObject());
}

void emit_array(struct emit_json *e, const char *key)
{
	if (e->unknown) {
		emit_null(e, key);
		e->open[e->depth++] = NULL; /* nothing is put into it */
		return;
	}
	attach_open(e, key, cJSON_CreateArray());
}

void emit_end(struct emit_json *e)
{
	e->depth--;
}

void emit_null(struct emit_json *e, const char *key)
{
	attach(e, key, cJSON_CreateNull());
}

void emit_bool(struct emit_json *e, const char *key, bool value)
{
	attach(e, key, cJSON_CreateBool(value));
}

/* Digits as they are: a cJSON number is a double, which ends at 2^53. */
void emit_u64(struct emit_json *e, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	attach(e, key, cJSON_CreateRaw(digits));
}

void emit_i64(struct emit_json *e, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	attach(e, key, cJSON_CreateRaw(digits));
}

void emit_double(struct emit_json *e, const char *key, double value)
{
	attach(e, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static bool is_valid_utf8(const char *s)
{
	uint32_t c;

	while (*s != '\0') {
		size_t length = utf8_decode(s, &c);

		if (length == 0)
			return false;
		s += length;
	}
	return true;
}

void emit_string(struct emit_json *e, const char *key, const char *value)
{
	char *valid;

	if (value == NULL) {
		emit_null(e, key);
		return;
	}
	if (is_valid_utf8(value)) {
		attach(e, key, cJSON_CreateString(value));
		return;
	}
	valid = format_utf8(value);
	attach(e, key, valid != NULL ? cJSON_CreateString(valid) : NULL);
	free(valid);
}

void emit_hex(struct emit_json *e, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	emit_string(e, key, text);
}

static void print_escaped(FILE *out, unsigned char c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c < 0x20)
		fprintf(out, "\\u%04x", c);
	else
		fputc(c, out);
}

int json_print_string(FILE *out, const char *value)
{
	char *valid;

	if (value == NULL) {
		fputs("null", out);
		return 0;
	}
	valid = format_utf8(value);
	if (valid == NULL)
		return -1;
	fputc('"', out);
	for (const char *c = valid; *c != '\0'; c++)
		print_escaped(out, (unsigned char)*c);
	fputc('"', out);
	free(valid);
	return 0;
}

enum { DIGITS = 21 }; /* of a number, with its sign or what parts it from the next */

void emit_numbers(struct emit_json *e, const char *key, const int64_t *values, size_t count)
{
	char *text = malloc(count * DIGITS + 3), *end = text;

	if (text == NULL) {
		attach(e, key, NULL);
		return;
	}
	*end++ = '[';
	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "%s%" PRId64, i == 0 ? "" : ",", values[i]);
	memcpy(end, "]", sizeof("]"));
	attach(e, key, cJSON_CreateRaw(text));
	free(text);
}
