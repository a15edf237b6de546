/* SPDX-License-Identifier: MIT */
/*
 * Protocol buffers as they are on the wire: fields appended to a message in memory.
 * Running out of memory is remembered, and all that follows is nothing.
 */
#ifndef PH_ANALYZER_PROTOBUF_H
#define PH_ANALYZER_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
	uint8_t *data; /* by free(3) */
	size_t length, room;
	bool failed;
};

/* A number; 0 is left out, as a reader takes it. Negative ones as int64. */
void protobuf_number(struct protobuf *p, unsigned field, uint64_t value);
void protobuf_bytes(struct protobuf *p, unsigned field, const void *data, size_t length);
void protobuf_string(struct protobuf *p, unsigned field, const char *text);
void protobuf_message(struct protobuf *p, unsigned field, const struct protobuf *message);
/* A number without its field: packed lists are bytes of them. */
void protobuf_varint(struct protobuf *p, uint64_t value);
void protobuf_free(struct protobuf *p);

#endif
