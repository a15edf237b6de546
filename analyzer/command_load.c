/* SPDX-License-Identifier: MIT */
/* Loading the traces of a command line. */
#include "analyzer/command_load.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/progress.h"
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

static int load_one(struct loaded *l, const char *path, const struct options *o, struct error *e)
{
	struct background background = {.symbols = l->symbols};
	const struct run_options options = {
		.stacks_known = expect_names,
		.stacks_context = &background,
		.thresholds = &o->thresholds,
	};

	if (collector_finish_wait(path, e) != 0)
		return -1;
	return load_run(&l->run, path, &options, e);
}

/* One that cannot be read is left out and named; memory ends it all. */
static int add_trace(struct tree *tree, const struct tree_trace *trace,
		     const struct run_options *options, struct error *e)
{
	struct error why = trace->error;
	struct run run;

	if (trace->usable && load_run(&run, trace->path, options, &why) == 0)
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
	const struct run_options options = {.progress = progress_update,
					    .progress_context = &progress};
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

static int load_tree(struct loaded *l, char *const *paths, size_t count, const struct options *o,
		     struct error *e)
{
	struct tree_trace *traces = calloc(count, sizeof(*traces));
	struct run_known *known = calloc(count, sizeof(*known));
	struct background background = {.symbols = l->symbols};
	const struct run_options options = {
		.for_tree = true,
		.thresholds = &o->thresholds,
		.known = known,
		.known_count = count,
		.stacks_known = expect_names,
		.stacks_context = &background,
	};
	int rc;

	if (traces == NULL || known == NULL) {
		free(traces);
		free(known);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	l->is_tree = true;
	for (size_t i = 0; i < count; i++) {
		traces[i].path = paths[i];
		collector_finish_wait(traces[i].path, &traces[i].error);
	}
	tree_order(traces, count);
	rc = tree_begin(&l->tree, e);
	for (size_t i = 0; i < count; i++) {
		known[i].path = traces[i].path;
		memcpy(known[i].id, traces[i].head.id, sizeof(known[i].id));
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = add_trace(&l->tree, &traces[i], &options, e);
	if (rc == 0)
		rc = finish_tree(&l->tree, traces, e);
	free(traces);
	free(known);
	return rc;
}

int loaded_open(struct loaded *l, char *const *paths, size_t count, const struct options *o,
		struct error *e)
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
	if ((count > 1 ? load_tree(l, paths, count, o, e) : load_one(l, paths[0], o, e)) != 0 ||
	    report_open(&l->report, l->is_tree ? &l->tree.run : &l->run, l->symbols, options_top(o),
			e) != 0)
		return -1;
	l->report.tree = l->is_tree ? &l->tree : NULL;
	l->report.full = o->full;
	return 0;
}

void loaded_close(struct loaded *l)
{
	if (l->report.run != NULL)
		report_close(&l->report);
	if (l->is_tree)
		tree_free(&l->tree);
	else
		run_free(&l->run);
	if (l->symbols != NULL)
		symbols_close(l->symbols);
	*l = (struct loaded){0};
}
