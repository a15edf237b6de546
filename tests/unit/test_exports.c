/* SPDX-License-Identifier: MIT */
/*
 * Exports and flame graphs of runs made by hand: what they add up to, and what
 * becomes of names that are made to break them. Modules do not exist, so that
 * frames are module and offset. What their real readers say of them stands in
 * tests/consumers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/export.h" /* before cmocka.h: its macro hides our fail() */
#include "analyzer/export_tables.h"
#include "analyzer/flame.h"
#include "analyzer/activity.h"
#include "analyzer/thread_costs.h"

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cjson/cJSON.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A name that is markup, a separator, no UTF-8, a line's end. */
#define HOSTILE "]]></script><img src=x onerror=alert(1)>;\"&'\xff\n\x01"

enum { PROGRAM, OURS, EVIL };

static struct module modules[] = {
	{"/nowhere/server", "aabb", 0x400000, false, 0x5000},
	{"/nowhere/libperfhook.so", "cc", 0x7f0000000000, false, 0x1000},
	{"/nowhere/" HOSTILE, "", 0x7f1000000000, false, 0},
};

static struct address addresses[] = {
	{0x400100, PROGRAM},	{0x400200, PROGRAM},	{0x400300, PROGRAM},
	{0x7f0000000400, OURS}, {0x7f1000000500, EVIL}, {0xdead0000, -1},
};

static struct node nodes[] = {
	{0, 0}, {0, 0}, /* 1: main */
	{1, 1},		/* 2: a < main */
	{1, 2},		/* 3: b < main */
	{2, 3},		/* 4: our wrapper < a < main */
	{3, 4},		/* 5: the hostile one < b < main */
	{5, 5},		/* 6: generated code < the hostile one */
};

static struct site sites[] = {
	{.node = 4,
	 .allocations = 10,
	 .allocated_bytes = 1000,
	 .peak_bytes = 700,
	 .peak_blocks = 7,
	 .live_bytes = 300,
	 .live_blocks = 3},
	{.node = 6,
	 .allocations = 5,
	 .allocated_bytes = 500,
	 .peak_bytes = 250,
	 .peak_blocks = 2,
	 .temporary = 4},
	{.node = 0, .allocations = 1, .allocated_bytes = 50, .peak_bytes = 50, .peak_blocks = 1},
};

static struct wait waits[] = {
	{.kind = "lock", .node = 2, .count = 3, .time_s = 0.25},
	{.kind = "sleep", .node = 2, .count = 1, .time_s = 0.5},
};

/* More than a double holds. */
#define LARGE UINT64_C(9007199254740993)
static struct stack_traffic traffic[] = {
	{.node = 3, .read_bytes = LARGE, .calls = 2, .files_s = 0.001},
};

static const char *command[] = {"server", NULL};

static struct run run = {
	.trace_path = "x.trace",
	.pid = 77,
	.executable = "/nowhere/server",
	.command = command,
	.host = "box",
	.version = "1",
	.started_ns = 1700000000000000000,
	.duration_s = 2,
	.end = "exit",
	.off = RUN_OFF_NET,
	.sites = sites,
	.site_count = COUNT(sites),
	.waits = waits,
	.wait_count = COUNT(waits),
	.stack_traffic = traffic,
	.stack_traffic_count = COUNT(traffic),
	.modules = modules,
	.module_count = COUNT(modules),
	.addresses = addresses,
	.address_count = COUNT(addresses),
	.nodes = nodes,
	.node_count = COUNT(nodes),
};

struct said {
	char *text;
	size_t length;
};

static struct report open_report(const struct run *of)
{
	const struct symbols_options options = {0};
	struct report r;
	struct error e = {.code = ERROR_NONE};

