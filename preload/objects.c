/* SPDX-License-Identifier: MIT */
#include "preload/objects.h"

#include <string.h>

#include "preload/log.h"
#include "preload/stack.h"

static _Atomic uint32_t *entry(int fd)
{
	return (unsigned)fd < ph_descriptors_room ? &ph_descriptors[fd] : NULL;
}

/* ---- describing ------------------------------------------------------ */

#define NAME_MAX_BYTES 4095
#define ADDRESS_MAX    sizeof(struct sockaddr_storage)

/* What the caller knows of a descriptor. */
struct origin {
	unsigned how;
	const char *path;
	const struct sockaddr *peer;
	socklen_t peer_bytes;
	bool is_socket; /* by the call that made it, where nobody can be asked */
};

/* PH_OP_OBJECT as it is put together: text grows behind its head. */
struct description {
	struct ph_object object;
	char *text;
};

static void describe_socket(struct ph_object *o, char *text, int fd, const struct origin *origin)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	int value = 0;

	if (sys3(SYS_getsockname, fd, &address, &length) == 0 && length <= sizeof(address)) {
		o->family = (uint8_t)address.ss_family;
		o->local_bytes = (uint8_t)length;
		memcpy(text + o->name_bytes, &address, length);
	}
	length = sizeof(address);
	if (sys3(SYS_getpeername, fd, &address, &length) == 0 && length <= sizeof(address)) {
		o->peer_bytes = (uint8_t)length;
		memcpy(text + o->name_bytes + o->local_bytes, &address, length);
	} else if (origin->peer != NULL) {
		o->peer_bytes = (uint8_t)origin->peer_bytes;
		memcpy(text + o->name_bytes + o->local_bytes, origin->peer, origin->peer_bytes);
	}
	length = sizeof(value);
	if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &value, &length) == 0)
		o->type = (uint8_t)value;
	length = sizeof(value);
	if (o->family == 0 && sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0)
		o->family = (uint8_t)value;
}

/* The kernel's own name of it. False: nothing is open there. */
static bool name_by_proc(char *text, size_t room, int fd, size_t *length)
{
	char link[40];
	size_t n = ph_append(link, sizeof(link), 0, "/proc/self/fd/");
	long bytes;

	ph_append_number(link, sizeof(link), n, (unsigned)fd, 10);
	bytes = sys_readlink(link, text, room);
	*length = bytes > 0 ? (size_t)bytes : 0;
	return bytes > 0;
}

static bool starts(const char *text, size_t length, const char *with)
{
	size_t n = strlen(with);

	return length >= n && memcmp(text, with, n) == 0;
}

static void name_by_stat(struct ph_object *o, char *text, int fd, const char *path)
{
	struct stat st;

	if (sys2(SYS_fstat, fd, &st) != 0)
		return;
	o->class = S_ISSOCK(st.st_mode)	  ? PH_CLASS_SOCKET
		   : S_ISFIFO(st.st_mode) ? PH_CLASS_PIPE
					  : PH_CLASS_FILE;
	if (path != NULL && o->class == PH_CLASS_FILE)
		o->name_bytes = (uint16_t)ph_append(text, NAME_MAX_BYTES, 0, path);
}

/* The working directory when the kernel could still be asked. */
static char last_directory[1024];

void ph_objects_confine(void)
{
	ph_read_link("/proc/self/cwd", last_directory, sizeof(last_directory));
}

static size_t name_by_hearsay(char *text, const char *path)
{
	size_t n = 0;

	if (path[0] != '/' && last_directory[0] != '\0') {
		n = ph_append(text, NAME_MAX_BYTES, n, last_directory);
		n = ph_append(text, NAME_MAX_BYTES, n, "/");
	}
	return ph_append(text, NAME_MAX_BYTES, n, path);
}

/* Without a system call: what the program itself said. */
static void describe_by_hearsay(struct description *d, const struct origin *origin)
{
	d->object.class = origin->is_socket	 ? PH_CLASS_SOCKET
			  : origin->path != NULL ? PH_CLASS_FILE
						 : PH_CLASS_OTHER;
	if (origin->is_socket && origin->peer != NULL) {
		d->object.peer_bytes = (uint8_t)origin->peer_bytes;
		d->object.family = (uint8_t)origin->peer->sa_family;
		memcpy(d->text, origin->peer, origin->peer_bytes);
	} else if (origin->path != NULL) {
		d->object.name_bytes = (uint16_t)name_by_hearsay(d->text, origin->path);
	}
}

/* False: nothing is open there. */
static bool describe_by_asking(struct description *d, int fd, const struct origin *origin)
{
	size_t length;

	if (name_by_proc(d->text, NAME_MAX_BYTES, fd, &length)) {
		d->object.name_bytes = (uint16_t)length;
		d->object.class = starts(d->text, length, "socket:") ? PH_CLASS_SOCKET
				  : starts(d->text, length, "pipe:") ? PH_CLASS_PIPE
				  : d->text[0] == '/'		     ? PH_CLASS_FILE
								     : PH_CLASS_OTHER;
	} else {
		name_by_stat(&d->object, d->text, fd, origin->path);
		if (d->object.class == PH_CLASS_OTHER && d->object.name_bytes == 0)
			return false;
	}
	if (d->object.class == PH_CLASS_SOCKET)
		describe_socket(&d->object, d->text, fd, origin);
	return true;
}

