/* SPDX-License-Identifier: MIT */
/* Lost blocks of a process that runs, against a target that knows where it holds each, and
 * that says what of the look it noticed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"

struct held {
	struct running *running;
	int pid;
	char *out; /* the file that it writes to */
	int copy;  /* of it */
};

static bool is_ready(void *context)
{
	const struct held *h = context;
	const char *out = read_file(h->out, NULL);

	return out != NULL && strstr(out, "truth: ready=1") != NULL;
}

/* held_blocks, ready to be looked at. */
static struct held hold(const char *mode)
{
	struct held h = {.out = in_box("out")};
	const struct options options = {.preload = true, .output = h.out, .timeout_s = 120};

	h.running = start(ARGV(program("held_blocks"), program("lib_holds.so"), mode), &options);
	h.pid = running_pid(h.running);
	check(wait_until(is_ready, &h, 30), "held_blocks is not ready");
	return h;
}

static struct outcome let_go(const struct held *h)
{
	struct outcome o;

	write_file(in_box("go"), "", 0);
	o = finish(h->running);
	o.out = read_file(h->out, &o.out_size);
	check_status(&o, 0);
	return o;
}

static struct outcome look(const struct held *h, const char *option)
{
	return run(ARGV(perfhook_path(), "leaks", "--json", "--top", "0", "--pid",
			text("%d", h->pid), "--blocks", option),
		   NULL);
}

static cJSON *look_well(const struct held *h, const char *option)
{
	struct outcome o = look(h, option);
	cJSON *json;

	check_status(&o, 0);
	json = cJSON_Parse(o.out);
	check(json != NULL, "no JSON: %s", o.out);
	return json;
}

static size_t dead_or_alive_children(int pid)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(proc)) != NULL) {
		const char *stat = read_file(text("/proc/%s/stat", entry->d_name), NULL);
		const char *at =
			stat != NULL && atoi(entry->d_name) > 0 ? strrchr(stat, ')') : NULL;

		count += at != NULL && atoi(at + 4) == pid;
	}
	closedir(proc);
	return count;
}

/* ---- the classes ------------------------------------------------------------------- */

/* The one block of this size; each size is of one. */
static const cJSON *block_of(const cJSON *json, uint64_t size)
{
	const cJSON *b, *found = NULL;

	cJSON_ArrayForEach(b, json_at(json, "blocks"))
	{
		if (json_u64(b, "bytes") != size)
			continue;
		check(found == NULL, "two blocks of %llu bytes", (unsigned long long)size);
		found = b;
	}
	check(found != NULL, "no block of %llu bytes", (unsigned long long)size);
	return found;
}

static size_t check_classes(const char *said, const cJSON *json)
{
	char class[32];
	unsigned long size;
	size_t count = 0;

	for (const char *at = said; (at = strstr(at, "truth: class.")) != NULL; at++) {
		const char *got;

		check(sscanf(at, "truth: class.%lu=%31[a-z ]", &size, class) == 2, "%.40s", at);
		got = json_text(block_of(json, size), "reachability");
		check(strcmp(got, class) == 0, "the block of %lu bytes is %s, not %s", size, got,
		      class);
		count++;
	}
	return count;
}

/* A stack's class is its worst block's, and its figures are those of its blocks. */
static void check_stacks(const cJSON *json)
{
	uint64_t blocks = 0;
	const cJSON *l;

	cJSON_ArrayForEach(l, json_at(json, "leaks"))
	{
		const cJSON *n = json_at(l, "reachability_blocks");

		blocks += json_u64(n, "lost") + json_u64(n, "indirectly_lost") +
			  json_u64(n, "possibly_lost") + json_u64(n, "still_reachable");
		check(json_u64(n, "lost") == 0 || strcmp(json_text(l, "reachability"), "lost") == 0,
		      "lost blocks, but %s", json_text(l, "reachability"));
	}
	check_u64(blocks, (uint64_t)cJSON_GetArraySize(json_at(json, "blocks")), "blocks");
	check_u64(json_u64(json, "reachability.blocks.lost") +
			  json_u64(json, "reachability.blocks.indirectly_lost") +
			  json_u64(json, "reachability.blocks.possibly_lost") +
			  json_u64(json, "reachability.blocks.still_reachable"),
		  blocks, "blocks in all");
}

