/* SPDX-License-Identifier: MIT */
/*
 * The page's model of a run made by hand: which stacks it has, what becomes of the rest,
 * and that no name gets out of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/page_stacks.h"
#include "analyzer/report_html.h" /* before cmocka.h: its macro hides our fail() */

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#define HOSTILE	     "/tmp/</script><img src=x onerror=alert(1)>&\xe2\x80\xa8<!--"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* main calls a and b, a calls c; none has a name. */
static struct module modules[] = {
	{.path = "/nowhere/bin/server", .build_id = "aa", .base = 0x400000}};
static struct address addresses[] = {{0x400100, 0}, {0x400200, 0}, {0x400300, 0}, {0x400400, 0}};
enum { MAIN = 1, A, B, C };
static struct node nodes[] = {{0, 0}, {0, 0}, {MAIN, 1}, {MAIN, 2}, {A, 3}};

/* 1,000 bytes: A and main have 99.5% of them. */
static struct site sites[] = {
	{.node = C, .allocations = 2, .allocated_bytes = 1},
	{.node = A, .allocations = 3, .allocated_bytes = 900},
	{.node = B, .allocations = 4, .allocated_bytes = 4},
	{.node = MAIN, .allocations = 5, .allocated_bytes = 95},
};
static struct file files[] = {{.path = HOSTILE, .traffic = {.read_bytes = 7}, .opens = 1}};
static struct thread threads[] = {{.tid = 1, .name = "</script>"}};
static const char *command[] = {"./server", HOSTILE, NULL};

static struct run make_run(void)
{
	return (struct run){
		.pid = 1,
		.executable = "/nowhere/bin/server",
		.command = command,
		.end = "exit",
		.depth = 64,
		.heap = {.allocations = 14, .allocated_bytes = 1000},
		.sites = sites,
		.site_count = COUNT(sites),
		.files = files,
		.file_count = COUNT(files),
		.threads = threads,
		.thread_count = COUNT(threads),
		.modules = modules,
		.module_count = COUNT(modules),
		.addresses = addresses,
		.address_count = COUNT(addresses),
		.nodes = nodes,
		.node_count = COUNT(nodes),
	};
}

struct page {
	struct run run;
	struct symbols *symbols;
	struct report report;
	char *html;
	cJSON *model;
};

#define MODEL_BEGINS "<script type=\"application/json\" id=\"model\">"

static void make_page(struct page *p)
{
	struct error e = {0};
	size_t length;
	FILE *out = open_memstream(&p->html, &length);
	char *model, *end;

	p->run = make_run();
	p->symbols = symbols_open(&(struct symbols_options){0});
	assert_int_equal(report_open(&p->report, &p->run, p->symbols, 10, &e), 0);
	assert_int_equal(report_html(&p->report, NULL, out, &e), 0);
	assert_int_equal(fclose(out), 0);
	model = strstr(p->html, MODEL_BEGINS);
	assert_non_null(model);
	model += strlen(MODEL_BEGINS);
	end = strstr(model, "</script>");
	assert_non_null(end);
	p->model = cJSON_ParseWithLength(model, (size_t)(end - model));
	assert_non_null(p->model);
}

/* The same, of its stacks only: `most` of each cost, and those of `rows` leaks. */
static void make_stacks(struct page *p, size_t most, size_t rows)
{
	struct error e = {0};
	struct emit_json json;
	struct page_stacks stacks;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	make_page(p);
	assert_int_equal(page_stacks_open(&stacks, &p->report, most, rows, &e), 0);
	emit_json_begin(&json);
	emit_object(&json, "page");
	page_stacks_costs(&stacks, &json);
	page_stacks_json(&stacks, &json);
	emit_end(&json);
	assert_int_equal(emit_json_finish(&json, out, false), 0);
	assert_int_equal(fclose(out), 0);
	page_stacks_free(&stacks);
	cJSON_Delete(p->model);
	p->model = cJSON_Parse(text);
	assert_non_null(p->model);
	free(text);
}

