/* SPDX-License-Identifier: MIT */
/* Starting programs, and reading what was recorded of them; see harness.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"

struct running {
	struct outcome o;
	int pidfd, out, err;
	double deadline;
	bool reaped;
	struct running *next;
};

static char dir[PATH_MAX];
static char build[PATH_MAX];
static struct running *all_running;
static int recordings;

/* What a test is given belongs to the test: freed when its box is taken down. */
static struct owned {
	struct owned *next;
	void *memory;
	cJSON *json;
} * all_owned;

static void *own(void *memory, cJSON *json)
{
	struct owned *o = malloc(sizeof(*o));

	*o = (struct owned){.next = all_owned, .memory = memory, .json = json};
	all_owned = o;
	return memory;
}

void *kept(void *memory)
{
	return own(memory, NULL);
}

static void free_owned(void)
{
	while (all_owned != NULL) {
		struct owned *o = all_owned;

		all_owned = o->next;
		free(o->memory);
		cJSON_Delete(o->json);
		free(o);
	}
}

void add_line(struct lines *l, char *line)
{
	l->all = realloc(l->all, (l->count + 1) * sizeof(*l->all));
	assert_non_null(l->all);
	l->all[l->count++] = line;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *sorted_lines(struct lines *l)
{
	char *all = text("%s", "");

	if (l->count > 0)
		qsort(l->all, l->count, sizeof(*l->all), by_text);
	for (size_t i = 0; i < l->count; i++)
		all = text("%s%s\n", all, l->all[i]);
	free(l->all);
	*l = (struct lines){0};
	return all;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *format_text(const char *format, va_list list)
{
	char *s = NULL;

	if (vasprintf(&s, format, list) < 0)
		abort();
	return own(s, NULL);
}

char *text(const char *format, ...)
{
	va_list list;
	char *s;

	va_start(list, format);
	s = format_text(format, list);
	va_end(list);
	return s;
}

char *in_box(const char *format, ...)
{
	va_list list;
	char *s;

	va_start(list, format);
	s = format_text(format, list);
	va_end(list);
	return text("%s/%s", dir, s);
}

const char *box_dir(void)
{
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path), 0;
}

int box_setup(void **state)
{
	const char *given = getenv("PERFHOOK_BUILD");

	(void)state;
	if (realpath(given != NULL ? given : "build", build) == NULL) {
		fprintf(stderr, "no build folder %s; run make first\n", given ? given : "build");
		return -1;
	}
	snprintf(dir, sizeof(dir), "/tmp/perfhook-test.XXXXXX");
	/* Not the default mode of 0700: tests that change the user go in, too. */
	return mkdtemp(dir) == NULL ? -1 : chmod(dir, 0755);
}

static void stop_running(struct running *r)
{
	if (!r->reaped) {
		kill(-r->o.pid, SIGKILL);
		kill(r->o.pid, SIGKILL);
		waitpid(r->o.pid, NULL, 0);
	}
	close(r->pidfd);
	close(r->out);
	close(r->err);
}

int box_teardown(void **state)
{
	(void)state;
	while (all_running != NULL) {
		struct running *r = all_running;

		all_running = r->next;
		stop_running(r);
		free(r);
	}
	if (getenv("PERFHOOK_KEEP") == NULL)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	else
		fprintf(stderr, "kept: %s\n", dir);
	free_owned();
	return 0;
}

const char *library_path(void)
{
	return text("%s/libperfhook.so", build);
}

const char *perfhook_path(void)
{
	return text("%s/perfhook", build);
}

char *program(const char *name)
{
	char *path = text("%s/tests/programs/%s", build, name);

	if (access(path, X_OK) != 0)
		path = text("%s/examples/%s", build, name);
	check(access(path, X_OK) == 0, "program %s is not built (make programs)", name);
	return path;
}

bool have_tool(const char *name)
{
	char *path = own(strdup(getenv("PATH") ? getenv("PATH") : ""), NULL);
	char *rest = NULL;

	for (char *p = strtok_r(path, ":", &rest); p != NULL; p = strtok_r(NULL, ":", &rest)) {
		if (access(text("%s/%s", p, name), X_OK) == 0)
			return true;
	}
	return false;
}

static char *read_all(int fd, size_t *size)
{
	size_t room = 4096, used = 0;
	char *buffer = malloc(room + 1);
	ssize_t got;

	while ((got = read(fd, buffer + used, room - used)) > 0) {
		used += (size_t)got;
		if (used == room) {
			char *more = realloc(buffer, (room *= 2) + 1);

			assert_non_null(more);
			buffer = more;
		}
	}
	buffer[used] = '\0';
	if (size != NULL)
		*size = used;
	return own(buffer, NULL);
}

char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *content;

	if (fd < 0)
		return NULL;
	content = read_all(fd, size);
	close(fd);
	return content;
}

