/* SPDX-License-Identifier: MIT */
/*
 * Stacks, judged twice. By libunwind: a library built for it compares each stack that
 * was verified or walked with what libunwind finds at the same moment, in programs of
 * this machine and in programs made to break it. And by the programs themselves: the
 * size of each block names the path that allocated it, and the report must say the
 * same. No difference is tolerated. A sample, more with PERFHOOK_STRESS=full.
 */
#include "tests/integration/harness.h"

/* What became of the stacks of an outcome's processes; they add up. */
struct verdict {
	uint64_t processes, asked, judged, differed, fell_back, unjudged, corrected, nested;
};

struct row {
	uint64_t least;	    /* stacks that are to be judged */
	uint64_t fallbacks; /* at most: code that no rule describes */
	bool whole;	    /* nothing may be left out, as a thread that exit() stops is */
	const char *const *env;
};

/* ---- running and judging --------------------------------------------------------- */

static char *judging_library(void)
{
	const char *library = library_path();
	const char *name = strrchr(library, '/') + 1;
	char *path = text("%.*sjudge/%s", (int)(name - library), library, name);

	check(access(path, R_OK) == 0, "%s is not built (make judge)", path);
	return path;
}

static uint64_t said(const char *line, const char *name)
{
	const char *at = strstr(line, text(" %s ", name));

	check(at != NULL, "no %s in: %.200s", name, line);
	return strtoull(at + strlen(name) + 2, NULL, 16);
}

static struct verdict verdict_of(const struct outcome *o)
{
	struct verdict v = {0};

	for (const char *at = strstr(o->err, "judge: verdict"); at != NULL;
	     at = strstr(at + 1, "judge: verdict")) {
		v.processes++;
		v.asked += said(at, "asked");
		v.judged += said(at, "judged");
		v.differed += said(at, "differed");
		v.fell_back += said(at, "fell_back");
		v.unjudged += said(at, "unjudged");
		v.corrected += said(at, "corrected");
		v.nested += said(at, "nested");
	}
	check(v.processes > 0, "nothing was judged of %s: %.2000s", o->line, o->err);
	print_message("%s: %llu judged (%llu nested), %llu by libunwind alone, %llu not judged,"
		      " %llu corrected\n",
		      o->line, (unsigned long long)v.judged, (unsigned long long)v.nested,
		      (unsigned long long)v.fell_back, (unsigned long long)v.unjudged,
		      (unsigned long long)v.corrected);
	return v;
}

static struct outcome run_judged(const char *const *argv, const struct row *row)
{
	char *log = in_box("verdicts"), *verdicts;
	const char *env[8] = {text("LD_PRELOAD=%s", judging_library()), "PERFHOOK_FREE_STACKS=on",
			      text("JUDGE_LOG=%s", log)};
	struct options options = {.preload = true, .timeout_s = 240, .env = env};
	size_t count = 3, size;
	struct outcome o;

	for (; row->env != NULL && row->env[count - 3] != NULL; count++)
		env[count] = row->env[count - 3];
	o = run(argv, &options);
	verdicts = read_file(log, &size);
	if (verdicts != NULL)
		o.err = text("%s%.*s", o.err, (int)size, verdicts);
	unlink(log);
	return o;
}

static struct verdict judge_row(const char *const *argv, const struct row *row)
{
	struct outcome o = run_judged(argv, row);
	struct verdict v;

	check_status(&o, 0);
	v = verdict_of(&o);
	check(v.differed == 0, "%s: %llu of %llu stacks differ: %.4000s", o.line,
	      (unsigned long long)v.differed, (unsigned long long)v.judged,
	      strstr(o.err, "judge: differs"));
	check(v.judged >= row->least, "%s: only %llu stacks were judged", o.line,
	      (unsigned long long)v.judged);
	check(v.fell_back <= row->fallbacks, "%s: no rule for %llu stacks: %.2000s", o.line,
	      (unsigned long long)v.fell_back, o.err);
	if (row->whole) {
		/* Two operations on each block, if it is not left over. */
		uint64_t blocks = truth(&o, "allocations");
		uint64_t left = strstr(o.out, "truth: left=") != NULL ? truth(&o, "left") : 0;

		check(v.judged + v.fell_back >= 2 * blocks - left, "%s: %llu stacks of %llu blocks",
		      o.line, (unsigned long long)v.judged, (unsigned long long)blocks);
		check_u64(v.judged + v.fell_back + v.unjudged, v.asked,
			  "stacks that were asked for");
		check(v.unjudged <= 64, "%s: %llu stacks before the constructor", o.line,
		      (unsigned long long)v.unjudged);
	}
	return v;
}

/* ---- programs of this machine -------------------------------------------------------- */

