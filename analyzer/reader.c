/* SPDX-License-Identifier: MIT */
#include "analyzer/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/vector.h"

enum { WINDOW = 64 << 10 };

/* How many bytes could be read at `offset`: fewer than asked for at the end. */
static size_t read_at(const struct reader *r, void *to, size_t length, uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(r->fd, (char *)to + done, length - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

void reader_damage(struct reader *r, uint64_t offset)
{
	if (r->damaged++ == 0)
		r->damage_at = offset;
}

/* The next place from `offset` on where a valid block header stands; the file's
 * size if there is none. */
static uint64_t find_header(const struct reader *r, uint64_t offset)
{
	static const uint32_t magic = PH_BLOCK_MAGIC;
	struct ph_block_header h;
	uint8_t window[WINDOW];
	size_t length;

	while ((length = read_at(r, window, sizeof(window), offset)) >= sizeof(h)) {
		uint8_t *at = window, *end = window + length;

		while ((at = memmem(at, (size_t)(end - at), &magic, sizeof(magic))) != NULL &&
		       (size_t)(end - at) >= sizeof(h)) {
			memcpy(&h, at, sizeof(h));
			if (ph_block_header_check(&h) == NULL)
				return offset + (size_t)(at - window);
			at++;
		}
		/* What may have begun at the window's end is looked at again. */
		offset += length - (sizeof(h) - 1);
	}
	return r->size;
}

static int add_block(struct reader *r, uint64_t offset, const struct ph_block_header *h)
{
	if (!vector_reserve(r->blocks, r->block_room, r->block_count + 1))
		return -1;
	r->blocks[r->block_count++] = (struct block){offset, *h};
	r->ended |= h->kind == PH_BLOCK_END;
	return 0;
}

static int scan(struct reader *r, uint64_t offset, struct error *e)
{
	struct ph_block_header h;

	while (offset < r->size) {
		bool whole = read_at(r, &h, sizeof(h), offset) == sizeof(h);

		if (whole && ph_block_header_check(&h) == NULL) {
			uint64_t end = offset + sizeof(h) + h.stored_bytes;

			if (end <= r->size) {
				if (add_block(r, offset, &h) != 0)
					return fail(e, ERROR_MEMORY, offset,
						    "%s: out of memory for its %zu blocks", r->path,
						    r->block_count);
				offset = end;
				continue;
			}
			r->truncated = true;
		} else if (!whole) {
			r->truncated = true;
			break;
		} else {
			reader_damage(r, offset);
		}
		if (r->gap_at > offset)
			r->gap_at = offset;
		offset = find_header(r, offset + 1);
	}
	return 0;
}

/* A block that the index knows and the scan did not meet was cut out. */
static void check_index(struct reader *r)
{
	const struct block *last = r->block_count ? &r->blocks[r->block_count - 1] : NULL;
	struct ph_buffer payload = {0};
	struct ph_index_entry entry;
	size_t at = 0;

	if (last == NULL || last->header.kind != PH_BLOCK_INDEX || r->damaged != 0)
		return;
	if (reader_payload(r, last, &payload)) {
		for (size_t i = 0; i + sizeof(entry) <= payload.length; i += sizeof(entry)) {
			memcpy(&entry, payload.data + i, sizeof(entry));
			while (at < r->block_count && r->blocks[at].offset < entry.offset)
				at++;
			if (at == r->block_count || r->blocks[at].offset != entry.offset)
				reader_damage(r, entry.offset);
		}
	}
	ph_buffer_free(&payload);
}

/* Where the first block begins, or 0 with *e filled. */
static uint64_t check_file_header(struct reader *r, struct error *e)
{
	struct ph_file_header h;
	size_t length = read_at(r, &h, sizeof(h), 0);
	const char *wrong;

	if (length == 0)
		return fail(e, ERROR_FORMAT, 0, "%s: is empty; was anything recorded?", r->path), 0;
	if (length < sizeof(h.magic) || memcmp(h.magic, PH_TRACE_MAGIC, sizeof(h.magic)) != 0)
		return fail(e, ERROR_FORMAT, 0, "%s: not a perfhook trace", r->path), 0;
	if (length < sizeof(h))
		return fail(e, ERROR_FORMAT, 0, "%s: ends within its header", r->path), 0;
	wrong = ph_file_header_check(&h);
	memcpy(r->id, h.id, sizeof(r->id));
	if (wrong == NULL)
		return h.header_bytes;
	if (h.major > PH_TRACE_MAJOR)
		return fail(e, ERROR_VERSION, 0, "%s: %s", r->path, wrong), 0;
	reader_damage(r, 0);
	return sizeof(h);
}

static int open_file(struct reader *r, struct error *e)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO without a writer must not hang us. */
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, &st) != 0)
		return fail(e, ERROR_SYSTEM, 0, "%s: %s", r->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(e, ERROR_FORMAT, 0, "%s: not a regular file", r->path);
	r->size = (uint64_t)st.st_size;
	return 0;
}

int reader_open(struct reader *r, const char *path, struct error *e)
{
	uint64_t first;

	*r = (struct reader){.fd = -1, .gap_at = UINT64_MAX};
	r->path = strdup(path);
	if (r->path == NULL)
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", path);
	if (open_file(r, e) != 0 || (first = check_file_header(r, e)) == 0 ||
	    scan(r, first, e) != 0)
		goto failed;
	if (r->block_count == 0) {
		fail(e, ERROR_FORMAT, first, "%s: nothing in it can be used", path);
		goto failed;
	}
	check_index(r);
	return 0;
failed:
	reader_close(r);
	return -1;
}

void reader_close(struct reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r->blocks);
	ph_buffer_free(&r->stored);
	*r = (struct reader){.fd = -1};
}

bool reader_load(const struct reader *r, const struct block *b, struct ph_buffer *stored,
		 struct ph_buffer *payload)
{
	size_t length = b->header.stored_bytes;

	payload->length = 0;
	return vector_reserve(stored->data, stored->room, length + 1) &&
	       read_at(r, stored->data, length, b->offset + sizeof(b->header)) == length &&
	       ph_block_open(&b->header, stored->data, payload) == NULL;
}

bool reader_payload(struct reader *r, const struct block *b, struct ph_buffer *payload)
{
	if (reader_load(r, b, &r->stored, payload))
		return true;
	reader_damage(r, b->offset);
	return false;
}