/* Write down what `fd` is; returns its class, -1 when nothing is open there. */
static int describe(struct ph_stream *s, int fd, uint32_t number, const struct origin *origin)
{
	struct ph_call call = {
		.op = PH_OP_OBJECT,
		.fd = fd,
		.object = number,
		.entry = ph_clock_now(ph_process->segment->clock_kind),
	};
	struct ph_cell *cells = ph_scratch(s);
	struct description d = {.object = {.origin = (uint8_t)origin->how}};
	char *head = (char *)cells;
	size_t bytes;

	if (cells == NULL)
		return -1;
	d.text = head + sizeof(call) + sizeof(d.object);
	if (ph_confined)
		describe_by_hearsay(&d, origin);
	else if (!describe_by_asking(&d, fd, origin))
		return -1;
	bytes = sizeof(call) + sizeof(d.object) + d.object.name_bytes + d.object.local_bytes +
		d.object.peer_bytes;
	call.cells = (uint16_t)((bytes + sizeof(*cells) - 1) / sizeof(*cells));
	memset(head + bytes, 0, call.cells * sizeof(*cells) - bytes);
	memcpy(head, &call, sizeof(call));
	memcpy(head + sizeof(call), &d.object, sizeof(d.object));
	ph_put(s, cells, call.cells);
	return d.object.class;
}

/* ---- the table ------------------------------------------------------- */

/* An entry is the object's number and, in its lowest bit, whether it is a socket. */
static uint32_t load(int fd)
{
	_Atomic uint32_t *e = fd >= 0 ? entry(fd) : NULL;

	return e != NULL ? atomic_load_explicit(e, memory_order_relaxed) : 0;
}

uint32_t ph_object_known(int fd)
{
	return load(fd) >> 1;
}

bool ph_object_is_socket(int fd)
{
	return load(fd) & 1;
}

/* So that closing a range of descriptors need not look at a million entries. */
static _Atomic uint32_t highest;

static void set(int fd, uint32_t value)
{
	_Atomic uint32_t *e = fd >= 0 ? entry(fd) : NULL;
	uint32_t seen = atomic_load_explicit(&highest, memory_order_relaxed);

	if (e == NULL)
		return;
	while ((uint32_t)fd > seen &&
	       !atomic_compare_exchange_weak_explicit(&highest, &seen, (uint32_t)fd,
						      memory_order_relaxed, memory_order_relaxed))
		;
	atomic_store_explicit(e, value, memory_order_relaxed);
}

uint32_t ph_object_new(struct ph_stream *s, int fd, unsigned origin, const char *path)
{
	const struct origin from = {
		.how = origin == PH_ORIGIN_SOCKET ? PH_ORIGIN_OPENED : origin,
		.path = path,
		.is_socket = origin == PH_ORIGIN_SOCKET || origin == PH_ORIGIN_ACCEPT ||
			     origin == PH_ORIGIN_SOCKETPAIR,
	};
	struct ph_segment *g = ph_process->segment;
	uint32_t number;
	int class;

	if (fd < 0 || entry(fd) == NULL)
		return 0;
	number = atomic_fetch_add_explicit(&g->objects, 1, memory_order_relaxed) + 1;
	class = describe(s, fd, number, &from);
	if (class < 0)
		return 0;
	set(fd, number << 1 | (class == PH_CLASS_SOCKET));
	return number;
}

uint32_t ph_object_of(struct ph_stream *s, int fd)
{
	uint32_t number = ph_object_known(fd);

	return number != 0 || fd < 0 ? number : ph_object_new(s, fd, PH_ORIGIN_INHERITED, NULL);
}

void ph_object_again(struct ph_stream *s, int fd, unsigned how, const struct sockaddr *peer,
		     socklen_t length)
{
	const struct origin origin = {
		.how = how,
		.peer = length >= sizeof(peer->sa_family) && length <= ADDRESS_MAX ? peer : NULL,
		.peer_bytes = length,
		.is_socket = true,
	};
	uint32_t number = ph_object_known(fd);

	if (number != 0)
		describe(s, fd, number, &origin);
}

void ph_object_share(int from, int to)
{
	set(to, load(from));
}

uint32_t ph_object_forget(int fd)
{
	_Atomic uint32_t *e = fd >= 0 ? entry(fd) : NULL;

	return e != NULL ? atomic_exchange_explicit(e, 0, memory_order_relaxed) >> 1 : 0;
}

void ph_objects_forget(unsigned first, unsigned last)
{
	unsigned most = atomic_load_explicit(&highest, memory_order_relaxed);

	for (unsigned fd = first; fd <= last && fd <= most; fd++)
		atomic_store_explicit(&ph_descriptors[fd], 0, memory_order_relaxed);
}
