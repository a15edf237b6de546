/* SPDX-License-Identifier: MIT */
/* Parts of runs, from traces made by hand. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/history.h"
#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"
#include "tests/unit/random.h"

static const char *path;

static void alloc(uint64_t ms, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&t, 1, ms * MS, PH_OP_malloc, address, size, node);
}

static void release(uint64_t ms, uint64_t address)
{
	make_memory(&t, 1, ms * MS, PH_OP_free, address, 0, 0);
}

/* Milliseconds; written down when it is over. */
static void call(unsigned op, int fd, uint32_t object, unsigned from, unsigned to, int64_t result,
		 int64_t arg)
{
	make_call(&t, 1, to * (uint64_t)MS,
		  (struct ph_call){.op = (uint8_t)op,
				   .fd = fd,
				   .object = object,
				   .entry = from * (uint64_t)MS,
				   .duration = (to - from) * (uint64_t)MS,
				   .result = result,
				   .arg = arg},
		  NULL, 0);
}

static void name_file(unsigned ms, uint32_t object, int fd, const char *name)
{
	make_object(&t, 1, ms * (uint64_t)MS, object, fd,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED}, name,
		    NULL, NULL);
}

/* The trace ends after so many milliseconds. */
static void write_trace(const char *name, unsigned ms)
{
	static char text[256];

	snprintf(text, sizeof(text),
		 "{\"end\":\"exit\",\"status\":0,\"ended_ticks\":\"%llu\",\"lost\":0}",
		 (unsigned long long)MAKE_TRACE_START + ms * (unsigned long long)MS);
	t.end = text;
	path = make_path(name);
	make_trace_write(&t, path);
}

static void look_at(const struct run_view *view)
{
	const struct run_options options = {.view = view};

	run_free(&run);
	load_file(path, &options);
	assert_true(run.complete);
}

/* Milliseconds; a negative one: no limit. */
static void load(double from_ms, double to_ms)
{
	const struct run_view view = {
		.windowed = true,
		.from_s = from_ms < 0 ? -INFINITY : from_ms / 1e3,
		.to_s = to_ms < 0 ? INFINITY : to_ms / 1e3,
	};

	look_at(&view);
}

static const struct site *site(uint64_t pc)
{
	for (size_t i = 0; i < run.site_count; i++) {
		const struct node *n = &run.nodes[run.sites[i].node];

		if (run.sites[i].node != 0 && run.addresses[n->address].pc == pc)
			return &run.sites[i];
	}
	fail_msg("no site at %#lx", (unsigned long)pc);
	return NULL;
}

static void assert_ms(double s, double ms)
{
	if (!(fabs(s * 1e3 - ms) < 1e-6))
		fail_msg("%.9g ms, not %.9g ms", s * 1e3, ms);
}

/* ---- the heap ---------------------------------------------------------------- */

/*
 *  1 ms  a 100       4 ms  b 1000 (0x3000)    7 ms  a 0x1000 freed
 *  2 ms  b 200       5 ms  b 0x3000 freed     8 ms  a 10 (0x1000 again)
 *  3 ms  b freed     6 ms  a 50
 */
static void make_heap(void)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	alloc(1, 0x1000, 100, a);
	alloc(2, 0x2000, 200, b);
	release(3, 0x2000);
	alloc(4, 0x3000, 1000, b);
	release(5, 0x3000);
	alloc(6, 0x4000, 50, a);
	release(7, 0x1000);
	alloc(8, 0x1000, 10, a);
}

