/* SPDX-License-Identifier: MIT */
/*
 * What an analysis knows of one process: the model between the replay, which
 * fills it, and the reports and exports, which print it and compute nothing
 * worth testing by themselves. Owned by the caller of run_load(), freed by
 * run_free(); strings and arrays in it live as long as it does. Not
 * thread-safe. Times are seconds since the process's start; bytes are bytes.
 */
#ifndef PH_ANALYZER_RUN_H
#define PH_ANALYZER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/error.h"
#include "analyzer/pattern.h"

/* A latency distribution, microseconds. count 0: the rest means nothing. */
struct latency {
	uint64_t count;
	double mean, median, stdev, min, p50, p75, p90, p95, p99, max;
};

/* A distinct address of code, and the module that was there at the time. */
struct address {
	uint64_t pc;	/* of the call instruction's last byte (return address - 1) */
	int32_t module; /* index into modules; -1: in none (generated code) */
};

/* A node of the stack tree. Node 0 is the root, "no stack". Identical stacks
 * have one node, whatever the file says. */
struct node {
	uint32_t parent;  /* the next outer frame; 0: outermost */
	uint32_t address; /* index into addresses */
};

struct module {
	const char *path;
	const char *build_id; /* lower-case hex; "" if it has none */
	uint64_t base;	      /* load bias: pc - base is the address in the file */
	bool unloaded;
	uint64_t code_end; /* of its code, as an address in the file; 0: not known */
};

/* Of a tree of processes, the one with most of something. */
struct holder {
	int pid;
	const char *program; /* its name without folders */
	uint64_t bytes;
	uint32_t processes; /* how many images have any */
};

/* What a search for pointers says of a live block, worst first; docs/leaks.md defines
 * each. */
enum reach_class {
	REACH_LOST,
	REACH_INDIRECT,
	REACH_POSSIBLE,
	REACH_STILL,
	REACH_CLASSES,
};

struct reach_sum {
	uint64_t bytes, blocks;
};

/* Such a search: of a tree, all of those that were made. */
struct reach {
	bool made;
	const char *missing; /* it was asked for and not made: why; NULL */
	const char *how;     /* "snapshot", "copy"; NULL: not made, or a tree's */
	double at_s;	     /* NaN: likewise */
	double pause_s;	     /* that the process stood still for it; the longest */
	struct reach_sum sums[REACH_CLASSES];
	const char **notes; /* what could not be told */
	size_t note_count;
};

#define LIFETIMES    44
#define AGES	     32
#define SIZE_CLASSES 32

/*
 * How a stack's blocks are spread: [i] counts those with 2^i <= x < 2^(i+1), [0] zero too,
 * the last any more. Each count stops at UINT32_MAX.
 */
struct spread {
	uint32_t sizes[SIZE_CLASSES]; /* bytes of each allocation */
	/* Of blocks that were freed (what a fork left: since then): microseconds, as finely
	 * as memory events' coarse stamps tell, and allocations of the process meanwhile,
	 * its own included. */
	uint32_t lifetimes[LIFETIMES], ages[AGES];
};

#define PERIODS_MAX 97

/*
 * The run cut into periods, as many as its time and its allocations ask for: none is
 * longer than 1/32 of the time, nor has more than 1/16 of the allocations. Sums are
 * of the run up to the period's end.
 */
struct period {
	double from_s, until_s;
	uint64_t allocations, allocated_bytes, live_bytes, live_blocks;
	uint64_t requests; /* of clients, to this process */
	uint64_t rounds;   /* waits for something to do */
};

/* A stack at the end of a period in which it did something. */
struct history_point {
	uint32_t period;
	uint64_t live_bytes, live_blocks;
	uint64_t allocated_bytes, allocations; /* up to here */
	/* Of what was allocated in the period: still live at the run's end. Not a fork's. */
	uint64_t kept_bytes, kept_blocks;
};

/* What growth is measured along. */
enum growth_axis {
	GROWTH_BY_REQUESTS, /* of clients */
	GROWTH_BY_ROUNDS,   /* of waiting for something to do */
	GROWTH_BY_TIME,
	GROWTH_BY_ALLOCATIONS, /* of the process: of a run without time to speak of */
	GROWTH_AXES,
};

