/* SPDX-License-Identifier: MIT */
/* How files are accessed, and how long their calls take, against targets that were made to
 * show it. */
#include "harness.h"

static const cJSON *entry(const cJSON *json, const char *name)
{
	const cJSON *file = file_entry(json, in_box("%s", name));

	check(file != NULL, "%s is not among the files", name);
	return file;
}

static void check_pattern(const cJSON *json, const char *name, const char *way, const char *wanted)
{
	const cJSON *got = json_at(entry(json, name), text("access.%s.pattern", way));

	check(cJSON_IsString(got) && strcmp(got->valuestring, wanted) == 0, "%s %s: %s, not %s",
	      name, way, cJSON_IsString(got) ? got->valuestring : "null", wanted);
}

static void check_figure(const cJSON *json, const char *name, const char *figure, uint64_t wanted)
{
	check_u64(json_u64(entry(json, name), figure), wanted, text("%s of %s", figure, name));
}

static bool is_null(const cJSON *json, const char *name, const char *figure)
{
	return cJSON_IsNull(json_at(entry(json, name), figure));
}

static void patterns(const cJSON *json)
{
	check_pattern(json, "consecutive", "written", "consecutive");
	check_pattern(json, "consecutive", "read", "consecutive");
	check_figure(json, "consecutive", "access.read.steps", 63);
	check_figure(json, "consecutive", "access.read.consecutive", 63);
	check_figure(json, "consecutive", "access.read.sequential", 63);
	check_figure(json, "consecutive", "access.read.again_bytes", 0);
	check_pattern(json, "sequential", "read", "sequential");
	check_figure(json, "sequential", "access.read.sequential", 63);
	check_figure(json, "sequential", "access.read.consecutive", 0);
	check_pattern(json, "strided", "read", "strided");
	check_figure(json, "strided", "access.read.strided", 62);
	check_figure(json, "strided", "access.read.unaligned_calls", 64);
	check_figure(json, "strided", "access.read.tiny_calls", 64);
	check_pattern(json, "strided_by_seeking", "read", "strided");
	check_pattern(json, "random", "read", "random");
	check_figure(json, "random", "access.read.unaligned_calls", 0);
	check_pattern(json, "shared", "read", "consecutive");
	check_pattern(json, "apart", "read", "consecutive");
	check_figure(json, "apart", "access.read.again_bytes", 32 * 4096);
	check_pattern(json, "appended", "written", "consecutive");
	check_figure(json, "appended", "access.written.appended_calls", 64);
}

static void again(const cJSON *json)
{
	check_pattern(json, "reread", "read", "consecutive");
	check_figure(json, "reread", "access.read.distinct_bytes", 64 * 4096);
	check_figure(json, "reread", "access.read.again_bytes", 2 * 64 * 4096);
	check_pattern(json, "rewritten", "written", "repeated");
	check_figure(json, "rewritten", "access.written.again_bytes", 9 * 4096);
	check_figure(json, "rewritten", "access.written.distinct_bytes", 2 * 4096);
	check_pattern(json, "streamed", "read", "consecutive");
	check_figure(json, "streamed", "access.read.again_bytes", 4096);
	check_figure(json, "streamed", "access.read.distinct_bytes", 64 * 4096);
}

static void sizes_and_syncs(const cJSON *json)
{
	static const uint64_t wanted[10] = {2, 2, 2};
	const cJSON *sizes = json_at(entry(json, "sizes"), "access.written.sizes");

	for (int i = 0; i < 10; i++)
		check_u64(json_u64(cJSON_GetArrayItem(sizes, i), "calls"), wanted[i], "sizes");
	check_figure(json, "sizes", "access.written.tiny_calls", 5);
	check_figure(json, "sizes", "sync_calls", 2);
	check_figure(json, "sizes", "sync_latency_us.count", 2);
	check_figure(json, "sizes", "opens", 1);
	check_figure(json, "sizes", "closes", 1);
}

static uint64_t calls_of(const cJSON *file, const char *function)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, json_at(file, "functions"))
	{
		if (strcmp(json_text(f, "function"), function) == 0)
			return json_u64(f, "calls");
	}
	return 0;
}

