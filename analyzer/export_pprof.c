/* SPDX-License-Identifier: MIT */
/*
 * profile.proto, gzipped: what `go tool pprof` and its like read. All costs are
 * sample types. A location is an address, with a line for each inlined function
 * there; a stack's memory, transfers and waits are samples of their own, told apart
 * by the label "kind". A value that int64 cannot hold is the largest that it can.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"
#include "analyzer/map.h"
#include "analyzer/protobuf.h"
#include "analyzer/string_table.h"
#include "analyzer/vector.h"

/* Field numbers of profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING_TABLE = 6,
	PROFILE_TIME_NANOS = 9,
	PROFILE_DURATION_NANOS = 10,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};
enum { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2 };
enum {
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_FILENAME = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILENAMES = 8,
	MAPPING_HAS_LINE_NUMBERS = 9,
	MAPPING_HAS_INLINE_FRAMES = 10,
};
enum { LOCATION_ID = 1, LOCATION_MAPPING_ID = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION_ID = 1, LINE_LINE = 2 };
/* No system_name: with it, pprof takes template arguments and parameters off. */
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_FILENAME = 4 };

/* Costs that one sample holds together. */
static const struct kind {
	const char *label;
	enum cost_id first, last;
} kinds[] = {
	{"memory", COST_PEAK, COST_TEMPORARY},
	{"transfer", COST_READ, COST_TIME},
	{"wait", COST_WAITED, COST_WAITED},
};

/* What is counted beside a cost; where nothing stands, it is said by another. */
static const char *const count_names[COST_COUNT] = {
	[COST_PEAK] = "peak_blocks",	  [COST_LEAKED] = "leaked_blocks",
	[COST_ALLOCATED] = "allocations", [COST_TIME] = "calls",
	[COST_WAITED] = "waits",
};

#define VALUES_MAX (2 * COST_COUNT)

/* One sample in the making. */
struct row {
	uint32_t node;
	uint64_t values[VALUES_MAX];
};

struct function_key {
	uint32_t name, file; /* in the string table */
};

/* What is known of a module's frames. */
struct module_names {
	bool used, functions, files, lines, inlines;
};

struct pprof {
	struct export *x;
	struct protobuf part, inner; /* a field in the making, and one in it */
	z_stream deflate;
	uint8_t compressed[16384];
	bool failed; /* out of memory */
	struct string_table strings;
	struct function_key *functions;
	size_t function_count, function_room;
	struct map function_by_key;
	bool *located; /* by the run's address */
	struct module_names *modules;
	/* Which values there are: of each cost, its place and its count's; -1: none. */
	int value_of[COST_COUNT], count_of[COST_COUNT], value_count;
};

/* Output. */

static void compress_more(struct pprof *p, const void *data, size_t length, int flush)
{
	p->deflate.next_in = (void *)data;
	p->deflate.avail_in = (uInt)length;
	do {
		p->deflate.next_out = p->compressed;
		p->deflate.avail_out = sizeof(p->compressed);
		if (deflate(&p->deflate, flush) == Z_STREAM_ERROR)
			p->failed = true;
		fwrite(p->compressed, 1, sizeof(p->compressed) - p->deflate.avail_out, p->x->out);
	} while (p->deflate.avail_out == 0 && !p->failed);
}

/* p->part is done: a field of the profile. */
static void put_part(struct pprof *p, unsigned field)
{
	struct protobuf whole = {0};

	protobuf_message(&whole, field, &p->part);
	p->failed |= whole.failed;
	if (!p->failed)
		compress_more(p, whole.data, whole.length, Z_NO_FLUSH);
	protobuf_free(&whole);
	p->part.length = 0;
}

static void put_number(struct pprof *p, unsigned field, uint64_t value)
{
	struct protobuf whole = {0};

	protobuf_number(&whole, field, value);
	p->failed |= whole.failed;
	if (!p->failed && whole.length != 0)
		compress_more(p, whole.data, whole.length, Z_NO_FLUSH);
	protobuf_free(&whole);
}

/* Strings and functions: numbered as they are met, written at the end. */

