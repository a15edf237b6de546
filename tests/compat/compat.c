/* SPDX-License-Identifier: MIT */
/* Running a row twice, comparing, and the table; see compat.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <regex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "analyzer/reader.h"
#include "collector/collector.h"
#include "tests/compat/compat.h"

enum { SETTLE_S = 30, LINGER_S = 20 };

/* One line of the table: "-" is what was not come to. */
struct line {
	const struct row *row;
	char version[64];
	const char *status, *output, *effects;
	unsigned long long events;
	size_t processes;
	char verdict[200];
};

static struct line *lines, *line; /* line: of the running test */
static char *programs, *sources;
static unsigned free_port;

/* ---- what still runs ------------------------------------------------------ */

/*
 * The test is the reaper of whatever its programs leave behind, so nothing gets
 * away: collectors end by themselves, servers that should have ended are found.
 * Async-signal-safe, for a test that is itself asked to end.
 */
static int first_child(void)
{
	int pid = 0, fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t length;

	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text));
	for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
		pid = pid * 10 + text[i] - '0';
	close(fd);
	return pid;
}

static void kill_children(void)
{
	int pid;

	/* Those of the killed ones become ours, until there are none. */
	while ((pid = first_child()) != 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void end_with_children(int number)
{
	kill_children();
	_exit(128 + number);
}

static char *command_name(int pid)
{
	char *name = read_file(text("/proc/%d/comm", pid), NULL);

	return name != NULL ? text("%.*s", (int)strcspn(name, "\n"), name) : text("?");
}

/* Take one that ended, if any. A collector that a signal ended is a failure. */
static bool reap_one(void)
{
	siginfo_t info = {0};
	char *name;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
		return false;
	name = command_name(info.si_pid);
	waitpid(info.si_pid, NULL, 0);
	check(info.si_code == CLD_EXITED || strcmp(name, "perfhook") != 0,
	      "signal %d ended the collector", info.si_status);
	return true;
}

static bool nothing_runs(void *unused)
{
	(void)unused;
	while (reap_one())
		;
	return first_child() == 0;
}

static void check_all_ended(const char *which)
{
	char *name;
	int pid;

	if (wait_until(nothing_runs, NULL, LINGER_S))
		return;
	pid = first_child();
	name = command_name(pid);
	kill_children();
	fail_msg("%s is still running after the %s run", name, which);
}

/* ---- one run --------------------------------------------------------------- */

static unsigned find_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(bind(s, (struct sockaddr *)&address, size) == 0 &&
		      getsockname(s, (struct sockaddr *)&address, &size) == 0,
	      "no port on 127.0.0.1: %s", strerror(errno));
	close(s);
	return ntohs(address.sin_port);
}

static struct options options_of(const struct row *row, const char *folder)
{
	static char *env[12];
	int i = 0;

	env[i++] = text("BIN=%s", programs);
	env[i++] = text("SRC=%s", sources);
	env[i++] = text("LIB=%s", library_path());
	env[i++] = text("FULL=%s", full_mode() ? "yes" : "");
	env[i++] = text("GIT_CONFIG_GLOBAL=/dev/null");
	env[i++] = text("PORT=%u", free_port);
	env[i++] = text("PYTHONHASHSEED=0");
	env[i++] = text("PERL_HASH_SEED=0");
	env[i++] = text("LC_ALL=C");
	env[i] = NULL;
	return (struct options){
		.timeout_s = row->timeout_s, .directory = folder, .env = (const char *const *)env};
}

/* A script of the test's own, unrecorded. */
static void do_script(const struct row *row, const char *script, const char *folder)
{
	struct options options = options_of(row, folder);
	struct outcome o;

	if (script == NULL)
		return;
	options.timeout_s = SETTLE_S;
	o = run(ARGV("sh", "-c", script), &options);
	check_status(&o, 0);
}

static struct outcome run_once(const struct row *row, bool preload)
{
	const char *which = preload ? "recorded" : "plain";
	char *folder = in_box("work"), *kept = in_box("%s", which);
	struct options options = options_of(row, folder);
	struct running *r;
	struct outcome o;

	check(mkdir(folder, 0755) == 0 && chmod(folder, 01777) == 0, "%s: %s", folder,
	      strerror(errno));
	do_script(row, row->prepare, folder);
	options.preload = preload;
	options.limits = row->limits;
	r = start(ARGV("sh", "-c", row->command), &options);
	/* Programs change their user. */
	if (preload)
		chmod(running_traces(r), 01777);
	o = finish(r);
	check_all_ended(which);
	do_script(row, row->settle, folder);
	write_file(in_box("%s.out", which), o.out, o.out_size);
	write_file(in_box("%s.err", which), o.err, o.err_size);
	check(rename(folder, kept) == 0, "%s: %s", kept, strerror(errno));
	return o;
}

/* ---- comparing --------------------------------------------------------------- */

/* One line, what may differ as "~". */
static char *masked_line(const regex_t *varies, const char *said)
{
	char *kept = text("%s", "");
	regmatch_t match;
	int flags = 0;

	while (*said != '\0' && regexec(varies, said, 1, &match, flags) == 0 && match.rm_eo > 0) {
		kept = text("%s%.*s~", kept, (int)match.rm_so, said);
		said += match.rm_eo;
		flags = REG_NOTBOL;
	}
	return text("%s%s", kept, said);
}

/* Lines of which nothing stays are left out. */
static char *masked(const struct row *row, const char *said)
{
	char *rest = text("%s", said), *out = text("%s", rest), *one, *at = out;
	regex_t varies;

	if (row->varies == NULL)
		return out;
	check(regcomp(&varies, row->varies, REG_EXTENDED) == 0, "%s: not an ERE", row->varies);
	while ((one = strsep(&rest, "\n")) != NULL) {
		one = masked_line(&varies, one);
		if (strcmp(one, "~") != 0)
			at = stpcpy(stpcpy(at, one), rest != NULL ? "\n" : "");
	}
	*at = '\0';
	regfree(&varies);
	return out;
}

static void compare_status(const struct row *row, const struct outcome *with,
			   const struct outcome *plain)
{
	line->status = "no";
	check(row->status == (plain->signal != 0 ? -plain->signal : plain->status),
	      "as it is it ends with status %d signal %d, the row says %d:\n%.1000s%.1000s",
	      plain->status, plain->signal, row->status, plain->out, plain->err);
	check(with->status == plain->status && with->signal == plain->signal,
	      "status %d signal %d instead of status %d signal %d; standard error:\n%.2000s",
	      with->status, with->signal, plain->status, plain->signal, with->err);
	line->status = "yes";
}

static void compare_text(const char *what, const char *with, const char *plain)
{
	size_t at = 0;

	while (with[at] != '\0' && with[at] == plain[at])
		at++;
	if (with[at] == plain[at])
		return;
	while (at > 0 && with[at - 1] != '\n')
		at--;
	fail_msg("another %s:\n%.600s\ninstead of\n%.600s", what, with + at, plain + at);
}

static void compare_output(const struct row *row, const struct outcome *with,
			   const struct outcome *plain)
{
	line->output = "no";
	compare_text("output", masked(row, with->out), masked(row, plain->out));
	check(row->varies != NULL || (with->out_size == plain->out_size &&
				      memcmp(with->out, plain->out, plain->out_size) == 0),
	      "another output behind a null byte");
	compare_text("standard error", masked(row, foreign_errors(with)),
		     masked(row, foreign_errors(plain)));
	line->output = "yes";
}

static void compare_effects(void)
{
	static const char script[] =
		"for d in plain recorded; do (cd $d && find . -printf '%P %y %m %U:%G %n %l\\n' |"
		" sort) > $d.list; done; diff plain.list recorded.list &&"
		" diff -r --no-dereference plain recorded";
	struct outcome o;

	line->effects = "no";
	o = run(ARGV("sh", "-c", script), NULL);
	check(o.status == 0, "other side effects (<: plain, >: recorded):\n%.2000s%s", o.out,
	      o.err);
	line->effects = "yes";
}

/* ---- what was recorded --------------------------------------------------------- */

static uint64_t events_in(const char *path)
{
	struct reader r = {.fd = -1};
	struct error e = {0};
	uint64_t events = 0;

	check(collector_finish_wait(path, &e) == 0 && reader_open(&r, path, &e) == 0,
	      "the trace cannot be read: %s", e.text);
	for (size_t i = 0; i < r.block_count; i++)
		events += r.blocks[i].header.events;
	check(r.ended && r.damaged == 0 && !r.truncated, "%s is not whole", path);
	reader_close(&r);
	return events;
}

/* The first of the library's own lines on standard error. */
static char *said_by_us(const struct outcome *o)
{
	const char *at = strstr(o->err, "perfhook: ");

	if (at == NULL)
		at = strstr(o->err, "ERROR: ld.so: ");
	return at != NULL ? text("%.*s", (int)strcspn(at, "\n"), at) : NULL;
}

static void count_recorded(const struct row *row, const struct outcome *with)
{
	size_t wanted = row->processes != 0 ? (size_t)row->processes : 2;
	struct outcome all = *with;
	char **traces, *why;

	all.trace = NULL;
	line->processes = list_traces(&all, &traces);
	for (size_t i = 0; i < line->processes; i++)
		line->events += events_in(traces[i]);
	why = said_by_us(with);
	why = why != NULL ? text("; it said: %s", why) : text("%s", "");
	check(row->unrecorded || (line->processes >= wanted && line->events > row->events),
	      "%zu processes recorded instead of %zu or more, with %llu events%s", line->processes,
	      wanted, line->events, why);
	snprintf(line->verdict, sizeof(line->verdict), "ok%s", why);
}

/* ---- a row ----------------------------------------------------------------------- */

static bool is_there(const char *need)
{
	return need[0] == '/' ? access(need, F_OK) == 0 : have_tool(need);
}

static void skip_if_lacking(const struct row *row)
{
	char *rest = text("%s", row->needs != NULL ? row->needs : ""), *need;

	snprintf(line->verdict, sizeof(line->verdict), "skipped");
	while ((need = strsep(&rest, " ")) != NULL) {
		if (need[0] == '\0' || is_there(need))
			continue;
		snprintf(line->verdict, sizeof(line->verdict), "skipped: no %s", need);
		skip_because("%s is not installed (make deps)", need);
	}
	if (row->root && geteuid() != 0) {
		snprintf(line->verdict, sizeof(line->verdict), "skipped: not root");
		skip_because("%s needs to be root", row->name);
	}
}

static void look_up_version(const struct row *row)
{
	struct options options = options_of(row, box_dir());
	struct outcome o;

	if (row->version == NULL)
		return;
	o = run(ARGV("sh", "-c", text("{ %s\n} 2>&1", row->version)), &options);
	snprintf(line->version, sizeof(line->version), "%.*s", (int)strcspn(o.out, "\n"), o.out);
}

static void test_row(void **state)
{
	const struct row *row = line->row;
	struct outcome plain, with;

	(void)state;
	sources = realpath("tests/programs", NULL);
	check(sources != NULL, "no tests/programs here: run it in the project's folder");
	programs = text("%s/tests/programs", dirname(text("%s", library_path())));
	skip_if_lacking(row);
	free_port = find_port();
	look_up_version(row);
	snprintf(line->verdict, sizeof(line->verdict), "FAIL");
	plain = run_once(row, false);
	with = run_once(row, true);
	compare_status(row, &with, &plain);
	compare_output(row, &with, &plain);
	compare_effects();
	count_recorded(row, &with);
}

static int set_row_up(void **state)
{
	line = *state;
	return box_setup(state);
}

static int take_row_down(void **state)
{
	kill_children();
	free(sources);
	sources = NULL;
	return box_teardown(state);
}

/* ---- the table -------------------------------------------------------------------- */

static void print_table(FILE *to, size_t count)
{
	fprintf(to, "%-26s %-30s %-6s %-6s %-7s %10s %9s  %s\n", "program", "version", "status",
		"output", "effects", "events", "processes", "verdict");
	for (size_t i = 0; i < count; i++) {
		const struct line *l = &lines[i];

		fprintf(to, "%-26s %-30.30s %-6s %-6s %-7s %10llu %9zu  %s\n", l->row->name,
			l->version, l->status, l->output, l->effects, l->events, l->processes,
			l->verdict);
	}
}

/* On standard output, and as a file where `make check` shows none of it. */
static void show_table(const char *name, size_t count)
{
	const char *build = getenv("PERFHOOK_BUILD");
	char path[PATH_MAX];
	FILE *file;

	print_table(stdout, count);
	snprintf(path, sizeof(path), "%s/compat_%s.txt", build != NULL ? build : "build", name);
	file = fopen(path, "w");
	if (file == NULL)
		return;
	print_table(file, count);
	fclose(file);
}

/* Those whose name holds PERFHOOK_ROW, if that is set. */
static size_t choose_rows(struct CMUnitTest *tests, const struct row *rows, size_t count)
{
	const char *only = getenv("PERFHOOK_ROW");
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (only != NULL && strstr(rows[i].name, only) == NULL)
			continue;
		lines[used] = (struct line){
			.row = &rows[i], .status = "-", .output = "-", .effects = "-"};
		tests[used] = (struct CMUnitTest){.name = rows[i].name,
						  .test_func = test_row,
						  .setup_func = set_row_up,
						  .teardown_func = take_row_down,
						  .initial_state = &lines[used]};
		used++;
	}
	return used;
}

int run_rows(const char *name, const struct row *rows, size_t count)
{
	struct CMUnitTest *tests = calloc(count, sizeof(*tests));
	int failed = 1;
	size_t used;

	lines = calloc(count, sizeof(*lines));
	if (tests != NULL && lines != NULL) {
		used = choose_rows(tests, rows, count);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		signal(SIGTERM, end_with_children);
		signal(SIGINT, end_with_children);
		failed = _cmocka_run_group_tests(name, tests, used, NULL, NULL);
		show_table(name, used);
	}
	free(tests);
	free(lines);
	return failed;
}
