/* SPDX-License-Identifier: MIT */
/*
 * Massif's snapshots: the timeline, a tree of who held the peak, and one of what was
 * live at the end. A tree begins with the allocating functions.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"

/* Smaller ones are put together: "in 3 places, all below massif's threshold". */
#define THRESHOLD_PERCENT 0.1

struct massif {
	struct export *x;
	size_t snapshots;
	uint64_t least; /* of the tree in hand */
	bool failed;
};

static void print_snapshot(struct massif *m, double at_s, uint64_t bytes, const char *tree)
{
	fprintf(m->x->out,
		"#-----------\nsnapshot=%zu\n#-----------\ntime=%" PRIu64 "\nmem_heap_B=%" PRIu64
		"\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=%s\n",
		m->snapshots++, at_s > 0 ? (uint64_t)(at_s * 1e3) : 0, bytes, tree);
}

static void indent(FILE *out, unsigned depth)
{
	fprintf(out, "%*s", (int)depth, "");
}

/* How many of a node's children stand for themselves, and what is put together. */
struct split {
	size_t shown, hidden;
	uint64_t hidden_bytes;
};

static struct split split_children(const struct massif *m, const struct call_tree *t, uint32_t node)
{
	struct split s = {0};

	for (uint32_t c = t->nodes[node].first_child; c != 0; c = t->nodes[c].next) {
		if (t->nodes[c].value[CALL_AFTER] >= m->least) {
			s.shown++;
		} else {
			s.hidden++;
			s.hidden_bytes += t->nodes[c].value[CALL_AFTER];
		}
	}
	return s;
}

static void print_node(struct massif *m, const struct call_tree *t, uint32_t node, unsigned depth)
{
	struct split s = split_children(m, t, node);
	char *name = node != 0 ? format_line(call_name(t, node), "") : NULL;

	m->failed |= node != 0 && name == NULL;
	indent(m->x->out, depth);
	fprintf(m->x->out, "n%zu: %" PRIu64 " ", s.shown + (s.hidden > 0),
		t->nodes[node].value[CALL_AFTER]);
	if (node == 0)
		fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n",
		      m->x->out);
	else
		fprintf(m->x->out, "0x0: %s\n", name != NULL ? name : "");
	free(name);
}

/* After the last of the children that are shown. */
static void print_hidden(struct massif *m, const struct call_tree *t, uint32_t node, unsigned depth)
{
	struct split s = split_children(m, t, node);

	if (s.hidden == 0)
		return;
	indent(m->x->out, depth + 1);
	fprintf(m->x->out,
		"n0: %" PRIu64 " in %zu place%s, all below massif's threshold (%05.2f%%)\n",
		s.hidden_bytes, s.hidden, s.hidden == 1 ? "" : "s", THRESHOLD_PERCENT);
}

/* The next one to print. What is hidden of a node is said when it is left. Children are
 * in order of size: behind the first hidden one are only hidden ones. */
static uint32_t next_node(struct massif *m, const struct call_tree *t, uint32_t node,
			  unsigned *depth)
{
	uint32_t next = t->nodes[node].first_child;

	if (next != 0 && t->nodes[next].value[CALL_AFTER] >= m->least) {
		++*depth;
		return next;
	}
	for (;;) {
		print_hidden(m, t, node, *depth);
		next = t->nodes[node].next;
		if (node == 0 || (next != 0 && t->nodes[next].value[CALL_AFTER] >= m->least))
			return node == 0 ? 0 : next;
		node = t->nodes[node].parent;
		--*depth;
	}
}

static int print_tree(struct massif *m, const struct cost *cost, struct error *e)
{
	struct call_tree t = {0};
	unsigned depth = 0;
	uint32_t node = 0;
	int rc = call_tree_add(&t, m->x->report, cost, CALL_AFTER,
			       (struct call_shape){.inverted = true, .lines = true}, e);

	if (rc == 0) {
		call_tree_finish(&t);
		m->least =
			(uint64_t)((double)t.nodes[0].value[CALL_AFTER] * THRESHOLD_PERCENT / 100);
		do
			print_node(m, &t, node, depth);
		while ((node = next_node(m, &t, node, &depth)) != 0);
	}
	call_tree_free(&t);
	return rc;
}

/* The timeline with the peak put in where it was. */
static int print_snapshots(struct massif *m, struct error *e)
{
	const struct heap *h = &m->x->report->run->heap;
	double end_s = run_end_s(m->x->report->run);
	size_t i = 0;

	for (; i < h->timeline_count && h->timeline[i].at_s < h->peak_at_s; i++)
		print_snapshot(m, h->timeline[i].at_s, h->timeline[i].live_bytes, "empty");
	print_snapshot(m, h->peak_at_s, h->peak_bytes, "peak");
	if (print_tree(m, &costs[COST_PEAK], e) != 0)
		return -1;
	for (; i < h->timeline_count; i++)
		print_snapshot(m, h->timeline[i].at_s, h->timeline[i].live_bytes, "empty");
	if (h->timeline_count != 0 && h->timeline[h->timeline_count - 1].at_s > end_s)
		end_s = h->timeline[h->timeline_count - 1].at_s;
	print_snapshot(m, end_s, h->live_bytes, "detailed");
	return print_tree(m, &costs[COST_LEAKED], e);
}

static bool print_head(struct massif *m)
{
	const struct run *run = m->x->report->run;

	fprintf(m->x->out, "desc: perfhook %s\ncmd:", PERFHOOK_VERSION);
	for (const char **word = run->command; word != NULL && *word != NULL; word++) {
		char *safe = format_line(*word, "");

		if (safe == NULL)
			return false;
		fprintf(m->x->out, " %s", safe);
		free(safe);
	}
	fputs("\ntime_unit: ms\n", m->x->out);
	return true;
}

int export_massif(struct export *x, struct error *e)
{
	struct massif m = {.x = x};

	m.failed = !print_head(&m);
	if (!m.failed && print_snapshots(&m, e) != 0)
		return -1;
	return m.failed ? export_out_of_memory(e) : 0;
}
