/* SPDX-License-Identifier: MIT */
/*
 * `perfhook dump`: every event in time order, one a line. An event is described
 * once, as named fields by its kind, which text and JSON both print.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/command_load.h"
#include "analyzer/commands.h"
#include "analyzer/emit_json.h"
#include "analyzer/format_text.h"
#include "analyzer/function_kind.h"
#include "analyzer/report_sections.h"
#include "analyzer/run.h"
#include "collector/collector.h"
#include "trace/decode.h"

enum field_type {
	FIELD_NUMBER,
	FIELD_HEX,
	FIELD_NAME,   /* text: quoted */
	FIELD_RESULT, /* a number or, below zero, -errno */
	FIELD_POINTER_RESULT,
};

struct field {
	const char *key;
	enum field_type type;
	int64_t number;
	const char *name;
};

#define FIELDS 10

struct description {
	struct field fields[FIELDS];
	size_t count;
	struct field result;					   /* key NULL: it has none */
	char name[PH_CALL_CELLS_MAX * sizeof(struct ph_cell) + 1]; /* an object's */
};

struct dump {
	FILE *out;
	bool json, full, failed;
	struct symbols *symbols;
	struct report names; /* of the run's stacks; run NULL: not open yet */
	char **texts;	     /* by node: its frames; NULL: not needed yet */
	size_t text_count;
	uint8_t kinds[256]; /* by op, once it was seen */
	bool kind_known[256];
};

static enum ph_kind kind_of(struct dump *d, unsigned op, const char *function)
{
	if (!d->kind_known[op]) {
		d->kinds[op] = op < PH_OP_REALLOC_BEGIN ? (uint8_t)function_kind(function) : 0;
		d->kind_known[op] = true;
	}
	return (enum ph_kind)d->kinds[op];
}

static void add(struct description *d, const char *key, enum field_type type, int64_t number)
{
	if (d->count < FIELDS)
		d->fields[d->count++] = (struct field){.key = key, .type = type, .number = number};
}

static void add_name(struct description *d, const char *key, const char *name)
{
	if (d->count < FIELDS)
		d->fields[d->count++] =
			(struct field){.key = key, .type = FIELD_NAME, .name = name};
}

static void set_result(struct description *d, enum field_type type, int64_t number)
{
	d->result = (struct field){.key = "result", .type = type, .number = number};
}

static size_t payload_bytes(const struct ph_call *c)
{
	return c->cells > PH_CALL_CELLS ? (c->cells - PH_CALL_CELLS) * sizeof(struct ph_cell) : 0;
}

/* The n-th word after the call; false: there is none. */
static bool extra(const struct ph_call *c, size_t n, uint64_t *value)
{
	if (payload_bytes(c) < (n + 1) * sizeof(*value))
		return false;
	memcpy(value, (const char *)(c + 1) + n * sizeof(*value), sizeof(*value));
	return true;
}

static void describe_memory(struct description *d, enum ph_kind kind, const struct ph_event *e)
{
	if (kind == PH_KIND_ALLOC) {
		add(d, "size", FIELD_NUMBER, (int64_t)e->size);
		set_result(d, FIELD_POINTER_RESULT, (int64_t)e->address);
		return;
	}
	add(d, "address", FIELD_HEX, (int64_t)e->address);
	if (kind == PH_KIND_NONE && e->size != 0)
		add(d, "size", FIELD_NUMBER, (int64_t)e->size);
}

static void describe_object(struct description *d, const struct ph_call *c)
{
	static const char *const classes[] = {"other", "file", "pipe", "socket"};
	static const char *const origins[] = {"inherited",  "opened", "connect", "accept",
					      "socketpair", "passed", "bind"};
	struct ph_object o;
	size_t room = payload_bytes(c);

	if (c->fd >= 0)
		add(d, "fd", FIELD_NUMBER, c->fd);
	add(d, "object", FIELD_NUMBER, c->object);
	if (room < sizeof(o))
		return;
	memcpy(&o, c + 1, sizeof(o));
	add_name(d, "class", o.class < 4 ? classes[o.class] : "unknown");
	add_name(d, "origin", o.origin < 7 ? origins[o.origin] : "unknown");
	if (o.name_bytes == 0 || o.name_bytes > room - sizeof(o) || o.name_bytes >= sizeof(d->name))
		return;
	memcpy(d->name, (const char *)(c + 1) + sizeof(o), o.name_bytes);
	d->name[o.name_bytes] = '\0';
	add_name(d, "name", d->name);
}

