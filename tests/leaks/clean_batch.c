/* SPDX-License-Identifier: MIT */
/* Without a leak: a batch job reads all of its input into memory, line by line, and then
 * works on it for as long again; it frees nothing at its end. */
#include "work.h"

enum { LINES = 2200 };

static char *lines[LINES];

NOINLINE static char *benign_line(int i)
{
	char *s = (char *)cleared(sized(60) + scatter((unsigned)i) % 40);

	snprintf(s, 30, "%u", scatter((unsigned)i));
	return s;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(void)
{
	int n = requests(LINES);

	for (int i = 0; i < n; i++) {
		lines[i] = benign_line(i);
		temporaries(i);
		pause_after(i);
	}
	qsort(lines, (size_t)n, sizeof(*lines), by_text);
	for (int i = 0; i < n * 3 / 2; i++)
		serve(i);
	return leave();
}
