/* SPDX-License-Identifier: MIT */
/*
 * Adding processes up. Sites and files are added as the traces come, so that
 * stacks and recorders need not be kept; what is in the tree's order (threads,
 * connections, notices) and what needs its whole span (timelines, the peak) when
 * all are there. A block that a fork left to a child is counted once, where it
 * was allocated.
 */
#include "analyzer/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/coverage.h"
#include "analyzer/findings.h"
#include "analyzer/growth.h"
#include "analyzer/profile.h"
#include "analyzer/reach_sums.h"
#include "analyzer/vector.h"
#include "analyzer/waits.h"

enum {
	TIMELINE = 128, /* samples, as of one run */
	NAMED = 4,	/* pids that a sentence names */
};

#define SHORTEST_S 1e-6 /* a bucket of a timeline of one */

static int out_of_memory(struct error *e)
{
	return fail(e, ERROR_MEMORY, 0, "out of memory");
}

/* The order of the traces. */

static int by_start(const void *a, const void *b)
{
	const struct tree_trace *x = a, *y = b;
	/* Without a start it cannot be placed: last, and no beginning of the tree. */
	uint64_t p = x->head.started_ns - 1, q = y->head.started_ns - 1;
	int by_id = memcmp(x->head.id, y->head.id, sizeof(x->head.id));

	if (x->usable != y->usable)
		return x->usable ? -1 : 1;
	if (!x->usable)
		return strcmp(x->path, y->path);
	if (p != q)
		return p < q ? -1 : 1;
	if (x->head.pid != y->head.pid)
		return x->head.pid < y->head.pid ? -1 : 1;
	return by_id != 0 ? by_id : strcmp(x->path, y->path);
}

void tree_order(struct tree_trace *traces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tree_trace *t = &traces[i];

		t->usable = t->error.code == 0 && run_peek(&t->head, t->path, &t->error) == 0;
	}
	if (count == 0)
		return;
	qsort(traces, count, sizeof(*traces), by_start);
	for (size_t i = 1, kept = 0; i < count && traces[i].usable; i++) {
		const struct tree_trace *last = &traces[kept];

		if (traces[i].head.pid != last->head.pid ||
		    memcmp(traces[i].head.id, last->head.id, sizeof(last->head.id)) != 0) {
			kept = i;
			continue;
		}
		traces[i].usable = false;
		fail(&traces[i].error, ERROR_USAGE, 0, "%s: the same trace as %s, counted once",
		     traces[i].path, last->path);
	}
	qsort(traces, count, sizeof(*traces), by_start);
}

/* Sites. */

struct site *tree_site(struct tree *t, uint32_t node)
{
	struct run *run = &t->run;
	size_t place = map_get(&t->site_by_node, (uint64_t)node + 1);

	if (place != 0)
		return &run->sites[place - 1];
	if (!vector_reserve(run->sites, t->site_room, run->site_count + 1) ||
	    !map_put(&t->site_by_node, (uint64_t)node + 1, run->site_count + 1)) {
		t->failed = true;
		return NULL;
	}
	run->sites[run->site_count] = (struct site){.node = node};
	return &run->sites[run->site_count++];
}

void tree_held_by(struct holder *h, const struct run *run, uint64_t bytes)
{
	const char *slash = run->executable != NULL ? strrchr(run->executable, '/') : NULL;

	if (h->processes++ != 0 && bytes <= h->bytes)
		return;
	h->pid = run->pid;
	h->program = slash != NULL ? slash + 1 : run->executable != NULL ? run->executable : "";
	h->bytes = bytes;
}

static void add_times(struct site *to, const struct site *s, double at_s)
{
	if (s->allocations == 0)
		return;
	if (to->allocations == 0 || s->first_at_s + at_s < to->first_at_s)
		to->first_at_s = s->first_at_s + at_s;
	if (to->allocations == 0 || s->last_at_s + at_s > to->last_at_s)
		to->last_at_s = s->last_at_s + at_s;
}

static void add_live(struct site *to, const struct run *run, const struct site *s, double at_s)
{
	uint64_t blocks = s->live_blocks - s->inherited_blocks;

	if (blocks == 0)
		return;
	to->live_blocks += blocks;
	to->live_bytes += s->live_bytes - s->inherited_bytes;
	tree_held_by(&to->live_in, run, s->live_bytes - s->inherited_bytes);
	if (growth_says_more(&s->growth, &to->growth))
		to->growth = s->growth;
	to->other_ends += strcmp(run->end, "exit") != 0;
	if (s->last_live_at_s + at_s > to->last_live_at_s)
		to->last_live_at_s = s->last_live_at_s + at_s;
}