static void python(void **state)
{
	static const char script[] =
		"import json, re, collections, threading\n"
		"def work(n):\n"
		"  d = collections.OrderedDict((str(i), [i, {'x': i}]) for i in range(n))\n"
		"  s = json.dumps(d, indent=1); e = json.loads(s)\n"
		"  re.sub('[0-9]+', lambda m: m.group(0) * 2, s)\n"
		"  sorted(e.values(), key=lambda v: -v[0])\n"
		"def deep(n): return [n] + deep(n - 1) if n else []\n"
		"work(2000); deep(300)\n"
		"t = [threading.Thread(target=work, args=(300,)) for i in range(3)]\n"
		"[x.start() for x in t]; [x.join() for x in t]\n";
	struct row row = {.least = 200000, .env = ARGV("PYTHONMALLOC=malloc")};

	(void)state;
	need_tool("python3");
	judge_row(ARGV("python3", "-c", script), &row);
}

static void sqlite(void **state)
{
	static const char script[] =
		"create table t(a integer primary key, b text, c real); create index i on t(b);"
		"with recursive n(x) as (select 1 union all select x + 1 from n where x < 5000)"
		" insert into t select x, hex(randomblob(9)), x / 7.0 from n;"
		"select count(*), sum(length(b)) from t where b like 'A%' group by substr(b, 1, 3)"
		" order by 2 desc limit 3; delete from t where a % 3; vacuum;"
		"select json_group_array(b) from (select b from t limit 500);";
	struct row row = {.least = 10000};

	(void)state;
	need_tool("sqlite3");
	judge_row(ARGV("sqlite3", in_box("db"), script), &row);
}

static void jq(void **state)
{
	struct row row = {.least = 30000};

	(void)state;
	need_tool("jq");
	judge_row(ARGV("jq", "-n",
		       "[range(3000) | {k: tostring, v: [., {x: (. * 2)}]}] | group_by(.v[0] % 7)"
		       " | map(map(.k | ascii_downcase | explode) | length)"),
		  &row);
}

static void perl(void **state)
{
	struct row row = {.least = 30000};

	(void)state;
	need_tool("perl");
	judge_row(ARGV("perl", "-e",
		       "my %h; for my $i (1 .. 9000) { push @{$h{$i % 97}}, \"value $i\" x 3; }"
		       "my @s = sort { $a cmp $b } map { @$_ } values %h;"
		       "my $t = join ',', @s; $t =~ s/(\\d+)/<$1>/g; print length($t), \"\\n\";"),
		  &row);
}

static void git(void **state)
{
	static const char script[] =
		"git init -q r && cd r && git config user.email a@b && git config user.name c &&"
		" for i in 1 2 3 4 5 6 7 8 9; do seq $i 7 900 > f$((i % 3)); git add . &&"
		" git commit -qm \"change $i\"; done && git gc -q && git log -p --stat > ../log";
	struct row row = {.least = 10000};

	(void)state;
	need_tool("git");
	judge_row(ARGV("sh", "-c", script), &row);
}

static void compiler(void **state)
{
	char *source = in_box("source.c");
	FILE *f = fopen(source, "w");
	struct row row = {.least = 50000};

	(void)state;
	check(f != NULL, "%s", source);
	for (int i = 0; i < (full_mode() ? 2000 : 60); i++)
		fprintf(f,
			"struct s%d { int a[%d]; struct s%d *next; };\n"
			"int f%d(struct s%d *s, int n) { int t = n; for (int i = 0; i < n; i++)"
			" { t += s->a[i %% %d] * i; if (t > %d) s = s->next; } return t; }\n",
			i, i + 1, i, i, i, i + 1, i * 37);
	fclose(f);
	judge_row(ARGV("gcc", "-O1", "-c", "-o", in_box("source.o"), source), &row);
}

static void xz(void **state)
{
	struct row row = {.least = 100};

	(void)state;
	need_tool("xz");
	judge_row(ARGV("sh", "-c", "seq 1 300000 > in && exec xz -T2 --block-size=400000 -3 -k in"),
		  &row);
}

static void redis(void **state)
{
	static const char script[] =
		"redis-server --port 0 --unixsocket ./s --save '' --daemonize no > log & \n"
		"for i in $(seq 200); do redis-cli -s ./s ping > /dev/null 2>&1 && break; sleep "
		"0.05;"
		" done\n"
		"redis-benchmark -s ./s -n 1500 -q -t set,get,lpush,lpop,sadd,hset,zadd > bench\n"
		"redis-cli -s ./s shutdown nosave; wait";
	struct row row = {.least = 30000};

	(void)state;
	need_tool("redis-server");
	need_tool("redis-benchmark");
	judge_row(ARGV("sh", "-c", script), &row);
}

