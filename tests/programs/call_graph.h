/* SPDX-License-Identifier: MIT */
/*
 * What programs of random calls share (tests/truth/call_graph.c writes them). Each of
 * their functions says that it was entered, so that the program knows at each moment the
 * path from its beginning to where it is: a number, which the size of each block that is
 * allocated there names. At the end it writes down what the numbers stand for, and what
 * became of their blocks. The main file defines GRAPH_MAIN; libraries are given what they
 * need by pointers, so that they need no symbol of the program.
 */
#ifndef PH_TESTS_CALL_GRAPH_H
#define PH_TESTS_CALL_GRAPH_H

#include <alloca.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

#include "truth.h"

enum {
	GRAPH_PATHS = 1 << 16,
	GRAPH_LEAST = 4096,   /* size of a block of path 0: libc's own are smaller */
	GRAPH_MARK = 1 << 24, /* ... of the blocks before the first and after the last */
	GRAPH_SLOTS = 512,    /* blocks that live at most */
	GRAPH_DEPTH = 90,     /* of a path: recorded stacks have 256 frames */
	GRAPH_FOREIGN = 0,    /* as a function: one frame or more of libc's and its like */
};

struct trail;
typedef void graph_function(struct trail *t, int fuel);

struct graph {
	uint32_t (*child)(uint32_t path, unsigned function);
	unsigned (*depth)(uint32_t path);
	graph_function *const volatile *functions;
	unsigned function_count;
	/* Of the library that is there. */
	graph_function *const volatile *library;
	unsigned library_count;
	void *slots[GRAPH_SLOTS];
	uint64_t allocated[GRAPH_PATHS], freed[GRAPH_PATHS]; /* blocks of a path */
	uint64_t freed_by[GRAPH_PATHS];			     /* free() called there */
};

/* A thread's way. */
struct trail {
	struct graph *graph;
	uint64_t seed;
	uint32_t path;
	unsigned long obtained; /* blocks */
	int budget;		/* of calls, of this round */
	int catchers;		/* that an exception would meet */
	jmp_buf *out;
};

#define GRAPH_INLINE   static inline __attribute__((always_inline, unused))
#define GRAPH_FUNCTION __attribute__((noinline))

GRAPH_INLINE unsigned draw(struct trail *t, unsigned below)
{
	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	return (unsigned)(t->seed >> 20) % below;
}

/* May it call another one? */
GRAPH_INLINE bool may(struct trail *t, int fuel)
{
	return fuel > 0 && --t->budget > 0 && t->graph->depth(t->path) < GRAPH_DEPTH;
}

#define ENTER(function)                                                                            \
	const uint32_t outer_path = t->path;                                                       \
	const uint32_t here = t->path = t->graph->child(outer_path, function)
#define LEAVE() (t->path = outer_path)

/* What follows a call that leads through libc to a function of the graph. */
#define THROUGH_FOREIGN() (t->path = t->graph->child(here, GRAPH_FOREIGN))
#define BACK()		  (t->path = here)

/* ---- blocks: called in the frame whose path is `here` ------------------------------- */

GRAPH_INLINE size_t size_of(uint32_t path)
{
	return GRAPH_LEAST + path;
}

GRAPH_INLINE void count(uint64_t *of)
{
	__atomic_fetch_add(of, 1, __ATOMIC_RELAXED);
}

/* Of a block that is about to be. */
GRAPH_INLINE uint32_t gone(struct trail *t, const void *block)
{
	uint32_t path = *(const uint32_t *)block;

	count(&t->graph->freed[path]);
	return path;
}

GRAPH_INLINE void *swap(struct trail *t, void *block)
{
	return __atomic_exchange_n(&t->graph->slots[draw(t, GRAPH_SLOTS)], block, __ATOMIC_ACQ_REL);
}

GRAPH_INLINE void drop(struct trail *t, uint32_t here, void *block)
{
	if (block == NULL)
		return;
	gone(t, block);
	count(&t->graph->freed_by[here]);
	free(block);
}

/* A new block of `path`, into a slot; what was there is freed. */
GRAPH_INLINE void hold(struct trail *t, uint32_t here, uint32_t path, void *block)
{
	if (block == NULL)
		abort();
	*(uint32_t *)block = path;
	count(&t->graph->allocated[path]);
	t->obtained++;
	drop(t, here, swap(t, block));
}

GRAPH_INLINE void *aligned_block(uint32_t path)
{
	void *block = NULL;

	return posix_memalign(&block, 64, size_of(path)) == 0 ? block : NULL;
}

