/* SPDX-License-Identifier: MIT */
/* A daemon that never ends by itself: it is killed while it serves, in the midst of a
 * generation of work. */
#include <signal.h>
#include <unistd.h>

#include "work.h"

NOINLINE static void *leak_cookie(void)
{
	return cleared(sized(72));
}

NOINLINE static void *benign_task(void)
{
	return cleared(sized(72));
}

static void work_off(int i)
{
	static void *tasks[250];

	free(tasks[i % 250]);
	tasks[i % 250] = benign_task();
}

int main(void)
{
	benign_pool(35, 35000);
	for (int i = 0;; i++) {
		void *cookie = leak_cookie();

		keep(cookie);
		if (!one_in(i, 55))
			free(cookie);
		work_off(i);
		serve(i);
		if (i == requests(4000))
			kill(getpid(), SIGKILL);
	}
}
