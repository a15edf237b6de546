/* SPDX-License-Identifier: MIT */
/*
 * What was not seen: the kernel's own count of bytes against those of the events,
 * and what the recorder knows it could not see.
 */
#ifndef PH_ANALYZER_COVERAGE_H
#define PH_ANALYZER_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/arena.h"
#include "analyzer/meta.h"
#include "analyzer/run.h"
#include "trace/cell.h"

/* While the events go by. */
struct coverage_count {
	uint8_t direction[256];	     /* by op: enum coverage_direction, or'ed */
	uint64_t from, to, looked;   /* ticks: calls that began within count */
	uint64_t (*seen)[2];	     /* by thread: read, written */
	bool known, threads, wanted; /* see struct meta */
};

enum coverage_direction {
	COVERAGE_NONE = 0,
	COVERAGE_READ = 1,
	COVERAGE_WRITTEN = 2,
	COVERAGE_REQUESTED = 4, /* its second word says which */
};

/* Nobody could look when it was killed: for how many ticks the count is older than
 * the end. 0: it is not. */
uint64_t coverage_age(const struct meta *m);

/* Of an AIO_RETURN. */
unsigned coverage_of_request(const struct ph_call *call);

/* False: no memory. */
bool coverage_begin(struct coverage_count *c, const struct meta *m, size_t threads);
void coverage_free(struct coverage_count *c);

static inline void coverage_add(struct coverage_count *c, size_t thread, const struct ph_call *call)
{
	unsigned direction = c->direction[call->op];

	if (direction == COVERAGE_NONE || call->result <= 0 || call->entry < c->from ||
	    call->entry > c->to)
		return;
	if (direction == COVERAGE_REQUESTED)
		direction = coverage_of_request(call);
	if (direction & COVERAGE_READ)
		c->seen[thread][0] += (uint64_t)call->result;
	if (direction & COVERAGE_WRITTEN)
		c->seen[thread][1] += (uint64_t)call->result;
}

/* Fills run->coverage. `gone[i]`: thread i was gone when the kernel was asked. */
void coverage_result(const struct coverage_count *c, const struct meta *m, const bool *gone,
		     struct run *run);

/* A sentence if what was missed matters: more than 1 % and 4 KiB of a direction.
 * NULL: nothing to say. */
const char *coverage_text(const struct coverage *c, uint64_t dropped, struct arena *arena);

/* Sentences for what the recorder said it could not see; NULL past the last. */
const char *coverage_known(const struct meta *m, unsigned i, struct arena *arena);

#endif
