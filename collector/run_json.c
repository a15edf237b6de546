/* SPDX-License-Identifier: MIT */
#include "collector/run_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trace/clock.h"

static void add_u64(cJSON *o, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cJSON_AddStringToObject(o, key, text);
}

static void add_address(cJSON *o, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	cJSON_AddStringToObject(o, key, text);
}

static void to_hex(char *out, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	out[2 * count] = '\0';
}

/* Ticks a second, from the start of the process to now; good enough when it ran
 * for long, and refined by the CLOCK blocks. */
static uint64_t ticks_per_second(const struct ph_segment *s)
{
	struct timespec ts;
	uint64_t ticks, ns;

	if (s->clock_kind == PH_CLOCK_MONOTONIC)
		return 1000000000u;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ticks = ph_clock_now(s->clock_kind) - s->start_ticks;
	ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - s->start_monotonic_ns;
	return ns > 0 ? (uint64_t)((double)ticks / (double)ns * 1e9) : 1000000000u;
}

static cJSON *command_json(const struct ph_segment *s)
{
	cJSON *list = cJSON_CreateArray();
	const char *at = s->command;
	const char *end =
		s->command +
		(s->command_bytes <= sizeof(s->command) ? s->command_bytes : sizeof(s->command));

	while (at < end) {
		size_t length = strnlen(at, (size_t)(end - at));
		char *argument = strndup(at, length);

		if (argument != NULL)
			cJSON_AddItemToArray(list, cJSON_CreateString(argument));
		free(argument);
		at += length + 1;
	}
	return list;
}

static cJSON *events_json(uint32_t events)
{
	static const char *const names[] = {"memory", "io", "net", "wait"};
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; i < 4; i++)
		if (events & 1u << i)
			cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
	return list;
}

static cJSON *parent_json(const struct ph_segment *s, const char *path)
{
	char id[33];
	cJSON *o;

	if (s->parent_pid == 0)
		return cJSON_CreateNull();
	o = cJSON_CreateObject();
	to_hex(id, s->parent_id, sizeof(s->parent_id));
	cJSON_AddNumberToObject(o, "pid", s->parent_pid);
	cJSON_AddStringToObject(o, "trace", id);
	cJSON_AddStringToObject(o, "path", path != NULL ? path : "");
	cJSON_AddNumberToObject(o, "fork", s->parent_fork);
	return o;
}

cJSON *run_json(const struct ph_segment *s, const char *segment_path, const char *control_path,
		const char *parent_path)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "version", PERFHOOK_VERSION);
	cJSON_AddNumberToObject(o, "pid", s->pid);
	cJSON_AddNumberToObject(o, "ppid", s->ppid);
	cJSON_AddStringToObject(o, "executable", s->executable);
	cJSON_AddItemToObject(o, "command", command_json(s));
	cJSON_AddStringToObject(o, "host", s->host);
	add_u64(o, "started_ns", s->start_realtime_ns);
	add_u64(o, "started_ticks", s->start_ticks);
	cJSON_AddStringToObject(o, "clock", s->clock_kind == PH_CLOCK_TSC ? "tsc" : "monotonic");
	add_u64(o, "ticks_per_s", ticks_per_second(s));
	cJSON_AddItemToObject(o, "events", events_json(s->events));
	cJSON_AddNumberToObject(o, "depth", s->depth);
	cJSON_AddBoolToObject(o, "free_stacks", s->free_stacks != 0);
	cJSON_AddStringToObject(o, "overflow", s->overflow == PH_OVERFLOW_DROP ? "drop" : "block");
	cJSON_AddBoolToObject(o, "leaks", s->leaks != 0);
	add_u64(o, "process_start", s->process_start);
	cJSON_AddItemToObject(o, "parent", parent_json(s, parent_path));
	cJSON_AddStringToObject(o, "segment", segment_path);
	cJSON_AddStringToObject(o, "control", control_path);
	return o;
}

/* The record at `offset`, checked. False: it is none. */
static bool read_record(const char *log, uint64_t offset, uint64_t used, struct ph_module_record *r)
{
	uint64_t need;

	if (used - offset < sizeof(*r))
		return false;
	memcpy(r, log + offset, sizeof(*r));
	need = sizeof(*r) + UINT64_C(16) * r->range_count + r->build_id_bytes + r->path_bytes;
	return r->bytes <= used - offset && need <= r->bytes && r->build_id_bytes <= 64;
}

/* A module that went away says no more than its number: what it was stands
 * further up in the log. */
static uint64_t find_loaded(const char *log, uint64_t before, uint32_t id)
{
	struct ph_module_record r;

	for (uint64_t at = 0; at < before && read_record(log, at, before, &r); at += r.bytes)
		if (r.id == id && r.unloaded == 0)
			return at;
	return before;
}

