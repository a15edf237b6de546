/* SPDX-License-Identifier: MIT */
/* Each event to what it is about: the heap, files and sockets, threads, processes. */
#include "analyzer/replay.h"

#include <math.h>
#include <string.h>

#include "analyzer/live.h"
#include "analyzer/vector.h"
#include "trace/functions.h"

enum { AHEAD = 12 }; /* events between a prefetch and its use */

#define CLOCK_SLACK_S 0.5e-9 /* ticks made seconds */
#define LEVEL_SLACK_S 2e-8   /* a tree's times, which were added up and taken apart */

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
	{PH_OP_LOCKED, PH_KIND_FILE_LOCK, "fcntl lock"},
};

void replay_choose_actions(struct replay *r)
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

/* Is it called by the program and not by its allocator? */
static bool is_programs(const struct replay *r, const struct ph_call *c)
{
	const struct run_live *live = r->options->live;
	uint32_t node = stacks_node(&r->stacks, c->node);
	uint64_t pc = node != 0 ? r->run->addresses[r->run->nodes[node].address].pc : 0;

	return pc - live->allocator_start >= live->allocator_end - live->allocator_start;
}

static void note_own_mapping(struct replay *r, unsigned action, const struct ph_call *c)
{
	bool own = is_programs(r, c), good = true;
	uint64_t length = (uint64_t)c->arg, at = (uint64_t)c->result;

	if (action == PH_KIND_MAP)
		good = live_map(&r->own_mapped, at, length, own);
	else if (action == PH_KIND_UNMAP)
		good = live_map(&r->own_mapped, extra(c, 0), length, false);
	else if (action == PH_KIND_REMAP)
		good = live_map(&r->own_mapped, extra(c, 0), extra(c, 1), false) &&
		       live_map(&r->own_mapped, at, length, own);
	else if (c->arg > 0 && length <= at)
		good = live_map(&r->own_mapped, at - length, length, own);
	else if (c->arg < 0)
		good = live_map(&r->own_mapped, at, -length, false);
	r->heap.failed |= !good;
}

static void apply_mapping(struct replay *r, unsigned action, const struct ph_call *c)
{
	/* Addresses are below 2^63: what is negative is an errno. */
	if (c->result < 0)
		return;
	if (r->options != NULL && r->options->live != NULL)
		note_own_mapping(r, action, c);
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

/* Does whoever waits so go on with another piece of work? */
static bool is_round(unsigned action)
{
	switch (action) {
	case PH_KIND_POLL:
	case PH_KIND_SLEEP:
	case PH_KIND_CONDITION:
	case PH_KIND_SEMAPHORE:
	case PH_KIND_QUEUE:
	case PH_KIND_SIGNAL:
		return true;
	}
	return false;
}

/* A call whose time counts in its thread's. */
static void apply_timed(struct replay *r, struct thread *t, unsigned action,
			const struct ph_call *c)
{
	const struct io_times before = io_times(t);
	uint32_t node = stacks_node(&r->stacks, c->node);
	size_t at = (size_t)(t - r->run->threads);

	if (!r->io.quiet && (waits_is_about(action) || io_is_about(action)))
		loops_call(&r->loops, (uint32_t)at, action, r->meta.names[c->op], c, node,
			   clock_span_ns(&r->clock, c->entry, c->duration));
	if (waits_is_about(action)) {
		waits_call(&r->waits, t, at, action, c, node, &r->io, &r->heap);
		/* For something to do. */
		if (!r->io.quiet && (action == PH_KIND_CONDITION || action == PH_KIND_SEMAPHORE ||
				     action == PH_KIND_QUEUE))
			habits_got_work(&r->io.habits, t);
	} else if (io_is_about(action)) {
		r->io.by = (uint32_t)at;
		io_call(&r->io, t, action, c, node);
		waits_io(&r->waits, t, at, &before, c);
		coverage_add(&r->coverage, at, c);
	}
	r->heap.rounds += is_round(action);
	r->heap.requests = r->io.requests;
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
		waits_thread(&r->waits, c);
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
		apply_timed(r, t, action, c);
	}
}