static uint64_t text_number(struct pprof *p, const char *text)
{
	uint32_t number = string_number(&p->strings, text != NULL ? text : "");

	p->failed |= number == STRING_TABLE_FULL;
	return number != STRING_TABLE_FULL ? number : 0;
}

static uint64_t function_number(struct pprof *p, const char *name, const char *file)
{
	struct function_key key = {(uint32_t)text_number(p, name), (uint32_t)text_number(p, file)};
	uint64_t both = (uint64_t)key.name << 32 | key.file;
	uint64_t number = map_get(&p->function_by_key, both);

	if (number != 0)
		return number;
	if (!vector_reserve(p->functions, p->function_room, p->function_count + 1) ||
	    !map_put(&p->function_by_key, both, p->function_count + 1)) {
		p->failed = true;
		return 0;
	}
	p->functions[p->function_count++] = key;
	return p->function_count;
}

static void put_functions(struct pprof *p)
{
	for (size_t i = 0; i < p->function_count; i++) {
		protobuf_number(&p->part, FUNCTION_ID, i + 1);
		protobuf_number(&p->part, FUNCTION_NAME, p->functions[i].name);
		protobuf_number(&p->part, FUNCTION_FILENAME, p->functions[i].file);
		put_part(p, PROFILE_FUNCTION);
	}
}

static void put_strings(struct pprof *p)
{
	for (size_t i = 0; i < p->strings.count && !p->failed; i++) {
		char *valid = format_utf8(p->strings.strings[i]);
		struct protobuf whole = {0};

		if (valid != NULL)
			protobuf_string(&whole, PROFILE_STRING_TABLE, valid);
		p->failed |= valid == NULL || whole.failed;
		if (!p->failed)
			compress_more(p, whole.data, whole.length, Z_NO_FLUSH);
		protobuf_free(&whole);
		free(valid);
	}
}

/* Locations and mappings. */

static void note_names(struct module_names *m, const struct frame *f)
{
	m->functions |= f->function != NULL;
	m->files |= f->file != NULL;
	m->lines |= f->line > 0;
	m->inlines |= f->inlined;
}

static void add_line(struct pprof *p, const struct frame *f)
{
	char *label = frame_label(f);

	p->failed |= label == NULL;
	p->inner.length = 0;
	protobuf_number(&p->inner, LINE_FUNCTION_ID, function_number(p, label, f->file));
	protobuf_number(&p->inner, LINE_LINE, f->line > 0 ? (uint64_t)f->line : 0);
	protobuf_message(&p->part, LOCATION_LINE, &p->inner);
	free(label);
}

/* What stands for a stack that was not recorded. */
static uint64_t no_location(struct pprof *p)
{
	uint64_t id = p->x->report->run->address_count + 1;

	if (p->located[id - 1])
		return id;
	p->located[id - 1] = true;
	protobuf_number(&p->part, LOCATION_ID, id);
	p->inner.length = 0;
	protobuf_number(&p->inner, LINE_FUNCTION_ID, function_number(p, CALL_NO_STACK, NULL));
	protobuf_message(&p->part, LOCATION_LINE, &p->inner);
	put_part(p, PROFILE_LOCATION);
	return id;
}

/* The frames of a node, once for its address. Returns the location, 0: our own
 * library's, which is left out. */
static uint64_t location_number(struct pprof *p, uint32_t node)
{
	const struct run *run = p->x->report->run;
	const struct address *a = node_address(run, node);
	size_t place = (size_t)(a - run->addresses), count;
	const struct frame *frames = node_frames(p->x->report, node, &count);
	bool has_module = a->module >= 0 && (size_t)a->module < run->module_count;

	p->failed |= count > 0 && frames == NULL;
	if (count == 0 || p->failed)
		return 0;
	if (p->located[place])
		return place + 1;
	p->located[place] = true;
	protobuf_number(&p->part, LOCATION_ID, place + 1);
	protobuf_number(&p->part, LOCATION_MAPPING_ID, has_module ? (uint64_t)a->module + 1 : 0);
	protobuf_number(&p->part, LOCATION_ADDRESS, a->pc);
	for (size_t i = 0; i < count; i++) {
		add_line(p, &frames[i]);
		if (has_module)
			note_names(&p->modules[a->module], &frames[i]);
	}
	if (has_module)
		p->modules[a->module].used = true;
	put_part(p, PROFILE_LOCATION);
	return place + 1;
}

