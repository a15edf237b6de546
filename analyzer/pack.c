/* SPDX-License-Identifier: MIT */
#include "analyzer/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/reader.h"
#include "analyzer/replace.h"
#include "analyzer/vector.h"
#include "trace/pack.h"

enum {
	/* Of all streams together: reading holds a block of each at once. */
	EVENTS_AT_ONCE = PH_BLOCK_EVENTS_MAX,
	EVENTS_LEAST = 1 << 14,
	NODES_AT_ONCE = 1 << 18,
	FLUSH_BYTES = 1 << 20,
};

/* Some blocks of one stream, decoded: calls stand in `words`, at offsets until all are
 * there. */
struct stretch {
	struct ph_event *events;
	size_t count, room;
	uint64_t *words;
	size_t word_count, word_room;
	uint32_t stream;
	uint64_t first_cell;
};

struct packing {
	struct reader reader;
	char *to; /* links resolved */
	char *part;
	int fd;
	struct ph_buffer out; /* not written yet */
	uint64_t written;
	struct ph_index_entry *index;
	size_t index_count, index_room;
	struct ph_buffer payload;
	struct ph_events events;
	struct stretch stretch;
	size_t events_at_once;
	const struct pack_progress *progress;
	struct error *e;
};

static int no_memory(struct packing *p)
{
	return fail(p->e, ERROR_MEMORY, 0, "%s: out of memory", p->reader.path);
}

/* ---- the file ----------------------------------------------------------------- */

