/* SPDX-License-Identifier: MIT */
/* Threads that end all the time, a few alive at once; each one's thread-local
 * destructors free and allocate, in several passes: thread_ends [THREADS]. */
#include "lane.h"
#include "truth.h"

enum { AT_ONCE = 4, PASSES = 3, SIZE = 120, KEPT = 13 };

static struct lane lanes[AT_ONCE];
static pthread_key_t key;

struct passing {
	int left;
	char room[SIZE];
};

__attribute__((noinline)) static struct passing *next_pass(int left)
{
	struct passing *p = take(sizeof(*p));

	if (p != NULL)
		p->left = left;
	return p;
}

__attribute__((noinline)) static void *kept_at_the_end(void)
{
	return take(KEPT);
}

/* libc calls it again as long as it leaves a value, four times at most. */
static void pass(void *value)
{
	struct passing *p = value;
	int left = p->left;

	free(p);
	if (left > 0)
		pthread_setspecific(key, next_pass(left - 1));
	else
		keep(kept_at_the_end());
}

static void *body(void *argument)
{
	(void)argument;
	pthread_setspecific(key, next_pass(PASSES - 1));
	free(take(SIZE));
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 && atoi(argv[1]) > 0 ? atoi(argv[1]) : 1000;
	struct tally t = {0};

	truth_begin(argc, argv);
	pthread_key_create(&key, pass);
	for (int i = 0; i < threads + AT_ONCE; i++) {
		if (i >= AT_ONCE)
			lane_join(&lanes[i % AT_ONCE]);
		if (i < threads)
			lane_start(&lanes[i % AT_ONCE], body, NULL);
	}
	for (int i = 0; i < threads; i++) {
		tally_alloc(&t, SIZE);
		tally_free(&t, SIZE);
		for (int n = 0; n < PASSES; n++) {
			tally_alloc(&t, sizeof(struct passing));
			tally_free(&t, sizeof(struct passing));
		}
		tally_alloc(&t, KEPT);
	}
	truth("threads", (unsigned long long)threads);
	truth("kept_bytes", (unsigned long long)threads * KEPT);
	tally_say(&t);
	return wrongs != 0;
}
