/* SPDX-License-Identifier: MIT */
#include "preload/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "preload/alone.h"
#include "preload/config.h"
#include "preload/log.h"
#include "preload/modules.h"
#include "preload/stack.h"
#include "preload/unseen.h"
#include "preload/unwind.h"

PH_TLS struct ph_thread ph_self = {.plain = PH_NOT_PLAIN};

_Atomic uint32_t ph_clock_kind;

_Atomic uint64_t ph_owners[1u << PH_OWNERS_BITS];

#define CELLS_LEAST	  (PH_RING_LEAST / sizeof(struct ph_cell))
#define RING_FIRST	  (512u << 10) /* that rings grow to where a full one makes its thread wait */
#define RING_FURTHER	  (128u << 10)
#define CHECK_EVERY	  128u	/* cells between looks at the clock */
#define CLOCK_GRAIN	  4096u /* ticks that the shared word may lag before a thread moves it */
#define NO_PROGRESS_NS	  INT64_C(2000000000)
#define NO_PROGRESS_TICKS UINT64_C(6000000000) /* likewise, where no clock can be asked */
#define RESERVED_SLOTS	  32		       /* for threads that begin under a seccomp filter */
#define RESERVED_CELLS	  4096u		       /* of each one's ring, 64 KiB */

/* ---- slots and rings ------------------------------------------------ */

/* Pop a slot that the collector gave back. The tag in the upper half changes
 * with every push, so that a slot popped and pushed meanwhile is noticed. */
static struct ph_slot *pop_free_slot(struct ph_segment *g)
{
	uint64_t seen = atomic_load_explicit(&g->free_slots, memory_order_acquire);

	while ((uint32_t)seen != 0) {
		struct ph_slot *slot = ph_slot_at(g, (uint32_t)seen - 1);
		uint64_t next = (seen & ~UINT64_C(0xffffffff)) | slot->next_free;

		if (atomic_compare_exchange_weak_explicit(&g->free_slots, &seen, next,
							  memory_order_acquire,
							  memory_order_acquire))
			return slot;
	}
	return NULL;
}

/* A stretch of the segment for a ring, its pages there. 0: none left. */
static uint64_t allocate_ring(struct ph_segment *g, uint64_t cells)
{
	uint64_t bytes = cells * sizeof(struct ph_cell);
	uint64_t at = atomic_load_explicit(&g->rings_used, memory_order_relaxed);

	do {
		if (g->rings_offset + at + bytes > g->rings_end)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&g->rings_used, &at, at + bytes, memory_order_relaxed, memory_order_relaxed));
	at += g->rings_offset;
	return ph_populate((char *)g + at, bytes) ? at : 0;
}

static struct ph_slot *new_slot(struct ph_segment *g, uint64_t cells)
{
	uint32_t used = atomic_load_explicit(&g->slots_used, memory_order_relaxed);
	struct ph_slot *slot;
	uint64_t ring;

	/* Everything is there before the slot counts: the collector reads all that
	 * do, and a page that could not be had would kill it. */
	if (used >= g->slot_count)
		return NULL;
	ring = allocate_ring(g, cells);
	if (ring == 0)
		return NULL;
	do {
		if (used >= g->slot_count || !ph_populate(ph_slot_at(g, used), sizeof(*slot)))
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&g->slots_used, &used, used + 1, memory_order_relaxed, memory_order_relaxed));
	slot = ph_slot_at(g, used);
	slot->rings[0] = (struct ph_ring){.offset = ring, .mask = cells - 1};
	return slot;
}

static void use_ring(struct ph_stream *s, const struct ph_ring *ring)
{
	s->cells = (struct ph_cell *)((char *)ph_process->segment + ring->offset);
	s->mask = ring->mask;
	s->first = ring->first;
	s->checkpoint = s->next; /* the next event looks afresh */
}

/* Where libc keeps a thread's number; 0: not known. It is not documented, so it is
 * looked for while the number is known. */
static size_t tid_offset;