static void check_blocks(const char *option, const char *how)
{
	struct held h = hold("quiet");
	cJSON *json = look_well(&h, option);

	check(strcmp(json_text(json, "reachability.how"), how) == 0, "by %s",
	      json_text(json, "reachability.how"));
	check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
	check_stacks(json);
	cJSON_Delete(json);
	let_go(&h);
}

static void test_blocks(void **state)
{
	(void)state;
	check_blocks(NULL, "snapshot");
}

static void test_blocks_by_copy(void **state)
{
	(void)state;
	check_blocks("--copy", "copy");
}

/* ---- what the process notices -------------------------------------------------------- */

static void check_undisturbed(const struct outcome *o)
{
	check_u64(truth(o, "disturbed"), 0,
		  text("disturbed, last in line %llu",
		       (unsigned long long)truth(o, "disturbed_line")));
	check_u64(truth(o, "child_signals"), 0, "signals of children");
	check_u64(truth(o, "children"), 0, "children");
	check_u64(truth(o, "descriptors"), 0, "descriptors");
}

static void check_mode(const char *mode, int looks)
{
	struct held h = hold(mode);
	struct outcome o;

	for (int i = 0; i < looks; i++) {
		cJSON *json = look_well(&h, i % 4 == 3 ? "--copy" : NULL);

		check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
		cJSON_Delete(json);
	}
	check_u64(dead_or_alive_children(h.pid), 0, "children of the process");
	o = let_go(&h);
	check_undisturbed(&o);
}

static void test_undisturbed(void **state)
{
	(void)state;
	check_mode("waiting", full_mode() ? 200 : 12);
}

/* It would inherit orphans. */
static void test_subreaper(void **state)
{
	(void)state;
	check_mode("subreaper", 8);
}

static void test_ignored_children(void **state)
{
	(void)state;
	check_mode("ignore", 8);
}

/* Whenever the command is killed, the process runs on. */
static void test_killed_looks(void **state)
{
	struct held h = hold("waiting");
	struct outcome o;
	cJSON *json;

	(void)state;
	for (int i = 0; i < (full_mode() ? 400 : 40); i++) {
		const struct options options = {.timeout_s = 60};
		struct running *r =
			start(ARGV(perfhook_path(), "leaks", "--pid", text("%d", h.pid)), &options);
		const struct timespec t = {.tv_nsec = (i * 37 % 60) * 500000};

		nanosleep(&t, NULL);
		kill(running_pid(r), SIGKILL);
		finish(r);
	}
	json = look_well(&h, NULL);
	check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
	cJSON_Delete(json);
	o = let_go(&h);
	check_undisturbed(&o);
}

/* Does it stand in the same folder? Each test has one of its own. */
static bool is_where(const char *pid, int other)
{
	char folder[2][4096];
	ssize_t n = readlink(text("/proc/%s/cwd", pid), folder[0], sizeof(folder[0]));
	ssize_t m = readlink(text("/proc/%d/cwd", other), folder[1], sizeof(folder[1]));

	return n > 0 && n == m && memcmp(folder[0], folder[1], (size_t)n) == 0;
}

/* A process that is stopped for a tracer and has no descriptors, and is not found by the name
 * of the one that it is a copy of. */
static int find_copy(int pid)
{
	static const char name[] = "(ph-copy";

	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int found = 0;

	while (found == 0 && (entry = readdir(proc)) != NULL) {
		const char *stat = atoi(entry->d_name) > 0
					   ? read_file(text("/proc/%s/stat", entry->d_name), NULL)
					   : NULL;
		const char *at = stat != NULL ? strstr(stat, name) : NULL;
		DIR *descriptors;

		if (at == NULL || strncmp(at + strlen(name), ") t", 3) != 0 ||
		    !is_where(entry->d_name, pid))
			continue;
		descriptors = opendir(text("/proc/%s/fd", entry->d_name));
		if (descriptors == NULL)
			continue;
		/* "." and ".." */
		if (readdir(descriptors) && readdir(descriptors) && !readdir(descriptors))
			found = atoi(entry->d_name);
		closedir(descriptors);
	}
	closedir(proc);
	return found;
}

static bool is_copied(void *context)
{
	struct held *h = context;

	h->copy = find_copy(h->pid);
	return h->copy != 0;
}

/* A look that has its copy, and cannot go on: what has been recorded is waited for before
 * that is searched, and the collector stands still. */
