/* SPDX-License-Identifier: MIT */
/* The model as tables: their columns, and where their rows come from. */
#include "analyzer/export_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/canonical.h"
#include "analyzer/export.h"
#include "analyzer/format_text.h"
#include "analyzer/report_sections.h"

struct table_rows {
	struct report *report;
	const struct export_table *table;
	const struct table_sink *sink;
	char run_id[33];
	bool *used; /* by node: stacks that other tables name */
	bool failed;
};

struct row {
	struct table_rows *rows;
	const void *of; /* what the columns' offsets are in */
	size_t place;	/* among its table's, from 0 */
};

/* Cells. */

static const void *field(const struct row *row, const struct column *column)
{
	return (const char *)row->of + column->offset;
}

static void put_text(const struct row *row, struct cell *cell, char *owned)
{
	row->rows->failed |= owned == NULL;
	if (owned != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = owned, .owned = owned};
}

static void put_number(struct cell *cell, double number)
{
	if (isfinite(number))
		*cell = (struct cell){.kind = CELL_NUMBER, .number = number};
}

static void get_run(const struct row *row, const struct column *column, struct cell *cell)
{
	(void)column;
	*cell = (struct cell){.kind = CELL_TEXT, .text = row->rows->run_id};
}

static void get_place(const struct row *row, const struct column *column, struct cell *cell)
{
	(void)column;
	*cell = (struct cell){.kind = CELL_COUNT, .count = row->place + 1};
}

static void get_u64(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint64_t *value = field(row, column);

	*cell = (struct cell){.kind = CELL_COUNT, .count = *value};
}

static void get_u32(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *value = field(row, column);

	*cell = (struct cell){.kind = CELL_COUNT, .count = *value};
}

/* A pid or status: none is negative. */
static void get_int(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *value = field(row, column);

	if (*value >= 0)
		*cell = (struct cell){.kind = CELL_SIGNED, .integer = *value};
}

/* 0: none. */
static void get_pid(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *value = field(row, column);

	if (*value > 0)
		*cell = (struct cell){.kind = CELL_SIGNED, .integer = *value};
}

static void get_number(const struct row *row, const struct column *column, struct cell *cell)
{
	const double *value = field(row, column);

	put_number(cell, *value);
}

static void get_text(const struct row *row, const struct column *column, struct cell *cell)
{
	const char *const *value = field(row, column);

	(void)row;
	if (*value != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = *value};
}

static void get_bool(const struct row *row, const struct column *column, struct cell *cell)
{
	const bool *value = field(row, column);

	*cell = (struct cell){.kind = CELL_BOOL, .truth = *value};
}

/* The stack's number among the run's; the tables stacks and frames say which it is. */
static void get_stack(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *node = field(row, column);

	if (*node != 0)
		*cell = (struct cell){.kind = CELL_COUNT, .count = *node};
}

/* One figure of a distribution. */
static void get_latency(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct latency *l = field(row, column);

	double part;

	memcpy(&part, (const char *)l + column->part, sizeof(part));
	if (l->count > 0)
		put_number(cell, part);
}

