/* SPDX-License-Identifier: MIT */
/*
 * The PERFHOOK_* variables: each value that is understood and its effect, each
 * that is not and the one line that says so. The library reads once and speaks
 * once in a process, so every case has its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/config.h"
#include "preload/log.h"
#include "trace/segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define EVERYTHING (PH_EVENTS_MEMORY | PH_EVENTS_IO | PH_EVENTS_NET | PH_EVENTS_WAIT)

/* What a child found. Its strings point into what it has of us, so that they
 * are good here too. */
static struct outcome {
	struct ph_config config;
	bool understood;
	bool errno_kept;
} * seen;
static char said[8192];

/* The standard error of a child that reads this environment; ended by NULL. */
static void read_environment(char **environment)
{
	size_t used = 0;
	ssize_t got;
	int ends[2], status;
	pid_t child;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], 2);
		errno = 4242;
		seen->understood = ph_config_read(environment);
		seen->errno_kept = errno == 4242;
		seen->config = ph_config;
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + used, sizeof(said) - 1 - used)) > 0)
		used += (size_t)got;
	said[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(seen->errno_kept);
}

static void read_one(const char *variable)
{
	char *environment[] = {(char *)"HOME=/root", (char *)variable, (char *)"LANG=C", NULL};

	read_environment(environment);
}

static const struct ph_config *good(const char *variable)
{
	read_one(variable);
	assert_string_equal(said, "");
	assert_true(seen->understood);
	return &seen->config;
}

/* One line, which repeats the variable and says what it could be. */
static void bad(const char *variable, const char *allowed)
{
	char expected[512];

	read_one(variable);
	assert_false(seen->understood);
	snprintf(expected, sizeof(expected),
		 "perfhook: %s is not understood: give %s; the program runs unrecorded\n", variable,
		 allowed);
	assert_string_equal(said, expected);
}

static void assert_defaults(const struct ph_config *c)
{
	assert_null(c->output);
	assert_null(c->root);
	assert_int_equal(c->events, EVERYTHING);
	assert_int_equal(c->depth, 256);
	assert_int_equal(c->overflow, PH_OVERFLOW_BLOCK);
	assert_false(c->free_stacks);
	assert_true(c->follow_children);
	assert_true(c->start);
}

/* Also what only looks like one of ours: an unknown name, a longer, a shorter. */
static void test_defaults(void **state)
{
	char *none[] = {NULL};

	(void)state;
	read_environment(none);
	assert_true(seen->understood);
	assert_string_equal(said, "");
	assert_defaults(&seen->config);
	assert_defaults(good("PERFHOOK_COLOUR=7"));
	assert_defaults(good("PERFHOOK_DEPTHS=seven"));
	assert_defaults(good("PERFHOOK_DEPT=seven"));
	assert_defaults(good("PERFHOOK_DEPTH"));
	assert_defaults(good("XPERFHOOK_DEPTH=7"));
	assert_defaults(good("PERFHOOK_=7"));
}

static void test_out(void **state)
{
	char *variable = malloc(8192);
	size_t name = strlen("PERFHOOK_OUT=");

	(void)state;
	assert_non_null(variable);
	assert_string_equal(good("PERFHOOK_OUT=a %p=b")->output, "a %p=b");
	assert_null(good("PERFHOOK_OUT=")->output);
	memset(variable, 'x', 8192);
	memcpy(variable, "PERFHOOK_OUT=", name);
	variable[name + 4095] = '\0';
	assert_int_equal(strlen(good(variable)->output), 4095);
	variable[name + 4095] = 'x';
	variable[name + 4096] = '\0';
	read_one(variable);
	assert_false(seen->understood);
	/* The line is cut, but is one. */
	assert_int_equal(strncmp(said, "perfhook: PERFHOOK_OUT=xxx", 26), 0);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	free(variable);
}

static void test_events(void **state)
{
	static const char allowed[] = "a comma list of memory, io, net, wait";

	(void)state;
	assert_int_equal(good("PERFHOOK_EVENTS=memory")->events, PH_EVENTS_MEMORY);
	assert_int_equal(good("PERFHOOK_EVENTS=io")->events, PH_EVENTS_IO);
	assert_int_equal(good("PERFHOOK_EVENTS=net")->events, PH_EVENTS_NET);
	assert_int_equal(good("PERFHOOK_EVENTS=wait")->events, PH_EVENTS_WAIT);
	assert_int_equal(good("PERFHOOK_EVENTS=net,memory")->events,
			 PH_EVENTS_NET | PH_EVENTS_MEMORY);
	assert_int_equal(good("PERFHOOK_EVENTS=io,io")->events, PH_EVENTS_IO);
	assert_int_equal(good("PERFHOOK_EVENTS=wait,net,io,memory")->events, EVERYTHING);
	bad("PERFHOOK_EVENTS=", allowed);
	bad("PERFHOOK_EVENTS=Memory", allowed);
	bad("PERFHOOK_EVENTS=mem", allowed);
	bad("PERFHOOK_EVENTS=memory2", allowed);
	bad("PERFHOOK_EVENTS=io,", allowed);
	bad("PERFHOOK_EVENTS=,io", allowed);
	bad("PERFHOOK_EVENTS=io,,net", allowed);
	bad("PERFHOOK_EVENTS=io, net", allowed);
	bad("PERFHOOK_EVENTS=io net", allowed);
}

