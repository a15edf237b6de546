/* SPDX-License-Identifier: MIT */
#include "analyzer/findings_habits.h"

#include <stdlib.h>
#include <string.h>

static int by_subject(const struct habit *x, const struct habit *y)
{
	return x->socket != y->socket ? (int)x->socket - (int)y->socket
				      : strcmp(x->subject, y->subject);
}

static int by_subject_and_node(const void *a, const void *b)
{
	const struct habit *x = a, *y = b;
	int by = by_subject(x, y);

	return by != 0 ? by : (x->node > y->node) - (x->node < y->node);
}

static void add(struct habit *to, const struct habit *h)
{
	to->count += h->count;
	to->series += h->series;
	to->longest = h->longest > to->longest ? h->longest : to->longest;
	to->bytes += h->bytes;
	to->received_bytes += h->received_bytes;
	to->ns += h->ns;
}

/* Of several connections to one peer a stack has one each: now it has one. */
static size_t merge_nodes(struct habit *list, size_t count)
{
	size_t kept = 0;

	for (size_t i = 1; i < count; i++) {
		if (by_subject_and_node(&list[kept], &list[i]) == 0)
			add(&list[kept], &list[i]);
		else
			list[++kept] = list[i];
	}
	return count != 0 ? kept + 1 : 0;
}

static size_t choose(const struct habits *h, enum habit_kind kind, struct habit *list)
{
	size_t count = 0;

	for (size_t i = 0; i < h->count; i++)
		if (h->list[i].kind == kind && h->list[i].subject != NULL)
			list[count++] = h->list[i];
	if (count != 0)
		qsort(list, count, sizeof(*list), by_subject_and_node);
	return merge_nodes(list, count);
}

void each_habit_group(struct finder *f, enum habit_kind kind, bool by_stack,
		      void (*judge)(struct finder *f, const struct habit_group *g))
{
	struct habit *list = calloc(f->habits->count + 1, sizeof(*list));
	size_t count = list != NULL ? choose(f->habits, kind, list) : 0;

	f->failed |= list == NULL;
	for (size_t i = 0, n; i < count; i += n) {
		struct habit_group g = {.sum = list[i], .top = &list[i]};

		for (n = 1; !by_stack && i + n < count && by_subject(&list[i], &list[i + n]) == 0;
		     n++) {
			add(&g.sum, &list[i + n]);
			g.top = list[i + n].count > g.top->count ? &list[i + n] : g.top;
		}
		judge(f, &g);
	}
	free(list);
}