void write_file(const char *path, const void *content, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(fd >= 0, "%s: %s", path, strerror(errno));
	check(write(fd, content, size) == (ssize_t)size, "%s: short write", path);
	close(fd);
}

void check_equal(uint64_t got, uint64_t wanted, const char *what, const char *file, int line)
{
	if (got == wanted)
		return;
	print_error("%s: reported %llu, in truth %llu (%+lld)\n", what, (unsigned long long)got,
		    (unsigned long long)wanted, (long long)(got - wanted));
	_fail(file, line);
}

bool full_mode(void)
{
	const char *mode = getenv("PERFHOOK_STRESS");

	return mode != NULL && strcmp(mode, "full") == 0;
}

/* ---- running ---------------------------------------------------------- */

static char *command_line(const char *const *argv)
{
	char *line = text("%s", argv[0]);

	for (int i = 1; argv[i] != NULL; i++)
		line = text("%s %s", line, argv[i]);
	return line;
}

static void set_environment(const struct options *options, const char *traces)
{
	/* The test itself may run under a recorder or with settings of its own. */
	static const char *const ours[] = {
		"PERFHOOK_OUT",	     "PERFHOOK_EVENTS", "PERFHOOK_DEPTH",    "PERFHOOK_FREE_STACKS",
		"PERFHOOK_OVERFLOW", "PERFHOOK_RING",	"PERFHOOK_CHILDREN", "PERFHOOK_START",
		"PERFHOOK_ROOT",     "PERFHOOK_LEAKS",	"LD_PRELOAD"};

	for (size_t i = 0; i < COUNT_OF(ours); i++)
		unsetenv(ours[i]);
	if (options->preload) {
		setenv("LD_PRELOAD", library_path(), 1);
		setenv("PERFHOOK_OUT", text("%s/out.%%p.trace", traces), 1);
	}
	for (int i = 0; options->env != NULL && options->env[i] != NULL; i++)
		putenv(text("%s", options->env[i]));
}

static void open_as(int fd, const char *path, int flags)
{
	int opened = open(path, flags, 0644);

	if (opened < 0 || dup2(opened, fd) != fd)
		_exit(125);
	if (opened != fd)
		close(opened);
}

/* In the child: whatever the target is meant to see, and nothing else. */
static void become(const char *const *argv, const struct options *options, const char *traces,
		   int out, int err)
{
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(022);
	set_environment(options, traces);
	dup2(out, 1);
	dup2(err, 2);
	open_as(0, options->input != NULL ? options->input : "/dev/null", O_RDONLY);
	if (options->output != NULL)
		open_as(1, options->output, O_WRONLY | O_CREAT | O_TRUNC);
	close_range(3, ~0u, 0);
	if (options->fixed_addresses)
		personality(ADDR_NO_RANDOMIZE);
	/* What trusts $PWD allocates otherwise where it is wrong. */
	setenv("PWD", options->directory != NULL ? options->directory : dir, 1);
	if (chdir(options->directory != NULL ? options->directory : dir) != 0)
		_exit(125);
	for (const struct limit *l = options->limits; l != NULL && l->resource >= 0; l++) {
		struct rlimit both = {.rlim_cur = l->value, .rlim_max = l->value};

		setrlimit((__rlimit_resource_t)l->resource, &both);
	}
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

struct running *start(const char *const *argv, const struct options *options)
{
	static const struct options defaults;
	struct running *r = calloc(1, sizeof(*r));
	int out[2], err[2];

	if (options == NULL)
		options = &defaults;
	r->o.line = command_line(argv);
	if (options->preload) {
		r->o.traces = in_box("traces.%d", recordings++);
		check(mkdir(r->o.traces, 0755) == 0, "%s: %s", r->o.traces, strerror(errno));
	}
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		fail_msg("pipe: %s", strerror(errno));
	fflush(NULL);
	r->o.pid = fork();
	if (r->o.pid == 0)
		become(argv, options, r->o.traces, out[1], err[1]);
	setpgid(r->o.pid, r->o.pid);
	close(out[1]);
	close(err[1]);
	r->out = out[0];
	r->err = err[0];
	r->pidfd = (int)syscall(SYS_pidfd_open, r->o.pid, 0);
	r->deadline = now() + (options->timeout_s != 0 ? options->timeout_s : 60);
	if (r->o.traces != NULL)
		r->o.trace = text("%s/out.%d.trace", r->o.traces, r->o.pid);
	r->next = all_running;
	all_running = r;
	return r;
}

int running_pid(const struct running *running)
{
	return running->o.pid;
}

const char *running_traces(const struct running *running)
{
	return running->o.traces;
}

struct capture {
	char *bytes;
	size_t used, room;
	bool open;
};

static void capture_some(struct capture *c, int fd)
{
	ssize_t got;

	if (c->room - c->used < 65536)
		c->bytes = realloc(c->bytes, (c->room = c->room * 2 + 131072) + 1);
	got = read(fd, c->bytes + c->used, c->room - c->used);
	if (got <= 0)
		c->open = false;
	else
		c->used += (size_t)got;
}

/* Until both pipes are at their end and the process is gone. False: timed out. */
static bool pump(struct running *r, struct capture *out, struct capture *err)
{
	bool alive = true;

	while (alive || out->open || err->open) {
		struct pollfd p[] = {{.fd = out->open ? r->out : -1, .events = POLLIN},
				     {.fd = err->open ? r->err : -1, .events = POLLIN},
				     {.fd = alive ? r->pidfd : -1, .events = POLLIN}};
		double left = r->deadline - now();

		if (left <= 0)
			return false;
		poll(p, 3, (int)(left * 1000) + 1);
		if (p[0].revents != 0)
			capture_some(out, r->out);
		if (p[1].revents != 0)
			capture_some(err, r->err);
		if (p[2].revents != 0)
			alive = false;
	}
	return true;
}

static char *captured(struct capture *c, size_t *size)
{
	if (c->bytes == NULL)
		c->bytes = calloc(1, 1);
	c->bytes[c->used] = '\0';
	*size = c->used;
	return own(c->bytes, NULL);
}

static void forget_running(struct running *r)
{
	for (struct running **p = &all_running; *p != NULL; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			break;
		}
	}
	stop_running(r);
	free(r);
}

