/* SPDX-License-Identifier: MIT */
#include "collector/spill.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Coarse stamps by stream. */
struct stamps {
	uint64_t *of;
	uint32_t room;
};

static uint64_t *stamp_of(struct stamps *s, uint32_t stream)
{
	if (stream >= s->room) {
		uint32_t room = stream + 256;
		uint64_t *more = realloc(s->of, room * sizeof(*more));

		if (more == NULL)
			return NULL;
		memset(more + s->room, 0, (room - s->room) * sizeof(*more));
		s->of = more;
		s->room = room;
	}
	return &s->of[stream];
}

static bool read_whole(int fd, void *out, size_t count)
{
	size_t done = 0;

	while (done < count) {
		ssize_t n = read(fd, (char *)out + done, count - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool read_record(int fd, const struct target *t, struct ph_spill *r, struct ph_cell *cells)
{
	return read_whole(fd, r, sizeof(*r)) && r->magic == PH_SPILL_MAGIC &&
	       r->cells <= TARGET_CELLS && r->stream <= atomic_load(&t->segment->streams) &&
	       read_whole(fd, cells, r->cells * sizeof(*cells));
}

static void add_thread(struct target *t, const struct ph_spill *r)
{
	struct thread_entry e = {
		.stream = r->stream,
		.tid = r->tid,
		.nested_in = r->nested_in,
		.started = r->started,
		.ended = r->ended,
		.cpu_started = r->cpu_started,
		.cpu = r->cpu,
		.cpu_ticks = r->cpu_ticks,
	};

	memcpy(e.name, r->name, sizeof(e.name));
	e.name[sizeof(e.name) - 1] = '\0';
	target_add_thread(t, &e);
}

static void hand_over(struct target *t, const struct stamps *stamps)
{
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		const struct ph_slot *slot = target_slot(t, i);

		if (slot->stream < stamps->room) {
			t->streams[i].stream = slot->stream;
			t->streams[i].stamp = stamps->of[slot->stream];
		}
	}
}

bool spill_read(struct target *t, const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stamps stamps = {.of = NULL};
	struct ph_cell *cells;
	struct ph_spill r;
	bool ok;

	/* No ring was ever full. */
	if (fd < 0)
		return true;
	cells = malloc(TARGET_CELLS * sizeof(*cells));
	ok = cells != NULL;
	while (ok && read_record(fd, t, &r, cells)) {
		const struct ph_cells in = {.cells = cells, .count = r.cells};
		uint64_t *stamp = stamp_of(&stamps, r.stream);

		ok = stamp != NULL &&
		     (r.cells == 0 || target_add_cells(t, r.stream, r.first_cell, &in, stamp));
		if (r.over)
			add_thread(t, &r);
	}
	hand_over(t, &stamps);
	free(stamps.of);
	free(cells);
	close(fd);
	return ok && !t->stuck;
}
