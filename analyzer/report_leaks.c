/* SPDX-License-Identifier: MIT */
/*
 * Which of the blocks left at the end speak for a leak. The rules are few and
 * say themselves, in each leak's `why`: a run-time library's own pools and a
 * long run's one early block are no suspects; all else that was never freed is,
 * the more so the more blocks, the longer it went on and the larger its share.
 */
#include "analyzer/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "analyzer/suppressions.h"

#define STDIO_OWN 3 /* stdin, stdout, stderr */

__attribute__((format(printf, 2, 3))) static void why(struct leak *l, const char *format, ...)
{
	va_list arguments;

	if (l->why_count == LEAK_WHY)
		return;
	va_start(arguments, format);
	vsnprintf(l->why[l->why_count++], LEAK_WHY_ROOM, format, arguments);
	va_end(arguments);
}

/* JSON and text have the same sentence, in any character set: without the micro
 * sign that the text has elsewhere. */
static char *format_time(char out[FORMAT_ROOM], double s)
{
	if (!(s > 0 && s < 999.5e-6))
		return format_seconds(out, s, false);
	snprintf(out, FORMAT_ROOM, "%.3f ms", s * 1e3);
	return out;
}

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
	char at[FORMAT_ROOM], of[FORMAT_ROOM];

	if (class == MODULE_LOADER) {
		why(l, "the dynamic loader's own (libraries, thread-local storage)");
		return true;
	}
	if (class == MODULE_CXX && is_cxx_own(r, inner)) {
		why(l, "allocated by %s for itself, not through operator new",
		    node_module(run, inner));
		return true;
	}
	if (class != MODULE_PROGRAM && is_runtime_only(r, l->site->node)) {
		why(l, "allocated by %s for itself: no frame of the program is in the stack",
		    node_module(run, inner));
		return true;
	}
	if (class == MODULE_LIBC && l->site->live_blocks <= STDIO_OWN * images_of(l->site) &&
	    is_stdio_buffer(r, inner)) {
		why(l, "a buffer of stdio, which it keeps for the stream's life");
		return true;
	}
	if (l->site->live_in.processes != 0 &&
	    l->site->early_processes == l->site->live_in.processes) {
		why(l, "one block in each process that has it, allocated early and never again");
		return true;
	}
	if (l->site->live_in.processes == 0 && site_is_early(run, l->site)) {
		why(l, "one block, allocated %s after the start and never again in %s",
		    format_time(at, l->site->first_at_s), format_time(of, run->duration_s));
		return true;
	}
	return false;
}

static int score_freed(struct leak *l)
{
	const struct site *s = l->site;
	char live[FORMAT_ROOM], all[FORMAT_ROOM];

	format_count(live, s->live_blocks);
	format_count(all, s->allocations);
	if (s->allocations <= 1) {
		why(l, "the one block it allocated was never freed");
		return 0;
	}
	if (s->live_blocks >= s->allocations) {
		why(l, "none of its %s blocks was ever freed", all);
		return 20;
	}
	why(l, "%s of its %s blocks %s not freed", live, all, s->live_blocks == 1 ? "was" : "were");
	return s->live_blocks * 10 < s->allocations ? -20 : 5;
}

static int score_time(const struct run *run, struct leak *l)
{
	const struct site *s = l->site;
	char from[FORMAT_ROOM], to[FORMAT_ROOM];

	if (s->live_blocks < 3 || !(run->duration_s > 0) ||
	    s->last_live_at_s - s->first_at_s < run->duration_s / 2)
		return 0;
	why(l, "it went on for most of the run: from %s to %s after the start",
	    format_time(from, s->first_at_s), format_time(to, s->last_live_at_s));
	return 15;
}

static int score_share(const struct run *run, struct leak *l)
{
	double share = run->heap.live_bytes > 0
			       ? (double)l->site->live_bytes / (double)run->heap.live_bytes
			       : 0;
	char percent[FORMAT_ROOM];

	if (share < 0.1)
		return 0;
	why(l, "it is %s of all that was live at the end", format_percent(percent, share, 1));
	return 15;
}

/* Blocks of a process that was not done may yet have been freed. */
static int score_end(const struct run *run, struct leak *l)
{
	const struct site *s = l->site;

	if (s->live_in.processes != 0) {
		if (s->other_ends < s->live_in.processes)
			return 0;
		why(l, s->live_in.processes == 1
			       ? "its process did not end by exit: it may still have needed them"
			       : "none of its processes ended by exit: they may still have needed "
				 "them");
		return -15;
	}
	if (strcmp(run->end, "exit") == 0)
		return 0;
	why(l, "the process did not end by exit: it may still have needed them");
	return -15;
}

static void say_whose(struct leak *l)
{
	const struct holder *h = &l->site->live_in;
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];

	if (h->processes == 1)
		why(l, "left by process %d (%s)", h->pid, h->program);
	else if (h->processes > 1)
		why(l, "left by %s processes, %s of it by %d (%s)", format_count(n, h->processes),
		    format_bytes(bytes, (double)h->bytes), h->pid, h->program);
}

static void judge(struct report *r, struct leak *l)
{
	int score = 50;

	l->suspect = !is_innocent(r, l);
	say_whose(l);
	if (!l->suspect) {
		l->score = 5;
		return;
	}
	score += score_freed(l);
	score += score_time(r->run, l);
	score += score_share(r->run, l);
	score += score_end(r->run, l);
	l->score = score < 10 ? 10 : score > 100 ? 100 : score;
}

static int by_rank(const void *a, const void *b)
{
	const struct leak *x = a, *y = b;

	if (x->suspect != y->suspect)
		return x->suspect ? -1 : 1;
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
	why(l, "suppressed by '%.60s' (%.60s:%u)", by->name, base_name(by->file), by->line);
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

	r->leaks = calloc(count_live(run) + 1, sizeof(*r->leaks));
	if (r->leaks == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < run->site_count; i++) {
		struct leak *l = &r->leaks[r->leak_count];

		if (run->sites[i].live_blocks == 0)
			continue;
		l->site = &run->sites[i];
		judge(r, l);
		r->suspect_count += l->suspect;
		r->suspect_bytes += l->suspect ? l->site->live_bytes : 0;
		r->leak_count++;
	}
	qsort(r->leaks, r->leak_count, sizeof(*r->leaks), by_rank);
	return 0;
}
