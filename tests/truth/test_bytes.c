/* SPDX-License-Identifier: MIT */
/*
 * Bytes and calls of each file, pipe and connection by strace and by the traces of
 * the same run, both ways round. What libc does inside itself (stdio, the loader)
 * is not recorded: each row compares the files and connections that its programs
 * use by direct calls, and says which.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/truth/strace_log.h"

/* "/path", "pipe:[8]", "inet 127.0.0.1:80->127.0.0.1:9" or, without a peer, "inet 127.0.0.1:80->".
 */
struct moved {
	char *name;
	uint64_t read_bytes, written_bytes, read_calls, write_calls;
};

struct all_moved {
	struct moved *of;
	size_t count, room;
};

static struct moved *moved_of(struct all_moved *all, char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->of[i].name, name) == 0)
			return &all->of[i];
	if (all->count == all->room) {
		all->room = all->room != 0 ? all->room * 2 : 256;
		all->of = realloc(all->of, all->room * sizeof(*all->of));
		assert_non_null(all->of);
	}
	all->of[all->count] = (struct moved){.name = name};
	return &all->of[all->count++];
}

/* ---- what strace saw ---------------------------------------------------------- */

/* The which-th `N<name>` of a call's arguments; NULL: there is none. */
static char *descriptor_of(const char *arguments, int which)
{
	for (const char *at = arguments; *at != '\0'; at++) {
		size_t digits = strspn(at, "0123456789");
		bool begins = at == arguments || strncmp(at - 2, ", ", 2) == 0;
		const char *end;

		if (digits == 0 || at[digits] != '<' || !begins)
			continue;
		at += digits + 1;
		end = strstr(at, ">, ");
		if (end == NULL)
			return NULL;
		if (which-- == 0)
			return text("%.*s", (int)(end - at), at);
		at = end;
	}
	return NULL;
}

/* `TCP:[a->b]` and `UDP:[a]` as connections, everything else as it stands, an inode
 * where strace knows no address included. */
static char *object_name(char *descriptor)
{
	char *address = descriptor + strlen("TCP:[");
	int length = (int)strlen(address) - 1;

	if ((strncmp(descriptor, "TCP:[", 5) != 0 && strncmp(descriptor, "UDP:[", 5) != 0) ||
	    strchr(address, ':') == NULL)
		return descriptor;
	return text("inet %.*s%s", length, address, strstr(address, "->") == NULL ? "->" : "");
}

/* Where in its arguments a call names its source and its target; -1: nowhere. */
struct mover {
	const char *call;
	int source, target;
	bool messages; /* the result counts messages, not bytes */
};

static const struct mover *mover_of(const char *call)
{
	static const struct mover all[] = {
		{"read", 0, -1, false},		  {"pread64", 0, -1, false},
		{"readv", 0, -1, false},	  {"preadv", 0, -1, false},
		{"preadv2", 0, -1, false},	  {"recvfrom", 0, -1, false},
		{"recvmsg", 0, -1, false},	  {"recvmmsg", 0, -1, true},
		{"write", -1, 0, false},	  {"pwrite64", -1, 0, false},
		{"writev", -1, 0, false},	  {"pwritev", -1, 0, false},
		{"pwritev2", -1, 0, false},	  {"sendto", -1, 0, false},
		{"sendmsg", -1, 0, false},	  {"sendmmsg", -1, 0, true},
		{"vmsplice", -1, 0, false},	  {"sendfile", 1, 0, false},
		{"splice", 0, 1, false},	  {"tee", 0, 1, false},
		{"copy_file_range", 0, 1, false},
	};

	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (strcmp(all[i].call, call) == 0)
			return &all[i];
	return NULL;
}

static const char calls_that_move[] =
	"execve,read,pread64,readv,preadv,preadv2,recvfrom,recvmsg,recvmmsg,write,pwrite64,writev,"
	"pwritev,pwritev2,sendto,sendmsg,sendmmsg,vmsplice,sendfile,splice,tee,copy_file_range";

static uint64_t bytes_of(const struct strace_event *e, const struct mover *mover)
{
	const char *at = e->arguments;
	uint64_t bytes = 0;

	if (e->result <= 0)
		return 0;
	if (!mover->messages)
		return (uint64_t)e->result;
	for (long i = 0; i < e->result; i++) {
		at = strstr(at, "msg_len=");
		check(at != NULL, "%s without its lengths: %s", e->call, e->arguments);
		at += strlen("msg_len=");
		bytes += strtoull(at, NULL, 10);
	}
	return bytes;
}