GRAPH_INLINE void *moved_block(struct trail *t, uint32_t path, bool array)
{
	void *old = swap(t, NULL);

	if (old != NULL)
		gone(t, old);
	return array ? reallocarray(old, size_of(path), 1) : realloc(old, size_of(path));
}

#define OBTAIN(how) hold(t, here, here, how)
#define BY_MALLOC   malloc(size_of(here))
#define BY_CALLOC   calloc(1, size_of(here))
#define BY_REALLOC  moved_block(t, here, false)
#define BY_ARRAY    moved_block(t, here, true)
#define BY_POSIX    aligned_block(here)
#define BY_ALIGNED  aligned_alloc(32, size_of(here))
#define BY_MEMALIGN memalign(128, size_of(here))
#define BY_VALLOC   valloc(size_of(here))
#define GIVE()	    drop(t, here, swap(t, NULL))
#define ANY()	    t->graph->functions[draw(t, t->graph->function_count)](t, fuel - 1)
#define FROM_LIBRARY()                                                                             \
	do {                                                                                       \
		if (t->graph->library_count != 0)                                                  \
			t->graph->library[draw(t, t->graph->library_count)](t, fuel - 1);          \
	} while (0)

/* ---- shapes -------------------------------------------------------------------------- */

/* What is sorted and looked for: the comparison is to find its thread. */
struct element {
	long key;
	struct trail *t;
};

struct large {
	long words[23];
};

/* Its call is the last instruction of who calls it, or stands in a part of its own. */
#if !defined(__cplusplus)
__attribute__((noreturn, noinline, unused)) static void leave_by_jump(struct trail *t)
{
	longjmp(*t->out, 1);
}
#endif

/* ---- the program ----------------------------------------------------------------------- */

#ifdef GRAPH_MAIN
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

/* The generated file's. */
struct graph_name {
	const char *name, *module;
};
extern const struct graph_name graph_names[];
extern const unsigned graph_name_count;
extern graph_function *const volatile graph_functions[];
extern const unsigned graph_function_count;

static struct {
	uint32_t parent;
	uint16_t function, depth;
} paths[GRAPH_PATHS];
static uint32_t path_index[4 * GRAPH_PATHS]; /* + 1 */
static uint32_t path_count = 1;		     /* 0: nothing is further out */
static pthread_mutex_t paths_lock = PTHREAD_MUTEX_INITIALIZER;
static struct graph graph;
static __thread struct trail *current;
static unsigned long blocks_wanted; /* of each thread */

static unsigned path_depth(uint32_t path)
{
	return paths[path].depth;
}

static bool paths_are_full(void)
{
	return __atomic_load_n(&path_count, __ATOMIC_RELAXED) > GRAPH_PATHS - GRAPH_PATHS / 4;
}

static uint32_t path_child(uint32_t parent, unsigned function)
{
	uint64_t key = (uint64_t)parent << 16 | function;
	size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 46);
	uint32_t number;

	pthread_mutex_lock(&paths_lock);
	for (;; at++) {
		number = path_index[at %= 4 * GRAPH_PATHS];
		if (number == 0)
			break;
		number--;
		if (paths[number].parent == parent && paths[number].function == function) {
			pthread_mutex_unlock(&paths_lock);
			return number;
		}
	}
	number = path_count++;
	if (number >= GRAPH_PATHS)
		abort();
	paths[number].parent = parent;
	paths[number].function = (uint16_t)function;
	paths[number].depth = (uint16_t)(paths[parent].depth + (function == GRAPH_FOREIGN ? 6 : 1));
	path_index[at] = number + 1;
	pthread_mutex_unlock(&paths_lock);
	return number;
}

/* ---- libraries: one at a time is there, and the other may come to the same place ---- */

static void *library;

static void close_library(void)
{
	graph.library_count = 0;
	if (library != NULL)
		expect(dlclose(library) == 0);
	library = NULL;
}

static void open_library(const char *path)
{
	close_library();
	library = dlopen(path, RTLD_NOW);
	if (library == NULL)
		abort();
	graph.library = (graph_function *const volatile *)dlsym(library, "library_functions");
	graph.library_count = *(const unsigned *)dlsym(library, "library_count");
}

/* ---- running ------------------------------------------------------------------------- */

/* Numbers of the functions below, which the generated names begin with. */
enum { START = 1, MAIN, THREAD, HANDLER };

GRAPH_FUNCTION static void handler(int number)
{
	struct trail *t = current;
	int catchers = t->catchers;

	ENTER(HANDLER);
	(void)number;
	t->catchers = 0; /* raise() is not to be thrown through */
	for (unsigned times = 1 + draw(t, 2); times > 0 && t->budget > 0; times--) {
		int fuel = 3;

		ANY();
		OBTAIN(BY_MALLOC);
	}
	t->catchers = catchers;
	LEAVE();
}