static void show(struct replay *r, const struct thread *t, const struct ph_event *e)
{
	const char *name = r->meta.names[e->op];
	double at = clock_s(&r->clock, e->call ? e->call->entry : e->stamp);
	uint32_t node = stacks_node(&r->stacks, e->call ? e->call->node : e->node);

	if (r->visit(r->visit_context, r->run, t->tid, at, e, node, name ? name : "?") != 0)
		r->stopped = true;
}

/* Events of which some are left out. */

static bool apply_alloc_filtered(struct replay *r, struct heap_stream *s, const struct ph_event *e)
{
	struct thread *t = &r->run->threads[s->thread];
	uint32_t node = stacks_node(&r->stacks, e->node);

	if (e->address == 0 || !filter_allows_size(r->filter, e->size) ||
	    !filter_allows(r->filter, s->thread, node)) {
		heap_leave_out(&r->heap, s, e->address, e->size);
		return false;
	}
	heap_alloc(&r->heap, s, e->address, e->size, node);
	t->allocations++;
	t->allocated_bytes += e->size;
	return true;
}

/* Frees count where their blocks do. */
static bool apply_free_filtered(struct replay *r, struct heap_stream *s, uint64_t address)
{
	uint64_t frees = r->heap.sums.frees;

	heap_release_filtered(&r->heap, s, address);
	return r->heap.sums.frees != frees;
}

static bool apply_call_filtered(struct replay *r, struct heap_stream *s, const struct ph_call *c)
{
	unsigned action = r->actions[c->op];
	bool counts = filter_allows(r->filter, s->thread, stacks_node(&r->stacks, c->node));

	r->io.quiet = r->waits.quiet = r->before || !counts;
	apply_call(r, &r->run->threads[s->thread], action, c);
	return counts && (io_is_about(action) || waits_is_about(action));
}

static void apply_filtered(struct replay *r, struct heap_stream *s, const struct ph_event *e)
{
	unsigned action = r->actions[e->op];
	bool counts = false, may_count = true;

	switch (e->call == NULL ? action : 0) {
	case PH_KIND_ALLOC | ACTION_MEMORY:
		counts = apply_alloc_filtered(r, s, e);
		break;
	case PH_KIND_FREE | ACTION_MEMORY:
		counts = apply_free_filtered(r, s, e->address);
		break;
	case ACTION_REALLOC_BEGIN | ACTION_MEMORY:
		heap_realloc_begin(&r->heap, s, e->address);
		may_count = false;
		break;
	case ACTION_REALLOC_FAILED | ACTION_MEMORY:
		heap_realloc_failed(&r->heap, s);
		may_count = false;
		break;
	default:
		may_count = io_is_about(action) || waits_is_about(action);
		if (e->call != NULL && !(action & ACTION_MEMORY))
			counts = apply_call_filtered(r, s, e->call);
		else
			r->unknown_events++;
	}
	if (r->before)
		return;
	r->filter->of_events += may_count;
	r->filter->events += counts;
	if (r->visit != NULL && counts)
		show(r, &r->run->threads[s->thread], e);
}

static inline void apply(struct replay *r, struct heap_stream *s, const struct ph_event *e)
{
	struct thread *t = &r->run->threads[s->thread];
	unsigned action = r->actions[e->op];

	if (r->filter != NULL) {
		apply_filtered(r, s, e);
		return;
	}
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
	if (r->visit != NULL && !r->before)
		show(r, t, e);
}

/* Stopping at a moment of the heap. */

static void seek(struct replay *r, double at_s)
{
	struct run_moment *m = r->options->moment;

	/* The level may have been there when the time came. */
	if (m->level != 0 && at_s > m->from_s + m->slack_s &&
	    heap_own_bytes(&r->heap) >= m->level) {
		m->found = true;
		m->found_s = fmax(m->from_s, clock_s(&r->clock, r->heap.now));
	}
	r->stopped = m->found || at_s > m->at_s;
}

/* Views. */

/* Threads' sums begin anew; what is known of them stays. */
static void clear_sums(struct thread *t)
{
	t->allocations = t->allocated_bytes = 0;
	t->read_bytes = t->written_bytes = t->sent_bytes = t->received_bytes = 0;
	t->reading_s = t->writing_s = t->network_s = t->waiting_s = t->sleeping_s = 0;
}

