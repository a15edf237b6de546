/* SPDX-License-Identifier: MIT */
/*
 * Shared memory between a recorded process and its collector: one segment a
 * process, one control file a session (a process tree and its collector). Both
 * ends are built from one tree, so a layout change bumps PH_SEGMENT_VERSION and
 * needs no compatibility.
 *
 * Every page that a thread stores to is allocated first (MADV_POPULATE_WRITE):
 * a store to a hole on a full tmpfs would be SIGBUS in the target.
 */
#ifndef PH_TRACE_SEGMENT_H
#define PH_TRACE_SEGMENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/cell.h"

#define PH_SEGMENT_MAGIC   0x3147455348504850u /* "PHPHSEG1" */
#define PH_SEGMENT_VERSION 4u
#define PH_CACHE_LINE	   64

/* ---- threads -------------------------------------------------------- */

enum ph_slot_state {
	PH_SLOT_FREE = 0,
	PH_SLOT_ACTIVE = 1,
	PH_SLOT_SPILLING = 3, /* alone: a thread is giving it back */
	PH_SLOT_ENDING = 2, /* the thread's start routine is over; libc's own clean-up may follow */
};

#define PH_SLOTS_MOST	8192
#define PH_RING_GROWTHS 8	    /* rings that one slot may go through, small to large */
#define PH_RING_LEAST	(16u << 10) /* bytes that each begins with */
#define PH_RING_MOST	(1u << 20)
#define PH_STAGE_CELLS	32768u

struct ph_cpu {
	uint64_t ran_ns;     /* as CLOCK_THREAD_CPUTIME_ID has it */
	uint64_t delayed_ns; /* ready to run, but others ran: /proc/PID/task/TID/schedstat */
};

struct ph_ring {
	uint64_t offset; /* of its cells in the segment */
	uint64_t first;	 /* number of the stream's first cell in it */
	uint64_t mask;	 /* cells - 1 */
};

/*
 * One thread's stream: a chain of rings, of which the producer uses the last
 * and the collector drains the earlier ones first. head and tail count cells
 * since the stream began and never wrap. Cell n stands in the last ring whose
 * `first` is <= n, at index (n - first) & mask.
 */
struct ph_slot {
	/* The producer's line. */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t head; /* release: cells before it are complete */
	_Atomic uint32_t ring_count;		       /* release: rings[] before it are complete */
	_Atomic uint32_t waiting;		       /* the producer sleeps on tail */
	_Atomic uint64_t lost;			       /* events, this stream */
	_Atomic uint64_t stalled;		       /* ticks spent waiting for room */
	/* The collector's line. */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t tail; /* release: cells before it may be reused */
	/* Cells [stage_first, stage_first + stage_count) that it has taken from the rings
	 * and not yet written to the file, PH_STAGE_CELLS at most; they stand at `stage`
	 * in the segment, so that they outlive it. Tail may lag behind their end. */
	uint64_t stage, stage_first;
	_Atomic uint64_t stage_count; /* release: the cells are there */
	/* A look from outside at all threads at one instant: the head then. The cells before
	 * and behind it go into blocks of their own. */
	_Atomic uint64_t cut;
	/* Who it is. */
	_Alignas(PH_CACHE_LINE) _Atomic uint32_t state; /* enum ph_slot_state */
	uint32_t next_free;				/* in the list of free slots */
	uint32_t stream; /* number of this use of the slot in the trace, from 1 */
	uint32_t tid;
	uint32_t nested_in; /* stream of the same thread that this one interrupts; 0: a thread's own
			     */
	_Atomic uint32_t call_op; /* a call in progress, that a kill would leave; 0: none */
	_Atomic int32_t call_fd;
	uint64_t started, ended; /* ticks; ended 0: not known */
	char name[16];		 /* as it ended with; empty: not known */
	/* Its processor time, nanoseconds: at `started`, and the last that is known, at
	 * cpu_ticks; 0: not known. */
	struct ph_cpu cpu_started, cpu;
	uint64_t cpu_ticks;
	struct ph_ring rings[PH_RING_GROWTHS];
};

/* ---- stacks --------------------------------------------------------- */

/*
 * Two lock-free tables that only grow, each a chain of levels of doubling size.
 * A key is looked for in a window of PH_PROBE entries of each level in turn, and
 * goes into the first empty entry met on the way: every thread meets them in
 * the same order, so one compare-and-swap decides and no key is there twice.
 *
 * addresses: pc | epoch << 48 | retired << 63. Found by pc alone while not
 *            retired; an unloaded module's are retired, so that the same pc
 *            later gets another entry.
 * nodes:     parent node << 32 | address entry + 1. The entry's index + 1 is
 *            the node's number, 0 is the root.
 */
