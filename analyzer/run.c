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
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/arena.h"
#include "analyzer/coverage.h"
#include "analyzer/heap.h"
#include "analyzer/io.h"
#include "analyzer/latency.h"
#include "analyzer/merge.h"
#include "analyzer/meta.h"
#include "analyzer/stacks.h"
#include "analyzer/vector.h"
#include "trace/functions.h"

enum {
	FORKS_MAX = 64, /* generations that are followed up */
	AHEAD = 12,	/* events between a prefetch and its use */
};

/* What an op asks of the replay: a function's kind, or one of these. */
enum {
	ACTION_REALLOC_BEGIN = PH_KIND_LAST + 1,
	ACTION_REALLOC_FAILED,
	ACTION_LOST,
	ACTION_OBJECT,
	ACTION_THREAD_START,
	ACTION_THREAD_END,
	ACTION_FORKED,
	ACTION_SPAWNED,
	ACTION_NOTHING,
	ACTION_MEMORY = 0x80, /* flag: the event is a memory event */
};

/* A program that was started and is not recorded. */
struct unrecorded {
	const char *path, *reason;
	uint64_t times;
};

struct replay {
	struct run *run;
	struct arena *arena; /* the run's */
	struct reader reader;
	struct meta meta;
	struct clock clock;
	struct stacks stacks;
	struct replay_heap heap;
	struct replay_io io;
	struct coverage_count coverage;
	struct merge merge;
	uint8_t actions[256];
	uint32_t *thread_of; /* by the merge's streams */
	size_t notice_room;
	const struct run_options *options;
	event_fn *visit;
	void *visit_context;
	/* A parent's, replayed for a child: */
	const struct replay *child;
	uint32_t stop_at_fork; /* 0: do not */
	bool stopped, fork_found;
	bool seeks;	     /* a moment of the heap, and to stop there */
	bool times_by_calls; /* see follow_call() */
	/* For the notices. */
	uint64_t lost, lost_from, lost_to; /* ticks */
	uint64_t unknown_events, unknown_blocks;
	uint64_t last_ticks;
	struct {
		const char *path, *reason; /* NULL path: none is under way */
	} exec;
	struct unrecorded *unrecorded;
	size_t unrecorded_count, unrecorded_room;
	unsigned confined; /* how, since confined_at; 0: not */
	uint64_t confined_at;
};

static void add_notice(struct replay *r, bool lost, int about, const char *text)
{
	struct run *run = r->run;

	if (!vector_reserve(run->notices, r->notice_room, run->notice_count + 1))
		return;
	run->notices[run->notice_count++] = (struct notice){lost, text, about};
}

#define notice(r, lost, ...)                                                                       \
	add_notice((r), (lost), NOTICE_OTHER, arena_print((r)->arena, __VA_ARGS__))
#define notice_program(r, ...)                                                                     \
	add_notice((r), false, NOTICE_PROGRAM, arena_print((r)->arena, __VA_ARGS__))

/* "1 event was", "2 events were". */
static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* Actions. */

static const struct {
	uint8_t op, action;
	const char *name;
} specials[] = {
	{PH_OP_REALLOC_BEGIN, ACTION_REALLOC_BEGIN | ACTION_MEMORY, "realloc begins"},
	{PH_OP_REALLOC_FAILED, ACTION_REALLOC_FAILED | ACTION_MEMORY, "realloc failed"},
	{PH_OP_LOST, ACTION_LOST, "lost"},
	{PH_OP_OBJECT, ACTION_OBJECT, "object"},
	{PH_OP_THREAD_START, ACTION_THREAD_START, "thread start"},
	{PH_OP_THREAD_END, ACTION_THREAD_END, "thread end"},
	{PH_OP_FORKED, ACTION_FORKED, "forked"},
	{PH_OP_SPAWNED, ACTION_SPAWNED, "spawned"},
	{PH_OP_ENDED, ACTION_NOTHING, "ended"},
	{PH_OP_PAD, ACTION_NOTHING, "pad"},
};