static cJSON *ranges_json(const char *at, unsigned count)
{
	cJSON *ranges = cJSON_CreateArray();

	for (unsigned i = 0; i < count; i++) {
		cJSON *pair = cJSON_CreateArray();
		uint64_t ends[2];
		char text[24];

		memcpy(ends, at + (size_t)i * sizeof(ends), sizeof(ends));
		for (int k = 0; k < 2; k++) {
			snprintf(text, sizeof(text), "0x%" PRIx64, ends[k]);
			cJSON_AddItemToArray(pair, cJSON_CreateString(text));
		}
		cJSON_AddItemToArray(ranges, pair);
	}
	return ranges;
}

uint32_t module_json(cJSON *list, const char *log, uint64_t offset, uint64_t used)
{
	struct ph_module_record r;
	uint32_t bytes, unloaded;
	const char *at;
	char build_id[129], *path;
	cJSON *o;

	if (!read_record(log, offset, used, &r))
		return 0;
	bytes = r.bytes;
	unloaded = r.unloaded;
	if (unloaded != 0) {
		offset = find_loaded(log, offset, r.id);
		if (!read_record(log, offset, used, &r))
			return bytes;
	}
	at = log + offset + sizeof(r);
	o = cJSON_CreateObject();
	cJSON_AddNumberToObject(o, "id", r.id);
	cJSON_AddItemToObject(o, "ranges", ranges_json(at, r.range_count));
	at += (size_t)r.range_count * 16;
	to_hex(build_id, (const uint8_t *)at, r.build_id_bytes);
	path = strndup(at + r.build_id_bytes, r.path_bytes);
	cJSON_AddStringToObject(o, "path", path != NULL ? path : "");
	free(path);
	cJSON_AddStringToObject(o, "build_id", build_id);
	add_address(o, "base", r.base);
	cJSON_AddNumberToObject(o, "loaded", r.loaded);
	if (unloaded != 0)
		cJSON_AddNumberToObject(o, "unloaded", unloaded);
	else
		cJSON_AddNullToObject(o, "unloaded");
	cJSON_AddItemToArray(list, o);
	return bytes;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

cJSON *threads_json(const struct thread_entry *threads, size_t count)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "threads");

	for (size_t i = 0; i < count; i++) {
		const struct thread_entry *e = &threads[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddNumberToObject(o, "stream", e->stream);
		cJSON_AddNumberToObject(o, "tid", e->tid);
		cJSON_AddStringToObject(o, "name", e->name);
		add_u64(o, "started_ticks", e->started);
		if (e->ended != 0)
			add_u64(o, "ended_ticks", e->ended);
		else
			cJSON_AddNullToObject(o, "ended_ticks");
		cJSON_AddNumberToObject(o, "nested_in", e->nested_in);
		if (e->cpu_started.ran_ns != 0 && e->cpu_ticks != 0) {
			add_u64(o, "cpu_started_ns", e->cpu_started.ran_ns);
			add_u64(o, "cpu_ns", e->cpu.ran_ns);
			add_u64(o, "cpu_delay_ns",
				e->cpu.delayed_ns -
					at_most(e->cpu.delayed_ns, e->cpu_started.delayed_ns));
			add_u64(o, "cpu_ticks", e->cpu_ticks);
		}
		cJSON_AddItemToArray(list, o);
	}
	return root;
}

cJSON *marks_json(const struct ph_segment *s, uint32_t count)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "marks");

	for (uint32_t i = 0; i < count; i++) {
		uint64_t ticks = atomic_load_explicit(&s->marks[i].ticks, memory_order_acquire);
		char name[sizeof(s->marks[i].name)];
		cJSON *o;

		if (ticks == 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1, s->marks[i].name);
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "name", name);
		add_u64(o, "ticks", ticks);
		cJSON_AddItemToArray(list, o);
	}
	return root;
}

