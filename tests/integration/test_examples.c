/* SPDX-License-Identifier: MIT */
/* The examples: what each says of itself against what the report says of it. */
#include "harness.h"

static struct outcome recorded_example(const char *name)
{
	struct outcome o = record(ARGV(program(name)), NULL);

	check_status(&o, 0);
	return o;
}

static void check_frame(const cJSON *entry, const char *function, const char *file)
{
	const cJSON *frame = frame_of(entry, function);
	const char *path;

	check(frame != NULL, "no frame of %s in %s", function, cJSON_Print(entry));
	path = json_text(frame, "file");
	check(strstr(path, file) != NULL, "%s is in %s, not in %s", function, path, file);
	check(json_u64(frame, "line") > 0, "%s has no line", function);
}

static const cJSON *top_leak(const cJSON *json)
{
	const cJSON *first = cJSON_GetArrayItem(json_at(json, "leaks"), 0);

	check(first != NULL, "no leak at all");
	check_u64(json_u64(first, "rank"), 1, "rank of the first leak");
	return first;
}

static void leak(void **state)
{
	struct outcome o = recorded_example("leak");
	cJSON *json = report(o.trace);
	const cJSON *top = top_leak(json);

	(void)state;
	check_u64(json_u64(top, "bytes"), truth(&o, "leaked_bytes"), "leaked_bytes");
	check_u64(json_u64(top, "blocks"), truth(&o, "leaked_blocks"), "leaked_blocks");
	check_frame(top, "entry_new", "leak.c");
	check_frame(top, "lookup", "leak.c");
	check_frame(top, "main", "leak.c");
}

static void files(void **state)
{
	struct outcome o = recorded_example("files");
	cJSON *json = report(o.trace);
	const cJSON *tiny = file_entry(json, in_box("tiny.dat"));
	const cJSON *big = file_entry(json, in_box("big.dat"));

	(void)state;
	check(tiny != NULL && big != NULL, "tiny.dat or big.dat is missing");
	check_u64(json_u64(tiny, "written_bytes"), truth(&o, "tiny.written_bytes"), "tiny.dat");
	check_u64(json_u64(tiny, "write_calls"), truth(&o, "tiny.write_calls"), "tiny.dat calls");
	check_u64(json_u64(tiny, "read_calls"), 0, "tiny.dat read_calls");
	check_u64(json_u64(big, "written_bytes"), truth(&o, "big.written_bytes"), "big.dat");
	check_u64(json_u64(big, "write_calls"), truth(&o, "big.write_calls"), "big.dat calls");
	check_u64(json_u64(big, "read_bytes"), truth(&o, "big.read_bytes"), "big.dat read");
	check_u64(json_u64(big, "read_calls"), truth(&o, "big.read_calls"), "big.dat reads");
	check_u64(json_u64(big, "errors"), 0, "big.dat errors");
	check_u64(json_u64(tiny, "latency_us.count"), truth(&o, "tiny.write_calls"), "latencies");
}

static const cJSON *connection_opened_by(const cJSON *json, const char *how)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		const cJSON *by = json_at(c, "opened_by");

		if (cJSON_IsString(by) && strcmp(by->valuestring, how) == 0)
			return c;
	}
	return NULL;
}

static void tcp(void **state)
{
	struct outcome o = recorded_example("tcp");
	cJSON *json = report(o.trace);
	const cJSON *client = connection_opened_by(json, "connect");
	const cJSON *server = connection_opened_by(json, "accept");
	uint64_t asked = truth(&o, "client.sent_bytes");
	uint64_t answered = truth(&o, "client.received_bytes");
	const char *address = truth_text(&o, "address");

	(void)state;
	check(client != NULL && server != NULL, "one end of the connection is missing");
	check_u64(json_u64(client, "sent_bytes"), asked, "client's sent_bytes");
	check_u64(json_u64(client, "received_bytes"), answered, "client's received_bytes");
	check_u64(json_u64(server, "sent_bytes"), answered, "server's sent_bytes");
	check_u64(json_u64(server, "received_bytes"), asked, "server's received_bytes");
	assert_string_equal(json_text(client, "peer"), address);
	assert_string_equal(json_text(server, "local"), address);
	assert_string_equal(json_text(client, "local"), json_text(server, "peer"));
	assert_string_equal(json_text(client, "family"), "inet");
	assert_string_equal(json_text(client, "type"), "stream");
	check_u64(json_u64(json, "sockets.sent_bytes"), asked + answered, "sockets.sent_bytes");
}

