/* SPDX-License-Identifier: MIT */
#include "tests/truth/call_graph.h"

#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
	PROBLEM = 5, /* the functions before are tests/programs/call_graph.h's own */
	FIRST,
	PROGRAM_FUNCTIONS = 46,
	LIBRARY_FUNCTIONS = 19,
	STATEMENTS = 5,
	NEAR_FUNCTIONS = 6,
};

/* What a function's frame is made of, or how it is called. */
enum shape {
	/* Called as void f(struct trail *, int fuel), by a pointer too. */
	PLAIN,
	ARRAY,
	ALLOCA,
	LARGE,
	ALIGNED,
	ALIGNED_ARRAY,
	PRESSED,
	SIGNALS,
	CATCHES, /* C: setjmp; C++: try */
	PASSES,	 /* C: a function that does not return; C++: catches and throws again */
	GUARDED, /* C++: a destructor */
	VIRTUAL, /* C++ */
	NEAR,
	UNIFORM,
	/* Each in its own way. */
	ARGUMENTS = UNIFORM,
	BY_VALUE,
	VARIADIC,
	RECURSIVE,
	COMPARES,
	NEVER_RETURNS, /* C */
	SHAPES
};

struct writer {
	FILE *out;
	uint64_t seed;
	bool cxx;
	enum call_graph_file file;
	unsigned first, count; /* functions of this file */
	uint8_t shapes[PROGRAM_FUNCTIONS + 2 * LIBRARY_FUNCTIONS];
};

static unsigned draw(struct writer *w, unsigned below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (unsigned)(w->seed >> 20) % below;
}

#define put(...) fprintf(w->out, __VA_ARGS__)

static const char prefixes[] = "pab"; /* of names, by file */

static unsigned number_of(const struct writer *w, unsigned i)
{
	return FIRST + 2 * (w->first + i); /* and a guard's after it */
}

/* ---- statements ----------------------------------------------------------------------- */

static void put_call(struct writer *w)
{
	unsigned callee = draw(w, w->count);
	const char prefix = prefixes[w->file];

	put("\tif (may(t, fuel)) {\n");
	switch (w->shapes[callee]) {
	case VIRTUAL:
		put("\t\tstruct shape%c%u object;\n"
		    "\t\tstruct any_shape *volatile any = &object;\n"
		    "\t\tany->call(t, fuel - 1);\n",
		    prefix, callee);
		break;
	case ARGUMENTS:
		put("\t\tif (%c%u(1, 2, 3, 4, 5, 6, t, fuel - 1, 7, 8, 9) != 45)\n"
		    "\t\t\tabort();\n",
		    prefix, callee);
		break;
	case BY_VALUE:
		put("\t\tstruct large value;\n"
		    "\t\tvalue.words[0] = 1, value.words[22] = 2;\n"
		    "\t\tvalue = %c%u(value, t, fuel - 1, value);\n"
		    "\t\tif (value.words[22] != 3)\n"
		    "\t\t\tabort();\n",
		    prefix, callee);
		break;
	case VARIADIC:
		put("\t\tif (%c%u(t, fuel - 1, 8, 1, 2.0, 3, 4.0, 5, 6.0, 7, 8.0) != 36)\n"
		    "\t\t\tabort();\n",
		    prefix, callee);
		break;
	case RECURSIVE:
		put("\t\t%c%u(t, fuel - 1, (int)draw(t, %u));\n", prefix, callee, 2 + draw(w, 24));
		break;
	case COMPARES:
		put("\t\tstruct element all[] = {{3, t}, {1, t}, {2, t}, {5, t}, {4, t}};\n"
		    "\t\tunsigned some = 2 + draw(t, 4);\n"
		    "\t\tTHROUGH_FOREIGN();\n");
		if (draw(w, 2) == 0)
			put("\t\tqsort(all, some, sizeof(all[0]), %c%u);\n", prefix, callee);
		else
			put("\t\tvoid *(*volatile search)(const void *, const void *, size_t,"
			    " size_t, int (*)(const void *, const void *)) = bsearch;\n"
			    "\t\tsearch(&all[some - 1], all, some, sizeof(all[0]), %c%u);\n",
			    prefix, callee);
		put("\t\tBACK();\n");
		break;
	case NEVER_RETURNS:
		/* Out of here too, if somebody waits for it. */
		put("\t\tif (t->out != NULL && draw(t, 3) == 0)\n"
		    "\t\t\t%c%u(t, fuel - 1);\n",
		    prefix, callee);
		break;
	default:
		put("\t\t%c%u(t, fuel - 1);\n", prefix, callee);
	}
	put("\t}\n");
}

