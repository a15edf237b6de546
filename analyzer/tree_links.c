/* SPDX-License-Identifier: MIT */
/* Which images are one process, and who began it. */
#include "analyzer/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two processes' clocks are read apart from their starts and ends. */
#define SLACK_S 0.05

static bool same_host(const struct run *a, const struct run *b)
{
	return strcmp(a->host != NULL ? a->host : "", b->host != NULL ? b->host : "") == 0;
}

/* Is `later` another image of the process that `earlier` is of? */
static bool same_process(const struct tree_image *earlier, const struct tree_image *later)
{
	const struct run *a = &earlier->run, *b = &later->run;

	if (a->pid <= 0 || a->pid != b->pid || !same_host(a, b))
		return false;
	if (a->process_start != 0 && b->process_start != 0)
		return a->process_start == b->process_start;
	return strcmp(a->end, "exec") == 0;
}

/* Images are in order of their starts, so a process's are found first to last. */
static bool find_processes(struct tree *t)
{
	size_t *last = calloc(t->image_count + 1, sizeof(*last));

	t->processes = calloc(t->image_count + 1, sizeof(*t->processes));
	if (t->processes == NULL || last == NULL) {
		free(last);
		return false;
	}
	for (size_t i = 0; i < t->image_count; i++) {
		size_t p = t->process_count;

		while (p > 0 && !same_process(&t->images[last[p - 1]], &t->images[i]))
			p--;
		if (p == 0) {
			p = ++t->process_count;
			t->processes[p - 1].first_image = i;
		}
		t->images[i].process = p - 1;
		t->images[i].number = (unsigned)t->processes[p - 1].image_count++;
		last[p - 1] = i;
	}
	free(last);
	return true;
}

/* When the process is gone for certain; it may go on under a name that was not
 * recorded. */
static double image_end(const struct run *run, double at_s)
{
	bool known = strcmp(run->end, "exit") == 0 || strcmp(run->end, "signal") == 0;

	return known ? at_s + run->duration_s + SLACK_S : (double)INFINITY;
}

static size_t image_with_id(const struct tree *t, const uint8_t id[16])
{
	for (size_t i = 0; i < t->image_count; i++) {
		if (memcmp(t->images[i].run.id, id, 16) == 0)
			return i;
	}
	return TREE_NONE;
}

/* Pids are used again: of those that had it, the last that was there by then. */
static size_t image_with_pid(const struct tree *t, int pid, const struct tree_image *child)
{
	size_t found = TREE_NONE;

	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *parent = &t->images[i];

		if (parent->run.pid != pid || parent->process == child->process ||
		    !same_host(&parent->run, &child->run) || parent->at_s > child->at_s + SLACK_S)
			continue;
		if (found == TREE_NONE || parent->at_s >= t->images[found].at_s)
			found = i;
	}
	if (found != TREE_NONE &&
	    image_end(&t->images[found].run, t->images[found].at_s) < child->at_s)
		return TREE_NONE;
	return found;
}

/* A fork's child knows its parent's trace; what was spawned knows a pid only. */
size_t tree_parent_image(const struct tree *t, size_t image)
{
	const struct tree_image *child = &t->images[image];
	const struct origin *o = &child->run.parent;
	size_t found = o->given ? image_with_id(t, o->id) : TREE_NONE;

	if (found == TREE_NONE && o->given && o->pid > 0)
		found = image_with_pid(t, o->pid, child);
	if (found == TREE_NONE && child->run.ppid > 0)
		found = image_with_pid(t, child->run.ppid, child);
	return found != TREE_NONE && t->images[found].process == child->process ? TREE_NONE : found;
}

/* Traces can say what they like: nobody is their own ancestor. */
static bool is_ancestor(const struct tree *t, size_t process, size_t of)
{
	while (of != TREE_NONE && of != process)
		of = t->processes[of].parent;
	return of == process;
}

