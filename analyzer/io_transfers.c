/* SPDX-License-Identifier: MIT */
/* Bytes in and out, and where in their files. */
#include <aio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/io_parts.h"
#include "trace/format.h"

static bool is_socket(const struct replay_io *io, uint32_t sink)
{
	return io->sinks[sink].connection != 0;
}

/* IN, OUT, NS and CALLS of activity.h. */
static void note_activity(struct replay_io *io, const struct side *side, const int64_t values[4])
{
	const struct activity_key key = {
		.node = io->node,
		.thread = io->by,
		.thing = side->sink,
		.kind = is_socket(io, side->sink) ? ACTIVITY_SOCKET : ACTIVITY_FILE,
	};

	if (io->activity != NULL)
		activity_call(io->activity, &key, values, side->begin, side->begin + side->ns);
}

/* What the stack did; NULL: it does not count, or out of memory. */
static struct io_use *take_time(struct replay_io *io, const struct side *side, uint64_t bytes)
{
	struct io_sink *s = &io->sinks[side->sink];
	double end = side->begin + side->ns;
	struct io_use *use;

	if (io->quiet)
		return NULL;
	s->traffic.time_s += side->ns / 1e9;
	s->traffic.errors += side->result < 0;
	use = io_note_use(io, side, bytes);
	if (use != NULL)
		use->transfer_ns += side->ns;
	note_activity(io, side, (const int64_t[4]){0, 0, activity_ns(side->ns), 1});
	if (s->uses == 0 || side->begin < s->first_ns)
		s->first_ns = side->begin;
	if (s->uses++ == 0 || end > s->last_ns)
		s->last_ns = end;
	return use;
}

static void thread_time(struct replay_io *io, struct thread *thread, bool read,
			const struct side *side)
{
	*(is_socket(io, side->sink) ? &thread->network_s
	  : read		    ? &thread->reading_s
				    : &thread->writing_s) += side->ns / 1e9;
}

/* ---- where ------------------------------------------------------------------ */

static struct io_tracked *tracked(struct replay_io *io, uint32_t sink)
{
	struct io_sink *s = &io->sinks[sink];

	if (s->tracked != NULL)
		return s->tracked;
	s->tracked = calloc(1, sizeof(*s->tracked));
	if (s->tracked != NULL)
		s->tracked->access = arena_alloc(io->arena, sizeof(*s->tracked->access));
	if (s->tracked != NULL && s->tracked->access == NULL) {
		free(s->tracked);
		s->tracked = NULL;
	}
	io->failed |= s->tracked == NULL;
	return s->tracked;
}

void io_forget_ranges(struct replay_io *io, uint32_t sink)
{
	struct io_tracked *t = io->sinks[sink].tracked;

	if (t != NULL) {
		ranges_clear(&t->ranges[0]);
		ranges_clear(&t->ranges[1]);
	}
}

/* The offset that the call says, or where the open file stands, which then moves on. */
static uint64_t place_of(struct io_object *o, uint64_t said, uint64_t bytes)
{
	uint64_t at;

	if (said != UINT64_MAX)
		return said;
	if (o == NULL || !o->stands)
		return ACCESS_NOWHERE;
	at = o->position;
	o->position += bytes;
	return at;
}

/* False: out of memory. */
static bool note_rate(struct replay_io *io, struct io_tracked *t, bool read,
		      const struct side *side)
{
	if (io->quiet)
		return true;
	if (t->rates == NULL && (t->rates = buckets_small(FILE_SLICES)) == NULL) {
		io->failed = true;
		return false;
	}
	t->rates->origin_ns = io->file_bytes.origin_ns;
	buckets_spread(t->rates, !read, (uint64_t)side->result, side->begin,
		       side->begin + side->ns);
	return true;
}

/* Returns where; ACCESS_NOWHERE: at the end, or not known. */
static uint64_t note_access(struct replay_io *io, struct io_object *o, bool read, uint64_t said,
			    const struct side *side)
{
	struct io_tracked *t = tracked(io, side->sink);
	uint64_t bytes = (uint64_t)side->result;
	struct cursor none = {.set = false}, *cursor = o != NULL ? &o->cursors[!read] : &none;
	struct access uncounted = {0}, *a;

	if (t == NULL)
		return ACCESS_NOWHERE;
	a = read ? &t->access->read : &t->access->written;
	if (!note_rate(io, t, read, side))
		return ACCESS_NOWHERE;
	if (io->quiet)
		uncounted.again_unknown = a->again_unknown;
	if (!read && said == UINT64_MAX && o != NULL && o->append) {
		o->stands = false;
		access_note_append(io->quiet ? &uncounted : a, cursor, bytes);
		return ACCESS_NOWHERE;
	}
	said = place_of(o, said, bytes);
	if (o == NULL || o->class != PH_CLASS_FILE)
		said = ACCESS_NOWHERE;
	access_note(io->quiet ? &uncounted : a, cursor, &t->ranges[!read], said, bytes);
	if (io->quiet)
		a->again_unknown = uncounted.again_unknown;
	return said;
}