static void put_pointer_call(struct writer *w)
{
	put("\tif (may(t, fuel))\n\t\t%s();\n", draw(w, 3) == 0 ? "FROM_LIBRARY" : "ANY");
}

static void put_block(struct writer *w)
{
	static const char *const ways[] = {"MALLOC", "CALLOC",	"REALLOC",  "ARRAY",
					   "POSIX",  "ALIGNED", "MEMALIGN", "VALLOC"};
	unsigned way = draw(w, 20);

	if (w->cxx && way >= 16) {
		put("\t{\n"
		    "\t\tuint32_t path = t->graph->child(here, GRAPH_FOREIGN);\n"
		    "\t\thold(t, here, path, ::operator new%s(size_of(path)));\n"
		    "\t}\n",
		    way >= 18 ? "[]" : "");
		return;
	}
	if (draw(w, 2) == 0)
		put("\tif (draw(t, %u) == 0)\n\t", 2 + draw(w, 2));
	put("\tOBTAIN(BY_%s);\n", ways[way < COUNT_OF(ways) ? way : 0]);
}

static void put_leap(struct writer *w)
{
	if (w->cxx)
		put("\tif (t->catchers > 0 && draw(t, 12) == 0)\n\t\tthrow problem(t);\n");
	else
		put("\tif (t->out != NULL && draw(t, 12) == 0)\n\t\tleave_by_jump(t);\n");
}

static void put_statements(struct writer *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned what = draw(w, 20);

		if (what < 6)
			put_call(w);
		else if (what < 11)
			put_pointer_call(w);
		else if (what < 17)
			put_block(w);
		else if (what < 19)
			put("\tGIVE();\n");
		else
			put_leap(w);
	}
}

static void put_body(struct writer *w)
{
	put_statements(w, 2 + draw(w, STATEMENTS));
}

/* ---- functions -------------------------------------------------------------------------- */

static void put_head(struct writer *w, unsigned i)
{
	const char prefix = prefixes[w->file];

	switch (w->shapes[i]) {
	case VIRTUAL:
		put("void shape%c%u::call(struct trail *t, int fuel)", prefix, i);
		break;
	case ARGUMENTS:
		put("long %c%u(long a, long b, long c, long d, long e, long f, struct trail *t,"
		    " int fuel, long g, long h, long i)",
		    prefix, i);
		break;
	case BY_VALUE:
		put("struct large %c%u(struct large value, struct trail *t, int fuel,"
		    " struct large other)",
		    prefix, i);
		break;
	case VARIADIC:
		put("long %c%u(struct trail *t, int fuel, int count, ...)", prefix, i);
		break;
	case RECURSIVE:
		put("void %c%u(struct trail *t, int fuel, int levels)", prefix, i);
		break;
	case COMPARES:
		put("int %c%u(const void *a, const void *b)", prefix, i);
		break;
	case NEVER_RETURNS:
		put("__attribute__((noreturn)) void %c%u(struct trail *t, int fuel)", prefix, i);
		break;
	default:
		put("void %c%u(struct trail *t, int fuel)", prefix, i);
	}
}

static void put_declaration(struct writer *w, unsigned i)
{
	if (w->shapes[i] == VIRTUAL) {
		put("struct shape%c%u : any_shape {\n"
		    "\tGRAPH_FUNCTION void call(struct trail *t, int fuel) override;\n"
		    "};\n",
		    prefixes[w->file], i);
		return;
	}
	put("%sGRAPH_FUNCTION ", w->cxx ? "extern \"C\" " : "");
	put_head(w, i);
	put(";\n");
}