static void add_site(struct tree *t, const struct tree_image *image, const struct site *s,
		     struct map *known)
{
	struct site *to;

	if (s->allocations == 0 && s->frees == 0 && s->live_blocks == s->inherited_blocks)
		return;
	to = tree_site(t, stacks_import(&t->stacks, &image->run, s->node, known, t->arena));
	if (to == NULL)
		return;
	add_times(to, s, image->at_s);
	add_live(to, &image->run, s, image->at_s);
	reach_add(to->reach, s->reach);
	reach_add(t->run.heap.reach.sums, s->reach);
	to->allocations += s->allocations;
	to->allocated_bytes += s->allocated_bytes;
	to->frees += s->frees;
	to->reallocated += s->reallocated;
	to->temporary += s->temporary;
	tree_add_history(t, image, s, to);
}

/* What was held at the process's own peak: that may be the tree's. */
static void keep_held(struct tree *t, struct tree_image *image, const struct map *known)
{
	const struct run *run = &image->run;

	if (run->heap.inherited_blocks != 0)
		return;
	image->held = calloc(run->site_count + 1, sizeof(*image->held));
	if (image->held == NULL) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < run->site_count; i++) {
		const struct site *s = &run->sites[i];

		if (s->peak_blocks > 0)
			image->held[image->held_count++] = (struct tree_held){
				(uint32_t)map_get(known, s->node), s->peak_bytes, s->peak_blocks};
	}
}

static void find_own_peak(struct tree_image *image)
{
	const struct profile *p = image->run.profile;
	const struct run_view *v = &image->run.view;

	for (size_t i = 0; p != NULL && i < p->count; i++) {
		bool last = i + 1 == p->count;

		if (v->windowed && !last && p->stretches[i + 1].start_ns / 1e9 <= v->from_s)
			continue;
		if (p->stretches[i].band.high > image->own_peak_bytes)
			image->own_peak_bytes = p->stretches[i].band.high;
	}
}

/* Waits. */

static void add_recorder(struct tree *t, struct recorder **to, const struct recorder *from)
{
	if (from == NULL)
		return;
	if (*to == NULL)
		*to = calloc(1, sizeof(**to));
	t->failed |= *to == NULL || !latency_merge(*to, from);
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same_wait(const struct wait *a, const struct wait *b)
{
	return a->node == b->node && a->address == b->address && a->home_node == b->home_node &&
	       is_same_text(a->module, b->module) && is_same_text(a->kind, b->kind) &&
	       is_same_text(a->object, b->object);
}

/* One address is one thing: in processes that a fork made of one another, and in any
 * that load a module to the same place. Others have addresses of their own. */
static struct wait *wait_of(struct tree *t, const struct wait *like)
{
	struct run *run = &t->run;
	uint64_t hash = map_hash(like->address ^ (uint64_t)like->node << 40);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&t->wait_by_all, hash, &at)) != 0) {
		if (is_same_wait(&run->waits[place - 1], like))
			return &run->waits[place - 1];
	}
	if (run->wait_count >= UINT32_MAX - 1 ||
	    !vector_reserve(run->waits, t->wait_room, run->wait_count + 1) ||
	    !index_insert(&t->wait_by_all, hash, (uint32_t)run->wait_count + 1)) {
		t->failed = true;
		return NULL;
	}
	run->waits[run->wait_count] = *like;
	run->waits[run->wait_count].count = 0;
	run->waits[run->wait_count].time_s = 0;
	run->waits[run->wait_count].recorder = NULL;
	run->waits[run->wait_count].number = (uint32_t)run->wait_count;
	return &run->waits[run->wait_count++];
}

static void add_wait(struct tree *t, const struct run *run, struct wait *from, struct map *known)
{
	struct wait *to;

	from->node = stacks_import(&t->stacks, run, from->node, known, t->arena);
	from->home_node = stacks_import(&t->stacks, run, from->home_node, known, t->arena);
	to = wait_of(t, from);
	if (to == NULL)
		return;
	tree_number(t, run, ACTIVITY_WAIT, from->number, to->number);
	to->count += from->count;
	to->time_s += from->time_s;
	add_recorder(t, &to->recorder, from->recorder);
}

/* Findings. */

