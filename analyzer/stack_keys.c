/* SPDX-License-Identifier: MIT */
/* Stacks of several runs under one set of keys: a tree of frames by their names. */
#include "analyzer/stack_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/arena.h"
#include "analyzer/canonical.h"
#include "analyzer/map.h"
#include "analyzer/vector.h"

enum {
	PERIOD_MAX = 8, /* functions of one round of a recursion */
	LOOSE_UNKNOWN = UINT32_MAX,
};

/* Functions of one name in files of one name. */
struct key_frame {
	uint32_t bare, scoped; /* numbers of its names; 0: it has none */
	bool has_scope;
	bool library; /* of the language */
	bool runtime; /* of libc or the loader */
};

/* A key: a frame, and the key of what it was called by. */
struct key_node {
	uint32_t parent, frame;
	bool runtime;	/* so are all frames of it */
	uint32_t loose; /* in loose[]; LOOSE_UNKNOWN: not asked for */
};

struct name {
	const char *text;
	uint32_t frame; /* of an exact name */
};

struct stack_keys {
	struct arena *arena;
	struct name *names; /* exact, scoped and bare ones; [0]: none */
	size_t name_count, name_room;
	struct index name_index;
	struct key_frame *frames;
	size_t frame_count, frame_room;
	struct key_node *nodes; /* [0]: no stack */
	size_t node_count, node_room;
	struct index node_index;
	uint32_t *loose; /* runs of frames, each behind its length */
	size_t loose_count, loose_room;
	bool failed;
};

struct stack_keys *stack_keys_new(void)
{
	struct stack_keys *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->arena = arena_new();
	if (k->arena == NULL || !vector_reserve(k->names, k->name_room, 1) ||
	    !vector_reserve(k->nodes, k->node_room, 1)) {
		stack_keys_free(k);
		return NULL;
	}
	k->names[k->name_count++] = (struct name){.text = ""};
	k->nodes[k->node_count++] = (struct key_node){.runtime = true, .loose = LOOSE_UNKNOWN};
	return k;
}

void stack_keys_free(struct stack_keys *k)
{
	if (k == NULL)
		return;
	if (k->arena != NULL)
		arena_free(k->arena);
	free(k->names);
	free(k->frames);
	free(k->nodes);
	free(k->loose);
	index_free(&k->name_index);
	index_free(&k->node_index);
	free(k);
}

bool stack_keys_failed(const struct stack_keys *k)
{
	return k->failed;
}

/* The number of a name; `*added` says that it is a new one. */
static uint32_t intern(struct stack_keys *k, const char *text, bool *added)
{
	size_t length = strlen(text), at = SIZE_MAX;
	uint64_t hash = map_hash_bytes(text, length);
	uint32_t place;

	*added = false;
	while ((place = index_find(&k->name_index, hash, &at)) != 0)
		if (strcmp(k->names[place - 1].text, text) == 0)
			return place - 1;
	if (k->name_count >= UINT32_MAX - 1 ||
	    !vector_reserve(k->names, k->name_room, k->name_count + 1) ||
	    !index_insert(&k->name_index, hash, (uint32_t)k->name_count + 1)) {
		k->failed = true;
		return 0;
	}
	k->names[k->name_count] =
		(struct name){.text = arena_copy(k->arena, text, length), .frame = UINT32_MAX};
	*added = true;
	return (uint32_t)k->name_count++;
}

static bool is_runtime(const struct frame *f)
{
	enum module_class class = module_class(f->module);

	return class == MODULE_LIBC || class == MODULE_LOADER;
}

/* "libfoo.so" of "/lib/libfoo.so.1.2"; the program is one whatever its name. */
static void put_module(char *out, size_t room, const struct frame *f, const char *executable)
{
	const char *base, *suffix;

	if (f->module == NULL) {
		snprintf(out, room, "?");
		return;
	}
	if (executable != NULL && strcmp(f->module, executable) == 0) {
		snprintf(out, room, "program");
		return;
	}
	base = base_name(f->module);
	suffix = strstr(base, ".so.");
	snprintf(out, room, "%.*s", suffix != NULL ? (int)(suffix - base) + 3 : (int)strlen(base),
		 base);
}

