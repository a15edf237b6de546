/* SPDX-License-Identifier: MIT */
/* A vector per query, grown by reallocarray(); a query with no result leaves it. */
#include "work.h"

NOINLINE static int *leak_rows(int *old, size_t n)
{
	return (int *)keep(reallocarray(old, n, sizeof(int)));
}

NOINLINE static int *benign_columns(int *old, size_t n)
{
	return (int *)keep(reallocarray(old, n, sizeof(int)));
}

static int query(int i)
{
	int *rows = NULL;
	size_t n = 0;

	for (size_t room = sized(8); n < room && n < 100; n++) {
		if (n % 30 == 0)
			rows = leak_rows(rows, n + 30);
		rows[n] = i;
	}
	if (one_in(i, 75))
		return 0; /* the leak */
	free(rows);
	return (int)n;
}

int main(void)
{
	static int *columns;

	for (size_t n = 1; n < 60; n++)
		columns = benign_columns(columns, n * 100);
	benign_pool(100, 3000);
	for (int i = 0; i < requests(4500); i++) {
		query(i);
		serve(i);
	}
	return leave();
}
