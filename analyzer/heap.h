/* SPDX-License-Identifier: MIT */
/*
 * The heap replayed: which blocks live, and what each stack holds. An allocation
 * is a successful call, sizes are the bytes asked for, and a realloc is one of
 * each but never counts both of its sizes. Memory follows what is live and what
 * is distinct.
 *
 * Within a tie of several streams (merge.h) events wait until they fit; one that
 * is forced is not given up at once: a free may find its block later in the
 * tie, and an allocation may share its address until the tie ends.
 */
#ifndef PH_ANALYZER_HEAP_H
#define PH_ANALYZER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/activity.h"
#include "analyzer/buckets.h"
#include "analyzer/clock.h"
#include "analyzer/history.h"
#include "analyzer/map.h"
#include "analyzer/mapped.h"
#include "analyzer/profile.h"
#include "analyzer/run.h"

/* Told of each block that comes to live or is no more, in the order in which live bytes
 * are counted: a realloc's old block is replaced before its new one comes. `ns` is the
 * coarse time since the process's start. */
typedef void heap_watch_fn(void *context, const struct run *run, double ns,
			   const struct heap_change *change);

#define HEAP_INHERITED UINT32_MAX /* the thread of blocks that a fork left */

struct heap_block {
	uint64_t address; /* 0: an empty slot */
	uint64_t size;
	struct history_place born;
	uint32_t site;
	uint32_t thread;
};

/* What a stack did: a struct site in the making. */
struct heap_site {
	uint32_t node;
	uint32_t reallocated;
	uint64_t epoch;	      /* in which it last changed: */
	uint64_t peak_number; /* saved_* are those of this peak; of an older one: live_* are */
	struct history_place place; /* in the period then */
	uint64_t live_bytes, live_blocks;
	uint64_t allocations, allocated_bytes, frees, temporary;
	uint64_t first, last; /* stamps of its allocations */
	uint64_t saved_bytes, saved_blocks;
	struct history_track track;
	struct spread spread;
};

/* What the replay keeps of each stream. */
struct heap_stream {
	uint32_t thread;
	bool pending;		 /* a realloc under way: */
	bool matched;		 /* its block was known */
	bool early;		 /* it was forced, see struct heap_early */
	struct heap_block block; /* that block: its bytes still count */
	uint64_t tie;		 /* the last tie it took part in: */
	int64_t change, highest; /* of the live bytes within it, by this stream */
};

struct replay_heap {
	struct clock *clock;
	/* Live blocks: open-addressed, at most 3/4 full. */
	struct heap_block *blocks;
	size_t block_count, block_limit, mask;
	unsigned shift;
	struct heap_site *sites; /* [0] unused */
	size_t site_count, site_room;
	uint32_t *site_of; /* by node */
	size_t node_count;
	uint64_t *last_allocation; /* by thread: its last block's address, if it lives */
	struct heap_stream *streams;
	size_t stream_count;

	struct heap sums;      /* the result in the making */
	uint64_t missed_frees; /* blocks whose address was allocated again */
	uint64_t now;	       /* coarse stamp */
	uint64_t grown_at, peak_at;
	uint64_t peak_number; /* counts the peaks so far */
	/* The periods of history.h. */
	uint64_t epoch;		       /* counts peaks and periods: see touch() */
	struct history_place born;     /* of what is allocated now */
	struct history_place place;    /* where this period began */
	unsigned at_unit, number_unit; /* shifts, from ticks and allocations to places */
	uint32_t number_step;	       /* 1: number_unit is 0 */
	uint64_t us_per_unit;	       /* of `at`; times 2^20 */
	uint64_t earlier_allocations;  /* before the window */
	uint64_t next_period;	       /* begins with this allocation, at the latest */
	struct history_axis axis;
	struct history_marks *marks;
	uint64_t requests, rounds;	  /* whoever replays counts them: see struct period */
	uint64_t high_bytes, high_blocks; /* since the last mark */
	struct buckets timeline;
	struct buckets rates; /* allocations and their bytes, up to `rated` */
	struct heap_rated {
		uint64_t allocations, bytes;
	} rated, marked;     /* marked: at the last mark */
	size_t rated_bucket; /* of the timeline: what comes after `rated` is in it, */
	double rated_ns;     /* from here on */
	/* Whoever replays says when it wants to know how much lives, and is told. */
	const uint64_t *sample_stamps;
	uint64_t *sample_live;
	size_t sample_count, sampled;
	struct mapped mapped;
	heap_watch_fn *watch; /* NULL: nobody's */
	void *watch_context;
	const struct run *watched_run;
	/* What the process allocated itself, since the last mark. */
	struct profile *profile;   /* the run's; NULL: not wanted */
	struct activity *activity; /* likewise */
	struct band own;
	bool own_changed;
	/* Only what has a later stamp than this counts; see heap_begin_window(). */
	bool windowed;
	bool filtered; /* some blocks are left out: see heap_leave_out() */
	uint64_t window;
	double window_ns;

