/* SPDX-License-Identifier: MIT */
/* The table of leak cases; see cases.h. */
#include "tests/leaks/cases.h"

#include <signal.h>

#define CASE(title, ...)                                                                           \
	{                                                                                          \
		.name = title, .planted = { __VA_ARGS__ }                                          \
	}

const struct leak_case leak_cases[] = {
	CASE("address_lists", "leak_address"),
	CASE("aligned_buffers", "leak_aligned_buffer"),
	CASE("arenas", "leak_chunk"),
	CASE("burst_leak", "leak_answer"),
	CASE("cache_bounds", "leak_item"),
	CASE("callbacks", "leak_callback"),
	CASE("config_reload", "leak_value"),
	CASE("connections", "leak_peer_name"),
	CASE("copied_string", "leak_text"),
	CASE("directory_handles", "leak_directory", "leak_file"),
	CASE("error_texts", "leak_text"),
	CASE("event_queue", "leak_event"),
	CASE("exception_path", "leak_buffer"),
	CASE("few_large", "leak_picture"),
	CASE("forked_children", "leak_reply"),
	CASE("getline_buffer", "leak_first_line"),
	CASE("iconv_handles", "leak_converter"),
	CASE("interior_only", "leak_aligned"),
	CASE("late_activity", "leak_ticket"),
	CASE("list_error_path", "leak_job"),
	CASE("lru_cache", "leak_entry"),
	{.name = "lost_at_start", .planted = {"leak_rule"}, .search = SEARCH_ALWAYS},
	CASE("map_only_grows", "leak_token"),
	CASE("missing_virtual_destructor", "leak_points"),
	CASE("mmap_only", "leak_record"),
	CASE("obstacks", "leak_chunk"),
	CASE("plateau", "leak_cursor"),
	CASE("plugin_closed", "leak_plugin_cache"),
	CASE("plugin_registry", "leak_plugin"),
	CASE("realloc_failure", "leak_message"),
	CASE("reallocarray_path", "leak_rows"),
	CASE("regex_handles", "leak_regex"),
	CASE("register_only", "leak_note"),
	CASE("shared_cycle", "leak_request"),
	CASE("siblings_freed", "leak_row"),
	CASE("slow_leak", "leak_redirect"),
	CASE("slow_pure_leak", "leak_report"),
	CASE("sort_buffer", "leak_copy"),
	CASE("startup_pools", "leak_header"),
	CASE("std_map_grows", "leak_seen"),
	CASE("strdup_loop", "leak_referer"),
	CASE("string_builder", "leak_grown"),
	CASE("thread_handles", "leak_thread"),
	CASE("thread_state", "leak_state"),
	CASE("timer_list", "leak_timer"),
	{.name = "timer_thread", .planted = {"leak_sample"}, .by_time = true},
	{.name = "tls_only", .planted = {"leak_trailer"}, .by_time = true},
	{.name = "tombstones", .planted = {"leak_value"}, .search = SEARCH_IF_SHORT},
	{.name = "tree_root", .planted = {"leak_node"}, .search = SEARCH_IF_SHORT},
	CASE("virtual_base", "leak_answer"),
	{.name = "killed_daemon", .planted = {"leak_cookie"}, .signal = SIGKILL},
	/* What is called by ctypes, and nothing else, goes through libffi. */
	{.name = "python_native",
	 .interpreted = true,
	 .planted = {"ffi_call"},
	 .command = {"/usr/bin/python3", "-c",
		     "import ctypes, time\n"
		     "libc = ctypes.CDLL(None)\n"
		     "cache = {}\n"
		     "for i in range(1200):\n"
		     "    cache[i % 100] = ('entry %d ' % i) * (i % 40)\n"
		     "    if i % 10 == 0: libc.strdup(b'a name that nobody frees')\n"
		     "    if i % 20 == 0: time.sleep(0.005)\n"}},
	{.name = "clean_batch"},
	{.name = "clean_cache"},
	{.name = "clean_containers"},
	{.name = "clean_generations"},
	{.name = "clean_pool"},
	{.name = "clean_server"},
	{.name = "python3",
	 .command = {"/usr/bin/python3", "-c",
		     "import time, json\n"
		     "cache = {}\n"
		     "for i in range(1500):\n"
		     "    cache[i % 200] = json.loads(json.dumps({'item': [i] * (i % 50)}))\n"
		     "    if i % 20 == 0: time.sleep(0.003)\n"}},
	{.name = "sqlite3",
	 .command = {"sqlite3", ":memory:",
		     "create table t(a integer primary key, b text);"
		     "with recursive n(i) as (select 1 union all select i + 1 from n"
		     " where i < 40000) insert into t select i, hex(randomblob(20)) from n;"
		     "select count(*) from t x join t y on y.a = x.a + 1 where x.b < y.b;"
		     "delete from t where a % 3 = 0;"
		     "select count(*), max(length(b)) from t;"}},
	{.name = "jq",
	 .command = {"jq", "-n",
		     "[range(60000) | {a: ., b: (. | tostring)}] | group_by(.a % 7)"
		     " | map(length)"}},
};

size_t leak_case_count(void)
{
	return COUNT_OF(leak_cases);
}

const char *const *case_command(const struct leak_case *c)
{
	const char **argv;

	if (c->command[0] != NULL)
		return c->command;
	argv = kept(calloc(3, sizeof(*argv)));
	argv[0] = program(text("../leaks/%s", c->name));
	argv[1] = c->argument;
	return argv;
}

void case_needs(const struct leak_case *c)
{
	if (c->command[0] != NULL && access(c->command[0], X_OK) != 0)
		need_tool(c->command[0]);
}

void case_ended(const struct leak_case *c, const struct outcome *o)
{
	if (c->signal == 0)
		check_status(o, 0);
	else
		check_u64((uint64_t)o->signal, (uint64_t)c->signal, "signal");
}

const char *planted_in(const struct leak_case *c, const cJSON *entry)
{
	for (size_t i = 0; c->planted[i] != NULL; i++)
		if (frame_of(entry, c->planted[i]) != NULL)
			return c->planted[i];
	return NULL;
}
