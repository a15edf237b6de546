/* SPDX-License-Identifier: MIT */
/* Tables of files, connections and waits. */
#include "analyzer/export_columns.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/report_sections.h"

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
	const struct file_access *const *a = row_field(row, column);

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
	const int *number = row_field(row, column);
	const char *name = *number != 0 ? strerrorname_np(*number) : NULL;

	if (name != NULL)
		*cell = (struct cell){.kind = CELL_TEXT, .text = name};
}

#define SOCKET_TRAFFIC                                                                             \
	U64("sent_bytes", traffic.written_bytes), U64("received_bytes", traffic.read_bytes),       \
		U64("send_calls", traffic.write_calls), U64("receive_calls", traffic.read_calls),  \
		U64("errors", traffic.errors), NUMBER("time_s", traffic.time_s)

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
	SOCKET_TRAFFIC,
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
	SOCKET_TRAFFIC,
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
	const uint64_t *place = row_field(row, column);

	(void)row;
	if (*place != 0)
		*cell = (struct cell){.kind = CELL_COUNT, .count = *place};
}

static void get_errno(const struct row *row, const struct column *column, struct cell *cell)
{
	const int *number = row_field(row, column);
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

/* Waits. */

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

const struct export_table table_transfers = {"transfers",
					     "what each stack read, wrote, sent and received",
					     COLUMNS(transfer_columns), each_transfer};
const struct export_table table_files = {"files", "each path", COLUMNS(file_columns), each_file};
const struct export_table table_connections = {"connections", "each socket",
					       COLUMNS(connection_columns), each_connection};
const struct export_table table_endpoints = {
	"endpoints", "connections to one peer, or accepted at one port, added up",
	COLUMNS(endpoint_columns), each_endpoint};
const struct export_table table_io_stacks = {
	"io_stacks", "the stacks with most time in each file and connection",
	COLUMNS(io_stack_columns), each_fact};
const struct export_table table_io_errors = {"io_errors",
					     "failed calls on each file and connection, by error",
					     COLUMNS(io_error_columns), each_fact};
const struct export_table table_functions = {"functions",
					     "each intercepted function on files and sockets",
					     COLUMNS(function_columns), each_function};
const struct export_table table_names = {"names", "host names that were resolved",
					 COLUMNS(name_columns), each_name};
const struct export_table table_waits = {"waits", "what was waited for, by stack",
					 COLUMNS(wait_columns), each_wait};
const struct export_table table_io_timeline = {"io_timeline", "bytes read and written over time",
					       COLUMNS(io_timeline_columns), each_rate};
const struct export_table table_socket_timeline = {"socket_timeline",
						   "bytes sent and received over time",
						   COLUMNS(socket_timeline_columns), each_rate};