enum growth_form {
	GROWTH_NONE,
	GROWTH_STEADY, /* in most parts of the run after start-up */
	GROWTH_EVEN,   /* again and again in all of them */
};

/*
 * What becomes of a stack's blocks, see docs/leaks.md. The axis goes from 0 to 1. Blocks
 * are the stack's own, without a fork's.
 */
struct growth {
	bool measured;
	enum growth_form form;
	enum growth_axis axis;
	double amount; /* requests, rounds, seconds or allocations of the run */
	double from;   /* where on the axis start-up ends */
	/* Of what is live at the end: allocated at start-up; since, and older than a freed
	 * one gets; younger than that. */
	uint64_t early_blocks, grown_blocks, young_blocks;
	uint64_t grown_bytes;
	bool by_level;	   /* grown is what its level never went below again: of few blocks */
	unsigned steps;	   /* periods after start-up in which it grew */
	unsigned quarters; /* of the time after start-up, in which it did */
	double late_share; /* of that growth: in the second half */
	double last_step;  /* on the axis */
	uint64_t frees;
	uint64_t typical_age; /* 95 of 100 freed ones were freed within so many allocations; */
	double typical_s;     /* and seconds. 0: none was */
	double oldest_s;      /* of the grown ones */
	/* Of the live bytes that stay; NaN: the run has no time to speak of. */
	double slope_bytes_per_hour, confidence;
	double bytes_per_request; /* NaN: no requests, or it does not follow them */
	/* Of the process. */
	bool waited; /* often, for something to do */
	double ran_s;
	uint32_t stacks_left; /* that have live blocks */
	uint64_t all_allocations;
	double all_freed_share; /* of these */
};

/* What one stack did to the heap. Only stacks that did something stand here. */
struct site {
	uint32_t node;
	uint64_t allocations, allocated_bytes;
	uint64_t frees;	      /* of blocks that this stack allocated */
	uint64_t reallocated; /* of these: by realloc, which made another block of it */
	uint64_t temporary;
	uint64_t live_bytes, live_blocks;
	uint64_t peak_bytes, peak_blocks; /* at the process's peak */
	double first_at_s, last_at_s;	  /* of its allocations */
	double last_live_at_s;		  /* newest allocation among those still live */
	/* Of the live ones, those that a fork left. */
	uint64_t inherited_bytes, inherited_blocks;
	/* Of the blocks that lived when pointers were searched for; zero where they were
	 * not (struct heap's `reach`). */
	struct reach_sum reach[REACH_CLASSES];
	/* Of a tree of processes (tree.h), whose live blocks are without these: */
	struct holder live_in, peak_in;
	uint32_t other_ends; /* of live_in's: that did not end by exit */
	/* Where it did nothing, all stays as it was: history_at(). */
	const struct history_point *history;
	size_t history_count;
	const struct spread *spread;
	struct growth growth;
};

struct heap_sample {
	double at_s;
	uint64_t live_bytes, live_blocks; /* the highest within the bucket */
	double allocations_per_s, allocated_bytes_per_s;
};

/* Of allocations of 2^i bytes and more, less than 2^(i+1); the first of 0 too, the last of
 * any more. */
struct size_classes {
	uint64_t allocations[SIZE_CLASSES], bytes[SIZE_CLASSES], temporary[SIZE_CLASSES];
};

/* What the kernel said of a process's memory, in bytes. */
struct memory_sample {
	double at_s;
	uint64_t vms, rss, anonymous, file, shared;
	uint64_t rss_most;   /* ever so far */
	uint64_t live_bytes; /* of the heap, then: what was asked for */
};

