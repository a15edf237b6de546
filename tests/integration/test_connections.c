/* SPDX-License-Identifier: MIT */
/* Requests, responses and peers, against a target that times its own. */
#include "harness.h"

enum { CONNECTIONS = 5, TURNS = 20, POOL = 20 };

static const cJSON *endpoint(const cJSON *json, const char *name, const char *opened_by)
{
	const cJSON *e;

	cJSON_ArrayForEach(e, json_at(json, "sockets.endpoints"))
	{
		const cJSON *by = json_at(e, "opened_by");

		if (strcmp(json_text(e, "name"), name) == 0 &&
		    (opened_by == NULL ||
		     (cJSON_IsString(by) && strcmp(by->valuestring, opened_by) == 0)))
			return e;
	}
	fail_msg("no endpoint %s", name);
	return NULL;
}

/* Within 2 % and what the hooks themselves take. */
static void check_turns(const struct outcome *o, const cJSON *latency, const char *what)
{
	static const char *const keys[][2] = {{"p50", "p50"}, {"p75", "p75"}, {"p90", "p90"},
					      {"p95", "p95"}, {"p99", "p99"}, {"max", "p100"}};

	check_u64(json_u64(latency, "count"), truth(o, text("%s.count", what)), what);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		char *name = text("%s.%s", what, keys[i][1]);
		double got = json_at(latency, keys[i][0])->valuedouble * 1000;
		double wanted = (double)truth(o, name);

		check(got <= wanted * 1.02 + 50000 && got >= wanted * 0.98 - 50000,
		      "%s: %.0f ns, not %.0f", name, got, wanted);
	}
}

static void check_ends(const cJSON *e, uint64_t local, uint64_t peer, uint64_t reset)
{
	check_u64(json_u64(e, "closed_local"), local, "closed by this side");
	check_u64(json_u64(e, "closed_peer"), peer, "closed by the peer");
	check_u64(json_u64(e, "reset"), reset, "reset");
}

static void both_sides(const struct outcome *o, const cJSON *json)
{
	unsigned port = (unsigned)truth(o, "port");
	const cJSON *asks = endpoint(json, text("127.0.0.1:%u", port), "connect");
	const cJSON *serves = endpoint(json, text("port %u", port), "accept");

	check_u64(json_u64(asks, "connections"), CONNECTIONS, "connections made");
	check_u64(json_u64(serves, "connections"), CONNECTIONS, "connections accepted");
	check_u64(json_u64(asks, "most_open"), 1, "at once");
	check_u64(json_u64(asks, "turns"), CONNECTIONS * TURNS, "turns asked");
	check_u64(json_u64(serves, "turns"), CONNECTIONS * TURNS, "turns answered");
	check_u64(json_u64(asks, "turns_per_connection"), TURNS, "reuse");
	check_turns(o, json_at(asks, "turn_latency_us"), "asked");
	check_turns(o, json_at(serves, "turn_latency_us"), "answered");
	check_u64(json_u64(asks, "sent_bytes"), CONNECTIONS * TURNS * 100, "sent");
	check_u64(json_u64(serves, "sent_bytes"), CONNECTIONS * TURNS * 3000, "served");
	check_u64(json_u64(asks, "open_latency_us.count"), CONNECTIONS, "connects");
	check(strcmp(json_text(asks, "host"), "localhost") == 0, "by another name");
	check_ends(asks, CONNECTIONS, 0, 0);
	check_ends(serves, 0, CONNECTIONS - 1, 1);
	/* It waited 30 ms once in each. */
	check(json_at(asks, "idle_s")->valuedouble > 0.030 * CONNECTIONS &&
		      json_at(asks, "idle_s")->valuedouble < json_at(asks, "open_s")->valuedouble,
	      "idle for %f of %f s", json_at(asks, "idle_s")->valuedouble,
	      json_at(asks, "open_s")->valuedouble);
}

static void each_connection(const struct outcome *o, const cJSON *json)
{
	char *peer = text("127.0.0.1:%u", (unsigned)truth(o, "port"));
	unsigned seen = 0;
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		const cJSON *p = json_at(c, "peer");

		if (!cJSON_IsString(p) || strcmp(p->valuestring, peer) != 0)
			continue;
		seen++;
		check_u64(json_u64(c, "turns"), TURNS, "turns of one");
		check(json_at(c, "first_byte_s")->valuedouble > 0.002, "the first byte");
		check(strcmp(json_text(c, "peer_name"), "localhost") == 0, "by another name");
		check(frame_of(json_at(c, "opened"), "talk") != NULL, "who connected");
	}
	check_u64(seen, CONNECTIONS, "connections to the server");
	check(strcmp(json_text(cJSON_GetArrayItem(json_at(json, "sockets.resolved"), 0), "name"),
		     "localhost") == 0,
	      "what was resolved");
}

static void peers_of_datagrams(const struct outcome *o, const cJSON *json)
{
	for (unsigned i = 0; i < 3; i++) {
		const cJSON *e = endpoint(json, truth_text(o, text("peer%u", i)), NULL);

		check_u64(json_u64(e, "send_calls"), i + 1, "datagrams");
		check_u64(json_u64(e, "sent_bytes"), 10 * (i + 1), "bytes of datagrams");
		check(strcmp(json_text(e, "type"), "dgram") == 0, "of another type");
	}
}

/* Ten closed at once, ten at the end. */
static void pools(const struct outcome *o, const cJSON *json)
{
	const char *const names[] = {"pooled", truth_text(o, "abstract")};

	for (int i = 0; i < 2; i++) {
		const cJSON *to = endpoint(json, names[i], "connect");
		const cJSON *at = endpoint(json, names[i], "accept");

		check_u64(json_u64(to, "connections"), POOL, "a pool");
		check_u64(json_u64(at, "connections"), POOL, "a pool's other side");
		check_u64(json_u64(to, "most_open"), POOL / 2 + 1, "of a pool at once");
		check_u64(json_u64(to, "turns"), POOL, "turns of a pool");
		check_u64(json_u64(at, "turns"), POOL, "turns of its other side");
	}
}

static void check_all(const struct outcome *o, const cJSON *json)
{
	both_sides(o, json);
	each_connection(o, json);
	peers_of_datagrams(o, json);
	pools(o, json);
}

static void requests_and_responses(void **state)
{
	struct outcome o = record(ARGV(program("requests")), NULL);

	(void)state;
	check_status(&o, 0);
	check_all(&o, report(o.trace));
}

/* As a tree of one process and one that did nothing. */
static void in_a_tree(void **state)
{
	struct outcome o = record(ARGV("sh", "-c", text("%s; true", program("requests"))), NULL);

	(void)state;
	check_status(&o, 0);
	check_all(&o, report_of_all(&o));
}

/* One row a port, not one a connection. */
static void text_is_grouped(void **state)
{
	struct outcome o = record(ARGV(program("requests")), NULL), shown;
	unsigned rows = 0;

	(void)state;
	shown = run(ARGV(perfhook_path(), "report", o.trace), NULL);
	check_status(&shown, 0);
	for (const char *p = shown.out;
	     (p = strstr(p, text("port %u", (unsigned)truth(&o, "port")))) != NULL; p++)
		rows++;
	check_u64(rows, 1, "rows of the port");
	check(strstr(shown.out, "(localhost)") != NULL, "without the name:\n%s", shown.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(requests_and_responses), boxed(in_a_tree),
					   boxed(text_is_grouped)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
