/* SPDX-License-Identifier: MIT */
/* A report as text: the tree of processes, a line an image. */
#include "analyzer/report_sections.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"

enum {
	NAME_LEAST = 24, /* columns for the tree and the commands in it */
	DEPTH_MOST = 12, /* levels that are drawn: what is deeper stands at this one */
	COMMAND_MOST = 4096,
};

/* The branches that lead to a line, and whether they go on below it. */
struct branches {
	bool more[DEPTH_MOST + 1]; /* by depth: a sibling follows */
	bool utf8;
};

struct drawing {
	struct report *r;
	struct emit_text *t;
	struct text_table table;
	char **names; /* of the table's rows */
	size_t name_count;
	bool *shown; /* by process */
	struct branches branches;
	bool hosts; /* more than one: which one is said */
	bool failed;
};

/* Which ones: the biggest, and all that leads to them. */

struct weight {
	size_t process;
	uint64_t bytes;
};

static uint64_t weigh(const struct tree *tree, const struct tree_process *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->image_count; i++) {
		const struct tree_image *image = &tree->images[p->first_image + i];
		const struct traffic *io = &image->run.io.total, *net = &image->run.sockets.total;

		bytes += image->own_peak_bytes + io->read_bytes + io->written_bytes +
			 net->read_bytes + net->written_bytes;
	}
	return bytes;
}

static int heaviest_first(const void *a, const void *b)
{
	const struct weight *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->process < y->process ? -1 : x->process > y->process;
}

/* How many would come with it. */
static size_t count_hidden(const struct drawing *d, size_t p)
{
	size_t count = 0;

	for (; p != TREE_NONE && !d->shown[p]; p = d->r->tree->processes[p].parent)
		count++;
	return count;
}

static bool choose_processes(struct drawing *d)
{
	const struct tree *tree = d->r->tree;
	struct weight *weights = calloc(tree->process_count + 1, sizeof(*weights));
	size_t count = 0, wanted;

	d->shown = calloc(tree->process_count + 1, sizeof(*d->shown));
	if (weights == NULL || d->shown == NULL) {
		free(weights);
		return false;
	}
	for (size_t p = 0; p < tree->process_count; p++)
		weights[p] = (struct weight){p, weigh(tree, &tree->processes[p])};
	qsort(weights, tree->process_count, sizeof(*weights), heaviest_first);
	for (size_t i = 0; i < tree->process_count && count < d->r->top; i++) {
		wanted = count_hidden(d, weights[i].process);
		/* One that lies too deep for the room gives way to the next. */
		if (count > 0 && count + wanted > d->r->top)
			continue;
		count += wanted;
		for (size_t p = weights[i].process; p != TREE_NONE && !d->shown[p];
		     p = tree->processes[p].parent)
			d->shown[p] = true;
	}
	free(weights);
	return true;
}

/* Names. */

static void put(char *text, size_t *length, const char *more)
{
	size_t n = strlen(more);

	if (n > COMMAND_MOST - 1 - *length)
		n = COMMAND_MOST - 1 - *length;
	memcpy(text + *length, more, n);
	*length += n;
	text[*length] = '\0';
}

static void put_command(char *text, size_t *length, const struct run *run)
{
	if (run->command == NULL || run->command[0] == NULL) {
		put(text, length,
		    run->executable != NULL && *run->executable != '\0' ? base_name(run->executable)
									: "(unknown program)");
		return;
	}
	put(text, length, base_name(run->command[0]));
	for (const char **word = run->command + 1; *word != NULL; word++) {
		put(text, length, " ");
		put(text, length, **word != '\0' ? *word : "''");
	}
}

/* A fork's child still has its parent's command. */
static bool is_plain_fork(const struct tree *tree, const struct tree_image *image)
{
	const struct tree_process *p = &tree->processes[image->process];

	return image->number == 0 && image->run.parent.fork != 0 && p->parent != TREE_NONE;
}

static void put_branches(const struct branches *b, char *text, size_t *length, unsigned depth,
			 bool begins)
{
	static const char *const drawn[2][4] = {{"   ", "|  ", "`- ", "|- "},
						{"   ", "\xe2\x94\x82  ",
						 "\xe2\x94\x94\xe2\x94\x80 ",
						 "\xe2\x94\x9c\xe2\x94\x80 "}};

	for (unsigned i = 1; i <= depth; i++)
		put(text, length, drawn[b->utf8][(i == depth && begins ? 2 : 0) + b->more[i]]);
}

