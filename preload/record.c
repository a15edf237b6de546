/* SPDX-License-Identifier: MIT */
#include "preload/record.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "preload/config.h"
#include "preload/log.h"
#include "preload/real.h"
#include "preload/unseen.h"
#include "trace/functions.h"

static inline bool carries_stack(unsigned op)
{
	switch (op) {
	case PH_OP_free:
	case PH_OP_cfree:
	case PH_OP_free_sized:
	case PH_OP_free_aligned_sized:
		return ph_config.free_stacks;
	case PH_OP_REALLOC_BEGIN:
	case PH_OP_REALLOC_FAILED:
		return false;
	default:
		return true;
	}
}

/* ---- before there is a process to record into ----------------------- */

/* The loader allocates before libc's environment is there: kept aside, and
 * written down at the first event that can be. Only the first thread is there. */
static struct {
	struct {
		unsigned op;
		const void *block;
		size_t size;
		void *caller;
	} events[64];
	unsigned count;
	bool flushed;
} early;

static void put_memory(struct ph_stream *s, unsigned op, const void *block, size_t size,
		       uint32_t node)
{
	uint64_t address = (uintptr_t)block;

	if (unlikely(ph_memory_is_wide(address, size))) {
		struct ph_cell cells[2] = {
			{.w0 = (address >> 48) << 16 | PH_OP_WIDE, .w1 = size >> 40},
			ph_memory_cell(op, address & UINT64_C(0xffffffffffff),
				       size & UINT64_C(0xffffffffff), node),
		};

		ph_put_at(s, cells, 2, address);
	} else {
		ph_put_memory(s, ph_memory_cell(op, address, size, node), address);
	}
}

static PH_COLD void keep_early(unsigned op, const void *block, size_t size, void *caller)
{
	unsigned room = sizeof(early.events) / sizeof(early.events[0]);

	if (early.flushed || early.count >= room)
		return;
	early.events[early.count].op = op;
	early.events[early.count].block = block;
	early.events[early.count].size = size;
	early.events[early.count++].caller = caller;
}

static PH_COLD void flush_early(struct ph_stream *s)
{
	if (early.flushed)
		return;
	early.flushed = true;
	for (unsigned i = 0; i < early.count; i++) {
		unsigned op = early.events[i].op;
		uint32_t node = carries_stack(op) ? ph_stack_node(s, 0, early.events[i].caller) : 0;

		put_memory(s, op, early.events[i].block, early.events[i].size, node);
	}
}

/* ---- memory ---------------------------------------------------------- */

/* From here on this thread's memory events go the short way, where they can. */
static PH_COLD void call_plain(struct ph_thread *t)
{
	if (t->generation == ph_process->generation && ph_stack_is_walked(t) &&
	    !ph_config.free_stacks && ph_real.malloc != NULL && ph_real.calloc != NULL &&
	    ph_real.free != NULL)
		t->plain = t->generation;
}

void ph_record_memory(unsigned op, const void *block, size_t size, uintptr_t frame, void *caller)
{
	struct ph_stream *s = ph_enter(frame);
	uint32_t node = 0;

	if (unlikely(s == NULL)) {
		if (ph_process->generation == 0)
			keep_early(op, block, size, caller);
		return;
	}
	if (unlikely(!early.flushed))
		flush_early(s);
	/* Stacks of other calls depend on it too. */
	if (!ph_is_nested(s))
		ph_modules_notice(caller);
	if (ph_config.events & PH_EVENTS_MEMORY) {
		if (carries_stack(op))
			node = ph_stack_node(s, frame, caller);
		put_memory(s, op, block, size, node);
		if (unlikely(ph_self.plain == PH_NOT_PLAIN) && !ph_is_nested(s))
			call_plain(&ph_self);
	}
	ph_leave(s);
}

void ph_record_changed(struct ph_cell cell, const void *block, uintptr_t frame, void *caller,
		       const struct ph_walk_word *bad)
{
	struct ph_stream *s = &ph_self.own;
	uint32_t node;

	/* Whose stack is the kept one has no other caller. */
	ph_modules_notice(caller);
	node = ph_walk(ph_self.walk, frame, ph_config.depth,
		       ph_modules_version() & ~PH_MODULES_DIRTY, bad);
	if (unlikely(node == 0))
		node = ph_stack_unwalked(s, caller);
	cell.w1 |= (uint64_t)node << 32;
	ph_put_memory(s, cell, (uintptr_t)block);
}

