/* SPDX-License-Identifier: MIT */
#include "analyzer/io.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/latency.h"
#include "analyzer/sockaddr.h"
#include "analyzer/vector.h"
#include "trace/format.h"

struct io_sink {
	struct traffic traffic;
	struct recorder latency;
	double first_ns, last_ns; /* of its calls */
	uint64_t uses;		  /* calls that it had a part in */
	uint64_t opens;
	const char *path;    /* NULL: not known */
	int32_t fd;	     /* one that it was used by */
	uint32_t into;	     /* place + 1 of the sink that it was found to be */
	uint32_t connection; /* place + 1; 0: no socket */
	double connect_began;
	uint32_t top_node;
	uint64_t top_ns;
};

struct io_object {
	uint32_t number, sink;
	uint32_t references;
	uint8_t class;
	bool described;
};

static uint32_t new_sink(struct replay_io *io, int32_t fd)
{
	uint32_t spare = io->spare_sink;

	if (spare != 0) {
		io->spare_sink = io->sinks[spare].into;
		io->sinks[spare] = (struct io_sink){.fd = fd, .connect_began = NAN};
		return spare;
	}
	if (io->sink_count >= UINT32_MAX - 1 ||
	    !vector_reserve(io->sinks, io->sink_room, io->sink_count + 1)) {
		io->failed = true;
		return 0;
	}
	io->sinks[io->sink_count] = (struct io_sink){.fd = fd, .connect_began = NAN};
	return (uint32_t)io->sink_count++;
}

static uint32_t path_sink(struct replay_io *io, const char *path)
{
	uint64_t hash = map_hash_bytes(path, strlen(path));
	size_t at = SIZE_MAX;
	uint32_t place, sink;

	while ((place = index_find(&io->sink_by_path, hash, &at)) != 0) {
		if (strcmp(io->sinks[place - 1].path, path) == 0)
			return place - 1;
	}
	sink = new_sink(io, -1);
	io->sinks[sink].path = arena_copy(io->arena, path, strlen(path));
	io->failed |= !index_insert(&io->sink_by_path, hash, sink + 1);
	return sink;
}

static uint32_t fd_sink(struct replay_io *io, int32_t fd)
{
	uint32_t place = (uint32_t)map_get(&io->sink_by_fd, (uint32_t)fd);

	if (place == 0) {
		place = new_sink(io, fd) + 1;
		io->failed |= !map_put(&io->sink_by_fd, (uint32_t)fd, place);
	}
	return place - 1;
}

static struct io_object *find_object(const struct replay_io *io, uint32_t number)
{
	size_t place = map_get(&io->object_by_number, number);

	return place ? &io->objects[place - 1] : NULL;
}

/* NULL: out of memory. */
static struct io_object *get_object(struct replay_io *io, uint32_t number)
{
	struct io_object *o = find_object(io, number);
	size_t place = io->object_count;

	if (o != NULL)
		return o;
	if (!vector_reserve(io->objects, io->object_room, place + 1) ||
	    !map_put(&io->object_by_number, number, place + 1)) {
		io->failed = true;
		return NULL;
	}
	io->objects[place] = (struct io_object){.number = number, .references = 1};
	io->object_count++;
	return &io->objects[place];
}

static void put_fd(struct replay_io *io, int32_t fd, uint32_t number)
{
	io->failed |= !map_put(&io->object_by_fd, (uint32_t)fd, number);
}

/* Files get theirs by name; what is used before it has one, and sockets, have
 * their own. */
static uint32_t object_sink(struct replay_io *io, struct io_object *o, int32_t fd)
{
	if (o->sink == 0)
		o->sink = new_sink(io, fd);
	return o->sink;
}

static uint32_t sink_of(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o;

	if (call->object == 0)
		return fd_sink(io, call->fd);
	o = get_object(io, call->object);
	return o ? object_sink(io, o, call->fd) : 0;
}

