/* SPDX-License-Identifier: MIT */
/*
 * The merge and replay against a simulated program whose truth is known: threads
 * allocate, reallocate and free each other's blocks in one true order; their
 * events get the coarse stamp of a clock that ticks every so often, and go to
 * the thread's own stream.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/merge.h"
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/make_trace.h"

enum { SLOTS = 400, SITES = 40, THREADS_MAX = 24, EVENTS = 60000 };

struct slot {
	bool live;
	uint64_t size;
	unsigned site, thread;
	/* Within the present tick: who touched it, and how often. */
	uint64_t touched_at;
	unsigned touched_by, touches;
};

struct truth {
	uint64_t allocations, frees, allocated_bytes, peak_bytes, peak_blocks, live_bytes,
		live_blocks, temporary;
	struct {
		uint64_t allocations, allocated_bytes, frees, live_bytes, live_blocks, peak_bytes;
	} sites[SITES];
};

struct program {
	unsigned threads, tick; /* events between two ticks of the clock */
	bool any_reuse;		/* an address may go from thread to thread within a tick: then
				 * which block is which cannot be known, and sizes follow the
				 * address so that the sums can */
	uint64_t seed;
	struct make_trace t;
	uint32_t nodes[SITES];
	struct slot slots[SLOTS];
	uint64_t last[THREADS_MAX]; /* slot + 1 of the last allocation */
	uint64_t stamp;
	struct truth truth;
};

static uint64_t next_random(struct program *p)
{
	p->seed ^= p->seed << 13;
	p->seed ^= p->seed >> 7;
	p->seed ^= p->seed << 17;
	return p->seed >> 11;
}

static uint64_t address_of(size_t slot)
{
	return 0x7f0000000000 + slot * 64;
}

static uint64_t choose_size(struct program *p, size_t slot)
{
	return p->any_reuse ? 1 + slot * 7 % 900 : next_random(p) % 5000;
}

static void note_peak(struct program *p)
{
	if (p->truth.live_bytes < p->truth.peak_bytes)
		return;
	p->truth.peak_bytes = p->truth.live_bytes;
	p->truth.peak_blocks = p->truth.live_blocks;
	for (int i = 0; i < SITES; i++)
		p->truth.sites[i].peak_bytes = p->truth.sites[i].live_bytes;
}

static void take(struct program *p, size_t slot, unsigned thread, unsigned site, uint64_t size)
{
	struct slot *s = &p->slots[slot];

	s->live = true;
	s->size = size;
	s->site = site;
	s->thread = thread;
	p->truth.allocations++;
	p->truth.allocated_bytes += size;
	p->truth.sites[site].allocations++;
	p->truth.sites[site].allocated_bytes += size;
	p->truth.live_bytes += size;
	p->truth.live_blocks++;
	p->truth.sites[site].live_bytes += size;
	p->truth.sites[site].live_blocks++;
	p->last[thread] = slot + 1;
}

static void give(struct program *p, size_t slot)
{
	struct slot *s = &p->slots[slot];

	p->truth.frees++;
	p->truth.sites[s->site].frees++;
	p->truth.live_bytes -= s->size;
	p->truth.live_blocks--;
	p->truth.sites[s->site].live_bytes -= s->size;
	p->truth.sites[s->site].live_blocks--;
	s->live = false;
}

/* May the thread touch this address without making the tick ambiguous? One
 * thread may do so as it likes; or one does once, and another one once after it. */
static bool may_touch(const struct program *p, size_t slot, unsigned thread)
{
	const struct slot *s = &p->slots[slot];

	if (p->any_reuse || s->touched_at != p->stamp)
		return true;
	return s->touched_by == thread || s->touches == 1;
}

static void touch(struct program *p, size_t slot, unsigned thread)
{
	struct slot *s = &p->slots[slot];
	bool first = s->touched_at != p->stamp;

	s->touches = first ? 1 : s->touches + 1;
	/* After a second thread, nobody's. */
	if (first)
		s->touched_by = thread;
	else if (s->touched_by != thread)
		s->touched_by = THREADS_MAX;
	s->touched_at = p->stamp;
}

static void do_alloc(struct program *p, size_t slot, unsigned thread)
{
	unsigned site = (unsigned)(next_random(p) % SITES);
	uint64_t size = choose_size(p, slot);

	take(p, slot, thread, site, size);
	note_peak(p);
	make_memory(&p->t, thread + 1, p->stamp, PH_OP_malloc, address_of(slot), size,
		    p->nodes[site]);
}

static void do_free(struct program *p, size_t slot, unsigned thread)
{
	if (p->slots[slot].thread == thread && p->last[thread] == slot + 1) {
		p->truth.temporary++;
		p->last[thread] = 0;
	}
	give(p, slot);
	make_memory(&p->t, thread + 1, p->stamp, PH_OP_free, address_of(slot), 0, 0);
}