static void choose_actions(struct replay *r)
{
	struct meta *m = &r->meta;

	if (!m->has_functions && strcmp(m->version, PERFHOOK_VERSION) == 0) {
		for (size_t i = 1; i < PH_OP_FUNCTIONS; i++) {
			m->kinds[i] = (uint8_t)ph_functions[i].kind;
			m->names[i] = ph_functions[i].name;
		}
		notice(r, false,
		       "the trace's table of functions is missing; this version's own was used");
	}
	for (size_t i = 0; i < 256; i++) {
		bool memory = m->kinds[i] == PH_KIND_ALLOC || m->kinds[i] == PH_KIND_FREE;

		r->actions[i] = m->kinds[i] > PH_KIND_LAST ? 0 : m->kinds[i];
		r->actions[i] |= memory ? ACTION_MEMORY : 0;
	}
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		r->actions[specials[i].op] = specials[i].action;
		m->names[specials[i].op] = specials[i].name;
	}
}

static void take_lost(struct replay *r, const struct ph_call *c)
{
	uint64_t end;

	if (c->arg <= 0)
		return;
	if (__builtin_add_overflow(c->entry, c->duration, &end))
		end = c->entry;
	if (r->lost == 0 || c->entry < r->lost_from)
		r->lost_from = c->entry;
	if (end > r->lost_to)
		r->lost_to = end;
	r->lost += (uint64_t)c->arg;
}

static uint64_t extra(const struct ph_call *c, size_t i)
{
	uint64_t word;

	if ((size_t)(c->cells - PH_CALL_CELLS) * 2 <= i)
		return 0;
	memcpy(&word, (const uint8_t *)(c + 1) + i * sizeof(word), sizeof(word));
	return word;
}

static void apply_mapping(struct replay *r, unsigned action, const struct ph_call *c)
{
	/* Addresses are below 2^63: what is negative is an errno. */
	if (c->result < 0)
		return;
	switch (action) {
	case PH_KIND_MAP:
		heap_map(&r->heap, (uint64_t)c->result, (uint64_t)c->arg);
		break;
	case PH_KIND_UNMAP:
		heap_unmap(&r->heap, extra(c, 0), (uint64_t)c->arg);
		break;
	case PH_KIND_REMAP:
		heap_remap(&r->heap, extra(c, 0), extra(c, 1), (uint64_t)c->result,
			   (uint64_t)c->arg);
		break;
	case PH_KIND_BREAK:
		heap_break(&r->heap, (uint64_t)c->result, c->arg);
		break;
	}
}

/* Programs that the library did not come along to. */

static const char *exec_path(struct replay *r, const struct ph_call *c)
{
	size_t words = sizeof(uint64_t);
	size_t room = c->cells > PH_CALL_CELLS
			      ? (size_t)(c->cells - PH_CALL_CELLS) * sizeof(struct ph_cell)
			      : 0;
	uint64_t bytes = room >= words ? extra(c, 0) : 0;

	if (bytes == 0 || bytes > room - words)
		return "(unknown)";
	return arena_copy(r->arena, (const char *)(c + 1) + words, (size_t)bytes);
}

static const char *exec_reason(int64_t flags)
{
	if (flags & PH_EXEC_STATIC)
		return "it is statically linked";
	if (flags & PH_EXEC_SECURE)
		return "it is set-uid, set-gid or has capabilities, and its loader ignores "
		       "LD_PRELOAD";
	if (flags & PH_EXEC_FOREIGN)
		return "it is of another C library or machine";
	if (flags & PH_EXEC_UNPRELOADED)
		return "its environment does not have LD_PRELOAD";
	return NULL;
}

static void note_exec(struct replay *r, const struct ph_call *c)
{
	r->exec.path = c->result == 0 ? exec_path(r, c) : NULL;
	r->exec.reason = exec_reason(c->arg);
}

/* Each program once for each reason. */
static void note_spawn(struct replay *r, const struct ph_call *c)
{
	const char *reason = exec_reason(c->arg), *path;
	struct unrecorded *u;

	if (reason == NULL || c->result < 0)
		return;
	path = exec_path(r, c);
	for (size_t i = 0; i < r->unrecorded_count; i++) {
		u = &r->unrecorded[i];
		if (u->reason == reason && strcmp(u->path, path) == 0) {
			u->times++;
			return;
		}
	}
	if (!vector_reserve(r->unrecorded, r->unrecorded_room, r->unrecorded_count + 1))
		return;
	r->unrecorded[r->unrecorded_count++] = (struct unrecorded){path, reason, 1};
}

/* CONFINE's argument, of the functions that may install a filter. */
enum { CONFINED_FILTER = 1, CONFINED_BLIND = 2 };