static struct connection *connection_of(struct replay_io *io, uint32_t sink)
{
	uint32_t place = io->sinks[sink].connection;

	return place ? &io->connections[place - 1] : NULL;
}

static uint64_t extra_word(const struct ph_call *call, size_t n)
{
	uint64_t word;

	if ((size_t)(call->cells - PH_CALL_CELLS) * 2 <= n || call->cells <= PH_CALL_CELLS)
		return 0;
	memcpy(&word, (const uint8_t *)(call + 1) + n * sizeof(word), sizeof(word));
	return word;
}

bool io_knows(const struct replay_io *io, const struct ph_call *call)
{
	return call->object == 0 || find_object(io, call->object) != NULL;
}

bool io_knows_other(const struct replay_io *io, const struct ph_call *call, uint32_t *object)
{
	*object = (uint32_t)(extra_word(call, 0) >> 32);
	return *object == 0 || find_object(io, *object) != NULL;
}

/* The last reference is gone. Only so many closed objects are remembered: what
 * replaces the one forgotten takes its place. */
static void object_closed(struct replay_io *io, struct io_object *o, double ns)
{
	struct connection *c = connection_of(io, o->sink);
	uint32_t *slot = &io->closed[io->closed_count++ % IO_CLOSED_MAX];
	uint32_t number = o->number;
	struct io_object *old = find_object(io, *slot), *last;

	if (c != NULL) {
		c->closed_at_s = ns / 1e9;
		if (c->closed_by == NULL && c->type != NULL && strcmp(c->type, "stream") == 0 &&
		    !c->listening && c->connect_errno == 0)
			c->closed_by = "local";
	}
	if (*slot != 0 && old != NULL && old->references == 0 && *slot != number) {
		last = &io->objects[--io->object_count];
		map_put(&io->object_by_number, old->number, 0);
		if (last != old) {
			*old = *last;
			map_put(&io->object_by_number, old->number,
				(uint64_t)(old - io->objects) + 1);
		}
	}
	*slot = number;
}

static void drop_reference(struct replay_io *io, uint32_t number, double ns)
{
	struct io_object *o = number ? find_object(io, number) : NULL;

	if (o != NULL && o->references != 0 && --o->references == 0)
		object_closed(io, o, ns);
}

/* What PH_OP_OBJECT tells. */

struct description {
	struct ph_object head;
	const uint8_t *name, *local, *peer;
};

static bool read_description(const struct ph_call *call, struct description *d)
{
	size_t room = (size_t)(call->cells - PH_CALL_CELLS) * sizeof(struct ph_cell);
	const uint8_t *at = (const uint8_t *)(call + 1);

	if (call->cells <= PH_CALL_CELLS)
		return false;
	memcpy(&d->head, at, sizeof(d->head));
	d->name = at + sizeof(d->head);
	d->local = d->name + d->head.name_bytes;
	d->peer = d->local + d->head.local_bytes;
	return sizeof(d->head) + d->head.name_bytes + d->head.local_bytes + d->head.peer_bytes <=
	       room;
}

static const char *origin_text(unsigned origin)
{
	static const char *const texts[] = {
		[PH_ORIGIN_INHERITED] = "inherited",   [PH_ORIGIN_OPENED] = NULL,
		[PH_ORIGIN_CONNECT] = "connect",       [PH_ORIGIN_ACCEPT] = "accept",
		[PH_ORIGIN_SOCKETPAIR] = "socketpair", [PH_ORIGIN_PASSED] = "inherited",
	};

	return origin < sizeof(texts) / sizeof(texts[0]) ? texts[origin] : NULL;
}

