/* SPDX-License-Identifier: MIT */
/* Real programs answer the same with and without the library: output, errors,
 * status, and the files they make. */
#include <signal.h>

#include "tests/integration/harness.h"

static const char *const steady_environment[] = {"PYTHONHASHSEED=0", "PERL_HASH_SEED=0", "LC_ALL=C",
						 "PYTHONDONTWRITEBYTECODE=1", NULL};

static void same(const char *const *argv, const char *result_file)
{
	struct options options = {.timeout_s = 120, .env = steady_environment};
	struct outcome plain = run(argv, &options), with;
	size_t plain_size = 0, with_size = 0;
	char *plain_file = NULL, *with_file;

	if (result_file != NULL) {
		plain_file = read_file(in_box("%s", result_file), &plain_size);
		check(plain_file != NULL, "%s makes no %s:\n%s", plain.line, result_file,
		      plain.err);
		unlink(in_box("%s", result_file));
	}
	with = record(argv, &options);
	check(with.status == plain.status && with.signal == plain.signal,
	      "%s: status %d signal %d instead of %d %d\n%s", plain.line, with.status, with.signal,
	      plain.status, plain.signal, with.err);
	check(with.out_size == plain.out_size && memcmp(with.out, plain.out, plain.out_size) == 0,
	      "%s: another output:\n%.500s\ninstead of\n%.500s", plain.line, with.out, plain.out);
	assert_string_equal(foreign_errors(&with), plain.err);
	if (result_file == NULL)
		return;
	with_file = read_file(in_box("%s", result_file), &with_size);
	check(with_file != NULL && with_size == plain_size &&
		      memcmp(with_file, plain_file, plain_size) == 0,
	      "%s: another %s", plain.line, result_file);
}

static void make_text(void)
{
	struct outcome o = run(ARGV("sh", "-c", "seq 1 40000 > text; seq 5 3 90000 >> text"), NULL);

	check_status(&o, 0);
}

static void shells_and_tools(void **state)
{
	(void)state;
	make_text();
	same(ARGV("sort", "-rn", "text"), NULL);
	same(ARGV("grep", "-c", "77", "text"), NULL);
	same(ARGV("sh", "-c", "awk '{s += $1} END {print s}' text; wc text; md5sum < text"), NULL);
	same(ARGV("sh", "-c", "exit 7"), NULL);
	same(ARGV("ls", "/no/such/folder"), NULL);
	same(ARGV("find", "/usr/share/doc/bash", "-type", "f"), NULL);
}

static void python(void **state)
{
	static const char script[] =
		"import sys, threading, subprocess, sqlite3, json, decimal\n"
		"def f(i, out): out[i] = sum(len(str(n)) for n in range(3000 + i))\n"
		"out = {}\n"
		"ts = [threading.Thread(target=f, args=(i, out)) for i in range(4)]\n"
		"[t.start() for t in ts]; [t.join() for t in ts]\n"
		"print(sorted(out.items()))\n"
		"print(subprocess.check_output(['echo', 'child']))\n"
		"print(decimal.Decimal(2).sqrt(), json.dumps({'a': [1, 2]}))\n"
		"print('to stderr', file=sys.stderr)\n"
		"sys.exit(3)\n";

	(void)state;
	need_tool("python3");
	same(ARGV("python3", "-c", script), NULL);
	same(ARGV("python3", "-c", "raise ValueError('uncaught')"), NULL);
}

static void perl(void **state)
{
	(void)state;
	need_tool("perl");
	same(ARGV("perl", "-e",
		  "my %h = map { $_ => $_ * 2 } 1..2000; print \"$_=$h{$_}\\n\" for sort keys %h;"
		  "print `echo child`; warn 'to stderr'; exit 4"),
	     NULL);
}

static void git(void **state)
{
	static const char make_history[] =
		"git init -q r && cd r && git config user.email a@b.c && git config user.name n &&"
		" for i in $(seq 1 12); do seq $i $((i * 40)) > f$((i % 3));"
		" git add . && git commit -q -m \"change $i\"; done";
	struct outcome o;

	(void)state;
	need_tool("git");
	o = run(ARGV("sh", "-c", make_history), NULL);
	check_status(&o, 0);
	same(ARGV("git", "-C", "r", "log", "-p"), NULL);
	same(ARGV("git", "-C", "r", "fsck", "--full"), NULL);
	same(ARGV("git", "-C", "r", "status"), NULL);
	same(ARGV("git", "-C", "r", "no-such-command"), NULL);
}