static struct running *look_until_copied(struct held *h, int *collector, const char *const *argv)
{
	const struct options options = {.timeout_s = 60};
	struct running *looker;

	*collector = find_collector(running_traces(h->running));
	check(*collector > 0 && kill(*collector, SIGSTOP) == 0, "no collector");
	looker = start(argv, &options);
	check(wait_until(is_copied, h, 10), "there is no copy without descriptors");
	return looker;
}

/* The copy keeps nothing open that the process has; and where somebody ends it, no block is
 * called lost for what could not be read of it. */
static void test_killed_copy(void **state)
{
	struct held h = hold("quiet");
	struct running *looker;
	struct outcome o;
	int collector;

	(void)state;
	looker = look_until_copied(&h, &collector,
				   ARGV(perfhook_path(), "leaks", "--pid", text("%d", h.pid)));
	kill(h.copy, SIGKILL);
	kill(collector, SIGCONT);
	o = finish(looker);
	check_status(&o, 2);
	check(strstr(o.err, "the copy of its memory was killed") != NULL, "%s", o.err);
	check_u64(dead_or_alive_children(h.pid), 0, "children of the process");
	let_go(&h);
}

/* Its end is no reason not to say what was lost before: the copy has it, and the trace. */
static void test_ended_meanwhile(void **state)
{
	struct held h = hold("quiet");
	struct running *looker;
	struct outcome o;
	int collector;

	(void)state;
	looker = look_until_copied(&h, &collector,
				   ARGV(perfhook_path(), "leaks", "--json", "--blocks", "--top",
					"0", "--pid", text("%d", h.pid)));
	kill(h.pid, SIGKILL);
	finish(h.running);
	kill(collector, SIGCONT);
	o = finish(looker);
	check_status(&o, 0);
	check(check_classes(read_file(h.out, NULL), cJSON_Parse(o.out)) >= 20, "few blocks");
}

static char state_of(int pid)
{
	const char *stat = read_file(text("/proc/%d/stat", pid), NULL);

	return stat != NULL ? strrchr(stat, ')')[2] : '?';
}

static bool is_paused(void *context)
{
	const struct held *h = context;

	return state_of(h->pid) == 'T';
}

/* One that stands still goes on standing. */
static void test_paused(void **state)
{
	struct held h = hold("quiet");
	cJSON *json;

	(void)state;
	kill(h.pid, SIGSTOP);
	check(wait_until(is_paused, &h, 10), "it does not stop");
	json = look_well(&h, NULL);
	check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
	cJSON_Delete(json);
	check(wait_until(is_paused, &h, 10), "it runs: %c", state_of(h.pid));
	kill(h.pid, SIGCONT);
	let_go(&h);
}

static const char *first_note(const cJSON *json)
{
	const cJSON *note = json_at(json, "reachability.notes")->child;

	check(cJSON_IsString(note), "no note");
	return note->valuestring;
}

/* Where it may not fork it is read while it stands. */
static void check_copied(const char *mode, const char *why)
{
	struct held h = hold(mode);
	cJSON *json = look_well(&h, NULL);

	check(strcmp(json_text(json, "reachability.how"), "copy") == 0, "not by a copy");
	check(strstr(first_note(json), why) != NULL, "no '%s': %s", why, first_note(json));
	check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
	cJSON_Delete(json);
	let_go(&h);
}

static void test_confined(void **state)
{
	(void)state;
	check_copied("confined", "a seccomp filter might kill it");
}

static void test_limited(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_because("only root can become somebody who is limited");
	check_copied("limited", "a limit on its processes allows it no fork");
}

/* A thread that nobody can stop. */
static void test_asleep(void **state)
{
	struct held h = hold("sleeping");
	cJSON *json = look_well(&h, NULL);

	(void)state;
	check(strstr(first_note(json), "1 of its threads slept in the kernel") != NULL, "note: %s",
	      first_note(json));
	check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
	cJSON_Delete(json);
	let_go(&h);
}

/* ---- what cannot be looked at ----------------------------------------------------------- */

static void check_refused(int pid, const char *why)
{
	struct outcome o = run(ARGV(perfhook_path(), "leaks", "--pid", text("%d", pid)), NULL);

	check_status(&o, 2);
	check(strstr(o.err, why) != NULL, "no '%s' in: %s", why, o.err);
	check(strchr(o.err, '\n') == o.err + o.err_size - 1, "not one line: %s", o.err);
}

