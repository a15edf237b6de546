/* SPDX-License-Identifier: MIT */
/* Folded stacks, as flamegraph.pl reads them: "outermost;...;innermost VALUE". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"
#include "analyzer/vector.h"

/* The line so far: the names down to a node, and where each ends. */
struct line {
	char *text;
	size_t room;
	size_t *ends; /* by depth */
	size_t end_room;
};

/* A ';' within a name would make two of it. */
static bool line_enter(struct line *l, const char *name, unsigned depth)
{
	char *safe = format_line(name, ";");
	size_t at, length = safe != NULL ? strlen(safe) : 0;

	if (safe == NULL || !vector_reserve(l->ends, l->end_room, depth + 1) || l->ends == NULL) {
		free(safe);
		return false;
	}
	at = depth > 1 ? l->ends[depth - 1] : 0;
	if (!vector_reserve(l->text, l->room, at + length + 2) || l->text == NULL) {
		free(safe);
		return false;
	}
	if (at > 0)
		l->text[at++] = ';';
	memcpy(l->text + at, safe, length + 1);
	l->ends[depth] = at + length;
	free(safe);
	return true;
}

static void line_print(FILE *out, const struct line *l, const struct call_node *n, bool both)
{
	if (n->self[CALL_AFTER] == 0 && n->self[CALL_BEFORE] == 0)
		return;
	fputs(l->text, out);
	if (both)
		fprintf(out, " %" PRIu64, n->self[CALL_BEFORE]);
	fprintf(out, " %" PRIu64 "\n", n->self[CALL_AFTER]);
}

int folded_write(FILE *out, const struct call_tree *t, bool both, struct error *e)
{
	struct line line = {0};
	unsigned depth = 0;
	uint32_t node = 0;
	bool good = true;

	while (good && t->node_count != 0 && (node = call_tree_next(t, node, &depth)) != 0) {
		good = line_enter(&line, call_name(t, node), depth);
		if (good)
			line_print(out, &line, &t->nodes[node], both);
	}
	free(line.text);
	free(line.ends);
	return good ? 0 : export_out_of_memory(e);
}

int export_folded(struct export *x, struct error *e)
{
	struct call_tree tree = {0};
	int rc = call_tree_add(&tree, x->report, x->cost, CALL_AFTER, (struct call_shape){0}, e);

	if (rc == 0) {
		call_tree_finish(&tree);
		rc = folded_write(x->out, &tree, false, e);
	}
	call_tree_free(&tree);
	return rc;
}