/* What tells a frame from others: its function and file, or else its module. A control
 * character keeps the parts apart. */
static char *exact_name(const struct frame *f, const char *executable, bool same_build)
{
	size_t function = f->function != NULL ? strlen(f->function) : 0;
	const char *file = f->file != NULL ? base_name(f->file) : "";
	size_t room = function + strlen(file) + 320;
	char *out = malloc(room), *end = out;

	if (out == NULL)
		return NULL;
	*end = '\0';
	if (f->function != NULL)
		end += strlen(canonical_name(end, f->function));
	*end++ = '\x01';
	if (f->function != NULL && f->file != NULL)
		strcpy(end, file);
	else
		put_module(end, 300, f, executable);
	if (f->function == NULL && same_build)
		snprintf(end + strlen(end), 20, "+%" PRIx64, f->module_offset);
	return out;
}

/* Of an exact name with a function in it. */
static void add_names(struct stack_keys *k, struct key_frame *frame, const char *exact)
{
	size_t length = strcspn(exact, "\x01");
	char *name = strndup(exact, length), *scoped = malloc(length + 1);
	const char *bare;
	bool added;

	if (name == NULL || scoped == NULL) {
		k->failed = true;
	} else if (length > 0) {
		bare = bare_name(scoped_name(scoped, name));
		frame->scoped = intern(k, scoped, &added);
		frame->bare = intern(k, bare, &added);
		frame->has_scope = bare != scoped;
	}
	free(name);
	free(scoped);
}

static uint32_t add_frame(struct stack_keys *k, const struct frame *f, const char *exact)
{
	struct key_frame made = {.runtime = is_runtime(f)};

	/* By its file, too: what is inlined may have no scopes. */
	made.library = f->function != NULL && (is_library_name(exact) || is_library_file(f->file));
	add_names(k, &made, exact);
	if (k->frame_count >= UINT32_MAX - 1 ||
	    !vector_reserve(k->frames, k->frame_room, k->frame_count + 1)) {
		k->failed = true;
		return 0;
	}
	k->frames[k->frame_count] = made;
	return (uint32_t)k->frame_count++;
}

/* The number of a frame's kind; UINT32_MAX: out of memory. */
static uint32_t frame_number(struct stack_keys *k, const struct frame *f, const char *executable,
			     bool same_build)
{
	char *exact = exact_name(f, executable, same_build);
	uint32_t name, frame;
	bool added;

	if (exact == NULL) {
		k->failed = true;
		return UINT32_MAX;
	}
	name = intern(k, exact, &added);
	if (!k->failed && k->names[name].frame == UINT32_MAX) {
		frame = add_frame(k, f, exact);
		k->names[name].frame = frame;
	}
	free(exact);
	return k->failed ? UINT32_MAX : k->names[name].frame;
}

static uint32_t add_node(struct stack_keys *k, uint32_t parent, uint32_t frame, bool runtime)
{
	uint64_t hash = map_hash((uint64_t)parent << 32 | frame);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&k->node_index, hash, &at)) != 0)
		if (k->nodes[place].parent == parent && k->nodes[place].frame == frame)
			return place;
	if (k->node_count >= LOOSE_UNKNOWN ||
	    !vector_reserve(k->nodes, k->node_room, k->node_count + 1) ||
	    !index_insert(&k->node_index, hash, (uint32_t)k->node_count)) {
		k->failed = true;
		return parent;
	}
	k->nodes[k->node_count] = (struct key_node){
		.parent = parent, .frame = frame, .runtime = runtime, .loose = LOOSE_UNKNOWN};
	return (uint32_t)k->node_count++;
}

/* `frame` put on `key`, are the innermost `period` frames those before them once more?
 * `before` is that many frames further out. */
static bool is_round(const struct stack_keys *k, uint32_t key, uint32_t frame, uint32_t before,
		     int period)
{
	uint32_t inner = key, outer = k->nodes[before].parent;

	if (k->nodes[before].frame != frame)
		return false;
	for (int i = 1; i < period; i++) {
		if (outer == 0 || k->nodes[inner].frame != k->nodes[outer].frame)
			return false;
		inner = k->nodes[inner].parent;
		outer = k->nodes[outer].parent;
	}
	return true;
}

