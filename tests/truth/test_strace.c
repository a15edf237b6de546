/* SPDX-License-Identifier: MIT */
/*
 * Bytes and calls by path against what strace sees of the same command, file by
 * file, for the files in the test's own folder (what the loader reads, nobody
 * calls through a library's name).
 */
#include "tests/truth/strace_log.h"

struct moved {
	char *path;
	uint64_t read_bytes, written_bytes, read_calls, write_calls;
};

struct all_moved {
	struct moved files[256];
	size_t count;
	struct moved sockets;
};

static struct moved *moved_of(struct all_moved *all, const char *path, size_t length)
{
	for (size_t i = 0; i < all->count; i++) {
		if (strlen(all->files[i].path) == length &&
		    strncmp(all->files[i].path, path, length) == 0)
			return &all->files[i];
	}
	check(all->count < COUNT_OF(all->files), "too many files");
	all->files[all->count].path = text("%.*s", (int)length, path);
	return &all->files[all->count++];
}

enum direction { NEITHER, IN, OUT };

/* Only what the table of functions has; the kernel's names of those. */
static enum direction direction_of(const char *call)
{
	static const char *const in[] = {"read", "pread64", "readv", "recvfrom", "recvmsg"};
	static const char *const out[] = {"write", "pwrite64", "writev", "sendto", "sendmsg"};

	for (size_t i = 0; i < COUNT_OF(in); i++) {
		if (strcmp(in[i], call) == 0)
			return IN;
		if (strcmp(out[i], call) == 0)
			return OUT;
	}
	return NEITHER;
}

static void add(struct moved *m, enum direction direction, long result)
{
	uint64_t bytes = result > 0 ? (uint64_t)result : 0;

	if (direction == IN) {
		m->read_bytes += bytes;
		m->read_calls++;
	} else {
		m->written_bytes += bytes;
		m->write_calls++;
	}
}

/* What the descriptor is: a file here, a socket, or nothing of interest. */
static struct moved *object_of(struct all_moved *all, const char *arguments)
{
	const char *begin = strchr(arguments, '<'), *end;
	static const char *const families[] = {"TCP", "UDP", "UNIX", "socket:"};

	if (begin == NULL || (end = strstr(begin, ">, ")) == NULL)
		return NULL;
	begin++;
	if (strncmp(begin, box_dir(), strlen(box_dir())) == 0)
		return moved_of(all, begin, (size_t)(end - begin));
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		if (strncmp(begin, families[i], strlen(families[i])) == 0)
			return &all->sockets;
	}
	return NULL;
}

static void by_strace(struct all_moved *all, const char *const *argv)
{
	static const char *const format[] = {"-yy", "-s", "0", NULL};
	static const struct strace_options options = {
		.calls = "read,pread64,readv,recvfrom,recvmsg,write,pwrite64,writev,sendto,sendmsg",
		.format = format};
	struct straced s = run_straced(argv, &options);

	check_status(&s.outcome, 0);
	for (size_t i = 0; i < s.log.count; i++) {
		const struct strace_event *e = &s.log.events[i];
		enum direction direction = direction_of(e->call);
		struct moved *to =
			e->returned && direction != NEITHER ? object_of(all, e->arguments) : NULL;

		if (to != NULL)
			add(to, direction, e->result);
	}
}

static void by_report(struct all_moved *all, const struct outcome *o)
{
	char **traces;
	size_t count = list_traces(o, &traces);

	for (size_t i = 0; i < count; i++) {
		cJSON *json = report(traces[i]);
		const cJSON *file;

		cJSON_ArrayForEach(file, json_at(json, "io.files"))
		{
			const char *path = json_text(file, "path");
			struct moved *m;

			if (strncmp(path, box_dir(), strlen(box_dir())) != 0)
				continue;
			m = moved_of(all, path, strlen(path));
			m->read_bytes += json_u64(file, "read_bytes");
			m->written_bytes += json_u64(file, "written_bytes");
			m->read_calls += json_u64(file, "read_calls");
			m->write_calls += json_u64(file, "write_calls");
		}
		all->sockets.read_bytes += json_u64(json, "sockets.received_bytes");
		all->sockets.written_bytes += json_u64(json, "sockets.sent_bytes");
		all->sockets.read_calls += json_u64(json, "sockets.receive_calls");
		all->sockets.write_calls += json_u64(json, "sockets.send_calls");
	}
}

/* Into how many pieces a pipe cuts a stream is chance, and so are the calls of
 * whoever reads it; how many bytes is not. */
static bool pieces_are_chance;

static void check_same(const struct moved *got, const struct moved *wanted, const char *path)
{
	check_u64(got->read_bytes, wanted->read_bytes, text("%s: read_bytes", path));
	check_u64(got->written_bytes, wanted->written_bytes, text("%s: written_bytes", path));
	if (pieces_are_chance)
		return;
	check_u64(got->read_calls, wanted->read_calls, text("%s: read_calls", path));
	check_u64(got->write_calls, wanted->write_calls, text("%s: write_calls", path));
}

