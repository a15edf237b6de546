/* SPDX-License-Identifier: MIT */
/* Findings against a target with one fault a time, which counts what it does, and against
 * what only looks like a fault. */
#include "harness.h"

/* As a part of the target's own count: 0, or what a figure may be off by, percent. */
struct figure {
	const char *evidence, *truth;
	double unit; /* of the evidence in that of the truth */
	double slack_percent;
};

static const struct fault {
	const char *scenario, *kind;
	const char *functions[3]; /* that stand in its stack */
	const char *object;	  /* how it ends; "truth:NAME": as was said */
	struct figure figures[5];
} faults[] = {
	{"tiny_writes",
	 "tiny-writes",
	 {"write_record", "tiny_writes"},
	 "/records",
	 {{"calls", "calls", 1, 0}, {"bytes", "bytes", 1, 0}, {"stack_calls", "calls", 1, 0}}},
	{"tiny_sends",
	 "tiny-writes",
	 {"tiny_sends"},
	 "truth:peer",
	 {{"calls", "calls", 1, 0},
	  {"bytes", "bytes", 1, 0},
	  {"series", "series", 1, 0},
	  {"stack_calls", "calls", 1, 0}}},
	{"reread",
	 "reread-file",
	 {"load", "reread"},
	 "/config",
	 {{"opens", "opens", 1, 0},
	  {"bytes", "bytes", 1, 0},
	  {"stack_bytes", "bytes", 1, 0},
	  {"distinct_bytes", "distinct_bytes", 1, 0}}},
	{"tiny_reads",
	 "tiny-reads",
	 {"read_in_bits", "tiny_reads"},
	 "/bits",
	 {{"calls", "calls", 1, 0},
	  {"tiny_calls", "calls", 1, 0},
	  {"bytes", "bytes", 1, 0},
	  {"stack_bytes", "bytes", 1, 0}}},
	{"temporary",
	 "temporary-allocations",
	 {"use_and_forget", "temporary"},
	 NULL,
	 {{"temporary_allocations", "blocks", 1, 0}, {"allocations", "blocks", 1, 0}}},
	{"leaking",
	 "leak",
	 {"forget", "leaking"},
	 NULL,
	 {{"live_bytes", "bytes", 1, 0},
	  {"live_blocks", "blocks", 1, 0},
	  {"stack_live_bytes", "bytes", 1, 0}}},
	{"whole_in_random_order",
	 "random-reads",
	 {"look_up", "random_reads"},
	 "/index",
	 {{"calls", "calls", 1, 0}, {"bytes", "bytes", 1, 0}, {"size_bytes", "bytes", 1, 0}}},
	{"syncs",
	 "sync-per-record",
	 {"commit", "syncs"},
	 "/journal",
	 {{"calls", "calls", 1, 0}, {"bytes", "bytes", 1, 0}}},
	{"round_trips",
	 "round-trips",
	 {"ask", "ask_often"},
	 "truth:peer",
	 {{"round_trips", "round_trips", 1, 0},
	  {"sent_bytes", "sent_bytes", 1, 0},
	  {"received_bytes", "received_bytes", 1, 0}}},
	{"reconnects",
	 "reconnects",
	 {"dial", "ask_once"},
	 "truth:peer",
	 {{"connections", "connections", 1, 0},
	  {"turns", "connections", 1, 0},
	  {"stack_connections", "connections", 1, 0}}},
	{"slow_peer",
	 "slow-peer",
	 {"take_response", "ask"},
	 "truth:third",
	 {{"turns", "turns", 1, 0}}},
	{"contended",
	 "lock-contention",
	 {"enter", "compete"},
	 "the_lock in findings",
	 {{"time_s", "waited_ns", 1e9, 5}}},
	{"blocked_loop",
	 "blocked-loop",
	 {"handle", "take_event"},
	 NULL,
	 {{"calls", "calls", 1, 0}, {"time_s", "handled_ns", 1e9, 5}}},
};

/* What is near one of them, and none. */
static const char *const harmless[] = {
	"large_writes",
	"scattered_writes",
	"read_a_few_times",
	"read_after_writes",
	"a_part_in_random_order",
	"whole_in_order",
	"few_tiny_reads",
	"kept_a_while",
	"one_sync",
	"few_round_trips",
	"large_round_trips",
	"pipelined",
	"few_reconnects",
	"pooled",
	"slow_peers",
	"briefly_contended",
	"worker_blocks",
	"blocks_around",
};