/* From one slot to another, or in place. */
static void do_realloc(struct program *p, size_t from, size_t to, unsigned thread)
{
	unsigned site = (unsigned)(next_random(p) % SITES);
	uint64_t size = choose_size(p, to);

	make_memory(&p->t, thread + 1, p->stamp, PH_OP_REALLOC_BEGIN, address_of(from), 0, 0);
	if (next_random(p) % 8 == 0) {
		make_memory(&p->t, thread + 1, p->stamp, PH_OP_REALLOC_FAILED, address_of(from), 0,
			    0);
		return;
	}
	give(p, from);
	take(p, to, thread, site, size);
	note_peak(p);
	make_memory(&p->t, thread + 1, p->stamp, PH_OP_realloc, address_of(to), size,
		    p->nodes[site]);
}

/* One step of one thread, if it may do what chance wants. */
static void step(struct program *p)
{
	unsigned thread = (unsigned)(next_random(p) % p->threads);
	size_t slot = next_random(p) % SLOTS, other = next_random(p) % SLOTS;

	if (!may_touch(p, slot, thread))
		return;
	if (!p->slots[slot].live) {
		touch(p, slot, thread);
		do_alloc(p, slot, thread);
	} else if (next_random(p) % 4 != 0) {
		touch(p, slot, thread);
		do_free(p, slot, thread);
	} else if (other == slot || (!p->slots[other].live && may_touch(p, other, thread))) {
		/* Twice, since a realloc takes the address out and puts one in. */
		touch(p, slot, thread);
		touch(p, slot, thread);
		touch(p, other, thread);
		do_realloc(p, slot, other, thread);
	}
}

static void simulate(struct program *p)
{
	make_trace_begin(&p->t);
	for (int i = 0; i < SITES; i++)
		p->nodes[i] = make_node(&p->t, 0, 0x1000 + (uint64_t)i);
	for (unsigned i = 1; i <= p->threads; i++)
		make_stream(&p->t, i)->cells_per_block = 700;
	for (unsigned i = 0; i < EVENTS; i++) {
		if (i % p->tick == 0)
			p->stamp += 1000;
		step(p);
	}
}

static void compare_sums(const struct program *p, const struct run *run)
{
	const struct truth *t = &p->truth;
	const struct heap *h = &run->heap;

	assert_true(run->complete);
	assert_int_equal(h->unmatched_frees, 0);
	assert_int_equal(run->notice_count, 0);
	assert_int_equal(h->allocations, t->allocations);
	assert_int_equal(h->frees, t->frees);
	assert_int_equal(h->allocated_bytes, t->allocated_bytes);
	assert_int_equal(h->live_bytes, t->live_bytes);
	assert_int_equal(h->live_blocks, t->live_blocks);
	assert_true(h->peak_bytes + h->peak_uncertainty_bytes >= t->peak_bytes);
}

/* What holds of any run: the sites add up to the whole. */
static void compare_to_itself(const struct run *run)
{
	uint64_t live = 0, blocks = 0, peak = 0, peak_blocks = 0, frees = 0, highest = 0;

	for (size_t i = 0; i < run->site_count; i++) {
		live += run->sites[i].live_bytes;
		blocks += run->sites[i].live_blocks;
		peak += run->sites[i].peak_bytes;
		peak_blocks += run->sites[i].peak_blocks;
		frees += run->sites[i].frees;
	}
	for (size_t i = 0; i < run->heap.timeline_count; i++) {
		if (run->heap.timeline[i].live_bytes > highest)
			highest = run->heap.timeline[i].live_bytes;
	}
	assert_int_equal(live, run->heap.live_bytes);
	assert_int_equal(blocks, run->heap.live_blocks);
	assert_int_equal(peak, run->heap.peak_bytes);
	assert_int_equal(peak_blocks, run->heap.peak_blocks);
	assert_int_equal(frees, run->heap.frees);
	assert_int_equal(highest, run->heap.peak_bytes);
}

static void compare_sites(const struct program *p, const struct run *run, bool live, bool peak)
{
	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];
		uint64_t pc = run->addresses[run->nodes[s->node].address].pc;
		size_t n = pc - 0x1000;

		assert_true(n < SITES);
		assert_int_equal(s->allocations, p->truth.sites[n].allocations);
		assert_int_equal(s->allocated_bytes, p->truth.sites[n].allocated_bytes);
		if (live) {
			assert_int_equal(s->frees, p->truth.sites[n].frees);
			assert_int_equal(s->live_bytes, p->truth.sites[n].live_bytes);
			assert_int_equal(s->live_blocks, p->truth.sites[n].live_blocks);
		}
		if (peak)
			assert_int_equal(s->peak_bytes, p->truth.sites[n].peak_bytes);
	}
}