static void put_frame(struct writer *w, enum shape shape)
{
	switch (shape) {
	case ARRAY:
		put("\tvolatile char array[8 + draw(t, %u)];\n\tarray[0] = 1;\n",
		    1 + draw(w, 3000));
		put_body(w);
		put("\tarray[0]++;\n");
		break;
	case ALLOCA:
		put("\tfor (unsigned times = 1 + draw(t, 2); times > 0; times--) {\n"
		    "\tvolatile char *room = (volatile char *)alloca(8 + draw(t, %u));\n"
		    "\troom[0] = 1;\n",
		    1 + draw(w, 600));
		put_body(w);
		put("\troom[0]++;\n\t}\n");
		break;
	case LARGE:
		put("\tvolatile char block[%u];\n\tblock[0] = 1;\n", 4000 + draw(w, 12000));
		put_body(w);
		put("\tblock[0]++;\n");
		break;
	case ALIGNED:
	case ALIGNED_ARRAY:
		put("\t__attribute__((aligned(%u))) volatile char block[64];\n\tblock[0] = 1;\n",
		    32u << draw(w, 4));
		if (shape == ALIGNED_ARRAY)
			put("\tvolatile char array[8 + draw(t, 200)];\n\tarray[0] = 1;\n");
		put_body(w);
		put("\tblock[0]++;\n%s", shape == ALIGNED_ARRAY ? "\tarray[0]++;\n" : "");
		break;
	case PRESSED:
		/* More is alive than there are registers for, so that rbp is one of them. */
		for (unsigned i = 0; i < 8; i++)
			put("\tunsigned x%u = draw(t, 1000);\n", i);
		put_body(w);
		put_body(w);
		put("\tif (((x0 ^ x1) + (x2 ^ x3) * (x4 ^ x5) + (x6 ^ x7)) == 0x7fffffff)\n"
		    "\t\tabort();\n");
		break;
	case SIGNALS:
		put("\tif (may(t, fuel)) {\n"
		    "\t\tTHROUGH_FOREIGN();\n"
		    "\t\traise(draw(t, 2) == 0 ? SIGUSR1 : SIGUSR2);\n"
		    "\t\tBACK();\n"
		    "\t}\n");
		put_body(w);
		break;
	default:
		put_body(w);
	}
}

static void put_catching(struct writer *w)
{
	if (!w->cxx) {
		put("\tjmp_buf buffer, *const outer = t->out;\n"
		    "\tif (setjmp(buffer) == 0) {\n"
		    "\t\tt->out = &buffer;\n");
		put_body(w);
		put_leap(w);
		put("\t}\n"
		    "\tBACK();\n"
		    "\tt->out = outer;\n");
		put_block(w);
		return;
	}
	put("\tconst int outer = t->catchers;\n"
	    "\tt->catchers++;\n"
	    "\ttry {\n");
	put_body(w);
	put_leap(w);
	put("\t} catch (problem &p) {\n"
	    "\tBACK();\n"
	    "\tp.home = here;\n"
	    "\tt->catchers = outer;\n");
	put_block(w);
	put_call(w);
	put("\t}\n"
	    "\tt->catchers = outer;\n");
	put_block(w);
}

static void put_passing(struct writer *w, unsigned i)
{
	if (!w->cxx) {
		unsigned other = 0;

		while (w->shapes[other] != NEVER_RETURNS)
			other++;
		put("\tjmp_buf buffer, *const outer = t->out;\n"
		    "\tif (may(t, fuel) && setjmp(buffer) == 0) {\n"
		    "\t\tt->out = &buffer;\n"
		    "\t\t%c%u(t, fuel - 1);\n"
		    "\t}\n"
		    "\tBACK();\n"
		    "\tt->out = outer;\n",
		    prefixes[w->file], other);
		put_body(w);
		return;
	}
	(void)i;
	put("\ttry {\n");
	put_body(w);
	put("\t} catch (...) {\n"
	    "\tBACK();\n");
	put_block(w);
	put("\tthrow;\n"
	    "\t}\n");
}

/* Its destructor is a function of its own, called where it ends and where it is thrown
 * through. */
static void put_guard(struct writer *w, unsigned i)
{
	put("struct guard%c%u {\n"
	    "\tstruct trail *t;\n"
	    "\tuint32_t home;\n"
	    "\tguard%c%u(struct trail *of, uint32_t path) : t(of), home(path)\n\t{\n\t}\n"
	    "\tGRAPH_FUNCTION ~guard%c%u()\n"
	    "\t{\n"
	    "\tconst uint32_t here = t->path = t->graph->child(home, %u);\n",
	    prefixes[w->file], i, prefixes[w->file], i, prefixes[w->file], i, number_of(w, i) + 1);
	put_block(w);
	put("\tGIVE();\n"
	    "\tt->path = home;\n"
	    "\t}\n"
	    "};\n");
}

/*
 * A few functions that call each other from one place each, and whose frames are often as
 * large together as another's alone: then the next frame is where one was before, and
 * between are old return addresses, since nothing is stored to. Only rbp tells the two
 * stacks apart.
 */
static void put_near_frame(struct writer *w, unsigned i)
{
	switch (i % 3) {
	case 0:
		put("\tvolatile char array[16 * (1 + draw(t, 16))];\n\tarray[0] = 1;\n");
		break;
	case 1:
		put("\tvolatile char array[%u];\n\tarray[0] = 1;\n", 16 * (1 + draw(w, 6)));
		break;
	default:
		put("\tvolatile char array[8];\n\tarray[0] = 1;\n");
		for (unsigned x = 0; x < 6; x++)
			put("\tunsigned x%u = draw(t, 1000);\n", x);
	}
}

