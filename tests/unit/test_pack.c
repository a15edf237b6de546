/* SPDX-License-Identifier: MIT */
/* `perfhook pack`: what goes in comes out, whatever it is; what is read of a packed
 * trace is what was read of the trace; damage costs what it hits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/commands.h" /* before cmocka.h: its macro hides our fail() */
#include "analyzer/pack.h"
#include "analyzer/reader.h"

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/make_trace.h"
#include "trace/pack.h"

/* ---- one block ------------------------------------------------------------------ */

#define MOST 20000

static struct ph_event events[MOST];
static size_t count;
static uint64_t words[MOST * 8];
static size_t word_count;
static uint64_t seed, stamp;

static unsigned roll(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void begin(uint64_t with)
{
	seed = with;
	count = word_count = 0;
	stamp = 1000;
}

static void memory(unsigned op, uint64_t address, uint64_t size, uint32_t node)
{
	assert_true(count < MOST);
	events[count++] = (struct ph_event){
		.stamp = stamp, .op = (uint8_t)op, .address = address, .size = size, .node = node};
}

static void call(unsigned op, int fd, uint32_t object, unsigned more)
{
	struct ph_call c = {.op = (uint8_t)op,
			    .flags = (uint8_t)(roll(10) == 0),
			    .cells = (uint16_t)(PH_CALL_CELLS + more),
			    .fd = fd,
			    .object = object,
			    .node = roll(3) ? 7 : 0,
			    .entry = stamp + roll(100),
			    .duration = roll(5000),
			    .result = roll(4) ? 512 : -(int64_t)roll(40),
			    .arg = roll(2) ? 512 : -1};

	assert_true(count < MOST && word_count + c.cells * 2u < sizeof(words) / sizeof(words[0]));
	memcpy(words + word_count, &c, sizeof(c));
	for (unsigned i = 0; i < more * 2; i++)
		words[word_count + sizeof(c) / 8 + i] = roll(3) ? roll(9) : seed;
	events[count++] = (struct ph_event){.stamp = stamp,
					    .op = (uint8_t)op,
					    .node = c.node,
					    .call = (const struct ph_call *)(words + word_count)};
	word_count += c.cells * 2u;
}

static void pack(struct ph_block_header *h, struct ph_buffer *payload)
{
	*h = (struct ph_block_header){.kind = PH_BLOCK_EVENTS};
	*payload = (struct ph_buffer){0};
	assert_int_equal(ph_pack_events(events, count, h, payload), 0);
	h->raw_bytes = (uint32_t)payload->length;
	assert_int_equal(h->events, count);
}

static void expect_same(const struct ph_events *got)
{
	assert_int_equal(got->count, count);
	for (size_t i = 0; i < count; i++) {
		const struct ph_event *a = &events[i], *b = &got->events[i];

		assert_int_equal(a->op, b->op);
		assert_true(a->stamp == b->stamp && a->address == b->address &&
			    a->size == b->size && a->node == b->node);
		assert_int_equal(a->call == NULL, b->call == NULL);
		if (a->call != NULL) {
			assert_int_equal(a->call->cells, b->call->cells);
			assert_memory_equal(a->call, b->call, a->call->cells * 16u);
		}
	}
}

static size_t round_trip(void)
{
	struct ph_events got = {0};
	struct ph_block_header h;
	struct ph_buffer payload;
	size_t length;

	pack(&h, &payload);
	length = payload.length;
	assert_null(ph_decode_events(&h, payload.data, payload.length, &got));
	expect_same(&got);
	ph_events_free(&got);
	ph_buffer_free(&payload);
	return length;
}

/* A program that keeps to no rule: addresses twice, of nobody, of all sizes. */
static void anything(uint64_t with, size_t most)
{
	uint64_t live[64] = {0};
	static const uint64_t odd[] = {0, 1, 17, UINT64_C(1) << 60, UINT64_MAX, UINT64_MAX - 15};

	begin(with);
	while (count + 3 < most) {
		uint64_t *slot = &live[roll(64)], size = roll(5) ? roll(8) * 24 : roll(200000);
		uint64_t address = UINT64_C(0x555500000000) + roll(4000) * 16u;

		stamp += roll(4) ? 0 : roll(9) ? roll(3000) : -(uint64_t)roll(20);
		if (!roll(50))
			address = odd[roll(6)];
		switch (roll(8)) {
		case 0:
			call(roll(2) ? PH_OP_read : PH_OP_write, (int)roll(2000) - 1, roll(5),
			     roll(4));
			break;
		case 1:
			memory(PH_OP_REALLOC_BEGIN, *slot, 0, 0);
			if (roll(5) == 0)
				memory(PH_OP_REALLOC_FAILED, *slot, 0, 0);
			else
				memory(PH_OP_realloc, *slot = roll(2) ? *slot : address, size, 4);
			break;
		case 2:
		case 3:
		case 4:
			memory(PH_OP_free, roll(9) ? *slot : address, 0, 0);
			break;
		default:
			memory(roll(3) ? PH_OP_malloc : PH_OP_calloc, *slot = address,
			       roll(40) ? size : UINT64_MAX, roll(30));
		}
	}
}

static void test_round_trips(void **state)
{
	(void)state;
	begin(1);
	round_trip();
	for (uint64_t with = 1; with < 60; with++) {
		anything(with, with < 40 ? 40 * with : MOST);
		round_trip();
	}
}

/* What a program gets again and again costs a byte an event, and nothing else. */
static void test_guesses(void **state)
{
	(void)state;
	begin(1);
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned k = 0; k < 5; k++)
			memory(PH_OP_malloc, 0x10000 + 48 * k, 40, k + 1);
		for (unsigned k = 5; k-- > 0;)
			memory(PH_OP_free, 0x10000 + 48 * k, 0, 0);
	}
	assert_in_range(round_trip(), 10000, 10200);
}

