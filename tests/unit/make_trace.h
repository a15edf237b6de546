/* SPDX-License-Identifier: MIT */
/*
 * Traces made by hand for the tests: cells go to streams, streams are cut into
 * blocks, and make_trace_write() puts it all into a file as a collector would.
 * One tick is one nanosecond; stamps and entries are nanoseconds since the
 * start. Fails the test when memory runs out.
 */
#ifndef PH_TESTS_MAKE_TRACE_H
#define PH_TESTS_MAKE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/cell.h"
#include "trace/encode.h"
#include "trace/format.h"

#define MAKE_TRACE_START 1000000000u /* ticks at the start */

struct made_stream {
	uint32_t number;
	struct ph_cell *cells;
	size_t count, room;
	uint64_t first_cell;
	uint64_t stamp;		/* the encoder's */
	uint64_t cells_stamp;	/* of the last CLOCK cell */
	size_t cells_per_block; /* 0: no limit */
};

struct make_trace {
	uint8_t id[16];
	const char *run;      /* the RUN object; NULL: made up */
	const char *run_more; /* members added to RUN: "\"parent\":{...}" */
	const char *threads;  /* the THREADS array's inside; NULL: none */
	const char *modules;  /* likewise */
	const char *marks;    /* the MARKS array's inside; NULL: no such block */
	const char *reach[3]; /* REACH payloads; NULL: no more */
	const void *samples;  /* a SAMPLES payload; NULL: no such block */
	size_t sample_bytes;
	const char *end;     /* the END object; NULL: a plain exit */
	const char *version; /* NULL: ours */
	bool without_end, without_index, without_functions, without_run;
	bool stacks_say_where;	/* each STACKS block says what came before it */
	size_t nodes_per_block; /* 0: all in one */
	struct ph_clock_pair *clock;
	size_t clock_count;
	struct made_stream *streams;
	size_t stream_count;
	struct ph_new_address *addresses;
	struct ph_new_node *nodes;
	size_t address_count, node_count;
	struct ph_buffer blocks; /* sealed EVENTS blocks */
	struct ph_buffer file;	 /* the result */
};

void make_trace_begin(struct make_trace *t);
void make_trace_free(struct make_trace *t);

/* A node for a one-frame stack below `parent` (0: outermost) at `pc`. */
uint32_t make_node(struct make_trace *t, uint32_t parent, uint64_t pc);

struct made_stream *make_stream(struct make_trace *t, uint32_t number);
void make_memory(struct make_trace *t, uint32_t stream, uint64_t stamp, unsigned op,
		 uint64_t address, uint64_t size, uint32_t node);
void make_call(struct make_trace *t, uint32_t stream, uint64_t stamp, struct ph_call call,
	       const void *payload, size_t bytes);
void make_object(struct make_trace *t, uint32_t stream, uint64_t stamp, uint32_t object, int fd,
		 struct ph_object head, const char *name, const void *local, const void *peer);

/* What the stream has so far becomes a block. */
void make_flush(struct make_trace *t, uint32_t stream);

/* All blocks into t->file; and that into a file. */
void make_trace_finish(struct make_trace *t);
void make_trace_write(struct make_trace *t, const char *path);

/* A file's name in a folder of this test's own, removed when it exits. */
const char *make_path(const char *name);
void make_file(const char *path, const void *data, size_t length);

#endif