static void free_page(struct page *p)
{
	cJSON_Delete(p->model);
	free(p->html);
	report_close(&p->report);
	symbols_close(p->symbols);
}

/* "page/costs/0": by keys and places. */
static cJSON *at(const struct page *p, const char *path)
{
	char *copy = strdup(path), *rest = copy, *key;
	cJSON *item = p->model;

	while (item != NULL && (key = strsep(&rest, "/")) != NULL)
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(key))
					   : cJSON_GetObjectItem(item, key);
	if (item == NULL)
		print_error("no %s\n", path);
	assert_non_null(item);
	free(copy);
	return item;
}

static int number(const struct page *p, const char *path)
{
	return at(p, path)->valueint;
}

static cJSON *cost_named(const struct page *p, const char *name)
{
	cJSON *cost;

	cJSON_ArrayForEach(
		cost,
		at(p, "page/costs")) if (strcmp(cJSON_GetObjectItem(cost, "name")->valuestring,
						name) == 0) return cost;
	assert_string_equal(name, "");
	return NULL;
}

/* The value of a cost at the stack that ends at a node of the page, or of the others there. */
static int value_at(const struct page *p, const cJSON *cost, int node, int others)
{
	const cJSON *stacks = cJSON_GetObjectItem(cost, "stack"), *item;
	const cJSON *values = cJSON_GetObjectItem(cost, "value");
	int i = 0;

	cJSON_ArrayForEach(item, stacks)
	{
		int stack = item->valueint, value = cJSON_GetArrayItem(values, i++)->valueint;

		if (cJSON_GetArrayItem(at(p, "page/stacks/node"), stack)->valueint == node &&
		    cJSON_GetArrayItem(at(p, "page/stacks/others"), stack)->valueint == others)
			return value;
	}
	return -1;
}

/* The page's node whose frame is called so. */
static int node_named(const struct page *p, const char *name)
{
	const cJSON *frames = at(p, "page/nodes/frame"), *item;
	int i = 0;

	cJSON_ArrayForEach(item, frames)
	{
		const cJSON *function =
			cJSON_GetArrayItem(at(p, "page/frames/function"), item->valueint);

		if (strcmp(cJSON_GetArrayItem(at(p, "page/strings"), function->valueint)
				   ->valuestring,
			   name) == 0)
			return i;
		i++;
	}
	return -1;
}

static void test_stacks(void **state)
{
	struct page p;
	const cJSON *cost;

	(void)state;
	make_stacks(&p, 2, 0);
	cost = cost_named(&p, "allocated");
	assert_int_equal(cJSON_GetObjectItem(cost, "total")->valueint, 1000);
	assert_int_equal(cJSON_GetObjectItem(cost, "stacks")->valueint, 4);
	assert_int_equal(cJSON_GetObjectItem(cost, "shown_stacks")->valueint, 2);
	assert_int_equal(cJSON_GetObjectItem(cost, "shown")->valueint, 995);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x200"), 0), 900);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x100"), 0), 95);
	/* What is left out stands where it branched off. */
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x200"), 1), 1);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x100"), 1), 4);
	assert_int_equal(node_named(&p, "server+0x300"), -1);
	assert_int_equal(node_named(&p, "server+0x400"), -1);
	free_page(&p);
}

/* Of a few stacks there are all, and the stack of a leak that is listed is there. */
static void test_small_stacks(void **state)
{
	struct page p;
	const cJSON *cost;

	(void)state;
	make_page(&p);
	cost = cost_named(&p, "allocated");
	assert_int_equal(cJSON_GetObjectItem(cost, "shown_stacks")->valueint, 4);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x400"), 0), 1);
	free_page(&p);

	sites[0].live_bytes = sites[0].live_blocks = 1; /* C: the only leak */
	make_stacks(&p, 2, 1);
	sites[0].live_bytes = sites[0].live_blocks = 0;
	cost = cost_named(&p, "allocated");
	assert_int_equal(cJSON_GetObjectItem(cost, "shown_stacks")->valueint, 3);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x400"), 0), 1);
	assert_int_equal(value_at(&p, cost, node_named(&p, "server+0x100"), 1), 4);
	free_page(&p);
}