static struct connection *new_connection(struct replay_io *io, uint32_t sink,
					 const struct ph_call *call, unsigned origin)
{
	struct connection *c;

	if (!vector_reserve(io->connections, io->connection_room, io->connection_count + 1)) {
		io->failed = true;
		return NULL;
	}
	c = &io->connections[io->connection_count++];
	*c = (struct connection){
		.fd = call->fd,
		.opened_by = origin_text(origin),
		.opened_at_s = clock_s(io->clock, call->entry),
		.closed_at_s = NAN,
		.connect_s = NAN,
	};
	io->sinks[sink].connection = (uint32_t)io->connection_count;
	return c;
}

static void describe_socket(struct replay_io *io, struct io_object *o, const struct ph_call *call,
			    const struct description *d)
{
	struct connection *c = connection_of(io, object_sink(io, o, call->fd));
	const char *text;

	if (c == NULL)
		c = new_connection(io, o->sink, call, d->head.origin);
	if (c == NULL)
		return;
	if ((text = sockaddr_text(io->arena, d->local, d->head.local_bytes)) != NULL)
		c->local = text;
	if ((text = sockaddr_text(io->arena, d->peer, d->head.peer_bytes)) != NULL) {
		c->peer = text;
		c->peers = 1;
	}
	if ((text = sockaddr_family(d->head.family)) != NULL)
		c->family = text;
	if ((text = sockaddr_type(d->head.type)) != NULL)
		c->type = text;
	if (c->opened_by == NULL)
		c->opened_by = origin_text(d->head.origin);
}

/* What was summed up before the name was known goes where the name leads. */
static void name_object(struct replay_io *io, struct io_object *o, const struct description *d)
{
	char name[UINT16_MAX + 1];
	uint32_t sink, before = o->sink;

	memcpy(name, d->name, d->head.name_bytes);
	name[d->head.name_bytes] = '\0';
	if (name[0] == '\0')
		return;
	sink = path_sink(io, name);
	o->sink = sink;
	if (before == 0 || io->sinks[before].path != NULL)
		return;
	if (io->sinks[before].uses != 0) {
		io->sinks[before].into = sink + 1;
		return;
	}
	/* Only opened so far: so that opens take no memory, it can be used again. */
	io->sinks[sink].opens += io->sinks[before].opens;
	io->sinks[before] = (struct io_sink){.into = io->spare_sink};
	io->spare_sink = before;
}

void io_describe(struct replay_io *io, const struct ph_call *call)
{
	struct description d;
	struct io_object *o;

	if (call->object == 0 || !read_description(call, &d))
		return;
	o = get_object(io, call->object);
	if (o == NULL)
		return;
	/* It cannot become another kind of thing. */
	if (o->described && o->class != d.head.class)
		return;
	if (!o->described && call->fd >= 0 && o->references != 0)
		put_fd(io, call->fd, call->object);
	o->described = true;
	o->class = d.head.class;
	if (o->class == PH_CLASS_SOCKET)
		describe_socket(io, o, call, &d);
	else
		name_object(io, o, &d);
}

/* Calls. */

static void count_bytes(struct replay_io *io, struct thread *thread, bool socket, bool read,
			uint64_t bytes, double begin_ns, double end_ns)
{
	struct buckets *b = socket ? &io->socket_bytes : &io->file_bytes;

	b->sums = true;
	buckets_spread(b, !read, bytes, begin_ns, end_ns);
	if (socket)
		*(read ? &thread->received_bytes : &thread->sent_bytes) += bytes;
	else
		*(read ? &thread->read_bytes : &thread->written_bytes) += bytes;
}

/* What a call means to one of the things it is about. */
struct side {
	uint32_t sink, node;
	double begin, ns;
	int64_t result;
};

static bool is_socket(const struct replay_io *io, uint32_t sink)
{
	return io->sinks[sink].connection != 0;
}

static void take_time(struct replay_io *io, const struct side *side)
{
	struct io_sink *s = &io->sinks[side->sink];
	double end = side->begin + side->ns;

	s->traffic.time_s += side->ns / 1e9;
	s->traffic.errors += side->result < 0;
	io->failed |= !map_add(&io->node_ns, (uint64_t)side->sink << 32 | side->node,
			       side->ns < 1 ? 1 : (uint64_t)side->ns);
	if (s->uses == 0 || side->begin < s->first_ns)
		s->first_ns = side->begin;
	if (s->uses++ == 0 || end > s->last_ns)
		s->last_ns = end;
}