static void note_confined(struct replay *r, const struct ph_call *c)
{
	const char *name = r->meta.names[c->op];

	if (name == NULL || (strcmp(name, "prctl") != 0 && strcmp(name, "syscall") != 0))
		return;
	/* Refused, it is said again with its error. */
	r->confined = c->result < 0 ? 0 : (unsigned)c->arg;
	r->confined_at = c->entry;
}

static void take_fork(struct replay *r, const struct ph_call *c)
{
	struct run *run = r->run;

	if (c->result <= 0 || c->result > INT32_MAX)
		return;
	/* vfork and what its child became may both say it. */
	if (run->fork_count != 0 && run->forks[run->fork_count - 1].pid == (int)c->result)
		return;
	if (!vector_reserve(run->forks, run->fork_room, run->fork_count + 1)) {
		r->heap.failed = true;
		return;
	}
	run->forks[run->fork_count++] =
		(struct forked){(int)c->result, clock_s(&r->clock, c->entry)};
}

static void apply_call(struct replay *r, struct thread *t, unsigned action, const struct ph_call *c)
{
	uint64_t end;

	if (!__builtin_add_overflow(c->entry, c->duration, &end) && end > r->last_ticks)
		r->last_ticks = end;
	switch (action) {
	case PH_KIND_MAP:
	case PH_KIND_UNMAP:
	case PH_KIND_REMAP:
	case PH_KIND_BREAK:
		apply_mapping(r, action, c);
		break;
	case ACTION_OBJECT:
		io_describe(&r->io, c);
		break;
	case ACTION_LOST:
		take_lost(r, c);
		break;
	case ACTION_THREAD_START:
		if (t->tid == 0 && c->result > 0 && c->result <= INT32_MAX)
			t->tid = (int)c->result;
		break;
	case ACTION_THREAD_END:
		if (isnan(t->ended_at_s))
			t->ended_at_s = clock_s(&r->clock, c->entry);
		break;
	case ACTION_FORKED:
		if (r->stop_at_fork != 0 && c->arg == r->stop_at_fork)
			r->stopped = r->fork_found = true;
		break;
	case PH_KIND_EXEC:
		note_exec(r, c);
		break;
	case PH_KIND_SPAWN:
	case ACTION_SPAWNED:
		note_spawn(r, c);
		if (exec_reason(c->arg) == NULL)
			take_fork(r, c);
		break;
	case PH_KIND_CONFINE:
		note_confined(r, c);
		break;
	case PH_KIND_FORK:
		take_fork(r, c);
		break;
	case PH_KIND_NONE:
		r->unknown_events++;
		break;
	default:
		if (io_is_about(action)) {
			io_call(&r->io, t, action, c, stacks_node(&r->stacks, c->node));
			coverage_add(&r->coverage, (size_t)(t - r->run->threads), c);
		}
	}
}

static void show(struct replay *r, const struct thread *t, const struct ph_event *e)
{
	const char *name = r->meta.names[e->op];
	double at = clock_s(&r->clock, e->call ? e->call->entry : e->stamp);

	if (r->visit(r->visit_context, r->run, t->tid, at, e, name ? name : "?") != 0)
		r->stopped = true;
}

static inline void apply(struct replay *r, struct heap_stream *s, const struct ph_event *e)
{
	struct thread *t = &r->run->threads[s->thread];
	unsigned action = r->actions[e->op];

	switch (e->call == NULL ? action : 0) {
	case PH_KIND_ALLOC | ACTION_MEMORY:
		heap_alloc(&r->heap, s, e->address, e->size, stacks_node(&r->stacks, e->node));
		if (e->address != 0) {
			t->allocations++;
			t->allocated_bytes += e->size;
		}
		break;
	case PH_KIND_FREE | ACTION_MEMORY:
		heap_release(&r->heap, s, e->address);
		break;
	case ACTION_REALLOC_BEGIN | ACTION_MEMORY:
		heap_realloc_begin(&r->heap, s, e->address);
		break;
	case ACTION_REALLOC_FAILED | ACTION_MEMORY:
		heap_realloc_failed(&r->heap, s);
		break;
	default:
		/* The table may give a function a kind that its events do not fit. */
		if (e->call != NULL && !(action & ACTION_MEMORY))
			apply_call(r, t, action, e->call);
		else
			r->unknown_events++;
	}
	if (r->visit != NULL)
		show(r, t, e);
}