/* Generated code has no unwind data: those stacks are libunwind's. */
static void node(void **state)
{
	struct row row = {.least = 5000, .fallbacks = UINT64_MAX};

	(void)state;
	need_tool("node");
	judge_row(
		ARGV("node", "-e",
		     "let a = []; for (let i = 0; i < 3e4; i++) a.push(JSON.stringify({i, s: 'x' +"
		     " i})); const b = a.map(s => Buffer.from(s)); console.log(b.length)"),
		&row);
}

/* ---- programs made to break it --------------------------------------------------------- */

static const char *const shapes[] = {"O0", "O1", "O2", "O3", "fp", "avx2", "clang-O0", "clang-O2"};

/* NULL: this machine cannot run it, or has no clang. */
static char *shape(const char *name, const char *how)
{
	if (strcmp(how, "avx2") == 0 && !__builtin_cpu_supports("avx2"))
		return NULL;
	if (strncmp(how, "clang", 5) == 0 && !have_tool("clang") && !have_tool("clang-14"))
		return NULL;
	return program(text("%s.%s", name, how));
}

static const char *seed_of(size_t i)
{
	return text("%zu", i + 1);
}

static const char *rounds(unsigned sample)
{
	return text("%u", full_mode() ? sample * 20 : sample);
}

static void trees(void **state)
{
	struct row row = {.least = 5000, .whole = true};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		char *path = shape("stack_shapes", shapes[i]);

		if (path == NULL)
			continue;
		judge_row(ARGV(path, "tree", seed_of(i), rounds(400), "0"), &row);
		judge_row(ARGV(path, "tree", seed_of(i), rounds(200), "4"), &row);
	}
}

/* Without a rule are the two instructions that realign a stack, and libc's that switch
 * to another: only a signal finds a program there, and not often. */
static void storms(void **state)
{
	struct row row = {.least = 10000};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		char *path = shape("stack_shapes", shapes[i]);
		struct verdict v;

		if (path == NULL || (!full_mode() && i % 4 != 0))
			continue;
		row.fallbacks = full_mode() ? 2000 : 200;
		v = judge_row(ARGV(path, "storm", seed_of(i), rounds(250), "2"), &row);
		check(v.nested > 0, "no handler interrupted a hook");
		row.least = 2000;
		judge_row(ARGV(path, "jumps", seed_of(i), rounds(500), "0"), &row);
		row.least = 10000;
	}
}

static void deep(void **state)
{
	static const char *const depths[] = {"PERFHOOK_DEPTH=16", "PERFHOOK_DEPTH=256",
					     "PERFHOOK_DEPTH=400"};
	static const char *const levels[] = {"3000", "6000"};

	(void)state;
	for (size_t d = 0; d < COUNT_OF(depths); d++) {
		for (size_t l = 0; l < COUNT_OF(levels); l++) {
			struct row row = {.least = 4000, .whole = true, .env = ARGV(depths[d])};

			judge_row(ARGV(program("stack_shapes.O0"), "deep", seed_of(d), levels[l],
				       "0"),
				  &row);
			judge_row(ARGV(program("stack_shapes.O2"), "deep", seed_of(d), levels[l],
				       "0"),
				  &row);
		}
	}
}

static void exceptions(void **state)
{
	struct row row = {.least = 5000, .whole = true};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		char *path = shape("stack_shapes_cxx", shapes[i]);

		if (path == NULL || (!full_mode() && i % 2 != 0))
			continue;
		judge_row(ARGV(path, seed_of(i), rounds(300), "0"), &row);
		judge_row(ARGV(path, seed_of(i), rounds(100), "3"), &row);
	}
}

/* Nothing to compare there; it runs on, and outside of such code all is well. */
static void broken(void **state)
{
	struct row row = {.least = 500, .fallbacks = UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i += 2) {
		char *path = shape("stack_shapes", shapes[i]);
		struct verdict v;

		if (path == NULL)
			continue;
		v = judge_row(ARGV(path, "broken", seed_of(i), rounds(60), "0"), &row);
		check(v.fell_back > 1000, "only %llu fell back", (unsigned long long)v.fell_back);
	}
}

static void storms_of_others(void **state)
{
	static const char *const names[] = {"signal_storm", "longjmp_storm", "iconv_storm",
					    "exceptions",   "coroutines",    "many_threads"};
	struct row row = {.least = 50, .fallbacks = 100};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		judge_row(ARGV(program(names[i])), &row);
}

/* ---- by what the program knows ------------------------------------------------------------ */