void replay_begin_window(struct replay *r, double at_s)
{
	double ns = fmax(at_s, 0) * 1e9;

	r->before = false;
	heap_begin_window(&r->heap, ns);
	io_begin_window(&r->io, ns);
	waits_begin_window(&r->waits, ns);
	/* In a tree, that may be before the process began: slices are the tree's. */
	if (r->run->activity != NULL)
		activity_begin_window(r->run->activity, at_s * 1e9);
	for (size_t i = 0; i < r->run->thread_count; i++)
		clear_sums(&r->run->threads[i]);
}

/* What comes next is of that time. */
static void enter(struct replay *r, double at_s)
{
	const struct run_view *v = r->view;
	double slack_s = v->own_level ? LEVEL_SLACK_S : 0;

	/* A level was reached by then, or never will be. */
	if (r->before && at_s > v->from_s + slack_s)
		replay_begin_window(r, v->from_s);
	r->stopped |= at_s > v->to_s + slack_s;
}

/* Is what comes at this stamp after all that is wanted? */
static bool is_past(struct replay *r, uint64_t stamp)
{
	if (stamp <= r->heap.now)
		return false;
	if (r->seeks)
		seek(r, clock_s(&r->clock, stamp));
	else
		enter(r, clock_s(&r->clock, stamp));
	return r->stopped;
}

/* Levels were reached at a time that was computed before, by the same sums. */
static bool is_at(struct replay *r, uint64_t level, double at_s)
{
	bool own = r->view->own_level;
	uint64_t bytes = own ? heap_own_bytes(&r->heap) : r->heap.sums.live_bytes;

	return level != 0 && bytes >= level &&
	       clock_s(&r->clock, r->heap.now) >= at_s - (own ? LEVEL_SLACK_S : CLOCK_SLACK_S);
}

/* What comes next, even of the same stamp, is later than what was. */
static void look_for_peak(struct replay *r)
{
	const struct run_view *v = r->view;

	if (r->before && is_at(r, v->from_level, v->from_s)) {
		replay_begin_window(r, v->from_s);
		heap_advance(&r->heap, r->heap.now + 1);
	}
	if (is_at(r, v->to_level, v->to_s))
		r->stopped = true;
}

/* Has the level just been reached? */
static void look_for_level(struct replay *r)
{
	struct run_moment *m = r->options->moment;

	if (!r->seeks) {
		look_for_peak(r);
		return;
	}
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
static uint64_t end_of_call(const struct replay *r, const struct ph_event *e)
{
	uint64_t end;

	if (e->call == NULL || !r->times_by_calls ||
	    __builtin_add_overflow(e->call->entry, e->call->duration, &end) ||
	    (r->meta.has_end && end > r->meta.ended_ticks) || end < e->stamp)
		return e->stamp;
	return end;
}

static void follow_call(struct replay *r, const struct ph_event *e)
{
	uint64_t end = end_of_call(r, e);

	if (!r->watched || !is_past(r, end))
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
		if (r->watched && is_past(r, end_of_call(r, &events[i])))
			break;
		heap_time(&r->heap, events[i].stamp);
		apply(r, s, &events[i]);
		if (r->watched)
			look_for_level(r);
		if (r->times_by_calls && events[i].call != NULL)
			follow_call(r, &events[i]);
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
	case PH_KIND_POLL:
	case PH_KIND_QUEUE:
	case PH_KIND_FILE_LOCK:
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

	if (r->watched && is_past(r, events[0].stamp))
		return count + 1;
	heap_time(&r->heap, events[0].stamp);
	heap_stretch_begins(&r->heap, s);
	for (i = 0; i < count && !r->stopped; i++) {
		if (i + AHEAD < count)
			heap_prefetch(&r->heap, events[i + AHEAD].address);
		if (must_wait(r, &events[i], key))
			break;
		apply(r, s, &events[i]);
		if (r->watched)
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

const struct merge_consumer replay_consumer = {
	.run = run_alone,
	.run_tied = run_tied,
	.force = force,
	.tie_begins = tie_begins,
	.tie_ends = tie_ends,
	.progress = show_progress,
};
