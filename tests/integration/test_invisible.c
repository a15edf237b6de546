/* SPDX-License-Identifier: MIT */
/* What a program, and whoever started it, can see must be the same with and
 * without the library. */
#include "harness.h"

/* The same command with and without; outputs and status are compared. */
static struct outcome same(const char *const *argv)
{
	struct outcome plain = run(argv, NULL);
	struct outcome with = run(argv, &(struct options){.preload = true});

	check(with.status == plain.status && with.signal == plain.signal,
	      "%s: status %d signal %d instead of %d %d\n%s", plain.line, with.status, with.signal,
	      plain.status, plain.signal, with.err);
	assert_string_equal(with.out, plain.out);
	assert_string_equal(foreign_errors(&with), plain.err);
	return with;
}

static struct outcome same_in_shell(const char *script)
{
	return same(ARGV("/bin/sh", "-c", script));
}

static void own_view(void **state)
{
	struct outcome o = same(ARGV(program("self_view")));

	(void)state;
	check(strstr(o.out, "threads: 1\n") != NULL, "more than one thread:\n%s", o.out);
	check(strstr(o.out, "children: 0\n") != NULL, "a child:\n%s", o.out);
}

/* Descriptors that are closed from the start stay free. */
static void closed_descriptors(void **state)
{
	static const char *const closings[] = {">&-", "2>&-", "<&-", "<&- >&- 2>&-"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(closings); i++) {
		const char *script = text("exec %s view %s", program("self_view"), closings[i]);
		struct outcome plain = run(ARGV("/bin/sh", "-c", script), NULL), with;
		char *wanted = read_file(in_box("view"), NULL), *got;

		check(wanted != NULL, "nothing written by: %s", script);
		with = run(ARGV("/bin/sh", "-c", script), &(struct options){.preload = true});
		got = read_file(in_box("view"), NULL);
		check(with.status == plain.status, "%s: status %d", script, with.status);
		assert_string_equal(got, wanted);
	}
}

static void children(void **state)
{
	const char *waiter = program("wait_any");
	struct outcome o = same(ARGV(waiter));

	(void)state;
	check_u64(truth(&o, "children"), 3, "children waited for");
	check_u64(truth(&o, "signals"), 3, "signals of children");
	/* Orphans come to this one: the collector must not. */
	o = same(ARGV(waiter, "reaper", waiter));
	check_u64(truth(&o, "children"), 3, "children of a subreaper");
}

static void pipelines(void **state)
{
	(void)state;
	same_in_shell("seq 1 20000 | sort -r | head -n 5");
	same_in_shell("yes | head -c 100000 | wc -c");
	same_in_shell("printf 'b\\na\\n' | sort; exit 3");
	same_in_shell("x=$(echo inner); echo \"[$x]\"; kill -TERM $$");
	same_in_shell("echo err >&2; cat /no/such/file; echo $?");
}

static void environments(void **state)
{
	const char *view = program("self_view");

	(void)state;
	same(ARGV("env", "-i", view));
	same(ARGV("env", "-u", "HOME", "A=1", view));
	same(ARGV("env", "-u", "LD_PRELOAD", view));
	same_in_shell(text("cd / && exec %s", view));
	same_in_shell(text("umask 077; trap '' USR1; ulimit -n 100; exec %s", view));
}

static void other_users_and_namespaces(void **state)
{
	(void)state;
	need_tool("setpriv");
	need_tool("unshare");
	if (getuid() != 0)
		skip_because("not root: cannot change the user");
	same(ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "true"));
	same(ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "false"));
	same(ARGV("setpriv", "--no-new-privs", "--inh-caps=-all", "id", "-u"));
	same(ARGV("unshare", "--user", "true"));
	same(ARGV("unshare", "--user", "--map-root-user", "id", "-u"));
	same(ARGV("unshare", "--mount", "--pid", "--fork", "sh", "-c", "echo $$"));
}

static void exceptions_of_a_library(void **state)
{
	struct outcome o = same(ARGV(program("cxx_host"), program("lib_throw.so")));

	(void)state;
	check_u64(truth(&o, "caught"), 1000, "exceptions caught");
	check(strstr(truth_text(&o, "raised_by"), "libgcc_s") != NULL, "raised by %s",
	      truth_text(&o, "raised_by"));
}

/* A caller that reads to the end of the output gets there. */
static void output_ends(void **state)
{
	struct outcome o = same_in_shell(text("out=$(%s return); status=$?; echo \"$out\" $status; "
					      "timeout 20 %s return | cat; echo done",
					      program("ending"), program("ending")));

	(void)state;
	check(strstr(o.out, "done") != NULL, "did not get to the end");
}

/* Arguments, input and large outputs pass unchanged. */
static void bytes_pass(void **state)
{
	(void)state;
	same_in_shell("head -c 3000000 /dev/zero | od | md5sum");
	same_in_shell("dd if=/dev/zero bs=1000 count=1000 2>/dev/null | cat | cat | wc -c");
}

/* Who follows a process's children does not meet the collector: gdb stumbles over it. */
static void followed(void **state)
{
	const char *log = in_box("log"), *trace = in_box("followed.trace"), *calls;
	struct outcome o;

	(void)state;
	need_tool("strace");
	o = run(ARGV("strace", "-f", "-o", log, "-E", text("LD_PRELOAD=%s", library_path()), "-E",
		     text("PERFHOOK_OUT=%s", trace), program("leak")),
		NULL);
	calls = read_file(log, NULL);
	if (o.status != 0 || calls == NULL)
		skip_because("strace may not trace here: %s", o.err);
	check(strstr(calls, "\"collect\"") == NULL, "the collector was followed");
	check(json_u64(report(trace), "memory.allocations") >= 50000, "it was not recorded");
	trace = in_box("filtered.trace");
	/* A filter that asks strace: the collector's calls would fail without it. */
	o = run(ARGV("strace", "-f", "--seccomp-bpf", "-e", "trace=execve,write", "-o", log, "-E",
		     text("LD_PRELOAD=%s", library_path()), "-E", text("PERFHOOK_OUT=%s", trace),
		     program("leak")),
		NULL);
	check_status(&o, 0);
	check(json_u64(report(trace), "memory.allocations") >= 50000, "not with a filter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(own_view),
		boxed(closed_descriptors),
		boxed(children),
		boxed(pipelines),
		boxed(environments),
		boxed(other_users_and_namespaces),
		boxed(exceptions_of_a_library),
		boxed(output_ends),
		boxed(bytes_pass),
		boxed(followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
