/* SPDX-License-Identifier: MIT */
/* What findings are made of: thresholds, habits, loops. What is found of programs stands
 * in tests/integration/test_findings.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/findings.h" /* before cmocka.h: its macro hides our fail() */
#include "trace/format.h"

#include <cmocka.h>

/* ---- thresholds ----------------------------------------------------------------- */

/* "| … | … | at least 1000 of them | `name` |"; a kind of that name begins a line. */
static bool says(const char *line, const struct threshold_row *row)
{
	char name[64], number[32];
	const char *at, *cell, *end;
	size_t digits;

	snprintf(name, sizeof(name), "| `%s` |", row->name);
	snprintf(number, sizeof(number), "%.0f", row->value);
	at = strstr(line + 1, name);
	if (at == NULL)
		return false;
	for (end = at, cell = at - 1; cell > line && *cell != '|';)
		cell--;
	digits = strlen(number);
	for (cell++; cell < end; cell++)
		if (strncmp(cell, number, digits) == 0 && strchr("0123456789", cell[-1]) == NULL &&
		    strchr("0123456789", cell[digits]) == NULL)
			return true;
	return false;
}

static void test_every_threshold_is_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < THRESHOLDS; i++) {
		FILE *doc = fopen("docs/findings.md", "r");
		char line[1024];
		bool found = false;

		assert_non_null(doc);
		while (!found && fgets(line, sizeof(line), doc) != NULL)
			found = says(line, &threshold_rows[i]);
		fclose(doc);
		if (!found)
			fail_msg("docs/findings.md: no row of %s with %.0f", threshold_rows[i].name,
				 threshold_rows[i].value);
	}
}

static void test_setting(void **state)
{
	struct thresholds t;
	struct error e = {0};

	(void)state;
	thresholds_default(&t);
	assert_true(t.values[SYNC_CALLS] == 50);
	assert_int_equal(thresholds_set(&t, "sync-calls=7.5", &e), 0);
	assert_true(t.values[SYNC_CALLS] == 7.5);
	assert_int_equal(thresholds_set(&t, "sync=7", &e), -1);
	assert_int_equal(e.code, ERROR_USAGE);
	for (size_t i = 0; i < THRESHOLDS; i++)
		assert_non_null(strstr(e.text, threshold_rows[i].name));
	assert_true(t.values[SYNC_CALLS] == 7.5);
}

/* ---- habits --------------------------------------------------------------------- */

#define MS 1e6

struct scene {
	struct thresholds thresholds;
	struct habits habits;
	struct habit_state state;
	struct thread threads[2];
	double now;
};

static void begin(struct scene *s)
{
	*s = (struct scene){.now = 0};
	thresholds_default(&s->thresholds);
	habits_init(&s->habits, &s->thresholds);
}

/* After a pause. */
static struct habit_call call(struct scene *s, int thread, uint32_t node, double pause_ms,
			      uint64_t bytes)
{
	struct habit_call c = {
		.thread = &s->threads[thread],
		.sink = 1,
		.node = node,
		.begin = s->now + pause_ms * MS,
		.ns = 1000,
		.bytes = bytes,
	};

	s->now = c.begin + c.ns;
	return c;
}

static void wrote(struct scene *s, int thread, uint32_t node, double pause_ms, uint64_t bytes,
		  uint64_t place)
{
	struct habit_call c = call(s, thread, node, pause_ms, bytes);

	habits_written(&s->habits, &s->state, &c, place);
}

static const struct habit *habit(const struct scene *s, enum habit_kind kind, uint32_t node)
{
	static const struct habit none = {.count = 0};

	for (size_t i = 0; i < s->habits.count; i++)
		if (s->habits.list[i].kind == kind && s->habits.list[i].node == node)
			return &s->habits.list[i];
	return &none;
}

static void test_series_of_writes(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	wrote(&s, 0, 5, 0, 10, 0); /* a series of three, by two stacks */
	wrote(&s, 0, 5, 1, 20, 10);
	wrote(&s, 0, 6, 1, 30, 30);
	wrote(&s, 0, 5, 11, 10, 60); /* too late */
	wrote(&s, 0, 5, 0, 10, 500); /* elsewhere */
	wrote(&s, 1, 5, 0, 10, 510); /* another thread */
	habits_interrupted(&s.state);
	wrote(&s, 1, 5, 0, 10, 520); /* something in between */
	wrote(&s, 1, 5, 0, 5000, 530);
	wrote(&s, 1, 5, 0, 10, 5530);		 /* after a large one */
	wrote(&s, 1, 5, 0, 1024, HABIT_NOWHERE); /* where it ends */
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 5)->count, 4);
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 5)->bytes, 10 + 20 + 10 + 1024);
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 5)->series, 2);
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 6)->count, 1);
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 6)->longest, 3);
	assert_int_equal(habit(&s, HABIT_TINY_WRITE, 6)->series, 0);
	habits_free(&s.habits);
}

