/* SPDX-License-Identifier: MIT */
/* The list of tables, and what writes them. */
#include "analyzer/export_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/export_columns.h"

const struct export_table *const export_tables[] = {
	&table_runs,	    &table_processes,	    &table_sites,	&table_leaks,
	&table_transfers,   &table_files,	    &table_connections, &table_endpoints,
	&table_io_stacks,   &table_io_errors,	    &table_functions,	&table_names,
	&table_waits,	    &table_threads,	    &table_findings,	&table_heap_timeline,
	&table_io_timeline, &table_socket_timeline, &table_stacks,	&table_frames,
	&table_places,	    &table_modules,	    &table_notices,
};

const size_t export_table_count = sizeof(export_tables) / sizeof(*export_tables);

const struct export_table *export_table_by_name(const char *name)
{
	for (size_t i = 0; i < export_table_count; i++)
		if (strcmp(export_tables[i]->name, name) == 0)
			return export_tables[i];
	return NULL;
}

static bool write_table(struct table_rows *rows, const struct export_table *table)
{
	const struct table_sink *sink = rows->sink;

	rows->table = table;
	return sink->begin(sink->context, table) && table->each(rows) &&
	       sink->end(sink->context, table);
}

int export_tables_write(struct report *r, const struct export_table *only,
			const struct table_sink *sink, struct error *e)
{
	struct table_rows rows = {.report = r, .sink = sink};
	bool good = true;

	for (size_t i = 0; i < 16; i++)
		snprintf(rows.run_id + 2 * i, 3, "%02x", export_first_run(r)->id[i]);
	for (size_t i = 0; i < export_table_count && good; i++)
		if (only == NULL || only == export_tables[i])
			good = write_table(&rows, export_tables[i]);
	free(rows.used);
	free(rows.node_at);
	free(rows.place_of);
	if (rows.failed)
		return export_out_of_memory(e);
	return good ? 0 : -1;
}