/* Words with spaces between, those that need it quoted as in a shell. */
static void get_command(const struct row *row, const struct column *column, struct cell *cell)
{
	const char **const *words = field(row, column);
	char *text = NULL;
	size_t length;
	FILE *out = *words != NULL ? open_memstream(&text, &length) : NULL;

	if (*words == NULL)
		return;
	for (const char **word = *words; out != NULL && *word != NULL; word++) {
		bool plain = **word != '\0' &&
			     (*word)[strcspn(*word, " \t\n'\"\\$`*?[]{}()<>|&;#~")] == '\0';

		fputs(word > *words ? " " : "", out);
		if (plain) {
			fputs(*word, out);
			continue;
		}
		fputc('\'', out);
		for (const char *c = *word; *c != '\0'; c++)
			*c == '\'' ? fputs("'\\''", out) : fputc(*c, out);
		fputc('\'', out);
	}
	if (out != NULL && fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

static void get_started(const struct row *row, const struct column *column, struct cell *cell)
{
	const char *text = field(row, column);

	(void)row;
	if (*text != '\0')
		*cell = (struct cell){.kind = CELL_TEXT, .text = text};
}

static void get_id(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint8_t *id = field(row, column);
	char *text = malloc(33);

	for (size_t i = 0; text != NULL && i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	put_text(row, cell, text);
}

/* The function that answers for a stack. */
static void get_function(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint32_t *node = field(row, column);
	uint32_t telling = telling_node(row->rows->report, *node);
	size_t count;
	const struct frame *frames = node_frames(row->rows->report, telling, &count);

	row->rows->failed |= count > 0 && frames == NULL;
	if (frames != NULL)
		put_text(row, cell, frame_label(&frames[0]));
}

static void get_hex(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint64_t *value = field(row, column);
	char *text = NULL;

	if (*value != 0)
		put_text(row, cell, asprintf(&text, "0x%" PRIx64, *value) >= 0 ? text : NULL);
}

/* Columns. ROW is the type that a table's rows are about. */
#define COLUMN(name, type, get, f)                                                                 \
	{                                                                                          \
		name, COLUMN_##type, get, offsetof(ROW, f), 0, 0                                   \
	}
#define COLUMN_OFF(name, type, get, f, off)                                                        \
	{                                                                                          \
		name, COLUMN_##type, get, offsetof(ROW, f), 0, off                                 \
	}
#define RUN                                                                                        \
	{                                                                                          \
		"run", COLUMN_TEXT, get_run, 0, 0, 0                                               \
	}
#define PLACE(name)                                                                                \
	{                                                                                          \
		name, COLUMN_INTEGER, get_place, 0, 0, 0                                           \
	}
#define U64(name, f)	  COLUMN(name, INTEGER, get_u64, f)
#define U32(name, f)	  COLUMN(name, INTEGER, get_u32, f)
#define INT(name, f)	  COLUMN(name, INTEGER, get_int, f)
#define PID(name, f)	  COLUMN(name, INTEGER, get_pid, f)
#define NUMBER(name, f)	  COLUMN(name, NUMBER, get_number, f)
#define TEXT(name, f)	  COLUMN(name, TEXT, get_text, f)
#define TRUTH(name, f)	  COLUMN(name, BOOL, get_bool, f)
#define STACK(name, f)	  COLUMN(name, INTEGER, get_stack, f)
#define FUNCTION(name, f) COLUMN(name, TEXT, get_function, f)
#define LATENCY_PART(name, f, p)                                                                   \
	{                                                                                          \
		name, COLUMN_NUMBER, get_latency, offsetof(ROW, f), offsetof(struct latency, p), 0 \
	}
#define LATENCY(name, f)                                                                           \
	LATENCY_PART(name "_mean_us", f, mean), LATENCY_PART(name "_stdev_us", f, stdev),          \
		LATENCY_PART(name "_min_us", f, min), LATENCY_PART(name "_p50_us", f, p50),        \
		LATENCY_PART(name "_p90_us", f, p90), LATENCY_PART(name "_p99_us", f, p99),        \
		LATENCY_PART(name "_max_us", f, max)

/* Rows of an array. */
static bool each_of(struct table_rows *rows, const void *list, size_t count, size_t size);

/* runs, processes. */

struct process {
	struct run run; /* borrowed in all it points to */
	double at_s;	/* its start */
	int parent_pid; /* 0: none of these */
	unsigned image;
	size_t processes;
};

#define ROW		struct process
#define MEMORY(name, f) COLUMN_OFF(name, INTEGER, get_u64, run.heap.f, RUN_OFF_MEMORY)
#define FILES(name, f)	COLUMN_OFF(name, INTEGER, get_u64, run.io.total.f, RUN_OFF_IO)
#define NET(name, f)	COLUMN_OFF(name, INTEGER, get_u64, run.sockets.total.f, RUN_OFF_NET)

#define PROCESS_COLUMNS                                                                            \
	PID("pid", run.pid), PID("ppid", run.ppid), TEXT("executable", run.executable),            \
		COLUMN("command", TEXT, get_command, run.command), TEXT("host", run.host),         \
		COLUMN("started", TEXT, get_started, run.started),                                 \
		NUMBER("duration_s", run.duration_s), TEXT("end", run.end),                        \
		INT("status", run.status), TEXT("trace_path", run.trace_path),                     \
		TEXT("recorder_version", run.version), U64("events", run.events),                  \
		U64("dropped", run.dropped), U64("trace_bytes", run.trace_bytes),                  \
		TRUTH("complete", run.complete), NUMBER("stalled_s", run.stalled_s),               \
		MEMORY("allocations", allocations), MEMORY("frees", frees),                        \
		MEMORY("allocated_bytes", allocated_bytes), MEMORY("peak_bytes", peak_bytes),      \
		MEMORY("peak_blocks", peak_blocks),                                                \
		COLUMN_OFF("peak_at_s", NUMBER, get_number, run.heap.peak_at_s, RUN_OFF_MEMORY),   \
		MEMORY("peak_uncertainty_bytes", peak_uncertainty_bytes),                          \
		MEMORY("live_bytes", live_bytes), MEMORY("live_blocks", live_blocks),              \
		MEMORY("temporary_allocations", temporary_allocations),                            \
		FILES("read_bytes", read_bytes), FILES("written_bytes", written_bytes),            \
		FILES("read_calls", read_calls), FILES("write_calls", write_calls),                \
		FILES("io_errors", errors),                                                        \
		COLUMN_OFF("io_time_s", NUMBER, get_number, run.io.total.time_s, RUN_OFF_IO),      \
		NET("sent_bytes", written_bytes), NET("received_bytes", read_bytes),               \
		NET("send_calls", write_calls), NET("receive_calls", read_calls),                  \
		NET("socket_errors", errors),                                                      \
		COLUMN_OFF("socket_time_s", NUMBER, get_number, run.sockets.total.time_s,          \
			   RUN_OFF_NET)

static const struct column run_columns[] = {RUN, U64("processes", processes), PROCESS_COLUMNS};
static const struct column process_columns[] = {
	RUN,
	COLUMN("trace", TEXT, get_id, run.id),
	PID("parent_pid", parent_pid),
	U32("image", image),
	NUMBER("started_at_s", at_s),
	PROCESS_COLUMNS,
};
#undef ROW

static bool each_run(struct table_rows *rows)
{
	const struct tree *t = rows->report->tree;
	struct process p = {.run = *rows->report->run,
			    .processes = t != NULL ? t->process_count : 1};

	p.run.trace_path = export_first_run(rows->report)->trace_path;

	return each_of(rows, &p, 1, sizeof(p));
}

static bool emit_row(struct table_rows *rows, const void *of, size_t place);

static bool each_process(struct table_rows *rows)
{
	const struct tree *t = rows->report->tree;

	if (t == NULL)
		return each_run(rows);
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *image = &t->images[i];
		size_t parent = t->processes[image->process].parent_image;
		struct process p = {
			.run = tree_image_run(t, i),
			.at_s = image->at_s,
			.parent_pid = parent != TREE_NONE ? t->images[parent].run.pid : 0,
			.image = image->number,
		};

		if (!emit_row(rows, &p, i))
			return false;
	}
	return true;
}

/* Memory. */

/* Null where no search for pointers was made. */
static void get_reach(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct reach_sum *sums = field(row, column);

	if (row->rows->report->run->heap.reach.made)
		*cell = (struct cell){.kind = CELL_COUNT, .count = sums[column->part].bytes};
}

#define REACH(name, f, class)                                                                      \
	{                                                                                          \
		name, COLUMN_INTEGER, get_reach, offsetof(ROW, f), class, 0                        \
	}
#define ROW struct site
static const struct column site_columns[] = {
	RUN,
	STACK("stack", node),
	FUNCTION("function", node),
	U64("allocations", allocations),
	U64("allocated_bytes", allocated_bytes),
	U64("frees", frees),
	U64("reallocated", reallocated),
	U64("temporary_allocations", temporary),
	U64("live_bytes", live_bytes),
	U64("live_blocks", live_blocks),
	U64("peak_bytes", peak_bytes),
	U64("peak_blocks", peak_blocks),
	NUMBER("first_at_s", first_at_s),
	NUMBER("last_at_s", last_at_s),
	U64("inherited_bytes", inherited_bytes),
	U64("inherited_blocks", inherited_blocks),
	REACH("lost_bytes", reach, REACH_LOST),
	REACH("indirectly_lost_bytes", reach, REACH_INDIRECT),
	REACH("possibly_lost_bytes", reach, REACH_POSSIBLE),
	REACH("still_reachable_bytes", reach, REACH_STILL),
};
#undef ROW

static bool each_site(struct table_rows *rows)
{
	return each_of(rows, rows->report->run->sites, rows->report->run->site_count,
		       sizeof(struct site));
}

struct leak_row {
	const struct leak *leak;
	struct site site;
};

static void get_why(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = field(row, column);
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; out != NULL && i < (*leak)->why_count; i++)
		fprintf(out, "%s%s", i > 0 ? "; " : "", (*leak)->why[i]);
	if (out == NULL || fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

static void get_suspect(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = field(row, column);

	(void)row;
	*cell = (struct cell){.kind = CELL_BOOL, .truth = (*leak)->suspect};
}

static void get_score(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct leak *const *leak = field(row, column);

	(void)row;
	*cell = (struct cell){.kind = CELL_SIGNED, .integer = (*leak)->score};
}

#define ROW struct leak_row
static const struct column leak_columns[] = {
	RUN,
	PLACE("rank"),
	STACK("stack", site.node),
	FUNCTION("function", site.node),
	U64("bytes", site.live_bytes),
	U64("blocks", site.live_blocks),
	COLUMN("suspect", BOOL, get_suspect, leak),
	COLUMN("score", INTEGER, get_score, leak),
	COLUMN("why", TEXT, get_why, leak),
	NUMBER("first_at_s", site.first_at_s),
	NUMBER("last_at_s", site.last_at_s),
};
#undef ROW

static bool each_leak(struct table_rows *rows)
{
	for (size_t i = 0; i < rows->report->leak_count; i++) {
		const struct leak *leak = &rows->report->leaks[i];
		struct leak_row l = {.leak = leak, .site = *leak->site};

		if (!emit_row(rows, &l, i))
			return false;
	}
	return true;
}

#define ROW struct heap_sample
static const struct column heap_timeline_columns[] = {
	RUN,
	NUMBER("at_s", at_s),
	U64("live_bytes", live_bytes),
	U64("live_blocks", live_blocks),
};
#undef ROW

static bool each_heap_sample(struct table_rows *rows)
{
	const struct heap *h = &rows->report->run->heap;

	return each_of(rows, h->timeline, h->timeline_count, sizeof(*h->timeline));
}

/* Files, connections and what belongs to them. */

#define ROW struct stack_traffic
static const struct column transfer_columns[] = {
	RUN,
	STACK("stack", node),
	FUNCTION("function", node),
	U64("read_bytes", read_bytes),
	U64("written_bytes", written_bytes),
	U64("sent_bytes", sent_bytes),
	U64("received_bytes", received_bytes),
	U64("calls", calls),
	NUMBER("io_time_s", files_s),
	NUMBER("socket_time_s", network_s),
};
#undef ROW

static bool each_transfer(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->stack_traffic, run->stack_traffic_count,
		       sizeof(*run->stack_traffic));
}

/* How the calls of one direction went through the file. */
static const struct access *access_of(const struct row *row, const struct column *column)
{
	const struct file_access *const *a = field(row, column);

	return *a != NULL ? (const struct access *)((const char *)*a + column->part) : NULL;
}

static void get_pattern(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct access *a = access_of(row, column);
	const char *pattern = a != NULL && a->calls > 0 ? access_pattern(a) : NULL;

	if (pattern != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = pattern};
}

static void get_tiny(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct access *a = access_of(row, column);

	*cell = (struct cell){.kind = CELL_COUNT, .count = a != NULL ? a->tiny : 0};
}

#define ROW struct file
#define ACCESS(name, type, get, p)                                                                 \
	{                                                                                          \
		name, COLUMN_##type, get, offsetof(ROW, access), offsetof(struct file_access, p),  \
			0                                                                          \
	}
static const struct column file_columns[] = {
	RUN,
	TEXT("path", path),
	U64("read_bytes", traffic.read_bytes),
	U64("written_bytes", traffic.written_bytes),
	U64("read_calls", traffic.read_calls),
	U64("write_calls", traffic.write_calls),
	U64("errors", traffic.errors),
	U64("sync_calls", traffic.sync_calls),
	NUMBER("time_s", traffic.time_s),
	NUMBER("read_time_s", traffic.read_time_s),
	NUMBER("write_time_s", traffic.write_time_s),
	NUMBER("sync_time_s", traffic.sync_time_s),
	LATENCY("latency", traffic.latency),
	U64("opens", opens),
	U64("failed_opens", failed_opens),
	NUMBER("open_s", open_s),
	U64("metadata_calls", metadata_calls),
	NUMBER("metadata_time_s", metadata_time_s),
	ACCESS("read_pattern", TEXT, get_pattern, read),
	ACCESS("written_pattern", TEXT, get_pattern, written),
	ACCESS("tiny_reads", INTEGER, get_tiny, read),
	ACCESS("tiny_writes", INTEGER, get_tiny, written),
	NUMBER("first_at_s", first_at_s),
	NUMBER("last_at_s", last_at_s),
	STACK("stack", top_node),
};
#undef ROW

static bool each_file(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->files, run->file_count, sizeof(*run->files));
}

static void get_connect_error(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *number = field(row, column);
	const char *name = *number != 0 ? strerrorname_np(*number) : NULL;

	if (name != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = name};
}

#define ROW struct connection
static const struct column connection_columns[] = {
	RUN,
	PID("pid", pid),
	INT("fd", fd),
	TEXT("family", family),
	TEXT("type", type),
	TEXT("local", local),
	TEXT("peer", peer),
	TEXT("peer_name", peer_name),
	TEXT("opened_by", opened_by),
	TRUTH("listening", listening),
	NUMBER("opened_at_s", opened_at_s),
	NUMBER("closed_at_s", closed_at_s),
	TEXT("closed_by", closed_by),
	NUMBER("connect_s", connect_s),
	COLUMN("connect_error", TEXT, get_connect_error, connect_errno),
	NUMBER("first_byte_s", first_byte_s),
	U64("sent_bytes", traffic.written_bytes),
	U64("received_bytes", traffic.read_bytes),
	U64("send_calls", traffic.write_calls),
	U64("receive_calls", traffic.read_calls),
	U64("errors", traffic.errors),
	NUMBER("time_s", traffic.time_s),
	LATENCY("latency", traffic.latency),
	U64("turns", turns),
	LATENCY("turn", turn_latency),
	NUMBER("idle_s", idle_s),
	STACK("stack", top_node),
	STACK("opened_stack", opened_node),
};
#undef ROW

static bool each_connection(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->connections, run->connection_count, sizeof(*run->connections));
}

