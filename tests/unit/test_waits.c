/* SPDX-License-Identifier: MIT */
/* Waits, and threads' time split up, from traces made by hand. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/run.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"

static char threads_text[2048];

static int begin_waits(void **state)
{
	(void)state;
	make_trace_begin(&t);
	threads_text[0] = '\0';
	return 0;
}

static void load(const char *name)
{
	if (threads_text[0] != '\0')
		t.threads = threads_text;
	load_made(name);
	assert_true(run.complete);
}

static uint64_t ticks(uint64_t ns)
{
	return MAKE_TRACE_START + ns;
}

/* Times in milliseconds; cpu_at 0: its processor time is not known. */
static void thread(unsigned stream, unsigned nested_in, unsigned from, unsigned to,
		   unsigned cpu_started, unsigned cpu, unsigned delay, unsigned cpu_at)
{
	size_t n = strlen(threads_text);

	n += (size_t)snprintf(threads_text + n, sizeof(threads_text) - n,
			      "%s{\"stream\":%u,\"tid\":%u,\"name\":\"t\",\"nested_in\":%u,"
			      "\"started_ticks\":\"%llu\",\"ended_ticks\":\"%llu\"",
			      n != 0 ? "," : "", stream, 100 + stream, nested_in,
			      (unsigned long long)ticks((uint64_t)from * MS),
			      (unsigned long long)ticks((uint64_t)to * MS));
	if (cpu_at != 0)
		n += (size_t)snprintf(
			threads_text + n, sizeof(threads_text) - n,
			",\"cpu_started_ns\":\"%llu\",\"cpu_ns\":\"%llu\",\"cpu_delay_ns\":"
			"\"%llu\",\"cpu_ticks\":\"%llu\"",
			(unsigned long long)cpu_started * MS, (unsigned long long)cpu * MS,
			(unsigned long long)delay * MS,
			(unsigned long long)ticks((uint64_t)cpu_at * MS));
	snprintf(threads_text + n, sizeof(threads_text) - n, "}");
}

/* Milliseconds; written down when it is over. */
static void call(uint32_t stream, unsigned op, int fd, uint32_t object, int64_t arg, unsigned from,
		 unsigned to, uint32_t node)
{
	make_call(&t, stream, (uint64_t)to * MS,
		  (struct ph_call){.op = (uint8_t)op,
				   .fd = fd,
				   .object = object,
				   .node = node,
				   .entry = (uint64_t)from * MS,
				   .duration = (uint64_t)(to - from) * MS,
				   .arg = arg},
		  NULL, 0);
}

/* A wait that tells the thread's processor time, milliseconds. */
static void sampled(uint32_t stream, unsigned from, unsigned to, unsigned cpu)
{
	const uint64_t cpu_ns = (uint64_t)cpu * MS;

	make_call(&t, stream, (uint64_t)to * MS,
		  (struct ph_call){.op = PH_OP_nanosleep,
				   .fd = -1,
				   .entry = (uint64_t)from * MS,
				   .duration = (uint64_t)(to - from) * MS},
		  &cpu_ns, sizeof(cpu_ns));
}

static void assert_ms(double s, double ms)
{
	if (!(fabs(s * 1e3 - ms) < 1e-6))
		fail_msg("%.9g ms, not %.9g ms", s * 1e3, ms);
}

static const struct wait *wait_on(const char *kind, const char *object)
{
	for (size_t i = 0; i < run.wait_count; i++) {
		const struct wait *w = &run.waits[i];

		if (strcmp(w->kind, kind) == 0 &&
		    (object == NULL ? w->object == NULL
				    : w->object != NULL && strcmp(w->object, object) == 0))
			return w;
	}
	fail_msg("no %s on %s", kind, object != NULL ? object : "nothing");
	return NULL;
}

/* ---- what was waited for --------------------------------------------------------- */