struct outcome finish(struct running *r)
{
	struct capture out = {.open = true}, err = {.open = true};
	bool ended = pump(r, &out, &err);
	struct outcome o;
	int status;

	r->o.out = captured(&out, &r->o.out_size);
	r->o.err = captured(&err, &r->o.err_size);
	r->reaped = waitpid(r->o.pid, &status, ended ? 0 : WNOHANG) == r->o.pid;
	o = r->o;
	if (!ended)
		fail_msg("timed out: %s\n%s; standard error so far:\n%s", o.line,
			 r->reaped ? "it ended, but something it started still holds its output"
				   : "it was still running",
			 o.err);
	forget_running(r);
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	o.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return o;
}

struct outcome run(const char *const *argv, const struct options *options)
{
	return finish(start(argv, options));
}

struct outcome record(const char *const *argv, const struct options *options)
{
	struct options with = options != NULL ? *options : (struct options){0};
	struct outcome o;

	with.preload = true;
	o = run(argv, &with);
	check(access(o.trace, R_OK) == 0, "no trace %s after: %s\nstandard error:\n%s", o.trace,
	      o.line, o.err);
	return o;
}

void check_status(const struct outcome *o, int status)
{
	check(o->signal == 0, "signal %d ended: %s\n%s%s", o->signal, o->line, o->out, o->err);
	check(o->status == status, "status %d instead of %d: %s\n%s%s", o->status, status, o->line,
	      o->out, o->err);
}

char *foreign_errors(const struct outcome *o)
{
	char *copy = own(strdup(o->err), NULL), *rest = NULL, *kept = text("%s", "");

	for (char *l = strtok_r(copy, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest)) {
		/* Where nothing can be opened, the loader cannot open us either. */
		if (strncmp(l, "perfhook: ", 10) != 0 && strncmp(l, "ERROR: ld.so: ", 14) != 0)
			kept = text("%s%s\n", kept, l);
	}
	return kept;
}

bool wait_until(bool (*ready)(void *context), void *context, int timeout_s)
{
	double end = now() + timeout_s;

	while (!ready(context)) {
		if (now() > end)
			return false;
		usleep(1000);
	}
	return true;
}

/* ---- what was recorded ------------------------------------------------ */