static void take_bytes(struct replay_io *io, struct thread *thread, bool read,
		       const struct side *side)
{
	struct io_sink *s = &io->sinks[side->sink];
	struct traffic *t = &s->traffic;

	take_time(io, side);
	*(read ? &t->read_calls : &t->write_calls) += 1;
	*(read ? &t->read_time_s : &t->write_time_s) += side->ns / 1e9;
	io->failed |= !latency_record(&s->latency, (uint64_t)side->ns);
	if (side->result < 0)
		return;
	*(read ? &t->read_bytes : &t->written_bytes) += (uint64_t)side->result;
	count_bytes(io, thread, is_socket(io, side->sink), read, (uint64_t)side->result,
		    side->begin, side->begin + side->ns);
}

static struct side side_of(struct replay_io *io, const struct ph_call *call, uint32_t sink)
{
	return (struct side){
		.sink = sink,
		.node = io->node,
		.begin = clock_ns(io->clock, call->entry),
		.ns = clock_span_ns(io->clock, call->entry, call->duration),
		.result = call->result,
	};
}

static void thread_time(struct replay_io *io, struct thread *thread, bool read,
			const struct side *side)
{
	*(is_socket(io, side->sink) ? &thread->network_s
	  : read		    ? &thread->reading_s
				    : &thread->writing_s) += side->ns / 1e9;
}

/* Whose datagram it was, or is to be: of an unconnected socket nobody else knows. */
static void note_peer(struct replay_io *io, struct connection *c, const struct ph_call *call)
{
	const size_t words = 2 * sizeof(uint64_t);
	size_t room = (size_t)(call->cells - PH_CALL_CELLS) * sizeof(struct ph_cell);
	const uint8_t *at = (const uint8_t *)(call + 1) + words;
	struct ph_peer peer;
	const char *text;

	if (call->cells <= PH_CALL_CELLS || room < words + sizeof(peer))
		return;
	memcpy(&peer, at, sizeof(peer));
	if (peer.bytes == 0 || peer.bytes > room - words - sizeof(peer))
		return;
	text = sockaddr_text(io->arena, at + sizeof(peer), peer.bytes);
	if (text == NULL || c->peers > 1 || (c->peer != NULL && strcmp(c->peer, text) == 0))
		return;
	c->peers = c->peer == NULL ? 1 : 2;
	c->peer = c->peer == NULL ? text : NULL;
}

/* Who ended it first: the other end, by closing or by a reset, or this one. */
static void note_stream_end(struct connection *c, bool read, const struct ph_call *call)
{
	bool stream = c->type == NULL || strcmp(c->type, "stream") == 0;

	if (call->result == -ECONNRESET || call->result == -EPIPE || call->result == -ETIMEDOUT)
		c->closed_by =
			c->closed_by != NULL && call->result == -EPIPE ? c->closed_by : "reset";
	else if (read && call->result == 0 && call->arg != 0 && stream && c->closed_by == NULL)
		c->closed_by = "peer";
}

static void transfer(struct replay_io *io, struct thread *thread, bool read,
		     const struct ph_call *call)
{
	struct side side = side_of(io, call, sink_of(io, call));
	struct connection *c = connection_of(io, side.sink);

	take_bytes(io, thread, read, &side);
	thread_time(io, thread, read, &side);
	if (c == NULL)
		return;
	note_peer(io, c, call);
	note_stream_end(c, read, call);
}

