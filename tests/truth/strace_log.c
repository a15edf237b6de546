/* SPDX-License-Identifier: MIT */
/* strace's lines put together: a call may be cut in two by another thread's. */
#include "tests/truth/strace_log.h"

#include <signal.h>
#include <sys/stat.h>

static struct strace_log all;
static size_t all_room;

/* `call(3</path>, …` of one thread, until its end is read. */
struct pending {
	int tid;
	char *call, *arguments;
};
static struct pending *all_pending;
static size_t pending_count, pending_room;

static void *one_more(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room != 0 ? *room * 2 : 1024;
	array = realloc(array, *room * size);
	assert_non_null(array);
	return array;
}

static struct strace_event *add_event(enum strace_kind kind, int tid)
{
	struct strace_event *e;

	all.events = one_more(all.events, all.count, &all_room, sizeof(*all.events));
	e = &all.events[all.count++];
	*e = (struct strace_event){.kind = kind, .tid = tid, .call = "", .arguments = ""};
	return e;
}

static void begin_call(int tid, char *call, char *arguments)
{
	all_pending = one_more(all_pending, pending_count, &pending_room, sizeof(*all_pending));
	all_pending[pending_count++] =
		(struct pending){.tid = tid, .call = call, .arguments = arguments};
}

/* Takes it off the list; its call is NULL if there is none. */
static struct pending take_pending(int tid)
{
	struct pending found = {.tid = tid};

	for (size_t i = 0; i < pending_count; i++) {
		if (all_pending[i].tid == tid) {
			found = all_pending[i];
			all_pending[i] = all_pending[--pending_count];
			break;
		}
	}
	return found;
}

/* The last " = " of the line; an argument may hold another. */
static char *find_result(char *line)
{
	char *found = NULL;

	for (char *p = line; (p = strstr(p, " = ")) != NULL; p++)
		found = p;
	return found;
}

/* `rest) = 5` of a call whose line begins with `rest`. */
static void end_call(int tid, char *call, char *before, char *rest)
{
	struct strace_event *e = add_event(STRACE_CALL, tid);
	char *result = find_result(rest);

	e->call = call;
	if (result != NULL) {
		e->returned = result[3] != '?';
		e->result = strtol(result + 3, NULL, 10);
		while (result > rest && result[-1] == ' ')
			result--;
		if (result > rest && result[-1] == ')')
			result--;
		*result = '\0';
	}
	e->arguments = before[0] != '\0' ? text("%s%s", before, rest) : rest;
}

static int signal_number(const char *name)
{
	for (int i = 1; i < 32; i++) {
		const char *known = sigabbrev_np(i);

		if (known != NULL && strncmp(name, "SIG", 3) == 0 &&
		    strncmp(name + 3, known, strlen(known)) == 0 &&
		    strchr(" ", name[3 + strlen(known)]) != NULL)
			return i;
	}
	return 0;
}

static void parse_end(int tid, const char *line)
{
	struct strace_event *e;
	struct pending p = {0};
	int number = 0;

	if (sscanf(line, "+++ exited with %d", &number) == 1) {
		add_event(STRACE_EXITED, tid)->number = number;
	} else if (strncmp(line, "+++ killed by ", 14) == 0) {
		add_event(STRACE_KILLED, tid)->number = signal_number(line + 14);
	} else if (sscanf(line, "+++ superseded by execve in pid %d", &number) == 1) {
		/* From now on that thread has this one's number. Its call's end is
		 * not always told. */
		p = take_pending(number);
		if (p.call != NULL) {
			e = add_event(STRACE_CALL, tid);
			e->call = p.call;
			e->arguments = p.arguments;
			e->returned = true;
		}
	}
	take_pending(tid);
}

static void parse_resumed(int tid, char *line)
{
	struct pending p = take_pending(tid);
	char *rest = strstr(line, " resumed>");

	if (p.call != NULL && rest != NULL)
		end_call(tid, p.call, p.arguments, rest + strlen(" resumed>"));
}

static void parse_line(char *line)
{
	char *rest, *arguments, *cut;
	int tid = (int)strtol(line, &rest, 10);

	rest += strspn(rest, " ");
	if (strncmp(rest, "+++ ", 4) == 0) {
		parse_end(tid, rest);
		return;
	}
	if (strncmp(rest, "<... ", 5) == 0) {
		parse_resumed(tid, rest);
		return;
	}
	arguments = strchr(rest, '(');
	if (arguments == NULL || strncmp(rest, "--- ", 4) == 0)
		return;
	*arguments++ = '\0';
	cut = strstr(arguments, " <unfinished ...>");
	if (cut == NULL) {
		end_call(tid, rest, "", arguments);
		return;
	}
	*cut = '\0';
	begin_call(tid, rest, arguments);
}

static void parse(char *log)
{
	char *rest = NULL;

	all.count = pending_count = 0;
	for (char *l = strtok_r(log, "\n", &rest); l != NULL; l = strtok_r(NULL, "\n", &rest))
		parse_line(l);
}

/* -E: into the command's environment only. */
static size_t add_preload(const char **with, size_t count, const char *traces)
{
	with[count++] = "-E";
	with[count++] = text("LD_PRELOAD=%s", library_path());
	with[count++] = "-E";
	with[count++] = text("PERFHOOK_OUT=%s/out.%%p.trace", traces);
	return count;
}

static size_t strace_command(const char **with, const struct strace_options *options,
			     const char *log, const char *traces)
{
	static const char *const always[] = {"strace", "-f"};
	size_t count = 0;

	for (; options->before != NULL && options->before[count] != NULL; count++)
		with[count] = options->before[count];
	memcpy(with + count, always, sizeof(always));
	count += COUNT_OF(always);
	for (size_t i = 0; options->format != NULL && options->format[i] != NULL; i++)
		with[count++] = options->format[i];
	with[count++] = "-o";
	with[count++] = log;
	with[count++] = "-e";
	with[count++] = text("trace=%s", options->calls);
	if (options->run.preload)
		count = add_preload(with, count, traces);
	with[count++] = "--";
	return count;
}

struct straced run_straced(const char *const *argv, const struct strace_options *options)
{
	static int times;
	struct options run_options = options->run;
	struct straced s = {.pid = 0};
	const char *with[128];
	char *log = in_box("straced.%d/log", times), *written;
	char *folder = in_box("straced.%d", times++);
	size_t count;

	/* Whoever strace runs as has to write there; nobody else is let into the box. */
	check(mkdir(folder, 0777) == 0 && chmod(folder, 0777) == 0, "cannot make %s", folder);
	count = strace_command(with, options, log, folder);
	for (size_t i = 0; argv[i] != NULL && count < COUNT_OF(with) - 1; i++)
		with[count++] = argv[i];
	with[count] = NULL;
	run_options.preload = false;
	s.outcome = run(with, &run_options);
	written = read_file(log, NULL);
	if (written == NULL || strstr(s.outcome.err, "ptrace") != NULL)
		skip_because("strace may not trace here: %s", s.outcome.err);
	s.pid = atoi(written);
	parse(written);
	s.log = all;
	s.outcome.line = text("%s (under strace)", s.outcome.line);
	if (options->run.preload) {
		s.outcome.traces = folder;
		s.outcome.trace = text("%s/out.%d.trace", folder, s.pid);
	}
	return s;
}