static void test_heap_in_the_middle(void **state)
{
	(void)state;
	make_heap();
	write_trace("middle", 10);
	load(2.5, 6.5);
	assert_int_equal(run.heap.allocations, 2);
	assert_int_equal(run.heap.allocated_bytes, 1050);
	assert_int_equal(run.heap.frees, 2);
	assert_int_equal(run.heap.temporary_allocations, 2);
	assert_int_equal(run.heap.unmatched_frees, 0);
	assert_int_equal(run.heap.peak_bytes, 1100);
	assert_int_equal(run.heap.peak_blocks, 2);
	assert_ms(run.heap.peak_at_s, 4);
	assert_int_equal(run.heap.live_bytes, 150);
	assert_int_equal(run.heap.older_live_bytes, 100);
	assert_int_equal(run.heap.older_live_blocks, 1);
	/* Leaks: what the window allocated; the peak: all that was there. */
	assert_int_equal(site(0xa)->live_bytes, 50);
	assert_int_equal(site(0xa)->live_blocks, 1);
	assert_int_equal(site(0xa)->peak_bytes, 100);
	assert_int_equal(site(0xa)->allocations, 1);
	assert_ms(site(0xa)->first_at_s, 6);
	assert_ms(site(0xa)->last_live_at_s, 6);
	assert_int_equal(site(0xb)->peak_bytes, 1000);
	assert_int_equal(site(0xb)->frees, 2);
	assert_int_equal(run.threads[0].allocations, 2);
	assert_int_equal(run.threads[0].allocated_bytes, 1050);
	assert_ms(run.duration_s, 10);
	assert_ms(run.view.from_s, 2.5);
	assert_ms(run.view.to_s, 6.5);
	assert_ms(run_span_s(&run), 4);
	assert_int_equal(run.events, 8);
	assert_ms(run.heap.timeline[0].at_s, 2.5);
	assert_int_equal(run.heap.timeline[0].live_bytes, 300);
	assert_true(run.heap.timeline[run.heap.timeline_count - 1].at_s < 6.5001e-3);
	assert_int_equal(run.heap.timeline[run.heap.timeline_count - 1].live_bytes, 150);
}

static void test_heap_at_a_moment(void **state)
{
	(void)state;
	make_heap();
	write_trace("moment", 10);
	load(-1, 4); /* the end is in it */
	assert_int_equal(run.heap.live_bytes, 1100);
	assert_int_equal(run.heap.older_live_bytes, 0);
	assert_int_equal(site(0xa)->live_bytes, 100);
	assert_int_equal(site(0xb)->live_bytes, 1000);
	load(4, -1); /* the beginning is not */
	assert_int_equal(run.heap.allocations, 2);
	assert_int_equal(run.heap.live_bytes, 60);
	assert_int_equal(run.heap.peak_bytes, 1100);
	assert_ms(run.heap.peak_at_s, 4);
	load(8.5, -1); /* where nothing happens any more */
	assert_int_equal(run.heap.allocations, 0);
	assert_int_equal(run.heap.live_bytes, 60);
	assert_int_equal(run.heap.older_live_bytes, 60);
	assert_int_equal(run.heap.peak_bytes, 60);
	assert_int_equal(site(0xa)->live_blocks, 0);
	assert_ms(run.heap.peak_at_s, 8.5);
	load(-1, 0.5);
	assert_int_equal(run.heap.allocations, 0);
	assert_int_equal(run.heap.peak_bytes, 0);
	load(20, 30); /* behind the end */
	assert_ms(run_span_s(&run), 0);
	assert_int_equal(run.heap.live_bytes, 60);
}

/* Within one stamp much happens; at the peak it is as it was then. */
static void test_levels(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa);
	struct run_view view = {.windowed = true, .from_s = -INFINITY, .to_s = INFINITY};

	(void)state;
	alloc(1, 0x1000, 500, a);
	release(2, 0x1000);
	alloc(3, 0x2000, 10, a);
	alloc(3, 0x3000, 490, a);
	release(3, 0x2000);
	alloc(3, 0x4000, 5, a);
	release(4, 0x3000);
	write_trace("levels", 5);
	view.to_s = 0.003;
	view.to_level = 500;
	look_at(&view);
	assert_int_equal(run.heap.live_bytes, 500); /* not that of 1 ms */
	assert_int_equal(run.heap.live_blocks, 2);
	assert_int_equal(run.heap.allocations, 3);
	view = (struct run_view){
		.windowed = true, .from_s = 0.003, .to_s = INFINITY, .from_level = 500};
	look_at(&view);
	assert_int_equal(run.heap.peak_bytes, 500);
	assert_int_equal(run.heap.allocations, 1);
	assert_int_equal(run.heap.frees, 2);
	assert_int_equal(run.heap.live_bytes, 5);
	assert_int_equal(run.heap.older_live_bytes, 0);
	assert_int_equal(site(0xa)->live_bytes, 5);
}

