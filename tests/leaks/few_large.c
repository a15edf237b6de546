/* SPDX-License-Identifier: MIT */
/* A picture of some MB is lost each time that the size of a window changes: ten in all. Of
 * the two pictures that are shown in turn none is. */
#include "work.h"

NOINLINE static char *leak_picture(void)
{
	return (char *)keep(malloc((1 << 20) + sized(4096)));
}

NOINLINE static char *benign_shown(void)
{
	return (char *)keep(malloc((1 << 20) + sized(4096)));
}

int main(void)
{
	static char *shown[2];

	benign_pool(2, 6000000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 380))
			leak_picture()[0] = 1;
		if (i % 150 == 0) {
			free(shown[i / 150 % 2]);
			shown[i / 150 % 2] = benign_shown();
		}
		serve(i);
	}
	return leave();
}
