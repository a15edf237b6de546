/* SPDX-License-Identifier: MIT */
#include "analyzer/waits.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/latency.h"
#include "analyzer/vector.h"
#include "trace/format.h"

enum {
	CALLS_KEPT = 16, /* of a thread, that a call around them may come to */
};

/* What a wait was for: equal keys are one object. */
enum subject {
	FOR_NOTHING,
	FOR_PATH, /* by the path's place in memory: they are interned */
	FOR_CONNECTION,
	FOR_DESCRIPTOR,
	FOR_SEVERAL,
	FOR_ADDRESS,
	FOR_THREAD,
	FOR_HANDLE,
	FOR_CHILD,
	FOR_ANY_CHILD,
	FOR_IPC,
};

struct wait_key {
	enum subject subject;
	unsigned kind;
	uint64_t what;
	uint32_t node;
};

struct wait_sum {
	struct wait_key key;
	struct wait wait;
	struct recorder latency;
};

struct thread_time {
	/* Processor time as it was last known, and when. */
	bool known;
	uint64_t cpu_ns;
	double at_ns;
	double inside_ns;  /* of calls since then */
	double outside_ns; /* of the time since then: before the window, outside of calls */
	double running_ns;
	/* What it had when it ended, or was looked at last. */
	bool has_last;
	uint64_t last_cpu_ns;
	double last_at_ns;
	double share; /* of the time that it was ready to run: in which it ran */
	/* Calls that a later one may turn out to be around, in order of their begins. */
	struct {
		double begin_ns, ns;
	} calls[CALLS_KEPT];
	size_t call_count;
};

static const char *const kind_names[] = {
	[PH_KIND_POLL] = "poll",	   [PH_KIND_SLEEP] = "sleep",
	[PH_KIND_LOCK] = "lock",	   [PH_KIND_CONDITION] = "condition",
	[PH_KIND_SEMAPHORE] = "semaphore", [PH_KIND_BARRIER] = "barrier",
	[PH_KIND_JOIN] = "join",	   [PH_KIND_PROCESS] = "process",
	[PH_KIND_SIGNAL] = "signal",	   [PH_KIND_QUEUE] = "message queue",
	[PH_KIND_IPC] = "system v ipc",	   [PH_KIND_FILE_LOCK] = "file lock",
};

bool waits_is_about(unsigned kind)
{
	return kind < sizeof(kind_names) / sizeof(*kind_names) && kind_names[kind] != NULL;
}

static double share_of(const struct thread *t)
{
	double ran = t->cpu_ns > t->cpu_started_ns ? (double)(t->cpu_ns - t->cpu_started_ns) : 0;

	return ran > 0 ? ran / (ran + (double)t->cpu_delay_ns) : 1;
}

bool waits_init(struct replay_waits *w, struct clock *clock, struct arena *arena,
		const struct thread *threads, size_t thread_count)
{
	*w = (struct replay_waits){
		.clock = clock, .arena = arena, .time_count = thread_count, .from_ns = -INFINITY};
	w->times = calloc(thread_count + 1, sizeof(*w->times));
	for (size_t i = 0; w->times != NULL && i < thread_count; i++) {
		const struct thread *t = &threads[i];

		w->times[i] = (struct thread_time){
			.known = t->cpu_started_ns != 0,
			.cpu_ns = t->cpu_started_ns,
			.at_ns = t->started_at_s * 1e9,
			.has_last = t->cpu_started_ns != 0 && !isnan(t->cpu_at_s),
			.last_cpu_ns = t->cpu_ns,
			.last_at_ns = t->cpu_at_s * 1e9,
			.share = share_of(t),
		};
	}
	return w->times != NULL;
}

void waits_free(struct replay_waits *w)
{
	for (size_t i = 0; i < w->sum_count; i++)
		latency_free(&w->sums[i].latency);
	free(w->sums);
	free(w->times);
	index_free(&w->sum_by_key);
	map_free(&w->tid_by_handle);
	*w = (struct replay_waits){0};
}

