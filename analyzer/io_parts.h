/* SPDX-License-Identifier: MIT */
/* What the parts of the replay of files and sockets (io*.c) share. */
#ifndef PH_ANALYZER_IO_PARTS_H
#define PH_ANALYZER_IO_PARTS_H

#include "analyzer/access.h"
#include "analyzer/io.h"
#include "analyzer/turns.h"

/* Of a file whose bytes are moved or synced; [0] read, [1] written. */
struct io_tracked {
	struct file_access *access; /* the arena's */
	struct ranges ranges[2];
	struct recorder sync;
	struct buckets *rates; /* NULL: nothing was moved yet */
};

struct io_sink {
	struct traffic traffic;
	struct recorder latency;
	double first_ns, last_ns; /* of its calls */
	uint64_t uses;		  /* calls that it had a part in */
	uint64_t opens, failed_opens, closes;
	double open_ns, open_longest_ns;
	uint64_t metadata_calls, metadata_errors;
	double metadata_ns;
	const char *path;	    /* NULL: not known */
	struct io_tracked *tracked; /* NULL: none yet */
	struct turns *turns;	    /* of a connection; NULL: none yet */
	struct habit_state *habits; /* NULL: none yet */
	int32_t fd;		    /* one that it was used by */
	uint32_t into;		    /* place + 1 of the sink that it was found to be */
	uint32_t connection;	    /* place + 1; 0: no socket */
	double connect_began;
	struct io_facts facts; /* in the end */
	uint32_t top_node;     /* likewise */
};

struct io_object {
	uint32_t number, sink;
	uint32_t references;
	uint8_t class;
	bool described;
	bool append;	   /* writes go to the end */
	bool stands;	   /* `position` is known */
	uint64_t position; /* of the next read or write */
	double opened_ns;  /* NaN: not seen */
	struct cursor cursors[2];
};

/* What one stack did to one sink by one function. */
struct io_use {
	uint32_t sink, node;
	uint32_t next; /* place + 1: by another function */
	uint8_t op;
	uint64_t calls, errors, bytes;
	double ns;
	/* Of these, as the sums of reading and writing have them: */
	uint64_t moved[2]; /* read, written */
	double transfer_ns;
};

/* What a socket exchanged with one address. */
struct io_peer {
	uint32_t sink;
	const uint8_t *raw; /* struct sockaddr, as it was recorded */
	size_t raw_bytes;
	const char *address;
	struct traffic traffic;
};
#define IO_PEERS_MAX 65536 /* beyond, a socket's sums are all that is known */

/* What a call means to one of the things it is about. */
struct side {
	uint32_t sink;
	double begin, ns;
	int64_t result;
};

/* io.c */
uint32_t io_new_sink(struct replay_io *io, int32_t fd);
uint32_t io_path_sink(struct replay_io *io, const char *path);
struct io_object *io_find_object(const struct replay_io *io, uint32_t number);
struct io_object *io_get_object(struct replay_io *io, uint32_t number); /* NULL: no memory */
uint32_t io_object_sink(struct replay_io *io, struct io_object *o, int32_t fd);
uint32_t io_sink_of(struct replay_io *io, const struct ph_call *call);
uint64_t io_extra(const struct ph_call *call, size_t n); /* 0 where there is none */
/* The payload behind `words` words; NULL: none. */
const uint8_t *io_tail(const struct ph_call *call, size_t words, size_t *bytes);
struct connection *io_connection_of(struct replay_io *io, uint32_t sink);
struct side io_side_of(struct replay_io *io, const struct ph_call *call, uint32_t sink);
/* What the stack of the call at hand did to a sink by its function; as below. */
struct io_use *io_use_of(struct replay_io *io, uint32_t sink);
/* The call at hand, by its stack and function; `bytes` that it moved. Valid until the
 * next one; NULL: it does not count, or out of memory. */
struct io_use *io_note_use(struct replay_io *io, const struct side *side, uint64_t bytes);
void io_opened(struct replay_io *io, const struct ph_call *call);

/* io_transfers.c */
void io_transfer(struct replay_io *io, struct thread *thread, bool read,
		 const struct ph_call *call);
void io_moved(struct replay_io *io, struct thread *thread, const struct ph_call *call);
void io_synced(struct replay_io *io, struct thread *thread, bool sync, const struct ph_call *call);
void io_sought(struct replay_io *io, const struct ph_call *call);
void io_requested(struct replay_io *io, struct thread *thread, const struct ph_call *call,
		  bool returned);

/* What is written now is a new file. */
void io_forget_ranges(struct replay_io *io, uint32_t sink);

/* io_metadata.c */
void io_metadata(struct replay_io *io, const struct ph_call *call);
void io_not_opened(struct replay_io *io, const struct ph_call *call);

/* io_connections.c */
struct ph_description {
	struct ph_object head;
	const uint8_t *name, *local, *peer;
};
void io_describe_socket(struct replay_io *io, struct io_object *o, const struct ph_call *call,
			const struct ph_description *d);
void io_socket_opened(struct replay_io *io, const struct ph_call *call, bool accepted);
void io_connected(struct replay_io *io, struct thread *thread, const struct ph_call *call);
void io_shut_down(struct replay_io *io, const struct ph_call *call);
void io_listening(struct replay_io *io, const struct ph_call *call);
void io_socket_closed(struct connection *c, double ns);
/* A READ or WRITE on it. */
void io_socket_used(struct replay_io *io, const struct side *side, bool read,
		    const struct ph_call *call);
/* Bytes were moved over it, by whatever call. */
void io_socket_moved(struct replay_io *io, const struct side *side, bool read);
void io_resolved(struct replay_io *io, struct thread *thread, const struct ph_call *call);

#endif
