/* SPDX-License-Identifier: MIT */
/* Whose bytes they are: descriptors whose numbers are used again, that are copied,
 * inherited or passed on, and connections with both their ends. */
#include "tests/integration/harness.h"

#define REPORTS 32

struct reports {
	cJSON *all[REPORTS];
	size_t count;
};

/* Of each process for itself. */
static struct reports reports_of(const struct outcome *o)
{
	struct reports r = {.count = 0};
	char **traces;
	size_t count = list_traces(o, &traces);

	check(count > 0 && count <= REPORTS, "%zu traces", count);
	while (r.count < count) {
		r.all[r.count] = report(traces[r.count]);
		r.count++;
	}
	return r;
}

static bool is_at(const char *path, const char *name)
{
	return strcmp(path, name) == 0 || strcmp(path, in_box("%s", name)) == 0;
}

static uint64_t sum_of_files(const struct reports *r, const char *name, const char *field)
{
	const cJSON *file;
	uint64_t sum = 0;

	for (size_t i = 0; i < r->count; i++)
		cJSON_ArrayForEach(file, json_at(r->all[i], "io.files"))
		{
			if (is_at(json_text(file, "path"), name))
				sum += json_u64(file, field);
		}
	return sum;
}

static uint64_t sum_of_sockets(const struct reports *r, const char *name, const char *field)
{
	const cJSON *c;
	uint64_t sum = 0;

	for (size_t i = 0; i < r->count; i++)
		cJSON_ArrayForEach(c, json_at(r->all[i], "sockets.connections"))
		{
			const cJSON *local = json_at(c, "local");

			if (cJSON_IsString(local) && is_at(local->valuestring, name))
				sum += json_u64(c, field);
		}
	return sum;
}

/* Of a path there may be several lines. */
static uint64_t sum_of_truths(const struct outcome *o, const char *key)
{
	char *wanted = text("truth: %s=", key);
	uint64_t sum = 0;

	for (const char *p = o->out; (p = strstr(p, wanted)) != NULL;) {
		p += strlen(wanted);
		sum += strtoull(p, NULL, 10);
	}
	return sum;
}

/* What it says of every file and socket, against what was recorded of all processes. */
static unsigned check_all(const struct outcome *o, const struct reports *r)
{
	static const struct {
		const char *key, *field;
		uint64_t (*sum)(const struct reports *, const char *, const char *);
	} kinds[] = {{"written", "written_bytes", sum_of_files},
		     {"read", "read_bytes", sum_of_files},
		     {"sent", "sent_bytes", sum_of_sockets}};
	unsigned checked = 0;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		char *key = text("truth: %s.", kinds[i].key);

		for (const char *p = o->out; (p = strstr(p, key)) != NULL; checked++) {
			char *name;

			p += strlen(key);
			name = text("%.*s", (int)strcspn(p, "="), p);
			check_u64(kinds[i].sum(r, name, kinds[i].field),
				  sum_of_truths(o, text("%s.%s", kinds[i].key, name)),
				  text("%s %s", kinds[i].key, name));
		}
	}
	return checked;
}

static void lives_of_descriptors(void **state)
{
	struct outcome o = record(ARGV(program("descriptor_lives")), NULL);
	struct reports r;
	unsigned checked;

	(void)state;
	check_status(&o, 0);
	r = reports_of(&o);
	checked = check_all(&o, &r);
	check(checked > 30, "%u files and sockets", checked);
}

/* A shell opens them and becomes the program. */
static void inherited_descriptors(void **state)
{
	struct outcome o;
	struct reports r;

	(void)state;
	write_file(in_box("inherited.in"), text("%0100d", 0), 100);
	o = record(ARGV("sh", "-c",
			text("exec %s inherited 3<inherited.in 4>inherited.out",
			     program("descriptor_lives"))),
		   NULL);
	check_status(&o, 0);
	r = reports_of(&o);
	check_u64(check_all(&o, &r), 3, "files");
}

/* ---- connections -------------------------------------------------------------------- */

static const char *or_none(const cJSON *c, const char *key)
{
	const cJSON *s = json_at(c, key);

	check(cJSON_IsString(s) || cJSON_IsNull(s), "%s is no name", key);
	return cJSON_IsString(s) ? s->valuestring : "-";
}

/* As tests/programs/connections.c says it. */
static char *line_of(const cJSON *c)
{
	bool listening = cJSON_IsTrue(json_at(c, "listening"));
	bool several = cJSON_IsTrue(json_at(c, "several_peers"));

	return text("%s %s %llu %llu %s %s %s %s %s %s", or_none(c, "family"), or_none(c, "type"),
		    (unsigned long long)json_u64(c, "sent_bytes"),
		    (unsigned long long)json_u64(c, "received_bytes"), or_none(c, "local"),
		    or_none(c, "peer"), or_none(c, "opened_by"), or_none(c, "closed_by"),
		    or_none(c, "connect_error"),
		    listening ? "listening"
		    : several ? "several"
			      : "-");
}

/* Both lists, each sorted: nothing is missing, and nothing is there besides. */
static void connections(void **state)
{
	struct outcome o = record(ARGV(program("connections")), NULL);
	static const char key[] = "truth: connection=";
	struct lines said = {0}, seen = {0};
	const cJSON *json, *c;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	for (const char *p = o.out; (p = strstr(p, key)) != NULL;) {
		p += sizeof(key) - 1;
		add_line(&said, text("%.*s", (int)strcspn(p, "\n"), p));
	}
	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		add_line(&seen, line_of(c));
	}
	check(said.count > 20, "%zu connections", said.count);
	assert_string_equal(sorted_lines(&seen), sorted_lines(&said));
	check_u64(json_u64(file_entry(json, "sent"), "read_bytes"), truth(&o, "sent.read_bytes"),
		  "read for a socket");
	check_u64(json_u64(file_entry(json, "sent"), "written_bytes"),
		  truth(&o, "sent.written_bytes"), "written from a socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(lives_of_descriptors),
					   boxed(inherited_descriptors), boxed(connections)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