/* ---- calls ------------------------------------------------------------ */

static uint32_t family_of(int fd)
{
	return ph_object_is_socket(fd) ? PH_EVENTS_NET : PH_EVENTS_IO;
}

/* Which families a call belongs to, and whether one of them is recorded. */
static bool wanted(unsigned op, int fd, int other)
{
	switch (ph_functions[op].kind) {
	case PH_KIND_MAP:
	case PH_KIND_UNMAP:
	case PH_KIND_REMAP:
	case PH_KIND_BREAK:
		return ph_config.events & PH_EVENTS_MEMORY;
	case PH_KIND_SOCKET:
	case PH_KIND_CONNECT:
	case PH_KIND_ACCEPT:
	case PH_KIND_BIND:
	case PH_KIND_LISTEN:
	case PH_KIND_SHUTDOWN:
		return ph_config.events & PH_EVENTS_NET;
	case PH_KIND_READ:
	case PH_KIND_WRITE:
	case PH_KIND_DUP:
		return ph_config.events & family_of(fd);
	case PH_KIND_MOVE:
		return ph_config.events & (family_of(fd) | family_of(other));
	case PH_KIND_CLOSE:
	case PH_KIND_CLOSE_RANGE:
		return ph_config.events & (PH_EVENTS_NET | PH_EVENTS_IO);
	case PH_KIND_OPEN:
	case PH_KIND_SYNC:
	case PH_KIND_RESIZE:
		return ph_config.events & PH_EVENTS_IO;
	case PH_KIND_PIPE:
		return ph_config.events & (op == PH_OP_socketpair ? PH_EVENTS_NET : PH_EVENTS_IO);
	default:
		return true;
	}
}

#define EVERYTHING (PH_EVENTS_MEMORY | PH_EVENTS_IO | PH_EVENTS_NET | PH_EVENTS_WAIT)

/* What moves addresses is put in order with the heap's events. */
static inline bool moves_addresses(unsigned op)
{
	enum ph_kind kind = op < PH_OP_FUNCTIONS ? ph_functions[op].kind : PH_KIND_NONE;

	return kind == PH_KIND_MAP || kind == PH_KIND_UNMAP || kind == PH_KIND_REMAP ||
	       kind == PH_KIND_BREAK;
}

/* -errno, from what a function returned or from errno as it left it. */
static int64_t outcome(int64_t result)
{
	if (likely(result >= 0))
		return result;
	return result < INT64_MIN + 4096 ? -(result - INT64_MIN) : -(int64_t)errno;
}

/* Text goes by way of the scratch, of which there is one a stream: nothing here may
 * call out. */
static void put_facts(struct ph_stream *s, struct ph_call *call, const struct ph_call_facts *f)
{
	struct ph_cell small[PH_CALL_CELLS + 2], *cells = small;
	size_t words = f->extra_count * sizeof(f->extra[0]);
	size_t bytes = sizeof(*call) + words + f->tail_bytes;
	char *at;

	call->cells = (uint16_t)((bytes + sizeof(*cells) - 1) / sizeof(*cells));
	if (bytes > sizeof(small))
		cells = ph_scratch(s);
	if (cells == NULL || call->cells > PH_CALL_CELLS_MAX) {
		atomic_fetch_add_explicit(&s->slot->lost, 1, memory_order_relaxed);
		return;
	}
	cells[call->cells - 1] = (struct ph_cell){0, 0};
	at = memcpy(cells, call, sizeof(*call));
	memcpy(at + sizeof(*call), f->extra, words);
	if (f->tail_bytes != 0)
		memcpy(at + sizeof(*call) + words, f->tail, f->tail_bytes);
	if (moves_addresses(call->op))
		ph_put(s, cells, call->cells);
	else
		ph_put_timed(s, cells, call->cells, call->entry + call->duration);
}

/* ---- what a vfork's child became --------------------------------------- */

/* The child runs on this thread's memory while the thread sleeps. */
struct ph_spawned {
	int pid;
	uint32_t flags;
	uint64_t at;
	char path[PH_EXEC_PATH_MAX];
};
_Static_assert(sizeof(struct ph_spawned) <= PH_SPAWNED_ROOM, "fits where it is kept");

