/* SPDX-License-Identifier: MIT */
/*
 * The trace file: numbers and structures that stand on disk. Its prose, for
 * whoever writes another reader, is docs/trace-format.md; keep the two in step.
 * Everything is little-endian; structures have neither bit-fields nor implicit
 * padding.
 */
#ifndef PH_TRACE_FORMAT_H
#define PH_TRACE_FORMAT_H

#include <stdint.h>

#define PH_TRACE_MAGIC "\x89PERFHK\n"
#define PH_TRACE_MAJOR 1u /* a reader refuses a larger one */
#define PH_TRACE_MINOR 0u /* a reader may ignore what is new in a larger one */

/* The first bytes of every trace. */
struct ph_file_header {
	char magic[8];
	uint16_t major;
	uint16_t minor;
	uint32_t header_bytes; /* where the first block begins */
	uint8_t id[16];	       /* random; names the trace to its children's */
	uint32_t reserved;     /* 0 */
	uint32_t crc;	       /* CRC-32 of the bytes before this field */
};
_Static_assert(sizeof(struct ph_file_header) == 40, "wire layout");

#define PH_BLOCK_MAGIC 0x31424850u /* "PHB1" */

enum ph_block_kind {
	PH_BLOCK_RUN = 1,	/* JSON: what was run, and how it was recorded */
	PH_BLOCK_FUNCTIONS = 2, /* JSON: the table of intercepted functions */
	PH_BLOCK_MODULES = 3,	/* JSON: modules that came or went */
	PH_BLOCK_STACKS = 4,	/* new addresses and stack nodes */
	PH_BLOCK_EVENTS = 5,	/* one stream's events */
	PH_BLOCK_CLOCK = 6,	/* struct ph_clock_pair, one or more */
	PH_BLOCK_THREADS = 7,	/* JSON: threads that began or ended */
	PH_BLOCK_END = 8,	/* JSON: how the process ended; the last but INDEX */
	PH_BLOCK_INDEX = 9,	/* struct ph_index_entry, one a block before it */
	PH_BLOCK_MARKS = 10,	/* JSON: named moments, all so far */
	PH_BLOCK_SAMPLES = 11,	/* struct ph_samples, then so many records */
	PH_BLOCK_REACH = 12,	/* JSON: what became of a search for lost blocks at the end */
};

#define PH_BLOCK_ZSTD 1u /* flag: the payload is one zstd frame */

struct ph_block_header {
	uint32_t magic;
	uint16_t kind;
	uint16_t flags;
	uint32_t stored_bytes; /* of the payload that follows */
	uint32_t raw_bytes;    /* of the payload once decompressed */
	uint32_t stream;       /* EVENTS: whose; else 0 */
	uint32_t events;       /* EVENTS: how many; else 0 */
	uint64_t first_stamp;  /* EVENTS: coarse stamp of the first event, ticks;
				* STACKS: addresses defined before this block; else 0 */
	uint64_t first_cell;   /* EVENTS: the stream's cells before this block;
				* STACKS: nodes defined before this block; else 0 */
	uint32_t payload_crc;  /* CRC-32 of the stored payload */
	uint32_t header_crc;   /* CRC-32 of the bytes before this field */
};
_Static_assert(sizeof(struct ph_block_header) == 48, "wire layout");

#define PH_BLOCK_RAW_MAX (16u << 20) /* a larger raw_bytes is damage */

/* One instant on three clocks. */
struct ph_clock_pair {
	uint64_t ticks;	       /* the trace's own counter */
	uint64_t monotonic_ns; /* CLOCK_MONOTONIC */
	uint64_t realtime_ns;  /* CLOCK_REALTIME */
};
_Static_assert(sizeof(struct ph_clock_pair) == 24, "wire layout");

struct ph_samples {
	uint32_t record_bytes; /* a later writer's may have more than struct ph_sample */
	uint32_t count;
};
_Static_assert(sizeof(struct ph_samples) == 8, "wire layout");

/* What the kernel says of a process's memory at one instant, in bytes (proc_pid_status(5)). */
struct ph_sample {
	uint64_t ticks;
	uint64_t vms_bytes;	  /* VmSize */
	uint64_t rss_bytes;	  /* VmRSS */
	uint64_t rss_most_bytes;  /* VmHWM */
	uint64_t anonymous_bytes; /* RssAnon */
	uint64_t file_bytes;	  /* RssFile */
	uint64_t shared_bytes;	  /* RssShmem */
	uint64_t threads;
};
_Static_assert(sizeof(struct ph_sample) == 64, "wire layout");

struct ph_index_entry {
	uint64_t offset; /* of the block's header in the file */
	uint64_t first_stamp;
	uint32_t stream;
	uint32_t events;
	uint16_t kind;
	uint16_t reserved[3];
};
_Static_assert(sizeof(struct ph_index_entry) == 32, "wire layout");

/* What a function does: all that the analyzer dispatches on. */
enum ph_kind {
	PH_KIND_NONE = 0,
	PH_KIND_ALLOC = 1,
	PH_KIND_FREE = 2,
	PH_KIND_MAP = 3,
	PH_KIND_UNMAP = 4,
	PH_KIND_REMAP = 5,
	PH_KIND_BREAK = 6,
	PH_KIND_READ = 7,
	PH_KIND_WRITE = 8,
	PH_KIND_OPEN = 9,
	PH_KIND_CLOSE = 10,
	PH_KIND_DUP = 11,
	PH_KIND_PIPE = 12,
	PH_KIND_SOCKET = 13,
	PH_KIND_CONNECT = 14,
	PH_KIND_ACCEPT = 15,
	PH_KIND_THREAD = 16,
	PH_KIND_FORK = 17,
	PH_KIND_EXIT = 18,
	PH_KIND_MOVE = 19,   /* from one descriptor to another inside the kernel */
	PH_KIND_SYNC = 20,   /* fsync and its like */
	PH_KIND_RESIZE = 21, /* of a file */
	PH_KIND_BIND = 22,
	PH_KIND_LISTEN = 23,
	PH_KIND_SHUTDOWN = 24,
	PH_KIND_CLOSE_RANGE = 25,
	PH_KIND_EXEC = 26,
	PH_KIND_SPAWN = 27,
	PH_KIND_CONFINE = 28, /* gives up rights: seccomp, chroot, another user */
	PH_KIND_STACK = 29,   /* of signal handlers */
	PH_KIND_POLL = 30,    /* waits, until descriptors are ready */
	PH_KIND_SLEEP = 31,
	PH_KIND_LOCK = 32, /* mutexes, read-write locks */
	PH_KIND_CONDITION = 33,
	PH_KIND_SEMAPHORE = 34,
	PH_KIND_BARRIER = 35,
	PH_KIND_JOIN = 36,    /* of a thread */
	PH_KIND_PROCESS = 37, /* waits for a child */
	PH_KIND_SIGNAL = 38,
	PH_KIND_QUEUE = 39, /* of messages: mq_overview(7) */
	PH_KIND_IPC = 40,   /* semaphores and queues of sysvipc(7) */
	PH_KIND_FILE_LOCK = 41,
	PH_KIND_SEEK = 42,
	PH_KIND_META = 43,    /* about a file or its name: stat, rename, readdir */
	PH_KIND_RESOLVE = 44, /* a name to addresses */
	PH_KIND_AIO = 45,     /* begins: aio_read */
	PH_KIND_AIO_RETURN = 46,
	PH_KIND_LAST = PH_KIND_AIO_RETURN,
};

#endif