static uint32_t imported(struct tree *t, const struct run *run, uint32_t node, struct map *known)
{
	return stacks_import(&t->stacks, run, node, known, t->arena);
}

/* The same of the same: the name of what it is about is the first of the evidence. */
static bool is_same_finding(const struct finding *a, const struct finding *b)
{
	return a->node == b->node && strcmp(a->kind, b->kind) == 0 && a->waited_for == NULL &&
	       b->waited_for == NULL && is_same_text(a->evidence[0].text, b->evidence[0].text);
}

static struct finding *same_finding(const struct tree *t, const struct finding *like, uint64_t hash)
{
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&t->finding_by_all, hash, &at)) != 0)
		if (is_same_finding(&t->run.findings[place - 1], like))
			return &t->run.findings[place - 1];
	return NULL;
}

/* The sum, with the evidence of the process that has most. */
static void merge_finding(struct finding *to, const struct finding *from)
{
	struct finding sum = finding_by_savings(from, to) < 0 ? *from : *to;

	sum.saves_s = to->saves_s + from->saves_s; /* not known: neither is */
	sum.processes = to->processes + 1;
	*to = sum;
}

static void add_finding(struct tree *t, const struct run *run, struct finding *from,
			struct map *known)
{
	struct run *to = &t->run;
	struct finding *same;
	uint64_t hash;

	from->node = imported(t, run, from->node, known);
	if (from->waited_for != NULL)
		from->waited_for->home_node = imported(t, run, from->waited_for->home_node, known);
	from->pid = run->pid;
	from->processes = 1;
	hash = map_hash_bytes(from->kind, strlen(from->kind)) ^ map_hash(from->node);
	same = same_finding(t, from, hash);
	if (same != NULL) {
		merge_finding(same, from);
		return;
	}
	if (!vector_reserve(to->findings, t->finding_room, to->finding_count + 1) ||
	    !index_insert(&t->finding_by_all, hash, (uint32_t)to->finding_count + 1)) {
		t->failed = true;
		return;
	}
	to->findings[to->finding_count++] = *from;
}

static void settle_findings(struct tree *t)
{
	index_free(&t->finding_by_all);
	if (t->run.finding_count != 0)
		qsort(t->run.findings, t->run.finding_count, sizeof(*t->run.findings),
		      finding_by_savings);
}

/* Sums. */

/* Sums are those of the stacks, which are without what a fork left. */
static void add_reach(struct reach *to, const struct reach *from)
{
	to->made |= from->made;
	to->missing = to->missing != NULL ? to->missing : from->missing;
	to->at_s = NAN;
	to->pause_s = from->made ? fmax(to->pause_s, from->pause_s) : to->pause_s;
}

static void add_heap(struct heap *to, const struct heap *h)
{
	to->allocations += h->allocations;
	to->frees += h->frees;
	to->allocated_bytes += h->allocated_bytes;
	to->live_bytes += h->live_bytes - h->inherited_live_bytes;
	to->live_blocks += h->live_blocks - h->inherited_live_blocks;
	to->temporary_allocations += h->temporary_allocations;
	to->unmatched_frees += h->unmatched_frees;
	for (size_t i = 0; i < SIZE_CLASSES; i++) {
		to->sizes.allocations[i] += h->sizes.allocations[i];
		to->sizes.bytes[i] += h->sizes.bytes[i];
		to->sizes.temporary[i] += h->sizes.temporary[i];
	}
	to->older_live_bytes += h->older_live_bytes;
	to->older_live_blocks += h->older_live_blocks;
	to->inherited_bytes += h->inherited_bytes;
	to->inherited_blocks += h->inherited_blocks;
	to->inherited_live_bytes += h->inherited_live_bytes;
	to->inherited_live_blocks += h->inherited_live_blocks;
	to->inherited_unknown |= h->inherited_unknown;
	to->mappings += h->mappings;
	to->unmappings += h->unmappings;
	to->mapped_bytes += h->mapped_bytes;
	add_reach(&to->reach, &h->reach);
}

/* It was over before what counts began. */
static bool was_over(const struct run *run)
{
	return run->view.windowed && run->view.from_s >= run->duration_s && run->view.from_s > 0;
}

