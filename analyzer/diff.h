/* SPDX-License-Identifier: MIT */
/*
 * What changed between two runs: sums, stacks, files and peers. Text and JSON print the
 * same struct diff. It borrows both reports. What is listed as changed, and what is
 * taken for noise, docs/counting.md says.
 */
#ifndef PH_ANALYZER_DIFF_H
#define PH_ANALYZER_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/costs.h"
#include "analyzer/diff_noise.h"
#include "analyzer/emit_json.h"
#include "analyzer/emit_text.h"
#include "analyzer/error.h"
#include "analyzer/report.h"
#include "analyzer/stack_match.h"

enum { DIFF_BEFORE, DIFF_AFTER, DIFF_SIDES };

/* One figure of both runs. */
struct diff_value {
	uint64_t value[DIFF_SIDES];
	uint64_t count[DIFF_SIDES]; /* blocks, allocations or calls beside it */
};

/* Which list a stack is in. */
enum diff_group {
	DIFF_MEMORY,
	DIFF_PEAK, /* allocates and leaves what it did, but held another part of the peak */
	DIFF_IO,
	DIFF_TIME,
	DIFF_GROUPS,
};

struct diff_stack {
	uint32_t node[DIFF_SIDES]; /* of one of its stacks; 0: none */
	struct diff_value costs[COST_COUNT];
	uint32_t changed; /* a bit for each of them */
	enum match_kind how;
	bool in[DIFF_SIDES];
};

/* A stack in a list. */
struct diff_entry {
	const struct diff_stack *stack;
	double growth; /* of what is largest of its group: the list's order */
};

/* Of a file or a peer. */
enum diff_figure {
	FIGURE_READ,	/* or received */
	FIGURE_WRITTEN, /* or sent */
	FIGURE_READ_CALLS,
	FIGURE_WRITE_CALLS,
	FIGURE_OPENS,	 /* or connections */
	FIGURE_METADATA, /* calls */
	FIGURE_ERRORS,
	FIGURE_COUNT,
};

struct diff_place {
	const char *name[DIFF_SIDES]; /* NULL: not used there */
	uint64_t figures[FIGURE_COUNT][DIFF_SIDES];
	double time_s[DIFF_SIDES];
	const struct io_facts *facts[DIFF_SIDES]; /* of a file; NULL: none */
	const struct endpoint *peer[DIFF_SIDES];  /* likewise */
	/* The stack in whose calls `most` changed most, of the first report->top places; or the
	 * one with most time in it. 0: none */
	uint32_t node[DIFF_SIDES];
	uint32_t changed;      /* a bit for each figure */
	enum diff_figure most; /* that changed most */
	double growth;	       /* of it */
};

struct diff_places {
	struct diff_place *list; /* changed ones; most growth first */
	size_t count;
};

struct diff {
	struct report *reports[DIFF_SIDES];
	const char *moments[DIFF_SIDES]; /* of one trace, as they were given; NULL: its end */
	struct diff_noise noise;
	struct diff_value totals[COST_COUNT];
	bool known[COST_COUNT]; /* in both runs */
	struct diff_stack *stacks;
	size_t stack_count;
	struct diff_entry *lists[DIFF_GROUPS];
	size_t list_counts[DIFF_GROUPS];
	struct diff_places files, peers;
	bool lineless[DIFF_SIDES], nameless[DIFF_SIDES]; /* the program, in that run */
	const char *build_id[DIFF_SIDES];		 /* the program's; NULL or "": not known */
	bool same_build;				 /* it is one file in both */
	bool stacks_unknown;	    /* in one of them it is nameless: no stack is listed */
	struct keyed_report *keyed; /* of both sides, while it is made */
};

/* 0, or -1 with *e filled. diff_close() in any case. */
int diff_open(struct diff *d, struct report *before, struct report *after,
	      const struct diff_noise *noise, struct error *e);
void diff_close(struct diff *d);

/* The costs that a list of stacks is about, a bit for each. */
uint32_t diff_group_costs(enum diff_group group);

/* Nothing is listed, and nothing is unknown. */
bool diff_is_empty(const struct diff *d);

/* Its parts (diff_places.c). 0, or -1 with *e filled. */
int diff_files(struct diff *d, struct error *e);
int diff_peers(struct diff *d, struct error *e);

/* Which stack a place's change is of (diff_blame.c). */
void diff_blame(const struct diff *d, struct diff_place *place);

/* The side whose stack of a place is to be shown. */
int diff_blamed_side(const struct diff_place *place);

void diff_text(struct diff *d, struct emit_text *t);
void diff_json(struct diff *d, struct emit_json *e);

#endif
