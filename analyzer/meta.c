/* SPDX-License-Identifier: MIT */
#include "analyzer/meta.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/run.h"
#include "analyzer/vector.h"
#include "trace/functions.h"

enum {
	JSON_MAX = 8 << 20, /* a tree takes some forty times its text */
	LIST_MAX = 1 << 20, /* modules, threads: more is not a process */
	NOTES_MAX = 256,
	MARKS_MAX = 1 << 16,
	SAMPLES_MAX = 1 << 24, /* a sample a second is half a year */
};

void meta_init(struct meta *m, struct arena *arena)
{
	static const char *no_command[] = {NULL};

	*m = (struct meta){.arena = arena,
			   .executable = "",
			   .host = "",
			   .version = "",
			   .command = no_command,
			   .end = "unknown",
			   .status = -1};
}

/* A member by its exact name; objects of ours have no twins. */
static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static uint64_t json_u64(const cJSON *item)
{
	char *end;
	unsigned long long value;

	if (cJSON_IsNumber(item)) {
		double d = item->valuedouble;

		return d >= 0 && d < 18446744073709551616.0 ? (uint64_t)d : 0;
	}
	if (!cJSON_IsString(item))
		return 0;
	errno = 0;
	value = strtoull(item->valuestring, &end, 0);
	return errno || *end != '\0' || item->valuestring[0] == '-' ? 0 : value;
}

static uint64_t get_u64(const cJSON *object, const char *name)
{
	return json_u64(member(object, name));
}

static uint32_t get_u32(const cJSON *object, const char *name)
{
	uint64_t value = get_u64(object, name);

	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int get_int(const cJSON *object, const char *name, int unknown)
{
	const cJSON *item = member(object, name);

	if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= INT32_MAX))
		return unknown;
	return (int)item->valuedouble;
}

static const char *copy(struct meta *m, const cJSON *item)
{
	if (!cJSON_IsString(item))
		return "";
	return arena_copy(m->arena, item->valuestring, strlen(item->valuestring));
}

static const char *get_text(struct meta *m, const cJSON *object, const char *name)
{
	return copy(m, member(object, name));
}

static void take_notes(struct meta *m, const cJSON *root)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, member(root, "notes"))
	{
		if (!cJSON_IsString(item) || m->note_count == NOTES_MAX ||
		    !vector_reserve(m->notes, m->note_room, m->note_count + 1))
			continue;
		m->notes[m->note_count++] = copy(m, item);
	}
}

static void take_command(struct meta *m, const cJSON *list)
{
	const cJSON *item;
	size_t n = 0;
	const char **command;

	cJSON_ArrayForEach(item, list) n++;
	command = arena_alloc(m->arena, (n + 1) * sizeof(*command));
	if (command == NULL)
		return;
	n = 0;
	cJSON_ArrayForEach(item, list) command[n++] = copy(m, item);
	m->command = command;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool parse_id(const cJSON *item, uint8_t id[16])
{
	const char *text = cJSON_IsString(item) ? item->valuestring : "";

	if (strlen(text) != 32)
		return false;
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool list_has(const cJSON *list, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list) if (cJSON_IsString(item) &&
					   strcmp(item->valuestring, text) == 0) return true;
	return false;
}

/* Older traces do not say it: they have all. */
static void take_events(struct meta *m, const cJSON *list)
{
	static const struct {
		const char *name;
		unsigned off;
	} known[] = {{"memory", RUN_OFF_MEMORY},
		     {"io", RUN_OFF_IO},
		     {"net", RUN_OFF_NET},
		     {"wait", RUN_OFF_WAIT}};
	const cJSON *item;

	m->records_io = list_has(list, "io") && list_has(list, "net");
	if (!cJSON_IsArray(list))
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!list_has(list, known[i].name))
			m->off |= known[i].off;
	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item))
			m->events =
				arena_print(m->arena, "%s%s%s", m->events != NULL ? m->events : "",
					    m->events != NULL ? "," : "", item->valuestring);
	}
}