static int flush(struct packing *p)
{
	size_t done = 0;

	while (done < p->out.length) {
		ssize_t n = write(p->fd, p->out.data + done, p->out.length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(p->e, ERROR_SYSTEM, 0, "%s: cannot be written: %s", p->to,
				    n < 0 ? strerror(errno) : "write error");
		done += (size_t)n;
	}
	p->written += done;
	p->out.length = 0;
	return 0;
}

static int begin_file(struct packing *p, const char *to)
{
	struct stat st;

	p->to = replace_name(to, p->e);
	if (p->to == NULL)
		return -1;
	if (asprintf(&p->part, "%s.%d.part", p->to, (int)getpid()) < 0) {
		p->part = NULL;
		return no_memory(p);
	}
	p->fd = open(p->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return fail(p->e, ERROR_SYSTEM, 0, "%s: %s", p->to, strerror(errno));
	if (fstat(p->reader.fd, &st) == 0)
		fchmod(p->fd, st.st_mode & 0777);
	return 0;
}

/* It may take the input's place, so it is on the disk before. */
static int end_file(struct packing *p)
{
	if (flush(p) != 0)
		return -1;
	if (fsync(p->fd) != 0 && errno != EINVAL)
		return fail(p->e, ERROR_SYSTEM, 0, "%s: cannot be written: %s", p->to,
			    strerror(errno));
	if (rename(p->part, p->to) != 0)
		return fail(p->e, ERROR_SYSTEM, 0, "%s: %s", p->to, strerror(errno));
	return 0;
}

static void note_block(struct packing *p, const struct ph_block_header *h)
{
	const struct ph_index_entry entry = {
		.offset = p->written + p->out.length,
		.first_stamp = h->first_stamp,
		.stream = h->stream,
		.events = h->events,
		.kind = h->kind,
	};

	/* Without an index the headers are read: nothing is lost. */
	if (vector_reserve(p->index, p->index_room, p->index_count + 1))
		p->index[p->index_count++] = entry;
	else
		p->out.failed = 1;
}

static int put_block(struct packing *p, const struct ph_block_header *h, const void *payload,
		     size_t length)
{
	if (h->kind != PH_BLOCK_INDEX)
		note_block(p, h);
	if (ph_block_seal_small(h, payload, length, &p->out) != 0 || p->out.failed)
		return no_memory(p);
	return p->out.length > FLUSH_BYTES ? flush(p) : 0;
}

/* ---- what is not events -------------------------------------------------------- */

static int read_payload(struct packing *p, const struct block *b)
{
	if (reader_payload(&p->reader, b, &p->payload))
		return 0;
	if (p->payload.failed)
		return no_memory(p);
	return fail(p->e, ERROR_FORMAT, b->offset, "%s: is damaged at byte %llu: not packed",
		    p->reader.path, (unsigned long long)b->offset);
}

/* Of kinds that are not known too. */
static int put_others(struct packing *p, bool ends)
{
	for (size_t i = 0; i < p->reader.block_count; i++) {
		const struct block *b = &p->reader.blocks[i];
		unsigned kind = b->header.kind;

		if (kind == PH_BLOCK_EVENTS || kind == PH_BLOCK_STACKS || kind == PH_BLOCK_INDEX ||
		    (kind == PH_BLOCK_END) != ends)
			continue;
		if (read_payload(p, b) != 0 ||
		    put_block(p, &b->header, p->payload.data, p->payload.length) != 0)
			return -1;
	}
	return 0;
}

struct stacks_so_far {
	struct ph_new_address *addresses;
	struct ph_new_node *nodes;
	size_t address_count, address_room, node_count, node_room;
	uint64_t addresses_before, nodes_before; /* in earlier blocks */
};

static int put_stacks(struct packing *p, struct stacks_so_far *s)
{
	struct ph_block_header h = {.kind = PH_BLOCK_STACKS,
				    .first_stamp = s->addresses_before,
				    .first_cell = s->nodes_before};
	struct ph_buffer payload = {0};
	int rc;

	if (s->address_count == 0 && s->node_count == 0)
		return 0;
	ph_encode_stacks(s->addresses, s->address_count, s->nodes, s->node_count, &payload);
	rc = payload.failed ? no_memory(p) : put_block(p, &h, payload.data, payload.length);
	ph_buffer_free(&payload);
	s->addresses_before += s->address_count;
	s->nodes_before += s->node_count;
	s->address_count = s->node_count = 0;
	return rc;
}

static int add_stacks(struct packing *p, struct stacks_so_far *s, const struct block *b)
{
	struct ph_new_address *a = NULL;
	struct ph_new_node *n = NULL;
	size_t address_count = 0, node_count = 0;
	const char *wrong;
	int rc = 0;

	if (read_payload(p, b) != 0)
		return -1;
	wrong = ph_decode_stacks(p->payload.data, p->payload.length, &a, &address_count, &n,
				 &node_count);
	if (wrong != NULL)
		return fail(p->e, ERROR_FORMAT, b->offset, "%s: %s: not packed", p->reader.path,
			    wrong);
	if (s->node_count + node_count > NODES_AT_ONCE ||
	    s->address_count + address_count > NODES_AT_ONCE)
		rc = put_stacks(p, s);
	if (vector_reserve(s->addresses, s->address_room, s->address_count + address_count + 1) &&
	    vector_reserve(s->nodes, s->node_room, s->node_count + node_count + 1)) {
		memcpy(s->addresses + s->address_count, a, address_count * sizeof(*a));
		memcpy(s->nodes + s->node_count, n, node_count * sizeof(*n));
		s->address_count += address_count;
		s->node_count += node_count;
	} else {
		rc = no_memory(p);
	}
	free(a);
	free(n);
	return rc;
}

static int put_all_stacks(struct packing *p)
{
	struct stacks_so_far s = {.addresses = NULL};
	int rc = 0;

	for (size_t i = 0; i < p->reader.block_count && rc == 0; i++)
		if (p->reader.blocks[i].header.kind == PH_BLOCK_STACKS)
			rc = add_stacks(p, &s, &p->reader.blocks[i]);
	if (rc == 0)
		rc = put_stacks(p, &s);
	free(s.addresses);
	free(s.nodes);
	return rc;
}

/* ---- events --------------------------------------------------------------------- */

static int put_stretch(struct packing *p)
{
	struct stretch *s = &p->stretch;
	struct ph_block_header h = {
		.kind = PH_BLOCK_EVENTS, .stream = s->stream, .first_cell = s->first_cell};
	struct ph_buffer payload = {0};
	int rc;

	if (s->count == 0)
		return 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->events[i].call != NULL)
			s->events[i].call =
				(const struct ph_call *)(s->words +
							 ((uintptr_t)s->events[i].call - 1));
	rc = ph_pack_events(s->events, s->count, &h, &payload) != 0
		     ? no_memory(p)
		     : put_block(p, &h, payload.data, payload.length);
	ph_buffer_free(&payload);
	s->count = s->word_count = 0;
	return rc;
}

static bool append(struct stretch *s, const struct ph_events *more)
{
	if (!vector_reserve(s->events, s->room, s->count + more->count + 1))
		return false;
	for (size_t i = 0; i < more->count; i++) {
		struct ph_event e = more->events[i];

		if (e.call != NULL) {
			size_t words = (size_t)e.call->cells * 2;

			if (!vector_reserve(s->words, s->word_room, s->word_count + words))
				return false;
			memcpy(s->words + s->word_count, e.call, words * sizeof(*s->words));
			/* Its place + 1: `words` may move. */
			e.call = (const struct ph_call *)(s->word_count + 1);
			s->word_count += words;
		}
		s->events[s->count++] = e;
	}
	return true;
}

static int add_events(struct packing *p, const struct block *b)
{
	struct stretch *s = &p->stretch;
	const char *wrong;

	if (b->header.events > PH_BLOCK_EVENTS_MAX)
		return fail(p->e, ERROR_FORMAT, b->offset, "%s: a block has too many events",
			    p->reader.path);
	if (read_payload(p, b) != 0)
		return -1;
	wrong = ph_decode_events(&b->header, p->payload.data, p->payload.length, &p->events);
	if (wrong != NULL)
		return fail(p->e, ERROR_FORMAT, b->offset, "%s: %s: not packed", p->reader.path,
			    wrong);
	if (s->count + p->events.count > p->events_at_once && put_stretch(p) != 0)
		return -1;
	if (s->count == 0) {
		s->stream = b->header.stream;
		s->first_cell = b->header.first_cell;
	}
	return append(s, &p->events) ? 0 : no_memory(p);
}

static int by_stream(const void *a, const void *b)
{
	const struct block *x = *(const struct block *const *)a,
			   *y = *(const struct block *const *)b;

	if (x->header.stream != y->header.stream)
		return x->header.stream < y->header.stream ? -1 : 1;
	return x->offset < y->offset ? -1 : 1;
}

/* Where a stream begins stands in the file's order, as it was: of streams that tie, the
 * first comes first. */
struct stream_part {
	size_t from, to; /* of the sorted blocks */
	uint64_t offset; /* of its first block */
};

static int by_first(const void *a, const void *b)
{
	const struct stream_part *x = a, *y = b;

	return x->offset < y->offset ? -1 : 1;
}

static int put_streams(struct packing *p, const struct block **blocks,
		       const struct stream_part *parts, size_t part_count)
{
	size_t share = EVENTS_AT_ONCE / (part_count + (part_count == 0));
	uint64_t done = 0;

	p->events_at_once = share > EVENTS_LEAST ? share : EVENTS_LEAST;
	for (size_t i = 0; i < part_count; i++) {
		for (size_t k = parts[i].from; k < parts[i].to; k++) {
			if (add_events(p, blocks[k]) != 0)
				return -1;
			done += blocks[k]->header.stored_bytes;
			if (p->progress != NULL)
				p->progress->update(p->progress->context, done, p->reader.size);
		}
		if (put_stretch(p) != 0)
			return -1;
	}
	return 0;
}

static int put_all_events(struct packing *p)
{
	size_t room = p->reader.block_count + 1, count = 0, part_count = 0;
	const struct block **blocks = calloc(room, sizeof(const struct block *));
	struct stream_part *parts = calloc(room, sizeof(*parts));
	int rc;

	if (blocks == NULL || parts == NULL) {
		free(blocks);
		free(parts);
		return no_memory(p);
	}
	for (size_t i = 0; i < p->reader.block_count; i++)
		if (p->reader.blocks[i].header.kind == PH_BLOCK_EVENTS)
			blocks[count++] = &p->reader.blocks[i];
	qsort(blocks, count, sizeof(*blocks), by_stream);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || blocks[i]->header.stream != blocks[i - 1]->header.stream)
			parts[part_count++] =
				(struct stream_part){.from = i, .offset = blocks[i]->offset};
		parts[part_count - 1].to = i + 1;
	}
	qsort(parts, part_count, sizeof(*parts), by_first);
	rc = put_streams(p, blocks, parts, part_count);
	free(blocks);
	free(parts);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------ */