/* Stopping at a moment of the heap. */

/* Is what comes at this stamp after the moment? */
static bool is_past(struct replay *r, uint64_t stamp)
{
	struct run_moment *m = r->options->moment;
	double at_s;

	if (stamp <= r->heap.now)
		return false;
	at_s = clock_s(&r->clock, stamp);
	/* The level may have been there when the time came. */
	if (m->level != 0 && at_s > m->from_s + m->slack_s &&
	    heap_own_bytes(&r->heap) >= m->level) {
		m->found = true;
		m->found_s = fmax(m->from_s, clock_s(&r->clock, r->heap.now));
	}
	r->stopped = m->found || at_s > m->at_s;
	return r->stopped;
}

/* Has the level just been reached? */
static void look_for_level(struct replay *r)
{
	struct run_moment *m = r->options->moment;

	if (m->level == 0 || r->stopped || heap_own_bytes(&r->heap) < m->level ||
	    clock_s(&r->clock, r->heap.now) < m->from_s - m->slack_s)
		return;
	m->found = true;
	m->found_s = clock_s(&r->clock, r->heap.now);
	r->stopped = true;
}

/*
 * The shared clock word, which stamps the events of a process with one stream, may
 * be some milliseconds behind. What comes after a call in the stream came after its
 * end, and calls have times of their own: so the processes of a tree are set in time
 * against each other by what they say to each other.
 */
static void follow_call(struct replay *r, const struct ph_call *c)
{
	uint64_t end;

	if (__builtin_add_overflow(c->entry, c->duration, &end) ||
	    (r->meta.has_end && end > r->meta.ended_ticks))
		return;
	if (!r->seeks || !is_past(r, end))
		heap_time(&r->heap, end);
}

/* The merge's consumer. */

static bool run_alone(void *context, size_t stream, const struct ph_event *events, size_t count)
{
	struct replay *r = context;
	struct heap_stream *s = &r->heap.streams[stream];

	r->run->events += count;
	for (size_t i = 0; i < count && !r->stopped; i++) {
		if (i + AHEAD < count)
			heap_prefetch(&r->heap, events[i + AHEAD].address);
		if (r->seeks && is_past(r, events[i].stamp))
			break;
		heap_time(&r->heap, events[i].stamp);
		apply(r, s, &events[i]);
		if (r->seeks)
			look_for_level(r);
		if (r->times_by_calls && events[i].call != NULL)
			follow_call(r, events[i].call);
	}
	return !r->stopped;
}

static bool must_wait(const struct replay *r, const struct ph_event *e, uint64_t *key)
{
	unsigned action = r->actions[e->op];
	uint32_t other;

	*key = e->address;
	if (e->call == NULL) {
		switch (action) {
		case PH_KIND_ALLOC | ACTION_MEMORY:
			return e->address != 0 && heap_is_live(&r->heap, e->address);
		case PH_KIND_FREE | ACTION_MEMORY:
		case ACTION_REALLOC_BEGIN | ACTION_MEMORY:
			return e->address != 0 && !heap_is_live(&r->heap, e->address);
		}
		return false;
	}
	*key = MERGE_OBJECT_KEY(e->call->object);
	switch (action) {
	case PH_KIND_MOVE:
		if (!io_knows_other(&r->io, e->call, &other)) {
			*key = MERGE_OBJECT_KEY(other);
			return true;
		}
		return !io_knows(&r->io, e->call);
	case PH_KIND_READ:
	case PH_KIND_WRITE:
	case PH_KIND_CONNECT:
		return !io_knows(&r->io, e->call);
	}
	return false;
}

static size_t run_tied(void *context, size_t stream, const struct ph_event *events, size_t count,
		       uint64_t *key)
{
	struct replay *r = context;
	struct heap_stream *s = &r->heap.streams[stream];
	size_t i;

	if (r->seeks && is_past(r, events[0].stamp))
		return count + 1;
	heap_time(&r->heap, events[0].stamp);
	heap_stretch_begins(&r->heap, s);
	for (i = 0; i < count && !r->stopped; i++) {
		if (i + AHEAD < count)
			heap_prefetch(&r->heap, events[i + AHEAD].address);
		if (must_wait(r, &events[i], key))
			break;
		apply(r, s, &events[i]);
		if (r->seeks)
			look_for_level(r);
	}
	heap_stretch_ends(&r->heap, s);
	r->run->events += i;
	return r->stopped ? count + 1 : i;
}

