/* SPDX-License-Identifier: MIT */
/*
 * Bytes and calls of each file, pipe and connection by strace and by the traces of
 * the same run, both ways round, exactly: what programs do by libc's functions and
 * what its streams do for them. Left out is what the loader reads of libraries, and
 * what the library itself looks at in the programs.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/truth/strace_log.h"

/* "/path", "/path (deleted)", "pipe:[8]", "inet 127.0.0.1:80->127.0.0.1:9" or, without a peer,
 * "inet 127.0.0.1:80->"; "unix" and "netlink" are all of those together. */
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
	static const char gone[] = ">(deleted), ";

	for (const char *at = arguments; *at != '\0'; at++) {
		size_t digits = strspn(at, "0123456789");
		bool begins = at == arguments || strncmp(at - 2, ", ", 2) == 0;
		const char *end, *deleted;

		if (digits == 0 || at[digits] != '<' || !begins)
			continue;
		at += digits + 1;
		end = strstr(at, ">, ");
		deleted = strstr(at, gone);
		if (deleted != NULL && (end == NULL || deleted < end))
			end = deleted;
		if (end == NULL)
			return NULL;
		if (which-- == 0)
			return text("%.*s%s", (int)(end - at), at,
				    end == deleted ? " (deleted)" : "");
		at = end;
	}
	return NULL;
}

/* `TCP:[a->b]` and `UDP:[a]` as connections, devices without their numbers, everything
 * else as it stands, an inode where strace knows no address included. */
