/* SPDX-License-Identifier: MIT */
/*
 * Trace events as Chrome's and Perfetto's viewers read them: live bytes and rates as
 * counters, marks, and the longest calls of each thread. Traces are replayed once more
 * for the calls, of which a bounded number is kept. Times are microseconds since the
 * first process's start.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/emit_json.h"
#include "analyzer/export.h"
#include "analyzer/function_kind.h"
#include "analyzer/map.h"
#include "analyzer/arena.h"
#include "analyzer/sockaddr.h"
#include "analyzer/string_table.h"
#include "analyzer/vector.h"
#include "trace/cell.h"
#include "trace/decode.h"

/* Calls that are kept: of more, the longest. */
#define CALLS_MAX 20000

#define NO_TEXT UINT32_MAX

/* A call; texts are numbers in the table. */
struct long_call {
	double at_us, duration_us;
	int64_t result;
	int pid, tid;
	uint32_t function, object, where; /* where: the program's function; NO_TEXT: none */
	uint32_t node;			  /* of the image in hand; 0 once `where` is known */
	uint8_t category;
};

enum category { CATEGORY_CALL, CATEGORY_FILE, CATEGORY_SOCKET, CATEGORY_WAIT, CATEGORIES };

struct chrome {
	struct export *x;
	struct string_table texts;
	struct long_call *calls; /* a heap: the shortest first */
	size_t count, room;
	uint64_t left_out;
	/* The image in hand. */
	double base_us;
	int pid;
	struct map object_text; /* + 1 */
	struct map is_socket;
	bool first, failed;
};

/* Output. */

static FILE *begin_event(struct chrome *c, const char *phase, int pid, int tid, double at_us)
{
	FILE *out = c->x->out;

	fprintf(out, "%s\n{\"ph\":\"%s\",\"pid\":%d,\"tid\":%d", c->first ? "" : ",", phase, pid,
		tid);
	if (isfinite(at_us))
		fprintf(out, ",\"ts\":%.3f", at_us);
	c->first = false;
	return out;
}

static void put_text(struct chrome *c, const char *key, const char *text)
{
	fprintf(c->x->out, ",\"%s\":", key);
	c->failed |= json_print_string(c->x->out, text) != 0;
}

/* {"name": "thread_name", "args": {"name": ...}} */
static void put_name(struct chrome *c, const char *what, int pid, int tid, const char *name)
{
	FILE *out = begin_event(c, "M", pid, tid, NAN);

	put_text(c, "name", what);
	fputs(",\"args\":{\"name\":", out);
	c->failed |= json_print_string(out, name) != 0;
	fputs("}}", out);
}

/* {"name": NAME, "args": {, which the caller closes by "}}". */
static FILE *begin_counter(struct chrome *c, const char *name, double at_s)
{
	FILE *out = begin_event(c, "C", c->pid, 0, c->base_us + at_s * 1e6);

	put_text(c, "name", name);
	fputs(",\"args\":{", out);
	return out;
}

static void put_call(struct chrome *c, const struct long_call *call)
{
	static const char *const categories[CATEGORIES] = {"call", "file", "socket", "wait"};
	FILE *out = begin_event(c, "X", call->pid, call->tid, call->at_us);

	fprintf(out, ",\"dur\":%.3f", call->duration_us);
	put_text(c, "name", c->texts.strings[call->function]);
	put_text(c, "cat", categories[call->category]);
	fprintf(out, ",\"args\":{\"result\":%" PRId64, call->result);
	if (call->object != NO_TEXT)
		put_text(c, "object", c->texts.strings[call->object]);
	if (call->where != NO_TEXT)
		put_text(c, "called_by", c->texts.strings[call->where]);
	fputs("}}", out);
}

/* The longest calls. */

static bool is_shorter(const struct long_call *a, const struct long_call *b)
{
	return a->duration_us < b->duration_us;
}

static void swap(struct chrome *c, size_t i, size_t j)
{
	struct long_call moved = c->calls[i];

	c->calls[i] = c->calls[j];
	c->calls[j] = moved;
}

static void sift_down(struct chrome *c)
{
	size_t i = 0, least;

	for (;;) {
		least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < c->count; child++)
			if (is_shorter(&c->calls[child], &c->calls[least]))
				least = child;
		if (least == i)
			return;
		swap(c, i, least);
		i = least;
	}
}

