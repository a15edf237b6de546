/* SPDX-License-Identifier: MIT */
#include "bench/measure.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "bench/process.h"

enum { TARGET_CORE = 0, HELPER_CORE = 1, MAX_TRACES = 64, WAIT_FOR_SERVER_S = 10 };
/* What libc may allocate beside the program: buffers, threads. */
enum { OF_LIBC = 500 };

#define PROBLEM(s, ...)                                                                            \
	do {                                                                                       \
		if ((s)->problem[0] == '\0')                                                       \
			snprintf((s)->problem, sizeof((s)->problem), __VA_ARGS__);                 \
	} while (0)

static char *in_folder(const char *name)
{
	return text_of("%s/%s", place.folder, name);
}

static char *content_of(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	ssize_t n;

	if (f == NULL)
		return text_of("%s", "");
	n = getdelim(&text, &room, '\0', f);
	fclose(f);
	if (n >= 0)
		return text;
	free(text);
	return text_of("%s", "");
}

/* ---- the folder that recordings go to --------------------------------------- */

static void empty_folder(void)
{
	DIR *d;

	mkdir(place.folder, 0700);
	d = opendir(place.folder);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		char *path = in_folder(e->d_name);

		unlink(path);
		free(path);
	}
	if (d != NULL)
		closedir(d);
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Paths of the traces of the last run; `paths` is NULL-terminated. */
static size_t list_traces(char *paths[MAX_TRACES + 1])
{
	DIR *d = opendir(place.folder);
	size_t n = 0;

	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		if (strstr(e->d_name, ".trace") != NULL && n < MAX_TRACES)
			paths[n++] = in_folder(e->d_name);
	if (d != NULL)
		closedir(d);
	paths[n] = NULL;
	return n;
}

static void free_all(char **list)
{
	for (; *list != NULL; list++)
		free(*list);
}

/* ---- what the program and its client said ----------------------------------- */

static double number_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtod(at + strlen(name), NULL) : 0;
}

static void read_said(struct sample *s)
{
	char *path = in_folder("out"), *text = content_of(path);
	const char *line = strstr(text, "bench: ");

	if (line == NULL) {
		PROBLEM(s, "the program did not say what it did");
	} else {
		s->work_ns = number_after(line, "cpu_ns=");
		s->calls = (uint64_t)number_after(line, "calls=");
		s->allocations = (uint64_t)number_after(line, "allocations=");
		s->frees = (uint64_t)number_after(line, "frees=");
		s->frames = (unsigned)number_after(line, "frames=");
		s->threads = (unsigned)number_after(line, "threads=");
		s->rss_kib = number_after(line, "rss_kib=");
	}
	free(text);
	free(path);
}

/* wrk makes as many requests as it can; "  1234 requests in 2.00s, …". */
static void read_client(struct sample *s)
{
	char *path = in_folder("client"), *text = content_of(path),
	     *at = strstr(text, " requests in ");

	if (at != NULL) {
		while (at > text && at[-1] >= '0' && at[-1] <= '9')
			at--;
		s->units = strtod(at, NULL);
	}
	if (s->units < 1)
		PROBLEM(s, "the client made no requests");
	free(text);
	free(path);
}

/* ---- what the recording holds ------------------------------------------------- */

static double json_number(const cJSON *json, const char *part, const char *name)
{
	const cJSON *n = cJSON_GetObjectItem(cJSON_GetObjectItem(json, part), name);

	return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

/* Inlined functions are names, not frames. */
static unsigned deepest(const cJSON *list)
{
	unsigned most = 0;
	const cJSON *entry, *frame;

	cJSON_ArrayForEach(entry, list)
	{
		unsigned n = 0;

		cJSON_ArrayForEach(frame, cJSON_GetObjectItem(entry, "stack")) n +=
			!cJSON_IsTrue(cJSON_GetObjectItem(frame, "inlined"));
		if (n > most)
			most = n;
	}
	return most;
}

static cJSON *report_json(char *const *traces)
{
	char *argv[MAX_TRACES + 8], *path = in_folder("report.json"), *text;
	char *perfhook = text_of("%s/perfhook", place.build);
	struct usage u;
	size_t n = 0;
	cJSON *json = NULL;

	argv[n++] = perfhook;
	argv[n++] = (char *)"report";
	argv[n++] = (char *)"--json";
	argv[n++] = (char *)"--top=20";
	argv[n++] = (char *)"-o";
	argv[n++] = path;
	for (; *traces != NULL; traces++)
		argv[n++] = *traces;
	argv[n] = NULL;
	if (process_wait(process_start(&(struct command){.argv = argv, .core = -1}), &u) &&
	    u.status == 0) {
		text = content_of(path);
		json = cJSON_Parse(text);
		free(text);
	}
	unlink(path);
	free(path);
	free(perfhook);
	return json;
}

/* Each event that the program claims and no more, nothing lost, stacks as deep as they were. */
static void check_report(const struct workload *w, const cJSON *json, struct sample *s)
{
	unsigned frames = deepest(cJSON_GetObjectItem(json, "leaks"));
	unsigned wanted = s->frames > 0 ? s->frames : w->frames;

	if (deepest(cJSON_GetObjectItem(json, "peak")) > frames)
		frames = deepest(cJSON_GetObjectItem(json, "peak"));
	s->events = (uint64_t)json_number(json, "trace", "events");
	s->recorded_allocations = (uint64_t)json_number(json, "memory", "allocations");
	s->recorded_frees = (uint64_t)json_number(json, "memory", "frees");
	s->peak_blocks = (uint64_t)json_number(json, "memory", "peak_blocks");
	if (json_number(json, "trace", "dropped") > 0)
		PROBLEM(s, "%.0f events were dropped", json_number(json, "trace", "dropped"));
	if (!cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "trace"), "complete")))
		PROBLEM(s, "the trace is not complete");
	if (s->recorded_allocations < s->allocations || s->recorded_frees < s->frees)
		PROBLEM(s, "%lu allocations and %lu frees, recorded were %lu and %lu",
			(unsigned long)s->allocations, (unsigned long)s->frees,
			(unsigned long)s->recorded_allocations, (unsigned long)s->recorded_frees);
	if (s->allocations > 0 && s->recorded_allocations > s->allocations + OF_LIBC)
		PROBLEM(s, "%lu allocations, recorded were %lu", (unsigned long)s->allocations,
			(unsigned long)s->recorded_allocations);
	if ((!(w->flags & NO_EVENTS) && s->events < s->calls) || s->events == 0)
		PROBLEM(s, "%lu calls, recorded were %lu", (unsigned long)s->calls,
			(unsigned long)s->events);
	if (frames < wanted)
		PROBLEM(s, "stacks of %u frames, recorded were %u", wanted, frames);
}