struct heap {
	uint64_t allocations, frees, allocated_bytes;
	uint64_t peak_bytes, peak_blocks, peak_uncertainty_bytes;
	double peak_at_s;
	uint64_t live_bytes, live_blocks;
	uint64_t temporary_allocations;
	uint64_t unmatched_frees;		    /* of blocks whose allocation was not seen */
	uint64_t inherited_bytes, inherited_blocks; /* live when a fork made this process */
	bool inherited_unknown;			    /* the parent's trace could not be found */
	uint64_t inherited_live_bytes, inherited_live_blocks; /* of these: at the end */
	/* Of a window: live, but allocated before it. They stand in no site's live_bytes. */
	uint64_t older_live_bytes, older_live_blocks;
	struct size_classes sizes;
	struct heap_sample *timeline; /* evenly spaced buckets, at most 128 */
	size_t timeline_count;
	/* Mapped memory, apart from the above. */
	uint64_t mappings, unmappings, mapped_bytes, mapped_peak_bytes;
	bool mapped_peak_unknown;
	struct reach reach;
};

/* Traffic over one file, connection or whole. */
struct traffic {
	uint64_t read_bytes, written_bytes;
	uint64_t read_calls, write_calls; /* failed ones included */
	uint64_t errors;
	uint64_t sync_calls; /* fsync and its like */
	double time_s, read_time_s, write_time_s, sync_time_s;
	struct latency latency;
	struct recorder *recorder; /* what `latency` was made of, if it was asked for */
};

/* What one function did to one file or connection. */
struct io_function {
	const char *name;
	unsigned kind; /* PH_KIND_..., of which it is */
	uint64_t calls, errors, bytes;
	double time_s;
};

/* To all of them. */
struct io_total {
	struct io_function of;
	struct latency latency;
	struct recorder *recorder;
};

/* What one stack did to it: most time first. */
struct io_stack {
	uint32_t node;
	const char *function; /* NULL: not known */
	uint64_t calls, errors, bytes;
	double time_s;
};

/* What one stack read and wrote, of files and over sockets. */
struct stack_traffic {
	uint32_t node;
	uint64_t read_bytes, written_bytes, sent_bytes, received_bytes;
	uint64_t calls;
	double files_s, network_s; /* as in the sums of struct io */
};

struct io_error {
	int number; /* errno */
	uint64_t calls;
};

#define IO_STACKS_MAX 8 /* of each file or connection */

/* What is known of a file or a connection beside its sums. */
struct io_facts {
	struct io_stack *stacks;
	size_t stack_count;
	struct io_function *functions; /* most calls first */
	size_t function_count;
	struct io_error *errors; /* most calls first */
	size_t error_count;
};

#define ACCESS_SIZES	  10
#define ACCESS_TINY_BYTES 4096u
#define ACCESS_ALIGNED_ON 4096u
#define ACCESS_RANGES_MAX                                                                          \
	32768u /* of a file and direction; beyond, what is touched again                           \
		* is not known */
extern const uint64_t access_size_limits[ACCESS_SIZES]; /* less than; the last: any */

/* Where the calls of one direction touched one file; docs/counting.md defines each. */
struct access {
	uint64_t calls;	  /* that moved bytes */
	uint64_t located; /* of these: whose place in the file is known */
	uint64_t steps;	  /* of these and of appends: not the first of an open file */
	uint64_t sequential, consecutive; /* of the steps, as Darshan counts them */
	uint64_t strided, repeated;	  /* likewise, and neither consecutive */
	uint64_t appended;
	uint64_t unaligned; /* of the located */
	uint64_t tiny;
	uint64_t sizes[ACCESS_SIZES];
	uint64_t distinct_bytes, again_bytes;
	uint64_t end_bytes; /* one past the last of these */
	bool again_unknown;
};

/* "consecutive", "sequential", "strided", "repeated", "random", "mixed"; NULL: too few calls, or
 * their places are not known. */
const char *access_pattern(const struct access *a);

#define FILE_SLICES 16
struct rate_sample;

/* Of a file whose bytes were moved. */
struct file_access {
	struct access read, written;
	struct latency sync_latency;
	struct recorder *sync_recorder; /* what it was made of, if it was asked for */
	struct rate_sample *timeline;	/* at most FILE_SLICES */
	size_t timeline_count;
};

