/* SPDX-License-Identifier: MIT */
#include "analyzer/io.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "analyzer/io_parts.h"
#include "analyzer/names.h"
#include "analyzer/vector.h"
#include "trace/format.h"

uint32_t io_new_sink(struct replay_io *io, int32_t fd)
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

uint32_t io_path_sink(struct replay_io *io, const char *path)
{
	uint64_t hash = map_hash_bytes(path, strlen(path));
	size_t at = SIZE_MAX;
	uint32_t place, sink;

	while ((place = index_find(&io->sink_by_path, hash, &at)) != 0) {
		if (strcmp(io->sinks[place - 1].path, path) == 0)
			return place - 1;
	}
	sink = io_new_sink(io, -1);
	io->sinks[sink].path = arena_copy(io->arena, path, strlen(path));
	io->failed |= !index_insert(&io->sink_by_path, hash, sink + 1);
	return sink;
}

static uint32_t fd_sink(struct replay_io *io, int32_t fd)
{
	uint32_t place = (uint32_t)map_get(&io->sink_by_fd, (uint32_t)fd);

	if (place == 0) {
		place = io_new_sink(io, fd) + 1;
		io->failed |= !map_put(&io->sink_by_fd, (uint32_t)fd, place);
	}
	return place - 1;
}

struct io_object *io_find_object(const struct replay_io *io, uint32_t number)
{
	size_t place = map_get(&io->object_by_number, number);

	return place ? &io->objects[place - 1] : NULL;
}

/* NULL: out of memory. */
struct io_object *io_get_object(struct replay_io *io, uint32_t number)
{
	struct io_object *o = io_find_object(io, number);
	size_t place = io->object_count;

	if (o != NULL)
		return o;
	if (!vector_reserve(io->objects, io->object_room, place + 1) ||
	    !map_put(&io->object_by_number, number, place + 1)) {
		io->failed = true;
		return NULL;
	}
	io->objects[place] =
		(struct io_object){.number = number, .references = 1, .opened_ns = NAN};
	io->object_count++;
	return &io->objects[place];
}

static void put_fd(struct replay_io *io, int32_t fd, uint32_t number)
{
	io->failed |= !map_put(&io->object_by_fd, (uint32_t)fd, number);
}

/* Files get theirs by name; what is used before it has one, and sockets, have
 * their own. */
uint32_t io_object_sink(struct replay_io *io, struct io_object *o, int32_t fd)
{
	if (o->sink == 0)
		o->sink = io_new_sink(io, fd);
	return o->sink;
}

uint32_t io_sink_of(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o;

	if (call->object == 0)
		return fd_sink(io, call->fd);
	o = io_get_object(io, call->object);
	return o ? io_object_sink(io, o, call->fd) : 0;
}

struct connection *io_connection_of(struct replay_io *io, uint32_t sink)
{
	uint32_t place = io->sinks[sink].connection;

	return place ? &io->connections[place - 1] : NULL;
}

uint64_t io_extra(const struct ph_call *call, size_t n)
{
	uint64_t word;

	if ((size_t)(call->cells - PH_CALL_CELLS) * 2 <= n || call->cells <= PH_CALL_CELLS)
		return 0;
	memcpy(&word, (const uint8_t *)(call + 1) + n * sizeof(word), sizeof(word));
	return word;
}

const uint8_t *io_tail(const struct ph_call *call, size_t words, size_t *bytes)
{
	size_t room = call->cells > PH_CALL_CELLS
			      ? (size_t)(call->cells - PH_CALL_CELLS) * sizeof(struct ph_cell)
			      : 0;

	if (room < words * sizeof(uint64_t))
		return NULL;
	*bytes = room - words * sizeof(uint64_t);
	return (const uint8_t *)(call + 1) + words * sizeof(uint64_t);
}

bool io_knows(const struct replay_io *io, const struct ph_call *call)
{
	return call->object == 0 || io_find_object(io, call->object) != NULL;
}

bool io_knows_other(const struct replay_io *io, const struct ph_call *call, uint32_t *object)
{
	*object = (uint32_t)(io_extra(call, 0) >> 32);
	return *object == 0 || io_find_object(io, *object) != NULL;
}

