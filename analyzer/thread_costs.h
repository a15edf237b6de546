/* SPDX-License-Identifier: MIT */
/* What each stack cost, thread by thread: from the run's activity (activity.h), which
 * must have been asked for. */
#ifndef PH_ANALYZER_THREAD_COSTS_H
#define PH_ANALYZER_THREAD_COSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/costs.h"
#include "analyzer/error.h"
#include "analyzer/run.h"

#define THREAD_UNKNOWN UINT32_MAX

struct thread_sample {
	uint32_t node;	       /* of the run; 0: no stack */
	uint32_t thread;       /* as struct thread's number; THREAD_UNKNOWN */
	uint64_t value, count; /* as struct cost_sample's */
};

struct thread_samples {
	struct thread_sample *list; /* by node, malloc'ed; none is 0 */
	size_t count;
};

/* Is it known by thread? That of the peak is not. */
bool thread_costs_known(const struct cost *cost);

/* Each stack's add up to what costs_of() says; what no thread is known for is
 * THREAD_UNKNOWN's. 0, or -1 with *e filled: out of memory. By free(3) of the list. */
int thread_costs_of(const struct run *run, const struct cost *cost, struct thread_samples *samples,
		    struct error *e);

#endif