/* A realloc in the window is its allocation, whenever the block was made. */
static void test_reallocs(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);

	(void)state;
	alloc(1, 0x1000, 100, a);
	make_memory(&t, 1, 3 * MS, PH_OP_REALLOC_BEGIN, 0x1000, 0, 0);
	make_memory(&t, 1, 3 * MS, PH_OP_realloc, 0x1000, 300, b);
	write_trace("realloc", 5);
	load(2, -1);
	assert_int_equal(run.heap.allocations, 1);
	assert_int_equal(run.heap.frees, 1);
	assert_int_equal(run.heap.live_bytes, 300);
	assert_int_equal(run.heap.older_live_bytes, 0);
	assert_int_equal(site(0xb)->live_bytes, 300);
	load(-1, 2);
	assert_int_equal(site(0xa)->live_bytes, 100);
}

/* A window's periods are its own, as fine as a run's. */
static void test_periods(void **state)
{
	enum { BEFORE = 10000, WITHIN = 2000 };
	uint32_t a = make_node(&t, 0, 0xa);
	struct history_level levels[8];
	const struct site *s;

	(void)state;
	for (uint64_t i = 0; i < BEFORE + WITHIN; i++)
		alloc(i < BEFORE ? 1 : 3, 0x1000 + 0x10 * i, 1, a);
	write_trace("periods", 10);
	load(2, -1);
	assert_true(run.period_count >= 16);
	assert_ms(run.periods[0].from_s, 2);
	assert_int_equal(run.periods[run.period_count - 1].allocations, WITHIN);
	assert_int_equal(run.periods[run.period_count - 1].live_bytes, BEFORE + WITHIN);
	for (size_t i = 1; i < run.period_count; i++)
		assert_true(run.periods[i].allocations - run.periods[i - 1].allocations <=
			    WITHIN / 16);
	s = site(0xa);
	history_sample(&run, s, levels, 8);
	assert_true(levels[1].allocations > WITHIN * 9 / 10); /* at 4 ms, of 2 to 10 */
	assert_int_equal(levels[7].allocations, WITHIN);
	assert_true(s->history_count >= 16);
	assert_int_equal(s->history[s->history_count - 1].allocations, WITHIN);
	assert_int_equal(s->live_blocks, WITHIN);
	assert_int_equal(run.heap.older_live_blocks, BEFORE);
}

/* Sizes, lifetimes and rates, of the window only. */
static void test_distributions(void **state)
{
	const struct heap *h = &run.heap;
	double bytes = 0;

	(void)state;
	make_heap();
	write_trace("distributions", 10);
	load(2.5, 6.5);
	assert_int_equal(h->sizes.allocations[5], 1);
	assert_int_equal(h->sizes.allocations[9], 1);
	assert_int_equal(h->sizes.bytes[9], 1000);
	assert_int_equal(h->sizes.temporary[9], 1);
	assert_int_equal(h->sizes.temporary[7], 1); /* from before it */
	assert_int_equal(h->sizes.allocations[7], 0);
	assert_int_equal(site(0xb)->spread->lifetimes[9] + site(0xb)->spread->lifetimes[10], 2);
	for (size_t i = 0; i < h->timeline_count; i++)
		bytes += h->timeline[i].allocated_bytes_per_s *
			 (h->timeline[1].at_s - h->timeline[0].at_s);
	assert_true(fabs(bytes - 1050) < 1e-6);
	assert_int_equal(run.threads[0].live_bytes, 50);
	assert_int_equal(run.threads[0].live_blocks, 1);
}