/* Read from one and written to the other. The time is one, though both had it. */
static void moved(struct replay_io *io, struct thread *thread, const struct ph_call *call)
{
	uint64_t to = extra_word(call, 0);
	const struct ph_call other = {.fd = (int32_t)(uint32_t)to, .object = (uint32_t)(to >> 32)};
	struct side side;
	uint32_t from_sink = 0;

	if (call->fd >= 0) {
		from_sink = sink_of(io, call);
		side = side_of(io, call, from_sink);
		take_bytes(io, thread, true, &side);
		if (other.fd < 0)
			thread_time(io, thread, true, &side);
	}
	if (other.fd < 0)
		return;
	side = side_of(io, call, sink_of(io, &other));
	take_bytes(io, thread, false, &side);
	thread_time(io, thread, false, &side);
	if (from_sink != 0 && is_socket(io, from_sink) == is_socket(io, side.sink))
		io->twice_s[is_socket(io, side.sink)] += side.ns / 1e9;
}

static void synced(struct replay_io *io, struct thread *thread, bool sync,
		   const struct ph_call *call)
{
	const struct side side = side_of(io, call, sink_of(io, call));
	struct traffic *t = &io->sinks[side.sink].traffic;

	take_time(io, &side);
	thread_time(io, thread, false, &side);
	if (sync) {
		t->sync_calls++;
		t->sync_time_s += side.ns / 1e9;
	}
}

static void shut_down(struct replay_io *io, const struct ph_call *call)
{
	struct connection *c = connection_of(io, sink_of(io, call));

	if (c != NULL && call->result == 0 && call->arg != SHUT_RD && c->closed_by == NULL)
		c->closed_by = "local";
}

static void listening(struct replay_io *io, const struct ph_call *call)
{
	struct connection *c = connection_of(io, sink_of(io, call));

	if (c != NULL && call->result == 0)
		c->listening = true;
}

static void opened(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o;

	if (call->result < 0 || call->object == 0)
		return;
	o = get_object(io, call->object);
	if (o == NULL)
		return;
	io->sinks[object_sink(io, o, (int32_t)call->result)].opens++;
	put_fd(io, (int32_t)call->result, call->object);
}

static void socket_opened(struct replay_io *io, const struct ph_call *call, bool accepted)
{
	struct io_object *o;
	struct connection *c;

	opened(io, call);
	o = call->result >= 0 && call->object ? find_object(io, call->object) : NULL;
	if (o == NULL)
		return;
	if (!o->described) {
		o->described = true;
		o->class = PH_CLASS_SOCKET;
	}
	c = connection_of(io, object_sink(io, o, (int32_t)call->result));
	if (c == NULL && o->class == PH_CLASS_SOCKET)
		c = new_connection(io, o->sink, call,
				   accepted ? PH_ORIGIN_ACCEPT : PH_ORIGIN_OPENED);
	if (c == NULL)
		return;
	c->fd = (int)call->result;
	c->opened_at_s = (clock_ns(io->clock, call->entry) +
			  clock_span_ns(io->clock, call->entry, call->duration)) /
			 1e9;
	if (accepted)
		c->opened_by = origin_text(PH_ORIGIN_ACCEPT);
}

/* A connect that goes on in the background lasts until a later call says how it
 * ended. */
static void connected(struct replay_io *io, struct thread *thread, const struct ph_call *call)
{
	uint32_t place = sink_of(io, call);
	struct io_sink *s = &io->sinks[place];
	struct connection *c = connection_of(io, place);
	double begin = clock_ns(io->clock, call->entry);
	double ns = clock_span_ns(io->clock, call->entry, call->duration);
	bool under_way = call->result == -EINPROGRESS || call->result == -EALREADY;

	thread->network_s += ns / 1e9;
	if (c == NULL)
		return;
	if (c->opened_by == NULL) {
		c->opened_by = origin_text(PH_ORIGIN_CONNECT);
		c->opened_at_s = begin / 1e9;
	}
	if (isnan(s->connect_began))
		s->connect_began = begin;
	c->connect_s = (begin + ns - s->connect_began) / 1e9;
	if (!under_way)
		s->connect_began = NAN;
	c->connect_errno = 0;
	if (call->result < 0 && !under_way && call->result != -EISCONN && call->result > -4096)
		c->connect_errno = (int)-call->result;
}