static void test_refusals(void **state)
{
	struct running *sleeper = start(ARGV("sleep", "60"), NULL);
	struct held h = hold("quiet");
	int status;

	(void)state;
	check_refused(running_pid(sleeper), "is not recorded");
	kill(running_pid(sleeper), SIGKILL);
	finish(sleeper);
	check_refused(99999999, "there is no process 99999999");
	check(ptrace(PTRACE_SEIZE, h.pid, NULL, NULL) == 0, "it cannot be traced");
	check_refused(h.pid, text("is traced by process %d", getpid()));
	ptrace(PTRACE_INTERRUPT, h.pid, NULL, NULL);
	waitpid(h.pid, &status, __WALL);
	ptrace(PTRACE_DETACH, h.pid, NULL, NULL);
	let_go(&h);
}

/* ---- at the end --------------------------------------------------------------------------- */

static const char *const at_exit[] = {"PERFHOOK_LEAKS=exit", NULL};

static struct outcome end_by(const char *how)
{
	const struct options options = {.preload = true, .env = at_exit};

	return record(ARGV(program("lost_at_end"), how), &options);
}

/* The stack whose one live block has this size. */
static const char *class_of(const cJSON *json, uint64_t size)
{
	const cJSON *l;

	cJSON_ArrayForEach(l, json_at(json, "leaks"))
	{
		if (json_u64(l, "bytes") == size)
			return json_text(l, "reachability");
	}
	fail_msg("no leak of %llu bytes", (unsigned long long)size);
	return NULL;
}

#define check_class(json, size, class)                                                             \
	check(strcmp(class_of(json, size), class) == 0, "the block of %d bytes is %s", size,       \
	      class_of(json, size))

static void check_end(const char *how, int status)
{
	struct outcome o = end_by(how);
	cJSON *json = report(o.trace);

	check_status(&o, status);
	check(cJSON_IsTrue(json_at(json, "reachability.made")), "%s: no search: %s", how,
	      cJSON_Print(json_at(json, "reachability")));
	check_class(json, 1001, "lost");
	check_class(json, 1002, "still reachable");
	check_class(json, 1003, "possibly lost");
}

static void test_end(void **state)
{
	(void)state;
	check_end("return", 0);
	check_end("exit", 3);
	check_end("thread", 0);
	write_file(in_box("go"), "", 0);
	check_end("left", 0);
}

/* /proc tells nothing of the memory by a first thread that is over. */
static void test_without_first_thread(void **state)
{
	struct held h = {.out = in_box("out")};
	const struct options options = {.preload = true, .output = h.out, .timeout_s = 120};
	struct outcome o;

	(void)state;
	h.running = start(ARGV(program("lost_at_end"), "left"), &options);
	h.pid = running_pid(h.running);
	check(wait_until(is_ready, &h, 30), "it is not ready");
	for (int copy = 0; copy < 2; copy++) {
		cJSON *json = look_well(&h, copy ? "--copy" : NULL);

		check_class(json, 1001, "lost");
		check_class(json, 1002, "still reachable");
	}
	o = run(ARGV(perfhook_path(), "mark", text("%d", h.pid), "alone"), NULL);
	check_status(&o, 0);
	let_go(&h);
}

/* Two at once take turns. */
static void test_two_looks(void **state)
{
	struct held h = hold("waiting");
	const struct options options = {.timeout_s = 60};

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct running *other =
			start(ARGV(perfhook_path(), "leaks", "--pid", text("%d", h.pid)), &options);
		cJSON *json = look_well(&h, NULL);
		const struct outcome o = finish(other);

		check_status(&o, 0);
		check(check_classes(read_file(h.out, NULL), json) >= 20, "few blocks");
		cJSON_Delete(json);
	}
	let_go(&h);
}

/* A collector that does not come keeps nobody: and the trace says why there is no search. */
static void test_late_collector(void **state)
{
	struct held h = {.out = in_box("out")};
	const struct options options = {
		.preload = true, .output = h.out, .env = at_exit, .timeout_s = 60};
	struct outcome o;
	int collector;

	(void)state;
	h.running = start(ARGV(program("lost_at_end"), "left"), &options);
	check(wait_until(is_ready, &h, 30), "it is not ready");
	collector = find_collector(running_traces(h.running));
	check(collector > 0 && kill(collector, SIGSTOP) == 0, "no collector");
	write_file(in_box("go"), "", 0);
	o = finish(h.running);
	kill(collector, SIGCONT);
	check_status(&o, 0);
	check(strstr(json_text(report(o.trace), "reachability.missing"), "did not come to it") !=
		      NULL,
	      "%s", json_text(report(o.trace), "reachability.missing"));
}

