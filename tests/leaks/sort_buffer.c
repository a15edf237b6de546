/* SPDX-License-Identifier: MIT */
/* Keys are copied to be sorted; where they are sorted already, the copy is forgotten.
 * qsort() has a temporary buffer of its own, which it frees. */
#include "work.h"

enum { KEYS = 400 };

static int by_value(const void *a, const void *b)
{
	const long *x = (const long *)a, *y = (const long *)b;

	return (*x > *y) - (*x < *y);
}

NOINLINE static long *leak_copy(const long *keys)
{
	long *copy = (long *)keep(malloc(KEYS * sizeof(long) + sized(8)));

	memcpy(copy, keys, KEYS * sizeof(long));
	return copy;
}

static bool is_sorted(const long *keys)
{
	for (int k = 1; k < KEYS; k++)
		if (keys[k - 1] > keys[k])
			return false;
	return true;
}

static long median(int i)
{
	long keys[KEYS];
	long *copy, middle;

	for (int k = 0; k < KEYS; k++)
		keys[k] = one_in(i, 40) ? k : (long)(scatter((unsigned)(k + i)) % 1000);
	copy = leak_copy(keys);
	if (is_sorted(copy))
		return keys[KEYS / 2]; /* the leak */
	qsort(copy, KEYS, sizeof(*copy), by_value);
	middle = copy[KEYS / 2];
	free(copy);
	return middle;
}

int main(void)
{
	benign_pool(26, 26000);
	for (int i = 0; i < requests(4000); i++) {
		if (i % 2 == 0)
			median(i / 2);
		serve(i);
	}
	return leave();
}