/* What `perfhook pack` makes of it; its own size where that is not there. */
static uint64_t packed_size(char *trace)
{
	char *perfhook = text_of("%s/perfhook", place.build), *packed = in_folder("packed");
	char *ask[] = {perfhook, (char *)"pack", (char *)"--help", NULL};
	char *pack[] = {perfhook, (char *)"pack", trace, (char *)"-o", packed, NULL};
	uint64_t size = size_of(trace);
	struct command c = {.argv = ask, .core = -1, .err = "/dev/null"};
	struct usage u;

	if (process_wait(process_start(&c), &u) && u.status == 0) {
		c.argv = pack;
		size = process_wait(process_start(&c), &u) && u.status == 0 ? size_of(packed) : 0;
		unlink(packed);
	}
	free(perfhook);
	free(packed);
	return size;
}

static void check_traces(const struct workload *w, struct sample *s)
{
	char *traces[MAX_TRACES + 1];
	cJSON *json = NULL;

	if (list_traces(traces) > 0)
		json = report_json(traces);
	if (json != NULL)
		check_report(w, json, s);
	else
		PROBLEM(s, "there is no trace, or none that can be read");
	for (char **trace = traces; *trace != NULL; trace++) {
		s->size += size_of(*trace);
		s->kept += w->flags & REAL ? packed_size(*trace) : size_of(*trace);
	}
	cJSON_Delete(json);
	free_all(traces);
}

/* heaptrack_interpret counts; what the program has not written when it ends is lost. */
static void check_heaptrack(struct sample *s)
{
	char *stats = in_folder("stats"), *final = in_folder("final"), *text = content_of(stats);

	s->recorded_allocations = (uint64_t)number_after(text, "allocations:");
	s->size = s->kept = size_of(final);
	if (s->recorded_allocations == 0)
		PROBLEM(s, "heaptrack recorded nothing");
	if ((double)s->recorded_allocations < (double)s->allocations * 0.99)
		PROBLEM(s, "heaptrack recorded %lu of %lu allocations",
			(unsigned long)s->recorded_allocations, (unsigned long)s->allocations);
	free(text);
	free(stats);
	free(final);
}

/* ---- running ------------------------------------------------------------------ */

static bool answers(unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool there = connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0;

	close(fd);
	return there;
}

/* Loads the server and ends it. The client's CPU is nobody's cost. */
static void load_server(const struct workload *w, pid_t server, int core, struct sample *s)
{
	char **client = words_of(w->client), *out = in_folder("client");
	const struct command c = {.argv = client, .out = out, .core = core};
	double end = wall_s() + WAIT_FOR_SERVER_S;
	struct usage u;

	while (!answers(w->port) && wall_s() < end)
		usleep(2000);
	if (!process_wait(process_start(&c), &u) || u.status != 0)
		PROBLEM(s, "the client failed");
	if (strstr(w->client, "wrk") != NULL)
		read_client(s);
	kill(server, SIGTERM);
	words_free(client);
	free(out);
}