static void find_tid_offset(void)
{
	const char *self = (const char *)pthread_self();
	uint32_t tid = (uint32_t)sys_gettid(), word;

	for (size_t at = 64; at < 1024 && tid_offset == 0; at += sizeof(word)) {
		memcpy(&word, self + at, sizeof(word));
		if (word == tid)
			tid_offset = at;
	}
}

static uint32_t own_tid(void)
{
	uint32_t tid = 0;

	if (!ph_confined)
		return (uint32_t)sys_gettid();
	if (tid_offset != 0)
		memcpy(&tid, (const char *)pthread_self() + tid_offset, sizeof(tid));
	return tid;
}

/* A clock of another thread of this process: clock_getcpuclockid(3). */
#define CLOCK_OF_THREAD(tid) ((int)(~(tid) << 3 | 6))

/* How long it was kept from running, nanoseconds; 0: not known. */
static uint64_t cpu_delay(struct ph_segment *g, uint32_t tid, bool ending)
{
	char text[64] = "/proc/self/task/";
	const char *at = text;
	uint64_t ns = 0;
	size_t n;
	long bytes;
	int fd;

	n = ph_append_number(text, sizeof(text), strlen(text), tid, 10);
	ph_append(text, sizeof(text), n, "/schedstat");
	fd = sys_open(text, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	bytes = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	if (bytes <= 0)
		return 0;
	/* Before the kernel's count is first looked at, it is no part of what is compared. */
	if (atomic_load_explicit(&g->io_begin.ticks, memory_order_relaxed) != 0) {
		atomic_fetch_add_explicit(&g->looked_bytes, (uint64_t)bytes, memory_order_relaxed);
		if (ending)
			atomic_fetch_add_explicit(&g->ended_bytes, (uint32_t)bytes,
						  memory_order_relaxed);
	}
	text[bytes] = '\0';
	/* The second number. */
	at += strcspn(at, " ");
	at += strspn(at, " ");
	for (; *at >= '0' && *at <= '9'; at++)
		ns = ns * 10 + (uint64_t)(*at - '0');
	return ns;
}

static void note_cpu(struct ph_slot *slot, bool ending)
{
	struct ph_segment *g = ph_process->segment;
	struct ph_cpu cpu = {.ran_ns = sys_clock_ns(CLOCK_OF_THREAD(slot->tid))};

	if (cpu.ran_ns == 0)
		return;
	cpu.delayed_ns = cpu_delay(g, slot->tid, ending);
	slot->cpu = cpu;
	slot->cpu_ticks = ph_clock_now(g->clock_kind);
}

/* A slot of its own for a stream. False: there is none. */
static bool attach(struct ph_stream *s, uint32_t nested_in)
{
	struct ph_segment *g = ph_process->segment;
	struct ph_slot *slot = pop_free_slot(g);

	if (slot == NULL)
		slot = new_slot(g, CELLS_LEAST);
	if (slot == NULL && g->alone && !ph_confined)
		slot = ph_alone_reclaim(g);
	if (slot == NULL)
		return false;
	memset(s, 0, sizeof(*s));
	slot->stream = atomic_fetch_add_explicit(&g->streams, 1, memory_order_relaxed) + 1;
	/* Without a collector nobody moves the shared word while nothing happens. */
	if (slot->stream > 1 || g->alone)
		atomic_fetch_or_explicit(&g->clock, PH_CLOCK_THREADS, memory_order_seq_cst);
	s->now = &g->clock;
	s->owner = slot->stream < PH_NOBODY && !g->alone ? slot->stream : PH_NOBODY;
	slot->tid = own_tid();
	slot->nested_in = nested_in;
	slot->started = ph_clock_now(g->clock_kind);
	slot->ended = 0;
	slot->cpu_started = slot->cpu = (struct ph_cpu){0, 0};
	slot->cpu_ticks = 0;
	if (nested_in == 0 && !ph_confined)
		slot->cpu_started.ran_ns = sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	/* Of any other, a fork's child included, it is nothing yet, or little. */
	if (slot->stream == 1 && g->parent_fork == 0 && !ph_confined)
		slot->cpu_started.delayed_ns = cpu_delay(g, slot->tid, false);
	slot->name[0] = '\0';
	atomic_store_explicit(&slot->ring_count, 1, memory_order_relaxed);
	s->slot = slot;
	use_ring(s, &slot->rings[0]);
	/* Pairs with the collector's acquire: an active slot's fields are complete. */
	atomic_store_explicit(&slot->state, PH_SLOT_ACTIVE, memory_order_release);
	return true;
}

/* ---- room ----------------------------------------------------------- */

static uint64_t room_left(const struct ph_stream *s)
{
	/* Pairs with the collector's release: it has done with cells before tail. */
	uint64_t tail = atomic_load_explicit(&s->slot->tail, memory_order_acquire);
	uint64_t oldest = tail > s->first ? tail : s->first;

	return s->mask + 1 - (s->next - oldest);
}

/* The first thread has most to do in most programs, and is one. */
static uint64_t cells_most(const struct ph_stream *s)
{
	uint64_t bytes = ph_config.ring_bytes;

	if (bytes == 0 && ph_config.overflow == PH_OVERFLOW_DROP)
		bytes = PH_RING_MOST;
	if (bytes == 0)
		bytes = s->slot->stream == 1 ? RING_FIRST : RING_FURTHER;
	return bytes / sizeof(struct ph_cell);
}

/* Go on in a larger ring; the collector empties the old one first. */
static bool grow(struct ph_stream *s, uint64_t most)
{
	struct ph_slot *slot = s->slot;
	uint32_t count = atomic_load_explicit(&slot->ring_count, memory_order_relaxed);
	uint64_t cells = (s->mask + 1) * 8 < most ? (s->mask + 1) * 8 : most;
	uint64_t offset;

	if (cells <= s->mask + 1 || count >= PH_RING_GROWTHS)
		return false;
	offset = allocate_ring(ph_process->segment, cells);
	if (offset == 0)
		return false;
	slot->rings[count] =
		(struct ph_ring){.offset = offset, .first = s->next, .mask = cells - 1};
	atomic_store_explicit(&slot->ring_count, count + 1, memory_order_release);
	use_ring(s, &slot->rings[count]);
	return true;
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__asm__ volatile("pause");
#endif
}

/* The same without a system call. The collector looks every few milliseconds. */
static bool spin_for_room(struct ph_stream *s, unsigned cells)
{
	uint32_t clock = ph_process->segment->clock_kind;
	uint64_t began = ph_clock_now(clock), now = began;
	bool room = false;

	while (!room && now - began < NO_PROGRESS_TICKS) {
		relax();
		room = room_left(s) >= cells;
		now = ph_clock_now(clock);
	}
	atomic_fetch_add_explicit(&s->slot->stalled, now - began, memory_order_relaxed);
	return room;
}

/* Sleep until the collector has made room. False after 2 s without any. */
static bool wait_for_room(struct ph_stream *s, unsigned cells)
{
	struct ph_process *p = ph_process;
	struct ph_slot *slot = s->slot;
	uint64_t began = ph_confined ? 0 : sys_clock_ns(CLOCK_MONOTONIC);
	uint64_t ticks = ph_clock_now(p->segment->clock_kind);
	bool room = false;

	if (ph_confined)
		return spin_for_room(s, cells);
	for (;;) {
		uint64_t tail = atomic_load_explicit(&slot->tail, memory_order_acquire);

		/* Another thread may have had a filter installed for all. */
		if (ph_confined)
			return spin_for_room(s, cells);
		room = room_left(s) >= cells;
		if (room || sys_clock_ns(CLOCK_MONOTONIC) - began > (uint64_t)NO_PROGRESS_NS)
			break;
		/* Pairs with the collector's exchange after it moved tail: one of
		 * the two sees the other's store. */
		atomic_store_explicit(&slot->waiting, 1, memory_order_seq_cst);
		ph_wake_collector(p->control);
		if (atomic_load_explicit(&slot->tail, memory_order_seq_cst) == tail)
			sys_futex_wait(&slot->tail, (uint32_t)tail, 20000000);
	}
	atomic_fetch_add_explicit(&slot->stalled, ph_clock_now(p->segment->clock_kind) - ticks,
				  memory_order_relaxed);
	return room;
}

static void count_lost(struct ph_stream *s)
{
	if (s->dropping++ == 0)
		s->dropping_since = ph_clock_now(ph_process->segment->clock_kind);
	atomic_fetch_add_explicit(&s->slot->lost, 1, memory_order_relaxed);
}

/* After a loss, and with room again: say how much and when. */
static void put_loss(struct ph_stream *s)
{
	struct ph_call loss = {
		.op = PH_OP_LOST,
		.cells = PH_CALL_CELLS,
		.fd = -1,
		.entry = s->dropping_since,
		.duration = ph_clock_now(ph_process->segment->clock_kind) - s->dropping_since,
		.arg = (int64_t)s->dropping,
	};
	struct ph_cell cells[PH_CALL_CELLS];

	memcpy(cells, &loss, sizeof(loss));
	for (unsigned i = 0; i < PH_CALL_CELLS; i++)
		ph_store_cell(s, s->next + i, cells[i]);
	s->next += PH_CALL_CELLS;
	s->dropping = 0;
}

/* Nobody will ever drain: the trace was refused, or is closed. */
static bool given_up(const struct ph_segment *g)
{
	uint32_t collector = atomic_load_explicit(&g->collector, memory_order_relaxed);

	if (collector != PH_COLLECTOR_REFUSED && collector != PH_COLLECTOR_GONE)
		return false;
	ph_process_off();
	return true;
}

static bool have_room(struct ph_stream *s, unsigned cells)
{
	const struct ph_segment *g = ph_process->segment;

	while (room_left(s) < cells) {
		if (grow(s, cells_most(s)))
			continue;
		/* A ring that has turned to drop waits no more until there is room. */
		if (given_up(g))
			return false;
		/* On a full disk, not at every event: each try costs two system calls. */
		if (g->alone && !ph_confined && (s->dropping & (s->dropping - 1)) == 0 &&
		    ph_alone_spill(ph_process->segment, s->slot, !ph_is_nested(s)))
			continue;
		if (g->alone || g->overflow == PH_OVERFLOW_DROP || s->dropping != 0 ||
		    !wait_for_room(s, cells))
			return false;
	}
	return true;
}

/* The shared word is moved on by whoever finds it lagging; the collector moves it
 * too, and lets it sleep while nothing happens. */
static void move_clock(struct ph_segment *g)
{
	uint64_t seen = atomic_load_explicit(&g->clock, memory_order_relaxed);
	uint64_t now = ph_clock_now(g->clock_kind);

	if ((seen & PH_CLOCK_ASLEEP) == 0 && now >= seen + CLOCK_GRAIN)
		ph_clock_advance(&g->clock, now);
}

uint64_t ph_wake_clock(void)
{
	struct ph_process *p = ph_process;

	ph_wake_collector(p->control);
	return ph_clock_advance(&p->segment->clock, ph_clock_now(p->segment->clock_kind));
}

static PH_COLD bool make_room(struct ph_stream *s, unsigned cells)
{
	uint64_t room;

	/* Room for what was lost as well, to be said first. */
	if (!have_room(s, cells + PH_CALL_CELLS)) {
		count_lost(s);
		return false;
	}
	if (s->dropping != 0)
		put_loss(s);
	move_clock(ph_process->segment);
	room = room_left(s);
	/* Not again before it can have done something about it. */
	if (room < (s->mask + 1) / 2 && s->next - s->rung >= (s->mask + 1) / 4) {
		s->rung = s->next;
		ph_wake_collector(ph_process->control);
	}
	s->checkpoint = s->next + (room < CHECK_EVERY ? room : CHECK_EVERY);
	if (s->checkpoint < s->next + cells)
		s->checkpoint = s->next + cells;
	return true;
}

/* ---- putting --------------------------------------------------------- */

static void put(struct ph_stream *s, const struct ph_cell *cells, unsigned count, uint64_t stamp)
{
	uint64_t at;

	/* One more: a CLOCK cell may come first. */
	if (unlikely(s->next + count + 1 > s->checkpoint) && !make_room(s, count + 1))
		return;
	at = s->next;
	/* A stream's stamps do not go back. */
	if (stamp > s->clock)
		ph_store_cell(s, at++, (struct ph_cell){.w0 = PH_OP_CLOCK, .w1 = stamp});
	else
		stamp = s->clock;
	for (unsigned i = 0; i < count; i++)
		ph_store_cell(s, at++, cells[i]);
	ph_commit(s, at);
	s->clock = stamp;
}

static inline uint64_t shared_stamp(uint64_t word)
{
	return unlikely(word & PH_CLOCK_ASLEEP) ? ph_wake_clock() : word & ~PH_CLOCK_FLAGS;
}

static inline uint64_t own_stamp(void)
{
	return ph_clock_now_ordered(ph_process->segment->clock_kind) & ~PH_CLOCK_FLAGS;
}

void ph_put(struct ph_stream *s, const struct ph_cell *cells, unsigned count)
{
	uint64_t word = atomic_load_explicit(s->now, memory_order_relaxed);
	uint64_t stamp = shared_stamp(word);

	put(s, cells, count, word & PH_CLOCK_THREADS ? own_stamp() : stamp);
}

void ph_put_timed(struct ph_stream *s, const struct ph_cell *cells, unsigned count, uint64_t ticks)
{
	uint64_t word = atomic_load_explicit(s->now, memory_order_relaxed);
	uint64_t stamp = shared_stamp(word);

	put(s, cells, count, word & PH_CLOCK_THREADS ? ticks & ~PH_CLOCK_FLAGS : stamp);
}

void ph_put_at(struct ph_stream *s, const struct ph_cell *cells, unsigned count, uint64_t address)
{
	uint64_t word = atomic_load_explicit(s->now, memory_order_relaxed);
	uint64_t stamp = shared_stamp(word);

	if (word & PH_CLOCK_THREADS) {
		_Atomic uint64_t *owner = ph_owner_of(address);
		uint64_t mine = address << 16 | s->owner;

		if (s->owner == PH_NOBODY || address >> 48 != 0 ||
		    atomic_load_explicit(owner, memory_order_relaxed) != mine) {
			stamp = own_stamp();
			if (s->owner != PH_NOBODY && address >> 48 == 0)
				atomic_store_explicit(owner, mine, memory_order_relaxed);
		}
	}
	put(s, cells, count, stamp);
}

/* ---- entering ------------------------------------------------------- */

static bool on_signal_stack(void)
{
	const struct ph_thread *t = &ph_self;
	stack_t here;

	if (ph_confined)
		return PH_FRAME() - t->signal_stack < t->signal_stack_bytes;
	return sys2(SYS_sigaltstack, NULL, &here) == 0 && (here.ss_flags & SS_ONSTACK) != 0;
}

/* Is the hook that set `guard` dead? See the head of thread.h. */
static bool is_stale(uintptr_t guard, uintptr_t frame)
{
	return frame >= guard && !on_signal_stack();
}

/* After a vfork: still the child on our memory, or the parent again? */
static bool still_suspended(struct ph_thread *t)
{
	if (!ph_confined && sys_getpid() != ph_process->segment->pid)
		return true;
	t->generation = t->suspended;
	t->suspended = 0;
	t->confined_child = false;
	return false;
}

static struct ph_stream *enter_nested(struct ph_thread *t, uintptr_t frame)
{
	if (t->nested_guard != 0 && !is_stale(t->nested_guard, frame)) {
		atomic_fetch_add_explicit(&ph_process->segment->nested_lost, 1,
					  memory_order_relaxed);
		return NULL;
	}
	t->nested_guard = frame;
	signal_fence();
	if (t->nested.slot == NULL && !attach(&t->nested, t->own.slot->stream)) {
		t->nested_guard = 0;
		atomic_fetch_add_explicit(&ph_process->segment->nested_lost, 1,
					  memory_order_relaxed);
		return NULL;
	}
	return &t->nested;
}

/* This thread's first event in this process. */
static struct ph_stream *enter_first(struct ph_thread *t, uintptr_t frame)
{
	const struct ph_thread before = *t;

	if (before.put_back)
		ph_stack_wipe(t);

	ph_modules_begin();
	atomic_store_explicit(&ph_clock_kind, ph_process->segment->clock_kind,
			      memory_order_relaxed);
	/* Half made states are never seen: a handler that comes meanwhile finds the
	 * guard set and no slot, and passes through. */
	*t = (struct ph_thread){.plain = PH_NOT_PLAIN, .guard = frame};
	t->in_malloc = before.in_malloc;
	t->signal_stack = before.signal_stack;
	t->signal_stack_bytes = before.signal_stack_bytes;
	signal_fence();
	if (!attach(&t->own, 0)) {
		t->refused = ph_process->generation;
		t->guard = 0;
		atomic_fetch_add_explicit(&ph_process->segment->unslotted_lost, 1,
					  memory_order_relaxed);
		return NULL;
	}
	t->kept = ph_stack_of_slot((uint32_t)(t->own.slot - ph_slot_at(ph_process->segment, 0)));
	t->walk = ph_stack_walk(t->kept);
	ph_stack_forget(t);
	if (t->own.slot->stream == 1 && ph_process->segment->parent_pid != 0)
		ph_unwind_flush(); /* a fork may have come amid another thread's unwinding */
	signal_fence();
	t->generation = ph_process->generation;
	return &t->own;
}

static struct ph_stream *enter(uintptr_t frame)
{
	struct ph_thread *t = &ph_self;

	/* A fork out of a handler that interrupted a hook: that one comes first. */
	if (ph_process->generation == 0 && t->guard != 0 && !is_stale(t->guard, frame))
		return NULL;
	if (ph_process->generation <= PH_OFF && !ph_process_start())
		return NULL;
	if (t->suspended != 0 && t->suspended == ph_process->generation && still_suspended(t))
		return NULL;
	if (t->refused == ph_process->generation) {
		atomic_fetch_add_explicit(&ph_process->segment->unslotted_lost, 1,
					  memory_order_relaxed);
		return NULL;
	}
	if (t->shared == ph_process->generation &&
	    (ph_confined || (uint32_t)sys_gettid() != t->own.slot->tid)) {
		atomic_fetch_add_explicit(&ph_process->segment->unslotted_lost, 1,
					  memory_order_relaxed);
		return NULL;
	}
	if (t->generation != ph_process->generation && t->shared != ph_process->generation) {
		if (t->guard != 0 && !is_stale(t->guard, frame)) {
			/* A handler inside enter_first(). */
			atomic_fetch_add_explicit(&ph_process->segment->nested_lost, 1,
						  memory_order_relaxed);
			return NULL;
		}
		return enter_first(t, frame);
	}
	if (t->guard != 0) {
		if (!is_stale(t->guard, frame))
			return enter_nested(t, frame);
		ph_stack_forget(t);
	}
	t->guard = frame;
	t->nested_guard = 0; /* whatever ran inside the hook that is dead is dead too */
	signal_fence();
	return &t->own;
}

struct ph_stream *ph_enter_slow(uintptr_t frame)
{
	int saved = errno;
	struct ph_stream *s = enter(frame);

	errno = saved;
	return s;
}

void ph_suspend_for_vfork(void)
{
	struct ph_thread *t = &ph_self;

	/* Under a seccomp filter nobody can be asked who he is: the child's few events
	 * count as this thread's, which sleeps meanwhile. */
	if (ph_confined)
		return;
	if (t->generation <= PH_OFF || t->generation != ph_process->generation)
		return;
	t->suspended = t->generation;
	signal_fence();
	t->plain = PH_NOT_PLAIN;
	t->generation = 0;
}

bool ph_is_vfork_child(void)
{
	struct ph_thread *t = &ph_self;

	return t->suspended != 0 && t->suspended == ph_process->generation && still_suspended(t);
}

void ph_share_with_child(void)
{
	struct ph_thread *t = &ph_self;

	if (t->generation <= PH_OFF || t->generation != ph_process->generation)
		return;
	t->shared = t->generation;
	signal_fence();
	t->plain = PH_NOT_PLAIN;
	t->generation = 0; /* so that each event comes by ph_enter_slow() */
}

void ph_threads_reserve(void)
{
	struct ph_segment *g = ph_process->segment;

	if (ph_process->generation <= PH_OFF)
		return;
	find_tid_offset();
	for (unsigned i = 0; i < RESERVED_SLOTS; i++) {
		struct ph_slot *slot = new_slot(g, RESERVED_CELLS);

		if (slot == NULL)
			break;
		ph_push_free_slot(g, slot, (uint32_t)(slot - ph_slot_at(g, 0)));
	}
	/* Nobody will be called then: it is seldom looked after. */
	while (ph_self.own.slot != NULL &&
	       grow(&ph_self.own, PH_RING_MOST / sizeof(struct ph_cell)))
		;
	ph_stack_reserve(atomic_load(&g->slots_used));
}

/* ---- beginning and end ---------------------------------------------- */

static void put_thread_event(struct ph_stream *s, unsigned op)
{
	struct ph_call call = {
		.op = (uint8_t)op,
		.cells = PH_CALL_CELLS,
		.fd = -1,
		.entry = ph_clock_now(ph_process->segment->clock_kind),
		.result = s->slot->tid,
		.arg = (int64_t)pthread_self(),
	};
	struct ph_cell cells[PH_CALL_CELLS];

	memcpy(cells, &call, sizeof(call));
	ph_put(s, cells, PH_CALL_CELLS);
}

void ph_thread_started(void)
{
	struct ph_stream *s = ph_enter(PH_FRAME());

	if (s == NULL)
		return;
	put_thread_event(s, PH_OP_THREAD_START);
	if (ph_unwind_allocates_outside)
		ph_stack_node(s, 0, PH_CALLER());
	ph_leave(s);
}

void ph_threads_ending(void)
{
	struct ph_segment *g = ph_process->segment;
	uint32_t used;

	/* A child on our memory has threads of its own. */
	if (ph_process->generation <= PH_OFF || ph_confined || ph_unseen_filtered() ||
	    sys_getpid() != g->pid)
		return;
	used = atomic_load_explicit(&g->slots_used, memory_order_acquire);
	for (uint32_t i = 0; i < used && i < g->slot_count; i++) {
		struct ph_slot *slot = ph_slot_at(g, i);

		if (atomic_load_explicit(&slot->state, memory_order_acquire) == PH_SLOT_ACTIVE &&
		    slot->nested_in == 0)
			note_cpu(slot, false);
	}
}

void ph_thread_ending(void)
{
	struct ph_stream *s = ph_enter(PH_FRAME());

	if (s == NULL)
		return;
	put_thread_event(s, PH_OP_THREAD_END);
	ph_leave(s);
	if (!ph_is_nested(s) && !ph_confined && !ph_unseen_filtered())
		note_cpu(s->slot, true);
	if (!ph_confined)
		sys2(SYS_prctl, PR_GET_NAME, s->slot->name);
	s->slot->ended = ph_clock_now(ph_process->segment->clock_kind);
	/* More may follow: thread-local destructors, libc's own. The collector gives
	 * the slot away only once the thread is gone. */
	atomic_store_explicit(&s->slot->state, PH_SLOT_ENDING, memory_order_release);
	if (ph_self.nested.slot != NULL)
		atomic_store_explicit(&ph_self.nested.slot->state, PH_SLOT_ENDING,
				      memory_order_release);
}
