/* SPDX-License-Identifier: MIT */
/* Requests whose answer is freed, but in storms of retries: four bursts of forty. */
#include "work.h"

NOINLINE static void *leak_answer(void)
{
	return cleared(sized(160));
}

/* A pool that is made late, at the first request that needs it. */
NOINLINE static void *benign_late(void)
{
	return cleared(sized(160));
}

static void make_late_pool(void)
{
	static void *late[200];

	for (int k = 0; late[0] == NULL || k > 0; k++) {
		if (k == 200)
			return;
		late[k] = benign_late();
	}
}

int main(void)
{
	benign_pool(50, 20000);
	for (int i = 0; i < requests(4000); i++) {
		void *answer = leak_answer();

		keep(answer);
		if (i % 1000 < 600 || i % 1000 >= 640)
			free(answer);
		if (i > 700)
			make_late_pool();
		serve(i);
	}
	return leave();
}
