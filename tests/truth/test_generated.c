/* SPDX-License-Identifier: MIT */
/*
 * Stacks by construction: programs that are generated (call_graph.h), of random calls
 * through frames of many kinds, know at each moment which path led to where they are, and
 * each block's size names it. Here each block that was recorded must have the stack of its
 * path, frame by frame and out to the first, and of each path as many blocks must have
 * been allocated and freed as the program says. By two compilers in several ways, with one
 * thread and with several that free each other's blocks; more seeds with
 * PERFHOOK_STRESS=full.
 */
/* Before cmocka.h, whose fail() is a macro. */
#include <sys/stat.h>

#include "analyzer/run.h"
#include "analyzer/symbols.h"
#include "collector/collector.h"
#include "trace/cell.h"
#include "trace/decode.h"
#include "trace/functions.h"

#include "tests/integration/harness.h"
#include "tests/truth/call_graph.h"

#define FOREIGN	  0u /* one frame or more that are not the program's, as a function */
#define UNKNOWN	  UINT32_MAX
#define NOT_YET	  (UINT32_MAX - 1)
#define AT_A_TIME 3u	     /* compilers */
#define SEEDS	  8u	     /* of each way, in full */
#define PLACES	  (1u << 16) /* that blocks stand at; half as many may be */

/* ---- what the program says --------------------------------------------------------- */

struct function {
	char *name, *module;
};

/* Blocks of a path, and calls of free() in it. */
struct counts {
	uint64_t allocated, freed, freed_by;
};

struct path {
	uint32_t parent, function;
	struct counts said, seen;
};

struct graph {
	const char *line; /* what was run */
	uint64_t least, mark;
	struct function *functions;
	struct path *paths;
	uint32_t function_count, path_count;
	uint32_t *index; /* of paths by parent and function: + 1 */
	uint32_t mask;
};