#define PH_PROBE	       8
#define PH_ADDRESS_LEVEL_0     1024u
#define PH_NODE_LEVEL_0	       4096u
#define PH_TABLE_LEVELS_MAX    12
#define PH_ADDRESS_BITS	       22 /* that their numbers take at most */
#define PH_NODE_BITS	       24
#define PH_ADDRESS_PC(word)    ((word)&0xffffffffffffu)
#define PH_ADDRESS_EPOCH(word) ((uint32_t)((word) >> 48 & 0x7fff))
#define PH_ADDRESS_RETIRED     (UINT64_C(1) << 63)
#define PH_EPOCH_MAX	       0x7fffu

struct ph_table {
	uint64_t offset;  /* of the entries, uint64_t each, level after level */
	uint32_t level_0; /* entries of the first level */
	uint32_t levels_max;
	_Atomic uint32_t levels; /* allocated */
	_Atomic uint32_t full;	 /* refusals: the table had reached its ceiling */
};

_Static_assert((PH_ADDRESS_LEVEL_0 << PH_TABLE_LEVELS_MAX) <= 1u << PH_ADDRESS_BITS &&
		       (PH_NODE_LEVEL_0 << PH_TABLE_LEVELS_MAX) <= 1u << PH_NODE_BITS,
	       "numbers fit");

/* Index of a level's first entry. */
static inline uint32_t ph_level_base(uint32_t level_0, uint32_t level)
{
	return level_0 * ((1u << level) - 1);
}

/* ---- modules -------------------------------------------------------- */

/* A log of modules that came and went, appended to by one thread at a time. */
struct ph_module_record {
	uint32_t bytes; /* of the whole record, a multiple of 8 */
	uint32_t id;
	uint64_t base;
	uint32_t loaded, unloaded; /* epochs; unloaded 0: still there */
	uint16_t range_count, build_id_bytes, path_bytes, reserved;
	/* then range_count times {uint64_t start, end}, build id, path */
};

/* ---- the process ---------------------------------------------------- */

enum ph_collector_state {
	PH_COLLECTOR_NONE = 0,
	PH_COLLECTOR_ATTACHED = 1, /* the trace file is there */
	PH_COLLECTOR_REFUSED = 2,  /* `refusal` says why; the process runs unrecorded */
	PH_COLLECTOR_GONE = 3,	   /* nobody drains any more */
};

enum ph_clock_kind {
	PH_CLOCK_TSC = 1,
	PH_CLOCK_MONOTONIC = 2, /* nanoseconds */
};

/* In the shared clock word: the collector sleeps; whoever records next takes a
 * fresh stamp and wakes it. */
#define PH_CLOCK_ASLEEP UINT64_C(1)
/* There is more than one stream: what they did is put in order by finer stamps too. Set
 * before the second one's first event, and for good. */
#define PH_CLOCK_THREADS UINT64_C(2)
#define PH_CLOCK_FLAGS	 (PH_CLOCK_ASLEEP | PH_CLOCK_THREADS)

#define PH_EVENTS_MEMORY 1u
#define PH_EVENTS_IO	 2u
#define PH_EVENTS_NET	 4u
#define PH_EVENTS_WAIT	 8u

/* PERFHOOK_LEAKS=exit: before it ends a process waits to be looked at for lost blocks. */
enum ph_look {
	PH_LOOK_NONE = 0,
	PH_LOOK_WANTED = 1,
	PH_LOOK_BEGUN = 2, /* somebody is about to stop it */
	PH_LOOK_OVER = 3,  /* it may go on */
	PH_LOOK_LATE = 4,  /* nobody came: it has gone on */
};

#define PH_UNWINDER_LIBUNWIND 1u
#define PH_UNWINDER_OWN	      2u

#define PH_OVERFLOW_BLOCK 0u
#define PH_OVERFLOW_DROP  1u

/*
 * What the kernel has counted for a process, rchar and wchar of /proc/PID/io
 * (proc_pid_io(5)), at one moment. `whole` also has what children did that were
 * waited for. Once there are such (`reaped`), only `threads` can be told from it:
 * the sum over /proc/PID/task of the threads that live.
 */
struct ph_io_count {
	uint64_t read, written;
};
struct ph_io_look {
	_Atomic uint64_t ticks; /* when it was over; last, release; 0: it failed */
	uint64_t began;		/* ticks */
	struct ph_io_count whole, threads;
	uint64_t looked_bytes; /* of ours among them, see struct ph_segment */
	uint32_t reaped;
	uint32_t ended_bytes; /* likewise */
};