static void describe_transfer(struct description *d, const struct ph_call *c)
{
	uint64_t offset;

	add(d, "fd", FIELD_NUMBER, c->fd);
	if (c->object != 0)
		add(d, "object", FIELD_NUMBER, c->object);
	if (c->arg >= 0)
		add(d, "count", FIELD_NUMBER, c->arg);
	if (extra(c, 0, &offset) && (int64_t)offset >= 0)
		add(d, "offset", FIELD_NUMBER, (int64_t)offset);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_map(struct description *d, const struct ph_call *c)
{
	uint64_t how;

	add(d, "length", FIELD_NUMBER, c->arg);
	if (extra(c, 0, &how)) {
		add(d, "protection", FIELD_HEX, (int64_t)(how & 0xffffffff));
		add(d, "flags", FIELD_HEX, (int64_t)(how >> 32));
	}
	if (c->fd >= 0)
		add(d, "fd", FIELD_NUMBER, c->fd);
	set_result(d, FIELD_POINTER_RESULT, c->result);
}

static void describe_unmap(struct description *d, const struct ph_call *c)
{
	uint64_t address;

	if (extra(c, 0, &address))
		add(d, "address", FIELD_HEX, (int64_t)address);
	add(d, "length", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_remap(struct description *d, const struct ph_call *c)
{
	uint64_t address, length;

	if (extra(c, 0, &address))
		add(d, "address", FIELD_HEX, (int64_t)address);
	if (extra(c, 1, &length))
		add(d, "old_length", FIELD_NUMBER, (int64_t)length);
	add(d, "length", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_POINTER_RESULT, c->result);
}

static void describe_break(struct description *d, const struct ph_call *c)
{
	add(d, "change", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_POINTER_RESULT, c->result);
}

static void describe_pipe(struct description *d, const struct ph_call *c)
{
	add(d, "read_fd", FIELD_NUMBER, (int32_t)(uint64_t)c->arg);
	add(d, "write_fd", FIELD_NUMBER, (int32_t)((uint64_t)c->arg >> 32));
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_move(struct description *d, const struct ph_call *c)
{
	uint64_t to = 0, offset;

	extra(c, 0, &to);
	if (c->fd >= 0)
		add(d, "from_fd", FIELD_NUMBER, c->fd);
	if (c->object != 0)
		add(d, "from_object", FIELD_NUMBER, c->object);
	if ((int32_t)to >= 0)
		add(d, "to_fd", FIELD_NUMBER, (int32_t)to);
	if (to >> 32 != 0)
		add(d, "to_object", FIELD_NUMBER, (int64_t)(to >> 32));
	if (c->arg >= 0)
		add(d, "count", FIELD_NUMBER, c->arg);
	if (extra(c, 1, &offset) && (int64_t)offset >= 0)
		add(d, "from_offset", FIELD_NUMBER, (int64_t)offset);
	if (extra(c, 2, &offset) && (int64_t)offset >= 0)
		add(d, "to_offset", FIELD_NUMBER, (int64_t)offset);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_close_range(struct description *d, const struct ph_call *c)
{
	add(d, "first", FIELD_NUMBER, (int64_t)(uint32_t)c->fd);
	add(d, "last", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

/* The path stands behind its length. */
static void describe_image(struct description *d, const struct ph_call *c)
{
	uint64_t bytes = 0;

	if (extra(c, 0, &bytes) && bytes <= payload_bytes(c) - sizeof(bytes) &&
	    bytes < sizeof(d->name)) {
		memcpy(d->name, (const char *)(c + 1) + sizeof(bytes), bytes);
		d->name[bytes] = '\0';
		add_name(d, "path", d->name);
	}
	if (c->arg != 0)
		add(d, "unrecorded", FIELD_HEX, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_fork(struct description *d, const struct ph_call *c)
{
	add(d, "fork", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_exit(struct description *d, const struct ph_call *c)
{
	add(d, "status", FIELD_NUMBER, c->result);
}

static void describe_seek(struct description *d, const struct ph_call *c)
{
	uint64_t whence;

	add(d, "fd", FIELD_NUMBER, c->fd);
	if (c->object != 0)
		add(d, "object", FIELD_NUMBER, c->object);
	add(d, "offset", FIELD_NUMBER, c->arg);
	if (extra(c, 0, &whence))
		add(d, "whence", FIELD_NUMBER, (int64_t)whence);
	set_result(d, FIELD_RESULT, c->result);
}

/* One or two paths, in one text with a NUL between. */
static void add_paths(struct description *d, const struct ph_call *c)
{
	const char *text = (const char *)(c + 1) + 2 * sizeof(uint64_t);
	size_t first, second, room = payload_bytes(c);
	uint64_t lengths = 0, other = 0;

	if (!extra(c, 0, &lengths) || !extra(c, 1, &other))
		return;
	room -= 2 * sizeof(uint64_t);
	first = (uint32_t)lengths;
	second = lengths >> 32;
	if (first > room || second > room - first || first + second + 2 > sizeof(d->name))
		return;
	memcpy(d->name, text, first);
	memcpy(d->name + first + 1, text + first, second);
	d->name[first] = d->name[first + 1 + second] = '\0';
	if (first != 0)
		add_name(d, "path", d->name);
	if (second != 0 && (int32_t)other >= 0)
		add(d, "other_fd", FIELD_NUMBER, (int32_t)other);
	if (second != 0)
		add_name(d, "other_path", d->name + first + 1);
}

/* Opens too: one that failed has its path. */
static void describe_metadata(struct description *d, const struct ph_call *c)
{
	if (c->fd >= 0)
		add(d, "fd", FIELD_NUMBER, c->fd);
	if (c->object != 0)
		add(d, "object", FIELD_NUMBER, c->object);
	add_paths(d, c);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_resolve(struct description *d, const struct ph_call *c)
{
	uint64_t counts = 0;
	size_t bytes;

	if (extra(c, 0, &counts) && (bytes = (uint32_t)counts) < sizeof(d->name) &&
	    bytes <= payload_bytes(c) - sizeof(counts)) {
		memcpy(d->name, (const char *)(c + 1) + sizeof(counts), bytes);
		d->name[bytes] = '\0';
		add_name(d, "name", d->name);
	}
	if (c->arg != 0)
		add(d, "failure", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_request(struct description *d, const struct ph_call *c)
{
	uint64_t opcode;

	describe_transfer(d, c);
	if (extra(c, 1, &opcode))
		add(d, "opcode", FIELD_NUMBER, (int64_t)opcode);
}

/* Waits. */

static void describe_sleep(struct description *d, const struct ph_call *c)
{
	if (c->arg >= 0)
		add(d, "span_ns", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_lock(struct description *d, const struct ph_call *c)
{
	add(d, "address", FIELD_HEX, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_join(struct description *d, const struct ph_call *c)
{
	add(d, "thread", FIELD_HEX, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_process(struct description *d, const struct ph_call *c)
{
	add(d, "pid", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_ipc(struct description *d, const struct ph_call *c)
{
	add(d, "id", FIELD_NUMBER, c->arg);
	set_result(d, FIELD_RESULT, c->result);
}

/* Closes, connections, threads: a descriptor if there is one, the result. */
static void describe_other(struct description *d, const struct ph_call *c)
{
	if (c->fd >= 0)
		add(d, "fd", FIELD_NUMBER, c->fd);
	if (c->object != 0)
		add(d, "object", FIELD_NUMBER, c->object);
	set_result(d, FIELD_RESULT, c->result);
}

static void describe_descriptors(struct description *d, const struct ph_call *c)
{
	describe_other(d, c);
	add(d, "of", FIELD_NUMBER, c->arg);
}

static void describe_special(struct description *d, const struct ph_call *c)
{
	switch (c->op) {
	case PH_OP_OBJECT:
		describe_object(d, c);
		break;
	case PH_OP_LOST:
		add(d, "events", FIELD_NUMBER, c->arg);
		break;
	case PH_OP_FORKED:
		add(d, "fork", FIELD_NUMBER, c->arg);
		break;
	case PH_OP_SPAWNED:
		describe_image(d, c);
		break;
	case PH_OP_THREAD_START:
		add(d, "tid", FIELD_NUMBER, c->result);
		break;
	case PH_OP_ENDED:
		describe_exit(d, c);
		break;
	case PH_OP_LOCKED:
		describe_other(d, c);
		break;
	}
}

static void describe_call(struct description *d, enum ph_kind kind, const struct ph_call *c)
{
	static void (*const by_kind[])(struct description *, const struct ph_call *) = {
		[PH_KIND_MAP] = describe_map,
		[PH_KIND_UNMAP] = describe_unmap,
		[PH_KIND_REMAP] = describe_remap,
		[PH_KIND_BREAK] = describe_break,
		[PH_KIND_READ] = describe_transfer,
		[PH_KIND_WRITE] = describe_transfer,
		[PH_KIND_PIPE] = describe_pipe,
		[PH_KIND_FORK] = describe_fork,
		[PH_KIND_EXIT] = describe_exit,
		[PH_KIND_MOVE] = describe_move,
		[PH_KIND_SYNC] = describe_transfer,
		[PH_KIND_RESIZE] = describe_transfer,
		[PH_KIND_EXEC] = describe_image,
		[PH_KIND_SPAWN] = describe_image,
		[PH_KIND_CLOSE_RANGE] = describe_close_range,
		[PH_KIND_OPEN] = describe_metadata,
		[PH_KIND_SEEK] = describe_seek,
		[PH_KIND_META] = describe_metadata,
		[PH_KIND_RESOLVE] = describe_resolve,
		[PH_KIND_AIO] = describe_request,
		[PH_KIND_AIO_RETURN] = describe_request,
		[PH_KIND_POLL] = describe_descriptors,
		[PH_KIND_SLEEP] = describe_sleep,
		[PH_KIND_LOCK] = describe_lock,
		[PH_KIND_CONDITION] = describe_lock,
		[PH_KIND_SEMAPHORE] = describe_lock,
		[PH_KIND_BARRIER] = describe_lock,
		[PH_KIND_JOIN] = describe_join,
		[PH_KIND_PROCESS] = describe_process,
		[PH_KIND_IPC] = describe_ipc,
	};

	if (c->op >= PH_OP_REALLOC_BEGIN)
		describe_special(d, c);
	else if (kind < sizeof(by_kind) / sizeof(*by_kind) && by_kind[kind] != NULL)
		by_kind[kind](d, c);
	else
		describe_other(d, c);
}

/* What an event that is no function's is called. */
static const char *event_name(unsigned op, const char *function)
{
	switch (op) {
	case PH_OP_REALLOC_BEGIN:
		return "realloc begins";
	case PH_OP_REALLOC_FAILED:
		return "realloc failed";
	case PH_OP_LOST:
		return "lost";
	case PH_OP_OBJECT:
		return "object";
	case PH_OP_THREAD_START:
		return "thread starts";
	case PH_OP_THREAD_END:
		return "thread ends";
	case PH_OP_FORKED:
		return "forks";
	case PH_OP_ENDED:
		return "ends";
	case PH_OP_LOCKED:
		return "fcntl lock";
	}
	return function != NULL ? function : "?";
}

static const char *error_name(int64_t result)
{
	return result < 0 && result >= -4095 ? strerrorname_np((int)-result) : NULL;
}

static void text_field(FILE *out, const struct field *f)
{
	const char *error = NULL;
	char *safe;

	if (f->type == FIELD_RESULT || f->type == FIELD_POINTER_RESULT)
		error = error_name(f->number);
	if (f->type == FIELD_NAME) {
		safe = format_name(f->name, 0, true);
		fprintf(out, "\"%s\"", safe != NULL ? safe : "");
		free(safe);
	} else if (error != NULL) {
		fprintf(out, "-%s", error);
	} else if (f->type == FIELD_HEX || f->type == FIELD_POINTER_RESULT) {
		fprintf(out, "0x%" PRIx64, (uint64_t)f->number);
	} else {
		fprintf(out, "%" PRId64, f->number);
	}
}

/* " slurp (app.c:17) < main (app.c:27)". Malloc'ed; NULL: out of memory. */
static char *frames_text(struct dump *d, uint32_t node)
{
	struct stack stack;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (report_stack(&d->names, node, &stack) != 0)
		return NULL;
	out = open_memstream(&text, &size);
	for (size_t i = 0; out != NULL && i < stack.count; i++) {
		const struct frame *f = &stack.frames[i];
		char *label = frame_label(f);
		char *safe = label != NULL ? format_name(label, 0, true) : NULL;
		char *file = f->file != NULL ? format_name(base_name(f->file), 0, true) : NULL;

		fprintf(out, "%s%s", i > 0 ? " < " : " ", safe != NULL ? safe : "?");
		if (file != NULL)
			fprintf(out, " (%s:%d)", file, f->line);
		free(file);
		free(safe);
		free(label);
	}
	stack_free(&stack);
	return out != NULL && fclose(out) == 0 ? text : NULL;
}

/* Events have few stacks: each is put together once. */
static void text_frames(struct dump *d, uint32_t node)
{
	char **text;

	if (node >= d->text_count)
		return;
	text = &d->texts[node];
	if (*text == NULL)
		*text = frames_text(d, node);
	if (*text == NULL)
		d->failed = true;
	else
		fputs(*text, d->out);
}

static bool open_names(struct dump *d, const struct run *run)
{
	d->texts = calloc(run->node_count + 1, sizeof(*d->texts));
	d->text_count = d->texts != NULL ? run->node_count : 0;
	return d->texts != NULL && report_names_open(&d->names, run, d->symbols) == 0;
}

static void close_names(struct dump *d)
{
	for (size_t i = 0; i < d->text_count; i++)
		free(d->texts[i]);
	free(d->texts);
	if (d->names.run != NULL)
		report_close(&d->names);
}

static void text_event(FILE *out, int tid, double at, const char *name, const struct description *d)
{
	char *safe = format_name(name, 0, true);

	fprintf(out, "%.9f %d %s(", at, tid, safe != NULL ? safe : "?");
	free(safe);
	for (size_t i = 0; i < d->count; i++) {
		fprintf(out, "%s%s=", i > 0 ? ", " : "", d->fields[i].key);
		text_field(out, &d->fields[i]);
	}
	fputc(')', out);
	if (d->result.key != NULL) {
		fputs(" = ", out);
		text_field(out, &d->result);
	}
}

/* What is behind an event: " <0.000012345> #4", the first as strace's -T has it. */
static void text_rest(struct dump *d, const struct run *run, const struct ph_event *event,
		      uint32_t node)
{
	if (d->full && event->call != NULL && event->op < PH_OP_REALLOC_BEGIN)
		fprintf(d->out, " <%.9f>", (double)event->call->duration * run->ns_per_tick / 1e9);
	if (node != 0)
		fprintf(d->out, " #%u", node);
	if (d->full && node != 0)
		text_frames(d, node);
	fputc('\n', d->out);
}

static void json_field(struct emit_json *e, const struct field *f)
{
	const char *error = NULL;

	if (f->type == FIELD_RESULT || f->type == FIELD_POINTER_RESULT)
		error = error_name(f->number);
	if (f->type == FIELD_NAME) {
		emit_string(e, f->key, f->name);
	} else if (error != NULL) {
		emit_i64(e, f->key, -1);
		emit_string(e, "error", error);
	} else if (f->type == FIELD_HEX || f->type == FIELD_POINTER_RESULT) {
		emit_hex(e, f->key, (uint64_t)f->number);
	} else {
		emit_i64(e, f->key, f->number);
	}
}

static int json_event(struct dump *dump, const struct run *run, int tid, double at,
		      const char *name, const struct ph_event *event, uint32_t node,
		      const struct description *d)
{
	struct emit_json e;

	emit_json_begin(&e);
	emit_double(&e, "at_s", at);
	emit_i64(&e, "tid", tid);
	emit_string(&e, "function", name);
	for (size_t i = 0; i < d->count; i++)
		/* The line's own "tid" is that of the thread itself. */
		if (strcmp(d->fields[i].key, "tid") != 0)
			json_field(&e, &d->fields[i]);
	if (d->result.key != NULL)
		json_field(&e, &d->result);
	if (event->call != NULL) {
		emit_u64(&e, "duration_ticks", event->call->duration);
		emit_double(&e, "duration_us",
			    (double)event->call->duration * run->ns_per_tick / 1e3);
	}
	emit_u64(&e, "node", node);
	if (dump->full)
		json_stack(&dump->names, &e, node);
	return emit_json_finish(&e, dump->out, false);
}

static int visit(void *context, const struct run *run, int tid, double t_s,
		 const struct ph_event *event, uint32_t node, const char *function)
{
	struct dump *d = context;
	struct description description;
	enum ph_kind kind = kind_of(d, event->op, function != NULL ? function : "");
	const char *name = event_name(event->op, function);

	if (d->full && d->names.run == NULL && !open_names(d, run)) {
		d->failed = true;
		return 1;
	}
	/* Not the whole: the room for a name is large. */
	description.count = 0;
	description.result.key = NULL;
	if (event->call == NULL)
		describe_memory(&description, kind, event);
	else
		describe_call(&description, kind, event->call);
	if (d->json) {
		d->failed |= json_event(d, run, tid, t_s, name, event, node, &description) != 0;
	} else {
		text_event(d->out, tid, t_s, name, &description);
		text_rest(d, run, event, node);
	}
	return d->failed || ferror(d->out);
}

static int dump_events(struct dump *d, const struct options *o, const struct run_view *view,
		       struct error *e)
{
	const struct run_options options = {.view = view};
	const char *path = o->arguments[0];
	struct output out;
	struct run run;

	if (output_open(&out, o, e) != 0)
		return -1;
	d->out = out.file;
	if (run_dump(&run, path, &options, visit, d, e) != 0) {
		output_close(&out, NULL);
		return -1;
	}
	close_names(d);
	run_free(&run);
	if (d->failed && !ferror(out.file)) {
		output_close(&out, NULL);
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
	}
	return output_close(&out, e);
}

int command_dump(const struct options *o, struct error *e)
{
	const char *path = o->arguments[0];
	const struct symbols_options where = {
		.sysroots = o->sysroots,
		.sysroot_count = o->sysroot_count,
		.debug_paths = o->debug_paths,
		.debug_path_count = o->debug_path_count,
	};
	struct dump dump = {.json = o->json, .full = o->full};
	struct symbols *symbols;
	struct view_filter filter;
	struct run_view view;
	int rc;

	if (collector_finish_wait(path, e) != 0)
		return -1;
	symbols = symbols_open(&where);
	if (symbols == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	dump.symbols = symbols;
	rc = load_view(path, o, view_filter(&filter, o, symbols), &view, e);
	if (rc == 0)
		rc = dump_events(&dump, o, &view, e);
	view_filter_free(&filter);
	symbols_close(symbols);
	return rc;
}
