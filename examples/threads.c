/* SPDX-License-Identifier: MIT */
/*
 * A producer and two consumers: what one thread allocates, another frees.
 *
 *     make programs
 *     LD_PRELOAD=build/libperfhook.so PERFHOOK_OUT=threads.trace build/examples/threads
 *     build/perfhook report threads.trace
 *
 * Nothing leaks, though no thread frees what it allocated, but for the jobs that
 * the consumers set aside: the report should show those under job_new(), called
 * by produce(), with the printed bytes, and the peak no higher than what the
 * queue can hold at once plus them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 20000, QUEUE = 128, CONSUMERS = 2, SET_ASIDE_EVERY = 1000 };

struct job {
	int number;
	char payload[200];
};

static struct job *queue[QUEUE];
static int queued, taken, finished;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct job *aside[JOBS / SET_ASIDE_EVERY];
static int aside_count;

static struct job *job_new(int number)
{
	struct job *j = malloc(sizeof(*j));

	if (j == NULL)
		exit(1);
	j->number = number;
	return j;
}

static void *produce(void *argument)
{
	(void)argument;
	for (int i = 1; i <= JOBS; i++) {
		struct job *j = job_new(i);

		pthread_mutex_lock(&lock);
		while (queued - taken == QUEUE)
			pthread_cond_wait(&changed, &lock);
		queue[queued++ % QUEUE] = j;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_lock(&lock);
	finished = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Called with the lock held; NULL when there is nothing more to come. */
static struct job *take(void)
{
	while (queued == taken && !finished)
		pthread_cond_wait(&changed, &lock);
	if (queued == taken)
		return NULL;
	pthread_cond_broadcast(&changed);
	return queue[taken++ % QUEUE];
}

static void *consume(void *argument)
{
	struct job *j;

	(void)argument;
	pthread_mutex_lock(&lock);
	while ((j = take()) != NULL) {
		if (j->number % SET_ASIDE_EVERY == 0) {
			aside[aside_count++] = j;
			continue;
		}
		pthread_mutex_unlock(&lock);
		free(j);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t producer, consumers[CONSUMERS];

	pthread_create(&producer, NULL, produce, NULL);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_create(&consumers[i], NULL, consume, NULL);
	pthread_join(producer, NULL);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_join(consumers[i], NULL);
	printf("truth: jobs=%d\n", JOBS);
	printf("truth: live_blocks=%d\n", aside_count);
	printf("truth: live_bytes=%zu\n", (size_t)aside_count * sizeof(struct job));
	/* One in each consumer's hands, one in the producer's. */
	printf("truth: peak_bytes_at_most=%zu\n",
	       (QUEUE + CONSUMERS + 1 + (size_t)aside_count) * sizeof(struct job));
	return 0;
}