size_t list_traces(const struct outcome *o, char ***paths)
{
	DIR *d = opendir(o->traces);
	struct dirent *e;
	size_t count = 0;

	check(d != NULL, "%s: %s", o->traces, strerror(errno));
	/* It waits for the trace's end; by then its children's are there as well. */
	if (o->trace != NULL)
		run(ARGV(perfhook_path(), "report", o->trace), NULL);
	*paths = NULL;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "out.", 4) != 0)
			continue;
		*paths = realloc(*paths, (count + 1) * sizeof(**paths));
		(*paths)[count++] = text("%s/%s", o->traces, e->d_name);
	}
	closedir(d);
	if (count > 0)
		qsort(*paths, count, sizeof(**paths), by_text);
	own(*paths, NULL);
	return count;
}

static cJSON *parse_report(const struct outcome *o)
{
	cJSON *json;

	check_status(o, 0);
	json = cJSON_Parse(o->out);
	check(json != NULL, "not JSON, from: %s\n%.400s", o->line, o->out);
	own(NULL, json);
	return json;
}

cJSON *report(const char *trace)
{
	struct options o = {.timeout_s = 120};
	struct outcome r = run(ARGV(perfhook_path(), "report", trace, "--json", "--top", "0"), &o);

	return parse_report(&r);
}

static cJSON *command_of_all(const char *command, const struct outcome *outcome)
{
	struct options o = {.timeout_s = 120};
	const char *argv[256] = {perfhook_path(), command, "--json", "--top", "0"};
	char **paths;
	size_t count = list_traces(outcome, &paths);
	struct outcome r;

	check(count > 0 && count < 240, "%zu traces of: %s", count, outcome->line);
	memcpy(argv + 5, paths, count * sizeof(*paths));
	r = run(argv, &o);
	return parse_report(&r);
}

cJSON *report_of_all(const struct outcome *outcome)
{
	return command_of_all("report", outcome);
}

cJSON *leaks_of_all(const struct outcome *outcome)
{
	return command_of_all("leaks", outcome);
}

const cJSON *json_at(const cJSON *json, const char *path)
{
	char *copy = own(strdup(path), NULL), *rest = NULL;

	for (char *p = strtok_r(copy, ".", &rest); p != NULL; p = strtok_r(NULL, ".", &rest)) {
		json = cJSON_GetObjectItemCaseSensitive(json, p);
		check(json != NULL, "the report has no %s (at %s)", path, p);
	}
	return json;
}

uint64_t json_u64(const cJSON *json, const char *path)
{
	const cJSON *n = json_at(json, path);

	check(cJSON_IsNumber(n) && n->valuedouble >= 0, "%s is not a count", path);
	return (uint64_t)n->valuedouble;
}

const char *json_text(const cJSON *json, const char *path)
{
	const cJSON *s = json_at(json, path);

	check(cJSON_IsString(s), "%s is not a string", path);
	return s->valuestring;
}

/* "f" names "f", "f(int)" and "space::f(int)". */
static bool is_function(const char *full, const char *name)
{
	size_t length = strlen(name);

	for (const char *p = full; (p = strstr(p, name)) != NULL; p++) {
		bool begins = p == full || p[-1] == ':' || p[-1] == ' ';

		if (begins && (p[length] == '\0' || strchr("(<.[", p[length]) != NULL))
			return true;
	}
	return false;
}

const cJSON *frame_of(const cJSON *entry, const char *function)
{
	const cJSON *frame, *name;

	cJSON_ArrayForEach(frame, cJSON_GetObjectItemCaseSensitive(entry, "stack"))
	{
		name = cJSON_GetObjectItemCaseSensitive(frame, "function");
		if (cJSON_IsString(name) && is_function(name->valuestring, function))
			return frame;
	}
	return NULL;
}

const cJSON *leak_with_function(const cJSON *json, const char *function)
{
	const cJSON *leak;

	cJSON_ArrayForEach(leak, json_at(json, "leaks"))
	{
		if (frame_of(leak, function) != NULL)
			return leak;
	}
	return NULL;
}

struct amount leaked_by(const cJSON *json, const char *function)
{
	struct amount sum = {0};
	const cJSON *leak;

	cJSON_ArrayForEach(leak, json_at(json, "leaks"))
	{
		if (frame_of(leak, function) != NULL) {
			sum.bytes += json_u64(leak, "bytes");
			sum.blocks += json_u64(leak, "blocks");
		}
	}
	return sum;
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a > b && s[a - b - 1] == '/' && strcmp(s + a - b, end) == 0;
}

const cJSON *file_entry(const cJSON *json, const char *path)
{
	const cJSON *file;

	cJSON_ArrayForEach(file, json_at(json, "io.files"))
	{
		const char *p = json_text(file, "path");

		if (strcmp(p, path) == 0 || ends_with(p, path))
			return file;
	}
	return NULL;
}