#define ROW struct endpoint
static const struct column endpoint_columns[] = {
	RUN,
	TEXT("name", name),
	TEXT("host_name", host),
	TEXT("side", side),
	TEXT("family", family),
	TEXT("type", type),
	U64("connections", connections),
	U64("failed", failed),
	U64("most_open", most_open),
	U64("closed_local", closed_local),
	U64("closed_peer", closed_peer),
	U64("reset", reset),
	U64("sent_bytes", traffic.written_bytes),
	U64("received_bytes", traffic.read_bytes),
	U64("send_calls", traffic.write_calls),
	U64("receive_calls", traffic.read_calls),
	U64("errors", traffic.errors),
	NUMBER("time_s", traffic.time_s),
	U64("turns", turns),
	LATENCY("turn", turn_latency),
	LATENCY("open", open_latency),
	NUMBER("idle_s", idle_s),
	NUMBER("open_s", open_s),
};
#undef ROW

static bool each_endpoint(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->endpoints, run->endpoint_count, sizeof(*run->endpoints));
}

#define ROW struct io_total
static const struct column function_columns[] = {
	RUN,
	TEXT("function", of.name),
	U64("calls", of.calls),
	U64("errors", of.errors),
	U64("bytes", of.bytes),
	NUMBER("time_s", of.time_s),
	LATENCY("latency", latency),
};
#undef ROW

