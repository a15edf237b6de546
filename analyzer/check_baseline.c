/* SPDX-License-Identifier: MIT */
/* A baseline that `check --json` wrote. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/check.h"

enum { BASELINE_MAX = 16 << 20 };

bool figures_is_file(const char *path)
{
	FILE *in = fopen(path, "re");
	int first = EOF;

	if (in == NULL)
		return false;
	do
		first = fgetc(in);
	while (first == ' ' || first == '\n' || first == '\r' || first == '\t');
	fclose(in);
	return first == '{';
}

/* malloc'ed, NUL-terminated; NULL: it cannot be read, or is too large. */
static char *read_text(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = in != NULL ? malloc(BASELINE_MAX + 1) : NULL;
	size_t length = text != NULL ? fread(text, 1, BASELINE_MAX + 1, in) : 0;

	if (in != NULL)
		fclose(in);
	if (text == NULL || length > BASELINE_MAX) {
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

/* NaN: it is not there. */
static double figure_in(const cJSON *all, const struct limit_row *row)
{
	const cJSON *one =
		row->key != NULL ? cJSON_GetObjectItemCaseSensitive(all, row->key) : NULL;

	if (one == NULL || !cJSON_IsNumber(one) || !isfinite(one->valuedouble) ||
	    one->valuedouble < 0)
		return (double)NAN;
	return row->unit == LIMIT_UNIT_SHARE ? one->valuedouble / 100 : one->valuedouble;
}

int figures_read(struct figures *figures, const char *path, struct error *e)
{
	char *text = read_text(path);
	cJSON *json = text != NULL ? cJSON_Parse(text) : NULL;
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(json, "figures");
	bool good = cJSON_IsObject(all);

	for (int id = 0; id < LIMIT_COUNT; id++)
		figures->of[id] = figure_in(all, &limit_rows[id]);
	cJSON_Delete(json);
	free(text);
	return good ? 0
		    : fail(e, ERROR_FORMAT, 0,
			   "%s: no baseline: neither a trace nor what perfhook check --json wrote",
			   path);
}