static void check_no_end(const char *how, const char *why)
{
	struct outcome o = end_by(how);
	cJSON *json = report(o.trace);

	check(cJSON_IsFalse(json_at(json, "reachability.made")), "%s: a search was made", how);
	check(strstr(json_text(json, "reachability.missing"), why) != NULL, "%s: %s", how,
	      json_text(json, "reachability.missing"));
	check(cJSON_IsNull(json_at(json, "reachability.bytes.lost")), "lost bytes are known");
	check(cJSON_IsNull(json_at(json_at(json, "leaks")->child, "reachability")), "a class");
}

static void test_ends_without(void **state)
{
	(void)state;
	check_no_end("_exit", "did not end by exit()");
	check_no_end("abort", "a signal ended");
	check_no_end("exec", "became another program");
}

/* A child knows of its parent's blocks, under their own stacks. */
static void test_end_of_child(void **state)
{
	struct outcome o = end_by("fork");
	char **traces;
	cJSON *all, *json;

	(void)state;
	check_u64(list_traces(&o, &traces), 2, "traces");
	for (size_t i = 0; i < 2; i++) {
		json = report(traces[i]);
		check(cJSON_IsTrue(json_at(json, "reachability.made")), "no search");
		check_class(json, 1001, "lost");
		check_class(json, 1002, "still reachable");
		if (strcmp(traces[i], o.trace) == 0)
			continue;
		check_class(json, 1005, "lost");
		check_class(json, 1006, "still reachable");
	}
	/* Of both together each block counts once. */
	all = leaks_of_all(&o);
	check_u64(json_u64(all, "reachability.bytes.lost"), 1001 + 1005, "lost bytes");
	check_class(all, 1006, "still reachable");
}

/* It is off unless it is asked for, and then it is no different process that ends. */
static void test_end_by_record(void **state)
{
	struct outcome o = run(ARGV(perfhook_path(), "record", "--leaks", "-o", in_box("r.trace"),
				    program("lost_at_end"), "exit"),
			       NULL);
	cJSON *json;

	(void)state;
	check_status(&o, 3);
	json = report(in_box("r.trace"));
	check_class(json, 1001, "lost");
	o = run(ARGV(perfhook_path(), "record", "-o", in_box("r.trace"), program("lost_at_end")),
		NULL);
	json = report(in_box("r.trace"));
	check(cJSON_IsFalse(json_at(json, "reachability.made")), "a search was made");
	check(cJSON_IsNull(json_at(json, "reachability.missing")), "one is missing");
}

/* Of two that grow, the one that is lost is first, however much more the other is. */
static void test_lost_first(void **state)
{
	const struct options options = {.env = at_exit};
	struct outcome o = record(ARGV(program("lost_beside_growth")), &options);
	cJSON *json, *first, *second;

	(void)state;
	check_status(&o, 0);
	json = report(o.trace);
	first = json_at(json, "leaks")->child;
	second = first->next;
	check(strcmp(json_text(first, "reachability"), "lost") == 0, "the first: %s",
	      json_text(first, "reachability"));
	check_u64(json_u64(first, "bytes") % 48, 0, "what the first has");
	check(strcmp(json_text(second, "reachability"), "still reachable") == 0, "the second: %s",
	      json_text(second, "reachability"));
	check(cJSON_IsTrue(json_at(second, "suspect")), "the second is no suspect");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(test_blocks),	      boxed(test_blocks_by_copy),
		boxed(test_undisturbed),      boxed(test_subreaper),
		boxed(test_ignored_children), boxed(test_killed_looks),
		boxed(test_paused),	      boxed(test_confined),
		boxed(test_limited),	      boxed(test_asleep),
		boxed(test_refusals),	      boxed(test_end),
		boxed(test_ends_without),     boxed(test_end_of_child),
		boxed(test_end_by_record),    boxed(test_killed_copy),
		boxed(test_ended_meanwhile),  boxed(test_without_first_thread),
		boxed(test_two_looks),	      boxed(test_late_collector),
		boxed(test_lost_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
