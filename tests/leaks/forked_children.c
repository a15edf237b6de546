/* SPDX-License-Identifier: MIT */
/* A parent with pools, and children that serve: they leak, what they inherited stays. */
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

enum { CHILDREN = 3 };

NOINLINE static void *leak_reply(void)
{
	return cleared(sized(130));
}

static void serve_as_child(void)
{
	for (int i = 0; i < requests(2500); i++) {
		if (one_in(i, 60))
			leak_reply();
		serve(i);
	}
}

int main(void)
{
	benign_pool(30, 300000);
	benign_pool(400, 700);
	for (int i = 0; i < CHILDREN; i++) {
		if (fork() == 0) {
			serve_as_child();
			return leave();
		}
	}
	while (wait(NULL) > 0)
		;
	return leave();
}