static void add_sums(struct tree *t, const struct run *run)
{
	struct run *to = &t->run;

	to->events += run->events;
	to->dropped += run->dropped;
	to->view.events += run->view.events;
	to->view.of_events += run->view.of_events;
	if (to->view.other_threads == NULL)
		to->view.other_threads = run->view.other_threads;
	to->off = t->image_count == 1 ? run->off : to->off & run->off;
	to->asked_for = t->image_count == 1 ? run->asked_for : to->asked_for;
	to->trace_bytes += run->trace_bytes;
	to->complete = (to->complete || t->image_count == 1) && run->complete;
	to->stalled_s += run->stalled_s;
	to->free_stacks |= run->free_stacks;
	if (run->depth != 0 && (to->depth == 0 || run->depth < to->depth))
		to->depth = run->depth;
	if (!was_over(run))
		add_heap(&to->heap, &run->heap);
	tree_add_traffic(t, &to->io.total, &run->io.total);
	tree_add_traffic(t, &to->sockets.total, &run->sockets.total);
}

static void add_marks(struct tree *t, const struct tree_image *image)
{
	struct run *to = &t->run;

	if (!vector_reserve(to->marks, t->mark_room, to->mark_count + image->run.mark_count)) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < image->run.mark_count; i++) {
		to->marks[to->mark_count] = image->run.marks[i];
		to->marks[to->mark_count++].at_s += image->at_s;
	}
}

/* Only what the tree's order or span decides, and what is printed of the image. */
static void drop_details(struct run *run)
{
	run_free_recorders(run);
	free(run->sites);
	free(run->history);
	free(run->spreads);
	free(run->stack_traffic);
	free(run->addresses);
	free(run->nodes);
	free(run->modules);
	free(run->waits);
	free(run->findings);
	run->sites = NULL;
	run->history = NULL;
	run->spreads = NULL;
	run->stack_traffic = NULL;
	run->stack_traffic_count = 0;
	run->waits = NULL;
	run->findings = NULL;
	run->wait_count = run->finding_count = 0;
	run->addresses = NULL;
	run->nodes = NULL;
	run->modules = NULL;
	run->site_count = run->address_count = run->node_count = run->module_count = 0;
}

struct run_view tree_view_of(const struct run_view *view, double at_s, const uint8_t id[16])
{
	struct run_view own = *view;

	own.from_s = view->from_s > at_s ? view->from_s - at_s : -INFINITY;
	own.to_s = view->to_s - at_s;
	if (memcmp(id, view->level_id, sizeof(view->level_id)) != 0)
		own.from_level = own.to_level = 0;
	return own;
}

double tree_until_s(const struct tree *t, const struct tree_image *image)
{
	return t->view.windowed ? fmin(image->until_s, t->view.to_s) : image->until_s;
}

int tree_begin(struct tree *t, struct error *e)
{
	struct meta none = {0};

	*t = (struct tree){.arena = arena_new()};
	if (t->arena == NULL || !stacks_begin(&t->stacks, &none))
		return out_of_memory(e);
	stacks_rebase(&t->stacks);
	t->run.arena = NULL;
	t->run.end = "unknown";
	t->run.status = -1;
	return 0;
}

int tree_add(struct tree *t, struct run *run, struct error *e)
{
	struct map known = {0};
	struct tree_image *image;

	if (!vector_reserve(t->images, t->image_room, t->image_count + 1)) {
		run_free(run);
		return out_of_memory(e);
	}
	image = &t->images[t->image_count++];
	*image = (struct tree_image){.run = *run};
	*run = (struct run){0};
	run = &image->run;
	if (t->image_count == 1)
		t->base_ns = run->started_ns;
	if (run->started_ns != 0)
		image->at_s = (double)(int64_t)(run->started_ns - t->base_ns) / 1e9;
	for (size_t i = 0; i < run->site_count; i++)
		add_site(t, image, &run->sites[i], &known);
	keep_held(t, image, &known);
	find_own_peak(image);
	tree_add_io(t, image, &known);
	for (size_t i = 0; i < run->wait_count; i++)
		add_wait(t, run, &run->waits[i], &known);
	for (size_t i = 0; i < run->finding_count; i++)
		add_finding(t, run, &run->findings[i], &known);
	add_sums(t, run);
	tree_add_activity(t, run, &known);
	add_marks(t, image);
	drop_details(run);
	map_free(&known);
	return t->failed || t->stacks.failed ? out_of_memory(e) : 0;
}

/* Notices. */

static void add_notice_about(struct tree *t, bool lost, int about, const char *text)
{
	struct run *run = &t->run;

	if (!vector_reserve(run->notices, t->notice_room, run->notice_count + 1)) {
		t->failed = true;
		return;
	}
	run->notices[run->notice_count++] = (struct notice){lost, text, about};
}

