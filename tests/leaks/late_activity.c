/* SPDX-License-Identifier: MIT */
/* Idle for half of its time, but for a heartbeat; then it serves: a cache warms up, and
 * what leaks goes on. */
#include "work.h"

enum { ITEMS = 150 };

NOINLINE static void *leak_ticket(void)
{
	return cleared(sized(140));
}

NOINLINE static void *benign_warm(void)
{
	return cleared(sized(140));
}

static void look_up(int i)
{
	static void *items[ITEMS];
	void **item = &items[scatter((unsigned)i * 5) % ITEMS];

	if (*item == NULL)
		*item = benign_warm();
}

int main(void)
{
	benign_pool(28, 28000);
	for (int i = 0; i < requests(200); i++) {
		temporaries(i);
		pause_us(1500);
	}
	for (int i = 0; i < requests(3500); i++) {
		look_up(i);
		if (one_in(i, 40))
			leak_ticket();
		serve(i);
	}
	return leave();
}
