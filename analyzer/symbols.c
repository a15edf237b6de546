/* SPDX-License-Identifier: MIT */
/* Addresses to names: the modules asked for so far, and what was answered. */
#include "analyzer/symbols.h"

#include <libelf.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/address_ranges.h"
#include "analyzer/arena.h"
#include "analyzer/call_target.h"
#include "analyzer/debug_files.h"
#include "analyzer/demangle.h"
#include "analyzer/dwarf_index.h"
#include "analyzer/map.h"
#include "analyzer/symbol_table.h"
#include "analyzer/vector.h"

static const char no_memory[] = "out of memory";

/* One file, at however many bases. */
struct module_symbols {
	const char *path, *build_id;
	const char *problem; /* NULL: has names */
	struct debug_files files;
	struct address_ranges code;
	struct dwarf_index *dwarf; /* NULL: no debug information */
	struct symbol_table table, data;
	bool data_loaded;
	struct map answers; /* address in the file -> (first + 1) << 8 | count */
};

struct symbols {
	struct search_paths paths;
	struct arena *arena;
	struct module_symbols **modules; /* by pointer: the indices point into them */
	size_t module_count, module_room;
	struct index by_name;
	struct frame *answers; /* of all modules; `address` is not theirs to know */
	size_t answer_count, answer_room;
	/* In the background, while there is such a thread: all of it is its own. */
	struct symbols_place *expected;
	size_t expected_count;
	pthread_t thread;
	bool is_expecting;
};

/* As the main thread has: files nest as deep as they like. */
enum { STACK_BYTES = 8 << 20 };

_Static_assert(SYMBOLS_FRAMES_MAX < 256, "the count of an answer has eight bits");

struct symbols *symbols_open(const struct symbols_options *options)
{
	struct symbols *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	elf_version(EV_CURRENT);
	s->arena = arena_new();
	if (search_paths_init(&s->paths, options) && s->arena != NULL)
		return s;
	symbols_close(s);
	return NULL;
}

static void free_module(struct module_symbols *m)
{
	dwarf_index_free(m->dwarf);
	symbol_table_free(&m->table);
	symbol_table_free(&m->data);
	address_ranges_free(&m->code);
	debug_files_close(&m->files);
	map_free(&m->answers);
	free(m);
}

/* Wait for the background's end. */
static void settle(struct symbols *s)
{
	if (!s->is_expecting)
		return;
	pthread_join(s->thread, NULL);
	s->is_expecting = false;
	free(s->expected);
	s->expected = NULL;
}

void symbols_close(struct symbols *s)
{
	if (s == NULL)
		return;
	settle(s);
	for (size_t i = 0; i < s->module_count; i++)
		free_module(s->modules[i]);
	free(s->modules);
	free(s->answers);
	index_free(&s->by_name);
	search_paths_free(&s->paths);
	if (s->arena != NULL)
		arena_free(s->arena);
	free(s);
}

static const char *problem_of(const struct module_symbols *m)
{
	if (m->dwarf != NULL || m->table.count > 0)
		return NULL;
	return m->files.problem != NULL ? m->files.problem : "stripped: no symbols";
}

static void load_module(struct symbols *s, struct module_symbols *m)
{
	debug_files_open(&m->files, &s->paths, m->path, m->build_id);
	m->problem = no_memory;
	if (!debug_files_code(&m->files, &m->code) ||
	    !symbol_table_load(&m->table, &m->files, &m->code))
		return;
	if (m->files.dwarf != NULL)
		m->dwarf = dwarf_index_new(m->files.dwarf, m->files.folder, &m->code, s->arena);
	m->problem = problem_of(m);
}

static uint64_t name_hash(const char *path, const char *build_id)
{
	return map_hash_bytes(path, strlen(path)) ^
	       map_hash(map_hash_bytes(build_id, strlen(build_id)));
}

static struct module_symbols *find_module(const struct symbols *s, const char *path,
					  const char *build_id)
{
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&s->by_name, name_hash(path, build_id), &at)) != 0) {
		struct module_symbols *m = s->modules[place - 1];

		if (strcmp(m->path, path) == 0 && strcmp(m->build_id, build_id) == 0)
			return m;
	}
	return NULL;
}

static struct module_symbols *add_module(struct symbols *s, const char *path, const char *build_id)
{
	struct module_symbols *m;

	if (!vector_reserve(s->modules, s->module_room, s->module_count + 1))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	if (!index_insert(&s->by_name, name_hash(path, build_id), (uint32_t)s->module_count + 1)) {
		free(m);
		return NULL;
	}
	s->modules[s->module_count++] = m;
	m->path = arena_copy(s->arena, path, strlen(path));
	m->build_id = arena_copy(s->arena, build_id, strlen(build_id));
	load_module(s, m);
	return m;
}

/* NULL: no file, or no memory. */
static struct module_symbols *get_module(struct symbols *s, const char *path, const char *build_id)
{
	struct module_symbols *m;

	if (path == NULL || path[0] == '\0')
		return NULL;
	m = find_module(s, path, build_id);
	return m != NULL ? m : add_module(s, path, build_id);
}