static char *object_name(char *descriptor)
{
	static const char *const transports[][2] = {
		{"TCP:[", "inet"}, {"UDP:[", "inet"}, {"TCPv6:[", "inet6"}, {"UDPv6:[", "inet6"}};

	for (size_t i = 0; i < COUNT_OF(transports); i++) {
		size_t length = strlen(transports[i][0]);
		char *address = descriptor + length;

		if (strncmp(descriptor, transports[i][0], length) == 0 &&
		    strchr(address, ':') != NULL)
			return text("%s %.*s%s", transports[i][1], (int)strlen(address) - 1,
				    address, strstr(address, "->") == NULL ? "->" : "");
	}
	if (strncmp(descriptor, "UNIX", 4) == 0)
		return "unix";
	if (strncmp(descriptor, "NETLINK", 7) == 0)
		return "netlink";
	return strstr(descriptor, "<char ") == NULL
		       ? descriptor
		       : text("%.*s", (int)(strstr(descriptor, "<char ") - descriptor), descriptor);
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
		const char *family = json_text(c, "family");
		struct moved *m =
			moved_of(all, strncmp(family, "inet", 4) != 0
					      ? text("%s", family)
					      : text("%s %s->%s", family, address_of(c, "local"),
						     address_of(c, "peer")));

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
	const char *const *names;   /* those that begin so are compared; NULL: everything */
	const char *const *without; /* but not these */
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

/* Not of the program, or not seen: what the loader reads of libraries, what libc asks
 * of the machine (sysconf(), malloc()), what the library asks of its process, and what
 * strace and the harness have. A descriptor that is none has no name by strace. */
static bool is_elsewhere(const char *name)
{
	static const char *const begins[] = {"/sys/devices/system/cpu/online",
					     "/proc/sys/kernel/ngroups_max",
					     "/proc/sys/vm/overcommit_memory",
					     "/proc/locks",
					     "/dev/shm/perfhook-",
					     "fd ",
					     NULL};

	return strstr(name, ".so") != NULL || begins_with_any(name, begins) ||
	       strncmp(name, in_box("straced"), strlen(in_box("straced"))) == 0 ||
	       (strncmp(name, "/proc/", 6) == 0 && strchr("0123456789", name[6]) != NULL);
}

/* Before an exec the library looks at the beginning of what is to be run. */
static bool is_looked_at(const struct moved *by_strace)
{
	return by_strace->read_bytes == 1024 * by_strace->read_calls &&
	       by_strace->write_calls == 0 && by_strace->name[0] == '/' &&
	       access(by_strace->name, X_OK) == 0;
}

static bool is_compared(const struct row *row, const char *name)
{
	return (row->names == NULL ? !is_elsewhere(name) : begins_with_any(name, row->names)) &&
	       !begins_with_any(name, row->without);
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

		if (!is_compared(row, w->name) || (row->names == NULL && is_looked_at(w)))
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

static void compare_as(const char *const *user, const char *const *argv, const struct row *row)
{
	static const char *const format[] = {"--seccomp-bpf", "-yy", "-v", "-s", "0", NULL};
	const struct strace_options options = {.calls = calls_that_move,
					       .format = format,
					       .before = user,
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

static void compare(const char *const *argv, const struct row *row)
{
	compare_as(NULL, argv, row);
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

static void shell(const char *script, const struct row *row)
{
	compare(ARGV("sh", "-c", script), row);
}

static void make_folder(const char *script)
{
	struct outcome o = run(ARGV("sh", "-c", script), NULL);

	check_status(&o, 0);
}

/* Every way of a stream. Not what it says, which is no stream's. */
static void streams(void **state)
{
	struct row row = {.without = NAMES(in_box("said")), .least = 22, .least_bytes = 700000};

	(void)state;
	shell(text("%s > said", program("streams")), &row);
}

static void raw_calls(void **state)
{
	struct row row = {.names = NAMES(in_box("%s", ""), "inet "), .least = 6};

	(void)state;
	compare(ARGV(program("raw_calls")), &row);
}

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

static void dd(void **state)
{
	static const char script[] =
		"dd if=in of=out1 bs=1000 status=none\n"
		"dd if=in of=out2 bs=4096 skip=3 seek=1 conv=notrunc status=none\n"
		"dd if=in bs=7001 status=none | dd of=out3 bs=3000 iflag=fullblock status=none\n"
		"dd if=in of=out4 ibs=512 obs=10000 conv=ucase status=none";
	struct row row = {.least = 6, .least_bytes = 9 * 300 * 1024};

	(void)state;
	make_input();
	shell(script, &row);
}

/* Sparse, it reads and writes; else it leaves the copying to the kernel. */
static void cp(void **state)
{
	struct row row = {.least = 2, .least_bytes = 2 * (300 * 1024 + 17)};

	(void)state;
	make_input();
	compare(ARGV("cp", "--sparse=always", "in", "out1"), &row);
	compare(ARGV("cp", "in", "out2"), &row);
	make_folder("mkdir d && split -n 7 in d/part. && ln d/part.aa d/other");
	row.least = 14;
	compare(ARGV("cp", "-a", "d", "e"), &row);
	row.least = 2;
	row.least_bytes = 4 * (300 * 1024 + 17);
	shell("cat in > out3; cat < in >> out3", &row);
}

/* The archive and its members; and the pipe to what compresses. */
static void tar(void **state)
{
	static const char script[] =
		"tar -cf out.tar d && tar -xf out.tar -C e && tar -tf out.tar > /dev/null &&"
		" tar -czf out.tgz d && tar -xzf out.tgz -C e && tar -cf - d | tar -xf - -C e";
	struct row row = {.least = 19};

	(void)state;
	need_tool("tar");
	make_input();
	make_folder("mkdir d e && split -n 7 in d/part.");
	shell(script, &row);
}

/* What reads and writes by streams, lines and words. */
static void text_tools(void **state)
{
	static const char script[] =
		"sort -n lines > sorted; sort -S 50k -T . lines -o merged; uniq -c sorted > "
		"counted\n"
		"cut -c 2- lines | tr 1 2 > cut; sed s/1/one/ lines > sedded; wc lines > wced\n"
		"grep -r 99 folder > found; grep -c 5 lines >> found; awk '{s += $1} END {print "
		"s}' "
		"lines > summed\n"
		"head -n 100 lines | tail -n 5 > last; paste lines sorted > pasted; od -c cut > "
		"dumped\n"
		"diff lines sorted > differ; cmp lines sedded > compared; true";
	struct row row = {.least = 30, .least_bytes = 5000000};

	(void)state;
	make_folder("seq 1 30000 > lines; mkdir -p folder/in; split -n 20 lines folder/in/part.");
	shell(script, &row);
}

static void python(void **state)
{
	static const char script[] =
		"import json, os, subprocess, sys\n"
		"with open('text', 'w') as f:\n"
		"    for i in range(20000): f.write('line %d\\n' % i)\n"
		"with open('text') as f: lines = sum(1 for l in f)\n"
		"with open('binary', 'wb') as f: f.write(os.urandom(300000))\n"
		"with open('binary', 'rb') as f:\n"
		"    while f.read(4097): pass\n"
		"with open('unbuffered', 'wb', 0) as f:\n"
		"    for i in range(20): f.write(b'x' * i)\n"
		"json.dump(list(range(5000)), open('json', 'w'))\n"
		"json.load(open('json'))\n"
		"subprocess.run(['cat', 'text'], stdout=open('copy', 'w'), check=True)\n"
		"print(subprocess.check_output(['wc', '-l', 'text']), lines)\n"
		"print('end', file=sys.stderr)\n";
	struct row row = {.least = 30, .least_bytes = 1500000};

	(void)state;
	if (access("/usr/bin/python3", X_OK) != 0)
		skip_because("no /usr/bin/python3");
	write_file(in_box("script.py"), script, sizeof(script) - 1);
	compare(ARGV("/usr/bin/python3", "-B", "script.py"), &row);
}

static void git(void **state)
{
	static const char script[] =
		"git init -q . && git add . && git commit -qm one && echo more >> lines &&"
		" git commit -qam two && git log -p > log && git status > state &&"
		" git diff HEAD~ > difference && git gc -q && git fsck > checked 2>&1 &&"
		" git clone -q . other && git -C other log --stat > log2 && git archive HEAD > "
		"a.tar";
	struct row row = {.without = NAMES("pipe:["), .least = 60, .least_bytes = 1000000};

	(void)state;
	need_tool("git");
	make_folder("seq 1 20000 > lines; mkdir -p folder/in; split -n 20 lines folder/in/part.");
	compare(ARGV("env", "GIT_CONFIG_NOSYSTEM=1", text("HOME=%s", in_box("%s", "")),
		     "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a",
		     "GIT_COMMITTER_EMAIL=a@b", "sh", "-c", script),
		&row);
}

/* The driver, the compiler proper, the assembler; with -pipe between them. */
static void gcc(void **state)
{
	static const char source[] = "#include <stdio.h>\n#include <stdlib.h>\n"
				     "int main(void) { return puts(\"compiled\") < 0; }\n";
	struct row row = {.least = 30, .least_bytes = 100000};

	(void)state;
	need_tool("gcc");
	write_file(in_box("a.c"), source, sizeof(source) - 1);
	compare(ARGV("gcc", "-c", "a.c"), &row);
	shell("gcc -pipe -g a.c -o a && objdump -d a > disassembled", &row);
}

static void sqlite(void **state)
{
	static const char script[] =
		"create table t(a, b); begin; with recursive n(i) as (select 1 union all select i "
		"+ 1 "
		"from n where i < 3000) insert into t select i, hex(i) from n; commit;\n"
		"create index i on t(b); select count(*) from t;\n"
		"delete from t where a % 3 = 0; vacuum; pragma journal_mode = wal;\n"
		"insert into t select * from t; pragma integrity_check;\n";
	struct row row = {.least = 4, .least_bytes = 200000};

	(void)state;
	need_tool("sqlite3");
	write_file(in_box("script"), script, sizeof(script) - 1);
	shell("sqlite3 db < script > said && sqlite3 db .dump > dumped", &row);
}

static void ssh_keygen(void **state)
{
	struct row row = {.least = 3, .least_bytes = 1000};

	(void)state;
	need_tool("ssh-keygen");
	shell("ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -lf key > print &&"
	      " ssh-keygen -y -f key > public && ssh-keygen -q -t rsa -b 1024 -N '' -f rsa",
	      &row);
}

static void apt_cache(void **state)
{
	struct row row = {.least = 5, .least_bytes = 10000};

	(void)state;
	need_tool("apt-cache");
	shell("apt-cache show libc6 > shown; apt-cache policy > policy; true", &row);
}

static void node(void **state)
{
	static const char script[] =
		"const http = require('http'), fs = require('fs');\n"
		"const s = http.createServer((q, r) => fs.createReadStream('in').pipe(r));\n"
		"s.listen(0, '127.0.0.1', () => {\n"
		"  let left = 5;\n"
		"  const get = () => http.get({port: s.address().port, host: '127.0.0.1'}, (r) => "
		"{\n"
		"    r.pipe(fs.createWriteStream('got' + left)).on('finish',\n"
		"      () => --left > 0 ? get() : s.close());\n"
		"  });\n"
		"  get();\n"
		"});\n"
		"fs.writeFileSync('written', 'x'.repeat(100000));\n"
		"fs.copyFileSync('in', 'copied');\n"
		"console.log(fs.readFileSync('written').length);\n";
	/* Threads wake each other by writes whose number nobody can know. */
	struct row row = {.without = NAMES("anon_inode"), .least = 15, .least_bytes = 5000000};

	(void)state;
	need_tool("node");
	make_input();
	write_file(in_box("script.js"), script, sizeof(script) - 1);
	shell("node script.js > said", &row);
}

/* Both ends of the connections, what is served and what is saved. */
static void curl(void **state)
{
	static const char script[] =
		"/usr/bin/python3 -I -m http.server -d www --bind 127.0.0.1 $1 > log 2>&1 & p=$!\n"
		"get() { curl -s -o got http://127.0.0.1:$1/$2; }\n"
		"until get $1 in; do kill -0 $p || exit 1; sleep 0.1; done\n"
		"get $1 in && get $1 in && get $1 '' && cmp got www/in; get $1 in &&"
		" get $1 none && kill $p; wait; true";
	struct row row = {.least = 20, .least_bytes = 15 * 300 * 1024};

	(void)state;
	need_tool("curl");
	if (access("/usr/bin/python3", X_OK) != 0)
		skip_because("no /usr/bin/python3");
	make_input();
	make_folder("mkdir www && mv in www");
	compare(ARGV("sh", "-c", script, "sh", text("%d", free_port())), &row);
}

/* Each file and each connection, of nginx and of what asks it. */
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
	struct row row = {.without = NAMES("anon_inode"), .least = 15, .least_bytes = least_bytes};
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

/* The connections of both sides, the log of changes, and the snapshot, which streams
 * write. */
static void redis(void **state)
{
	static const char script[] =
		"redis-server --port $1 --bind 127.0.0.1 --save '' --appendonly yes"
		" --appendfsync always --dir . > log & p=$!\n"
		"ask() { redis-cli -h 127.0.0.1 -p \"$@\" 2> /dev/null; }\n"
		"until [ \"$(ask $1 ping)\" = PONG ]; do kill -0 $p || exit 1; sleep 0.1; done\n"
		"redis-benchmark -h 127.0.0.1 -p $1 -n 400 -c 5 -q -t set,get,lpush,mset > bench &&"
		" redis-benchmark -h 127.0.0.1 -p $1 -n 200 -c 3 -P 8 -d 3000 -q -t set > bench &&"
		" ask $1 mget a b && ask $1 set a b > set && ask $1 save > saved &&"
		" ask $1 bgrewriteaof > saved && ask $1 shutdown; wait";
	struct row row = {.least = 40, .least_bytes = 2000000};

	(void)state;
	need_tool("redis-server");
	need_tool("redis-benchmark");
	compare(ARGV("sh", "-c", script, "sh", text("%d", free_port())), &row);
}

/* It refuses to run as root. */
static void postgres(void **state)
{
	static const char script[] =
		"B=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)\n"
		"export PGHOST=$PWD PGPORT=$1 PGUSER=u PGDATABASE=postgres\n"
		"$B/initdb -D data -A trust -U u --no-sync -E UTF8 > init.log || exit 1\n"
		"$B/pg_ctl -D data -w -l log -o \"-c fsync=off -c listen_addresses= -k $PWD -p $1\""
		" start > start.log || exit 1\n"
		"$B/pgbench -q -i -s 1 2> init.log && $B/pgbench -t 50 -c 4 -j 2 > bench.log 2>&1\n"
		"$B/pg_dump > dumped; $B/pg_ctl -D data -m fast -w stop > stop.log";
	struct row row = {.without = NAMES("anon_inode"), .least = 200, .least_bytes = 50000000};
	const char *as_nobody[] = {"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
				   NULL};

	(void)state;
	need_tool("setpriv");
	if (access("/usr/lib/postgresql", X_OK) != 0)
		skip_because("no /usr/lib/postgresql");
	make_folder("mkdir pg && chmod 777 pg && chmod a+x .");
	if (getuid() != 0)
		as_nobody[0] = NULL;
	compare_as(as_nobody,
		   ARGV("sh", "-c", text("cd pg\n%s", script), "sh", text("%d", free_port())),
		   &row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(streams), boxed(raw_calls), boxed(copies),     boxed(sockets),
		boxed(dd),	boxed(cp),	  boxed(tar),	     boxed(text_tools),
		boxed(python),	boxed(git),	  boxed(gcc),	     boxed(sqlite),
		boxed(node),	boxed(curl),	  boxed(ssh_keygen), boxed(apt_cache),
		boxed(nginx),	boxed(redis),	  boxed(postgres)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