static bool each_function(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->functions, run->function_count, sizeof(*run->functions));
}

#define ROW struct resolved
static const struct column name_columns[] = {
	RUN,
	TEXT("name", name),
	TEXT("addresses", addresses),
	U64("calls", calls),
	U64("errors", errors),
	NUMBER("time_s", time_s),
};
#undef ROW

static bool each_name(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->resolved, run->resolved_count, sizeof(*run->resolved));
}

/* What a stack did to a file or connection, or what errors it had. */
struct use {
	const char *file;    /* NULL: a connection */
	uint64_t connection; /* its place in `connections`, from 1; 0 */
	struct io_stack stack;
	struct io_error error;
};

static void get_connection(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint64_t *place = field(row, column);

	(void)row;
	if (*place != 0)
		*cell = (struct cell){.kind = CELL_COUNT, .count = *place};
}

static void get_errno(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *number = field(row, column);
	const char *name = strerrorname_np(*number);

	(void)row;
	if (name != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = name};
}

#define ROW struct use
static const struct column io_stack_columns[] = {
	RUN,
	TEXT("path", file),
	COLUMN("connection", INTEGER, get_connection, connection),
	TEXT("function", stack.function),
	U64("calls", stack.calls),
	U64("errors", stack.errors),
	U64("bytes", stack.bytes),
	NUMBER("time_s", stack.time_s),
	STACK("stack", stack.node),
};
static const struct column io_error_columns[] = {
	RUN,
	TEXT("path", file),
	COLUMN("connection", INTEGER, get_connection, connection),
	COLUMN("error", TEXT, get_errno, error.number),
	INT("error_number", error.number),
	U64("calls", error.calls),
};
#undef ROW

