/* SPDX-License-Identifier: MIT */
/* Writing into a buffer in place: private to trace/. */
#ifndef PH_TRACE_BUFFER_H
#define PH_TRACE_BUFFER_H

#include "trace/encode.h"

/* Room for `more` bytes after b->length; the caller advances the length. NULL
 * (and b->failed) when memory ran out. Pointers into the buffer die. */
uint8_t *buffer_reserve(struct ph_buffer *b, size_t more);

#endif
