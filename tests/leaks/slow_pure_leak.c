/* SPDX-License-Identifier: MIT */
/* One request in 400 takes a path that does nothing but leak. */
#include "work.h"

NOINLINE static void *leak_report(void)
{
	return cleared(sized(900));
}

int main(void)
{
	benign_pool(5, 2000000);
	benign_pool(600, 90);
	for (int i = 0; i < requests(6000); i++) {
		if (one_in(i, 400))
			leak_report();
		serve(i);
	}
	return leave();
}