static int check_input(struct packing *p)
{
	const struct reader *r = &p->reader;

	if (r->damaged != 0)
		return fail(p->e, ERROR_FORMAT, r->damage_at,
			    "%s: is damaged at byte %llu: not packed", r->path,
			    (unsigned long long)r->damage_at);
	if (r->truncated || !r->ended)
		return fail(p->e, ERROR_FORMAT, r->size,
			    "%s: is not finished, or its end is missing: not packed", r->path);
	return 0;
}

static int put_all(struct packing *p)
{
	struct ph_file_header header = {.reserved = 0};
	struct ph_block_header index = {.kind = PH_BLOCK_INDEX};

	memcpy(header.id, p->reader.id, sizeof(header.id));
	ph_file_header_seal(&header);
	ph_buffer_put(&p->out, &header, sizeof(header));
	if (put_others(p, false) != 0 || put_all_stacks(p) != 0 || put_all_events(p) != 0 ||
	    put_others(p, true) != 0)
		return -1;
	return put_block(p, &index, p->index, p->index_count * sizeof(*p->index));
}

/* The input as it is, in place of what has been written. */
static int copy_input(struct packing *p)
{
	uint8_t *bytes = malloc(FLUSH_BYTES);
	int rc = bytes != NULL ? 0 : no_memory(p);
	uint64_t at = 0;

	p->out.length = 0;
	p->written = 0;
	if (rc == 0 && (ftruncate(p->fd, 0) != 0 || lseek(p->fd, 0, SEEK_SET) != 0))
		rc = fail(p->e, ERROR_SYSTEM, 0, "%s: %s", p->to, strerror(errno));
	while (rc == 0 && at < p->reader.size) {
		ssize_t n = pread(p->reader.fd, bytes, FLUSH_BYTES, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = fail(p->e, ERROR_SYSTEM, at, "%s: cannot be read: %s", p->reader.path,
				  n < 0 ? strerror(errno) : "it became shorter");
			break;
		}
		ph_buffer_put(&p->out, bytes, (size_t)n);
		at += (uint64_t)n;
		rc = p->out.failed ? no_memory(p) : flush(p);
	}
	free(bytes);
	return rc;
}

static int pack(struct packing *p, const char *to)
{
	if (check_input(p) != 0 || begin_file(p, to) != 0 || put_all(p) != 0)
		return -1;
	if (p->written + p->out.length >= p->reader.size && copy_input(p) != 0)
		return -1;
	return end_file(p);
}

int pack_trace(const char *from, const char *to, struct pack_sizes *sizes,
	       const struct pack_progress *progress, struct error *e)
{
	struct packing p = {.fd = -1, .progress = progress, .e = e};
	int rc;

	if (reader_open(&p.reader, from, e) != 0)
		return -1;
	rc = pack(&p, to);
	*sizes = (struct pack_sizes){p.reader.size, p.written};
	if (p.fd >= 0)
		close(p.fd);
	if (rc != 0 && p.fd >= 0 && p.part != NULL)
		unlink(p.part);
	free(p.part);
	free(p.to);
	free(p.index);
	free(p.stretch.events);
	free(p.stretch.words);
	ph_buffer_free(&p.out);
	ph_buffer_free(&p.payload);
	ph_events_free(&p.events);
	reader_close(&p.reader);
	return rc;
}
