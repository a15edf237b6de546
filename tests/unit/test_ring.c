/* SPDX-License-Identifier: MIT */
/*
 * The rings between threads and collector, both ends in one process: what goes
 * in comes out of the trace, in order and complete. Built with ThreadSanitizer
 * too, which judges the memory orders.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "analyzer/reader.h"
#include "collector/proc.h"
#include "collector/target.h"
#include "preload/stack.h"
#include "preload/thread.h"

/* Last: it defines fail(). */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SEGMENT_BYTES (UINT64_C(48) << 20)

struct fixture {
	char folder[64], segment_path[96], trace_path[96];
	struct ph_process process;
	struct ph_control control;
	struct target *target;
	atomic_bool stop;
	pthread_t drainer;
};

static struct ph_process *saved_process;

static void lay_out(struct ph_segment *s)
{
	s->magic = PH_SEGMENT_MAGIC;
	s->version = PH_SEGMENT_VERSION;
	s->bytes = SEGMENT_BYTES;
	s->pid = getpid();
	s->process_start = proc_start_time(getpid());
	s->clock_kind = ph_clock_choose();
	s->start_ticks = ph_clock_now(s->clock_kind) & ~PH_CLOCK_FLAGS;
	s->clock = s->start_ticks;
	s->epoch = 1;
	s->depth = 0;
	s->slot_count = 256;
	s->slots_offset = 1u << 20;
	s->modules_offset = 2u << 20;
	s->modules_bytes = 1u << 20;
	s->addresses = (struct ph_table){
		.offset = 3u << 20, .level_0 = PH_ADDRESS_LEVEL_0, .levels_max = 2};
	s->nodes =
		(struct ph_table){.offset = 4u << 20, .level_0 = PH_NODE_LEVEL_0, .levels_max = 2};
	s->rings_offset = 8u << 20;
	s->rings_end = SEGMENT_BYTES;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static uint64_t generation = 100;
	int fd;

	strcpy(f->folder, "/dev/shm/perfhook-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->segment_path, sizeof(f->segment_path), "%s/1.segment", f->folder);
	snprintf(f->trace_path, sizeof(f->trace_path), "%s/1.trace", f->folder);
	fd = open(f->segment_path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SEGMENT_BYTES), 0);
	f->process.segment = mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_true(f->process.segment != MAP_FAILED);
	lay_out(f->process.segment);
	f->process.control = &f->control;
	f->process.generation = ++generation;
	saved_process = ph_process;
	ph_process = &f->process;
	f->target = target_map(f->segment_path, "");
	assert_non_null(f->target);
	/* One mapping for both ends, or ThreadSanitizer would see two memories. */
	munmap(f->target->segment, SEGMENT_BYTES);
	f->target->segment = f->process.segment;
	f->target->fd = open(f->trace_path, O_RDWR | O_CREAT | O_EXCL, 0600);
	target_begin(f->target, NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ph_process = saved_process;
	target_free(f->target); /* and with it the segment */
	unlink(f->segment_path);
	unlink(f->trace_path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static void *drain(void *argument)
{
	struct fixture *f = argument;

	while (!atomic_load(&f->stop)) {
		if (target_drain(f->target, false) == 0)
			usleep(200);
		ph_clock_advance(&f->process.segment->clock,
				 ph_clock_now(f->process.segment->clock_kind));
	}
	return NULL;
}

static void start_draining(struct fixture *f)
{
	atomic_store(&f->stop, false);
	assert_int_equal(pthread_create(&f->drainer, NULL, drain, f), 0);
}

static void finish(struct fixture *f)
{
	const struct target_end end = {.kind = "exit", .status = 0};

	if (f->drainer != 0) {
		atomic_store(&f->stop, true);
		pthread_join(f->drainer, NULL);
	}
	assert_true(target_finish(f->target, &end));
}

/* ---- reading back ----------------------------------------------------------- */

typedef void visit_fn(void *context, uint32_t stream, const struct ph_event *e);

static void each_event(struct fixture *f, visit_fn *visit, void *context)
{
	struct reader r;
	struct error e = {.code = ERROR_NONE};
	struct ph_buffer payload = {0};
	struct ph_events events = {0};

	assert_int_equal(reader_open(&r, f->trace_path, &e), 0);
	assert_int_equal(r.damaged, 0);
	for (size_t i = 0; i < r.block_count; i++) {
		const struct ph_block_header *h = &r.blocks[i].header;

		if (h->kind != PH_BLOCK_EVENTS)
			continue;
		assert_true(reader_payload(&r, &r.blocks[i], &payload));
		assert_null(ph_decode_events(h, payload.data, payload.length, &events));
		for (size_t k = 0; k < events.count; k++)
			visit(context, h->stream, &events.events[k]);
	}
	ph_events_free(&events);
	ph_buffer_free(&payload);
	reader_close(&r);
}

/* Each stream counts its own events in the address: none missing, none twice,
 * none out of order, stamps never going back. */
struct sequence {
	uint64_t next[512], stamp[512];
	uint64_t total, lost_records, lost;
	bool gaps_allowed;
};

static void check_sequence(void *context, uint32_t stream, const struct ph_event *e)
{
	struct sequence *s = context;

	assert_true(stream < 512);
	if (e->call != NULL) {
		if (e->op == PH_OP_LOST) {
			s->lost_records++;
			s->lost += (uint64_t)e->call->arg;
		}
		return;
	}
	if (s->gaps_allowed)
		assert_true(e->address >> 4 >= s->next[stream]);
	else
		assert_int_equal(e->address >> 4, s->next[stream]);
	assert_true(e->stamp >= s->stamp[stream]);
	s->next[stream] = (e->address >> 4) + 1;
	s->stamp[stream] = e->stamp;
	s->total++;
}

/* ---- producing -------------------------------------------------------------- */

struct producer {
	uint64_t count;
	pthread_t thread;
};

static PH_NOINLINE void put_one(uint64_t number)
{
	struct ph_stream *s = ph_enter(PH_FRAME());
	struct ph_cell cell = ph_memory_cell(PH_OP_malloc, number << 4, number & 1023, 0);

	if (s == NULL)
		return;
	ph_put(s, &cell, 1);
	ph_leave(s);
}

static void *produce(void *argument)
{
	struct producer *p = argument;

	for (uint64_t i = 0; i < p->count; i++)
		put_one(i);
	return NULL;
}

static void run_producers(unsigned threads, uint64_t count)
{
	struct producer *p = calloc(threads, sizeof(*p));

	for (unsigned i = 0; i < threads; i++) {
		p[i].count = count;
		assert_int_equal(pthread_create(&p[i].thread, NULL, produce, &p[i]), 0);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(p[i].thread, NULL);
	free(p);
}

#if defined(__SANITIZE_THREAD__)
#define MANY 20000
#else
#define MANY 400000
#endif

static void one_thread_complete(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;

	memset(&s, 0, sizeof(s));
	start_draining(f);
	run_producers(1, MANY);
	finish(f);
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total, MANY);
}

static void threads_complete(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;

	memset(&s, 0, sizeof(s));
	start_draining(f);
	run_producers(4, MANY / 4);
	finish(f);
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total, MANY);
}

/* A dead process: nobody drained, all that was put is still there. */
static void drained_after_the_end(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;

	memset(&s, 0, sizeof(s));
	run_producers(3, 700);
	finish(f);
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total, 2100);
}

/* With `drop` a full ring loses events, counts them, and says when. */
static void drop_counts(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;
	struct ph_slot *slot;
	const uint64_t count = 300000;
	uint64_t lost;

	memset(&s, 0, sizeof(s));
	s.gaps_allowed = true;
	f->process.segment->overflow = PH_OVERFLOW_DROP;
	for (uint64_t i = 0; i < count; i++)
		put_one(i);
	slot = (struct ph_slot *)((char *)f->process.segment + f->process.segment->slots_offset);
	lost = atomic_load(&slot->lost);
	assert_true(lost > 0 && lost < count);
	target_drain(f->target, true);
	put_one(count);
	finish(f);
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total + lost, count + 1);
	assert_int_equal(s.lost_records, 1);
	assert_int_equal(s.lost, lost);
}