/* The bytes of docs/trace-format.md. */
static void the_worked_example(void **state)
{
	static const uint8_t bytes[] = {
		0x02, 0x03, 0x05, 0x0b, 0x05, 0x02, 0x00, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0xe3, 0x03, 0x0a, 0x05, 0x00, 0x40, 0x00,
		0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0xac, 0x02, 0x00, 0x01, 0x83, 0x08, 0x19,
	};
	const struct ph_block_header h = {.events = 4, .first_stamp = 1000};
	struct ph_events got = {0};

	(void)state;
	begin(1);
	memory(1, 0x1000, 64, 5);
	stamp = 1300;
	memory(10, 0x1000, 0, 0);
	memory(1, 0x1000, 64, 5);
	memory(1, 0xff0, 64, 5);
	assert_null(ph_decode_events(&h, bytes, sizeof(bytes), &got));
	expect_same(&got);
	ph_events_free(&got);
}

static void test_too_many(void **state)
{
	struct ph_block_header h = {.kind = PH_BLOCK_EVENTS};
	struct ph_buffer payload = {0};

	(void)state;
	assert_int_equal(ph_pack_events(events, PH_BLOCK_EVENTS_MAX + 1, &h, &payload), -1);
	assert_true(payload.failed);
	ph_buffer_free(&payload);
}