static void add_notice(struct tree *t, bool lost, const char *text)
{
	add_notice_about(t, lost, NOTICE_OTHER, text);
}

void tree_leave_out(struct tree *t, const struct error *why)
{
	t->unreadable |= why->code != ERROR_USAGE;
	add_notice(t, why->code != ERROR_USAGE, arena_print(t->arena, "left out: %s", why->text));
}

/* "process 7", "processes 7, 8, 9, 10 and 36 more". */
struct pids {
	int first[NAMED], last;
	size_t count;
};

static void add_pid(struct pids *p, int pid)
{
	if (p->count != 0 && p->last == pid)
		return;
	if (p->count < NAMED)
		p->first[p->count] = pid;
	p->last = pid;
	p->count++;
}

static const char *list_pids(struct tree *t, const struct pids *p)
{
	const char *list = arena_print(t->arena, "%d", p->first[0]);

	for (size_t i = 1; i < p->count && i < NAMED; i++)
		list = arena_print(t->arena, "%s, %d", list, p->first[i]);
	return p->count > NAMED ? arena_print(t->arena, "%s and %zu more", list, p->count - NAMED)
				: list;
}

/* A sentence, and who says it. */
struct said {
	bool lost;
	int about;
	const char *text;
	struct pids pids;
};

struct sentences {
	struct said *all;
	size_t count, room;
	struct index by_text;
};

/* NULL: out of memory. */
static struct said *find_sentence(struct sentences *s, const struct notice *n)
{
	uint64_t hash = map_hash_bytes(n->text, strlen(n->text));
	size_t at = SIZE_MAX;
	uint32_t place;

	while (s->all != NULL && (place = index_find(&s->by_text, hash, &at)) != 0) {
		struct said *said = &s->all[place - 1];

		if (said->lost == n->lost && strcmp(said->text, n->text) == 0)
			return said;
	}
	if (!vector_reserve(s->all, s->room, s->count + 1) ||
	    !index_insert(&s->by_text, hash, (uint32_t)s->count + 1))
		return NULL;
	s->all[s->count] = (struct said){.lost = n->lost, .about = n->about, .text = n->text};
	return &s->all[s->count++];
}

static void add_said(struct tree *t, const struct said *said)
{
	add_notice_about(t, said->lost, said->about,
			 arena_print(t->arena, "%s %s: %s",
				     said->pids.count == 1 ? "process" : "processes",
				     list_pids(t, &said->pids), said->text));
}

/* Of all images, in the tree's order; the same sentence once. Programs that were not
 * recorded come first. */
static void gather_notices(struct tree *t)
{
	struct sentences s = {.count = 0};

	for (size_t i = 0; i < t->image_count; i++) {
		const struct run *run = &t->images[i].run;

		for (size_t k = 0; k < run->notice_count; k++) {
			struct said *said;

			if (run->notices[k].about == NOTICE_BYTES)
				continue;
			said = find_sentence(&s, &run->notices[k]);
			if (said != NULL)
				add_pid(&said->pids, run->pid);
			else
				t->failed = true;
		}
	}
	for (int programs = 1; programs >= 0; programs--)
		for (size_t i = 0; i < s.count; i++)
			if ((s.all[i].about == NOTICE_PROGRAM) == programs)
				add_said(t, &s.all[i]);
	free(s.all);
	index_free(&s.by_text);
}

/* Is the child of a fork among the traces? */
static bool has_child(const struct tree *t, const struct tree_image *parent, const struct forked *f)
{
	double at_s = parent->at_s + f->at_s;

	for (size_t p = 0; p < t->process_count; p++) {
		const struct tree_image *first = &t->images[t->processes[p].first_image];

		if (first->run.pid == f->pid &&
		    (t->processes[p].parent == parent->process || fabs(first->at_s - at_s) < 1))
			return true;
	}
	return false;
}

struct missing {
	const char *program;
	uint64_t bytes;
};

static int most_missing(const void *a, const void *b)
{
	const struct missing *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->program, y->program);
}

static size_t add_missing(struct missing *all, size_t count, const struct run *run)
{
	const struct coverage *c = &run->coverage;
	struct holder who = {.processes = 0};
	uint64_t bytes = 0;
	size_t at = 0;

	for (int way = 0; way < 2; way++)
		bytes += c->counted[way] > c->seen[way] ? c->counted[way] - c->seen[way] : 0;
	if (!c->known || !c->wanted || bytes == 0)
		return count;
	tree_held_by(&who, run, bytes);
	while (at < count && strcmp(all[at].program, who.program) != 0)
		at++;
	all[at].program = who.program;
	all[at].bytes += bytes;
	return at == count ? count + 1 : count;
}

