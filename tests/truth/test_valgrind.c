/* SPDX-License-Identifier: MIT */
/*
 * The heap's figures of real programs against Valgrind's: memcheck counts the
 * calls and bytes, DHAT the peak and what is live at the end. Each runs three
 * times, without address randomization and with hash seeds fixed; what still
 * differs from run to run (an environment variable, a path) is far below the
 * tolerance of 0.1 %, or 4 KiB and a few allocations.
 */
#include "tests/integration/harness.h"

static const char *const steady_environment[] = {"PYTHONHASHSEED=0",
						 "PERL_HASH_SEED=0",
						 "PYTHONMALLOC=malloc",
						 "PYTHONDONTWRITEBYTECODE=1",
						 "LC_ALL=C",
						 "HOME=/nonexistent",
						 "GIT_CONFIG_NOSYSTEM=1",
						 NULL};

struct counted {
	uint64_t allocations, frees, allocated_bytes; /* memcheck */
	uint64_t peak_bytes, end_bytes, end_blocks;   /* DHAT */
};

/* "1,234": digits with commas, at or after the text. */
static uint64_t number_after(const char *log, const char *label)
{
	const char *p = strstr(log, label);
	uint64_t n = 0;

	check(p != NULL, "valgrind did not say \"%s\":\n%.2000s", label, log);
	p += strlen(label);
	for (p += strspn(p, " "); (*p >= '0' && *p <= '9') || *p == ','; p++) {
		if (*p != ',')
			n = n * 10 + (uint64_t)(*p - '0');
	}
	return n;
}

static char *under_valgrind(const char *tool, const char *const *argv)
{
	const char *all[64] = {"valgrind", text("--tool=%s", tool), "--log-file=valgrind.log",
			       "--run-libc-freeres=no", "--run-cxx-freeres=no"};
	struct options options = {
		.timeout_s = 300, .fixed_addresses = true, .env = steady_environment};
	struct outcome o;
	size_t count = 5;

	if (strcmp(tool, "dhat") == 0)
		all[count++] = "--dhat-out-file=/dev/null";
	for (size_t i = 0; argv[i] != NULL; i++)
		all[count++] = argv[i];
	o = run(all, &options);
	check_status(&o, 0);
	return read_file(in_box("valgrind.log"), NULL);
}

static struct counted count_by_valgrind(const char *const *argv)
{
	struct counted c;
	const char *usage, *end;
	char *log = under_valgrind("memcheck", argv);

	usage = strstr(log, "total heap usage:");
	check(usage != NULL, "no heap usage from memcheck:\n%.2000s", log);
	c.allocations = number_after(usage, "total heap usage:");
	c.frees = number_after(usage, "allocs,");
	c.allocated_bytes = number_after(usage, "frees,");
	log = under_valgrind("dhat", argv);
	end = strstr(log, "At t-end:");
	check(end != NULL, "no figures from dhat:\n%.2000s", log);
	c.peak_bytes = number_after(log, "At t-gmax:");
	c.end_bytes = number_after(log, "At t-end:");
	c.end_blocks = number_after(end, "bytes in");
	return c;
}

/* "" or what is not near enough. */
static const char *not_near(const char *what, uint64_t got, uint64_t wanted, uint64_t slack)
{
	uint64_t difference = got > wanted ? got - wanted : wanted - got;

	if (difference <= slack || difference * 1000 <= wanted)
		return "";
	return text("%s: reported %llu, by valgrind %llu; ", what, (unsigned long long)got,
		    (unsigned long long)wanted);
}

static const char *differences(const cJSON *json, const struct counted *t)
{
	const uint64_t few = 24, page = 4096;
	const struct {
		const char *what, *path;
		uint64_t wanted, slack;
	} figures[] = {
		{"allocations", "memory.allocations", t->allocations, few},
		{"frees", "memory.frees", t->frees, few},
		{"allocated_bytes", "memory.allocated_bytes", t->allocated_bytes, page},
		{"peak_bytes", "memory.peak_bytes", t->peak_bytes, page},
		{"live_bytes", "memory.live_bytes", t->end_bytes, page},
		{"live_blocks", "memory.live_blocks", t->end_blocks, few},
	};
	const char *all = "";

	for (size_t i = 0; i < COUNT_OF(figures); i++)
		all = text("%s%s", all,
			   not_near(figures[i].what, json_u64(json, figures[i].path),
				    figures[i].wanted, figures[i].slack));
	return all;
}

/* A program that hashes pointers (cc1) allocates as its addresses fall: a chunk of
 * 32 KiB more or less. Each run has others; one of a few must be as valgrind's. */
static void compare(const char *const *argv)
{
	const struct counted t = count_by_valgrind(argv);
	const char *found = "";

	print_message("  %s: %llu allocations, %llu bytes, peak %llu, at the end %llu\n", argv[0],
		      (unsigned long long)t.allocations, (unsigned long long)t.allocated_bytes,
		      (unsigned long long)t.peak_bytes, (unsigned long long)t.end_bytes);
	for (int i = 0; i < 6; i++) {
		struct options options = {.fixed_addresses = i == 0, .env = steady_environment};
		struct outcome o = record(argv, &options);

		check_status(&o, 0);
		found = differences(report(o.trace), &t);
		if (*found == '\0')
			return;
	}
	fail_msg("%s", found);
}

