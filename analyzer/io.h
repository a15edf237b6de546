/* SPDX-License-Identifier: MIT */
/*
 * Files and sockets replayed. Calls name an object (an open file, a pipe's end, a
 * socket); what an object is may be told before or, in a tie, after its first
 * use. Sums are kept by path for files and by object for sockets.
 */
#ifndef PH_ANALYZER_IO_H
#define PH_ANALYZER_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/activity.h"
#include "analyzer/arena.h"
#include "analyzer/buckets.h"
#include "analyzer/clock.h"
#include "analyzer/habits.h"
#include "analyzer/latency.h"
#include "analyzer/map.h"
#include "analyzer/run.h"
#include "trace/cell.h"

#define IO_CLOSED_MAX 4096

struct replay_io {
	struct clock *clock;
	struct arena *arena;
	const char *const *names; /* of functions, by op */
	const uint8_t *kinds;	  /* likewise */
	struct io_sink *sinks;	  /* where sums go */
	size_t sink_count, sink_room;
	uint32_t spare_sink; /* a list by `into`; 0: none */
	struct io_object *objects;
	size_t object_count, object_room;
	struct map object_by_number; /* to its place + 1 */
	struct map object_by_fd;     /* to its number: what a descriptor now is */
	uint32_t node;		     /* the stack of the call at hand */
	uint8_t op;		     /* its function */
	uint32_t by;		     /* its thread, in activity.h: only where that is kept */
	struct activity *activity;   /* NULL: not wanted */
	double twice_s[2];     /* of moves between two files, two sockets: time that both had */
	struct map sink_by_fd; /* without an object: to its place + 1 */
	struct index sink_by_path;
	struct io_use *uses; /* what each stack did to each sink */
	size_t use_count, use_room;
	struct map use_by_key;	    /* sink << 32 | node, to its place + 1 */
	struct map errors;	    /* sink << 32 | errno, to how many calls */
	struct recorder by_op[256]; /* of all calls of a function */
	struct io_function totals[256];
	struct connection *connections;
	size_t connection_count, connection_room;
	struct buckets file_bytes, socket_bytes; /* read and written */
	const char *directory;			 /* the working directory; NULL: not known */
	struct names *resolved;
	struct io_peer *peers; /* of datagrams */
	size_t peer_count, peer_room;
	struct index peer_by_address;
	/* Objects closed last: events of other threads may still name them. */
	uint32_t closed[IO_CLOSED_MAX];
	size_t closed_count;
	struct habits habits;
	uint64_t requests; /* begun by clients */
	bool keep_recorders;
	bool quiet; /* calls only change what is open, and where it stands: they are not counted */
	double from_ns; /* where what is counted begins, once it has; -INFINITY: at the start */
	bool failed;	/* out of memory */
};

/* From here on calls count, `ns` after the process's start. */
void io_begin_window(struct replay_io *io, double ns);

/* `names` and `kinds` are borrowed: by op, 256 of them. So are the thresholds. */
void io_init(struct replay_io *io, struct clock *clock, struct arena *arena,
	     const char *const *names, const uint8_t *kinds, const struct thresholds *thresholds);
void io_free(struct replay_io *io);

/* Is what the call works on known? If not, a tie may yet tell. */
bool io_knows(const struct replay_io *io, const struct ph_call *call);

/* The same of where a MOVE goes; its object in *object. */
bool io_knows_other(const struct replay_io *io, const struct ph_call *call, uint32_t *object);

/* Is a call of this kind about a descriptor, or a file? */
bool io_is_about(unsigned kind);

/* A call of one of those kinds, by a thread, from the stack `node` of the run. */
void io_call(struct replay_io *io, struct thread *thread, unsigned kind, const struct ph_call *call,
	     uint32_t node);

/* What is known of the descriptor that a call works on: a path, a connection (which
 * may move when another is opened), or neither. */
struct io_name {
	const char *path;
	const struct connection *connection;
};
struct io_name io_name(const struct replay_io *io, const struct ph_call *call);

/* PH_OP_OBJECT: `call` and what follows it. */
void io_describe(struct replay_io *io, const struct ph_call *call);

/* The sums, without latencies. */
void traffic_add(struct traffic *to, const struct traffic *from);

/* Fill run->io, sockets, files, connections and what belongs to them. */
void io_result(struct replay_io *io, struct run *run, double end_ns);

/* The order of struct run's files, for qsort(3). */
int file_by_bytes(const void *a, const void *b);

#endif