static void add_event(struct all_moved *all, const struct strace_event *e)
{
	const struct mover *mover = mover_of(e->call);
	char *source, *target;

	if (mover == NULL || !e->returned)
		return;
	source = mover->source >= 0 ? descriptor_of(e->arguments, mover->source) : NULL;
	target = mover->target >= 0 ? descriptor_of(e->arguments, mover->target) : NULL;
	if (source != NULL) {
		struct moved *m = moved_of(all, object_name(source));

		m->read_bytes += bytes_of(e, mover);
		m->read_calls++;
	}
	if (target != NULL) {
		struct moved *m = moved_of(all, object_name(target));

		m->written_bytes += bytes_of(e, mover);
		m->write_calls++;
	}
}

static bool is_collector(const struct strace_log *log, int tid)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct strace_event *e = &log->events[i];

		if (e->tid == tid && strcmp(e->call, "execve") == 0 &&
		    strstr(e->arguments, perfhook_path()) != NULL)
			return true;
	}
	return false;
}

static void by_strace(struct all_moved *all, const struct strace_log *log)
{
	int known = 0;
	bool ours = false;

	for (size_t i = 0; i < log->count; i++) {
		const struct strace_event *e = &log->events[i];

		if (e->tid != known)
			ours = is_collector(log, known = e->tid);
		if (e->kind == STRACE_CALL && !ours)
			add_event(all, e);
	}
}

/* ---- what was recorded ---------------------------------------------------------- */

static char *address_of(const cJSON *connection, const char *key)
{
	const cJSON *address = json_at(connection, key);

	return cJSON_IsString(address) ? address->valuestring : "";
}

static void add_connections(struct all_moved *all, const cJSON *json)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_at(json, "sockets.connections"))
	{
		struct moved *m =
			moved_of(all, text("%s %s->%s", json_text(c, "family"),
					   address_of(c, "local"), address_of(c, "peer")));

		m->read_bytes += json_u64(c, "received_bytes");
		m->written_bytes += json_u64(c, "sent_bytes");
		m->read_calls += json_u64(c, "receive_calls");
		m->write_calls += json_u64(c, "send_calls");
	}
}

static void add_files(struct all_moved *all, const cJSON *json)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, json_at(json, "io.files"))
	{
		struct moved *m = moved_of(all, text("%s", json_text(f, "path")));

		m->read_bytes += json_u64(f, "read_bytes");
		m->written_bytes += json_u64(f, "written_bytes");
		m->read_calls += json_u64(f, "read_calls");
		m->write_calls += json_u64(f, "write_calls");
	}
}

static void by_traces(struct all_moved *all, const struct outcome *o)
{
	struct options options = {.timeout_s = 240};
	char **traces;
	size_t count = list_traces(o, &traces);

	for (size_t i = 0; i < count; i++) {
		struct outcome r = run(
			ARGV(perfhook_path(), "io", traces[i], "--json", "--top", "0"), &options);
		cJSON *json = cJSON_Parse(r.out);

		check_status(&r, 0);
		check(json != NULL, "not JSON: %.400s", r.out);
		check_u64(json_u64(json, "trace.dropped"), 0, text("%s: dropped", traces[i]));
		add_files(all, json);
		add_connections(all, json);
		cJSON_Delete(json);
	}
}

/* ---- comparing -------------------------------------------------------------------- */

struct row {
	const char *const *names;   /* those that begin so are compared */
	const char *const *without; /* but not these; NULL: all of them */
	size_t least;		    /* of those, how many moved something by strace */
	uint64_t least_bytes;	    /* and how much */
};

static bool begins_with_any(const char *name, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if (strncmp(name, *list, strlen(*list)) == 0)
			return true;
	return false;
}

static bool is_compared(const struct row *row, const char *name)
{
	return begins_with_any(name, row->names) && !begins_with_any(name, row->without);
}

static size_t differences(const struct moved *got, const struct moved *wanted)
{
	if (got->read_bytes == wanted->read_bytes && got->written_bytes == wanted->written_bytes &&
	    got->read_calls == wanted->read_calls && got->write_calls == wanted->write_calls)
		return 0;
	print_error("%s: recorded %llu bytes read by %llu calls, %llu written by %llu;"
		    " by strace %llu by %llu, %llu by %llu\n",
		    wanted->name, (unsigned long long)got->read_bytes,
		    (unsigned long long)got->read_calls, (unsigned long long)got->written_bytes,
		    (unsigned long long)got->write_calls, (unsigned long long)wanted->read_bytes,
		    (unsigned long long)wanted->read_calls,
		    (unsigned long long)wanted->written_bytes,
		    (unsigned long long)wanted->write_calls);
	return 1;
}