static void test_depth(void **state)
{
	static const char allowed[] = "a number from 0 to 4096";

	(void)state;
	assert_int_equal(good("PERFHOOK_DEPTH=0")->depth, 0);
	assert_int_equal(good("PERFHOOK_DEPTH=1")->depth, 1);
	assert_int_equal(good("PERFHOOK_DEPTH=4096")->depth, 4096);
	assert_int_equal(good("PERFHOOK_DEPTH=0064")->depth, 64);
	bad("PERFHOOK_DEPTH=", allowed);
	bad("PERFHOOK_DEPTH=4097", allowed);
	bad("PERFHOOK_DEPTH=4294967297", allowed);
	bad("PERFHOOK_DEPTH=99999999999999999999999", allowed);
	bad("PERFHOOK_DEPTH=-1", allowed);
	bad("PERFHOOK_DEPTH=+1", allowed);
	bad("PERFHOOK_DEPTH= 1", allowed);
	bad("PERFHOOK_DEPTH=1 ", allowed);
	bad("PERFHOOK_DEPTH=0x10", allowed);
	bad("PERFHOOK_DEPTH=deep", allowed);
}

static void test_choices(void **state)
{
	(void)state;
	assert_true(good("PERFHOOK_FREE_STACKS=on")->free_stacks);
	assert_false(good("PERFHOOK_FREE_STACKS=off")->free_stacks);
	bad("PERFHOOK_FREE_STACKS=yes", "on or off");
	bad("PERFHOOK_FREE_STACKS=", "on or off");
	bad("PERFHOOK_FREE_STACKS=ON", "on or off");
	assert_int_equal(good("PERFHOOK_OVERFLOW=drop")->overflow, PH_OVERFLOW_DROP);
	assert_int_equal(good("PERFHOOK_OVERFLOW=block")->overflow, PH_OVERFLOW_BLOCK);
	bad("PERFHOOK_OVERFLOW=wait", "block or drop");
	bad("PERFHOOK_OVERFLOW=", "block or drop");
	assert_true(good("PERFHOOK_LEAKS=exit")->leaks);
	assert_false(good("PERFHOOK_LEAKS=off")->leaks);
	bad("PERFHOOK_LEAKS=on", "off or exit");
	bad("PERFHOOK_LEAKS=", "off or exit");
	assert_int_equal(good("PERFHOOK_RING=16K")->ring_bytes, 16 << 10);
	assert_int_equal(good("PERFHOOK_RING=65536")->ring_bytes, 65536);
	assert_int_equal(good("PERFHOOK_RING=1M")->ring_bytes, 1 << 20);
	for (size_t i = 0; i < 7; i++) {
		const char *const wrong[] = {
			"PERFHOOK_RING=",     "PERFHOOK_RING=8K",
			"PERFHOOK_RING=2M",   "PERFHOOK_RING=48K",
			"PERFHOOK_RING=64KB", "PERFHOOK_RING=99999999999999999999",
			"PERFHOOK_RING=-64K"};

		bad(wrong[i], "a power of two from 16K to 1M");
	}
	assert_false(good("PERFHOOK_CHILDREN=skip")->follow_children);
	assert_true(good("PERFHOOK_CHILDREN=follow")->follow_children);
	bad("PERFHOOK_CHILDREN=no", "follow or skip");
	bad("PERFHOOK_CHILDREN=followed", "follow or skip");
	assert_false(good("PERFHOOK_START=off")->start);
	assert_true(good("PERFHOOK_START=on")->start);
	bad("PERFHOOK_START=0", "on or off");
	bad("PERFHOOK_START=of", "on or off");
}

static void test_root(void **state)
{
	(void)state;
	assert_string_equal(good("PERFHOOK_ROOT=1234-5")->root, "1234-5");
	assert_null(good("PERFHOOK_ROOT=")->root);
}

static void test_many(void **state)
{
	char *environment[] = {
		(char *)"PERFHOOK_START=off",	     (char *)"PERFHOOK_DEPTH=12",
		(char *)"PERFHOOK_OUT=first",	     (char *)"PATH=/bin",
		(char *)"PERFHOOK_FREE_STACKS=on",   (char *)"PERFHOOK_OUT=second",
		(char *)"PERFHOOK_EVENTS=io,memory", NULL,
	};

	(void)state;
	read_environment(environment);
	assert_true(seen->understood);
	assert_false(seen->config.start);
	assert_int_equal(seen->config.depth, 12);
	assert_string_equal(seen->config.output, "second");
	assert_true(seen->config.free_stacks);
	assert_int_equal(seen->config.events, PH_EVENTS_IO | PH_EVENTS_MEMORY);
}

/* Two mistakes are one line, of the first. */
static void test_one_line(void **state)
{
	char *environment[] = {(char *)"PERFHOOK_START=maybe", (char *)"PERFHOOK_DEPTH=deep", NULL};

	(void)state;
	read_environment(environment);
	assert_false(seen->understood);
	assert_non_null(strstr(said, "PERFHOOK_START=maybe is not understood"));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void test_append(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(ph_append(text, sizeof(text), 0, "abc"), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(ph_append(text, sizeof(text), 3, "defghij"), 7);
	assert_string_equal(text, "abcdefg");
	assert_int_equal(ph_append(text, sizeof(text), 7, "more"), 7);
	assert_string_equal(text, "abcdefg");
	assert_int_equal(ph_append_number(text, sizeof(text), 0, 0, 10), 1);
	assert_string_equal(text, "0");
	assert_int_equal(ph_append_number(text, sizeof(text), 1, 0xbeef, 16), 5);
	assert_string_equal(text, "0beef");
	assert_int_equal(ph_append_number(text, sizeof(text), 0, UINT64_MAX, 10), 7);
	assert_string_equal(text, "1844674");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_out),
		cmocka_unit_test(test_events),	 cmocka_unit_test(test_depth),
		cmocka_unit_test(test_choices),	 cmocka_unit_test(test_root),
		cmocka_unit_test(test_many),	 cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_append),
	};

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
