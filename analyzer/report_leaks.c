/* SPDX-License-Identifier: MIT */
/*
 * Which of the blocks left at the end speak for a leak, and their order. A run-time
 * library's own pools are no suspects unless they grow; of all else the clues are asked
 * (leak_clues.c). Suspects come first, by what is to be expected of them; then by bytes.
 */
#include "analyzer/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "analyzer/leak_clues.h"
#include "analyzer/suppressions.h"

#define STDIO_OWN 3 /* stdin, stdout, stderr */

/* The innermost frame that is not ours; 0: no stack. */
static uint32_t innermost(const struct run *run, uint32_t node)
{
	const struct address *a;

	for (size_t i = 0; i < STACK_MAX && (a = node_address(run, node)) != NULL; i++) {
		if (address_class(run, a) != MODULE_OURS)
			return node;
		node = run->nodes[node].parent;
	}
	return 0;
}

/* The base name of a runtime library's module, for a sentence. */
static const char *node_module(const struct run *run, uint32_t node)
{
	return base_name(run->modules[node_address(run, node)->module].path);
}

/* Where whole stacks end: the loader's entry, a program's or a thread's. */
static bool is_outermost(struct report *r, uint32_t node)
{
	const struct address *a = node_address(r->run, node);
	const char *name = node_function(r, node);

	return (a != NULL && address_class(r->run, a) == MODULE_LOADER) ||
	       (name != NULL && (strcmp(name, "_start") == 0 || strncmp(name, "clone", 5) == 0 ||
				 strncmp(name, "__clone", 7) == 0));
}

/* No frame of the program in a stack that is whole. One that is cut, at the
 * depth asked for or where unwinding failed, may have it further out. */
static bool is_runtime_only(struct report *r, uint32_t node)
{
	const struct run *run = r->run;
	const struct address *a;
	uint32_t depth = 0, outer = 0;

	for (uint32_t n = node; node_address(run, n) != NULL; n = run->nodes[n].parent) {
		if (++depth >= run->depth || depth > STACK_MAX)
			return false;
		outer = n;
	}
	a = node_address(run, telling_node(r, node));
	return a != NULL && address_class(run, a) != MODULE_PROGRAM && is_outermost(r, outer);
}

/* A buffer that stdio makes at a stream's first use, and keeps until fclose. */
static bool is_stdio_buffer(struct report *r, uint32_t node)
{
	const char *name = node_function(r, node);

	return name != NULL && strcmp(name, "_IO_file_doallocate") == 0;
}

/* The C++ runtime allocates for the program only by operator new; its own pool
 * for exceptions comes straight from malloc. Known only where it has names. */
static bool is_cxx_own(struct report *r, uint32_t node)
{
	const struct address *a = node_address(r->run, node);
	const struct module *m = &r->run->modules[a->module];
	const char *name = node_function(r, node);

	if (name == NULL)
		return symbols_problem(r->symbols, m->path, m->build_id) == NULL;
	return strncmp(name, "operator new", 12) != 0;
}

/* Of a tree, how many have some of its blocks. */
static uint64_t images_of(const struct site *s)
{
	return s->live_in.processes != 0 ? s->live_in.processes : 1;
}

/* true when the blocks are explained, with the sentence that says how. */
static bool is_innocent(struct report *r, struct leak *l)
{
	const struct run *run = r->run;
	uint32_t inner = innermost(run, l->site->node);
	const struct address *a = node_address(run, inner);
	enum module_class class = a != NULL ? address_class(run, a) : MODULE_PROGRAM;

	/* Whatever a library keeps for itself does not grow all along. */
	if (l->site->growth.form != GROWTH_NONE && !is_runtime_only(r, l->site->node))
		return false;
	if (class == MODULE_LOADER) {
		leak_why(l, "the dynamic loader's own (libraries, thread-local storage)");
		return true;
	}
	if (class == MODULE_CXX && is_cxx_own(r, inner)) {
		leak_why(l, "allocated by %s for itself, not through operator new",
			 node_module(run, inner));
		return true;
	}
	if (class != MODULE_PROGRAM && is_runtime_only(r, l->site->node)) {
		leak_why(l, "allocated by %s for itself: no frame of the program is in the stack",
			 node_module(run, inner));
		return true;
	}
	if (class == MODULE_LIBC && l->site->live_blocks <= STDIO_OWN * images_of(l->site) &&
	    is_stdio_buffer(r, inner)) {
		leak_why(l, "a buffer of stdio, which it keeps for the stream's life");
		return true;
	}
	return false;
}