static bool each_use(struct table_rows *rows, struct use use, const struct io_facts *facts,
		     size_t *place)
{
	bool good = true;

	if (rows->table->columns == io_stack_columns) {
		for (size_t i = 0; i < facts->stack_count && good; i++) {
			use.stack = facts->stacks[i];
			good = emit_row(rows, &use, (*place)++);
		}
		return good;
	}
	for (size_t i = 0; i < facts->error_count && good; i++) {
		use.error = facts->errors[i];
		good = emit_row(rows, &use, (*place)++);
	}
	return good;
}

static bool each_fact(struct table_rows *rows)
{
	const struct run *run = rows->report->run;
	size_t place = 0;
	bool good = true;

	for (size_t i = 0; i < run->file_count && good; i++)
		good = each_use(rows, (struct use){.file = run->files[i].path},
				&run->files[i].facts, &place);
	for (size_t i = 0; i < run->connection_count && good; i++)
		good = each_use(rows, (struct use){.connection = i + 1}, &run->connections[i].facts,
				&place);
	return good;
}

struct rates {
	double at_s, in, out;
};

#define ROW struct rate_sample
static const struct column io_timeline_columns[] = {
	RUN,
	NUMBER("at_s", at_s),
	NUMBER("read_bytes_per_s", read_bytes_per_s),
	NUMBER("written_bytes_per_s", written_bytes_per_s),
};
static const struct column socket_timeline_columns[] = {
	RUN,
	NUMBER("at_s", at_s),
	NUMBER("received_bytes_per_s", read_bytes_per_s),
	NUMBER("sent_bytes_per_s", written_bytes_per_s),
};
#undef ROW

