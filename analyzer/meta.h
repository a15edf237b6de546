/* SPDX-License-Identifier: MIT */
/*
 * What the JSON blocks of a trace say: the run, its functions, threads, modules
 * and end. Every value is checked for its type; what is missing is empty.
 * Strings live in the arena that the caller gives.
 */
#ifndef PH_ANALYZER_META_H
#define PH_ANALYZER_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/arena.h"
#include "analyzer/map.h"
#include "trace/decode.h"
#include "trace/format.h"

/* A stretch of code that a module held while it was loaded. */
struct range {
	uint64_t start, end, base;
	uint32_t loaded, unloaded; /* epochs; UINT32_MAX: never unloaded */
	const char *path, *build_id;
};

struct stream {
	uint32_t number;
	int tid;
	const char *name;
	uint64_t started; /* ticks */
	uint64_t ended;	  /* ticks; 0: not known to have ended */
	/* Processor time, of the thread: at the start, at cpu_ticks (0: not known), and how
	 * long it was ready to run meanwhile while others ran. */
	uint64_t cpu_started_ns, cpu_ns, cpu_delay_ns, cpu_ticks;
	uint32_t nested_in;
};

struct parent {
	bool given;
	int pid;
	uint8_t id[16];
	const char *path;
	uint32_t fork; /* 0: not by fork */
};

/* What the kernel counted between two looks at it. */
struct kernel_io {
	bool given;
	/* Of the threads that lived at the end only: children that were waited for
	 * cannot be told from those that had ended. */
	bool threads;
	uint64_t begin_ticks, ticks; /* the looks */
	uint64_t look_ticks;	     /* when the last one began */
	uint64_t read_bytes, written_bytes;
};

struct marked {
	const char *name;
	uint64_t ticks;
};

#define META_UNSEEN_NAMESPACE 1u
#define META_UNSEEN_IO_URING  2u
#define META_UNSEEN_GO	      4u

struct meta {
	struct arena *arena;
	/* RUN */
	bool has_run;
	int pid, ppid;
	const char *executable, *host, *version;
	const char **command; /* NULL-terminated */
	uint64_t started_ns, started_ticks, process_start;
	double ticks_per_s;
	bool monotonic, free_stacks;
	bool leaks; /* a search for lost blocks was asked for */
	uint32_t depth;
	bool records_io;    /* PERFHOOK_EVENTS has both io and net */
	unsigned off;	    /* RUN_OFF_...: what it does not have */
	const char *events; /* as PERFHOOK_EVENTS has it */
	struct parent parent;
	/* FUNCTIONS, by number */
	bool has_functions;
	uint8_t kinds[256];
	const char *names[256]; /* NULL: none */
	/* MODULES */
	struct module_entry *modules;
	size_t module_count, module_room;
	struct map module_by_id;
	/* THREADS */
	struct stream *streams;
	size_t stream_count, stream_room;
	struct map stream_by_number; /* to its place + 1 */
	/* END */
	bool has_end;
	const char *end;
	int status; /* -1: unknown */
	uint64_t ended_ticks, lost, nested_lost, stalled_ns, awaited_ns, short_stacks,
		objects_unknown;
	uint64_t children_unrecorded, unslotted_lost;
	const char *own_malloc; /* a module's path; NULL: ours is called */
	uint32_t unseen;	/* META_UNSEEN_... */
	struct kernel_io kernel_io;
	/* MARKS: those of the last block, in order */
	struct marked *marks;
	size_t mark_count;
	/* SAMPLES, in order of their ticks */
	struct ph_sample *samples;
	size_t sample_count, sample_room;
	/* RUN and END */
	const char **notes;
	size_t note_count, note_room;
};

/* A module as the last entry with its number describes it. */
struct module_entry {
	const char *path, *build_id;
	uint64_t base;
	uint32_t loaded, unloaded;
	uint64_t (*ranges)[2];
	size_t range_count;
};

void meta_init(struct meta *m, struct arena *arena);

/* Take in one JSON block. false: it is not what such a block holds. */
bool meta_block(struct meta *m, unsigned kind, const struct ph_buffer *payload);
/* Take in a SAMPLES block. false: it is none, or out of memory. */
bool meta_samples(struct meta *m, const struct ph_buffer *payload);
void meta_free(struct meta *m);

#endif