static void threads(void **state)
{
	struct outcome o = recorded_example("threads");
	cJSON *json = report(o.trace);
	struct amount kept = leaked_by(json, "job_new");
	/* libc's own for three threads and the output's buffer. */
	const uint64_t libc_bytes = 64 << 10;

	(void)state;
	check_u64(kept.bytes, truth(&o, "live_bytes"), "live_bytes of job_new");
	check_u64(kept.blocks, truth(&o, "live_blocks"), "live_blocks of job_new");
	check_frame(leak_with_function(json, "job_new"), "produce", "threads.c");
	check(json_u64(json, "memory.peak_bytes") <=
		      truth(&o, "peak_bytes_at_most") + libc_bytes +
			      json_u64(json, "memory.peak_uncertainty_bytes"),
	      "peak of %llu bytes", (unsigned long long)json_u64(json, "memory.peak_bytes"));
	check(json_u64(json, "memory.peak_bytes") >= truth(&o, "live_bytes"), "peak below live");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(json, "threads")), 4, "threads");
}

static void shapes(void **state)
{
	struct outcome o = recorded_example("shapes");
	cJSON *json = report(o.trace);
	struct amount lost = leaked_by(json, "drawing_of");

	(void)state;
	check_u64(lost.bytes, truth(&o, "leaked_bytes"), "leaked_bytes");
	check_u64(lost.blocks, truth(&o, "leaked_blocks"), "leaked_blocks");
	/* Circles and squares leak from two lines, so from two stacks. */
	check_frame(top_leak(json), "drawing_of", "shapes.cc");
	check_frame(top_leak(json), "draw_all", "shapes.cc");
}

static void leaky_server(void **state)
{
	struct outcome o = record(ARGV(program("leaky_server"), "1"), NULL);
	cJSON *json = report(o.trace);
	const cJSON *top = top_leak(json);

	(void)state;
	check_status(&o, 0);
	check_u64(json_u64(top, "blocks"), truth(&o, "leaked_blocks"), "leaked_blocks");
	check_u64(json_u64(top, "bytes"), truth(&o, "leaked_bytes"), "leaked_bytes");
	check(json_at(top, "suspect")->type == cJSON_True, "it is no suspect");
	check_frame(top, "session_new", "leaky_server.c");
	check_frame(top, "login", "leaky_server.c");
	o = record(ARGV(program("leaky_server"), "0.5", "fixed"), NULL);
	check_u64(truth(&o, "leaked_blocks"), 0, "leaked_blocks of the fixed one");
	check(leak_with_function(report(o.trace), "login") == NULL, "the fixed one leaks");
}

static void slow_start(void **state)
{
	struct outcome o = recorded_example("slow_start");
	cJSON *json = report(o.trace);
	const cJSON *first = cJSON_GetArrayItem(json_at(json, "findings"), 0);
	const cJSON *file = file_entry(json, in_box("messages.txt"));
	uint64_t opens = truth(&o, "opens");

	(void)state;
	check(first != NULL, "no finding");
	assert_string_equal(json_text(first, "kind"), "reread-file");
	/* And one to write it. */
	check_u64(json_u64(first, "evidence.opens"), opens + 1, "opens");
	check_frame(first, "label", "slow_start.c");
	check(file != NULL, "no messages.txt");
	check_u64(json_u64(file, "closes"), opens + 1, "closes");
	/* What it would save has the opens too. */
	check(json_at(first, "saves_s")->valuedouble >
		      json_at(first, "evidence.time_s")->valuedouble,
	      "no time of opens");
	o = record(ARGV(program("slow_start"), "fixed"), NULL);
	check_u64(truth(&o, "opens"), 1, "opens of the fixed one");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(report(o.trace), "findings")), 0,
		  "findings of the fixed one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(leak),	     boxed(files),  boxed(tcp),
					   boxed(threads),   boxed(shapes), boxed(leaky_server),
					   boxed(slow_start)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