static bool each_rate(struct table_rows *rows)
{
	const struct run *run = rows->report->run;
	const struct io *io =
		rows->table->columns == io_timeline_columns ? &run->io : &run->sockets;

	return each_of(rows, io->timeline, io->timeline_count, sizeof(*io->timeline));
}

/* Waits, threads, findings. */

static void get_object(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct wait *w = row->of;
	char *object = wait_object(row->rows->report, w);

	(void)column;
	if (object != NULL)
		put_text(row, cell, object);
}

#define ROW struct wait
static const struct column wait_columns[] = {
	RUN,
	TEXT("kind", kind),
	COLUMN("object", TEXT, get_object, object),
	COLUMN("address", TEXT, get_hex, address),
	U64("count", count),
	NUMBER("time_s", time_s),
	LATENCY("latency", latency),
	STACK("stack", node),
	FUNCTION("function", node),
};
#undef ROW

static bool each_wait(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->waits, run->wait_count, sizeof(*run->waits));
}

#define TIMED (RUN_OFF_IO | RUN_OFF_NET | RUN_OFF_WAIT)
#define ROW   struct thread
static const struct column thread_columns[] = {
	RUN,
	PID("pid", pid),
	PID("tid", tid),
	TEXT("name", name),
	NUMBER("started_at_s", started_at_s),
	NUMBER("ended_at_s", ended_at_s),
	NUMBER("running_s", running_s),
	COLUMN_OFF("reading_s", NUMBER, get_number, reading_s, RUN_OFF_IO),
	COLUMN_OFF("writing_s", NUMBER, get_number, writing_s, RUN_OFF_IO),
	COLUMN_OFF("network_s", NUMBER, get_number, network_s, RUN_OFF_NET),
	COLUMN_OFF("waiting_s", NUMBER, get_number, waiting_s, RUN_OFF_WAIT),
	COLUMN_OFF("sleeping_s", NUMBER, get_number, sleeping_s, RUN_OFF_WAIT),
	COLUMN_OFF("runnable_s", NUMBER, get_number, runnable_s, TIMED),
	COLUMN_OFF("recording_s", NUMBER, get_number, recording_s, TIMED),
	COLUMN_OFF("unexplained_s", NUMBER, get_number, unexplained_s, TIMED),
	COLUMN_OFF("allocations", INTEGER, get_u64, allocations, RUN_OFF_MEMORY),
	COLUMN_OFF("allocated_bytes", INTEGER, get_u64, allocated_bytes, RUN_OFF_MEMORY),
	COLUMN_OFF("read_bytes", INTEGER, get_u64, read_bytes, RUN_OFF_IO),
	COLUMN_OFF("written_bytes", INTEGER, get_u64, written_bytes, RUN_OFF_IO),
	COLUMN_OFF("sent_bytes", INTEGER, get_u64, sent_bytes, RUN_OFF_NET),
	COLUMN_OFF("received_bytes", INTEGER, get_u64, received_bytes, RUN_OFF_NET),
};
#undef ROW

static bool each_thread(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->threads, run->thread_count, sizeof(*run->threads));
}

static void print_evidence(struct emit_json *e, const struct evidence *v)
{
	if (v->type == EVIDENCE_TEXT)
		emit_string(e, v->key, v->text);
	else if (v->type == EVIDENCE_COUNT)
		emit_u64(e, v->key, v->count);
	else
		emit_double(e, v->key, v->number);
}

/* The figures that it rests on, as a JSON object. */
static void get_evidence(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct finding *f = row->of;
	struct emit_json e;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool good = out != NULL;

	(void)column;
	emit_json_begin(&e);
	for (size_t i = 0; i < f->evidence_count; i++)
		print_evidence(&e, &f->evidence[i]);
	if (good)
		good = emit_json_finish(&e, out, false) == 0;
	else
		emit_json_free(&e);
	if (out != NULL && fclose(out) != 0)
		good = false;
	if (good && length > 0 && text[length - 1] == '\n')
		text[length - 1] = '\0';
	if (!good) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

#define ROW struct finding
static const struct column finding_columns[] = {
	RUN,
	PLACE("rank"),
	TEXT("kind", kind),
	TEXT("severity", severity),
	NUMBER("saves_s", saves_s),
	TEXT("what", what),
	TEXT("advice", advice),
	COLUMN("evidence", TEXT, get_evidence, evidence),
	PID("most_pid", pid),
	STACK("stack", node),
	FUNCTION("function", node),
};
#undef ROW

static bool each_finding(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->findings, run->finding_count, sizeof(*run->findings));
}

static void get_lost(const struct row *row, const struct column *column, struct cell *cell)
{
	const bool *lost = field(row, column);

	(void)row;
	*cell = (struct cell){.kind = CELL_TEXT, .text = *lost ? "lost" : "not seen"};
}

#define ROW struct notice
static const struct column notice_columns[] = {
	RUN,
	COLUMN("kind", TEXT, get_lost, lost),
	TEXT("text", text),
};
#undef ROW

