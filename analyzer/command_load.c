/* SPDX-License-Identifier: MIT */
/* Loading the traces of a command line. */
#include "analyzer/command_load.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/command_view.h"
#include "analyzer/progress.h"
#include "analyzer/suppress.h"
#include "analyzer/vector.h"
#include "collector/collector.h"

/* Names that are looked up while events are read: of the first trace that has many. */
struct background {
	struct symbols *symbols;
	bool begun;
};

enum {
	FEW_EVENTS = 100000, /* read before names are, whoever begins first */
	OUTER_FRAMES = 4,    /* _start, two of libc, main */
	PLACES = 32,
	WARNINGS_MAX = 5,
};

static bool is_known(const struct symbols_place *places, size_t count, uint64_t pc)
{
	for (size_t i = 0; i < count; i++)
		if (places[i].pc == pc)
			return true;
	return false;
}

/* Whatever is shown has frames of the program itself and of libc. */
static bool is_shown_anyway(const struct run *run, const struct address *a)
{
	return a != NULL && a->module >= 0 &&
	       (address_class(run, a) == MODULE_LIBC ||
		strcmp(run->modules[a->module].path, run->executable) == 0);
}

/* The outermost frames' files are opened while the events are read. */
static void expect_names(void *context, const struct run *run, uint64_t events)
{
	struct background *b = context;
	struct symbols_place places[PLACES];
	size_t count = 0;

	if (b->begun || events < FEW_EVENTS)
		return;
	for (size_t i = 1; i < run->node_count && count < PLACES; i++) {
		const struct address *a = node_address(run, (uint32_t)i);
		uint32_t depth = 1, n = (uint32_t)i;

		while (depth <= OUTER_FRAMES && (n = run->nodes[n].parent) != 0)
			depth++;
		if (depth > OUTER_FRAMES || !is_shown_anyway(run, a) ||
		    is_known(places, count, a->pc))
			continue;
		places[count++] = (struct symbols_place){
			.path = run->modules[a->module].path,
			.build_id = run->modules[a->module].build_id,
			.base = run->modules[a->module].base,
			.pc = a->pc,
		};
	}
	b->begun = count != 0;
	if (b->begun)
		symbols_expect(b->symbols, places, count);
}

/* Only where nobody looks names up before. */
static void (*expects(const struct options *o))(void *, const struct run *, uint64_t)
{
	return o->stacks.count == 0 ? expect_names : NULL;
}

static int load_run(struct run *run, const char *path, const struct run_options *wanted,
		    struct error *e)
{
	char *what = format_name(path, 40, false);
	struct progress progress;
	struct run_options options = *wanted;
	int rc;

	options.progress = progress_update;
	options.progress_context = &progress;
	progress_begin(&progress, what != NULL ? what : "reading");
	rc = run_load(run, path, &options, e);
	progress_end(&progress);
	free(what);
	return rc;
}

int load_view(const char *path, const struct options *o, const struct run_filter *filter,
	      struct run_view *view, struct error *e)
{
	struct run whole;
	int rc;

	*view = (struct run_view){.filter = filter};
	if (!view_has_moments(o))
		return 0;
	if (run_outline(&whole, path, e) != 0)
		return -1;
	if (view_needs_all(o, &whole)) {
		const struct run_options all = {.thresholds = &o->thresholds, .view = view};

		run_free(&whole);
		if (load_run(&whole, path, &all, e) != 0)
			return -1;
	}
	rc = view_resolve(o, &whole, view, e);
	run_free(&whole);
	return rc;
}

static int load_one(struct loaded *l, const char *path, const struct options *o, struct error *e)
{
	struct background background = {.symbols = l->symbols};
	struct run_view view;
	const struct run_options options = {
		.stacks_known = expects(o),
		.stacks_context = &background,
		.thresholds = &o->thresholds,
		.view = &view,
		.activity = o->html || o->by_thread,
	};

	if (collector_finish_wait(path, e) != 0 ||
	    load_view(path, o, view_filter(&l->filter, o, l->symbols), &view, e) != 0)
		return -1;
	return load_run(&l->run, path, &options, e);
}

/* When a trace begins, in the tree's time. */
static double start_s(const struct tree_trace *first, const struct tree_trace *trace)
{
	return trace->head.started_ns != 0 && first->head.started_ns != 0
		       ? (double)(int64_t)(trace->head.started_ns - first->head.started_ns) / 1e9
		       : 0;
}

/* One that cannot be read is left out and named; memory ends it all. One that begins
 * behind what is asked for is no part of it. */