/* A machine that others use may take a while between two calls: what follows within a
 * moment is to be exact here. */
static const char *const patient[] = {"tiny-write-gap-ms=2000", "sync-gap-ms=5000",
				      "round-trip-gap-ms=2000", "reconnect-gap-ms=5000",
				      "leak-run-s=0.1"};

static cJSON *findings_of(const char *trace, const char *const *thresholds, size_t count)
{
	const char *argv[24] = {perfhook_path(), "report", "--json", "--top", "0", trace};
	size_t n = 6;
	struct outcome o;
	cJSON *json;

	for (size_t i = 0; i < count; i++) {
		argv[n++] = "--threshold";
		argv[n++] = thresholds[i];
	}
	o = run(argv, NULL);
	check_status(&o, 0);
	json = cJSON_Parse(o.out);
	check(json != NULL, "no JSON: %s", o.line);
	return json;
}

/* The first of a kind; NULL: none. */
static const cJSON *find(const cJSON *json, const char *kind)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, json_at(json, "findings"))
	{
		if (strcmp(json_text(f, "kind"), kind) == 0)
			return f;
	}
	return NULL;
}

static void check_object(const struct outcome *o, const cJSON *f, const char *wanted)
{
	const char *got;
	size_t n;

	if (wanted == NULL)
		return;
	if (strncmp(wanted, "truth:", 6) == 0)
		wanted = truth_text(o, wanted + 6);
	got = json_text(f, "evidence.object");
	n = strlen(wanted);
	check(strstr(json_text(f, "what"), wanted) != NULL, "'%s' is not about %s",
	      json_text(f, "what"), wanted);
	check(strlen(got) >= n && strcmp(got + strlen(got) - n, wanted) == 0, "of %s, not %s", got,
	      wanted);
}

static void check_figure(const struct outcome *o, const cJSON *f, const struct figure *figure)
{
	double got = json_at(f, text("evidence.%s", figure->evidence))->valuedouble * figure->unit;
	double wanted = (double)truth(o, figure->truth);
	double slack = wanted * figure->slack_percent / 100;

	check(got >= wanted - slack && got <= wanted + slack, "%s is %f, not %f (%s)",
	      figure->evidence, got, wanted, figure->truth);
}

static void check_fault(const struct outcome *o, const struct fault *fault, const cJSON *f)
{
	check(f != NULL, "%s: no finding of %s", fault->scenario, fault->kind);
	for (size_t i = 0; i < 3 && fault->functions[i] != NULL; i++)
		check(frame_of(f, fault->functions[i]) != NULL, "%s: not in %s", fault->scenario,
		      fault->functions[i]);
	check_object(o, f, fault->object);
	for (size_t i = 0; i < 5 && fault->figures[i].evidence != NULL; i++)
		check_figure(o, f, &fault->figures[i]);
	check(strlen(json_text(f, "advice")) > 20, "without advice");
	check(cJSON_IsNull(json_at(f, "saves_s")) || json_at(f, "saves_s")->valuedouble >= 0,
	      "would cost time");
}

static void faults_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		struct outcome o = record(ARGV(program("findings"), faults[i].scenario), NULL);
		cJSON *json;

		check_status(&o, 0);
		json = findings_of(o.trace, patient, COUNT_OF(patient));
		check_fault(&o, &faults[i], find(json, faults[i].kind));
		check_u64((uint64_t)cJSON_GetArraySize(json_at(json, "findings")), 1,
			  faults[i].scenario);
		cJSON_Delete(json);
	}
}

static void near_misses_are_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(harmless); i++) {
		struct outcome o = record(ARGV(program("findings"), harmless[i]), NULL);
		cJSON *json;

		check_status(&o, 0);
		json = findings_of(o.trace, NULL, 0);
		check(cJSON_GetArraySize(json_at(json, "findings")) == 0, "%s: %s", harmless[i],
		      cJSON_Print(json_at(json, "findings")));
		cJSON_Delete(json);
	}
}

