/* SPDX-License-Identifier: MIT */
#include "bench/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* heaptrack does not see all that libc allocates at the start and the end. */
enum { FEW = 50 };

/* What added nothing that can be measured is as good as this. */
static const double least_added_ns = 0.1;
static const double best_ratio = 1000;

bool more_is_better(enum measure m)
{
	return m == ADDED_RATIO || m == TOTAL_RATIO || m == STRACE_RATIO || m == REPORT_RATE ||
	       m == REPORT_RATIO || m == LOOK_RATE;
}

double reached(const struct row *row, const struct figure *f)
{
	return more_is_better(row->measure) ? f->value / row->bar : row->bar / f->value;
}

static bool is_reading(enum measure m)
{
	return m == REPORT_RATE || m == REPORT_RATIO || m == REPORT_BYTES || m == REPORT_GROWTH;
}

static bool is_looking(enum measure m)
{
	return m == LOOK_PAUSE || m == LOOK_RATE;
}

static bool names(const struct row *row, const struct workload *w)
{
	if (row->workload == NULL)
		return w->flags & REAL;
	return strcmp(row->workload, w->name) == 0 ||
	       (row->other != NULL && strcmp(row->other, w->name) == 0);
}

bool is_timed_for(const struct row *row, const struct workload *w)
{
	return !is_reading(row->measure) && !is_looking(row->measure) && names(row, w);
}

bool is_read_for(const struct row *row, const struct workload *w)
{
	return is_reading(row->measure) && names(row, w);
}

bool is_looked_at_for(const struct row *row, const struct workload *w)
{
	return is_looking(row->measure) && names(row, w);
}

/* ---- medians ---------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. */
static double median(double *values, unsigned n)
{
	if (n == 0)
		return NAN;
	qsort(values, n, sizeof(*values), by_size);
	return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Median, least and most of one value for each pair of runs. */
static void settle(struct figure *f, double *values, unsigned n)
{
	f->value = median(values, n);
	f->low = n > 0 ? values[0] : NAN;
	f->high = n > 0 ? values[n - 1] : NAN;
}

typedef double (*sample_value)(const struct series *s, enum mode mode, unsigned run);

static double median_of(const struct series *s, enum mode mode, sample_value value)
{
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		values[i] = value(s, mode, i);
	return median(values, s->runs);
}

/* ---- values of one run ---------------------------------------------------------- */

/* Calls that the program counted, or else events that perfhook recorded. */
static double calls(const struct series *s, unsigned run)
{
	const struct sample *one = &s->s[PERFHOOK][run];

	return one->calls > 0 ? (double)one->calls : (double)one->events;
}

static double work_a_call(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].work_ns / calls(s, run);
}

static double total_a_call(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].total_s * 1e9 / calls(s, run);
}

static double total_ms(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].total_s * 1e3;
}

/* For a server: all CPU of a request. */
static double total_a_unit(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].total_s / s->s[mode][run].units;
}

static double wall_ms(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].wall_s * 1e3;
}

static double rss_mib(const struct series *s, enum mode mode, unsigned run)
{
	return s->s[mode][run].rss_kib / 1024;
}

static double added(const struct series *s, enum mode mode, unsigned run, sample_value value)
{
	return value(s, mode, run) - value(s, UNRECORDED, run);
}

static double median_added(const struct series *s, enum mode mode, sample_value value)
{
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		values[i] = added(s, mode, i, value);
	return runs_in(s->w, mode) ? median(values, s->runs) : NAN;
}

/* ---- figures ---------------------------------------------------------------------- */

static struct figure added_figure(const struct series *s, sample_value value, const char *unit)
{
	return (struct figure){.unrecorded = median_of(s, UNRECORDED, value),
			       .perfhook = median_added(s, PERFHOOK, value),
			       .heaptrack = median_added(s, HEAPTRACKED, value),
			       .unit = unit};
}

static struct figure added_ratio(const struct series *s, sample_value value)
{
	struct figure f = added_figure(s, value, "+ns");
	double ratios[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++) {
		double ours = fmax(added(s, PERFHOOK, i, value), least_added_ns);

		ratios[i] = fmin(added(s, HEAPTRACKED, i, value) / ours, best_ratio);
	}
	settle(&f, ratios, s->runs);
	return f;
}

/* The column of heaptrack is strace's. */
static struct figure strace_ratio(const struct series *s)
{
	struct figure f = added_figure(s, total_a_call, "+ns");
	double ratios[MAX_RUNS];

	f.heaptrack = median_added(s, STRACED, total_a_call);
	for (unsigned i = 0; i < s->runs; i++) {
		double ours = fmax(added(s, PERFHOOK, i, total_a_call), least_added_ns);

		ratios[i] = fmin(added(s, STRACED, i, total_a_call) / ours, best_ratio);
	}
	settle(&f, ratios, s->runs);
	return f;
}