static void put_near_body(struct writer *w, unsigned i)
{
	put("\tunsigned calls = 0;\n"
	    "\tfor (unsigned times = 0; times < 3; times++)\n"
	    "\t\tif (may(t, fuel)) {\n"
	    "\t\t\tcalls++;\n"
	    "\t\t\tnear_functions[draw(t, %d)](t, fuel - 1);\n"
	    "\t\t}\n"
	    "\tif (calls == 0 || draw(t, 3) == 0)\n"
	    "\t\tOBTAIN(BY_MALLOC);\n"
	    "\tarray[0]++;\n",
	    NEAR_FUNCTIONS);
	if (i % 3 == 2)
		put("\tif ((x0 ^ x1) + (x2 ^ x3) * (x4 ^ x5) == 0x7fffffff)\n\t\tabort();\n");
}

static void put_function(struct writer *w, unsigned i)
{
	enum shape shape = w->shapes[i];
	unsigned number = number_of(w, i);

	if (shape == GUARDED)
		put_guard(w, i);
	put_head(w, i);
	put("\n{\n");
	if (shape == COMPARES)
		put("\tstruct trail *t = ((const struct element *)a)->t;\n"
		    "\tint fuel = (int)draw(t, 5);\n"
		    "\tlong order = ((const struct element *)a)->key -"
		    " ((const struct element *)b)->key;\n");
	if (shape == NEAR)
		put_near_frame(w, i);
	put("\tENTER(%u);\n", number);
	switch (shape) {
	case CATCHES:
		put_catching(w);
		break;
	case PASSES:
		put_passing(w, i);
		break;
	case GUARDED:
		put("\t{\n\tguard%c%u guard(t, here);\n", prefixes[w->file], i);
		put_body(w);
		put("\t}\n");
		break;
	case NEAR:
		put_near_body(w, i);
		break;
	case VARIADIC:
		put("\tlong sum = 0;\n"
		    "\tva_list list;\n"
		    "\tva_start(list, count);\n"
		    "\tfor (int i = 0; i < count; i++)\n"
		    "\t\tsum += i %% 2 == 0 ? va_arg(list, int) : (long)va_arg(list, double);\n"
		    "\tva_end(list);\n");
		put_body(w);
		break;
	case RECURSIVE:
		put_block(w);
		put("\tif (levels > 0 && may(t, fuel))\n\t\t%c%u(t, fuel, levels - 1);\n",
		    prefixes[w->file], i);
		put_body(w);
		break;
	default:
		put_frame(w, shape);
	}
	if (shape == NEVER_RETURNS) {
		put("\tleave_by_jump(t);\n}\n\n");
		return;
	}
	put("\tLEAVE();\n");
	if (shape == ARGUMENTS)
		put("\treturn a + b + c + d + e + f + g + h + i;\n");
	else if (shape == BY_VALUE)
		put("\tvalue.words[22] += other.words[0];\n\treturn value;\n");
	else if (shape == VARIADIC)
		put("\treturn sum;\n");
	else if (shape == COMPARES)
		put("\treturn order < 0 ? -1 : order > 0;\n");
	put("}\n\n");
}

/* ---- files ------------------------------------------------------------------------------ */

/* Each shape at least once in the program. */
static void choose_shapes(struct writer *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		enum shape shape = i < SHAPES ? (enum shape)i : (enum shape)draw(w, SHAPES);

		if (!w->cxx && (shape == GUARDED || shape == VIRTUAL))
			shape = i < SHAPES ? PLAIN : ARRAY;
		if (w->cxx && shape == NEVER_RETURNS)
			shape = CATCHES;
		if (shape == NEAR)
			shape = ALLOCA;
		if (w->file == CALL_GRAPH_PROGRAM && i >= PROGRAM_FUNCTIONS - NEAR_FUNCTIONS)
			shape = NEAR;
		w->shapes[i] = (uint8_t)shape;
	}
}

/* Numbers from before on, so that all know them. */
static void put_names(struct writer *w)
{
	put("const struct graph_name graph_names[] = {\n"
	    "\t{\"?\", \"?\"},\n"
	    "\t{\"_start\", \"program\"},\n"
	    "\t{\"main\", \"program\"},\n"
	    "\t{\"thread_main%s\", \"program\"},\n"
	    "\t{\"handler%s\", \"program\"},\n"
	    "\t{\"problem::~problem()\", \"?\"},\n",
	    w->cxx ? "(void*)" : "", w->cxx ? "(int)" : "");
}