/* ---- time after time -------------------------------------------------------- */

/* NULL: out of memory. */
static struct habit_state *habits_of(struct replay_io *io, uint32_t sink)
{
	struct io_sink *s = &io->sinks[sink];

	if (s->habits == NULL && (s->habits = calloc(1, sizeof(*s->habits))) == NULL)
		io->failed = true;
	return s->habits;
}

static struct habit_call habit_call(const struct replay_io *io, const struct thread *thread,
				    const struct side *side, uint64_t bytes)
{
	return (struct habit_call){
		.thread = thread,
		.sink = side->sink,
		.node = io->node,
		.begin = side->begin,
		.ns = side->ns,
		.bytes = bytes,
	};
}

/* Datagrams cannot be put together. */
static bool is_stream(struct replay_io *io, uint32_t sink)
{
	const struct connection *c = io_connection_of(io, sink);

	return c == NULL || c->type == NULL || strcmp(c->type, "stream") == 0;
}

/* A thread of a pool is told of it by a client, or by another thread. */
static bool gives_work(const struct io_sink *s)
{
	return s->turns != NULL ? s->turns->side == TURNS_SERVER
				: s->path != NULL && strcmp(s->path, "anon_inode:[eventfd]") == 0;
}

static void note_habit(struct replay_io *io, const struct thread *thread, bool read, uint64_t place,
		       const struct side *side)
{
	const struct habit_call call = habit_call(io, thread, side, (uint64_t)side->result);
	const struct turns *turns = io->sinks[side->sink].turns;
	struct habit_state *s = io->sinks[side->sink].habits;
	bool asks = turns != NULL && turns->side == TURNS_CLIENT;

	/* What is only read has none: there may be many files. */
	if (!read)
		s = habits_of(io, side->sink);
	if (read && gives_work(&io->sinks[side->sink]))
		habits_got_work(&io->habits, thread);
	if (s == NULL)
		return;
	if (read)
		habits_interrupted(s);
	else if (is_stream(io, side->sink))
		habits_written(&io->habits, s, &call, place);
	if (asks && read)
		habits_answered(s, &call);
	else if (asks)
		habits_asked(&io->habits, s, &call);
}

void io_sought(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o = call->object != 0 ? io_get_object(io, call->object) : NULL;
	struct side side = io_side_of(io, call, io_sink_of(io, call));

	io_note_use(io, &side, 0);
	if (o == NULL || call->result < 0)
		return;
	o->stands = true;
	o->position = (uint64_t)call->result;
}

/* ---- how much ----------------------------------------------------------------- */

static void count_bytes(struct replay_io *io, struct thread *thread, bool read,
			const struct side *side)
{
	bool socket = is_socket(io, side->sink);
	struct buckets *b = socket ? &io->socket_bytes : &io->file_bytes;
	uint64_t bytes = (uint64_t)side->result;

	b->sums = true;
	buckets_spread(b, !read, bytes, side->begin, side->begin + side->ns);
	if (socket)
		*(read ? &thread->received_bytes : &thread->sent_bytes) += bytes;
	else
		*(read ? &thread->read_bytes : &thread->written_bytes) += bytes;
	note_activity(io, side,
		      (const int64_t[4]){read ? side->result : 0, read ? 0 : side->result, 0, 0});
}

static void count_transfer(struct replay_io *io, struct thread *thread, bool read,
			   const struct side *side)
{
	struct io_sink *s = &io->sinks[side->sink];
	struct traffic *t = &s->traffic;
	uint64_t bytes = side->result > 0 ? (uint64_t)side->result : 0;
	struct io_use *use = take_time(io, side, bytes);

	if (use != NULL)
		use->moved[!read] += bytes;
	*(read ? &t->read_calls : &t->write_calls) += 1;
	*(read ? &t->read_time_s : &t->write_time_s) += side->ns / 1e9;
	io->failed |= !latency_record(&s->latency, (uint64_t)side->ns);
	if (side->result < 0)
		return;
	*(read ? &t->read_bytes : &t->written_bytes) += bytes;
	count_bytes(io, thread, read, side);
}