/* How much lived when the kernel was asked. */
static void test_samples(void **state)
{
	struct {
		struct ph_samples head;
		char records[3][72];
	} payload = {.head = {72, 3}};
	const uint64_t at_ms[] = {2, 4, 9};

	(void)state;
	make_heap();
	for (size_t i = 0; i < 3; i++) {
		const struct ph_sample s = {.ticks = MAKE_TRACE_START + at_ms[i] * MS + MS / 2,
					    .rss_bytes = 1000 * i,
					    .anonymous_bytes = 500 * i};

		memcpy(payload.records[i], &s, sizeof(s));
	}
	t.samples = &payload;
	t.sample_bytes = sizeof(payload);
	write_trace("samples", 10);
	look_at(NULL);
	assert_int_equal(run.sample_count, 3);
	assert_ms(run.samples[0].at_s, 2.5);
	assert_int_equal(run.samples[0].live_bytes, 300);
	assert_int_equal(run.samples[1].live_bytes, 1100);
	assert_int_equal(run.samples[2].live_bytes, 60);
	assert_int_equal(run.samples[2].rss, 2000);
	load(3, 8);
	assert_int_equal(run.sample_count, 1);
	assert_int_equal(run.samples[0].live_bytes, 1100);
}

/* A block that claims more than it has is damage, and no more. */
static void test_hostile_samples(void **state)
{
	const struct ph_samples heads[] = {{64, 5}, {8, 1}, {0, 0xffffffff}, {0xffffffff, 2}};
	char payload[100] = {0};

	(void)state;
	make_heap();
	for (size_t i = 0; i < 4; i++) {
		const struct run_options none = {.view = NULL};
		struct error e = {0};

		memcpy(payload, &heads[i], sizeof(heads[i]));
		t.samples = payload;
		t.sample_bytes = i == 3 ? 4 : sizeof(payload);
		write_trace("hostile", 10);
		run_free(&run);
		assert_int_equal(run_load(&run, path, &none, &e), 0);
		assert_false(run.complete);
		assert_int_equal(run.sample_count, 0);
		assert_int_equal(run.heap.allocations, 5);
		make_trace_free(&t);
		make_trace_begin(&t);
		make_heap();
	}
}

/* ---- files, sockets, waits -------------------------------------------------------- */

static void test_files(void **state)
{
	const struct file *f;

	(void)state;
	name_file(0, 1, 3, "/tmp/a");
	name_file(0, 2, 4, "/tmp/b");
	call(PH_OP_open, -1, 1, 0, 1, 3, O_RDWR);
	call(PH_OP_read, 3, 1, 1, 2, 4096, 4096);
	call(PH_OP_read, 4, 2, 2, 3, 10, 10);
	call(PH_OP_read, 3, 1, 3, 6, 4096, 4096); /* it comes back in the window */
	call(PH_OP_read, 3, 1, 7, 8, 100, 4096);
	call(PH_OP_read, 3, 1, 9, 12, 200, 4096); /* and this one behind it */
	call(PH_OP_close, 3, 1, 12, 13, 0, 0);
	write_trace("files", 20);
	load(5, 10);
	assert_int_equal(run.file_count, 1);
	f = &run.files[0];
	assert_string_equal(f->path, "/tmp/a");
	assert_int_equal(f->traffic.read_calls, 2);
	assert_int_equal(f->traffic.read_bytes, 4196);
	assert_int_equal(f->traffic.latency.count, 2);
	assert_ms(f->traffic.time_s, 4);
	assert_int_equal(f->opens, 0);
	assert_int_equal(f->closes, 0);
	/* Where it stood is known from before. */
	assert_int_equal(f->access->read.calls, 2);
	assert_int_equal(f->access->read.located, 2);
	assert_int_equal(f->access->read.steps, 2);
	assert_int_equal(f->access->read.consecutive, 2);
	assert_int_equal(f->access->read.end_bytes, 8292);
	assert_int_equal(run.io.total.read_calls, 2);
	assert_int_equal(run.io.total.read_bytes, 4196);
	assert_int_equal(run.function_count, 1);
	assert_int_equal(run.stack_traffic_count, 1);
	assert_int_equal(run.threads[0].read_bytes, 4196);
	assert_ms(run.io.timeline[0].at_s, 5);
	assert_false(run.coverage.known);
	load(10, -1);
	assert_int_equal(run.files[0].closes, 1);
	assert_int_equal(run.files[0].traffic.read_bytes, 200);
	assert_int_equal(run.files[0].access->read.again_bytes, 0);
}

