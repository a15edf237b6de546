/* SPDX-License-Identifier: MIT */
/* Files and sockets against targets that count what they move. */
#include "harness.h"

static void check_file(const cJSON *json, const struct outcome *o, const char *name)
{
	const cJSON *file = file_entry(json, in_box("%s", name));
	static const char *const fields[] = {"read_bytes", "written_bytes", "read_calls",
					     "write_calls", "errors"};

	check(file != NULL, "%s is not among the files", name);
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		char *truth_name = text("%s.%s", name, fields[i]);

		if (truth_text(o, truth_name) != NULL)
			check_u64(json_u64(file, fields[i]), truth(o, truth_name), truth_name);
	}
}

static void check_every_function(const char *name)
{
	struct outcome o = record(ARGV(program(name)), NULL);
	cJSON *json;

	check_status(&o, 0);
	json = report(o.trace);
	check_file(json, &o, "data");
	check_file(json, &o, "other");
	check_u64(json_u64(json, "sockets.sent_bytes"), truth(&o, "sent_bytes"), "sent");
	check_u64(json_u64(json, "sockets.received_bytes"), truth(&o, "received_bytes"),
		  "received");
	check_u64(json_u64(json, "sockets.send_calls"), truth(&o, "send_calls"), "sends");
	check_u64(json_u64(json, "sockets.receive_calls"), truth(&o, "receive_calls"), "receives");
	check_u64(json_u64(json, "io.written_bytes"),
		  truth(&o, "data.written_bytes") + truth(&o, "other.written_bytes") +
			  truth(&o, "pipe_bytes"),
		  "io.written_bytes");
	check_u64(json_u64(json, "io.read_bytes"),
		  truth(&o, "data.read_bytes") + truth(&o, "pipe_bytes"), "io.read_bytes");
}

static void every_function(void **state)
{
	(void)state;
	check_every_function("io_calls");
}

static void every_checked_name(void **state)
{
	(void)state;
	check_every_function("io_fortified");
}

static void errors(void **state)
{
	struct outcome plain = run(ARGV(program("io_errors")), NULL);
	struct outcome o = record(ARGV(program("io_errors")), NULL);
	cJSON *json;

	(void)state;
	check_status(&plain, 0);
	/* The target has checked each errno. */
	check_status(&o, 0);
	assert_string_equal(o.out, plain.out);
	json = report(o.trace);
	check_file(json, &o, "data");
	check(json_u64(json, "io.errors") >= truth(&o, "read_write_errors"), "io.errors is %llu",
	      (unsigned long long)json_u64(json, "io.errors"));
	check(json_u64(json, "sockets.errors") >= truth(&o, "socket_errors"),
	      "sockets.errors is %llu", (unsigned long long)json_u64(json, "sockets.errors"));
}

static uint64_t own_u64(const cJSON *c, const char *name)
{
	return json_u64(c, name);
}

static bool is_text(const cJSON *c, const char *name, const char *value)
{
	const cJSON *s = json_at(c, name);

	return value == NULL || (cJSON_IsString(s) && strcmp(s->valuestring, value) == 0);
}

/* A connection of that family and type that moved exactly that. */
static const cJSON *find_connection(const cJSON *json, const char *family, const char *type,
				    uint64_t sent, uint64_t received, const char *opened_by)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		if (is_text(c, "family", family) && is_text(c, "type", type) &&
		    own_u64(c, "sent_bytes") == sent && own_u64(c, "received_bytes") == received &&
		    is_text(c, "opened_by", opened_by))
			return c;
	}
	fail_msg("no %s %s connection by %s that sent %llu and received %llu", family, type,
		 opened_by ? opened_by : "anything", (unsigned long long)sent,
		 (unsigned long long)received);
	return NULL;
}

static void connections(void **state)
{
	struct outcome o = record(ARGV(program("sockets")), NULL);
	uint64_t ask, answer;
	const cJSON *client, *server;
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	ask = truth(&o, "tcp.ask");
	answer = truth(&o, "tcp.answer");
	client = find_connection(json, "inet", "stream", ask, answer, "connect");
	server = find_connection(json, "inet", "stream", answer, ask, "accept");
	assert_string_equal(json_text(client, "peer"), truth_text(&o, "tcp.address"));
	assert_string_equal(json_text(server, "local"), truth_text(&o, "tcp.address"));
	assert_string_equal(json_text(server, "peer"), json_text(client, "local"));
	ask = truth(&o, "unix.ask");
	answer = truth(&o, "unix.answer");
	client = find_connection(json, "unix", "stream", ask, answer, "connect");
	find_connection(json, "unix", "stream", answer, ask, "accept");
	check(strstr(json_text(client, "peer"), "here.sock") != NULL, "peer of the UNIX socket");
	find_connection(json, "inet", "dgram", truth(&o, "udp.ask"), 0, NULL);
	find_connection(json, "inet", "dgram", 0, truth(&o, "udp.ask"), NULL);
	find_connection(json, "unix", "stream", truth(&o, "pair"), 0, "socketpair");
	find_connection(json, "unix", "stream", 0, truth(&o, "pair"), "socketpair");
	check_u64(json_u64(json, "sockets.sent_bytes"), truth(&o, "sent_bytes"), "sent_bytes");
}

static void threads(void **state)
{
	struct outcome o = record(ARGV(program("workers"), "6"), NULL);
	uint64_t sum = 0;
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	for (unsigned i = 0; i < 6; i++) {
		const cJSON *file = file_entry(json, in_box("worker-%u", i));

		check(file != NULL, "worker-%u is not among the files", i);
		check_u64(json_u64(file, "write_calls"), 100 * (i + 1), "a worker's calls");
		sum += json_u64(file, "written_bytes");
	}
	check_u64(sum, truth(&o, "written_bytes"), "written by all");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(every_function), boxed(every_checked_name),
					   boxed(errors), boxed(connections), boxed(threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