/* Where the linker's name is all there is: assembly, stripped files; and where
 * the debug information is short of the scopes that the linker's name has. */
static void name_by_symbol(struct symbols *s, struct module_symbols *m, uint64_t address,
			   struct frame *frame, bool bare)
{
	struct symbol *symbol = symbol_table_find(&m->table, address);

	if (symbol == NULL)
		return;
	if (frame->function == NULL) {
		frame->offset = address - symbol->start;
		frame->function = symbol_shown(symbol, s->arena);
	} else if (bare && is_mangled(symbol->name)) {
		frame->function = symbol_shown_whole(symbol, s->arena);
	}
}

static size_t answer(struct symbols *s, struct module_symbols *m, uint64_t address,
		     struct frame *frames)
{
	struct dwarf_frame found[SYMBOLS_FRAMES_MAX];
	size_t count = 0;

	if (m->dwarf != NULL)
		count = dwarf_index_find(m->dwarf, address, found, SYMBOLS_FRAMES_MAX);
	if (count == 0)
		found[count++] = (struct dwarf_frame){0};
	for (size_t i = 0; i < count; i++)
		frames[i] = (struct frame){
			.function = found[i].function,
			.file = found[i].file,
			.line = found[i].line,
			.module = m->path,
			.module_offset = address,
			.inlined = found[i].inlined,
		};
	name_by_symbol(s, m, address, &frames[count - 1], found[count - 1].bare);
	return count;
}

/* Without memory to keep an answer it is worked out again next time. */
static void keep_answer(struct symbols *s, struct module_symbols *m, uint64_t address,
			const struct frame *frames, size_t count)
{
	if (!vector_reserve(s->answers, s->answer_room, s->answer_count + count) ||
	    !map_put(&m->answers, address, (uint64_t)(s->answer_count + 1) << 8 | count))
		return;
	memcpy(&s->answers[s->answer_count], frames, count * sizeof(*frames));
	s->answer_count += count;
}

static size_t answer_once(struct symbols *s, struct module_symbols *m, uint64_t address,
			  struct frame frames[SYMBOLS_FRAMES_MAX])
{
	uint64_t known = map_get(&m->answers, address);
	size_t count = known & 0xff;

	if (known != 0) {
		memcpy(frames, &s->answers[(known >> 8) - 1], count * sizeof(*frames));
		return count;
	}
	count = answer(s, m, address, frames);
	keep_answer(s, m, address, frames, count);
	return count;
}

static size_t look_up(struct symbols *s, const char *path, const char *build_id, uint64_t base,
		      uint64_t pc, struct frame *frames, size_t room)
{
	struct frame all[SYMBOLS_FRAMES_MAX];
	struct module_symbols *m;
	size_t count = 1;

	if (room == 0)
		return 0;
	m = get_module(s, path, build_id);
	if (m != NULL && pc >= base)
		count = answer_once(s, m, pc - base, all);
	else
		all[0] = (struct frame){.module = m != NULL ? m->path : NULL,
					.module_offset = m != NULL ? pc - base : 0};
	if (count > room) {
		/* What it is all inlined in is worth more than the last but one. */
		all[room - 1] = all[count - 1];
		count = room;
	}
	for (size_t i = 0; i < count; i++) {
		frames[i] = all[i];
		frames[i].address = pc;
	}
	return count;
}

size_t symbols_lookup(struct symbols *s, const char *path, const char *build_id, uint64_t base,
		      uint64_t pc, struct frame *frames, size_t room)
{
	settle(s);
	return look_up(s, path, build_id, base, pc, frames, room);
}

const char *symbols_linker_name(struct symbols *s, const struct symbols_place *place)
{
	struct module_symbols *m;
	const struct symbol *symbol;

	settle(s);
	m = get_module(s, place->path, place->build_id);
	if (m == NULL || place->pc < place->base)
		return NULL;
	symbol = symbol_table_find(&m->table, place->pc - place->base);
	if (symbol == NULL)
		return NULL;
	return symbol->name[symbol->name_length] == '\0'
		       ? symbol->name
		       : arena_copy(s->arena, symbol->name, symbol->name_length);
}

/* A function of the module by its first address; NULL: none begins there. */
static const struct symbol *function_at(const struct module_symbols *m, uint64_t start)
{
	const struct symbol *symbol = symbol_table_find(&m->table, start);

	return symbol != NULL && symbol->start == start ? symbol : NULL;
}

/* "f" and "f.cold" are one function. */
static bool is_one_function(const struct symbol *a, const struct symbol *b)
{
	size_t length = strcspn(a->name, ".");

	return a == b ||
	       (length == strcspn(b->name, ".") && strncmp(a->name, b->name, length) == 0);
}

/* What compilers put between a call through a pointer and its target. */
static bool is_thunk(const struct symbol *symbol)
{
	return strncmp(symbol->name, "__x86_indirect_thunk", 20) == 0 ||
	       strncmp(symbol->name, "__llvm_retpoline", 16) == 0;
}