/* A stack in a section is a number of the page's tree. */
static void test_stack_numbers(void **state)
{
	struct page p;
	struct error e = {0};
	struct page_stacks stacks;

	(void)state;
	make_page(&p);
	assert_int_equal(page_stacks_open(&stacks, &p.report, 100, 0, &e), 0);
	assert_int_equal(page_stacks_node(&stacks, 0), 0);
	assert_int_equal(stacks.nodes[page_stacks_node(&stacks, C)].parent,
			 page_stacks_node(&stacks, A));
	assert_int_equal(page_stacks_node(&stacks, C), page_stacks_node(&stacks, C));
	page_stacks_free(&stacks);
	free_page(&p);
}

static void test_summary(void **state)
{
	struct page p;

	(void)state;
	make_page(&p);
	assert_string_equal(at(&p, "page/summary/0/rows/0/label")->valuestring, "ran");
	assert_string_equal(at(&p, "page/summary/0/rows/0/text")->valuestring, "0 s, exited with "
									       "status 0");
	assert_string_equal(at(&p, "page/summary/1/title")->valuestring, "HEAP");
	assert_string_equal(at(&p, "page/summary/1/rows/2/label")->valuestring, "allocated");
	assert_string_equal(at(&p, "page/summary/1/rows/2/text")->valuestring,
			    "1000 B by 14 allocations; 0 frees");
	free_page(&p);
}

/* Names are data: nothing of them ends the script, and all of it comes out again. */
static void test_hostile_names(void **state)
{
	struct page p;
	const char *model;

	(void)state;
	make_page(&p);
	assert_string_equal(at(&p, "io/files/0/path")->valuestring, HOSTILE);
	assert_string_equal(at(&p, "process/command/1")->valuestring, HOSTILE);
	assert_string_equal(at(&p, "threads/0/name")->valuestring, "</script>");
	model = strstr(p.html, MODEL_BEGINS) + strlen(MODEL_BEGINS);
	assert_null(memchr(model, '&', strcspn(model, "<")));
	assert_memory_equal(model + strcspn(model, "<"), "</script>\n<script>", 18);
	assert_null(strstr(p.html, "<img src=x"));
	assert_null(strstr(p.html, "\xe2\x80\xa8"));
	free_page(&p);
}

/* The policy lets nothing in but the page's own script and style. */
static void test_policy(void **state)
{
	struct page p;

	(void)state;
	make_page(&p);
	assert_non_null(strstr(p.html, "content=\"default-src 'none'; script-src 'sha256-"));
	assert_non_null(strstr(p.html, "style-src 'sha256-"));
	assert_null(strstr(p.html, "unsafe-"));
	assert_null(strstr(p.html, " src=\""));
	assert_true(number(&p, "perfhook/schema") > 0);
	free_page(&p);
}

/* Many numbers are one item, and exact. */
static void test_numbers(void **state)
{
	const int64_t values[] = {0, -1, INT64_MAX, INT64_MIN, 9007199254740993};
	struct emit_json e;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	emit_json_begin(&e);
	emit_numbers(&e, "many", values, COUNT(values));
	emit_numbers(&e, "none", NULL, 0);
	assert_int_equal(emit_json_finish(&e, out, false), 0);
	fclose(out);
	assert_string_equal(text, "{\"many\":[0,-1,9223372036854775807,-9223372036854775808,"
				  "9007199254740993],\"none\":[]}\n");
	free(text);
}

/* Source. */

struct source_case {
	char path[64];
	const char *text;
	int line;
};