	/* The tie in hand. */
	bool tied;
	uint64_t tie, tie_began_with, tie_highest, bound;
	uint64_t stretch_began_with;
	struct heap_freed *freed; /* what was freed lately, and by whom */
	struct heap_early *early; /* frees that were forced before their block */
	size_t early_count, early_room;
	struct map early_by_address;
	struct heap_shadow *shadows; /* blocks under one that was forced onto them */
	size_t shadow_count, shadow_room;
	struct map shadow_by_address;
	bool failed; /* out of memory */
};

/* Nodes are below `nodes`, threads below `threads`. The run has about so many events, the
 * last at about this stamp. false: out of memory; freed after that, too. */
bool heap_init(struct replay_heap *h, struct clock *clock, size_t nodes, size_t threads,
	       size_t streams, uint64_t events, uint64_t last);
void heap_free(struct replay_heap *h);

/* That many blocks are to be inherited. They come in the order of a table with the
 * same hash: in one that is smaller they would pile up at its beginning. */
void heap_expect(struct replay_heap *h, size_t blocks);

/* Its place among the sites is now, whenever it first has a block. */
void heap_know_site(struct replay_heap *h, uint32_t node);

/* A block that was live when the process began. */
void heap_inherit(struct replay_heap *h, uint64_t address, uint64_t size, uint32_t node);

/* Likewise, and it is not counted: as heap_leave_out(). */
void heap_inherit_left_out(struct replay_heap *h, uint64_t address, uint64_t size);

/* The coarse stamp of what follows; does not go back. */
void heap_advance(struct replay_heap *h, uint64_t stamp);

static inline void heap_time(struct replay_heap *h, uint64_t stamp)
{
	if (stamp > h->now)
		heap_advance(h, stamp);
}

void heap_alloc(struct replay_heap *h, struct heap_stream *s, uint64_t address, uint64_t size,
		uint32_t node);
void heap_release(struct replay_heap *h, struct heap_stream *s, uint64_t address);
/* A block that is not counted. It is there, so that its address is taken, but belongs to
 * no site (0); with such blocks `filtered` must be set, and what is freed goes this way. */
void heap_leave_out(struct replay_heap *h, struct heap_stream *s, uint64_t address, uint64_t size);
void heap_release_filtered(struct replay_heap *h, struct heap_stream *s, uint64_t address);
void heap_realloc_begin(struct replay_heap *h, struct heap_stream *s, uint64_t address);
void heap_realloc_failed(struct replay_heap *h, struct heap_stream *s);

/* Live bytes but those that were inherited. */
static inline uint64_t heap_own_bytes(const struct replay_heap *h)
{
	return h->sums.live_bytes - h->sums.inherited_live_bytes;
}

bool heap_is_live(const struct replay_heap *h, uint64_t address);
/* The live block in whose first 4 KiB an address lies; NULL: none. */
const struct heap_block *heap_holder(const struct replay_heap *h, uint64_t address);
void heap_prefetch(const struct replay_heap *h, uint64_t address);

/* Several streams share a stamp; within, a stream's stretch at a time. */
void heap_tie_begins(struct replay_heap *h);
void heap_stretch_begins(struct replay_heap *h, struct heap_stream *s);
void heap_stretch_ends(struct replay_heap *h, struct heap_stream *s);
void heap_tie_ends(struct replay_heap *h);

void heap_map(struct replay_heap *h, uint64_t address, uint64_t length);
void heap_unmap(struct replay_heap *h, uint64_t address, uint64_t length);
void heap_remap(struct replay_heap *h, uint64_t from, uint64_t from_length, uint64_t to,
		uint64_t length);
void heap_break(struct replay_heap *h, uint64_t end, int64_t change);

/* What is live now was there before what counts, which begins here, `ns` after the
 * process's start. Peaks and sums begin anew. */
void heap_begin_window(struct replay_heap *h, double ns);

/* Put back what reallocs under way hold. */
void heap_settle(struct replay_heap *h);

/* Live blocks: begin with *at = 0; NULL at the end. */
const struct heap_block *heap_next_block(const struct replay_heap *h, size_t *at);

/* No more events: series reach to end_ns. */
void heap_end(struct replay_heap *h, double end_ns);

/* The stamp of a block's place, as closely as that tells. */
static inline uint64_t heap_stamp(const struct replay_heap *h, uint32_t at)
{
	return h->clock->start + ((uint64_t)at << h->at_unit);
}

/* Ends the heap, and fills what run.h has of it and of sites. */
void heap_result(struct replay_heap *h, struct run *run, double end_ns);

#endif