/* On the thread's own stack, and on another. */
static void catch_signals(void)
{
	struct sigaction a;

	memset(&a, 0, sizeof(a));
	a.sa_handler = handler;
	a.sa_flags = SA_NODEFER;
	expect(sigaction(SIGUSR1, &a, NULL) == 0);
	a.sa_flags = SA_NODEFER | SA_ONSTACK;
	expect(sigaction(SIGUSR2, &a, NULL) == 0);
}

static void use_signal_stack(bool on)
{
	stack_t stack;

	memset(&stack, 0, sizeof(stack));
	stack.ss_flags = SS_DISABLE;
	if (on) {
		stack.ss_flags = 0;
		stack.ss_size = 4 << 20;
		stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stack.ss_sp == MAP_FAILED)
			abort();
	}
	expect(sigaltstack(&stack, NULL) == 0);
}

GRAPH_INLINE void rounds(struct trail *t, uint32_t here, char *const *libraries)
{
	current = t;
	for (unsigned i = 0; !paths_are_full() && t->obtained < blocks_wanted; i++) {
		int fuel = 4 + (int)draw(t, 12);

		if (libraries != NULL && i % 16 == 0)
			open_library(libraries[i / 16 % 2]);
		t->budget = 300;
		t->path = here;
		ANY();
		OBTAIN(BY_MALLOC);
	}
}

static void *thread_main(void *trail)
{
	struct trail *t = (struct trail *)trail;
	uint32_t here;

	t->path = path_child(path_child(0, GRAPH_FOREIGN), THREAD);
	here = t->path;
	use_signal_stack(true);
	rounds(t, here, NULL);
	use_signal_stack(false);
	return NULL;
}

/* What they stand for, a line each. */
static char lines[1 << 16];
static size_t lines_used;

static void write_lines(void)
{
	for (size_t done = 0; done < lines_used;) {
		long n = system_call(SYS_write, 1, lines + done, lines_used - done);

		if (n <= 0)
			abort();
		done += (size_t)n;
	}
	lines_used = 0;
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
	va_list list;

	if (lines_used > sizeof(lines) - 512)
		write_lines();
	va_start(list, format);
	lines_used += (size_t)vsnprintf(lines + lines_used, 512, format, list);
	va_end(list);
}

static void write_down(void)
{
	line("sizes %d %d\n", GRAPH_LEAST, GRAPH_MARK);
	for (unsigned i = 0; i < graph_name_count; i++)
		line("function %u %s %s\n", i, graph_names[i].module, graph_names[i].name);
	for (uint32_t i = 0; i < path_count; i++)
		line("path %u %u %u %llu %llu %llu\n", i, (unsigned)paths[i].parent,
		     paths[i].function, (unsigned long long)graph.allocated[i],
		     (unsigned long long)graph.freed[i], (unsigned long long)graph.freed_by[i]);
	write_lines();
}

/* SEED THREADS BLOCKS LIBRARY LIBRARY: blocks are each thread's. */
int main(int argc, char **argv)
{
	struct trail trails[9];
	pthread_t threads[8];
	unsigned count = argc > 5 ? (unsigned)atoi(argv[2]) : 9;
	uint32_t here;

	if (count > 8)
		return 2;
	blocks_wanted = strtoul(argv[3], NULL, 10);
	/* No mapping for each block, and none given back. */
	mallopt(M_MMAP_THRESHOLD, GRAPH_MARK * 2);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	graph.child = path_child;
	graph.depth = path_depth;
	graph.functions = graph_functions;
	graph.function_count = graph_function_count;
	catch_signals();
	here = path_child(path_child(path_child(0, START), GRAPH_FOREIGN), MAIN);
	free(keep(malloc(GRAPH_MARK)));
	memset(trails, 0, sizeof(trails));
	for (unsigned i = 0; i <= count; i++) {
		trails[i].graph = &graph;
		trails[i].seed = strtoull(argv[1], NULL, 10) * 7919 + i * 104729 + 1;
	}
	if (count > 0)
		open_library(argv[4]);
	for (unsigned i = 1; i <= count; i++)
		expect(pthread_create(&threads[i - 1], NULL, thread_main, &trails[i]) == 0);
	use_signal_stack(true);
	rounds(&trails[0], here, count > 0 ? NULL : argv + 4);
	for (unsigned i = 1; i <= count; i++)
		expect(pthread_join(threads[i - 1], NULL) == 0);
	close_library();
	free(keep(malloc(GRAPH_MARK)));
	write_down();
	return wrongs != 0;
}
#endif

#endif