/* From the load bias to the end of the code, so that addresses less the start are
 * those in the file. Where no frame has a name, a reader may look for some itself. */
static void put_mappings(struct pprof *p)
{
	const struct run *run = p->x->report->run;

	for (size_t i = 0; i < run->module_count; i++) {
		const struct module *m = &run->modules[i];
		const struct module_names *names = &p->modules[i];

		if (!names->used)
			continue;
		protobuf_number(&p->part, MAPPING_ID, i + 1);
		protobuf_number(&p->part, MAPPING_START, m->base);
		protobuf_number(&p->part, MAPPING_LIMIT, m->base + m->code_end);
		protobuf_number(&p->part, MAPPING_FILENAME, text_number(p, m->path));
		protobuf_number(&p->part, MAPPING_BUILD_ID, text_number(p, m->build_id));
		protobuf_number(&p->part, MAPPING_HAS_FUNCTIONS, names->functions);
		protobuf_number(&p->part, MAPPING_HAS_FILENAMES, names->files);
		protobuf_number(&p->part, MAPPING_HAS_LINE_NUMBERS, names->lines);
		protobuf_number(&p->part, MAPPING_HAS_INLINE_FRAMES, names->inlines);
		put_part(p, PROFILE_MAPPING);
	}
}

/* Samples. */

static void add_type(struct pprof *p, const char *type, const char *unit)
{
	protobuf_number(&p->part, VALUE_TYPE_TYPE, text_number(p, type));
	protobuf_number(&p->part, VALUE_TYPE_UNIT, text_number(p, unit));
	put_part(p, PROFILE_SAMPLE_TYPE);
	p->value_count++;
}

static void put_types(struct pprof *p)
{
	for (int i = 0; i < COST_COUNT; i++) {
		p->value_of[i] = p->count_of[i] = -1;
		if (!cost_is_known(p->x->report->run, &costs[i]))
			continue;
		p->value_of[i] = p->value_count;
		add_type(p, costs[i].name,
			 costs[i].unit == COST_ALLOCATIONS ? "count"
							   : cost_unit_name(costs[i].unit));
		if (count_names[i] == NULL)
			continue;
		p->count_of[i] = p->value_count;
		add_type(p, count_names[i], "count");
	}
	put_number(p, PROFILE_DEFAULT_SAMPLE_TYPE, text_number(p, p->x->cost->name));
}

/* A stack's locations, innermost first, as the beginning of a sample. */
static void put_stack(struct pprof *p, uint32_t node)
{
	const struct run *run = p->x->report->run;
	struct protobuf ids = {0};

	for (size_t i = 0; i < STACK_MAX && node_address(run, node) != NULL; i++) {
		uint64_t id = location_number(p, node);

		if (id != 0)
			protobuf_varint(&ids, id);
		node = run->nodes[node].parent;
	}
	if (ids.length == 0)
		protobuf_varint(&ids, no_location(p));
	protobuf_message(&p->part, SAMPLE_LOCATION_ID, &ids);
	protobuf_free(&ids);
}

static void put_sample(struct pprof *p, const struct row *row, const char *kind)
{
	put_stack(p, row->node);
	p->inner.length = 0;
	for (int i = 0; i < p->value_count; i++)
		protobuf_varint(&p->inner,
				row->values[i] > INT64_MAX ? (uint64_t)INT64_MAX : row->values[i]);
	protobuf_message(&p->part, SAMPLE_VALUE, &p->inner);
	p->inner.length = 0;
	protobuf_number(&p->inner, LABEL_KEY, text_number(p, "kind"));
	protobuf_number(&p->inner, LABEL_STR, text_number(p, kind));
	protobuf_message(&p->part, SAMPLE_LABEL, &p->inner);
	put_part(p, PROFILE_SAMPLE);
}