static bool force(void *context, size_t stream, const struct ph_event *event)
{
	struct replay *r = context;
	struct heap_stream *s = &r->heap.streams[stream];

	heap_stretch_begins(&r->heap, s);
	apply(r, s, event);
	heap_stretch_ends(&r->heap, s);
	r->run->events++;
	return !r->stopped;
}

static void tie_begins(void *context, size_t streams)
{
	struct replay *r = context;

	(void)streams;
	heap_tie_begins(&r->heap);
}

static void tie_ends(void *context)
{
	struct replay *r = context;

	heap_tie_ends(&r->heap);
}

static void show_progress(void *context, uint64_t bytes)
{
	struct replay *r = context;

	if (r->options != NULL && r->options->progress != NULL)
		r->options->progress(r->options->progress_context, bytes, r->reader.size);
}

static const struct merge_consumer consumer = {
	.run = run_alone,
	.run_tied = run_tied,
	.force = force,
	.tie_begins = tie_begins,
	.tie_ends = tie_ends,
	.progress = show_progress,
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
		case PH_BLOCK_END:
			if (reader_payload(&r->reader, b, &payload) &&
			    !meta_block(&r->meta, b->header.kind, &payload))
				reader_damage(&r->reader, b->offset);
			break;
		case PH_BLOCK_CLOCK:
			if (reader_payload(&r->reader, b, &payload))
				good = clock_add(&r->clock, payload.data, payload.length);
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
		.started_at_s = clock_s(&r->clock, s && s->started ? s->started : first_stamp),
		.ended_at_s = s && s->ended ? clock_s(&r->clock, s->ended) : NAN,
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
	run->end = m->end;
	run->status = m->status;
	write_start(r);
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
	if (!read_descriptions(r) || !read_all_stacks(r) ||
	    !merge_init(&r->merge, &r->reader, &consumer, r))
		return out_of_memory(r, e);
	clock_settle(&r->clock, start_ticks(r), r->meta.monotonic ? 1e9 : r->meta.ticks_per_s);
	r->last_ticks = r->clock.start;
	choose_actions(r);
	describe_process(r);
	return make_threads(r) ? 0 : out_of_memory(r, e);
}