char *truth_text(const struct outcome *o, const char *name)
{
	char *wanted = text("truth: %s=", name);
	const char *p = o->out;

	while ((p = strstr(p, wanted)) != NULL) {
		if (p == o->out || p[-1] == '\n') {
			p += strlen(wanted);
			return text("%.*s", (int)strcspn(p, "\n"), p);
		}
		p++;
	}
	return NULL;
}

uint64_t truth(const struct outcome *o, const char *name)
{
	char *value = truth_text(o, name);

	check(value != NULL, "no truth %s from: %s\n%s", name, o->line, o->out);
	return strtoull(value, NULL, 10);
}

char *dump_of_all(const struct outcome *outcome)
{
	struct options options = {.timeout_s = 120};
	char **paths, *all = text("%s", "");
	size_t count = list_traces(outcome, &paths);

	for (size_t i = 0; i < count; i++) {
		struct outcome o = run(ARGV(perfhook_path(), "dump", paths[i], "--json"), &options);

		check_status(&o, 0);
		all = text("%s%s", all, o.out);
	}
	return all;
}

uint64_t dump_count(const char *dump, const char *function)
{
	static const char key[] = "\"function\":";
	char *wanted = text("\"%s\"", function);
	uint64_t count = 0;

	for (const char *p = dump; (p = strstr(p, key)) != NULL;) {
		p += sizeof(key) - 1;
		p += strspn(p, " ");
		count += strncmp(p, wanted, strlen(wanted)) == 0;
	}
	return count;
}

struct heap_totals heap_totals(const cJSON *json)
{
	return (struct heap_totals){
		.allocations = json_u64(json, "memory.allocations"),
		.frees = json_u64(json, "memory.frees"),
		.allocated_bytes = json_u64(json, "memory.allocated_bytes"),
		.live_bytes = json_u64(json, "memory.live_bytes"),
		.live_blocks = json_u64(json, "memory.live_blocks"),
	};
}

struct pair record_pair(const char *const *argv, const struct options *options)
{
	const char *with[32] = {NULL};
	struct pair pair;
	size_t count = 0;

	while (count < COUNT_OF(with) - 2 && argv[count] != NULL) {
		with[count] = argv[count];
		count++;
	}
	with[count] = "baseline";
	pair.baseline = record(with, options);
	check_status(&pair.baseline, 0);
	pair.outcome = record(argv, options);
	check_status(&pair.outcome, 0);
	pair.baseline_report = report(pair.baseline.trace);
	pair.report = report(pair.outcome.trace);
	return pair;
}

void check_heap_truth(const struct pair *pair)
{
	struct heap_totals with = heap_totals(pair->report);
	struct heap_totals without = heap_totals(pair->baseline_report);
	const struct outcome *o = &pair->outcome;

	check_u64(json_u64(pair->report, "trace.dropped"), 0, "dropped");
	check_u64(with.allocations - without.allocations, truth(o, "allocations"), "allocations");
	check_u64(with.frees - without.frees, truth(o, "frees"), "frees");
	check_u64(with.allocated_bytes - without.allocated_bytes, truth(o, "allocated_bytes"),
		  "allocated_bytes");
	check_u64(with.live_bytes - without.live_bytes, truth(o, "live_bytes"), "live_bytes");
	check_u64(with.live_blocks - without.live_blocks, truth(o, "live_blocks"), "live_blocks");
}

/* ---- the collector ----------------------------------------------------- */

static bool links_into(const char *link, const char *folder)
{
	char target[PATH_MAX];
	ssize_t length = readlink(link, target, sizeof(target) - 1);

	if (length <= 0)
		return false;
	target[length] = '\0';
	return strncmp(target, folder, strlen(folder)) == 0;
}

static bool holds_file_in(int pid, const char *folder)
{
	DIR *d = opendir(text("/proc/%d/fd", pid));
	struct dirent *e;
	bool found = false;

	while (d != NULL && !found && (e = readdir(d)) != NULL)
		found = links_into(text("/proc/%d/fd/%s", pid, e->d_name), folder);
	if (d != NULL)
		closedir(d);
	return found;
}

int find_collector(const char *traces)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int found = 0;

	while (d != NULL && found == 0 && (e = readdir(d)) != NULL) {
		int pid = atoi(e->d_name);

		if (pid > 0 && links_into(text("/proc/%d/exe", pid), perfhook_path()) &&
		    holds_file_in(pid, traces))
			found = pid;
	}
	if (d != NULL)
		closedir(d);
	return found;
}
