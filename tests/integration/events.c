/* SPDX-License-Identifier: MIT */
/* Before cmocka.h, whose fail() is a macro. */
#include "analyzer/run.h"
#include "analyzer/symbols.h"
#include "collector/collector.h"
#include "trace/decode.h"

#include "tests/integration/events.h"

struct reading {
	struct symbols *symbols;
	struct seen *events;
	size_t count, room;
};

static const char *name_of_node(struct symbols *symbols, const struct run *run, uint32_t node)
{
	const struct address *a;
	const struct module *m;
	struct frame frames[SYMBOLS_FRAMES_MAX];

	if (node == 0 || node >= run->node_count)
		return "";
	a = &run->addresses[run->nodes[node].address];
	if (a->module < 0)
		return "";
	m = &run->modules[a->module];
	if (symbols_lookup(symbols, m->path, m->build_id, m->base, a->pc, frames,
			   SYMBOLS_FRAMES_MAX) == 0 ||
	    frames[0].function == NULL)
		return "";
	return text("%s", frames[0].function);
}

static int take(void *context, const struct run *run, int tid, double t_s, const struct ph_event *e,
		uint32_t node, const char *function)
{
	struct reading *r = context;
	const struct ph_call *c = e->call;

	(void)tid, (void)t_s;
	if (r->count == r->room) {
		r->room = r->room * 2 + 1024;
		r->events = realloc(r->events, r->room * sizeof(*r->events));
		assert_non_null(r->events);
	}
	r->events[r->count++] = (struct seen){
		.function = text("%s", function != NULL ? function : "?"),
		.caller = name_of_node(r->symbols, run, node),
		.block = c == NULL,
		.address = e->address,
		.size = e->size,
		.result = c != NULL ? c->result : 0,
		.op = e->op,
		.fd = c != NULL ? c->fd : -1,
	};
	return 0;
}

size_t read_events(const struct outcome *outcome, struct seen **events)
{
	struct reading r = {.symbols = symbols_open(&(struct symbols_options){0})};
	char **paths;
	size_t count = list_traces(outcome, &paths);

	assert_non_null(r.symbols);
	for (size_t i = 0; i < count; i++) {
		struct run run;
		struct error e = {0};

		check(collector_finish_wait(paths[i], &e) == 0, "%s: %s", paths[i], e.text);
		check(run_dump(&run, paths[i], NULL, take, &r, &e) == 0, "%s: %s", paths[i],
		      e.text);
		run_free(&run);
	}
	symbols_close(r.symbols);
	*events = kept(r.events);
	return r.count;
}