/* Multi-cell events wrap around the ring's end and stay whole. */
static void put_call(struct ph_stream *s, uint64_t number, unsigned words)
{
	struct ph_cell cells[64] = {{0, 0}};
	struct ph_call call = {
		.op = PH_OP_read,
		.cells = (uint16_t)(PH_CALL_CELLS + words),
		.fd = (int32_t)(number & 0xffff),
		.result = (int64_t)number,
		.arg = -(int64_t)number,
	};

	memcpy(cells, &call, sizeof(call));
	for (unsigned i = 0; i < words; i++)
		cells[PH_CALL_CELLS + i] = (struct ph_cell){number, ~number};
	ph_put(s, cells, call.cells);
}

static void check_call(void *context, uint32_t stream, const struct ph_event *e)
{
	uint64_t *next = context;
	const struct ph_call *c = e->call;
	const struct ph_cell *payload = (const void *)(c + 1);

	(void)stream;
	assert_non_null(c);
	assert_int_equal(c->result, *next);
	assert_int_equal(c->arg, -(int64_t)*next);
	for (unsigned i = 0; i < c->cells - (unsigned)PH_CALL_CELLS; i++) {
		assert_true(payload[i].w0 == *next);
		assert_true(payload[i].w1 == ~*next);
	}
	++*next;
}

static void calls_wrap(void **state)
{
	struct fixture *f = *state;
	uint64_t next = 0;

	start_draining(f);
	for (uint64_t i = 0; i < MANY / 10; i++) {
		struct ph_stream *s = ph_enter(PH_FRAME());

		assert_non_null(s);
		put_call(s, i, (unsigned)(i % 61));
		ph_leave(s);
	}
	finish(f);
	each_event(f, check_call, &next);
	assert_int_equal(next, MANY / 10);
}