static void check_all(struct all_moved *got, struct all_moved *wanted, const struct row *row)
{
	size_t compared = 0, different = 0;
	uint64_t bytes = 0;

	/* What only the traces know was nothing by strace. */
	for (size_t i = 0; i < got->count; i++)
		moved_of(wanted, got->of[i].name);
	for (size_t i = 0; i < wanted->count; i++) {
		const struct moved *w = &wanted->of[i];

		if (!is_compared(row, w->name))
			continue;
		compared += w->read_bytes + w->written_bytes != 0;
		bytes += w->read_bytes + w->written_bytes;
		different += differences(moved_of(got, w->name), w);
	}
	check(different == 0, "%zu of %zu files and connections differ", different, compared);
	check(compared >= row->least && bytes >= row->least_bytes,
	      "%zu files and connections with %llu bytes are too few", compared,
	      (unsigned long long)bytes);
}

static void compare(const char *const *argv, const struct row *row)
{
	static const char *const format[] = {"--seccomp-bpf", "-yy", "-v", "-s", "0", NULL};
	static const struct strace_options options = {.calls = calls_that_move,
						      .format = format,
						      .run = {.preload = true, .timeout_s = 300}};
	static struct all_moved wanted, got;
	struct straced s;

	need_tool("strace");
	s = run_straced(argv, &options);
	check_status(&s.outcome, 0);
	wanted.count = got.count = 0;
	by_strace(&wanted, &s.log);
	by_traces(&got, &s.outcome);
	check_all(&got, &wanted, row);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void make_input(void)
{
	static char content[300 * 1024 + 17];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)('a' + i * 7919 % 26);
	write_file(in_box("in"), content, sizeof(content));
	check(chmod(in_box("in"), 0644) == 0, "chmod");
}

/* A port that nobody has just now. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(bind(fd, (struct sockaddr *)&address, length) == 0 &&
		      getsockname(fd, (struct sockaddr *)&address, &length) == 0,
	      "no free port");
	close(fd);
	return ntohs(address.sin_port);
}

/* ---- rows ------------------------------------------------------------------------- */

/* All of it is direct calls: every file in the box, every pipe and connection. */
static void copies(void **state)
{
	struct row row = {.names = NAMES(in_box("%s", ""), "pipe:[", "inet "), .least = 12};

	(void)state;
	compare(ARGV(program("copies")), &row);
}

static void sockets(void **state)
{
	struct row row = {.names = NAMES("inet 127.0.0.1:"), .least = 2, .least_bytes = 51000};

	(void)state;
	compare(ARGV(program("sockets")), &row);
}

/* dd reads and writes by direct calls; so does the shell that begins it. */
static void dd(void **state)
{
	static const char script[] =
		"dd if=in of=out1 bs=1000 status=none\n"
		"dd if=in of=out2 bs=4096 skip=3 seek=1 conv=notrunc status=none\n"
		"dd if=in bs=7001 status=none | dd of=out3 bs=3000 iflag=fullblock status=none\n"
		"dd if=in of=out4 ibs=512 obs=10000 conv=ucase status=none";
	struct row row = {.names = NAMES(in_box("%s", ""), "pipe:["),
			  .least = 6,
			  .least_bytes = 9 * 300 * 1024};

	(void)state;
	make_input();
	compare(ARGV("sh", "-c", script), &row);
}

/* Sparse, it reads and writes; else it leaves the copying to the kernel. */
static void cp(void **state)
{
	struct row row = {
		.names = NAMES(in_box("%s", "")), .least = 2, .least_bytes = 2 * (300 * 1024 + 17)};
	struct outcome o;

	(void)state;
	make_input();
	compare(ARGV("cp", "--sparse=always", "in", "out1"), &row);
	compare(ARGV("cp", "in", "out2"), &row);
	o = run(ARGV("sh", "-c", "mkdir d && split -n 7 in d/part. && ln d/part.aa d/other"), NULL);
	check_status(&o, 0);
	row.least = 14;
	compare(ARGV("cp", "-a", "d", "e"), &row);
	row.least = 2;
	row.least_bytes = 4 * (300 * 1024 + 17);
	compare(ARGV("sh", "-c", "cat in > out3; cat < in >> out3"), &row);
}

/* The archive and its members; and the pipe to what compresses. */
static void tar(void **state)
{
	static const char script[] =
		"tar -cf out.tar d && tar -xf out.tar -C e && tar -tf out.tar > /dev/null &&"
		" tar -czf out.tgz d && tar -xzf out.tgz -C e && tar -cf - d | tar -xf - -C e";
	struct row row = {.names = NAMES(in_box("%s", ""), "pipe:["), .least = 19};
	struct outcome o;

	(void)state;
	need_tool("tar");
	make_input();
	o = run(ARGV("sh", "-c", "mkdir d e && split -n 7 in d/part."), NULL);
	check_status(&o, 0);
	compare(ARGV("sh", "-c", script), &row);
}

