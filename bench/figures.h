/* SPDX-License-Identifier: MIT */
/* From the samples of workloads to the figure of a row. */
#ifndef PH_BENCH_FIGURES_H
#define PH_BENCH_FIGURES_H

#include "bench/look.h"
#include "bench/measure.h"
#include "bench/rows.h"

enum { MAX_RUNS = 100 };

/* All runs of a workload. */
struct series {
	const struct workload *w;
	unsigned runs; /* 0: it was not timed */
	struct sample s[MODES][MAX_RUNS];
	unsigned readings; /* 0: its recordings were not read */
	struct sample file[MODES];
	struct reading read[MODES][MAX_RUNS];
	unsigned looks; /* 0: it was not looked at */
	struct look look[MAX_RUNS];
};

struct figure {
	double unrecorded, perfhook, heaptrack; /* NAN: not measured */
	const char *unit;
	double value, low, high; /* medians, least and most of the paired runs */
	const char *problem;	 /* NULL: every run was what it claims */
};

/* `all` has one series for each of workloads[]. */
struct figure figure_of(const struct row *row, const struct series *all);

bool more_is_better(enum measure m);
/* 1 and more: reached. */
double reached(const struct row *row, const struct figure *f);
/* Does a row need this workload timed, or its recordings read? */
bool is_timed_for(const struct row *row, const struct workload *w);
bool is_read_for(const struct row *row, const struct workload *w);
/* Looked at while it runs? */
bool is_looked_at_for(const struct row *row, const struct workload *w);
/* Does heaptrack's recording hold as many allocations as perfhook's? NULL, or the problem. */
const char *disagreement(const struct series *series);

#endif