/* Bytes read before the window are read again in it. */
static void test_read_again(void **state)
{
	(void)state;
	name_file(0, 1, 3, "/tmp/a");
	call(PH_OP_open, -1, 1, 0, 1, 3, O_RDONLY);
	call(PH_OP_read, 3, 1, 1, 2, 1000, 1000);
	call(PH_OP_lseek, 3, 1, 3, 4, 500, 500);
	call(PH_OP_read, 3, 1, 6, 7, 1000, 1000);
	write_trace("again", 20);
	load(5, -1);
	assert_int_equal(run.files[0].access->read.again_bytes, 500);
	assert_int_equal(run.files[0].access->read.distinct_bytes, 500);
	assert_false(run.files[0].access->read.again_unknown);
}

static void name_socket(unsigned ms, uint32_t object, int fd)
{
	make_object(&t, 1, ms * (uint64_t)MS, object, fd,
		    (struct ph_object){.class = PH_CLASS_SOCKET,
				       .origin = PH_ORIGIN_CONNECT,
				       .family = AF_INET,
				       .type = SOCK_STREAM},
		    "socket:[1]", NULL, NULL);
}

static void test_connections(void **state)
{
	const struct connection *c;

	(void)state;
	name_socket(0, 1, 3);
	call(PH_OP_send, 3, 1, 1, 2, 10, 10);
	call(PH_OP_recv, 3, 1, 2, 3, 10, 10);
	call(PH_OP_close, 3, 1, 3, 4, 0, 0);
	name_socket(4, 2, 3);
	call(PH_OP_send, 3, 2, 4, 5, 7, 7);
	call(PH_OP_recv, 3, 2, 5, 8, 7, 7); /* its answer comes in the window */
	call(PH_OP_send, 3, 2, 12, 13, 7, 7);
	call(PH_OP_recv, 3, 2, 13, 14, 9, 9);
	name_socket(25, 3, 4);
	write_trace("connections", 30);
	load(6, 20);
	assert_int_equal(run.connection_count, 1);
	c = &run.connections[0];
	assert_int_equal(c->traffic.written_bytes, 7);
	assert_int_equal(c->traffic.read_bytes, 16);
	assert_int_equal(c->turns, 2);
	assert_ms(c->opened_at_s, 4);
	assert_true(isnan(c->closed_at_s));
	/* 8 to 12, and 14 to the end. */
	assert_ms(c->idle_s, 10);
	assert_int_equal(run.endpoint_count, 1);
	assert_int_equal(run.endpoints[0].connections, 1);
	assert_int_equal(run.sockets.total.read_calls, 2);
}

static void test_waits(void **state)
{
	static char threads[512];
	const unsigned long long start = MAKE_TRACE_START;

	(void)state;
	/* It ran for 20 ms of 100, outside of its waits. */
	snprintf(
		threads, sizeof(threads),
		"{\"stream\":1,\"tid\":7,\"name\":\"t\",\"nested_in\":0,\"started_ticks\":\"%llu\","
		"\"ended_ticks\":\"%llu\",\"cpu_started_ns\":\"1\",\"cpu_ns\":\"20000001\","
		"\"cpu_delay_ns\":\"0\",\"cpu_ticks\":\"%llu\"}",
		start, start + 100ull * MS, start + 100ull * MS);
	t.threads = threads;
	call(PH_OP_usleep, -1, 0, 10, 40, 0, 0);
	call(PH_OP_usleep, -1, 0, 50, 80, 0, 0);
	call(PH_OP_pthread_mutex_lock, -1, 0, 80, 90, 0, 0x10);
	write_trace("waits", 100);
	load(30, -1);
	assert_int_equal(run.wait_count, 2);
	assert_string_equal(run.waits[0].kind, "sleep");
	assert_int_equal(run.waits[0].count, 2);
	assert_ms(run.waits[0].time_s, 60); /* a call is one, as long as it was */
	assert_ms(run.threads[0].sleeping_s, 40);
	assert_ms(run.threads[0].waiting_s, 10);
	/* 30 ms were outside of calls, 10 of them before. */
	assert_ms(run.threads[0].running_s, 20 * 2 / 3.0);
	assert_ms(run.threads[0].unexplained_s, 20 - 20 * 2 / 3.0);
	load(45, 85);
	assert_int_equal(run.wait_count, 1);
	assert_ms(run.threads[0].sleeping_s, 30);
	load(60, 61);
	assert_int_equal(run.wait_count, 0);
	assert_int_equal(run.thread_count, 1);
}

