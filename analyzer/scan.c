/* SPDX-License-Identifier: MIT */
#include "analyzer/scan.h"

#include <time.h>

#define NEAR	65536	    /* blocks this close are read at once */
#define AT_ONCE (64u << 20) /* bytes read at once, at most */

/* What the guesses about pointers look at. */
struct sight {
	struct memory *memory;
	const struct maps *maps;
};

static bool word_of(void *context, uint64_t address, uint64_t *out)
{
	const struct sight *s = context;

	return memory_word(s->memory, address, out);
}

static bool file_at(void *context, uint64_t address, bool *code)
{
	const struct sight *s = context;
	const struct mapping *m = maps_at(s->maps, address);

	*code = m != NULL && m->inode != 0 && m->execute;
	return m != NULL && m->inode != 0 && m->read;
}

/* ---- roots -------------------------------------------------------------------- */

static void take_root(void *context, uint64_t address, const uint64_t *words, size_t count)
{
	(void)address;
	reach_words(context, words, count);
}

static void look_at_registers(struct reach_graph *g, const struct stop *stop)
{
	for (size_t i = 0; i < stop->count; i++) {
		const struct stopped_thread *t = &stop->threads[i];

		reach_words(g, t->registers, t->register_count);
		reach_words(g, t->vectors, t->vector_words);
	}
}

static void look_at_roots(struct reach_graph *g, const struct roots *r, struct kept *kept)
{
	reach_from(g, REACH_ROOTS);
	for (size_t i = 0; i < r->count; i++)
		memory_each(&kept->memory, r->list[i].start, r->list[i].end, !r->list[i].shared,
			    take_root, g);
	look_at_registers(g, &kept->stop);
}

/* ---- blocks --------------------------------------------------------------------- */

struct walk {
	struct reach_graph *graph;
	const struct reach_block *blocks;
	size_t count, at; /* `at`: the first that may have more words */
	size_t from;	  /* the last that words were said to be of */
};

static uint64_t end_of(const struct reach_block *b)
{
	uint64_t end;

	return __builtin_add_overflow(b->address, b->size, &end) ? UINT64_MAX : end;
}

/* The same as far as there is memory: a size may be anything. */
static uint64_t mapped_end(const struct reach_block *b, const struct maps *maps)
{
	const struct mapping *m = maps_at(maps, b->address), *last;
	uint64_t end = end_of(b);

	if (m == NULL)
		return b->address;
	for (last = &maps->list[maps->count - 1]; m->end < end; m++)
		if (m == last || m[1].start != m->end)
			return m->end;
	return end;
}

/* Of each block the aligned words that lie in it. */
static void take_blocks(void *context, uint64_t address, const uint64_t *words, size_t count)
{
	struct walk *w = context;
	uint64_t end = address + count * sizeof(*words);

	for (; w->at < w->count && w->blocks[w->at].address < end; w->at++) {
		const struct reach_block *b = &w->blocks[w->at];
		uint64_t from = (b->address + 7) & ~UINT64_C(7), to = end_of(b) & ~UINT64_C(7);

		from = from > address ? from : address;
		to = to < end ? to : end;
		if (from < to) {
			if (w->from != w->at)
				reach_from(w->graph, w->at);
			w->from = w->at;
			reach_words(w->graph, words + (from - address) / sizeof(*words),
				    (to - from) / sizeof(*words));
		}
		if (end_of(b) > end)
			break;
	}
}

static void look_at_blocks(struct reach_graph *g, const struct reach_block *blocks, size_t count,
			   struct kept *kept)
{
	struct walk w = {.graph = g, .blocks = blocks, .count = count, .from = REACH_ROOTS};

	for (size_t i = 0; i < count;) {
		uint64_t start = blocks[i].address, end = mapped_end(&blocks[i], &kept->maps);

		for (i++; i < count && blocks[i].address - end < NEAR && end - start < AT_ONCE;
		     i++) {
			uint64_t next = mapped_end(&blocks[i], &kept->maps);

			end = next > end ? next : end;
		}
		memory_each(&kept->memory, start, end, false, take_blocks, &w);
		w.at = i;
	}
}

/* ---- all -------------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int scan_blocks(struct scan *s, struct reach_block *blocks, size_t count, struct kept *kept,
		struct roots_source *source, struct error *e)
{
	struct sight sight = {&kept->memory, &kept->maps};
	const struct reach_memory memory = {word_of, file_at, &sight};
	double began = now_s();
	struct reach_graph *g = reach_begin(blocks, count, &memory);
	struct roots roots;
	bool good;

	if (g == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory for %zu blocks", count);
	source->maps = &kept->maps;
	source->threads = kept->stop.threads;
	source->thread_count = kept->stop.count;
	source->memory = &kept->memory;
	source->headers = kept->program_headers;
	source->header_count = kept->program_header_count;
	source->blocks = blocks;
	source->block_count = count;
	roots_find(&roots, source);
	kept->memory.read = kept->memory.unreadable = 0;
	look_at_roots(g, &roots, kept);
	*s = (struct scan){.roots_bytes = kept->memory.read,
			   .shared_bytes = roots.shared_bytes,
			   .foreign_blocks = roots.foreign_blocks};
	look_at_blocks(g, blocks, count, kept);
	s->blocks_bytes = kept->memory.read - s->roots_bytes;
	s->unreadable_bytes = kept->memory.unreadable;
	good = !roots.failed && reach_judge(g);
	reach_free(g);
	roots_free(&roots);
	s->took_s = now_s() - began;
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory for %zu blocks", count);
}

void scan_sum_up(struct run *run, const struct reach_block *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct reach_block *b = &blocks[i];

		run->heap.reach.sums[b->class].bytes += b->size;
		run->heap.reach.sums[b->class].blocks++;
		if (b->site >= run->site_count)
			continue;
		run->sites[b->site].reach[b->class].bytes += b->size;
		run->sites[b->site].reach[b->class].blocks++;
	}
	run->heap.reach.made = true;
}
