/* SPDX-License-Identifier: MIT */
/* Calls about files by their paths. */
#include <fcntl.h>
#include <string.h>

#include "analyzer/io_parts.h"
#include "analyzer/paths.h"

/* The directory that a path is relative to. */
static const char *directory_of(const struct replay_io *io, int32_t fd, uint32_t object)
{
	const struct io_object *o;

	if (fd == AT_FDCWD)
		return io->directory;
	o = object != 0 ? io_find_object(io, object) : NULL;
	return o != NULL ? io->sinks[o->sink].path : NULL;
}

/* 0: it cannot be told. What is relative to something unknown goes by its own name. */
static uint32_t named_sink(struct replay_io *io, int32_t fd, uint32_t object, const char *path,
			   size_t bytes)
{
	char text[PATH_ROOM];
	const char *whole = path_absolute(text, directory_of(io, fd, object), path, bytes);

	if (whole == NULL && bytes != 0 && bytes < sizeof(text)) {
		memcpy(text, path, bytes);
		text[bytes] = '\0';
		whole = text[0] != '\0' ? text : NULL;
	}
	return whole != NULL ? io_path_sink(io, whole) : 0;
}

/* Both paths of a call; 0: it has none. */
static void find_named(struct replay_io *io, const struct ph_call *call, uint32_t sinks[2])
{
	uint64_t lengths = io_extra(call, 0), other = io_extra(call, 1);
	size_t first = (uint32_t)lengths, second = lengths >> 32, room = 0;
	const uint8_t *text = io_tail(call, 2, &room);

	sinks[0] = sinks[1] = 0;
	if (text == NULL || first == 0 || first > room || second > room - first)
		return;
	sinks[0] = named_sink(io, call->fd, call->object, (const char *)text, first);
	if (second != 0)
		sinks[1] = named_sink(io, (int32_t)(uint32_t)other, (uint32_t)(other >> 32),
				      (const char *)text + first, second);
}

/* Is what a path names another file from now on? */
static bool ends_file(const char *name)
{
	return name != NULL && (strncmp(name, "unlink", 6) == 0 || strcmp(name, "remove") == 0 ||
				strncmp(name, "rename", 6) == 0);
}

static void note_metadata(struct replay_io *io, const struct ph_call *call, uint32_t sink)
{
	const struct side side = io_side_of(io, call, sink);
	struct io_sink *s = &io->sinks[sink];

	if (!io->quiet) {
		s->metadata_calls++;
		s->metadata_errors += side.result < 0;
		s->metadata_ns += side.ns;
		io_note_use(io, &side, 0);
	}
	if (side.result == 0 && s->tracked != NULL && ends_file(io->names[call->op]))
		io_forget_ranges(io, sink);
}

void io_metadata(struct replay_io *io, const struct ph_call *call)
{
	uint32_t sinks[2];

	find_named(io, call, sinks);
	if (sinks[0] == 0 && io_extra(call, 0) == 0 && call->fd >= 0)
		sinks[0] = io_sink_of(io, call);
	if (sinks[0] != 0)
		note_metadata(io, call, sinks[0]);
	if (sinks[1] != 0 && sinks[1] != sinks[0])
		note_metadata(io, call, sinks[1]);
}

void io_not_opened(struct replay_io *io, const struct ph_call *call)
{
	struct side side;
	uint32_t sinks[2];

	if (io->quiet)
		return;
	find_named(io, call, sinks);
	if (sinks[0] == 0)
		return;
	side = io_side_of(io, call, sinks[0]);
	io->sinks[sinks[0]].failed_opens++;
	io_note_use(io, &side, 0);
}