static struct figure added_amount(const struct series *s, sample_value value, const char *unit)
{
	struct figure f = added_figure(s, value, unit);
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		values[i] = added(s, PERFHOOK, i, value);
	settle(&f, values, s->runs);
	return f;
}

static struct figure growth(const struct series *s, const struct series *one)
{
	struct figure f = added_figure(s, work_a_call, "+ns");
	double base = fmax(median_added(one, PERFHOOK, work_a_call), least_added_ns);
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		values[i] = added(s, PERFHOOK, i, work_a_call) / base;
	settle(&f, values, s->runs);
	return f;
}

static struct figure slowdown(const struct series *s, enum mode over)
{
	struct figure f = {.unrecorded = median_of(s, UNRECORDED, total_ms),
			   .perfhook = median_of(s, PERFHOOK, total_ms),
			   .heaptrack = median_of(s, HEAPTRACKED, total_ms),
			   .unit = "ms"};
	double ratios[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		ratios[i] = total_a_unit(s, PERFHOOK, i) / total_a_unit(s, over, i);
	settle(&f, ratios, s->runs);
	if (s->s[PERFHOOK][0].units > 1) { /* a request's */
		f.unrecorded = median_of(s, UNRECORDED, total_a_unit) * 1e6;
		f.perfhook = median_of(s, PERFHOOK, total_a_unit) * 1e6;
		f.heaptrack = median_of(s, HEAPTRACKED, total_a_unit) * 1e6;
		f.unit = "us each";
	}
	return f;
}

static double heaptrack_slowdown(const struct series *s)
{
	double ratios[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		ratios[i] = total_a_unit(s, HEAPTRACKED, i) / total_a_unit(s, UNRECORDED, i);
	return median(ratios, s->runs);
}

static double trace_bytes(const struct series *s, enum mode mode, unsigned run)
{
	double events = (double)s->s[PERFHOOK][run].events;

	return (double)s->s[mode][run].size / s->s[mode][run].units /
	       (events / s->s[PERFHOOK][run].units);
}

static double kept_bytes(const struct series *s, enum mode mode, unsigned run)
{
	return trace_bytes(s, mode, run) / (double)s->s[mode][run].size *
	       (double)s->s[mode][run].kept;
}

/* The geometric mean over the real programs, and the least and most of them. */
static struct figure over_real(const struct row *row, const struct series *all)
{
	struct figure f = {.unrecorded = NAN, .low = INFINITY, .high = -INFINITY, .unit = "x"};
	double logs[2] = {0, 0}, value[2], n = 0;

	for (size_t i = 0; i < workload_count; i++) {
		const struct series *s = &all[i];

		if (s->runs == 0 || !(s->w->flags & REAL))
			continue;
		if (row->measure == SLOWDOWN) {
			value[0] = slowdown(s, UNRECORDED).value;
			value[1] = heaptrack_slowdown(s);
		} else {
			sample_value of = row->measure == TRACE_BYTES ? trace_bytes : kept_bytes;

			value[0] = median_of(s, PERFHOOK, of);
			value[1] = median_of(s, HEAPTRACKED, kept_bytes);
			f.unit = "B each";
		}
		logs[0] += log(value[0]);
		logs[1] += log(value[1]);
		n++;
		if (row->measure == KEPT_RATIO)
			value[0] /= value[1];
		f.low = fmin(f.low, value[0]);
		f.high = fmax(f.high, value[0]);
	}
	f.perfhook = exp(logs[0] / n);
	f.heaptrack = exp(logs[1] / n);
	f.value = row->measure == KEPT_RATIO ? f.perfhook / f.heaptrack : f.perfhook;
	return f;
}

static struct figure thread_memory(const struct series *s, const struct series *one)
{
	struct figure f = added_figure(s, rss_mib, "+MiB");
	double more = fmax(s->s[PERFHOOK][0].threads, 1),
	       base = median_added(one, PERFHOOK, rss_mib);
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->runs; i++)
		values[i] = (added(s, PERFHOOK, i, rss_mib) - base) * 1024 / more;
	settle(&f, values, s->runs);
	return f;
}

/* ---- reading the recordings ------------------------------------------------------ */

static double read_ms(const struct series *s, enum mode mode, unsigned run)
{
	return s->read[mode][run].wall_s * 1e3;
}

static double read_mib(const struct series *s, enum mode mode, unsigned run)
{
	return s->read[mode][run].rss_kib / 1024;
}

static double median_read(const struct series *s, enum mode mode, sample_value value)
{
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->readings; i++)
		values[i] = value(s, mode, i);
	return s->w->flags & HEAPTRACK || mode != HEAPTRACKED ? median(values, s->readings) : NAN;
}