/* A thread's time. */

/*
 * What it ran is taken to be outside of calls, which mostly wait. Where it is more than
 * fits there, the rest was within (reads of what is in memory); then it was running or
 * ready to run outside all the time.
 */
static void settle(struct thread_time *t, double at_ns, uint64_t cpu_ns)
{
	double outside = fmax(at_ns - t->at_ns - t->inside_ns, 0);
	double cpu = cpu_ns > t->cpu_ns ? (double)(cpu_ns - t->cpu_ns) : 0;
	double counted = outside > 0 ? fmax(outside - t->outside_ns, 0) / outside : 0;

	if (!t->known || !(at_ns > t->at_ns))
		return;
	t->running_ns += (cpu <= outside ? cpu : outside * t->share) * counted;
	t->outside_ns = 0;
	t->cpu_ns = cpu_ns;
	t->at_ns = at_ns;
	t->inside_ns = 0;
}

void waits_begin_window(struct replay_waits *w, double ns)
{
	w->quiet = false;
	w->from_ns = ns;
	for (size_t i = 0; i < w->time_count; i++) {
		struct thread_time *t = &w->times[i];

		if (t->has_last && ns >= t->last_at_ns) {
			settle(t, t->last_at_ns, t->last_cpu_ns);
			t->has_last = false;
		}
		t->running_ns = 0;
		t->outside_ns = fmax(ns - t->at_ns - t->inside_ns, 0);
	}
}

/* What of a call's own time lies behind the window's beginning. What lies before it was
 * taken to be outside of calls, since the call was not over. */
static double within(const struct replay_waits *w, struct thread_time *t, double begin_ns,
		     double ns, double own)
{
	double before = fmin(fmax(w->from_ns - begin_ns, 0), own);

	if (w->quiet || !(before > 0))
		return own;
	t->outside_ns = fmax(t->outside_ns - before, 0);
	return fmax(fmin(own, begin_ns + ns - w->from_ns), 0);
}

/* Full: what the two oldest took counts as if they were one call. */
static void forget_oldest(struct thread_time *t)
{
	t->calls[0].ns += t->calls[1].ns;
	memmove(&t->calls[1], &t->calls[2], (CALLS_KEPT - 2) * sizeof(t->calls[0]));
	t->call_count--;
}

/* Take the time of a call in; returns what is its own. */
static double take_call(struct thread_time *t, double begin_ns, double ns)
{
	double inner = 0, own;

	if (t->has_last && begin_ns >= t->last_at_ns) {
		settle(t, t->last_at_ns, t->last_cpu_ns);
		t->has_last = false;
	}
	while (t->call_count > 0 && t->calls[t->call_count - 1].begin_ns >= begin_ns)
		inner += t->calls[--t->call_count].ns;
	if (t->call_count == CALLS_KEPT)
		forget_oldest(t);
	own = fmax(ns - inner, 0);
	t->calls[t->call_count].begin_ns = begin_ns;
	t->calls[t->call_count++].ns = inner + own;
	t->inside_ns += own;
	return own;
}

void waits_io(struct replay_waits *w, struct thread *thread, size_t at,
	      const struct io_times *before, const struct ph_call *call)
{
	double *const parts[] = {&thread->reading_s, &thread->writing_s, &thread->network_s};
	const double earlier[] = {before->reading_s, before->writing_s, before->network_s};
	double ns, own;

	for (size_t i = 0; i < 3; i++) {
		if (!(*parts[i] > earlier[i]))
			continue;
		ns = (*parts[i] - earlier[i]) * 1e9;
		own = take_call(&w->times[at], clock_ns(w->clock, call->entry), ns);
		own = within(w, &w->times[at], clock_ns(w->clock, call->entry), ns, own);
		*parts[i] -= (ns - own) / 1e9;
		return;
	}
}

/* What a call waited for. */