static uint32_t *index_at(const struct graph *g, uint32_t parent, uint32_t function)
{
	uint64_t key = (uint64_t)parent << 16 | function;
	uint32_t at = (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	for (;; at++) {
		uint32_t *entry = &g->index[at & g->mask];

		if (*entry == 0 || (g->paths[*entry - 1].parent == parent &&
				    g->paths[*entry - 1].function == function))
			return entry;
	}
}

/* The number of the path that goes on to `function`; UNKNOWN: nobody ever went there. */
static uint32_t path_child(const struct graph *g, uint32_t parent, uint32_t function)
{
	uint32_t number = *index_at(g, parent, function);

	return number != 0 ? number - 1 : UNKNOWN;
}

/* The next number of the line; what is no number fails. */
static uint64_t number_in(const struct graph *g, char **at)
{
	const char *from = *at;
	uint64_t value = strtoull(from, at, 10);

	check(*at != from, "%s: no number: %.60s", g->line, from);
	return value;
}

static void read_function(struct graph *g, char *at)
{
	struct function *f = &g->functions[g->function_count];

	check(number_in(g, &at) == g->function_count++, "%s: not in order", g->line);
	f->module = ++at;
	at = strchr(at, ' ');
	assert_non_null(at);
	*at = '\0';
	f->name = at + 1;
}

static void read_path(struct graph *g, char *at)
{
	struct path *p = &g->paths[g->path_count];

	check(number_in(g, &at) == g->path_count, "%s: not in order", g->line);
	p->parent = (uint32_t)number_in(g, &at);
	p->function = (uint32_t)number_in(g, &at);
	p->said.allocated = number_in(g, &at);
	p->said.freed = number_in(g, &at);
	p->said.freed_by = number_in(g, &at);
	g->path_count++;
	if (g->path_count > 1)
		*index_at(g, p->parent, p->function) = g->path_count;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

/* What it printed; the lines are taken apart in place. */
static struct graph read_graph(const struct outcome *o)
{
	size_t lines = count_lines(o->out);
	struct graph g = {.line = o->line, .mask = 1};

	while (g.mask < 2 * lines)
		g.mask = 2 * g.mask + 1;
	g.functions = kept(calloc(lines + 1, sizeof(*g.functions)));
	g.paths = kept(calloc(lines + 1, sizeof(*g.paths)));
	g.index = kept(calloc(g.mask + 1, sizeof(*g.index)));
	for (char *at = o->out, *next; *at != '\0'; at = next) {
		next = strchr(at, '\n');
		check(next != NULL, "%s: a line is cut off", o->line);
		*next++ = '\0';
		if (strncmp(at, "path ", 5) == 0) {
			read_path(&g, at + 5);
		} else if (strncmp(at, "function ", 9) == 0) {
			read_function(&g, at + 9);
		} else {
			check(strncmp(at, "sizes ", 6) == 0, "%s: %s", o->line, at);
			at += 6;
			g.least = number_in(&g, &at);
			g.mark = number_in(&g, &at);
		}
	}
	check(g.path_count > 1 && g.least != 0, "%s said nothing", o->line);
	return g;
}

/* ---- what was recorded -------------------------------------------------------------- */

struct reading {
	struct graph *g;
	struct symbols *symbols;
	uint32_t *functions; /* of the run's addresses; NOT_YET */
	uint32_t *numbers;   /* of the run's nodes: their paths; NOT_YET */
	unsigned marks;
	/* Blocks that live, by address: open addressing; 0: none, 1: one that is gone. */
	struct live {
		uint64_t address;
		uint32_t path;
	} * live;
	size_t live_count, live_room; /* a power of two */
};

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* As the source has it: a clone's or a part's name has more after a point or a blank. */
static bool is_name(const char *found, const char *name)
{
	size_t length = strlen(name);

	return strncmp(found, name, length) == 0 &&
	       (found[length] == '\0' || found[length] == '.' ||
		strncmp(found + length, " [clone", 7) == 0);
}

static bool is_own(const struct graph *g, const char *module)
{
	for (uint32_t i = 1; i < g->function_count; i++)
		if (strcmp(g->functions[i].module, module) == 0)
			return true;
	return false;
}

static struct frame frame_at(struct reading *r, const struct run *run, uint32_t address)
{
	const struct address *a = &run->addresses[address];
	const struct module *m;
	struct frame frames[SYMBOLS_FRAMES_MAX];
	size_t count;

	if (a->module < 0)
		return (struct frame){.address = a->pc};
	m = &run->modules[a->module];
	count = symbols_lookup(r->symbols, m->path, m->build_id, m->base, a->pc, frames,
			       SYMBOLS_FRAMES_MAX);
	/* It was built without debug information: nothing is inlined that is told. */
	return count == 0 ? (struct frame){.address = a->pc, .module = m->path} : frames[count - 1];
}

static uint32_t function_at(struct reading *r, const struct run *run, uint32_t address)
{
	struct frame f;

	if (r->functions[address] != NOT_YET)
		return r->functions[address];
	f = frame_at(r, run, address);
	r->functions[address] = UNKNOWN;
	if (f.module == NULL)
		return UNKNOWN;
	if (!is_own(r->g, base_of(f.module)))
		return r->functions[address] = FOREIGN;
	for (uint32_t i = 1; f.function != NULL && i < r->g->function_count; i++) {
		const struct function *is = &r->g->functions[i];

		if (is_name(f.function, is->name) &&
		    (is->module[0] == '?' || strcmp(is->module, base_of(f.module)) == 0))
			r->functions[address] = i;
	}
	return r->functions[address];
}

/* The path that a stack tells; UNKNOWN: none of the program's. */
static uint32_t path_of(struct reading *r, const struct run *run, uint32_t node)
{
	uint32_t outer, function;

	if (node == 0)
		return 0;
	check(node < run->node_count, "%s: a stack that is not there", r->g->line);
	if (r->numbers[node] != NOT_YET)
		return r->numbers[node];
	outer = path_of(r, run, run->nodes[node].parent);
	function = function_at(r, run, run->nodes[node].address);
	if (outer == UNKNOWN || function == UNKNOWN)
		r->numbers[node] = UNKNOWN;
	else if (function == FOREIGN && outer != 0 && r->g->paths[outer].function == FOREIGN)
		r->numbers[node] = outer;
	else
		r->numbers[node] = path_child(r->g, outer, function);
	return r->numbers[node];
}

/* ---- for messages --------------------------------------------------------------------- */

static char *text_of_path(const struct graph *g, uint32_t path)
{
	char *all = text("%s", "");

	for (; path != 0 && path < g->path_count; path = g->paths[path].parent)
		all = text("%s < %s", all,
			   g->paths[path].function == FOREIGN
				   ? "(libraries)"
				   : g->functions[g->paths[path].function].name);
	return all;
}

static char *text_of_stack(struct reading *r, const struct run *run, uint32_t node)
{
	char *all = text("%s", "");

	for (; node != 0 && strlen(all) < 8000; node = run->nodes[node].parent) {
		struct frame f = frame_at(r, run, run->nodes[node].address);

		all = text("%s < %s", all, f.function != NULL ? f.function : "?");
	}
	return all;
}

/* ---- blocks ------------------------------------------------------------------------------ */

static struct live *find_live(struct reading *r, uint64_t address)
{
	size_t at = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	while (r->live[at & (r->live_room - 1)].address != 0 &&
	       r->live[at & (r->live_room - 1)].address != address)
		at++;
	return &r->live[at & (r->live_room - 1)];
}

static void note_allocation(struct reading *r, const struct run *run, const struct ph_event *e,
			    uint32_t node, uint32_t path)
{
	struct live *l = find_live(r, e->address);

	check(path < r->g->path_count, "%s: a block of %llu bytes", r->g->line,
	      (unsigned long long)e->size);
	if (path_of(r, run, node) != path)
		fail_msg("%s: the stack of path %u is\n%s\nbut was recorded as\n%s", r->g->line,
			 path, text_of_path(r->g, path), text_of_stack(r, run, node));
	check(l->address == 0 || l->path == UNKNOWN, "%s: two blocks at 0x%llx", r->g->line,
	      (unsigned long long)e->address);
	r->live_count += l->address == 0;
	check(r->live_count < r->live_room / 2, "%s: too many places", r->g->line);
	*l = (struct live){.address = e->address, .path = path};
	r->g->paths[path].seen.allocated++;
}

static void note_free(struct reading *r, const struct run *run, const struct ph_event *e,
		      uint32_t node)
{
	struct live *l = find_live(r, e->address);

	/* libc's own block, or one from before. */
	if (l->address == 0 || l->path == UNKNOWN)
		return;
	r->g->paths[l->path].seen.freed++;
	l->path = UNKNOWN;
	if (run->free_stacks && e->op == PH_OP_free) {
		uint32_t by = path_of(r, run, node);

		check(by != UNKNOWN, "%s: nobody frees at\n%s", r->g->line,
		      text_of_stack(r, run, node));
		r->g->paths[by].seen.freed_by++;
	}
}

static uint32_t *all_not_yet(size_t count)
{
	uint32_t *all = malloc((count + 1) * sizeof(*all));

	assert_non_null(all);
	for (size_t i = 0; i < count; i++)
		all[i] = NOT_YET;
	return kept(all);
}

static int take(void *context, const struct run *run, int tid, double t_s, const struct ph_event *e,
		uint32_t node, const char *function)
{
	struct reading *r = context;
	enum ph_kind kind = e->op < PH_OP_FUNCTIONS ? ph_functions[e->op].kind : PH_KIND_NONE;

	(void)tid, (void)t_s, (void)function;
	if (r->functions == NULL) {
		r->functions = all_not_yet(run->address_count);
		r->numbers = all_not_yet(run->node_count);
	}
	if (e->call != NULL)
		return 0;
	if (kind == PH_KIND_ALLOC && e->size == r->g->mark)
		r->marks++;
	else if (kind == PH_KIND_ALLOC && r->marks == 1 && e->size >= r->g->least)
		note_allocation(r, run, e, node, (uint32_t)(e->size - r->g->least));
	else if (kind == PH_KIND_FREE || e->op == PH_OP_REALLOC_BEGIN)
		note_free(r, run, e, node);
	return 0;
}

static void check_counts(const struct graph *g, bool free_stacks)
{
	for (uint32_t i = 0; i < g->path_count; i++) {
		const struct counts *said = &g->paths[i].said, *seen = &g->paths[i].seen;

		if (said->allocated != seen->allocated || said->freed != seen->freed ||
		    (free_stacks && said->freed_by != seen->freed_by))
			fail_msg("%s: path %u: %llu blocks, %llu freed, %llu calls of free; in"
				 " truth %llu, %llu, %llu:\n%s",
				 g->line, i, (unsigned long long)seen->allocated,
				 (unsigned long long)seen->freed,
				 (unsigned long long)seen->freed_by,
				 (unsigned long long)said->allocated,
				 (unsigned long long)said->freed,
				 (unsigned long long)said->freed_by, text_of_path(g, i));
	}
}

/* Returns how many blocks there were. */
static uint64_t check_blocks(const struct outcome *o)
{
	struct graph g = read_graph(o);
	struct reading r = {.g = &g,
			    .symbols = symbols_open(&(struct symbols_options){0}),
			    .live_room = PLACES};
	uint64_t blocks = 0;
	struct error e = {0};
	bool free_stacks;
	struct run run;

	assert_non_null(r.symbols);
	r.live = kept(calloc(r.live_room, sizeof(*r.live)));
	check(collector_finish_wait(o->trace, &e) == 0, "%s: %s", o->trace, e.text);
	check(run_dump(&run, o->trace, NULL, take, &r, &e) == 0, "%s: %s", o->trace, e.text);
	free_stacks = run.free_stacks;
	run_free(&run);
	symbols_close(r.symbols);
	check_u64(r.marks, 2, "marks");
	check_counts(&g, free_stacks);
	for (uint32_t i = 0; i < g.path_count; i++)
		blocks += g.paths[i].said.allocated;
	return blocks;
}

/* ---- programs ---------------------------------------------------------------------------- */

static const char *const ways[] = {
	"-O0",
	"-O1",
	"-O2",
	"-O3",
	"-O2 -fno-omit-frame-pointer",
	"-O2 -fcf-protection=none",
	"-O0 -fomit-frame-pointer",
};

struct build {
	const char *compiler, *way, *folder, *say;
	uint64_t seed;
	bool cxx;
	struct running *running;
};

static const char *const files[] = {"program", "first", "second"};

static void write_sources(const struct build *b)
{
	for (int i = CALL_GRAPH_PROGRAM; i <= CALL_GRAPH_SECOND; i++) {
		char *path = text("%s/%s.%s", b->folder, files[i], b->cxx ? "cc" : "c");
		FILE *f = fopen(path, "w");

		check(f != NULL, "%s", path);
		call_graph_write(f, (enum call_graph_file)i, b->seed, b->cxx);
		check(fclose(f) == 0, "%s", path);
	}
}

/* Number `number` of a language's. */
static void begin_build(struct build *b, unsigned number, const char *headers)
{
	const char *ending = b->cxx ? "cc" : "c", *language = b->cxx ? "-x c++" : "";
	const char *libraries = b->cxx ? "-ldl -lpthread -lstdc++" : "-ldl -lpthread";
	char *with = text("%s -w %s -I%s %s", b->compiler, b->way, headers, language);

	b->seed = number + 1;
	b->folder = in_box("%u", number);
	b->say = text("%s, seed %u", with, number + 1);
	check(mkdir(b->folder, 0755) == 0, "%s", b->folder);
	write_sources(b);
	b->running = start(ARGV("sh", "-c",
				text("cd %s && %s -o program program.%s %s &&"
				     " %s -fPIC -shared -o first.so first.%s %s &&"
				     " %s -fPIC -shared -o second.so second.%s %s",
				     b->folder, with, ending, libraries, with, ending, libraries,
				     with, ending, libraries)),
			   NULL);
}

static uint64_t run_build(struct build *b, unsigned threads, unsigned blocks, bool free_stacks)
{
	char *first = text("%s/first.so", b->folder), *second = text("%s/second.so", b->folder);
	struct options options = {
		.preload = true,
		.env = ARGV(free_stacks ? "PERFHOOK_FREE_STACKS=on" : "PERFHOOK_FREE_STACKS=off")};
	struct outcome o = record(ARGV(text("%s/program", b->folder), text("%u", (unsigned)b->seed),
				       text("%u", threads), text("%u", blocks), first, second),
				  &options);

	check_status(&o, 0);
	o.line = text("%s\n(%s)", o.line, b->say);
	return check_blocks(&o);
}

static uint64_t finish_build(struct build *b, unsigned number)
{
	struct outcome o = finish(b->running);
	uint64_t blocks;

	check(o.status == 0, "%s: %.4000s", b->say, o.err);
	blocks = run_build(b, 0, 8000, number % 2 != 0);
	return blocks + run_build(b, 4, 2000, number % 4 >= 2);
}

/* By both compilers in all ways, each with a seed of its own; of C++ by clang a sample. */
static unsigned choose_builds(struct build *builds, bool cxx)
{
	const char *compilers[] = {"gcc", have_tool("clang") ? "clang" : "clang-14"};
	unsigned count = 0;

	for (unsigned again = 0; again < (full_mode() ? SEEDS : 1); again++)
		for (size_t c = 0; c < COUNT_OF(compilers); c++)
			for (size_t w = 0; w < COUNT_OF(ways); w++)
				if (have_tool(compilers[c]) &&
				    (full_mode() || !cxx || c == 0 || w % 2 == 0))
					builds[count++] = (struct build){.compiler = compilers[c],
									 .way = ways[w],
									 .cxx = cxx};
	return count;
}

static void check_language(bool cxx)
{
	struct build builds[2 * COUNT_OF(ways) * SEEDS];
	unsigned count = choose_builds(builds, cxx), begun = 0;
	char *headers = kept(realpath("tests/programs", NULL));
	uint64_t blocks = 0;

	need_tool("gcc");
	need_tool("g++");
	check(headers != NULL, "run it from the project's folder");
	for (unsigned i = 0; i < count; i++) {
		for (; begun < count && begun < i + AT_A_TIME; begun++)
			begin_build(&builds[begun], begun, headers);
		blocks += finish_build(&builds[i], i);
	}
	print_message("%u programs, %llu blocks\n", count, (unsigned long long)blocks);
	check(blocks > count * 10000ull, "only %llu blocks", (unsigned long long)blocks);
}

static void programs_in_c(void **state)
{
	(void)state;
	check_language(false);
}

static void programs_in_cxx(void **state)
{
	(void)state;
	check_language(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(programs_in_c),
		boxed(programs_in_cxx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