static void take_bytes(struct replay_io *io, struct thread *thread, bool read, struct io_object *o,
		       uint64_t said, const struct side *side)
{
	uint64_t place = HABIT_NOWHERE;

	if (!io->quiet)
		count_transfer(io, thread, read, side);
	if (side->result <= 0)
		return;
	if (is_socket(io, side->sink))
		io_socket_moved(io, side, read);
	else
		place = note_access(io, o, read, said, side);
	if (!io->quiet)
		note_habit(io, thread, read, place, side);
}

static struct io_object *object_of(const struct replay_io *io, const struct ph_call *call)
{
	return call->object != 0 ? io_find_object(io, call->object) : NULL;
}

void io_transfer(struct replay_io *io, struct thread *thread, bool read, const struct ph_call *call)
{
	struct side side = io_side_of(io, call, io_sink_of(io, call));
	uint64_t said = call->cells > PH_CALL_CELLS ? io_extra(call, 0) : UINT64_MAX;

	take_bytes(io, thread, read, object_of(io, call), said, &side);
	thread_time(io, thread, read, &side);
	if (is_socket(io, side.sink))
		io_socket_used(io, &side, read, call);
}

/* Read from one and written to the other. The time is one, though both had it. */
void io_moved(struct replay_io *io, struct thread *thread, const struct ph_call *call)
{
	uint64_t to = io_extra(call, 0);
	const struct ph_call other = {.fd = (int32_t)(uint32_t)to, .object = (uint32_t)(to >> 32)};
	struct io_use *use;
	struct side side;
	uint32_t from_sink = 0;

	if (call->fd >= 0) {
		from_sink = io_sink_of(io, call);
		side = io_side_of(io, call, from_sink);
		take_bytes(io, thread, true, object_of(io, call), io_extra(call, 1), &side);
		if (other.fd < 0)
			thread_time(io, thread, true, &side);
	}
	if (other.fd < 0)
		return;
	side = io_side_of(io, call, io_sink_of(io, &other));
	take_bytes(io, thread, false, object_of(io, &other), io_extra(call, 2), &side);
	thread_time(io, thread, false, &side);
	if (from_sink == 0 || is_socket(io, from_sink) != is_socket(io, side.sink) || io->quiet)
		return;
	io->twice_s[is_socket(io, side.sink)] += side.ns / 1e9;
	use = io_use_of(io, side.sink);
	if (use != NULL)
		use->transfer_ns -= side.ns;
	note_activity(io, &side, (const int64_t[4]){0, 0, -activity_ns(side.ns), 0});
}

void io_synced(struct replay_io *io, struct thread *thread, bool sync, const struct ph_call *call)
{
	const struct side side = io_side_of(io, call, io_sink_of(io, call));
	const struct habit_call habit = habit_call(io, thread, &side, 0);
	struct traffic *t = &io->sinks[side.sink].traffic;
	struct habit_state *habits;
	struct io_tracked *tr;

	take_time(io, &side, 0);
	thread_time(io, thread, false, &side);
	if (!sync || io->quiet)
		return;
	t->sync_calls++;
	t->sync_time_s += side.ns / 1e9;
	tr = tracked(io, side.sink);
	io->failed |= tr == NULL || !latency_record(&tr->sync, (uint64_t)side.ns);
	habits = habits_of(io, side.sink);
	if (habits != NULL && side.result >= 0)
		habits_synced(&io->habits, habits, &habit);
}

static void count_request(struct replay_io *io, struct thread *thread, bool read,
			  const struct side *side, struct io_use *use)
{
	struct traffic *t = &io->sinks[side->sink].traffic;

	*(read ? &t->read_calls : &t->write_calls) += 1;
	if (side->result <= 0)
		return;
	use->moved[!read] += (uint64_t)side->result;
	*(read ? &t->read_bytes : &t->written_bytes) += (uint64_t)side->result;
	count_bytes(io, thread, read, side);
}

/* A request takes time in the program when it is made and when it is asked for; what it
 * moved counts then. How long it took is not known, and is no latency. */
void io_requested(struct replay_io *io, struct thread *thread, const struct ph_call *call,
		  bool returned)
{
	struct side side;
	uint64_t opcode = io_extra(call, 1);
	bool read = opcode == LIO_READ, moves = returned && (read || opcode == LIO_WRITE);
	struct io_use *use;

	if (call->fd < 0)
		return;
	side = io_side_of(io, call, io_sink_of(io, call));
	use = take_time(io, &side, moves && side.result > 0 ? (uint64_t)side.result : 0);
	thread_time(io, thread, read, &side);
	if (!moves)
		return;
	if (use != NULL)
		count_request(io, thread, read, &side, use);
	if (side.result > 0 && !is_socket(io, side.sink))
		note_access(io, object_of(io, call), read, io_extra(call, 0), &side);
}
