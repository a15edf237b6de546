/* SPDX-License-Identifier: MIT */
/*
 * Several traces as one tree of processes, and one struct run that is the sum of
 * them all. An image is what one trace holds; exec gives a process another one.
 * Traces are added in the order of their starts (tree_order()), one at a time:
 * of each, only what its own part of the report needs is kept. Times are seconds
 * since the first image's start. Not thread-safe.
 */
#ifndef PH_ANALYZER_TREE_H
#define PH_ANALYZER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/activity.h"
#include "analyzer/arena.h"
#include "analyzer/endpoints.h"
#include "analyzer/map.h"
#include "analyzer/run.h"
#include "analyzer/stacks.h"

#define TREE_NONE SIZE_MAX

/* What a stack held when its process held most. */
struct tree_held {
	uint32_t node;
	uint64_t bytes, blocks;
};

struct tree_image {
	/* Without sites and stacks: its nodes are the tree's. */
	struct run run;
	double at_s;	 /* its start */
	double until_s;	 /* its end, or the next image's start */
	unsigned number; /* how many of its process's images come before it here */
	size_t process;
	uint64_t own_peak_bytes; /* of what it allocated itself */
	struct tree_held *held;	 /* only if nothing was inherited */
	size_t held_count;
};

struct tree_process {
	size_t first_image, image_count; /* places in images[] */
	size_t parent, parent_image;	 /* TREE_NONE: a root */
	size_t first_child, next;	 /* TREE_NONE: none */
	unsigned depth;
};

struct tree {
	/* After tree_finish() both in the tree's order: a process's images, then its
	 * children, each in order of their starts. */
	struct tree_image *images;
	size_t image_count, image_room;
	struct tree_process *processes;
	size_t process_count, root_count;
	/* What its traces were loaded with, in the tree's time: for the caller to set before
	 * it adds them. */
	struct run_view view;
	struct run run; /* the sum; what describes a process is the first one's */

	/* In the making. */
	struct arena *arena;
	struct stacks stacks;
	struct map site_by_node, traffic_by_node;
	struct index file_by_path, wait_by_all, finding_by_all;
	struct index function_by_name, resolved_by_name;
	struct endpoints endpoints;
	size_t mark_room, site_room, traffic_room, file_room, wait_room, finding_room, notice_room,
		function_room, resolved_room;
	struct tree_track *tracks; /* by site: its history in the making */
	size_t track_count, track_room;
	struct map thing_by_number; /* of the image that is added: kind and number to the tree's */
	uint32_t thread_number, connection_number; /* the next ones */
	uint64_t base_ns;			   /* since 1970: time 0 */
	/* Whose own bytes were as many at the peak, and after it not again soon. */
	uint64_t peak_level; /* 0: nobody's changed then */
	uint8_t peak_id[16];
	bool unreadable; /* a trace was left out */
	bool failed;	 /* out of memory */
};

/* A trace's place on the command line. */
struct tree_trace {
	const char *path;
	struct run_head head;
	bool usable; /* false: why stands in `error` */
	struct error error;
};

/* Read what orders the traces, and order them; the unusable ones come last. One
 * that is given twice is usable once. */
void tree_order(struct tree_trace *traces, size_t count);

/* 0, or -1 with *e filled: out of memory. tree_free() in any case. */
int tree_begin(struct tree *t, struct error *e);
/* Takes `run` over, also when it fails; loaded with options.for_tree. */
int tree_add(struct tree *t, struct run *run, struct error *e);
/* A trace that is no part of it, and why. */
void tree_leave_out(struct tree *t, const struct error *why);
/* The view of an image that starts at_s after the tree. */
struct run_view tree_view_of(const struct run_view *view, double at_s, const uint8_t id[16]);
/* All are added. Reads some of the traces a second time, up to the tree's peak. */
int tree_finish(struct tree *t, const struct run_options *options, struct error *e);
void tree_free(struct tree *t);

/* What one image was, over its stacks in the tree: borrows from both. */
struct run tree_image_run(const struct tree *t, size_t image);

/* Its parts (tree_history.c, tree_io.c, tree_links.c, tree_peak.c). */

/* An image's site becomes part of the tree's, whose history is there when it is settled. */
void tree_add_history(struct tree *t, const struct tree_image *image, const struct site *s,
		      const struct site *to);
bool tree_settle_history(struct tree *t); /* false: out of memory */
void tree_free_history(struct tree *t);

/* Files, connections and what belongs to them; the image's nodes become the tree's. */
void tree_add_io(struct tree *t, struct tree_image *image, struct map *known);
void tree_add_traffic(struct tree *t, struct traffic *to, const struct traffic *from);
/* Once the images are in their order. */
void tree_take_connection(struct tree *t, const struct tree_image *image,
			  const struct connection *c);
bool tree_settle_files(struct tree *t);	      /* false: out of memory */
bool tree_settle_connections(struct tree *t); /* likewise */
void tree_free_io(struct tree *t);

/* A file, connection or wait of the image that is added: the tree's number for its own. */
void tree_number(struct tree *t, const struct run *run, enum activity_kind kind, uint32_t number,
		 uint32_t to);
/* Once all of these have theirs. */
void tree_add_activity(struct tree *t, struct run *run, struct map *known);

/* Which images are a process, and whose child each process is; then all is put in
 * the tree's order. */
bool tree_link(struct tree *t);
/* The image that began this one's process; TREE_NONE: none of these. */
size_t tree_parent_image(const struct tree *t, size_t image);
/* The highest sum of live bytes, when it was, and who held it. */
int tree_find_peak(struct tree *t, const struct run_options *options, struct error *e);
/* A site of the tree's run by its node; NULL: out of memory. */
struct site *tree_site(struct tree *t, uint32_t node);
/* The end of what counts of an image, in the tree's time. */
double tree_until_s(const struct tree *t, const struct tree_image *image);
void tree_held_by(struct holder *h, const struct run *run, uint64_t bytes);

#endif
