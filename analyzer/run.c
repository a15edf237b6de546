/* SPDX-License-Identifier: MIT */
/*
 * From a trace to a struct run: all that describes is read first, then the
 * streams merge into the heap and the files and sockets. A child of a fork
 * begins with what its parent's trace says was live.
 */
#include "analyzer/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/activity.h"
#include "analyzer/endpoints.h"
#include "analyzer/latency.h"
#include "analyzer/live.h"
#include "analyzer/map.h"
#include "analyzer/profile.h"
#include "analyzer/findings.h"
#include "analyzer/growth.h"
#include "analyzer/replay.h"

enum {
	FORKS_MAX = 64,	   /* generations that are followed up */
	THREADS_NAMED = 8, /* of those that a filter leaves out */
};

/* The describing blocks. */

static bool read_descriptions(struct replay *r)
{
	struct ph_buffer payload = {0};
	bool good = true;

	for (size_t i = 0; i < r->reader.block_count && good; i++) {
		const struct block *b = &r->reader.blocks[i];

		switch (b->header.kind) {
		case PH_BLOCK_RUN:
		case PH_BLOCK_FUNCTIONS:
		case PH_BLOCK_MODULES:
		case PH_BLOCK_THREADS:
		case PH_BLOCK_MARKS:
		case PH_BLOCK_END:
			if (reader_payload(&r->reader, b, &payload) &&
			    !meta_block(&r->meta, b->header.kind, &payload))
				reader_damage(&r->reader, b->offset);
			break;
		case PH_BLOCK_SAMPLES:
			if (reader_payload(&r->reader, b, &payload) &&
			    !meta_samples(&r->meta, &payload))
				reader_damage(&r->reader, b->offset);
			break;
		case PH_BLOCK_CLOCK:
			if (reader_payload(&r->reader, b, &payload))
				good = clock_add(&r->clock, payload.data, payload.length);
			break;
		case PH_BLOCK_REACH:
			if (reader_payload(&r->reader, b, &payload) &&
			    !found_read(&r->found, &payload, r->arena))
				reader_damage(&r->reader, b->offset);
			break;
		case PH_BLOCK_STACKS:
		case PH_BLOCK_EVENTS:
		case PH_BLOCK_INDEX:
			break;
		default:
			r->unknown_blocks++;
		}
	}
	ph_buffer_free(&payload);
	return good;
}

/* No more than the RUN block. */
static void read_run(struct replay *r)
{
	struct ph_buffer payload = {0};

	for (size_t i = 0; i < r->reader.block_count && !r->meta.has_run; i++) {
		const struct block *b = &r->reader.blocks[i];

		if (b->header.kind == PH_BLOCK_RUN && reader_payload(&r->reader, b, &payload))
			meta_block(&r->meta, PH_BLOCK_RUN, &payload);
	}
	ph_buffer_free(&payload);
}

/* Numbers of addresses and nodes go on from block to block. Where one is missing
 * and the next does not say where it begins, what follows cannot be told. */
static bool read_stacks(struct replay *r, const struct block *b, struct ph_buffer *payload)
{
	size_t addresses = 0, nodes = 0;
	struct ph_new_address *a;
	struct ph_new_node *n;
	bool says = b->header.first_stamp != 0 || b->header.first_cell != 0;
	uint64_t first_address = says ? b->header.first_stamp + 1 : r->stacks.file_address_count;
	uint64_t first_node = says ? b->header.first_cell + 1 : r->stacks.file_node_count;

	if ((!says && r->reader.gap_at < b->offset) || first_address > UINT32_MAX ||
	    first_node > UINT32_MAX)
		return true;
	if (!reader_payload(&r->reader, b, payload))
		return false;
	if (ph_decode_stacks(payload->data, payload->length, &a, &addresses, &n, &nodes) != NULL) {
		reader_damage(&r->reader, b->offset);
		return false;
	}
	stacks_add(&r->stacks, first_address, first_node, a, addresses, n, nodes);
	free(a);
	free(n);
	return true;
}

