/* SPDX-License-Identifier: MIT */
#include "tests/unit/make_trace.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/functions.h"

static void *grow(void *data, size_t count, size_t size)
{
	/* Room is a power of two: grown when the count reaches one. */
	if ((count & (count - 1)) != 0)
		return data;
	data = realloc(data, (count ? 2 * count : 1) * size);
	assert_non_null(data);
	return data;
}

void make_trace_begin(struct make_trace *t)
{
	*t = (struct make_trace){.stacks_say_where = true};
	memset(t->id, 0xab, sizeof(t->id));
}

void make_trace_free(struct make_trace *t)
{
	for (size_t i = 0; i < t->stream_count; i++)
		free(t->streams[i].cells);
	free(t->streams);
	free(t->addresses);
	free(t->nodes);
	ph_buffer_free(&t->blocks);
	ph_buffer_free(&t->file);
}

uint32_t make_node(struct make_trace *t, uint32_t parent, uint64_t pc)
{
	t->addresses = grow(t->addresses, t->address_count, sizeof(*t->addresses));
	t->addresses[t->address_count++] = (struct ph_new_address){pc, 1};
	t->nodes = grow(t->nodes, t->node_count, sizeof(*t->nodes));
	t->nodes[t->node_count++] = (struct ph_new_node){parent, (uint32_t)t->address_count};
	return (uint32_t)t->node_count;
}

struct made_stream *make_stream(struct make_trace *t, uint32_t number)
{
	for (size_t i = 0; i < t->stream_count; i++) {
		if (t->streams[i].number == number)
			return &t->streams[i];
	}
	t->streams = grow(t->streams, t->stream_count, sizeof(*t->streams));
	t->streams[t->stream_count] = (struct made_stream){.number = number};
	return &t->streams[t->stream_count++];
}

static void put_cell(struct made_stream *s, struct ph_cell c)
{
	s->cells = grow(s->cells, s->count, sizeof(*s->cells));
	s->cells[s->count++] = c;
}

static struct made_stream *stamped(struct make_trace *t, uint32_t stream, uint64_t stamp)
{
	struct made_stream *s = make_stream(t, stream);

	if (s->cells_per_block != 0 && s->count >= s->cells_per_block)
		make_flush(t, stream);
	stamp += MAKE_TRACE_START;
	if (stamp != s->cells_stamp)
		put_cell(s, (struct ph_cell){PH_OP_CLOCK, stamp});
	s->cells_stamp = stamp;
	return s;
}

void make_memory(struct make_trace *t, uint32_t stream, uint64_t stamp, unsigned op,
		 uint64_t address, uint64_t size, uint32_t node)
{
	struct made_stream *s = stamped(t, stream, stamp);

	if (ph_memory_is_wide(address, size))
		put_cell(s, (struct ph_cell){address >> 48 << 16 | PH_OP_WIDE, size >> 40});
	put_cell(s, ph_memory_cell(op, address, size, node));
}

void make_call(struct make_trace *t, uint32_t stream, uint64_t stamp, struct ph_call call,
	       const void *payload, size_t bytes)
{
	struct made_stream *s = stamped(t, stream, stamp);
	struct ph_cell cells[PH_CALL_CELLS_MAX] = {0};
	size_t more = (bytes + sizeof(cells[0]) - 1) / sizeof(cells[0]);

	assert_true(PH_CALL_CELLS + more <= PH_CALL_CELLS_MAX);
	call.cells = (uint16_t)(PH_CALL_CELLS + more);
	call.entry += MAKE_TRACE_START;
	memcpy(cells, &call, sizeof(call));
	if (bytes != 0)
		memcpy(cells + PH_CALL_CELLS, payload, bytes);
	for (size_t i = 0; i < call.cells; i++)
		put_cell(s, cells[i]);
}

void make_object(struct make_trace *t, uint32_t stream, uint64_t stamp, uint32_t object, int fd,
		 struct ph_object head, const char *name, const void *local, const void *peer)
{
	uint8_t payload[sizeof(head) + 4096 + 2 * 255];
	uint8_t *at = payload + sizeof(head);

	head.name_bytes = (uint16_t)strlen(name);
	memcpy(payload, &head, sizeof(head));
	at = mempcpy(at, name, head.name_bytes);
	if (local != NULL)
		at = mempcpy(at, local, head.local_bytes);
	if (peer != NULL)
		at = mempcpy(at, peer, head.peer_bytes);
	make_call(t, stream, stamp,
		  (struct ph_call){.op = PH_OP_OBJECT, .fd = fd, .object = object, .entry = stamp},
		  payload, (size_t)(at - payload));
}

static uint32_t same_node(void *context, uint32_t node)
{
	(void)context;
	return node;
}

void make_flush(struct make_trace *t, uint32_t stream)
{
	struct made_stream *s = make_stream(t, stream);
	struct ph_block_header h = {
		.kind = PH_BLOCK_EVENTS, .stream = stream, .first_cell = s->first_cell};
	struct ph_buffer payload = {0};
	size_t bad = 0;

	if (s->count == 0)
		return;
	assert_int_equal(ph_encode_events(&(struct ph_cells){.cells = s->cells, .count = s->count},
					  &(struct ph_node_map){.define = same_node}, &s->stamp, &h,
					  &payload, &bad),
			 0);
	assert_int_equal(ph_block_seal(&h, payload.data, payload.length, &t->blocks), 0);
	ph_buffer_free(&payload);
	s->first_cell += s->count;
	s->count = 0;
	free(s->cells);
	s->cells = NULL;
}

static void seal(struct make_trace *t, struct ph_block_header h, const void *payload, size_t length)
{
	assert_int_equal(ph_block_seal(&h, payload, length, &t->file), 0);
}

