/* SPDX-License-Identifier: MIT */
/* A queue of jobs: one that fails, which is rare, is unlinked and forgotten. */
#include "work.h"

struct job {
	struct job *next;
	char text[48];
};

static struct job *queue;

NOINLINE static struct job *leak_job(int i)
{
	struct job *j = (struct job *)cleared(sized(sizeof(*j)) + sizeof(*j));

	snprintf(j->text, sizeof(j->text), "job %d", i);
	return j;
}

static void push(struct job *j)
{
	j->next = queue;
	queue = j;
}

static bool fails(const struct job *j)
{
	return one_in(atoi(j->text + 4), 90);
}

static void run_queue(void)
{
	while (queue != NULL) {
		struct job *j = queue;

		queue = j->next;
		if (fails(j))
			continue; /* the leak */
		free(j);
	}
}

int main(void)
{
	benign_pool(64, 128 * 1024);
	for (int i = 0; i < requests(5000); i++) {
		push(leak_job(i));
		if (i % 5 == 0)
			run_queue();
		serve(i);
	}
	run_queue();
	return leave();
}