/* Never out of bounds: most of all under AddressSanitizer. */
static void test_hostile_bytes(void **state)
{
	struct ph_events got = {0};
	struct ph_block_header h;
	struct ph_buffer payload;

	(void)state;
	anything(5, 300);
	pack(&h, &payload);
	for (size_t length = 0; length < payload.length; length++)
		assert_non_null(ph_decode_events(&h, payload.data, length, &got));
	for (size_t i = 1; i < payload.length; i++) {
		uint8_t good = payload.data[i];

		for (unsigned k = 0; k < 10; k++) {
			payload.data[i] = (uint8_t)(k < 8 ? good ^ 1u << k : k == 8 ? 0xff : 0);
			if (ph_decode_events(&h, payload.data, payload.length, &got) == NULL)
				assert_int_equal(got.count, h.events);
		}
		payload.data[i] = good;
	}
	for (uint32_t n = 0; n < 2000; n += 7) {
		h.events = n;
		if (n != count)
			assert_non_null(ph_decode_events(&h, payload.data, payload.length, &got));
	}
	h.events = UINT32_MAX;
	assert_non_null(ph_decode_events(&h, payload.data, payload.length, &got));
	ph_events_free(&got);
	ph_buffer_free(&payload);
}

/* ---- a trace -------------------------------------------------------------------- */

static char in[512], out[512], said[2][512];

static void name_files(void)
{
	snprintf(in, sizeof(in), "%s", make_path("one.trace"));
	snprintf(out, sizeof(out), "%s", make_path("two.trace"));
	snprintf(said[0], sizeof(said[0]), "%s", make_path("said-0"));
	snprintf(said[1], sizeof(said[1]), "%s", make_path("said-1"));
	unlink(out);
}

/* Two threads that hand blocks over, a file, stacks in several blocks. */
static void write_trace(bool without_end)
{
	struct make_trace t;
	uint32_t node = 0;

	make_trace_begin(&t);
	t.without_end = without_end;
	t.nodes_per_block = 3;
	t.threads = "{\"stream\":1,\"tid\":7,\"name\":\"one\",\"started_ticks\":\"1000000000\"},"
		    "{\"stream\":2,\"tid\":8,\"name\":\"two\",\"started_ticks\":\"1000000000\"}";
	for (unsigned i = 0; i < 10; i++)
		node = make_node(&t, node, 0x401000 + 16 * i);
	make_stream(&t, 1)->cells_per_block = 40;
	make_stream(&t, 2)->cells_per_block = 25;
	make_object(&t, 1, 10, 1, 3, (struct ph_object){.class = PH_CLASS_FILE}, "/tmp/x", NULL,
		    NULL);
	for (unsigned i = 1; i < 300; i++) {
		uint64_t now = 100 * i;

		make_memory(&t, 1, now, PH_OP_malloc, 0x10000 + 64 * (i % 50), 40 + i % 3,
			    1 + i % 10);
		make_memory(&t, 2, now + 50, i % 7 ? PH_OP_free : PH_OP_malloc,
			    0x10000 + 64 * (i % 50) + (i % 7 ? 0 : 0x8000), i % 7 ? 0 : 24,
			    i % 7 ? 0 : 3);
		if (i % 20 == 0)
			make_call(&t, 1, now,
				  (struct ph_call){.op = PH_OP_read,
						   .fd = 3,
						   .object = 1,
						   .node = 2,
						   .entry = now,
						   .duration = 30,
						   .result = 512,
						   .arg = 512},
				  NULL, 0);
	}
	make_trace_write(&t, in);
	make_trace_free(&t);
}

static char *content(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	char *text;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_true(text != NULL && read(fd, text, (size_t)st.st_size) == st.st_size);
	close(fd);
	*length = (size_t)st.st_size;
	return text;
}

/* `perfhook NAME PATH -o TO` */
static int command(const char *name, const char *path, const char *to)
{
	char words_of[4][512] = {"perfhook"};
	char *argv[] = {words_of[0], words_of[1], words_of[2], words_of[3], said[0], NULL};
	int argc = 5;

	snprintf(words_of[1], sizeof(words_of[1]), "%s", name);
	snprintf(words_of[2], sizeof(words_of[2]), "%s", path);
	snprintf(words_of[3], sizeof(words_of[3]), "-o");
	argv[4] = (char *)(uintptr_t)to;
	return commands_main(argc, argv);
}

/* The trace's own name and size may differ: they are left out. */
static void cut(char *text, const char *what)
{
	size_t n = strlen(what);

	for (char *at = text; (at = strstr(at, what)) != NULL;)
		memmove(at, at + n, strlen(at + n) + 1);
}

