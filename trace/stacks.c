/* SPDX-License-Identifier: MIT */
/* STACKS payloads, both ways: four columns of differences. */
#include <stdlib.h>

#include "trace/buffer.h"
#include "trace/decode.h"
#include "trace/varint.h"

#define STACKS_LAYOUT 1

void ph_encode_stacks(const struct ph_new_address *addresses, size_t address_count,
		      const struct ph_new_node *nodes, size_t node_count, struct ph_buffer *out)
{
	size_t values = 3 + 2 * address_count + 2 * node_count;
	uint8_t *at = buffer_reserve(out, values * PH_VARINT_MAX);
	uint64_t last = 0;

	if (!at)
		return;
	at = varint_put(at, STACKS_LAYOUT);
	at = varint_put(at, address_count);
	at = varint_put(at, node_count);
	for (size_t i = 0; i < address_count; last = addresses[i++].address)
		at = varint_put(at, zigzag(addresses[i].address - last));
	last = 0;
	for (size_t i = 0; i < address_count; last = addresses[i++].epoch)
		at = varint_put(at, zigzag(addresses[i].epoch - last));
	last = 0;
	for (size_t i = 0; i < node_count; last = nodes[i++].parent)
		at = varint_put(at, zigzag(nodes[i].parent - last));
	last = 0;
	for (size_t i = 0; i < node_count; last = nodes[i++].address)
		at = varint_put(at, zigzag(nodes[i].address - last));
	out->length = (size_t)(at - out->data);
}

/* The next of a column of differences that must fit 32 bits. */
static uint32_t next32(struct varint_reader *r, uint64_t *last)
{
	*last += unzigzag(varint_get(r));
	r->bad |= *last > UINT32_MAX;
	return (uint32_t)*last;
}

static void read_stacks(struct varint_reader *r, struct ph_new_address *addresses,
			size_t address_count, struct ph_new_node *nodes, size_t node_count)
{
	uint64_t address = 0, epoch = 0, parent = 0, number = 0;

	for (size_t i = 0; i < address_count; i++)
		addresses[i].address = address += unzigzag(varint_get(r));
	for (size_t i = 0; i < address_count; i++)
		addresses[i].epoch = next32(r, &epoch);
	for (size_t i = 0; i < node_count; i++)
		nodes[i].parent = next32(r, &parent);
	for (size_t i = 0; i < node_count; i++)
		nodes[i].address = next32(r, &number);
}

const char *ph_decode_stacks(const uint8_t *payload, size_t length,
			     struct ph_new_address **addresses, size_t *address_count,
			     struct ph_new_node **nodes, size_t *node_count)
{
	struct varint_reader r = {.at = payload, .end = payload + length};
	uint64_t layout = varint_get(&r), na = varint_get(&r), nn = varint_get(&r);
	size_t left = (size_t)(r.end - r.at);

	if (r.bad)
		return "a stack block ends in the middle";
	if (layout != STACKS_LAYOUT)
		return "a stack block is laid out in a way this perfhook does not know";
	/* Each takes two bytes at least. */
	if (na > left / 2 || nn > left / 2 || na + nn > left / 2)
		return "a stack block ends in the middle";
	*addresses = calloc(na + 1, sizeof(**addresses));
	*nodes = calloc(nn + 1, sizeof(**nodes));
	if (*addresses && *nodes) {
		read_stacks(&r, *addresses, na, *nodes, nn);
		*address_count = na;
		*node_count = nn;
		if (!r.bad && r.at == r.end)
			return NULL;
	}
	const char *wrong = *addresses && *nodes ? "a number in a stack block is out of range"
						 : "out of memory for a block's stacks";
	free(*addresses);
	free(*nodes);
	*addresses = NULL;
	*nodes = NULL;
	*address_count = *node_count = 0;
	return wrong;
}