/* One path; its opens are added up. */
struct file {
	const char
		*path; /* "pipe:[…]", "anon_inode:[…]" as the kernel says it; "fd 7" if unknown */
	struct traffic traffic;
	double first_at_s, last_at_s; /* of its reads and writes: rates are over this span */
	uint32_t number;	      /* in activity.h */
	uint64_t opens;
	uint64_t failed_opens, closes; /* closes: of the last descriptor of an open file */
	double open_s, open_longest_s; /* from open to close, of those that were closed */
	uint64_t metadata_calls, metadata_errors;
	double metadata_time_s;
	uint32_t top_node;	    /* the stack with most time in it; 0: none */
	struct file_access *access; /* NULL: nothing was read or written */
	struct io_facts facts;
};

/* A directory and all that is below it. */
struct folder {
	const char *path;
	uint64_t files, opens, metadata_calls;
	struct traffic traffic;
};

struct connection {
	int fd;
	const char *family; /* "inet", "inet6", "unix", "netlink", … or NULL: unknown */
	const char *type;   /* "stream", "dgram", "seqpacket", … or NULL */
	const char *local;  /* "127.0.0.1:80", "[::1]:80", "/run/x.sock", "@abstract", NULL */
	const char *peer;   /* likewise */
	const char
		*opened_by; /* "connect", "accept", "socketpair", "inherited"; NULL: none of them */
	double opened_at_s, closed_at_s; /* closed_at_s NaN: still open */
	double connect_s;		 /* how long connect took; NaN */
	double accept_s;		 /* how long accept took, waiting included; NaN */
	int connect_errno;		 /* 0: connected, or never tried */
	bool listening;
	unsigned peers;	       /* 0: none known, 1: `peer`, 2: several, of a datagram socket */
	const char *closed_by; /* "local", "peer", "reset": who ended a stream first; NULL */
	struct traffic traffic;
	uint32_t top_node;
	int pid;	       /* in a tree of processes; else 0 */
	double until_s;	       /* likewise: closed, or the end of its process */
	uint32_t opened_node;  /* the stack that connected, accepted or made it */
	const char *peer_name; /* that the program resolved to the peer's address; NULL */
	double first_byte_s;   /* from its opening to the first byte received; NaN: none */
	uint64_t turns;	       /* requests that were answered */
	struct latency turn_latency;
	double idle_s; /* open and between two turns */
	struct io_facts facts;
	uint32_t endpoint; /* while endpoints are made: its place among them; UINT32_MAX: none */
	uint32_t number;   /* in activity.h */
};

/* All connections to one peer, or accepted at one port. */
struct endpoint {
	const char *name; /* the peer's address; of accepted ones this side's */
	const char *host; /* a name that the program resolved to it; NULL */
	const char *side; /* as opened_by; NULL: not known */
	const char *family, *type;
	uint64_t connections, failed; /* failed: that did not connect */
	uint64_t most_open;	      /* at once */
	uint64_t closed_local, closed_peer, reset;
	double idle_s, open_s;
	uint64_t turns;
	struct traffic traffic;
	struct latency turn_latency, open_latency; /* open: of connect, or of accept */
	struct recorder *turn_recorder, *open_recorder;
};

/* A name that was looked up. */
struct resolved {
	const char *name;
	const char *addresses; /* the first few, with commas between; NULL: none */
	uint64_t calls, errors;
	double time_s;
};

struct rate_sample {
	double at_s;
	double read_bytes_per_s, written_bytes_per_s;
};

struct io {
	struct traffic total;
	struct rate_sample *timeline; /* at most 128 */
	size_t timeline_count;
};

#define FINDING_EVIDENCE 12

/* A figure that a finding rests on. */
struct evidence {
	const char *key; /* with its unit, as in JSON */
	enum evidence_type { EVIDENCE_COUNT, EVIDENCE_NUMBER, EVIDENCE_TEXT } type;
	uint64_t count;
	double number;
	const char *text; /* NULL: not known */
};

/* Something to look at: docs/findings.md says what each kind is. Strings are the run's. */
struct finding {
	const char *kind;
	const char *severity; /* "high", "medium", "low" */
	const char *what;     /* one line, without how much time */
	const char *advice;   /* one sentence */
	double saves_s;	      /* at most, all threads added up; NaN: not known */
	struct evidence evidence[FINDING_EVIDENCE];
	size_t evidence_count;
	struct wait *waited_for; /* what `what` ends with; NULL: it says all */
	uint32_t node;
	int pid;	    /* in a tree of processes: with most of it; else 0 */
	uint32_t processes; /* likewise: that have it; evidence is of the one */
};