static void cut_own(char *text, const char *path)
{
	char size[64];
	struct stat st = {0};

	assert_int_equal(stat(path, &st), 0);
	snprintf(size, sizeof(size), "\"bytes\":\t%lld", (long long)st.st_size);
	cut(text, size);
	cut(text, path);
}

static char *report_json(const char *path)
{
	char perfhook[] = "perfhook", report[] = "report", json[] = "--json", o[] = "-o";
	char *argv[] = {perfhook, report, json, (char *)(uintptr_t)path, o, said[0], NULL};
	size_t n;
	char *text;

	assert_int_equal(commands_main(6, argv), 0);
	text = content(said[0], &n);
	cut_own(text, path);
	return text;
}

static void test_same_answers(void **state)
{
	struct pack_sizes sizes;
	struct error e = {.code = ERROR_NONE};
	struct reader r;
	char *a, *b;
	size_t blocks[2] = {0};

	(void)state;
	name_files();
	write_trace(false);
	assert_int_equal(pack_trace(in, out, &sizes, NULL, &e), 0);
	assert_true(sizes.after < sizes.before);
	a = report_json(in);
	b = report_json(out);
	assert_true(strstr(a, "\"allocations\":") != NULL);
	assert_string_equal(a, b);
	free(a);
	free(b);
	assert_int_equal(command("dump", in, said[0]), 0);
	assert_int_equal(command("dump", out, said[1]), 0);
	a = content(said[0], &blocks[0]);
	b = content(said[1], &blocks[1]);
	assert_true(blocks[0] > 10000);
	assert_string_equal(a, b);
	free(a);
	free(b);
	blocks[0] = blocks[1] = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reader_open(&r, i ? out : in, &e), 0);
		for (size_t k = 0; k < r.block_count; k++)
			blocks[i] += r.blocks[k].header.kind == PH_BLOCK_EVENTS;
		assert_int_equal(r.blocks[r.block_count - 1].header.kind, PH_BLOCK_INDEX);
		reader_close(&r);
	}
	assert_true(blocks[0] > 10);
	assert_int_equal(blocks[1], 2);

	/* Once more gives nothing: it stays as it is, byte for byte. */
	memcpy(in, out, sizeof(in));
	snprintf(out, sizeof(out), "%s", make_path("again.trace"));
	assert_int_equal(pack_trace(in, out, &sizes, NULL, &e), 0);
	assert_int_equal(sizes.after, sizes.before);
	a = content(in, &blocks[0]);
	b = content(out, &blocks[1]);
	assert_int_equal(blocks[0], blocks[1]);
	assert_memory_equal(a, b, blocks[0]);
	free(a);
	free(b);
}

/* By the command, over itself: the same permissions, and nothing left beside it. */
static void test_in_place(void **state)
{
	struct stat before, after;
	size_t n;
	char *a, *b;

	(void)state;
	name_files();
	write_trace(false);
	assert_int_equal(chmod(in, 0640), 0);
	assert_int_equal(stat(in, &before), 0);
	a = report_json(in);
	assert_int_equal(command("pack", in, in), 0);
	assert_int_equal(stat(in, &after), 0);
	assert_true(after.st_size < before.st_size);
	assert_int_equal(after.st_mode & 0777, 0640);
	b = report_json(in);
	assert_string_equal(a, b);
	free(a);
	free(b);
	b = content(in, &n);
	assert_int_equal(n, after.st_size);
	free(b);
}

static void expect_refused(const char *why)
{
	struct pack_sizes sizes;
	struct error e = {.code = ERROR_NONE};

	assert_int_equal(pack_trace(in, out, &sizes, NULL, &e), -1);
	assert_non_null(strstr(e.text, why));
	assert_int_not_equal(access(out, F_OK), 0);
}