static const char *connection_text(struct replay_waits *w, const struct connection *c)
{
	bool accepted = c->opened_by != NULL && strcmp(c->opened_by, "accept") == 0;

	return arena_print(w->arena, "%s%s%s%s%s%s%s", c->family != NULL ? c->family : "socket",
			   c->type != NULL ? " " : "", c->type != NULL ? c->type : "",
			   c->local != NULL ? " " : "", c->local != NULL ? c->local : "",
			   c->peer == NULL ? ""
			   : accepted	   ? " <- "
					   : " -> ",
			   c->peer != NULL ? c->peer : "");
}

static void of_descriptor(struct wait_key *key, const struct ph_call *call,
			  const struct io_name *name)
{
	if (name->connection != NULL) {
		key->subject = FOR_CONNECTION;
		key->what = call->object;
	} else if (name->path != NULL) {
		key->subject = FOR_PATH;
		key->what = (uintptr_t)name->path;
	} else if (call->fd >= 0) {
		key->subject = FOR_DESCRIPTOR;
		key->what = (uint32_t)call->fd;
	}
}

static void of_thread(const struct replay_waits *w, struct wait_key *key,
		      const struct ph_call *call)
{
	uint64_t tid = map_get(&w->tid_by_handle, (uint64_t)call->arg);

	key->subject = tid != 0 ? FOR_THREAD : FOR_HANDLE;
	key->what = tid != 0 ? tid : (uint64_t)call->arg;
}

static struct wait_key key_of(const struct replay_waits *w, unsigned kind,
			      const struct ph_call *call, uint32_t node, const struct io_name *name)
{
	struct wait_key key = {.kind = kind, .node = node};

	switch (kind) {
	case PH_KIND_POLL:
		/* Of no descriptors: a way to sleep. */
		if (call->arg == 0)
			key.kind = PH_KIND_SLEEP;
		else if (call->fd < 0)
			key.subject = FOR_SEVERAL;
		else
			of_descriptor(&key, call, name);
		break;
	case PH_KIND_QUEUE:
	case PH_KIND_FILE_LOCK:
		of_descriptor(&key, call, name);
		break;
	case PH_KIND_LOCK:
	case PH_KIND_CONDITION:
	case PH_KIND_SEMAPHORE:
	case PH_KIND_BARRIER:
		key.subject = FOR_ADDRESS;
		key.what = (uint64_t)call->arg;
		break;
	case PH_KIND_JOIN:
		of_thread(w, &key, call);
		break;
	case PH_KIND_PROCESS:
		key.subject = call->arg > 0 ? FOR_CHILD : FOR_ANY_CHILD;
		key.what = call->arg > 0 ? (uint64_t)call->arg : 0;
		break;
	case PH_KIND_IPC:
		key.subject = FOR_IPC;
		key.what = (uint64_t)call->arg;
		break;
	}
	return key;
}

static const char *object_text(struct replay_waits *w, const struct wait_key *key,
			       const struct io_name *name)
{
	switch (key->subject) {
	case FOR_PATH:
		return name->path;
	case FOR_CONNECTION:
		return connection_text(w, name->connection);
	case FOR_DESCRIPTOR:
		return arena_print(w->arena, "fd %" PRIu64, key->what);
	case FOR_SEVERAL:
		return "several descriptors";
	case FOR_THREAD:
		return arena_print(w->arena, "thread %" PRIu64, key->what);
	case FOR_HANDLE:
		return arena_print(w->arena, "thread %#" PRIx64, key->what);
	case FOR_CHILD:
		return arena_print(w->arena, "process %" PRIu64, key->what);
	case FOR_ANY_CHILD:
		return "any child";
	case FOR_IPC:
		return arena_print(w->arena, "id %" PRId64, (int64_t)key->what);
	case FOR_NOTHING:
	case FOR_ADDRESS:
		break;
	}
	return NULL;
}

static bool is_same(const struct wait_key *a, const struct wait_key *b)
{
	return a->subject == b->subject && a->kind == b->kind && a->what == b->what &&
	       a->node == b->node;
}