static unsigned drawn_depth(const struct tree_process *p)
{
	return p->depth < DEPTH_MOST ? p->depth : DEPTH_MOST;
}

/* Rows. */

static void compact_bytes(char *cell, uint64_t bytes)
{
	char *unit;

	format_bytes(cell, (double)bytes);
	unit = strchr(cell, ' ');
	if (unit != NULL && unit[1] == 'B')
		*unit = '\0';
	else if (unit != NULL) {
		unit[0] = unit[1];
		unit[1] = '\0';
	}
}

/* Most processes have none: an empty cell is easier to see past than a 0. */
static void traffic_cell(char *cell, uint64_t bytes)
{
	if (bytes != 0)
		compact_bytes(cell, bytes);
}

static void end_cell(char *cell, const struct run *run)
{
	if (strcmp(run->end, "exit") == 0 && run->status >= 0)
		snprintf(cell, TABLE_CELL, "exit %d", run->status);
	else if (strcmp(run->end, "signal") == 0 && run->status >= 0)
		format_signal(cell, run->status);
	else
		snprintf(cell, TABLE_CELL, "%s", strcmp(run->end, "unknown") == 0 ? "?" : run->end);
}

/* Keeps `name`, which becomes the drawing's. */
static struct text_row *add_row(struct drawing *d, char *name)
{
	char **names = realloc(d->names, (d->name_count + 1) * sizeof(*names));
	struct text_row *row;

	if (names != NULL)
		d->names = names;
	if (names == NULL || name == NULL) {
		free(name);
		d->failed = true;
		return NULL;
	}
	d->names[d->name_count++] = name;
	row = table_row(&d->table, name);
	d->failed |= row == NULL;
	return row;
}

static const char *host_of(const struct tree_image *image)
{
	return image->run.host != NULL ? image->run.host : "";
}

static bool has_hosts(const struct tree *tree)
{
	for (size_t i = 1; tree != NULL && i < tree->image_count; i++)
		if (strcmp(host_of(&tree->images[i]), host_of(&tree->images[0])) != 0)
			return true;
	return false;
}

static void draw_image(struct drawing *d, const struct tree_image *image, unsigned depth)
{
	const struct run *run = &image->run;
	char text[COMMAND_MOST], pid[16];
	struct text_row *row;
	size_t length = 0;

	put_branches(&d->branches, text, &length, depth, image->number == 0);
	if (image->number != 0) {
		/* Under it, the line of its children goes on. */
		put(text, &length, d->branches.utf8 ? "\xe2\x94\x82    then " : "|    then ");
	} else {
		snprintf(pid, sizeof(pid), "%d ", run->pid);
		put(text, &length, pid);
		if (d->hosts && depth == 0) {
			put(text, &length, "on ");
			put(text, &length, host_of(image));
			put(text, &length, ": ");
		}
	}
	if (is_plain_fork(d->r->tree, image))
		put(text, &length, "(fork)");
	else
		put_command(text, &length, run);
	row = add_row(d, strdup(text));
	if (row == NULL)
		return;
	format_seconds(row->cells[0], image->at_s, d->t->utf8);
	format_seconds(row->cells[1], image->until_s - image->at_s, d->t->utf8);
	end_cell(row->cells[2], run);
	if (run->off & RUN_OFF_MEMORY) {
		snprintf(row->cells[3], TABLE_CELL, "-");
		snprintf(row->cells[4], TABLE_CELL, "-");
	} else {
		compact_bytes(row->cells[3], image->own_peak_bytes);
		compact_bytes(row->cells[4], run->heap.live_bytes - run->heap.inherited_live_bytes);
	}
	traffic_cell(row->cells[5], run->io.total.read_bytes);
	traffic_cell(row->cells[6], run->io.total.written_bytes);
	traffic_cell(row->cells[7], run->sockets.total.written_bytes);
	traffic_cell(row->cells[8], run->sockets.total.read_bytes);
}

