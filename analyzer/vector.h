/* SPDX-License-Identifier: MIT */
/* Growing arrays: make room for one more element, doubling. */
#ifndef PH_ANALYZER_VECTOR_H
#define PH_ANALYZER_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Room for `need` elements of `size` bytes in *data. false: out of memory, and
 * the array is as it was. */
static inline bool vector_reserve_bytes(void **data, size_t *room, size_t need, size_t size)
{
	size_t wanted = *room < 8 ? 8 : *room;
	void *moved;

	if (need <= *room)
		return true;
	while (wanted < need) {
		if (wanted > SIZE_MAX / 2)
			return false;
		wanted *= 2;
	}
	if (wanted > PTRDIFF_MAX / size)
		return false;
	moved = realloc(*data, wanted * size);
	if (moved == NULL)
		return false;
	*data = moved;
	*room = wanted;
	return true;
}

#define vector_reserve(data, room, need)                                                           \
	vector_reserve_bytes((void **)&(data), &(room), (need), sizeof(*(data)))

#endif
