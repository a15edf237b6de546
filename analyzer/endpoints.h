/* SPDX-License-Identifier: MIT */
/* Connections by whom they are to, or by the port that they were accepted at. */
#ifndef PH_ANALYZER_ENDPOINTS_H
#define PH_ANALYZER_ENDPOINTS_H

#include "analyzer/arena.h"
#include "analyzer/latency.h"
#include "analyzer/map.h"
#include "analyzer/run.h"

/* All zero is empty. */
struct endpoints {
	struct endpoint *list;
	size_t count, room;
	struct index by_name;
};

/* What is added to an endpoint has these names: compared by their text, kept. */
struct endpoint *endpoints_get(struct endpoints *e, const struct endpoint *wanted);

/* The endpoint of a connection, by its peer or by its own port; NULL: out of memory. */
struct endpoint *endpoints_of(struct endpoints *e, struct arena *arena, const struct connection *c);

/* Is it one of the endpoint's? */
bool endpoint_has(const struct endpoint *e, const struct connection *c);

/* A connection's sums, but its latencies; `end_s`: of the process. */
void endpoint_add(struct endpoint *to, const struct connection *c, double end_s);

/* Another process's sums; recorders are merged. False: out of memory. */
bool endpoint_merge(struct endpoint *to, const struct endpoint *from);

/* Into a recorder that is made where there is none. */
bool endpoint_record(struct recorder **to, const struct recorder *from);

/*
 * They become run->endpoints, most bytes first; how many connections were open at once
 * is counted by run->connections, whose endpoints are places in e's list until then.
 * Recorders become distributions, and stay if `keep`. False: out of memory.
 */
bool endpoints_finish(struct endpoints *e, struct run *run, bool keep);

void endpoint_free_recorders(struct endpoint *e);

#endif