/* Calls that waited: of one kind, for one thing, from one stack. */
struct wait {
	const char *kind;     /* "lock", "poll", "sleep", … */
	const char *object;   /* NULL: none, or the address */
	uint64_t address;     /* of what is in memory; 0: of nothing */
	const char *module;   /* in which it lies; NULL: in none */
	const char *build_id; /* the module's */
	uint64_t module_base; /* likewise */
	uint32_t home_node;   /* the stack that allocated the block in which it lies; 0 */
	uint64_t home_bytes;  /* of that block; 0: in none */
	uint64_t home_offset; /* in that block */
	uint32_t node;	      /* the calls' own stack */
	uint64_t count;
	double time_s;
	struct latency latency;
	struct recorder *recorder; /* what `latency` was made of, if it was asked for */
	uint32_t number;	   /* in activity.h */
};

/* A thread's time from its start to its end, in parts that add up to it. NaN: not
 * known. */
struct thread {
	int tid;
	const char *name;
	double started_at_s, ended_at_s; /* NaN: not ended */
	uint64_t allocations, allocated_bytes;
	uint64_t live_bytes, live_blocks; /* that it allocated, as a site's */
	uint64_t read_bytes, written_bytes, sent_bytes, received_bytes;
	double running_s; /* on a processor, outside of the calls whose time is below */
	double reading_s, writing_s, network_s, waiting_s, sleeping_s;
	double runnable_s;  /* outside of those calls, while others had the processors */
	double recording_s; /* at the start, for the collector */
	double unexplained_s;
	/* Processor time: when it began, and the last that is known, at cpu_at_s (NaN);
	 * how long it was runnable in between. */
	uint64_t cpu_started_ns, cpu_ns, cpu_delay_ns;
	double cpu_at_s;
	int pid;	 /* in a tree of processes; else 0 */
	size_t process;	 /* likewise, its place there: pids are the same in two containers */
	uint32_t number; /* in activity.h */
};

/* A child that a call of fork made. */
struct forked {
	int pid;
	double at_s;
};

/* Who forked this process, as far as it was recorded. */
struct origin {
	bool given;
	int pid;
	uint8_t id[16]; /* of its trace */
	const char *path;
	uint32_t fork; /* 0: not by fork */
};

/* A moment that was given a name while the program ran. */
struct mark {
	const char *name;
	double at_s;
	int pid;
};

struct run;

/* Who and what is counted. Everything is replayed; what is left out is counted nowhere. */
struct run_filter {
	struct patterns threads;       /* names; or a thread's id, as a number */
	struct patterns modules;       /* whose code asked: asking_node() of module_class.h */
	const struct patterns *stacks; /* what `allows` goes by, for the report; NULL */
	bool sized;		       /* allocations: */
	uint64_t least_bytes, most_bytes;
	/* What else must hold for a stack: NULL, or called once for each run before its
	 * events (false: out of memory), and for each of its nodes once, 0 too. */
	bool (*begin)(void *context, const struct run *run);
	bool (*allows)(void *context, uint32_t node);
	void *context;
};

/* What of a run is counted. What comes before is replayed, so that what is live and open
 * is right; what comes after is not looked at. */
struct run_view {
	bool windowed;
	/* Of the process's time: what is after from_s counts, up to and with to_s. */
	double from_s, to_s; /* may be infinite */
	/* Not 0: it begins, or ends, once so many bytes are live, not before that time. */
	uint64_t from_level, to_level;
	/* Of a tree: the level is of this trace's own bytes, without what was inherited. */
	bool own_level;
	uint8_t level_id[16];
	const struct run_filter *filter; /* the caller's; NULL: nothing is left out */
	/* In a run: of the window's events that are about memory, descriptors or waits, those
	 * that count. Only with a filter. */
	uint64_t events, of_events;
	const char *other_threads; /* some that are left out, as text; NULL: none */
};

/* Something lost or not seen: the report's first screen says it. */
struct notice {
	bool lost; /* events lost; otherwise something that could not be seen */
	const char *text;
	enum {
		NOTICE_OTHER,
		NOTICE_PROGRAM, /* one that was not recorded at all: never left out */
		NOTICE_BYTES,	/* that were not seen: a tree has one of its own */
	} about;
};

