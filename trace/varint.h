/* SPDX-License-Identifier: MIT */
/* LEB128 and zigzag: private to trace/. */
#ifndef PH_TRACE_VARINT_H
#define PH_TRACE_VARINT_H

#include <stdint.h>

#define PH_VARINT_MAX 10 /* bytes of the longest */

/* The caller has made sure of the room. Returns where the next byte goes. */
static inline uint8_t *varint_put(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

/* Small for small numbers of either sign. */
static inline uint64_t zigzag(uint64_t value)
{
	return value << 1 ^ (0 - (value >> 63));
}

static inline uint64_t unzigzag(uint64_t value)
{
	return value >> 1 ^ (0 - (value & 1));
}

/* Bytes not read yet. `bad` stays set once something was missing or too long;
 * what is read then is 0. */
struct varint_reader {
	const uint8_t *at, *end;
	int bad;
};

static inline uint64_t varint_get(struct varint_reader *r)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		uint64_t byte = *r->at++;
		value |= (byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	r->bad = 1;
	return 0;
}

#endif