/* dup2 onto a descriptor closes what that was. */
static void duplicated(struct replay_io *io, const struct ph_call *call)
{
	uint32_t before;
	struct io_object *o;

	if (call->result < 0 || call->object == 0)
		return;
	before = (uint32_t)map_get(&io->object_by_fd, (uint32_t)call->result);
	if (before == call->object)
		return;
	drop_reference(io, before, clock_ns(io->clock, call->entry));
	o = get_object(io, call->object);
	if (o == NULL)
		return;
	o->references++;
	put_fd(io, (int32_t)call->result, call->object);
}

/* A close that was interrupted or met an I/O error has closed all the same. */
static void closed(struct replay_io *io, const struct ph_call *call)
{
	if (call->object == 0 || call->result == -EBADF)
		return;
	if (map_get(&io->object_by_fd, (uint32_t)call->fd) == call->object)
		map_put(&io->object_by_fd, (uint32_t)call->fd, 0);
	drop_reference(io, call->object,
		       clock_ns(io->clock, call->entry) +
			       clock_span_ns(io->clock, call->entry, call->duration));
}

static void closed_range(struct replay_io *io, const struct ph_call *call)
{
	double ns = clock_ns(io->clock, call->entry) +
		    clock_span_ns(io->clock, call->entry, call->duration);
	uint64_t fd, number, first = (uint32_t)call->fd, *gone = NULL;
	size_t count = 0, room = 0;

	if (call->result < 0 || call->arg < 0)
		return;
	/* To remove while walking would move what is still to come. */
	for (size_t at = 0; map_next(&io->object_by_fd, &at, &fd, &number);) {
		if (fd < first || fd > (uint64_t)call->arg)
			continue;
		drop_reference(io, (uint32_t)number, ns);
		if (vector_reserve(gone, room, count + 1))
			gone[count++] = fd;
		else
			io->failed = true;
	}
	for (size_t i = 0; i < count; i++)
		map_put(&io->object_by_fd, gone[i], 0);
	free(gone);
}

bool io_is_about(unsigned kind)
{
	return (kind >= PH_KIND_READ && kind <= PH_KIND_ACCEPT) ||
	       (kind >= PH_KIND_MOVE && kind <= PH_KIND_CLOSE_RANGE);
}

void io_call(struct replay_io *io, struct thread *thread, unsigned kind, const struct ph_call *call,
	     uint32_t node)
{
	io->node = node;
	switch (kind) {
	case PH_KIND_READ:
	case PH_KIND_WRITE:
		transfer(io, thread, kind == PH_KIND_READ, call);
		break;
	case PH_KIND_MOVE:
		moved(io, thread, call);
		break;
	case PH_KIND_SYNC:
	case PH_KIND_RESIZE:
		synced(io, thread, kind == PH_KIND_SYNC, call);
		break;
	case PH_KIND_SHUTDOWN:
		shut_down(io, call);
		break;
	case PH_KIND_LISTEN:
		listening(io, call);
		break;
	case PH_KIND_CLOSE_RANGE:
		closed_range(io, call);
		break;
	case PH_KIND_OPEN:
		opened(io, call);
		break;
	case PH_KIND_SOCKET:
		socket_opened(io, call, false);
		break;
	case PH_KIND_ACCEPT:
		thread->network_s += clock_span_ns(io->clock, call->entry, call->duration) / 1e9;
		socket_opened(io, call, true);
		break;
	case PH_KIND_CONNECT:
		connected(io, thread, call);
		break;
	case PH_KIND_DUP:
		duplicated(io, call);
		break;
	case PH_KIND_CLOSE:
		closed(io, call);
		break;
	}
}

