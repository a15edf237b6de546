/* SPDX-License-Identifier: MIT */
/* Findings about what threads wait for. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/findings.h"
#include "analyzer/format_text.h"

/* ---- locks ------------------------------------------------------------------------ */

/* An address is a lock; another lock may come to stand there, in a block from elsewhere. */
static int order_locks(const struct wait *x, const struct wait *y)
{
	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->home_node > y->home_node) - (x->home_node < y->home_node);
}

static int by_lock(const void *a, const void *b)
{
	const struct wait *x = *(const struct wait *const *)a;
	const struct wait *y = *(const struct wait *const *)b;
	int by = order_locks(x, y);

	/* Most time first. */
	return by != 0 ? by : (x->time_s < y->time_s) - (x->time_s > y->time_s);
}

static struct wait *copy_of(struct finder *f, const struct wait *w)
{
	struct wait *copy = arena_alloc(f->arena, sizeof(*copy));

	if (copy == NULL)
		f->failed = true;
	else
		*copy = *w;
	return copy;
}

static void contention(struct finder *f, const struct wait *const *list, size_t count)
{
	double time_s = 0, share, longest_us = 0;
	uint64_t waits = 0;
	char n[FORMAT_ROOM], percent[FORMAT_ROOM];
	struct finding *to;

	for (size_t i = 0; i < count; i++) {
		time_s += list[i]->time_s;
		waits += list[i]->count;
		longest_us = list[i]->latency.max > longest_us ? list[i]->latency.max : longest_us;
	}
	share = run_span_s(f->run) > 0 ? 100 * time_s / run_span_s(f->run) : 0;
	if (share < finding_limit(f, LOCK_PERCENT) || (double)waits < finding_limit(f, LOCK_WAITS))
		return;
	to = finding_add(f, list[0]->node, time_s,
			 arena_print(f->arena, "%s, %s of the run's time, for",
				     format_counted(n, waits, "wait"),
				     format_percent(percent, time_s, run_span_s(f->run))));
	if (to == NULL)
		return;
	to->waited_for = copy_of(f, list[0]);
	evidence_count(to, "waits", waits);
	evidence_number(to, "time_s", time_s);
	evidence_number(to, "share_percent", share);
	evidence_number(to, "mean_us", time_s * 1e6 / (double)waits);
	evidence_number(to, "longest_us", longest_us);
	evidence_count(to, "stacks", count);
	evidence_number(to, "stack_time_s", list[0]->time_s);
}

void find_contention(struct finder *f)
{
	const struct run *run = f->run;
	const struct wait **list = calloc(run->wait_count + 1, sizeof(const struct wait *));
	size_t count = 0;

	f->failed |= list == NULL;
	for (size_t i = 0; list != NULL && i < run->wait_count; i++)
		if (strcmp(run->waits[i].kind, "lock") == 0)
			list[count++] = &run->waits[i];
	if (count != 0)
		qsort((void *)list, count, sizeof(*list), by_lock);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && order_locks(list[i], list[i + n]) == 0;)
			n++;
		contention(f, &list[i], n);
	}
	free((void *)list);
}

/* ---- event loops ---------------------------------------------------------------- */

/* By thread and function, most time first. */
static int by_thread_and_function(const void *a, const void *b)
{
	const struct loop_block *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->op != y->op)
		return x->op - y->op;
	return (x->ns < y->ns) - (x->ns > y->ns);
}

/* One function in one thread, from `count` stacks. */
static void blocked_loop(struct finder *f, const struct loop_block *list, size_t count)
{
	const struct thread *thread = &f->run->threads[list->thread];
	const char *function = f->names[list->op] != NULL ? f->names[list->op] : "?";
	uint64_t polls = f->loops->polls[list->thread], calls = 0;
	double ns = 0, longest_ns = 0;
	char n[FORMAT_ROOM], times[FORMAT_ROOM];
	struct finding *to;

	for (size_t i = 0; i < count; i++) {
		calls += list[i].count;
		ns += list[i].ns;
		longest_ns = list[i].longest_ns > longest_ns ? list[i].longest_ns : longest_ns;
	}
	if (ns / 1e6 < finding_limit(f, LOOP_BLOCK_TOTAL_MS))
		return;
	to = finding_add(f, list->node, ns / 1e9,
			 arena_print(f->arena, "%s of %s in thread %d, which polled %s",
				     format_counted(n, calls, "long call"), function, thread->tid,
				     format_counted(times, polls, "time")));
	evidence_text(to, "function", function);
	evidence_count(to, "tid", (uint64_t)thread->tid);
	evidence_text(to, "thread", thread->name);
	evidence_count(to, "polls", polls);
	evidence_count(to, "calls", calls);
	evidence_number(to, "time_s", ns / 1e9);
	evidence_number(to, "longest_us", longest_ns / 1e3);
	evidence_count(to, "stacks", count);
	evidence_number(to, "stack_time_s", list->ns / 1e9);
}

void find_blocked_loops(struct finder *f)
{
	const struct loops *l = f->loops;
	struct loop_block *list = calloc(l->count + 1, sizeof(*list));
	size_t count = 0;

	f->failed |= list == NULL;
	for (size_t i = 0; list != NULL && i < l->count; i++)
		if (l->list[i].count != 0 &&
		    (double)l->polls[l->list[i].thread] >= finding_limit(f, LOOP_POLLS))
			list[count++] = l->list[i];
	if (count != 0)
		qsort(list, count, sizeof(*list), by_thread_and_function);
	for (size_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && list[i + n].thread == list[i].thread &&
			    list[i + n].op == list[i].op;)
			n++;
		blocked_loop(f, &list[i], n);
	}
	free(list);
}
