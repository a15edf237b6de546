/* SPDX-License-Identifier: MIT */
/*
 * run BUILD RESULTS.json: runs what the rows of bench/rows.c need, prints them as a
 * table and writes them as JSON. From the environment: ROWS (only rows with this in
 * their name), BENCH_RUNS (5), BENCH=full, HEAPTRACK (the folder of its library).
 * Ends with 0 if every row passes, 1 if not. docs/performance.md explains it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "bench/figures.h"
#include "bench/process.h"

enum { DEFAULT_RUNS = 5, STARTUPS_A_RUN = 4, LIMIT_S = 180, FULL_LIMIT_S = 3600 };

static bool is_full(void)
{
	const char *mode = getenv("BENCH");

	return mode != NULL && strcmp(mode, "full") == 0;
}

static bool is_there(const struct workload *w)
{
	return !(w->flags & FULL) || is_full();
}

static const struct workload *workload_named(const char *name)
{
	for (size_t i = 0; i < workload_count && name != NULL; i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}

static bool is_wanted(const struct row *row)
{
	const char *pattern = getenv("ROWS");
	const struct workload *w = workload_named(row->workload);

	return (w == NULL || is_there(w)) &&
	       (pattern == NULL || strstr(row->name, pattern) != NULL);
}

static bool is_asked(const struct workload *w,
		     bool (*asks)(const struct row *, const struct workload *))
{
	for (size_t i = 0; i < row_count; i++)
		if (is_wanted(&rows[i]) && is_there(w) && asks(&rows[i], w))
			return true;
	return false;
}

/* ---- running ------------------------------------------------------------------ */

static void complain(const struct workload *w, const char *problem)
{
	if (problem != NULL && problem[0] != '\0')
		fprintf(stderr, "  %s: %s\n", w->name, problem);
}

/* In turn, so that a machine that gets slower does so for all three. */
static void time_it(struct series *s, unsigned runs)
{
	struct sample warm_up;

	measure(s->w, UNRECORDED, false, &warm_up);
	for (unsigned i = 0; i < runs; i++)
		for (unsigned mode = 0; mode < MODES; mode++) {
			if (!runs_in(s->w, mode))
				continue;
			measure(s->w, mode, false, &s->s[mode][i]);
			complain(s->w, s->s[mode][i].problem);
		}
	s->runs = runs;
	complain(s->w, disagreement(s));
}

static void read_it(struct series *s, unsigned runs)
{
	bool both = s->w->flags & HEAPTRACK;

	measure(s->w, PERFHOOK, true, &s->file[PERFHOOK]);
	complain(s->w, s->file[PERFHOOK].problem);
	if (both)
		measure(s->w, HEAPTRACKED, true, &s->file[HEAPTRACKED]);
	for (unsigned i = 0; i < runs; i++) {
		s->read[UNRECORDED][i].fine = true;
		s->read[PERFHOOK][i] = read_by_perfhook();
		s->read[HEAPTRACKED][i].fine = true;
		if (both)
			s->read[HEAPTRACKED][i] = read_by_heaptrack();
	}
	s->readings = runs;
}

static void run_all(struct series *all, unsigned runs)
{
	for (size_t i = 0; i < workload_count; i++) {
		struct series *s = &all[i];
		double start = wall_s();
		bool timed, read, looked;

		s->w = &workloads[i];
		timed = is_asked(s->w, is_timed_for);
		read = is_asked(s->w, is_read_for);
		looked = is_asked(s->w, is_looked_at_for);
		if (!timed && !read && !looked)
			continue;
		fprintf(stderr, "  %-12s", s->w->name);
		if (timed && s->w->flags & STARTUP)
			time_it(s, runs * STARTUPS_A_RUN);
		else if (timed)
			time_it(s, runs);
		if (read)
			read_it(s, s->w->flags & FULL ? 1 : runs);
		if (looked) {
			look_at(s->w, s->look, runs);
			s->looks = runs;
		}
		fprintf(stderr, "%6.1f s\n", wall_s() - start);
	}
}

/* ---- the table ------------------------------------------------------------------ */

static void print_number(double value, int width)
{
	if (isnan(value))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, fabs(value) < 10 ? 2 : fabs(value) < 100 ? 1 : 0, value);
}

static void verdict_of(const struct row *row, const struct figure *f, char *out, size_t room)
{
	double r = reached(row, f);

	if (f->problem != NULL)
		snprintf(out, room, "FAIL");
	else if (r >= 1)
		snprintf(out, room, "PASS");
	else
		snprintf(out, room, "missed %.2fx", 1 / r);
}

static void print_row(const struct row *row, const struct figure *f)
{
	char verdict[32];

	verdict_of(row, f, verdict, sizeof(verdict));
	printf("%-45s", row->name);
	print_number(f->unrecorded, 8);
	print_number(f->perfhook, 8);
	print_number(f->heaptrack, 9);
	printf(" %-7s |", f->unit);
	print_number(f->value, 7);
	printf(" %s %-5g |", more_is_better(row->measure) ? ">=" : "<=", row->bar);
	print_number(f->low, 7);
	printf(" ..");
	print_number(f->high, 7);
	printf(" | %s\n", verdict);
	if (f->problem != NULL)
		printf("    %s\n", f->problem);
}

static void add_number(cJSON *to, const char *name, double value)
{
	if (isfinite(value))
		cJSON_AddNumberToObject(to, name, value);
	else
		cJSON_AddNullToObject(to, name);
}