/* Both ways round: nothing missing, nothing made up. */
static void compare(const char *const *argv, size_t files_at_least)
{
	static struct all_moved wanted, got;
	struct outcome o;

	memset(&wanted, 0, sizeof(wanted));
	memset(&got, 0, sizeof(got));
	by_strace(&wanted, argv);
	o = record(argv, NULL);
	check_status(&o, 0);
	by_report(&got, &o);
	check(wanted.count >= files_at_least, "strace saw %zu files of: %s", wanted.count, o.line);
	for (size_t i = 0; i < wanted.count; i++) {
		const struct moved *w = &wanted.files[i];

		check_same(moved_of(&got, w->path, strlen(w->path)), w, w->path);
	}
	for (size_t i = 0; i < got.count; i++) {
		const struct moved *g = &got.files[i];

		check_same(g, moved_of(&wanted, g->path, strlen(g->path)), g->path);
	}
	check_same(&got.sockets, &wanted.sockets, "sockets");
}

static void make_input(void)
{
	static char content[300 * 1024 + 17];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)('a' + i * 7919 % 26);
	write_file(in_box("in"), content, sizeof(content));
}

static void own_targets(void **state)
{
	(void)state;
	need_tool("strace");
	compare(ARGV(program("io_calls")), 2);
	compare(ARGV(program("io_fortified")), 2);
	compare(ARGV(program("io_errors")), 1);
	compare(ARGV(program("files")), 2);
	compare(ARGV(program("workers"), "6"), 6);
	compare(ARGV(program("fork_inherit")), 1);
}

/* How TCP cuts a stream into pieces is chance: only bytes compare. */
static void socket_targets(void **state)
{
	static struct all_moved wanted, got;
	struct outcome o;

	(void)state;
	need_tool("strace");
	memset(&wanted, 0, sizeof(wanted));
	memset(&got, 0, sizeof(got));
	by_strace(&wanted, ARGV(program("sockets")));
	o = record(ARGV(program("sockets")), NULL);
	by_report(&got, &o);
	check(wanted.sockets.written_bytes > 0, "strace saw no socket");
	check_u64(got.sockets.read_bytes, wanted.sockets.read_bytes, "received_bytes");
	check_u64(got.sockets.written_bytes, wanted.sockets.written_bytes, "sent_bytes");
}

static void dd(void **state)
{
	(void)state;
	need_tool("strace");
	make_input();
	compare(ARGV("dd", "if=in", "of=out", "bs=1000", "status=none"), 2);
	compare(ARGV("dd", "if=in", "of=out", "bs=4096", "skip=3", "seek=1", "conv=notrunc",
		     "status=none"),
		2);
}

static void pipeline(void **state)
{
	(void)state;
	need_tool("strace");
	make_input();
	pieces_are_chance = true;
	compare(ARGV("sh", "-c",
		     "cat in | tr a-m n-z | cat > out; dd if=in of=u bs=100 count=50 status=none"),
		3);
	pieces_are_chance = false;
}

static void tar(void **state)
{
	struct outcome o;

	(void)state;
	need_tool("strace");
	need_tool("tar");
	make_input();
	o = run(ARGV("sh", "-c", "mkdir d && split -n 7 in d/part."), NULL);
	check_status(&o, 0);
	compare(ARGV("tar", "-cf", "out.tar", "d"), 8);
	compare(ARGV("tar", "-C", "/", "-tf", in_box("out.tar")), 1);
}

static void python(void **state)
{
	static const char script[] = "import os\n"
				     "a = os.open('in', os.O_RDONLY)\n"
				     "b = os.open('out', os.O_WRONLY | os.O_CREAT, 0o644)\n"
				     "while True:\n"
				     "    s = os.read(a, 3001)\n"
				     "    if not s: break\n"
				     "    os.write(b, s)\n"
				     "print(len(os.pread(a, 100, 50)))\n"
				     "with open('text', 'w') as f:\n"
				     "    for i in range(5000): f.write('line %d\\n' % i)\n"
				     "print(sum(len(l) for l in open('text')))\n";

	(void)state;
	need_tool("strace");
	if (access("/usr/bin/python3", X_OK) != 0)
		skip_because("no /usr/bin/python3");
	make_input();
	compare(ARGV("/usr/bin/python3", "-I", "-S", "-c", script), 3);
}

static void sqlite(void **state)
{
	static const char script[] =
		"rm -f db; sqlite3 db \"create table t(a, b);"
		" with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)"
		" insert into t select i, hex(i) from n; select count(*) from t;\"";

	(void)state;
	need_tool("strace");
	need_tool("sqlite3");
	compare(ARGV("sh", "-c", script), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(own_targets), boxed(socket_targets), boxed(dd),	 boxed(pipeline),
		boxed(tar),	    boxed(python),	   boxed(sqlite)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