static void seal_json(struct make_trace *t, unsigned kind, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	assert_true(n >= 0);
	seal(t, (struct ph_block_header){.kind = (uint16_t)kind}, text, (size_t)n);
	free(text);
}

static void seal_functions(struct make_trace *t)
{
	struct ph_buffer text = {0};
	char row[256];

	ph_buffer_put(&text, "{\"functions\":[", 14);
	for (int i = 1; i < PH_OP_FUNCTIONS; i++) {
		int n = snprintf(row, sizeof(row), "%s{\"id\":%d,\"name\":\"%s\",\"kind\":%d}",
				 i > 1 ? "," : "", i, ph_functions[i].name, ph_functions[i].kind);

		ph_buffer_put(&text, row, (size_t)n);
	}
	ph_buffer_put(&text, "]}", 2);
	seal(t, (struct ph_block_header){.kind = PH_BLOCK_FUNCTIONS}, text.data, text.length);
	ph_buffer_free(&text);
}

/* Each node brings its address with it. */
static void seal_stacks(struct make_trace *t)
{
	size_t step = t->nodes_per_block ? t->nodes_per_block : t->node_count;

	for (size_t at = 0; at < t->node_count; at += step) {
		size_t n = t->node_count - at < step ? t->node_count - at : step;
		struct ph_block_header h = {.kind = PH_BLOCK_STACKS};
		struct ph_buffer payload = {0};

		if (t->stacks_say_where)
			h.first_stamp = h.first_cell = at;
		ph_encode_stacks(t->addresses + at, n, t->nodes + at, n, &payload);
		seal(t, h, payload.data, payload.length);
		ph_buffer_free(&payload);
	}
}

static void seal_index(struct make_trace *t)
{
	struct ph_buffer entries = {0};
	struct ph_block_header h;

	for (size_t at = sizeof(struct ph_file_header); at < t->file.length;
	     at += sizeof(h) + h.stored_bytes) {
		struct ph_index_entry e = {.offset = at};

		memcpy(&h, t->file.data + at, sizeof(h));
		e.first_stamp = h.first_stamp;
		e.stream = h.stream;
		e.events = h.events;
		e.kind = h.kind;
		ph_buffer_put(&entries, &e, sizeof(e));
	}
	seal(t, (struct ph_block_header){.kind = PH_BLOCK_INDEX}, entries.data, entries.length);
	ph_buffer_free(&entries);
}

void make_trace_finish(struct make_trace *t)
{
	struct ph_file_header header = {0};

	for (size_t i = 0; i < t->stream_count; i++)
		make_flush(t, t->streams[i].number);
	memcpy(header.id, t->id, sizeof(header.id));
	ph_file_header_seal(&header);
	t->file.length = 0;
	ph_buffer_put(&t->file, &header, sizeof(header));
	if (t->run != NULL)
		seal_json(t, PH_BLOCK_RUN, "%s", t->run);
	else if (!t->without_run)
		seal_json(
			t, PH_BLOCK_RUN,
			"{\"version\":\"%s\",\"pid\":4242,\"ppid\":1,\"executable\":\"/bin/made\","
			"\"command\":[\"made\",\"up\"],\"host\":\"nowhere.invalid\","
			"\"started_ns\":\"1700000000123456789\",\"started_ticks\":\"%u\","
			"\"clock\":\"tsc\",\"ticks_per_s\":\"1000000000\",\"depth\":256%s%s}",
			t->version ? t->version : PERFHOOK_VERSION, MAKE_TRACE_START,
			t->run_more ? "," : "", t->run_more ? t->run_more : "");
	if (!t->without_functions)
		seal_functions(t);
	seal_json(t, PH_BLOCK_MODULES, "{\"modules\":[%s]}", t->modules ? t->modules : "");
	if (t->marks != NULL)
		seal_json(t, PH_BLOCK_MARKS, "{\"marks\":[%s]}", t->marks);
	if (t->samples != NULL)
		seal(t, (struct ph_block_header){.kind = PH_BLOCK_SAMPLES}, t->samples,
		     t->sample_bytes);
	seal_json(t, PH_BLOCK_THREADS, "{\"threads\":[%s]}", t->threads ? t->threads : "");
	if (t->clock_count != 0)
		seal(t, (struct ph_block_header){.kind = PH_BLOCK_CLOCK}, t->clock,
		     t->clock_count * sizeof(*t->clock));
	seal_stacks(t);
	ph_buffer_put(&t->file, t->blocks.data, t->blocks.length);
	for (size_t i = 0; i < sizeof(t->reach) / sizeof(*t->reach) && t->reach[i] != NULL; i++)
		seal_json(t, PH_BLOCK_REACH, "%s", t->reach[i]);
	if (!t->without_end)
		seal_json(t, PH_BLOCK_END, "%s",
			  t->end ? t->end
				 : "{\"end\":\"exit\",\"status\":0,\"ended_ticks\":\"0\"}");
	if (!t->without_index)
		seal_index(t);
	assert_false(t->file.failed);
}

void make_trace_write(struct make_trace *t, const char *path)
{
	make_trace_finish(t);
	make_file(path, t->file.data, t->file.length);
}

static char folder[64];

static void remove_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(folder);
}

const char *make_path(const char *name)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];

	if (folder[0] == '\0') {
		strcpy(folder, "/tmp/perfhook-test.XXXXXX");
		assert_non_null(mkdtemp(folder));
		atexit(remove_folder);
	}
	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

void make_file(const char *path, const void *data, size_t length)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, length, f), length);
	assert_int_equal(fclose(f), 0);
}