/* What is known not to be seen: said on the report's first screen. */
#define PH_UNSEEN_NAMESPACE 1u /* dlmopen(3): libraries with a libc of their own */
#define PH_UNSEEN_IO_URING  2u
#define PH_UNSEEN_GO	    4u	/* a Go program: it makes its system calls itself */
#define PH_UNSEEN_STDIO	    8u	/* stdio's reads and writes inside libc */
#define PH_UNSEEN_NAMES	    16u /* libc looked up names, maybe by asking a server */
#define PH_UNSEEN_SYSLOG    32u

/* Moments that were given a name, by whoever marked them: `perfhook mark`. */
#define PH_MARKS_MOST 128u
struct ph_mark {
	_Atomic uint64_t ticks; /* release: the name is there; 0: not yet */
	char name[56];		/* NUL-terminated */
};

struct ph_segment {
	uint64_t magic;
	uint32_t version;
	uint32_t slot_count;
	uint64_t bytes; /* the whole segment's */
	uint8_t id[16]; /* the trace's */

	/* Set before the segment is announced, then constant. */
	int32_t pid, ppid;
	uint64_t process_start; /* field 22 of /proc/PID/stat: tells a pid's uses apart */
	uint32_t clock_kind;
	uint32_t events, depth, free_stacks, overflow;
	uint32_t follow_children;
	uint32_t leaks; /* looked at for lost blocks when it ends */
	uint64_t start_ticks, start_monotonic_ns, start_realtime_ns;
	uint32_t first_process; /* the one that PERFHOOK_ROOT names, in its first image */
	uint32_t unwinder;	/* PH_UNWINDER_... that it has */
	int32_t parent_pid;
	uint32_t parent_fork;  /* number of the fork in the parent; 0: not by a fork we saw */
	uint8_t parent_id[16]; /* the parent's trace; zero: none */
	uint32_t page_bytes;
	uint32_t command_bytes;
	uint64_t slots_offset, modules_offset, modules_bytes, rings_offset, rings_end;
	struct ph_table addresses, nodes;

	uint32_t alone; /* no collector: a thread whose ring is full writes it to `spill` */
	/* Of what is not seen. A look is the library's when the constructor is over
	 * and when the process ends, the collector's now and then. */
	struct ph_io_look io_begin, io_end, io_sampled;
	/* What we ourselves read and wrote since the first look, counted likewise. */
	_Atomic uint64_t looked_bytes;
	_Atomic uint32_t
		ended_bytes; /* of these, what threads read at their end: not in `threads` */
	uint64_t spilled_bytes;
	_Atomic uint32_t unseen;     /* PH_UNSEEN_... */
	_Atomic uint32_t trace_gone; /* removed with its folder, as the collector saw it last */
	_Atomic uint64_t
		awaited_ns;   /* that the first thread waited for the collector at the start */
	char own_malloc[256]; /* path of a module whose malloc stands before ours; empty: none */

	/* Shared and changing, each on a line of its own. */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t clock;	     /* ticks, and PH_CLOCK_FLAGS */
	_Alignas(PH_CACHE_LINE) _Atomic uint32_t collector;  /* enum ph_collector_state; a futex */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t free_slots; /* tag << 32 | index + 1 */
	_Atomic uint32_t slots_used;			     /* ever */
	_Atomic uint32_t streams;			     /* numbers given out */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t rings_used; /* end of the rings handed out */
	_Atomic uint32_t objects;			     /* numbers given out */
	_Atomic uint32_t forks;				     /* likewise */
	_Atomic uint32_t epoch;				     /* of the module list, from 1 */
	_Atomic uint64_t modules_used; /* release: records before it are complete */
	_Atomic uint64_t modules_lost;
	_Atomic uint64_t nested_lost;	  /* events inside a nested hook that interrupted another */
	_Atomic uint64_t unslotted_lost;  /* events of threads that got no slot */
	_Atomic uint64_t objects_unknown; /* descriptors that could not be described */
	_Atomic uint32_t ended;		  /* exit began */
	_Atomic int32_t end_status;
	_Atomic uint64_t end_ticks;
	_Atomic uint32_t spill_lock; /* held while one thread writes to `spill` */
	_Atomic uint32_t claimed;    /* made before its process was: somebody has taken it */
	_Atomic uint32_t confined;   /* a seccomp filter: the process rings no bell any more */
	_Atomic uint32_t shrunk;     /* parts of it are not mapped in its process any more */
	_Atomic uint32_t exec_begun; /* an exec is under way; it stays so when that succeeds */
	_Atomic uint64_t children_unrecorded; /* by fork, refused or without a segment */
	/* What a look from outside (inspect/) asks of the collector: all that stands in the
	 * rings is wanted in the file. Numbers of such wishes; `flushed` is a futex. */
	_Atomic uint32_t flush_wanted, flushed;
	_Atomic uint32_t look; /* enum ph_look, of the process's end; a futex */
	/* The thread that waits there, and where its stack is the program's and libc's. */
	uint32_t look_tid;
	uint64_t look_stack;
	/* For such a look: code of the program's malloc, end of the library's own data, and
	 * what of it is kept for the program. */
	uint64_t allocator_start, allocator_end;
	uint64_t own_end;
	struct {
		uint64_t start, end;
	} held[2];

