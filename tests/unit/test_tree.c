/* SPDX-License-Identifier: MIT */
/* Trees of traces made by hand: who is whose, what is added up, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/profile.h"
#include "analyzer/tree.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/make_trace.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define MS	     1000000u
#define BASE_NS	     1700000000000000000u

/* What a trace says of its process; the rest is as make_trace makes it. */
struct spec {
	uint8_t id;
	int pid, ppid;
	const char *host; /* NULL: "here" */
	unsigned start_ms, ran_ms;
	unsigned process_start; /* 0: not known */
	const char *end;	/* NULL: "exit" */
	uint8_t parent;		/* its trace's id; 0: none */
	int parent_pid;
	unsigned fork;
	const char *events;   /* of RUN, as JSON; NULL: not said */
	unsigned kernel_read; /* what the kernel counted; 0: not asked */
	uint64_t base;	      /* where its module is; 0: 0x400000 */
};

static struct make_trace made;
static char run_text[1024], end_text[256], modules_text[256];

static void begin(const struct spec *s)
{
	char parent[256] = "null", id[33];
	uint64_t base = s->base ? s->base : 0x400000;

	make_trace_begin(&made);
	memset(made.id, s->id, sizeof(made.id));
	for (size_t i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", s->parent);
	if (s->parent != 0)
		snprintf(parent, sizeof(parent),
			 "{\"pid\":%d,\"trace\":\"%s\",\"path\":\"/gone/%u\",\"fork\":%u}",
			 s->parent_pid, id, s->parent, s->fork);
	snprintf(run_text, sizeof(run_text),
		 "{\"version\":\"%s\",\"pid\":%d,\"ppid\":%d,\"executable\":\"/bin/p%d\","
		 "\"command\":[\"p%d\"],\"host\":\"%s\",\"started_ns\":\"%llu\","
		 "\"started_ticks\":\"%u\",\"clock\":\"tsc\",\"ticks_per_s\":\"1000000000\","
		 "\"depth\":256,\"process_start\":\"%u\",\"events\":%s,\"parent\":%s}",
		 PERFHOOK_VERSION, s->pid, s->ppid, s->pid, s->pid, s->host ? s->host : "here",
		 (unsigned long long)(BASE_NS + (uint64_t)s->start_ms * MS), MAKE_TRACE_START,
		 s->process_start, s->events ? s->events : "null", parent);
	snprintf(end_text, sizeof(end_text),
		 "{\"end\":\"%s\",\"status\":0,\"ended_ticks\":\"%llu\"}", s->end ? s->end : "exit",
		 (unsigned long long)(MAKE_TRACE_START + (uint64_t)s->ran_ms * MS));
	snprintf(modules_text, sizeof(modules_text),
		 "{\"id\":1,\"path\":\"/bin/same\",\"build_id\":\"aa\",\"base\":\"0x%llx\","
		 "\"ranges\":[[\"0x%llx\",\"0x%llx\"]],\"loaded\":0,\"unloaded\":null}",
		 (unsigned long long)base, (unsigned long long)base,
		 (unsigned long long)base + 0x10000);
	if (s->kernel_read != 0)
		snprintf(end_text, sizeof(end_text),
			 "{\"end\":\"exit\",\"status\":0,\"ended_ticks\":\"%llu\",\"kernel_io\":{"
			 "\"begin_ticks\":\"1\",\"look_ticks\":\"2\",\"ticks\":\"2\","
			 "\"read_bytes\":\"%u\",\"written_bytes\":\"0\"}}",
			 (unsigned long long)(MAKE_TRACE_START + (uint64_t)s->ran_ms * MS),
			 s->kernel_read);
	made.run = run_text;
	made.end = end_text;
	made.modules = modules_text;
}

/* The tree's order is by start, so traces are added in that of the specs' starts. */
static struct tree_trace traces[16];
static char paths[16][160];
static size_t trace_count;

static void end(void)
{
	char name[32];

	snprintf(name, sizeof(name), "%zu.trace", trace_count);
	snprintf(paths[trace_count], sizeof(paths[0]), "%s", make_path(name));
	make_trace_write(&made, paths[trace_count]);
	make_trace_free(&made);
	traces[trace_count] = (struct tree_trace){.path = paths[trace_count]};
	trace_count++;
}

static struct tree build(void)
{
	struct run_options options = {.for_tree = true};
	const struct run_options plain = {.progress = NULL};
	struct error e = {.code = ERROR_NONE};
	struct tree t;

	tree_order(traces, trace_count);
	assert_int_equal(tree_begin(&t, &e), 0);
	for (size_t i = 0; i < trace_count; i++) {
		struct run run;

		if (!traces[i].usable) {
			tree_leave_out(&t, &traces[i].error);
			continue;
		}
		assert_int_equal(run_load(&run, traces[i].path, &options, &e), 0);
		assert_int_equal(tree_add(&t, &run, &e), 0);
	}
	if (tree_finish(&t, &plain, &e) != 0)
		fail_msg("%s", e.text);
	trace_count = 0;
	return t;
}

static struct tree build_specs(const struct spec *specs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		begin(&specs[i]);
		end();
	}
	return build();
}