static void compilers(void **state)
{
	static const char c[] = "#include <stdio.h>\n#include <stdlib.h>\n"
				"int main(void) { printf(\"%d\\n\", atoi(\"42\")); return 0; }\n";
	static const char cc[] = "#include <vector>\n#include <stdexcept>\n"
				 "int f(int n) { std::vector<int> v(n); return v.at(3); }\n";

	(void)state;
	need_tool("gcc");
	write_file(in_box("a.c"), c, strlen(c));
	write_file(in_box("bad.c"), "int x = ;\n", 10);
	same(ARGV("gcc", "-O2", "-g", "-c", "a.c", "-o", "a.o"), "a.o");
	same(ARGV("gcc", "-c", "bad.c"), NULL);
	need_tool("g++");
	write_file(in_box("b.cc"), cc, strlen(cc));
	same(ARGV("g++", "-O1", "-c", "b.cc", "-o", "b.o"), "b.o");
}

static void exceptions(void **state)
{
	(void)state;
	same(ARGV(program("exceptions")), NULL);
	same(ARGV(program("exceptions"), "threads"), NULL);
	same(ARGV(program("cxx_host"), program("lib_throw.so")), NULL);
	same(ARGV(program("shapes")), NULL);
}

static void sqlite(void **state)
{
	static const char sql[] =
		"create table t(a integer primary key, b text);"
		"with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)"
		" insert into t select i, hex(i * 7919) from n; create index x on t(b);"
		"select count(*), sum(a) from t where b > '33'; pragma integrity_check; select";

	(void)state;
	need_tool("sqlite3");
	same(ARGV("sh", "-c", "rm -f db; exec sqlite3 db \"$1\"", "sh", sql), "db");
}

static void archives(void **state)
{
	(void)state;
	need_tool("xz");
	need_tool("tar");
	make_text();
	same(ARGV("xz", "-T2", "-2", "-k", "-f", "--block-size=100KiB", "text"), "text.xz");
	same(ARGV("xz", "-dc", "text.xz"), NULL);
	same(ARGV("gzip", "-c", "text"), NULL);
	same(ARGV("tar", "-cf", "out.tar", "text"), "out.tar");
	same(ARGV("tar", "-czf", "out.tgz", "--mtime=2020-01-01", "text"), NULL);
}

static void jq(void **state)
{
	(void)state;
	need_tool("jq");
	same(ARGV("jq", "-n", "-c", "[range(3000)] | map({a: ., b: tostring}) | .[1000:1010]"),
	     NULL);
	same(ARGV("jq", "-n", "error(\"no\")"), NULL);
}

/* ---- a server under load ----------------------------------------------- */

static struct running *start_redis(bool preload)
{
	struct options options = {.preload = preload, .timeout_s = 120};

	unlink(in_box("redis.sock"));
	/* What a former server's bgsave left would be loaded. */
	unlink(in_box("dump.rdb"));
	return start(ARGV("redis-server", "--port", "0", "--unixsocket", in_box("redis.sock"),
			  "--save", "", "--appendonly", "no"),
		     &options);
}

static struct outcome redis_cli(const char *script)
{
	return run(ARGV("sh", "-c", script), NULL);
}

static bool redis_answers(void *context)
{
	struct outcome o =
		redis_cli(text("redis-cli -s %s ping 2>/dev/null", in_box("redis.sock")));

	(void)context;
	return strcmp(o.out, "PONG\n") == 0;
}

static char *ask_redis(bool preload, struct outcome *server)
{
	struct running *r = start_redis(preload);
	char *sock = in_box("redis.sock");
	struct outcome o;

	if (!wait_until(redis_answers, NULL, 30)) {
		kill(running_pid(r), SIGKILL);
		o = finish(r);
		fail_msg("redis-server does not answer:\n%s%s", o.out, o.err);
	}
	o = redis_cli(text("redis-benchmark -s %s -n 5000 -c 20 -q -t set,get,lpush > bench &&"
			   " for i in 1 2 3; do redis-cli -s %s set k$i v$i; done;"
			   " redis-cli -s %s mget k1 k2 k3; redis-cli -s %s llen mylist;"
			   " redis-cli -s %s eval 'return redis.call(\"get\", \"k2\") .. 1' 0;"
			   " redis-cli -s %s bgsave; redis-cli -s %s shutdown nosave",
			   sock, sock, sock, sock, sock, sock, sock));
	check_status(&o, 0);
	*server = finish(r);
	return o.out;
}

static void redis(void **state)
{
	struct outcome plain, with;
	char *wanted, *got;

	(void)state;
	need_tool("redis-server");
	need_tool("redis-benchmark");
	wanted = ask_redis(false, &plain);
	got = ask_redis(true, &with);
	assert_string_equal(got, wanted);
	check(with.status == plain.status && with.signal == plain.signal,
	      "redis-server: status %d signal %d", with.status, with.signal);
	check(json_u64(report(with.trace), "sockets.receive_calls") +
			      json_u64(report(with.trace), "sockets.received_bytes") >
		      15000,
	      "hardly anything was recorded of the server");
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(shells_and_tools),
					   boxed(python),
					   boxed(perl),
					   boxed(git),
					   boxed(compilers),
					   boxed(exceptions),
					   boxed(sqlite),
					   boxed(archives),
					   boxed(jq),
					   boxed(redis)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