/* Who passes requests on asks anew for each; who sends them asks again and again. */
static void a_proxy_is_none(void **state)
{
	struct outcome o = record(ARGV(program("findings"), "proxy"), NULL);
	cJSON *json;
	const cJSON *f;

	(void)state;
	check_status(&o, 0);
	json = findings_of(o.trace, patient, COUNT_OF(patient));
	f = find(json, "round-trips");
	check(f != NULL && frame_of(f, "pass_on") != NULL, "the client is not found");
	cJSON_ArrayForEach(f, json_at(json, "findings"))
	{
		check(strcmp(json_text(f, "evidence.object"), truth_text(&o, "peer")) != 0,
		      "the proxy is taken for one");
	}
	cJSON_Delete(json);
}

/* Just below and just above what was done. */
static void thresholds_decide(void **state)
{
	static const struct {
		const char *scenario, *kind, *below, *above;
	} cases[] = {
		{"tiny_writes", "tiny-writes", "tiny-write-calls=2500", "tiny-write-calls=2501"},
		{"tiny_writes", "tiny-writes", "tiny-write-bytes=16", "tiny-write-bytes=15"},
		{"reread", "reread-file", "reread-opens=151", "reread-opens=152"},
		{"reread", "reread-file", "reread-factor=150", "reread-factor=151"},
		{"tiny_reads", "tiny-reads", "tiny-read-calls=3000", "tiny-read-calls=3001"},
		{"temporary", "temporary-allocations", "temporary-calls=120000",
		 "temporary-calls=120001"},
		{"leaking", "leak", "leak-bytes-per-day=1000", "leak-bytes-per-day=1e15"},
		{"leaking", "leak", "leak-run-s=0.2", "leak-run-s=1000"},
		{"whole_in_random_order", "random-reads", "random-read-calls=256",
		 "random-read-calls=257"},
		{"a_part_in_random_order", "random-reads", "random-read-percent=70",
		 "random-read-percent=80"},
		{"syncs", "sync-per-record", "sync-calls=80", "sync-calls=81"},
		{"syncs", "sync-per-record", "sync-bytes=200", "sync-bytes=199"},
		{"round_trips", "round-trips", "round-trips=300", "round-trips=301"},
		{"round_trips", "round-trips", "round-trip-bytes=140", "round-trip-bytes=139"},
		{"reconnects", "reconnects", "reconnects=59", "reconnects=60"},
		{"reconnects", "reconnects", "reconnect-turns=1", "reconnect-turns=0.9"},
		{"slow_peer", "slow-peer", "slow-peer-turns=40", "slow-peer-turns=41"},
		{"contended", "lock-contention", "lock-percent=1", "lock-percent=1000"},
		{"blocked_loop", "blocked-loop", "loop-polls=2", "loop-polls=1000"},
		{"blocked_loop", "blocked-loop", "loop-block-total-ms=200",
		 "loop-block-total-ms=100000"},
	};
	const char *list[COUNT_OF(patient) + 1];

	(void)state;
	memcpy((void *)list, patient, sizeof(patient));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct outcome o = record(ARGV(program("findings"), cases[i].scenario), NULL);
		cJSON *json;

		list[COUNT_OF(patient)] = cases[i].below;
		json = findings_of(o.trace, list, COUNT_OF(list));
		check(find(json, cases[i].kind) != NULL, "%s: none", cases[i].below);
		cJSON_Delete(json);
		list[COUNT_OF(patient)] = cases[i].above;
		json = findings_of(o.trace, list, COUNT_OF(list));
		check(find(json, cases[i].kind) == NULL, "%s: one", cases[i].above);
		cJSON_Delete(json);
	}
}

/* Two processes with the same fault are one finding. */
static void in_a_tree(void **state)
{
	struct outcome o = record(ARGV("sh", "-c",
				       text("%s tiny_writes; %s tiny_writes; true",
					    program("findings"), program("findings"))),
				  NULL);
	const cJSON *f;
	cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report_of_all(&o);
	f = find(json, "tiny-writes");
	check(f != NULL, "none in a tree");
	check(frame_of(f, "write_record") != NULL, "not in its stack");
	check_u64(json_u64(f, "processes"), 2, "processes");
	check_u64((uint64_t)cJSON_GetArraySize(json_at(json, "findings")), 1, "findings");
}

