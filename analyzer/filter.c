/* SPDX-License-Identifier: MIT */
#include "analyzer/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/module_class.h"

static bool allows_thread(const struct patterns *p, const struct thread *t)
{
	uint64_t fits = patterns_fit(p, t->name);
	char tid[16];

	snprintf(tid, sizeof(tid), "%d", t->tid);
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i] + (*p->list[i] == '!'), tid) == 0)
			fits |= UINT64_C(1) << i;
	return patterns_allow(p, fits);
}

/* By its path, or its name without folders. */
static bool allows_module(const struct patterns *p, const struct run *run, uint32_t node)
{
	const struct address *a = node_address(run, asking_node(run, node));
	const struct module *m = a != NULL ? address_module(run, a) : NULL;
	uint64_t fits = 0;

	if (m != NULL)
		fits = patterns_fit(p, m->path) | patterns_fit(p, base_name(m->path));
	return patterns_allow(p, fits);
}

struct filter *filter_new(const struct run_filter *wanted, const struct run *run)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = (struct filter){.wanted = wanted, .run = run};
	f->threads = calloc(run->thread_count + 1, sizeof(*f->threads));
	f->nodes = calloc(run->node_count + 1, sizeof(*f->nodes));
	if (f->threads == NULL || f->nodes == NULL ||
	    (wanted->begin != NULL && !wanted->begin(wanted->context, run))) {
		filter_free(f);
		return NULL;
	}
	for (size_t i = 0; i < run->thread_count; i++)
		f->threads[i] = allows_thread(&wanted->threads, &run->threads[i]);
	return f;
}

void filter_free(struct filter *f)
{
	if (f == NULL)
		return;
	free(f->threads);
	free(f->nodes);
	free(f);
}

bool filter_finds_node(struct filter *f, uint32_t node)
{
	bool allows = allows_module(&f->wanted->modules, f->run, node) &&
		      (f->wanted->allows == NULL || f->wanted->allows(f->wanted->context, node));

	f->nodes[node] = allows ? 1 : 2;
	return allows;
}