static void find_parents(struct tree *t)
{
	for (size_t p = 0; p < t->process_count; p++)
		t->processes[p].parent = t->processes[p].parent_image = TREE_NONE;
	for (size_t p = 0; p < t->process_count; p++) {
		size_t image = tree_parent_image(t, t->processes[p].first_image);

		if (image == TREE_NONE || is_ancestor(t, p, t->images[image].process))
			continue;
		t->processes[p].parent = t->images[image].process;
		t->processes[p].parent_image = image;
	}
}

static void find_children(struct tree *t, size_t *first_root)
{
	*first_root = TREE_NONE;
	for (size_t p = 0; p < t->process_count; p++)
		t->processes[p].first_child = TREE_NONE;
	for (size_t p = t->process_count; p-- > 0;) {
		size_t parent = t->processes[p].parent;
		size_t *first =
			parent == TREE_NONE ? first_root : &t->processes[parent].first_child;

		t->processes[p].next = *first;
		*first = p;
		t->root_count += parent == TREE_NONE;
	}
}

/* The next one of a walk: down, else along, else up and along. */
static size_t next_process(const struct tree *t, size_t p, unsigned *depth)
{
	if (t->processes[p].first_child != TREE_NONE) {
		++*depth;
		return t->processes[p].first_child;
	}
	while (p != TREE_NONE && t->processes[p].next == TREE_NONE) {
		p = t->processes[p].parent;
		--*depth;
	}
	return p == TREE_NONE ? TREE_NONE : t->processes[p].next;
}

static size_t moved(const size_t *to, size_t place)
{
	return place == TREE_NONE ? TREE_NONE : to[place];
}

struct places {
	size_t *process, *image; /* from the order of starts to the tree's */
};

/* Number all by the walk. */
static void number_all(struct tree *t, size_t root, const struct places *to)
{
	size_t processes = 0, images = 0;
	unsigned depth = 0;

	for (size_t p = root; p != TREE_NONE; p = next_process(t, p, &depth)) {
		t->processes[p].depth = depth;
		to->process[p] = processes++;
		for (size_t i = t->processes[p].first_image; i < t->image_count; i++) {
			if (t->images[i].process == p)
				to->image[i] = images++;
		}
	}
}

static bool move_all(struct tree *t, const struct places *to)
{
	struct tree_image *images = calloc(t->image_count + 1, sizeof(*images));
	struct tree_process *processes = calloc(t->process_count + 1, sizeof(*processes));

	if (images == NULL || processes == NULL) {
		free(images);
		free(processes);
		return false;
	}
	for (size_t i = 0; i < t->image_count; i++) {
		images[to->image[i]] = t->images[i];
		images[to->image[i]].process = to->process[t->images[i].process];
	}
	for (size_t p = 0; p < t->process_count; p++) {
		struct tree_process *q = &processes[to->process[p]];

		*q = t->processes[p];
		q->first_image = moved(to->image, q->first_image);
		q->parent = moved(to->process, q->parent);
		q->parent_image = moved(to->image, q->parent_image);
		q->first_child = moved(to->process, q->first_child);
		q->next = moved(to->process, q->next);
	}
	free(t->images);
	free(t->processes);
	t->images = images;
	t->processes = processes;
	return true;
}

/* The end of an image that exec replaced was noticed a little later. */
static void find_ends(struct tree *t)
{
	for (size_t i = 0; i < t->image_count; i++) {
		struct tree_image *image = &t->images[i], *next = image + 1;

		image->until_s = image->at_s + image->run.duration_s;
		if (i + 1 < t->image_count && next->process == image->process &&
		    next->at_s < image->until_s)
			image->until_s = next->at_s;
	}
}

bool tree_link(struct tree *t)
{
	struct places to;
	size_t root;
	bool good;

	if (!find_processes(t))
		return false;
	find_parents(t);
	find_children(t, &root);
	to.process = calloc(t->process_count + 1, sizeof(*to.process));
	to.image = calloc(t->image_count + 1, sizeof(*to.image));
	good = to.process != NULL && to.image != NULL;
	if (good) {
		number_all(t, root, &to);
		good = move_all(t, &to);
	}
	free(to.process);
	free(to.image);
	if (good)
		find_ends(t);
	return good;
}