/* What the kernel counted between the first look and the last. */
static cJSON *kernel_io_json(const struct ph_segment *s)
{
	const struct ph_io_look *begin = &s->io_begin, *last = &s->io_end;
	uint64_t sampled = atomic_load_explicit(&s->io_sampled.ticks, memory_order_acquire);
	uint64_t ended = atomic_load_explicit(&s->io_end.ticks, memory_order_acquire);
	uint64_t began = atomic_load_explicit(&begin->ticks, memory_order_acquire);
	const struct ph_io_count *from, *to;
	uint64_t read_bytes, written, own;
	cJSON *o;

	if (sampled > ended)
		last = &s->io_sampled;
	if (began == 0 || (sampled == 0 && ended == 0))
		return cJSON_CreateNull();
	from = last->reaped ? &begin->threads : &begin->whole;
	to = last->reaped ? &last->threads : &last->whole;
	/* A thread that is gone takes its part of `threads` with it. */
	read_bytes = to->read - at_most(to->read, from->read);
	written = to->written - at_most(to->written, from->written);
	own = last->looked_bytes -
	      (last->reaped ? at_most(last->ended_bytes, last->looked_bytes) : 0);
	o = cJSON_CreateObject();
	add_u64(o, "begin_ticks", began);
	add_u64(o, "look_ticks", last->began);
	add_u64(o, "ticks", atomic_load(&last->ticks));
	add_u64(o, "read_bytes", read_bytes - at_most(read_bytes, own));
	add_u64(o, "written_bytes", written - at_most(written, s->spilled_bytes));
	cJSON_AddBoolToObject(o, "threads", last->reaped != 0);
	return o;
}

static void add_unseen(cJSON *o, const struct ph_segment *s)
{
	static const char *const names[] = {"namespace", "io_uring", "go",
					    "stdio",	 "names",    "syslog"};
	cJSON *list = cJSON_AddArrayToObject(o, "unseen");
	char path[sizeof(s->own_malloc)];

	snprintf(path, sizeof(path), "%.*s", (int)sizeof(path) - 1, s->own_malloc);
	if (path[0] != '\0')
		cJSON_AddStringToObject(o, "own_malloc", path);
	else
		cJSON_AddNullToObject(o, "own_malloc");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (atomic_load(&s->unseen) & 1u << i)
			cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
}

cJSON *end_json(const struct ph_segment *s, const struct end_facts *facts)
{
	/* By PH_UNWINDER_... */
	static const char *const unwinders[] = {"none", "libunwind", "own", "own and libunwind"};
	cJSON *o = cJSON_CreateObject();
	cJSON *notes;

	cJSON_AddStringToObject(o, "end", facts->kind);
	if (facts->status >= 0)
		cJSON_AddNumberToObject(o, "status", facts->status);
	else
		cJSON_AddNullToObject(o, "status");
	add_u64(o, "ended_ticks", facts->ended_ticks);
	add_u64(o, "ended_ns", facts->ended_ns);
	add_u64(o, "lost", facts->lost);
	add_u64(o, "stalled_ns",
		(uint64_t)((double)facts->stalled_ticks * 1e9 / (double)ticks_per_second(s)));
	add_u64(o, "awaited_ns", atomic_load(&s->awaited_ns));
	add_u64(o, "unslotted_lost", atomic_load(&s->unslotted_lost));
	add_u64(o, "nested_lost", atomic_load(&s->nested_lost));
	add_u64(o, "short_stacks",
		(uint64_t)atomic_load(&s->addresses.full) + atomic_load(&s->nodes.full));
	add_u64(o, "objects_unknown", atomic_load(&s->objects_unknown));
	add_u64(o, "children_unrecorded", atomic_load(&s->children_unrecorded));
	cJSON_AddItemToObject(o, "kernel_io", kernel_io_json(s));
	add_unseen(o, s);
	cJSON_AddStringToObject(o, "unwinder", unwinders[s->unwinder & 3]);
	notes = cJSON_AddArrayToObject(o, "notes");
	if (!(s->unwinder & PH_UNWINDER_LIBUNWIND) && s->depth > 0)
		cJSON_AddItemToArray(
			notes,
			cJSON_CreateString(s->unwinder == 0
						   ? "stacks are one frame deep: libunwind.so.8 "
						     "was not found where the program ran"
						   : "stacks through code without unwind data "
						     "(generated code) are one frame deep: "
						     "libunwind.so.8 was not found where the "
						     "program ran"));
	if (atomic_load(&s->modules_lost) != 0)
		cJSON_AddItemToArray(
			notes,
			cJSON_CreateString("more modules came and went than could be written "
					   "down: some names may be missing or wrong"));
	if (facts->other_time)
		cJSON_AddItemToArray(
			notes,
			cJSON_CreateString("the process has a time namespace of its own, and no "
					   "counter to tell time by: its times are wrong"));
	/* Boot and monotonic time differ by that: clock_gettime(2). */
	if (facts->suspended_ns / 1000000 > 100 && facts->suspended_ns >> 63 == 0) {
		char text[120];

		snprintf(text, sizeof(text),
			 "the machine was suspended for %.1f s meanwhile: the times are without "
			 "that",
			 (double)facts->suspended_ns / 1e9);
		cJSON_AddItemToArray(notes, cJSON_CreateString(text));
	}
	if (facts->damaged)
		cJSON_AddItemToArray(notes,
				     cJSON_CreateString("the program overwrote a part of the "
							"recorder's memory: events were lost"));
	return o;
}