/* What the script `heaptrack` does: a pipe, the interpreter and zstd behind it. */
static void start_heaptrack_helpers(int core)
{
	char *line = text_of("rm -f '%s/pipe'; mkfifo '%s/pipe'; echo >'%s/ready'; "
			     "'%s/libexec/heaptrack_interpret' <'%s/pipe' 2>'%s/stats' | "
			     "zstd -q -c >'%s/final'",
			     place.folder, place.folder, place.folder, place.heaptrack,
			     place.folder, place.folder, place.folder);
	char *argv[] = {(char *)"sh", (char *)"-c", line, NULL}, *ready = in_folder("ready");

	process_start(&(struct command){.argv = argv, .core = core});
	for (double end = wall_s() + 5; access(ready, F_OK) != 0 && wall_s() < end;)
		usleep(500);
	free(ready);
	free(line);
}

/* The variables that make the loader record, on the heap; NULL-terminated. */
static void set_variables(char *variables[3], enum mode mode, bool files)
{
	variables[0] = variables[1] = variables[2] = NULL;
	if (mode == PERFHOOK) {
		variables[0] = text_of("LD_PRELOAD=%s/libperfhook.so", place.build);
		variables[1] = text_of("PERFHOOK_OUT=%s/%%p.trace", place.folder);
	} else if (mode == HEAPTRACKED) {
		variables[0] = text_of("LD_PRELOAD=%s/libheaptrack_preload.so", place.heaptrack);
		variables[1] = text_of("DUMP_HEAPTRACK_OUTPUT=%s/%s", place.folder,
				       files ? "raw" : "pipe");
	}
}

static void run_it(const struct workload *w, enum mode mode, bool files, struct sample *s)
{
	bool hold = !(w->flags & BOTH_CORES);
	char *command =
		text_of("%s%s", mode == STRACED ? "strace -f -c -o /dev/null " : "", w->command);
	char **argv = words_of(command), **in = words_of(w->input != NULL ? w->input : "");
	char *out = in_folder("out"), *variables[3];
	struct usage target = {.status = -1}, others;
	struct command c = {.argv = argv, .in = in[0], .core = hold ? TARGET_CORE : -1};
	double start;
	pid_t pid;

	set_variables(variables, mode, files);
	c.env = (const char *const *)variables;
	if (w->flags & SAYS)
		c.out = out;
	if (mode == HEAPTRACKED && !files)
		start_heaptrack_helpers(hold ? HELPER_CORE : -1);
	start = wall_s();
	pid = process_start(&c);
	if (mode == PERFHOOK && hold)
		process_hold_adopted(HELPER_CORE, 100);
	if (w->client != NULL)
		load_server(w, pid, hold ? HELPER_CORE : -1, s);
	if (!process_wait(pid, &target))
		PROBLEM(s, "it took too long");
	s->wall_s = wall_s() - start;
	if (!process_wait_all(&others))
		PROBLEM(s, "what records it took too long");
	if (target.status != 0)
		PROBLEM(s, "the program ended with status %d", target.status);
	s->target_s = target.cpu_s;
	s->total_s = target.cpu_s + others.cpu_s;
	words_free(argv);
	words_free(in);
	free_all(variables);
	free(command);
	free(out);
}

void measure(const struct workload *w, enum mode mode, bool files, struct sample *s)
{
	*s = (struct sample){.units = 1};
	if (mode != HEAPTRACKED || !files)
		empty_folder();
	if (w->client != NULL && answers(w->port)) {
		PROBLEM(s, "another program listens on port %u", w->port);
		return;
	}
	run_it(w, mode, files, s);
	if (w->flags & SAYS)
		read_said(s);
	if (mode == PERFHOOK)
		check_traces(w, s);
	else if (mode == HEAPTRACKED && !files)
		check_heaptrack(s);
	if (!files)
		empty_folder();
}

/* ---- reading ------------------------------------------------------------------ */

static struct reading timed(char *const *argv, const char *in, const char *out)
{
	const struct command c = {
		.argv = argv, .in = in, .out = out, .err = "/dev/null", .core = -1};
	double start = wall_s();
	struct usage u = {.status = -1};
	bool fine = process_wait(process_start(&c), &u) && u.status == 0;

	return (struct reading){wall_s() - start, (double)u.rss_kib, fine};
}

struct reading read_by_perfhook(void)
{
	char *argv[MAX_TRACES + 3], *perfhook = text_of("%s/perfhook", place.build);
	struct reading r;

	argv[0] = perfhook;
	argv[1] = (char *)"report";
	list_traces(argv + 2);
	r = timed(argv, NULL, NULL);
	free_all(argv + 2);
	free(perfhook);
	return r;
}

struct reading read_by_heaptrack(void)
{
	char *raw = in_folder("raw"), *done = in_folder("interpreted");
	char *interpreter = text_of("%s/libexec/heaptrack_interpret", place.heaptrack);
	char *interpret[] = {interpreter, NULL};
	char *print[] = {(char *)"heaptrack_print", (char *)"-f", done, NULL};
	struct reading a = timed(interpret, raw, done), b = timed(print, NULL, NULL);

	unlink(done);
	free(raw);
	free(done);
	free(interpreter);
	a.wall_s += b.wall_s;
	a.rss_kib = a.rss_kib > b.rss_kib ? a.rss_kib : b.rss_kib;
	a.fine = a.fine && b.fine;
	return a;
}