/* Both ends of the connections, and the file that is served. Not what curl saves:
 * that goes through stdio. */
static void curl(void **state)
{
	static const char script[] =
		"/usr/bin/python3 -I -m http.server -d www --bind 127.0.0.1 $1 > log 2>&1 & p=$!\n"
		"get() { curl -s -o got http://127.0.0.1:$1/$2; }\n"
		"until get $1 in; do kill -0 $p || exit 1; sleep 0.1; done\n"
		"get $1 in && get $1 in && get $1 '' && cmp got www/in; get $1 in &&"
		" get $1 none && kill $p; wait; true";
	struct row row = {.names = NAMES(in_box("www/"), "inet 127.0.0.1:"),
			  .least = 11,
			  .least_bytes = 12 * 300 * 1024};
	struct outcome o;

	(void)state;
	need_tool("curl");
	if (access("/usr/bin/python3", X_OK) != 0)
		skip_because("no /usr/bin/python3");
	make_input();
	o = run(ARGV("sh", "-c", "mkdir www && mv in www"), NULL);
	check_status(&o, 0);
	compare(ARGV("sh", "-c", script, "sh", text("%d", free_port())), &row);
}

/* nginx uses no stdio: each file that it has in the box, and each connection. */
static void serve(const char *directive, size_t least_bytes)
{
	const char script[] =
		"nginx -p \"$PWD/\" -c n.conf -e error.log & m=$!\n"
		"get() { curl -sf -o /dev/null http://127.0.0.1:$1/in; }\n"
		"until get $1; do kill -0 $m || exit 1; sleep 0.1; done\n"
		"for i in 1 2 3 4 5; do get $1; done; curl -s http://127.0.0.1:$1/none >> none\n"
		"curl -s -r 100-3099 http://127.0.0.1:$1/in >> none\n"
		"command -v wrk > /dev/null && wrk -t 1 -c 3 -d 1s http://127.0.0.1:$1/small > "
		"none\n"
		"kill -QUIT $m; wait $m";
	struct row row = {.names = NAMES(in_box("%s", ""), "inet 127.0.0.1:"),
			  .without = NAMES(in_box("none"), in_box("straced")),
			  .least = 15,
			  .least_bytes = least_bytes};
	int port = free_port();
	char *configuration =
		text("daemon off; worker_processes 2; pid nginx.pid; error_log error.log;\n"
		     "events { worker_connections 64; }\n"
		     "http { access_log access.log; client_body_temp_path t1; proxy_temp_path t2;\n"
		     " fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5; %s\n"
		     " server { listen 127.0.0.1:%d; root .; } }\n",
		     directive, port);

	write_file(in_box("n.conf"), configuration, strlen(configuration));
	write_file(in_box("small"), configuration, 100);
	check(chmod(in_box("small"), 0644) == 0, "chmod");
	compare(ARGV("sh", "-c", script, "sh", text("%d", port)), &row);
}

static void nginx(void **state)
{
	(void)state;
	need_tool("nginx");
	need_tool("curl");
	make_input();
	serve("sendfile off;", 15 * 300 * 1024);
	serve("sendfile on; tcp_nopush on;", 15 * 300 * 1024);
	serve("sendfile off; output_buffers 1 4k;", 15 * 300 * 1024);
}

/* The connections of both sides, and the log of changes, which is written by
 * direct calls; not the snapshot, which is stdio's. */
static void redis(void **state)
{
	static const char script[] =
		"redis-server --port $1 --bind 127.0.0.1 --save '' --appendonly yes"
		" --appendfsync always --dir . > log & p=$!\n"
		"ask() { redis-cli -h 127.0.0.1 -p \"$@\" 2> /dev/null; }\n"
		"until [ \"$(ask $1 ping)\" = PONG ]; do kill -0 $p || exit 1; sleep 0.1; done\n"
		"redis-benchmark -h 127.0.0.1 -p $1 -n 400 -c 5 -q -t set,get,lpush,mset > bench &&"
		" redis-benchmark -h 127.0.0.1 -p $1 -n 200 -c 3 -P 8 -d 3000 -q -t set > bench &&"
		" ask $1 mget a b && ask $1 set a b > set && ask $1 shutdown; wait";
	struct row row = {.names = NAMES("inet 127.0.0.1:",
					 in_box("appendonlydir/appendonly.aof.1.incr.aof")),
			  .least = 40,
			  .least_bytes = 2000000};

	(void)state;
	need_tool("redis-server");
	need_tool("redis-benchmark");
	compare(ARGV("sh", "-c", script, "sh", text("%d", free_port())), &row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {boxed(copies), boxed(sockets), boxed(dd),
					   boxed(cp),	  boxed(tar),	  boxed(curl),
					   boxed(nginx),  boxed(redis)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