static void as_text(void **state)
{
	struct outcome o = record(ARGV(program("findings"), "tiny_writes"), NULL), shown;
	const char *at;

	(void)state;
	shown = run(ARGV(perfhook_path(), "report", o.trace), NULL);
	check_status(&shown, 0);
	at = strstr(shown.out, "FINDINGS");
	check(at != NULL && strstr(shown.out, "\nHEAP") > at, "not at the top:\n%s", shown.out);
	check(strstr(at, "2,500 writes of 16 B on average to") != NULL &&
		      strstr(at, "write_record  findings.c:") != NULL &&
		      strstr(at, "called by tiny_writes, main\n") != NULL &&
		      strstr(at, "Collect them in a buffer") != NULL,
	      "not said:\n%s", at);
	shown = run(ARGV(perfhook_path(), "io", "--threshold", "tiny-write-calls=1e6", o.trace),
		    NULL);
	check_status(&shown, 0);
	check(strstr(shown.out, "nothing stood out of what was looked for: tiny writes, ") != NULL,
	      "not said:\n%s", shown.out);
	o = record(ARGV(program("findings"), "tiny_writes"),
		   &(struct options){.preload = true, .env = ARGV("PERFHOOK_EVENTS=memory")});
	shown = run(ARGV(perfhook_path(), "report", o.trace), NULL);
	check(strstr(shown.out, "looked for: temporary allocations, leaks, lost blocks\n") != NULL,
	      "not said:\n%s", shown.out);
	o = record(ARGV(program("../../examples/leak")),
		   &(struct options){.preload = true, .env = ARGV("PERFHOOK_EVENTS=memory")});
	shown = run(ARGV(perfhook_path(), "report", o.trace), NULL);
	check(strstr(shown.out,
		     "looked for: temporary allocations, lost blocks; of leaks, 24.2 KiB\n") !=
			      NULL &&
		      strstr(shown.out, "are suspect, too slow") != NULL,
	      "a suspect beside nothing:\n%s", shown.out);
}

/* What fills up in a third of the run is none, however short a run may be. */
static void a_full_cache_is_none(void **state)
{
	struct outcome o = record(ARGV(program("findings"), "filling"), NULL);
	cJSON *json = findings_of(o.trace, patient, COUNT_OF(patient));

	(void)state;
	check(find(json, "leak") == NULL, "the cache is taken for a leak");
	cJSON_Delete(json);
}

/* Only where they were searched for. */
static void lost_blocks(void **state)
{
	const struct options searched = {.preload = true, .env = ARGV("PERFHOOK_LEAKS=exit")};
	struct outcome o = record(ARGV(program("findings"), "leaking"), &searched);
	cJSON *json = findings_of(o.trace, patient, COUNT_OF(patient));
	const cJSON *f = find(json, "lost-blocks");
	uint64_t found;

	(void)state;
	check(f != NULL && frame_of(f, "forget") != NULL, "not found");
	found = json_u64(f, "evidence.lost_blocks");
	/* Where an address stands by chance, its block is reachable. */
	check(found <= truth(&o, "blocks") && found + 3 >= truth(&o, "blocks"), "%llu lost",
	      (unsigned long long)found);
	f = find(json, "leak");
	check(f != NULL && strcmp(json_text(f, "severity"), "high") == 0, "it does not grow");
	cJSON_Delete(json);
}

static void wrong_thresholds(void **state)
{
	static const char *const wrong[] = {"tiny",
					    "tiny-write-calls",
					    "tiny-write-calls=",
					    "tiny-write-calls=x",
					    "tiny-write-calls=-1",
					    "tiny-write-calls=1x",
					    "tiny-write-calls=inf",
					    "=1"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct outcome o =
			run(ARGV(perfhook_path(), "report", "--threshold", wrong[i], "none.trace"),
			    NULL);

		check_status(&o, 2);
		check(strchr(o.err, '\n') == o.err + o.err_size - 1 &&
			      strstr(o.err, "--threshold") != NULL,
		      "%s: %s", wrong[i], o.err);
	}
	check(strstr(run(ARGV(perfhook_path(), "io", "--threshold", "tiny=1", "none.trace"), NULL)
			     .err,
		     "there are tiny-write-bytes, ") != NULL,
	      "the names are not said");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(faults_are_found),  boxed(near_misses_are_not), boxed(a_proxy_is_none),
		boxed(thresholds_decide), boxed(in_a_tree),	      boxed(as_text),
		boxed(wrong_thresholds),  boxed(lost_blocks),	      boxed(a_full_cache_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