static cJSON *row_json(const struct row *row, const struct figure *f)
{
	cJSON *json = cJSON_CreateObject();
	char verdict[32];

	verdict_of(row, f, verdict, sizeof(verdict));
	cJSON_AddStringToObject(json, "row", row->name);
	cJSON_AddStringToObject(json, "unit", f->unit);
	add_number(json, "unrecorded", f->unrecorded);
	add_number(json, "perfhook", f->perfhook);
	add_number(json, "heaptrack", f->heaptrack);
	add_number(json, "figure", f->value);
	add_number(json, "least", f->low);
	add_number(json, "most", f->high);
	cJSON_AddBoolToObject(json, "more_is_better", more_is_better(row->measure));
	add_number(json, "bar", row->bar);
	cJSON_AddStringToObject(json, "verdict", verdict);
	if (f->problem != NULL)
		cJSON_AddStringToObject(json, "problem", f->problem);
	return json;
}

static cJSON *head_json(unsigned runs)
{
	cJSON *json = cJSON_CreateObject();
	struct utsname u;

	uname(&u);
	cJSON_AddNumberToObject(json, "schema", 1);
	cJSON_AddStringToObject(json, "kernel", u.release);
	cJSON_AddNumberToObject(json, "cores", core_count());
	cJSON_AddNumberToObject(json, "runs", runs);
	cJSON_AddBoolToObject(json, "full", is_full());
	return json;
}

/* What each workload was, for who wants another figure than the rows'. */
static cJSON *workload_json(const struct series *s)
{
	static const char *const names[MODES] = {"unrecorded", "perfhook", "heaptrack", "strace"};
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "workload", s->w->name);
	for (unsigned mode = 0; mode < MODES; mode++) {
		cJSON *list = cJSON_AddArrayToObject(json, names[mode]);

		for (unsigned i = 0; i < s->runs; i++) {
			const struct sample *one = &s->s[mode][i];
			cJSON *run = cJSON_CreateObject();

			add_number(run, "target_s", one->target_s);
			add_number(run, "total_s", one->total_s);
			add_number(run, "wall_s", one->wall_s);
			add_number(run, "work_ns", one->work_ns);
			add_number(run, "requests", one->units);
			add_number(run, "rss_kib", one->rss_kib);
			add_number(run, "events", (double)one->events);
			add_number(run, "allocations", (double)one->recorded_allocations);
			add_number(run, "bytes", (double)one->size);
			add_number(run, "kept_bytes", (double)one->kept);
			cJSON_AddItemToArray(list, run);
		}
	}
	return json;
}

static bool write_json(const char *path, cJSON *json)
{
	char *text = cJSON_Print(json);
	FILE *f = fopen(path, "we");
	bool fine = f != NULL && text != NULL && fputs(text, f) >= 0;

	if (f != NULL && fclose(f) != 0)
		fine = false;
	if (!fine)
		perror(path);
	free(text);
	return fine;
}

static bool show(const struct series *all, unsigned runs, const char *path)
{
	cJSON *json = head_json(runs), *list = cJSON_AddArrayToObject(json, "rows"), *raw;
	unsigned passed = 0, shown = 0;
	bool fine;

	printf("\n%-45s %8s %8s %9s %-7s | %7s %-8s | %-18s |\n", "", "without", "perfhook",
	       "heaptrack", "", "figure", "bar", "least .. most");
	for (size_t i = 0; i < row_count; i++) {
		struct figure f;

		if (!is_wanted(&rows[i]))
			continue;
		f = figure_of(&rows[i], all);
		print_row(&rows[i], &f);
		cJSON_AddItemToArray(list, row_json(&rows[i], &f));
		passed += f.problem == NULL && reached(&rows[i], &f) >= 1;
		shown++;
	}
	raw = cJSON_AddArrayToObject(json, "workloads");
	for (size_t i = 0; i < workload_count; i++)
		if (all[i].runs > 0)
			cJSON_AddItemToArray(raw, workload_json(&all[i]));
	printf("\n%u of %u rows pass; medians of %u paired runs; all in %s\n", passed, shown, runs,
	       path);
	fine = write_json(path, json) && passed == shown && shown > 0;
	cJSON_Delete(json);
	return fine;
}

static unsigned wanted_runs(void)
{
	const char *s = getenv("BENCH_RUNS");
	unsigned long n = s != NULL ? strtoul(s, NULL, 10) : 0;

	return n == 0			       ? DEFAULT_RUNS
	       : n > MAX_RUNS / STARTUPS_A_RUN ? MAX_RUNS / STARTUPS_A_RUN
					       : (unsigned)n;
}

static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);

	if (real == NULL) {
		perror(path);
		exit(2);
	}
	return real;
}

int main(int argc, char **argv)
{
	static struct series all[64];
	const char *heaptrack = getenv("HEAPTRACK");
	bool fine;

	if (argc != 3 || workload_count > sizeof(all) / sizeof(all[0])) {
		fprintf(stderr, "Usage: run BUILD RESULTS.json\n");
		return 2;
	}
	place.build = absolute(argv[1]);
	place.inputs = text_of("%s/bench/in", place.build);
	place.folder = text_of("%s/bench/recordings", place.build);
	place.programs = absolute("bench/programs");
	place.heaptrack = absolute(heaptrack != NULL ? heaptrack : "/usr/lib/heaptrack");
	process_setup(is_full() ? FULL_LIMIT_S : LIMIT_S);
	run_all(all, wanted_runs());
	fine = show(all, wanted_runs(), argv[2]);
	return fine ? 0 : 1;
}