/* Of the calls that /proc/PID/io counts, from the library's constructor until the
 * kernel was last asked; read, written. */
struct coverage {
	bool known;  /* what the kernel counted */
	bool wanted; /* files and sockets were recorded */
	uint64_t counted[2], seen[2];
	double until_s; /* when the kernel was last asked */
	double early_s; /* that long before the process's end; 0: at it */
};

/* What was not recorded: its figures are not known. */
#define RUN_OFF_MEMORY 1u
#define RUN_OFF_IO     2u
#define RUN_OFF_NET    4u
#define RUN_OFF_WAIT   8u

struct run {
	const char *trace_path;
	uint8_t id[16];
	uint64_t process_start; /* tells a pid's uses apart; 0: not known */
	uint64_t started_ns;	/* since 1970; 0: not known */
	struct origin parent;
	/* The process. */
	int pid, ppid;
	const char *executable;
	const char **command; /* NULL-terminated */
	const char *host;
	const char *version; /* of the recorder */
	char started[40];    /* ISO 8601, UTC */
	double duration_s;
	/* What of it the figures are about: from_s and to_s are within it. */
	struct run_view view;
	const char *end;    /* "exit" "signal" "exec" "running" "unknown" */
	int status;	    /* -1: unknown */
	double ns_per_tick; /* of the counter that calls' durations are of, about */
	bool free_stacks;
	uint32_t depth;
	unsigned off;	       /* RUN_OFF_...; of a tree: in all of its processes */
	const char *asked_for; /* PERFHOOK_EVENTS; NULL: not known */
	/* The trace. */
	uint64_t events, dropped, trace_bytes;
	bool complete; /* closed properly and nowhere damaged */
	double stalled_s;
	struct notice *notices;
	size_t notice_count;
	struct coverage coverage;

	struct heap heap;
	struct site *sites; /* unsorted */
	size_t site_count;
	struct period *periods;
	size_t period_count;
	struct history_point *history; /* of all sites: owns */
	struct spread *spreads;	       /* likewise */
	struct io io, sockets;
	struct stack_traffic *stack_traffic; /* one a stack, unsorted */
	size_t stack_traffic_count;
	struct file *files; /* most bytes first */
	size_t file_count;
	struct connection *connections; /* in order of opening */
	size_t connection_count;
	struct endpoint *endpoints; /* most bytes first */
	size_t endpoint_count;
	struct folder *folders; /* most bytes first */
	size_t folder_count;
	struct io_total *functions; /* on files and sockets; most time first */
	size_t function_count;
	struct resolved *resolved; /* most time first */
	size_t resolved_count;
	struct wait *waits; /* most time first */
	size_t wait_count;
	struct finding *findings; /* what would save most time first */
	size_t finding_count;
	struct thread *threads;
	size_t thread_count;

	struct address *addresses;
	size_t address_count;
	struct node *nodes;
	size_t node_count;
	struct module *modules;
	size_t module_count;

	struct memory_sample *samples; /* in order; of one process only */
	size_t sample_count;
	struct mark *marks; /* in order */
	size_t mark_count;

	struct forked *forks; /* children that may be recorded, in order */
	size_t fork_count, fork_room;
	const char *became;	   /* by exec, a program that may be recorded; NULL: none */
	struct profile *profile;   /* only if it was asked for */
	struct activity *activity; /* likewise; settled */

	void *arena; /* owner of the strings */
};

/* Called now and then during long work; done and total are in bytes of the trace. */
typedef void progress_fn(void *context, uint64_t done, uint64_t total);

/* An instant to stop at. With `level`: the first at which the process's own live
 * bytes, without what it inherited, are as many, not before from_s nor after
 * at_s. */
struct run_moment {
	double from_s, at_s; /* of the process's time */
	double slack_s;	     /* what is as close to from_s is at it */
	uint64_t level;	     /* 0: at_s it is */
	bool found;
	double found_s;
};

/* A trace that may be a parent's. */
struct run_known {
	uint8_t id[16];
	const char *path;
};

