/* SPDX-License-Identifier: MIT */
/*
 * What a report says of a run beyond the run itself: ranks, evidence for leaks,
 * stacks with their names. Text and JSON print the same struct report. It
 * borrows the run and the symbols; strings in frames are the symbols'.
 */
#ifndef PH_ANALYZER_REPORT_H
#define PH_ANALYZER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/emit_json.h"
#include "analyzer/emit_text.h"
#include "analyzer/error.h"
#include "analyzer/module_class.h"
#include "analyzer/run.h"
#include "analyzer/symbols.h"
#include "analyzer/top.h"
#include "analyzer/tree.h"

#define LEAK_WHY      9
#define LEAK_WHY_ROOM 200

struct leak {
	const struct site *site;
	bool suspect;
	int score;			 /* 0 to 100 */
	const struct siblings *siblings; /* while it is judged */
	char why[LEAK_WHY][LEAK_WHY_ROOM];
	const char *clues[LEAK_WHY]; /* of which a sentence is: static; NULL: of none */
	int points[LEAK_WHY];
	size_t why_count;
	const struct suppression *suppressed; /* by this one; NULL: it is not */
};

/* A module that frames were looked up in and found without a name. */
struct nameless {
	const struct module *module;
	const char *reason; /* static sentence; NULL: this address has no name, others do */
	uint64_t bytes;	    /* at the peak, allocated by a frame of it */
};

#define STACK_MAX 4096 /* frames of one stack: deeper is recursion gone wild */

struct suppression;
struct suppressions;
struct looked_up; /* an address's frames, once asked for */

/* Where frames are kept once for all stacks: JSON names a stack by its number there. */
struct stack_numbers {
	uint32_t (*number)(void *context, uint32_t node);
	void *context;
};

#define REPORT_TOP 10 /* of each list in text, where nobody says */

struct report {
	const struct run *run;
	const struct tree *tree; /* of which the run is the sum; NULL: it is one trace's */
	struct symbols *symbols;
	size_t top; /* entries of each list at most */
	bool full;  /* text: whole stacks and names */

	const struct site **peak; /* most bytes first */
	size_t peak_count;
	const struct site **temporary; /* most temporary allocations first */
	size_t temporary_count;
	struct top *by;	    /* what is summed up; NULL: nothing was asked for */
	struct leak *leaks; /* suspects first: leak_by_rank() */
	size_t leak_count, suspect_count;
	uint64_t suspect_bytes;
	const struct suppressions *suppressions; /* NULL: none were given */
	uint64_t suppressed_bytes, suppressed_blocks;
	const struct connection **connections; /* most bytes first */
	size_t connection_count;

	struct nameless *nameless; /* most bytes first */
	size_t nameless_count;
	uint64_t nameless_bytes; /* at the peak, of stacks whose telling frame has no name */

	struct looked_up *looked_up;	     /* one an address of the run */
	const struct stack_numbers *numbers; /* NULL: JSON lists a stack's frames */
};

/* 0, or -1 with *e filled. report_close() in any case. */
int report_open(struct report *r, const struct run *run, struct symbols *symbols, size_t top,
		struct error *e);
void report_close(struct report *r);
/* Only what names need: stacks and frames of a run that is still being replayed, whose
 * stacks are all known. 0, or -1: out of memory. report_close() in any case. */
int report_names_open(struct report *r, const struct run *run, struct symbols *symbols);

/* Sums by function, file, ... into report->by. cost NULL: what suits `leaks`, or a report.
 * 0, or -1 with *e filled. */
int report_sum_up(struct report *r, enum top_by by, const struct cost *cost, bool leaks,
		  struct error *e);

/* A stack with names, innermost first, without our own library's frames. */
struct stack {
	struct frame *frames; /* malloc'ed */
	size_t count;
};

/* 0, or -1: out of memory. stack_free() after success. */
int report_stack(struct report *r, uint32_t node, struct stack *stack);
void stack_free(struct stack *stack);

/* The frames at a node's address, innermost first; *count 0: node 0, or our own
 * library's. NULL with *count 1: out of memory. Valid as long as the report. */
const struct frame *node_frames(struct report *r, uint32_t node, size_t *count);

/* A frame in one word: its function, or the place in its module's file ("lib.so+0x12"), or
 * the address of generated code. Malloc'ed; NULL: out of memory. */
char *frame_label(const struct frame *f);

/* The node of the frame that answers for an allocation: the innermost that is
 * neither ours nor of a runtime library nor _start, else the innermost but ours.
 * 0: none. */
uint32_t telling_node(struct report *r, uint32_t node);

/* The innermost frame's function at a node, or NULL. */
const char *node_function(struct report *r, uint32_t node);

/* Judge and rank all sites with live blocks (report_leaks.c). */
int rank_leaks(struct report *r, struct error *e);

/* What of a stack's live blocks has leaked: where pointers were searched for, what is lost,
 * be it suspect or not; else all of a suspect's. Nothing of what is suppressed. */
uint64_t leaked_bytes(const struct report *r, const struct leak *l);

/* Whether a leak is suppressed: by which; NULL: not. */
typedef const struct suppression *suppressed_fn(void *context, const struct leak *leak);

/* Take the leaks that are suppressed out of the suspects, and rank them anew. */
void suppress_leaks(struct report *r, const struct suppressions *s, suppressed_fn *suppressed,
		    void *context);

/* The path of its trace, of a tree of the first one. */
const char *report_trace_path(const struct report *r);

/* Where the address of a node is, as symbols take it; path NULL: in no module, or no
 * such node. */
struct symbols_place node_place(const struct run *run, uint32_t node);

/* The sections that a command prints (report_sections.c). */
enum report_kind {
	REPORT_WHOLE = 1 << 0,
	REPORT_LEAKS = 1 << 1,
	REPORT_IO = 1 << 2,
	REPORT_SUMS = 1 << 3, /* text: only sums by something (report_sum_up()) */
};

void report_text(struct report *r, enum report_kind kind, struct emit_text *t);
void report_json(struct report *r, enum report_kind kind, struct emit_json *e);
/* Every live block, judged: its address, size, class, and its stack as the rank of a leak. */
struct reach_block;
void report_json_blocks(struct report *r, const struct reach_block *blocks, size_t count,
			struct emit_json *e);
void report_text_blocks(struct report *r, const struct reach_block *blocks, size_t count,
			struct emit_text *t);
/* "processes": one element for each trace. */
void report_json_processes(struct report *r, struct emit_json *e);

/* One image of a report's tree, for its own sections; `run` is filled and must
 * live as long. 0, or -1: out of memory. report_image_close() in any case. */
int report_image(struct report *image, struct run *run, const struct report *r, size_t place);
void report_image_close(struct report *image);

#endif