static bool take_run(struct meta *m, const cJSON *root)
{
	const cJSON *parent = member(root, "parent");

	m->has_run = true;
	m->version = get_text(m, root, "version");
	m->pid = get_int(root, "pid", 0);
	m->ppid = get_int(root, "ppid", 0);
	m->executable = get_text(m, root, "executable");
	m->host = get_text(m, root, "host");
	m->started_ns = get_u64(root, "started_ns");
	m->started_ticks = get_u64(root, "started_ticks");
	m->process_start = get_u64(root, "process_start");
	m->monotonic = strcmp(get_text(m, root, "clock"), "monotonic") == 0;
	m->ticks_per_s = (double)get_u64(root, "ticks_per_s");
	m->free_stacks = cJSON_IsTrue(member(root, "free_stacks"));
	m->leaks = cJSON_IsTrue(member(root, "leaks"));
	m->depth = get_u32(root, "depth");
	take_events(m, member(root, "events"));
	take_command(m, member(root, "command"));
	take_notes(m, root);
	if (cJSON_IsObject(parent)) {
		m->parent.given = parse_id(member(parent, "trace"), m->parent.id);
		m->parent.pid = get_int(parent, "pid", 0);
		m->parent.path = get_text(m, parent, "path");
		m->parent.fork = get_u32(parent, "fork");
	}
	return true;
}

static bool take_functions(struct meta *m, const cJSON *root)
{
	const cJSON *list = member(root, "functions"), *item;

	if (!cJSON_IsArray(list))
		return false;
	m->has_functions = true;
	cJSON_ArrayForEach(item, list)
	{
		uint64_t id = get_u64(item, "id"), kind = get_u64(item, "kind");

		/* The special ones mean the same in every trace. */
		if (id == 0 || id >= PH_OP_REALLOC_BEGIN)
			continue;
		m->kinds[id] = kind < 256 ? (uint8_t)kind : 255;
		m->names[id] = get_text(m, item, "name");
	}
	return true;
}

static void take_ranges(struct meta *m, const cJSON *list, struct module_entry *e)
{
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, list) n++;
	e->ranges = arena_alloc(m->arena, n * sizeof(*e->ranges));
	if (e->ranges == NULL)
		return;
	cJSON_ArrayForEach(item, list)
	{
		uint64_t start = json_u64(cJSON_GetArrayItem(item, 0));
		uint64_t end = json_u64(cJSON_GetArrayItem(item, 1));

		if (!cJSON_IsArray(item) || start >= end)
			continue;
		e->ranges[e->range_count][0] = start;
		e->ranges[e->range_count++][1] = end;
	}
}

static void take_module(struct meta *m, const cJSON *item)
{
	struct module_entry e = {0};
	uint64_t id = get_u64(item, "id");
	size_t place = map_get(&m->module_by_id, id);

	if (place == 0) {
		if (m->module_count == LIST_MAX ||
		    !vector_reserve(m->modules, m->module_room, m->module_count + 1) ||
		    !map_put(&m->module_by_id, id, m->module_count + 1))
			return;
		place = ++m->module_count;
	}
	e.path = get_text(m, item, "path");
	e.build_id = get_text(m, item, "build_id");
	e.base = get_u64(item, "base");
	e.loaded = get_u32(item, "loaded");
	e.unloaded =
		cJSON_IsNull(member(item, "unloaded")) ? UINT32_MAX : get_u32(item, "unloaded");
	if (member(item, "unloaded") == NULL)
		e.unloaded = UINT32_MAX;
	take_ranges(m, member(item, "ranges"), &e);
	m->modules[place - 1] = e;
}

static bool take_modules(struct meta *m, const cJSON *root)
{
	const cJSON *list = member(root, "modules"), *item;

	cJSON_ArrayForEach(item, list) take_module(m, item);
	return cJSON_IsArray(list);
}

static void take_thread(struct meta *m, const cJSON *item)
{
	uint32_t number = get_u32(item, "stream");
	size_t place = map_get(&m->stream_by_number, number);

	if (place == 0) {
		if (m->stream_count == LIST_MAX ||
		    !vector_reserve(m->streams, m->stream_room, m->stream_count + 1) ||
		    !map_put(&m->stream_by_number, number, m->stream_count + 1))
			return;
		place = ++m->stream_count;
	}
	m->streams[place - 1] = (struct stream){
		.number = number,
		.tid = get_int(item, "tid", 0),
		.name = get_text(m, item, "name"),
		.started = get_u64(item, "started_ticks"),
		.ended = get_u64(item, "ended_ticks"),
		.cpu_started_ns = get_u64(item, "cpu_started_ns"),
		.cpu_ns = get_u64(item, "cpu_ns"),
		.cpu_delay_ns = get_u64(item, "cpu_delay_ns"),
		.cpu_ticks = get_u64(item, "cpu_ticks"),
		.nested_in = get_u32(item, "nested_in"),
	};
}

static bool take_threads(struct meta *m, const cJSON *root)
{
	const cJSON *list = member(root, "threads"), *item;

	cJSON_ArrayForEach(item, list) take_thread(m, item);
	return cJSON_IsArray(list);
}