static void test_objects(void **state)
{
	const struct ph_object file = {.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED};

	(void)state;
	make_object(&t, 1, 0, 1, 3, file, "/tmp/a", NULL, NULL);
	make_object(&t, 1, 0, 2, 4, file, "/tmp/a", NULL, NULL);
	make_object(&t, 1, 0, 3, 5,
		    (struct ph_object){.class = PH_CLASS_SOCKET,
				       .origin = PH_ORIGIN_SOCKETPAIR,
				       .family = AF_UNIX,
				       .type = SOCK_STREAM},
		    "socket:[1]", NULL, NULL);
	call(1, PH_OP_poll, 3, 1, 1, 1, 2, 0);
	call(1, PH_OP_poll, 4, 2, 1, 3, 5, 0); /* another open of the same path */
	call(1, PH_OP_poll, 5, 3, 2, 6, 7, 0);
	call(1, PH_OP_poll, -1, 0, 2, 8, 9, 0);
	call(1, PH_OP_poll, -1, 0, 0, 10, 11, 0);
	call(1, PH_OP_poll, 9, 0, 1, 12, 13, 0);
	call(1, PH_OP_flock, 3, 1, 0, 14, 15, 0);
	call(1, PH_OP_LOCKED, 3, 1, 0, 16, 17, 0);
	call(1, PH_OP_waitpid, -1, 0, 4242, 18, 19, 0);
	call(1, PH_OP_waitpid, -1, 0, -1, 20, 21, 0);
	call(1, PH_OP_semop, -1, 0, 7, 22, 23, 0);
	load("objects");
	assert_int_equal(wait_on("poll", "/tmp/a")->count, 2);
	assert_ms(wait_on("poll", "/tmp/a")->time_s, 3);
	assert_true(wait_on("poll", "/tmp/a")->latency.max == 2000);
	assert_int_equal(wait_on("poll", "unix stream")->count, 1);
	assert_int_equal(wait_on("poll", "several descriptors")->count, 1);
	assert_int_equal(wait_on("poll", "fd 9")->count, 1);
	assert_int_equal(wait_on("sleep", NULL)->count, 1);
	assert_int_equal(wait_on("file lock", "/tmp/a")->count, 2);
	assert_int_equal(wait_on("process", "process 4242")->count, 1);
	assert_int_equal(wait_on("process", "any child")->count, 1);
	assert_int_equal(wait_on("system v ipc", "id 7")->count, 1);
	assert_ms(run.threads[0].waiting_s, 11);
	assert_ms(run.threads[0].sleeping_s, 1);
	/* Most time first. */
	assert_string_equal(run.waits[0].object, "/tmp/a");
}

static void test_stacks(void **state)
{
	uint32_t one = make_node(&t, 0, 0x1000), other = make_node(&t, 0, 0x2000);

	(void)state;
	call(1, PH_OP_nanosleep, -1, 0, 0, 1, 2, one);
	call(1, PH_OP_nanosleep, -1, 0, 0, 3, 6, other);
	call(1, PH_OP_usleep, -1, 0, 0, 7, 8, one);
	load("stacks");
	assert_int_equal(run.wait_count, 2);
	assert_ms(run.waits[0].time_s, 3);
	assert_int_equal(run.addresses[run.nodes[run.waits[0].node].address].pc, 0x2000);
	assert_int_equal(run.waits[1].count, 2);
}

/* In the heap, in a module, anywhere. */
static void test_addresses(void **state)
{
	uint32_t node = make_node(&t, 0, 0x1000);

	(void)state;
	t.modules = "{\"id\":1,\"path\":\"/lib/one.so\",\"build_id\":\"aa\",\"base\":\"0x100000\","
		    "\"loaded\":1,\"unloaded\":null,\"ranges\":[[\"0x100000\",\"0x110000\"]]}";
	make_memory(&t, 1, 0, PH_OP_malloc, 0x500010, 64, node);
	make_memory(&t, 1, 0, PH_OP_malloc, 0x600010, 64, node);
	call(1, PH_OP_pthread_mutex_lock, -1, 0, 0x500020, 1, 9, 0);
	call(1, PH_OP_pthread_mutex_lock, -1, 0, 0x500050, 10, 17, 0); /* just behind it */
	call(1, PH_OP_pthread_cond_wait, -1, 0, 0x101000, 20, 26, 0);
	call(1, PH_OP_sem_wait, -1, 0, 0x7ff000, 30, 35, 0);
	make_memory(&t, 1, 40 * MS, PH_OP_free, 0x600010, 0, 0);
	call(1, PH_OP_pthread_barrier_wait, -1, 0, 0x600020, 40, 44, 0);
	load("addresses");
	assert_int_equal(run.wait_count, 5);
	assert_string_equal(run.waits[0].kind, "lock");
	assert_int_equal(run.waits[0].home_bytes, 64);
	assert_int_equal(run.waits[0].home_offset, 0x10);
	assert_int_equal(run.addresses[run.nodes[run.waits[0].home_node].address].pc, 0x1000);
	assert_int_equal(run.waits[1].home_bytes, 0);
	assert_null(run.waits[1].module);
	assert_string_equal(run.waits[2].kind, "condition");
	assert_string_equal(run.waits[2].module, "/lib/one.so");
	assert_int_equal(run.waits[2].module_base, 0x100000);
	assert_string_equal(run.waits[3].kind, "semaphore");
	assert_null(run.waits[3].module);
	assert_int_equal(run.waits[4].home_bytes, 0);
}

/* A handle of pthread_create() is used again once its thread was joined. */
static void test_joins(void **state)
{
	(void)state;
	make_call(&t, 2, 1 * MS,
		  (struct ph_call){
			  .op = PH_OP_THREAD_START, .entry = 1 * MS, .result = 11, .arg = 0xbeef},
		  NULL, 0);
	call(1, PH_OP_pthread_join, -1, 0, 0xbeef, 2, 3, 0);
	make_call(&t, 2, 4 * MS,
		  (struct ph_call){
			  .op = PH_OP_THREAD_START, .entry = 4 * MS, .result = 12, .arg = 0xbeef},
		  NULL, 0);
	call(1, PH_OP_pthread_join, -1, 0, 0xbeef, 5, 6, 0);
	call(1, PH_OP_pthread_join, -1, 0, 0xdead, 7, 8, 0);
	load("joins");
	assert_int_equal(wait_on("join", "thread 11")->count, 1);
	assert_int_equal(wait_on("join", "thread 12")->count, 1);
	assert_int_equal(wait_on("join", "thread 0xdead")->count, 1);
}

