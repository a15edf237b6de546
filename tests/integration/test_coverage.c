/* SPDX-License-Identifier: MIT */
/* The table of functions is what the library exports, and each call of each name
 * is recorded: once, with what it gave, and for whoever called. */
#include "tests/integration/events.h"
#include "trace/cell.h"

struct row {
	const char *exported, *recorded;
};

static const struct row rows[] = {
#define PH_IO(id, ...)	    {#id, #id},
#define PH_BY_HAND(id, ...) {#id, #id},
#define PH_AS(id, as, ...)  {#id, #as},
#define PH_ALIAS(alias, id) {#alias, #id},
#include "trace/functions.def"
};

/* Noted only: the trace has no events of them. */
static const char *const noted[] = {
#define PH_NOTED(id, ...) #id,
#include "trace/functions.def"
};

/* An alias of a row whose events are another one's. */
static const char *recorded_as(const struct row *row)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(rows[i].exported, row->recorded) == 0)
			return rows[i].recorded;
	}
	return row->recorded;
}

static bool is_exported_row(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(noted); i++) {
		if (strcmp(noted[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(rows[i].exported, name) == 0)
			return true;
	}
	return false;
}

/* Third column of `nm -D --defined-only`, without versions. */
static char *exports(void)
{
	struct outcome o = run(ARGV("nm", "-D", "--defined-only", library_path()), NULL);
	char *all = text("\n"), *rest = NULL;

	check_status(&o, 0);
	for (char *l = strtok_r(o.out, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest)) {
		const char *name = strrchr(l, ' ') + 1;

		all = text("%s%.*s\n", all, (int)strcspn(name, "@"), name);
	}
	return all;
}

static void exports_are_the_rows(void **state)
{
	char *all, *rest = NULL;

	(void)state;
	need_tool("nm");
	all = exports();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check(strstr(all, text("\n%s\n", rows[i].exported)) != NULL, "%s is not exported",
		      rows[i].exported);
	for (size_t i = 0; i < COUNT_OF(noted); i++)
		check(strstr(all, text("\n%s\n", noted[i])) != NULL, "%s is not exported",
		      noted[i]);
	for (char *l = strtok_r(all, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest))
		/* preload/sanitizer.c */
		check(is_exported_row(l) || strcmp(l, "__asan_default_options") == 0,
		      "%s is exported, and no row", l);
}

static void needs_only_libc(void **state)
{
	struct outcome o;
	const char *p;
	int needed = 0;

	(void)state;
	need_tool("readelf");
	o = run(ARGV("readelf", "-dW", library_path()), NULL);
	check_status(&o, 0);
	for (p = o.out; (p = strstr(p, "(NEEDED)")) != NULL; p++) {
		needed++;
		check(strncmp(strchr(p, '['), "[libc.so.6]", 11) == 0, "needs %.60s", p);
	}
	check_u64((uint64_t)needed, 1, "libraries needed");
	check(strstr(o.out, "TEXTREL") == NULL, "has text relocations");
}

/* The checked names are really what that target imports. */
static void fortified_target_is_fortified(void **state)
{
	struct outcome o;

	(void)state;
	need_tool("nm");
	o = run(ARGV("nm", "-D", "--undefined-only", program("io_fortified")), NULL);
	check_status(&o, 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *name = rows[i].exported;
		size_t length = strlen(name);
		bool checked =
			strncmp(name, "__", 2) == 0 && (strcmp(name + length - 4, "_chk") == 0 ||
							strcmp(name + length - 2, "_2") == 0);

		check(!checked || strstr(o.out, text(" %s", name)) != NULL,
		      "io_fortified does not import %s", name);
	}
}

/* ---- each name, each call ------------------------------------------------------- */

#define NAMES COUNT_OF(rows)

/* Every `truth: NAME=VALUE` of that name. */
static char *all_truths(const struct outcome *o, const char *name)
{
	char *wanted = text("\ntruth: %s=", name), *out = text("\n%s", o->out);
	struct lines l = {0};

	for (const char *p = out; (p = strstr(p, wanted)) != NULL;) {
		p += strlen(wanted);
		add_line(&l, text("%.*s", (int)strcspn(p, "\n"), p));
	}
	return sorted_lines(&l);
}

/* Their results, of calls of that row made by the function call_NAME. */
static char *all_results(const struct seen *events, size_t count, const struct row *row)
{
	char *caller = text("call_%s", row->exported);
	struct lines l = {0};

	for (size_t i = 0; i < count; i++) {
		const struct seen *e = &events[i];

		if (e->op >= PH_OP_FUNCTIONS || strcmp(e->caller, caller) != 0)
			continue;
		check(strcmp(e->function, recorded_as(row)) == 0, "%s made a call of %s", caller,
		      e->function);
		add_line(&l, e->block ? text("%#llx:%llu", (unsigned long long)e->address,
					     (unsigned long long)e->size)
				      : text("%lld", (long long)e->result));
	}
	return sorted_lines(&l);
}

static void check_traffic(const cJSON *entry, const char *path, const char *truth_of_it,
			  const char *const fields[5])
{
	unsigned long long said[5];

	check(entry != NULL, "the report does not have %s", path);
	check(sscanf(truth_of_it, "%llu %llu %llu %llu %llu", &said[0], &said[1], &said[2],
		     &said[3], &said[4]) == 5,
	      "five numbers: %s", truth_of_it);
	for (int i = 0; i < 5 && fields[i] != NULL; i++)
		check_u64(json_u64(entry, fields[i]), said[i], text("%s of %s", fields[i], path));
}

/* By the path that it is bound to. */
static const cJSON *socket_entry(const cJSON *json, const char *path)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		const cJSON *local = json_at(c, "local");

		if (cJSON_IsString(local) && strcmp(local->valuestring, path) == 0)
			return c;
	}
	return NULL;
}