static void sift_up(struct chrome *c)
{
	for (size_t i = c->count - 1; i > 0 && is_shorter(&c->calls[i], &c->calls[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(c, i, (i - 1) / 2);
}

static bool is_wanted(struct chrome *c, double duration_us)
{
	if (c->count < CALLS_MAX)
		return true;
	c->left_out++;
	return duration_us > c->calls[0].duration_us;
}

static void keep(struct chrome *c, const struct long_call *call)
{
	if (c->count == CALLS_MAX) {
		c->calls[0] = *call;
		sift_down(c);
	} else if (!vector_reserve(c->calls, c->room, c->count + 1)) {
		c->failed = true;
	} else {
		c->calls[c->count++] = *call;
		sift_up(c);
	}
}

/* Events. */

static uint32_t text_number(struct chrome *c, const char *text)
{
	uint32_t number = text != NULL ? string_number(&c->texts, text) : NO_TEXT;

	c->failed |= text != NULL && number == STRING_TABLE_FULL;
	return number;
}

/* What a descriptor is: its path, or its peer. */
static void take_object(struct chrome *c, const struct ph_call *call)
{
	size_t room = ((size_t)call->cells - PH_CALL_CELLS) * sizeof(struct ph_cell);
	const uint8_t *payload = (const uint8_t *)(call + 1);
	struct arena *arena = arena_new();
	struct ph_object o;
	const char *text = NULL;

	c->failed |= arena == NULL;
	if (arena == NULL || call->cells < PH_CALL_CELLS || room < sizeof(o)) {
		arena_free(arena);
		return;
	}
	memcpy(&o, payload, sizeof(o));
	payload += sizeof(o);
	room -= sizeof(o);
	if (o.name_bytes > 0 && o.name_bytes <= room)
		text = arena_copy(arena, (const char *)payload, o.name_bytes);
	else if ((size_t)o.local_bytes + o.peer_bytes <= room && o.peer_bytes > 0)
		text = sockaddr_text(arena, payload + o.local_bytes, o.peer_bytes);
	c->failed |= !map_put(&c->object_text, call->object,
			      text != NULL ? (uint64_t)text_number(c, text) + 1 : 0);
	c->failed |= !map_put(&c->is_socket, call->object, o.class == PH_CLASS_SOCKET);
	arena_free(arena);
}

static enum category category_of(const struct chrome *c, const struct ph_call *call,
				 const char *function)
{
	enum ph_kind kind = function_kind(function);

	if ((kind >= PH_KIND_POLL && kind <= PH_KIND_FILE_LOCK) || call->op == PH_OP_LOCKED)
		return CATEGORY_WAIT;
	if (call->object == 0)
		return CATEGORY_CALL;
	return map_get(&c->is_socket, call->object) != 0 ? CATEGORY_SOCKET : CATEGORY_FILE;
}

static void take_call(struct chrome *c, const struct run *run, int tid, double at_s,
		      const struct ph_call *call, uint32_t node, const char *function)
{
	uint64_t object = call->object != 0 ? map_get(&c->object_text, call->object) : 0;
	struct long_call kept = {
		.at_us = c->base_us + at_s * 1e6,
		.duration_us = (double)call->duration * run->ns_per_tick / 1e3,
		.result = call->result,
		.pid = c->pid,
		.tid = tid,
		.object = object != 0 ? (uint32_t)object - 1 : NO_TEXT,
		.where = NO_TEXT,
		.node = node,
	};

	if (!is_wanted(c, kept.duration_us))
		return;
	kept.function = text_number(c, function);
	kept.category = (uint8_t)category_of(c, call, function);
	if (!c->failed)
		keep(c, &kept);
}

/* An event_fn. */
static int visit(void *context, const struct run *run, int tid, double at_s,
		 const struct ph_event *event, uint32_t node, const char *function)
{
	struct chrome *c = context;
	const struct ph_call *call = event->call;

	if (call == NULL)
		return 0;
	if (call->op == PH_OP_OBJECT)
		take_object(c, call);
	else if (call->op < PH_OP_REALLOC_BEGIN && call->duration > 0)
		take_call(c, run, tid, at_s, call, node, function);
	else if (call->op == PH_OP_LOCKED)
		take_call(c, run, tid, at_s, call, node, "fcntl lock");
	return c->failed;
}

/* Names, while the run that the nodes are of is there. */
static void name_callers(struct chrome *c, const struct run *run)
{
	struct report names;

	c->failed |= report_names_open(&names, run, c->x->report->symbols) != 0;
	for (size_t i = 0; i < c->count && !c->failed; i++) {
		uint32_t node = c->calls[i].node != 0 ? telling_node(&names, c->calls[i].node) : 0;
		size_t count;
		const struct frame *frames = node_frames(&names, node, &count);
		char *label = frames != NULL ? frame_label(&frames[0]) : NULL;

		c->failed |= count > 0 && label == NULL;
		if (label != NULL)
			c->calls[i].where = text_number(c, label);
		c->calls[i].node = 0;
		free(label);
	}
	report_close(&names);
}

/* Images. */

static void put_rates(struct chrome *c, const char *name, const struct io *io, const char *in,
		      const char *out_key)
{
	for (size_t i = 0; i < io->timeline_count; i++)
		fprintf(begin_counter(c, name, io->timeline[i].at_s), "\"%s\":%.0f,\"%s\":%.0f}}",
			in, io->timeline[i].read_bytes_per_s, out_key,
			io->timeline[i].written_bytes_per_s);
}

static void put_timelines(struct chrome *c, const struct run *run)
{
	for (size_t i = 0; i < run->heap.timeline_count; i++)
		fprintf(begin_counter(c, "heap", run->heap.timeline[i].at_s),
			"\"live_bytes\":%" PRIu64 "}}", run->heap.timeline[i].live_bytes);
	put_rates(c, "files", &run->io, "read_bytes_per_s", "written_bytes_per_s");
	put_rates(c, "sockets", &run->sockets, "received_bytes_per_s", "sent_bytes_per_s");
}

static void put_threads(struct chrome *c, const struct run *run)
{
	for (size_t i = 0; i < run->thread_count; i++)
		if (run->threads[i].name != NULL)
			put_name(c, "thread_name", c->pid, run->threads[i].tid,
				 run->threads[i].name);
}

static void put_marks(struct chrome *c)
{
	const struct run *run = c->x->report->run;

	for (size_t i = 0; i < run->mark_count; i++) {
		FILE *out =
			begin_event(c, "i", run->marks[i].pid != 0 ? run->marks[i].pid : run->pid,
				    0, run->marks[i].at_s * 1e6);

		put_text(c, "name", run->marks[i].name);
		fputs(",\"s\":\"g\"}", out);
	}
}

/* What one trace holds; `image` is what is known of it. */
static int put_image(struct chrome *c, const struct run *image, double at_s,
		     const struct run_options *options, struct error *e)
{
	struct run run;

	c->pid = image->pid;
	c->base_us = at_s * 1e6;
	put_name(c, "process_name", c->pid, 0,
		 image->executable != NULL ? base_name(image->executable) : "?");
	put_timelines(c, image);
	if (run_dump(&run, image->trace_path, options, visit, c, e) != 0)
		return -1;
	put_threads(c, &run);
	name_callers(c, &run);
	run_free(&run);
	map_free(&c->object_text);
	map_free(&c->is_socket);
	c->object_text = c->is_socket = (struct map){0};
	return 0;
}

static int put_images(struct chrome *c, struct error *e)
{
	const struct run *run = c->x->report->run;
	const struct tree *t = c->x->report->tree;
	struct run_options options = {
		.view = run->view.windowed || run->view.filter != NULL ? &run->view : NULL,
		.progress = c->x->progress,
		.progress_context = c->x->progress_context,
	};
	struct run_known *known;
	int rc = 0;

	if (t == NULL)
		return put_image(c, run, 0, &options, e);
	known = calloc(t->image_count + 1, sizeof(*known));
	if (known == NULL)
		return export_out_of_memory(e);
	for (size_t i = 0; i < t->image_count; i++) {
		memcpy(known[i].id, t->images[i].run.id, sizeof(known[i].id));
		known[i].path = t->images[i].run.trace_path;
	}
	options.known = known;
	options.known_count = t->image_count;
	for (size_t i = 0; i < t->image_count && rc == 0; i++) {
		const struct run image = tree_image_run(t, i);

		rc = put_image(c, &image, t->images[i].at_s, &options, e);
	}
	free(known);
	return rc;
}

static int by_time(const void *a, const void *b)
{
	const struct long_call *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return (x->duration_us < y->duration_us) - (x->duration_us > y->duration_us);
}

static int put_all(struct chrome *c, struct error *e)
{
	FILE *out = c->x->out;

	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", out);
	if (put_images(c, e) != 0)
		return -1;
	put_marks(c);
	if (c->count > 0)
		qsort(c->calls, c->count, sizeof(*c->calls), by_time);
	for (size_t i = 0; i < c->count && !c->failed; i++)
		put_call(c, &c->calls[i]);
	fprintf(out,
		"\n],\"otherData\":{\"exporter\":\"perfhook %s\",\"calls\":\"%zu\","
		"\"shorter_calls_left_out\":\"%" PRIu64 "\"}}\n",
		PERFHOOK_VERSION, c->count, c->left_out);
	return c->failed ? export_out_of_memory(e) : 0;
}

int export_chrome(struct export *x, struct error *e)
{
	struct chrome c = {.x = x, .first = true};
	int rc = put_all(&c, e);

	free(c.calls);
	string_table_free(&c.texts);
	map_free(&c.object_text);
	map_free(&c.is_socket);
	return rc;
}