static bool each_notice(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->notices, run->notice_count, sizeof(*run->notices));
}

/* Code. */

#define ROW struct module
static const struct column module_columns[] = {
	RUN,
	TEXT("path", path),
	TEXT("build_id", build_id),
	COLUMN("base", TEXT, get_hex, base),
	TRUTH("unloaded", unloaded),
};
#undef ROW

static bool each_module(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	return each_of(rows, run->modules, run->module_count, sizeof(*run->modules));
}

/* Stacks: those that the other tables name. */

static void use_stack(struct table_rows *rows, uint32_t node)
{
	if (node < rows->report->run->node_count)
		rows->used[node] = true;
}

static void use_facts(struct table_rows *rows, const struct io_facts *facts)
{
	for (size_t i = 0; i < facts->stack_count; i++)
		use_stack(rows, facts->stacks[i].node);
}

static bool find_used(struct table_rows *rows)
{
	const struct run *run = rows->report->run;

	if (rows->used != NULL)
		return true;
	rows->used = calloc(run->node_count + 1, sizeof(*rows->used));
	if (rows->used == NULL)
		return false;
	for (size_t i = 0; i < run->site_count; i++)
		use_stack(rows, run->sites[i].node);
	for (size_t i = 0; i < run->stack_traffic_count; i++)
		use_stack(rows, run->stack_traffic[i].node);
	for (size_t i = 0; i < run->wait_count; i++)
		use_stack(rows, run->waits[i].node);
	for (size_t i = 0; i < run->finding_count; i++)
		use_stack(rows, run->findings[i].node);
	for (size_t i = 0; i < run->file_count; i++) {
		use_stack(rows, run->files[i].top_node);
		use_facts(rows, &run->files[i].facts);
	}
	for (size_t i = 0; i < run->connection_count; i++) {
		use_stack(rows, run->connections[i].top_node);
		use_stack(rows, run->connections[i].opened_node);
		use_facts(rows, &run->connections[i].facts);
	}
	rows->used[0] = false;
	return true;
}

struct stack_row {
	uint32_t node;
	const struct stack *stack;
};

/* FNV-1a over a string and its NUL. */
static uint64_t hash_on(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	while (*text++ != '\0');
	return hash;
}

/* The same for stacks of the same functions in any run: what compilers add to names does
 * not count. Frames without a name count by their place in their module. */
static void get_key(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;
	uint64_t hash = UINT64_C(14695981039346656037);
	char *text = NULL;

	(void)column;
	for (size_t i = 0; i < stack->count; i++) {
		char *label = frame_label(&stack->frames[i]);
		char *plain = label != NULL ? malloc(strlen(label) + 1) : NULL;

		row->rows->failed |= plain == NULL;
		if (plain != NULL)
			hash = hash_on(hash, canonical_name(plain, label));
		free(label);
		free(plain);
	}
	put_text(row, cell, asprintf(&text, "%016" PRIx64, hash) >= 0 ? text : NULL);
}

static void get_folded(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool good = out != NULL;

	(void)column;
	for (size_t i = stack->count; i-- > 0 && good;) {
		char *label = frame_label(&stack->frames[i]);
		char *safe = label != NULL ? format_line(label, ";") : NULL;

		good = safe != NULL;
		fprintf(out, "%s%s", safe != NULL ? safe : "", i > 0 ? ";" : "");
		free(label);
		free(safe);
	}
	if (out != NULL && fclose(out) != 0)
		good = false;
	if (!good) {
		free(text);
		text = NULL;
	}
	put_text(row, cell, text);
}

static void get_depth(const struct row *row, const struct column *column, struct cell *cell)
{
	const struct stack *stack = ((const struct stack_row *)row->of)->stack;

	(void)column;
	*cell = (struct cell){.kind = CELL_COUNT, .count = stack->count};
}

#define ROW struct stack_row
static const struct column stack_columns[] = {
	RUN,
	STACK("stack", node),
	COLUMN("key", TEXT, get_key, stack),
	COLUMN("frames", INTEGER, get_depth, stack),
	FUNCTION("function", node),
	COLUMN("folded", TEXT, get_folded, stack),
};
#undef ROW

struct frame_row {
	uint32_t node, place;
	struct frame frame;
};

#define ROW struct frame_row
static const struct column frame_columns[] = {
	RUN,
	STACK("stack", node),
	U32("frame", place), /* 0 is the innermost */
	TEXT("function", frame.function),
	TEXT("file", frame.file),
	INT("line", frame.line),
	TEXT("module", frame.module),
	COLUMN("address", TEXT, get_hex, frame.address),
	COLUMN("module_offset", TEXT, get_hex, frame.module_offset),
	TRUTH("inlined", frame.inlined),
};
#undef ROW