/* In the heap as it is at the first of these waits. */
static void find_home(struct wait *wait, const struct replay_heap *heap)
{
	const struct heap_block *b = heap_holder(heap, wait->address);

	if (b == NULL)
		return;
	wait->home_bytes = b->size;
	wait->home_offset = wait->address - b->address;
	wait->home_node = heap->sites[b->site].node;
}

/* NULL: out of memory. */
static struct wait_sum *sum_of(struct replay_waits *w, const struct wait_key *key,
			       const struct io_name *name, const struct replay_heap *heap)
{
	uint64_t hash = map_hash(map_hash(key->what) ^ (uint64_t)key->node << 16 ^
				 (uint64_t)key->kind << 8 ^ (uint64_t)key->subject);
	struct wait_sum *s;
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&w->sum_by_key, hash, &at)) != 0)
		if (is_same(&w->sums[place - 1].key, key))
			return &w->sums[place - 1];
	if (w->sum_count >= UINT32_MAX - 1 ||
	    !vector_reserve(w->sums, w->sum_room, w->sum_count + 1) ||
	    !index_insert(&w->sum_by_key, hash, (uint32_t)w->sum_count + 1)) {
		w->failed = true;
		return NULL;
	}
	s = &w->sums[w->sum_count++];
	*s = (struct wait_sum){
		.key = *key,
		.wait = {.kind = kind_names[key->kind],
			 .object = object_text(w, key, name),
			 .address = key->subject == FOR_ADDRESS ? key->what : 0,
			 .node = key->node,
			 .number = (uint32_t)w->sum_count - 1},
	};
	if (s->wait.address != 0)
		find_home(&s->wait, heap);
	return s;
}

/* The processor time at the end of a wait, if the call says it. */
static bool cpu_of(const struct ph_call *call, uint64_t *cpu_ns)
{
	if (call->cells <= PH_CALL_CELLS)
		return false;
	memcpy(cpu_ns, call + 1, sizeof(*cpu_ns));
	return *cpu_ns != 0;
}

static void note_activity(struct replay_waits *w, const struct wait_sum *s, size_t thread,
			  double own_ns, double begin_ns, double end_ns)
{
	const struct activity_key key = {
		.node = s->wait.node,
		.thread = (uint32_t)thread,
		.thing = s->wait.number,
		.kind = ACTIVITY_WAIT,
	};

	activity_call(w->activity, &key, (const int64_t[4]){0, 0, activity_ns(own_ns), 1}, begin_ns,
		      end_ns);
}

void waits_call(struct replay_waits *w, struct thread *thread, size_t at, unsigned kind,
		const struct ph_call *call, uint32_t node, const struct replay_io *io,
		const struct replay_heap *heap)
{
	const struct io_name name = io_name(io, call);
	const struct wait_key key = key_of(w, kind, call, node, &name);
	struct wait_sum *s = w->quiet ? NULL : sum_of(w, &key, &name, heap);
	double begin = clock_ns(w->clock, call->entry);
	double ns = clock_span_ns(w->clock, call->entry, call->duration);
	double own = take_call(&w->times[at], begin, ns);
	uint64_t cpu_ns;

	*(key.kind == PH_KIND_SLEEP ? &thread->sleeping_s : &thread->waiting_s) +=
		within(w, &w->times[at], begin, ns, own) / 1e9;
	if (cpu_of(call, &cpu_ns))
		settle(&w->times[at], begin + ns, cpu_ns);
	if (s == NULL)
		return;
	s->wait.count++;
	s->wait.time_s += own / 1e9;
	if (w->activity != NULL)
		note_activity(w, s, at, own, begin, begin + ns);
	w->failed |= !latency_record(&s->latency, (uint64_t)ns);
}

void waits_thread(struct replay_waits *w, const struct ph_call *call)
{
	if (call->arg != 0 && call->result > 0)
		w->failed |=
			!map_put(&w->tid_by_handle, (uint64_t)call->arg, (uint64_t)call->result);
}

