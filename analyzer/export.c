/* SPDX-License-Identifier: MIT */
/* The table of formats. */
#include "analyzer/export.h"

#include <string.h>

const struct export_format export_formats[] = {
	{"pprof", ".pb.gz",
	 "go tool pprof, Pyroscope, Polar Signals and whatever reads profile.proto", EXPORT_BINARY,
	 true, 0, export_pprof},
	{"speedscope", ".speedscope.json", "speedscope.app: one profile a cost", EXPORT_STREAM,
	 true, 0, export_speedscope},
	{"callgrind", ".callgrind",
	 "kcachegrind, qcachegrind, callgrind_annotate: one event a cost", EXPORT_STREAM, true, 0,
	 export_callgrind},
	{"folded", ".folded", "flamegraph.pl, inferno, speedscope: one line a stack", EXPORT_STREAM,
	 true, 0, export_folded},
	{"chrome", ".trace.json",
	 "ui.perfetto.dev, Firefox Profiler, chrome://tracing: counters and long calls",
	 EXPORT_STREAM, false, 0, export_chrome},
	{"heaptrack", ".heaptrack", "heaptrack_print, heaptrack_gui: each allocation and free",
	 EXPORT_STREAM, false, RUN_OFF_MEMORY, export_heaptrack},
	{"massif", ".massif", "ms_print, massif-visualizer: the heap over time", EXPORT_STREAM,
	 false, RUN_OFF_MEMORY, export_massif},
	{"jsonl", ".jsonl", "DuckDB, ClickHouse, jq: all tables, an object a row", EXPORT_STREAM,
	 false, 0, export_jsonl},
	{"csv", ".csv", "spreadsheets and all of these: a file a table in the folder of -o",
	 EXPORT_FOLDER, false, 0, export_csv},
	{"sqlite", ".sqlite", "sqlite3 and whatever opens its databases: all tables", EXPORT_FILE,
	 false, 0, export_sqlite},
};

const size_t export_format_count = sizeof(export_formats) / sizeof(*export_formats);

const struct export_format *export_format_by_name(const char *name)
{
	for (size_t i = 0; i < export_format_count; i++)
		if (strcmp(export_formats[i].name, name) == 0)
			return &export_formats[i];
	return NULL;
}

int export_out_of_memory(struct error *e)
{
	return fail(e, ERROR_MEMORY, 0, "out of memory");
}

const struct run *export_first_run(const struct report *r)
{
	return r->tree != NULL && r->tree->image_count > 0 ? &r->tree->images[0].run : r->run;
}

char *export_title(const struct report *r)
{
	const struct run *run = export_first_run(r);
	const char *program = run->executable != NULL ? base_name(run->executable) : "?";
	char *title = NULL;

	if (r->tree != NULL && r->tree->image_count > 1)
		return asprintf(&title, "%s (%d) and %zu more", program, run->pid,
				r->tree->image_count - 1) >= 0
			       ? title
			       : NULL;
	return asprintf(&title, "%s (%d)", program, run->pid) >= 0 ? title : NULL;
}