static bool read_all_stacks(struct replay *r)
{
	struct ph_buffer payload = {0};

	if (!stacks_begin(&r->stacks, &r->meta))
		return false;
	for (size_t i = 0; i < r->reader.block_count; i++) {
		const struct block *b = &r->reader.blocks[i];

		if (b->header.kind == PH_BLOCK_STACKS && !read_stacks(r, b, &payload) &&
		    b->offset < r->reader.gap_at)
			r->reader.gap_at = b->offset;
	}
	ph_buffer_free(&payload);
	return !r->stacks.failed;
}

/* Without RUN, time begins with the first event. */
static uint64_t start_ticks(const struct replay *r)
{
	uint64_t first = UINT64_MAX;

	if (r->meta.has_run)
		return r->meta.started_ticks;
	for (size_t i = 0; i < r->reader.block_count; i++) {
		const struct ph_block_header *h = &r->reader.blocks[i].header;

		if (h->kind == PH_BLOCK_EVENTS && h->first_stamp < first)
			first = h->first_stamp;
	}
	return first == UINT64_MAX ? 0 : first;
}

/* Threads. */

/* The stream that this one's thread is known by: events of signal handlers that
 * interrupted a hook are their thread's. */
static uint32_t root_stream(const struct meta *m, uint32_t number)
{
	for (int hops = 0; hops < 64; hops++) {
		size_t place = map_get(&m->stream_by_number, number);

		if (place == 0 || m->streams[place - 1].nested_in == 0)
			break;
		number = m->streams[place - 1].nested_in;
	}
	return number;
}

static size_t add_thread(struct replay *r, uint32_t root, uint64_t first_stamp)
{
	const struct meta *m = &r->meta;
	size_t place = map_get(&m->stream_by_number, root);
	const struct stream *s = place ? &m->streams[place - 1] : NULL;

	r->run->threads[r->run->thread_count] = (struct thread){
		.tid = s ? s->tid : 0,
		.name = s ? s->name : "",
		.number = (uint32_t)r->run->thread_count,
		.started_at_s = clock_s(&r->clock, s && s->started ? s->started : first_stamp),
		.ended_at_s = s && s->ended ? clock_s(&r->clock, s->ended) : NAN,
		.cpu_started_ns = s ? s->cpu_started_ns : 0,
		.cpu_ns = s ? s->cpu_ns : 0,
		.cpu_delay_ns = s ? s->cpu_delay_ns : 0,
		.cpu_at_s = s && s->cpu_ticks ? clock_s(&r->clock, s->cpu_ticks) : NAN,
	};
	return ++r->run->thread_count;
}

static bool make_threads(struct replay *r)
{
	const struct meta *m = &r->meta;
	struct map by_root = {0};
	bool good = true;
	size_t streams = r->merge.stream_count;

	r->run->threads = calloc(m->stream_count + streams + 1, sizeof(*r->run->threads));
	r->thread_of = calloc(streams + 1, sizeof(*r->thread_of));
	if (r->run->threads == NULL || r->thread_of == NULL)
		return false;
	for (size_t i = 0; i < m->stream_count + streams && good; i++) {
		bool listed = i < m->stream_count;
		size_t stream = listed ? 0 : i - m->stream_count;
		uint32_t number =
			listed ? m->streams[i].number : merge_stream_number(&r->merge, stream);
		uint32_t root = root_stream(m, number);
		size_t place = map_get(&by_root, root);

		if (place == 0) {
			place = add_thread(r, root,
					   listed ? r->clock.start
						  : merge_stream_first_stamp(&r->merge, stream));
			good = map_put(&by_root, root, place);
		}
		if (!listed)
			r->thread_of[stream] = (uint32_t)place - 1;
	}
	map_free(&by_root);
	return good && coverage_begin(&r->coverage, m, r->run->thread_count);
}

/* Opening. */