static void draw_hidden(struct drawing *d, size_t count, unsigned depth)
{
	char text[COMMAND_MOST], more[64], n[FORMAT_ROOM];
	size_t length = 0;

	d->branches.more[depth] = false;
	put_branches(&d->branches, text, &length, depth, true);
	snprintf(more, sizeof(more), "... %s more", format_count(n, count));
	put(text, &length, more);
	add_row(d, strdup(text));
}

/* A process and all that came from it stand in a row. */
static size_t family_of(const struct tree *tree, size_t p)
{
	size_t last = p + 1;

	while (last < tree->process_count && tree->processes[last].depth > tree->processes[p].depth)
		last++;
	return last - p;
}

struct siblings {
	size_t next_shown; /* TREE_NONE: none */
	size_t hidden;	   /* processes, with what came from them */
};

static struct siblings look_on(const struct drawing *d, size_t p)
{
	struct siblings s = {TREE_NONE, 0};

	for (; p != TREE_NONE; p = d->r->tree->processes[p].next) {
		if (!d->shown[p])
			s.hidden += family_of(d->r->tree, p);
		else if (s.next_shown == TREE_NONE)
			s.next_shown = p;
	}
	return s;
}

static void draw_process(struct drawing *d, size_t p)
{
	const struct tree *tree = d->r->tree;
	const struct tree_process *process = &tree->processes[p];
	unsigned depth = drawn_depth(process);

	for (size_t i = 0; i < process->image_count; i++) {
		/* "then" stands where a child would: the line is drawn if there are any. */
		draw_image(d, &tree->images[process->first_image + i], depth);
		if (process->first_child == TREE_NONE && i > 0 && !d->failed) {
			char *name = d->names[d->name_count - 1];
			char *bar = strstr(name, d->branches.utf8 ? "\xe2\x94\x82    then "
								  : "|    then ");
			size_t width = d->branches.utf8 ? 3 : 1;

			if (bar != NULL) {
				*bar = ' ';
				memmove(bar + 1, bar + width, strlen(bar + width) + 1);
			}
		}
	}
}

/* First to last, each level's hidden ones after its shown ones. */
static void draw_level(struct drawing *d, size_t first, unsigned level)
{
	const struct tree *tree = d->r->tree;
	unsigned depth = level < DEPTH_MOST ? level : DEPTH_MOST;
	size_t hidden = look_on(d, first).hidden;

	for (size_t p = look_on(d, first).next_shown, next; p != TREE_NONE; p = next) {
		next = look_on(d, tree->processes[p].next).next_shown;
		d->branches.more[depth] = next != TREE_NONE || hidden != 0;
		draw_process(d, p);
		draw_level(d, tree->processes[p].first_child, level + 1);
		/* What came below has used the same place where all is drawn at one. */
		d->branches.more[depth] = next != TREE_NONE || hidden != 0;
	}
	if (hidden != 0)
		draw_hidden(d, hidden, depth);
}

void text_processes(struct report *r, struct emit_text *t)
{
	struct drawing d = {
		.r = r,
		.t = t,
		.hosts = has_hosts(r->tree),
		.table = {.headers = {"start", "ran", "ended", "peak", "live", "read", "written",
				      "sent", "received"},
			  .columns = 9,
			  .name_header = "process",
			  .name_enough = NAME_LEAST,
			  .keep_heads = true},
		.branches = {.utf8 = t->utf8},
	};
	char remark[128], processes[FORMAT_ROOM], images[FORMAT_ROOM];

	if (r->tree == NULL)
		return;
	snprintf(remark, sizeof(remark), "%s in %s%s",
		 format_count(processes, r->tree->process_count),
		 format_counted(images, r->tree->image_count, "image"),
		 r->run->heap.inherited_blocks > 0 ? "; peak and live without what a fork shares"
						   : "");
	text_heading(t, "PROCESSES", remark);
	if (choose_processes(&d))
		draw_level(&d, 0, 0);
	if (d.table.count > 0)
		table_print(t, &d.table);
	text_more(r, t, r->tree->process_count, "processes");
	table_free(&d.table);
	for (size_t i = 0; i < d.name_count; i++)
		free(d.names[i]);
	free(d.names);
	free(d.shown);
}
