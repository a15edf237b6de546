/* SPDX-License-Identifier: MIT */
/* Without a leak: threads that serve from a queue, with a buffer each, and still run when
 * the program ends. */
#include <pthread.h>
#include <unistd.h>

#include "work.h"

enum { THREADS = 4, SLOTS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static struct request {
	struct request *next;
	int number;
} * queue;
static int served;

NOINLINE static struct request *benign_request(int i)
{
	struct request *r = (struct request *)cleared(sizeof(*r) + sized(100));

	r->number = i;
	return r;
}

NOINLINE static char *benign_thread_buffer(void)
{
	return (char *)cleared(20000);
}

static struct request *next_request(void)
{
	struct request *r;

	pthread_mutex_lock(&lock);
	while (queue == NULL)
		pthread_cond_wait(&more, &lock);
	r = queue;
	queue = r->next;
	pthread_mutex_unlock(&lock);
	return r;
}

static void *serve_for_ever(void *unused)
{
	char *buffer = benign_thread_buffer();

	(void)unused;
	for (;;) {
		struct request *r = next_request();

		snprintf(buffer, 100, "request %d", r->number);
		temporaries(r->number);
		free(r);
		scrub();
		pthread_mutex_lock(&lock);
		served++;
		pthread_cond_signal(&done);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void post(int i)
{
	struct request *r = benign_request(i);

	pthread_mutex_lock(&lock);
	while (i - served >= SLOTS)
		pthread_cond_wait(&done, &lock);
	r->next = queue;
	queue = r;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	pthread_t thread;
	int n = requests(4000);

	benign_pool(64, 6400);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, serve_for_ever, NULL);
	for (int i = 0; i < n; i++) {
		post(i);
		keep_result(i);
		change_session(i);
		interned(i);
		pause_after(i);
	}
	pthread_mutex_lock(&lock);
	while (served < n)
		pthread_cond_wait(&done, &lock);
	pthread_mutex_unlock(&lock);
	return leave();
}