/* ---- threads' time ------------------------------------------------------------------ */

static void test_split(void **state)
{
	const struct thread *th;

	(void)state;
	thread(1, 0, 0, 100, 5, 35, 4, 100); /* ran for 30 ms */
	call(1, PH_OP_read, 3, 0, 0, 10, 20, 0);
	call(1, PH_OP_write, 3, 0, 0, 20, 25, 0);
	call(1, PH_OP_pthread_mutex_lock, -1, 0, 0x10, 30, 50, 0);
	call(1, PH_OP_usleep, -1, 0, 0, 60, 90, 0);
	load("split");
	th = &run.threads[0];
	assert_ms(th->reading_s, 10);
	assert_ms(th->writing_s, 5);
	assert_ms(th->waiting_s, 20);
	assert_ms(th->sleeping_s, 30);
	assert_ms(th->running_s, 30);
	assert_ms(th->runnable_s, 4);
	assert_ms(th->unexplained_s, 1);
}

/* More than fits outside of calls was within: reads of what is in memory. Ready to run
 * for twice as long as it ran, it ran for a third of the time outside. */
static void test_running_within_calls(void **state)
{
	(void)state;
	thread(1, 0, 0, 100, 1, 41, 80, 100);
	call(1, PH_OP_read, 3, 0, 0, 10, 80, 0);
	load("within");
	assert_ms(run.threads[0].reading_s, 70);
	assert_ms(run.threads[0].running_s, 10);
	assert_ms(run.threads[0].runnable_s, 20);
	assert_ms(run.threads[0].unexplained_s, 0);
}

/* First it runs in reads, then it is kept by what is not seen: samples tell. */
static void test_samples(void **state)
{
	(void)state;
	thread(1, 0, 0, 100, 1, 47, 0, 100);
	call(1, PH_OP_read, 3, 0, 0, 0, 45, 0);
	sampled(1, 50, 51, 46 + 5); /* more than its last: such a trace is wrong, and harmless */
	sampled(1, 98, 99, 47);
	load("samples");
	assert_ms(run.threads[0].reading_s, 45);
	assert_ms(run.threads[0].sleeping_s, 2);
	assert_ms(run.threads[0].running_s, 5);
	assert_ms(run.threads[0].unexplained_s, 100 - 45 - 2 - 5);
}

/* A handler's calls inside a call are theirs, not its. */
static void test_calls_in_calls(void **state)
{
	(void)state;
	thread(1, 0, 0, 100, 1, 1, 0, 100);
	thread(2, 1, 0, 0, 0, 0, 0, 0); /* handlers that interrupted a hook */
	call(2, PH_OP_write, 3, 0, 0, 20, 30, 0);
	call(1, PH_OP_read, 3, 0, 0, 40, 45, 0);
	call(1, PH_OP_poll, -1, 0, 2, 10, 60, 0);
	call(1, PH_OP_poll, -1, 0, 2, 62, 65, 0);
	for (unsigned i = 0; i < 14; i++) /* more than are remembered one by one */
		call(1, PH_OP_usleep, -1, 0, 0, 71 + i, 72 + i, 0);
	call(1, PH_OP_read, 3, 0, 0, 70, 90, 0);
	load("nested");
	assert_int_equal(run.thread_count, 1);
	assert_ms(run.threads[0].writing_s, 10);
	assert_ms(run.threads[0].waiting_s, 35 + 3);
	assert_ms(run.threads[0].sleeping_s, 14);
	assert_ms(run.threads[0].reading_s, 5 + 6);
	assert_ms(run.threads[0].unexplained_s, 100 - 10 - 38 - 14 - 11);
	/* As long as it took, for who looks at the call. */
	assert_true(wait_on("poll", "several descriptors")->latency.max == 50000);
	assert_ms(wait_on("poll", "several descriptors")->time_s, 38);
}

static void test_unknown(void **state)
{
	(void)state;
	thread(1, 0, 0, 10, 0, 0, 0, 0);
	call(1, PH_OP_usleep, -1, 0, 0, 1, 2, 0);
	load("unknown");
	assert_true(isnan(run.threads[0].running_s));
	assert_true(isnan(run.threads[0].unexplained_s));
	assert_ms(run.threads[0].sleeping_s, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_objects, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_stacks, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_addresses, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_joins, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_split, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_running_within_calls, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_samples, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_calls_in_calls, begin_waits, end),
		cmocka_unit_test_setup_teardown(test_unknown, begin_waits, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