static void synced(struct scene *s, double pause_ms)
{
	struct habit_call c = call(s, 0, 7, pause_ms, 0);

	habits_synced(&s->habits, &s->state, &c);
}

static void test_series_of_syncs(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	for (int i = 0; i < 3; i++) {
		wrote(&s, 0, 5, 0, 100, HABIT_NOWHERE);
		synced(&s, 1);
	}
	synced(&s, 1000); /* now and then */
	wrote(&s, 0, 5, 0, 65537, HABIT_NOWHERE);
	synced(&s, 1);
	synced(&s, 1); /* that one was of much */
	assert_int_equal(habit(&s, HABIT_SYNC, 7)->count, 3);
	assert_int_equal(habit(&s, HABIT_SYNC, 7)->bytes, 300);
	assert_int_equal(habit(&s, HABIT_SYNC, 7)->series, 1);
	habits_free(&s.habits);
}

static void asked(struct scene *s, double pause_ms, uint64_t bytes)
{
	struct habit_call c = call(s, 0, 8, pause_ms, bytes);

	habits_asked(&s->habits, &s->state, &c);
}

static void answered(struct scene *s, uint64_t bytes)
{
	struct habit_call c = call(s, 0, 9, 2, bytes);

	habits_answered(&s->state, &c);
}

static void test_series_of_requests(void **state)
{
	struct scene s;
	const struct habit *h;

	(void)state;
	begin(&s);
	for (int i = 0; i < 4; i++) {
		asked(&s, 1, 10); /* in two pieces */
		asked(&s, 0, 5);
		answered(&s, 100);
		answered(&s, 50);
	}
	habits_got_work(&s.habits, &s.threads[0]);
	asked(&s, 1, 10);
	answered(&s, 100); /* for another client */
	asked(&s, 1, 10);
	answered(&s, 20000); /* much */
	asked(&s, 50, 10);
	answered(&s, 10); /* after a pause */
	habits_got_work(&s.habits, &s.threads[1]);
	asked(&s, 1, 10);
	answered(&s, 10); /* the last one is only known in the end */
	h = habit(&s, HABIT_ROUND_TRIP, 8);
	assert_int_equal(h->count, 4);
	assert_int_equal(h->bytes, 60);
	assert_int_equal(h->received_bytes, 600);
	assert_int_equal(h->series, 1);
	/* To the end of the first piece of the response. */
	assert_true(h->ns > 4 * 2 * MS && h->ns < 4 * 2.1 * MS);
	habits_end(&s.habits, &s.state, 1);
	assert_int_equal(habit(&s, HABIT_ROUND_TRIP, 8)->count, 6);
	assert_false(s.habits.failed);
	habits_free(&s.habits);
}

/* ---- loops ---------------------------------------------------------------------- */

static void test_between_polls(void **state)
{
	const struct ph_call several = {.arg = 2}, one = {.arg = 1}, none = {.arg = 0};
	const struct ph_call other = {.op = 9};
	struct thresholds t;
	struct loops l;

	(void)state;
	thresholds_default(&t);
	assert_true(loops_init(&l, &t, 2));
	loops_call(&l, 0, PH_KIND_SLEEP, "usleep", &other, 3, 20 * MS); /* before */
	loops_call(&l, 0, PH_KIND_POLL, "poll", &several, 1, MS);
	loops_call(&l, 0, PH_KIND_SLEEP, "usleep", &other, 3, 20 * MS);
	loops_call(&l, 0, PH_KIND_SLEEP, "usleep", &other, 3, 9 * MS);	/* short */
	loops_call(&l, 1, PH_KIND_SLEEP, "usleep", &other, 3, 20 * MS); /* another's */
	loops_call(&l, 0, PH_KIND_SIGNAL, "sigwait", &other, 3, 20 * MS);
	loops_call(&l, 0, PH_KIND_POLL, "epoll_wait", &one, 1, MS);
	loops_call(&l, 0, PH_KIND_POLL, "poll", &one, 1, 20 * MS); /* no loop's, nor blocked */
	loops_call(&l, 0, PH_KIND_POLL, "poll", &none, 4, 30 * MS);
	loops_call(&l, 0, PH_KIND_POLL, "select", &one, 1, MS);
	loops_call(&l, 0, PH_KIND_SLEEP, "usleep", &other, 3, 50 * MS); /* after the last */
	loops_end(&l);
	assert_int_equal(l.polls[0], 3);
	assert_int_equal(l.polls[1], 0);
	assert_int_equal(l.count, 2);
	assert_int_equal(l.list[0].node, 3);
	assert_int_equal(l.list[0].count, 1);
	assert_true(l.list[0].ns == 20 * MS);
	assert_int_equal(l.list[1].node, 4);
	assert_int_equal(l.list[1].count, 1);
	assert_false(l.failed);
	loops_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_threshold_is_documented),
		cmocka_unit_test(test_setting),
		cmocka_unit_test(test_series_of_writes),
		cmocka_unit_test(test_series_of_syncs),
		cmocka_unit_test(test_series_of_requests),
		cmocka_unit_test(test_between_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