static void check(unsigned threads, unsigned tick, bool any_reuse, uint64_t seed)
{
	struct program *p = calloc(1, sizeof(*p));
	struct error e = {0};
	struct run run;

	assert_non_null(p);
	p->threads = threads;
	p->tick = tick;
	p->any_reuse = any_reuse;
	p->seed = seed * 0x9e3779b97f4a7c15u + 1;
	simulate(p);
	make_trace_write(&p->t, make_path("merge.trace"));
	if (run_load(&run, make_path("merge.trace"), NULL, &e) != 0)
		fail_msg("%s", e.text);
	compare_sums(p, &run);
	compare_to_itself(&run);
	compare_sites(p, &run, !any_reuse, threads == 1);
	if (threads == 1) {
		assert_int_equal(run.heap.peak_bytes, p->truth.peak_bytes);
		assert_int_equal(run.heap.peak_blocks, p->truth.peak_blocks);
		assert_int_equal(run.heap.peak_uncertainty_bytes, 0);
		assert_int_equal(run.heap.temporary_allocations, p->truth.temporary);
	}
	run_free(&run);
	make_trace_free(&p->t);
	free(p);
}

static void test_one_thread(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		check(1, 1, true, seed);
		check(1, 100, false, seed);
		check(1, EVENTS * 2, true, seed);
	}
}

static void test_no_ties(void **state)
{
	(void)state;
	check(5, 1, false, 1);
}

static void test_ties(void **state)
{
	static const unsigned threads[] = {2, 3, 8, THREADS_MAX};
	static const unsigned ticks[] = {7, 100, 3000};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 3; k++) {
			check(threads[i], ticks[k], false, 10 * i + k);
			check(threads[i], ticks[k], true, 100 + 10 * i + k);
		}
	}
}

/* The whole program in one stamp. */
static void test_one_giant_tie(void **state)
{
	(void)state;
	check(2, EVENTS * 2, true, 7);
	check(6, EVENTS * 2, true, 8);
}

/* The merge alone: order, and each stream's own. */

struct seen {
	struct merge *merge;
	uint64_t last_stamp, count;
	uint64_t next[3]; /* by stream: the size of its next event */
	bool tied, ordered;
};

static bool see(void *context, size_t stream, const struct ph_event *events, size_t count)
{
	struct seen *s = context;
	uint32_t number = merge_stream_number(s->merge, stream);

	for (size_t i = 0; i < count; i++) {
		s->ordered &= events[i].stamp >= s->last_stamp;
		s->last_stamp = events[i].stamp;
		s->ordered &= events[i].size == s->next[number]++;
		s->count++;
	}
	return true;
}

/* One at a time, waiting now and then for what never comes. */
static size_t see_tied(void *context, size_t stream, const struct ph_event *events, size_t count,
		       uint64_t *key)
{
	*key = events[0].address;
	if (events[0].size % 5 == 0)
		return 0;
	see(context, stream, events, 1);
	*key = 1;
	return count > 0 ? 1 : 0;
}

static bool see_forced(void *context, size_t stream, const struct ph_event *event)
{
	return see(context, stream, event, 1);
}

static void note_tie(void *context, size_t streams)
{
	struct seen *s = context;

	s->ordered &= !s->tied && streams > 1;
	s->tied = true;
}

static void note_tie_end(void *context)
{
	struct seen *s = context;

	s->tied = false;
}

static void no_progress(void *context, uint64_t bytes)
{
	(void)context;
	(void)bytes;
}

static void test_order(void **state)
{
	static const struct merge_consumer consumer = {see,	 see_tied,     see_forced,
						       note_tie, note_tie_end, no_progress};
	struct make_trace t;
	struct seen seen = {.ordered = true};
	struct reader reader;
	struct merge merge;
	struct error e = {0};
	uint64_t sizes[3] = {0};

	(void)state;
	make_trace_begin(&t);
	for (uint32_t i = 0; i < 3; i++)
		make_stream(&t, i)->cells_per_block = 50;
	for (uint64_t i = 0; i < 9000; i++) {
		uint32_t stream = i / 700 % 3;

		make_memory(&t, stream, i / 40, PH_OP_malloc, 0x1000 + i, sizes[stream]++, 0);
	}
	make_trace_write(&t, make_path("order.trace"));
	assert_int_equal(reader_open(&reader, make_path("order.trace"), &e), 0);
	assert_true(merge_init(&merge, &reader, &consumer, &seen));
	seen.merge = &merge;
	assert_true(merge_run(&merge));
	assert_true(seen.ordered);
	assert_false(seen.tied);
	assert_int_equal(seen.count, 9000);
	merge_free(&merge);
	reader_close(&reader);
	make_trace_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread), cmocka_unit_test(test_no_ties),
		cmocka_unit_test(test_ties),	   cmocka_unit_test(test_one_giant_tie),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
