/* SPDX-License-Identifier: MIT */
/* Tables of the run: processes, threads, what stands out, code. */
#include "analyzer/export_columns.h"
#include "analyzer/report_sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/emit_json.h"
#include "analyzer/export.h"

/* Words with spaces between, those that need it quoted as in a shell. */
static void get_command(const struct row *row, const struct column *column, struct cell *cell)
{
	const char **const *words = row_field(row, column);
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
	const char *text = row_field(row, column);

	(void)row;
	if (*text != '\0')
		*cell = (struct cell){.kind = CELL_TEXT, .text = text};
}

static void get_id(const struct row *row, const struct column *column, struct cell *cell)
{
	const uint8_t *id = row_field(row, column);
	char *text = malloc(33);

	for (size_t i = 0; text != NULL && i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	put_text(row, cell, text);
}

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

/* Threads and findings. */

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

static void get_what(const struct row *row, const struct column *column, struct cell *cell)
{
	(void)column;
	put_text(row, cell, finding_what(row->rows->report, row->of));
}

/* The figures that it rests on, as a JSON object. */
static void get_evidence(const struct row *row, const struct column *column, struct cell *cell)
{
	struct emit_json e;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	bool good = out != NULL;

	(void)column;
	emit_json_begin(&e);
	finding_evidence(row->rows->report, &e, row->of);
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
	COLUMN("what", TEXT, get_what, what),
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
	const bool *lost = row_field(row, column);

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

const struct export_table table_runs = {"runs", "one row: what was recorded, and its sums",
					COLUMNS(run_columns), each_run};
const struct export_table table_processes = {"processes", "each process image with its sums",
					     COLUMNS(process_columns), each_process};
const struct export_table table_threads = {"threads", "each thread and where its time went",
					   COLUMNS(thread_columns), each_thread};
const struct export_table table_findings = {"findings", "what stands out", COLUMNS(finding_columns),
					    each_finding};
const struct export_table table_modules = {"modules", "programs and libraries",
					   COLUMNS(module_columns), each_module};
const struct export_table table_notices = {"notices", "what was lost or not seen",
					   COLUMNS(notice_columns), each_notice};