/* Results. */

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int wait_by_time(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;
	int by = strcmp(x->kind, y->kind);

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? 1 : -1;
	if (by == 0 && x->object != NULL && y->object != NULL)
		by = strcmp(x->object, y->object);
	if (by == 0)
		by = order(x->address, y->address);
	return by != 0 ? by : order(x->node, y->node);
}

static void find_module(struct wait *wait, const struct meta *meta)
{
	for (size_t i = 0; i < meta->module_count; i++) {
		const struct module_entry *m = &meta->modules[i];

		for (size_t k = 0; k < m->range_count; k++) {
			if (wait->address < m->ranges[k][0] || wait->address >= m->ranges[k][1])
				continue;
			wait->module = m->path;
			wait->build_id = m->build_id;
			wait->module_base = m->base;
			return;
		}
	}
}

static void take_sums(struct replay_waits *w, struct run *run, const struct meta *meta)
{
	run->waits = calloc(w->sum_count + 1, sizeof(*run->waits));
	if (run->waits == NULL) {
		w->failed = true;
		return;
	}
	for (size_t i = 0; i < w->sum_count; i++) {
		struct wait_sum *s = &w->sums[i];
		struct wait *to = &run->waits[run->wait_count++];

		*to = s->wait;
		if (to->address != 0 && to->home_bytes == 0)
			find_module(to, meta);
		latency_result(&s->latency, &to->latency);
		if (!w->keep_recorders)
			continue;
		to->recorder = malloc(sizeof(*to->recorder));
		if (to->recorder == NULL) {
			w->failed = true;
			continue;
		}
		*to->recorder = s->latency;
		s->latency = (struct recorder){0};
	}
	qsort(run->waits, run->wait_count, sizeof(*run->waits), wait_by_time);
}

/* The last that is known may be of a moment behind the window: it is taken to have run
 * evenly until then. */
static void settle_last(struct thread_time *t, double to_ns)
{
	double part = (to_ns - t->at_ns) / (t->last_at_ns - t->at_ns);

	if (t->last_at_ns <= to_ns)
		settle(t, t->last_at_ns, t->last_cpu_ns);
	else if (to_ns > t->at_ns && t->last_cpu_ns > t->cpu_ns)
		settle(t, to_ns,
		       t->cpu_ns + (uint64_t)((double)(t->last_cpu_ns - t->cpu_ns) * part));
}

static void split(struct thread_time *t, struct thread *thread, const struct run_view *v,
		  double awaited_s)
{
	double known = thread->reading_s + thread->writing_s + thread->network_s +
		       thread->waiting_s + thread->sleeping_s;
	double from_s = fmax(thread->started_at_s, v->from_s);
	double until_s = isnan(thread->ended_at_s) || (v->windowed && thread->ended_at_s > v->to_s)
				 ? v->to_s
				 : thread->ended_at_s;
	double rest;

	if (t->has_last)
		settle_last(t, v->windowed ? v->to_s * 1e9 : (double)INFINITY);
	if (!t->known) {
		thread->running_s = thread->runnable_s = thread->unexplained_s = NAN;
		thread->recording_s = NAN;
		return;
	}
	thread->running_s = t->running_ns / 1e9;
	rest = fmax(until_s - from_s - known - thread->running_s, 0);
	/* Part of it may have been within calls, and be part of their time. When it was is not
	 * known. */
	thread->runnable_s = v->windowed ? 0 : fmin((double)thread->cpu_delay_ns / 1e9, rest);
	rest -= thread->runnable_s;
	thread->recording_s = v->windowed && v->from_s > 0 ? 0 : fmin(awaited_s, rest);
	thread->unexplained_s = rest - thread->recording_s;
}

void waits_result(struct replay_waits *w, struct run *run, const struct meta *meta)
{
	struct run_view span = run->view;

	if (!span.windowed)
		span = (struct run_view){.from_s = -INFINITY, .to_s = run->duration_s};
	take_sums(w, run, meta);
	for (size_t i = 0; i < run->thread_count && i < w->time_count; i++)
		split(&w->times[i], &run->threads[i], &span,
		      i == 0 ? (double)meta->awaited_ns / 1e9 : 0);
}