static void test_threads(void **state)
{
	static char threads[512];
	const unsigned long long start = MAKE_TRACE_START;

	(void)state;
	snprintf(threads, sizeof(threads),
		 "{\"stream\":1,\"tid\":7,\"name\":\"one\",\"nested_in\":0,\"started_ticks\":"
		 "\"%llu\",\"ended_ticks\":null},"
		 "{\"stream\":2,\"tid\":8,\"name\":\"two\",\"nested_in\":0,\"started_ticks\":"
		 "\"%llu\",\"ended_ticks\":\"%llu\"}",
		 start, start + 20ull * MS, start + 30ull * MS);
	t.threads = threads;
	alloc(1, 0x1000, 10, 0);
	make_memory(&t, 2, 25 * MS, PH_OP_malloc, 0x2000, 10, 0);
	write_trace("threads", 50);
	load(-1, 10);
	assert_int_equal(run.thread_count, 1);
	assert_string_equal(run.threads[0].name, "one");
	load(22, 40);
	assert_int_equal(run.thread_count, 2);
	load(35, -1);
	assert_int_equal(run.thread_count, 1);
}

/* ---- all together ------------------------------------------------------------------ */

struct sums {
	uint64_t allocations, frees, allocated, temporary, reads, read_bytes, errors, waits;
	double read_s, waited_s, sleeping_s;
};

static void add_up(struct sums *s)
{
	s->allocations += run.heap.allocations;
	s->frees += run.heap.frees;
	s->allocated += run.heap.allocated_bytes;
	s->temporary += run.heap.temporary_allocations;
	s->reads += run.io.total.read_calls;
	s->read_bytes += run.io.total.read_bytes;
	s->errors += run.io.total.errors;
	s->read_s += run.io.total.time_s;
	for (size_t i = 0; i < run.wait_count; i++) {
		s->waits += run.waits[i].count;
		s->waited_s += run.waits[i].time_s;
	}
	for (size_t i = 0; i < run.thread_count; i++)
		s->sleeping_s += run.threads[i].sleeping_s;
}

static unsigned random_below(unsigned below)
{
	return (unsigned)(next_random() % below);
}

/* One event a millisecond, of all sorts. */
static void make_all_sorts(unsigned events)
{
	uint32_t nodes[4];

	for (uint64_t i = 0; i < 4; i++)
		nodes[i] = make_node(&t, 0, 0x100 + i);
	name_file(0, 1, 3, "/tmp/a");
	for (unsigned ms = 1; ms <= events; ms++) {
		uint64_t address = 0x1000 + 0x100 * (uint64_t)random_below(20);

		switch (random_below(4)) {
		case 0:
			alloc(ms, address, random_below(1000), nodes[random_below(4)]);
			break;
		case 1:
			release(ms, address);
			break;
		case 2:
			call(PH_OP_read, 3, 1, ms - 1, ms, (int)random_below(100) - 10, 100);
			break;
		default:
			call(PH_OP_usleep, -1, 0, ms - 1, ms, 0, 0);
		}
	}
}