/* The report's sums against every `truth: traffic.PATH=`. */
static void check_all_traffic(const struct outcome *o)
{
	static const char *const of_file[5] = {"read_bytes", "written_bytes", "read_calls",
					       "write_calls", "sync_calls"};
	static const char *const of_socket[5] = {"received_bytes", "sent_bytes", "receive_calls",
						 "send_calls"};
	static const char key[] = "truth: traffic.";
	const cJSON *json = report(o->trace);
	unsigned checked = 0;

	for (const char *p = o->out; (p = strstr(p, key)) != NULL; checked++) {
		const cJSON *socket;
		char *path;

		p += sizeof(key) - 1;
		path = text("%.*s", (int)strcspn(p, "="), p);
		socket = socket_entry(json, path);
		p += strlen(path) + 1;
		if (socket != NULL)
			check_traffic(socket, path, p, of_socket);
		else
			check_traffic(file_entry(json, path), path, p, of_file);
	}
	check(checked > 30, "%u files and sockets", checked);
}

/* Its output is long: what it says went wrong, if anything did. */
static void check_trials(const struct outcome *o)
{
	char *out = text("\n%s", o->out), *wrong = text("%s", "");

	for (const char *p = out; (p = strstr(p, "\nwrong: ")) != NULL;) {
		p++;
		wrong = text("%s%.*s\n", wrong, (int)strcspn(p, "\n"), p);
	}
	check(o->status == 0, "%s: status %d, signal %d\n%s%s", o->line, o->status, o->signal,
	      wrong, o->err);
}

static void each_name_is_recorded(void **state)
{
	const struct options free_stacks = {
		.env = (const char *const[]){"PERFHOOK_FREE_STACKS=on", NULL}};
	struct outcome plain = run(ARGV(program("every_call")), NULL), o;
	struct seen *events;
	size_t count;

	(void)state;
	/* Without the library too: what the trials take for granted. */
	check_trials(&plain);
	o = record(ARGV(program("every_call")), &free_stacks);
	check_trials(&o);
	count = read_events(&o, &events);
	for (size_t i = 0; i < NAMES; i++) {
		const char *name = rows[i].exported;
		char *said = all_truths(&o, name), *seen = all_results(events, count, &rows[i]);

		check(said[0] != '\0', "%s is not called: add it to tests/programs/every_call.c",
		      name);
		check(strcmp(said, seen) == 0, "%s: it called, in any order:\n%srecorded:\n%s",
		      name, said, seen);
	}
	check_all_traffic(&o);
}

/* ---- programs as they are written ------------------------------------------------- */

/* What the target says it called against what was recorded of it. */
static void check_calls(const char *const *argv, int status)
{
	struct outcome o = record(argv, NULL);
	struct outcome base = record(ARGV(argv[0], "baseline"), NULL);
	char *dump = dump_of_all(&o), *base_dump = dump_of_all(&base);
	unsigned said = 0;

	check_status(&o, status);
	for (size_t i = 0; i < NAMES; i++) {
		const char *name = rows[i].recorded;
		char *times = truth_text(&o, text("calls.%s", name));
		char *base_times = truth_text(&base, text("calls.%s", name));

		if (times == NULL)
			continue;
		said++;
		check_u64(dump_count(dump, name) - dump_count(base_dump, name),
			  strtoull(times, NULL, 10) -
				  (base_times != NULL ? strtoull(base_times, NULL, 10) : 0),
			  text("events of %s", name));
	}
	check(said > 0, "%s does not say what it calls", o.line);
}

/* As compilers make the calls: with the headers' macros, fortified, from libc's own
 * code. */
static void calls_of_programs(void **state)
{
	(void)state;
	check_calls(ARGV(program("memory_calls")), 0);
	check_calls(ARGV(program("memory_maps")), 0);
	check_calls(ARGV(program("io_calls")), 0);
	check_calls(ARGV(program("io_fortified")), 0);
	check_calls(ARGV(program("ending"), "rows"), 9);
	check_calls(ARGV(program("vfork_exec")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(exports_are_the_rows), boxed(needs_only_libc),
					   boxed(fortified_target_is_fortified),
					   boxed(each_name_is_recorded), boxed(calls_of_programs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