/* The one function of the module that a function can end in; NULL: none, or it may be
 * another. `*reached`: `inner` is where it can end, or with no `inner` another module. */
static const struct symbol *next_by_jump(const struct module_symbols *m, const struct symbol *from,
					 const struct symbol *inner, bool *reached)
{
	uint64_t targets[JUMP_TARGETS_MAX];
	size_t count = jump_targets(m->files.module, from->start, from->size, &m->code, targets);
	const struct symbol *only = count == 1 ? function_at(m, targets[0]) : NULL;

	*reached = false;
	for (size_t i = 0; i < count; i++) {
		const struct symbol *to = function_at(m, targets[i]);

		*reached |= inner == NULL ? to == NULL : to == inner;
	}
	return *reached ? NULL : only;
}

/* The functions from the called one to where it ends; as above. */
static size_t follow_jumps(const struct module_symbols *m, const struct symbol *called,
			   const struct symbol *inner, const struct symbol **passed)
{
	size_t count = 0;
	bool reached = false;

	while (called != NULL && count < SYMBOLS_JUMPS_MAX && !reached) {
		if (inner != NULL && is_one_function(called, inner))
			return count;
		passed[count++] = called;
		called = next_by_jump(m, called, inner, &reached);
	}
	/* Where it went is not known, only that it was called. */
	return reached || count == 0 ? count : 1;
}

size_t symbols_jumped(struct symbols *s, const struct symbols_place *call,
		      const struct symbols_place *inner, struct frame frames[SYMBOLS_JUMPS_MAX])
{
	const struct symbol *called, *next = NULL, *passed[SYMBOLS_JUMPS_MAX];
	struct frame all[SYMBOLS_FRAMES_MAX];
	struct module_symbols *m;
	uint64_t target;
	size_t count;

	settle(s);
	m = get_module(s, call->path, call->build_id);
	if (m == NULL || call->pc < call->base ||
	    !call_target(m->files.module, call->pc - call->base + 1, &target))
		return 0;
	called = function_at(m, target);
	if (called == NULL || is_thunk(called))
		return 0;
	if (inner->path != NULL && inner->pc >= inner->base &&
	    get_module(s, inner->path, inner->build_id) == m)
		next = symbol_table_find(&m->table, inner->pc - inner->base);
	count = follow_jumps(m, called, next, passed);
	for (size_t i = 0; i < count; i++) {
		size_t outermost = answer_once(s, m, passed[i]->start, all) - 1;

		frames[i] = all[outermost];
		frames[i].address = call->base + passed[i]->start;
	}
	return count;
}

static void *work(void *argument)
{
	struct symbols *s = argument;
	struct frame frames[SYMBOLS_FRAMES_MAX];

	for (size_t i = 0; i < s->expected_count; i++) {
		const struct symbols_place *p = &s->expected[i];

		look_up(s, p->path, p->build_id, p->base, p->pc, frames, SYMBOLS_FRAMES_MAX);
	}
	return NULL;
}

/* Signals are the main thread's. */
static bool start(struct symbols *s)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	bool good;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	good = pthread_create(&s->thread, &attributes, work, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return good;
}

void symbols_expect(struct symbols *s, const struct symbols_place *places, size_t count)
{
	settle(s);
	s->expected = calloc(count + 1, sizeof(*s->expected));
	if (s->expected == NULL)
		return;
	/* The caller's names need not last. */
	for (size_t i = 0; i < count; i++) {
		const struct symbols_place *p = &places[i];

		s->expected[i] = *p;
		s->expected[i].path = arena_copy(s->arena, p->path, strlen(p->path));
		s->expected[i].build_id = arena_copy(s->arena, p->build_id, strlen(p->build_id));
	}
	s->expected_count = count;
	s->is_expecting = start(s);
	if (!s->is_expecting) {
		free(s->expected);
		s->expected = NULL;
	}
}

const char *symbols_variable(struct symbols *s, const char *path, const char *build_id,
			     uint64_t base, uint64_t address, uint64_t *offset)
{
	struct module_symbols *m;
	struct symbol *symbol;

	settle(s);
	m = get_module(s, path, build_id);
	if (m == NULL || address < base)
		return NULL;
	if (!m->data_loaded)
		m->data_loaded = symbol_table_load_data(&m->data, &m->files);
	symbol = m->data_loaded ? symbol_table_find(&m->data, address - base) : NULL;
	if (symbol == NULL)
		return NULL;
	*offset = address - base - symbol->start;
	return symbol_shown(symbol, s->arena);
}

const char *symbols_problem(struct symbols *s, const char *path, const char *build_id)
{
	struct module_symbols *m;

	settle(s);
	if (path == NULL || path[0] == '\0')
		return "generated code: in no file";
	m = find_module(s, path, build_id);
	return m != NULL ? m->problem : no_memory;
}

bool symbols_has_lines(struct symbols *s, const char *path, const char *build_id)
{
	struct module_symbols *m = NULL;

	settle(s);
	if (path != NULL && path[0] != '\0')
		m = find_module(s, path, build_id);
	return m != NULL && m->dwarf != NULL;
}