/* Of a process that still runs: how far each stream had come at one instant. */
struct run_instant {
	struct run_stream_end {
		uint32_t stream;
		uint64_t cells;
	} * ends;
	size_t count;
	uint32_t streams; /* numbers that were given out; a later one is of no account */
	uint64_t ticks;
};

/* What lives at the end, block by block. The lists are malloc'ed; spans.h, reach.h. */
struct reach_block;
struct spans;
struct run_live {
	struct reach_block *blocks; /* `site` is a place in run->sites */
	size_t count;
	uint32_t *file_nodes;	/* by the run's node; 0: the file does not have it */
	size_t inherited_sites; /* how many of run->sites, the first ones, came by a fork */
	/* What the program mapped itself, not its allocator, whose code lies in
	 * [allocator_start, allocator_end). Given. */
	struct spans *mapped;
	uint64_t allocator_start, allocator_end;
};

/* What became of a block. */
struct heap_change {
	enum heap_event {
		HEAP_COMES,
		HEAP_GOES,
		HEAP_IS_REPLACED, /* by a realloc, whose new block comes next */
	} what;
	uint32_t node; /* the stack that allocated it */
	uint64_t address, size;
};

struct run_options {
	progress_fn *progress; /* may be NULL */
	void *progress_context;
	/* Called once, when all stacks and modules of the run are there, before its events
	 * (so many) are read. May be NULL. */
	void (*stacks_known)(void *context, const struct run *run, uint64_t events);
	void *stacks_context;
	bool for_tree;		       /* keep what adding processes up needs: profile, recorders */
	const struct run_known *known; /* where else to look for parents */
	size_t known_count;
	const struct thresholds *thresholds; /* of findings; NULL: as they are */
	struct run_moment *moment;   /* not NULL: the heap, without what was inherited, then */
	const struct run_view *view; /* NULL: all of it */
	bool activity;		     /* keep run->activity, in slices that begin so long before */
	double activity_before_s;    /* the process's start */
	const struct run_instant *instant; /* not NULL: nothing after it */
	struct run_live *live;		   /* not NULL: to be filled */
	/* Told of each block, see heap_watch_fn in heap.h; NULL. */
	void (*heap_watch)(void *context, const struct run *run, double ns,
			   const struct heap_change *change);
	void *heap_context;
};

/* Read and replay a whole trace. 0, or -1 with *e filled. A damaged trace gives
 * what can be saved, complete = false and a notice. */
int run_load(struct run *run, const char *path, const struct run_options *options, struct error *e);
void run_free(struct run *run);

/* What puts traces in order before they are replayed. */
struct run_head {
	uint8_t id[16];
	uint64_t started_ns;
	int pid;
};
/* The recorders that options.for_tree kept; they are not needed for printing. */
void run_free_recorders(struct run *run);

/* What describes the process, without its events: no sums. duration_s is NaN where
 * only the events tell it. run_free() after success. */
int run_outline(struct run *run, const char *path, struct error *e);

/* What the figures are about: from here to there, and how long that is. Seconds. */
static inline double run_start_s(const struct run *run)
{
	return run->view.windowed ? run->view.from_s : 0;
}

static inline double run_end_s(const struct run *run)
{
	return run->view.windowed ? run->view.to_s : run->duration_s;
}

static inline double run_span_s(const struct run *run)
{
	return run->view.windowed ? run->view.to_s - run->view.from_s : run->duration_s;
}

/* The order of struct run's marks, for qsort(3). */
int mark_by_time(const void *a, const void *b);

/* Only the RUN block is read. */
int run_peek(struct run_head *head, const char *path, struct error *e);

/* Every event that counts in time order, for `dump`. `t_s` is seconds since start; `tid` the
 * thread's, `node` its stack in `run`: the event's own number is the file's, which may
 * have one stack twice. Return non-zero from `visit` to stop. */
struct ph_event;
typedef int event_fn(void *context, const struct run *run, int tid, double t_s,
		     const struct ph_event *event, uint32_t node, const char *function);
int run_dump(struct run *run, const char *path, const struct run_options *options, event_fn *visit,
	     void *context, struct error *e);

#endif
