/* SPDX-License-Identifier: MIT */
/* asprintf() makes the text of an error, and whoever got it frees it only if it was
 * printed. */
#include "work.h"

NOINLINE static char *leak_text(int i)
{
	char *text = NULL;

	if (asprintf(&text, "item %d cannot be had: %0*d", i, (int)sized(30), i) < 0)
		exit(1);
	return (char *)keep(text);
}

static void complain(char *text, bool printed)
{
	static char last[200];

	if (!printed)
		return; /* the leak */
	snprintf(last, sizeof(last), "%s", text);
	free(text);
}

int main(void)
{
	benign_pool(300, 500);
	for (int i = 0; i < requests(4500); i++) {
		if (i % 4 == 0)
			complain(leak_text(i), !one_in(i / 4, 10));
		serve(i);
	}
	return leave();
}
