/* SPDX-License-Identifier: MIT */
/*
 * What a look at the figures would point at, each with its evidence, its stack and one
 * sentence of advice. A kind is a row of the table in findings.c and a function; none is
 * said without figures beyond its thresholds. docs/findings.md describes each,
 * docs/howto-add-a-finding.md how to add one.
 */
#ifndef PH_ANALYZER_FINDINGS_H
#define PH_ANALYZER_FINDINGS_H

#include "analyzer/arena.h"
#include "analyzer/habits.h"
#include "analyzer/loops.h"
#include "analyzer/run.h"
#include "analyzer/thresholds.h"

/* What the kinds look at, and where they put what they find. */
struct finder {
	struct run *run; /* all but its findings is there */
	struct arena *arena;
	const struct thresholds *thresholds;
	const struct habits *habits;
	const struct loops *loops;
	const char *const *names;	 /* of functions, by op */
	const struct finding_kind *kind; /* that is looked for */
	size_t room;
	bool failed; /* out of memory */
};

struct finding_kind {
	const char *name;
	const char *plural; /* "tiny writes" */
	const char *advice;
	unsigned of; /* RUN_OFF_...: it is not looked for where none of these was recorded */
	void (*find)(struct finder *f);
};
extern const struct finding_kind finding_kinds[];
extern const size_t finding_kind_count;

/* Fill run->findings. False: out of memory. */
bool findings_find(struct finder *f);

/* Was it looked for? */
bool finding_kind_known(const struct finding_kind *kind, const struct run *run);

/* The order of struct run's findings, for qsort(3). */
int finding_by_savings(const void *a, const void *b);

/* For the kinds. */
double finding_limit(const struct finder *f, enum threshold which);
/* One of the kind at hand, which moves when another is added; NULL: out of memory.
 * `what` is the arena's; saves_s NaN: that is not known. */
struct finding *finding_add(struct finder *f, uint32_t node, double saves_s, const char *what);
/* To a finding, or to NULL. Strings are the run's. */
void evidence_text(struct finding *to, const char *key, const char *text);
void evidence_count(struct finding *to, const char *key, uint64_t count);
void evidence_number(struct finding *to, const char *key, double number);

/* The kinds, of findings_heap.c, findings_io.c, findings_net.c and findings_waits.c. */
void find_tiny_writes(struct finder *f);
void find_tiny_reads(struct finder *f);
void find_rereads(struct finder *f);
void find_random_reads(struct finder *f);
void find_syncs(struct finder *f);
void find_round_trips(struct finder *f);
void find_reconnects(struct finder *f);
void find_slow_peers(struct finder *f);
void find_contention(struct finder *f);
void find_blocked_loops(struct finder *f);
void find_temporary(struct finder *f);
void find_leaks(struct finder *f);
void find_lost(struct finder *f);

#endif
