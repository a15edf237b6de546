/* SPDX-License-Identifier: MIT */
/* Blocks and the file header: checksums, compression, versions. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "trace/buffer.h"
#include "trace/decode.h"
#include "trace/pack.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they are");

#define LEVEL	    1
#define LEVEL_SMALL 19

/* zstd's work areas: as large as a block takes to compress, so each thread
 * keeps its own until it ends. */
struct areas {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
};

static pthread_key_t areas_key;
static pthread_once_t areas_once = PTHREAD_ONCE_INIT;
static int areas_failed;

static void areas_free(void *p)
{
	struct areas *a = p;
	ZSTD_freeCCtx(a->compress);
	ZSTD_freeDCtx(a->decompress);
	free(a);
}

static void areas_begin(void)
{
	areas_failed = pthread_key_create(&areas_key, areas_free);
}

static struct areas *areas_get(void)
{
	pthread_once(&areas_once, areas_begin);
	if (areas_failed)
		return NULL;
	struct areas *a = pthread_getspecific(areas_key);
	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (a && pthread_setspecific(areas_key, a)) {
		free(a);
		return NULL;
	}
	return a;
}

static uint32_t crc(const void *data, size_t length)
{
	return (uint32_t)crc32_z(0, data, length);
}

/* The frame's length, or 0 when it is not smaller than the payload. */
static size_t pack(void *to, size_t room, const void *payload, size_t length, int level)
{
	struct areas *a = areas_get();
	if (!a || (!a->compress && !(a->compress = ZSTD_createCCtx())))
		return 0;
	size_t n = ZSTD_compressCCtx(a->compress, to, room, payload, length, level);
	return ZSTD_isError(n) || n >= length ? 0 : n;
}

static int seal(const struct ph_block_header *header, const void *payload, size_t length, int level,
		struct ph_buffer *out)
{
	struct ph_block_header h = *header;
	size_t room = ZSTD_compressBound(length);
	uint8_t *at = length > PH_BLOCK_RAW_MAX ? NULL : buffer_reserve(out, sizeof(h) + room);
	if (!at)
		return -1;
	size_t stored = length ? pack(at + sizeof(h), room, payload, length, level) : 0;
	h.flags = stored ? PH_BLOCK_ZSTD : 0;
	if (!stored && length)
		memcpy(at + sizeof(h), payload, stored = length);
	h.magic = PH_BLOCK_MAGIC;
	h.stored_bytes = (uint32_t)stored;
	h.raw_bytes = (uint32_t)length;
	h.payload_crc = crc(at + sizeof(h), stored);
	h.header_crc = crc(&h, offsetof(struct ph_block_header, header_crc));
	memcpy(at, &h, sizeof(h));
	out->length += sizeof(h) + stored;
	return 0;
}

int ph_block_seal(const struct ph_block_header *header, const void *payload, size_t length,
		  struct ph_buffer *out)
{
	return seal(header, payload, length, LEVEL, out);
}

int ph_block_seal_small(const struct ph_block_header *header, const void *payload, size_t length,
			struct ph_buffer *out)
{
	return seal(header, payload, length, LEVEL_SMALL, out);
}

const char *ph_block_header_check(const struct ph_block_header *header)
{
	if (header->magic != PH_BLOCK_MAGIC)
		return "no block begins here";
	if (header->header_crc != crc(header, offsetof(struct ph_block_header, header_crc)))
		return "a block's header is damaged (its checksum does not match)";
	if (header->raw_bytes > PH_BLOCK_RAW_MAX || header->stored_bytes > PH_BLOCK_RAW_MAX)
		return "a block says that it is larger than any block is";
	if (!header->flags && header->stored_bytes != header->raw_bytes)
		return "a block's two sizes contradict each other";
	if (header->kind == PH_BLOCK_EVENTS && header->events > header->raw_bytes)
		return "a block says that it has more events than it has room for";
	return NULL;
}

static const char *unpack(const struct ph_block_header *header, const void *stored, void *to)
{
	struct areas *a = areas_get();
	if (!a || (!a->decompress && !(a->decompress = ZSTD_createDCtx())))
		return "out of memory for a block's payload";
	size_t n = ZSTD_decompressDCtx(a->decompress, to, header->raw_bytes, stored,
				       header->stored_bytes);
	return ZSTD_isError(n) || n != header->raw_bytes ? "a block's payload does not decompress"
							 : NULL;
}

const char *ph_block_open(const struct ph_block_header *header, const void *stored,
			  struct ph_buffer *out)
{
	const char *wrong = ph_block_header_check(header);

	out->length = 0;
	if (wrong)
		return wrong;
	if (header->payload_crc != crc(stored, header->stored_bytes))
		return "a block's payload is damaged (its checksum does not match)";
	if (header->flags & ~PH_BLOCK_ZSTD)
		return "a block is stored in a way this perfhook does not know; update perfhook";
	if ((header->flags & PH_BLOCK_ZSTD) &&
	    ZSTD_getFrameContentSize(stored, header->stored_bytes) != header->raw_bytes)
		return "a block's payload does not decompress to the size that it says";
	if (header->raw_bytes && !buffer_reserve(out, header->raw_bytes))
		return "out of memory for a block's payload";
	if (header->flags & PH_BLOCK_ZSTD)
		wrong = unpack(header, stored, out->data);
	else if (header->raw_bytes)
		memcpy(out->data, stored, header->raw_bytes);
	out->length = wrong ? 0 : header->raw_bytes;
	return wrong;
}

void ph_file_header_seal(struct ph_file_header *header)
{
	memcpy(header->magic, PH_TRACE_MAGIC, sizeof(header->magic));
	header->major = PH_TRACE_MAJOR;
	header->minor = PH_TRACE_MINOR;
	header->header_bytes = sizeof(*header);
	header->reserved = 0;
	header->crc = crc(header, offsetof(struct ph_file_header, crc));
}

static const char *too_new(const struct ph_file_header *header)
{
	static _Thread_local char text[160];
	snprintf(text, sizeof(text),
		 "written by a newer perfhook: format %u.%u, this one reads up to %u.x; "
		 "update perfhook",
		 header->major, header->minor, PH_TRACE_MAJOR);
	return text;
}

const char *ph_file_header_check(const struct ph_file_header *header)
{
	if (memcmp(header->magic, PH_TRACE_MAGIC, sizeof(header->magic)) != 0)
		return "not a perfhook trace";
	/* A newer major version may have moved all that follows. */
	if (header->major > PH_TRACE_MAJOR)
		return too_new(header);
	if (header->crc != crc(header, offsetof(struct ph_file_header, crc)))
		return "the file's header is damaged (its checksum does not match)";
	if (header->major == 0 || header->header_bytes < sizeof(*header))
		return "the file's header contradicts itself";
	return NULL;
}
