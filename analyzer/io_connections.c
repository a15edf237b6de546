/* SPDX-License-Identifier: MIT */
/* Sockets: their ends, who made and who ended them, and what was said over them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/io_parts.h"
#include "analyzer/names.h"
#include "analyzer/sockaddr.h"
#include "analyzer/vector.h"
#include "trace/format.h"

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
		.accept_s = NAN,
		.first_byte_s = NAN,
	};
	io->sinks[sink].connection = (uint32_t)io->connection_count;
	return c;
}

void io_describe_socket(struct replay_io *io, struct io_object *o, const struct ph_call *call,
			const struct ph_description *d)
{
	struct connection *c = io_connection_of(io, io_object_sink(io, o, call->fd));
	const char *text;

	if (c == NULL)
		c = new_connection(io, o->sink, call, d->head.origin);
	if (c == NULL)
		return;
	if ((text = sockaddr_text(io->arena, d->local, d->head.local_bytes)) != NULL)
		c->local = text;
	if ((text = sockaddr_text(io->arena, d->peer, d->head.peer_bytes)) != NULL) {
		c->peer = text;
		c->peer_name = names_of(io->resolved, text);
		c->peers = 1;
	}
	if ((text = sockaddr_family(d->head.family)) != NULL)
		c->family = text;
	if ((text = sockaddr_type(d->head.type)) != NULL)
		c->type = text;
	if (c->opened_by == NULL)
		c->opened_by = origin_text(d->head.origin);
}

void io_socket_closed(struct connection *c, double ns)
{
	c->closed_at_s = ns / 1e9;
	if (c->closed_by == NULL && c->type != NULL && strcmp(c->type, "stream") == 0 &&
	    !c->listening && c->connect_errno == 0)
		c->closed_by = "local";
}

/* ---- datagrams ----------------------------------------------------------------- */

/* What one socket sent to and received from one address. NULL: it is none, there are too
 * many, or no memory. */
static struct io_peer *peer_of(struct replay_io *io, uint32_t sink, const uint8_t *raw,
			       size_t bytes)
{
	uint64_t hash = map_hash_bytes(raw, bytes) + sink;
	size_t at = SIZE_MAX;
	uint32_t place;
	const char *text;
	uint8_t *copy;

	while ((place = index_find(&io->peer_by_address, hash, &at)) != 0) {
		struct io_peer *p = &io->peers[place - 1];

		if (p->sink == sink && p->raw_bytes == bytes && memcmp(p->raw, raw, bytes) == 0)
			return p;
	}
	if (io->peer_count >= IO_PEERS_MAX || (text = sockaddr_text(io->arena, raw, bytes)) == NULL)
		return NULL;
	copy = arena_alloc(io->arena, bytes);
	if (copy == NULL || !vector_reserve(io->peers, io->peer_room, io->peer_count + 1) ||
	    !index_insert(&io->peer_by_address, hash, (uint32_t)io->peer_count + 1)) {
		io->failed = true;
		return NULL;
	}
	memcpy(copy, raw, bytes);
	io->peers[io->peer_count] =
		(struct io_peer){.sink = sink, .raw = copy, .raw_bytes = bytes, .address = text};
	return &io->peers[io->peer_count++];
}

static void count_peer(struct io_peer *p, const struct side *side, bool read)
{
	*(read ? &p->traffic.read_calls : &p->traffic.write_calls) += 1;
	p->traffic.errors += side->result < 0;
	p->traffic.time_s += side->ns / 1e9;
	if (side->result > 0)
		*(read ? &p->traffic.read_bytes : &p->traffic.written_bytes) +=
			(uint64_t)side->result;
}