	/* Text, NUL-terminated but for the command (NULs between arguments). */
	char refusal[512];
	char executable[4096];
	char directory[4096]; /* the working directory at the start */
	char output[4096];    /* PERFHOOK_OUT, as given; empty: the default */
	char host[256];
	char trace[4224];	 /* as the collector named it */
	char spill[4224];	 /* alone: where full rings are written to */
	char parent_trace[4224]; /* alone: a collector knows it without being told */
	char command[32768];

	_Alignas(PH_CACHE_LINE) _Atomic uint32_t marks_used; /* ever, PH_MARKS_MOST at most */
	struct ph_mark marks[PH_MARKS_MOST];
};

static inline struct ph_slot *ph_slot_at(const struct ph_segment *s, uint32_t index)
{
	return (struct ph_slot *)((uintptr_t)s + s->slots_offset) + index;
}

/* Slot number `index` onto the list of free ones: nobody uses it any more. The tag in the upper
 * half changes with every push, so that who pops notices one that came back meanwhile. */
static inline void ph_push_free_slot(struct ph_segment *s, struct ph_slot *slot, uint32_t index)
{
	uint64_t seen = atomic_load_explicit(&s->free_slots, memory_order_relaxed);
	uint64_t next;

	do {
		slot->next_free = (uint32_t)seen;
		next = ((seen >> 32) + 1) << 32 | (index + 1);
	} while (!atomic_compare_exchange_weak_explicit(
		&s->free_slots, &seen, next, memory_order_release, memory_order_relaxed));
}

/* ---- without a collector -------------------------------------------- */

/* The spill file: one of these before each stretch of cells, as they stood in a
 * ring. A thread that is gone leaves a last one, with or without cells. */
#define PH_SPILL_MAGIC 0x4c495053u /* "SPIL" */
struct ph_spill {
	uint32_t magic;
	uint32_t stream;
	uint64_t first_cell, cells;
	uint32_t tid, nested_in;
	uint32_t over; /* the thread is gone: the rest speaks of it */
	uint32_t reserved;
	uint64_t started, ended;
	struct ph_cpu cpu_started, cpu;
	uint64_t cpu_ticks;
	char name[16];
};
_Static_assert(sizeof(struct ph_spill) == 112, "no padding");

/* The control file: `control` in the session's folder. */
#define PH_CONTROL_MAGIC 0x314c525448504850u /* "PHPHTRL1" */

struct ph_control {
	uint64_t magic;
	uint32_t version;
	int32_t root_pid;
	_Atomic int32_t collector_pid; /* 0: none yet; PH_COLLECTOR_CLOSED: it goes */
	uint32_t reserved;
	_Atomic uint64_t collector_start; /* field 22 of its /proc/PID/stat */
	char pid_namespace[64];		  /* readlink /proc/self/ns/pid: pids mean this */
	char directory[4096];	     /* relative trace names are resolved against it; empty: the
				      * first process's working directory */
	_Atomic uint32_t has_parent; /* `perfhook record` waits for the root process ... */
	_Atomic uint32_t root_ended; /* ... and says when it ended */
	_Atomic int32_t root_status; /* as wait(2) gives it */
	int32_t parent_pid;	     /* of `perfhook record` */
	uint64_t parent_start;
	_Alignas(PH_CACHE_LINE) _Atomic uint32_t wake; /* futex: rung by targets */
	_Atomic uint32_t announced;		       /* segments, ever */
	_Alignas(PH_CACHE_LINE) _Atomic uint64_t beat; /* ticks of the collector's last progress */
	_Atomic uint32_t sleeping;		       /* it waits on `wake` */
};

#define PH_COLLECTOR_CLOSED (-1)

#define PH_SESSION_PREFIX "perfhook-" /* folder in /dev/shm: perfhook-UID-RANDOM */
#define PH_SEGMENT_SUFFIX ".segment"

#endif
