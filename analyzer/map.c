/* SPDX-License-Identifier: MIT */
#include "analyzer/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

uint64_t map_seed = 0xd6e8feb86659fd93u;

__attribute__((constructor)) static void choose_seed(void)
{
	uint64_t seed;

	/* Without randomness the built-in seed serves: slow at worst. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		map_seed ^= seed << 1;
}

uint64_t map_hash_bytes(const void *data, size_t length)
{
	const unsigned char *p = data;
	uint64_t h = length, word;

	for (; length >= sizeof(word); p += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = map_hash(h ^ word);
	}
	word = 0;
	memcpy(&word, p, length);
	return map_hash(h ^ word);
}

struct map_entry {
	uint64_t key, value; /* value 0: empty */
};

static size_t map_slot(const struct map *m, uint64_t key)
{
	size_t i = map_hash(key) & m->mask;

	while (m->entries[i].value != 0 && m->entries[i].key != key)
		i = (i + 1) & m->mask;
	return i;
}

uint64_t map_get(const struct map *m, uint64_t key)
{
	return m->count == 0 ? 0 : m->entries[map_slot(m, key)].value;
}

static bool map_grow(struct map *m)
{
	struct map bigger = {.mask = m->entries ? m->mask * 2 + 1 : 15};
	uint64_t key, value;

	if (m->entries != NULL && m->count <= m->mask - m->mask / 4)
		return true;
	bigger.entries = calloc(bigger.mask + 1, sizeof(*bigger.entries));
	if (bigger.entries == NULL)
		return false;
	for (size_t at = 0; map_next(m, &at, &key, &value);)
		bigger.entries[map_slot(&bigger, key)] = (struct map_entry){key, value};
	bigger.count = m->count;
	free(m->entries);
	*m = bigger;
	return true;
}

/* Close the hole: what probed past it moves up. */
static void map_remove(struct map *m, uint64_t key)
{
	size_t hole, i;

	if (m->count == 0)
		return;
	hole = map_slot(m, key);
	if (m->entries[hole].value == 0)
		return;
	for (i = (hole + 1) & m->mask; m->entries[i].value != 0; i = (i + 1) & m->mask) {
		size_t home = map_hash(m->entries[i].key) & m->mask;

		if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
			m->entries[hole] = m->entries[i];
			hole = i;
		}
	}
	m->entries[hole].value = 0;
	m->count--;
}

/* The key's entry, made if it is not there; NULL: out of memory. What is there
 * already needs none. */
static struct map_entry *map_entry(struct map *m, uint64_t key)
{
	struct map_entry *e = m->entries ? &m->entries[map_slot(m, key)] : NULL;

	if (e != NULL && e->value != 0)
		return e;
	if (!map_grow(m))
		return NULL;
	e = &m->entries[map_slot(m, key)];
	e->key = key;
	m->count++;
	return e;
}

bool map_put(struct map *m, uint64_t key, uint64_t value)
{
	struct map_entry *e;

	if (value == 0) {
		map_remove(m, key);
		return true;
	}
	e = map_entry(m, key);
	if (e == NULL)
		return false;
	e->value = value;
	return true;
}

bool map_add(struct map *m, uint64_t key, uint64_t value)
{
	struct map_entry *e;

	if (value == 0)
		return true;
	e = map_entry(m, key);
	if (e == NULL)
		return false;
	e->value += value;
	return true;
}

/* A table that was once much larger is not worth wiping each time. */
void map_clear(struct map *m)
{
	if (m->mask > 1023 && m->count < m->mask / 16)
		map_free(m);
	else if (m->count != 0)
		memset(m->entries, 0, (m->mask + 1) * sizeof(*m->entries));
	m->count = 0;
}

void map_free(struct map *m)
{
	free(m->entries);
	*m = (struct map){0};
}

bool map_next(const struct map *m, size_t *at, uint64_t *key, uint64_t *value)
{
	if (m->entries == NULL)
		return false;
	while (*at <= m->mask) {
		const struct map_entry *e = &m->entries[(*at)++];

		if (e->value != 0) {
			*key = e->key;
			*value = e->value;
			return true;
		}
	}
	return false;
}

/* Only the hash's upper half is kept, so it serves for the home as well. */
static uint64_t index_home(uint64_t hash)
{
	return hash >> 32;
}

uint32_t index_find(const struct index *x, uint64_t hash, size_t *at)
{
	size_t i;

	if (x->slots == NULL)
		return 0;
	i = *at == SIZE_MAX ? index_home(hash) & x->mask : (*at + 1) & x->mask;
	for (; x->slots[i] != 0; i = (i + 1) & x->mask) {
		if (x->slots[i] >> 32 == hash >> 32) {
			*at = i;
			return (uint32_t)x->slots[i];
		}
	}
	return 0;
}

static void index_place(struct index *x, uint64_t home, uint64_t slot)
{
	size_t i = home & x->mask;

	while (x->slots[i] != 0)
		i = (i + 1) & x->mask;
	x->slots[i] = slot;
}

static bool index_grow(struct index *x)
{
	struct index bigger = {.count = x->count, .mask = x->slots ? x->mask * 2 + 1 : 63};

	if (x->slots != NULL && x->count < x->mask - x->mask / 4)
		return true;
	bigger.slots = calloc(bigger.mask + 1, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return false;
	for (size_t i = 0; x->slots != NULL && i <= x->mask; i++) {
		if (x->slots[i] != 0)
			index_place(&bigger, index_home(x->slots[i]), x->slots[i]);
	}
	free(x->slots);
	*x = bigger;
	return true;
}

bool index_insert(struct index *x, uint64_t hash, uint32_t place)
{
	if (!index_grow(x))
		return false;
	index_place(x, index_home(hash), (hash & ~(uint64_t)UINT32_MAX) | place);
	x->count++;
	return true;
}

void index_free(struct index *x)
{
	free(x->slots);
	*x = (struct index){0};
}
