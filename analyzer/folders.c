/* SPDX-License-Identifier: MIT */
#include "analyzer/folders.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/io.h"
#include "analyzer/map.h"
#include "analyzer/vector.h"

/* In the making. */
struct directory {
	struct folder folder;
	size_t length; /* of its path */
	struct recorder latency;
	bool has_files, seen_inner;
	uint32_t inner; /* one directory in it */
	bool branches;	/* there is another */
	uint32_t outer; /* place + 1 of what it is in; 0: nothing */
};

struct directories {
	struct directory *list;
	size_t count, room;
	struct index by_path;
	struct arena *arena;
	bool failed;
};

/* Its place; SIZE_MAX: out of memory. */
static size_t place_of(struct directories *d, const char *path, size_t length)
{
	uint64_t hash = map_hash_bytes(path, length);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&d->by_path, hash, &at)) != 0)
		if (d->list[place - 1].length == length &&
		    memcmp(d->list[place - 1].folder.path, path, length) == 0)
			return place - 1;
	if (!vector_reserve(d->list, d->room, d->count + 1) ||
	    !index_insert(&d->by_path, hash, (uint32_t)d->count + 1)) {
		d->failed = true;
		return SIZE_MAX;
	}
	d->list[d->count] = (struct directory){.folder.path = arena_copy(d->arena, path, length),
					       .length = length};
	return d->count++;
}

static void add(struct directory *to, const struct file *f)
{
	to->folder.files++;
	to->folder.opens += f->opens;
	to->folder.metadata_calls += f->metadata_calls;
	traffic_add(&to->folder.traffic, &f->traffic);
}

/* "/a/b/c" is in "/a/b", which is in "/a", which is in "/". */
static void add_file(struct directories *d, const struct file *f)
{
	size_t length = strlen(f->path), inner = SIZE_MAX;

	while (length > 1) {
		size_t place;

		while (length > 0 && f->path[length - 1] != '/')
			length--;
		length -= length > 1;
		place = place_of(d, f->path, length);
		if (place == SIZE_MAX)
			return;
		add(&d->list[place], f);
		if (inner == SIZE_MAX) {
			d->list[place].has_files = true;
			if (f->traffic.recorder != NULL)
				d->failed |= !latency_merge(&d->list[place].latency,
							    f->traffic.recorder);
		} else if (!d->list[place].seen_inner)
			d->list[place].inner = (uint32_t)inner;
		else
			d->list[place].branches |= d->list[place].inner != inner;
		d->list[place].seen_inner |= inner != SIZE_MAX;
		if (inner != SIZE_MAX)
			d->list[inner].outer = (uint32_t)place + 1;
		inner = place;
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct folder *x = a, *y = b;
	uint64_t p = x->traffic.read_bytes + x->traffic.written_bytes;
	uint64_t q = y->traffic.read_bytes + y->traffic.written_bytes;

	if (p != q)
		return p < q ? 1 : -1;
	return strcmp(x->path, y->path);
}

struct depth {
	size_t length;
	uint32_t place;
};

static int by_length(const void *a, const void *b)
{
	const struct depth *x = a, *y = b;

	return (y->length > x->length) - (y->length < x->length);
}

/* From the innermost outwards: each file's latencies go into one directory only. */
static void pass_on(struct directories *d)
{
	struct depth *order = calloc(d->count + 1, sizeof(*order));

	if (order == NULL) {
		d->failed = true;
		return;
	}
	for (size_t i = 0; i < d->count; i++)
		order[i] = (struct depth){d->list[i].length, (uint32_t)i};
	qsort(order, d->count, sizeof(*order), by_length);
	for (size_t i = 0; i < d->count; i++) {
		const struct directory *from = &d->list[order[i].place];

		if (from->outer != 0)
			d->failed |=
				!latency_merge(&d->list[from->outer - 1].latency, &from->latency);
	}
	free(order);
}

static void list_folders(struct directories *d, struct run *run)
{
	run->folders = calloc(d->count + 1, sizeof(*run->folders));
	if (run->folders == NULL) {
		d->failed = true;
		return;
	}
	for (size_t i = 0; i < d->count; i++) {
		struct directory *x = &d->list[i];

		latency_result(&x->latency, &x->folder.traffic.latency);
		if (x->has_files || x->branches)
			run->folders[run->folder_count++] = x->folder;
	}
	if (run->folder_count != 0)
		qsort(run->folders, run->folder_count, sizeof(*run->folders), by_bytes);
}

bool folders_make(struct run *run, struct arena *arena)
{
	struct directories d = {.arena = arena};

	if (!vector_reserve(d.list, d.room, 1))
		return false;
	for (size_t i = 0; i < run->file_count; i++)
		if (run->files[i].path != NULL && run->files[i].path[0] == '/')
			add_file(&d, &run->files[i]);
	pass_on(&d);
	list_folders(&d, run);
	for (size_t i = 0; i < d.count; i++)
		latency_free(&d.list[i].latency);
	free(d.list);
	index_free(&d.by_path);
	return !d.failed;
}