/* Who did most of what was not seen. */
static const char *name_programs(struct tree *t)
{
	struct missing *all = calloc(t->image_count + 1, sizeof(*all));
	const char *list = "";
	size_t count = 0;

	if (all == NULL) {
		t->failed = true;
		return list;
	}
	for (size_t i = 0; i < t->image_count; i++)
		count = add_missing(all, count, &t->images[i].run);
	qsort(all, count, sizeof(*all), most_missing);
	for (size_t i = 0; i < count && i < NAMED; i++)
		list = arena_print(t->arena, "%s%s%s", list, i > 0 ? ", " : "", all[i].program);
	if (count > NAMED)
		list = arena_print(t->arena, "%s and %zu more", list, count - NAMED);
	free(all);
	return list;
}

/* One line for all, if it matters to all: each process misses what its loader read. */
static void note_bytes(struct tree *t)
{
	struct coverage all = {.known = true, .wanted = true};
	const char *text;

	for (size_t i = 0; i < t->image_count; i++) {
		const struct coverage *c = &t->images[i].run.coverage;

		for (int way = 0; way < 2 && c->known && c->wanted; way++) {
			all.counted[way] += c->counted[way];
			all.seen[way] +=
				c->seen[way] < c->counted[way] ? c->seen[way] : c->counted[way];
		}
		all.early_s = fmax(all.early_s, c->early_s);
	}
	text = coverage_text(&all, t->run.dropped, t->arena);
	if (text != NULL)
		add_notice(t, false, arena_print(t->arena, "in %s: %s", name_programs(t), text));
}

/* What some of them recorded and others did not. */
static void note_partly_off(struct tree *t)
{
	static const char *const names[] = {"the heap", "files", "the network", "the waits"};

	for (unsigned k = 0; k < 4; k++) {
		struct pids without = {.count = 0};

		for (size_t i = 0; i < t->image_count; i++)
			if (t->images[i].run.off & ~t->run.off & 1u << k)
				add_pid(&without, t->images[i].run.pid);
		if (without.count != 0)
			add_notice(t, false,
				   arena_print(t->arena, "%s of %s %s: PERFHOOK_EVENTS left it out",
					       names[k],
					       without.count == 1 ? "process" : "processes",
					       list_pids(t, &without)));
	}
}

static void note_missing(struct tree *t)
{
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *image = &t->images[i];
		struct pids missing = {.count = 0};

		for (size_t k = 0; k < image->run.fork_count; k++) {
			if (!has_child(t, image, &image->run.forks[k]))
				add_pid(&missing, image->run.forks[k].pid);
		}
		if (missing.count != 0)
			add_notice(t, false,
				   arena_print(t->arena, "%d forked %zu %s whose %s not given: %s",
					       image->run.pid, missing.count,
					       missing.count == 1 ? "child" : "children",
					       missing.count == 1 ? "trace was" : "traces were",
					       list_pids(t, &missing)));
	}
}

/* A process goes on, by exec, in a trace that is not here. */
static void note_successors(struct tree *t)
{
	struct pids missing = {.count = 0};

	for (size_t p = 0; p < t->process_count; p++) {
		const struct tree_process *process = &t->processes[p];
		const struct tree_image *last =
			&t->images[process->first_image + process->image_count - 1];

		if (last->run.became != NULL)
			add_pid(&missing, last->run.pid);
	}
	if (missing.count == 1)
		add_notice(t, false,
			   arena_print(t->arena,
				       "%d became another program, whose trace was not given",
				       missing.first[0]));
	else if (missing.count > 1)
		add_notice(t, false,
			   arena_print(t->arena,
				       "%zu processes became other programs, whose traces were not "
				       "given: %s",
				       missing.count, list_pids(t, &missing)));
}

static void note_roots(struct tree *t)
{
	struct pids roots = {.count = 0};

	for (size_t p = 0; p < t->process_count; p++) {
		const struct run *run = &t->images[t->processes[p].first_image].run;

		if (t->processes[p].parent != TREE_NONE)
			continue;
		add_pid(&roots, run->pid);
		if (run->parent.given)
			add_notice(t, false,
				   arena_print(t->arena,
					       "%d was forked by %d, whose trace was not given%s%s",
					       run->pid, run->parent.pid,
					       *run->parent.path != '\0' ? ": " : "",
					       run->parent.path));
	}
	if (t->root_count > 1)
		add_notice(t, false,
			   arena_print(t->arena,
				       "the traces are of %zu processes, and of what came from "
				       "them, that no trace given here connects: %s",
				       t->root_count, list_pids(t, &roots)));
}