/* Lines of varied text, the same in every run. */
static char *some_text(size_t lines)
{
	char *path = in_box("text");
	FILE *f = fopen(path, "w");
	uint64_t r = 88172645463325252ull;

	for (size_t i = 0; i < lines; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		fprintf(f, "line %zu says %llx and %s\n", i, (unsigned long long)r,
			r % 3 == 0 ? "then goes on for a while" : "ends");
	}
	fclose(f);
	return path;
}

static void python(void **state)
{
	/* The interpreter itself: a version manager's python3 is a shell script. */
	static const char script[] = "import json, re, collections\n"
				     "d = collections.defaultdict(list)\n"
				     "for i in range(3000):\n"
				     "    d[str(i % 97)].append({'n': i, 's': 'x' * (i % 50)})\n"
				     "s = json.dumps(d)\n"
				     "print(len(s), len(re.findall('x+', s)))\n"
				     "assert json.loads(s)['5'][1]['n'] == 102\n";

	(void)state;
	need_tool("valgrind");
	if (access("/usr/bin/python3", X_OK) != 0)
		skip_because("no /usr/bin/python3");
	compare(ARGV("/usr/bin/python3", "-I", "-S", "-c", script));
}

static void perl(void **state)
{
	static const char script[] =
		"my %h; for my $i (1..3000) { push @{$h{$i % 97}}, 'x' x ($i % 50); }"
		"my $n = 0; for my $k (sort keys %h) { $n += length(join(',', @{$h{$k}})); }"
		"print \"$n\\n\";";

	(void)state;
	need_tool("valgrind");
	need_tool("perl");
	compare(ARGV("perl", "-e", script));
}

static void git(void **state)
{
	static const char make_history[] =
		"git init -q r && cd r && git config user.email a@b.c && git config user.name n &&"
		" for i in $(seq 1 25); do seq $i $((i * 40)) > f$((i % 3));"
		" git add . && git commit -q --date=2020-01-01T00:00:00Z -m \"change $i\"; done";
	struct outcome o;

	(void)state;
	need_tool("valgrind");
	need_tool("git");
	o = run(ARGV("sh", "-c", make_history), &(struct options){.env = steady_environment});
	check_status(&o, 0);
	compare(ARGV("git", "-C", "r", "log", "-p", "-n", "20"));
}

static const char c_source[] =
	"struct node { struct node *next; int value; };\n"
	"static int sum(const struct node *n) { int s = 0; for (; n; n = n->next) s += n->value;"
	" return s; }\n"
	"int run(int count) { struct node a[16]; for (int i = 0; i < 16; i++) {"
	" a[i].value = i * count; a[i].next = i < 15 ? &a[i + 1] : 0; } return sum(a); }\n";

/* The compiler proper: gcc itself only starts it. */
static void compiler(void **state)
{
	struct outcome o;
	char *cc1;

	(void)state;
	need_tool("valgrind");
	need_tool("gcc");
	o = run(ARGV("gcc", "-print-prog-name=cc1"), NULL);
	cc1 = text("%.*s", (int)strcspn(o.out, "\n"), o.out);
	write_file(in_box("small.i"), c_source, strlen(c_source));
	/* When it collects garbage follows the machine's memory otherwise. */
	compare(ARGV(cc1, "-quiet", "-O2", "--param", "ggc-min-expand=100", "--param",
		     "ggc-min-heapsize=131072", "-fpreprocessed", "small.i", "-o", "small.s"));
}

static void exceptions(void **state)
{
	(void)state;
	need_tool("valgrind");
	compare(ARGV(program("exceptions")));
}

static void sqlite(void **state)
{
	static const char sql[] =
		"create table t(a integer primary key, b text);"
		"with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)"
		" insert into t select i, hex(i * 7919) from n; create index x on t(b);"
		"select count(*), sum(a) from t where b > '33';";

	(void)state;
	need_tool("valgrind");
	need_tool("sqlite3");
	compare(ARGV("sqlite3", ":memory:", sql));
}

static void jq(void **state)
{
	(void)state;
	need_tool("valgrind");
	need_tool("jq");
	compare(ARGV("jq", "-n", "-c", "[range(2000)] | map({a: ., b: tostring}) | length"));
}

static void tar(void **state)
{
	(void)state;
	need_tool("valgrind");
	need_tool("tar");
	some_text(3000);
	compare(ARGV("tar", "-cf", "out.tar", "text"));
}

static void xz(void **state)
{
	(void)state;
	need_tool("valgrind");
	need_tool("xz");
	some_text(3000);
	compare(ARGV("xz", "-T1", "-2", "-k", "-f", "text"));
}

static void own_targets(void **state)
{
	(void)state;
	need_tool("valgrind");
	compare(ARGV(program("early_late")));
	compare(ARGV(program("leak")));
	compare(ARGV(program("shapes")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(own_targets), boxed(python), boxed(perl), boxed(git), boxed(compiler),
		boxed(exceptions),  boxed(sqlite), boxed(jq),	boxed(tar), boxed(xz)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