void io_init(struct replay_io *io, struct clock *clock, struct arena *arena)
{
	*io = (struct replay_io){.clock = clock, .arena = arena};
	/* Place 0 takes what there was no memory for, and is not reported. */
	if (vector_reserve(io->sinks, io->sink_room, 1))
		io->sinks[io->sink_count++] = (struct io_sink){.fd = -1, .connect_began = NAN};
	else
		io->failed = true;
}

void io_free(struct replay_io *io)
{
	for (size_t i = 0; i < io->sink_count; i++)
		latency_free(&io->sinks[i].latency);
	free(io->sinks);
	free(io->objects);
	free(io->connections);
	map_free(&io->object_by_number);
	map_free(&io->object_by_fd);
	map_free(&io->sink_by_fd);
	map_free(&io->node_ns);
	index_free(&io->sink_by_path);
	*io = (struct replay_io){0};
}

/* Results. */

void traffic_add(struct traffic *to, const struct traffic *from)
{
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->read_calls += from->read_calls;
	to->write_calls += from->write_calls;
	to->errors += from->errors;
	to->time_s += from->time_s;
	to->read_time_s += from->read_time_s;
	to->write_time_s += from->write_time_s;
	to->sync_calls += from->sync_calls;
	to->sync_time_s += from->sync_time_s;
}

static void fold_sink(struct replay_io *io, struct io_sink *s)
{
	struct io_sink *to = &io->sinks[s->into - 1];

	if (s->uses != 0) {
		if (to->uses == 0 || s->first_ns < to->first_ns)
			to->first_ns = s->first_ns;
		if (to->uses == 0 || s->last_ns > to->last_ns)
			to->last_ns = s->last_ns;
		to->uses += s->uses;
	}
	to->opens += s->opens;
	traffic_add(&to->traffic, &s->traffic);
	io->failed |= !latency_merge(&to->latency, &s->latency);
	latency_free(&s->latency);
}

/* What never got a name is called by its descriptor; then each sink but the
 * folded ones stands for a path or a socket. */
static void fold_sinks(struct replay_io *io)
{
	/* The spare ones are empty, and lead nowhere. */
	for (uint32_t i = io->spare_sink, next; i != 0; i = next) {
		next = io->sinks[i].into;
		io->sinks[i].into = 0;
	}
	io->spare_sink = 0;
	for (size_t i = 1, n = io->sink_count; i < n; i++) {
		struct io_sink *s = &io->sinks[i];
		char name[32];
		uint32_t to;

		if (s->path == NULL && s->into == 0 && s->connection == 0 &&
		    (s->uses != 0 || s->opens != 0)) {
			snprintf(name, sizeof(name), "fd %d", s->fd);
			to = path_sink(io, name);
			io->sinks[i].into = to + 1; /* path_sink may have moved them */
		}
		if (io->sinks[i].into != 0)
			fold_sink(io, &io->sinks[i]);
	}
}

/* The stack with the most time in each sink. */
static void find_top_nodes(struct replay_io *io)
{
	struct map folded = {0};
	uint64_t key, ns;

	for (size_t at = 0; map_next(&io->node_ns, &at, &key, &ns);) {
		uint32_t into = io->sinks[key >> 32].into;

		if (into != 0)
			key = (uint64_t)(into - 1) << 32 | (uint32_t)key;
		io->failed |= !map_add(&folded, key, ns);
	}
	for (size_t at = 0; map_next(&folded, &at, &key, &ns);) {
		struct io_sink *s = &io->sinks[key >> 32];
		uint32_t node = (uint32_t)key;

		if (ns > s->top_ns || (ns == s->top_ns && node < s->top_node)) {
			s->top_ns = ns;
			s->top_node = node;
		}
	}
	map_free(&folded);
}