static bool is_shape(const char *function, uint32_t *digit)
{
	char letter[2] = {0};

	if (function[0] != 's' || function[1] == '\0' || function[2] != '_')
		return false;
	letter[0] = function[1];
	*digit = (uint32_t)strtoul(letter, NULL, 16);
	return strspn(letter, "0123456789abcdef") == 1;
}

/* The path that a stack tells, from the outermost frame; 0: it is none of these. */
static uint64_t path_of(const cJSON *leak)
{
	const cJSON *stack = json_at(leak, "stack");
	uint64_t path = 1;

	for (int i = cJSON_GetArraySize(stack) - 1; i >= 0; i--) {
		const cJSON *function = json_at(cJSON_GetArrayItem(stack, i), "function");
		uint32_t digit;

		if (cJSON_IsString(function) && is_shape(function->valuestring, &digit))
			path = path * 16 + digit;
	}
	return frame_of(leak, "allocate") != NULL ? path : 0;
}

static char *text_of(const cJSON *leak)
{
	return kept(cJSON_PrintUnformatted(leak));
}

static void check_paths(const struct outcome *o)
{
	cJSON *json = report(o->trace);
	uint64_t blocks = 0, bytes = 0, stacks = 0;
	const cJSON *leak;

	cJSON_ArrayForEach(leak, json_at(json, "leaks"))
	{
		uint64_t path = path_of(leak), of_these = json_u64(leak, "blocks");

		if (path == 0)
			continue;
		check(json_u64(leak, "bytes") == of_these * path,
		      "%s: %llu blocks of %llu bytes are not of path %llx: %s", o->line,
		      (unsigned long long)of_these, (unsigned long long)json_u64(leak, "bytes"),
		      (unsigned long long)path, text_of(leak));
		/* Down to where the path begins: the coroutine's root, or the thread's. */
		check((frame_of(leak, "in_thread_or_main") != NULL) ||
			      frame_of(leak, "body") != NULL,
		      "%s: cut off: %s", o->line, text_of(leak));
		blocks += of_these;
		bytes += json_u64(leak, "bytes");
		stacks++;
	}
	check_u64(blocks, truth(o, "left"), "blocks left over");
	check_u64(bytes, truth(o, "left_bytes"), "bytes left over");
	check(stacks > 200, "only %llu stacks", (unsigned long long)stacks);
}

static void paths(void **state)
{
	struct options options = {.preload = true, .timeout_s = 120};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		char *path = shape("stack_shapes", shapes[i]);
		struct outcome o;

		if (path == NULL || (!full_mode() && i % 2 != 0))
			continue;
		for (int threads = 0; threads <= 3; threads += 3) {
			o = record(ARGV(path, threads == 0 ? "tree" : "storm", seed_of(i + 100),
					"300", text("%d", threads)),
				   &options);
			check_status(&o, 0);
			check_paths(&o);
		}
	}
}

/* What the program does decides here. libunwind takes one library's frame for the
 * other's, in caches of its own that survive their being flushed, so where it differs
 * it is not asked again: of 800 stacks all of one library's blocks end at frame_call. */
static void check_reloads(const char *one, const char *other)
{
	struct options options = {.preload = true};
	struct outcome o = record(ARGV(program("stack_reload"), one, other), &options);
	const cJSON *leak;
	uint64_t blocks = 0;

	check_status(&o, 0);
	check(truth(&o, "reused") > 0, "never at the same address");
	cJSON_ArrayForEach(leak, json_at(report(o.trace), "leaks"))
	{
		if (frame_of(leak, "allocate") == NULL)
			continue;
		check(frame_of(leak, "frame_call") != NULL && frame_of(leak, "call") != NULL &&
			      frame_of(leak, "main") != NULL,
		      "a frame is missing: %s", text_of(leak));
		blocks += json_u64(leak, "blocks");
	}
	check_u64(blocks, 400, "blocks");
}

static void reloads(void **state)
{
	char *small = program("lib_frame_small.so"), *large = program("lib_frame_large.so");
	struct row row = {.env = ARGV("PERFHOOK_EVENTS=io")};
	struct outcome o;

	(void)state;
	check_reloads(small, large);
	check_reloads(large, small);
	/* The small frame by the large one's rule leads nowhere. So it was where no memory
	 * is recorded, whose events are what tells of libraries. */
	o = run_judged(ARGV(program("stack_reload"), large, small), &row);
	check_status(&o, 0);
	check_u64(verdict_of(&o).fell_back, 0, "stacks without a rule");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(python),	   boxed(sqlite),  boxed(jq),
		boxed(perl),	   boxed(git),	   boxed(compiler),
		boxed(xz),	   boxed(redis),   boxed(node),
		boxed(trees),	   boxed(storms),  boxed(deep),
		boxed(exceptions), boxed(broken),  boxed(storms_of_others),
		boxed(paths),	   boxed(reloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