static void put_name(struct writer *w, unsigned i)
{
	static const char *const modules[] = {"program", "first.so", "second.so"};
	const char *module = modules[w->file];
	const char prefix = prefixes[w->file];

	if (w->shapes[i] == VIRTUAL)
		put("\t{\"shape%c%u::call(trail*, int)\", \"%s\"},\n", prefix, i, module);
	else
		put("\t{\"%c%u\", \"%s\"},\n", prefix, i, module);
	put("\t{\"guard%c%u::~guard%c%u()\", \"%s\"},\n", prefix, i, prefix, i, module);
}

static void put_table(struct writer *w, const char *linkage, const char *name, unsigned first)
{
	put("%sgraph_function *const volatile %s_functions[] = {\n", linkage, name);
	for (unsigned i = first; i < w->count; i++)
		if (w->shapes[i] < UNIFORM && w->shapes[i] != VIRTUAL)
			put("\t%c%u,\n", prefixes[w->file], i);
	put("};\n");
}

static void begin(struct writer *w, enum call_graph_file file, uint64_t seed)
{
	w->file = file;
	w->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + (unsigned)file * 7919 + 1;
	w->first =
		file == CALL_GRAPH_PROGRAM ? 0 : PROGRAM_FUNCTIONS + (file - 1) * LIBRARY_FUNCTIONS;
	w->count = file == CALL_GRAPH_PROGRAM ? PROGRAM_FUNCTIONS : LIBRARY_FUNCTIONS;
	choose_shapes(w);
}

/* What is thrown: it allocates once it is over, called from libstdc++ for who caught it. */
static void put_problem(struct writer *w)
{
	put("struct problem {\n"
	    "\tstruct trail *t;\n"
	    "\tuint32_t home;\n"
	    "\texplicit problem(struct trail *of) : t(of), home(0)\n\t{\n\t}\n"
	    "\tproblem(const problem &other) : t(other.t), home(0)\n\t{\n\tabort();\n\t}\n"
	    "\tGRAPH_FUNCTION ~problem()\n\t{\n"
	    "\tconst uint32_t between = t->graph->child(home, GRAPH_FOREIGN);\n"
	    "\tconst uint32_t here = t->path = t->graph->child(between, %d);\n"
	    "\tOBTAIN(BY_MALLOC);\n"
	    "\tt->path = home;\n"
	    "\t}\n"
	    "};\n"
	    "struct any_shape {\n"
	    "\tvirtual void call(struct trail *t, int fuel) = 0;\n"
	    "};\n",
	    PROBLEM);
}

void call_graph_write(FILE *out, enum call_graph_file file, uint64_t seed, bool cxx)
{
	struct writer all = {.out = out, .cxx = cxx}, *w = &all;

	begin(w, file, seed);
	put("%s#include \"call_graph.h\"\n",
	    file == CALL_GRAPH_PROGRAM ? "#define GRAPH_MAIN\n" : "");
	if (cxx)
		put_problem(w);
	for (unsigned i = 0; i < w->count; i++)
		put_declaration(w, i);
	if (file == CALL_GRAPH_PROGRAM)
		put_table(w, "static ", "near", w->count - NEAR_FUNCTIONS);
	for (unsigned i = 0; i < w->count; i++)
		put_function(w, i);
	if (file != CALL_GRAPH_PROGRAM) {
		const char *linkage = cxx ? "extern \"C\" " : "";

		put_table(w, cxx ? "extern \"C\" " : "", "library", 0);
		put("%sconst unsigned library_count;\n%sconst unsigned library_count ="
		    " sizeof(library_functions) / sizeof(library_functions[0]);\n",
		    cxx ? "extern \"C\" " : "extern ", linkage);
		return;
	}
	put_table(w, "", "graph", 0);
	put("const unsigned graph_function_count ="
	    " sizeof(graph_functions) / sizeof(graph_functions[0]);\n");
	put_names(w);
	for (unsigned f = CALL_GRAPH_PROGRAM; f <= CALL_GRAPH_SECOND; f++) {
		begin(w, (enum call_graph_file)f, seed);
		for (unsigned i = 0; i < w->count; i++)
			put_name(w, i);
	}
	put("};\nconst unsigned graph_name_count ="
	    " sizeof(graph_names) / sizeof(graph_names[0]);\n");
}