	if (report_open(&r, of, symbols_open(&options), 10, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

static void close_report(struct report *r)
{
	struct symbols *symbols = r->symbols;

	report_close(r);
	symbols_close(symbols);
}

static struct said export(const char *format, enum cost_id cost)
{
	struct report r = open_report(&run);
	struct said said;
	struct error e = {.code = ERROR_NONE};
	struct export x = {.report = &r, .cost = &costs[cost]};

	x.out = open_memstream(&said.text, &said.length);
	assert_non_null(x.out);
	if (export_format_by_name(format)->write(&x, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(fclose(x.out), 0);
	close_report(&r);
	return said;
}

static void folded(void **state)
{
	struct said said = export("folded", COST_PEAK);

	(void)state;
	assert_string_equal(said.text,
			    "server+0x100;server+0x200 700\n"
			    "server+0x100;server+0x300;script><img src=x onerror=alert(1)>\\x3b\"&'"
			    "\xef\xbf\xbd\\n\\x01+0x500;0xdead0000 250\n"
			    "(no stack) 50\n");
	free(said.text);
	said = export("folded", COST_WAITED);
	assert_string_equal(said.text, "server+0x100;server+0x200 750000000\n");
	free(said.text);
	said = export("folded", COST_LEAKED);
	assert_string_equal(said.text, "server+0x100;server+0x200 300\n");
	free(said.text);
}

/* Flame graphs. */

static struct said flame(const struct run *after, const struct run *before, bool inverted)
{
	struct report r = open_report(after), r2 = open_report(before != NULL ? before : after);
	const struct call_shape shape = {.inverted = inverted};
	struct call_tree t = {0};
	struct flame f = {.tree = &t,
			  .after = &r,
			  .before = before != NULL ? &r2 : NULL,
			  .cost = &costs[COST_PEAK],
			  .shape = shape};
	struct said said;
	struct error e = {.code = ERROR_NONE};
	FILE *out = open_memstream(&said.text, &said.length);

	assert_int_equal(call_tree_add(&t, &r, f.cost, CALL_AFTER, shape, &e), 0);
	if (before != NULL)
		assert_int_equal(call_tree_add(&t, &r2, f.cost, CALL_BEFORE, shape, &e), 0);
	call_tree_finish(&t);
	assert_int_equal(flame_write(out, &f, &e), 0);
	assert_int_equal(fclose(out), 0);
	call_tree_free(&t);
	close_report(&r);
	close_report(&r2);
	return said;
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		count++;
	return count;
}

static void has(const struct said *said, const char *what)
{
	if (strstr(said->text, what) == NULL)
		fail_msg("not said: %s\nin: %s", what, said->text);
}

static void flame_graph(void **state)
{
	struct said said = flame(&run, NULL, false);

	(void)state;
	/* all, main, a, b, the hostile one, generated code, no stack */
	assert_int_equal(count_of(said.text, "<g data-d="), 7);
	has(&said, ">server (77): heap at its peak, 1000 B</text>");
	has(&said, "<title>server+0x200\nin /nowhere/server\n700 B (700 bytes), 70.00%, 7 blocks<");
	has(&said, "x.trace; 3 stacks</text>");
	/* 70 % of the width, from the left; b beside it. */
	has(&said, "<rect x=\"0.0000%\" y=\"98\" width=\"70.0000%\"");
	has(&said, "<rect x=\"70.0000%\" y=\"98\" width=\"25.0000%\"");
	free(said.text);
	said = flame(&run, NULL, true);
	has(&said, "; callees first</text>");
	has(&said, "<g data-d=\"1\" data-w=\"700\" data-s=\"0\"><title>server+0x200\n");
	has(&said, "<g data-d=\"2\" data-w=\"700\" data-s=\"700\"><title>server+0x100\n");
	free(said.text);
}

static void names_are_no_markup(void **state)
{
	struct said said = flame(&run, NULL, false);

	(void)state;
	assert_null(strstr(said.text, "<img"));
	/* One script, ours, which ends once. */
	assert_int_equal(count_of(said.text, "</script>"), 1);
	assert_int_equal(count_of(said.text, "]]>"), 1);
	has(&said, "script&#62;&#60;img src=x onerror=alert(1)&#62;;&#34;&#38;&#39;");
	for (const char *c = said.text; *c != '\0'; c++)
		assert_true((unsigned char)*c >= ' ' || *c == '\n' || *c == '\t');
	free(said.text);
}

static void difference(void **state)
{
	/* a grew from 100 to 700, the hostile one is new, what was at b is gone. */
	static struct site old[] = {{.node = 4, .peak_bytes = 100, .peak_blocks = 1},
				    {.node = 3, .peak_bytes = 400, .peak_blocks = 4}};
	struct run before = run;
	struct said said;

	(void)state;
	before.sites = old;
	before.site_count = COUNT(old);
	before.trace_path = "old.trace";
	said = flame(&run, &before, false);
	has(&said, "1000 B (before: 500 B)</text>");
	has(&said, "x.trace against old.trace; widths: the larger of both");
	has(&said, "after: 700 B (700 bytes), 70.00%, 7 blocks\n+600 B, +600.0%\n"
		   "before: 100 B (100 bytes), 20.00%, 1 blocks");
	has(&said, "+250 B, new\n");
	has(&said, "data-w=\"650\" data-s=\"0\" data-b=\"400\"><title>server+0x300\n");
	has(&said, "\xe2\x88\x92"
		   "150 B, -37.5%");
	free(said.text);
}

/* A run in which nothing cost anything is drawn too; many small frames are not, and
 * are counted. */
static void nothing_and_too_much(void **state)
{
	enum { MANY = 30000 };
	struct run other = run;
	struct said said;

	(void)state;
	other.site_count = 0;
	said = flame(&other, NULL, false);
	has(&said, "heap at its peak, 0 B");
	assert_int_equal(count_of(said.text, "<g data-d="), 1);
	free(said.text);
	other.addresses = calloc(MANY, sizeof(*other.addresses));
	other.nodes = calloc(MANY + 1, sizeof(*other.nodes));
	other.sites = calloc(MANY, sizeof(*other.sites));
	assert_true(other.addresses != NULL && other.nodes != NULL && other.sites != NULL);
	for (uint32_t i = 0; i < MANY; i++) {
		other.addresses[i] = (struct address){0x400000 + i, PROGRAM};
		other.nodes[i + 1] = (struct node){0, i};
		other.sites[i] = (struct site){.node = i + 1, .peak_bytes = i == 0 ? MANY : 1};
	}
	other.address_count = other.site_count = MANY;
	other.node_count = MANY + 1;
	said = flame(&other, NULL, false);
	assert_int_equal(count_of(said.text, "<g data-d="), 2);
	has(&said, "29999 frames narrower than 0.0083% are left out (29.3 KiB)");
	free(said.text);
	free(other.addresses);
	free(other.nodes);
	free(other.sites);
}

/* Threads: what is known of each, and the rest. */
static void by_thread(void **state)
{
	static struct activity_sum sums[] = {
		{.key = {.node = 4, .thread = 8, .kind = ACTIVITY_HEAP},
		 .values = {[ACTIVITY_ALLOCATED] = 600, [ACTIVITY_ALLOCATIONS] = 6}},
		{.key = {.node = 4, .thread = 8, .kind = ACTIVITY_HEAP, .slice = 1},
		 .values = {[ACTIVITY_ALLOCATED] = 100, [ACTIVITY_ALLOCATIONS] = 1}},
		{.key = {.node = 4, .thread = 9, .kind = ACTIVITY_HEAP},
		 .values = {[ACTIVITY_ALLOCATED] = 300, [ACTIVITY_ALLOCATIONS] = 3}},
		{.key = {.node = 6, .thread = ACTIVITY_NOBODY, .kind = ACTIVITY_HEAP},
		 .values = {[ACTIVITY_ALLOCATED] = 500, [ACTIVITY_ALLOCATIONS] = 5}},
		{.key = {.node = 3, .thread = 9, .kind = ACTIVITY_FILE},
		 .values = {[ACTIVITY_ALLOCATED] = 7777}},
		/* A nanosecond was lost in rounding. */
		{.key = {.node = 2, .thread = 9, .kind = ACTIVITY_WAIT},
		 .values = {[ACTIVITY_NS] = 749999999, [ACTIVITY_CALLS] = 4}},
	};
	static struct thread threads[] = {{.tid = 77, .name = "main", .number = 8},
					  {.tid = 78, .name = "work;er", .number = 9}};
	struct activity activity = {.sums = sums, .count = COUNT(sums)};
	const struct call_shape shape = {.threads = true};
	struct run other = run;
	struct call_tree t = {0};
	struct report r;
	struct error e = {.code = ERROR_NONE};
	struct said said;
	FILE *out = open_memstream(&said.text, &said.length);

	(void)state;
	other.activity = &activity;
	other.threads = threads;
	other.thread_count = COUNT(threads);
	r = open_report(&other);
	assert_int_equal(call_tree_add(&t, &r, &costs[COST_ALLOCATED], CALL_AFTER, shape, &e), 0);
	assert_int_equal(call_tree_add(&t, &r, &costs[COST_WAITED], CALL_AFTER, shape, &e), 0);
	call_tree_finish(&t);
	assert_int_equal(folded_write(out, &t, false, &e), 0);
	fclose(out);
	assert_string_equal(said.text,
			    "work\\x3ber (78);server+0x100;server+0x200 750000300\n"
			    "main (77);server+0x100;server+0x200 700\n"
			    "(thread not known);server+0x100;server+0x300;script><img src=x "
			    "onerror=alert(1)>\\x3b\"&'\xef\xbf\xbd\\n\\x01+0x500;0xdead0000 500\n"
			    "(thread not known);(no stack) 50\n");
	assert_false(thread_costs_known(&costs[COST_PEAK]));
	free(said.text);
	call_tree_free(&t);
	close_report(&r);
}

/* pprof, as bytes on the wire. */

static uint8_t *gunzip(const struct said *said, size_t *length)
{
	enum { ROOM = 1 << 20 };
	uint8_t *out = malloc(ROOM);
	z_stream z = {.next_in = (void *)said->text,
		      .avail_in = (unsigned)said->length,
		      .next_out = out,
		      .avail_out = ROOM};

	assert_non_null(out);
	assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	*length = z.total_out;
	inflateEnd(&z);
	return out;
}

static uint64_t varint(const uint8_t **p)
{
	uint64_t value = 0;
	int shift = 0;

	do {
		value |= (uint64_t)(**p & 0x7f) << shift;
		shift += 7;
	} while (*(*p)++ & 0x80);
	return value;
}

/* The next field; of bytes, where they are. False at the end. */
static bool next_field(const uint8_t **p, const uint8_t *end, unsigned *field, uint64_t *value,
		       const uint8_t **bytes)
{
	uint64_t tag;

	if (*p >= end)
		return false;
	tag = varint(p);
	*field = (unsigned)(tag >> 3);
	*value = varint(p);
	*bytes = *p;
	if ((tag & 7) == 2)
		*p += *value;
	else
		assert_int_equal(tag & 7, 0);
	assert_true(*p <= end);
	return true;
}

struct pprof_sums {
	uint64_t sums[32];
	size_t types, samples, mappings, locations, functions, strings;
	bool hostile;
};

static void add_sample(struct pprof_sums *s, const uint8_t *p, const uint8_t *end)
{
	unsigned field;
	uint64_t value;
	const uint8_t *bytes;

	s->samples++;
	while (next_field(&p, end, &field, &value, &bytes)) {
		size_t i = 0;

		for (const uint8_t *at = bytes; field == 2 && at < bytes + value;)
			s->sums[i++] += varint(&at);
		if (field == 2)
			assert_int_equal(i, s->types);
	}
}

static struct pprof_sums read_pprof(const uint8_t *data, size_t length)
{
	struct pprof_sums s = {0};
	const uint8_t *p = data, *bytes;
	unsigned field;
	uint64_t value;

	while (next_field(&p, data + length, &field, &value, &bytes)) {
		s.types += field == 1;
		s.mappings += field == 3;
		s.locations += field == 4;
		s.functions += field == 5;
		s.strings += field == 6;
		if (field == 6 && memmem(bytes, value,
					 "<img src=x onerror=alert(1)>;\"&'"
					 "\xef\xbf\xbd\n\x01",
					 36) != NULL)
			s.hostile = true;
		if (field == 2)
			add_sample(&s, bytes, bytes + value);
	}
	return s;
}

static void pprof(void **state)
{
	/* peak, blocks, leaked, blocks, allocated, allocations, temporary, read, written,
	 * time, calls, waited, waits: nothing of sockets, which were not recorded. */
	static const uint64_t wanted[] = {1000,	 10, 300,     3, 1550,	    16, 4,
					  LARGE, 0,  1000000, 2, 750000000, 4};
	struct said said = export("pprof", COST_PEAK);
	size_t length;
	uint8_t *data = gunzip(&said, &length);
	struct pprof_sums s = read_pprof(data, length);

	(void)state;
	assert_int_equal(s.types, COUNT(wanted));
	for (size_t i = 0; i < COUNT(wanted); i++)
		if (s.sums[i] != wanted[i])
			fail_msg("value %zu adds up to %" PRIu64, i, s.sums[i]);
	/* Three stacks with memory, one with traffic, one with waits. */
	assert_int_equal(s.samples, 5);
	assert_int_equal(s.mappings, 2);
	assert_int_equal(s.locations, 6); /* without ours, with the one for no stack */
	assert_int_equal(s.functions, 6);
	assert_true(s.hostile);
	free(data);
	free(said.text);
}

/* Speedscope. */

static const cJSON *member(const cJSON *json, const char *name)
{
	const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);

	if (found == NULL)
		fail_msg("no member %s", name);
	return found;
}

static void speedscope(void **state)
{
	struct said said = export("speedscope", COST_LEAKED);
	cJSON *json = cJSON_Parse(said.text);
	const cJSON *profiles = member(json, "profiles"), *profile, *weight;
	int frames = cJSON_GetArraySize(member(member(json, "shared"), "frames"));

	(void)state;
	assert_int_equal(frames, 6);
	assert_int_equal(cJSON_GetArraySize(profiles), COST_COUNT - 2);
	assert_int_equal(member(json, "activeProfileIndex")->valueint, 1);
	cJSON_ArrayForEach(profile, profiles)
	{
		const cJSON *samples = member(profile, "samples"), *sample, *frame;
		double sum = 0;

		cJSON_ArrayForEach(weight, member(profile, "weights"))
		{
			sum += weight->valuedouble;
		}
		assert_true(sum == member(profile, "endValue")->valuedouble);
		assert_int_equal(cJSON_GetArraySize(samples),
				 cJSON_GetArraySize(member(profile, "weights")));
		cJSON_ArrayForEach(sample, samples)
		{
			assert_true(cJSON_GetArraySize(sample) > 0);
			cJSON_ArrayForEach(frame, sample)
			{
				assert_in_range(frame->valueint, 0, frames - 1);
			}
		}
	}
	/* Exact, though a double is not. */
	has(&said, "\"endValue\":9007199254740993,");
	has(&said, "<img src=x onerror=alert(1)>;\\\"&'\xef\xbf\xbd\\u000a\\u0001+0x500\"");
	cJSON_Delete(json);
	free(said.text);
}

static void callgrind(void **state)
{
	/* main calls itself by way of a: 0x100 < 0x200 < 0x100. */
	static struct node recursive[] = {{0, 0}, {0, 0}, {1, 1}, {2, 0}};
	static struct site one[] = {
		{.node = 3,
		 .allocations = 7,
		 .allocated_bytes = 70,
		 .live_bytes = 30,
		 .live_blocks = 3},
		{.node = 2, .allocations = 2, .allocated_bytes = 20},
	};
	struct run saved = run;
	struct said said = export("callgrind", COST_ALLOCATED);

	(void)state;
	has(&said, "\nevents: allocated peak leaked temporary read written time waited\n");
	has(&said, "\ntotals: 1550 1000 300 4 9007199254740993 0 1000000 750000000\n");
	/* A name is said once; a line's end in it is no line's end. */
	assert_int_equal(count_of(said.text, ") server+0x100\n"), 1);
	has(&said, "<img src=x onerror=alert(1)>;\"&'\xef\xbf\xbd\\n\\x01+0x500\n");
	free(said.text);
	/* Nothing that is called by itself counts twice. */
	run.nodes = recursive;
	run.node_count = COUNT(recursive);
	run.sites = one;
	run.site_count = COUNT(one);
	run.wait_count = run.stack_traffic_count = 0;
	said = export("callgrind", COST_ALLOCATED);
	run = saved;
	has(&said, ") server+0x100'2\n");
	assert_int_equal(count_of(said.text, "calls=9 0\n0 90 0 30 0"), 1); /* to 0x200 */
	assert_int_equal(count_of(said.text, "calls=7 0\n0 70 0 30 0"), 1); /* to 0x100'2 */
	assert_int_equal(count_of(said.text, "\n0 20 0 0 0"), 1);	    /* 0x200 itself */
	has(&said, "\ntotals: 90 0 30 0");
	free(said.text);
}

static void massif(void **state)
{
	static struct heap_sample samples[] = {{.at_s = 0, .live_bytes = 10},
					       {.at_s = 1, .live_bytes = 1000},
					       {.at_s = 1.5, .live_bytes = 400}};
	struct run saved = run;
	struct said said;

	(void)state;
	run.heap.timeline = samples;
	run.heap.timeline_count = COUNT(samples);
	run.heap.peak_bytes = 1000;
	run.heap.live_bytes = 300;
	run.heap.peak_at_s = 1.25;
	said = export("massif", COST_PEAK);
	run = saved;
	assert_int_equal(count_of(said.text, "snapshot="), 5);
	has(&said, "time=1250\nmem_heap_B=1000\nmem_heap_extra_B=0\nmem_stacks_B=0\n"
		   "heap_tree=peak\nn3: 1000 (heap allocation functions) malloc/new/new[], "
		   "--alloc-fns, etc.\n n1: 700 0x0: server+0x200 (in /nowhere/server)\n"
		   "  n0: 700 0x0: server+0x100 (in /nowhere/server)\n");
	has(&said, "\n n0: 50 0x0: (no stack)\n");
	has(&said, "time=2000\nmem_heap_B=300\nmem_heap_extra_B=0\nmem_stacks_B=0\n"
		   "heap_tree=detailed\nn1: 300 ");
	free(said.text);
}

/* Tables. */

static struct said table(const char *format, const char *name)
{
	struct report r = open_report(&run);
	struct said said;
	struct error e = {.code = ERROR_NONE};
	struct export x = {.report = &r, .table = export_table_by_name(name)};

	x.out = open_memstream(&said.text, &said.length);
	assert_non_null(x.table);
	if (export_format_by_name(format)->write(&x, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(fclose(x.out), 0);
	close_report(&r);
	return said;
}

static void csv(void **state)
{
	struct said said = table("csv", "modules");

	(void)state;
	/* Quotes doubled, control characters kept, wrong bytes replaced; a null is nothing,
	 * no text is "". */
	assert_string_equal(
		said.text, "run,path,build_id,base,unloaded\r\n"
			   "\"00000000000000000000000000000000\",\"/nowhere/server\",\"aabb\","
			   "\"0x400000\",false\r\n"
			   "\"00000000000000000000000000000000\",\"/nowhere/libperfhook.so\","
			   "\"cc\",\"0x7f0000000000\",false\r\n"
			   "\"00000000000000000000000000000000\",\"/nowhere/]]></script><img src=x "
			   "onerror=alert(1)>;\"\"&'\xef\xbf\xbd\n\x01\",\"\",\"0x7f1000000000\","
			   "false\r\n");
	free(said.text);
	said = table("csv", "transfers");
	has(&said, ",3,\"server+0x300\",9007199254740993,0,0,0,2,0.001,0.0\r\n");
	free(said.text);
}

static void jsonl(void **state)
{
	struct said said = table("jsonl", "sites");
	char *rest = NULL;
	double allocated = 0;
	int lines = 0;

	(void)state;
	for (char *line = strtok_r(said.text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		cJSON *json = cJSON_Parse(line);

		assert_non_null(json);
		assert_string_equal(member(json, "table")->valuestring, "sites");
		allocated += member(json, "allocated_bytes")->valuedouble;
		/* No search for pointers was made. */
		assert_true(cJSON_IsNull(member(json, "lost_bytes")));
		assert_true(cJSON_IsNull(member(json, "stack")) == (lines == 2));
		cJSON_Delete(json);
		lines++;
	}
	assert_int_equal(lines, 3);
	assert_true(allocated == 1550);
	free(said.text);
	/* Sockets were not recorded: what they did is not known. */
	said = table("jsonl", "runs");
	has(&said, "\"sent_bytes\":null,");
	has(&said, "\"written_bytes\":0,");
	has(&said, "\"command\":\"server\"");
	free(said.text);
	said = table("jsonl", "modules");
	has(&said, "<img src=x onerror=alert(1)>;\\\"&'\xef\xbf\xbd\\u000a\\u0001\"");
	free(said.text);
}

/* Each stack that a table names is there, with all of its frames; keys are the same for
 * the same functions. */
static void stacks_and_frames(void **state)
{
	struct said stacks = table("csv", "stacks"), frames = table("csv", "frames");
	struct said again = table("csv", "stacks"), places = table("csv", "places");

	(void)state;
	assert_string_equal(stacks.text, again.text);
	assert_int_equal(count_of(stacks.text, "\r\n"), 1 + 4);
	has(&stacks, ",2,\"server+0x200\",\"server+0x100;server+0x200\"\r\n");
	/* 2 and 3 have two frames, 4 too without ours, 6 has four. */
	assert_int_equal(count_of(frames.text, "\r\n"), 1 + 2 + 2 + 2 + 4);
	/* Five addresses without ours, numbered in their order. */
	assert_int_equal(count_of(places.text, "\r\n"), 1 + 5);
	has(&places, ",5,,,,,\"0xdead0000\",");
	has(&frames, ",6,0,5\r\n");
	has(&frames, ",6,3,1\r\n");
	has(&places, ",1,,,,\"/nowhere/server\",\"0x400100\",\"0x100\",false\r\n");
	free(places.text);
	free(stacks.text);
	free(frames.text);
	free(again.text);
}

/* What a table's rows have is what its columns say, of all tables. */
static void columns_are_sound(void **state)
{
	(void)state;
	assert_true(export_table_count <= EXPORT_TABLES_MAX);
	assert_true(export_format_count <= EXPORT_FORMATS_MAX);
	for (size_t i = 0; i < export_table_count; i++) {
		const struct export_table *t = export_tables[i];
		struct said said = table("jsonl", t->name);

		assert_true(t->column_count <= EXPORT_COLUMNS_MAX);
		assert_string_equal(t->columns[0].name, "run");
		for (size_t a = 0; a < t->column_count; a++)
			for (size_t b = 0; b < a; b++)
				assert_string_not_equal(t->columns[a].name, t->columns[b].name);
		free(said.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folded),
		cmocka_unit_test(flame_graph),
		cmocka_unit_test(names_are_no_markup),
		cmocka_unit_test(difference),
		cmocka_unit_test(nothing_and_too_much),
		cmocka_unit_test(by_thread),
		cmocka_unit_test(pprof),
		cmocka_unit_test(speedscope),
		cmocka_unit_test(callgrind),
		cmocka_unit_test(massif),
		cmocka_unit_test(csv),
		cmocka_unit_test(jsonl),
		cmocka_unit_test(stacks_and_frames),
		cmocka_unit_test(columns_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