void ph_note_spawned(const char *path, uint32_t flags)
{
	struct ph_spawned *spawned = ph_stack_spawned(&ph_self);

	if (spawned == NULL)
		return;
	ph_self.spawned = path != NULL;
	if (path == NULL)
		return;
	spawned->pid = ph_confined ? 0 : sys_getpid();
	spawned->flags = flags;
	spawned->at = ph_now();
	ph_append(spawned->path, sizeof(spawned->path), 0, path);
}

static PH_COLD void put_spawned(struct ph_stream *s)
{
	const struct ph_spawned *spawned = ph_stack_spawned(&ph_self);
	struct ph_call_facts f = {.extra_count = 1};
	struct ph_call call = {.op = PH_OP_SPAWNED, .fd = -1};

	ph_self.spawned = false;
	if (spawned == NULL)
		return;
	f.tail = spawned->path;
	f.extra[0] = f.tail_bytes = strlen(spawned->path);
	call.entry = spawned->at;
	call.result = spawned->pid;
	call.arg = spawned->flags;
	put_facts(s, &call, &f);
}

void ph_call_begin_two(struct ph_call_state *c, unsigned op, int fd, int other, uintptr_t frame)
{
	struct ph_stream *s;

	*c = (struct ph_call_state){0};
	s = ph_enter(frame);
	if (s == NULL)
		return;
	if (unlikely(ph_self.spawned) && !ph_is_nested(s))
		put_spawned(s);
	if (fd >= 0)
		c->object = ph_object_of(s, fd);
	if (other >= 0)
		c->other = ph_object_of(s, other);
	if (unlikely(ph_config.events != EVERYTHING) && !wanted(op, fd, other)) {
		ph_leave(s);
		return;
	}
	atomic_store_explicit(&s->slot->call_fd, fd, memory_order_relaxed);
	atomic_store_explicit(&s->slot->call_op, op, memory_order_relaxed);
	c->generation = ph_process->generation;
	ph_leave(s);
	c->entry = ph_now();
}

/* The call's object; in the child of a fork that a handler made meanwhile it has another
 * number. */
static inline uint32_t object_of(const struct ph_call_state *c, struct ph_stream *s, int fd)
{
	if (likely(c->generation == ph_process->generation))
		return c->object;
	return fd >= 0 ? ph_object_of(s, fd) : 0;
}

void ph_call_end_with(const struct ph_call_state *c, const struct ph_call_facts *f, uintptr_t frame,
		      void *caller)
{
	struct ph_stream *s;
	struct ph_call call = {
		.op = (uint8_t)f->op,
		.fd = f->fd,
		.entry = c->entry,
		.result = outcome(f->result),
		.arg = f->arg,
	};

	if (c->entry == 0)
		return;
	call.duration = (c->exit != 0 ? c->exit : ph_now()) - c->entry;
	s = ph_enter(frame);
	if (s == NULL)
		return;
	call.object = object_of(c, s, f->fd);
	call.node = ph_stack_node(s, frame, caller);
	put_facts(s, &call, f);
	atomic_store_explicit(&s->slot->call_op, 0, memory_order_relaxed);
	ph_leave(s);
}

static inline uint32_t stack_of(struct ph_stream *s, uintptr_t frame, void *caller)
{
	struct ph_thread *t = &ph_self;
	const struct ph_walk_word *bad;
	uint32_t node = 0;

	if (unlikely(t->plain == PH_NOT_PLAIN) && !ph_is_nested(s))
		call_plain(t);
	if (likely(t->plain == ph_process->generation && !ph_is_nested(s) &&
		   frame - t->signal_stack >= t->signal_stack_bytes))
		node = ph_walk_same(t->walk, frame, caller, ph_modules_version(), &bad);
	return likely(node != 0) ? node : ph_stack_node(s, frame, caller);
}

/* Where the next `count` cells go, if they can be written where they are to stand: there
 * is room, in one piece, and nobody is to be woken. The stamp is ph_put_timed()'s; of
 * *stamp 0 there is no need. */
static inline struct ph_cell *in_place(const struct ph_stream *s, unsigned count, uint64_t ticks,
				       uint64_t *stamp)
{
	uint64_t word = atomic_load_explicit(s->now, memory_order_relaxed);
	uint64_t at = (s->next - s->first) & s->mask;

	if (unlikely(s->next + count + 1 > s->checkpoint || at + count > s->mask ||
		     (word & PH_CLOCK_ASLEEP)))
		return NULL;
	*stamp = word & PH_CLOCK_THREADS ? ticks & ~PH_CLOCK_FLAGS : word;
	*stamp = *stamp > s->clock ? *stamp : 0;
	return &s->cells[at];
}

