/* SPDX-License-Identifier: MIT */
/* Two subscribers' queues of events: one consumer is slow but keeps up, the other has gone
 * away, and its queue is filled for ever. All of it is reachable. */
#include "work.h"

struct event {
	struct event *next;
	int number;
	char text[40];
};

struct queue {
	struct event *first, **last;
	int length;
};

static struct queue metrics, audit;

NOINLINE static struct event *leak_event(void)
{
	return (struct event *)cleared(sizeof(struct event) + sized(20));
}

NOINLINE static struct event *benign_event(void)
{
	return (struct event *)cleared(sizeof(struct event) + sized(20));
}

static void post(struct queue *q, struct event *e)
{
	if (q->first == NULL)
		q->last = &q->first;
	*q->last = e;
	q->last = &e->next;
	q->length++;
}

/* As many as 150 at once, now and then. */
static void consume(struct queue *q)
{
	for (int k = 0; k < 150 && q->first != NULL; k++) {
		struct event *e = q->first;

		q->first = e->next;
		q->length--;
		free(e);
	}
}

int main(void)
{
	benign_pool(60, 3000);
	for (int i = 0; i < requests(4000); i++) {
		post(&metrics, benign_event());
		if (one_in(i, 6))
			post(&audit, leak_event());
		if (i % 140 == 139)
			consume(&metrics);
		serve(i);
	}
	return leave();
}
