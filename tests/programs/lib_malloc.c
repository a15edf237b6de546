/* SPDX-License-Identifier: MIT */
/* A malloc that stands before ours when it is preloaded first, and that tests
 * link into a program as its own. Nothing is ever freed. */
#include <stdint.h>
#include <string.h>

static _Alignas(16) char pool[8 << 20];
static size_t used;

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *block);

void *malloc(size_t size)
{
	size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);

	if (at + size + 16 > sizeof(pool))
		return NULL;
	memcpy(pool + at, &size, sizeof(size));
	return pool + at + 16;
}

void *calloc(size_t count, size_t size)
{
	return malloc(count * size);
}

void *realloc(void *old, size_t size)
{
	char *fresh = malloc(size);
	size_t old_size = 0;

	if (old != NULL)
		memcpy(&old_size, (char *)old - 16, sizeof(old_size));
	for (size_t i = 0; fresh != NULL && i < old_size && i < size; i++)
		fresh[i] = ((char *)old)[i];
	return fresh;
}

void free(void *block)
{
	(void)block;
}