/* The pid of a process's parent; 0: a root. */
static int parent_of(const struct tree *t, int pid, unsigned image)
{
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_process *p = &t->processes[t->images[i].process];

		if (t->images[i].run.pid == pid && t->images[i].number == image)
			return p->parent_image == TREE_NONE ? 0
							    : t->images[p->parent_image].run.pid;
	}
	fail_msg("no image %u of %d", image, pid);
	return -1;
}

static bool has_notice(const struct tree *t, bool lost, const char *part)
{
	for (size_t i = 0; i < t->run.notice_count; i++)
		if (t->run.notices[i].lost == lost && strstr(t->run.notices[i].text, part) != NULL)
			return true;
	return false;
}

/* Processes. */

static void test_images_of_a_process(void **state)
{
	static const struct spec specs[] = {
		{.id = 3, .pid = 10, .start_ms = 30, .ran_ms = 50, .process_start = 7},
		{.id = 1,
		 .pid = 10,
		 .start_ms = 0,
		 .ran_ms = 12,
		 .process_start = 7,
		 .end = "exec"},
		{.id = 2,
		 .pid = 10,
		 .start_ms = 10,
		 .ran_ms = 20,
		 .process_start = 7,
		 .end = "exec"},
		/* The number again, of another process. */
		{.id = 4, .pid = 10, .start_ms = 100, .ran_ms = 10, .process_start = 9},
		/* The same, on another machine. */
		{.id = 5, .pid = 10, .host = "there", .start_ms = 5, .process_start = 7},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_int_equal(t.process_count, 3);
	assert_int_equal(t.root_count, 3);
	assert_int_equal(t.processes[0].image_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(t.images[i].number, i);
		assert_int_equal(t.images[i].run.id[0], i + 1);
	}
	/* The end of the first was noticed after the second had begun. */
	assert_true(fabs(t.images[0].until_s - 0.010) < 1e-6);
	assert_true(fabs(t.run.duration_s - 0.110) < 1e-6);
	assert_true(has_notice(&t, false, "of 3 processes"));
	tree_free(&t);
}

/* Without the process's start, an exec before tells. */
static void test_images_without_process_start(void **state)
{
	static const struct spec specs[] = {
		{.id = 1, .pid = 10, .start_ms = 0, .ran_ms = 10, .end = "exec"},
		{.id = 2, .pid = 10, .start_ms = 10, .ran_ms = 10},
		{.id = 3, .pid = 10, .start_ms = 30, .ran_ms = 10},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_int_equal(t.process_count, 2);
	assert_int_equal(t.processes[0].image_count, 2);
	tree_free(&t);
}

static void test_parents(void **state)
{
	static const struct spec specs[] = {
		{.id = 1, .pid = 10, .start_ms = 0, .ran_ms = 1000, .process_start = 1},
		/* Forked: its parent's pid is init's by now. */
		{.id = 2,
		 .pid = 11,
		 .ppid = 1,
		 .start_ms = 100,
		 .ran_ms = 100,
		 .process_start = 2,
		 .parent = 1,
		 .parent_pid = 10},
		/* Spawned by it, as long as it was there. */
		{.id = 3, .pid = 12, .ppid = 11, .start_ms = 150, .ran_ms = 10, .process_start = 3},
		/* The number 11 again, begun by 10; and its child. */
		{.id = 4,
		 .pid = 11,
		 .ppid = 10,
		 .start_ms = 500,
		 .ran_ms = 100,
		 .process_start = 4},
		{.id = 5, .pid = 13, .ppid = 11, .start_ms = 550, .ran_ms = 10, .process_start = 5},
		/* Nobody is 11 at that time, nor on that machine. */
		{.id = 6, .pid = 14, .ppid = 11, .start_ms = 900, .ran_ms = 10, .process_start = 6},
		{.id = 7,
		 .pid = 15,
		 .ppid = 11,
		 .host = "there",
		 .start_ms = 560,
		 .process_start = 7},
	};
	struct tree t = build_specs(specs, COUNT(specs));
	size_t second;

	(void)state;
	assert_int_equal(parent_of(&t, 10, 0), 0);
	assert_int_equal(parent_of(&t, 12, 0), 11);
	assert_int_equal(parent_of(&t, 13, 0), 11);
	assert_int_equal(parent_of(&t, 14, 0), 0);
	assert_int_equal(parent_of(&t, 15, 0), 0);
	assert_int_equal(t.root_count, 3);
	/* Each after its parent: 10, 11, 12, then the other 11, 13. */
	assert_int_equal(t.images[2].run.pid, 12);
	assert_int_equal(t.images[2].run.id[0], 3);
	second = t.images[4].process;
	assert_int_equal(t.images[4].run.pid, 13);
	assert_int_equal(t.images[t.processes[t.processes[second].parent].first_image].run.id[0],
			 4);
	assert_int_equal(t.processes[second].depth, 2);
	tree_free(&t);
}

/* The image that spawned is the one that was there at the time. */
static void test_parent_image(void **state)
{
	static const struct spec specs[] = {
		{.id = 1,
		 .pid = 10,
		 .start_ms = 0,
		 .ran_ms = 10,
		 .process_start = 1,
		 .end = "exec"},
		{.id = 2, .pid = 10, .start_ms = 100, .ran_ms = 10, .process_start = 1},
		{.id = 3, .pid = 11, .ppid = 10, .start_ms = 30, .process_start = 2},
		{.id = 4, .pid = 12, .ppid = 10, .start_ms = 105, .process_start = 3},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_int_equal(t.process_count, 3);
	assert_int_equal(t.processes[1].parent_image, 0);
	assert_int_equal(t.processes[2].parent_image, 1);
	tree_free(&t);
}

/* Traces may say that each is the other's parent, or their own. */
static void test_circle_of_parents(void **state)
{
	static const struct spec specs[] = {
		{.id = 1, .pid = 10, .start_ms = 0, .process_start = 1, .parent = 3},
		{.id = 2, .pid = 11, .start_ms = 1, .process_start = 2, .parent = 1},
		{.id = 3, .pid = 12, .start_ms = 2, .process_start = 3, .parent = 2},
		{.id = 4, .pid = 13, .ppid = 13, .start_ms = 3, .process_start = 4, .parent = 4},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_int_equal(t.process_count, 4);
	assert_int_equal(t.image_count, 4);
	assert_true(t.root_count >= 2);
	tree_free(&t);
}

static void test_partly_off(void **state)
{
	struct spec specs[] = {
		{.id = 1, .pid = 10, .ran_ms = 10, .events = "[\"io\"]"},
		{.id = 2, .pid = 11, .ppid = 10, .ran_ms = 10, .events = "[\"io\",\"memory\"]"},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_int_equal(t.run.off, RUN_OFF_NET | RUN_OFF_WAIT);
	assert_true(has_notice(&t, false, "the heap of process 10: PERFHOOK_EVENTS left it out"));
	assert_false(has_notice(&t, false, "the network"));
	tree_free(&t);
	specs[0].events = NULL;
	t = build_specs(specs, COUNT(specs));
	assert_int_equal(t.run.off, 0);
	assert_true(has_notice(&t, false, "the network of process 11"));
	tree_free(&t);
}

/* One line of all, if it matters to all. */
static void test_bytes_not_seen(void **state)
{
#define EVERYTHING "[\"memory\",\"io\",\"net\"]"
	static const struct spec specs[] = {
		{.id = 1, .pid = 10, .ran_ms = 1, .events = EVERYTHING, .kernel_read = 100000},
		{.id = 2,
		 .pid = 11,
		 .ppid = 10,
		 .ran_ms = 1,
		 .events = EVERYTHING,
		 .kernel_read = 300000},
		{.id = 3, .pid = 12, .ppid = 10, .ran_ms = 1, .events = EVERYTHING},
	};
	struct tree t = build_specs(specs, COUNT(specs));

	(void)state;
	assert_true(has_notice(&t, false,
			       "in p11, p10: all 390.6 KiB that the kernel counted as read went"));
	assert_int_equal(t.run.notice_count, 1);
	tree_free(&t);
}

/* A program that was not recorded comes before all else. */
static void test_unrecorded_first(void **state)
{
	static const struct spec specs[] = {
		{.id = 1, .pid = 10, .ran_ms = 5, .parent = 9, .parent_pid = 3},
		{.id = 2, .pid = 11, .ppid = 10, .ran_ms = 5},
	};
	struct tree t;

	(void)state;
	begin(&specs[0]);
	make_memory(&made, 1, MS, PH_OP_free, 0x9000, 0, 0);
	end();
	begin(&specs[1]);
	snprintf(end_text, sizeof(end_text),
		 "{\"end\":\"exit\",\"status\":0,\"ended_ticks\":\"0\","
		 "\"children_unrecorded\":3}");
	end();
	t = build();
	assert_true(t.run.notice_count >= 3);
	assert_string_equal(t.run.notices[0].text,
			    "process 11: 3 processes that it forked could not be recorded");
	assert_int_equal(t.run.notices[0].about, NOTICE_PROGRAM);
	assert_int_equal(t.run.notices[1].about, NOTICE_OTHER);
	tree_free(&t);
}

static void test_left_out(void **state)
{
	static const struct spec specs[] = {{.id = 1, .pid = 10, .ran_ms = 1}};
	struct tree t;

	(void)state;
	begin(&specs[0]);
	end();
	begin(&specs[0]);
	end();
	make_file(make_path("broken"), "broken", 6);
	snprintf(paths[2], sizeof(paths[2]), "%s", make_path("broken"));
	traces[trace_count++] = (struct tree_trace){.path = paths[2]};
	t = build();
	assert_int_equal(t.image_count, 1);
	assert_true(has_notice(&t, false, "counted once"));
	assert_true(has_notice(&t, true, "broken"));
	assert_false(t.run.complete);
	tree_free(&t);
}

/* Sums. */

static const struct site *site_with(const struct run *run, uint64_t pc)
{
	for (size_t i = 0; i < run->site_count; i++) {
		uint32_t node = run->sites[i].node;

		if (node != 0 && run->addresses[run->nodes[node].address].pc == pc)
			return &run->sites[i];
	}
	return NULL;
}

/* One line of one module, wherever that was loaded. */
static void test_stacks_are_one(void **state)
{
	const struct spec specs[] = {
		{.id = 1, .pid = 10, .ran_ms = 10, .base = 0x400000},
		{.id = 2, .pid = 11, .ran_ms = 10, .start_ms = 5, .base = 0x7f0000000000},
	};
	struct tree t;
	const struct site *s;

	(void)state;
	for (size_t i = 0; i < COUNT(specs); i++) {
		uint32_t outer, node;

		begin(&specs[i]);
		outer = make_node(&made, 0, specs[i].base + 0x10);
		node = make_node(&made, outer, specs[i].base + 0x20 + i);
		make_memory(&made, 1, 1 * MS, PH_OP_malloc, 0x1000, 100, outer);
		make_memory(&made, 1, 2 * MS, PH_OP_malloc, 0x2000, 50, node);
		end();
	}
	t = build();
	assert_int_equal(t.run.module_count, 1);
	assert_int_equal(t.run.site_count, 3);
	s = site_with(&t.run, 0x10);
	assert_non_null(s);
	assert_int_equal(s->live_bytes, 200);
	assert_int_equal(s->live_blocks, 2);
	assert_int_equal(s->live_in.processes, 2);
	assert_true(fabs(s->first_at_s - 0.001) < 1e-6);
	assert_true(fabs(s->last_at_s - 0.006) < 1e-6);
	assert_int_equal(site_with(&t.run, 0x20)->live_bytes, 50);
	assert_int_equal(site_with(&t.run, 0x21)->live_in.pid, 11);
	assert_int_equal(t.run.heap.live_bytes, 300);
	assert_int_equal(t.run.heap.allocations, 4);
	tree_free(&t);
}

static void read_call(unsigned at_ms, unsigned us, int64_t result)
{
	make_call(&made, 1, (uint64_t)at_ms * MS,
		  (struct ph_call){.op = PH_OP_read,
				   .fd = 3,
				   .object = 7,
				   .entry = (uint64_t)at_ms * MS,
				   .duration = us * 1000,
				   .result = result,
				   .arg = 4096},
		  NULL, 0);
}

/* A file is its path; latencies are those of all calls together. */
static void test_files_are_one(void **state)
{
	const struct spec specs[] = {
		{.id = 1, .pid = 10, .ran_ms = 10},
		{.id = 2, .pid = 11, .ran_ms = 10, .start_ms = 20},
	};
	struct tree t;
	const struct file *f;
	double bytes = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(specs); i++) {
		begin(&specs[i]);
		make_object(&made, 1, 1 * MS, 7, 3,
			    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED},
			    "/data/one", NULL, NULL);
		for (unsigned k = 0; k < 3; k++)
			read_call(2 + k, 10 * (1 + k) + i, i == 1 && k == 2 ? -5 : 64);
		end();
	}
	t = build();
	assert_int_equal(t.run.file_count, 1);
	f = &t.run.files[0];
	assert_string_equal(f->path, "/data/one");
	assert_int_equal(f->traffic.read_calls, 6);
	assert_int_equal(f->traffic.read_bytes, 5 * 64);
	assert_int_equal(f->traffic.errors, 1);
	assert_int_equal(f->traffic.latency.count, 6);
	/* 10, 11, 20, 21, 30, 31 us */
	assert_true(fabs(f->traffic.latency.min - 10) < 1e-6);
	assert_true(fabs(f->traffic.latency.p50 - 20) < 1e-6);
	assert_true(fabs(f->traffic.latency.max - 31) < 1e-6);
	assert_true(fabs(f->traffic.latency.mean - 20.5) < 1e-6);
	assert_true(fabs(f->first_at_s - 0.002) < 1e-6);
	assert_true(f->last_at_s > 0.024 && f->last_at_s < 0.0241);
	assert_int_equal(t.run.io.timeline_count, 128);
	for (size_t i = 0; i < 128; i++)
		bytes += t.run.io.timeline[i].read_bytes_per_s * t.run.duration_s / 128;
	assert_true(fabs(bytes - 5 * 64) < 1e-3);
	/* Nothing between the two. */
	assert_true(t.run.io.timeline[128 * 15 / 30].read_bytes_per_s == 0);
	tree_free(&t);
}

/* The peak. */

static void allocate(unsigned at_ms, uint64_t address, uint64_t size, uint32_t node)
{
	make_memory(&made, 1, (uint64_t)at_ms * MS, PH_OP_malloc, address, size, node);
}

static void release(unsigned at_ms, uint64_t address)
{
	make_memory(&made, 1, (uint64_t)at_ms * MS, PH_OP_free, address, 0, 0);
}

/* 1000 from 10 to 50 and 1500 from 80 to 90; 800 from 30 to 70, in real time. */
static void test_peak_is_of_a_moment(void **state)
{
	const struct spec first = {.id = 1, .pid = 10, .ran_ms = 100};
	const struct spec second = {.id = 2, .pid = 11, .start_ms = 20, .ran_ms = 60};
	struct tree t;
	uint64_t held = 0, highest = 0;

	(void)state;
	begin(&first);
	allocate(10, 0x1000, 1000, make_node(&made, 0, 0x400010));
	release(50, 0x1000);
	allocate(80, 0x2000, 1500, make_node(&made, 0, 0x400020));
	release(90, 0x2000);
	end();
	begin(&second);
	allocate(10, 0x1000, 800, make_node(&made, 0, 0x400030));
	release(50, 0x1000);
	end();
	t = build();
	assert_int_equal(t.run.heap.peak_bytes, 1800);
	assert_int_equal(t.run.heap.peak_blocks, 2);
	assert_int_equal(t.run.heap.peak_uncertainty_bytes, 0);
	assert_true(t.run.heap.peak_at_s >= 0.030 && t.run.heap.peak_at_s < 0.050);
	for (size_t i = 0; i < t.run.site_count; i++)
		held += t.run.sites[i].peak_bytes;
	assert_int_equal(held, 1800);
	assert_int_equal(site_with(&t.run, 0x20)->peak_bytes, 0);
	assert_int_equal(site_with(&t.run, 0x30)->peak_in.pid, 11);
	for (size_t i = 0; i < t.run.heap.timeline_count; i++)
		if (t.run.heap.timeline[i].live_bytes > highest)
			highest = t.run.heap.timeline[i].live_bytes;
	assert_int_equal(highest, 1800);
	assert_int_equal(t.run.heap.timeline[0].live_bytes, 0);
	assert_int_equal(t.run.heap.timeline[128 * 60 / 100].live_bytes, 800);
	assert_int_equal(t.run.heap.timeline[128 * 85 / 100].live_bytes, 1500);
	tree_free(&t);
}

#define RANDOM_PROCESSES 6
#define RANDOM_MS	 8000

static uint32_t seed;

static uint32_t next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* An event in each of `every` milliseconds; what the process has from each on is
 * added to `live`, until its end. */
static void make_random(unsigned number, unsigned start_ms, unsigned ran_ms, unsigned every,
			uint64_t *live)
{
	const struct spec s = {.id = (uint8_t)(number + 1),
			       .pid = 10 + (int)number,
			       .start_ms = start_ms,
			       .ran_ms = ran_ms};
	uint64_t sizes[16] = {0}, sum = 0;

	begin(&s);
	for (unsigned ms = 0; ms < ran_ms; ms++) {
		unsigned slot = next_random() % 16;

		if (ms % every == 0 && sizes[slot] == 0) {
			sizes[slot] = 1 + next_random() % 100000;
			allocate(ms, 0x1000 * (slot + 1), sizes[slot],
				 make_node(&made, 0, 0x400010 + slot));
			sum += sizes[slot];
		} else if (ms % every == 0) {
			release(ms, 0x1000 * (slot + 1));
			sum -= sizes[slot];
			sizes[slot] = 0;
		}
		live[start_ms + ms] += sum;
	}
	end();
}

/* Against the sum of every millisecond. */
static void check_random(unsigned every, bool exact)
{
	static uint64_t live[2 * RANDOM_MS];
	uint64_t highest = 0, held = 0, peak, bound;
	struct tree t;

	memset(live, 0, sizeof(live));
	for (unsigned i = 0; i < RANDOM_PROCESSES; i++) {
		unsigned start = i == 0 ? 0 : next_random() % RANDOM_MS;

		make_random(i, start, 1 + next_random() % RANDOM_MS, every, live);
	}
	for (size_t i = 0; i < COUNT(live); i++)
		highest = live[i] > highest ? live[i] : highest;
	t = build();
	peak = t.run.heap.peak_bytes;
	bound = peak + t.run.heap.peak_uncertainty_bytes;
	for (size_t i = 0; i < t.run.site_count; i++)
		held += t.run.sites[i].peak_bytes;
	assert_int_equal(held, peak);
	if (exact)
		assert_int_equal(bound, peak);
	assert_true(peak <= highest);
	assert_true(bound >= highest);
	tree_free(&t);
}

static void test_peak_against_sums(void **state)
{
	(void)state;
	for (seed = 1; seed < 20; seed++) {
		uint32_t kept = seed;

		check_random(10, true);
		seed = kept;
	}
}

/* Longer than can be kept exactly. */
static void test_bounded_peak_against_sums(void **state)
{
	(void)state;
	for (seed = 101; seed < 106; seed++) {
		uint32_t kept = seed;

		check_random(1, false);
		seed = kept;
	}
}

/* What an image left ends with it: the next one does not add to it. */
static void test_exec_ends_blocks(void **state)
{
	const struct spec first = {
		.id = 1, .pid = 10, .ran_ms = 30, .process_start = 1, .end = "exec"};
	const struct spec second = {
		.id = 2, .pid = 10, .start_ms = 25, .ran_ms = 30, .process_start = 1};
	struct tree t;

	(void)state;
	begin(&first);
	allocate(10, 0x1000, 1000, make_node(&made, 0, 0x400010));
	end();
	begin(&second);
	allocate(2, 0x1000, 800, make_node(&made, 0, 0x400030));
	end();
	t = build();
	assert_int_equal(t.run.heap.peak_bytes, 1000);
	assert_int_equal(t.run.heap.live_bytes, 1800);
	tree_free(&t);
}

/* Times that contradict each other: what is said to come after the end does not stay. */
static void test_blocks_after_the_end(void **state)
{
	const struct spec first = {
		.id = 1, .pid = 10, .ran_ms = 30, .process_start = 1, .end = "exec"};
	const struct spec second = {
		.id = 2, .pid = 10, .start_ms = 5, .ran_ms = 30, .process_start = 1};
	struct tree t;

	(void)state;
	begin(&first);
	allocate(10, 0x1000, 1000, make_node(&made, 0, 0x400010));
	end();
	begin(&second);
	allocate(2, 0x1000, 800, make_node(&made, 0, 0x400030));
	end();
	t = build();
	assert_int_equal(t.run.heap.peak_bytes, 800);
	tree_free(&t);
}

/* No time at all, and the last of all times. */
static void test_strange_times(void **state)
{
	const struct spec specs[] = {
		{.id = 1, .pid = 10},
		{.id = 2, .pid = 11, .start_ms = UINT32_MAX, .ran_ms = UINT32_MAX},
	};
	struct tree t;

	(void)state;
	for (size_t i = 0; i < COUNT(specs); i++) {
		begin(&specs[i]);
		allocate(0, 0x1000, 1000, make_node(&made, 0, 0x400010));
		end();
	}
	t = build();
	assert_int_equal(t.run.heap.peak_bytes, 1000);
	assert_int_equal(t.run.heap.live_bytes, 2000);
	tree_free(&t);
	begin(&specs[0]);
	allocate(0, 0x1000, 1000, make_node(&made, 0, 0x400010));
	end();
	t = build();
	assert_int_equal(t.run.heap.peak_bytes, 1000);
	assert_int_equal(t.run.heap.timeline_count, 0);
	tree_free(&t);
}

/* What a fork left is its parent's, in the sum and in the peak. */
static void test_inherited_counts_once(void **state)
{
	const struct spec parent = {.id = 1, .pid = 10, .ran_ms = 100};
	const struct spec child = {.id = 2,
				   .pid = 11,
				   .ppid = 10,
				   .start_ms = 20,
				   .ran_ms = 50,
				   .parent = 1,
				   .parent_pid = 10,
				   .fork = 1};
	struct run_known known = {.path = paths[0]};
	struct run_options options = {.for_tree = true, .known = &known, .known_count = 1};
	const struct run_options plain = {.progress = NULL};
	struct error e = {.code = ERROR_NONE};
	struct tree t;
	const struct site *s;

	(void)state;
	memset(known.id, 1, sizeof(known.id));
	begin(&parent);
	allocate(10, 0x1000, 1000, make_node(&made, 0, 0x400010));
	allocate(11, 0x2000, 500, 1);
	make_call(&made, 1, 20 * MS,
		  (struct ph_call){.op = PH_OP_FORKED, .fd = -1, .entry = 20 * MS, .arg = 1}, NULL,
		  0);
	make_call(&made, 1, 20 * MS,
		  (struct ph_call){
			  .op = PH_OP_fork, .fd = -1, .entry = 20 * MS, .result = 11, .arg = 1},
		  NULL, 0);
	make_call(&made, 1, 21 * MS,
		  (struct ph_call){
			  .op = PH_OP_fork, .fd = -1, .entry = 21 * MS, .result = 12, .arg = 2},
		  NULL, 0);
	end();
	begin(&child);
	make_memory(&made, 1, 10 * MS, PH_OP_free, 0x2000, 0, 0);
	allocate(20, 0x3000, 70, make_node(&made, 0, 0x400020));
	end();
	tree_order(traces, trace_count);
	assert_int_equal(tree_begin(&t, &e), 0);
	for (size_t i = 0; i < trace_count; i++) {
		struct run run;

		assert_int_equal(run_load(&run, traces[i].path, &options, &e), 0);
		assert_int_equal(tree_add(&t, &run, &e), 0);
	}
	trace_count = 0;
	assert_int_equal(tree_finish(&t, &plain, &e), 0);
	assert_int_equal(t.images[1].run.heap.inherited_bytes, 1500);
	assert_int_equal(t.images[1].run.heap.inherited_live_bytes, 1000);
	assert_int_equal(t.images[1].run.heap.live_bytes, 1070);
	assert_int_equal(t.images[1].own_peak_bytes, 70);
	assert_int_equal(t.run.heap.live_bytes, 1570);
	assert_int_equal(t.run.heap.peak_bytes, 1570);
	s = site_with(&t.run, 0x10);
	assert_int_equal(s->live_bytes, 1500);
	assert_int_equal(s->live_in.processes, 1);
	/* 12 was forked too, and is not here. */
	assert_true(has_notice(&t, false, "10 forked 1 child whose trace was not given: 12"));
	tree_free(&t);
}

/* Equal sentences are one, with whom they are of. */
static void test_notices_fold(void **state)
{
	struct tree t;

	(void)state;
	for (uint8_t i = 0; i < 6; i++) {
		const struct spec s = {.id = (uint8_t)(i + 1), .pid = 10 + i, .ran_ms = 5};

		begin(&s);
		release(1, 0x1000);
		end();
	}
	t = build();
	assert_int_equal(t.run.heap.unmatched_frees, 6);
	assert_true(
		has_notice(&t, false, "processes 10, 11, 12, 13 and 2 more: 1 block was freed"));
	tree_free(&t);
}

/* Profiles. */

static void note(struct profile *p, double ms, uint64_t bytes)
{
	const struct band level = {bytes, bytes, 1};

	profile_note(p, ms * MS, &level, &level);
}

static void test_profile_is_exact_while_short(void **state)
{
	struct profile *p = profile_new();

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		note(p, i, (uint64_t)i % 2 * 1000000);
	profile_end(p);
	assert_int_equal(p->tolerance, 0);
	assert_int_equal(p->count, 1000);
	for (size_t i = 0; i < p->count; i++) {
		assert_int_equal(p->stretches[i].band.high, i % 2 * 1000000);
		assert_int_equal(p->stretches[i].band.low, i % 2 * 1000000);
	}
	profile_free(p);
}

/* However long, it holds every value, within few stretches and a tolerance. */
static void test_profile_is_bounded(void **state)
{
	struct profile *p = profile_new();
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		note(p, i, (uint64_t)i * 100 + (i % 7) * 5000);
	profile_end(p);
	assert_false(p->failed);
	assert_true(p->count <= PROFILE_MAX && p->count > PROFILE_MAX / 8);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t value = (uint64_t)i * 100 + (i % 7) * 5000;

		while (at + 1 < p->count && p->stretches[at + 1].start_ns <= (double)i * MS)
			at++;
		assert_true(value >= p->stretches[at].band.low);
		assert_true(value <= p->stretches[at].band.high);
		assert_true(p->stretches[at].band.high - p->stretches[at].band.low <= p->tolerance);
	}
	profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_of_a_process),
		cmocka_unit_test(test_images_without_process_start),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_parent_image),
		cmocka_unit_test(test_circle_of_parents),
		cmocka_unit_test(test_partly_off),
		cmocka_unit_test(test_bytes_not_seen),
		cmocka_unit_test(test_unrecorded_first),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_stacks_are_one),
		cmocka_unit_test(test_files_are_one),
		cmocka_unit_test(test_peak_is_of_a_moment),
		cmocka_unit_test(test_peak_against_sums),
		cmocka_unit_test(test_bounded_peak_against_sums),
		cmocka_unit_test(test_exec_ends_blocks),
		cmocka_unit_test(test_blocks_after_the_end),
		cmocka_unit_test(test_strange_times),
		cmocka_unit_test(test_inherited_counts_once),
		cmocka_unit_test(test_notices_fold),
		cmocka_unit_test(test_profile_is_exact_while_short),
		cmocka_unit_test(test_profile_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
