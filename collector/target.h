/* SPDX-License-Identifier: MIT */
/*
 * One recorded process as its collector sees it: the mapped segment, the trace
 * file, and how far each stream has been written. Used by one thread.
 */
#ifndef PH_COLLECTOR_TARGET_H
#define PH_COLLECTOR_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/encode.h"
#include "trace/format.h"
#include "trace/segment.h"

/* What is remembered of a slot between drains. */
struct stream_state {
	uint32_t stream; /* the use of the slot that the rest speaks of; 0: none */
	uint32_t ring;	 /* of the chain, the one that tail is in */
	uint64_t stamp;	 /* coarse, in force before the first cell that is not written */
	uint32_t told;	 /* the use whose thread is in the trace */
	char name[16];
	struct ph_cpu cpu; /* the thread's, as /proc had it last */
	uint64_t cpu_ticks;
	/* See struct ph_slot. The slot's, also for its next stream. */
	uint64_t stage;	 /* 0: none yet */
	uint32_t staged; /* cells */
	bool unstaged;	 /* none is to be had */
};

#define TARGET_SAMPLES 32u /* that wait to be written together */

#define TARGET_CELLS 65536u /* the largest ring's */

struct thread_entry {
	uint32_t stream, tid, nested_in;
	uint64_t started, ended;
	struct ph_cpu cpu_started, cpu; /* as struct ph_slot has it */
	uint64_t cpu_ticks;
	char name[16];
};

/* Where what stands in a segment: copied when it is mapped and checked once, for
 * the program may overwrite it later. */
struct table_layout {
	uint64_t offset;
	uint32_t entries;
};
struct segment_layout {
	uint64_t bytes, slots_offset, modules_offset, modules_bytes, rings_offset;
	uint32_t slot_count;
	struct table_layout addresses, nodes;
};

struct target {
	struct ph_segment *segment;
	struct segment_layout layout;
	char segment_path[256];
	char control_path[256];
	char trace_path[4200];
	int fd;		     /* the trace */
	int pidfd;	     /* -1: it had ended before we looked */
	int io_fd;	     /* /proc/PID/io; -1: not to be had */
	int status_fd;	     /* /proc/PID/status; likewise */
	char name[16];	     /* as the kernel had it when it was attached */
	uint64_t file_bytes; /* written */

	struct stream_state *streams; /* one a slot */
	uint32_t *node_number;	      /* by the segment's node: the file's; 0: not written */
	struct ph_node_map node_map;  /* of node_number, for the encoder */
	uint32_t node_room, nodes_written;
	uint32_t *address_number;
	uint32_t address_room, addresses_written;
	struct ph_new_address *new_addresses;
	struct ph_new_node *new_nodes;
	size_t new_address_count, new_address_room, new_node_count, new_node_room;
	uint64_t modules_read;

	struct thread_entry *threads;
	size_t thread_count, thread_room, threads_written;
	struct ph_index_entry *index;
	size_t index_count, index_room;

	struct ph_buffer payload, sealed;
	uint32_t marks_written;
	struct ph_sample samples[TARGET_SAMPLES];
	uint32_t sample_count;
	uint64_t first_sample, last_sample; /* CLOCK_MONOTONIC, ns */

	uint64_t lost, stalled;
	uint64_t last_flush;	   /* CLOCK_MONOTONIC, ns */
	uint64_t last_clock;	   /* likewise, when a pair was written */
	uint64_t suspended_before; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC at the beginning, ns */
	bool other_time;	   /* its CLOCK_MONOTONIC is not ours: time_namespaces(7) */
	/* The slot whose cells wait in `sealed`: its tail moves once they are written. */
	struct ph_slot *waiting_slot;
	uint64_t waiting_tail;
	bool stuck;	    /* the last write failed: what is in `sealed` is tried again */
	uint64_t kept_last; /* CLOCK_MONOTONIC, ns: when it was last tried to put it back; 0: never
			     */
	bool replaced;	    /* another file has the trace's name by now: ours is nobody's */
	bool damaged;	    /* a ring held what is no event: said in END */
	bool memory_short;
	/* Who searches it for lost blocks at its end; look.h. */
	int looker;	       /* its pid; 0: nobody (any more) */
	int looker_fd;	       /* what it finds */
	uint64_t looker_since; /* CLOCK_MONOTONIC, ns */
};

/* How a target's end is to be told. */
struct target_end {
	const char *kind; /* "exit", "signal", "exec", "unknown" */
	int status;	  /* -1: not known */
};

/* A slot that is in the segment, whatever its header says by now. */
static inline struct ph_slot *target_slot(const struct target *t, uint32_t index)
{
	return (struct ph_slot *)((uintptr_t)t->segment + t->layout.slots_offset) + index;
}
/* Of those that were ever used, all that can be there. */
uint32_t target_slots(const struct target *t);

/* Map a segment. NULL: not one, or not ready. */
struct target *target_map(const char *segment_path, const char *control_path);
/* The same, of a segment that nobody else uses: what is done to it is not seen in
 * the file, so that it can be tried again. */
struct target *target_map_copy(const char *segment_path);
void target_free(struct target *t);

/* Write the head of the trace into t->fd. */
void target_begin(struct target *t, const char *parent_path);

/* Move what is in the rings to the file: rings that are half full, or everything
 * (`all`). Returns the number of cells moved. */
uint64_t target_drain(struct target *t, bool all);

/* Everything, if a look from outside asked for it, and say so once it is in the file. */
void target_flush(struct target *t);

/* Cells of a stream as they stand in a ring or elsewhere (see trace/segment.h, "Without
 * a collector"); `stamp` is the stream's, in and out. False: no memory, or a full disk. */
bool target_add_cells(struct target *t, uint32_t stream, uint64_t first_cell,
		      const struct ph_cells *cells, uint64_t *stamp);

/* Of a collector that died: what it had taken from the rings is ours to write. */
void target_adopt_stages(struct target *t);

/* The first cell of a slot's stream that is not in the file. */
uint64_t target_unwritten(const struct target *t, uint32_t index);

/* What a search for lost blocks found: the payload of a REACH block. */
void target_add_found(struct target *t, const char *json, size_t length);

/* A thread that is gone, for the trace's list. */
void target_add_thread(struct target *t, const struct thread_entry *e);

/* Somebody may have removed the trace meanwhile: write it again under its name, as
 * long as its folder is there and nothing else has taken the name. */
void target_keep(struct target *t, bool at_end);

/* While it lives, about once a second, and when it has just ended: what the kernel
 * counts and what else is not seen (struct ph_io_look). */
void target_look(struct target *t, bool ended);

/* Give back the slots of threads that are gone. */
void target_reclaim(struct target *t);

/* Everything that is left, the end and the index. False: the disk would not
 * take it, and the segment is to be kept. */
bool target_finish(struct target *t, const struct target_end *end);

#endif