/* The last reference is gone. Only so many closed objects are remembered: what
 * replaces the one forgotten takes its place. */
static void object_closed(struct replay_io *io, struct io_object *o, double ns)
{
	struct connection *c = io_connection_of(io, o->sink);
	struct io_sink *s = &io->sinks[o->sink];
	uint32_t *slot = &io->closed[io->closed_count++ % IO_CLOSED_MAX];
	uint32_t number = o->number;
	struct io_object *old = io_find_object(io, *slot), *last;

	if (c != NULL)
		io_socket_closed(c, ns);
	s->closes += !io->quiet;
	if (ns > o->opened_ns && !io->quiet) {
		s->open_ns += ns - o->opened_ns;
		s->open_longest_ns = fmax(s->open_longest_ns, ns - o->opened_ns);
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
	struct io_object *o = number ? io_find_object(io, number) : NULL;

	if (o != NULL && o->references != 0 && --o->references == 0)
		object_closed(io, o, ns);
}

/* What PH_OP_OBJECT tells. */

static bool read_description(const struct ph_call *call, struct ph_description *d)
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

/* What was summed up before the name was known goes where the name leads. */
static void name_object(struct replay_io *io, struct io_object *o, const struct ph_description *d)
{
	char name[UINT16_MAX + 1];
	uint32_t sink, before = o->sink;

	memcpy(name, d->name, d->head.name_bytes);
	name[d->head.name_bytes] = '\0';
	if (name[0] == '\0')
		return;
	sink = io_path_sink(io, name);
	o->sink = sink;
	if (before == 0 || io->sinks[before].path != NULL)
		return;
	if (io->sinks[before].uses != 0 || io->sinks[before].tracked != NULL) {
		io->sinks[before].into = sink + 1;
		return;
	}
	/* Only opened so far: so that opens take no memory, it can be used again. */
	io->sinks[sink].opens += io->sinks[before].opens;
	io->sinks[sink].closes += io->sinks[before].closes;
	io->sinks[before] = (struct io_sink){.into = io->spare_sink};
	io->spare_sink = before;
}

static void describe_directory(struct replay_io *io, const struct ph_description *d)
{
	const char *name = (const char *)d->name;
	size_t bytes = d->head.name_bytes;

	if (io->directory == NULL || strncmp(io->directory, name, bytes) != 0 ||
	    io->directory[bytes] != '\0')
		io->directory = arena_copy(io->arena, name, bytes);
}

void io_describe(struct replay_io *io, const struct ph_call *call)
{
	struct ph_description d;
	struct io_object *o;

	if (call->object == 0 && call->fd == AT_FDCWD && read_description(call, &d))
		describe_directory(io, &d);
	if (call->object == 0 || !read_description(call, &d))
		return;
	o = io_get_object(io, call->object);
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
		io_describe_socket(io, o, call, &d);
	else
		name_object(io, o, &d);
}

/* Calls. */

struct side io_side_of(struct replay_io *io, const struct ph_call *call, uint32_t sink)
{
	return (struct side){
		.sink = sink,
		.begin = clock_ns(io->clock, call->entry),
		.ns = clock_span_ns(io->clock, call->entry, call->duration),
		.result = call->result,
	};
}

static double end_of(struct replay_io *io, const struct ph_call *call)
{
	return clock_ns(io->clock, call->entry) +
	       clock_span_ns(io->clock, call->entry, call->duration);
}

struct io_use *io_use_of(struct replay_io *io, uint32_t sink)
{
	uint64_t key = (uint64_t)sink << 32 | io->node;
	uint32_t first = (uint32_t)map_get(&io->use_by_key, key), place;

	for (place = first; place != 0; place = io->uses[place - 1].next)
		if (io->uses[place - 1].op == io->op)
			return &io->uses[place - 1];
	if (io->use_count >= UINT32_MAX - 1 ||
	    !vector_reserve(io->uses, io->use_room, io->use_count + 1) ||
	    !map_put(&io->use_by_key, key, io->use_count + 1)) {
		io->failed = true;
		return NULL;
	}
	io->uses[io->use_count] =
		(struct io_use){.sink = sink, .node = io->node, .op = io->op, .next = first};
	return &io->uses[io->use_count++];
}

struct io_use *io_note_use(struct replay_io *io, const struct side *side, uint64_t bytes)
{
	struct io_use *use = io->quiet ? NULL : io_use_of(io, side->sink);

	if (use == NULL)
		return NULL;
	use->calls++;
	use->bytes += bytes;
	use->ns += side->ns;
	if (side->result >= 0)
		return use;
	use->errors++;
	if (side->result > -4096)
		io->failed |= !map_add(&io->errors,
				       (uint64_t)side->sink << 32 | (uint32_t)-side->result, 1);
	return use;
}

/* Where it stands in the file is known from the beginning. */
void io_opened(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o;
	struct side side;

	if (call->result < 0 || call->object == 0)
		return;
	o = io_get_object(io, call->object);
	if (o == NULL)
		return;
	side = io_side_of(io, call, io_object_sink(io, o, (int32_t)call->result));
	io->sinks[side.sink].opens += !io->quiet;
	o->opened_ns = side.begin + side.ns;
	put_fd(io, (int32_t)call->result, call->object);
	/* What has no name yet may go back to the spare ones. */
	if (o->described)
		io_note_use(io, &side, 0);
}

static void opened_file(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o;

	if (call->result < 0) {
		io_not_opened(io, call);
		return;
	}
	io_opened(io, call);
	o = call->object != 0 ? io_find_object(io, call->object) : NULL;
	if (o == NULL)
		return;
	o->stands = true;
	o->append = call->arg & O_APPEND;
	if (call->arg & O_TRUNC)
		io_forget_ranges(io, o->sink);
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
	o = io_get_object(io, call->object);
	if (o == NULL)
		return;
	o->references++;
	put_fd(io, (int32_t)call->result, call->object);
}

/* A close that was interrupted or met an I/O error has closed all the same. */
static void closed(struct replay_io *io, const struct ph_call *call)
{
	struct io_object *o = call->object != 0 ? io_find_object(io, call->object) : NULL;
	struct side side;

	if (call->object == 0 || call->result == -EBADF)
		return;
	if (o != NULL && o->sink != 0) {
		side = io_side_of(io, call, o->sink);
		io_note_use(io, &side, 0);
	}
	if (map_get(&io->object_by_fd, (uint32_t)call->fd) == call->object)
		map_put(&io->object_by_fd, (uint32_t)call->fd, 0);
	drop_reference(io, call->object, end_of(io, call));
}

static void closed_range(struct replay_io *io, const struct ph_call *call)
{
	double ns = end_of(io, call);
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

struct io_name io_name(const struct replay_io *io, const struct ph_call *call)
{
	const struct io_object *o = call->object != 0 ? io_find_object(io, call->object) : NULL;
	uint32_t place = o != NULL ? io->sinks[o->sink].connection : 0;

	if (o == NULL || o->sink == 0)
		return (struct io_name){NULL, NULL};
	return (struct io_name){io->sinks[o->sink].path,
				place != 0 ? &io->connections[place - 1] : NULL};
}

bool io_is_about(unsigned kind)
{
	return (kind >= PH_KIND_READ && kind <= PH_KIND_ACCEPT) ||
	       (kind >= PH_KIND_MOVE && kind <= PH_KIND_CLOSE_RANGE) ||
	       (kind >= PH_KIND_SEEK && kind <= PH_KIND_AIO_RETURN);
}

static uint64_t bytes_of(unsigned kind, const struct ph_call *call)
{
	bool moves = kind == PH_KIND_READ || kind == PH_KIND_WRITE || kind == PH_KIND_MOVE ||
		     kind == PH_KIND_AIO_RETURN;

	return moves && call->result > 0 ? (uint64_t)call->result : 0;
}

static void sum_up(struct replay_io *io, unsigned kind, const struct ph_call *call)
{
	struct io_function *f = &io->totals[call->op];
	double ns = clock_span_ns(io->clock, call->entry, call->duration);

	f->kind = kind;
	f->calls++;
	f->errors += call->result < 0;
	f->bytes += bytes_of(kind, call);
	f->time_s += ns / 1e9;
	io->failed |= !latency_record(&io->by_op[call->op], (uint64_t)ns);
}

void io_call(struct replay_io *io, struct thread *thread, unsigned kind, const struct ph_call *call,
	     uint32_t node)
{
	io->node = node;
	io->op = call->op;
	if (!io->quiet)
		sum_up(io, kind, call);
	switch (kind) {
	case PH_KIND_READ:
	case PH_KIND_WRITE:
		io_transfer(io, thread, kind == PH_KIND_READ, call);
		break;
	case PH_KIND_MOVE:
		io_moved(io, thread, call);
		break;
	case PH_KIND_SYNC:
	case PH_KIND_RESIZE:
		io_synced(io, thread, kind == PH_KIND_SYNC, call);
		break;
	case PH_KIND_SEEK:
		io_sought(io, call);
		break;
	case PH_KIND_META:
		io_metadata(io, call);
		break;
	case PH_KIND_AIO:
	case PH_KIND_AIO_RETURN:
		io_requested(io, thread, call, kind == PH_KIND_AIO_RETURN);
		break;
	case PH_KIND_RESOLVE:
		io_resolved(io, thread, call);
		break;
	case PH_KIND_SHUTDOWN:
		io_shut_down(io, call);
		break;
	case PH_KIND_LISTEN:
		io_listening(io, call);
		break;
	case PH_KIND_CLOSE_RANGE:
		closed_range(io, call);
		break;
	case PH_KIND_OPEN:
		opened_file(io, call);
		break;
	case PH_KIND_SOCKET:
		io_socket_opened(io, call, false);
		break;
	case PH_KIND_ACCEPT:
		thread->network_s += clock_span_ns(io->clock, call->entry, call->duration) / 1e9;
		io_socket_opened(io, call, true);
		if (call->result >= 0)
			habits_got_work(&io->habits, thread);
		break;
	case PH_KIND_CONNECT:
		io_connected(io, thread, call);
		break;
	case PH_KIND_DUP:
		duplicated(io, call);
		break;
	case PH_KIND_CLOSE:
		closed(io, call);
		break;
	}
}

void io_init(struct replay_io *io, struct clock *clock, struct arena *arena,
	     const char *const *names, const uint8_t *kinds, const struct thresholds *thresholds)
{
	*io = (struct replay_io){.clock = clock,
				 .arena = arena,
				 .names = names,
				 .kinds = kinds,
				 .from_ns = -INFINITY};
	habits_init(&io->habits, thresholds);
	/* Place 0 takes what there was no memory for, and is not reported. */
	if (vector_reserve(io->sinks, io->sink_room, 1))
		io->sinks[io->sink_count++] = (struct io_sink){.fd = -1, .connect_began = NAN};
	else
		io->failed = true;
	io->resolved = names_new();
	io->failed |= io->resolved == NULL;
}

void io_begin_window(struct replay_io *io, double ns)
{
	io->quiet = false;
	io->from_ns = ns;
	io->file_bytes.origin_ns = io->socket_bytes.origin_ns = ns;
}

static void free_sink(struct io_sink *s)
{
	latency_free(&s->latency);
	if (s->tracked != NULL) {
		ranges_clear(&s->tracked->ranges[0]);
		ranges_clear(&s->tracked->ranges[1]);
		latency_free(&s->tracked->sync);
		free(s->tracked->rates);
	}
	if (s->turns != NULL)
		latency_free(&s->turns->latency);
	free(s->tracked);
	free(s->turns);
	free(s->habits);
}

void io_free(struct replay_io *io)
{
	for (size_t i = 0; i < io->sink_count; i++)
		free_sink(&io->sinks[i]);
	for (size_t i = 0; i < 256; i++)
		latency_free(&io->by_op[i]);
	free(io->sinks);
	free(io->objects);
	free(io->uses);
	free(io->connections);
	free(io->peers);
	index_free(&io->peer_by_address);
	map_free(&io->object_by_number);
	map_free(&io->object_by_fd);
	map_free(&io->sink_by_fd);
	map_free(&io->use_by_key);
	map_free(&io->errors);
	index_free(&io->sink_by_path);
	names_free(io->resolved);
	habits_free(&io->habits);
	*io = (struct replay_io){0};
}