/* Windows that meet are the whole, and what is live follows from one to the next. */
static void test_windows_add_up(void **state)
{
	enum { EVENTS = 3000, WINDOWS = 7 };
	struct sums whole = {0}, parts = {0};
	double from_ms = -1, to_ms = 0;
	uint64_t live = 0;

	(void)state;
	make_all_sorts(EVENTS);
	write_trace("sums", EVENTS + 10);
	look_at(NULL);
	add_up(&whole);
	assert_true(whole.allocations > 500 && whole.reads > 500 && whole.errors > 10);
	live = run.heap.live_bytes;
	for (int i = 1; i <= WINDOWS; i++) {
		to_ms = i == WINDOWS ? -1 : to_ms + 0.25 + random_below(2 * EVENTS / WINDOWS);
		load(from_ms, to_ms);
		add_up(&parts);
		from_ms = to_ms;
	}
	assert_int_equal(run.heap.live_bytes, live);
	assert_int_equal(parts.allocations, whole.allocations);
	assert_int_equal(parts.frees, whole.frees);
	assert_int_equal(parts.allocated, whole.allocated);
	assert_int_equal(parts.temporary, whole.temporary);
	assert_int_equal(parts.reads, whole.reads);
	assert_int_equal(parts.read_bytes, whole.read_bytes);
	assert_int_equal(parts.errors, whole.errors);
	assert_int_equal(parts.waits, whole.waits);
	assert_ms(parts.read_s, whole.read_s * 1e3);
	assert_ms(parts.waited_s, whole.waited_s * 1e3);
	/* Where a window ends within a sleep, the beginning of that is seen by nobody. */
	assert_true(parts.sleeping_s <= whole.sleeping_s + 1e-9);
	assert_true(parts.sleeping_s > whole.sleeping_s - WINDOWS * 1e-3);
}

static void test_marks(void **state)
{
	struct error e = {0};
	struct run outline;

	(void)state;
	alloc(1, 0x1000, 1, 0);
	t.marks = "{\"name\":\"late\",\"ticks\":\"1009000000\"},{\"name\":\"early\",\"ticks\":"
		  "\"1002000000\"},{\"name\":7},5";
	write_trace("marks", 20);
	look_at(NULL);
	assert_int_equal(run.mark_count, 4);
	assert_string_equal(run.marks[2].name, "early");
	assert_ms(run.marks[2].at_s, 2);
	assert_string_equal(run.marks[3].name, "late");
	assert_ms(run.marks[3].at_s, 9);
	assert_int_equal(run_outline(&outline, path, &e), 0);
	assert_int_equal(outline.mark_count, 4);
	assert_string_equal(outline.marks[3].name, "late");
	run_free(&outline);
}

static void test_outline(void **state)
{
	struct error e = {0};
	struct run outline;

	(void)state;
	make_all_sorts(10);
	write_trace("outline", 20);
	look_at(NULL);
	assert_int_equal(run_outline(&outline, path, &e), 0);
	assert_ms(outline.duration_s, 20);
	assert_int_equal(outline.pid, run.pid);
	assert_int_equal(outline.started_ns, run.started_ns);
	run_free(&outline);
	t.without_end = true;
	write_trace("endless", 20);
	assert_int_equal(run_outline(&outline, path, &e), 0);
	assert_true(isnan(outline.duration_s));
	run_free(&outline);
	assert_int_equal(run_outline(&outline, make_path("none"), &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_heap_in_the_middle, begin, end),
		cmocka_unit_test_setup_teardown(test_heap_at_a_moment, begin, end),
		cmocka_unit_test_setup_teardown(test_levels, begin, end),
		cmocka_unit_test_setup_teardown(test_reallocs, begin, end),
		cmocka_unit_test_setup_teardown(test_periods, begin, end),
		cmocka_unit_test_setup_teardown(test_distributions, begin, end),
		cmocka_unit_test_setup_teardown(test_samples, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile_samples, begin, end),
		cmocka_unit_test_setup_teardown(test_files, begin, end),
		cmocka_unit_test_setup_teardown(test_read_again, begin, end),
		cmocka_unit_test_setup_teardown(test_connections, begin, end),
		cmocka_unit_test_setup_teardown(test_waits, begin, end),
		cmocka_unit_test_setup_teardown(test_threads, begin, end),
		cmocka_unit_test_setup_teardown(test_windows_add_up, begin, end),
		cmocka_unit_test_setup_teardown(test_marks, begin, end),
		cmocka_unit_test_setup_teardown(test_outline, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