static struct figure reading_figure(const struct row *row, const struct series *s,
				    const struct series *other)
{
	bool memory = row->measure == REPORT_BYTES || row->measure == REPORT_GROWTH;
	struct figure f = {.unrecorded = NAN, .unit = memory ? "MiB" : "ms"};
	double values[MAX_RUNS], base = memory ? median_read(other, PERFHOOK, read_mib) : 0;

	f.perfhook = median_read(s, PERFHOOK, memory ? read_mib : read_ms);
	f.heaptrack = median_read(s, HEAPTRACKED, memory ? read_mib : read_ms);
	for (unsigned i = 0; i < s->readings; i++) {
		double ms = read_ms(s, PERFHOOK, i), mib = read_mib(s, PERFHOOK, i);

		if (row->measure == REPORT_RATE)
			values[i] = (double)s->file[PERFHOOK].events / ms / 1e3;
		else if (row->measure == REPORT_RATIO)
			values[i] = read_ms(s, HEAPTRACKED, i) / ms;
		else if (row->measure == REPORT_GROWTH)
			values[i] = mib / base;
		else
			values[i] = (mib - base) * 1048576 /
				    ((double)s->file[PERFHOOK].peak_blocks -
				     (double)other->file[PERFHOOK].peak_blocks);
	}
	settle(&f, values, s->readings);
	return f;
}

static struct figure looking_figure(const struct row *row, const struct series *s)
{
	bool pause = row->measure == LOOK_PAUSE;
	struct figure f = {.unrecorded = NAN, .heaptrack = NAN, .unit = pause ? "ms" : "GiB/s"};
	double values[MAX_RUNS];

	for (unsigned i = 0; i < s->looks; i++)
		values[i] = pause ? s->look[i].pause_ms : s->look[i].gib / s->look[i].wall_s;
	settle(&f, values, s->looks);
	f.perfhook = f.value;
	return f;
}

/* ---- whether it may be believed --------------------------------------------------- */

static const char *problem_of(const struct series *s)
{
	for (unsigned mode = 0; mode < MODES; mode++) {
		for (unsigned i = 0; i < s->runs; i++)
			if (s->s[mode][i].problem[0] != '\0')
				return s->s[mode][i].problem;
		if (s->readings > 0 && s->file[mode].problem[0] != '\0')
			return s->file[mode].problem;
		for (unsigned i = 0; i < s->readings; i++)
			if (mode != STRACED && !s->read[mode][i].fine)
				return mode == PERFHOOK ? "perfhook report failed"
							: "heaptrack_interpret or _print failed";
	}
	for (unsigned i = 0; i < s->looks; i++)
		if (!s->look[i].fine)
			return "perfhook leaks --pid failed, or did not find what is lost";
	return disagreement(s);
}

const char *disagreement(const struct series *s)
{
	static char text[160];
	double slack = s->w->client != NULL ? 0.1 : 0.001;

	for (unsigned i = 0; i < s->runs && s->w->flags & HEAPTRACK; i++) {
		const struct sample *a = &s->s[PERFHOOK][i], *b = &s->s[HEAPTRACKED][i];
		double ours = (double)a->recorded_allocations,
		       theirs = (double)b->recorded_allocations;

		theirs *= a->units / b->units;
		if (fabs(ours - theirs) <= slack * theirs + FEW)
			continue;
		snprintf(text, sizeof(text), "perfhook recorded %.0f allocations, heaptrack %.0f",
			 ours, theirs);
		return text;
	}
	return NULL;
}

static const char *any_problem(const struct row *row, const struct series *all)
{
	const char *problem = NULL;

	for (size_t i = 0; i < workload_count && problem == NULL; i++)
		if (is_timed_for(row, &workloads[i]) || is_read_for(row, &workloads[i]) ||
		    is_looked_at_for(row, &workloads[i]))
			problem = problem_of(&all[i]);
	return problem;
}

static const struct series *find(const struct series *all, const char *name)
{
	for (size_t i = 0; i < workload_count && name != NULL; i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &all[i];
	return NULL;
}

struct figure figure_of(const struct row *row, const struct series *all)
{
	const struct series *s = find(all, row->workload), *other = find(all, row->other);
	struct figure f;

	switch (row->measure) {
	case ADDED_RATIO:
		f = added_ratio(s, work_a_call);
		break;
	case TOTAL_RATIO:
		f = added_ratio(s, total_a_call);
		break;
	case ADDED_NS:
		f = added_amount(s, work_a_call, "+ns");
		break;
	case STRACE_RATIO:
		f = strace_ratio(s);
		break;
	case GROWTH:
		f = growth(s, other);
		break;
	case BELOW_HEAPTRACK:
		f = slowdown(s, HEAPTRACKED);
		break;
	case STARTUP_MS:
		f = added_amount(s, wall_ms, "+ms");
		break;
	case RSS_MIB:
		f = added_amount(s, rss_mib, "+MiB");
		break;
	case THREAD_RSS_KIB:
		f = thread_memory(s, other);
		break;
	case SLOWDOWN:
	case TRACE_BYTES:
	case KEPT_RATIO:
		f = over_real(row, all);
		break;
	case LOOK_PAUSE:
	case LOOK_RATE:
		f = looking_figure(row, s);
		break;
	default:
		f = reading_figure(row, s, other);
	}
	f.problem = any_problem(row, all);
	return f;
}