/* Slots of threads that are gone are used again; each use is a stream. */
static void slots_are_reused(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;

	memset(&s, 0, sizeof(s));
	for (int i = 0; i < 60; i++) {
		run_producers(4, 50);
		target_reclaim(f->target);
	}
	assert_in_range(atomic_load(&f->process.segment->slots_used), 1, 16);
	assert_int_equal(atomic_load(&f->process.segment->streams), 240);
	finish(f);
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total, 60 * 4 * 50);
}

#if !defined(__SANITIZE_THREAD__)
/* A handler that interrupts a hook records into the stream beside it. */
/* Atomic: the kernel may choose the draining thread for the signal. */
static _Atomic uint64_t handled;

static void on_alarm(int signal)
{
	(void)signal;
	put_one(handled);
	handled++;
}

static void handlers_nest(void **state)
{
	struct fixture *f = *state;
	struct sigaction action = {.sa_handler = on_alarm}, old;
	struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
	const uint64_t count = MANY * 2;
	struct ph_segment *g = f->process.segment;

	struct total {
		uint64_t events;
	} total = {0};

	start_draining(f);
	handled = 0;
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	for (uint64_t i = 0; i < count; i++)
		put_one(i);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	finish(f);
	/* Sequences interleave when a handler runs between two hooks, so count. */
	{
		struct reader r;
		struct error e = {.code = ERROR_NONE};

		assert_int_equal(reader_open(&r, f->trace_path, &e), 0);
		for (size_t i = 0; i < r.block_count; i++)
			if (r.blocks[i].header.kind == PH_BLOCK_EVENTS)
				total.events += r.blocks[i].header.events;
		reader_close(&r);
	}
	assert_true(handled > 0);
	assert_int_equal(total.events + atomic_load(&g->nested_lost), count + handled);
}

#endif

/* A hook left by siglongjmp leaves its guard behind; what comes after counts. */
static sigjmp_buf out_of_hook;

static PH_NOINLINE void leave_in_the_middle(void)
{
	struct ph_stream *s = ph_enter(PH_FRAME());

	assert_non_null(s);
	siglongjmp(out_of_hook, 1);
}

static void longjmp_out_of_a_hook(void **state)
{
	struct fixture *f = *state;
	static struct sequence s;

	memset(&s, 0, sizeof(s));
	put_one(0);
	if (sigsetjmp(out_of_hook, 1) == 0)
		leave_in_the_middle();
	assert_true(ph_self.guard != 0);
	for (uint64_t i = 1; i < 1000; i++)
		put_one(i);
	finish(f);
	s.gaps_allowed = true;
	each_event(f, check_sequence, &s);
	assert_int_equal(s.total, 1000);
}

/* Nodes of one frame at each of `count` addresses, `step` apart; how many differ.
 */
static unsigned distinct_nodes(unsigned count, uintptr_t step, unsigned *rootless)
{
	static uint8_t seen[1 << 16];
	unsigned distinct = 0;

	memset(seen, 0, sizeof(seen));
	*rootless = 0;
	for (unsigned i = 0; i < count; i++) {
		struct ph_stream *s = ph_enter(PH_FRAME());
		uint32_t node = ph_stack_node(s, 0, (void *)(UINT64_C(0x100000001) + i * step));

		ph_leave(s);
		assert_true(node < sizeof(seen));
		*rootless += node == 0;
		distinct += node != 0 && !seen[node];
		seen[node] = 1;
	}
	return distinct;
}

/* A table at its ceiling: stacks are shorter then, and counted. */
static void full_table_is_counted(void **state)
{
	struct fixture *f = *state;
	unsigned rootless, distinct = distinct_nodes(8192, 65536, &rootless);

	assert_int_equal(distinct + rootless, 8192);
	assert_in_range(distinct, PH_ADDRESS_LEVEL_0, 3 * PH_ADDRESS_LEVEL_0);
	assert_int_equal(atomic_load(&f->process.segment->addresses.full), rootless);
	/* What is there is still found. */
	assert_in_range(distinct_nodes(100, 65536, &rootless), 90, 100);
}

/* Generated code has no module: with little room left it is known by its region. */
static void generated_code_folds(void **state)
{
	struct fixture *f = *state;
	unsigned rootless, distinct = distinct_nodes(8192, 16, &rootless);

	assert_int_equal(distinct, 8192 * 16 / 65536);
	assert_int_equal(rootless, 0);
	assert_int_equal(atomic_load(&f->process.segment->addresses.full), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		RING_TEST(one_thread_complete),
		RING_TEST(threads_complete),
		RING_TEST(drained_after_the_end),
		RING_TEST(drop_counts),
		RING_TEST(calls_wrap),
		RING_TEST(slots_are_reused),
#if !defined(__SANITIZE_THREAD__)
		RING_TEST(handlers_nest),
#endif
		RING_TEST(longjmp_out_of_a_hook),
		RING_TEST(full_table_is_counted),
		RING_TEST(generated_code_folds),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