static int add_trace(struct tree *tree, const struct tree_trace *trace, double at_s,
		     const struct run_options *wanted, struct error *e)
{
	const struct run_view view = tree_view_of(&tree->view, at_s, trace->head.id);
	struct run_options options = *wanted;
	struct error why = trace->error;
	struct run run;

	options.view = &view;
	options.activity_before_s = at_s;
	if (trace->usable && view.windowed && view.to_s < 0)
		return 0;
	if (trace->usable && load_run(&run, trace->path, &options, &why) == 0)
		return tree_add(tree, &run, e);
	if (why.code == ERROR_MEMORY) {
		*e = why;
		return -1;
	}
	tree_leave_out(tree, &why);
	return 0;
}

static int finish_tree(struct tree *tree, const struct tree_trace *traces, struct error *e)
{
	struct progress progress;
	const struct run_view view = {.filter = tree->view.filter};
	const struct run_options options = {
		.progress = progress_update, .progress_context = &progress, .view = &view};
	int rc;

	if (tree->image_count == 0) {
		*e = traces[0].error;
		return e->code != 0 ? -1 : fail(e, ERROR_FORMAT, 0, "no trace could be read");
	}
	progress_begin(&progress, "the tree's peak");
	rc = tree_finish(tree, &options, e);
	progress_end(&progress);
	return rc;
}

/* The traces of a tree, in order. */
struct traces {
	struct tree_trace *list;
	struct run_known *known;
	size_t count;
};

static int open_traces(struct traces *t, char *const *paths, size_t count, struct error *e)
{
	*t = (struct traces){.list = calloc(count, sizeof(*t->list)),
			     .known = calloc(count, sizeof(*t->known)),
			     .count = count};
	if (t->list == NULL || t->known == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < count; i++) {
		t->list[i].path = paths[i];
		collector_finish_wait(paths[i], &t->list[i].error);
	}
	tree_order(t->list, count);
	for (size_t i = 0; i < count; i++) {
		t->known[i].path = t->list[i].path;
		memcpy(t->known[i].id, t->list[i].head.id, sizeof(t->known[i].id));
	}
	return 0;
}

static void close_traces(struct traces *t)
{
	free(t->list);
	free(t->known);
}

static int build_tree(struct tree *tree, const struct traces *t, const struct run_view *view,
		      struct symbols *symbols, const struct options *o, struct error *e)
{
	struct background background = {.symbols = symbols};
	const struct run_options options = {
		.for_tree = true,
		.thresholds = &o->thresholds,
		.known = t->known,
		.known_count = t->count,
		.activity = o->html || o->by_thread,
		.stacks_known = symbols != NULL ? expects(o) : NULL,
		.stacks_context = &background,
	};

	if (tree_begin(tree, e) != 0)
		return -1;
	tree->view = *view;
	for (size_t i = 0; i < t->count; i++)
		if (add_trace(tree, &t->list[i], start_s(&t->list[0], &t->list[i]), &options, e) !=
		    0)
			return -1;
	return finish_tree(tree, t->list, e);
}

/* The tree's start, its length and its marks, whose names are of `runs`. */
static struct run outline_tree(const struct traces *t, struct run *runs)
{
	struct run whole = {.started_ns = t->list[0].head.started_ns};
	size_t room = 0;

	for (size_t i = 0; i < t->count; i++) {
		double at_s = start_s(&t->list[0], &t->list[i]);
		struct run *run = &runs[i];

		if (!t->list[i].usable || run_outline(run, t->list[i].path, NULL) != 0)
			continue;
		if (isnan(run->duration_s) || isnan(whole.duration_s))
			whole.duration_s = NAN;
		else
			whole.duration_s = fmax(whole.duration_s, at_s + run->duration_s);
		if (!vector_reserve(whole.marks, room, whole.mark_count + run->mark_count))
			continue;
		for (size_t k = 0; k < run->mark_count; k++) {
			whole.marks[whole.mark_count] = run->marks[k];
			whole.marks[whole.mark_count++].at_s += at_s;
		}
	}
	if (whole.mark_count != 0)
		qsort(whole.marks, whole.mark_count, sizeof(*whole.marks), mark_by_time);
	return whole;
}

/* Of a tree that must be loaded for it. */
static int find_in_tree(const struct traces *t, uint64_t started_ns, const struct options *o,
			struct run_view *view, struct error *e)
{
	const struct run_view everything = *view;
	struct tree tree;
	int rc = build_tree(&tree, t, &everything, NULL, o, e);

	if (rc == 0) {
		tree.run.started_ns = started_ns;
		rc = view_resolve(o, &tree.run, view, e);
		view->own_level = true;
		view->from_level = view->from_level != 0 ? tree.peak_level : 0;
		view->to_level = view->to_level != 0 ? tree.peak_level : 0;
		memcpy(view->level_id, tree.peak_id, sizeof(view->level_id));
	}
	tree_free(&tree);
	return rc;
}

static int find_tree_view(const struct traces *t, const struct options *o, struct run_view *view,
			  struct error *e)
{
	struct run whole, *runs;
	int rc;

