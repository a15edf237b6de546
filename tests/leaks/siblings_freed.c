/* SPDX-License-Identifier: MIT */
/* One stack makes thousands of blocks, and all but one in 150 are freed: at once, or after
 * a while in a window of recent ones. */
#include "work.h"

enum { WINDOW = 200 };

NOINLINE static void *leak_row(void)
{
	return cleared(sized(128));
}

/* The same life without the leak. */
NOINLINE static void *benign_row(void)
{
	return cleared(sized(128));
}

static void keep_row(void **window, void *row, int i)
{
	free(window[i % WINDOW]);
	window[i % WINDOW] = row;
}

int main(void)
{
	static void *rows[WINDOW], *others[WINDOW];

	benign_pool(15, 150000);
	for (int i = 0; i < requests(4000); i++) {
		void *row = leak_row();

		keep(row);
		if (one_in(i, 150))
			row = NULL;
		if (i % 2 == 0)
			keep_row(rows, row, i / 2);
		else
			free(row);
		keep_row(others, benign_row(), i);
		serve(i);
	}
	for (int i = 0; i < WINDOW; i++)
		free(rows[i]);
	return leave();
}