/* What stands in the tree's order. */

static void take_thread(struct tree *t, const struct tree_image *image, const struct thread *th)
{
	struct thread *to = &t->run.threads[t->run.thread_count++];

	*to = *th;
	to->pid = image->run.pid;
	to->process = image->process;
	to->started_at_s += image->at_s;
	to->ended_at_s += image->at_s;
}

static bool string_together(struct tree *t)
{
	size_t connections = 0, threads = 0;

	for (size_t i = 0; i < t->image_count; i++) {
		connections += t->images[i].run.connection_count;
		threads += t->images[i].run.thread_count;
	}
	t->run.connections = calloc(connections + 1, sizeof(*t->run.connections));
	t->run.threads = calloc(threads + 1, sizeof(*t->run.threads));
	if (t->run.connections == NULL || t->run.threads == NULL)
		return false;
	for (size_t i = 0; i < t->image_count; i++) {
		const struct tree_image *image = &t->images[i];

		for (size_t k = 0; k < image->run.connection_count; k++)
			tree_take_connection(t, image, &image->run.connections[k]);
		for (size_t k = 0; k < image->run.thread_count; k++)
			take_thread(t, image, &image->run.threads[k]);
	}
	return true;
}

/* Timelines of traffic. */

/* A stretch's bytes, spread evenly, go where they fall. */
static void spread(struct io *to, double width_s, double from_s, double to_s,
		   const struct rate_sample *rate)
{
	double origin_s = to->timeline[0].at_s, after_s = from_s - origin_s;
	size_t first = after_s > 0 ? (size_t)fmin(after_s / width_s, TIMELINE - 1) : 0;

	for (size_t i = first; i < to->timeline_count; i++) {
		double begin = fmax(from_s, origin_s + (double)i * width_s);
		double end = fmin(to_s, origin_s + (double)(i + 1) * width_s);

		/* What rounding leaves beyond the end belongs to the last. */
		if (i + 1 == to->timeline_count)
			end = to_s;
		if (end <= begin)
			break;
		to->timeline[i].read_bytes_per_s +=
			rate->read_bytes_per_s * (end - begin) / width_s;
		to->timeline[i].written_bytes_per_s +=
			rate->written_bytes_per_s * (end - begin) / width_s;
	}
}

static const struct io *io_of(const struct run *run, bool sockets)
{
	return sockets ? &run->sockets : &run->io;
}

static void add_image_rates(const struct tree *t, const struct tree_image *image, bool sockets,
			    struct io *to)
{
	const struct io *from = io_of(&image->run, sockets);
	double step = from->timeline_count > 1 ? from->timeline[1].at_s - from->timeline[0].at_s
					       : SHORTEST_S;

	for (size_t i = 0; i < from->timeline_count; i++)
		spread(to, run_span_s(&t->run) / TIMELINE, image->at_s + from->timeline[i].at_s,
		       image->at_s + from->timeline[i].at_s + step, &from->timeline[i]);
}

/* Of allocations, on the heap's timeline: spread as bytes read and written are. */
static void add_allocation_rates(struct tree *t)
{
	struct heap *h = &t->run.heap;
	struct rate_sample sums[TIMELINE] = {{.at_s = 0}};
	struct io to = {.timeline = sums, .timeline_count = h->timeline_count};

	for (size_t i = 0; i < h->timeline_count; i++)
		sums[i].at_s = h->timeline[i].at_s;
	for (size_t k = 0; h->timeline_count != 0 && k < t->image_count; k++) {
		const struct tree_image *image = &t->images[k];
		const struct heap *from = &image->run.heap;
		double step = from->timeline_count > 1
				      ? from->timeline[1].at_s - from->timeline[0].at_s
				      : SHORTEST_S;

		for (size_t i = 0; i < from->timeline_count; i++) {
			const struct heap_sample *s = &from->timeline[i];
			double at_s = image->at_s + s->at_s;

			spread(&to, run_span_s(&t->run) / TIMELINE, at_s, at_s + step,
			       &(struct rate_sample){s->at_s, s->allocations_per_s,
						     s->allocated_bytes_per_s});
		}
	}
	for (size_t i = 0; i < h->timeline_count; i++) {
		h->timeline[i].allocations_per_s = sums[i].read_bytes_per_s;
		h->timeline[i].allocated_bytes_per_s = sums[i].written_bytes_per_s;
	}
}