	if (!view_has_moments(o))
		return 0;
	runs = calloc(t->count, sizeof(*runs));
	if (runs == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	whole = outline_tree(t, runs);
	rc = view_needs_all(o, &whole) ? find_in_tree(t, whole.started_ns, o, view, e)
				       : view_resolve(o, &whole, view, e);
	free(whole.marks);
	for (size_t i = 0; i < t->count; i++)
		run_free(&runs[i]);
	free(runs);
	return rc;
}

static int load_tree(struct loaded *l, char *const *paths, size_t count, const struct options *o,
		     struct error *e)
{
	struct run_view view = {.filter = view_filter(&l->filter, o, l->symbols)};
	struct traces t;
	int rc = open_traces(&t, paths, count, e);

	l->is_tree = true;
	if (rc == 0)
		rc = find_tree_view(&t, o, &view, e);
	if (rc == 0)
		rc = build_tree(&l->tree, &t, &view, l->symbols, o, e);
	close_traces(&t);
	return rc;
}

/* What is wrong with them is said, and is no error: what they would have suppressed is
 * reported. */
static void warn_of_problems(const struct suppressions *s)
{
	for (size_t i = 0; i < s->problem_count && i < WARNINGS_MAX; i++) {
		const struct suppression_problem *p = &s->problems[i];
		char *file = format_name(p->file, 0, true);

		fprintf(stderr, "perfhook: %s:%u: suppression left out: %s\n",
			file != NULL ? file : "", p->line, p->text);
		free(file);
	}
	if (s->bad > WARNINGS_MAX)
		fprintf(stderr, "perfhook: %zu more suppressions left out\n",
			s->bad - WARNINGS_MAX);
}

static int read_suppressions(struct loaded *l, const struct options *o, struct error *e)
{
	for (size_t i = 0; i < o->suppression_count; i++)
		if (suppressions_read(&l->suppressions, o->suppressions[i], e) != 0)
			return -1;
	warn_of_problems(&l->suppressions);
	return 0;
}

/* What is needed besides the traces. */
static int open_helpers(struct loaded *l, const struct options *o, struct error *e)
{
	const struct symbols_options options = {
		.sysroots = o->sysroots,
		.sysroot_count = o->sysroot_count,
		.debug_paths = o->debug_paths,
		.debug_path_count = o->debug_path_count,
	};

	*l = (struct loaded){.symbols = symbols_open(&options)};
	if (l->symbols == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	return read_suppressions(l, o, e);
}

static int open_report(struct loaded *l, const struct options *o, struct error *e)
{
	const struct run *run = l->is_tree ? &l->tree.run : &l->run;

	if (view_check_threads(run, e) != 0 ||
	    report_open(&l->report, run, l->symbols, options_top(o), e) != 0)
		return -1;
	l->report.tree = l->is_tree ? &l->tree : NULL;
	l->report.full = o->full;
	return o->suppression_count > 0 ? report_suppress(&l->report, &l->suppressions, e) : 0;
}

int loaded_open(struct loaded *l, char *const *paths, size_t count, const struct options *o,
		struct error *e)
{
	if (open_helpers(l, o, e) != 0 ||
	    (count > 1 ? load_tree(l, paths, count, o, e) : load_one(l, paths[0], o, e)) != 0)
		return -1;
	return open_report(l, o, e);
}

int loaded_open_word(struct loaded *l, const char *word, const struct options *o, struct error *e)
{
	char *const one[] = {(char *)word};
	glob_t found;
	int rc;

	if (access(word, F_OK) == 0 || glob(word, 0, NULL, &found) != 0)
		return loaded_open(l, one, 1, o, e);
	rc = loaded_open(l, found.gl_pathv, found.gl_pathc, o, e);
	globfree(&found);
	return rc;
}

int loaded_open_live(struct loaded *l, const char *path, const struct run_instant *instant,
		     struct run_live *live, const struct options *o, struct error *e)
{
	struct background background = {.symbols = NULL};
	const struct run_options options = {
		.stacks_known = expect_names,
		.stacks_context = &background,
		.thresholds = &o->thresholds,
		.instant = instant,
		.live = live,
	};

	if (open_helpers(l, o, e) != 0)
		return -1;
	background.symbols = l->symbols;
	return load_run(&l->run, path, &options, e);
}

int loaded_rank(struct loaded *l, const struct options *o, struct error *e)
{
	return open_report(l, o, e);
}

void loaded_close(struct loaded *l)
{
	if (l->report.run != NULL)
		report_close(&l->report);
	if (l->is_tree)
		tree_free(&l->tree);
	else
		run_free(&l->run);
	view_filter_free(&l->filter);
	suppressions_free(&l->suppressions);
	if (l->symbols != NULL)
		symbols_close(l->symbols);
	*l = (struct loaded){0};
}