static void write_start(struct replay *r)
{
	uint64_t ns = r->meta.started_ns;
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;
	size_t n;

	if (ns == 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099)
		return;
	n = strftime(r->run->started, sizeof(r->run->started), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(r->run->started + n, sizeof(r->run->started) - n, ".%06uZ",
		 (unsigned)(ns % 1000000000u / 1000));
}

static void describe_process(struct replay *r)
{
	struct run *run = r->run;
	const struct meta *m = &r->meta;

	run->trace_path = arena_copy(r->arena, r->reader.path, strlen(r->reader.path));
	memcpy(run->id, r->reader.id, sizeof(run->id));
	run->process_start = m->process_start;
	run->started_ns = m->started_ns;
	run->parent = (struct origin){
		.given = m->parent.given,
		.pid = m->parent.pid,
		.path = m->parent.path != NULL ? m->parent.path : "",
		.fork = m->parent.fork,
	};
	memcpy(run->parent.id, m->parent.id, sizeof(run->parent.id));
	run->trace_bytes = r->reader.size;
	run->pid = m->pid;
	run->ppid = m->ppid;
	run->executable = m->executable;
	run->command = m->command;
	run->host = m->host;
	run->version = m->version;
	run->depth = m->depth;
	run->off = m->off;
	run->asked_for = m->events;
	run->free_stacks = m->free_stacks;
	run->ns_per_tick = clock_span_ns(&r->clock, r->clock.start, UINT64_C(1) << 30) /
			   (double)(UINT64_C(1) << 30);
	run->end = m->end;
	run->status = m->status;
	write_start(r);
}

/* Names and times; the clock is known. False: out of memory. */
static bool make_marks(struct replay *r)
{
	struct run *run = r->run;

	run->marks = calloc(r->meta.mark_count + 1, sizeof(*run->marks));
	if (run->marks == NULL)
		return false;
	for (size_t i = 0; i < r->meta.mark_count; i++) {
		const struct marked *m = &r->meta.marks[i];

		run->marks[run->mark_count++] = (struct mark){
			.name = m->name, .at_s = clock_s(&r->clock, m->ticks), .pid = run->pid};
	}
	return true;
}

int mark_by_time(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	if (x->at_s != y->at_s)
		return x->at_s < y->at_s ? -1 : 1;
	return x->pid != y->pid ? (x->pid < y->pid ? -1 : 1) : strcmp(x->name, y->name);
}

static int out_of_memory(const struct replay *r, struct error *e)
{
	return fail(e, ERROR_MEMORY, 0, "%s: out of memory", r->reader.path ? r->reader.path : "");
}

/* All but the events. The caller closes, after a failure too. */
static int replay_open(struct replay *r, struct run *run, const char *path, struct error *e)
{
	*run = (struct run){.end = "unknown", .status = -1};
	r->run = run;
	r->arena = arena_new();
	run->arena = r->arena;
	r->reader.fd = -1;
	if (r->arena == NULL)
		return out_of_memory(r, e);
	meta_init(&r->meta, r->arena);
	if (reader_open(&r->reader, path, e) != 0)
		return -1;
	if (r->options != NULL && r->options->instant != NULL)
		live_cut(r->options->instant, &r->reader);
	if (!read_descriptions(r) || !read_all_stacks(r) ||
	    !merge_init(&r->merge, &r->reader, &replay_consumer, r))
		return out_of_memory(r, e);
	clock_settle(&r->clock, start_ticks(r), r->meta.monotonic ? 1e9 : r->meta.ticks_per_s);
	r->last_ticks = r->clock.start;
	replay_choose_actions(r);
	describe_process(r);
	return make_threads(r) && make_marks(r) ? 0 : out_of_memory(r, e);
}

static void replay_close(struct replay *r)
{
	merge_free(&r->merge);
	heap_free(&r->heap);
	mapped_free(&r->own_mapped);
	found_free(&r->found);
	io_free(&r->io);
	waits_free(&r->waits);
	loops_free(&r->loops);
	coverage_free(&r->coverage);
	stacks_free(&r->stacks);
	clock_free(&r->clock);
	meta_free(&r->meta);
	filter_free(r->filter);
	free(r->sample_stamps);
	free(r->sample_live);
	free(r->thread_of);
	free(r->unrecorded);
	if (r->reader.fd >= 0)
		reader_close(&r->reader);
	free(r);
}

/* Forks. */

static int replay_events(struct replay *r, struct error *e);

static bool is_ancestor_of_itself(const struct replay *r, const uint8_t id[16])
{
	int generations = 0;

	for (; r != NULL; r = r->child) {
		if (memcmp(r->reader.id, id, 16) == 0 || ++generations >= FORKS_MAX)
			return true;
	}
	return false;
}

/* The parent's trace: where it was written, or else beside the child's. NULL,
 * and why in *e. */
static struct replay *open_parent(struct replay *r, const char *path, struct error *e)
{
	struct replay *p = calloc(1, sizeof(*p));
	struct run *run = calloc(1, sizeof(*run));

	if (p == NULL || run == NULL) {
		free(p);
		free(run);
		fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
		return NULL;
	}
	p->child = r;
	p->stop_at_fork = r->meta.parent.fork;
	if (replay_open(p, run, path, e) == 0) {
		if (memcmp(p->reader.id, r->meta.parent.id, 16) == 0)
			return p;
		fail(e, ERROR_FORMAT, 0, "%s: is of another run", path);
	}
	replay_close(p);
	run_free(run);
	free(run);
	return NULL;
}

/* One of the traces that were given together. */
static struct replay *open_known_parent(struct replay *r)
{
	const struct replay *asked = r;
	struct replay *p = NULL;

	while (asked->child != NULL)
		asked = asked->child;
	for (size_t i = 0; asked->options != NULL && p == NULL && i < asked->options->known_count;
	     i++) {
		const struct run_known *k = &asked->options->known[i];

		if (memcmp(k->id, r->meta.parent.id, sizeof(k->id)) == 0)
			p = open_parent(r, k->path, NULL);
	}
	return p;
}

static struct replay *find_parent(struct replay *r, struct error *e)
{
	const char *path = r->meta.parent.path, *name = strrchr(path, '/');
	const char *slash = strrchr(r->reader.path, '/');
	int folder = slash ? (int)(slash - r->reader.path) + 1 : 0;
	struct error first = {0};
	struct replay *p;

	if (is_ancestor_of_itself(r, r->meta.parent.id)) {
		fail(e, ERROR_FORMAT, 0, "%s: too many forks, or a trace that is its own ancestor",
		     path);
		return NULL;
	}
	p = open_parent(r, path, &first);
	if (p == NULL && path[0] != '\0')
		p = open_parent(r,
				arena_print(r->arena, "%.*s%s", folder, r->reader.path,
					    name ? name + 1 : path),
				NULL);
	if (p == NULL)
		p = open_known_parent(r);
	if (p == NULL)
		*e = first;
	return p;
}

/* Copy the stacks of what was live at the fork; `known` leads from their nodes
 * to ours. */
static void import_stacks(struct replay *r, struct replay *p, struct map *known)
{
	for (size_t i = 1; i < p->heap.site_count; i++)
		if (p->heap.sites[i].live_blocks != 0)
			stacks_import(&r->stacks, p->run, p->heap.sites[i].node, known, r->arena);
}

static void import_blocks(struct replay *r, const struct replay *p, const struct map *known)
{
	const struct heap_block *b;

	/* In an order of its own, which the table of blocks does not have: reports of one
	 * trace are to be the same. */
	for (size_t i = 1; i < p->heap.site_count; i++)
		if (p->heap.sites[i].live_blocks != 0)
			heap_know_site(&r->heap, (uint32_t)map_get(known, p->heap.sites[i].node));
	r->inherited_sites = (uint32_t)r->heap.site_count - 1;
	heap_expect(&r->heap, p->heap.block_count);
	for (size_t at = 0; (b = heap_next_block(&p->heap, &at)) != NULL;) {
		uint32_t node = (uint32_t)map_get(known, p->heap.sites[b->site].node);

		if (r->filter == NULL || filter_allows_inherited(r->filter, node, b->size))
			heap_inherit(&r->heap, b->address, b->size, node);
		else
			heap_inherit_left_out(&r->heap, b->address, b->size);
	}
}

/* What was asked for, of one that is no parent. */
static const struct run_filter *wanted_filter(const struct replay *r)
{
	const struct run_view *v = r->options != NULL ? r->options->view : NULL;

	return r->child == NULL && v != NULL ? v->filter : NULL;
}

/* All stacks are known. False: out of memory. */
static bool begin_filter(struct replay *r)
{
	const struct run_filter *wanted = wanted_filter(r);

	if (wanted == NULL)
		return true;
	r->filter = filter_new(wanted, r->run);
	r->heap.filtered = true;
	return r->filter != NULL;
}

/* The parent at the moment of the fork, or NULL when that cannot be known. */
static struct replay *replay_parent(struct replay *r)
{
	struct error why = {0};
	struct replay *p;

	/* What was inherited is not asked for at a moment. */
	if (!r->meta.parent.given || r->meta.parent.fork == 0 || r->seeks)
		return NULL;
	p = find_parent(r, &why);
	if (p != NULL && replay_events(p, &why) == 0 && p->fork_found) {
		heap_settle(&p->heap);
		if (p->run->heap.inherited_unknown)
			r->run->heap.inherited_unknown = true;
		return p;
	}
	if (p != NULL) {
		fail(&why, ERROR_FORMAT, 0, "%s: does not have the fork", p->reader.path);
		run_free(p->run);
		free(p->run);
		replay_close(p);
	}
	r->run->heap.inherited_unknown = true;
	notice(r, false,
	       "what was allocated when the parent forked is not known: the parent's trace was not "
	       "usable (%s)",
	       why.text);
	return NULL;
}

/* As the blocks' headers say: how many there are, and a stamp that the last may have. */
static void measure_events(const struct replay *r, uint64_t *events, uint64_t *last)
{
	*events = 0;
	*last = r->meta.has_end ? r->meta.ended_ticks : 0;
	for (size_t i = 0; i < r->reader.block_count; i++) {
		const struct ph_block_header *h = &r->reader.blocks[i].header;

		if (h->kind != PH_BLOCK_EVENTS)
			continue;
		*events += h->events;
		if (h->first_stamp > *last)
			*last = h->first_stamp;
	}
}

/* The heap, with what a fork left in it. */
static bool begin_heap(struct replay *r)
{
	struct replay *p = replay_parent(r);
	struct map known = {0};
	uint64_t events, last;
	bool good;

	if (p != NULL)
		import_stacks(r, p, &known);
	measure_events(r, &events, &last);
	good = !r->stacks.failed &&
	       heap_init(&r->heap, &r->clock, r->stacks.node_count, r->run->thread_count,
			 r->merge.stream_count, events, last);
	stacks_publish(&r->stacks, r->run);
	good = good && begin_filter(r);
	r->heap.activity = r->run->activity;
	if (r->options != NULL) {
		r->heap.watch = r->options->heap_watch;
		r->heap.watch_context = r->options->heap_context;
		r->heap.watched_run = r->run;
	}
	for (size_t i = 0; good && i < r->merge.stream_count; i++)
		r->heap.streams[i].thread = r->thread_of[i];
	if (p != NULL) {
		if (good)
			import_blocks(r, p, &known);
		run_free(p->run);
		free(p->run);
		replay_close(p);
	}
	map_free(&known);
	return good;
}

static void tell_of_stacks(const struct replay *r)
{
	uint64_t events, last;

	/* A parent's are the child's only in part. */
	if (r->child != NULL || r->options == NULL || r->options->stacks_known == NULL)
		return;
	measure_events(r, &events, &last);
	r->options->stacks_known(r->options->stacks_context, r->run, events);
}

/* How much lived when the kernel was asked for the process's memory is noted on the way. */
static bool begin_samples(struct replay *r)
{
	size_t count = r->meta.sample_count;

	r->sample_stamps = calloc(count + 1, sizeof(*r->sample_stamps));
	r->sample_live = calloc(count + 1, sizeof(*r->sample_live));
	if (r->sample_stamps == NULL || r->sample_live == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		r->sample_stamps[i] = r->meta.samples[i].ticks;
	r->heap.sample_stamps = r->sample_stamps;
	r->heap.sample_live = r->sample_live;
	r->heap.sample_count = count;
	return true;
}

/* Those of the window. */
static bool take_samples(struct replay *r)
{
	struct run *run = r->run;

	run->samples = calloc(r->meta.sample_count + 1, sizeof(*run->samples));
	if (run->samples == NULL)
		return false;
	for (size_t i = 0; i < r->meta.sample_count; i++) {
		const struct ph_sample *s = &r->meta.samples[i];
		double at_s = clock_s(&r->clock, s->ticks);

		if (r->view != NULL && (at_s < run->view.from_s || at_s > run->view.to_s))
			continue;
		run->samples[run->sample_count++] = (struct memory_sample){
			.at_s = at_s,
			.vms = s->vms_bytes,
			.rss = s->rss_bytes,
			.anonymous = s->anonymous_bytes,
			.file = s->file_bytes,
			.shared = s->shared_bytes,
			.rss_most = s->rss_most_bytes,
			.live_bytes = r->sample_live[i],
		};
	}
	return true;
}

static int replay_events(struct replay *r, struct error *e)
{
	bool for_tree = r->options != NULL && r->options->for_tree;

	if (r->options != NULL && r->options->thresholds != NULL)
		r->thresholds = *r->options->thresholds;
	else
		thresholds_default(&r->thresholds);
	io_init(&r->io, &r->clock, r->arena, r->meta.names, r->meta.kinds, &r->thresholds);
	r->io.keep_recorders = for_tree;
	if (!waits_init(&r->waits, &r->clock, r->arena, r->run->threads, r->run->thread_count) ||
	    !loops_init(&r->loops, &r->thresholds, r->run->thread_count))
		return out_of_memory(r, e);
	r->waits.keep_recorders = for_tree;
	r->before = r->view != NULL && r->view->from_s > -INFINITY;
	r->io.quiet = r->waits.quiet = r->before;
	if (for_tree && (r->run->profile = profile_new()) == NULL)
		return out_of_memory(r, e);
	if (r->options != NULL && r->options->activity &&
	    (r->run->activity = activity_new(-r->options->activity_before_s * 1e9)) == NULL)
		return out_of_memory(r, e);
	r->io.activity = r->waits.activity = r->run->activity;
	if (r->io.failed || !begin_heap(r))
		return out_of_memory(r, e);
	r->heap.profile = r->run->profile;
	if (!begin_samples(r))
		return out_of_memory(r, e);
	r->watched = r->seeks || r->view != NULL;
	r->times_by_calls = (for_tree || r->watched) && r->merge.stream_count == 1;
	tell_of_stacks(r);
	if (!merge_run(&r->merge) || r->heap.failed || r->io.failed || r->waits.failed ||
	    r->loops.failed)
		return out_of_memory(r, e);
	return 0;
}

/* The end. */

static void compare_with_kernel(struct replay *r)
{
	bool *gone = calloc(r->run->thread_count + 1, sizeof(*gone));
	double looked_at_s = clock_s(&r->clock, r->coverage.looked);

	if (gone == NULL) {
		r->heap.failed = true;
		return;
	}
	for (size_t i = 0; i < r->run->thread_count; i++)
		gone[i] = r->run->threads[i].ended_at_s < looked_at_s;
	coverage_result(&r->coverage, &r->meta, gone, r->run);
	if (r->run->coverage.known) {
		uint64_t looked = r->meta.kernel_io.ticks;

		r->run->coverage.until_s = clock_s(&r->clock, looked);
		if (coverage_age(&r->meta) != 0)
			r->run->coverage.early_s =
				clock_s(&r->clock, r->meta.ended_ticks) - r->run->coverage.until_s;
	}
	free(gone);
}

static bool find_findings(struct replay *r)
{
	struct finder f = {
		.run = r->run,
		.arena = r->arena,
		.thresholds = &r->thresholds,
		.habits = &r->io.habits,
		.loops = &r->loops,
		.names = r->meta.names,
	};

	loops_end(&r->loops);
	return findings_find(&f);
}

/* Where not all events were looked at, the blocks say when there were some. */
static double last_event_ns(struct replay *r)
{
	double end_ns = fmax(clock_ns(&r->clock, r->heap.now), clock_ns(&r->clock, r->last_ticks));

	for (size_t i = 0; r->view != NULL && i < r->reader.block_count; i++) {
		const struct ph_block_header *h = &r->reader.blocks[i].header;

		if (h->kind == PH_BLOCK_EVENTS)
			end_ns = fmax(end_ns, clock_ns(&r->clock, h->first_stamp));
	}
	return end_ns;
}

static void settle_view(struct replay *r)
{
	struct run *run = r->run;
	double duration_s = run->duration_s;

	run->events = 0;
	for (size_t i = 0; i < r->reader.block_count; i++)
		run->events += r->reader.blocks[i].header.events;
	if (r->before)
		replay_begin_window(r, r->view->from_s);
	run->view = (struct run_view){
		.windowed = true,
		.from_s = fmin(fmax(r->view->from_s, 0), duration_s),
		.to_s = fmin(fmax(r->view->to_s, 0), duration_s),
	};
}

static void name_other(struct replay *r, const struct thread *t, size_t number)
{
	const char **list = &r->run->view.other_threads;

	if (number >= THREADS_NAMED)
		return;
	*list = arena_print(r->arena, "%s%s%s (%d)", *list != NULL ? *list : "",
			    *list != NULL ? ", " : "", t->name, t->tid);
}

/* Those stay that lived in the window and that the filter lets through. */
static void drop_other_threads(struct replay *r)
{
	struct run *run = r->run;
	size_t kept = 0, left_out = 0;

	for (size_t i = 0; i < run->thread_count; i++) {
		const struct thread *t = &run->threads[i];

		if (r->view != NULL &&
		    (t->started_at_s > run->view.to_s || t->ended_at_s < run->view.from_s))
			continue;
		if (r->filter != NULL && !r->filter->threads[i])
			name_other(r, t, left_out++);
		else
			run->threads[kept++] = *t;
	}
	run->thread_count = kept;
}

static int replay_finish(struct replay *r, struct error *e)
{
	struct run *run = r->run;
	double end_ns = last_event_ns(r);

	if (r->meta.has_end && r->meta.ended_ticks != 0)
		end_ns = clock_ns(&r->clock, r->meta.ended_ticks);
	if (r->options != NULL && r->options->instant != NULL)
		end_ns = clock_ns(&r->clock, r->options->instant->ticks);
	run->duration_s = end_ns > 0 ? end_ns / 1e9 : 0;
	if (r->view != NULL) {
		settle_view(r);
		end_ns = run->view.to_s * 1e9;
	}
	if (r->filter != NULL) {
		run->view.filter = r->filter->wanted;
		run->view.events = r->filter->events;
		run->view.of_events = r->filter->of_events;
	}
	heap_result(&r->heap, run, end_ns);
	if (!take_samples(r))
		return out_of_memory(r, e);
	io_result(&r->io, run, end_ns);
	waits_result(&r->waits, run, &r->meta);
	if (run->activity != NULL)
		activity_settle(run->activity);
	if (r->options != NULL && r->options->live != NULL &&
	    !live_take(r->options->live, &r->heap, &r->stacks, r->inherited_sites, &r->own_mapped))
		return out_of_memory(r, e);
	if (r->view == NULL && r->filter == NULL) /* the kernel counted all */
		compare_with_kernel(r);
	replay_take_found(r);
	if (r->heap.failed || r->io.failed || r->waits.failed ||
	    (run->activity != NULL && run->activity->failed) || !growth_measure(run) ||
	    !find_findings(r))
		return out_of_memory(r, e);
	drop_other_threads(r);
	replay_note_all(r);
	return 0;
}

static int load(struct run *run, const char *path, const struct run_options *options,
		event_fn *visit, void *context, struct error *e)
{
	struct replay *r = calloc(1, sizeof(*r));
	int result;

	*run = (struct run){0};
	if (r == NULL)
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
	r->options = options;
	r->seeks = options != NULL && options->moment != NULL;
	if (options != NULL && options->view != NULL && options->view->windowed && !r->seeks)
		r->view = options->view;
	r->visit = visit;
	r->visit_context = context;
	result = replay_open(r, run, path, e);
	if (result == 0)
		result = replay_events(r, e);
	if (result == 0)
		result = replay_finish(r, e);
	replay_close(r);
	if (result != 0)
		run_free(run);
	return result;
}

int run_load(struct run *run, const char *path, const struct run_options *options, struct error *e)
{
	return load(run, path, options, NULL, NULL, e);
}

int run_dump(struct run *run, const char *path, const struct run_options *options, event_fn *visit,
	     void *context, struct error *e)
{
	return load(run, path, options, visit, context, e);
}

/* NaN: only the events tell. */
static double outlined_duration(struct replay *r)
{
	if (!r->meta.has_end || r->meta.ended_ticks == 0)
		return NAN;
	return fmax(clock_s(&r->clock, r->meta.ended_ticks), 0);
}

/* False: out of memory. */
static bool outline(struct replay *r)
{
	clock_settle(&r->clock, start_ticks(r), r->meta.monotonic ? 1e9 : r->meta.ticks_per_s);
	describe_process(r);
	r->run->duration_s = outlined_duration(r);
	return make_marks(r);
}

int run_outline(struct run *run, const char *path, struct error *e)
{
	struct replay *r = calloc(1, sizeof(*r));
	int result;

	*run = (struct run){.end = "unknown", .status = -1};
	if (r == NULL)
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
	r->run = run;
	r->reader.fd = -1;
	r->arena = run->arena = arena_new();
	meta_init(&r->meta, r->arena);
	if (r->arena == NULL)
		result = out_of_memory(r, e);
	else
		result = reader_open(&r->reader, path, e);
	if (result == 0 && !(read_descriptions(r) && outline(r)))
		result = out_of_memory(r, e);
	replay_close(r);
	if (result != 0)
		run_free(run);
	return result;
}

int run_peek(struct run_head *head, const char *path, struct error *e)
{
	struct replay *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL)
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
	r->reader.fd = -1;
	r->arena = arena_new();
	result = r->arena == NULL ? fail(e, ERROR_MEMORY, 0, "%s: out of memory", path)
				  : reader_open(&r->reader, path, e);
	if (result == 0) {
		meta_init(&r->meta, r->arena);
		read_run(r);
		*head = (struct run_head){.started_ns = r->meta.started_ns, .pid = r->meta.pid};
		memcpy(head->id, r->reader.id, sizeof(head->id));
		meta_free(&r->meta);
		reader_close(&r->reader);
	}
	arena_free(r->arena);
	free(r);
	return result;
}

static void free_recorder(struct recorder *r)
{
	if (r != NULL)
		latency_free(r);
	free(r);
}

void run_free_recorders(struct run *run)
{
	for (size_t i = 0; i < run->file_count; i++) {
		struct file *f = &run->files[i];

		free_recorder(f->traffic.recorder);
		f->traffic.recorder = NULL;
		if (f->access == NULL)
			continue;
		free_recorder(f->access->sync_recorder);
		f->access->sync_recorder = NULL;
	}
	for (size_t i = 0; i < run->endpoint_count; i++)
		endpoint_free_recorders(&run->endpoints[i]);
	for (size_t i = 0; i < run->function_count; i++) {
		free_recorder(run->functions[i].recorder);
		run->functions[i].recorder = NULL;
	}
	for (size_t i = 0; i < run->wait_count; i++) {
		free_recorder(run->waits[i].recorder);
		run->waits[i].recorder = NULL;
	}
	free_recorder(run->io.total.recorder);
	free_recorder(run->sockets.total.recorder);
	run->io.total.recorder = run->sockets.total.recorder = NULL;
}

void run_free(struct run *run)
{
	run_free_recorders(run);
	profile_free(run->profile);
	activity_free(run->activity);
	free(run->forks);
	free(run->notices);
	free(run->heap.timeline);
	free(run->sites);
	free(run->periods);
	free(run->history);
	free(run->spreads);
	free(run->io.timeline);
	free(run->sockets.timeline);
	free(run->stack_traffic);
	free(run->files);
	free(run->connections);
	free(run->endpoints);
	free(run->folders);
	free(run->functions);
	free(run->resolved);
	free(run->waits);
	free(run->findings);
	free(run->threads);
	free(run->marks);
	free(run->samples);
	free(run->addresses);
	free(run->nodes);
	free(run->modules);
	arena_free(run->arena);
	*run = (struct run){0};
}