/* Paths relative to the working directory, and to a descriptor. */
static void names(const cJSON *json)
{
	const cJSON *here = entry(json, "below/here"), *missing = entry(json, "below/missing");
	const cJSON *error = cJSON_GetArrayItem(json_at(missing, "errors_by_errno"), 0);

	check_u64(calls_of(here, "stat"), 6, "stat of below/here");
	check_u64(calls_of(here, "rename"), 1, "rename of below/here");
	check_u64(json_u64(here, "metadata.calls"), 7, "metadata of below/here");
	check(frame_of(cJSON_GetArrayItem(json_at(here, "stacks"), 0), "names") != NULL,
	      "whose calls they were");
	check_u64(json_u64(missing, "metadata.calls"), 1, "metadata of below/missing");
	check_u64(json_u64(missing, "metadata.errors"), 1, "errors of below/missing");
	check_u64(json_u64(missing, "failed_opens"), 1, "failed opens of below/missing");
	check_u64(json_u64(error, "calls"), 2, "errors of below/missing");
	check(strcmp(json_text(error, "error"), "ENOENT") == 0, "of another name");
	check_u64(calls_of(entry(json, "there"), "rename"), 1, "rename of there");
	check_u64(calls_of(entry(json, "there"), "unlink"), 1, "unlink of there");
	check_u64(calls_of(entry(json, "below"), "mkdir"), 1, "mkdir of below");
}

static const cJSON *directory(const cJSON *json, const char *path)
{
	const cJSON *d;

	cJSON_ArrayForEach(d, json_at(json, "io.directories"))
	{
		if (strcmp(json_text(d, "path"), path) == 0)
			return d;
	}
	fail_msg("no directory %s", path);
	return NULL;
}

/* Of one directory, and of what stands below it. */
static void directories(const cJSON *json)
{
	uint64_t read = 0, files = 0;
	const char *box = in_box("%s", "");
	const cJSON *f, *whole;

	box = text("%.*s", (int)strlen(box) - 1, box);
	cJSON_ArrayForEach(f, json_at(json, "io.files"))
	{
		if (strncmp(json_text(f, "path"), box, strlen(box)) != 0 ||
		    json_text(f, "path")[strlen(box)] != '/')
			continue;
		files++;
		read += json_u64(f, "read_bytes");
	}
	whole = directory(json, box);
	check_u64(json_u64(whole, "files"), files, "files of the directory");
	check_u64(json_u64(whole, "read_bytes"), read, "bytes of the directory");
}

static void how_files_are_accessed(void **state)
{
	struct outcome o = record(ARGV(program("access_patterns")), NULL);
	const cJSON *json;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	patterns(json);
	again(json);
	sizes_and_syncs(json);
	names(json);
	directories(json);
}

/* Of an inherited descriptor only what comes after a seek has its place. */
static void inherited_positions(void **state)
{
	struct outcome o = record(ARGV(program("access_patterns")), NULL);
	char **traces = NULL;
	size_t count = list_traces(&o, &traces), found = 0;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const cJSON *json;

		if (strcmp(traces[i], o.trace) == 0)
			continue;
		json = report(traces[i]);
		found++;
		check_figure(json, "inherited", "access.read.calls", 30);
		check_figure(json, "inherited", "access.read.located_calls", 20);
		check_figure(json, "inherited", "access.read.steps", 19);
		check(is_null(json, "inherited", "access.read.again_bytes"), "a guess");
	}
	check_u64(found, 1, "children");
	/* The sum of both. */
	check_figure(report_of_all(&o), "inherited", "read_calls", 30);
	patterns(report_of_all(&o));
}

/* ---- time ----------------------------------------------------------------------- */

/* Within 2 % and what the hook itself takes. */
static void check_percentile(const struct outcome *o, const cJSON *latency, const char *key,
			     const char *truth_name)
{
	double got = json_at(latency, key)->valuedouble * 1000;
	double wanted = (double)truth(o, truth_name);

	check(got <= wanted * 1.02 + 2000 && got >= wanted * 0.98 - 20000, "%s: %.0f ns, not %.0f",
	      truth_name, got, wanted);
}

static void check_latency(const struct outcome *o, const cJSON *latency, const char *what)
{
	static const char *const keys[][2] = {{"p50", "p50"}, {"p75", "p75"}, {"p90", "p90"},
					      {"p95", "p95"}, {"p99", "p99"}, {"max", "p100"}};

	check_u64(json_u64(latency, "count"), truth(o, text("%s.count", what)), what);
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		check_percentile(o, latency, keys[i][0], text("%s.%s", what, keys[i][1]));
}

static void percentiles_are_the_targets_own(void **state)
{
	struct outcome o = record(ARGV(program("latencies")), NULL);
	const cJSON *json, *pipe;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	pipe = file_entry(json, truth_text(&o, "pipe"));
	check(pipe != NULL, "no pipe");
	check_latency(&o, json_at(pipe, "latency_us"), "reads");
	check_latency(&o, json_at(entry(json, "synced"), "sync_latency_us"), "syncs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(how_files_are_accessed),
					   boxed(inherited_positions),
					   boxed(percentiles_are_the_targets_own)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