static bool each_frame_of(struct table_rows *rows, uint32_t node, const struct stack *stack)
{
	for (size_t i = 0; i < stack->count; i++) {
		struct frame_row f = {
			.node = node,
			.place = (uint32_t)i,
			.frame = stack->frames[i],
		};

		if (f.frame.line == 0)
			f.frame.line = -1;
		if (!emit_row(rows, &f, i))
			return false;
	}
	return true;
}

static bool each_stack(struct table_rows *rows)
{
	bool good = find_used(rows);

	rows->failed |= !good;
	for (size_t i = 1; i < rows->report->run->node_count && good; i++) {
		struct stack stack;
		struct stack_row s = {.node = (uint32_t)i, .stack = &stack};

		if (!rows->used[i])
			continue;
		if (report_stack(rows->report, s.node, &stack) != 0) {
			rows->failed = true;
			return false;
		}
		good = rows->table->columns == frame_columns ? each_frame_of(rows, s.node, &stack)
							     : emit_row(rows, &s, i);
		stack_free(&stack);
	}
	return good;
}

/* The tables. */

#define COLUMNS(of) of, sizeof(of) / sizeof(*(of))
const struct export_table export_tables[] = {
	{"runs", "one row: what was recorded, and its sums", COLUMNS(run_columns), each_run},
	{"processes", "each process image with its sums", COLUMNS(process_columns), each_process},
	{"sites", "what each stack did to the heap", COLUMNS(site_columns), each_site},
	{"leaks", "stacks with blocks that were never freed, ranked", COLUMNS(leak_columns),
	 each_leak},
	{"transfers", "what each stack read, wrote, sent and received", COLUMNS(transfer_columns),
	 each_transfer},
	{"files", "each path", COLUMNS(file_columns), each_file},
	{"connections", "each socket", COLUMNS(connection_columns), each_connection},
	{"endpoints", "connections to one peer, or accepted at one port, added up",
	 COLUMNS(endpoint_columns), each_endpoint},
	{"io_stacks", "the stacks with most time in each file and connection",
	 COLUMNS(io_stack_columns), each_fact},
	{"io_errors", "failed calls on each file and connection, by error",
	 COLUMNS(io_error_columns), each_fact},
	{"functions", "each intercepted function on files and sockets", COLUMNS(function_columns),
	 each_function},
	{"names", "host names that were resolved", COLUMNS(name_columns), each_name},
	{"waits", "what was waited for, by stack", COLUMNS(wait_columns), each_wait},
	{"threads", "each thread and where its time went", COLUMNS(thread_columns), each_thread},
	{"findings", "what stands out", COLUMNS(finding_columns), each_finding},
	{"heap_timeline", "live bytes over time", COLUMNS(heap_timeline_columns), each_heap_sample},
	{"io_timeline", "bytes read and written over time", COLUMNS(io_timeline_columns),
	 each_rate},
	{"socket_timeline", "bytes sent and received over time", COLUMNS(socket_timeline_columns),
	 each_rate},
	{"stacks", "each stack that the other tables name, on one line", COLUMNS(stack_columns),
	 each_stack},
	{"frames", "the frames of each of these stacks", COLUMNS(frame_columns), each_stack},
	{"modules", "programs and libraries", COLUMNS(module_columns), each_module},
	{"notices", "what was lost or not seen", COLUMNS(notice_columns), each_notice},
};

const size_t export_table_count = sizeof(export_tables) / sizeof(*export_tables);

const struct export_table *export_table_by_name(const char *name)
{
	for (size_t i = 0; i < export_table_count; i++)
		if (strcmp(export_tables[i].name, name) == 0)
			return &export_tables[i];
	return NULL;
}

/* Rows on their way. */

static bool is_off(const struct run *run, const struct column *column)
{
	return column->off != 0 && (run->off & column->off) == column->off;
}

static bool emit_row(struct table_rows *rows, const void *of, size_t place)
{
	const struct export_table *t = rows->table;
	const struct row row = {.rows = rows, .of = of, .place = place};
	struct cell cells[EXPORT_COLUMNS_MAX];
	bool good;

	for (size_t i = 0; i < t->column_count; i++) {
		cells[i] = (struct cell){.kind = CELL_NULL};
		if (!is_off(rows->report->run, &t->columns[i]))
			t->columns[i].get(&row, &t->columns[i], &cells[i]);
	}
	good = !rows->failed && rows->sink->row(rows->sink->context, t, cells);
	for (size_t i = 0; i < t->column_count; i++)
		free(cells[i].owned);
	return good;
}

static bool each_of(struct table_rows *rows, const void *list, size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++)
		if (!emit_row(rows, (const char *)list + i * size, i))
			return false;
	return true;
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
		if (only == NULL || only == &export_tables[i])
			good = write_table(&rows, &export_tables[i]);
	free(rows.used);
	if (rows.failed)
		return export_out_of_memory(e);
	return good ? 0 : -1;
}