/* The key without a recursion's second round, if `frame` ends one; else 0. */
static uint32_t fold(const struct stack_keys *k, uint32_t key, uint32_t frame)
{
	uint32_t before = key;

	for (int period = 1; period <= PERIOD_MAX && before != 0; period++) {
		if (is_round(k, key, frame, before, period))
			return before;
		before = k->nodes[before].parent;
	}
	return 0;
}

/* `_start`, which calls libc, which calls main. */
static bool is_start(const struct stack_keys *k, uint32_t key, const struct frame *f)
{
	return key != 0 && k->nodes[key].parent == 0 && f->function != NULL &&
	       strncmp(f->function, "__libc_start_main", 17) == 0;
}

uint32_t stack_keys_push(struct stack_keys *k, uint32_t key, const struct frame *frame,
			 const char *executable, bool same_build)
{
	uint32_t number, folded;
	bool runtime = is_runtime(frame);

	if (k->failed)
		return 0;
	if (runtime && is_start(k, key, frame))
		key = 0;
	if (!runtime && k->nodes[key].runtime)
		key = 0; /* what only leads to it says nothing */
	number = frame_number(k, frame, executable, same_build);
	if (number == UINT32_MAX)
		return 0;
	if (key != 0 && k->frames[number].library && k->frames[k->nodes[key].frame].library)
		return key;
	folded = fold(k, key, number);
	return folded != 0 ? folded : add_node(k, key, number, runtime && k->nodes[key].runtime);
}

/* ---- Loose names ---- */

bool stack_keys_alike(const struct stack_keys *k, uint32_t a, uint32_t b)
{
	const struct key_frame *x = &k->frames[a], *y = &k->frames[b];

	return x->bare == y->bare && x->library == y->library &&
	       (x->scoped == y->scoped || !x->has_scope || !y->has_scope);
}

bool stack_keys_is_library(const struct stack_keys *k, uint32_t frame)
{
	return k->frames[frame].library;
}

static bool are_alike(const struct stack_keys *k, const uint32_t *a, const uint32_t *b,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!stack_keys_alike(k, a[i], b[i]))
			return false;
	return true;
}

static size_t without_rounds(const struct stack_keys *k, uint32_t *frames, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		bool again = false;

		frames[kept++] = frames[i];
		for (size_t p = 1; p <= PERIOD_MAX && 2 * p <= kept && !again; p++) {
			again = are_alike(k, &frames[kept - p], &frames[kept - 2 * p], p);
			if (again)
				kept -= p;
		}
	}
	return kept;
}

static uint32_t make_loose(struct stack_keys *k, uint32_t key)
{
	size_t begin = k->loose_count, count = 0, i;

	for (uint32_t n = key; n != 0; n = k->nodes[n].parent)
		count += k->frames[k->nodes[n].frame].bare != 0;
	if (begin + count + 1 >= LOOSE_UNKNOWN ||
	    !vector_reserve(k->loose, k->loose_room, begin + count + 1)) {
		k->failed = true;
		return LOOSE_UNKNOWN;
	}
	i = begin + 1 + count;
	for (uint32_t n = key; n != 0; n = k->nodes[n].parent)
		if (k->frames[k->nodes[n].frame].bare != 0)
			k->loose[--i] = k->nodes[n].frame;
	count = without_rounds(k, &k->loose[begin + 1], count);
	k->loose[begin] = (uint32_t)count;
	k->loose_count = begin + 1 + count;
	return (uint32_t)begin;
}

size_t stack_keys_loose(struct stack_keys *k, uint32_t key, const uint32_t **frames)
{
	struct key_node *node = &k->nodes[key];

	*frames = NULL;
	if (node->loose == LOOSE_UNKNOWN)
		node->loose = make_loose(k, key);
	if (node->loose == LOOSE_UNKNOWN)
		return 0;
	*frames = &k->loose[node->loose + 1];
	return k->loose[node->loose];
}