static bool add_rates(struct tree *t, bool sockets)
{
	struct io *to = sockets ? &t->run.sockets : &t->run.io;
	bool any = false;

	for (size_t i = 0; i < t->image_count; i++)
		any |= io_of(&t->images[i].run, sockets)->timeline_count != 0;
	if (!any || !(run_span_s(&t->run) > 0))
		return true;
	to->timeline = calloc(TIMELINE, sizeof(*to->timeline));
	if (to->timeline == NULL)
		return false;
	to->timeline_count = TIMELINE;
	for (size_t i = 0; i < TIMELINE; i++)
		to->timeline[i].at_s =
			t->run.view.from_s + (double)i * run_span_s(&t->run) / TIMELINE;
	for (size_t i = 0; i < t->image_count; i++)
		add_image_rates(t, &t->images[i], sockets, to);
	return true;
}

/* The end. */

static void settle_waits(struct tree *t)
{
	static const struct recorder none = {0};
	struct run *run = &t->run;

	for (size_t i = 0; i < run->wait_count; i++) {
		struct wait *w = &run->waits[i];

		latency_result(w->recorder != NULL ? w->recorder : &none, &w->latency);
	}
	index_free(&t->wait_by_all);
	if (run->wait_count != 0)
		qsort(run->waits, run->wait_count, sizeof(*run->waits), wait_by_time);
}

/* The first image of the first process says what the whole is called. */
static void describe(struct tree *t)
{
	const struct run *first = &t->images[0].run;
	struct run *run = &t->run;

	run->pid = first->pid;
	run->ppid = first->ppid;
	run->executable = first->executable;
	run->command = first->command;
	run->host = first->host;
	run->version = first->version;
	run->end = first->end;
	run->status = first->status;
	memcpy(run->started, first->started, sizeof(run->started));
	for (size_t i = 0; i < t->image_count; i++)
		run->duration_s = fmax(run->duration_s, t->images[i].until_s);
	run->view.filter = t->view.filter;
	run->view.windowed = t->view.windowed;
	if (!t->view.windowed)
		return;
	run->view.from_s = fmin(fmax(t->view.from_s, 0), run->duration_s);
	run->view.to_s = fmin(fmax(t->view.to_s, 0), run->duration_s);
}

int tree_finish(struct tree *t, const struct run_options *options, struct error *e)
{
	if (t->image_count == 0 || !tree_link(t))
		return out_of_memory(e);
	describe(t);
	t->run.complete &= !t->unreadable;
	settle_waits(t);
	settle_findings(t);
	if (t->run.mark_count != 0)
		qsort(t->run.marks, t->run.mark_count, sizeof(*t->run.marks), mark_by_time);
	t->failed |= !tree_settle_files(t);
	gather_notices(t);
	note_bytes(t);
	note_partly_off(t);
	note_missing(t);
	note_successors(t);
	note_roots(t);
	if (!string_together(t) || !add_rates(t, false) || !add_rates(t, true))
		return out_of_memory(e);
	t->failed |= !tree_settle_connections(t);
	if (tree_find_peak(t, options, e) != 0)
		return -1;
	add_allocation_rates(t);
	t->failed |= !tree_settle_history(t);
	stacks_publish(&t->stacks, &t->run);
	return t->failed || t->stacks.failed ? out_of_memory(e) : 0;
}

struct run tree_image_run(const struct tree *t, size_t image)
{
	struct run run = t->images[image].run;

	run.addresses = t->run.addresses;
	run.address_count = t->run.address_count;
	run.nodes = t->run.nodes;
	run.node_count = t->run.node_count;
	run.modules = t->run.modules;
	run.module_count = t->run.module_count;
	return run;
}

void tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->image_count; i++) {
		free(t->images[i].held);
		run_free(&t->images[i].run);
	}
	free(t->images);
	free(t->processes);
	map_free(&t->site_by_node);
	tree_free_io(t);
	tree_free_history(t);
	index_free(&t->wait_by_all);
	index_free(&t->finding_by_all);
	stacks_free(&t->stacks);
	run_free(&t->run);
	arena_free(t->arena);
	*t = (struct tree){0};
}