/* The distribution, and what it was made of if that is wanted. */
static void take_latency(struct replay_io *io, struct recorder *from, struct traffic *to)
{
	latency_result(from, &to->latency);
	if (io->keep_recorders && (to->recorder = malloc(sizeof(*from))) != NULL) {
		*to->recorder = *from;
		*from = (struct recorder){0};
	}
	io->failed |= io->keep_recorders && to->recorder == NULL;
}

static void take_file(struct replay_io *io, struct io_sink *s, struct file *f)
{
	*f = (struct file){
		.path = s->path,
		.traffic = s->traffic,
		.first_at_s = s->first_ns / 1e9,
		.last_at_s = s->last_ns / 1e9,
		.opens = s->opens,
		.top_node = s->top_node,
	};
	take_latency(io, &s->latency, &f->traffic);
}

int file_by_bytes(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	uint64_t p = x->traffic.read_bytes + x->traffic.written_bytes;
	uint64_t q = y->traffic.read_bytes + y->traffic.written_bytes;

	if (p != q)
		return p < q ? 1 : -1;
	if (x->traffic.time_s != y->traffic.time_s)
		return x->traffic.time_s < y->traffic.time_s ? 1 : -1;
	return strcmp(x->path, y->path);
}

/* Those opened at one time stand by descriptor. */
static int by_opening(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	if (x->opened_at_s != y->opened_at_s)
		return x->opened_at_s < y->opened_at_s ? -1 : 1;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

static void take_rates(struct replay_io *io, struct buckets *b, double end_ns, struct io *to)
{
	double width_s;

	if (b->count == 0)
		return;
	buckets_at(b, end_ns);
	width_s = (double)b->width_ns / 1e9;
	to->timeline = calloc(b->count, sizeof(*to->timeline));
	if (to->timeline == NULL) {
		io->failed = true;
		return;
	}
	to->timeline_count = b->count;
	for (size_t i = 0; i < b->count; i++) {
		to->timeline[i] = (struct rate_sample){
			.at_s = (double)i * width_s,
			.read_bytes_per_s = (double)b->values[i][0] / width_s,
			.written_bytes_per_s = (double)b->values[i][1] / width_s,
		};
	}
}

static void take_sinks(struct replay_io *io, struct run *run)
{
	struct recorder files = {0}, sockets = {0};

	for (size_t i = 1; i < io->sink_count; i++) {
		struct io_sink *s = &io->sinks[i];
		bool socket = s->connection != 0;
		struct connection *c = connection_of(io, (uint32_t)i);

		if (s->into != 0 || (!socket && s->uses == 0 && s->opens == 0))
			continue;
		traffic_add(socket ? &run->sockets.total : &run->io.total, &s->traffic);
		io->failed |= !latency_merge(socket ? &sockets : &files, &s->latency);
		if (socket) {
			c->traffic = s->traffic;
			c->top_node = s->top_node;
			latency_result(&s->latency, &c->traffic.latency);
		} else {
			take_file(io, s, &run->files[run->file_count++]);
		}
	}
	run->io.total.time_s -= io->twice_s[0];
	run->sockets.total.time_s -= io->twice_s[1];
	take_latency(io, &files, &run->io.total);
	take_latency(io, &sockets, &run->sockets.total);
	latency_free(&files);
	latency_free(&sockets);
}

void io_result(struct replay_io *io, struct run *run, double end_ns)
{
	fold_sinks(io);
	find_top_nodes(io);
	run->files = calloc(io->sink_count, sizeof(*run->files));
	if (run->files == NULL) {
		io->failed = true;
		return;
	}
	take_sinks(io, run);
	qsort(run->files, run->file_count, sizeof(*run->files), file_by_bytes);
	take_rates(io, &io->file_bytes, end_ns, &run->io);
	take_rates(io, &io->socket_bytes, end_ns, &run->sockets);
	if (io->connection_count != 0)
		qsort(io->connections, io->connection_count, sizeof(*io->connections), by_opening);
	run->connections = io->connections;
	run->connection_count = io->connection_count;
	io->connections = NULL;
	io->connection_count = 0;
}