uint64_t stack_keys_loose_hash(struct stack_keys *k, uint32_t key, bool own)
{
	const uint32_t *frames;
	size_t count = stack_keys_loose(k, key, &frames);
	uint64_t hash = 1;

	for (size_t i = 0; i < count; i++)
		if (!own || !k->frames[frames[i]].library)
			hash = map_hash(hash ^ k->frames[frames[i]].bare);
	return hash;
}

/* ---- A report's stacks ---- */

static bool has_build(const struct run *run, const struct module *m)
{
	for (size_t i = 0; i < run->module_count && m->build_id[0] != '\0'; i++)
		if (strcmp(run->modules[i].build_id, m->build_id) == 0)
			return true;
	return false;
}

bool keyed_report_open(struct keyed_report *r, struct stack_keys *keys, struct report *report,
		       const struct run *other)
{
	const struct run *run = report->run;

	*r = (struct keyed_report){.keys = keys, .report = report};
	r->of_node = calloc(run->node_count + 1, sizeof(*r->of_node));
	r->same_build = calloc(run->module_count + 1, sizeof(*r->same_build));
	if (r->of_node == NULL || r->same_build == NULL)
		return false;
	for (size_t i = 0; i < run->module_count; i++)
		r->same_build[i] = has_build(other, &run->modules[i]);
	return true;
}

void keyed_report_close(struct keyed_report *r)
{
	free(r->of_node);
	free(r->same_build);
	free(r->chain);
	*r = (struct keyed_report){0};
}

/* The functions that ended in a jump, between the call at `node` and the function whose
 * frame is `inner` (0: the recorded call). */
static uint32_t push_jumped(struct keyed_report *r, uint32_t key, uint32_t node, uint32_t inner)
{
	const struct run *run = r->report->run;
	const struct symbols_place call = node_place(run, node), called = node_place(run, inner);
	struct frame frames[SYMBOLS_JUMPS_MAX];
	size_t count = symbols_jumped(r->report->symbols, &call, &called, frames);

	/* These have names. */
	for (size_t i = 0; i < count; i++)
		key = stack_keys_push(r->keys, key, &frames[i], run->executable, false);
	return key;
}

/* With the frames of one address, of which the outermost is the function itself. */
static uint32_t push_address(struct keyed_report *r, uint32_t key, uint32_t node)
{
	const struct run *run = r->report->run;
	const struct address *a = node_address(run, node);
	uint32_t parent = run->nodes[node].parent;
	const struct frame *frames;
	size_t count;

	if (address_class(run, a) == MODULE_OURS)
		return key;
	frames = node_frames(r->report, node, &count);
	if (frames == NULL) {
		r->keys->failed = true;
		return key;
	}
	key = push_jumped(r, key, parent, node);
	for (size_t i = count; i-- > 0;)
		key = stack_keys_push(r->keys, key, &frames[i], run->executable,
				      a->module >= 0 && (size_t)a->module < run->module_count &&
					      r->same_build[a->module]);
	return key;
}

/* Of the frames at and around a node. */
static uint32_t key_around(struct keyed_report *r, uint32_t node)
{
	const struct run *run = r->report->run;
	uint32_t key = 0;
	size_t count = 0;

	/* A number that is not in the run ends the stack; a ring of nodes does too. */
	while (node_address(run, node) != NULL && r->of_node[node] == 0 &&
	       count < run->node_count) {
		if (!vector_reserve(r->chain, r->chain_room, count + 1)) {
			r->keys->failed = true;
			return 0;
		}
		r->chain[count++] = node;
		node = run->nodes[node].parent;
	}
	if (node_address(run, node) != NULL && r->of_node[node] != 0)
		key = r->of_node[node] - 1;
	while (count-- > 0) {
		key = push_address(r, key, r->chain[count]);
		r->of_node[r->chain[count]] = key + 1;
	}
	return key;
}

uint32_t keyed_report_key(struct keyed_report *r, uint32_t node)
{
	const struct run *run = r->report->run;
	uint32_t key = key_around(r, node);

	while (node_address(run, node) != NULL &&
	       address_class(run, node_address(run, node)) == MODULE_OURS)
		node = run->nodes[node].parent;
	return push_jumped(r, key, node, 0);
}
