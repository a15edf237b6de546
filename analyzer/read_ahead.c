/* SPDX-License-Identifier: MIT */
#include "analyzer/read_ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_BYTES_MAX = 16 << 20 }; /* decoded; what is larger is left to who wants it */

enum state { UNSEEN, BEGUN, DONE, TAKEN };

struct read_ahead {
	const struct reader *reader;
	size_t *order; /* places of the event blocks, as they are due */
	size_t count, next;
	pthread_t thread;
	struct ph_buffer stored, payload; /* the thread's own */
	pthread_mutex_t lock;		  /* of all below */
	pthread_cond_t changed;
	bool stop;
	uint8_t *states; /* of all blocks */
	size_t block;	 /* begun or done and not yet taken; SIZE_MAX: none */
	/* The thread's while it is begun: */
	bool good;
	struct ph_events events;
};

static bool is_small(const struct ph_block_header *h)
{
	return h->events <= BLOCK_BYTES_MAX / sizeof(struct ph_event) &&
	       h->raw_bytes <= BLOCK_BYTES_MAX;
}

static bool decode(struct read_ahead *a)
{
	const struct block *b = &a->reader->blocks[a->block];

	return reader_load(a->reader, b, &a->stored, &a->payload) &&
	       ph_decode_events(&b->header, a->payload.data, a->payload.length, &a->events) == NULL;
}

/* Begin with the next block, once the last one is taken; with the lock. false: it is
 * over. */
static bool begin_next(struct read_ahead *a)
{
	while (!a->stop && a->block != SIZE_MAX)
		pthread_cond_wait(&a->changed, &a->lock);
	while (a->next < a->count && a->states[a->order[a->next]] != UNSEEN)
		a->next++;
	if (a->stop || a->next == a->count)
		return false;
	a->block = a->order[a->next++];
	a->states[a->block] = BEGUN;
	return true;
}

static void *work(void *argument)
{
	struct read_ahead *a = argument;

	pthread_mutex_lock(&a->lock);
	while (begin_next(a)) {
		pthread_mutex_unlock(&a->lock);
		a->good = decode(a);
		pthread_mutex_lock(&a->lock);
		a->states[a->block] = DONE;
		pthread_cond_broadcast(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

enum read_ahead_result read_ahead_take(struct read_ahead *a, size_t block, struct ph_events *events)
{
	enum read_ahead_result result = READ_AHEAD_NOT;

	if (a == NULL)
		return result;
	pthread_mutex_lock(&a->lock);
	while (a->states[block] == BEGUN)
		pthread_cond_wait(&a->changed, &a->lock);
	if (a->states[block] == DONE) {
		struct ph_events decoded = a->events;

		a->events = *events;
		*events = decoded;
		result = a->good ? READ_AHEAD_DECODED : READ_AHEAD_DAMAGED;
		a->block = SIZE_MAX;
		pthread_cond_broadcast(&a->changed);
	}
	a->states[block] = TAKEN;
	pthread_mutex_unlock(&a->lock);
	return result;
}

struct due {
	uint64_t stamp;
	size_t block;
};

static int by_stamp(const void *x, const void *y)
{
	const struct due *a = x, *b = y;

	if (a->stamp != b->stamp)
		return a->stamp < b->stamp ? -1 : 1;
	return a->block < b->block ? -1 : a->block > b->block;
}

static bool make_order(struct read_ahead *a)
{
	const struct reader *r = a->reader;
	struct due *due = calloc(r->block_count, sizeof(*due));

	a->order = calloc(r->block_count, sizeof(*a->order));
	if (due != NULL && a->order != NULL) {
		for (size_t i = 0; i < r->block_count; i++) {
			const struct ph_block_header *h = &r->blocks[i].header;

			if (h->kind == PH_BLOCK_EVENTS && is_small(h))
				due[a->count++] = (struct due){h->first_stamp, i};
		}
		qsort(due, a->count, sizeof(*due), by_stamp);
		for (size_t i = 0; i < a->count; i++)
			a->order[i] = due[i].block;
	}
	free(due);
	return a->order != NULL && a->count > 1;
}

/* Signals are the main thread's. */
static bool start(struct read_ahead *a)
{
	sigset_t all, before;
	bool good;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	good = pthread_create(&a->thread, NULL, work, a) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return good;
}

static void destroy(struct read_ahead *a)
{
	ph_events_free(&a->events);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	ph_buffer_free(&a->stored);
	ph_buffer_free(&a->payload);
	free(a->order);
	free(a->states);
	free(a);
}

struct read_ahead *read_ahead_begin(const struct reader *reader)
{
	struct read_ahead *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->reader = reader;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->block = SIZE_MAX;
	a->states = calloc(reader->block_count + 1, sizeof(*a->states));
	if (a->states != NULL && make_order(a) && start(a))
		return a;
	destroy(a);
	return NULL;
}

void read_ahead_end(struct read_ahead *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	destroy(a);
}