void ph_call_end(const struct ph_call_state *c, unsigned op, int fd, int64_t result, int64_t arg,
		 const uint64_t *extra, unsigned extra_count, uintptr_t frame, void *caller)
{
	unsigned count = PH_CALL_CELLS + (extra_count + 1) / 2;
	uint64_t exit, stamp;
	struct ph_stream *s;
	struct ph_call call = {.result = outcome(result)};
	struct ph_cell *to = NULL;

	if (c->entry == 0)
		return;
	exit = c->exit != 0 ? c->exit : ph_now();
	s = ph_enter(frame);
	if (s == NULL)
		return;
	call.object = object_of(c, s, fd);
	call.node = stack_of(s, frame, caller);
	if (likely(!moves_addresses(op)))
		to = in_place(s, count, exit, &stamp);
	if (likely(to != NULL)) {
		struct ph_call *event;
		uint64_t *words;

		if (stamp != 0)
			*to++ = (struct ph_cell){.w0 = PH_OP_CLOCK, .w1 = stamp};
		to[count - 1].w1 = 0;
		event = (struct ph_call *)to;
		event->op = (uint8_t)op;
		event->flags = 0;
		event->cells = (uint16_t)count;
		event->fd = fd;
		event->object = call.object;
		event->node = call.node;
		event->entry = c->entry;
		event->duration = exit - c->entry;
		event->result = call.result;
		event->arg = arg;
		words = (uint64_t *)(to + PH_CALL_CELLS);
		for (unsigned i = 0; i < extra_count; i++)
			words[i] = extra[i];
		ph_commit(s, s->next + count + (stamp != 0));
		if (stamp != 0)
			s->clock = stamp;
	} else {
		struct ph_call_facts f = {.extra_count = extra_count};

		memcpy(f.extra, extra, extra_count * sizeof(*extra));
		call.op = (uint8_t)op;
		call.fd = fd;
		call.entry = c->entry;
		call.duration = exit - c->entry;
		call.arg = arg;
		put_facts(s, &call, &f);
	}
	atomic_store_explicit(&s->slot->call_op, 0, memory_order_relaxed);
	ph_leave(s);
}

void ph_note_end(int status)
{
	struct ph_stream *s = ph_enter(PH_FRAME());
	struct ph_segment *g = ph_process->segment;
	struct ph_call call = {
		.op = PH_OP_ENDED, .cells = PH_CALL_CELLS, .fd = -1, .result = status & 0xff};
	struct ph_cell cells[PH_CALL_CELLS];

	if (s == NULL)
		return;
	if (ph_self.spawned && !ph_is_nested(s))
		put_spawned(s);
	/* A child on our memory that we know nothing of: clone(CLONE_VM). */
	if (!ph_confined && sys_getpid() != g->pid) {
		ph_leave(s);
		return;
	}
	call.entry = ph_now();
	memcpy(cells, &call, sizeof(call));
	ph_put(s, cells, PH_CALL_CELLS);
	if (!ph_confined)
		sys2(SYS_prctl, PR_GET_NAME, s->slot->name);
	ph_leave(s);
	if (ph_stack_has_room(&ph_self))
		ph_unseen_end(g);
	/* A child's standard error may be its program's data file by now. */
	if (atomic_load_explicit(&g->trace_gone, memory_order_relaxed) && g->parent_pid == 0)
		ph_log("the trace ", g->trace,
		       " was removed with its folder while it was written: nothing is left of this "
		       "recording",
		       NULL);
	g->end_status = status & 0xff;
	g->end_ticks = call.entry;
	atomic_store_explicit(&g->ended, 1, memory_order_release);
	ph_wake_collector(ph_process->control);
}

/* ---- look-up ---------------------------------------------------------- */

void ph_quiet_begin(void)
{
	ph_self.in_malloc = PH_QUIET;
	signal_fence();
}

void ph_quiet_end(void)
{
	ph_memory_end();
}

void ph_resolve(void)
{
	uintptr_t outer = ph_self.in_malloc;

	ph_quiet_begin();
	ph_real_resolve();
	ph_self.in_malloc = outer;
}

void ph_record_flush_early(void)
{
	struct ph_stream *s = ph_enter(PH_FRAME());

	if (s == NULL)
		return;
	flush_early(s);
	ph_leave(s);
}