static void write_case(struct source_case *c, const char *folder, const char *name)
{
	FILE *f;

	snprintf(c->path, sizeof(c->path), "%s/%s", folder, name);
	if (c->text == NULL) {
		assert_int_equal(mkfifo(c->path, 0600), 0);
		return;
	}
	f = fopen(c->path, "w");
	assert_non_null(f);
	fputs(c->text, f);
	fclose(f);
}

/* "sources" of one stack that is one frame, in that line of a file. */
static uint64_t run_began; /* seconds since 1970 */

static cJSON *sources_of(char *path, int line)
{
	const struct run run = {.started_ns = run_began * 1000000000};
	struct report report = {.run = &run};
	char function[] = "f", none[] = "";
	char *strings[] = {none, function, path};
	struct page_frame page_frames[] = {{0}, {.function = 1, .file = 2, .line = line}};
	struct page_node page_nodes[] = {{0, 0}, {0, 1}};
	struct page_stack page_stack = {.node = 1};
	struct cost_sample sample = {.node = 1, .value = 5};
	uint32_t stack_of[] = {0, 1};
	struct page_stacks p = {
		.r = &report,
		.strings = strings,
		.frames = page_frames,
		.nodes = page_nodes,
		.stacks = &page_stack,
		.string_count = 3,
		.frame_count = 2,
		.node_count = 2,
		.stack_count = 1,
		.stack = stack_of,
		.samples = {[COST_PEAK] = {&sample, 1, 5}},
	};
	struct emit_json e;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	cJSON *json;

	emit_json_begin(&e);
	page_sources(&p, &e);
	assert_int_equal(emit_json_finish(&e, out, false), 0);
	fclose(out);
	json = cJSON_Parse(text);
	free(text);
	return json;
}

static int count_sources(char *path, int line)
{
	cJSON *json = sources_of(path, line);
	int count = cJSON_GetArraySize(cJSON_GetObjectItem(json, "sources"));

	cJSON_Delete(json);
	return count;
}

static void test_sources(void **state)
{
	char folder[] = "/tmp/perfhook-source-XXXXXX";
	struct source_case cases[] = {
		{.text = "int x;\n\nint f(void)\n{\n\treturn x;\n}\n\nint g;\n", .line = 5},
		{.text = "secret\n", .line = 1},
		{.text = "a\n", .line = 7},
		{.text = NULL, .line = 1},
	};
	static const char *const names[] = {"f.c", "id_rsa", "short.c", "fifo.c"};
	cJSON *json, *source;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < COUNT(cases); i++)
		write_case(&cases[i], folder, names[i]);
	json = sources_of(cases[0].path, cases[0].line);
	source = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sources"), 0);
	assert_int_equal(cJSON_GetObjectItem(source, "first")->valueint, 3);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(source, "lines")), 4);
	assert_string_equal(
		cJSON_GetArrayItem(cJSON_GetObjectItem(source, "lines"), 2)->valuestring,
		"\treturn x;");
	assert_false(cJSON_IsTrue(cJSON_GetObjectItem(source, "newer")));
	cJSON_Delete(json);
	run_began = 1000000000; /* long ago */
	json = sources_of(cases[0].path, cases[0].line);
	source = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sources"), 0);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(source, "newer")));
	cJSON_Delete(json);
	run_began = 0;
	/* Not named like source; not so long; not a file; not there. */
	for (size_t i = 1; i < COUNT(cases); i++)
		assert_int_equal(count_sources(cases[i].path, cases[i].line), 0);
	for (size_t i = 0; i < COUNT(cases); i++)
		unlink(cases[i].path);
	assert_int_equal(count_sources(cases[0].path, 5), 0);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks),	      cmocka_unit_test(test_small_stacks),
		cmocka_unit_test(test_stack_numbers), cmocka_unit_test(test_summary),
		cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_policy),
		cmocka_unit_test(test_sources),	      cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
