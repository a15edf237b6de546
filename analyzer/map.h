/* SPDX-License-Identifier: MIT */
/*
 * Two open-addressed tables. The hashes are seeded anew in each process, so
 * that a hostile trace cannot choose keys that collide.
 */
#ifndef PH_ANALYZER_MAP_H
#define PH_ANALYZER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern uint64_t map_seed; /* odd; set before main */

static inline uint64_t map_hash(uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 32) * map_seed;
	return h ^ h >> 29;
}

uint64_t map_hash_bytes(const void *data, size_t length);

/* From a number to a number that is not 0. All zero is empty. */
struct map {
	struct map_entry *entries;
	size_t count, mask; /* mask + 1 entries, if entries is not NULL */
};

uint64_t map_get(const struct map *m, uint64_t key);	   /* 0: not there */
bool map_put(struct map *m, uint64_t key, uint64_t value); /* value 0 removes; false: no memory */
bool map_add(struct map *m, uint64_t key, uint64_t value); /* to what is there */
void map_clear(struct map *m);				   /* keeps its memory */
void map_free(struct map *m);

/* Walk: begin with *at = 0; false at the end. Not while it is changed. */
bool map_next(const struct map *m, size_t *at, uint64_t *key, uint64_t *value);

/* From a hash to places (from 1) in an array of the caller's, who compares. */
struct index {
	uint64_t *slots; /* hash's upper half | place; 0: empty */
	size_t count, mask;
};

/* Walk the places whose hash may be equal; 0 at the end. Begin with
 * *at = SIZE_MAX. */
uint32_t index_find(const struct index *x, uint64_t hash, size_t *at);
bool index_insert(struct index *x, uint64_t hash, uint32_t place);
void index_free(struct index *x);

#endif
