/* SPDX-License-Identifier: MIT */
/* Protocol buffers as they are on the wire. */
#include "analyzer/protobuf.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_BYTES = 2,
};

static void append(struct protobuf *p, const void *data, size_t length)
{
	if (p->failed || !vector_reserve(p->data, p->room, p->length + length + 1)) {
		p->failed = true;
		return;
	}
	memcpy(p->data + p->length, data, length);
	p->length += length;
}

void protobuf_varint(struct protobuf *p, uint64_t value)
{
	uint8_t bytes[10];
	size_t count = 0;

	do {
		bytes[count++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value != 0);
	append(p, bytes, count);
}

static void begin_field(struct protobuf *p, unsigned field, enum wire_type type)
{
	protobuf_varint(p, field << 3 | type);
}

void protobuf_number(struct protobuf *p, unsigned field, uint64_t value)
{
	if (value == 0)
		return;
	begin_field(p, field, WIRE_VARINT);
	protobuf_varint(p, value);
}

void protobuf_bytes(struct protobuf *p, unsigned field, const void *data, size_t length)
{
	begin_field(p, field, WIRE_BYTES);
	protobuf_varint(p, length);
	if (length != 0)
		append(p, data, length);
}

void protobuf_string(struct protobuf *p, unsigned field, const char *text)
{
	protobuf_bytes(p, field, text, strlen(text));
}

void protobuf_message(struct protobuf *p, unsigned field, const struct protobuf *message)
{
	p->failed |= message->failed;
	protobuf_bytes(p, field, message->data, message->length);
}

void protobuf_free(struct protobuf *p)
{
	free(p->data);
	*p = (struct protobuf){0};
}
