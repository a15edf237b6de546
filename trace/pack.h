/* SPDX-License-Identifier: MIT */
/*
 * Events to the smaller layout, for `perfhook pack`. Thread-safe as long as each caller
 * has its own buffers; allocates; never prints.
 */
#ifndef PH_TRACE_PACK_H
#define PH_TRACE_PACK_H

#include "trace/decode.h"

/*
 * Events of one stream in the second layout, appended to `out`. Fills header->events and
 * header->first_stamp; the caller has set the rest. Returns 0, or -1 when memory ran out
 * (out->failed) or there are more events than a block can hold.
 */
int ph_pack_events(const struct ph_event *events, size_t count, struct ph_block_header *header,
		   struct ph_buffer *out);

/* As ph_block_seal(), as small as zstd makes it: a few megabytes a second. */
int ph_block_seal_small(const struct ph_block_header *header, const void *payload, size_t length,
			struct ph_buffer *out);

#endif
