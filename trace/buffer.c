/* SPDX-License-Identifier: MIT */
/* The growing byte buffer. */
#include <stdlib.h>
#include <string.h>

#include "trace/buffer.h"
#include "trace/varint.h"

uint8_t *buffer_reserve(struct ph_buffer *b, size_t more)
{
	if (b->failed)
		return NULL;
	if (b->room - b->length < more) {
		size_t room = b->length + more;
		if (room < b->room * 2)
			room = b->room * 2;
		uint8_t *data = room < more ? NULL : realloc(b->data, room);
		if (!data) {
			b->failed = 1;
			return NULL;
		}
		b->data = data;
		b->room = room;
	}
	return b->data + b->length;
}

void ph_buffer_put(struct ph_buffer *b, const void *data, size_t length)
{
	uint8_t *at = length ? buffer_reserve(b, length) : NULL;
	if (!at)
		return;
	memcpy(at, data, length);
	b->length += length;
}

void ph_buffer_put_varint(struct ph_buffer *b, uint64_t value)
{
	uint8_t *at = buffer_reserve(b, PH_VARINT_MAX);
	if (at)
		b->length = (size_t)(varint_put(at, value) - b->data);
}

void ph_buffer_free(struct ph_buffer *b)
{
	free(b->data);
	*b = (struct ph_buffer){0};
}
