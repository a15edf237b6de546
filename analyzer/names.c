/* SPDX-License-Identifier: MIT */
#include "analyzer/names.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/map.h"
#include "analyzer/vector.h"

#define SHOWN 4 /* addresses of a name */

struct address_of {
	const char *host; /* without the port */
	uint32_t name;
};

struct names {
	struct resolved *list;
	size_t count, room;
	struct index by_name;
	struct address_of *addresses;
	size_t address_count, address_room;
	struct index by_address;
};

struct names *names_new(void)
{
	return calloc(1, sizeof(struct names));
}

void names_free(struct names *n)
{
	if (n == NULL)
		return;
	free(n->list);
	free(n->addresses);
	index_free(&n->by_name);
	index_free(&n->by_address);
	free(n);
}

static size_t host_length(const char *address)
{
	const char *colon = strrchr(address, ':');

	return colon != NULL ? (size_t)(colon - address) : strlen(address);
}

static struct address_of *find_address(const struct names *n, const char *address)
{
	size_t length = host_length(address), at = SIZE_MAX;
	uint64_t hash = map_hash_bytes(address, length);
	uint32_t place;

	while ((place = index_find(&n->by_address, hash, &at)) != 0) {
		struct address_of *a = &n->addresses[place - 1];

		if (strncmp(a->host, address, length) == 0 && a->host[length] == '\0')
			return a;
	}
	return NULL;
}

static bool lead_to(struct names *n, struct arena *arena, const char *address, uint32_t name)
{
	struct address_of *a = find_address(n, address);
	size_t length = host_length(address);

	if (a == NULL) {
		if (!vector_reserve(n->addresses, n->address_room, n->address_count + 1) ||
		    !index_insert(&n->by_address, map_hash_bytes(address, length),
				  (uint32_t)n->address_count + 1))
			return false;
		a = &n->addresses[n->address_count++];
		a->host = arena_copy(arena, address, length);
	}
	a->name = name;
	return true;
}

static struct resolved *get_name(struct names *n, struct arena *arena, const char *name)
{
	uint64_t hash = map_hash_bytes(name, strlen(name));
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&n->by_name, hash, &at)) != 0)
		if (strcmp(n->list[place - 1].name, name) == 0)
			return &n->list[place - 1];
	if (!vector_reserve(n->list, n->room, n->count + 1) ||
	    !index_insert(&n->by_name, hash, (uint32_t)n->count + 1))
		return NULL;
	n->list[n->count] = (struct resolved){.name = arena_copy(arena, name, strlen(name))};
	return &n->list[n->count++];
}

static const char *list_addresses(struct arena *arena, const char *const *addresses, size_t count)
{
	const char *text = NULL;

	for (size_t i = 0; i < count && i < SHOWN; i++) {
		int length = (int)host_length(addresses[i]);

		/* One for each kind of socket. */
		if (i > 0 && strcmp(addresses[i], addresses[i - 1]) == 0)
			continue;
		text = text == NULL ? arena_copy(arena, addresses[i], (size_t)length)
				    : arena_print(arena, "%s, %.*s", text, length, addresses[i]);
	}
	return text;
}

/* NULL: out of memory. */
static struct resolved *learn(struct names *n, struct arena *arena, const char *name,
			      const char *const *addresses, size_t count)
{
	struct resolved *r = get_name(n, arena, name);

	if (r == NULL)
		return NULL;
	if (r->addresses == NULL)
		r->addresses = list_addresses(arena, addresses, count);
	for (size_t i = 0; i < count; i++)
		if (!lead_to(n, arena, addresses[i], (uint32_t)(r - n->list)))
			return NULL;
	return r;
}

bool names_learn(struct names *n, struct arena *arena, const char *name,
		 const char *const *addresses, size_t count)
{
	return learn(n, arena, name, addresses, count) != NULL;
}

bool names_add(struct names *n, struct arena *arena, const char *name, const char *const *addresses,
	       size_t count, bool failed, double time_s)
{
	struct resolved *r = learn(n, arena, name, addresses, count);

	if (r == NULL)
		return false;
	r->calls++;
	r->errors += failed;
	r->time_s += time_s;
	return true;
}

const char *names_of(const struct names *n, const char *address)
{
	const struct address_of *a = find_address(n, address);

	return a != NULL ? n->list[a->name].name : NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct resolved *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? 1 : -1;
	return strcmp(x->name, y->name);
}

struct resolved *names_take(struct names *n, size_t *count)
{
	struct resolved *list = n->list;

	*count = 0;
	for (size_t i = 0; i < n->count; i++)
		if (list[i].calls != 0)
			list[(*count)++] = list[i];
	if (list != NULL)
		qsort(list, *count, sizeof(*list), by_time);
	n->list = NULL;
	n->count = n->room = 0;
	return list;
}