static void take_unseen(struct meta *m, const cJSON *root)
{
	static const char *const names[] = {"namespace", "io_uring", "go",
					    "stdio",	 "names",    "syslog"};
	const cJSON *io = member(root, "kernel_io");

	if (cJSON_IsString(member(root, "own_malloc")))
		m->own_malloc = get_text(m, root, "own_malloc");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (list_has(member(root, "unseen"), names[i]))
			m->unseen |= 1u << i;
	if (!cJSON_IsObject(io))
		return;
	m->kernel_io = (struct kernel_io){
		.given = true,
		.threads = cJSON_IsTrue(member(io, "threads")),
		.begin_ticks = get_u64(io, "begin_ticks"),
		.ticks = get_u64(io, "ticks"),
		.look_ticks = get_u64(io, "look_ticks"),
		.read_bytes = get_u64(io, "read_bytes"),
		.written_bytes = get_u64(io, "written_bytes"),
	};
}

static int by_ticks(const void *a, const void *b)
{
	const struct marked *x = a, *y = b;

	return (x->ticks > y->ticks) - (x->ticks < y->ticks);
}

static bool take_marks(struct meta *m, const cJSON *root)
{
	const cJSON *list = member(root, "marks"), *item;
	size_t n = 0;
	struct marked *marks;

	cJSON_ArrayForEach(item, list) n++;
	if (!cJSON_IsArray(list) || n > MARKS_MAX)
		return false;
	marks = arena_alloc(m->arena, (n + 1) * sizeof(*marks));
	if (marks == NULL)
		return false;
	m->marks = marks;
	m->mark_count = 0;
	cJSON_ArrayForEach(item, list) marks[m->mark_count++] =
		(struct marked){get_text(m, item, "name"), get_u64(item, "ticks")};
	qsort(marks, m->mark_count, sizeof(*marks), by_ticks);
	return true;
}

bool meta_samples(struct meta *m, const struct ph_buffer *payload)
{
	struct ph_samples head;
	size_t room = payload->length - sizeof(head);

	if (payload->length < sizeof(head))
		return false;
	memcpy(&head, payload->data, sizeof(head));
	if (head.record_bytes < sizeof(struct ph_sample) || head.count > SAMPLES_MAX ||
	    head.count > room / head.record_bytes ||
	    !vector_reserve(m->samples, m->sample_room, m->sample_count + head.count))
		return false;
	for (uint32_t i = 0; i < head.count && m->sample_count < SAMPLES_MAX; i++) {
		struct ph_sample s;

		memcpy(&s, payload->data + sizeof(head) + (size_t)i * head.record_bytes, sizeof(s));
		if (m->sample_count == 0 || s.ticks > m->samples[m->sample_count - 1].ticks)
			m->samples[m->sample_count++] = s;
	}
	return true;
}

static bool take_end(struct meta *m, const cJSON *root)
{
	static const char *const ends[] = {"exit", "signal", "exec", "unknown"};
	const char *end = get_text(m, root, "end");

	m->has_end = true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(end, ends[i]) == 0)
			m->end = ends[i];
	}
	m->status = get_int(root, "status", -1);
	m->ended_ticks = get_u64(root, "ended_ticks");
	m->lost = get_u64(root, "lost");
	m->unslotted_lost = get_u64(root, "unslotted_lost");
	m->nested_lost = get_u64(root, "nested_lost");
	m->stalled_ns = get_u64(root, "stalled_ns");
	m->awaited_ns = get_u64(root, "awaited_ns");
	m->short_stacks = get_u64(root, "short_stacks");
	m->objects_unknown = get_u64(root, "objects_unknown");
	m->children_unrecorded = get_u64(root, "children_unrecorded");
	take_unseen(m, root);
	take_notes(m, root);
	return true;
}

bool meta_block(struct meta *m, unsigned kind, const struct ph_buffer *payload)
{
	static bool (*const takers[])(struct meta *, const cJSON *) = {
		[PH_BLOCK_RUN] = take_run,	   [PH_BLOCK_FUNCTIONS] = take_functions,
		[PH_BLOCK_MODULES] = take_modules, [PH_BLOCK_THREADS] = take_threads,
		[PH_BLOCK_END] = take_end,	   [PH_BLOCK_MARKS] = take_marks,
	};
	cJSON *root;
	bool good;

	if (payload->length > JSON_MAX)
		return false;
	root = cJSON_ParseWithLength((const char *)payload->data, payload->length);
	good = cJSON_IsObject(root) && takers[kind](m, root);
	cJSON_Delete(root);
	return good;
}

void meta_free(struct meta *m)
{
	free(m->modules);
	free(m->streams);
	free(m->notes);
	free(m->samples);
	map_free(&m->module_by_id);
	map_free(&m->stream_by_number);
	*m = (struct meta){0};
}