static void replay_close(struct replay *r)
{
	merge_free(&r->merge);
	heap_free(&r->heap);
	io_free(&r->io);
	coverage_free(&r->coverage);
	stacks_free(&r->stacks);
	clock_free(&r->clock);
	meta_free(&r->meta);
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
	heap_expect(&r->heap, p->heap.block_count);
	for (size_t at = 0; (b = heap_next_block(&p->heap, &at)) != NULL;)
		heap_inherit(&r->heap, b->address, b->size,
			     (uint32_t)map_get(known, p->heap.sites[b->site].node));
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

/* The heap, with what a fork left in it. */
static bool begin_heap(struct replay *r)
{
	struct replay *p = replay_parent(r);
	struct map known = {0};
	bool good;

	if (p != NULL)
		import_stacks(r, p, &known);
	good = !r->stacks.failed && heap_init(&r->heap, &r->clock, r->stacks.node_count,
					      r->run->thread_count, r->merge.stream_count);
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

static int replay_events(struct replay *r, struct error *e)
{
	bool for_tree = r->options != NULL && r->options->for_tree;

	io_init(&r->io, &r->clock, r->arena);
	r->io.keep_recorders = for_tree;
	if (for_tree && (r->run->profile = profile_new()) == NULL)
		return out_of_memory(r, e);
	if (r->io.failed || !begin_heap(r))
		return out_of_memory(r, e);
	r->heap.profile = r->run->profile;
	r->times_by_calls = (for_tree || r->seeks) && r->merge.stream_count == 1;
	stacks_publish(&r->stacks, r->run);
	if (!merge_run(&r->merge) || r->heap.failed || r->io.failed)
		return out_of_memory(r, e);
	return 0;
}

/* The end. */

static bool is_running(const struct replay *r)
{
	char path[32], link[4096];
	struct utsname host;
	ssize_t n;

	if (r->meta.has_end || r->meta.pid <= 0 || uname(&host) != 0 ||
	    strcmp(host.nodename, r->meta.host) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/exe", r->meta.pid);
	n = readlink(path, link, sizeof(link) - 1);
	if (n > 0) {
		/* The number may be another process's by now. */
		link[n] = '\0';
		return strcmp(link, r->meta.executable) == 0;
	}
	snprintf(path, sizeof(path), "/proc/%d", r->meta.pid);
	return access(path, F_OK) == 0;
}

static void note_end(struct replay *r)
{
	struct run *run = r->run;

	run->complete = r->reader.ended && r->meta.has_end && r->reader.damaged == 0 &&
			!r->reader.truncated && r->merge.dropped == 0;
	if (r->meta.has_end)
		return;
	if (is_running(r)) {
		run->end = "running";
		notice(r, false, "still running: this is what was written so far");
		return;
	}
	notice(r, true,
	       "the trace has no end: whoever wrote it was ended first, or it was cut short; what "
	       "it holds up to there is reported");
}

static void note_damage(struct replay *r)
{
	uint64_t n = r->reader.damaged;

	if (n != 0)
		notice(r, true,
		       "%llu %s of the trace could not be read, the first at byte %llu: what %s "
		       "held is missing",
		       (unsigned long long)n, plural(n, "part", "parts"),
		       (unsigned long long)r->reader.damage_at, plural(n, "it", "they"));
	n = r->merge.dropped;
	if (n != 0)
		notice(r, true, "%llu %s of events overlap what came before and %s left out",
		       (unsigned long long)n, plural(n, "block", "blocks"),
		       plural(n, "was", "were"));
	n = r->unknown_blocks;
	if (n != 0)
		notice(r, false, "%llu %s of a kind that this perfhook does not know; update it",
		       (unsigned long long)n, plural(n, "block is", "blocks are"));
	n = r->unknown_events;
	if (n != 0)
		notice(r, false, "%llu %s of functions that this perfhook does not know; update it",
		       (unsigned long long)n, plural(n, "event is", "events are"));
}

static void note_lost(struct replay *r)
{
	uint64_t lost = r->meta.lost > r->lost ? r->meta.lost : r->lost;
	uint64_t nested = r->meta.nested_lost, unslotted = r->meta.unslotted_lost;

	r->run->dropped = lost + nested + unslotted;
	r->run->stalled_s = (double)r->meta.stalled_ns / 1e9;
	if (lost != 0 && r->lost != 0)
		notice(r, true, "%llu %s lost between %.3f s and %.3f s: the ring was full",
		       (unsigned long long)lost, plural(lost, "event was", "events were"),
		       clock_s(&r->clock, r->lost_from), clock_s(&r->clock, r->lost_to));
	else if (lost != 0)
		notice(r, true, "%llu %s lost: the ring was full", (unsigned long long)lost,
		       plural(lost, "event was", "events were"));
	if (unslotted != 0)
		notice(r, true,
		       "%llu %s of threads that there was no room for, or of another process on "
		       "the same memory, %s lost",
		       (unsigned long long)unslotted, plural(unslotted, "event", "events"),
		       plural(unslotted, "was", "were"));
	if (nested != 0)
		notice(r, true, "%llu %s of signal handlers that interrupted a hook %s lost",
		       (unsigned long long)nested, plural(nested, "event", "events"),
		       plural(nested, "was", "were"));
}

/* Programs and processes that are not recorded, and why. */
static void note_unrecorded(struct replay *r)
{
	uint64_t n = r->meta.children_unrecorded;

	for (size_t i = 0; i < r->unrecorded_count; i++) {
		const struct unrecorded *u = &r->unrecorded[i];

		notice_program(r, "%s, which it started%s, is not recorded: %s", u->path,
			       u->times > 1 ? arena_print(r->arena, " %llu times",
							  (unsigned long long)u->times)
					    : "",
			       u->reason);
	}
	if (strcmp(r->run->end, "exec") == 0) {
		if (r->exec.path != NULL && r->exec.reason != NULL)
			notice_program(r, "it became %s, which is not recorded: %s", r->exec.path,
				       r->exec.reason);
		else
			r->run->became = r->exec.path != NULL ? r->exec.path : "another program";
	}
	if (n != 0)
		notice_program(r, "%llu %s that it forked could not be recorded",
			       (unsigned long long)n, plural(n, "process", "processes"));
	if (r->confined == CONFINED_BLIND)
		notice(r, true,
		       "at %.3f s it gave up all system calls and the processor's counter "
		       "(seccomp's "
		       "strict mode, PR_SET_TSC): recording ends there",
		       clock_s(&r->clock, r->confined_at));
	if (r->confined == CONFINED_FILTER)
		notice(r, false,
		       "at %.3f s it installed a seccomp filter: since then files and sockets are "
		       "called as the program called them, some stacks may be one frame deep, "
		       "and processes that it starts are not recorded",
		       clock_s(&r->clock, r->confined_at));
}

static void note_unseen(struct replay *r)
{
	uint64_t n = r->run->heap.unmatched_frees;
	const char *text;

	if (r->clock.unevenness > 0.01)
		notice(r, false,
		       "the processor's counter did not run evenly (by up to %.0f%%): times "
		       "between "
		       "two looks at the clock are that much uncertain",
		       r->clock.unevenness * 100);

	if (n != 0)
		notice(r, false,
		       "%llu %s freed that %s allocated before recording began, or by calls that "
		       "are not seen",
		       (unsigned long long)n, plural(n, "block was", "blocks were"),
		       plural(n, "was", "were"));
	n = r->heap.missed_frees;
	if (n != 0)
		notice(r, false, "the %s of %llu %s not seen: the address was allocated again",
		       plural(n, "free", "frees"), (unsigned long long)n,
		       plural(n, "block was", "blocks were"));
	n = r->meta.short_stacks;
	if (n != 0)
		notice(r, false, "%llu %s cut short: the table of stacks was full",
		       (unsigned long long)n, plural(n, "stack was", "stacks were"));
	n = r->meta.objects_unknown;
	if (n != 0)
		notice(r, false, "%llu %s not be named: the table of descriptors was full",
		       (unsigned long long)n, plural(n, "file could", "files could"));
	for (unsigned i = 0; (text = coverage_known(&r->meta, i, r->arena)) != NULL; i++)
		notice(r, false, "%s", text);
	text = coverage_text(&r->run->coverage, r->run->dropped, r->arena);
	if (text != NULL)
		add_notice(r, false, NOTICE_BYTES, text);
	for (size_t i = 0; i < r->meta.note_count; i++)
		notice(r, false, "%s", r->meta.notes[i]);
}

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

static int replay_finish(struct replay *r, struct error *e)
{
	struct run *run = r->run;
	double end_ns = clock_ns(&r->clock, r->heap.now), last = clock_ns(&r->clock, r->last_ticks);

	end_ns = last > end_ns ? last : end_ns;
	if (r->meta.has_end && r->meta.ended_ticks != 0)
		end_ns = clock_ns(&r->clock, r->meta.ended_ticks);
	run->duration_s = end_ns > 0 ? end_ns / 1e9 : 0;
	heap_result(&r->heap, run, end_ns);
	io_result(&r->io, run, end_ns);
	compare_with_kernel(r);
	if (r->heap.failed || r->io.failed)
		return out_of_memory(r, e);
	note_lost(r);
	note_end(r);
	note_damage(r);
	note_unrecorded(r);
	note_unseen(r);
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

int run_dump(struct run *run, const char *path, event_fn *visit, void *context, struct error *e)
{
	return load(run, path, NULL, visit, context, e);
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

/* Shorter runs are all start-up: one block proves nothing. */
#define LONG_RUN_S  10.0
#define EARLY_SHARE 0.01 /* of a long run: its first moments */

bool site_is_early(const struct run *run, const struct site *s)
{
	return s->allocations == 1 && run->duration_s >= LONG_RUN_S &&
	       s->first_at_s <= run->duration_s * EARLY_SHARE;
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
		free_recorder(run->files[i].traffic.recorder);
		run->files[i].traffic.recorder = NULL;
	}
	free_recorder(run->io.total.recorder);
	free_recorder(run->sockets.total.recorder);
	run->io.total.recorder = run->sockets.total.recorder = NULL;
}

void run_free(struct run *run)
{
	run_free_recorders(run);
	profile_free(run->profile);
	free(run->forks);
	free(run->notices);
	free(run->heap.timeline);
	free(run->sites);
	free(run->io.timeline);
	free(run->sockets.timeline);
	free(run->files);
	free(run->connections);
	free(run->threads);
	free(run->addresses);
	free(run->nodes);
	free(run->modules);
	arena_free(run->arena);
	*run = (struct run){0};
}