static void test_refused(void **state)
{
	size_t n;
	char *good;

	(void)state;
	name_files();
	write_trace(true);
	expect_refused("is not finished");
	write_trace(false);
	good = content(in, &n);
	make_file(in, good, n - 5);
	expect_refused("is not finished");
	good[n / 2] ^= 1;
	make_file(in, good, n);
	expect_refused("damaged");
	make_file(in, "not a trace", 11);
	expect_refused("not a perfhook trace");
	unlink(in);
	expect_refused("No such file");
	free(good);
}

/* A link leads to what is replaced; a pipe, as any device, stays. */
static void test_replaces_files_only(void **state)
{
	struct pack_sizes sizes;
	struct error e = {.code = ERROR_NONE};
	struct stat st;
	char link[sizeof(out) + 8];

	(void)state;
	name_files();
	write_trace(false);
	assert_int_equal(mkfifo(out, 0600), 0);
	assert_int_equal(pack_trace(in, out, &sizes, NULL, &e), -1);
	assert_non_null(strstr(e.text, "no regular file"));
	assert_int_equal(lstat(out, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	unlink(out);

	snprintf(link, sizeof(link), "%s.link", out);
	assert_int_equal(symlink(out, link), 0);
	e = (struct error){.code = ERROR_NONE};
	assert_int_equal(pack_trace(in, link, &sizes, NULL, &e), -1);
	make_file(out, "", 0);
	e = (struct error){.code = ERROR_NONE};
	assert_int_equal(pack_trace(in, link, &sizes, NULL, &e), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(out, &st), 0);
	assert_int_equal(st.st_size, sizes.after);
	unlink(link);
}

static uint64_t events_of(const char *path, bool *damaged)
{
	struct error e = {.code = ERROR_NONE};
	struct ph_buffer payload = {0};
	struct ph_events got = {0};
	struct reader r;
	uint64_t n = 0;

	assert_int_equal(reader_open(&r, path, &e), 0);
	for (size_t i = 0; i < r.block_count; i++)
		if (r.blocks[i].header.kind == PH_BLOCK_EVENTS &&
		    reader_payload(&r, &r.blocks[i], &payload) &&
		    ph_decode_events(&r.blocks[i].header, payload.data, payload.length, &got) ==
			    NULL)
			n += got.count;
	*damaged = r.damaged != 0 || r.truncated;
	ph_buffer_free(&payload);
	ph_events_free(&got);
	reader_close(&r);
	return n;
}

/* Of two streams one block each: damage to one leaves the other, and is said. */
static void test_damaged_packed(void **state)
{
	struct pack_sizes sizes;
	struct error e = {.code = ERROR_NONE};
	uint64_t all;
	bool damaged;
	size_t n;
	char *good, *report;
	struct reader r;
	uint64_t at = 0;

	(void)state;
	name_files();
	write_trace(false);
	assert_int_equal(pack_trace(in, out, &sizes, NULL, &e), 0);
	all = events_of(out, &damaged);
	assert_false(damaged);
	assert_int_equal(reader_open(&r, out, &e), 0);
	for (size_t i = 0; i < r.block_count; i++)
		if (r.blocks[i].header.kind == PH_BLOCK_EVENTS)
			at = r.blocks[i].offset + sizeof(struct ph_block_header) + 20;
	reader_close(&r);
	good = content(out, &n);
	good[at] ^= 0x10;
	make_file(out, good, n);
	assert_in_range(events_of(out, &damaged), 200, all - 200);
	assert_true(damaged);
	report = report_json(out);
	assert_null(strstr(report, "\"damaged_blocks\":0"));
	free(report);
	good[at] ^= 0x10;
	for (size_t length = at; length > 900; length -= 97) {
		make_file(out, good, length);
		assert_in_range(events_of(out, &damaged), 0, all - 200);
		free(report_json(out));
	}
	free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(the_worked_example),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_replaces_files_only),
		cmocka_unit_test(test_damaged_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
