/* SPDX-License-Identifier: MIT */
#include "analyzer/reach_found.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

enum {
	SITES_A_BLOCK = 8192,
	NUMBERS = 1 + 2 * REACH_CLASSES, /* of a site: which, then bytes and blocks of each class */
	NOTES_MOST = 64,
	SITES_MOST = 1 << 24, /* as many as there can be nodes */
};

/* ---- reading ---------------------------------------------------------------- */

static const char *copy(struct arena *arena, const cJSON *item)
{
	return cJSON_IsString(item)
		       ? arena_copy(arena, item->valuestring, strlen(item->valuestring))
		       : NULL;
}

static uint64_t number_of(const cJSON *item)
{
	if (cJSON_IsString(item))
		return strtoull(item->valuestring, NULL, 10);
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= 0x1p63)
		return 0;
	return (uint64_t)item->valuedouble;
}

static bool read_site(struct reach_found *f, const cJSON *numbers, bool inherited)
{
	struct found_site s = {.inherited = inherited};
	const cJSON *item;
	size_t i = 0;

	cJSON_ArrayForEach(item, numbers)
	{
		uint64_t n = number_of(item);

		if (i == 0)
			s.number = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
		else if (i >= NUMBERS)
			return false;
		else if (i % 2 == 1)
			s.sums[(i - 1) / 2].bytes = n;
		else
			s.sums[(i - 1) / 2].blocks = n;
		i++;
	}
	if (i != NUMBERS || f->site_count >= SITES_MOST ||
	    !vector_reserve(f->sites, f->site_room, f->site_count + 1))
		return false;
	f->sites[f->site_count++] = s;
	return true;
}

static bool read_sites(struct reach_found *f, const cJSON *list, bool inherited)
{
	const cJSON *site;

	cJSON_ArrayForEach(site, list)
	{
		if (!read_site(f, site, inherited))
			return false;
	}
	return true;
}

static void read_notes(struct reach_found *f, const cJSON *list, struct arena *arena)
{
	const cJSON *item;

	f->notes = arena_alloc(arena, NOTES_MOST * sizeof(*f->notes));
	cJSON_ArrayForEach(item, list)
	{
		const char *note = copy(arena, item);

		if (f->notes != NULL && f->note_count < NOTES_MOST && note != NULL)
			f->notes[f->note_count++] = note;
	}
}

/* The first one has the head. */
static void read_head(struct reach_found *f, const cJSON *o, struct arena *arena)
{
	const cJSON *how = cJSON_GetObjectItemCaseSensitive(o, "how");
	const char *failed = copy(arena, cJSON_GetObjectItemCaseSensitive(o, "failed"));

	if (failed != NULL)
		f->failed = failed;
	if (!cJSON_IsString(how))
		return;
	f->made = true;
	f->how = strcmp(how->valuestring, "copy") == 0 ? "copy" : "snapshot";
	f->ticks = number_of(cJSON_GetObjectItemCaseSensitive(o, "ticks"));
	f->pause_ns = number_of(cJSON_GetObjectItemCaseSensitive(o, "pause_ns"));
	read_notes(f, cJSON_GetObjectItemCaseSensitive(o, "notes"), arena);
}

bool found_read(struct reach_found *f, const struct ph_buffer *payload, struct arena *arena)
{
	cJSON *o = cJSON_ParseWithLength((const char *)payload->data, payload->length);
	bool good = cJSON_IsObject(o);

	if (good) {
		read_head(f, o, arena);
		good = read_sites(f, cJSON_GetObjectItemCaseSensitive(o, "sites"), false) &&
		       read_sites(f, cJSON_GetObjectItemCaseSensitive(o, "inherited"), true);
	}
	cJSON_Delete(o);
	return good;
}

void found_free(struct reach_found *f)
{
	free(f->sites);
	*f = (struct reach_found){.made = false};
}

/* ---- writing ------------------------------------------------------------------- */

static void write_object(FILE *out, cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	if (text != NULL)
		fprintf(out, "%s\n", text);
	free(text);
	cJSON_Delete(o);
}

static void add_decimal(cJSON *o, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cJSON_AddStringToObject(o, key, text);
}

static cJSON *site_json(const struct site *s, uint32_t number)
{
	cJSON *list = cJSON_CreateArray();

	cJSON_AddItemToArray(list, cJSON_CreateNumber(number));
	for (int c = 0; c < REACH_CLASSES; c++) {
		cJSON_AddItemToArray(list, cJSON_CreateNumber((double)s->reach[c].bytes));
		cJSON_AddItemToArray(list, cJSON_CreateNumber((double)s->reach[c].blocks));
	}
	return list;
}

static void write_head(FILE *out, const struct reach *r, uint64_t ticks)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "how", r->how);
	add_decimal(o, "ticks", ticks);
	add_decimal(o, "pause_ns", (uint64_t)(r->pause_s * 1e9));
	cJSON_AddItemToObject(o, "notes", cJSON_CreateStringArray(r->notes, (int)r->note_count));
	write_object(out, o);
}

static bool is_judged(const struct site *s)
{
	return s->reach[REACH_LOST].blocks + s->reach[REACH_INDIRECT].blocks +
		       s->reach[REACH_POSSIBLE].blocks + s->reach[REACH_STILL].blocks !=
	       0;
}

/* A stack that the file does not have is one that a fork left; 0 is no stack at all. */
static bool is_inherited(const struct run_live *live, const struct site *s, size_t place)
{
	return s->node != 0 && live->file_nodes[s->node] == 0 && place < live->inherited_sites;
}

void found_write(FILE *out, const struct run *run, const struct run_live *live, uint64_t ticks)
{
	write_head(out, &run->heap.reach, ticks);
	for (size_t at = 0; at < run->site_count;) {
		cJSON *o = cJSON_CreateObject();
		cJSON *own = cJSON_AddArrayToObject(o, "sites");
		cJSON *inherited = cJSON_AddArrayToObject(o, "inherited");

		for (size_t n = 0; n < SITES_A_BLOCK && at < run->site_count; at++) {
			const struct site *s = &run->sites[at];

			if (!is_judged(s))
				continue;
			n++;
			if (is_inherited(live, s, at))
				cJSON_AddItemToArray(inherited, site_json(s, (uint32_t)at));
			else
				cJSON_AddItemToArray(own, site_json(s, live->file_nodes[s->node]));
		}
		write_object(out, o);
	}
}

void found_write_failure(FILE *out, const char *why)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "failed", why);
	write_object(out, o);
}