/* Whose datagram it was, or is to be: of an unconnected socket nobody else knows. */
static void note_peer(struct replay_io *io, const struct side *side, struct connection *c,
		      bool read, const struct ph_call *call)
{
	size_t room = 0;
	const uint8_t *at = io_tail(call, 2, &room);
	struct ph_peer head;
	struct io_peer *p;

	if (at == NULL || room < sizeof(head))
		return;
	memcpy(&head, at, sizeof(head));
	if (head.bytes == 0 || head.bytes > room - sizeof(head))
		return;
	p = peer_of(io, side->sink, at + sizeof(head), head.bytes);
	if (p == NULL)
		return;
	if (!io->quiet)
		count_peer(p, side, read);
	if (c->peers > 1 || (c->peer != NULL && strcmp(c->peer, p->address) == 0))
		return;
	c->peers = c->peer == NULL ? 1 : 2;
	c->peer = c->peer == NULL ? p->address : NULL;
	c->peer_name = c->peer != NULL ? names_of(io->resolved, c->peer) : NULL;
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

void io_socket_used(struct replay_io *io, const struct side *side, bool read,
		    const struct ph_call *call)
{
	struct connection *c = io_connection_of(io, side->sink);

	note_peer(io, side, c, read, call);
	note_stream_end(c, read, call);
}

static enum turns_side side_of(const struct connection *c)
{
	const char *by = c->opened_by != NULL ? c->opened_by : "";

	return strcmp(by, "connect") == 0  ? TURNS_CLIENT
	       : strcmp(by, "accept") == 0 ? TURNS_SERVER
					   : TURNS_BY_FIRST;
}

/* Is a client's request being received? */
static bool is_asked(const struct turns *t)
{
	return t->side == TURNS_SERVER && t->phase == TURNS_REQUEST;
}

void io_socket_moved(struct replay_io *io, const struct side *side, bool read)
{
	struct io_sink *s = &io->sinks[side->sink];
	bool before;

	if (s->turns == NULL) {
		s->turns = calloc(1, sizeof(*s->turns));
		if (s->turns == NULL) {
			io->failed = true;
			return;
		}
		s->turns->side = side_of(io_connection_of(io, side->sink));
	}
	s->turns->quiet = io->quiet;
	s->turns->from = io->from_ns;
	before = is_asked(s->turns);
	io->failed |= !turns_note(s->turns, read, side->begin, side->begin + side->ns);
	io->requests += is_asked(s->turns) && !before;
}

void io_shut_down(struct replay_io *io, const struct ph_call *call)
{
	struct connection *c = io_connection_of(io, io_sink_of(io, call));

	if (c != NULL && call->result == 0 && call->arg != SHUT_RD && c->closed_by == NULL)
		c->closed_by = "local";
}

void io_listening(struct replay_io *io, const struct ph_call *call)
{
	struct connection *c = io_connection_of(io, io_sink_of(io, call));

	if (c != NULL && call->result == 0)
		c->listening = true;
}

void io_socket_opened(struct replay_io *io, const struct ph_call *call, bool accepted)
{
	struct io_object *o;
	struct connection *c;

	io_opened(io, call);
	o = call->result >= 0 && call->object ? io_find_object(io, call->object) : NULL;
	if (o == NULL)
		return;
	if (!o->described) {
		o->described = true;
		o->class = PH_CLASS_SOCKET;
	}
	c = io_connection_of(io, io_object_sink(io, o, (int32_t)call->result));
	if (c == NULL && o->class == PH_CLASS_SOCKET)
		c = new_connection(io, o->sink, call,
				   accepted ? PH_ORIGIN_ACCEPT : PH_ORIGIN_OPENED);
	if (c == NULL)
		return;
	c->fd = (int)call->result;
	c->opened_node = io->node;
	if (accepted)
		c->accept_s = clock_span_ns(io->clock, call->entry, call->duration) / 1e9;
	c->opened_at_s = (clock_ns(io->clock, call->entry) +
			  clock_span_ns(io->clock, call->entry, call->duration)) /
			 1e9;
	if (accepted)
		c->opened_by = origin_text(PH_ORIGIN_ACCEPT);
}

/* A connect that goes on in the background lasts until a later call says how it
 * ended. */
void io_connected(struct replay_io *io, struct thread *thread, const struct ph_call *call)
{
	uint32_t place = io_sink_of(io, call);
	struct io_sink *s = &io->sinks[place];
	struct connection *c = io_connection_of(io, place);
	double begin = clock_ns(io->clock, call->entry);
	double ns = clock_span_ns(io->clock, call->entry, call->duration);
	bool under_way = call->result == -EINPROGRESS || call->result == -EALREADY;

	const struct side side = {place, begin, ns, under_way ? 0 : call->result};

	thread->network_s += ns / 1e9;
	io_note_use(io, &side, 0);
	if (c == NULL)
		return;
	if (isnan(c->connect_s))
		c->opened_node = io->node;
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

/* The name, and the addresses that it gave. */
void io_resolved(struct replay_io *io, struct thread *thread, const struct ph_call *call)
{
	enum { MOST = 16 };
	uint64_t counts = io_extra(call, 0);
	size_t bytes = (uint32_t)counts, left = 0, found = 0;
	const uint8_t *at = io_tail(call, 1, &left);
	double s = clock_span_ns(io->clock, call->entry, call->duration) / 1e9;
	const char *addresses[MOST], *name;
	struct ph_peer head;

	thread->network_s += s;
	if (at == NULL || bytes == 0 || bytes > left)
		return;
	name = arena_copy(io->arena, (const char *)at, bytes);
	at += bytes;
	left -= bytes;
	for (uint64_t i = 0; i < counts >> 32 && found < MOST && left >= sizeof(head); i++) {
		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		left -= sizeof(head);
		if (head.bytes > left)
			break;
		addresses[found] = sockaddr_text(io->arena, at, head.bytes);
		found += addresses[found] != NULL;
		at += head.bytes;
		left -= head.bytes;
	}
	io->failed |= io->quiet ? !names_learn(io->resolved, io->arena, name, addresses, found)
				: !names_add(io->resolved, io->arena, name, addresses, found,
					     call->arg != 0, s);
}