/* The rows of one kind. */
struct rows {
	struct row *list;
	size_t count, room;
	struct map by_node; /* node + 1 to place + 1 */
};

static struct row *row_of(struct rows *rows, uint32_t node)
{
	uint64_t place = map_get(&rows->by_node, (uint64_t)node + 1);

	if (place != 0)
		return &rows->list[place - 1];
	if (!vector_reserve(rows->list, rows->room, rows->count + 1) ||
	    !map_put(&rows->by_node, (uint64_t)node + 1, rows->count + 1))
		return NULL;
	rows->list[rows->count] = (struct row){.node = node};
	return &rows->list[rows->count++];
}

static int add_cost(struct pprof *p, struct rows *rows, enum cost_id id, struct error *e)
{
	struct cost_samples samples;

	if (costs_of(p->x->report->run, &costs[id], &samples, e) != 0)
		return -1;
	for (size_t i = 0; i < samples.count && !p->failed; i++) {
		struct row *row = row_of(rows, samples.list[i].node);

		p->failed |= row == NULL;
		if (row == NULL)
			break;
		row->values[p->value_of[id]] = samples.list[i].value;
		if (p->count_of[id] >= 0)
			row->values[p->count_of[id]] = samples.list[i].count;
	}
	costs_free(&samples);
	return 0;
}

static int put_kind(struct pprof *p, const struct kind *kind, struct error *e)
{
	struct rows rows = {0};
	int rc = 0;

	for (int i = (int)kind->first; i <= (int)kind->last && rc == 0; i++)
		if (p->value_of[i] >= 0)
			rc = add_cost(p, &rows, (enum cost_id)i, e);
	for (size_t i = 0; i < rows.count && rc == 0 && !p->failed; i++)
		put_sample(p, &rows.list[i], kind->label);
	free(rows.list);
	map_free(&rows.by_node);
	return rc;
}

/* The whole. */

static void put_comments(struct pprof *p)
{
	const struct run *run = p->x->report->run;
	char *title = export_title(p->x->report), *comment = NULL;

	if (title != NULL && asprintf(&comment, "%s on %s, recorded by perfhook %s", title,
				      run->host != NULL ? run->host : "?",
				      run->version != NULL ? run->version : "?") >= 0)
		put_number(p, PROFILE_COMMENT, text_number(p, comment));
	else
		p->failed = true;
	free(title);
	free(comment);
	put_number(p, PROFILE_TIME_NANOS,
		   export_first_run(p->x->report)->started_ns + (uint64_t)(run_start_s(run) * 1e9));
	put_number(p, PROFILE_DURATION_NANOS, (uint64_t)(run_span_s(run) * 1e9));
}

static int put_all(struct pprof *p, struct error *e)
{
	text_number(p, ""); /* number 0 */
	put_types(p);
	put_comments(p);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !p->failed; i++)
		if (put_kind(p, &kinds[i], e) != 0)
			return -1;
	put_mappings(p);
	put_functions(p);
	put_strings(p);
	if (!p->failed)
		compress_more(p, NULL, 0, Z_FINISH);
	return p->failed ? export_out_of_memory(e) : 0;
}

static void pprof_free(struct pprof *p)
{
	string_table_free(&p->strings);
	free(p->functions);
	free(p->located);
	free(p->modules);
	map_free(&p->function_by_key);
	protobuf_free(&p->part);
	protobuf_free(&p->inner);
	deflateEnd(&p->deflate);
}

int export_pprof(struct export *x, struct error *e)
{
	enum { GZIP = 16 + MAX_WBITS, MEMORY = 8 };
	struct pprof p = {.x = x};
	int rc;

	if (deflateInit2(&p.deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return export_out_of_memory(e);
	p.located = calloc(x->report->run->address_count + 1, sizeof(*p.located));
	p.modules = calloc(x->report->run->module_count + 1, sizeof(*p.modules));
	p.failed = p.located == NULL || p.modules == NULL;
	rc = p.failed ? export_out_of_memory(e) : put_all(&p, e);
	pprof_free(&p);
	return rc;
}
