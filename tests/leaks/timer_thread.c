/* SPDX-License-Identifier: MIT */
/* A thread that wakes by a timer takes a sample each time and loses some: a leak by time,
 * not by request. The history that it keeps has a bound. */
#include <pthread.h>

#include "work.h"

NOINLINE static void *leak_sample(void)
{
	return cleared(sized(110));
}

NOINLINE static void *benign_sample(void)
{
	return cleared(sized(110));
}

static void *sample(void *unused)
{
	void *history[30] = {NULL};

	(void)unused;
	for (int i = 0; i < requests(150); i++) {
		pause_us(4000);
		if (one_in(i, 3))
			leak_sample();
		free(history[i % 30]);
		history[i % 30] = benign_sample();
	}
	for (int i = 0; i < 30; i++)
		free(history[i]);
	return NULL;
}

int main(void)
{
	pthread_t sampler;

	benign_pool(8, 1000000);
	pthread_create(&sampler, NULL, sample, NULL);
	for (int i = 0; i < requests(5000); i++)
		serve(i);
	pthread_join(sampler, NULL);
	return leave();
}