static void say_whose(struct leak *l)
{
	const struct holder *h = &l->site->live_in;
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	if (h->processes == 1)
		leak_why(l, "left by process %d (%s)", h->pid, h->program);
	else if (h->processes > 1)
		leak_why(l, "left by %s processes, %s of it by %d (%s)",
			 format_count(n, h->processes), format_bytes(bytes, (double)h->bytes),
			 h->pid, h->program);
}

static void judge(struct report *r, struct leak *l, const struct siblings *by_node)
{
	struct siblings siblings;

	if (is_innocent(r, l)) {
		l->score = 5;
		say_whose(l);
		return;
	}
	siblings = siblings_of(r, by_node, l->site);
	leak_judge(r, l, &siblings);
	say_whose(l);
}

/* What is to be expected of it: how fast it grows, by how sure it is. */
static double damage_of(const struct leak *l)
{
	double slope = l->site->growth.slope_bytes_per_hour;

	return slope > 0 && l->suspect ? slope * l->score : 0;
}

/* What is lost needs no judgement; but what was lost once harms less than what grows. */
static int urgency_of(const struct leak *l)
{
	bool is_lost = leak_is_lost(l);

	if (!l->suspect)
		return 0;
	if (is_lost && l->site->growth.form != GROWTH_NONE)
		return 4;
	return damage_of(l) > 0 ? 3 : is_lost ? 2 : 1;
}

static int by_rank(const void *a, const void *b)
{
	const struct leak *x = a, *y = b;

	if (urgency_of(x) != urgency_of(y))
		return urgency_of(y) - urgency_of(x);
	if (damage_of(x) < damage_of(y))
		return 1;
	if (damage_of(x) > damage_of(y))
		return -1;
	if (x->site->live_bytes != y->site->live_bytes)
		return x->site->live_bytes > y->site->live_bytes ? -1 : 1;
	if (x->site->live_blocks != y->site->live_blocks)
		return x->site->live_blocks > y->site->live_blocks ? -1 : 1;
	return x->site->node < y->site->node ? -1 : x->site->node > y->site->node;
}

static size_t count_live(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->site_count; i++)
		count += run->sites[i].live_blocks > 0;
	return count;
}

uint64_t leaked_bytes(const struct report *r, const struct leak *l)
{
	if (l->suppressed != NULL)
		return 0;
	if (!r->run->heap.reach.made)
		return l->suspect ? l->site->live_bytes : 0;
	return l->site->reach[REACH_LOST].bytes + l->site->reach[REACH_INDIRECT].bytes;
}

static void suppress(struct report *r, struct leak *l, const struct suppression *by)
{
	l->suppressed = by;
	r->suppressed_bytes += l->site->live_bytes;
	r->suppressed_blocks += l->site->live_blocks;
	if (l->suspect) {
		r->suspect_count--;
		r->suspect_bytes -= l->site->live_bytes;
	}
	l->suspect = false;
	l->score = 0;
	l->why_count = 0;
	leak_why(l, "suppressed by '%.60s' (%.60s:%u)", by->name, base_name(by->file), by->line);
}

void suppress_leaks(struct report *r, const struct suppressions *s, suppressed_fn *suppressed,
		    void *context)
{
	r->suppressions = s;
	for (size_t i = 0; i < r->leak_count; i++) {
		const struct suppression *by = suppressed(context, &r->leaks[i]);

		if (by != NULL)
			suppress(r, &r->leaks[i], by);
	}
	qsort(r->leaks, r->leak_count, sizeof(*r->leaks), by_rank);
}

int rank_leaks(struct report *r, struct error *e)
{
	const struct run *run = r->run;
	struct siblings *by_node = siblings_count(run);

	r->leaks = calloc(count_live(run) + 1, sizeof(*r->leaks));
	if (r->leaks == NULL || by_node == NULL) {
		free(by_node);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	for (size_t i = 0; i < run->site_count; i++) {
		struct leak *l = &r->leaks[r->leak_count];

		if (run->sites[i].live_blocks == 0)
			continue;
		l->site = &run->sites[i];
		judge(r, l, by_node);
		r->suspect_count += l->suspect;
		r->suspect_bytes += l->suspect ? l->site->live_bytes : 0;
		r->leak_count++;
	}
	free(by_node);
	qsort(r->leaks, r->leak_count, sizeof(*r->leaks), by_rank);
	return 0;
}
